//! Appending: the hot path.
//!
//! A message gets the last `seq` that is known plus one. The unique index on chat and `seq` refuses it when somebody
//! else was faster; then the log is followed to its end, and it is tried again. Messages of one chat go in one ordered
//! insert, which stops at the first that fails: so there is never a hole.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use futures_util::future::{join, join_all};
use mongodb::bson::doc;
use tokio::time::Instant;

use super::{
    Inner,
    db::{Call, Update},
    documents::{date, from_message, oid, to_message},
    error::{DUPLICATE, copy, other, unavailable, uncertain},
    queries::{self, MEMBERS, MESSAGES},
    tails::{Tail, follow},
};
use crate::{
    ChatId, MessageId, StoreError, UserId,
    store::{Appended, MessageRecord, NewMessage, Result},
};

/// Messages in one command at the most, and bytes of their texts: below what a server takes (48 MB).
const COMMAND: (usize, usize) = (1_000, 16 << 20);

/// How long a message waits for the history of its chat to be adopted.
const ADOPTION: Duration = Duration::from_secs(3);

/// A message, with its place among those of the call.
type Placed = (usize, NewMessage);
type Outcome = (usize, Result<Appended>);

/// Messages that may be appended to their chat.
struct Ready {
    chat: ChatId,
    tail: Tail,
    messages: Vec<Placed>,
}

pub(super) async fn append(inner: &Inner, call: &Call, messages: Vec<NewMessage>) -> Vec<Result<Appended>> {
    let mut outcomes: Vec<Option<Result<Appended>>> = messages.iter().map(|_| None).collect();
    let mut pairs: HashMap<ChatId, Option<[UserId; 2]>> = HashMap::new();
    for message in &messages {
        let pair = message.receiver_id.map(|receiver| [message.sender_id, receiver]);
        let pair = pair.filter(|pair| ChatId::direct(pair[0], pair[1]) == message.chat_id);
        let known = pairs.entry(message.chat_id).or_default();
        *known = known.or(pair);
    }
    // Chats with a history that is still to be adopted come after it, or not at all for now: others don't wait.
    let clear = pairs.iter().map(|(chat, pair)| async move {
        let short = Call { deadline: call.deadline.min(Instant::now() + ADOPTION), ..call.clone() };
        (*chat, inner.backlog.clear(inner, &short, *chat, *pair).await)
    });
    let busy: HashMap<ChatId, StoreError> =
        join_all(clear).await.into_iter().filter_map(|(chat, clear)| Some((chat, clear.err()?))).collect();
    let clear = pairs.into_keys().filter(|chat| !busy.contains_key(chat));
    let _locks = match inner.tails.lock(call, clear).await {
        Ok(locks) => locks,
        Err(error) => return messages.iter().map(|_| Err(copy(&error))).collect(),
    };
    let mut open: Vec<Placed> = Vec::with_capacity(messages.len());
    for (place, message) in messages.into_iter().enumerate() {
        match busy.get(&message.chat_id) {
            Some(error) => outcomes[place] = Some(Err(copy(error))),
            None => open.push((place, message)),
        }
    }
    while !open.is_empty() {
        let mut keys = HashSet::new();
        // Of those with the same key the first counts; the others are looked at when it is there.
        let is_first = |(_, message): &Placed| {
            message.client_id.as_ref().is_none_or(|key| keys.insert((message.sender_id, key.clone())))
        };
        let (now, later): (Vec<_>, Vec<_>) = open.into_iter().partition(is_first);
        open = later;
        for (place, outcome) in round(inner, call, now).await {
            outcomes[place] = Some(outcome);
        }
    }
    let missing = || Err(other("a message was forgotten"));
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect()
}

