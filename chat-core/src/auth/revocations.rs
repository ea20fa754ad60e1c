//! Sessions that were ended before their token expired.

use dashmap::DashMap;

use crate::{
    Result, SessionId, StoreError, Timestamp,
    store::{Revocation, Store},
};

/// All that were ended, in memory, so that no request has to ask the store; each is in the store as well, for the next
/// start. Holds as many as there were logouts within the life of a token.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    ended: DashMap<SessionId, Timestamp>,
}

impl Revocations {
    pub(crate) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let ended = store.revocations(Timestamp::now()).await?;
        Ok(Self { ended: ended.into_iter().map(|ended| (ended.session, ended.expires_at)).collect() })
    }

    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.ended.contains_key(&session)
    }

    /// First durable, then in force: who is told that they are logged out is so after a crash as well.
    pub(crate) async fn add(&self, store: &dyn Store, revocation: Revocation) -> Result<()> {
        store.revoke_session(revocation).await?;
        self.ended.insert(revocation.session, revocation.expires_at);
        Ok(())
    }

    /// Drops those whose token has expired by now.
    pub(crate) async fn forget_expired(&self, store: &dyn Store) -> Result<()> {
        let now = Timestamp::now();
        self.ended.retain(|_, expires_at| *expires_at > now);
        store.forget_revocations(now).await?;
        Ok(())
    }
}
