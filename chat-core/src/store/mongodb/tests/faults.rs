//! Faults at the moment of a write: what happened is found out, and happens once.

use std::time::Duration;

use chat_test_servers::MongoServer;
use mongodb::bson::{Document, doc};

use super::{
    super::{MongoSettings, MongoStore},
    Appended, all, append, message, pair, person,
    proxy::Proxy,
    seqs, until,
};
use crate::{
    StoreError, Timestamp,
    store::{Change, Chats, Feeds, Messages, ProfileChange, Store, Users},
};

/// Again where the pool is still being cleared after the fault before.
async fn fail(store: &MongoStore, times: i32, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
    let admin = store.inner.db.database.client().database("admin");
    until(async || admin.run_command(command.clone()).await.ok()).await;
}

fn is_new(outcome: &crate::store::Result<Appended>) -> bool {
    matches!(outcome, Ok(Appended::New { .. }))
}

/// Each kind of fault, for a message alone and for several of one chat and of several chats in a call.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_survives_every_kind_of_fault() {
    let server = MongoServer::start();
    let store = MongoStore::connect(&server.uri("t")).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    let cid = person(&store, "cid").await;
    append(&store, message(ann, bob)).await.unwrap();
    append(&store, message(ann, cid)).await.unwrap();
    let faults = [
        doc! { "failCommands": ["insert"], "closeConnection": true },
        doc! { "failCommands": ["insert"], "errorCode": 10_107, "errorLabels": ["RetryableWriteError"] },
        doc! { "failCommands": ["insert"], "errorCode": 91 },
        // The write is there, and not known to be durable.
        doc! { "failCommands": ["insert"], "writeConcernError": { "code": 64, "errmsg": "waiting for replication" } },
        doc! { "failCommands": ["update"], "closeConnection": true },
        doc! { "failCommands": ["update"], "writeConcernError": { "code": 64, "errmsg": "waiting for replication" } },
    ];
    let mut count = 1;
    for fault in faults {
        for times in [1, 3] {
            fail(&store, times, fault.clone()).await;
            let alone = append(&store, message(bob, ann)).await;
            assert!(is_new(&alone), "{fault}: {alone:?}");
            fail(&store, times, fault.clone()).await;
            let several = vec![message(ann, bob), message(ann, cid), message(bob, ann), message(ann, bob)];
            for outcome in store.append(several).await {
                assert!(is_new(&outcome), "{fault}: {outcome:?}");
            }
            count += 4;
            assert_eq!(seqs(&store, chat).await, (1..=count).collect::<Vec<_>>(), "{fault}");
        }
    }
    // The list may have been owed for a moment.
    until(async || {
        let state = store.chat(chat, bob).await.unwrap().unwrap();
        ((state.last_seq, state.unread()) == (count, 1)).then_some(())
    })
    .await;
}

/// The commit is there, the answer is lost: once, and more often than the driver itself tries again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out() {
    let server = MongoServer::start();
    let proxy = Proxy::start(server.address()).await;
    let store = MongoStore::connect(&proxy.uri("t")).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    let mut count = 0;
    for losses in [1, 2, 4] {
        proxy.lose("insert", losses);
        let new = message(ann, bob);
        let outcome = append(&store, new.clone()).await.unwrap();
        assert_eq!(proxy.left(), 0, "the answers were lost");
        count += 1;
        assert_eq!(outcome.clone().into_record().seq, count);
        assert!(matches!(outcome, Appended::New { .. }), "its own message is no repeat");
        proxy.lose("insert", losses);
        let several: Vec<_> = (0..5).map(|_| message(bob, ann)).collect();
        for outcome in store.append(several).await {
            count += 1;
            assert!(
                matches!(&outcome, Ok(Appended::New { message: record, .. }) if record.seq == count),
                "{outcome:?}"
            );
        }
        assert_eq!(proxy.left(), 0, "the answers were lost");
        let again = append(&store, new).await.unwrap().into_record();
        assert_eq!(again, outcome.into_record(), "there once");
        assert_eq!(seqs(&store, chat).await, (1..=count).collect::<Vec<_>>());

        // An account, and its profile.
        proxy.lose("insert", losses);
        let cid = person(&store, &format!("cid{losses}")).await;
        proxy.lose("update", losses);
        let pic = ProfileChange { profile_pic: Some(Some("a.png".into())), full_name: None };
        let update = store.update_profile(cid, &pic, Timestamp::now()).await.unwrap();
        assert_eq!((update.before.profile_pic, update.after.profile_pic.as_deref()), (None, Some("a.png")));
        // A deletion knows that it was the first.
        let new = message(ann, bob);
        append(&store, new.clone()).await.unwrap();
        count += 1;
        proxy.lose("update", losses);
        let deletion = store.delete_message(new.id, Timestamp::now()).await.unwrap().unwrap();
        assert!(deletion.is_first);
        assert!(!store.delete_message(new.id, Timestamp::now()).await.unwrap().unwrap().is_first);
        assert_eq!(proxy.left(), 0, "the answers were lost");
    }
}

