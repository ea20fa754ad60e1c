//! `Messages`.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Bson, doc, oid::ObjectId};

use super::{
    Inner, MongoStore, append,
    db::{Call, Update},
    documents::{date, oid, to_message},
    error::{copy, other, unavailable, uncertain},
    queries::{self, MESSAGES},
    tails::newest,
};
use crate::{
    ChatId, MessageId, Timestamp, UserId,
    store::{Appended, BodyChange, Deletion, MessagePosition, MessageRecord, Messages, NewMessage, Result},
};

/// Bodies that are replaced in one command.
const STEP: usize = 500;

#[async_trait]
impl Messages for MongoStore {
    async fn append(&self, messages: Vec<NewMessage>) -> Vec<Result<Appended>> {
        let count = messages.len();
        let appended =
            self.run(async move |inner, call| Ok(append::append(&inner, &call, messages).await)).await;
        appended.unwrap_or_else(|error| (0..count).map(|_| Err(copy(&error))).collect())
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>> {
        self.run(async move |inner, call| message(&inner, &call, id).await).await
    }

    async fn message_by_client_id(&self, sender: UserId, client_id: &str) -> Result<Option<MessageRecord>> {
        let client_id = client_id.to_owned();
        self.run(async move |_, call| {
            let found = call.first(&queries::message_by_client_id(sender, &client_id)).await?;
            Ok(found.as_ref().and_then(to_message))
        })
        .await
    }

    async fn page(&self, chat: ChatId, before: Option<u64>, limit: usize) -> Result<Vec<MessageRecord>> {
        self.run(async move |inner, call| page(&inner, &call, chat, before, limit).await).await
    }

    async fn delete_message(&self, id: MessageId, at: Timestamp) -> Result<Option<Deletion>> {
        self.run(async move |inner, call| delete(&inner, &call, id, at).await).await
    }

    async fn walk_messages(
        &self,
        after: Option<MessagePosition>,
        limit: usize,
    ) -> Result<Vec<MessageRecord>> {
        self.run(async move |_, call| {
            if limit == 0 {
                return Ok(Vec::new());
            }
            let mut after = after.map(|at| oid(at.id.as_bytes()));
            loop {
                let found = call.find(&queries::walk(after, limit)).await?;
                let records: Vec<_> = found.iter().filter_map(to_message).collect();
                // A step of nothing but what can't be read is not the end.
                if !records.is_empty() || found.len() < limit {
                    return Ok(records);
                }
                after = found.last().and_then(|last| last.get_object_id("_id").ok());
            }
        })
        .await
    }

    async fn replace_bodies(&self, changes: Vec<BodyChange>) -> Result<u64> {
        self.run(async move |_, call| {
            let mut replaced = 0;
            for step in changes.chunks(STEP) {
                replaced += replace(&call, step).await?;
            }
            Ok(replaced)
        })
        .await
    }
}

async fn message(inner: &Inner, call: &Call, id: MessageId) -> Result<Option<MessageRecord>> {
    let Some(found) = call.first(&queries::message(id)).await? else { return Ok(None) };
    let record = to_message(&found);
    if record.as_ref().is_none_or(|record| record.seq > 0) {
        return Ok(record);
    }
    inner.backlog.clear_of(inner, call, &found).await?;
    let found = call.first(&queries::message(id)).await?;
    Ok(found.as_ref().and_then(to_message).filter(|record| record.seq > 0))
}

pub(super) async fn page(
    inner: &Inner,
    call: &Call,
    chat: ChatId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<MessageRecord>> {
    inner.backlog.clear(inner, call, chat, false).await?;
    let before = before.unwrap_or(u64::MAX);
    if limit == 0 || before <= 1 {
        return Ok(Vec::new());
    }
    let Some(tail) = inner.tails.tail(call, chat).await? else { return Ok(Vec::new()) };
    let mut records;
    let mut below;
    if before > tail.last_seq {
        records = newest(call, chat, tail.last_seq, limit).await?;
        if let Some(last) = records.last() {
            let mut tail = tail.clone();
            tail.advance(last);
            inner.tails.put(chat, tail);
        }
        records.retain(|record| record.seq < before);
        below = records.first().map_or(tail.last_seq, |first| first.seq.saturating_sub(1));
    } else {
        records = Vec::new();
        below = before - 1;
    }
    // Another application may have removed messages: then the window is wider than the page.
    let mut width = u64::try_from(limit).unwrap_or(u64::MAX);
    while records.len() < limit && below > 0 {
        let from = below.saturating_sub(width).saturating_add(1);
        let found = call.find(&queries::window(chat, from, below)).await?;
        let mut older: Vec<_> = found.iter().filter_map(to_message).collect();
        older.append(&mut records);
        records = older;
        (below, width) = (from - 1, width.saturating_mul(2));
    }
    records.drain(..records.len().saturating_sub(limit));
    Ok(records)
}

/// The deletion carries a mark of its own, so that it is known who was first also where an answer was lost.
async fn delete(inner: &Inner, call: &Call, id: MessageId, at: Timestamp) -> Result<Option<Deletion>> {
    let Some(before) = message(inner, call, id).await? else { return Ok(None) };
    let (mark, mut pause) = (Bson::ObjectId(ObjectId::new()), Duration::from_millis(5));
    loop {
        let filter = doc! { "_id": oid(id.as_bytes()), "isDeleted": { "$ne": true } };
        let change = doc! {
            "$set": { "isDeleted": true, "updatedAt": date(at), "deletion": mark.clone() },
            "$unset": { "encryptedText": "", "image": "" },
        };
        let written = call.update(MESSAGES, vec![Update { filter, change, upsert: false }], true).await?;
        if let Some(failed) = written.failed.into_iter().next() {
            return Err(other(failed.message));
        }
        let found = call.find_durable(&queries::message(id)).await?.into_iter().next();
        let Some(found) = found else { return Ok(None) };
        let Some(message) = to_message(&found) else { return Ok(None) };
        if message.is_deleted {
            let is_first = found.get("deletion") == Some(&mark);
            return Ok(Some(Deletion { message, is_first, image: before.image.filter(|_| is_first) }));
        }
        // Not durable yet.
        if !call.pause(&mut pause).await {
            return Err(uncertain(unavailable("a deletion is there and not known to be durable")));
        }
    }
}

async fn replace(call: &Call, changes: &[BodyChange]) -> Result<u64> {
    if changes.is_empty() {
        return Ok(0);
    }
    let update = |change: &BodyChange| Update {
        filter: doc! { "_id": oid(change.at.id.as_bytes()), "encryptedText": &change.old },
        change: doc! { "$set": { "encryptedText": &change.new } },
        upsert: false,
    };
    let written = call.update(MESSAGES, changes.iter().map(update).collect(), false).await?;
    match written.failed.into_iter().next() {
        None => Ok(written.modified),
        Some(failed) => Err(other(failed.message)),
    }
}
