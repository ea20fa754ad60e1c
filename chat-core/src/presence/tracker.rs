//! Counted connections with a grace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::{DashMap, Entry};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Timestamp, UserId,
    events::{Event, Hub, SharedEvent, Standing},
    store::{self, Store},
};

/// How long to wait at the most before a store that is away is asked again to note who came or went.
const BACK_OFF: Duration = Duration::from_secs(5);

/// Who is here. Cheap to ask; a change is stored and told in a task of its own, one per user at a time, so that two
/// quick changes can't overtake each other.
#[derive(Debug)]
pub(crate) struct Tracker {
    users: DashMap<UserId, State>,
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    tasks: TaskTracker,
    stop: CancellationToken,
    grace: Duration,
    /// Names each grace: one that began before something else happened is void.
    epochs: AtomicU64,
    /// Guards may be dropped where there is no runtime.
    runtime: Handle,
}

#[derive(Debug, Default)]
struct State {
    guards: usize,
    /// The grace that runs, if one does.
    grace: Option<u64>,
    /// Said good-bye: the last guard goes without a grace.
    is_leaving: bool,
    /// Has a connection, or had one until a moment ago.
    is_online: bool,
    /// Signed in a moment ago, and no connection has come yet: names that sign-in.
    visit: Option<u64>,
    changed_at: Option<Timestamp>,
    /// What those who share a chat were told last.
    told: bool,
    /// Something changed that is not stored and told yet.
    is_news: bool,
    /// A task is busy storing and telling; it looks again when it is done.
    is_being_told: bool,
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
    pub(crate) fn new(
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        tasks: TaskTracker,
        stop: CancellationToken,
        grace: Duration,
    ) -> Self {
        Self {
            users: DashMap::new(),
            store,
            hub,
            tasks,
            stop,
            grace,
            epochs: AtomicU64::new(0),
            runtime: Handle::current(),
        }
    }

    pub(crate) fn is_online(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|state| state.is_online)
    }

    pub(crate) fn online(&self) -> usize {
        self.users.len()
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
                    let seen = state.changed_at;
                    tracker.change(user, &mut state);
                    state.changed_at = seen;
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
        } else if state.is_online || state.visit.is_some() {
            (state.is_online, state.visit, state.grace) = (false, None, None);
            self.change(user, &mut state);
        }
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

    fn change(self: &Arc<Self>, user: UserId, state: &mut State) {
        state.changed_at = Some(Timestamp::now());
        state.is_news = true;
        if !state.is_being_told {
            state.is_being_told = true;
            self.tasks.spawn_on(self.clone().tell(user), &self.runtime);
        }
    }

    /// Stores and tells the present state, until it is no longer news.
    async fn tell(self: Arc<Self>, user: UserId) {
        loop {
            let (is_online, is_stored_online, at, is_worth_telling) = match self.users.entry(user) {
                Entry::Occupied(mut entry) => {
                    let state = entry.get_mut();
                    if !state.is_news {
                        state.is_being_told = false;
                        if !state.is_online && state.guards == 0 && state.visit.is_none() {
                            entry.remove();
                        }
                        return;
                    }
                    state.is_news = false;
                    let is_worth_telling = state.told != state.is_online;
                    state.told = state.is_online;
                    let at = state.changed_at.unwrap_or_else(Timestamp::now);
                    (state.is_online, state.is_online || state.visit.is_some(), at, is_worth_telling)
                }
                Entry::Vacant(_) => return,
            };
            self.note(user, is_stored_online, at).await;
            if !is_worth_telling {
                continue;
            }
            let Some(partners) = self.insist(|| self.store.partners(user)).await else { return };
            let event = SharedEvent::new(Event::Presence { user_id: user, is_online, last_seen: at });
            for partner in partners {
                self.hub.deliver(partner, &event, None, Standing::Passing);
            }
        }
    }

    async fn note(&self, user: UserId, is_online: bool, at: Timestamp) {
        self.insist(|| self.store.set_presence(user, is_online, at, "")).await;
    }

    /// Asks the store until it answers; gives up only when the service stops.
    async fn insist<T, F: Future<Output = store::Result<T>>>(&self, ask: impl Fn() -> F) -> Option<T> {
        let mut wait = Duration::from_millis(100);
        loop {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(error) => tracing::warn!(%error, "who came or went is not stored and told yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(BACK_OFF),
                () = self.stop.cancelled() => return None,
            }
        }
    }

    /// Stores that everybody who is here goes now. For the shutdown, after all was told to stop.
    pub(crate) async fn close(&self) {
        let now = Timestamp::now();
        let is_here = |state: &State| state.is_online || state.visit.is_some();
        let users: Vec<_> = self.users.iter().filter(|e| is_here(e)).map(|e| *e.key()).collect();
        let writes = users.into_iter().map(|user| self.note(user, false, now));
        // Many at once, so that a store which gathers writes can.
        futures_util::stream::StreamExt::for_each_concurrent(
            futures_util::stream::iter(writes),
            256,
            |write| write,
        )
        .await;
    }
}
