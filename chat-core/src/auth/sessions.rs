//! One's sessions: which there are, and ending them.

use std::{net::IpAddr, sync::Arc};

use dashmap::DashMap;
use serde::Serialize;

use super::{Auth, Session, device::is_same_household};
use crate::{
    Error, Result, SessionId, Timestamp,
    service::Shared,
    store::{Cut, Revocation, SessionRecord, Store},
};

/// The most of one's sessions that are listed: the newest.
const MOST: usize = 100;
/// Uses written in one call.
const STEP: usize = 500;

/// A session of one's own that is in force. Serialised it is what clients see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LiveSession {
    /// The id.
    #[serde(rename = "_id")]
    pub id: SessionId,
    /// What the device said that it runs: its user agent, at most 256 characters.
    pub device: Option<String>,
    /// The address from which it signed in.
    pub address: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_used_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

impl Auth<'_> {
    /// The sessions of the user whose session this is, the newest first; at most 100.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store is down.
    pub async fn sessions(&self, session: &Session) -> Result<Vec<LiveSession>> {
        let now = Timestamp::now();
        let connected = self.0.hub.sessions(session.user);
        let live = |record: SessionRecord| LiveSession {
            id: record.id,
            device: record.user_agent,
            address: record.address,
            created_at: record.created_at,
            last_used_at: if connected.contains(&record.id) {
                now
            } else {
                self.0.uses.last(record.id).unwrap_or(record.last_used_at).max(record.last_used_at)
            },
            expires_at: record.expires_at,
            is_current: record.id == session.id,
        };
        Ok(self.listed(session, now).await?.into_iter().map(live).collect())
    }

    async fn listed(&self, session: &Session, now: Timestamp) -> Result<Vec<SessionRecord>> {
        let mut listed = self.0.store.sessions_of(session.user, now, MOST).await?;
        // The list may lag behind what was ended.
        listed.retain(|record| !self.0.revocations.has_ended(record.user, record.id, record.generation));
        Ok(listed)
    }

    /// Ends one of one's sessions, which may be this one: as [`log_out`](Self::log_out) does.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one has no such session; [`Error::Unavailable`] when the store is down.
    pub async fn end_session(&self, session: &Session, id: SessionId) -> Result<()> {
        if id == session.id {
            return self.log_out(session).await;
        }
        let listed = self.listed(session, Timestamp::now()).await?;
        let found = listed.into_iter().find(|record| record.id == id).ok_or(Error::NotFound("Session"))?;
        let generation = found.generation;
        self.log_out(&Session { id, user: found.user, expires_at: found.expires_at, generation }).await
    }

    /// Ends all of one's sessions but this one, also those that are not in the list.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account is gone; [`Error::Unavailable`] when the store is down.
    pub async fn end_other_sessions(&self, session: &Session) -> Result<()> {
        let (shared, session) = (self.0.clone(), *session);
        let end = async move {
            let cut = shared.store.cut_sessions(session.user, Some(session.id), Timestamp::now()).await?;
            shared.put_in_force(cut);
            Ok(())
        };
        self.0.tasks.spawn(end).await.map_err(Error::internal)?
    }

    /// Whether the account with this e-mail has a session that began at this address, or within the same 64 bits of
    /// IPv6.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) async fn knows_address(&self, email: &str, address: Option<IpAddr>) -> Result<bool> {
        let Some(address) = address else { return Ok(false) };
        let Some(user) = self.0.store.user_by_email(email).await? else { return Ok(false) };
        let listed = self.0.store.sessions_of(user.id, Timestamp::now(), MOST).await?;
        let known = listed.iter().filter_map(|record| record.address.as_deref()?.parse().ok());
        Ok(known.into_iter().any(|known| is_same_household(known, address)))
    }
}

impl Shared {
    /// Puts a cut that is durable in force, and closes the connections of the sessions that it ended.
    pub(super) fn put_in_force(self: &Arc<Self>, cut: Cut) {
        self.revocations.cut(cut);
        if self.hub.close_sessions_but(cut.user, cut.kept) == 0 {
            self.presence.depart(cut.user);
        }
    }

    /// A session that is ended.
    pub(super) async fn revoke(self: &Arc<Self>, session: Session) -> Result<()> {
        let revocation = Revocation { session: session.id, expires_at: session.expires_at };
        self.revocations.add(&*self.store, revocation).await?;
        if self.hub.close_session(session.user, session.id) == 0 {
            self.presence.depart(session.user);
        }
        Ok(())
    }
}

/// When sessions were last used: gathered here, and written once a minute.
#[derive(Debug, Default)]
pub(crate) struct Uses(DashMap<SessionId, Timestamp>);

impl Uses {
    pub(super) fn note(&self, session: SessionId) {
        self.0.insert(session, Timestamp::now());
    }

    fn last(&self, session: SessionId) -> Option<Timestamp> {
        self.0.get(&session).map(|at| *at)
    }

    /// Writes what was gathered.
    pub(crate) async fn write(&self, store: &dyn Store) {
        let mut uses = Vec::with_capacity(self.0.len());
        self.0.retain(|session, at| {
            uses.push((*session, *at));
            false
        });
        self.0.shrink_to_fit();
        for step in uses.chunks(STEP) {
            if let Err(error) = store.touch_sessions(step).await {
                tracing::debug!(%error, "when sessions were last used is not known for a while");
                return;
            }
        }
    }
}
