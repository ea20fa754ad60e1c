//! What the benchmarks of stores share: the same work, whatever it runs on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that can't run has nothing to tell")]

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use chat_core::{
    ChatId, MessageId, Timestamp, UserId,
    store::{NewMessage, Store, UserRecord},
};
use divan::{Bencher, counter::ItemsCount};
use tokio::runtime::Runtime;

pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Callers at once, and chats that they write to.
const CALLERS: usize = 64;

/// An empty store, and what has to stay as long as it does.
pub(crate) type Opened = (Arc<dyn Store>, Box<dyn Any + Send + Sync>);

/// A store, one user, and partners with whom the user has a chat each.
pub(crate) struct Bench {
    store: Arc<dyn Store>,
    me: UserId,
    partners: Vec<UserId>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Bench {
    async fn new((store, keep): Opened, partners: usize) -> Arc<Self> {
        let now = Timestamp::now();
        let mut users = Vec::new();
        for n in 0..=partners {
            let id = UserId::generate(now);
            let user = UserRecord {
                id,
                email: format!("{n}@example.com"),
                full_name: format!("User {n}"),
                password_hash: "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy".into(),
                profile_pic: None,
                last_seen: now,
                is_online: false,
                created_at: now,
                updated_at: now,
                email_verified: true,
                generation: 0,
                settings: chat_core::store::Settings::default(),
            };
            store.insert_user(&user).await.unwrap();
            users.push(id);
        }
        let me = users.remove(0);
        Arc::new(Self { store, me, partners: users, _keep: keep })
    }

    fn chat(&self, partner: usize) -> ChatId {
        ChatId::direct(self.me, self.partners[partner])
    }

    /// What a short line of text looks like once it is sealed.
    fn message(&self, partner: usize) -> NewMessage {
        let (id, at) = (MessageId::generate(Timestamp::now()), Timestamp::now());
        let receiver = self.partners[partner];
        NewMessage {
            id,
            chat_id: ChatId::direct(self.me, receiver),
            sender_id: self.me,
            receiver_id: Some(receiver),
            body: Some("k1.".to_owned() + &"x".repeat(100)),
            image: None,
            client_id: Some(format!("0b7f4f0e-8a5e-4d0c-{id}")),
            at,
            reply_to: None,
        }
    }

    async fn append(&self, messages: Vec<NewMessage>) {
        for outcome in self.store.append(messages).await {
            outcome.unwrap();
        }
    }
}

pub(crate) fn append_one_at_a_time(bencher: Bencher<'_, '_>, opened: Opened) {
    let bench = RUNTIME.block_on(Bench::new(opened, CALLERS));
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| vec![bench.message(0)])
        .bench_values(|messages| RUNTIME.block_on(bench.append(messages)));
}

/// 64 callers, each in a chat of its own, each sending the next message when the last one is durable.
pub(crate) fn append_by_64_callers(bencher: Bencher<'_, '_>, opened: Opened) {
    const EACH: usize = 100;
    let bench = RUNTIME.block_on(Bench::new(opened, CALLERS));
    bencher.counter(ItemsCount::new(CALLERS * EACH)).bench_local(|| {
        RUNTIME.block_on(async {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let bench = Arc::clone(&bench);
                    tokio::spawn(async move {
                        for _ in 0..EACH {
                            bench.append(vec![bench.message(caller)]).await;
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap();
            }
        });
    });
}

/// One call with 64 messages to 64 chats.
pub(crate) fn append_64_in_one_call(bencher: Bencher<'_, '_>, opened: Opened) {
    let bench = RUNTIME.block_on(Bench::new(opened, CALLERS));
    bencher
        .counter(ItemsCount::new(CALLERS))
        .with_inputs(|| (0..CALLERS).map(|partner| bench.message(partner)).collect::<Vec<_>>())
        .bench_values(|messages| RUNTIME.block_on(bench.append(messages)));
}

/// A store with so many messages: half of them in one chat, the others spread over 99 more.
pub(crate) fn seeded(messages: usize, open: impl FnOnce() -> Opened) -> Arc<Bench> {
    static SEEDED: LazyLock<Mutex<HashMap<usize, Arc<Bench>>>> = LazyLock::new(Mutex::default);
    let mut seeded = SEEDED.lock().unwrap();
    let seed = || {
        let opened = open();
        RUNTIME.block_on(async {
            let bench = Bench::new(opened, 100).await;
            for first in (0..messages).step_by(1_000) {
                let partner = |n: usize| if n.is_multiple_of(2) { 0 } else { 1 + (n / 2) % 99 };
                bench.append((first..first + 1_000).map(|n| bench.message(partner(n))).collect()).await;
            }
            bench
        })
    };
    Arc::clone(seeded.entry(messages).or_insert_with(seed))
}

pub(crate) fn newest_50_of_a_chat(bencher: Bencher<'_, '_>, bench: &Bench) {
    bencher.bench(|| {
        let page = RUNTIME.block_on(bench.store.page(bench.chat(0), None, 50)).unwrap();
        assert_eq!(page.len(), 50);
    });
}

pub(crate) fn some_50_amid_a_chat(bencher: Bencher<'_, '_>, bench: &Bench, messages: usize) {
    let middle = Some(messages as u64 / 4);
    bencher.bench(|| {
        let page = RUNTIME.block_on(bench.store.page(bench.chat(0), middle, 50)).unwrap();
        assert_eq!(page.len(), 50);
    });
}

pub(crate) fn first_50_of_100_chats(bencher: Bencher<'_, '_>, bench: &Bench) {
    bencher.bench(|| {
        let chats = RUNTIME.block_on(bench.store.chats_of(bench.me, None, 50)).unwrap();
        assert_eq!(chats.len(), 50);
    });
}
