//! The key of the program that wrote the texts.

use std::fmt;

use zeroize::Zeroizing;

use super::decode;

/// A key for AES-256. Overwritten when it is dropped.
#[derive(Clone)]
pub struct Aes256Key(Zeroizing<[u8; 32]>);

/// A text is not a key for AES-256. Never carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an AES-256 key is 64 hex characters, 32 bytes in base64, or a text of exactly 32 bytes")]
#[non_exhaustive]
pub struct InvalidAes256Key;

impl Aes256Key {
    /// A key of these bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Reads a key as Node.js programs have it in their environment: 64 hex characters, 32 bytes in base64, or a text
    /// of exactly 32 bytes, which is taken as it is. No text has two of these forms.
    ///
    /// A program that derives its key, by `scryptSync` or a hash, needs what comes out of that, in hex.
    ///
    /// # Errors
    /// When the text has none of these forms.
    pub fn parse(text: &str) -> Result<Self, InvalidAes256Key> {
        let key = match text.len() {
            32 => Some(Zeroizing::new(text.as_bytes().to_vec())),
            64 => decode::hex(text).map(Zeroizing::new),
            _ => decode::base64(text).map(Zeroizing::new),
        };
        let key = key.and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok());
        key.map(Self::new).ok_or(InvalidAes256Key)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Aes256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aes256Key(..)")
    }
}
