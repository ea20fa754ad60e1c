//! What a store holds, in the domain's types.

mod accounts;
mod chats;
mod feeds;
mod messages;
mod outbox;
mod sessions;

pub use self::{accounts::*, chats::*, feeds::*, messages::*, outbox::*, sessions::*};
