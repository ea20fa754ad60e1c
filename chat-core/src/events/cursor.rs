//! Where somebody stands in what happens to them.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Event, SharedEvent};
use crate::{
    UserId,
    auth::{JwtSecret, Purpose},
};

/// Where a user stands in what happens to them: what a client gives when it comes back, to get what it missed. As text
/// it has letters, digits, `-` and `_`, is worth something for this user only, and works on any node and after restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    position: u64,
    mac: [u8; 8],
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.position.to_be_bytes());
        bytes[8..].copy_from_slice(&self.mac);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Signs and reads cursors.
#[derive(Debug)]
pub(crate) struct Cursors(Purpose);

impl Cursors {
    pub(crate) fn new(secret: &JwtSecret) -> Self {
        Self(Purpose::new(secret, "cursor"))
    }

    pub(super) fn sign(&self, user: UserId, position: u64) -> Cursor {
        let digest = self.0.mac(&[user.as_bytes(), &position.to_be_bytes()]);
        let mut mac = [0; 8];
        mac.copy_from_slice(&digest[..8]);
        Cursor { position, mac }
    }

    /// The position, if it is a cursor that was signed for this user.
    pub(super) fn read(&self, user: UserId, cursor: &str) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let position = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
        // It protects nothing but from mistakes: who could forge one would get their own messages.
        (bytes.get(8..)? == self.sign(user, position).mac).then_some(position)
    }
}

/// An event on its way to one connection.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What happened.
    pub event: SharedEvent,
    /// With the events that change something: where the client stands who has this one and all before it. It may be
    /// less far than this event where one of before is still on its way.
    pub cursor: Option<Cursor>,
}

impl std::ops::Deref for Delivery {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn for_one_user_and_as_it_was_signed() {
        let cursors = Cursors::new(&JwtSecret::new("0123456789abcdef0123456789abcdef").unwrap());
        let (ann, bob) = (UserId::generate(Timestamp::now()), UserId::generate(Timestamp::now()));
        for position in [0, 1, 77, u64::MAX] {
            let text = cursors.sign(ann, position).to_string();
            assert_eq!(cursors.read(ann, &text), Some(position));
            assert_eq!(cursors.read(bob, &text), None, "somebody else's");
            assert_eq!(text.len(), 22);
            let first = if text.starts_with('B') { "A" } else { "B" };
            assert_eq!(cursors.read(ann, &format!("{first}{}", &text[1..])), None, "another position");
        }
        for garbage in ["", "AAAA", "ü", "AAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(1000)] {
            assert_eq!(cursors.read(ann, garbage), None, "{garbage}");
        }
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_no_cursor(text in ".{0,40}") {
            let cursors = Cursors::new(&JwtSecret::new("0123456789abcdef0123456789abcdef").unwrap());
            proptest::prop_assert_eq!(cursors.read(UserId::generate(Timestamp::now()), &text), None);
        }
    }
}
