//! `Sessions` and `Notes`.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, db::Db, sql, tx::Tx};
use crate::{
    Timestamp,
    store::{Notes, Result, Revocation, Sessions},
};

#[async_trait]
impl Sessions for SqliteStore {
    async fn revoke_session(&self, revocation: Revocation) -> Result<()> {
        let write = move |tx: &mut Tx| {
            let Revocation { session, expires_at } = revocation;
            tx.db.execute(sql::REVOKE_SESSION, params![session.as_bytes(), expires_at.as_millis()]).map(drop)
        };
        self.writer.run(write).await
    }

    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        self.readers.run(move |db| db.all(sql::REVOCATIONS, [now.as_millis()])).await
    }

    async fn forget_revocations(&self, now: Timestamp) -> Result<u64> {
        let write = move |tx: &mut Tx| {
            tx.db.execute(sql::FORGET_REVOCATIONS, [now.as_millis()]).map(|gone| gone as u64)
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
