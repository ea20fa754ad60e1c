//! Identifiers: 12 bytes, shown as 24 lower-case hex characters, as MongoDB's ObjectId is.

use std::{
    fmt,
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Timestamp};

/// The text given is not 24 hex characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 24 hex characters")]
pub struct InvalidId;

impl From<InvalidId> for Error {
    fn from(_: InvalidId) -> Self {
        Self::InvalidId
    }
}

/// Five bytes that tell this process from others, as the ObjectId format asks for.
static PROCESS: LazyLock<[u8; 5]> = LazyLock::new(crate::random::bytes);
static COUNTER: LazyLock<AtomicU32> =
    LazyLock::new(|| AtomicU32::new(u32::from_be_bytes(crate::random::bytes())));

/// An ObjectId: seconds since 1970, five bytes of this process, a counter
/// (<https://www.mongodb.com/docs/manual/reference/bson-types/#objectid>).
///
/// Written here because the `bson` crate, which has the same twelve bytes, brings a whole document format along.
fn object_id(at: Timestamp) -> [u8; 12] {
    let seconds = u32::try_from(at.as_millis() / 1000).unwrap_or(u32::MAX);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut id = [0; 12];
    id[..4].copy_from_slice(&seconds.to_be_bytes());
    id[4..9].copy_from_slice(&*PROCESS);
    id[9..].copy_from_slice(&count[1..]);
    id
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 12]);

        impl $name {
            /// A new id, unique among all processes and rising with time within this one.
            #[must_use]
            pub fn generate(at: Timestamp) -> Self {
                Self(object_id(at))
            }

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// Its twelve bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 12] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// A person with an account.
    UserId
}
id! {
    /// A message.
    MessageId
}
id! {
    /// A conversation.
    ChatId
}
id! {
    /// A sign-in: what a token names, and what a logout ends.
    SessionId
}
id! {
    /// Something that waits in the outbox.
    OutboxId
}

fn parse(text: &str) -> Result<[u8; 12], InvalidId> {
    let text = text.as_bytes();
    if text.len() != 24 {
        return Err(InvalidId);
    }
    let mut id = [0; 12];
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(id)
}

fn digit(c: u8) -> Result<u8, InvalidId> {
    match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        b'A'..=b'F' => Ok(c - b'A' + 10),
        _ => Err(InvalidId),
    }
}

impl ChatId {
    /// The chat of two people: derived from the two ids in order, so nobody has to look it up or race to make it.
    ///
    /// The first 96 bits of a SHA-256 over a prefix and the two ids. User ids are made by the server, so nobody
    /// can search for a pair that collides with another one.
    #[must_use]
    pub fn direct(a: UserId, b: UserId) -> Self {
        use sha2::{Digest, Sha256};
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        let digest =
            Sha256::new().chain_update(b"chat-core/direct/v1").chain_update(first.0).chain_update(second.0);
        let mut id = [0; 12];
        id.copy_from_slice(&digest.finalize()[..12]);
        Self(id)
    }
}

impl SessionId {
    /// A session's id: 96 random bits, because it must not be guessed.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::random::bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = UserId::generate(Timestamp::now());
        assert_eq!(id.to_string().len(), 24);
        assert_eq!(id.to_string().parse::<UserId>(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<UserId>(), Ok(id));
        for bad in
            ["", "0", "zz345678901234567890zzzz", "1234567890123456789012345", "12345678901234567890é4"]
        {
            assert_eq!(bad.parse::<UserId>(), Err(InvalidId), "{bad}");
        }
    }

    #[test]
    fn ids_rise_and_differ() {
        let ids: Vec<_> = (0..1000).map(|_| MessageId::generate(Timestamp::from_millis(1_000))).collect();
        let mut unique = ids.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), ids.len());
    }

    #[test]
    fn the_direct_chat_has_no_direction() {
        let (a, b) = (UserId::generate(Timestamp::now()), UserId::generate(Timestamp::now()));
        assert_eq!(ChatId::direct(a, b), ChatId::direct(b, a));
        assert_ne!(ChatId::direct(a, b), ChatId::direct(a, a));
    }
}
