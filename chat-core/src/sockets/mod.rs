//! What both socket doors have in common: who may come in, where they go on, what can be said on a socket, and what is
//! said last. How it is put into packets or frames is theirs.

mod closing;
mod events;
mod heartbeat;
mod resume;
mod sign_in;

pub(crate) use self::{
    closing::{CLOSING, Closing},
    events::{CLIENT_EVENTS, Live, perform},
    heartbeat::Heartbeat,
    resume::{connect, greeting, since},
    sign_in::{address, sign_in},
};
#[cfg(feature = "websocket")]
pub(crate) use self::{events::admit, resume::CURSOR_CHARS};

/// How long the list of who is here may take, which is the first thing that a socket is told.
const GREETING_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
