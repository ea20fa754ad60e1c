//! Sessions that were ended before their token expired.

use std::time::Duration;

use dashmap::DashMap;

use super::Session;
use crate::{
    Result, SessionId, StoreError, Timestamp, UserId,
    store::{Cut, Revocation, Store},
};

/// All that were ended, in memory, so that no request has to ask the store; each is in the store as well, for the next
/// start. Holds as many as there were logouts, and users who ended all their sessions, within the life of a token.
#[derive(Debug)]
pub(crate) struct Revocations {
    ended: DashMap<SessionId, Timestamp>,
    /// With the moment after which no token of before is left.
    cuts: DashMap<UserId, (Cut, Timestamp)>,
}

/// No setting lets a token live longer, whatever the setting was when it was given out.
const LONGEST_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);

impl Revocations {
    pub(crate) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let now = Timestamp::now();
        let ended = store.revocations(now).await?;
        let ended = ended.into_iter().map(|ended| (ended.session, ended.expires_at)).collect();
        let this = Self { ended, cuts: DashMap::new() };
        for cut in store.cuts(now.minus(LONGEST_LIFE)).await? {
            this.cut(cut);
        }
        Ok(this)
    }

    /// Whether the session was ended.
    pub(crate) fn contains(&self, session: &Session) -> bool {
        self.has_ended(session.user, session.id, session.generation)
    }

    pub(crate) fn has_ended(&self, user: UserId, session: SessionId, generation: u32) -> bool {
        self.ended.contains_key(&session)
            || self.cuts.get(&user).is_some_and(|entry| {
                let cut = &entry.0;
                generation < cut.generation && cut.kept != Some(session)
            })
    }

    /// First durable, then in force: who is told that they are logged out is so after a crash as well.
    pub(crate) async fn add(&self, store: &dyn Store, revocation: Revocation) -> Result<()> {
        store.revoke_session(revocation).await?;
        self.ended.insert(revocation.session, revocation.expires_at);
        Ok(())
    }

    /// A cut that is durable already.
    pub(crate) fn cut(&self, cut: Cut) {
        let until = Timestamp::now().plus(LONGEST_LIFE);
        let mut entry = self.cuts.entry(cut.user).or_insert((cut, until));
        // Of two at the same moment the later one may be told first.
        if entry.0.generation <= cut.generation {
            *entry = (cut, until);
        }
    }

    /// Drops those whose token has expired by now.
    pub(crate) async fn forget_expired(&self, store: &dyn Store) -> Result<()> {
        let now = Timestamp::now();
        self.ended.retain(|_, expires_at| *expires_at > now);
        self.cuts.retain(|_, (_, until)| *until > now);
        store.forget_expired(now).await?;
        Ok(())
    }
}
