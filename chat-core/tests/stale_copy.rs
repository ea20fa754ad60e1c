//! The strongest test: whoever applies the events to a stale copy has what a fresh look shows. For every operation, for
//! clients that stay and for clients that go and come back with their cursor.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use chat_core::{
    ChatId, ChatService, MessageId, UserId,
    events::{Event, Subscription},
    messages::{Draft, Message, To},
    store::SettingsChange,
};
use common::person;
use futures_util::StreamExt;

/// What one sees of a chat.
#[derive(Debug, Default, Clone, PartialEq)]
struct Conversation {
    messages: BTreeMap<u64, Message>,
    unread: u64,
    delivered_seq: u64,
    read_seq: u64,
}

/// All that one sees.
type Seen = BTreeMap<ChatId, Conversation>;

/// A copy that lives on events alone.
#[derive(Debug)]
struct StaleCopy {
    me: UserId,
    chats: BTreeMap<ChatId, Conversation>,
    /// The newest seq that was ever seen, and how far one has read.
    ends: BTreeMap<ChatId, (u64, u64)>,
    hidden: Vec<MessageId>,
    live: Option<Subscription>,
    cursor: String,
}

impl StaleCopy {
    async fn of(chat: &ChatService, me: UserId) -> Self {
        let mut live = chat.events().subscribe(me);
        let cursor = live.cursor().await.to_string();
        Self {
            me,
            chats: BTreeMap::new(),
            ends: BTreeMap::new(),
            hidden: Vec::new(),
            live: Some(live),
            cursor,
        }
    }

    fn come_back(&mut self, chat: &ChatService) {
        if self.live.is_none() {
            self.live = Some(chat.events().subscribe(self.me).since(&self.cursor));
        }
    }

    fn upsert(&mut self, message: &Message) {
        let (end, read) = self.ends.entry(message.chat_id).or_default();
        *end = (*end).max(message.seq);
        if message.sender_id == self.me {
            *read = (*read).max(message.seq);
        }
        let messages = &mut self.chats.entry(message.chat_id).or_default().messages;
        let is_newer = messages.get(&message.seq).is_none_or(|old| old.updated_at <= message.updated_at);
        if is_newer && !self.hidden.contains(&message.id) {
            messages.insert(message.seq, message.clone());
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::MessageSent(message) | Event::MessageDeleted(message) | Event::MessageEdited(message) => {
                self.upsert(message);
            }
            Event::Reactions { message_id, chat_id, reactions, updated_at } => {
                let messages = &mut self.chats.entry(*chat_id).or_default().messages;
                let message = messages.values_mut().find(|message| message.id == *message_id);
                if let Some(message) = message.filter(|message| message.updated_at <= *updated_at) {
                    message.reactions.clone_from(reactions);
                    message.updated_at = *updated_at;
                }
            }
            Event::MessageHidden { message_id, chat_id, seq, sender_id } => {
                let (end, read) = self.ends.entry(*chat_id).or_default();
                *end = (*end).max(*seq);
                if *sender_id == self.me {
                    *read = (*read).max(*seq);
                }
                self.hidden.push(*message_id);
                let messages = &mut self.chats.entry(*chat_id).or_default().messages;
                messages.retain(|_, message| message.id != *message_id);
            }
            Event::MessagesRead(mark) if mark.user_id == self.me => {
                let (_, read) = self.ends.entry(mark.chat_id).or_default();
                *read = (*read).max(mark.seq);
            }
            Event::MessagesRead(mark) => {
                let chat = self.chats.entry(mark.chat_id).or_default();
                chat.read_seq = chat.read_seq.max(mark.seq);
                chat.delivered_seq = chat.delivered_seq.max(mark.seq);
            }
            Event::MessagesDelivered(mark) => {
                let chat = self.chats.entry(mark.chat_id).or_default();
                chat.delivered_seq = chat.delivered_seq.max(mark.seq);
            }
            Event::Resync {} => panic!("its cursor is good"),
            _ => {}
        }
    }

    fn seen(&self) -> Seen {
        let mut seen = self.chats.clone();
        for (chat, (end, read)) in &self.ends {
            seen.entry(*chat).or_default().unread = end.saturating_sub(*read);
        }
        seen
    }

    /// Takes in what comes, until the copy is what a fresh look shows.
    async fn becomes(&mut self, fresh: &Seen) {
        let work = async {
            while self.seen() != *fresh {
                let delivery = self.live.as_mut().unwrap().next().await.expect("it is not closed");
                if let Some(cursor) = delivery.cursor {
                    self.cursor = cursor.to_string();
                }
                self.apply(&delivery);
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), work).await;
        assert!(in_time.is_ok(), "of {}:\n copy {:#?}\nfresh {fresh:#?}", self.me, self.seen());
    }

    /// Takes in one event, if it comes soon.
    async fn one(&mut self) {
        let Some(live) = self.live.as_mut() else { return };
        if let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(1), live.next()).await {
            if let Some(cursor) = delivery.cursor {
                self.cursor = cursor.to_string();
            }
            self.apply(&delivery);
        }
    }
}

