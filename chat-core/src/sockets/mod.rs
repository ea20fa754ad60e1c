//! What both socket doors have in common: who may come in, and what can be said on a socket. How it is put into packets
//! or frames is theirs.

mod events;
mod heartbeat;
mod sign_in;

#[cfg(feature = "websocket")]
pub(crate) use self::events::admit;
pub(crate) use self::{
    events::{CLIENT_EVENTS, Live, perform},
    heartbeat::Heartbeat,
    sign_in::{address, sign_in},
};

/// How long the list of who is here may take, which is the first thing that a socket is told.
pub(crate) const GREETING_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
