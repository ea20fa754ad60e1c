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
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use mongodb::bson::{Document, oid::ObjectId};
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
    /// Messages that can't be changed: a validator of the collection forbids it, or their size.
    left_out: DashMap<String, ()>,
    /// Set once the history of before is adopted.
    is_history_done: CancellationToken,
    adopted: AtomicU64,
}

impl Backlog {
    /// Adopts what waits in this chat; `pair`: who it is of, if that is known.
    ///
    /// # Errors
    /// When the time is over before all of it is adopted.
    pub(super) async fn clear(
        &self,
        inner: &Inner,
        call: &Call,
        chat: ChatId,
        pair: Option<[UserId; 2]>,
    ) -> Result<()> {
        let listed = self.pairs.get(&chat).map(|pair| *pair);
        let pair = match (listed, pair) {
            (Some(pair), _) => pair,
            (None, _) if self.is_listed.is_cancelled() => return Ok(()),
            (None, Some(pair)) => pair,
            // Nobody can say whose chat it is before all are listed, or there is none.
            (None, None) => {
                wait(call, &self.is_listed).await?;
                let Some(pair) = self.pairs.get(&chat).map(|pair| *pair) else { return Ok(()) };
                pair
            }
        };
        let is_history = self.is_history(call).await?;
        let adopted = chats::adopt(inner, call, chat, pair, is_history).await?;
        self.adopted.fetch_add(adopted, Ordering::Relaxed);
        self.pairs.remove(&chat);
        Ok(())
    }

    /// Adopts the chat of a message that was found without a place in its log.
    pub(super) async fn clear_of(&self, inner: &Inner, call: &Call, document: &Document) -> Result<()> {
        let Some((chat, pair)) = pair(document) else { return Ok(()) };
        self.pairs.insert(chat, pair);
        self.clear(inner, call, chat, Some(pair)).await
    }

    /// Whether what waits is of before, and not news.
    async fn is_history(&self, call: &Call) -> Result<bool> {
        if self.is_history_done.is_cancelled() {
            return Ok(false);
        }
        let is_done = sessions::note(call, NOTE).await?.is_some();
        if is_done {
            self.is_history_done.cancel();
        }
        Ok(!is_done)
    }

    /// Lists the chats in which something waits: from pair to pair along the index, so that it costs by how many
    /// chats there are and not by how many messages.
    async fn list(&self, call: impl Fn() -> Call) -> Result<()> {
        let mut sender = ObjectId::from_bytes([0; 12]);
        while let Some(found) = call().first(&queries::next_waiting_sender(sender)).await? {
            let Ok(next) = found.get_object_id("senderId") else { return Ok(()) };
            sender = next;
            let mut receiver = ObjectId::from_bytes([0; 12]);
            while let Some(found) = call().first(&queries::next_waiting_receiver(sender, receiver)).await? {
                let Ok(next) = found.get_object_id("receiverId") else { break };
                receiver = next;
                if let Some((chat, pair)) = pair(&found) {
                    self.pairs.insert(chat, pair);
                }
            }
        }
        Ok(())
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
    let list = async {
        insist("list what another application has written", period, || backlog.list(|| long(inner))).await;
        backlog.is_listed.cancel();
    };
    let users = async {
        insist("adopt users", period, || async { users::adopt(&long(inner)).await }).await;
        backlog.has_users.cancel();
    };
    tokio::join!(list, users);
    adopt_history(inner, period).await;
    loop {
        tokio::time::sleep(period).await;
        insist("adopt users", period, || async { users::adopt(&long(inner)).await }).await;
        insist("adopt messages", period, || adopt_news(inner)).await;
    }
}

/// What runs in the background has more time than somebody who waits.
fn long(inner: &Inner) -> Call {
    let patience = Duration::from_secs(60);
    Call { deadline: Instant::now() + Duration::from_secs(600), patience, ..inner.db.call() }
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
        insist("adopt a chat", period, || async { backlog.clear(inner, &long(inner), chat, None).await })
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
    insist("note what is adopted", period, || async { sessions::put_note(&long(inner), NOTE, "done").await })
        .await;
    backlog.is_history_done.cancel();
}

/// Adopts messages that have come since.
async fn adopt_news(inner: &Inner) -> Result<()> {
    loop {
        let call = long(inner);
        let found = call.find(&queries::waiting(STEP)).await?;
        let mut chats = HashMap::new();
        for document in &found {
            match pair(document) {
                Some((chat, pair)) => drop(chats.insert(chat, pair)),
                None => chats::set_aside(&call, document).await?,
            }
        }
        let before = inner.backlog.adopted.load(Ordering::Relaxed);
        for (chat, pair) in chats {
            inner.backlog.pairs.insert(chat, pair);
            inner.backlog.clear(inner, &call, chat, Some(pair)).await?;
        }
        // What is left can't be changed, or comes in the next round.
        if found.len() < STEP || inner.backlog.adopted.load(Ordering::Relaxed) == before {
            return Ok(());
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
