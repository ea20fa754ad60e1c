//! `Messages`.

use async_trait::async_trait;
use mongodb::bson::doc;

use super::{
    Inner, MongoStore, append, changes,
    db::{Call, Update},
    documents::{oid, to_message},
    error::{copy, other},
    queries::{self, MESSAGES},
};
use crate::{
    ChatId, MessageId, Timestamp, UserId,
    store::{
        Appended, BodyChange, Changed, Deletion, MessageChange, MessagePosition, MessageRecord, Messages,
        NewMessage, Result,
    },
};

/// Bodies that are replaced in one command; and messages beyond what is known that are read along with a page.
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
        self.run(async move |inner, call| changes::delete(&inner, &call, id, at).await).await
    }

    async fn messages(&self, ids: &[MessageId]) -> Result<Vec<MessageRecord>> {
        let ids = ids.to_vec();
        self.run(async move |_, call| {
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let found = call.find(&queries::messages(ids)).await?;
            // What is not adopted yet has not been seen by anybody who could ask for it.
            Ok(found.iter().filter_map(to_message).filter(|record| record.seq > 0).collect())
        })
        .await
    }

    async fn change_message(
        &self,
        id: MessageId,
        change: MessageChange,
        at: Timestamp,
    ) -> Result<Option<Changed>> {
        self.run(async move |inner, call| changes::change(&inner, &call, id, change, at).await).await
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

pub(super) async fn message(inner: &Inner, call: &Call, id: MessageId) -> Result<Option<MessageRecord>> {
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
    inner.backlog.clear(inner, call, chat, None).await?;
    let before = before.unwrap_or(u64::MAX);
    if limit == 0 || before <= 1 {
        return Ok(Vec::new());
    }
    let Some(mut tail) = inner.tails.tail(call, chat).await? else { return Ok(Vec::new()) };
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut records: Vec<MessageRecord> = Vec::new();
    let mut to = before - 1;
    if to > tail.last_seq {
        // What is known, and what came after it: one query where that is little.
        let step = limit.saturating_add(STEP);
        let from = tail.last_seq.saturating_sub(wanted).saturating_add(1);
        let found = call.find_durable(&queries::onward(chat, from, step)).await?;
        records = found.iter().filter_map(to_message).collect();
        if found.len() < step {
            records.iter().for_each(|record| tail.advance(record));
            to = from.saturating_sub(1);
        } else {
            // Another process has appended much: to the end, by what is noted of that.
            records.clear();
            inner.tails.forget(chat);
            if let Some(end) = inner.tails.tail(call, chat).await? {
                tail = end;
            }
            to = to.min(tail.last_seq);
        }
        inner.tails.put(chat, tail);
        records.retain(|record| record.seq < before);
    }
    if records.len() < limit && to > 0 {
        let from = to.saturating_sub(wanted - records.len() as u64).saturating_add(1);
        let found = call.find_durable(&queries::window(chat, from, to)).await?;
        prepend(&mut records, found.iter().filter_map(to_message));
        to = from - 1;
    }
    if records.len() < limit && to > 0 {
        // Another application has removed messages.
        let found = call.find_durable(&queries::backward(chat, to, limit - records.len())).await?;
        prepend(&mut records, found.iter().rev().filter_map(to_message));
    }
    records.drain(..records.len().saturating_sub(limit));
    Ok(records)
}

fn prepend(records: &mut Vec<MessageRecord>, older: impl Iterator<Item = MessageRecord>) {
    let mut all: Vec<_> = older.collect();
    all.append(records);
    *records = all;
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
