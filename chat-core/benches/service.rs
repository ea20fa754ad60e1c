//! How fast the whole service is, and how much memory a connection takes: `cargo bench -p chat-core --bench service`.
//! A name after `--` runs only what has it in its own: `… --bench service -- fan_out`.
//!
//! All of it through the public API, on a service in the system's temporary folder, with every sync: `TMPDIR` says
//! which disk is measured. Where something is sent, most of the time is that disk's.
//!
//! - `seal_1_kib`, `open_1_kib`: one text of 1024 bytes, encryption and base64.
//! - `fan_out_into_queues`: one event into the queues of so many connections of one user, nobody reading: the hub
//!   alone. It is the event "typing is over", which takes no other way and leaves no timer.
//! - `fan_out_to_readers`: the same event until each connection, a task of its own, has read it.
//! - `fan_out_of_a_message`: a whole `send` to a user with so many connections, until it returns: sealed, committed,
//!   and in every queue.
//! - `send_one_at_a_time`: a whole `send`, the next one when the last one is durable.
//! - `send_by_64_callers`: the same by 64 callers at once, each in a chat of its own.
//! - `conversation_page_of_50`, `chats_page_of_50`: read, opened, and made into what clients see.
//! - `memory_*`: what an idle connection keeps. **Read the two rows under `max alloc`**: blocks and bytes per
//!   connection at the end of a sample, in which all connections stay alive; the goal is below 4 KiB. (`alloc` and
//!   `dealloc` also count what lived for a moment only, and the times above them mean nothing.) What the thread of the
//!   benchmark allocates is counted, and that is all: the runtime has one thread, and the connection itself is boxed
//!   in order to be counted. What the store's threads free for it counts as kept, so `…_with_presence`, which writes,
//!   differs from run to run and is at most what it says. What the allocator adds to each block is not counted;
//!   `tests/memory.rs` looks at the process from outside. Sockets and TLS are the server's and in neither.
//!
//! The allocator counts throughout, which costs the other figures some nanoseconds per allocation.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that can't run has nothing to tell")]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use chat_core::{
    ChatId, ChatService, MessageId, SessionId, Timestamp, UserId,
    auth::{Session, SignUp},
    encryption::Binding,
    events::{Connection, Subscription},
    messages::{Draft, To},
    presence::PresenceGuard,
};
use divan::{
    AllocProfiler, Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use futures_util::{FutureExt, StreamExt, future::join_all};
use tokio::runtime::{self, Runtime};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Callers at once, and chats that they write to.
const CALLERS: usize = 64;
/// Connections that an event goes to.
const CONNECTIONS: [usize; 3] = [1, 100, 10_000];
/// Events that may wait for a connection.
const QUEUE: usize = 256;
/// Events between one look at the queues and the next.
const UNREAD: u32 = 32;
/// A line as people write them.
const LINE: &str = "Shall we say half past seven, at the place by the river with the blue door?";

fn main() {
    divan::main();
}

/// A service in a folder that goes with it, one user, and others to whom the user writes.
struct Bench {
    chat: ChatService,
    me: UserId,
    partners: Vec<UserId>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new(partners: usize) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let chat = ChatService::builder()
            .data_dir(folder.path())
            .dangerous_bcrypt_cost(4)
            .connection_queue(QUEUE)
            .presence_grace(Duration::ZERO)
            .build()
            .await
            .unwrap();
        let mut users = Vec::new();
        for n in 0..=partners {
            let (email, full_name) = (format!("{n}@example.com"), format!("User {n}"));
            let sign_up = SignUp { email, full_name, password: "correct horse".into(), ..SignUp::default() };
            users.push(chat.auth().sign_up(sign_up).await.unwrap().user.id);
        }
        // The sign-ins are over, and that is stored.
        while chat.stats().users_online > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let me = users.remove(0);
        Arc::new(Self { chat, me, partners: users, _folder: folder })
    }

    async fn send(&self, partner: usize) {
        let to = To::User(self.partners[partner]);
        self.chat.messages().send(self.me, to, Draft::text(LINE)).await.unwrap();
    }

    /// So many connections of the first partner.
    fn crowd(&self, connections: usize) -> Vec<Subscription> {
        (0..connections).map(|_| self.chat.events().subscribe(self.partners[0])).collect()
    }

    /// One event for the first partner, by the hub alone.
    async fn tell(&self) {
        self.chat.events().typing(self.me, self.partners[0], false).await.unwrap();
    }

    /// Everything came that was told: so many events, and nobody was closed for being slow.
    fn check(&self, connections: usize) {
        let stats = self.chat.stats();
        assert!(stats.events_delivered > 0 && stats.events_delivered.is_multiple_of(connections as u64));
        assert_eq!((stats.connections, stats.slow_connections_closed), (connections, 0));
    }
}