/// A server that is gone, or that hangs: an answer within the time that was set, and work as before once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away() {
    let mut server = MongoServer::start();
    let settings = MongoSettings::default().timeout(Duration::from_secs(2));
    let store = MongoStore::connect_with(&server.uri("t"), settings).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    append(&store, message(ann, bob)).await.unwrap();
    for hangs in [false, true] {
        if hangs {
            server.pause();
        } else {
            server.kill();
        }
        let new = message(ann, bob);
        let sent = append(&store, new.clone()).await;
        assert!(matches!(sent, Err(StoreError::Uncertain(_))), "{sent:?}");
        assert!(matches!(store.user(ann).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
        if hangs {
            server.resume();
        } else {
            server.restart();
        }
        until(async || store.ping().await.ok()).await;
        // Whether the first attempt came through or not: once.
        let again = crate::store::NewMessage { id: message(ann, bob).id, ..new };
        append(&store, again).await.unwrap();
    }
    append(&store, message(bob, ann)).await.unwrap();
    assert_eq!(seqs(&store, chat).await, [1, 2, 3, 4]);
}

/// Between the insert and the lists: what is owed is paid later, also by another process.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_brought_up_to_date() {
    let server = MongoServer::start();
    let store = MongoStore::connect(&server.uri("t")).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    append(&store, message(ann, bob)).await.unwrap();
    // A process that inserted a message, and was killed two minutes ago.
    let sent = store.page(chat, None, 1).await.unwrap().remove(0);
    let long_ago = Timestamp::from_millis(Timestamp::now().as_millis() - 120_000);
    let orphan = crate::store::MessageRecord {
        id: crate::MessageId::generate(long_ago),
        seq: 2,
        client_id: None,
        created_at: sent.created_at.plus(Duration::from_millis(5)),
        ..sent
    };
    let db = &store.inner.db;
    super::insert(db, "messages", vec![super::super::documents::from_message(&orphan, None)]).await;
    let word = doc! {
        "_id": "node:dead", "settled": super::super::documents::date(long_ago),
        "seen": super::super::documents::date(long_ago),
    };
    super::insert(db, "chatcore_notes", vec![word]).await;
    let later = MongoStore::connect(&server.uri("t")).await.unwrap();
    until(async || {
        let members = all(&later.inner.db, "chatcore_members").await;
        members.iter().all(|member| super::super::db::int(member, "lastSeq") == 2).then_some(())
    })
    .await;
    // Their feeds tell of it, too, if of what was told before once more.
    for user in [ann, bob] {
        until(async || {
            let entries = later.feed(user, 0, 10).await.unwrap().unwrap();
            let last = entries.last().map(|entry| entry.change);
            matches!(last, Some(Change::Sent { to: 2, .. })).then_some(())
        })
        .await;
    }
    until(async || {
        let notes = all(&later.inner.db, "chatcore_notes").await;
        (!notes.iter().any(|note| note.get_str("_id").ok() == Some("node:dead"))).then_some(())
    })
    .await;
    assert_eq!(later.chats_of(bob, None, 1).await.unwrap()[0].last_at, orphan.created_at);
    // Who closes leaves no word behind.
    later.close().await.unwrap();
    store.close().await.unwrap();
    let store = MongoStore::connect(&server.uri("t")).await.unwrap();
    until(async || {
        let notes = all(&store.inner.db, "chatcore_notes").await;
        let nodes: Vec<_> =
            notes.iter().filter(|n| n.get_str("_id").is_ok_and(|id| id.starts_with("node:"))).collect();
        (nodes.len() == 1 && nodes[0].get_str("_id").ok() == Some(&*store.inner.node)).then_some(())
    })
    .await;
}

