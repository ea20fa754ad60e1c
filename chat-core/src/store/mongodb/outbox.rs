//! `Outbox`.

use async_trait::async_trait;
use mongodb::bson::{Bson, doc, oid::ObjectId};

use super::{
    MongoStore,
    db::{Call, Update},
    documents::{date, from_entry, oid, to_entry},
    error::other,
    queries::{self, OUTBOX},
    sessions::upsert,
};
use crate::{
    OutboxId, Timestamp,
    store::{Outbox, OutboxEntry, Result},
};

#[async_trait]
impl Outbox for MongoStore {
    async fn put_outbox(&self, entry: &OutboxEntry) -> Result<()> {
        let update = Update {
            filter: queries::by_id(oid(entry.id.as_bytes())),
            change: doc! { "$setOnInsert": from_entry(entry) },
            upsert: true,
        };
        self.run(async move |_, call| upsert(&call, OUTBOX, update).await).await
    }

    async fn claim_outbox(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<OutboxEntry>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.run(async move |_, call| {
            let due = call.find(&queries::due(now, limit)).await?;
            let mut claimed = Vec::with_capacity(due.len());
            for entry in due.iter().filter_map(to_entry) {
                claimed.extend(claim(&call, entry, until).await?);
            }
            // Others may have taken all that was seen, while there is more.
            if claimed.is_empty() && !due.is_empty() {
                for entry in call.find(&queries::due(now, limit)).await?.iter().filter_map(to_entry) {
                    claimed.extend(claim(&call, entry, until).await?);
                }
            }
            Ok(claimed)
        })
        .await
    }

    async fn postpone_outbox(&self, id: OutboxId, due_at: Timestamp) -> Result<()> {
        let change = doc! { "$set": { "dueAt": date(due_at) } };
        let update = Update { filter: queries::by_id(oid(id.as_bytes())), change, upsert: false };
        self.run(async move |_, call| call.update(OUTBOX, vec![update], true).await.map(drop)).await
    }

    async fn remove_outbox(&self, id: OutboxId) -> Result<()> {
        let filter = queries::by_id(oid(id.as_bytes()));
        self.run(async move |_, call| call.delete(OUTBOX, filter).await.map(drop)).await
    }
}

/// Claims an entry if nobody else has done so since it was read. The claim carries a mark of its own, so that one whose
/// answer was lost is known again.
async fn claim(call: &Call, entry: OutboxEntry, until: Timestamp) -> Result<Option<OutboxEntry>> {
    let mark = Bson::ObjectId(ObjectId::new());
    let attempts = entry.attempts.saturating_add(1);
    let filter = doc! {
        "_id": oid(entry.id.as_bytes()),
        "dueAt": date(entry.due_at),
        "attempts": i64::from(entry.attempts),
    };
    let set = doc! { "dueAt": date(until), "attempts": i64::from(attempts), "claim": mark.clone() };
    let update = Update { filter, change: doc! { "$set": set }, upsert: false };
    let written = call.update(OUTBOX, vec![update], true).await?;
    if let Some(failed) = written.failed.into_iter().next() {
        return Err(other(failed.message));
    }
    let is_ours = written.matched == 1
        || written.was_repeated
            && call
                .first(&queries::outbox(entry.id))
                .await?
                .is_some_and(|now| now.get("claim") == Some(&mark));
    Ok(is_ours.then_some(OutboxEntry { due_at: until, attempts, ..entry }))
}
