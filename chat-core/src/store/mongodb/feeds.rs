//! `Feeds`: what happened, for each user, in buckets of so many entries.
//!
//! A bucket takes entries by one atomic change, which gives them their positions and makes them visible at once: nobody
//! can see an entry while one before it is still to come. The next bucket is made only once a majority has the full one,
//! and readers see only what a majority has, so an election takes nothing back that somebody has read, and leaves no hole.
//!
//! Each addition carries a mark of its own: one whose answer was lost is found again, and not made twice.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use tokio::{
    sync::{self, oneshot},
    time::timeout_at,
};

use super::{
    MongoStore,
    db::{Call, Update, int},
    documents::{from_change, to_change},
    error::{DUPLICATE, copy, other, unavailable},
    queries::{self, FEEDS},
};
use crate::{
    UserId,
    store::{Change, FEED_KEPT, FeedEntry, Feeds, Result, recent::Recent},
};

/// Entries in a bucket: some 20 KB, so that a client that comes back reads one or two.
pub(super) const BUCKET: usize = 256;
const SIZE: u64 = BUCKET as u64;
/// Users share this many locks.
const LOCKS: usize = 256;
/// Buckets that are read at once.
const STEP: u64 = 4;

/// Writes to feeds. Who writes to a feed takes along what others of this process want to write to it meanwhile.
#[derive(Debug)]
pub(super) struct FeedWriter {
    /// The bucket of each user that was the newest when it was last seen.
    heads: Mutex<Recent<u64, UserId>>,
    locks: Vec<sync::Mutex<()>>,
    waiting: Mutex<HashMap<UserId, Vec<Waiting>>>,
    /// Full buckets that are kept.
    kept: AtomicU64,
}

