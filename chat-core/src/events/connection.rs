//! One live connection: what happens, without a gap, and where its client stands.
//!
//! What changes something stands in the user's feed, at a position, and is told live along with that. A connection that
//! goes on from a cursor reads the feed first. Meanwhile the hub leaves out what stands there, so that its queue does not
//! grow with what was missed; when the feed is read to its end the hub is told so, and then the feed is looked at once
//! more, for what was left out until then. A live connection knows up to which position it has everything: where a
//! position stays out (another process told of it, or it was told late), it reads the feed again from there.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};
use tokio_util::sync::ReusableBoxFuture;

use super::{
    CloseReason, ConnectionId, Cursor, Delivery, Event, SharedEvent,
    feed::{Look, Source},
    hub::{Link, Queued, Standing},
};
use crate::{UserId, store};

/// How long a position may stay out before the feed is asked for it; how long to wait for a store that is away.
const PATIENCE: Duration = Duration::from_secs(1);
/// Positions that may have come before one that stays out.
const AHEAD: usize = 1024;
/// How often to look for what was to be told later, with twice the time in between each time: for two minutes in all.
const LOOKS: u32 = 7;

/// One live connection of a user: a bounded queue of events. To drop it is to disconnect.
pub struct Connection {
    link: Link,
    reader: Arc<dyn Source>,
    stage: Stage,
    /// It has everything up to here, and began here.
    position: u64,
    start: u64,
    /// What it has beyond that.
    ahead: BTreeSet<u64>,
    /// Its cursor was of no use.
    must_resync: bool,
    /// Looks that are left for what was to be told later.
    looks: u32,
    /// There is something new in the feed.
    has_news: bool,
    /// So much of the queue was there before it was known where the feed ends.
    early: usize,
    ready: VecDeque<Delivery>,
    reading: Option<ReusableBoxFuture<'static, store::Result<Look>>>,
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Where the feed ends is not known yet.
    Unknown,
    /// Reads the feed; the hub leaves out what stands there.
    Behind,
    /// Reads the feed once more, while what is told waits in the queue.
    LastLook,
    Live,
}

impl Connection {
    pub(super) fn new(link: Link, reader: Arc<dyn Source>) -> Self {
        Self {
            link,
            reader,
            stage: Stage::Unknown,
            position: 0,
            start: 0,
            ahead: BTreeSet::new(),
            must_resync: false,
            looks: 0,
            has_news: false,
            early: 0,
            ready: VecDeque::new(),
            reading: None,
            pause: None,
        }
    }

    /// Goes on from this cursor: first what changed since, then what happens, at least once and per chat in order. One
    /// that can't be served gives [`Event::Resync`]. Costs in proportion to what was missed, and no more memory than a
    /// step of it.
    #[must_use]
    pub fn since(mut self, cursor: &str) -> Self {
        (self.reading, self.pause) = (None, None);
        match self.reader.position(self.link.user, cursor) {
            Some(position) => {
                (self.position, self.start) = (position, position);
                self.fall_behind();
            }
            None => self.must_resync = true,
        }
        self
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.link.id
    }

