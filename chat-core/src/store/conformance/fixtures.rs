//! People and messages to check with, also for tests of your own.

use std::{collections::HashMap, sync::Arc};

use crate::{
    ChatId, MessageId, Timestamp, UserId,
    store::{
        Appended, Change, Changed, ChatState, FeedEntry, Mark, MarkKind, MessageChange, MessageRecord,
        NewMessage, Place, Reaction, Result, Settings, Store, StoreError, UserRecord, Watermarks,
    },
};

/// `millis` after a moment that all checks share.
#[must_use]
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

/// A person who is in no store yet.
#[must_use]
pub fn person(email: &str, full_name: &str) -> UserRecord {
    UserRecord {
        id: UserId::generate(at(0)),
        email: email.into(),
        full_name: full_name.into(),
        password_hash: "$2b$10$not.a.hash".into(),
        profile_pic: None,
        last_seen: at(1),
        is_online: false,
        created_at: at(2),
        updated_at: at(3),
        email_verified: true,
        generation: 0,
        settings: Settings::default(),
    }
}

/// So many accounts: `User 00`, `User 01` …
pub async fn accounts<const N: usize>(store: &Arc<dyn Store>) -> [UserId; N] {
    let mut ids = [UserId::from_bytes([0; 12]); N];
    for (n, id) in ids.iter_mut().enumerate() {
        let user = person(&format!("user{n}@example.com"), &format!("User {n:02}"));
        store.insert_user(&user).await.expect("an account is added");
        *id = user.id;
    }
    ids
}

/// A message of a chat of two.
#[must_use]
pub fn message(from: UserId, to: UserId) -> NewMessage {
    let id = MessageId::generate(at(0));
    NewMessage {
        id,
        chat_id: ChatId::direct(from, to),
        sender_id: from,
        receiver_id: Some(to),
        body: Some(format!("sealed {id}")),
        image: None,
        client_id: None,
        at: at(1_000),
        reply_to: None,
    }
}

/// The same with an idempotency key.
#[must_use]
pub fn keyed(from: UserId, to: UserId, client_id: &str) -> NewMessage {
    NewMessage { client_id: Some(client_id.into()), ..message(from, to) }
}

/// The record that a message becomes at this place in its log.
pub(super) fn record(new: &NewMessage, seq: u64) -> MessageRecord {
    MessageRecord {
        id: new.id,
        chat_id: new.chat_id,
        seq,
        sender_id: new.sender_id,
        receiver_id: new.receiver_id,
        body: new.body.clone(),
        image: new.image.clone(),
        client_id: new.client_id.clone(),
        is_deleted: false,
        created_at: new.at,
        updated_at: new.at,
        reply_to: new.reply_to,
        is_edited: false,
        reactions: Vec::new(),
        hidden_for: Vec::new(),
    }
}

/// Appends one message and says what became of it.
pub(super) async fn append(store: &Arc<dyn Store>, new: NewMessage) -> Result<Appended> {
    let mut outcomes = store.append(vec![new]).await;
    assert_eq!(outcomes.len(), 1, "append gives one outcome per message");
    outcomes.remove(0)
}

/// Appends one message that must be new.
pub(super) async fn send(store: &Arc<dyn Store>, new: NewMessage) -> MessageRecord {
    new_record(append(store, new).await)
}

/// The record of an outcome that must be `New`.
pub(super) fn new_record(outcome: Result<Appended>) -> MessageRecord {
    match outcome {
        Ok(Appended::New { message, .. }) => message,
        other => panic!("append should have given New, and gave {other:?}"),
    }
}

/// The record of an outcome that must be `Repeat`.
pub(super) fn repeated(outcome: Result<Appended>) -> MessageRecord {
    match outcome {
        Ok(Appended::Repeat(record)) => record,
        other => panic!("append should have given Repeat, and gave {other:?}"),
    }
}

/// The whole log, in order; checks that it has neither hole nor repeat.
pub(super) async fn log(store: &Arc<dyn Store>, chat: ChatId) -> Vec<MessageRecord> {
    let log = store.page(chat, None, 100_000).await.expect("a page is read");
    let seqs: Vec<_> = log.iter().map(|message| message.seq).collect();
    let expected: Vec<_> = (1..=log.len() as u64).collect();
    assert_eq!(seqs, expected, "seq counts 1, 2, 3 … in the log of a chat");
    assert!(log.is_sorted_by_key(|message| message.created_at), "created_at does not fall within a chat");
    log
}

/// The chat as its member sees it.
pub(super) async fn state(store: &Arc<dyn Store>, chat: ChatId, user: UserId) -> ChatState {
    store.chat(chat, user).await.expect("a chat is read").expect("the chat is there, with this member")
}

