//! Who is here: a user is, while any of their connections is.

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
    /// and both moments are stored.
    #[must_use]
    pub fn arrive(&self, user: UserId) -> PresenceGuard {
        self.0.presence.arrive(user)
    }

    /// Whether the user is here.
    #[must_use]
    pub fn is_online(&self, user: UserId) -> bool {
        self.0.presence.is_online(user)
    }

    /// Those with whom the user shares a chat and who are here.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn online_partners(&self, user: UserId) -> Result<Vec<UserId>> {
        let mut partners = self.0.store.partners(user).await?;
        partners.retain(|partner| self.0.presence.is_online(*partner));
        Ok(partners)
    }
}
