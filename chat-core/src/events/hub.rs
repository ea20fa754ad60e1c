//! The hub: who is connected, and how an event reaches them.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use dashmap::DashMap;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::SharedEvent;
use crate::{SessionId, UserId, store::Place};

/// Names one connection within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

/// Why the service closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// It read too slowly and its queue was full. What it missed is in the history.
    SlowConsumer,
    /// Its session was ended, or its token expired.
    SignedOut,
    /// The server goes away.
    ShuttingDown,
    /// It went on at full speed though it was told that it is too fast.
    Flooding,
}

impl CloseReason {
    /// All of them.
    pub const ALL: &[Self] = &[Self::SlowConsumer, Self::SignedOut, Self::ShuttingDown, Self::Flooding];

    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SlowConsumer => "slow_consumer",
            Self::SignedOut => "unauthenticated",
            Self::ShuttingDown => "shutting_down",
            Self::Flooding => "rate_limited",
        }
    }
}

/// Everybody who is connected to this process, by user.
#[derive(Debug)]
pub(crate) struct Hub {
    users: DashMap<UserId, Vec<Entry>>,
    next_id: AtomicU64,
    connections: AtomicUsize,
    delivered: AtomicU64,
    closed_slow: AtomicU64,
    queue: usize,
    is_closed: OnceLock<()>,
}

/// A connection as the hub holds it. To drop it is to close it: its other end reads what is queued and then the reason.
#[derive(Debug)]
struct Entry {
    id: ConnectionId,
    session: Option<SessionId>,
    queue: mpsc::Sender<Queued>,
    shared: Arc<LinkState>,
}

/// What both ends of a connection see.
#[derive(Debug, Default)]
struct LinkState {
    reason: OnceLock<CloseReason>,
    /// Its other end reads the feed: what stands there, or will, it need not be told.
    is_behind: AtomicBool,
    /// Something was left out that does not stand in the feed yet.
    has_left_out: AtomicBool,
    /// The queue has [`Standing::News`] without an event.
    has_news: AtomicBool,
}

/// How an event stands in the feed of whom it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does not, and never will: nobody who was away asks who was typing.
    Passing,
    /// In the entry at this position, of which it is the last part or not.
    At { position: u64, is_last: bool },
    /// It will later.
    Later,
    /// It does, or will soon, behind what nobody was told: the feed is to be read.
    News,
}

impl Standing {
    /// Of an event that stands in this place, as the last part of the entry.
    pub(crate) fn of(place: Option<&Place>) -> Self {
        match place.map(|place| place.position) {
            Some(Some(position)) => Self::At { position, is_last: true },
            Some(None) => Self::News,
            None => Self::Later,
        }
    }
}

/// An event in a connection's queue.
#[derive(Debug)]
pub(super) struct Queued {
    /// `None`: the connection has it already, because it is what it asked for.
    pub(super) event: Option<SharedEvent>,
    pub(super) standing: Standing,
}

/// The far end of a connection: its queue. To drop it is to disconnect.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) user: UserId,
    queue: mpsc::Receiver<Queued>,
    shared: Arc<LinkState>,
    hub: Arc<Hub>,
}

impl Hub {
    pub(crate) fn new(queue: usize) -> Self {
        Self {
            users: DashMap::new(),
            next_id: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            closed_slow: AtomicU64::new(0),
            queue,
            is_closed: OnceLock::new(),
        }
    }

    pub(super) fn connect(self: &Arc<Self>, user: UserId, session: Option<SessionId>) -> Link {
        let id = ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (sender, queue) = mpsc::channel(self.queue);
        let shared = Arc::new(LinkState::default());
        let entry = Entry { id, session, queue: sender, shared: shared.clone() };
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.users.entry(user).or_default().push(entry);
        if self.is_closed.get().is_some() {
            self.close_where(user, CloseReason::ShuttingDown, |entry| entry.id == id);
        }
        Link { id, user, queue, shared, hub: self.clone() }
    }

