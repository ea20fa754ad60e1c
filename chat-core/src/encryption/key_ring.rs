//! The keys that seal messages.

use std::fmt;

use aes_gcm::{Aes256Gcm, Key, KeyInit};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Why a key or a ring of keys can't be used. Never carries a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeys {
    /// There is none.
    #[error("at least one encryption key is needed")]
    Empty,
    /// An entry is not `id:base64`.
    #[error("an encryption key is written `id:base64`")]
    Form,
    /// An id is not 1 to 32 letters, digits, `-` or `_`.
    #[error("the id of an encryption key is 1 to 32 letters, digits, `-` or `_`")]
    Id,
    /// A key is not 32 bytes.
    #[error("the encryption key `{0}` is not 32 bytes in base64")]
    Length(String),
    /// Two keys have one id.
    #[error("the id `{0}` stands for two encryption keys")]
    Twice(String),
}

/// A key for AES-256-GCM with the id by which ciphertexts name it.
#[derive(Clone)]
pub struct EncryptionKey {
    id: String,
    pub(super) cipher: Aes256Gcm,
}

impl EncryptionKey {
    /// A key of 32 bytes.
    ///
    /// # Errors
    /// When the id is not 1 to 32 letters, digits, `-` or `_`.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Result<Self, InvalidKeys> {
        let id = id.into();
        let key = Zeroizing::new(key);
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if id.is_empty() || id.len() > 32 || !id.bytes().all(is_plain) {
            return Err(InvalidKeys::Id);
        }
        Ok(Self { id, cipher: Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key)) })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({}, ..)", self.id)
    }
}

/// Keys by id: the first writes, all read.
///
/// To change the key, put a new one in front, keep the old ones behind it, and let
/// [`rotate`](super::Encryption::rotate) re-encrypt what is there; then the old ones can go. With random nonces, a key
/// should seal no more than 2³² messages (NIST SP 800-38D, section 8.3).
#[derive(Debug, Clone)]
pub struct KeyRing {
    keys: Vec<EncryptionKey>,
}

impl KeyRing {
    /// A ring of these keys.
    ///
    /// # Errors
    /// When there is none, or two have one id.
    pub fn new(keys: Vec<EncryptionKey>) -> Result<Self, InvalidKeys> {
        if keys.is_empty() {
            return Err(InvalidKeys::Empty);
        }
        for (i, key) in keys.iter().enumerate() {
            if keys[..i].iter().any(|other| other.id == key.id) {
                return Err(InvalidKeys::Twice(key.id.clone()));
            }
        }
        Ok(Self { keys })
    }

    /// Reads `id:base64,id:base64`, each key 32 bytes in standard base64; the form of the setting `ENCRYPTION_KEYS`.
    ///
    /// # Errors
    /// [`InvalidKeys`] says what is wrong, without showing a key.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let keys = entries.map(|entry| {
            let (id, key) = entry.split_once(':').ok_or(InvalidKeys::Form)?;
            let key = Zeroizing::new(STANDARD.decode(key.trim()).unwrap_or_default());
            let key = <[u8; 32]>::try_from(key.as_slice())
                .map_err(|_| InvalidKeys::Length(id.trim().chars().take(32).collect()))?;
            EncryptionKey::new(id.trim(), key)
        });
        Self::new(keys.collect::<Result<_, _>>()?)
    }

    /// The text of a ring with one new random key, for [`parse`](Self::parse).
    #[must_use]
    pub fn generate() -> Zeroizing<String> {
        let key = Zeroizing::new(crate::random::bytes::<32>());
        Zeroizing::new(format!("{}:{}", crate::random::name::<4>(), STANDARD.encode(*key)))
    }

    /// The key that writes.
    #[must_use]
    pub fn first(&self) -> &EncryptionKey {
        // `new` refuses an empty ring.
        &self.keys[0]
    }

    /// How many keys there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a ring is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn get(&self, id: &str) -> Option<&EncryptionKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_generates_and_refuses_the_rest() {
        assert_eq!(KeyRing::parse(&KeyRing::generate()).unwrap().len(), 1);
        let key = STANDARD.encode([7; 32]);
        let two = KeyRing::parse(&format!(" new:{key} , old:{key},")).unwrap();
        assert_eq!((two.len(), two.first().id()), (2, "new"));
        assert_eq!(KeyRing::parse("").unwrap_err(), InvalidKeys::Empty);
        assert_eq!(KeyRing::parse(&key).unwrap_err(), InvalidKeys::Form);
        assert_eq!(KeyRing::parse(&format!("a b:{key}")).unwrap_err(), InvalidKeys::Id);
        assert_eq!(KeyRing::parse("a:AAAA").unwrap_err(), InvalidKeys::Length("a".into()));
        assert_eq!(KeyRing::parse(&format!("a:{key},a:{key}")).unwrap_err(), InvalidKeys::Twice("a".into()));
    }

    #[test]
    fn debug_shows_no_key() {
        let ring = KeyRing::parse(&format!("a:{}", STANDARD.encode([7; 32]))).unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing { keys: [EncryptionKey(a, ..)] }");
    }
}
