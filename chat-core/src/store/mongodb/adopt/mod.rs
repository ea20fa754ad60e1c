//! What another application has written: before this store came, or beside it.
//!
//! A Mongoose application knows nothing of `chat` and `seq` on a message, or of the keys by which users are found and
//! ordered. Documents that lack them are adopted: they get these fields and keep all others as they are. An index
//! that holds nothing but such messages is the list of what there is to do, so that looking costs nothing when there
//! is nothing; and because it shrinks with the work, a start goes on where the last one stopped.
//!
//! The history of before counts as read. A chat is adopted as a whole, oldest message first, and before it is used:
//! who opens it or writes into it while the rest is still on its way does not meet it half done.

mod chats;
mod users;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use mongodb::bson::{Bson, Document, doc};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub(super) use self::users::mend;
use super::{Inner, db::Call, documents::id, error::unavailable, queries, sessions};
use crate::{
    ChatId, UserId,
    store::{Result, StoreError},
};

/// Notes that the history of before is adopted: what comes from now on is news.
const NOTE: &str = "adoption";
const PROGRESS: Duration = Duration::from_secs(5);
/// Documents that are looked at in one step.
const STEP: usize = 500;

/// What is known to wait.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Chats with messages that are not adopted yet.
    pairs: DashMap<ChatId, [UserId; 2]>,
    /// Set once it is known which chats these are.
    is_listed: CancellationToken,
    /// Set once every user of before can be found by e-mail in any case.
    pub(super) has_users: CancellationToken,
    /// The history of before is being adopted.
    is_history: AtomicBool,
    adopted: AtomicU64,
}

impl Backlog {
    /// Adopts what waits in this chat. `is_locked`: the caller holds its lock.
    ///
    /// # Errors
    /// When the time is over before all of it is adopted.
    pub(super) async fn clear(
        &self,
        inner: &Inner,
        call: &Call,
        chat: ChatId,
        is_locked: bool,
    ) -> Result<()> {
        wait(call, &self.is_listed).await?;
        let Some(pair) = self.pairs.get(&chat).map(|pair| *pair) else { return Ok(()) };
        let _lock = if is_locked { Vec::new() } else { inner.tails.lock(call, [chat]).await? };
        if !self.pairs.contains_key(&chat) {
            return Ok(());
        }
        let is_history = self.is_history.load(Ordering::Relaxed);
        let adopted = chats::adopt(inner, call, chat, pair, is_history).await?;
        self.adopted.fetch_add(adopted, Ordering::Relaxed);
        self.pairs.remove(&chat);
        Ok(())
    }

    /// Adopts the chat of a message that was found without a place in its log.
    pub(super) async fn clear_of(&self, inner: &Inner, call: &Call, document: &Document) -> Result<()> {
        let Some((chat, pair)) = pair(document) else { return Ok(()) };
        wait(call, &self.is_listed).await?;
        self.pairs.insert(chat, pair);
        self.clear(inner, call, chat, false).await
    }

    /// Lists the chats in which something waits.
    async fn list(&self, call: &Call) -> Result<()> {
        self.is_history.store(sessions::note(call, NOTE).await?.is_none(), Ordering::Relaxed);
        let group = doc! { "_id": { "s": "$senderId", "r": "$receiverId" } };
        let mut command = doc! {
            "aggregate": queries::MESSAGES,
            "pipeline": [{ "$match": { "seq": Bson::Null } }, { "$group": group }],
            "hint": queries::WAITING,
            "allowDiskUse": true,
            "cursor": { "batchSize": 100_000 },
        };
        loop {
            let answer = call.command(&command).await?;
            let cursor = answer.get_document("cursor").map_err(|e| super::error::other(e.to_string()))?;
            let batch = cursor.get_array("firstBatch").or_else(|_| cursor.get_array("nextBatch"));
            for group in batch.map(Vec::as_slice).unwrap_or_default() {
                let Some(group) = group.as_document().and_then(|group| group.get_document("_id").ok()) else {
                    continue;
                };
                let of = doc! { "senderId": group.get("s"), "receiverId": group.get("r") };
                if let Some((chat, pair)) = pair(&of) {
                    self.pairs.insert(chat, pair);
                }
            }
            match cursor.get_i64("id") {
                Ok(0) | Err(_) => return Ok(()),
                Ok(id) => command = doc! { "getMore": id, "collection": queries::MESSAGES },
            }
        }
    }
}

