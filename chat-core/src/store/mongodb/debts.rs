//! What an append owes to the lists of its members: their order, and the sender's watermark.
//!
//! The log is the truth; these are derived from it, and paid right after the insert, before anybody is answered. When
//! that fails they are owed, and paid as soon as the server is back. `$max` makes payments commute, so it does not
//! matter who pays first, in which process, and how often.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mongodb::bson::doc;
use tokio::time::Instant;

use super::{
    db::{Call, Db, Update},
    documents::{date, signed},
    queries::{self, MEMBERS},
};
use crate::{ChatId, Timestamp, UserId, store::Result};

/// How long the sender of a message waits for it.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How often to try.
const PERIOD: Duration = Duration::from_secs(1);
/// Payments in one command.
const STEP: usize = 1_000;

/// One member's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owed {
    pub(super) chat: ChatId,
    pub(super) user: UserId,
    pub(super) last_seq: u64,
    pub(super) last_at: Timestamp,
    /// 0 when the member's watermark does not move.
    pub(super) read_seq: u64,
}

#[derive(Debug, Default)]
pub(super) struct Debts(Mutex<HashMap<(ChatId, UserId), Owed>>);

impl Debts {
    fn open(&self) -> MutexGuard<'_, HashMap<(ChatId, UserId), Owed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when something is owed, if anything is.
    pub(super) fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    /// Notes something for the next payment.
    pub(super) fn add(&self, owed: Owed) {
        let mut open = self.open();
        let entry = open.entry((owed.chat, owed.user)).or_insert(owed);
        entry.last_seq = entry.last_seq.max(owed.last_seq);
        entry.last_at = entry.last_at.max(owed.last_at);
        entry.read_seq = entry.read_seq.max(owed.read_seq);
    }

    /// Pays now; what can't be paid is owed. The messages stand in any case.
    pub(super) async fn pay_at_once(&self, call: &Call, owed: impl Iterator<Item = Owed>) {
        let owed: Vec<Owed> = owed.collect();
        // The messages are there: who sent them need not wait long for lists.
        let deadline = call.deadline.min(Instant::now() + AT_ONCE);
        if let Err(error) = pay(&Call { deadline, is_probe: true, ..call.clone() }, &owed).await {
            tracing::warn!(%error, "lists of chats are brought up to date later");
            owed.into_iter().for_each(|owed| self.add(owed));
        }
    }

    /// Pays what is owed.
    pub(super) async fn pay_all(&self, call: &Call) -> Result<()> {
        let owed: Vec<Owed> = self.open().values().copied().collect();
        for step in owed.chunks(STEP) {
            pay(call, step).await?;
            let mut open = self.open();
            for paid in step {
                // Not what came on top of it meanwhile.
                if open.get(&(paid.chat, paid.user)).is_some_and(|now| {
                    (now.last_seq, now.last_at, now.read_seq) == (paid.last_seq, paid.last_at, paid.read_seq)
                }) {
                    open.remove(&(paid.chat, paid.user));
                }
            }
        }
        Ok(())
    }

    /// Pays what is owed, until the store closes.
    pub(super) async fn keep_paying(&self, db: &std::sync::Arc<Db>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = db.stop.cancelled() => return,
            }
            if !self.is_empty()
                && let Err(error) = self.pay_all(&db.call()).await
            {
                tracing::debug!(%error, "lists of chats are still behind");
            }
        }
    }
}

pub(super) async fn pay(call: &Call, owed: &[Owed]) -> Result<()> {
    if owed.is_empty() {
        return Ok(());
    }
    let update = |owed: &Owed| {
        let mut most = doc! { "lastSeq": signed(owed.last_seq), "lastAt": date(owed.last_at) };
        if owed.read_seq > 0 {
            most.insert("readSeq", signed(owed.read_seq));
        }
        let filter = queries::membership(owed.chat, owed.user);
        Update { filter, change: doc! { "$max": most }, upsert: false }
    };
    call.update(MEMBERS, owed.iter().map(update).collect(), false).await.map(drop)
}