    /// Whose it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.link.user
    }

    /// Why the service closed it, once it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.link.close_reason()
    }

    /// Where a client stands that has got what was read from here until now. Waits for the store where that is not known
    /// yet; a door bounds that in time.
    ///
    /// Cancel-safe.
    pub async fn cursor(&mut self) -> Cursor {
        std::future::poll_fn(|context| {
            while self.stage == Stage::Unknown {
                if !self.poll_feed(context) {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
        self.reader.sign(self.link.user, self.position)
    }

    /// Whether it is to be told first that its cursor was of no use: until then it must not be given another one.
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    pub(crate) const fn must_resync(&self) -> bool {
        self.must_resync
    }

    /// The next event; `None` when the service closed the connection and everything queued before was read.
    ///
    /// Cancel-safe: a dropped future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Self::next), for streams.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Poll::Ready(Some(delivery));
            }
            if self.poll_feed(context) {
                continue;
            }
            if self.stage == Stage::LastLook && self.close_reason().is_none() {
                return Poll::Pending;
            }
            match self.link.poll_next(context) {
                Poll::Ready(Some(queued)) => {
                    if let Some(delivery) = self.take(queued) {
                        return Poll::Ready(Some(delivery));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Works on what the feed is needed for. `false`: there is nothing to do, or it waits.
    fn poll_feed(&mut self, context: &mut Context<'_>) -> bool {
        if self.close_reason().is_some() {
            return false;
        }
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return false;
            }
            self.pause = None;
            if self.stage == Stage::Live && (!self.ahead.is_empty() || self.looks > 0) {
                self.fall_behind();
            }
        }
        if self.stage == Stage::Live {
            if self.link.has_left_out() {
                self.looks = LOOKS;
            }
            if std::mem::take(&mut self.has_news) || self.ahead.len() > AHEAD {
                self.fall_behind();
            } else if !self.ahead.is_empty() || self.looks == LOOKS {
                self.pause = Some(Box::pin(sleep(PATIENCE)));
            } else if self.looks > 0 {
                self.pause = Some(Box::pin(sleep(PATIENCE * (1 << (LOOKS - self.looks).min(LOOKS)))));
            } else {
                return false;
            }
            return true;
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (reader, user, position) = (self.reader.clone(), self.link.user, self.position);
            match self.stage {
                Stage::Unknown => ReusableBoxFuture::new(reader.end(user)),
                _ => ReusableBoxFuture::new(reader.after(user, position)),
            }
        });
        let Poll::Ready(look) = reading.poll(context) else { return false };
        self.reading = None;
        match look {
            Ok(look) => self.looked(look),
            Err(error) => {
                tracing::debug!(%error, "a feed can't be read now");
                if self.stage == Stage::LastLook {
                    self.fall_behind();
                }
                self.pause = Some(Box::pin(sleep(PATIENCE)));
            }
        }
        true
    }

    fn looked(&mut self, look: Look) {
        match look {
            Look::End(end) => {
                (self.position, self.start) = (end, end);
                self.early = self.link.queued();
                self.stage = Stage::Live;
                if std::mem::take(&mut self.must_resync) {
                    self.resync();
                }
            }
            Look::Lost(end) => {
                (self.position, self.start) = (end, end);
                self.ahead.clear();
                self.resync();
            }
            Look::Batch { events, position, is_end } => {
                let count = events.len();
                let before = self.position;
                self.position = self.position.max(position);
                self.absorb();
                for (index, (event, known)) in events.into_iter().enumerate() {
                    // Behind the last one is what needs no event, or was told live.
                    let position = if index + 1 == count { self.position } else { known.max(before) };
                    let cursor = Some(self.reader.sign(self.link.user, position));
                    self.ready.push_back(Delivery { event, cursor });
                }
                match (self.stage, is_end) {
                    (Stage::LastLook, true) => {
                        self.stage = Stage::Live;
                        self.looks = self.looks.saturating_sub(1);
                    }
                    (_, true) => {
                        self.link.set_behind(false);
                        self.stage = Stage::LastLook;
                    }
                    (_, false) => self.fall_behind(),
                }
            }
        }
    }

    fn resync(&mut self) {
        let cursor = Some(self.reader.sign(self.link.user, self.position));
        self.ready.push_back(Delivery { event: SharedEvent::new(Event::Resync {}), cursor });
    }

    fn fall_behind(&mut self) {
        self.link.set_behind(true);
        self.stage = Stage::Behind;
    }

    /// What of the queue is to be told.
    fn take(&mut self, Queued { event, standing }: Queued) -> Option<Delivery> {
        let is_early = self.stage == Stage::Unknown || self.early > 0;
        self.early = self.early.saturating_sub(1);
        if standing == Standing::Passing {
            return event.map(|event| Delivery { event, cursor: None });
        }
        if standing == Standing::News {
            // Who reads it just now comes to that.
            self.has_news = self.stage != Stage::Behind;
            if self.stage == Stage::Live {
                // What comes after it in the queue must not pass it.
                self.pause = None;
            }
            if event.is_some() {
                self.looks = LOOKS;
            }
            // The end of the feed may be behind that already.
            return event.filter(|_| is_early).map(|event| Delivery { event, cursor: None });
        }
        if self.stage == Stage::Behind {
            // It stands in the feed, behind what is read just now, or will.
            if standing == Standing::Later {
                self.looks = LOOKS;
            }
            return None;
        }
        if let Standing::At { position, is_last } = standing {
            if self.start < position && position <= self.position {
                // The feed told of it.
                return None;
            }
            if is_last && self.stage != Stage::Unknown && position > self.position {
                self.ahead.insert(position);
                self.absorb();
            }
        }
        let is_known = self.stage != Stage::Unknown;
        let cursor = is_known.then(|| self.reader.sign(self.link.user, self.position));
        event.map(|event| Delivery { event, cursor })
    }

    /// What follows without a hole is no longer ahead.
    fn absorb(&mut self) {
        while let Some(next) = self.ahead.first().copied().filter(|next| *next <= self.position + 1) {
            self.position = self.position.max(next);
            self.ahead.remove(&next);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.link.id)
            .field("user", &self.link.user)
            .field("stage", &self.stage)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{
            Mutex,
            atomic::{AtomicU32, Ordering},
        },
    };

    use futures_util::{FutureExt, future::BoxFuture};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ChatId, StoreError,
        auth::JwtSecret,
        events::{Hub, Watermark, cursor::Cursors},
        store::Result,
    };

    /// A feed of numbers, which is now and then slow, and now and then away.
    struct Numbers {
        feed: Mutex<Vec<u64>>,
        cursors: Cursors,
        reads: AtomicU32,
        /// The feed goes back this far.
        kept_after: u64,
        /// Closed: what was read is on its way.
        gate: tokio::sync::Semaphore,
    }

    const STEP: usize = 3;

    impl Numbers {
        fn new() -> Arc<Self> {
            let secret = JwtSecret::new("0123456789abcdef0123456789abcdef").unwrap();
            let cursors = Cursors::new(&secret);
            Arc::new(Self {
                feed: Mutex::default(),
                cursors,
                reads: AtomicU32::new(0),
                kept_after: 0,
                gate: tokio::sync::Semaphore::new(1),
            })
        }

        fn push(&self, number: u64) -> u64 {
            let mut feed = self.feed.lock().unwrap();
            feed.push(number);
            feed.len() as u64
        }

        async fn wait(&self) -> Result<()> {
            match self.reads.fetch_add(1, Ordering::Relaxed) % 5 {
                1 => tokio::time::sleep(Duration::from_millis(3)).await,
                3 => return Err(StoreError::Unavailable("away".into())),
                _ => tokio::task::yield_now().await,
            }
            Ok(())
        }
    }

    impl Source for Numbers {
        fn sign(&self, user: UserId, position: u64) -> Cursor {
            self.cursors.sign(user, position)
        }

        fn position(&self, user: UserId, cursor: &str) -> Option<u64> {
            self.cursors.read(user, cursor)
        }

        fn end(self: Arc<Self>, _: UserId) -> BoxFuture<'static, Result<Look>> {
            Box::pin(async move {
                self.wait().await?;
                Ok(Look::End(self.feed.lock().unwrap().len() as u64))
            })
        }

        fn after(self: Arc<Self>, _: UserId, position: u64) -> BoxFuture<'static, Result<Look>> {
            Box::pin(async move {
                self.wait().await?;
                let look = self.look(position);
                let _open = self.gate.acquire().await.unwrap();
                Ok(look)
            })
        }
    }

    impl Numbers {
        fn look(&self, position: u64) -> Look {
            let feed = self.feed.lock().unwrap();
            if position < self.kept_after || position > feed.len() as u64 {
                return Look::Lost(feed.len() as u64);
            }
            let rest = &feed[usize::try_from(position).unwrap()..];
            let steps = rest.iter().take(STEP).zip(position + 1..);
            let events: Vec<_> = steps.map(|(number, position)| (event(*number), position)).collect();
            let position = position + events.len() as u64;
            Look::Batch { is_end: events.len() == rest.len(), events, position }
        }
    }

    fn event(number: u64) -> SharedEvent {
        let (chat_id, user_id) = (ChatId::from_bytes([0; 12]), UserId::from_bytes([0; 12]));
        SharedEvent::new(Event::MessagesRead(Watermark { chat_id, user_id, seq: number }))
    }

    fn number(delivery: &Delivery) -> Option<u64> {
        if let Event::MessagesRead(mark) = &**delivery { Some(mark.seq) } else { None }
    }

    /// One step of what happens to a user who has one client.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// Something changes, and is told at once, or after the next one, or by another process, which tells nobody here.
        Change(Telling),
        /// The client reads so many events, as far as they are there.
        Read(usize),
        /// It goes, and comes back with its cursor, or without having got one, as somebody new.
        Return,
        /// Time goes by.
        Wait(u64),
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Telling {
        AtOnce,
        AfterTheNext,
        Elsewhere,
        /// It is told now, and stands in the feed after the next one.
        Later,
        /// Nobody is told what it is, but that there is something.
        Along,
    }

    fn step() -> impl Strategy<Value = Step> {
        use Telling::{AfterTheNext, Along, AtOnce, Elsewhere, Later};
        prop_oneof![
            6 => prop::sample::select(vec![AtOnce, AtOnce, AtOnce, AfterTheNext, Elsewhere, Later, Along])
                .prop_map(Step::Change),
            4 => (1..6_usize).prop_map(Step::Read),
            1 => Just(Step::Return),
            1 => (0..3_000_u64).prop_map(Step::Wait),
        ]
    }

    async fn play(steps: Vec<Step>) {
        let (hub, numbers, user) = (Arc::new(Hub::new(1_000)), Numbers::new(), UserId::from_bytes([1; 12]));
        let connect = || Connection::new(hub.connect(user, None), numbers.clone());
        let mut client = connect();
        let mut cursor = client.cursor().await.to_string();
        let mut seen = BTreeSet::new();
        let (mut last, mut untold, mut unwritten) = (0, Vec::new(), Vec::new());
        let at = |position| Standing::At { position, is_last: true };
        for step in steps {
            match step {
                Step::Change(telling) => {
                    last += 1;
                    if telling == Telling::Later {
                        hub.deliver(user, &event(last), None, Standing::Later);
                        unwritten.push(last);
                        continue;
                    }
                    let position = numbers.push(last);
                    match telling {
                        Telling::AfterTheNext => untold.push((last, position)),
                        Telling::Elsewhere | Telling::Later => {}
                        Telling::Along => hub.look(user),
                        Telling::AtOnce => {
                            hub.deliver(user, &event(last), None, at(position));
                            for (number, position) in untold.drain(..) {
                                hub.deliver(user, &event(number), None, at(position));
                            }
                            for number in unwritten.drain(..) {
                                numbers.push(number);
                            }
                        }
                    }
                }
                Step::Read(count) => {
                    for _ in 0..count {
                        let next = tokio::time::timeout(Duration::from_millis(1), client.next()).await;
                        let Ok(Some(delivery)) = next else { break };
                        seen.extend(number(&delivery));
                        cursor = delivery.cursor.map_or(cursor, |cursor| cursor.to_string());
                    }
                }
                Step::Return => {
                    client = connect().since(&cursor);
                }
                Step::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            }
        }
        for number in unwritten.drain(..) {
            numbers.push(number);
        }
        // A last one: what another process did shows with the next event of one's own.
        last += 1;
        let position = numbers.push(last);
        hub.deliver(user, &event(last), None, at(position));
        let all: BTreeSet<u64> = (1..=last).collect();
        let read = async {
            while seen != all {
                seen.extend(number(&client.next().await.expect("open")));
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(600), read).await;
        assert!(in_time.is_ok(), "lost: {:?}", all.difference(&seen).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn whatever_happens_nothing_is_lost(steps in prop::collection::vec(step(), 1..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            runtime.unwrap().block_on(play(steps));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_is_well_nothing_comes_twice() {
        let (hub, numbers, user) = (Arc::new(Hub::new(1_000)), Numbers::new(), UserId::from_bytes([1; 12]));
        let connect = || Connection::new(hub.connect(user, None), numbers.clone());
        let mut client = connect();
        let cursor = client.cursor().await.to_string();
        let tell = |number| {
            let position = numbers.push(number);
            hub.deliver(user, &event(number), None, Standing::At { position, is_last: true });
        };
        (1..=20).for_each(tell);
        for expected in 1..=20 {
            let delivery = client.next().await.unwrap();
            assert_eq!(number(&delivery), Some(expected));
            assert_eq!(delivery.cursor, Some(numbers.sign(user, expected)));
        }
        let mut back = connect().since(&cursor);
        let mut seen = Vec::new();
        for next in 21..=40 {
            tell(next);
            seen.extend(number(&back.next().await.unwrap()));
        }
        while seen.len() < 40 {
            seen.extend(number(&back.next().await.unwrap()));
        }
        assert_eq!(seen, (1..=40).collect::<Vec<_>>(), "in order, and once");
        assert!(tokio::time::timeout(Duration::from_secs(60), back.next()).await.is_err());
        assert!(tokio::time::timeout(Duration::from_secs(60), client.next()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cursor_that_is_worth_nothing() {
        let (hub, user) = (Arc::new(Hub::new(4)), UserId::from_bytes([1; 12]));
        let mut numbers = Numbers::new();
        Arc::get_mut(&mut numbers).unwrap().kept_after = 2;
        for number in 1..=5 {
            numbers.push(number);
        }
        let cursor = |position| numbers.sign(user, position).to_string();
        for bad in ["", "garbage", &cursor(1), &cursor(6)] {
            let mut client = Connection::new(hub.connect(user, None), numbers.clone()).since(bad);
            let delivery = client.next().await.unwrap();
            assert_eq!(
                (&*delivery, delivery.cursor),
                (&Event::Resync {}, Some(numbers.sign(user, 5))),
                "{bad}"
            );
            assert!(client.next().now_or_never().is_none());
        }
        let mut client = Connection::new(hub.connect(user, None), numbers.clone()).since(&cursor(2));
        for expected in 3..=5 {
            assert_eq!(number(&client.next().await.unwrap()), Some(expected));
        }
        hub.close_all();
        assert!(client.next().await.is_none());
        assert_eq!(client.close_reason(), Some(CloseReason::ShuttingDown));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_the_last_moment() {
        let (hub, numbers, user) = (Arc::new(Hub::new(4)), Numbers::new(), UserId::from_bytes([1; 12]));
        let shut = numbers.gate.acquire().await.unwrap();
        let mut client = Connection::new(hub.connect(user, None), numbers.clone())
            .since(&numbers.sign(user, 0).to_string());
        // It has read to the end, and does not know it yet.
        assert!(tokio::time::timeout(Duration::from_millis(100), client.next()).await.is_err());
        let position = numbers.push(1);
        hub.deliver(user, &event(1), None, Standing::At { position, is_last: true });
        drop(shut);
        // Nothing else happens that could make it look again.
        let delivery = tokio::time::timeout(Duration::from_secs(60), client.next()).await;
        assert_eq!(number(&delivery.unwrap().unwrap()), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_before_the_first_look_is_told() {
        let (hub, numbers, user) = (Arc::new(Hub::new(8)), Numbers::new(), UserId::from_bytes([1; 12]));
        let mut client = Connection::new(hub.connect(user, None), numbers.clone());
        numbers.push(1);
        hub.deliver(user, &event(1), None, Standing::News);
        let next = async |client: &mut Connection| {
            let next = tokio::time::timeout(Duration::from_secs(600), client.next()).await;
            next.ok().flatten().as_ref().and_then(number)
        };
        assert_eq!(next(&mut client).await, Some(1));
        // From now on the feed tells of it.
        numbers.push(2);
        hub.deliver(user, &event(2), None, Standing::News);
        assert_eq!(next(&mut client).await, Some(2));
        assert_eq!(next(&mut client).await, None, "once");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_passes_what_stands_in_the_feed_only() {
        let (hub, numbers, user) = (Arc::new(Hub::new(8)), Numbers::new(), UserId::from_bytes([1; 12]));
        let mut client = Connection::new(hub.connect(user, None), numbers.clone());
        client.cursor().await;
        let tell = |number| {
            let position = numbers.push(number);
            hub.deliver(user, &event(number), None, Standing::At { position, is_last: true });
        };
        // It waits for what stays out.
        numbers.push(1);
        tell(2);
        assert_eq!(number(&client.next().await.unwrap()), Some(2));
        assert!(client.next().now_or_never().is_none());
        // Many looks in a row are one.
        for next in 3..=20 {
            numbers.push(next);
            hub.look(user);
        }
        tell(21);
        for expected in 1..=21 {
            let next = tokio::time::timeout(Duration::from_secs(600), client.next()).await;
            assert_eq!(number(&next.expect("it comes").unwrap()), Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_catches_up_is_not_too_slow() {
        let (hub, numbers, user) = (Arc::new(Hub::new(4)), Numbers::new(), UserId::from_bytes([1; 12]));
        let mut client = Connection::new(hub.connect(user, None), numbers.clone())
            .since(&numbers.sign(user, 0).to_string());
        for next in 1..=100 {
            let position = numbers.push(next);
            hub.deliver(user, &event(next), None, Standing::At { position, is_last: true });
        }
        for expected in 1..=100 {
            assert_eq!(number(&client.next().await.unwrap()), Some(expected));
        }
        assert_eq!(client.close_reason(), None);
    }
}
