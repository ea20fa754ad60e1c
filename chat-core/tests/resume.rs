//! The stream in the process: who comes back with a cursor gets what was missed, and what happens from then on, while
//! others send at full speed.
#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what is not as it should be"
)]

mod common;

use std::{collections::BTreeMap, time::Duration};

use chat_core::{
    ChatId, ChatService, UserId,
    events::{CloseReason, Event, Subscription},
    messages::{Draft, Message, To},
};
use common::person;
use futures_util::{StreamExt, future::join_all};

const HANGS: Duration = Duration::from_secs(30);

/// Somebody who listens, goes, and comes back.
struct Listener {
    user: UserId,
    stream: Subscription,
    cursor: String,
    chats: BTreeMap<ChatId, BTreeMap<u64, Message>>,
    events: usize,
}

impl Listener {
    async fn new(chat: &ChatService, user: UserId) -> Self {
        let mut stream = chat.events().subscribe(user);
        let cursor = stream.cursor().await.to_string();
        Self { user, stream, cursor, chats: BTreeMap::new(), events: 0 }
    }

    fn come_back(&mut self, chat: &ChatService) {
        self.stream = chat.events().subscribe(self.user).since(&self.cursor);
    }

    /// Takes in one event; `None` when that was the end.
    async fn hear(&mut self) -> Option<Event> {
        let delivery = tokio::time::timeout(HANGS, self.stream.next()).await.expect("nothing comes")?;
        if let Some(cursor) = delivery.cursor {
            self.cursor = cursor.to_string();
        }
        if let Event::MessageSent(message) | Event::MessageEdited(message) | Event::MessageDeleted(message) =
            &*delivery
        {
            self.events += 1;
            let known = self.chats.entry(message.chat_id).or_default();
            // It was there from the beginning, so each new one follows the last one that it has.
            let next = known.keys().next_back().map_or(1, |last| last + 1);
            assert!(message.seq <= next, "{} comes before {next}", message.seq);
            if known.get(&message.seq).is_none_or(|old| old.updated_at <= message.updated_at) {
                known.insert(message.seq, message.clone());
            }
        }
        Some((*delivery).clone())
    }

    async fn until(&mut self, text: &str) {
        loop {
            match self.hear().await.expect("it is not closed") {
                Event::MessageSent(message) if message.text.as_deref() == Some(text) => return,
                _ => {}
            }
        }
    }

    /// Listens until it has as many messages of a chat as there are, and they are the same.
    async fn has(&mut self, chat: &ChatService, with: UserId) {
        let history = history(chat, self.user, with).await;
        let id = ChatId::direct(self.user, with);
        while self.chats.get(&id).is_none_or(|known| known.len() < history.len()) {
            assert!(self.hear().await.is_some(), "closed");
        }
        assert_eq!(self.chats[&id], history);
    }
}