/// That a call failed because something is not there.
#[track_caller]
pub(super) fn assert_not_found<T: std::fmt::Debug>(result: Result<T>, what: &str, when: &str) {
    match result {
        Err(StoreError::NotFound(kind)) if kind == what => {}
        other => panic!("{when}: should be NotFound({what:?}), and is {other:?}"),
    }
}

/// Runs calls at the same moment, each in a task of its own, and gathers what they return.
pub(super) async fn at_once<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("a call does not panic"));
    }
    results
}

/// The state of a member of whom others know nothing.
pub(super) const fn unshown(last_seq: u64, read_seq: u64) -> ChatState {
    ChatState { last_seq, read_seq, shown: Watermarks { delivered: 0, read: 0 } }
}

/// A member has read, and others may know of it.
pub(super) const fn read_mark(chat: ChatId, user: UserId, up_to: Option<u64>) -> Mark {
    Mark { chat, user, kind: MarkKind::Read, up_to, is_shown: true }
}

/// Marks as read, which nobody else is to know; the state afterwards.
pub(super) async fn mark_read(
    store: &Arc<dyn Store>,
    chat: ChatId,
    user: UserId,
    up_to: Option<u64>,
) -> Option<ChatState> {
    let mark = Mark { is_shown: false, ..read_mark(chat, user, up_to) };
    Some(store.mark(&mark).await.expect("it is marked")?.after)
}

/// Changes a message that is there.
pub(super) async fn change(
    store: &Arc<dyn Store>,
    id: MessageId,
    change: MessageChange,
    at: Timestamp,
) -> Changed {
    store.change_message(id, change, at).await.expect("it is changed").expect("the message is there")
}

/// Another text.
pub(super) fn edit(body: &str) -> MessageChange {
    MessageChange::Edit { body: Some(body.into()) }
}

/// What somebody thinks of it.
pub(super) fn reaction(user_id: UserId, emoji: &str) -> Reaction {
    Reaction { user_id, emoji: emoji.into() }
}

/// Says it.
pub(super) fn react(user: UserId, emoji: &str) -> MessageChange {
    MessageChange::React { reaction: reaction(user, emoji), is_on: true }
}

/// Takes it back.
pub(super) fn unreact(user: UserId, emoji: &str) -> MessageChange {
    MessageChange::React { reaction: reaction(user, emoji), is_on: false }
}

/// The whole feed of a user; checks that it has neither hole nor repeat, and ends where the store says.
pub(super) async fn feed(store: &Arc<dyn Store>, user: UserId) -> Vec<Change> {
    let mut feed = Vec::new();
    loop {
        let after = feed.len() as u64;
        let step = store.feed(user, after, 1_000).await.expect("a feed is read").expect("it is all there");
        if step.is_empty() {
            break;
        }
        for entry in step {
            feed.push(entry.change);
            assert_eq!(entry.position, feed.len() as u64, "positions count 1, 2, 3 …");
        }
    }
    assert_eq!(store.feed_end(user).await.expect("an end is read"), feed.len() as u64, "the end of the feed");
    feed
}

/// Follows what a feed tells of messages sent: each once and in order, chat by chat.
#[derive(Debug, Default)]
pub(super) struct Followed(HashMap<ChatId, u64>);

impl Followed {
    /// Takes the next change of the feed.
    #[track_caller]
    pub(super) fn take(&mut self, change: Change) {
        if let Change::Sent { chat, from, to } = change {
            let end = self.0.entry(chat).or_default();
            assert_eq!(from, *end + 1, "what was sent to {chat} is told once, and in order");
            assert!(from <= to, "an entry tells of something");
            *end = to;
        }
    }

    /// Up to where messages of a chat were told.
    pub(super) fn end(&self, chat: ChatId) -> u64 {
        self.0.get(&chat).copied().unwrap_or_default()
    }
}

/// That the places are in the feeds of these people, and that this change stands there.
pub(super) async fn assert_told(store: &Arc<dyn Store>, places: &[Place], users: &[UserId], change: Change) {
    let mut told: Vec<_> = places.iter().map(|place| place.user).collect();
    let mut expected = users.to_vec();
    told.sort();
    expected.sort();
    assert_eq!(told, expected, "whose feeds tell of {change:?}");
    for Place { user, position } in places.iter().copied() {
        let position = position.expect("nobody else brings anything");
        let entries = store.feed(user, position - 1, 1).await.expect("a feed is read");
        assert_eq!(entries, Some(vec![FeedEntry { position, change }]), "at its place in the feed of {user}");
    }
}
