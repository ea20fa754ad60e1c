//! One chat's messages: each gets the next place in the log, oldest first.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

use super::{
    super::{
        Inner,
        append::make_members,
        db::{Call, Update, Written},
        debts::{Owed, pay, pay_at_once},
        documents::{created_at, date, id, oid, signed},
        error::{DUPLICATE, other, unavailable},
        queries::{self, MESSAGES},
        tails::{Tail, follow},
    },
    STEP,
};
use crate::{ChatId, Timestamp, UserId, store::Result};

/// A message that is about to get a place.
struct Waiting {
    id: Bson,
    sender: UserId,
    at: Timestamp,
    chat_id: Option<Bson>,
}

/// Adopts all that waits in a chat; returns how many messages. With `is_history` they count as read, else they are news
/// to the other one. Between two steps others may append.
pub(super) async fn adopt(
    inner: &Inner,
    call: &Call,
    chat: ChatId,
    pair: [UserId; 2],
    is_history: bool,
) -> Result<u64> {
    let (mut adopted, mut pause) = (0, Duration::from_millis(5));
    loop {
        let _lock = inner.tails.lock(call, [chat]).await?;
        // The end first, and what waits after it: whatever another process has adopted meanwhile stands behind that
        // end, so a place that is still free is the right one.
        let mut tail = match inner.tails.tail(call, chat).await? {
            Some(tail) => tail,
            None => Tail::empty(chat, pair.to_vec()),
        };
        let mut batch = oldest(call, pair).await?;
        batch.retain(|message| !inner.backlog.left_out.contains_key(&message.id.to_string()));
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(adopted) };
        let chat_id = last.chat_id.clone();
        if tail.last_seq == 0 || (chat_id.is_some() && tail.chat_id != chat_id) {
            let also = chat_id.clone().map_or_else(Document::new, |chat_id| doc! { "chatId": chat_id });
            make_members(call, chat, pair, first.at, also).await?;
            tail.chat_id = chat_id.or(tail.chat_id);
        }
        let begin = tail.last_seq;
        let (mut at, mut seq) = (tail.last_at, begin);
        let mut read = [0; 2];
        let mut updates = Vec::with_capacity(batch.len());
        for message in &batch {
            seq += 1;
            let mut place = doc! { "chat": oid(chat.as_bytes()), "seq": signed(seq) };
            if message.at < at {
                place.insert("at", date(at));
            }
            at = at.max(message.at);
            let filter = doc! { "_id": message.id.clone(), "seq": Bson::Null };
            updates.push(Update { filter, change: doc! { "$set": place }, upsert: false });
            read[usize::from(message.sender != pair[0])] = seq;
        }
        if is_history {
            read = [seq; 2];
        }
        let owed = |last_seq| {
            [0, 1].map(|n| Owed { chat, user: pair[n], last_seq, last_at: at, read_seq: read[n], told: None })
        };
        // Before the messages have their places: who is killed in between leaves no list behind that does not know
        // them, and goes on with the same places at the next start.
        pay(call, &owed(begin)).await?;
        // The history of before is no news to anybody.
        let news = |last_seq, to| {
            let told = (!is_history && to > begin).then_some((begin + 1, to));
            owed(last_seq).map(|owed| Owed { told, ..owed }).into_iter()
        };
        let written = match place(call, chat, &mut tail, updates).await {
            Ok(written) => written,
            Err(error) => {
                // They may have their places, and wait no longer.
                news(begin, seq).for_each(|owed| inner.debts.add(owed));
                return Err(error);
            }
        };
        let places = pay_at_once(inner, call, news(tail.last_seq, tail.last_seq)).await;
        if is_history || pair.iter().all(|user| places.contains_key(&(chat, *user))) {
            tail.told_seq = tail.told_seq.max(tail.last_seq);
            inner.debts.has_told(chat, &pair, tail.last_seq);
            if !is_history {
                inner.late.add(pair);
            }
        }
        let failed = written.failed.into_iter().next();
        adopted += tail.last_seq - begin;
        inner.tails.put(chat, tail);
        match failed {
            None => {}
            Some(failed) if failed.code != DUPLICATE => {
                let Some(message) = batch.get(failed.index) else { return Err(other(failed.message)) };
                tracing::warn!(message = %message.id, reason = failed.message, "a message can't be adopted: it is left out");
                inner.backlog.left_out.insert(message.id.to_string(), ());
            }
            Some(_) if !call.pause(&mut pause).await => {
                return Err(unavailable("others append to this chat faster than it can be adopted"));
            }
            Some(_) => {}
        }
    }
}

/// Gives messages their places, and goes to the end of what is there then: another process may be doing the same, or
/// appending.
async fn place(call: &Call, chat: ChatId, tail: &mut Tail, updates: Vec<Update>) -> Result<Written> {
    let written = call.update(MESSAGES, updates, true).await?;
    follow(call, chat, tail).await?;
    Ok(written)
}

/// The oldest messages that wait, of both directions together.
async fn oldest(call: &Call, pair: [UserId; 2]) -> Result<Vec<Waiting>> {
    let mut all = Vec::new();
    let mut until = None;
    for (sender, receiver) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        let found = call.find(&queries::waiting_from(sender, receiver, STEP)).await?;
        let is_cut = found.len() == STEP;
        let found: Vec<Waiting> = found.iter().filter_map(waiting).collect();
        if is_cut && let Some(last) = found.last() {
            // What is beyond may be older than what the other direction has.
            until = Some(until.map_or(last.at, |until: Timestamp| until.min(last.at)));
        }
        all.extend(found);
    }
    // By id where the moment is the same: ids rise with time.
    all.sort_by_key(|message| (message.at, message.id.as_object_id()));
    if let Some(until) = until {
        all.retain(|message| message.at <= until);
    }
    Ok(all)
}

fn waiting(document: &Document) -> Option<Waiting> {
    let (at, sender) = (created_at(document), UserId::from_bytes(id(document, "senderId")?));
    let given = |key| document.get(key).filter(|value| !matches!(value, Bson::Null)).cloned();
    Some(Waiting { id: given("_id")?, sender, at, chat_id: given("chatId") })
}

/// A message from or to nobody, or to oneself: it gets a place where nobody looks, so that it waits no longer.
pub(super) async fn set_aside(call: &Call, document: &Document) -> Result<()> {
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    tracing::warn!(message = %id, "a message without two people can't be shown; it stays as it is");
    let place = doc! { "$set": { "chat": ObjectId::new(), "seq": 0_i64 } };
    let update = Update { filter: queries::by_id(id), change: place, upsert: false };
    let written = call.update(MESSAGES, vec![update], true).await?;
    if let Some(failed) = written.failed.into_iter().next() {
        tracing::warn!(reason = failed.message, "nor can it be set aside");
    }
    Ok(())
}