async fn history(chat: &ChatService, me: UserId, with: UserId) -> BTreeMap<u64, Message> {
    let (mut all, mut before) = (BTreeMap::new(), None);
    loop {
        let page = chat.messages().conversation(me, with, before, 200).await.unwrap();
        all.extend(page.items.into_iter().map(|message| (message.seq, message)));
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

async fn send(chat: &ChatService, from: UserId, to: UserId, text: &str) {
    chat.messages().send(from, To::User(to), Draft::text(text)).await.unwrap();
}

async fn three(chat: &ChatService) -> [UserId; 3] {
    [person(chat, "ann").await, person(chat, "bob").await, person(chat, "cid").await].map(|one| one.user.id)
}

/// Everybody writes to everybody at the same time, and listeners come and go after every few events.
async fn no_gap_at_the_seam(chat: ChatService, messages: usize) {
    let people = three(&chat).await;
    let writing = join_all((0..6).map(|number| {
        let (from, to) = (people[number % 3], people[(number + 1 + number / 3) % 3]);
        let chat = &chat;
        async move {
            for n in 0..messages / 6 {
                send(chat, from, to, &format!("{number} {n}")).await;
            }
        }
    }));
    let mut listeners = Vec::new();
    for user in people {
        // Less than what is read at once, and more than stands in one entry.
        for pace in [10, 30, 100] {
            listeners.push((Listener::new(&chat, user).await, pace));
        }
    }
    let listening = join_all(listeners.into_iter().map(|(mut listener, pace)| {
        let chat = &chat;
        async move {
            // Each gets two thirds of all.
            while listener.chats.values().map(BTreeMap::len).sum::<usize>() < messages * 2 / 3 {
                for _ in 0..pace {
                    let work = tokio::time::timeout(Duration::from_millis(50), listener.hear());
                    if work.await.is_err() {
                        break;
                    }
                }
                listener.come_back(chat);
            }
            listener
        }
    }));
    let in_time = tokio::time::timeout(4 * HANGS, async { tokio::join!(writing, listening) });
    let (_, mut listeners) = in_time.await.expect("somebody never gets everything");
    for listener in &mut listeners {
        for other in people.iter().filter(|other| **other != listener.user) {
            let id = ChatId::direct(listener.user, *other);
            assert_eq!(listener.chats[&id], history(&chat, listener.user, *other).await);
        }
    }
    chat.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_gap_at_the_seam_on_sqlite() {
    let (chat, _folder) = common::chat().await;
    no_gap_at_the_seam(chat, 1800).await;
}

#[cfg(feature = "mongodb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_gap_at_the_seam_on_mongodb() {
    let database = chat_test_servers::MongoDatabase::fresh();
    let folder = tempfile::tempdir().unwrap();
    let store = chat_core::store::MongoStore::connect(&database.uri()).await.unwrap();
    let builder = ChatService::builder().store(store).data_dir(folder.path()).dangerous_bcrypt_cost(4);
    no_gap_at_the_seam(builder.build().await.unwrap(), 600).await;
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_comes_back() {
    let (chat, _folder) = common::chat().await;
    let [ann, bob, cid] = three(&chat).await;
    let mut listener = Listener::new(&chat, bob).await;
    // Twice what its queue holds, from two sides.
    for n in 0..600 {
        send(&chat, if n % 2 == 0 { ann } else { cid }, bob, &format!("{n}")).await;
    }
    while listener.hear().await.is_some() {}
    assert_eq!(listener.stream.close_reason(), Some(CloseReason::SlowConsumer));
    assert!(listener.events < 600, "it was not slow");
    listener.come_back(&chat);
    for other in [ann, cid] {
        listener.has(&chat, other).await;
    }
    send(&chat, ann, bob, "live").await;
    listener.until("live").await;
}

#[tokio::test]
async fn a_cursor_that_is_none() {
    let (chat, _folder) = common::chat().await;
    let [ann, bob, cid] = three(&chat).await;
    send(&chat, ann, bob, "before").await;
    let theirs = chat.events().subscribe(cid).cursor().await.to_string();
    for cursor in ["", "nonsense", &theirs] {
        let mut listener = Listener::new(&chat, bob).await;
        listener.cursor = cursor.to_owned();
        listener.come_back(&chat);
        assert_eq!(listener.hear().await, Some(Event::Resync {}));
        assert_ne!(listener.cursor, cursor, "one that can be used");
        send(&chat, ann, bob, "missed").await;
        listener.chats = [(ChatId::direct(ann, bob), history(&chat, bob, ann).await)].into();
        listener.come_back(&chat);
        listener.until("missed").await;
    }
}

/// It is good after a restart as well, and what was deleted or hidden meanwhile is not told any more.
#[tokio::test]
async fn a_cursor_survives_and_shows_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let chat = common::chat_in(folder.path()).await;
    let [ann, bob, _] = three(&chat).await;
    let mut listener = Listener::new(&chat, bob).await;
    for text in ["stays", "is deleted", "is hidden", "is edited"] {
        send(&chat, ann, bob, text).await;
    }
    let messages = history(&chat, bob, ann).await;
    let id = |seq| messages[&seq].id;
    chat.messages().delete(ann, id(2)).await.unwrap();
    chat.messages().hide(bob, id(3)).await.unwrap();
    chat.messages().edit(ann, id(4), "edited".to_owned()).await.unwrap();
    chat.shutdown().await;
    drop(chat);

    let chat = common::chat_in(folder.path()).await;
    send(&chat, ann, bob, "after").await;
    listener.stream = chat.events().subscribe(bob).since(&listener.cursor);
    let mut told = Vec::new();
    while told.last().is_none_or(|event| !matches!(event, Event::MessageSent(m) if m.seq == 5)) {
        let delivery = tokio::time::timeout(HANGS, listener.stream.next()).await.unwrap().unwrap();
        told.push((*delivery).clone());
    }
    let shown: Vec<(u64, &str, Option<&str>)> = told
        .iter()
        .filter_map(|event| match event {
            Event::MessageSent(m) | Event::MessageEdited(m) | Event::MessageDeleted(m) => {
                Some((m.seq, event.name(), m.text.as_deref()))
            }
            _ => None,
        })
        .collect();
    let expected = [
        (1, "sendMessage", Some("stays")),
        (2, "deleteMessage", None),
        (4, "sendMessage", Some("edited")),
        (5, "sendMessage", Some("after")),
    ];
    assert_eq!(shown, expected);
}
