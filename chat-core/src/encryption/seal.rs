//! Sealing and opening one text.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, Nonce};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::KeyRing;
use crate::{ChatId, MessageId, UserId};

const VERSION: &str = "v1";
const NONCE: usize = 12;
const TAG: usize = 16;

/// What a sealed text belongs to. It is bound to these as associated data: moved to another message, chat or sender,
/// it can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The chat.
    pub chat: ChatId,
    /// The message.
    pub message: MessageId,
    /// Who wrote it.
    pub sender: UserId,
}

impl Binding {
    fn associated_data(&self) -> [u8; 48] {
        let mut data = [0; 48];
        data[..12].copy_from_slice(b"chat-core/v1");
        data[12..24].copy_from_slice(self.chat.as_bytes());
        data[24..36].copy_from_slice(self.message.as_bytes());
        data[36..].copy_from_slice(self.sender.as_bytes());
        data
    }
}

/// Why a sealed text can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It does not have the form that this crate writes, nor one that a
    /// [`ForeignText`](super::ForeignText) of the service reads.
    #[error("not a sealed text, or not a whole one")]
    Malformed,
    /// It was sealed under a key that is not in the ring.
    #[error("sealed under a key that is not in the ring")]
    UnknownKey,
    /// It was changed, or belongs to something else.
    #[error("changed since it was sealed, or moved from elsewhere")]
    Tampered,
}

impl KeyRing {
    /// Seals a text under the first key: `v1.<key id>.<base64url of nonce, ciphertext and tag>`.
    #[must_use]
    pub fn seal(&self, binding: &Binding, text: &str) -> String {
        self.seal_with(&binding.associated_data(), text)
    }

    /// The same, bound to any associated data.
    #[allow(clippy::expect_used)]
    pub(crate) fn seal_with(&self, associated_data: &[u8], text: &str) -> String {
        let key = self.first();
        let nonce = crate::random::bytes::<NONCE>();
        let mut sealed = Vec::with_capacity(NONCE + text.len() + TAG);
        sealed.extend_from_slice(text.as_bytes());
        let tag = key
            .cipher
            .encrypt_inout_detached(&nonce.into(), associated_data, sealed.as_mut_slice().into())
            // Fails only past 64 GiB of text.
            .expect("the text is shorter than the cipher's limit");
        sealed.splice(..0, nonce);
        sealed.extend_from_slice(&tag);
        let mut out =
            String::with_capacity(VERSION.len() + key.id().len() + 2 + sealed.len().div_ceil(3) * 4);
        out.push_str(VERSION);
        out.push('.');
        out.push_str(key.id());
        out.push('.');
        URL_SAFE_NO_PAD.encode_string(&sealed, &mut out);
        out
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// [`Unreadable`] when it is not one, was changed or moved, or its key is not in the ring.
    pub fn open(&self, binding: &Binding, sealed: &str) -> Result<String, Unreadable> {
        self.open_with(&binding.associated_data(), sealed)
    }

    /// The same, bound to any associated data.
    pub(crate) fn open_with(&self, associated_data: &[u8], sealed: &str) -> Result<String, Unreadable> {
        let (id, payload) = parts(sealed).ok_or(Unreadable::Malformed)?;
        let key = self.get(id).ok_or(Unreadable::UnknownKey)?;
        let mut payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Unreadable::Malformed)?;
        if payload.len() < NONCE + TAG {
            return Err(Unreadable::Malformed);
        }
        let tag = payload.split_off(payload.len() - TAG);
        let mut text = payload.split_off(NONCE);
        let nonce = Nonce::<Aes256Gcm>::try_from(payload.as_slice()).map_err(|_| Unreadable::Malformed)?;
        let tag = tag.as_slice().try_into().map_err(|_| Unreadable::Malformed)?;
        key.cipher
            .decrypt_inout_detached(&nonce, associated_data, text.as_mut_slice().into(), &tag)
            .map_err(|_| Unreadable::Tampered)?;
        String::from_utf8(text).map_err(|_| Unreadable::Tampered)
    }

    /// Whether a sealed text is under the first key already.
    pub(crate) fn is_current(&self, sealed: &str) -> bool {
        parts(sealed).is_some_and(|(id, _)| id == self.first().id())
    }
}

/// Whether this crate wrote it, be it readable or not.
pub(super) fn is_our_form(body: &str) -> bool {
    body.strip_prefix(VERSION).is_some_and(|rest| rest.starts_with('.'))
}

fn parts(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, encryption::EncryptionKey};

    fn ring(ids: &[(&str, u8)]) -> KeyRing {
        KeyRing::new(ids.iter().map(|(id, key)| EncryptionKey::new(*id, [*key; 32]).unwrap()).collect())
            .unwrap()
    }

    fn binding() -> Binding {
        let now = Timestamp::now();
        Binding {
            chat: ChatId::generate(now),
            message: MessageId::generate(now),
            sender: UserId::generate(now),
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_sealed_opens(text in ".{0,300}") {
            let (ring, binding) = (ring(&[("a", 1)]), binding());
            let sealed = ring.seal(&binding, &text);
            proptest::prop_assert!(text.len() < 4 || !sealed.contains(&text));
            proptest::prop_assert_eq!(ring.open(&binding, &sealed), Ok(text));
        }

        #[test]
        fn one_changed_character_is_noticed(at in 5_usize..80, with in "[A-Za-z0-9_-]") {
            let (ring, binding) = (ring(&[("a", 1)]), binding());
            let sealed = ring.seal(&binding, "twenty-five characters long or more");
            let at = at.min(sealed.len() - 2);
            let mut changed = sealed.clone();
            changed.replace_range(at..=at, &with);
            proptest::prop_assert!(changed == sealed || ring.open(&binding, &changed).is_err());
        }

        #[test]
        fn garbage_is_an_error_and_not_a_panic(garbage in ".{0,100}") {
            proptest::prop_assert!(ring(&[("a", 1)]).open(&binding(), &garbage).is_err());
            let sealed = format!("v1.a.{garbage}");
            proptest::prop_assert!(ring(&[("a", 1)]).open(&binding(), &sealed).is_err());
        }
    }

    #[test]
    fn bound_to_its_place() {
        let (ring, here) = (ring(&[("a", 1)]), binding());
        let sealed = ring.seal(&here, "for this place only");
        let elsewhere = binding();
        for moved in [
            Binding { chat: elsewhere.chat, ..here },
            Binding { message: elsewhere.message, ..here },
            Binding { sender: elsewhere.sender, ..here },
        ] {
            assert_eq!(ring.open(&moved, &sealed), Err(Unreadable::Tampered));
        }
    }

    #[test]
    fn the_first_writes_and_all_read() {
        let here = binding();
        let old = ring(&[("old", 1)]).seal(&here, "hello");
        let both = ring(&[("new", 2), ("old", 1)]);
        assert_eq!(both.open(&here, &old).as_deref(), Ok("hello"));
        assert!(!both.is_current(&old));
        let new = both.seal(&here, "hello");
        assert!(new.starts_with("v1.new.") && both.is_current(&new));
        assert_eq!(ring(&[("new", 2)]).open(&here, &old), Err(Unreadable::UnknownKey));
        // Another key under the same id is noticed as well.
        assert_eq!(ring(&[("old", 9)]).open(&here, &old), Err(Unreadable::Tampered));
    }

    #[test]
    fn no_two_alike() {
        let (ring, here) = (ring(&[("a", 1)]), binding());
        assert_ne!(ring.seal(&here, "same"), ring.seal(&here, "same"));
    }
}
