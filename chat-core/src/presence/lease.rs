//! The lease: as long as this process renews it, those who are online by it are; when it stops, somebody notices.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{book::Book, tracker::Tracker};
use crate::{Timestamp, random, store};

/// How often it is renewed.
pub(super) const RENEW: Duration = Duration::from_secs(10);
/// How often it is tried again when that failed.
const RETRY: Duration = Duration::from_secs(1);
/// One that was not renewed for so long is over.
pub(super) const LIFE: Duration = Duration::from_secs(30);
/// One's own counts as over before others may think so: their clocks go differently.
const LAPSE: Duration = Duration::from_secs(20);
/// After how many renewals those of others are looked at.
const LOOK: u32 = 3;

/// By which this process keeps people online.
#[derive(Debug)]
pub(super) struct Lease(Mutex<Held>);

#[derive(Debug, Clone)]
struct Held {
    name: Arc<str>,
    /// When it was renewed last.
    renewed: Moment,
}

/// By both clocks: one does not go while the machine sleeps, the other one can be set.
#[derive(Debug, Clone, Copy)]
struct Moment(Instant, Timestamp);

impl Moment {
    fn now(book: &dyn Book) -> Self {
        Self(Instant::now(), book.now())
    }

    fn is_long_ago(self, book: &dyn Book) -> bool {
        self.0.elapsed() > LAPSE || book.now() > self.1.plus(LAPSE)
    }
}

fn new_name() -> Arc<str> {
    random::name::<12>().into()
}

impl Lease {
    /// Ends those of processes that are gone, as far as that is known, and begins one.
    pub(super) async fn begin(book: &dyn Book) -> store::Result<Self> {
        // A store that only one process can open has had its process.
        let over =
            if book.is_exclusive() { Timestamp::from_millis(i64::MAX) } else { book.now().minus(LIFE) };
        book.expire(over).await?;
        let (name, renewed) = (new_name(), Moment::now(book));
        book.renew(&name).await?;
        Ok(Self(Mutex::new(Held { name, renewed })))
    }

    pub(super) fn name(&self) -> Arc<str> {
        self.held().name.clone()
    }

    /// Renews it, or begins another one where it may be over: somebody may be about to mark as offline whoever is online
    /// by the old one. Returns whether it is another one.
    async fn renew(&self, book: &dyn Book) -> store::Result<bool> {
        let mut is_over = false;
        loop {
            let now = Moment::now(book);
            let (name, since) = if is_over {
                (new_name(), now)
            } else {
                let held = self.held();
                (held.name.clone(), held.renewed)
            };
            book.renew(&name).await?;
            if since.is_long_ago(book) {
                // That came too late, perhaps.
                is_over = true;
                continue;
            }
            *self.held() = Held { name, renewed: now };
            return Ok(is_over);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // It is assigned whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renews the lease, and ends those that others left behind. Runs until the service stops, or is dropped without having
/// been stopped.
pub(super) fn keep(tracker: &Arc<Tracker>) -> impl Future<Output = ()> + use<> {
    let (weak, stop) = (Arc::downgrade(tracker), tracker.stop.clone());
    async move {
        let (mut wait, mut renewals) = (RENEW, 0_u32);
        loop {
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            let Some(tracker) = weak.upgrade() else { return };
            let renewed = tokio::select! {
                renewed = tracker.lease.renew(&*tracker.book) => renewed,
                () = stop.cancelled() => return,
            };
            match renewed {
                Ok(is_another) => {
                    (wait, renewals) = (RENEW, renewals.wrapping_add(1));
                    if is_another {
                        tracing::warn!(
                            "the lease was not renewed in time: all who are online are stored again"
                        );
                        tracker.queue_all();
                    }
                }
                Err(error) => {
                    wait = RETRY;
                    tracing::warn!(%error, "the lease is not renewed yet");
                    continue;
                }
            }
            if renewals.is_multiple_of(LOOK) {
                // Only now: one's own is renewed.
                let expired = tokio::select! {
                    expired = tracker.book.expire(tracker.book.now().minus(LIFE)) => expired,
                    () = stop.cancelled() => return,
                };
                match expired {
                    Ok(0) => {}
                    Ok(users) => tracing::info!(users, "went offline with a process that is gone"),
                    Err(error) => {
                        tracing::warn!(%error, "who was online in a process that is gone may stay so");
                    }
                }
            }
        }
    }
}

impl Tracker {
    fn queue_all(&self) {
        for mut entry in self.users.iter_mut() {
            let user = *entry.key();
            self.queue(user, entry.value_mut());
        }
    }

    /// Stores that everybody who is here goes now: gives up the lease. For the shutdown, after all was told to stop.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.book.end(&self.lease.name()).await {
            tracing::warn!(%error, "who is online stays so until the lease is over");
        }
    }
}