    /// Puts the event into the queue of each connection of the user; `from` knows it already. One whose queue is full is
    /// closed: never a silent gap. Returns how many have it, or get it from the feed. Never waits.
    pub(crate) fn deliver(
        &self,
        user: UserId,
        event: &SharedEvent,
        from: Option<ConnectionId>,
        standing: Standing,
    ) -> usize {
        self.put(user, Some(event), from, standing)
    }

    /// Notes that there is nothing to be told of what stands there.
    pub(crate) fn pass(&self, user: UserId, standing: Standing) {
        self.put(user, None, None, standing);
    }

    fn put(
        &self,
        user: UserId,
        event: Option<&SharedEvent>,
        from: Option<ConnectionId>,
        standing: Standing,
    ) -> usize {
        let Some(mut entries) = self.users.get_mut(&user) else { return 0 };
        let (mut reached, mut queued) = (0, 0);
        entries.retain(|entry| {
            let knows = event.is_none() || Some(entry.id) == from;
            if knows && !matches!(standing, Standing::At { is_last: true, .. } | Standing::News) {
                return true;
            }
            if standing != Standing::Passing && entry.shared.is_behind.load(Ordering::SeqCst) {
                reached += usize::from(!knows);
                if standing == Standing::Later || (standing == Standing::News && event.is_some()) {
                    entry.shared.has_left_out.store(true, Ordering::SeqCst);
                }
                return true;
            }
            let event = event.filter(|_| !knows).cloned();
            let is_news = standing == Standing::News && event.is_none();
            if is_news && entry.shared.has_news.swap(true, Ordering::SeqCst) {
                return true;
            }
            match entry.queue.try_send(Queued { event, standing }) {
                Ok(()) => {
                    queued += u64::from(!knows);
                    reached += usize::from(!knows);
                    true
                }
                Err(TrySendError::Full(_)) => {
                    self.closed_slow.fetch_add(1, Ordering::Relaxed);
                    let _ = entry.shared.reason.set(CloseReason::SlowConsumer);
                    false
                }
                Err(TrySendError::Closed(_)) => false,
            }
        });
        self.delivered.fetch_add(queued, Ordering::Relaxed);
        reached
    }

    /// Has the connections of a user look at the feed.
    pub(crate) fn look(&self, user: UserId) {
        self.put(user, None, None, Standing::News);
    }

    /// Closes the connections of a session. Returns how many the user has left.
    pub(crate) fn close_session(&self, user: UserId, session: SessionId) -> usize {
        self.close_where(user, CloseReason::SignedOut, |entry| entry.session == Some(session))
    }

    /// Closes the connections of all of a user's sessions but one; subscriptions of the application stay. Returns how
    /// many the user has left.
    pub(crate) fn close_sessions_but(&self, user: UserId, kept: Option<SessionId>) -> usize {
        self.close_where(user, CloseReason::SignedOut, |entry| {
            entry.session.is_some() && entry.session != kept
        })
    }

    /// The sessions of a user that have a connection.
    pub(crate) fn sessions(&self, user: UserId) -> Vec<SessionId> {
        let entries = self.users.get(&user);
        entries.iter().flat_map(|entries| entries.iter()).filter_map(|entry| entry.session).collect()
    }

    /// Closes everything, and whatever connects from now on.
    pub(crate) fn close_all(&self) {
        let _ = self.is_closed.set(());
        let users: Vec<_> = self.users.iter().map(|entry| *entry.key()).collect();
        for user in users {
            self.close_where(user, CloseReason::ShuttingDown, |_| true);
        }
    }

    fn close_where(&self, user: UserId, reason: CloseReason, which: impl Fn(&Entry) -> bool) -> usize {
        let Some(mut entries) = self.users.get_mut(&user) else { return 0 };
        entries.retain(|entry| {
            let close = which(entry);
            if close {
                let _ = entry.shared.reason.set(reason);
            }
            !close
        });
        entries.len()
    }

