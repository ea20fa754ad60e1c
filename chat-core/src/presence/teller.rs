//! What changed is gathered for a moment, and then stored and told: by one task, which sleeps while nothing changes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until};

use super::tracker::{AT_ONCE, Tracker};
use crate::{
    StoreError, Timestamp, UserId,
    events::{Event, SharedEvent},
    store,
};

/// How long changes are gathered. Who goes and comes back within it is not told of.
pub(super) const TICK: Duration = Duration::from_millis(200);
/// How long to wait before the store is asked again, the first time.
const RETRY: Duration = Duration::from_millis(100);
/// And at the most.
const BACK_OFF: Duration = Duration::from_secs(5);

/// Runs until the service stops, or is dropped without having been stopped.
pub(super) fn run(tracker: &Arc<Tracker>) -> impl Future<Output = ()> + use<> {
    let (weak, news, stop) = (Arc::downgrade(tracker), tracker.news.clone(), tracker.stop.clone());
    async move {
        // Those with whom it did not work.
        let mut late = Vec::new();
        let (mut retry_at, mut wait, mut is_away) = (Instant::now(), RETRY, false);
        loop {
            let is_due = tokio::select! {
                () = news.wait(), if !is_away => {
                    tokio::select! {
                        () = sleep(TICK) => false,
                        () = stop.cancelled() => true,
                    }
                }
                () = sleep_until(retry_at), if !late.is_empty() => true,
                () = stop.cancelled() => true,
            };
            let is_over = stop.is_cancelled();
            let Some(tracker) = weak.upgrade() else { return };
            let mut users = news.take();
            if is_due {
                users.append(&mut late);
            }
            let round = tracker.settle_all(users).await;
            if is_over {
                return;
            }
            let was_empty = late.is_empty();
            late.extend(round.failed);
            is_away = round.is_away && !late.is_empty();
            if late.is_empty() {
                wait = RETRY;
            } else if was_empty {
                retry_at = Instant::now() + wait;
                wait = (wait * 2).min(BACK_OFF);
            }
        }
    }
}

/// What became of a round.
struct Round {
    failed: Vec<UserId>,
    /// The store can't be asked at the moment: the rest were not tried.
    is_away: bool,
}

impl Tracker {
    async fn settle_all(&self, users: Vec<UserId>) -> Round {
        let is_away = AtomicBool::new(false);
        let settle = async |user| {
            if is_away.load(Ordering::Relaxed) {
                return Some(user);
            }
            let error = self.settle(user).await.err()?;
            if !is_away.load(Ordering::Relaxed) {
                tracing::warn!(%error, "who came or went is not stored and told yet");
            }
            if matches!(error, StoreError::Unavailable(_) | StoreError::Uncertain(_)) {
                is_away.store(true, Ordering::Relaxed);
            }
            let mut state = self.users.get_mut(&user)?;
            // Whatever happened meanwhile has queued it already.
            (!std::mem::replace(&mut state.is_queued, true)).then_some(user)
        };
        let failed = stream::iter(users).map(settle).buffer_unordered(AT_ONCE);
        let failed = failed.filter_map(async |user| user).collect().await;
        Round { failed, is_away: is_away.into_inner() }
    }

    /// Stores and tells the present state of a user; one at a time of each.
    async fn settle(&self, user: UserId) -> store::Result<()> {
        let Some(()) = self.users.get_mut(&user).map(|mut state| state.is_queued = false) else {
            return Ok(());
        };
        let (is_visible, is_told, at, epoch) = loop {
            let Some(state) = self.users.get(&user) else { return Ok(()) };
            let Some(is_invisible) = state.privacy.known() else {
                drop(state);
                self.learn(user).await?;
                continue;
            };
            let at = state.changed_at.unwrap_or_else(|| self.book.now());
            let is_stored = state.is_here() && !is_invisible;
            let is_visible = state.is_online && !is_invisible;
            let is_told = state.told == is_visible && !state.must_tell;
            let epoch = state.epoch;
            // Nothing is written of who comes and goes unseen.
            let is_worth_storing = !is_invisible || state.stored == Some(true);
            drop(state);
            if is_worth_storing {
                self.book.note(user, is_stored, at, &self.lease.name()).await?;
                if let Some(mut state) = self.users.get_mut(&user) {
                    state.stored = Some(is_stored);
                }
            }
            break (is_visible, is_told, at, epoch);
        };
        if !is_told {
            let listeners = self.book.listeners(user).await?;
            self.tell(user, is_visible, at, epoch, &listeners);
        }
        self.users.remove_if(&user, |_, state| state.is_over());
        Ok(())
    }

    /// Unless it is not true any more: then the user is queued, and it is told what is.
    fn tell(&self, user: UserId, is_online: bool, last_seen: Timestamp, epoch: u64, to: &[UserId]) {
        // Held while it is told, so that nobody is told what was taken back before.
        let Some(mut state) = self.users.get_mut(&user) else { return };
        if state.epoch != epoch || state.is_visible() != Some(is_online) {
            return;
        }
        let event = SharedEvent::new(Event::Presence { user_id: user, is_online, last_seen });
        for listener in to {
            self.book.tell(*listener, &event);
        }
        (state.told, state.must_tell) = (is_online, false);
    }

    /// The user has blocked somebody at that moment, or does so no more; that is stored already. As that one sees it, the
    /// user goes or comes.
    pub(crate) async fn tell_of_block(
        &self,
        user: UserId,
        other: UserId,
        at: Timestamp,
    ) -> store::Result<()> {
        {
            let Some(mut state) = self.users.get_mut(&user) else { return Ok(()) };
            // Who is about to be told was looked up before.
            state.epoch += 1;
            self.queue(user, &mut state);
        }
        loop {
            let Some(epoch) = self.users.get(&user).map(|state| state.epoch) else { return Ok(()) };
            let Some(is_online) = self.book.hears(user, other).await? else { return Ok(()) };
            let Some(state) = self.users.get(&user) else { return Ok(()) };
            if state.epoch != epoch {
                continue;
            }
            if state.told {
                let last_seen = if is_online { state.changed_at.unwrap_or(at) } else { at };
                let event = Event::Presence { user_id: user, is_online, last_seen };
                self.book.tell(other, &SharedEvent::new(event));
            }
            return Ok(());
        }
    }
}
