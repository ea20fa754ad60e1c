//! `Sessions` and `Notes`.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, db::Db, rows::int, sql, tx::Tx};
use crate::{
    SessionId, Timestamp, UserId,
    store::{Notes, Result, Revocation, SessionRecord, Sessions},
};

#[async_trait]
impl Sessions for SqliteStore {
    async fn insert_session(&self, session: &SessionRecord) -> Result<()> {
        let session = session.clone();
        let write = move |tx: &mut Tx| {
            let values = params![
                session.id.as_bytes(),
                session.user.as_bytes(),
                session.generation,
                session.created_at.as_millis(),
                session.expires_at.as_millis(),
                session.last_used_at.as_millis(),
                session.address,
                session.user_agent,
            ];
            tx.db.execute(sql::INSERT_SESSION, values).map(drop)
        };
        self.writer.run(write).await
    }

    async fn sessions_of(&self, user: UserId, now: Timestamp, limit: usize) -> Result<Vec<SessionRecord>> {
        let read =
            move |db: &Db| db.all(sql::SESSIONS_OF, params![user.as_bytes(), now.as_millis(), int(limit)]);
        self.readers.run(read).await
    }

    async fn touch_sessions(&self, uses: &[(SessionId, Timestamp)]) -> Result<()> {
        let uses = uses.to_vec();
        let write = move |tx: &mut Tx| {
            for (session, at) in &uses {
                tx.db.execute(sql::TOUCH_SESSION, params![session.as_bytes(), at.as_millis()])?;
            }
            Ok(())
        };
        self.writer.run(write).await
    }

    async fn revoke_session(&self, revocation: Revocation) -> Result<()> {
        let write = move |tx: &mut Tx| {
            let Revocation { session, expires_at } = revocation;
            tx.db.execute(sql::REMOVE_SESSION, [session.as_bytes()])?;
            tx.db.execute(sql::REVOKE_SESSION, params![session.as_bytes(), expires_at.as_millis()]).map(drop)
        };
        self.writer.run(write).await
    }

    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        self.readers.run(move |db| db.all(sql::REVOCATIONS, [now.as_millis()])).await
    }

    async fn forget_expired(&self, now: Timestamp) -> Result<u64> {
        let write = move |tx: &mut Tx| {
            let sessions = tx.db.execute(sql::FORGET_SESSIONS, [now.as_millis()])?;
            let revocations = tx.db.execute(sql::FORGET_REVOCATIONS, [now.as_millis()])?;
            Ok((sessions + revocations) as u64)
        };
        self.writer.run(write).await
    }
}

#[async_trait]
impl Notes for SqliteStore {
    async fn note(&self, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        self.readers.run(move |db: &Db| db.first(sql::NOTE, [key])).await
    }

    async fn put_note(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.writer.run(move |tx: &mut Tx| tx.db.execute(sql::PUT_NOTE, [key, value]).map(drop)).await
    }
}
