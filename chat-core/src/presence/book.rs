//! What presence asks of the store, and how it tells people.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    Timestamp, UserId,
    auth::Blocks,
    events::{Hub, SharedEvent, Standing},
    store::{Result, Store},
};

/// The part of the store that presence needs, the way to the people, and the clock: so the tracker can be tested in a
/// time that stands still.
#[async_trait]
pub(super) trait Book: fmt::Debug + Send + Sync {
    fn now(&self) -> Timestamp;

    /// Whether nobody else can have a lease now.
    fn is_exclusive(&self) -> bool;
    async fn renew(&self, lease: &str) -> Result<()>;
    async fn end(&self, lease: &str) -> Result<u64>;
    async fn expire(&self, before: Timestamp) -> Result<u64>;

    async fn note(&self, user: UserId, is_online: bool, at: Timestamp, lease: &str) -> Result<()>;
    /// What is stored of a user; `None` where there is no such account.
    async fn entry(&self, user: UserId) -> Result<Option<BookEntry>>;

    /// Who may know of the user: those who share a chat with them and whom they have not blocked.
    async fn listeners(&self, user: UserId) -> Result<Vec<UserId>>;
    /// Of whom the user may know: the other way round.
    async fn heard_by(&self, user: UserId) -> Result<Vec<UserId>>;
    /// Whether one may know of the user; `None` for somebody who has no chat with them.
    async fn hears(&self, user: UserId, listener: UserId) -> Result<Option<bool>>;

    /// Never waits.
    fn tell(&self, listener: UserId, event: &SharedEvent);
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BookEntry {
    pub(super) is_invisible: bool,
    pub(super) is_online: bool,
    pub(super) last_seen: Timestamp,
}

#[derive(Debug)]
pub(super) struct StoreBook {
    pub(super) store: Arc<dyn Store>,
    pub(super) blocks: Arc<Blocks>,
    pub(super) hub: Arc<Hub>,
}

#[async_trait]
impl Book for StoreBook {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn is_exclusive(&self) -> bool {
        self.store.is_exclusive()
    }

    async fn renew(&self, lease: &str) -> Result<()> {
        self.store.renew_lease(lease, self.now()).await
    }

    async fn end(&self, lease: &str) -> Result<u64> {
        self.store.end_lease(lease, self.now()).await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        self.store.expire_leases(before).await
    }

    async fn note(&self, user: UserId, is_online: bool, at: Timestamp, lease: &str) -> Result<()> {
        self.store.set_presence(user, is_online, at, lease).await
    }

    async fn entry(&self, user: UserId) -> Result<Option<BookEntry>> {
        let user = self.store.user(user).await?;
        Ok(user.map(|user| BookEntry {
            is_invisible: user.settings.is_invisible,
            is_online: user.is_online,
            last_seen: user.last_seen,
        }))
    }

    async fn listeners(&self, user: UserId) -> Result<Vec<UserId>> {
        let mut partners = self.store.partners(user).await?;
        let relations = self.blocks.of(user).await?;
        partners.retain(|partner| !relations.blocks(*partner));
        Ok(partners)
    }

    async fn heard_by(&self, user: UserId) -> Result<Vec<UserId>> {
        let mut partners = self.store.partners(user).await?;
        let relations = self.blocks.of(user).await?;
        partners.retain(|partner| relations.blocked_by(*partner).is_none());
        Ok(partners)
    }

    async fn hears(&self, user: UserId, listener: UserId) -> Result<Option<bool>> {
        let is_partner = self.store.partners(user).await?.contains(&listener);
        let is_blocked = self.blocks.of(user).await?.blocks(listener);
        Ok(is_partner.then_some(!is_blocked))
    }

    fn tell(&self, listener: UserId, event: &SharedEvent) {
        self.hub.deliver(listener, event, None, Standing::Passing);
    }
}
