//! The inserts, and what becomes of those that fail.
//!
//! A message gets the last `seq` that is known plus one. The unique index on chat and `seq` refuses it when somebody
//! else was faster; then the log is followed to its end, and it is tried again. Messages of one chat go in one ordered
//! insert, which stops at the first that fails: so there is never a hole.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use futures_util::future::join_all;

use super::{
    super::{
        Inner,
        db::Call,
        documents::{from_message, to_message},
        error::{DUPLICATE, copy, other, unavailable, uncertain},
        queries::{self, MESSAGES},
        tails::{Tail, catch_up},
    },
    COMMAND, Outcome, Placed, Ready, earlier, size, wait_until_durable,
};
use crate::{
    ChatId, MessageId, StoreError,
    store::{Appended, MessageRecord, NewMessage, Result},
};

/// Chats with one message each: together, in no order. Where one fails nothing comes after it that could leave a hole.
pub(super) async fn insert_one_each(
    inner: &Inner,
    call: &Call,
    chats: Vec<Ready>,
) -> Vec<(Tail, Vec<Outcome>)> {
    let records: Vec<Option<MessageRecord>> = chats
        .iter()
        .map(|ready| ready.messages.first().map(|(_, message)| following(&ready.tail, message)))
        .collect();
    let documents = records.iter().zip(&chats).filter_map(|(record, ready)| {
        record.as_ref().map(|record| from_message(record, ready.tail.chat_id.as_ref()))
    });
    let written = match call.insert(MESSAGES, documents.collect(), false).await {
        Ok(written) => written,
        Err(error) => return chats.into_iter().map(|ready| give_up(inner, ready, &error)).collect(),
    };
    let failed: HashSet<usize> = written.failed.iter().map(|failed| failed.index).collect();
    let mut done = Vec::with_capacity(chats.len());
    let mut again = Vec::new();
    for (index, (mut ready, record)) in chats.into_iter().zip(records).enumerate() {
        match (record, ready.messages.pop()) {
            (Some(record), Some((place, _))) if !failed.contains(&index) => {
                ready.tail.advance(&record);
                inner.tails.put(ready.chat, ready.tail.clone());
                done.push((
                    ready.tail,
                    vec![(place, Ok(Appended::New { message: record, places: Vec::new() }))],
                ));
            }
            (_, Some(placed)) => again.push(Ready { messages: vec![placed], ..ready }),
            (_, None) => {}
        }
    }
    done.extend(join_all(again.into_iter().map(|ready| insert_in_order(inner, call, ready))).await);
    done
}

fn give_up(inner: &Inner, ready: Ready, error: &StoreError) -> (Tail, Vec<Outcome>) {
    inner.tails.forget(ready.chat);
    let outcomes = ready.messages.into_iter().map(|(place, _)| (place, Err(copy(error)))).collect();
    (ready.tail, outcomes)
}

/// The messages of one chat, in order.
pub(super) async fn insert_in_order(inner: &Inner, call: &Call, ready: Ready) -> (Tail, Vec<Outcome>) {
    let Ready { chat, mut tail, messages } = ready;
    let mut open: VecDeque<Placed> = messages.into();
    let mut done: Vec<Outcome> = Vec::new();
    let result = insert_all(call, chat, &mut tail, &mut open, &mut done).await;
    match result {
        Ok(()) => inner.tails.put(chat, tail.clone()),
        Err(error) => {
            inner.tails.forget(chat);
            done.extend(open.into_iter().map(|(place, _)| (place, Err(copy(&error)))));
        }
    }
    (tail, done)
}

