//! Appending: the hot path.

use std::collections::HashMap;

use rusqlite::params;
use tokio::sync::oneshot;

use super::{db::Db, error::Failure, rows::int, sql, tails::Tail, tx::Tx, writer::Job};
use crate::{
    ChatId, MessageId, StoreError, Timestamp, UserId,
    store::{Appended, Change, MessageRecord, NewMessage, Result},
};

/// A call of `append`.
pub(super) struct Append {
    messages: Vec<NewMessage>,
    outcomes: Vec<Result<Appended>>,
    reply: oneshot::Sender<Vec<Result<Appended>>>,
}

impl Append {
    pub(super) fn new(messages: Vec<NewMessage>, reply: oneshot::Sender<Vec<Result<Appended>>>) -> Self {
        Self { outcomes: Vec::with_capacity(messages.len()), messages, reply }
    }
}

impl Job for Append {
    fn run(&mut self, tx: &mut Tx) -> Result<(), Failure> {
        for message in std::mem::take(&mut self.messages) {
            let outcome = append(tx, message);
            // Keeps the number of outcomes right also when this one makes all fail.
            self.outcomes.push(outcome);
            if let Some(Err(StoreError::Unavailable(_))) = self.outcomes.last()
                && let Some(Err(error)) = self.outcomes.pop()
            {
                return Err(error.into());
            }
        }
        // Whatever the error: a message that no feed tells of must not stay.
        tell(tx, &mut self.outcomes).map_err(Failure::from)
    }

    fn answer(self: Box<Self>, failure: Option<&Failure>) {
        let outcomes = match failure {
            None => self.outcomes,
            Some(failure) => refused(self.outcomes.capacity(), failure),
        };
        let _ = self.reply.send(outcomes);
    }
}

/// Writes what was appended into the members' feeds: an entry per chat, whose places the last of its messages gets.
fn tell(tx: &mut Tx, outcomes: &mut [Result<Appended>]) -> Result<()> {
    let mut ranges: HashMap<ChatId, (u64, u64)> = HashMap::new();
    for outcome in outcomes.iter() {
        if let Ok(Appended::New { message, .. }) = outcome {
            ranges.entry(message.chat_id).or_insert((message.seq, 0)).1 = message.seq;
        }
    }
    for outcome in outcomes {
        if let Ok(Appended::New { message, places }) = outcome
            && let Some((from, to)) = ranges.get(&message.chat_id).copied()
            && message.seq == to
        {
            *places = tx.tell_members(message.chat_id, Change::Sent { chat: message.chat_id, from, to })?;
        }
    }
    Ok(())
}

/// The same failure for each of so many messages.
pub(super) fn refused(count: usize, failure: &Failure) -> Vec<Result<Appended>> {
    (0..count).map(|_| Err(failure.clone().unavailable())).collect()
}

/// What the attempt to insert a row came to.
enum Insert {
    Done,
    /// The sender has this message already.
    Repeat(Box<MessageRecord>),
    /// Another row has this place in the log: what is in memory is wrong.
    Taken,
}

fn append(tx: &mut Tx, mut new: NewMessage) -> Result<Appended> {
    // Two attempts: nobody else writes to this file, but a hand with another tool could have.
    for _ in 0..2 {
        let chat = new.chat_id;
        let Some(tail) = tx.tail(chat)? else { return first_message(tx, new) };
        if !tail.members.contains(&new.sender_id) {
            return Err(StoreError::NotFound("Chat"));
        }
        let record = following(tail, new);
        match insert(&tx.db, &record)? {
            Insert::Done => {
                appended(tx, &record)?;
                return Ok(Appended::New { message: record, places: Vec::new() });
            }
            Insert::Repeat(first) => return Ok(Appended::Repeat(*first)),
            Insert::Taken => {
                tx.tails.forget(chat);
                new = again(record);
            }
        }
    }
    Err(Failure::new("the log of a chat changes under the writer's hands").other())
}

