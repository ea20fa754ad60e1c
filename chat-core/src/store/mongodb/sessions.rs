//! `Sessions` and `Notes`.

use async_trait::async_trait;
use mongodb::bson::doc;

use super::{
    MongoStore,
    db::{Call, Update},
    documents::{date, from_session, id, oid, timestamp, to_session},
    error::{DUPLICATE, other, uncertain},
    queries::{self, NOTES, SESSIONS, SIGN_INS},
};
use crate::{
    SessionId, Timestamp, UserId,
    store::{Notes, Result, Revocation, SessionRecord, Sessions},
};

#[async_trait]
impl Sessions for MongoStore {
    async fn insert_session(&self, session: &SessionRecord) -> Result<()> {
        let update = Update {
            filter: queries::by_id(oid(session.id.as_bytes())),
            change: doc! { "$setOnInsert": from_session(session) },
            upsert: true,
        };
        self.run(async move |_, call| upsert(&call, SIGN_INS, update).await).await
    }

    async fn sessions_of(&self, user: UserId, now: Timestamp, limit: usize) -> Result<Vec<SessionRecord>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.run(async move |_, call| {
            Ok(call.find(&queries::sign_ins(user, now, limit)).await?.iter().filter_map(to_session).collect())
        })
        .await
    }

    async fn touch_sessions(&self, uses: &[(SessionId, Timestamp)]) -> Result<()> {
        let updates = uses.iter().map(|(session, at)| Update {
            filter: queries::by_id(oid(session.as_bytes())),
            change: doc! { "$max": { "lastUsedAt": date(*at) } },
            upsert: false,
        });
        let updates: Vec<_> = updates.collect();
        self.run(async move |_, call| call.update(SIGN_INS, updates, false).await.map(drop)).await
    }

    async fn revoke_session(&self, revocation: Revocation) -> Result<()> {
        let update = Update {
            filter: queries::by_id(oid(revocation.session.as_bytes())),
            change: doc! { "$setOnInsert": { "expiresAt": date(revocation.expires_at) } },
            upsert: true,
        };
        let listed = queries::by_id(oid(revocation.session.as_bytes()));
        self.run(async move |_, call| {
            upsert(&call, SESSIONS, update).await?;
            call.delete(SIGN_INS, listed).await.map(drop).map_err(uncertain)
        })
        .await
    }

    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        self.run(async move |_, call| {
            let found = call.find(&queries::sessions(now)).await?;
            let revocation = |document: &mongodb::bson::Document| {
                let session = SessionId::from_bytes(id(document, "_id")?);
                Some(Revocation { session, expires_at: timestamp(document, "expiresAt")? })
            };
            Ok(found.iter().filter_map(revocation).collect())
        })
        .await
    }

    async fn forget_expired(&self, now: Timestamp) -> Result<u64> {
        self.run(async move |_, call| {
            let sessions = call.delete(SIGN_INS, queries::expired_sessions(now)).await?.matched;
            let revocations = call.delete(SESSIONS, queries::expired_sessions(now)).await?.matched;
            Ok(sessions + revocations)
        })
        .await
    }
}

#[async_trait]
impl Notes for MongoStore {
    async fn note(&self, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        self.run(async move |_, call| note(&call, &key).await).await
    }

    async fn put_note(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.run(async move |_, call| put_note(&call, &key, &value).await).await
    }
}

pub(super) async fn note(call: &Call, key: &str) -> Result<Option<String>> {
    let found = call.first(&queries::note(key)).await?;
    Ok(found.and_then(|note| note.get_str("value").ok().map(str::to_owned)))
}

pub(super) async fn put_note(call: &Call, key: &str, value: &str) -> Result<()> {
    let change = doc! { "$set": { "value": value } };
    upsert(call, NOTES, Update { filter: queries::by_id(key), change, upsert: true }).await
}

/// Two upserts at the same moment can both try to insert: the second finds the document on its next attempt.
pub(super) async fn upsert(call: &Call, collection: &str, update: Update) -> Result<()> {
    let again = Update { filter: update.filter.clone(), change: update.change.clone(), ..update };
    let written = call.update(collection, vec![update], true).await?;
    match written.failed.into_iter().next() {
        None => Ok(()),
        Some(failed) if failed.code == DUPLICATE => {
            call.update(collection, vec![again], true).await.map(drop)
        }
        Some(failed) => Err(other(failed.message)),
    }
}
