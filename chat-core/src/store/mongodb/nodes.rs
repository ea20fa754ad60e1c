//! What a process that was killed still owed.
//!
//! Between the insert of a message and the update of its members' lists and feeds a process can die. So each leaves word of
//! itself: until when it had paid all it owed, and when it was last there. Whoever finds one that has not been there
//! for a minute looks through the messages of the time in between, and pays. Paying twice changes nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use mongodb::bson::{DateTime, doc, oid::ObjectId};
use tokio::time::Instant;

use super::{
    Inner,
    db::{Call, Update},
    debts::{Owed, gather, open, owed_for, pay_all, pay_or_owe},
    documents::{date, timestamp, to_member, to_message},
    queries::{self, NOTES},
    untold,
};
use crate::{ChatId, Timestamp, UserId, store::Result};

/// How often a process says that it is there.
const BEAT: Duration = Duration::from_secs(5);
/// Without word for so long, it is gone.
const GONE: Duration = Duration::from_secs(60);
/// Members of chats that are looked after in one step.
const STEP: usize = 500;
/// From when a message gets its id until its members' lists know of it, at the most.
const IN_FLIGHT: Duration = Duration::from_secs(120);

/// A name that no other process has.
pub(super) fn name() -> String {
    format!("{}{}", queries::NODE, ObjectId::new())
}

/// Beats until the store closes.
pub(super) async fn keep_beating(inner: Arc<Inner>) {
    let mut beats = 0_u32;
    loop {
        let work = async {
            beat(&inner, &inner.db.call()).await?;
            let swept = untold::sweep(&inner).await;
            if beats.is_multiple_of(6) {
                take_over(&inner).await?;
            }
            swept
        };
        let done = tokio::select! {
            done = work => done,
            () = inner.db.stop.cancelled() => break,
        };
        if let Err(error) = done {
            tracing::debug!(%error, "this process could not say that it is there");
        }
        beats = beats.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = inner.db.stop.cancelled() => break,
        }
    }
}

/// A write of no use but this: it says that the process is there, and whether writes are durable in time.
pub(super) async fn beat(inner: &Inner, call: &Call) -> Result<()> {
    let mut change = doc! { "$currentDate": { "seen": true } };
    if inner.debts.is_empty() {
        change.insert("$set", doc! { "settled": date(before(Timestamp::now(), IN_FLIGHT)) });
    }
    let update = Update { filter: queries::by_id(&*inner.node), change, upsert: true };
    let beaten = call.update(NOTES, vec![update], true).await;
    inner.can_write.store(beaten.is_ok(), Ordering::Relaxed);
    beaten.map(drop)
}

/// At the very end, when no call is under way: pays what is left, and leaves no word behind.
pub(super) async fn sign_off(inner: &Inner) {
    let call = inner.db.call();
    let work = async {
        pay_all(inner, &call).await?;
        inner.debts.note_told(&call).await?;
        if inner.untold.is_behind() {
            untold::sweep(inner).await?;
        }
        call.delete(NOTES, queries::by_id(&*inner.node)).await
    };
    if let Err(error) = work.await {
        tracing::warn!(%error, "lists of chats stay behind until another process looks after them");
    }
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

/// Pays for those who are gone.
async fn take_over(inner: &Inner) -> Result<()> {
    let call = inner.db.call();
    // The server's clock: that of whoever is gone may have been wrong.
    let hello = call.command(&doc! { "hello": 1 }).await?;
    let now = hello.get_datetime("localTime").copied().unwrap_or_else(|_| DateTime::from(SystemTime::now()));
    let gone = before(Timestamp::from_millis(now.timestamp_millis()), GONE);
    for node in call.find(&queries::nodes()).await? {
        let (Ok(name), Some(seen)) = (node.get_str("_id"), timestamp(&node, "seen")) else { continue };
        if name == inner.node || seen >= gone {
            continue;
        }
        // One that never had word of a payment owes at most what it did since it began.
        let from = timestamp(&node, "settled").unwrap_or_else(|| before(seen, IN_FLIGHT));
        let is_taken = open(&inner.debts.taken).contains(name);
        if !is_taken {
            settle(inner, from, seen.plus(IN_FLIGHT)).await?;
            open(&inner.debts.taken).insert(name.to_owned());
        }
        // Until all is paid it is another process's to look after, should this one end without a word, too.
        if inner.debts.is_empty() {
            call.delete(NOTES, queries::by_id(name)).await?;
            open(&inner.debts.taken).remove(name);
            tracing::info!("looked after the messages of a process that had ended without a word");
        }
    }
    Ok(())
}

/// Brings lists and feeds up to date with the messages of this time. Feeds tell once more of what is not noted as told.
async fn settle(inner: &Inner, from: Timestamp, to: Timestamp) -> Result<()> {
    let second = Duration::from_secs(1);
    let long = || Call { deadline: Instant::now() + Duration::from_secs(60), ..inner.db.call() };
    let mut owed: HashMap<(ChatId, UserId), Owed> = HashMap::new();
    let mut at = from;
    while at < to {
        let found = long().find(&queries::written_between(at, at.plus(second))).await?;
        let new = found.iter().filter_map(to_message).flat_map(|message| owed_for(&message));
        owed = gather(owed.into_values().chain(new));
        at = at.plus(second);
    }
    let mut owed: Vec<Owed> = owed.into_values().collect();
    for step in owed.chunks_mut(STEP) {
        let chats: HashSet<ChatId> = step.iter().map(|owed| owed.chat).collect();
        let members = long().find(&queries::members_of(chats)).await?;
        let told: HashMap<(ChatId, UserId), u64> = members
            .iter()
            .filter_map(to_member)
            .filter_map(|member| Some(((member.chat, member.user), member.told_seq?)))
            .collect();
        for owed in step.iter_mut() {
            let known = told.get(&(owed.chat, owed.user)).copied().unwrap_or_default();
            owed.told = owed.told.map(|(from, to)| (from.max(known + 1), to)).filter(|(from, to)| from <= to);
        }
        let (places, failure) = pay_or_owe(inner, &long(), step).await;
        inner.late.add(places.into_keys().map(|(_, user)| user));
        if let Some(error) = failure {
            tracing::debug!(%error, "what a process owed that is gone is owed by this one now");
        }
    }
    Ok(())
}
