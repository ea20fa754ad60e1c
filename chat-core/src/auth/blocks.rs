//! Who does not want to hear of whom, at hand.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use tokio::time::Instant;

use crate::{
    Timestamp, UserId,
    store::{Block, Result, Store},
};

/// How long what was read holds, at most: so long a block of another process may go unnoticed.
const FRESH: Duration = Duration::from_secs(5);
/// Users of whom it is kept; past that, all of it is read again.
const KEPT: usize = 16_384;

/// Reads blocks, and keeps them for a moment: each message asks for them.
#[derive(Debug)]
pub(crate) struct Blocks {
    store: Arc<dyn Store>,
    known: DashMap<UserId, (Arc<Relations>, Instant)>,
    /// Counts changes: what was read before one is not kept after it.
    changes: AtomicU64,
}

/// The blocks in which one user has a part.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    blocked: HashSet<UserId>,
    blocked_by: HashMap<UserId, Timestamp>,
}

impl Relations {
    /// Whether the user has blocked this one.
    pub(crate) fn blocks(&self, user: UserId) -> bool {
        self.blocked.contains(&user)
    }

    /// Since when this one has blocked the user, if they have.
    pub(crate) fn blocked_by(&self, user: UserId) -> Option<Timestamp> {
        self.blocked_by.get(&user).copied()
    }

    /// Whether one of the two has blocked the other.
    pub(crate) fn concern(&self, user: UserId) -> bool {
        self.blocks(user) || self.blocked_by.contains_key(&user)
    }

    /// Whom the user has blocked, in no particular order.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = UserId> {
        self.blocked.iter().copied()
    }
}

impl Blocks {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: DashMap::new(), changes: AtomicU64::new(0) }
    }

    /// The blocks in which this user has a part.
    pub(crate) async fn of(&self, user: UserId) -> Result<Arc<Relations>> {
        if let Some(known) = self.known.get(&user).filter(|known| known.1.elapsed() < FRESH) {
            return Ok(known.0.clone());
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let now = Instant::now();
        let mut relations = Relations::default();
        for block in self.store.blocks_of(user).await? {
            if block.by == user {
                relations.blocked.insert(block.user);
            } else {
                relations.blocked_by.insert(block.by, block.at);
            }
        }
        let relations = Arc::new(relations);
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        self.known.insert(user, (relations.clone(), now));
        if self.changes.load(Ordering::SeqCst) != changes {
            // Read in the middle of a change, whose own look at what is known may have come before this.
            self.known.remove(&user);
        }
        Ok(relations)
    }

    pub(crate) async fn block(&self, block: &Block) -> Result<bool> {
        let done = self.store.block(block).await;
        self.forget(block.by, block.user);
        done
    }

    pub(crate) async fn unblock(&self, by: UserId, user: UserId) -> Result<bool> {
        let done = self.store.unblock(by, user).await;
        self.forget(by, user);
        done
    }

    fn forget(&self, by: UserId, user: UserId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known.remove(&by);
        self.known.remove(&user);
    }
}
