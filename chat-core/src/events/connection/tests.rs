//! In a time that stands still unless everybody waits, on a feed of numbers.

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
        assert_eq!((&*delivery, delivery.cursor), (&Event::Resync {}, Some(numbers.sign(user, 5))), "{bad}");
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
    let mut client =
        Connection::new(hub.connect(user, None), numbers.clone()).since(&numbers.sign(user, 0).to_string());
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
    let mut client =
        Connection::new(hub.connect(user, None), numbers.clone()).since(&numbers.sign(user, 0).to_string());
    for next in 1..=100 {
        let position = numbers.push(next);
        hub.deliver(user, &event(next), None, Standing::At { position, is_last: true });
    }
    for expected in 1..=100 {
        assert_eq!(number(&client.next().await.unwrap()), Some(expected));
    }
    assert_eq!(client.close_reason(), None);
}