/// Appends messages of which no two have the same key.
async fn round(inner: &Inner, call: &Call, messages: Vec<Placed>) -> Vec<Outcome> {
    let mut order: Vec<ChatId> = Vec::new();
    let mut by_chat: HashMap<ChatId, Vec<Placed>> = HashMap::new();
    for placed in messages {
        let chat = placed.1.chat_id;
        by_chat.entry(chat).or_insert_with(|| {
            order.push(chat);
            Vec::new()
        });
        by_chat.entry(chat).or_default().push(placed);
    }
    let prepared = order.into_iter().filter_map(|chat| Some((chat, by_chat.remove(&chat)?)));
    let prepared = join_all(prepared.map(|(chat, messages)| prepare(inner, call, chat, messages))).await;
    let (mut outcomes, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for (ready, refused) in prepared {
        outcomes.extend(refused);
        match ready {
            Some(ready) if ready.messages.len() == 1 => alone.push(ready),
            Some(ready) if !ready.messages.is_empty() => together.push(ready),
            _ => {}
        }
    }
    let chunks = chunks(alone).into_iter().map(|chunk| insert_one_each(inner, call, chunk));
    let together = together.into_iter().map(|ready| insert_in_order(inner, call, ready));
    let (alone, together) = join(join_all(chunks), join_all(together)).await;
    let appended: Vec<(Tail, Vec<Outcome>)> = alone.into_iter().flatten().chain(together).collect();
    inner.debts.pay_at_once(call, appended.iter().flat_map(|(tail, outcomes)| owed(tail, outcomes))).await;
    outcomes.extend(appended.into_iter().flat_map(|(_, outcomes)| outcomes));
    outcomes
}

/// Who may write, and after what. Makes the chat where this is its first message.
async fn prepare(
    inner: &Inner,
    call: &Call,
    chat: ChatId,
    messages: Vec<Placed>,
) -> (Option<Ready>, Vec<Outcome>) {
    let mut refused: Vec<Outcome> = Vec::new();
    let mut tail = match inner.tails.tail(call, chat).await {
        Ok(tail) => tail,
        Err(error) => {
            let all = messages.into_iter().map(|(place, _)| (place, Err(copy(&error))));
            return (None, all.collect());
        }
    };
    let mut allowed = Vec::with_capacity(messages.len());
    for (place, message) in messages {
        if tail.is_none() {
            match first(call, &message).await {
                Ok(First::Repeat(record)) => {
                    refused.push((place, Ok(Appended::Repeat(record))));
                    continue;
                }
                Ok(First::Members(members)) => tail = Some(Tail::empty(chat, members)),
                Err(error) => {
                    refused.push((place, Err(error)));
                    continue;
                }
            }
        }
        if tail.as_ref().is_some_and(|tail| tail.members.contains(&message.sender_id)) {
            allowed.push((place, message));
        } else {
            refused.push((place, Err(StoreError::NotFound("Chat"))));
        }
    }
    (tail.map(|tail| Ready { chat, tail, messages: allowed }), refused)
}

enum First {
    Repeat(MessageRecord),
    Members(Vec<UserId>),
}

/// The first message of a chat: its members are there before it, so that it is in their lists however this ends.
async fn first(call: &Call, new: &NewMessage) -> Result<First> {
    let Some(receiver) = new.receiver_id else { return Err(StoreError::NotFound("Chat")) };
    if let Some(record) = earlier(call, new).await? {
        return Ok(First::Repeat(record));
    }
    let pair = [new.sender_id, receiver];
    let found = call.find(&queries::users(pair)).await?;
    if pair
        .iter()
        .any(|user| !found.iter().any(|document| document.get("_id") == Some(&oid(user.as_bytes()).into())))
    {
        return Err(StoreError::NotFound("User"));
    }
    make_members(call, new.chat_id, pair, new.at, doc! {}).await?;
    Ok(First::Members(pair.to_vec()))
}

/// Makes the two memberships of a chat, where they are not there yet; `also` is set in any case.
pub(super) async fn make_members(
    call: &Call,
    chat: ChatId,
    pair: [UserId; 2],
    at: crate::Timestamp,
    also: mongodb::bson::Document,
) -> Result<()> {
    let update = |user: UserId, partner: UserId| {
        let made = doc! {
            "partner": oid(partner.as_bytes()), "lastAt": date(at), "lastSeq": 0_i64, "readSeq": 0_i64,
        };
        let mut change = doc! { "$setOnInsert": made };
        if !also.is_empty() {
            change.insert("$set", also.clone());
        }
        Update { filter: queries::membership(chat, user), change, upsert: true }
    };
    let updates = vec![update(pair[0], pair[1]), update(pair[1], pair[0])];
    let written = call.update(MEMBERS, updates, false).await?;
    // A duplicate: somebody else has just made it.
    written
        .failed
        .into_iter()
        .find(|failed| failed.code != DUPLICATE)
        .map_or(Ok(()), |f| Err(other(f.message)))
}

/// The message that the sender sent under the same key.
async fn earlier(call: &Call, new: &NewMessage) -> Result<Option<MessageRecord>> {
    let Some(key) = &new.client_id else { return Ok(None) };
    let Some(document) = call.first(&queries::message_by_client_id(new.sender_id, key)).await? else {
        return Ok(None);
    };
    let record = to_message(&document).ok_or_else(|| other("a message without a sender"))?;
    wait_until_durable(call, &[record.id]).await?;
    Ok(Some(record))
}

/// What was found may still be undone by an election, as long as a majority does not have it.
async fn wait_until_durable(call: &Call, ids: &[MessageId]) -> Result<()> {
    let mut pause = std::time::Duration::from_millis(5);
    while call.find_durable(&queries::messages(ids.iter().copied())).await?.len() < ids.len() {
        if !call.pause(&mut pause).await {
            return Err(uncertain(unavailable("a message is there and not known to be durable")));
        }
    }
    Ok(())
}

/// Cuts what goes into one command.
fn chunks(all: Vec<Ready>) -> Vec<Vec<Ready>> {
    let mut chunks: Vec<Vec<Ready>> = Vec::new();
    let mut bytes = 0;
    for ready in all {
        let size: usize = ready.messages.iter().map(|(_, message)| size(message)).sum();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < COMMAND.0 && bytes + size <= COMMAND.1 => {
                bytes += size;
                chunk.push(ready);
            }
            _ => {
                bytes = size;
                chunks.push(vec![ready]);
            }
        }
    }
    chunks
}

