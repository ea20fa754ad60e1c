//! What is done to messages that are there, and what people choose for themselves, by the service on a real store.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::time::Duration;

use chat_core::{
    ChatId, ChatService, Code, Limits, MessageId, Timestamp, UserId,
    events::{Event, Subscription},
    messages::{Draft, Message, To},
    store::{Settings, SettingsChange},
};
use common::{chat, person};
use futures_util::{FutureExt, StreamExt};

struct Two {
    chat: ChatService,
    ann: UserId,
    bob: UserId,
    _folder: tempfile::TempDir,
}

async fn two() -> Two {
    let (chat, folder) = chat().await;
    let (ann, bob) = (person(&chat, "ann").await.user.id, person(&chat, "bob").await.user.id);
    Two { chat, ann, bob, _folder: folder }
}

impl Two {
    async fn send(&self, text: &str) -> Message {
        self.chat.messages().send(self.ann, To::User(self.bob), Draft::text(text)).await.unwrap().message
    }

    async fn conversation(&self, me: UserId) -> Vec<Message> {
        let with = if me == self.ann { self.bob } else { self.ann };
        self.chat.messages().conversation(me, with, None, 50).await.unwrap().items
    }
}

/// The next event; what was done before it was told.
fn told(events: &mut Subscription) -> Option<Event> {
    events.next().now_or_never().flatten().map(|delivery| (*delivery).clone())
}

#[tokio::test]
async fn an_edit_is_the_senders_and_seen_by_both() {
    let two = two().await;
    let Two { chat, ann, bob, .. } = &two;
    let eve = person(chat, "eve").await.user.id;
    let sent = two.send("frist").await;
    let mut events = [chat.events().subscribe(*ann), chat.events().subscribe(*bob)];
    for events in &mut events {
        events.cursor().await;
    }

    let code = async |who, text: &str| chat.messages().edit(who, sent.id, text).await.unwrap_err().code();
    assert_eq!(code(*bob, "mine").await, Code::Forbidden);
    assert_eq!(code(eve, "mine").await, Code::NotFound);
    assert_eq!(code(*ann, "").await, Code::ValidationFailed);
    assert_eq!(code(*ann, &"x".repeat(10_001)).await, Code::ValidationFailed);
    let unknown = MessageId::generate(Timestamp::now());
    let error = chat.messages().edit(*ann, unknown, "x").await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);

    let edited = chat.messages().edit(*ann, sent.id, "first").await.unwrap();
    assert_eq!((edited.text.as_deref(), edited.is_edited, edited.seq), (Some("first"), true, 1));
    assert!(edited.updated_at > sent.updated_at && edited.created_at == sent.created_at);
    let again = chat.messages().edit(*ann, sent.id, "first").await.unwrap();
    assert_eq!(again, edited, "the same text changes nothing");
    for events in &mut events {
        assert_eq!(told(events), Some(Event::MessageEdited(edited.clone())));
        assert_eq!(told(events), None, "told once");
    }
    assert_eq!(two.conversation(*bob).await, [edited]);

    chat.messages().delete(*ann, sent.id).await.unwrap();
    assert_eq!(code(*ann, "too late").await, Code::NotFound);
}

#[tokio::test]
async fn an_edit_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.edit_within = Duration::ZERO;
    let chat = ChatService::builder()
        .data_dir(folder.path())
        .dangerous_bcrypt_cost(4)
        .limits(limits)
        .build()
        .await
        .unwrap();
    let (ann, bob) = (person(&chat, "ann").await.user.id, person(&chat, "bob").await.user.id);
    let sent = chat.messages().send(ann, To::User(bob), Draft::text("final")).await.unwrap().message;
    while Timestamp::now() <= sent.created_at {
        tokio::task::yield_now().await;
    }
    let error = chat.messages().edit(ann, sent.id, "changed").await.unwrap_err();
    assert_eq!(error.code(), Code::Forbidden);
}

#[tokio::test]
async fn an_answer_is_in_its_conversation() {
    let two = two().await;
    let Two { chat, ann, bob, .. } = &two;
    let eve = person(chat, "eve").await.user.id;
    let question = two.send("where?").await;
    let draft = Draft::text("here").reply_to(question.id);
    let answer = chat.messages().send(*bob, To::User(*ann), draft.clone()).await.unwrap().message;
    assert_eq!(answer.reply_to, Some(question.id));
    assert_eq!(two.conversation(*ann).await[1].reply_to, Some(question.id));
    let error = chat.messages().send(*bob, To::User(eve), draft).await.unwrap_err();
    assert_eq!(error.code(), Code::ValidationFailed, "of another conversation");
    let unknown = Draft::text("?").reply_to(MessageId::generate(Timestamp::now()));
    let error = chat.messages().send(*bob, To::User(*ann), unknown).await.unwrap_err();
    assert_eq!(error.code(), Code::ValidationFailed);
}

