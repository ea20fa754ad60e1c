//! Processes, and a store in memory that they share.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::{
        book::{Book, BookEntry},
        tracker::Tracker,
    },
    GRACE,
};
use crate::{
    StoreError, Timestamp, UserId,
    events::{Event, SharedEvent},
    store::Result,
};

/// What all processes share.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) entries: HashMap<UserId, Entry>,
    pub(super) leases: HashMap<String, Timestamp>,
    pub(super) blocks: HashSet<(UserId, UserId)>,
    /// Everybody shares a chat with everybody.
    pub(super) people: Vec<UserId>,
    pub(super) writes: Vec<(UserId, bool)>,
    /// To whom, of whom, what, and when that was.
    pub(super) told: Vec<(UserId, UserId, bool, Timestamp)>,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) is_invisible: bool,
    pub(super) is_online: bool,
    pub(super) last_seen: Timestamp,
    pub(super) lease: String,
}

/// The store as one process reaches it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) start: Instant,
    pub(super) is_away: AtomicBool,
    pub(super) is_exclusive: bool,
    /// How long each call takes.
    pub(super) takes: Duration,
    pub(super) calls: AtomicUsize,
    pub(super) at_once: AtomicUsize,
    pub(super) most_at_once: AtomicUsize,
}

impl Memory {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(super) async fn call(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        sleep(self.takes).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if self.is_away.load(Ordering::SeqCst) { Err(StoreError::Unavailable("away".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Book for Memory {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000_000_000).plus(self.start.elapsed())
    }

    fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    async fn renew(&self, lease: &str) -> Result<()> {
        let now = self.now();
        self.call().await?;
        self.world().leases.insert(lease.to_owned(), now);
        Ok(())
    }

    async fn end(&self, lease: &str) -> Result<u64> {
        self.call().await?;
        let (now, mut world) = (self.now(), self.world());
        world.leases.remove(lease);
        for entry in world.entries.values_mut().filter(|entry| entry.is_online && entry.lease == lease) {
            (entry.is_online, entry.last_seen) = (false, entry.last_seen.max(now));
        }
        Ok(0)
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        self.call().await?;
        let mut world = self.world();
        let World { leases, entries, .. } = &mut *world;
        for entry in entries.values_mut().filter(|entry| entry.is_online) {
            let renewed = leases.get(&entry.lease).copied();
            if renewed.is_none_or(|renewed| renewed < before) {
                (entry.is_online, entry.last_seen) =
                    (false, renewed.unwrap_or(entry.last_seen).max(entry.last_seen));
            }
        }
        leases.retain(|_, renewed| *renewed >= before);
        Ok(0)
    }

    async fn note(&self, user: UserId, is_online: bool, at: Timestamp, lease: &str) -> Result<()> {
        self.call().await?;
        let mut world = self.world();
        world.writes.push((user, is_online));
        let entry = world.entries.get_mut(&user).unwrap();
        (entry.is_online, entry.last_seen, entry.lease) = (is_online, at, lease.to_owned());
        Ok(())
    }

    async fn entry(&self, user: UserId) -> Result<Option<BookEntry>> {
        // As it is when it is asked: what is answered may be old.
        let entry = self.world().entries.get(&user).cloned();
        self.call().await?;
        Ok(entry.map(|entry| BookEntry {
            is_invisible: entry.is_invisible,
            is_online: entry.is_online,
            last_seen: entry.last_seen,
        }))
    }

    async fn listeners(&self, user: UserId) -> Result<Vec<UserId>> {
        let listeners = {
            let world = self.world();
            let may = |other: &UserId| *other != user && !world.blocks.contains(&(user, *other));
            world.people.iter().copied().filter(may).collect()
        };
        // The longest of all: others come in between.
        sleep(self.takes * 3).await;
        self.call().await?;
        Ok(listeners)
    }

    async fn heard_by(&self, user: UserId) -> Result<Vec<UserId>> {
        let heard = {
            let world = self.world();
            let may = |other: &UserId| *other != user && !world.blocks.contains(&(*other, user));
            world.people.iter().copied().filter(may).collect()
        };
        self.call().await?;
        Ok(heard)
    }

    async fn hears(&self, user: UserId, listener: UserId) -> Result<Option<bool>> {
        let hears = {
            let world = self.world();
            let is_partner = world.people.contains(&listener);
            is_partner.then(|| !world.blocks.contains(&(user, listener)))
        };
        self.call().await?;
        Ok(hears)
    }

    fn tell(&self, listener: UserId, event: &SharedEvent) {
        let Event::Presence { user_id, is_online, last_seen } = **event else { panic!() };
        self.world().told.push((listener, user_id, is_online, last_seen));
    }
}

/// A process.
pub(super) struct Node {
    pub(super) memory: Arc<Memory>,
    pub(super) tracker: Arc<Tracker>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// A world with these people, and one process in it.
pub(super) async fn node<const N: usize>() -> (Node, [UserId; N]) {
    let people = std::array::from_fn(|_| UserId::generate(Timestamp::now()));
    let world = Arc::new(Mutex::new(World::default()));
    let start = Instant::now();
    {
        let mut world = world.lock().unwrap();
        world.people = people.to_vec();
        let last_seen = Timestamp::from_millis(0);
        let entry = Entry { is_invisible: false, is_online: false, last_seen, lease: String::new() };
        world.entries = people.iter().map(|user| (*user, entry.clone())).collect();
    }
    (Node::start(world, start, false).await, people)
}

impl Node {
    pub(super) async fn start(world: Arc<Mutex<World>>, start: Instant, is_exclusive: bool) -> Self {
        let memory = Arc::new(Memory {
            world,
            start,
            is_away: AtomicBool::new(false),
            is_exclusive,
            takes: Duration::from_millis(1),
            calls: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let tracker = Tracker::begin(memory.clone(), &tasks, stop.clone(), GRACE).await.unwrap();
        Self { memory, tracker, tasks, stop }
    }

    /// Another process in the same world.
    pub(super) async fn another(&self, is_exclusive: bool) -> Self {
        Self::start(self.memory.world.clone(), self.memory.start, is_exclusive).await
    }

    /// As `kill -9` does: from now on it reaches nothing.
    pub(super) fn kill(&self) {
        self.set_away(true);
        self.stop.cancel();
    }

    pub(super) async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.tracker.close().await;
    }

    pub(super) fn set_away(&self, is_away: bool) {
        self.memory.is_away.store(is_away, Ordering::SeqCst);
    }

    pub(super) fn stored(&self, user: UserId) -> (bool, Timestamp) {
        let entry = self.memory.world().entries[&user].clone();
        (entry.is_online, entry.last_seen)
    }

    /// What one was told of another since this was asked.
    pub(super) fn told(&self, listener: UserId, user: UserId) -> Vec<bool> {
        let mut told = Vec::new();
        self.memory.world().told.retain(|(to, of, is_online, _)| {
            let is_it = (*to, *of) == (listener, user);
            told.extend(is_it.then_some(*is_online));
            !is_it
        });
        told
    }

    pub(super) async fn choose(&self, user: UserId, is_invisible: bool) {
        self.memory.world().entries.get_mut(&user).unwrap().is_invisible = is_invisible;
        self.tracker.reconsider(user);
    }

    pub(super) async fn block(&self, by: UserId, user: UserId, is_on: bool) {
        if is_on {
            self.memory.world().blocks.insert((by, user));
        } else {
            self.memory.world().blocks.remove(&(by, user));
        }
        self.tracker.tell_of_block(by, user, self.memory.now()).await.unwrap();
    }

    pub(super) async fn seen_by(&self, user: UserId) -> HashSet<UserId> {
        self.tracker.online_partners(user).await.unwrap().into_iter().collect()
    }
}
