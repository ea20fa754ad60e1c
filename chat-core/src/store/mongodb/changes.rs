//! Changes of a message that is there: each in one step, on what was read just before, or again.

use std::{sync::Arc, time::Duration};

use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use tokio::time::Instant;

use super::{
    Inner,
    db::{Call, Update},
    documents::{date, from_reaction, oid, to_message},
    error::{other, unavailable, uncertain},
    messages::message,
    queries::{self, MESSAGES},
    untold::{Carrier, Told, marks, tell},
};
use crate::{
    MessageId, Timestamp,
    store::{Changed, Deletion, MessageChange, MessageRecord, Reaction, Result},
};

/// A deletion that is under way for so long is nobody's any more.
const ABANDONED: Duration = Duration::from_secs(1);

/// Anything but a delete.
pub(super) async fn change(
    inner: &Arc<Inner>,
    call: &Call,
    id: MessageId,
    change: MessageChange,
    at: Timestamp,
) -> Result<Option<Changed>> {
    if message(inner, call, id).await?.is_none() {
        return Ok(None);
    }
    let mark = ObjectId::new();
    let told = match &change {
        MessageChange::Edit { .. } => Told::Edited,
        MessageChange::React { .. } => Told::Reacted,
        MessageChange::Hide { user } => Told::Hidden(*user),
    };
    let mut pause = Duration::from_millis(2);
    let message = loop {
        let Some(found) = call.first(&queries::message(id)).await? else { return Ok(None) };
        let Some(record) = to_message(&found) else { return Ok(None) };
        if marks(&found).any(|(known, _)| known == mark) {
            // The answer to the attempt of before was lost.
            break record;
        }
        let Some((mut filter, mut update)) = step(&found, &record, &change, at) else {
            return Ok(Some(Changed { message: record, is_change: false, places: Vec::new() }));
        };
        filter.insert("_id", oid(id.as_bytes()));
        let mut push = doc! { "untold": told.mark(mark) };
        if let MessageChange::Hide { user } = &change {
            push.insert("hiddenFor", oid(user.as_bytes()));
        }
        update.insert("$push", push);
        let update = Update { filter, change: update, upsert: false };
        let changed = call.modify(MESSAGES, update, None).await?.document;
        if let Some(message) = changed.as_ref().and_then(to_message) {
            break message;
        }
        if !call.pause(&mut pause).await {
            return Err(uncertain(unavailable("others change this message faster than can be followed")));
        }
    };
    let places = tell(inner, call, message.chat_id, Carrier::Message(id), told, vec![mark]).await;
    Ok(Some(Changed { message, is_change: true, places }))
}

/// What a change is, on a message as it was found: `None` when it changes nothing.
fn step(
    found: &Document,
    record: &MessageRecord,
    change: &MessageChange,
    at: Timestamp,
) -> Option<(Document, Document)> {
    let (mut set, mut unset) = (doc! { "updatedAt": risen(record, at) }, doc! {});
    match change {
        MessageChange::Hide { user } => {
            let is_new = !record.hidden_for.contains(user);
            return is_new.then(|| (doc! { "hiddenFor": { "$ne": oid(user.as_bytes()) } }, doc! {}));
        }
        _ if record.is_deleted => return None,
        MessageChange::Edit { body } => {
            if record.body == *body {
                return None;
            }
            set.insert("isEdited", true);
            match body {
                Some(body) => set.insert("encryptedText", body),
                None => unset.insert("encryptedText", ""),
            };
        }
        MessageChange::React { reaction, is_on } => {
            if record.reactions.contains(reaction) == *is_on {
                return None;
            }
            let mut reactions: Vec<&Reaction> =
                record.reactions.iter().filter(|known| *known != reaction).collect();
            reactions.extend(is_on.then_some(reaction));
            if reactions.is_empty() {
                unset.insert("reactions", "");
            } else {
                set.insert("reactions", reactions.into_iter().map(from_reaction).collect::<Vec<_>>());
            }
        }
    }
    let mut update = doc! { "$set": set };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    Some((unchanged(found), update))
}

/// Each change that all see raises it; another application's does so as well.
fn unchanged(found: &Document) -> Document {
    let was = found.get("updatedAt").cloned().unwrap_or(Bson::Null);
    doc! { "updatedAt": was, "isDeleted": { "$ne": true } }
}

