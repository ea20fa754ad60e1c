//! Counted connections with a grace.

use std::{sync::Arc, time::Duration};

use dashmap::{DashMap, Entry};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Timestamp, UserId,
    events::{Event, Hub, SharedEvent},
    store::Store,
};

/// How often a store that is away is asked again to note who came or went.
const ATTEMPTS: u32 = 5;

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
    /// Guards may be dropped where there is no runtime.
    runtime: Handle,
}

#[derive(Debug)]
struct State {
    guards: usize,
    /// Raised whenever `guards` falls to 0 or leaves it: a grace that began in another epoch is void.
    epoch: u64,
    is_online: bool,
    changed_at: Timestamp,
    /// A task is busy storing and telling; it looks again when it is done.
    is_being_told: bool,
    is_told: bool,
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
        Self { users: DashMap::new(), store, hub, tasks, stop, grace, runtime: Handle::current() }
    }

    pub(crate) fn is_online(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|state| state.is_online)
    }

    pub(crate) fn online(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn arrive(self: &Arc<Self>, user: UserId) -> PresenceGuard {
        let mut state = self.users.entry(user).or_insert_with(|| State {
            guards: 0,
            epoch: 0,
            is_online: false,
            changed_at: Timestamp::now(),
            is_being_told: false,
            is_told: true,
        });
        state.guards += 1;
        state.epoch += 1;
        if !state.is_online {
            self.change(user, &mut state, true);
        }
        PresenceGuard { user, tracker: self.clone() }
    }

    fn leave(self: &Arc<Self>, user: UserId) {
        let Some(mut state) = self.users.get_mut(&user) else { return };
        state.guards -= 1;
        if state.guards > 0 || self.stop.is_cancelled() {
            return;
        }
        state.epoch += 1;
        let (epoch, tracker) = (state.epoch, self.clone());
        // Not among the tasks that a shutdown waits for: then everybody is stored as gone at once.
        self.runtime.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(tracker.grace) => tracker.depart_in(user, Some(epoch)),
                () = tracker.stop.cancelled() => {}
            }
        });
    }

    /// The user said good-bye: no grace, unless another connection is there.
    pub(crate) fn depart(self: &Arc<Self>, user: UserId) {
        self.depart_in(user, None);
    }

    fn depart_in(self: &Arc<Self>, user: UserId, epoch: Option<u64>) {
        let Some(mut state) = self.users.get_mut(&user) else { return };
        if state.guards == 0 && state.is_online && epoch.is_none_or(|epoch| epoch == state.epoch) {
            self.change(user, &mut state, false);
        }
    }

    fn change(self: &Arc<Self>, user: UserId, state: &mut State, is_online: bool) {
        state.is_online = is_online;
        state.changed_at = Timestamp::now();
        state.is_told = false;
        if !state.is_being_told {
            state.is_being_told = true;
            self.tasks.spawn_on(self.clone().tell(user), &self.runtime);
        }
    }

    /// Stores and tells the present state, until it is no longer news.
    async fn tell(self: Arc<Self>, user: UserId) {
        loop {
            let (is_online, at) = match self.users.entry(user) {
                Entry::Occupied(mut entry) => {
                    let state = entry.get_mut();
                    if state.is_told {
                        state.is_being_told = false;
                        if !state.is_online && state.guards == 0 {
                            entry.remove();
                        }
                        return;
                    }
                    state.is_told = true;
                    (state.is_online, state.changed_at)
                }
                Entry::Vacant(_) => return,
            };
            self.note(user, is_online, at).await;
            let partners = match self.store.partners(user).await {
                Ok(partners) => partners,
                Err(error) => {
                    tracing::warn!(%error, "nobody is told who came or went");
                    continue;
                }
            };
            let event = SharedEvent::new(Event::Presence { user_id: user, is_online, last_seen: at });
            for partner in partners {
                self.hub.deliver(partner, &event, None);
            }
        }
    }

    async fn note(&self, user: UserId, is_online: bool, at: Timestamp) {
        let mut wait = Duration::from_millis(100);
        for attempt in 1..=ATTEMPTS {
            match self.store.set_presence(user, is_online, at).await {
                Ok(()) => return,
                Err(error) if attempt == ATTEMPTS || self.stop.is_cancelled() => {
                    tracing::warn!(%error, "who came or went is not stored");
                }
                Err(_) => tokio::time::sleep(wait).await,
            }
            wait *= 2;
        }
    }

    /// Stores that everybody who is here goes now. For the shutdown, after all was told to stop.
    pub(crate) async fn close(&self) {
        let now = Timestamp::now();
        let users: Vec<_> = self.users.iter().filter(|e| e.is_online).map(|e| *e.key()).collect();
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
