//! Appending: the hot path.
//!
//! A call has messages of many chats. Each chat is made ready by itself; then those with one message each go together
//! in one insert, and each of the others in one of its own (`insert.rs`); then the lists and feeds of all members are
//! paid.

mod insert;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::future::{join, join_all};
use mongodb::bson::{Document, doc};
use tokio::time::Instant;

use self::insert::{insert_in_order, insert_one_each};
use super::{
    Inner,
    db::{Call, Update},
    debts::{Owed, Places, Range, pay_at_once},
    documents::{date, oid, to_message},
    error::{DUPLICATE, copy, other, unavailable, uncertain},
    queries::{self, MEMBERS},
    tails::Tail,
};
use crate::{
    ChatId, MessageId, StoreError, Timestamp, UserId,
    store::{Appended, MessageRecord, NewMessage, Place, Result},
};

/// Messages in one command at the most, and bytes of their texts: below what a server takes (48 MB).
const COMMAND: (usize, usize) = (1_000, 16 << 20);

/// How long a message waits for the history of its chat to be adopted.
const ADOPTION: Duration = Duration::from_secs(3);

/// Messages of others that are told along with one's own, at the most: what is older was told long ago (`nodes.rs`).
const RETOLD: u64 = 2_000;

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
        // That it takes longer says nothing about the server.
        let deadline = call.deadline.min(Instant::now() + ADOPTION);
        let short = Call { deadline, is_probe: true, ..call.clone() };
        (*chat, inner.backlog.clear(inner, &short, *chat, *pair).await)
    });
    let busy: HashMap<ChatId, StoreError> =
        join_all(clear).await.into_iter().filter_map(|(chat, clear)| Some((chat, clear.err()?))).collect();
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
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
    // Nobody may ever ask for them again, and they may be there.
    let doubtful = ids.iter().zip(&outcomes);
    let doubtful = doubtful.filter(|(_, outcome)| matches!(outcome, Some(Err(StoreError::Uncertain(_)))));
    inner.debts.doubt(doubtful.map(|(id, _)| *id));
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
    let owed = appended.iter().flat_map(|(tail, outcomes)| owed(tail, outcomes));
    let places = pay_at_once(inner, call, owed).await;
    for (tail, mut of_chat) in appended {
        if told(&tail).is_some() && tail.members.iter().all(|user| places.contains_key(&(tail.chat, *user))) {
            inner.tails.told(tail.chat, tail.last_seq);
            inner.debts.has_told(tail.chat, &tail.members, tail.last_seq);
            if of_chat.iter().all(|(_, outcome)| new(outcome).is_none()) {
                // Nobody here tells of it live.
                inner.late.add(tail.members.iter().copied());
            }
        }
        tell(&tail, &mut of_chat, &places);
        outcomes.extend(of_chat);
    }
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
    at: Timestamp,
    also: Document,
) -> Result<()> {
    let update = |user: UserId, partner: UserId| {
        let made = doc! {
            "partner": oid(partner.as_bytes()), "lastAt": date(at), "lastSeq": 0_i64, "readSeq": 0_i64,
            "toldSeq": 0_i64,
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

/// What the members are owed. Also for a repeat: who sent it first may not have learned that it is there, and nobody that
/// it was to tell.
fn owed(tail: &Tail, outcomes: &[Outcome]) -> Vec<Owed> {
    let all: Vec<&MessageRecord> = outcomes
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Ok(Appended::New { message: record, .. }) => Some(record),
            Ok(Appended::Repeat(record)) if record.chat_id == tail.chat => Some(record),
            _ => None,
        })
        .collect();
    let Some(last) = all.iter().max_by_key(|record| record.seq) else { return Vec::new() };
    let read =
        |user: UserId| all.iter().filter(|r| r.sender_id == user).map(|r| r.seq).max().unwrap_or_default();
    let mut owed = Vec::new();
    for user in &tail.members {
        let lists = Owed {
            chat: last.chat_id,
            user: *user,
            last_seq: last.seq,
            last_at: last.created_at,
            read_seq: read(*user),
            told: told(tail),
        };
        owed.push(lists);
    }
    owed
}

/// What the feeds are to tell of a chat now: all that this process does not know to be told, also what others have
/// appended. They may have been killed before they could tell; and so nothing is told before what comes before it.
fn told(tail: &Tail) -> Option<Range> {
    let from = tail.told_seq.max(tail.last_seq.saturating_sub(RETOLD)) + 1;
    (from <= tail.last_seq).then_some((from, tail.last_seq))
}

const fn new(outcome: &Result<Appended>) -> Option<u64> {
    match outcome {
        Ok(Appended::New { message, .. }) => Some(message.seq),
        _ => None,
    }
}

/// The last new message of a chat has the places of the entries.
fn tell(tail: &Tail, outcomes: &mut [Outcome], known: &Places) {
    let seqs = || outcomes.iter().filter_map(|(_, outcome)| new(outcome));
    let (Some(from), Some(to), count) = (seqs().min(), seqs().max(), seqs().count() as u64) else { return };
    // Nothing of others is told along with it.
    let is_all = |range: Range| range == (from, to) && to - from + 1 == count;
    let place = |user: UserId| match known.get(&(tail.chat, user)) {
        Some((position, range)) => Some(Place { user, position: is_all(*range).then_some(*position) }),
        None => told(tail).is_none_or(|range| !is_all(range)).then_some(Place { user, position: None }),
    };
    let told = tail.members.iter().filter_map(|user| place(*user)).collect();
    let last = outcomes.iter_mut().map(|(_, outcome)| outcome).max_by_key(|outcome| new(outcome));
    if let Some(Ok(Appended::New { places, .. })) = last {
        *places = told;
    }
}
