//! Where somebody stands in what happens to them.

use std::fmt;

/// Where a user stands in what happens to them: what a client gives when it comes back, to get what it missed. A text
/// of 32 characters at most, made of letters, digits, `-` and `_`, that says nothing to anybody else; it survives
/// restarts and works on any node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) position: u64,
    pub(crate) mac: [u8; 8],
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.position.to_be_bytes());
        bytes[8..].copy_from_slice(&self.mac);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// An event on its way to one connection.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What happened.
    pub event: super::SharedEvent,
    /// With the events that change something: where the client stands who has this one and all before it.
    pub cursor: Option<Cursor>,
}

impl std::ops::Deref for Delivery {
    type Target = super::Event;

    fn deref(&self) -> &super::Event {
        &self.event
    }
}