/// Entries on their way into a feed, and who wants to know where they stand.
#[derive(Debug)]
struct Waiting {
    changes: Vec<Change>,
    told: oneshot::Sender<Result<Vec<u64>>>,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FeedWriter {
    pub(super) fn new() -> Self {
        Self {
            heads: Mutex::default(),
            locks: (0..LOCKS).map(|_| sync::Mutex::default()).collect(),
            waiting: Mutex::default(),
            kept: AtomicU64::new(FEED_KEPT.div_ceil(SIZE)),
        }
    }

    /// How many full buckets a feed keeps, for tests.
    #[cfg(test)]
    pub(super) fn keep(&self, buckets: u64) {
        self.kept.store(buckets, Ordering::Relaxed);
    }

    /// Adds entries to a user's feed, in this order, and says where they stand.
    ///
    /// # Errors
    /// When the time is over before it is certain that they are there. They may be.
    pub(super) async fn push(&self, call: &Call, user: UserId, changes: Vec<Change>) -> Result<Vec<u64>> {
        let (told, mut answer) = oneshot::channel();
        open(&self.waiting).entry(user).or_default().push(Waiting { changes, told });
        let lock = &self.locks[usize::from(user.as_bytes()[11]) % LOCKS];
        let guard = timeout_at(call.deadline, lock.lock()).await;
        if let Ok(answer) = answer.try_recv() {
            return answer;
        }
        let Ok(_guard) = guard else { return Err(unavailable("a feed is busy")) };
        let mut waiting = open(&self.waiting).remove(&user).unwrap_or_default();
        // Those who have given up look after it themselves.
        waiting.retain(|waiting| !waiting.told.is_closed());
        let all: Vec<Change> = waiting.iter().flat_map(|waiting| &waiting.changes).copied().collect();
        let mut written = self.write(call, user, &all).await;
        if written.is_err() {
            open(&self.heads).forget(user);
        }
        for Waiting { changes, told } in waiting {
            let own = match &mut written {
                Ok(positions) => Ok(positions.drain(..changes.len().min(positions.len())).collect()),
                Err(error) => Err(copy(error)),
            };
            drop(told.send(own));
        }
        answer.try_recv().unwrap_or_else(|_| Err(other("an entry of a feed was forgotten")))
    }

    async fn write(&self, call: &Call, user: UserId, changes: &[Change]) -> Result<Vec<u64>> {
        let mut positions = Vec::with_capacity(changes.len());
        let known = open(&self.heads).get(user).copied();
        let mut bucket = match known {
            Some(bucket) => bucket,
            None => newest(call, user).await?.map_or(0, |(bucket, _)| bucket),
        };
        let (mut rest, mut room, mut pause) = (changes, BUCKET, Duration::from_millis(2));
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(room));
            let mark = ObjectId::new();
            let mut end = add(call, user, bucket, now, mark).await?;
            if end.is_none() {
                // It is full, or too full, or not there, or an attempt of before has done it.
                let there = call.find_durable(&queries::bucket(user, bucket)).await?.into_iter().next();
                let entries = there.as_ref().and_then(|there| there.get_array("entries").ok());
                let count = entries.map(Vec::len);
                end = entries.and_then(|entries| end_of(entries, mark));
                match (end, count) {
                    (Some(_), _) => {}
                    (None, Some(count)) if count < BUCKET => {
                        let is_enough = BUCKET - count >= now.len();
                        room = BUCKET - count;
                        // What stands in the way is not durable yet.
                        if is_enough && !call.pause(&mut pause).await {
                            return Err(unavailable("others write to this feed faster than can be followed"));
                        }
                    }
                    (None, _) => (bucket, room) = (self.next(call, user).await?, BUCKET),
                }
            }
            if let Some(end) = end {
                let end = bucket * SIZE + end;
                positions.extend(end + 1 - now.len() as u64..=end);
                open(&self.heads).put(user, bucket);
                (rest, room) = (later, BUCKET);
            }
        }
        Ok(positions)
    }

    /// The bucket that has room, or had just now; made where there is none.
    async fn next(&self, call: &Call, user: UserId) -> Result<u64> {
        let next = match newest(call, user).await? {
            Some((bucket, count)) if count < SIZE => return Ok(bucket),
            Some((bucket, _)) => bucket + 1,
            None => 0,
        };
        let empty = doc! { "_id": queries::bucket_id(user, next), "n": 0, "entries": [] };
        let written = call.insert(FEEDS, vec![empty], true).await?;
        // A duplicate: somebody else has just made it.
        if let Some(failed) = written.failed.into_iter().find(|failed| failed.code != DUPLICATE) {
            return Err(other(failed.message));
        }
        let oldest = next.saturating_sub(self.kept.load(Ordering::Relaxed));
        if oldest > 0 {
            let call = call.db.call();
            call.db.clone().tasks.spawn(async move {
                if let Err(error) = call.delete(FEEDS, queries::buckets_before(user, oldest)).await {
                    tracing::debug!(%error, "the end of a feed stays for now");
                }
            });
        }
        Ok(next)
    }
}

/// Adds entries to a bucket that has room for them all; returns how many are in it then.
async fn add(
    call: &Call,
    user: UserId,
    bucket: u64,
    changes: &[Change],
    mark: ObjectId,
) -> Result<Option<u64>> {
    let mut entries: Vec<Document> = changes.iter().map(from_change).collect();
    if let Some(last) = entries.last_mut() {
        last.insert("x", mark);
    }
    let count = i32::try_from(entries.len()).unwrap_or(i32::MAX);
    let most = i32::try_from(BUCKET).unwrap_or(i32::MAX) - count;
    let filter = doc! {
        "_id": queries::bucket_id(user, bucket), "n": { "$lte": most }, "entries.x": { "$ne": mark },
    };
    let change = doc! { "$push": { "entries": { "$each": entries } }, "$inc": { "n": count } };
    let update = Update { filter, change, upsert: false };
    let added = call.modify(FEEDS, update, Some(doc! { "n": 1 })).await?.document;
    Ok(added.map(|bucket| u64::try_from(int(&bucket, "n")).unwrap_or_default()))
}

/// Up to where the entries go that were added under this mark.
fn end_of(entries: &[Bson], mark: ObjectId) -> Option<u64> {
    let has_mark = |entry: &Bson| entry.as_document()?.get_object_id("x").ok();
    entries.iter().position(|entry| has_mark(entry) == Some(mark)).map(|index| index as u64 + 1)
}

/// The newest bucket of a feed, and how many entries it has.
async fn newest(call: &Call, user: UserId) -> Result<Option<(u64, u64)>> {
    let found = call.find_durable(&queries::newest_bucket(user)).await?;
    Ok(found.first().and_then(|bucket| {
        Some((queries::bucket_number(bucket)?, u64::try_from(int(bucket, "n")).unwrap_or_default()))
    }))
}

