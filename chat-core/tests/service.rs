//! The service as a program uses it, on a real store, without a door.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a failed test")]

mod common;

use std::time::Duration;

use chat_core::{
    ChatService, Code, UserId,
    auth::{Credentials, ProfileEdit, SignUp},
    encryption::{EncryptionKey, KeyRing},
    events::{CloseReason, Event},
    messages::{Draft, Message, To},
};
use common::{chat, chat_in, person};
use futures_util::{StreamExt, future::join_all};

async fn two(chat: &ChatService) -> (UserId, UserId) {
    (person(chat, "ann").await.user.id, person(chat, "bob").await.user.id)
}

async fn conversation(chat: &ChatService, me: UserId, with: UserId) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut before = None;
    loop {
        let page = chat.messages().conversation(me, with, before, 50).await.unwrap();
        messages.splice(..0, page.items);
        before = page.next;
        if before.is_none() {
            return messages;
        }
    }
}

#[tokio::test]
async fn an_account_from_sign_up_to_log_out() {
    let (chat, folder) = chat().await;
    let ann = person(&chat, "ann").await;
    assert_eq!(chat.auth().authenticate(ann.token.as_str()).unwrap(), ann.session);
    let credentials = |email: &str, password: &str| Credentials {
        email: email.into(),
        password: password.into(),
        ..Credentials::default()
    };
    let again = chat.auth().log_in(credentials("ANN@example.org", "correct horse")).await.unwrap();
    assert_eq!(again.user.id, ann.user.id);
    for (email, password) in [("ann@example.org", "wrong horse"), ("nobody@example.org", "correct horse")] {
        let error = chat.auth().log_in(credentials(email, password)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidCredentials);
    }
    let long = format!("correct horse{}", "x".repeat(80));
    assert!(chat.auth().log_in(credentials("ann@example.org", &long)).await.is_err());

    chat.auth().log_out(&ann.session).await.unwrap();
    assert_eq!(chat.auth().authenticate(ann.token.as_str()).unwrap_err().code(), Code::Unauthenticated);
    assert!(chat.auth().authenticate(again.token.as_str()).is_ok(), "the other sign-in goes on");
    chat.shutdown().await;
    drop(chat);

    let chat = chat_in(folder.path()).await;
    assert!(chat.auth().authenticate(ann.token.as_str()).is_err(), "ended after a restart as well");
    assert!(chat.auth().authenticate(again.token.as_str()).is_ok());
}