/// The record that comes next in the log.
fn following(tail: &Tail, new: NewMessage) -> MessageRecord {
    let at = new.at.max(tail.last_at);
    MessageRecord {
        id: new.id,
        chat_id: new.chat_id,
        seq: tail.last_seq + 1,
        sender_id: new.sender_id,
        receiver_id: new.receiver_id,
        body: new.body,
        image: new.image,
        client_id: new.client_id,
        is_deleted: false,
        created_at: at,
        updated_at: at,
        reply_to: new.reply_to,
        is_edited: false,
        reactions: Vec::new(),
        hidden_for: Vec::new(),
    }
}

fn again(record: MessageRecord) -> NewMessage {
    NewMessage {
        id: record.id,
        chat_id: record.chat_id,
        sender_id: record.sender_id,
        receiver_id: record.receiver_id,
        body: record.body,
        image: record.image,
        client_id: record.client_id,
        reply_to: record.reply_to,
        at: record.created_at,
    }
}

fn insert(db: &Db, record: &MessageRecord) -> Result<Insert> {
    let inserted = db.execute(
        sql::INSERT_MESSAGE,
        params![
            record.id.as_bytes(),
            record.chat_id.as_bytes(),
            int(record.seq),
            record.sender_id.as_bytes(),
            record.receiver_id.as_ref().map(UserId::as_bytes),
            record.body,
            record.image,
            record.client_id,
            record.created_at.as_millis(),
            record.reply_to.as_ref().map(MessageId::as_bytes),
        ],
    )?;
    if inserted > 0 {
        return Ok(Insert::Done);
    }
    if let Some(first) = earlier(db, record.sender_id, record.client_id.as_deref())? {
        return Ok(Insert::Repeat(Box::new(first)));
    }
    if db.first::<MessageRecord>(sql::MESSAGE, [record.id.as_bytes()])?.is_some() {
        return Err(Failure::new("another message has this id").other());
    }
    Ok(Insert::Taken)
}

fn earlier(db: &Db, sender: UserId, client_id: Option<&str>) -> Result<Option<MessageRecord>> {
    let Some(client_id) = client_id else { return Ok(None) };
    db.first(sql::MESSAGE_BY_CLIENT_ID, params![sender.as_bytes(), client_id])
}

/// What an insert entails, in memory for now.
fn appended(tx: &mut Tx, record: &MessageRecord) -> Result<()> {
    if let Some(tail) = tx.tail(record.chat_id)? {
        tail.last_seq = record.seq;
        tail.last_at = record.created_at;
    }
    tx.touch(record.chat_id, record.sender_id, record.seq, record.created_at);
    Ok(())
}

/// Makes the chat along with its first message: both, or, where the message turns out to be there already or can't
/// be written, neither.
fn first_message(tx: &mut Tx, new: NewMessage) -> Result<Appended> {
    let Some(receiver) = new.receiver_id else { return Err(StoreError::NotFound("Chat")) };
    if let Some(first) = earlier(&tx.db, new.sender_id, new.client_id.as_deref())? {
        return Ok(Appended::Repeat(first));
    }
    let mut members = vec![new.sender_id, receiver];
    // A note to oneself.
    members.dedup();
    for user in &members {
        tx.db.first::<String>(sql::USER_NAME_KEY, [user.as_bytes()])?.ok_or(StoreError::NotFound("User"))?;
    }
    let empty = Tail { last_seq: 0, last_at: Timestamp::from_millis(i64::MIN), members };
    let record = following(&empty, new);
    tx.db.whole_or_not(|db| {
        let at = record.created_at.as_millis();
        db.execute(sql::INSERT_CHAT, params![record.chat_id.as_bytes(), at])?;
        for user in &empty.members {
            db.execute(sql::INSERT_MEMBER, params![record.chat_id.as_bytes(), user.as_bytes(), at])?;
        }
        match insert(db, &record)? {
            Insert::Done => Ok(()),
            Insert::Repeat(_) | Insert::Taken => {
                Err(Failure::new("a chat without members has messages").other())
            }
        }
    })?;
    tx.tails.put(record.chat_id, empty);
    appended(tx, &record)?;
    Ok(Appended::New { message: record, places: Vec::new() })
}
