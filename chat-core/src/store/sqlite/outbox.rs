//! `Outbox`.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, rows::int, sql, tx::Tx};
use crate::{
    OutboxId, Timestamp,
    store::{Outbox, OutboxEntry, Result},
};

#[async_trait]
impl Outbox for SqliteStore {
    async fn put_outbox(&self, entry: &OutboxEntry) -> Result<()> {
        let entry = entry.clone();
        let write = move |tx: &mut Tx| {
            let values = params![
                entry.id.as_bytes(),
                entry.body,
                entry.created_at.as_millis(),
                entry.due_at.as_millis(),
                entry.attempts,
            ];
            tx.db.execute(sql::PUT_OUTBOX, values).map(drop)
        };
        self.writer.run(write).await
    }

    async fn claim_outbox(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<OutboxEntry>> {
        let write = move |tx: &mut Tx| {
            let due: Vec<OutboxEntry> = tx.db.all(sql::DUE_OUTBOX, params![now.as_millis(), int(limit)])?;
            due.into_iter()
                .map(|entry| {
                    let attempts = entry.attempts.saturating_add(1);
                    let values = params![entry.id.as_bytes(), until.as_millis(), attempts];
                    tx.db.execute(sql::CLAIM_OUTBOX, values)?;
                    Ok(OutboxEntry { due_at: until, attempts, ..entry })
                })
                .collect()
        };
        self.writer.run(write).await
    }

    async fn postpone_outbox(&self, id: OutboxId, due_at: Timestamp) -> Result<()> {
        let write = move |tx: &mut Tx| {
            tx.db.execute(sql::POSTPONE_OUTBOX, params![id.as_bytes(), due_at.as_millis()]).map(drop)
        };
        self.writer.run(write).await
    }

    async fn remove_outbox(&self, id: OutboxId) -> Result<()> {
        self.writer.run(move |tx: &mut Tx| tx.db.execute(sql::REMOVE_OUTBOX, [id.as_bytes()]).map(drop)).await
    }
}
