//! Who is here: a user is, while any of their connections is.

mod book;
mod lease;
mod news;
mod state;
mod teller;
#[cfg(test)]
mod tests;
mod tracker;

use std::sync::Arc;

pub use self::tracker::PresenceGuard;
pub(crate) use self::tracker::Tracker;
use crate::{Result, UserId, service::Shared};

/// Who is here; from [`ChatService::presence`](crate::ChatService::presence).
#[derive(Debug, Clone, Copy)]
pub struct Presence<'a>(pub(crate) &'a Arc<Shared>);

impl Presence<'_> {
    /// Counts the user as here until the guard is dropped, and for a short grace after that: a page that is reloaded
    /// is not a departure. Those who share a chat with the user are told of the first arrival and the last departure,
    /// and both moments are stored: a moment later, in which changes are gathered. Of users who are invisible
    /// ([`Settings::is_invisible`](crate::store::Settings::is_invisible)) nothing is told or stored.
    #[must_use]
    pub fn arrive(&self, user: UserId) -> PresenceGuard {
        self.0.presence.arrive(user)
    }

    /// Whether the user is here, visible or not.
    #[must_use]
    pub fn is_online(&self, user: UserId) -> bool {
        self.0.presence.is_online(user)
    }

    /// Those with whom the user shares a chat, who are here, and who let the user know: they are not invisible, and have
    /// not blocked the user.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn online_partners(&self, user: UserId) -> Result<Vec<UserId>> {
        Ok(self.0.presence.online_partners(user).await?)
    }
}
