//! Where the buckets are: a map that does not grow without end.

use std::{
    hash::Hash,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use dashmap::{DashMap, Entry};
use governor::{
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};

/// One bucket per key, up to a number of keys; newcomers beyond it share one bucket.
///
/// governor's own store takes every key that comes. With it, whoever has many addresses could fill the memory.
#[derive(Debug)]
pub(super) struct Buckets<K: Eq + Hash> {
    buckets: DashMap<K, Nanos>,
    /// The map's length, kept beside it: asking the map takes a lock for each of its parts.
    count: AtomicUsize,
    most: usize,
    overflow: Mutex<Option<Nanos>>,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(super) fn new(most: usize) -> Self {
        Self { buckets: DashMap::new(), count: AtomicUsize::new(0), most, overflow: Mutex::new(None) }
    }
}

impl<K: Eq + Hash + Clone> StateStore for Buckets<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // The entry holds the lock on its part of the map, so two visits of one key are judged one after the other.
        match self.buckets.entry(key.clone()) {
            Entry::Occupied(mut bucket) => {
                let (verdict, next) = judge(Some(*bucket.get()))?;
                bucket.insert(next);
                Ok(verdict)
            }
            Entry::Vacant(place) => {
                // Taken before it is used: however many come at once, there are never more.
                let taken = self
                    .count
                    .fetch_update(Relaxed, Relaxed, |count| (count < self.most).then_some(count + 1));
                if taken.is_ok() {
                    // A fresh bucket lets everybody in; should one ever not, its place is given back.
                    let judged = judge(None);
                    if let Ok((_, next)) = &judged {
                        place.insert(*next);
                    } else {
                        self.count.fetch_sub(1, Relaxed);
                    }
                    return judged.map(|(verdict, _)| verdict);
                }
                drop(place);
                // Nothing panics under this lock; and a number is never half written.
                let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
                let (verdict, next) = judge(*overflow)?;
                *overflow = Some(next);
                Ok(verdict)
            }
        }
    }
}

impl<K: Eq + Hash + Clone> ShrinkableKeyedStateStore<K> for Buckets<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.buckets.retain(|_, full_at| {
            let keep = *full_at > drop_below;
            if !keep {
                self.count.fetch_sub(1, Relaxed);
            }
            keep
        });
    }

    fn shrink_to_fit(&self) {
        self.buckets.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