/// The chat of a message of two people, and who they are.
fn pair(document: &Document) -> Option<(ChatId, [UserId; 2])> {
    let sender = UserId::from_bytes(id(document, "senderId")?);
    let receiver = UserId::from_bytes(id(document, "receiverId")?);
    (sender != receiver).then(|| (ChatId::direct(sender, receiver), [sender, receiver]))
}

pub(super) async fn wait(call: &Call, is_done: &CancellationToken) -> Result<()> {
    if is_done.is_cancelled() {
        return Ok(());
    }
    let done = timeout_at(call.deadline, is_done.cancelled()).await;
    done.map_err(|_| unavailable("what another application has written is still being looked through"))
}

/// Adopts what is there, and then what comes, until the store closes.
pub(super) async fn keep_adopting(inner: Arc<Inner>, period: Duration) {
    let stop = inner.db.stop.clone();
    tokio::select! {
        () = adopt_all(&inner, period) => {}
        () = stop.cancelled() => {}
    }
}

async fn adopt_all(inner: &Arc<Inner>, period: Duration) {
    let backlog = &inner.backlog;
    insist("list what another application has written", period, || async {
        backlog.list(&long(inner)).await
    })
    .await;
    backlog.is_listed.cancel();
    insist("adopt users", period, || async { users::adopt(&long(inner)).await }).await;
    backlog.has_users.cancel();
    adopt_history(inner, period).await;
    loop {
        tokio::time::sleep(period).await;
        insist("adopt users", period, || async { users::adopt(&long(inner)).await }).await;
        insist("adopt messages", period, || adopt_news(inner)).await;
    }
}

/// A list may take longer than a call.
fn long(inner: &Inner) -> Call {
    Call { deadline: Instant::now() + Duration::from_secs(600), ..inner.db.call() }
}

async fn adopt_history(inner: &Inner, period: Duration) {
    let backlog = &inner.backlog;
    let chats: Vec<ChatId> = backlog.pairs.iter().map(|entry| *entry.key()).collect();
    let total = chats.len();
    if total > 0 {
        tracing::info!(chats = total, "adopting messages of another application");
    }
    let mut told = Instant::now();
    for chat in chats {
        insist("adopt a chat", period, || async { backlog.clear(inner, &long(inner), chat, false).await })
            .await;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            let messages = backlog.adopted.load(Ordering::Relaxed);
            tracing::info!(
                messages,
                chats_left = backlog.pairs.len(),
                "adopting messages of another application"
            );
        }
    }
    // What no chat can be made of is looked at here for the first time.
    insist("adopt messages", period, || adopt_news(inner)).await;
    if total > 0 {
        let messages = backlog.adopted.load(Ordering::Relaxed);
        tracing::info!(messages, chats = total, "adopted the messages of another application");
    }
    if backlog.is_history.swap(false, Ordering::Relaxed) {
        insist("note what is adopted", period, || async {
            sessions::put_note(&long(inner), NOTE, "done").await
        })
        .await;
    }
}

/// Adopts messages that have come since.
async fn adopt_news(inner: &Inner) -> Result<()> {
    loop {
        let call = long(inner);
        let found = call.find(&queries::waiting(STEP)).await?;
        if found.is_empty() {
            return Ok(());
        }
        let mut chats = HashSet::new();
        for document in &found {
            match pair(document) {
                Some((chat, pair)) => {
                    inner.backlog.pairs.insert(chat, pair);
                    chats.insert(chat);
                }
                None => chats::set_aside(&call, document).await?,
            }
        }
        for chat in chats {
            inner.backlog.clear(inner, &call, chat, false).await?;
        }
    }
}

/// Tries until it works: there is no other way to go on, and nobody to tell but the log.
async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
    what: &str,
    period: Duration,
    work: impl Fn() -> F,
) {
    loop {
        match work().await {
            Ok(_) => return,
            Err(error) => {
                let reason = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, reason, "could not {what}: again soon");
            }
        }
        tokio::time::sleep(period).await;
    }
}
