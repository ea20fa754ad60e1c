//! What it costs to come back: `cargo bench -p chat-core --bench resume`.
//!
//! A user with 16 chats missed 10, 1,000 or 100,000 messages out of 110,010, and reads them from the in-process stream
//! (`subscribe(me).since(cursor)`), opened and made into events, until the last one is there. Under `max alloc`: what that
//! held at the same time on the thread that reads; it must not grow with what was missed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that can't run has nothing to tell")]

use std::{collections::HashMap, sync::LazyLock};

use chat_core::{
    ChatService, UserId,
    auth::SignUp,
    events::Event,
    messages::{Draft, To},
};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::{self, Runtime};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const MISSED: [usize; 3] = [10, 1_000, 100_000];
const CHATS: usize = 16;
/// Messages that are sent at once.
const AT_ONCE: usize = 256;
const LINE: &str = "Shall we say half past seven, at the place by the river with the blue door?";

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (chat, me, cursors, folder) = runtime.block_on(prepare());
    Bench { runtime, chat, me, cursors, _folder: folder }
});

struct Bench {
    runtime: Runtime,
    chat: ChatService,
    me: UserId,
    /// By how many messages came after it.
    cursors: HashMap<usize, String>,
    _folder: tempfile::TempDir,
}

fn main() {
    divan::main();
}

async fn prepare() -> (ChatService, UserId, HashMap<usize, String>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let builder = ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4);
    let chat = builder.build().await.unwrap();
    let mut users = Vec::new();
    for n in 0..=CHATS {
        let (email, full_name) = (format!("{n}@example.com"), format!("User {n}"));
        let sign_up = SignUp { email, full_name, password: "correct horse".into(), ..SignUp::default() };
        users.push(chat.auth().sign_up(sign_up).await.unwrap().user.id);
    }
    let me = users.remove(0);
    let mut cursors = HashMap::new();
    let mut later = MISSED.iter().rev().copied().chain([0]).peekable();
    send(&chat, &users, me, MISSED.iter().sum::<usize>() - MISSED[2] - MISSED[1] + 10_000).await;
    while let Some(missed) = later.next() {
        let Some(rest) = later.peek() else { break };
        cursors.insert(missed, chat.events().subscribe(me).cursor().await.to_string());
        send(&chat, &users, me, missed - rest).await;
    }
    (chat, me, cursors, folder)
}

async fn send(chat: &ChatService, from: &[UserId], to: UserId, count: usize) {
    let sends = (0..count)
        .map(|n| async move { chat.messages().send(from[n % CHATS], To::User(to), Draft::text(LINE)).await });
    stream::iter(sends).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await.unwrap();
}

#[divan::bench(args = MISSED, sample_count = 5, sample_size = 1)]
fn since(bencher: Bencher<'_, '_>, missed: usize) {
    let bench = &*BENCH;
    bencher.counter(ItemsCount::new(missed)).bench_local(|| {
        bench.runtime.block_on(async {
            let mut events = bench.chat.events().subscribe(bench.me).since(&bench.cursors[&missed]);
            for _ in 0..missed {
                let delivery = events.next().await.unwrap();
                assert!(matches!(&*delivery, Event::MessageSent(_)));
            }
        });
    });
}