/// Empties the queues, if something came since it did so last.
fn drain(chat: &ChatService, crowd: &mut [Subscription], seen: &mut u64) {
    let delivered = chat.stats().events_delivered;
    if delivered != *seen {
        *seen = delivered;
        for subscription in crowd {
            while let Some(Some(_)) = subscription.next().now_or_never() {}
        }
    }
}

const KIB: usize = 1024;

fn binding() -> Binding {
    let now = Timestamp::now();
    Binding { chat: ChatId::generate(now), message: MessageId::generate(now), sender: UserId::generate(now) }
}

#[divan::bench(sample_size = 100)]
fn seal_1_kib(bencher: Bencher<'_, '_>) {
    let bench = RUNTIME.block_on(Bench::new(0));
    let (binding, text) = (binding(), "x".repeat(KIB));
    bencher
        .counter(BytesCount::new(KIB))
        .bench(|| bench.chat.encryption().seal(black_box(&binding), black_box(&text)));
}

#[divan::bench(sample_size = 100)]
fn open_1_kib(bencher: Bencher<'_, '_>) {
    let bench = RUNTIME.block_on(Bench::new(0));
    let binding = binding();
    let sealed = bench.chat.encryption().seal(&binding, &"x".repeat(KIB));
    bencher
        .counter(BytesCount::new(KIB))
        .bench(|| bench.chat.encryption().open(black_box(&binding), black_box(&sealed)).unwrap());
}

#[divan::bench(args = CONNECTIONS, sample_count = 50, sample_size = UNREAD)]
fn fan_out_into_queues(bencher: Bencher<'_, '_>, connections: usize) {
    let bench = RUNTIME.block_on(Bench::new(1));
    let (mut crowd, mut seen) = (bench.crowd(connections), 0);
    bencher
        .counter(ItemsCount::new(connections))
        .with_inputs(|| drain(&bench.chat, &mut crowd, &mut seen))
        .bench_local_values(|()| RUNTIME.block_on(bench.tell()));
    bench.check(connections);
}

#[divan::bench(args = CONNECTIONS, sample_count = 50, sample_size = 1)]
fn fan_out_to_readers(bencher: Bencher<'_, '_>, connections: usize) {
    let bench = RUNTIME.block_on(Bench::new(1));
    let (left, (done, all_have_it)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
    for mut subscription in bench.crowd(connections) {
        let (left, done) = (left.clone(), done.clone());
        RUNTIME.spawn(async move {
            while let Some(event) = subscription.next().await {
                black_box(event.name());
                if left.fetch_sub(1, SeqCst) == 1 {
                    done.send(()).unwrap();
                }
            }
        });
    }
    bencher.counter(ItemsCount::new(connections)).bench_local(|| {
        left.store(connections, SeqCst);
        let bench = bench.clone();
        // On a thread of the runtime, as when it comes from a door.
        RUNTIME.spawn(async move { bench.tell().await });
        all_have_it.recv().unwrap();
    });
    bench.check(connections);
    bench.chat.close_connections();
}

#[divan::bench(args = CONNECTIONS, sample_count = 100, sample_size = 1)]
fn fan_out_of_a_message(bencher: Bencher<'_, '_>, connections: usize) {
    let bench = RUNTIME.block_on(Bench::new(1));
    let (mut crowd, mut seen) = (bench.crowd(connections), 0);
    bencher
        .counter(ItemsCount::new(connections))
        .with_inputs(|| drain(&bench.chat, &mut crowd, &mut seen))
        .bench_local_values(|()| RUNTIME.block_on(bench.send(0)));
    bench.check(connections);
}

#[divan::bench]
fn send_one_at_a_time(bencher: Bencher<'_, '_>) {
    let bench = RUNTIME.block_on(Bench::new(1));
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| RUNTIME.block_on(bench.send(0)));
}