#[tokio::test]
async fn one_email_one_account_also_at_the_same_time() {
    let (chat, _folder) = chat().await;
    let tries = (0..8).map(|i| common::sign_up(&chat, if i % 2 == 0 { "eve" } else { "EVE" }));
    let done = join_all(tries).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
    assert!(done.into_iter().filter_map(Result::err).all(|error| error.code() == Code::EmailTaken));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_leave_in_the_order_of_the_chat() {
    let (chat, _folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    let mut events = chat.events().subscribe(bob);
    let sends = (0..200).map(|i| {
        let chat = chat.clone();
        let (from, to) = if i % 2 == 0 { (ann, bob) } else { (bob, ann) };
        tokio::spawn(
            async move { chat.messages().send(from, To::User(to), Draft::text(format!("{i}"))).await },
        )
    });
    for sent in join_all(sends).await {
        sent.unwrap().unwrap();
    }
    for seq in 1..=200 {
        let Event::MessageSent(message) = &*events.next().await.unwrap() else { panic!() };
        assert_eq!(message.seq, seq);
    }
    let seqs: Vec<_> = conversation(&chat, ann, bob).await.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_id_is_sent_once_also_at_the_same_time() {
    let (chat, _folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    let mut events = chat.events().subscribe(bob);
    let draft = || Draft::text("once").client_id("key");
    let sends = (0..20).map(|_| {
        let chat = chat.clone();
        tokio::spawn(async move { chat.messages().send(ann, To::User(bob), draft()).await.unwrap() })
    });
    let sent: Vec<_> = join_all(sends).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(sent.iter().filter(|sent| !sent.is_repeat).count(), 1);
    assert!(sent.iter().all(|one| one.message == sent[0].message));
    chat.messages().send(ann, To::User(bob), Draft::text("next")).await.unwrap();
    for text in ["once", "next"] {
        let Event::MessageSent(message) = &*events.next().await.unwrap() else { panic!() };
        assert_eq!(message.text.as_deref(), Some(text));
    }
}

#[tokio::test]
async fn what_is_refused() {
    let (chat, _folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    let code = async |to, draft| chat.messages().send(ann, To::User(to), draft).await.unwrap_err().code();
    assert_eq!(code(bob, Draft::default()).await, Code::ValidationFailed);
    assert_eq!(code(bob, Draft::text("")).await, Code::ValidationFailed);
    assert_eq!(code(bob, Draft::text("x".repeat(10_001))).await, Code::ValidationFailed);
    assert_eq!(code(bob, Draft::text("x").client_id("")).await, Code::ValidationFailed);
    assert_eq!(code(bob, Draft::image("<svg/>")).await, Code::ValidationFailed);
    assert_eq!(code(ann, Draft::text("to myself")).await, Code::ValidationFailed);
    let stranger = UserId::generate(chat_core::Timestamp::now());
    assert_eq!(code(stranger, Draft::text("x")).await, Code::NotFound);
    assert_eq!(code(stranger, Draft::image(common::png(2))).await, Code::NotFound);
    let page = chat.messages().conversation(ann, stranger, None, 50).await;
    assert_eq!(page.unwrap_err().code(), Code::NotFound);
    assert!(conversation(&chat, ann, bob).await.is_empty());
}

#[tokio::test]
async fn only_the_sender_deletes_and_strangers_learn_nothing() {
    let (chat, _folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    let eve = person(&chat, "eve").await.user.id;
    let sent = chat.messages().send(ann, To::User(bob), Draft::text("secret")).await.unwrap().message;
    let mut events = chat.events().subscribe(bob);
    let code = async |who| chat.messages().delete(who, sent.id).await.unwrap_err().code();
    assert_eq!((code(bob).await, code(eve).await), (Code::Forbidden, Code::NotFound));
    for _ in 0..2 {
        let deleted = chat.messages().delete(ann, sent.id).await.unwrap();
        assert!(deleted.is_deleted && deleted.text.is_none() && deleted.seq == 1);
    }
    chat.messages().send(ann, To::User(bob), Draft::text("after")).await.unwrap();
    let names = [events.next().await.unwrap().name(), events.next().await.unwrap().name()];
    assert_eq!(names, ["deleteMessage", "sendMessage"], "told once");
}

#[tokio::test]
async fn unread_counts_what_others_sent_after_the_watermark() {
    let (chat, _folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    for i in 0..3 {
        chat.messages().send(ann, To::User(bob), Draft::text(format!("{i}"))).await.unwrap();
    }
    let unread = async |me| chat.messages().chats(me, None, 50).await.unwrap().items[0].unread;
    assert_eq!((unread(ann).await, unread(bob).await), (0, 3));
    chat.messages().conversation(bob, ann, None, 50).await.unwrap();
    assert_eq!(unread(bob).await, 3, "to look is not to read");
    let state = chat.messages().mark_read(bob, ann, Some(2)).await.unwrap();
    assert_eq!((state.seq, state.unread), (2, 1));
    assert_eq!(chat.messages().mark_read(bob, ann, Some(1)).await.unwrap().seq, 2, "never back");
    assert_eq!(chat.messages().mark_read(bob, ann, Some(99)).await.unwrap().seq, 3, "never beyond");
    chat.messages().send(ann, To::User(bob), Draft::text("more")).await.unwrap();
    assert_eq!(unread(bob).await, 1);
    chat.messages().send(bob, To::User(ann), Draft::text("reply")).await.unwrap();
    assert_eq!((unread(ann).await, unread(bob).await), (1, 0), "to reply is to have read");
}

#[tokio::test]
async fn keys_rotate_while_old_messages_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let key = |id: &str, byte| EncryptionKey::new(id, [byte; 32]).unwrap();
    let open = async |keys: Vec<EncryptionKey>| {
        let builder = ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4);
        builder.encryption_keys(KeyRing::new(keys).unwrap()).build().await.unwrap()
    };
    let chat = open(vec![key("old", 1)]).await;
    let (ann, bob) = two(&chat).await;
    for i in 0..450 {
        chat.messages().send(ann, To::User(bob), Draft::text(format!("{i}"))).await.unwrap();
    }
    let before = conversation(&chat, ann, bob).await;
    chat.shutdown().await;

    let chat = open(vec![key("new", 2), key("old", 1)]).await;
    assert!(chat.encryption().is_rotation_pending().await.unwrap());
    assert_eq!(conversation(&chat, ann, bob).await, before);
    // Dropped in the middle, and called again: it comes to its end all the same.
    let _ = tokio::time::timeout(Duration::from_millis(1), chat.encryption().rotate()).await;
    let (messages, encryption) = (chat.messages(), chat.encryption());
    let (report, sent) =
        tokio::join!(encryption.rotate(), messages.send(bob, To::User(ann), Draft::text("meanwhile")));
    assert!(report.unwrap().unreadable == 0 && sent.is_ok());
    assert!(!chat.encryption().is_rotation_pending().await.unwrap());
    chat.shutdown().await;

    let chat = open(vec![key("new", 2)]).await;
    let after = conversation(&chat, ann, bob).await;
    assert_eq!(after[..450], before[..], "nobody sees a difference");
    chat.shutdown().await;

    let chat = open(vec![key("lost", 3)]).await;
    let page = chat.messages().conversation(ann, bob, None, 50).await.unwrap().items;
    assert!(page.iter().all(|message| message.unreadable && message.text.is_none()), "the page is served");
    assert_eq!(chat.encryption().rotate().await.unwrap().unreadable, 451);
}

#[tokio::test]
async fn a_new_picture_takes_the_place_of_the_old_one() {
    let (chat, folder) = chat().await;
    let ann = person(&chat, "ann").await.user.id;
    let edit = |picture| ProfileEdit { full_name: None, picture: Some(picture) };
    let files = || std::fs::read_dir(folder.path().join("images")).map_or(0, Iterator::count);
    let first = chat.auth().update_profile(ann, edit(Some(common::png(3).into()))).await.unwrap();
    assert!(first.profile_pic.starts_with("/api/images/") && files() == 1);
    let second = chat.auth().update_profile(ann, edit(Some(common::png(4).into()))).await.unwrap();
    assert_ne!(first.profile_pic, second.profile_pic);
    let none = chat.auth().update_profile(ann, edit(None)).await.unwrap();
    assert_eq!(none.profile_pic, "");
    chat.shutdown().await;
    assert_eq!(files(), 0);
}

#[tokio::test]
async fn presence_has_a_grace() {
    let folder = tempfile::tempdir().unwrap();
    let builder = ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4);
    let chat = builder.presence_grace(Duration::from_millis(300)).build().await.unwrap();
    let (ann, bob) = two(&chat).await;
    chat.messages().send(ann, To::User(bob), Draft::text("hi")).await.unwrap();
    let mut events = chat.events().subscribe(bob);
    let mut presence = async || loop {
        if let Event::Presence { user_id, is_online, .. } = &*events.next().await.unwrap() {
            return (*user_id, *is_online);
        }
    };
    let (first, second) = (chat.presence().arrive(ann), chat.presence().arrive(ann));
    assert_eq!(presence().await, (ann, true));
    assert!(chat.auth().user(ann).await.unwrap().is_online);
    drop(first);
    // A page that is reloaded, over and over.
    drop(second);
    for _ in 0..20 {
        drop(chat.presence().arrive(ann));
        tokio::task::yield_now().await;
    }
    assert!(chat.presence().is_online(ann));
    assert_eq!(presence().await, (ann, false), "told once, at the end");
    assert!(!chat.auth().user(ann).await.unwrap().is_online);

    drop(chat.presence().arrive(ann));
    assert_eq!(presence().await, (ann, true));
    assert_eq!(presence().await, (ann, false));
    chat.shutdown().await;
}

#[tokio::test]
async fn a_sign_in_is_stored_as_online_until_the_grace_ends_or_a_good_bye() {
    let folder = tempfile::tempdir().unwrap();
    let builder = ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4);
    let chat = builder.presence_grace(Duration::from_millis(300)).build().await.unwrap();
    let stored = async |user, is_online| {
        while chat.auth().user(user).await.unwrap().is_online != is_online {
            tokio::task::yield_now().await;
        }
    };
    let ann = person(&chat, "ann").await;
    assert!(ann.user.is_online);
    stored(ann.user.id, true).await;
    assert!(!chat.presence().is_online(ann.user.id), "to be here takes a connection");
    stored(ann.user.id, false).await;

    let bob = person(&chat, "bob").await;
    stored(bob.user.id, true).await;
    let here = chat.presence().arrive(bob.user.id);
    tokio::time::sleep(Duration::from_millis(600)).await;
    stored(bob.user.id, true).await;
    drop(here);
    chat.auth().log_out(&bob.session).await.unwrap();
    stored(bob.user.id, false).await;
    chat.shutdown().await;
}

#[tokio::test]
async fn a_login_within_the_grace_does_not_keep_one_here_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let builder = ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4);
    let chat = builder.presence_grace(Duration::from_millis(300)).build().await.unwrap();
    let (ann, bob) = two(&chat).await;
    chat.messages().send(ann, To::User(bob), Draft::text("hi")).await.unwrap();
    let mut events = chat.events().subscribe(bob);
    drop(chat.presence().arrive(ann));
    let (email, password) = ("ann@example.org".to_owned(), "correct horse".to_owned());
    let session =
        chat.auth().log_in(Credentials { email, password, ..Credentials::default() }).await.unwrap().session;
    let mut told = Vec::new();
    while told != [true, false] {
        if let Event::Presence { is_online, .. } = &*events.next().await.unwrap() {
            told.push(*is_online);
        }
    }
    // And a good-bye with a connection that is on its way out needs no grace.
    let here = chat.presence().arrive(ann);
    let mut connection = chat.events().connect(&session);
    chat.auth().log_out(&session).await.unwrap();
    assert!(connection.next().await.is_none() && chat.presence().is_online(ann));
    drop(here);
    assert!(!chat.presence().is_online(ann));
    chat.shutdown().await;
}

#[tokio::test]
async fn a_store_with_messages_gets_no_new_key() {
    let (chat, folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    chat.messages().send(ann, To::User(bob), Draft::text("sealed")).await.unwrap();
    chat.shutdown().await;
    std::fs::remove_file(folder.path().join("encryption-keys")).unwrap();
    let refused = ChatService::open(folder.path()).await.unwrap_err().to_string();
    assert!(refused.contains("encryption-keys is missing"), "{refused}");
    let store = chat_core::store::SqliteStore::open(folder.path().join("chat.db")).await.unwrap();
    let refused = ChatService::builder().data_dir(folder.path()).store(store).build().await;
    assert!(refused.unwrap_err().to_string().contains("encryption-keys is missing"));
}

#[tokio::test]
async fn a_rotation_is_due_again_after_another_key_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let key = |id: &str, byte| EncryptionKey::new(id, [byte; 32]).unwrap();
    let (old, new) = (key("old", 1), key("new", 2));
    let rings = [vec![new.clone(), old.clone()], vec![old.clone()], vec![new, old]];
    for (i, keys) in rings.into_iter().enumerate() {
        let builder = ChatService::builder().data_dir(folder.path());
        let chat = builder.encryption_keys(KeyRing::new(keys).unwrap()).build().await.unwrap();
        assert!(chat.encryption().is_rotation_pending().await.unwrap(), "{i}");
        if i == 0 {
            chat.encryption().rotate().await.unwrap();
            assert!(!chat.encryption().is_rotation_pending().await.unwrap());
        }
        chat.shutdown().await;
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_rotation() {
    let (chat, _folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    for _ in 0..300 {
        chat.messages().send(ann, To::User(bob), Draft::text("x")).await.unwrap();
    }
    let rotating = tokio::spawn({
        let chat = chat.clone();
        async move { chat.encryption().rotate().await }
    });
    chat.shutdown().await;
    // It came to its end before, or was told to stop.
    if let Err(stopped) = rotating.await.unwrap() {
        assert_eq!(stopped.code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn who_was_online_in_a_process_that_died_is_not() {
    let (chat, folder) = chat().await;
    let ann = person(&chat, "ann").await.user.id;
    let _here = chat.presence().arrive(ann);
    while !chat.auth().user(ann).await.unwrap().is_online {
        tokio::task::yield_now().await;
    }
    // Not a shutdown: what a killed process leaves, as far as one process can do that to itself.
    let copy = tempfile::tempdir().unwrap();
    for file in ["chat.db", "chat.db-wal", "encryption-keys", "jwt-secret"] {
        let _ = std::fs::copy(folder.path().join(file), copy.path().join(file));
    }
    let chat = chat_in(copy.path()).await;
    assert!(!chat.auth().user(ann).await.unwrap().is_online);
}

#[tokio::test]
async fn a_logout_closes_the_connections_of_that_session() {
    let (chat, _folder) = chat().await;
    let ann = person(&chat, "ann").await;
    let mut connection = chat.events().connect(&ann.session);
    let mut silent = chat.events().subscribe(ann.user.id);
    chat.auth().log_out(&ann.session).await.unwrap();
    assert!(connection.next().await.is_none());
    assert_eq!(connection.close_reason(), Some(CloseReason::SignedOut));
    let mut late = chat.events().connect(&ann.session);
    assert!(late.next().await.is_none(), "ended before it was there");
    chat.shutdown().await;
    while silent.next().await.is_some() {}
    assert_eq!(silent.close_reason(), Some(CloseReason::ShuttingDown));
}

#[tokio::test]
async fn after_a_shutdown_everything_is_refused_and_nothing_lost() {
    let (chat, folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    chat.messages().send(ann, To::User(bob), Draft::text("kept")).await.unwrap();
    chat.shutdown().await;
    chat.shutdown().await;
    assert!(chat.ready().await.is_err());
    let refused = chat.messages().send(ann, To::User(bob), Draft::text("late")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let chat = chat_in(folder.path()).await;
    assert_eq!(conversation(&chat, ann, bob).await.len(), 1);
}

#[tokio::test]
async fn a_dropped_send_is_whole_or_not_there() {
    let (chat, _folder) = chat().await;
    let (ann, bob) = two(&chat).await;
    let messages = chat.messages();
    let draft = |i: usize| Draft::text(format!("{i}")).client_id(format!("{i}"));
    for i in 0..50 {
        let mut send = Box::pin(messages.send(ann, To::User(bob), draft(i)));
        // Polled a few times, and then dropped.
        for _ in 0..i % 4 {
            if futures_util::poll!(&mut send).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    for i in 0..50 {
        messages.send(ann, To::User(bob), draft(i)).await.unwrap();
    }
    let messages = conversation(&chat, ann, bob).await;
    let mut keys: Vec<_> = messages.iter().map(|message| message.client_id.clone().unwrap()).collect();
    assert!(messages.iter().zip(1..).all(|(message, seq)| message.seq == seq));
    keys.sort();
    keys.dedup();
    assert_eq!((messages.len(), keys.len()), (50, 50));
}

/// Whose e-mail it is stands among those whose name begins alike, on its page.
#[tokio::test]
async fn somebody_is_found_by_name_and_by_e_mail() {
    let (chat, _folder) = chat().await;
    let sign_up = async |email: &str, full_name: &str| {
        let (email, full_name) = (email.to_owned(), full_name.to_owned());
        let input = SignUp { email, full_name, password: "correct horse".to_owned(), ..SignUp::default() };
        chat.auth().sign_up(input).await.unwrap().user.id
    };
    let me = sign_up("me@example.org", "a me").await;
    let text = "a@example.org";
    let mut names = Vec::new();
    for (n, name) in ["a@example.org 1", "A@EXAMPLE.ORG 2", "a@example.org 3"].into_iter().enumerate() {
        names.push((name.to_owned(), sign_up(&format!("{n}@example.org"), name).await));
    }
    for full_name in ["Aaron", "A", "a@example.org 2b", "Zoe"] {
        let edit = ProfileEdit { full_name: Some(full_name.to_owned()), ..ProfileEdit::default() };
        let id = match chat.messages().find_contacts(me, text, None, 50).await.unwrap().items.len() {
            3 => sign_up(text, full_name).await,
            _ => {
                let found = names.pop().expect("the one with the e-mail").1;
                chat.auth().update_profile(found, edit).await.unwrap().id
            }
        };
        let mut expected = names.clone();
        expected.push((full_name.to_owned(), id));
        expected.sort_by_key(|(name, id)| (name.to_lowercase(), *id));
        names.push((full_name.to_owned(), id));
        for limit in 1..=5 {
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let page = chat.messages().find_contacts(me, "A@example.ORG", after, limit).await.unwrap();
                assert!(page.items.len() <= limit && !page.items.is_empty());
                walked.extend(page.items.into_iter().map(|user| (user.full_name, user.id)));
                assert!(walked.len() <= expected.len(), "{full_name}, in pages of {limit}: {walked:?}");
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(walked, expected, "{full_name}, in pages of {limit}");
        }
    }
    let long = "x".repeat(255);
    let error = chat.messages().find_contacts(me, &long, None, 50).await.unwrap_err();
    assert_eq!(error.code(), Code::ValidationFailed);
    // Who has blocked one is not found either.
    let (_, found) = names.pop().unwrap();
    chat.auth().block(found, me).await.unwrap();
    assert_eq!(chat.messages().find_contacts(me, text, None, 50).await.unwrap().items.len(), 3);
    chat.shutdown().await;
}
