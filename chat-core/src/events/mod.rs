//! Live delivery: events, connections, typing.

mod connection;
mod cursor;
mod event;
mod feed;
mod hub;
mod typing;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;

pub use self::{
    connection::Connection,
    cursor::{Cursor, Delivery},
    event::{Event, SharedEvent, Watermark},
    hub::{CloseReason, ConnectionId},
};
pub(crate) use self::{
    feed::{FeedReader, reactions},
    hub::{Hub, Standing},
    typing::Typing,
};
use crate::{Result, SessionId, UserId, auth::Session, service::Shared};

/// Live delivery; from [`ChatService::events`](crate::ChatService::events).
#[derive(Debug, Clone, Copy)]
pub struct Events<'a>(pub(crate) &'a Shared);

impl Events<'_> {
    /// Everything that concerns a user, from now on, as a stream. It does not make the user appear online; see
    /// [`Presence::arrive`](crate::presence::Presence::arrive) for that.
    ///
    /// The stream ends when the service closes it: it was not read and its queue is full, or the service shuts down.
    /// [`Subscription::close_reason`] says which.
    #[must_use]
    pub fn subscribe(&self, user: UserId) -> Subscription {
        Subscription(self.link(user, None))
    }

    /// A live connection of a signed-in user, for the door that holds its other end. Closed when the session ends.
    #[must_use]
    pub fn connect(&self, session: &Session) -> Connection {
        let connection = self.link(session.user, Some(session.id));
        if self.0.revocations.contains(session) {
            // Ended between the check of its token and now.
            self.0.hub.close_session(session.user, session.id);
        }
        connection
    }

    fn link(&self, user: UserId, session: Option<SessionId>) -> Connection {
        Connection::new(self.0.hub.connect(user, session), self.0.feeds.clone())
    }

    /// Tells `receiver` that `sender` writes, or no longer does. It ends by itself 6 s after the last time.
    /// Where one of them has blocked the other, nothing happens.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn typing(&self, sender: UserId, receiver: UserId, is_typing: bool) -> Result<()> {
        if sender != receiver && !self.0.blocks.of(sender).await?.concern(receiver) {
            self.0.typing.set(&self.0.hub, sender, receiver, is_typing);
        }
        Ok(())
    }
}

/// A stream of what concerns a user; from [`Events::subscribe`]. To drop it is to unsubscribe.
#[derive(Debug)]
pub struct Subscription(Connection);

impl Subscription {
    /// Goes on from this cursor: first what changed since, then what happens. One that can't be served (too old, of
    /// somebody else, made up) gives [`Event::Resync`] first.
    #[must_use]
    pub fn since(self, cursor: &str) -> Self {
        Self(self.0.since(cursor))
    }

    /// Where one stands who has got what was read from here until now; see [`Connection::cursor`].
    pub async fn cursor(&mut self) -> Cursor {
        self.0.cursor().await
    }

    /// Why the service ended it, once it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.0.close_reason()
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.0.poll_next(context)
    }
}
