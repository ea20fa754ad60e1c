//! Counted connections with a grace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    book::{Book, StoreBook},
    lease::Lease,
    news::News,
    state::State,
    teller,
};
use crate::{
    UserId,
    auth::Blocks,
    events::Hub,
    store::{self, Store},
};

/// Calls of the store at once.
pub(super) const AT_ONCE: usize = 32;

/// Who is here. Cheap to ask; changes are gathered, and then stored and told (`teller.rs`).
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(super) users: DashMap<UserId, State>,
    pub(super) book: Arc<dyn Book>,
    pub(super) news: Arc<News>,
    pub(super) lease: Lease,
    pub(super) stop: CancellationToken,
    grace: Duration,
    /// Names each grace: one that began before something else happened is void.
    epochs: AtomicU64,
    /// Guards may be dropped where there is no runtime.
    runtime: Handle,
}

/// Counts a user as here, until dropped.
#[derive(Debug)]
pub struct PresenceGuard {
    user: UserId,
    tracker: Arc<Tracker>,
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        self.tracker.leave(self.user);
    }
}

impl Tracker {
    /// Begins a lease; whoever was online by one that is over goes offline.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        blocks: Arc<Blocks>,
        hub: Arc<Hub>,
        tasks: &TaskTracker,
        stop: CancellationToken,
        grace: Duration,
    ) -> store::Result<Arc<Self>> {
        Self::begin(Arc::new(StoreBook { store, blocks, hub }), tasks, stop, grace).await
    }

    pub(super) async fn begin(
        book: Arc<dyn Book>,
        tasks: &TaskTracker,
        stop: CancellationToken,
        grace: Duration,
    ) -> store::Result<Arc<Self>> {
        let tracker = Arc::new(Self {
            users: DashMap::new(),
            lease: Lease::begin(&*book).await?,
            book,
            news: Arc::default(),
            stop,
            grace,
            epochs: AtomicU64::new(0),
            runtime: Handle::current(),
        });
        tasks.spawn(super::lease::keep(&tracker));
        tasks.spawn(teller::run(&tracker));
        Ok(tracker)
    }

    pub(crate) fn is_online(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|state| state.is_online)
    }

    pub(crate) fn online(&self) -> usize {
        self.users.len()
    }

    /// Those of whom the user may know that they are here.
    pub(crate) async fn online_partners(&self, user: UserId) -> store::Result<Vec<UserId>> {
        let partners = self.book.heard_by(user).await?;
        let shown = stream::iter(partners)
            .map(async |partner| self.show(partner).await.map(|is_visible| is_visible.then_some(partner)))
            .buffer_unordered(AT_ONCE);
        shown.try_filter_map(async |partner| Ok(partner)).try_collect().await
    }

    /// Whether a user can be seen now. What changes after this is told to who asked, also if it changes back before
    /// the others have heard of it.
    async fn show(&self, user: UserId) -> store::Result<bool> {
        loop {
            if let Some(mut state) = self.users.get_mut(&user) {
                if let Some(is_visible) = state.is_visible() {
                    state.must_tell |= is_visible != state.told;
                    return Ok(is_visible);
                }
            } else {
                return Ok(false);
            }
            self.learn(user).await?;
        }
    }

    /// Asks the store whether the user wants to be seen.
    pub(super) async fn learn(&self, user: UserId) -> store::Result<()> {
        let Some(epoch) = self.users.get(&user).map(|state| state.epoch) else { return Ok(()) };
        let entry = self.book.entry(user).await?;
        let Some(mut state) = self.users.get_mut(&user).filter(|state| state.epoch == epoch) else {
            return Ok(());
        };
        let is_invisible = entry.is_some_and(|entry| entry.is_invisible);
        let doubted_at = state.privacy.doubted_at.take();
        match state.privacy.is_invisible.replace(is_invisible) {
            // It was then that they came or went, as others see it.
            Some(was) if was != is_invisible => state.changed_at = doubted_at,
            // Somebody left them online who is no more.
            None if is_invisible
                && state.stored.is_none()
                && let Some(entry) = entry.filter(|entry| entry.is_online) =>
            {
                (state.stored, state.changed_at) = (Some(true), Some(entry.last_seen));
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn arrive(self: &Arc<Self>, user: UserId) -> PresenceGuard {
        let mut state = self.users.entry(user).or_default();
        state.guards += 1;
        (state.grace, state.visit, state.is_leaving) = (None, None, false);
        if !state.is_online {
            state.is_online = true;
            self.change(user, &mut state);
        }
        PresenceGuard { user, tracker: self.clone() }
    }

    /// The user signed in: stored as online for the grace, within which a connection should come. Nobody is told:
    /// to be here takes a connection.
    pub(crate) fn visit(self: &Arc<Self>, user: UserId) {
        let mut state = self.users.entry(user).or_default();
        if !state.is_online {
            let epoch = self.after_grace(user, |tracker, user, epoch| {
                let Some(mut state) = tracker.users.get_mut(&user) else { return };
                if state.visit == Some(epoch) {
                    state.visit = None;
                    // It was last seen when it signed in.
                    tracker.queue(user, &mut state);
                }
            });
            state.visit = Some(epoch);
        }
        self.change(user, &mut state);
    }

    fn leave(self: &Arc<Self>, user: UserId) {
        let Some(mut state) = self.users.get_mut(&user) else { return };
        state.guards -= 1;
        if state.guards > 0 {
            return;
        }
        if state.is_leaving {
            state.is_online = false;
            self.change(user, &mut state);
            return;
        }
        let epoch = self.after_grace(user, |tracker, user, epoch| {
            let Some(mut state) = tracker.users.get_mut(&user) else { return };
            if state.grace == Some(epoch) {
                (state.is_online, state.grace) = (false, None);
                tracker.change(user, &mut state);
            }
        });
        state.grace = Some(epoch);
    }

    /// The user said good-bye, and the connections that are left are on their way out: no grace after the last.
    pub(crate) fn depart(self: &Arc<Self>, user: UserId) {
        let Some(mut state) = self.users.get_mut(&user) else { return };
        if state.guards > 0 {
            state.is_leaving = true;
        } else if state.is_here() {
            (state.is_online, state.visit, state.grace) = (false, None, None);
            self.change(user, &mut state);
        }
    }

    /// The user may have chosen anew whether to be seen; that is stored already.
    pub(crate) fn reconsider(&self, user: UserId) {
        let Some(mut state) = self.users.get_mut(&user) else { return };
        state.privacy.doubted_at = Some(self.book.now());
        state.epoch += 1;
        self.queue(user, &mut state);
    }

    /// Not among the tasks that a shutdown waits for: then everybody is stored as gone at once.
    fn after_grace(self: &Arc<Self>, user: UserId, then: fn(&Arc<Self>, UserId, u64)) -> u64 {
        let (tracker, epoch) = (self.clone(), self.epochs.fetch_add(1, Ordering::Relaxed));
        self.runtime.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(tracker.grace) => then(&tracker, user, epoch),
                () = tracker.stop.cancelled() => {}
            }
        });
        epoch
    }

    fn change(&self, user: UserId, state: &mut State) {
        state.changed_at = Some(self.book.now());
        self.queue(user, state);
    }

    pub(super) fn queue(&self, user: UserId, state: &mut State) {
        if !state.is_queued {
            state.is_queued = true;
            self.news.put(user);
        }
    }
}