async fn fresh(chat: &ChatService, me: UserId) -> Seen {
    let mut seen = Seen::new();
    for line in chat.messages().chats(me, None, 200).await.unwrap().items {
        let (mut messages, mut before) = (BTreeMap::new(), None);
        loop {
            let page = chat.messages().conversation(me, line.partner.id, before, 3).await.unwrap();
            messages.extend(page.items.into_iter().map(|message| (message.seq, message)));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let newest = messages.values().next_back().cloned();
        assert_eq!(line.last_message, newest, "the list agrees with the conversation");
        let (unread, delivered_seq, read_seq) = (line.unread, line.delivered_seq, line.read_seq);
        seen.insert(line.chat_id, Conversation { messages, unread, delivered_seq, read_seq });
    }
    seen
}

/// One step: what, who, with whom or what.
type Step = (u8, usize, usize);

async fn compare(chat: ChatService, steps: Vec<Step>) {
    let mut people = Vec::new();
    for name in ["ann", "bob", "cid"] {
        people.push(person(&chat, name).await.user.id);
    }
    let (mut stays, mut comes) = (Vec::new(), Vec::new());
    for person in &people {
        stays.push(StaleCopy::of(&chat, *person).await);
        comes.push(StaleCopy::of(&chat, *person).await);
    }
    let mut sent: Vec<Message> = Vec::new();
    for (number, (what, who, which)) in steps.into_iter().enumerate() {
        let me = people[who];
        let other = people[(who + 1 + which % 2) % 3];
        let message = (!sent.is_empty()).then(|| &sent[which % sent.len().max(1)]);
        let id = message.map(|message| message.id);
        let messages = chat.messages();
        // What is refused changes nothing, and that is checked along with the rest.
        match what {
            0..=4 => {
                let draft = Draft::text(format!("{number}")).client_id(format!("{}", number / 2));
                sent.extend(messages.send(me, To::User(other), draft).await.ok().map(|sent| sent.message));
            }
            5 => {
                if let Some(message) = message {
                    let draft = Draft::text("an answer").reply_to(message.id);
                    let to = message.receiver_id.filter(|to| *to != me).unwrap_or(message.sender_id);
                    sent.extend(messages.send(me, To::User(to), draft).await.ok().map(|sent| sent.message));
                }
            }
            6 => drop(messages.edit(me, id.unwrap_or_default_id(), format!("edited {which}")).await),
            7 | 8 => {
                let emoji = ["👍", "❤️", "🎉"][which % 3];
                drop(messages.react(me, id.unwrap_or_default_id(), emoji, what == 7).await);
            }
            9 => drop(messages.delete(me, id.unwrap_or_default_id()).await),
            10 => drop(messages.hide(me, id.unwrap_or_default_id()).await),
            11 => drop(messages.mark_read(me, other, (which > 2).then_some(which as u64)).await),
            12 => {
                let chat_id = ChatId::direct(me, other);
                drop(messages.mark_delivered(me, chat_id, (which > 2).then_some(which as u64)).await);
            }
            13 => {
                let change = SettingsChange { sends_receipts: Some(which % 2 == 0), is_invisible: None };
                chat.auth().change_settings(me, change).await.unwrap();
            }
            14 if which > 3 => chat.auth().block(me, other).await.unwrap(),
            14 => chat.auth().unblock(me, other).await.unwrap(),
            15 => comes[who].live = None,
            16 => comes[who].come_back(&chat),
            _ => {
                stays[who].one().await;
                comes[who].one().await;
            }
        }
    }
    for (index, person) in people.iter().enumerate() {
        for other in &people {
            chat.auth().unblock(*person, *other).await.unwrap();
        }
        let fresh = fresh(&chat, *person).await;
        stays[index].becomes(&fresh).await;
        comes[index].come_back(&chat);
        comes[index].becomes(&fresh).await;
    }
    chat.shutdown().await;
}

trait OrNobodys {
    fn unwrap_or_default_id(self) -> MessageId;
}

impl OrNobodys for Option<MessageId> {
    fn unwrap_or_default_id(self) -> MessageId {
        self.unwrap_or_else(|| MessageId::generate(chat_core::Timestamp::now()))
    }
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0..20_u8, 0..3_usize, 0..8_usize), 1..80)
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 48, max_shrink_iters: 64, ..proptest::test_runner::Config::default()
    })]
    #[test]
    fn on_sqlite(steps in steps()) {
        run(async {
            let (chat, _folder) = common::chat().await;
            compare(chat, steps).await;
        });
    }
}

#[cfg(feature = "mongodb")]
proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 16, max_shrink_iters: 64, ..proptest::test_runner::Config::default()
    })]
    #[test]
    fn on_mongodb(steps in steps()) {
        run(async {
            let database = chat_test_servers::MongoDatabase::fresh();
            let folder = tempfile::tempdir().unwrap();
            let store = chat_core::store::MongoStore::connect(&database.uri()).await.unwrap();
            let chat = ChatService::builder()
                .store(store)
                .data_dir(folder.path())
                .dangerous_bcrypt_cost(4)
                .build()
                .await
                .unwrap();
            compare(chat, steps).await;
        });
    }
}
