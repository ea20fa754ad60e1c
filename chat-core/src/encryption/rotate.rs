//! Re-encrypting what is there under the first key, while the server serves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Binding, KeyRing, Opener};
use crate::{
    Result, StoreError,
    store::{BodyChange, MessagePosition, MessageRecord, Store},
};

/// Messages per step: small enough that other writers hardly wait.
const STEP: usize = 200;
const NOTE: &str = "encryption.rotation";
/// Messages that can't be read are named in the log up to so many.
const NAMED: u64 = 20;

/// How a rotation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationReport {
    /// Messages that were looked at.
    pub seen: u64,
    /// Messages that are now under the first key and were not before.
    pub rewritten: u64,
    /// Messages that no key in the ring opens, nor a [`ForeignText`](super::ForeignText); they stay as they are.
    pub unreadable: u64,
}

/// How far it is: kept in the store, so that a restart goes on where it was.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// The id of the key that all shall be under.
    target: String,
    /// The last message that was looked at.
    after: Option<MessagePosition>,
    is_done: bool,
    report: RotationReport,
}

/// Whether a rotation to the ring's first key has not yet come to its end.
pub(super) async fn is_pending(store: &dyn Store, keys: &KeyRing) -> Result<bool> {
    let progress = load(store).await?;
    Ok(progress.is_none_or(|progress| progress.target != keys.first().id() || !progress.is_done))
}

/// At a start: what was noted for another key says nothing about this one, and from now on this one writes.
pub(crate) async fn forget_other_keys(store: &dyn Store, keys: &KeyRing) -> Result<(), StoreError> {
    match store.note(NOTE).await? {
        Some(note) if parse(&note).is_none_or(|progress| progress.target != keys.first().id()) => {
            store.put_note(NOTE, "").await
        }
        _ => Ok(()),
    }
}

/// Walks all messages once, from where an unfinished walk to the same key stopped.
pub(super) async fn rotate(store: Arc<dyn Store>, opener: Opener) -> Result<RotationReport> {
    let keys = opener.keys();
    let target = keys.first().id().to_owned();
    let mut progress = match load(&*store).await? {
        Some(progress) if progress.target == target && !progress.is_done => progress,
        _ => Progress { target, after: None, is_done: false, report: RotationReport::default() },
    };
    loop {
        let messages = store.walk_messages(progress.after, STEP).await?;
        progress.is_done = messages.is_empty();
        let mut changes = Vec::new();
        for message in &messages {
            progress.report.seen += 1;
            progress.after = Some(message.position());
            let is_due = |body: &&String| !body.is_empty() && !keys.is_current(body);
            let Some(old) = message.body.as_ref().filter(is_due) else { continue };
            let binding = Binding::of(message);
            match opener.open(&binding, old) {
                Ok(text) => changes.push(BodyChange {
                    at: message.position(),
                    old: old.clone(),
                    new: keys.seal(&binding, &text),
                }),
                Err(reason) => {
                    progress.report.unreadable += 1;
                    // The first few by name; all of them in the report.
                    if progress.report.unreadable <= NAMED {
                        tracing::warn!(message = %message.id, %reason, "a message can't be re-encrypted");
                    }
                }
            }
        }
        if !changes.is_empty() {
            progress.report.rewritten += store.replace_bodies(changes).await?;
        }
        // After the bodies: a kill between the two repeats a step, which changes nothing.
        store.put_note(NOTE, &serde_json::to_string(&progress).map_err(crate::Error::internal)?).await?;
        if progress.is_done {
            tracing::info!(report = ?progress.report, key = progress.target, "rotation finished");
            return Ok(progress.report);
        }
        tokio::task::yield_now().await;
    }
}

async fn load(store: &dyn Store) -> Result<Option<Progress>> {
    // A note that can't be read is from another version: then the walk begins anew, which is safe.
    Ok(store.note(NOTE).await?.and_then(|note| parse(&note)))
}

fn parse(note: &str) -> Option<Progress> {
    serde_json::from_str(note).ok()
}

impl Binding {
    /// What this message's text is bound to.
    #[must_use]
    pub const fn of(message: &MessageRecord) -> Self {
        Self { chat: message.chat_id, message: message.id, sender: message.sender_id }
    }
}