    fn disconnect(&self, user: UserId, id: ConnectionId) {
        if let Some(mut entries) = self.users.get_mut(&user) {
            entries.retain(|entry| entry.id != id);
            if entries.capacity() > 8 && entries.len() * 4 < entries.capacity() {
                entries.shrink_to_fit();
            }
        }
        self.users.remove_if(&user, |_, entries| entries.is_empty());
        let left = self.connections.fetch_sub(1, Ordering::Relaxed) - 1;
        // What a crowd needed goes back. Looked at once in a while, because it takes the locks of the whole map.
        if left.is_multiple_of(1024) && self.users.capacity() > 2 * left + 1024 {
            self.users.shrink_to_fit();
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn closed_slow(&self) -> u64 {
        self.closed_slow.load(Ordering::Relaxed)
    }
}

impl Link {
    /// What comes next; `None` when the service closed the connection and everything queued before was read.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Queued>> {
        let polled = self.queue.poll_recv(context);
        if matches!(&polled, Poll::Ready(Some(Queued { standing: Standing::News, event: None }))) {
            self.shared.has_news.store(false, Ordering::SeqCst);
        }
        polled
    }

    /// How much is in the queue.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Says whether the feed is read: then what stands there is left out of the queue from now on.
    pub(super) fn set_behind(&self, is_behind: bool) {
        self.shared.is_behind.store(is_behind, Ordering::SeqCst);
    }

    /// Whether something was left out that did not stand in the feed then, since this was asked last.
    pub(super) fn has_left_out(&self) -> bool {
        self.shared.has_left_out.swap(false, Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) async fn next(&mut self) -> Option<SharedEvent> {
        self.queue.recv().await?.event
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.shared.reason.get().copied()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hub.disconnect(self.user, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, events::Event};

    fn event() -> SharedEvent {
        SharedEvent::new(Event::OnlineUsers(Vec::new()))
    }

    fn user() -> UserId {
        UserId::generate(Timestamp::now())
    }

    #[tokio::test]
    async fn to_each_connection_of_the_user_but_one() {
        let hub = Arc::new(Hub::new(4));
        let (alice, bob) = (user(), user());
        let (mut a1, mut a2, mut b) =
            (hub.connect(alice, None), hub.connect(alice, None), hub.connect(bob, None));
        assert_eq!(hub.deliver(alice, &event(), Some(a1.id), Standing::Passing), 1);
        assert_eq!(hub.deliver(bob, &event(), None, Standing::Passing), 1);
        assert_eq!(hub.deliver(user(), &event(), None, Standing::Passing), 0);
        assert!(a2.next().await.is_some() && b.next().await.is_some());
        hub.deliver(alice, &event(), None, Standing::Passing);
        assert!(a1.next().await.is_some());
        drop((a1, a2));
        assert_eq!((hub.connections(), hub.deliver(alice, &event(), None, Standing::Passing)), (1, 0));
        assert_eq!(hub.users.len(), 1, "nothing is kept of who has gone");
    }

    #[tokio::test]
    async fn the_slow_one_is_closed_and_told_why() {
        let hub = Arc::new(Hub::new(2));
        let alice = user();
        let (mut slow, mut quick) = (hub.connect(alice, None), hub.connect(alice, None));
        for _ in 0..3 {
            hub.deliver(alice, &event(), None, Standing::Passing);
            assert!(quick.next().await.is_some());
        }
        assert!(slow.next().await.is_some() && slow.next().await.is_some(), "what was queued is still read");
        assert!(slow.next().await.is_none());
        assert_eq!(slow.close_reason(), Some(CloseReason::SlowConsumer));
        assert_eq!((quick.close_reason(), hub.closed_slow()), (None, 1));
    }

    #[tokio::test]
    async fn a_session_ends_alone() {
        let hub = Arc::new(Hub::new(2));
        let (alice, session) = (user(), SessionId::random());
        let mut ended = hub.connect(alice, Some(session));
        let mut other = hub.connect(alice, Some(SessionId::random()));
        assert_eq!(hub.close_session(alice, session), 1);
        assert!(ended.next().await.is_none());
        assert_eq!(ended.close_reason(), Some(CloseReason::SignedOut));
        hub.close_all();
        assert!(other.next().await.is_none());
        let mut late = hub.connect(alice, None);
        assert!(late.next().await.is_none());
        assert_eq!(late.close_reason(), Some(CloseReason::ShuttingDown));
    }
}
