//! The end of each chat: what is known of it in this process, and how the rest is found.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mongodb::bson::{Bson, doc};
use tokio::{sync, time::timeout_at};

use super::{
    append::make_members,
    db::Call,
    documents::{Member, seq, shown_at, to_member},
    error::unavailable,
    queries,
};
use crate::{
    ChatId, Timestamp, UserId,
    store::{MessageRecord, Result, recent::Recent},
};

/// Messages that are read at once beyond what is known.
const STEP: usize = 256;
/// Chats share this many locks: lanes of the service differ in the byte that chooses one.
const LOCKS: usize = 256;

/// What the next message of a chat needs to know. Another process may have appended since.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    pub(super) chat: ChatId,
    pub(super) last_seq: u64,
    pub(super) last_at: Timestamp,
    pub(super) members: Vec<UserId>,
    /// The members' feeds tell of all up to here, at least.
    pub(super) told_seq: u64,
    /// What an application of before calls this chat.
    pub(super) chat_id: Option<Bson>,
}

impl Tail {
    pub(super) fn empty(chat: ChatId, members: Vec<UserId>) -> Self {
        Self {
            chat,
            last_seq: 0,
            last_at: Timestamp::from_millis(i64::MIN),
            members,
            told_seq: 0,
            chat_id: None,
        }
    }

    pub(super) fn advance(&mut self, record: &MessageRecord) {
        self.last_seq = self.last_seq.max(record.seq);
        self.last_at = self.last_at.max(record.created_at);
    }
}

#[derive(Debug)]
pub(super) struct Tails {
    recent: Mutex<Recent<Tail>>,
    /// Who appends to a chat holds its lock, so that those in this process do not race for the same `seq`. The unique
    /// index would sort them out as well, at the cost of an attempt for each.
    locks: Vec<sync::Mutex<()>>,
}

impl Tails {
    pub(super) fn new() -> Self {
        Self { recent: Mutex::default(), locks: (0..LOCKS).map(|_| sync::Mutex::default()).collect() }
    }

    fn recent(&self) -> MutexGuard<'_, Recent<Tail>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everybody else in this process from appending to these chats.
    ///
    /// # Errors
    /// When the time is over before they are free.
    pub(super) async fn lock(
        &self,
        call: &Call,
        chats: impl IntoIterator<Item = ChatId>,
    ) -> Result<Vec<sync::MutexGuard<'_, ()>>> {
        // In order, so that no two calls wait for each other.
        let places: BTreeSet<usize> =
            chats.into_iter().map(|chat| usize::from(chat.as_bytes()[11]) % LOCKS).collect();
        let mut guards = Vec::with_capacity(places.len());
        for place in places {
            let guard = timeout_at(call.deadline, self.locks[place].lock()).await;
            guards.push(guard.map_err(|_| unavailable("a chat is busy"))?);
        }
        Ok(guards)
    }

    pub(super) fn known(&self, chat: ChatId) -> Option<Tail> {
        self.recent().get(chat).cloned()
    }

    /// Notes that the members' feeds tell of all up to here.
    pub(super) fn told(&self, chat: ChatId, seq: u64) {
        if let Some(tail) = self.recent().get(chat) {
            tail.told_seq = tail.told_seq.max(seq);
        }
    }

    /// Remembers it, unless more is known already.
    pub(super) fn put(&self, chat: ChatId, mut tail: Tail) {
        let mut recent = self.recent();
        if let Some(known) = recent.get(chat) {
            tail.told_seq = tail.told_seq.max(known.told_seq);
        }
        if recent.get(chat).is_none_or(|known| known.last_seq <= tail.last_seq) {
            recent.put(chat, tail);
        }
    }

    pub(super) fn forget(&self, chat: ChatId) {
        self.recent().forget(chat);
    }

    /// The end of a chat: known, or looked up. `None` when there is no such chat.
    pub(super) async fn tail(&self, call: &Call, chat: ChatId) -> Result<Option<Tail>> {
        if let Some(tail) = self.known(chat) {
            return Ok(Some(tail));
        }
        let documents = call.find(&queries::members(chat)).await?;
        if documents.is_empty() {
            return Ok(None);
        }
        let members: Vec<_> = documents.iter().filter_map(to_member).collect();
        let mut tail = Tail::empty(chat, members.iter().map(|member| member.user).collect());
        if let [Member { user, partner: Some(partner), last_at, .. }] = members[..] {
            // Whoever made the chat has made the other half not yet, or never came to it.
            make_members(call, chat, [user, partner], last_at, doc! {}).await?;
            tail.members.push(partner);
        }
        tail.chat_id = documents.iter().find_map(|document| document.get("chatId").cloned());
        for member in &members {
            tail.last_seq = tail.last_seq.max(member.state.last_seq);
        }
        follow(call, chat, &mut tail).await?;
        // A list may be ahead of the log, while messages are adopted: only where the log has nothing left does it count.
        if tail.last_seq > 0 && tail.last_at == Timestamp::from_millis(i64::MIN) {
            let known = members.iter().map(|member| member.last_at);
            tail.last_at = known.max().unwrap_or(tail.last_at);
        }
        tail.told_seq = noted(&members).min(tail.last_seq);
        self.put(chat, tail.clone());
        Ok(Some(tail))
    }
}

/// Up to where the feeds of all these are noted to tell of their chat.
fn noted(members: &[Member]) -> u64 {
    // Of a chat of before there were feeds, what is there is no news.
    members.iter().map(|member| member.told_seq.unwrap_or(u64::MAX)).min().unwrap_or_default()
}

/// Moves a tail to the end of the log, because somebody else has appended, and who did may have told of it.
pub(super) async fn catch_up(call: &Call, chat: ChatId, tail: &mut Tail) -> Result<()> {
    let known = tail.last_seq;
    follow(call, chat, tail).await?;
    if tail.last_seq > known {
        let members = call.find(&queries::members(chat)).await?;
        let members: Vec<_> = members.iter().filter_map(to_member).collect();
        tail.told_seq = tail.told_seq.max(noted(&members).min(tail.last_seq));
    }
    Ok(())
}

/// Moves a tail to the end of the log, from where it is: what was appended meanwhile is read, and no more than that.
///
/// Only as far as nothing can be undone any more: a place after one that an election takes back would leave a hole.
pub(super) async fn follow(call: &Call, chat: ChatId, tail: &mut Tail) -> Result<()> {
    loop {
        let found = call.find_durable(&queries::ends_of(chat, tail.last_seq.max(1), STEP)).await?;
        let count = found.len();
        let before = tail.last_seq;
        for document in found {
            tail.last_seq = tail.last_seq.max(seq(&document));
            if let Some(at) = shown_at(&document) {
                tail.last_at = tail.last_at.max(at);
            }
        }
        if count < STEP || tail.last_seq == before {
            return Ok(());
        }
    }
}