#[divan::bench(sample_count = 30, sample_size = 1)]
fn send_by_64_callers(bencher: Bencher<'_, '_>) {
    const EACH: usize = 50;
    let bench = RUNTIME.block_on(Bench::new(CALLERS));
    bencher.counter(ItemsCount::new(CALLERS * EACH)).bench_local(|| {
        RUNTIME.block_on(async {
            let callers = (0..CALLERS).map(|caller| {
                let bench = bench.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        bench.send(caller).await;
                    }
                })
            });
            for caller in join_all(callers).await {
                caller.unwrap();
            }
        });
    });
}

/// The newest page of 1,000 messages.
#[divan::bench]
fn conversation_page_of_50(bencher: Bencher<'_, '_>) {
    let bench = RUNTIME.block_on(async {
        let bench = Bench::new(1).await;
        join_all((0..1_000).map(|_| bench.send(0))).await;
        bench
    });
    bencher.counter(ItemsCount::new(50_usize)).bench_local(|| {
        let messages = bench.chat.messages();
        let page = RUNTIME.block_on(messages.conversation(bench.me, bench.partners[0], None, 50)).unwrap();
        assert!(page.items.len() == 50 && page.items[0].text.is_some());
        page
    });
}

/// The first page of 100 chats.
#[divan::bench]
fn chats_page_of_50(bencher: Bencher<'_, '_>) {
    let bench = RUNTIME.block_on(async {
        let bench = Bench::new(100).await;
        join_all((0..100).map(|partner| bench.send(partner))).await;
        bench
    });
    bencher.counter(ItemsCount::new(50_usize)).bench_local(|| {
        let page = RUNTIME.block_on(bench.chat.messages().chats(bench.me, None, 50)).unwrap();
        assert!(page.items.len() == 50 && page.items[0].last_message.is_some());
        page
    });
}

/// A service on a runtime with one thread, on which therefore everything is counted.
struct Counted {
    bench: Arc<Bench>,
    /// Tasks of the service itself.
    tasks: usize,
    runtime: Runtime,
}

impl Counted {
    fn new() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bench = runtime.block_on(Bench::new(1));
        Self { bench, tasks: runtime.metrics().num_alive_tasks(), runtime }
    }

    /// Waits until whatever a connection set going has come to its end.
    fn settle(&self) {
        self.runtime.block_on(async {
            while self.runtime.metrics().num_alive_tasks() > self.tasks {
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
        });
    }
}

fn somebody() -> UserId {
    UserId::generate(Timestamp::now())
}

/// Connections of different users.
#[divan::bench(sample_count = 10, sample_size = 10_000)]
fn memory_of_a_subscription(bencher: Bencher<'_, '_>) {
    let counted = Counted::new();
    bencher
        .with_inputs(somebody)
        .bench_local_values(|user| Box::new(counted.bench.chat.events().subscribe(user)));
}

/// Connections of one user.
#[divan::bench(sample_count = 10, sample_size = 1_000)]
fn memory_of_a_subscription_of_one_user(bencher: Bencher<'_, '_>) {
    let counted = Counted::new();
    bencher.bench_local(|| Box::new(counted.bench.chat.events().subscribe(counted.bench.me)));
}

/// What a door holds for each socket: its user is here as long as it is. Different users.
#[divan::bench(sample_count = 5, sample_size = 2_000)]
fn memory_of_a_connection_with_presence(bencher: Bencher<'_, '_>) {
    let counted = Counted::new();
    let connect = |session: Session| -> Box<(Connection, PresenceGuard)> {
        let chat = &counted.bench.chat;
        let connected = Box::new((chat.events().connect(&session), chat.presence().arrive(session.user)));
        counted.settle();
        connected
    };
    bencher
        .with_inputs(|| {
            counted.settle();
            Session { id: SessionId::random(), user: somebody(), expires_at: Timestamp::now(), generation: 0 }
        })
        .bench_local_values(connect);
}

/// A connection whose queue was nearly full once and has been read: idle again, it must not keep that.
#[divan::bench(sample_count = 5, sample_size = 1_000)]
fn memory_of_a_subscription_that_was_busy(bencher: Bencher<'_, '_>) {
    let counted = Counted::new();
    bencher.with_inputs(somebody).bench_local_values(|user| {
        let chat = &counted.bench.chat;
        let mut subscription = Box::new(chat.events().subscribe(user));
        for _ in 1..QUEUE {
            counted.runtime.block_on(chat.events().typing(counted.bench.me, user, false)).unwrap();
        }
        let mut read = 1;
        while let Some(Some(_)) = subscription.next().now_or_never() {
            read += 1;
        }
        assert_eq!(read, QUEUE);
        subscription
    });
}