/// A process that was killed between the two halves of a new chat: both can go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_made_chat_is_completed() {
    let server = MongoServer::start();
    let store = MongoStore::connect(&server.uri("t")).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    let half = doc! {
        "chat": super::super::documents::oid(chat.as_bytes()), "user": super::super::documents::oid(ann.as_bytes()),
        "partner": super::super::documents::oid(bob.as_bytes()), "lastSeq": 0_i64, "readSeq": 0_i64,
        "lastAt": super::super::documents::date(Timestamp::now()),
    };
    super::insert(&store.inner.db, "chatcore_members", vec![half]).await;
    assert!(store.page(chat, None, 10).await.unwrap().is_empty());
    assert!(is_new(&append(&store, message(bob, ann)).await));
    assert!(is_new(&append(&store, message(ann, bob)).await));
    for user in [ann, bob] {
        assert_eq!(store.chats_of(user, None, 10).await.unwrap().len(), 1);
    }
}

/// A deletion whose maker was never told is somebody's: who deletes next is the first, and gets the picture.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_deletion_is_taken_over() {
    let server = MongoServer::start();
    let store = MongoStore::connect(&server.uri("t")).await.unwrap();
    let (ann, bob, _) = pair(&store).await;
    let new = crate::store::NewMessage { image: Some("a.png".into()), ..message(ann, bob) };
    append(&store, new.clone()).await.unwrap();
    let mark = doc! { "mark": mongodb::bson::oid::ObjectId::new(), "image": "a.png" };
    let change = doc! { "$set": { "isDeleted": true, "deletion": mark }, "$unset": { "image": "", "encryptedText": "" } };
    let messages = store.inner.db.database.collection::<Document>("messages");
    messages.update_one(doc! { "seq": 1 }, change).await.unwrap();
    let deletion = store.delete_message(new.id, Timestamp::now()).await.unwrap().unwrap();
    assert_eq!((deletion.is_first, deletion.image.as_deref()), (true, Some("a.png")));
    let again = store.delete_message(new.id, Timestamp::now()).await.unwrap().unwrap();
    assert_eq!((again.is_first, again.image), (false, None));
}

/// The sender was told to come again, and the message is there: its receiver hears of it, once, whether the sender
/// comes again or not.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_of_a_doubtful_message_hears_of_it() {
    use futures_util::StreamExt;

    use crate::{
        ChatService,
        events::Event,
        messages::{Draft, To},
    };

    let server = MongoServer::start();
    let proxy = Proxy::start(server.address()).await;
    let settings = MongoSettings::default().timeout(Duration::from_millis(800));
    let store = MongoStore::connect_with(&proxy.uri("t"), settings).await.unwrap();
    let (ann, bob, chat_id) = pair(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let chat = ChatService::builder().data_dir(folder.path()).store(store.clone()).build().await.unwrap();
    let mut events = chat.events().subscribe(bob);
    for (n, comes_again) in [(1, false), (2, true)] {
        let draft = || Draft::text("hi").client_id(format!("k{n}"));
        proxy.lose("insert", 10_000);
        let refused = chat.messages().send(ann, To::User(bob), draft()).await.unwrap_err();
        assert_eq!(refused.code(), crate::Code::Unavailable);
        proxy.lose("", 0);
        if comes_again {
            let again = until(async || chat.messages().send(ann, To::User(bob), draft()).await.ok()).await;
            assert!(again.is_repeat);
        }
        let event =
            tokio::time::timeout(Duration::from_secs(30), events.next()).await.expect("the event").unwrap();
        let Event::MessageSent(message) = &*event else { panic!("{event:?}") };
        assert_eq!((message.seq, message.text.as_deref()), (n, Some("hi")));
    }
    // Nothing twice: the next event is that of the next message.
    chat.messages().send(ann, To::User(bob), Draft::text("last")).await.unwrap();
    let event = events.next().await.unwrap();
    assert!(matches!(&*event, Event::MessageSent(message) if message.seq == 3), "{event:?}");
    assert_eq!(seqs(&store, chat_id).await, [1, 2, 3]);
    chat.shutdown().await;
}