/// Moves what is open to what is done, until nothing is open or there is no time left.
async fn insert_all(
    call: &Call,
    chat: ChatId,
    tail: &mut Tail,
    open: &mut VecDeque<Placed>,
    done: &mut Vec<Outcome>,
) -> Result<()> {
    let (mut pause, mut stuck) = (Duration::from_millis(2), 0);
    while !open.is_empty() {
        let mut end = tail.clone();
        let mut records: Vec<MessageRecord> = Vec::new();
        let mut bytes = 0;
        for (_, message) in open.iter().take(COMMAND.0) {
            bytes += size(message);
            if bytes > COMMAND.1 && !records.is_empty() {
                break;
            }
            let record = following(&end, message);
            end.advance(&record);
            records.push(record);
        }
        let documents = records.iter().map(|record| from_message(record, tail.chat_id.as_ref())).collect();
        let failed = call.insert(MESSAGES, documents, true).await?.failed.into_iter().next();
        let count = failed.as_ref().map_or(records.len(), |failed| failed.index);
        for record in records.into_iter().take(count) {
            finish(tail, open, done, record);
        }
        let Some(failed) = failed else { continue };
        if failed.code != DUPLICATE {
            refuse(open, done, failed.message);
            continue;
        }
        match reason(call, open).await.map_err(uncertain)? {
            Reason::Applied(records) => {
                records.into_iter().for_each(|record| finish(tail, open, done, record));
            }
            Reason::Repeat(record) => {
                if record.chat_id == chat && record.seq > tail.last_seq {
                    catch_up(call, chat, tail).await?;
                }
                if let Some((place, _)) = open.pop_front() {
                    done.push((place, Ok(Appended::Repeat(record))));
                }
            }
            Reason::OtherMessage => refuse(open, done, "another message has this id".to_owned()),
            Reason::Taken => {
                let known = tail.last_seq;
                catch_up(call, chat, tail).await?;
                let is_stuck = tail.last_seq == known;
                // There, and not durable yet: it may still be undone.
                let is_under_way =
                    is_stuck && call.first(&queries::onward(chat, known + 1, 1)).await?.is_some();
                stuck = if is_stuck && !is_under_way { stuck + 1 } else { 0 };
                if stuck > 3 {
                    // A unique index of another application's making.
                    refuse(open, done, failed.message);
                } else if is_stuck && !call.pause(&mut pause).await {
                    return Err(unavailable("others append to this chat faster than can be followed"));
                }
            }
        }
    }
    Ok(())
}

/// The first of those that are open is appended.
fn finish(tail: &mut Tail, open: &mut VecDeque<Placed>, done: &mut Vec<Outcome>, record: MessageRecord) {
    tail.advance(&record);
    if let Some((place, _)) = open.pop_front() {
        done.push((place, Ok(Appended::New { message: record, places: Vec::new() })));
    }
}

/// The first of those that are open can't be appended.
fn refuse(open: &mut VecDeque<Placed>, done: &mut Vec<Outcome>, why: String) {
    if let Some((place, _)) = open.pop_front() {
        done.push((place, Err(other(why))));
    }
}

/// Why an insert met a duplicate.
enum Reason {
    /// An attempt of before, whose answer was lost, has appended these.
    Applied(Vec<MessageRecord>),
    /// The sender has sent this before.
    Repeat(MessageRecord),
    /// There is a different message with the same id.
    OtherMessage,
    /// Somebody else has this place in the log. Then no attempt of before has appended anything, nor will one that is
    /// still under way: it stops at this very message.
    Taken,
}

async fn reason(call: &Call, open: &VecDeque<Placed>) -> Result<Reason> {
    let Some((_, front)) = open.front() else { return Ok(Reason::Taken) };
    let ids = open.iter().take(COMMAND.0).map(|(_, message)| message.id);
    let found = call.find(&queries::messages(ids)).await?;
    let found: HashMap<MessageId, MessageRecord> =
        found.iter().filter_map(to_message).map(|record| (record.id, record)).collect();
    if let Some(there) = found.get(&front.id) {
        if !is_same(there, front) {
            return Ok(Reason::OtherMessage);
        }
        let applied = open.iter().map_while(|(_, message)| found.get(&message.id).cloned());
        let applied: Vec<MessageRecord> = applied.collect();
        wait_until_durable(call, &applied.iter().map(|record| record.id).collect::<Vec<_>>()).await?;
        return Ok(Reason::Applied(applied));
    }
    Ok(earlier(call, front).await?.map_or(Reason::Taken, Reason::Repeat))
}

fn is_same(there: &MessageRecord, new: &NewMessage) -> bool {
    // Not by what it says: it may have been deleted, or sealed under another key, meanwhile.
    (there.chat_id, there.sender_id, &there.client_id) == (new.chat_id, new.sender_id, &new.client_id)
}

/// The record that comes next in the log.
fn following(tail: &Tail, new: &NewMessage) -> MessageRecord {
    let at = new.at.max(tail.last_at);
    MessageRecord {
        id: new.id,
        chat_id: new.chat_id,
        seq: tail.last_seq + 1,
        sender_id: new.sender_id,
        receiver_id: new.receiver_id,
        body: new.body.clone(),
        image: new.image.clone(),
        client_id: new.client_id.clone(),
        is_deleted: false,
        created_at: at,
        updated_at: at,
        reply_to: new.reply_to,
        is_edited: false,
        reactions: Vec::new(),
        hidden_for: Vec::new(),
    }
}