#[tokio::test]
async fn reactions_once_of_each_kind() {
    let two = two().await;
    let Two { chat, ann, bob, .. } = &two;
    let sent = two.send("news").await;
    let mut events = chat.events().subscribe(*ann);
    events.cursor().await;
    for no_emoji in ["", "a", "ok", "👍👍", " 👍", "<b>"] {
        let error = chat.messages().react(*bob, sent.id, no_emoji, true).await.unwrap_err();
        assert_eq!(error.code(), Code::ValidationFailed, "{no_emoji:?}");
    }
    for _ in 0..2 {
        chat.messages().react(*bob, sent.id, "❤", true).await.unwrap();
        // The same with the sign that says it is to be coloured.
        chat.messages().react(*bob, sent.id, "❤\u{fe0f}", true).await.unwrap();
    }
    chat.messages().react(*ann, sent.id, "👍", true).await.unwrap();
    let reactions = two.conversation(*ann).await[0].reactions.clone();
    let of = |user: &UserId| reactions.iter().filter(|reaction| reaction.user_id == *user).count();
    assert_eq!((of(bob), of(ann), reactions.len()), (1, 1, 2));
    let mut count = 0;
    while let Some(event) = told(&mut events) {
        assert!(matches!(event, Event::Reactions { message_id, .. } if message_id == sent.id));
        count += 1;
    }
    assert_eq!(count, 2);
    let after = chat.messages().react(*bob, sent.id, "❤", false).await.unwrap();
    assert_eq!(after.reactions.len(), 1);

    for emoji in ["😀", "😁", "😂", "😃", "😄", "😅", "😆"] {
        chat.messages().react(*ann, sent.id, emoji, true).await.unwrap();
    }
    let ninth = chat.messages().react(*ann, sent.id, "😇", true).await.unwrap_err();
    assert_eq!(ninth.code(), Code::ValidationFailed);
    let deleted = chat.messages().delete(*ann, sent.id).await.unwrap();
    assert!(deleted.reactions.is_empty());
    let error = chat.messages().react(*bob, sent.id, "👍", true).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn deleted_for_oneself_it_is_there_for_the_other() {
    let two = two().await;
    let Two { chat, ann, bob, .. } = &two;
    let mut messages = Vec::new();
    for number in 0..5 {
        messages.push(two.send(&number.to_string()).await);
    }
    let mut events = [chat.events().subscribe(*ann), chat.events().subscribe(*bob)];
    for events in &mut events {
        events.cursor().await;
    }
    for _ in 0..2 {
        chat.messages().hide(*bob, messages[4].id).await.unwrap();
        chat.messages().hide(*bob, messages[1].id).await.unwrap();
    }
    assert!(matches!(told(&mut events[1]), Some(Event::MessageHidden { .. })));
    assert!(matches!(told(&mut events[1]), Some(Event::MessageHidden { .. })));
    assert_eq!((told(&mut events[1]), told(&mut events[0])), (None, None));
    let texts = |messages: Vec<Message>| messages.into_iter().filter_map(|m| m.text).collect::<String>();
    assert_eq!(texts(two.conversation(*bob).await), "023");
    assert_eq!(texts(two.conversation(*ann).await), "01234");
    let page = chat.messages().conversation(*bob, *ann, None, 2).await.unwrap();
    assert_eq!(texts(page.items), "23", "a page is full in spite of it");
    let page = chat.messages().conversation(*bob, *ann, page.next, 2).await.unwrap();
    assert_eq!((texts(page.items), page.next), ("0".to_owned(), None));
    let lines = chat.messages().chats(*bob, None, 50).await.unwrap().items;
    assert_eq!(lines[0].last_message.as_ref().unwrap().text.as_deref(), Some("3"));

    // What becomes of it does not come back.
    chat.messages().edit(*ann, messages[1].id, "again").await.unwrap();
    assert_eq!(told(&mut events[1]), None);
    let error = chat.messages().react(*bob, messages[1].id, "👍", true).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let eve = person(chat, "eve").await.user.id;
    assert_eq!(chat.messages().hide(eve, messages[0].id).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn receipts_as_far_as_one_wants() {
    let two = two().await;
    let Two { chat, ann, bob, .. } = &two;
    for number in 0..4 {
        two.send(&number.to_string()).await;
    }
    let chat_id = ChatId::direct(*ann, *bob);
    let mut anns = chat.events().subscribe(*ann);
    let mut bobs = chat.events().subscribe(*bob);
    let _ = (anns.cursor().await, bobs.cursor().await);
    let ticks = async || {
        let lines = chat.messages().chats(*ann, None, 50).await.unwrap().items;
        (lines[0].delivered_seq, lines[0].read_seq)
    };
    assert_eq!(ticks().await, (0, 0));
    assert_eq!(chat.messages().mark_delivered(*bob, chat_id, Some(3)).await.unwrap(), 3);
    assert_eq!(ticks().await, (3, 0));
    assert!(
        matches!(told(&mut anns), Some(Event::MessagesDelivered(mark)) if mark.seq == 3 && mark.user_id == *bob)
    );
    assert_eq!(told(&mut bobs), None, "his other devices have no use for that");
    chat.messages().mark_read(*bob, *ann, Some(2)).await.unwrap();
    assert_eq!(ticks().await, (3, 2));
    assert!(matches!(told(&mut anns), Some(Event::MessagesRead(mark)) if mark.seq == 2));
    assert!(
        matches!(told(&mut bobs), Some(Event::MessagesRead(mark)) if mark.seq == 2 && mark.user_id == *bob)
    );

    let off = SettingsChange { sends_receipts: Some(false), is_invisible: None };
    let settings = chat.auth().change_settings(*bob, off).await.unwrap();
    assert_eq!(settings, Settings { sends_receipts: false, is_invisible: false });
    let state = chat.messages().mark_read(*bob, *ann, None).await.unwrap();
    assert_eq!((state.seq, state.unread), (4, 0), "his own count goes on");
    chat.messages().mark_delivered(*bob, chat_id, None).await.unwrap();
    assert_eq!(ticks().await, (3, 2), "and nobody else learns of it");
    assert_eq!(told(&mut anns), None);
    assert!(matches!(told(&mut bobs), Some(Event::MessagesRead(mark)) if mark.seq == 4));

    let eve = person(chat, "eve").await.user.id;
    let error = chat.messages().mark_delivered(eve, chat_id, None).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn who_is_blocked_learns_nothing() {
    let two = two().await;
    let Two { chat, ann, bob, .. } = &two;
    let keyed = |text: &str| Draft::text(text).client_id("before");
    let sent = chat.messages().send(*ann, To::User(*bob), keyed("before")).await.unwrap().message;
    let from_bob = chat.messages().send(*bob, To::User(*ann), Draft::text("hi")).await.unwrap().message;
    assert_eq!(chat.auth().block(*bob, *bob).await.unwrap_err().code(), Code::ValidationFailed);
    let nobody = UserId::generate(Timestamp::now());
    assert_eq!(chat.auth().block(*bob, nobody).await.unwrap_err().code(), Code::NotFound);
    for _ in 0..2 {
        chat.auth().block(*bob, *ann).await.unwrap();
    }
    assert_eq!(chat.auth().blocked(*bob).await.unwrap()[0].id, *ann);
    assert!(chat.auth().blocked(*ann).await.unwrap().is_empty());

    let mut bobs = chat.events().subscribe(*bob);
    bobs.cursor().await;
    // To the letter what is said of somebody who is not there.
    let refused = chat.messages().send(*ann, To::User(*bob), Draft::text("x")).await.unwrap_err();
    let absent = chat.messages().send(*ann, To::User(nobody), Draft::text("x")).await.unwrap_err();
    assert_eq!((refused.code(), refused.to_string()), (absent.code(), absent.to_string()));
    let picture = Draft::image(common::png(2));
    assert_eq!(chat.messages().send(*ann, To::User(*bob), picture).await.unwrap_err().code(), Code::NotFound);
    let repeat = chat.messages().send(*ann, To::User(*bob), keyed("again")).await.unwrap();
    assert!(repeat.is_repeat && repeat.message.id == sent.id, "what was sent before was sent");
    assert_eq!(chat.messages().edit(*ann, sent.id, "x").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(
        chat.messages().react(*ann, from_bob.id, "👍", true).await.unwrap_err().code(),
        Code::NotFound
    );
    chat.events().typing(*ann, *bob, true).await.unwrap();
    assert_eq!(told(&mut bobs), None);
    let contacts = chat.messages().contacts(*ann, None, 50).await.unwrap().items;
    assert!(contacts.is_empty(), "nobody is there");

    // And who blocks knows it.
    let error = chat.messages().send(*bob, To::User(*ann), Draft::text("x")).await.unwrap_err();
    assert_eq!(error.code(), Code::Forbidden);
    let mut anns = chat.events().subscribe(*ann);
    anns.cursor().await;
    chat.messages().mark_read(*bob, *ann, None).await.unwrap();
    assert_eq!(told(&mut anns), None, "nor is told what he reads");
    let lines = chat.messages().chats(*ann, None, 50).await.unwrap().items;
    assert!(!lines[0].partner.is_online && lines[0].read_seq == 0);

    chat.auth().unblock(*bob, *ann).await.unwrap();
    chat.auth().unblock(*bob, *ann).await.unwrap();
    chat.messages().send(*ann, To::User(*bob), Draft::text("again")).await.unwrap();
    assert!(matches!(told(&mut bobs), Some(Event::MessageSent(_))));
}