#[async_trait]
impl Feeds for MongoStore {
    async fn feed_end(&self, user: UserId) -> Result<u64> {
        self.run(async move |inner, call| {
            let known = open(&inner.feeds.heads).get(user).copied();
            if let Some(known) = known {
                let found = call.find_durable(&queries::bucket_counts(user, known, known + 1)).await?;
                let last = found.iter().filter_map(|b| Some((queries::bucket_number(b)?, int(b, "n")))).max();
                // Unless others have gone on by more than that.
                if let Some((bucket, count)) = last.filter(|(bucket, n)| (*bucket, *n) < (known + 1, 256)) {
                    return Ok(bucket * SIZE + u64::try_from(count).unwrap_or_default());
                }
            }
            Ok(newest(&call, user).await?.map_or(0, |(bucket, count)| bucket * SIZE + count))
        })
        .await
    }

    async fn feed(&self, user: UserId, after: u64, limit: usize) -> Result<Option<Vec<FeedEntry>>> {
        self.run(async move |_, call| feed(&call, user, after, limit.max(1)).await).await
    }

    async fn told_late(&self) -> Vec<UserId> {
        self.inner.late.take().await
    }
}

async fn feed(call: &Call, user: UserId, after: u64, limit: usize) -> Result<Option<Vec<FeedEntry>>> {
    let (begin, skipped) = (after / SIZE, after % SIZE);
    let mut entries: Vec<FeedEntry> = Vec::new();
    let mut bucket = begin;
    loop {
        let wanted = (limit - entries.len()) as u64;
        let last = bucket.saturating_add((wanted.saturating_add(SIZE - 1) / SIZE).min(STEP));
        let found = call.find_durable(&queries::buckets(user, bucket, last)).await?;
        let mut found: HashMap<u64, Document> =
            found.into_iter().filter_map(|b| Some((queries::bucket_number(&b)?, b))).collect();
        if bucket == begin && !found.contains_key(&begin) {
            match missing(call, user, after).await? {
                Missing::End => return Ok(Some(entries)),
                Missing::Gone => return Ok(None),
                Missing::New => continue,
            }
        }
        while let Some(document) = found.remove(&bucket) {
            let all = document.get_array("entries").map(Vec::as_slice).unwrap_or_default();
            let skip = if bucket == begin { skipped } else { 0 };
            if (all.len() as u64) < skip {
                return Ok(None);
            }
            for (position, entry) in
                (bucket * SIZE + 1..).zip(all).skip(usize::try_from(skip).unwrap_or_default())
            {
                let change = entry.as_document().and_then(to_change);
                let change =
                    change.ok_or_else(|| other("an entry of a feed that this version can't read"))?;
                entries.push(FeedEntry { position, change });
                if entries.len() == limit {
                    return Ok(Some(entries));
                }
            }
            // What stands in the next one is after this one's end, which is still to come.
            if all.len() < BUCKET {
                return Ok(Some(entries));
            }
            bucket += 1;
        }
        if bucket <= last {
            return Ok(Some(entries));
        }
    }
}

/// Why a bucket is not there.
enum Missing {
    /// The feed ends just before it.
    End,
    /// The feed does not go back that far, or has never come so far.
    Gone,
    /// It was made this moment.
    New,
}

async fn missing(call: &Call, user: UserId, after: u64) -> Result<Missing> {
    Ok(match newest(call, user).await? {
        Some((bucket, _)) if bucket == after / SIZE => Missing::New,
        Some((bucket, count)) if bucket * SIZE + count == after => Missing::End,
        None if after == 0 => Missing::End,
        _ => Missing::Gone,
    })
}

/// Writes to the feeds of several, at the same time.
pub(super) async fn push_to_each(
    feeds: &FeedWriter,
    call: &Call,
    changes: HashMap<UserId, Vec<Change>>,
) -> Vec<(UserId, Result<Vec<u64>>)> {
    let push = changes
        .into_iter()
        .map(|(user, changes)| async move { (user, feeds.push(call, user, changes).await) });
    futures_util::future::join_all(push).await
}