fn risen(record: &MessageRecord, at: Timestamp) -> mongodb::bson::DateTime {
    date(at.max(record.updated_at.plus(Duration::from_millis(1))))
}

/// A deletion carries a mark, and what it took away, until whoever made it has been told: where an answer was lost, the
/// next one who deletes is the first, and gets the picture to be removed.
pub(super) async fn delete(
    inner: &Arc<Inner>,
    call: &Call,
    id: MessageId,
    at: Timestamp,
) -> Result<Option<Deletion>> {
    if message(inner, call, id).await?.is_none() {
        return Ok(None);
    }
    let own = ObjectId::new();
    let mark = Bson::ObjectId(own);
    let mut pause = Duration::from_millis(5);
    let begin = Instant::now();
    loop {
        let Some(found) = call.first(&queries::message(id)).await? else { return Ok(None) };
        let Some(record) = to_message(&found) else { return Ok(None) };
        let under_way = found.get_document("deletion").ok();
        if under_way.is_some_and(|deletion| deletion.get("mark") == Some(&mark)) {
            return settle(inner, call, id, &mark).await;
        }
        let (mut filter, change) = match under_way {
            None if record.is_deleted => {
                // Told long ago, or deleted by another application.
                return Ok(Some(Deletion {
                    message: record,
                    is_first: false,
                    image: None,
                    places: Vec::new(),
                }));
            }
            None => (
                unchanged(&found),
                doc! {
                    "$set": {
                        "isDeleted": true,
                        "updatedAt": risen(&record, at),
                        "deletion": { "mark": mark.clone(), "image": record.image },
                    },
                    "$unset": { "encryptedText": "", "image": "", "reactions": "" },
                    "$push": { "untold": Told::Deleted.mark(own) },
                },
            ),
            // Somebody is at it, and will be done in a moment.
            Some(_) if begin.elapsed() < ABANDONED && call.pause(&mut pause).await => continue,
            Some(deletion) => (
                doc! { "deletion.mark": deletion.get("mark").cloned().unwrap_or(Bson::Null) },
                doc! { "$set": { "deletion.mark": mark.clone() } },
            ),
        };
        filter.insert("_id", oid(id.as_bytes()));
        let written = call.update(MESSAGES, vec![Update { filter, change, upsert: false }], true).await?;
        if let Some(failed) = written.failed.into_iter().next() {
            return Err(other(failed.message));
        }
        if written.matched == 0 && !call.pause(&mut pause).await {
            return Err(uncertain(unavailable("others delete this message at the same time")));
        }
    }
}

/// The deletion is made: it is known once, by whoever takes the mark away, and told by them.
async fn settle(inner: &Arc<Inner>, call: &Call, id: MessageId, mark: &Bson) -> Result<Option<Deletion>> {
    let found = call.first(&queries::message(id)).await.map_err(uncertain)?;
    let image = found.as_ref().and_then(|found| found.get_document("deletion").ok()?.get_str("image").ok());
    let image = image.filter(|image| !image.is_empty()).map(str::to_owned);
    let filter = doc! { "_id": oid(id.as_bytes()), "deletion.mark": mark.clone() };
    let change = doc! { "$unset": { "deletion": "" } };
    let written = call.update(MESSAGES, vec![Update { filter, change, upsert: false }], true).await?;
    // Made twice, it may have been the first attempt that took it away.
    let is_first = written.matched == 1 || written.was_repeated;
    let found = call.first(&queries::message(id)).await.map_err(uncertain)?;
    let Some(found) = found else { return Ok(None) };
    let Some(message) = to_message(&found) else { return Ok(None) };
    let mut places = Vec::new();
    if is_first {
        // Where this deletion was taken over, it may be under the mark of whoever made it.
        let deletions =
            marks(&found).filter(|(_, content)| content.get_str("k").is_ok_and(|kind| kind == "d"));
        let deletions = deletions.map(|(mark, _)| mark).collect();
        places = tell(inner, call, message.chat_id, Carrier::Message(id), Told::Deleted, deletions).await;
    }
    Ok(Some(Deletion { message, is_first, image: image.filter(|_| is_first), places }))
}
