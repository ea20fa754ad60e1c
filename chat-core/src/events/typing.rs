//! Typing that ends by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::{DashMap, Entry};
use tokio::{runtime::Handle, time::Instant};

use super::{Event, Hub, SharedEvent, Standing};
use crate::UserId;

/// How long after the last sign typing ends.
pub(crate) const TYPING_LASTS: Duration = Duration::from_secs(6);

/// Who writes to whom, and until when that holds.
#[derive(Debug)]
pub(crate) struct Typing {
    /// Until when, and which task sees to it.
    until: DashMap<(UserId, UserId), (Instant, u64)>,
    tasks: AtomicU64,
    runtime: Handle,
}

impl Typing {
    pub(crate) fn new() -> Self {
        Self { until: DashMap::new(), tasks: AtomicU64::new(0), runtime: Handle::current() }
    }

    /// Tells the receiver, and sees to it that it ends. One task each time that somebody begins; it ends within 6 s of
    /// the last sign.
    pub(crate) fn set(self: &Arc<Self>, hub: &Arc<Hub>, sender: UserId, receiver: UserId, is_typing: bool) {
        let reached = tell(hub, sender, receiver, is_typing);
        let pair = (sender, receiver);
        if !is_typing {
            self.until.remove(&pair);
            return;
        }
        if reached == 0 {
            return;
        }
        let until = Instant::now() + TYPING_LASTS;
        match self.until.entry(pair) {
            Entry::Occupied(mut occupied) => occupied.get_mut().0 = until,
            Entry::Vacant(vacant) => {
                let task = self.tasks.fetch_add(1, Ordering::Relaxed);
                vacant.insert((until, task));
                self.runtime.spawn(self.clone().end(hub.clone(), pair, until, task));
            }
        }
    }

    async fn end(self: Arc<Self>, hub: Arc<Hub>, pair: (UserId, UserId), mut until: Instant, task: u64) {
        loop {
            tokio::time::sleep_until(until).await;
            match self.until.entry(pair) {
                Entry::Occupied(entry) if entry.get().1 == task && entry.get().0 > until => {
                    until = entry.get().0;
                }
                Entry::Occupied(entry) if entry.get().1 == task => {
                    entry.remove();
                    tell(&hub, pair.0, pair.1, false);
                    return;
                }
                // It was ended in so many words, and may have begun again, under another task.
                Entry::Occupied(_) | Entry::Vacant(_) => return,
            }
        }
    }
}

fn tell(hub: &Hub, sender_id: UserId, receiver: UserId, is_typing: bool) -> usize {
    hub.deliver(receiver, &SharedEvent::new(Event::Typing { sender_id, is_typing }), None, Standing::Passing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn ends_six_seconds_after_the_last_sign() {
        let (hub, typing) = (Arc::new(Hub::new(8)), Arc::new(Typing::new()));
        let (alice, bob) = (UserId::generate(Timestamp::now()), UserId::generate(Timestamp::now()));
        let mut connection = hub.connect(bob, None);
        let start = Instant::now();
        typing.set(&hub, alice, bob, true);
        tokio::time::sleep(Duration::from_secs(4)).await;
        typing.set(&hub, alice, bob, true);
        let expected = |is_typing| Event::Typing { sender_id: alice, is_typing };
        assert_eq!(*connection.next().await.unwrap(), expected(true));
        assert_eq!(*connection.next().await.unwrap(), expected(true));
        assert_eq!(*connection.next().await.unwrap(), expected(false));
        assert_eq!(start.elapsed().as_secs(), 10);
        assert!(typing.until.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn said_to_be_over_it_is_told_once() {
        let (hub, typing) = (Arc::new(Hub::new(8)), Arc::new(Typing::new()));
        let (alice, bob) = (UserId::generate(Timestamp::now()), UserId::generate(Timestamp::now()));
        let mut connection = hub.connect(bob, None);
        for _ in 0..3 {
            typing.set(&hub, alice, bob, true);
            tokio::time::sleep(Duration::from_secs(1)).await;
            typing.set(&hub, alice, bob, false);
        }
        for _ in 0..6 {
            connection.next().await.unwrap();
        }
        tokio::time::sleep(TYPING_LASTS).await;
        assert_eq!(Arc::strong_count(&typing), 1, "no task is left");
        assert!(tokio::time::timeout(Duration::from_secs(60), connection.next()).await.is_err());
    }
}