fn size(message: &NewMessage) -> usize {
    512 + message.body.as_ref().map_or(0, String::len) + message.image.as_ref().map_or(0, String::len)
}

/// Chats with one message each: together, in no order. Where one fails nothing comes after it that could leave a hole.
async fn insert_one_each(inner: &Inner, call: &Call, chats: Vec<Ready>) -> Vec<(Tail, Vec<Outcome>)> {
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
                done.push((ready.tail, vec![(place, Ok(Appended::New(record)))]));
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
async fn insert_in_order(inner: &Inner, call: &Call, ready: Ready) -> (Tail, Vec<Outcome>) {
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
    let (mut pause, mut stuck) = (std::time::Duration::from_millis(2), 0);
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
                if let Some((place, _)) = open.pop_front() {
                    done.push((place, Ok(Appended::Repeat(record))));
                }
            }
            Reason::OtherMessage => refuse(open, done, "another message has this id".to_owned()),
            Reason::Taken => {
                let known = tail.last_seq;
                follow(call, chat, tail).await?;
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
        done.push((place, Ok(Appended::New(record))));
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
    }
}

/// What the lists of the members are owed. For a repeat too: who sent it first may not have learned that it is there.
fn owed(tail: &Tail, outcomes: &[Outcome]) -> Vec<super::debts::Owed> {
    let new: Vec<&MessageRecord> = outcomes
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Ok(Appended::New(record)) => Some(record),
            Ok(Appended::Repeat(record)) if record.chat_id == tail.chat => Some(record),
            _ => None,
        })
        .collect();
    let Some(last) = new.iter().max_by_key(|record| record.seq) else { return Vec::new() };
    let read =
        |user: UserId| new.iter().filter(|r| r.sender_id == user).map(|r| r.seq).max().unwrap_or_default();
    tail.members
        .iter()
        .map(|user| super::debts::Owed {
            chat: last.chat_id,
            user: *user,
            last_seq: last.seq,
            last_at: last.created_at,
            read_seq: read(*user),
        })
        .collect()
}
