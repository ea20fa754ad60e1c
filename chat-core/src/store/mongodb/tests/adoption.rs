//! Documents of another application.

use std::time::Duration;

use chat_test_servers::MongoDatabase;
use mongodb::{
    Client, Database,
    bson::{DateTime, Document, doc, oid::ObjectId},
};

use super::{
    super::{MongoSettings, MongoStore, documents::oid},
    all, append, at, message, seqs, until,
};
use crate::{
    ChatId, MessageId, UserId,
    store::{Change, Chats, Feeds, Messages, Store, Users},
};

fn id(n: u8) -> UserId {
    UserId::from_bytes([n; 12])
}

fn user(n: u8, email: &str, name: &str) -> Document {
    let at = DateTime::from_millis(at(0).as_millis());
    doc! { "_id": oid(id(n).as_bytes()), "email": email, "fullName": name, "password": "x", "createdAt": at, "__v": 0 }
}

fn foreign(from: u8, to: u8, millis: i64) -> Document {
    let at = DateTime::from_millis(at(millis).as_millis());
    doc! {
        "_id": ObjectId::new(), "senderId": oid(id(from).as_bytes()), "receiverId": oid(id(to).as_bytes()),
        "encryptedText": format!("{millis}"), "createdAt": at, "updatedAt": at, "__v": 0,
    }
}

async fn seeded(messages: Vec<Document>) -> (MongoDatabase, Database) {
    let database = MongoDatabase::fresh();
    let own = Client::with_uri_str(database.uri()).await.unwrap().default_database().unwrap();
    let users = [
        user(1, "ann@example.org", "Ann"),
        user(2, "bob@example.org", "Bob"),
        user(3, "cid@example.org", "Cid"),
    ];
    own.collection("users").insert_many(users).await.unwrap();
    if !messages.is_empty() {
        own.collection("messages").insert_many(messages).await.unwrap();
    }
    (database, own)
}

async fn texts(store: &MongoStore, chat: ChatId) -> Vec<String> {
    let page = store.page(chat, None, 10_000).await.unwrap();
    assert!(page.is_sorted_by_key(|message| message.created_at));
    page.into_iter().filter_map(|message| message.body).collect()
}

/// More than a step of both directions, in an order that has nothing to do with that of the documents.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_in_the_order_of_its_moments_and_read() {
    let messages = (0..1_300_i64).map(|n| (n * 7_919) % 1_300);
    let messages: Vec<_> =
        messages.map(|n| if n % 3 == 0 || n > 1_000 { foreign(1, 2, n) } else { foreign(2, 1, n) }).collect();
    let (database, _) = seeded(messages).await;
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let chat = ChatId::direct(id(1), id(2));
    // Read while it is being adopted: whole all the same.
    let expected: Vec<String> = (0..1_300).map(|n| n.to_string()).collect();
    assert_eq!(texts(&store, chat).await, expected);
    assert_eq!(seqs(&store, chat).await, (1..=1_300).collect::<Vec<_>>());
    let list = until(async || store.chats_of(id(2), None, 10).await.unwrap().pop()).await;
    assert_eq!((list.state.last_seq, list.state.unread(), list.last_at), (1_300, 0, at(1_299)));
    assert_eq!(store.partners(id(1)).await.unwrap(), [id(2)]);
    let sent = append(&store, message(id(1), id(2))).await.unwrap().into_record();
    assert_eq!(sent.seq, 1_301, "a new one comes after them all");
    assert_eq!(store.chat(chat, id(2)).await.unwrap().unwrap().unread(), 1);
}

/// A message to a chat whose history is not adopted yet comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_comes_after_the_history() {
    let (database, _) = seeded((0..700).map(|n| foreign(1, 2, n)).collect()).await;
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    assert_eq!(append(&store, message(id(2), id(1))).await.unwrap().into_record().seq, 701);
    // A message that is known by its id only.
    let (database, own) = seeded((0..3).map(|n| foreign(1, 2, n)).collect()).await;
    let found = own
        .collection::<Document>("messages")
        .find_one(doc! { "encryptedText": "1" })
        .await
        .unwrap()
        .unwrap();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let id = MessageId::from_bytes(found.get_object_id("_id").unwrap().bytes());
    assert_eq!(store.message(id).await.unwrap().unwrap().seq, 2);
}

/// What comes later is news, gets the next place, and shows no earlier moment than what stands above it.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_beside_this_store_is_news() {
    let (database, own) = seeded(vec![foreign(1, 2, 500)]).await;
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let chat = ChatId::direct(id(1), id(2));
    until(async || {
        (all(&store.inner.db, "chatcore_notes")
            .await
            .iter()
            .any(|n| n.get_str("_id").ok() == Some("adoption")))
        .then_some(())
    })
    .await;
    let mut late = foreign(1, 2, 100);
    late.insert("chatId", "their-name");
    own.collection("messages").insert_one(late).await.unwrap();
    until(async || (seqs(&store, chat).await == [1, 2]).then_some(())).await;
    assert_eq!(texts(&store, chat).await, ["500", "100"]);
    assert_eq!(store.chat(chat, id(2)).await.unwrap().unwrap().unread(), 1);
    assert_eq!(store.chat(chat, id(1)).await.unwrap().unwrap().unread(), 0);
    // Feeds tell of it, and of the history of before nothing.
    for user in [id(1), id(2)] {
        let entries =
            until(async || store.feed(user, 0, 10).await.unwrap().filter(|entries| !entries.is_empty()))
                .await;
        let changes: Vec<_> = entries.iter().map(|entry| entry.change).collect();
        assert_eq!(changes, [Change::Sent { chat, from: 2, to: 2 }]);
    }
    // A new message carries the chat's name of there.
    let sent = append(&store, message(id(2), id(1))).await.unwrap().into_record();
    let document = own
        .collection::<Document>("messages")
        .find_one(doc! { "_id": oid(sent.id.as_bytes()) })
        .await
        .unwrap();
    assert_eq!(document.unwrap().get_str("chatId").ok(), Some("their-name"));
}

/// A start that is cut short goes on; two at the same time do not disturb each other.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_adopt_at_the_same_time() {
    let pairs = [(1, 2), (2, 1), (1, 3), (3, 2)];
    let messages = (0..3_000_i64).map(|n| {
        let (from, to) = pairs[usize::try_from(n % 4).unwrap()];
        foreign(from, to, n)
    });
    let (database, _) = seeded(messages.collect()).await;
    let cut = MongoStore::connect(&database.uri()).await.unwrap();
    drop(cut);
    let (one, two) = (
        MongoStore::connect(&database.uri()).await.unwrap(),
        MongoStore::connect(&database.uri()).await.unwrap(),
    );
    for (a, b, count) in [(1, 2, 1_500), (1, 3, 750), (2, 3, 750)] {
        let chat = ChatId::direct(id(a), id(b));
        let (first, second) = tokio::join!(texts(&one, chat), texts(&two, chat));
        assert_eq!(first, second);
        assert!(first.iter().map(|text| text.parse::<i64>().unwrap()).is_sorted(), "{first:?}");
        assert_eq!(seqs(&one, chat).await, (1..=count).collect::<Vec<_>>());
    }
}

/// One that begins in the middle of the other's work, and one whose time is over again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_joins_in_the_middle() {
    let messages = (0..6_000_i64).map(|n| if n % 2 == 0 { foreign(1, 2, n) } else { foreign(2, 1, n) });
    let (database, own) = seeded(messages.collect()).await;
    let chat = ChatId::direct(id(1), id(2));
    let settings = || MongoSettings::default().timeout(Duration::from_millis(300));
    let one = MongoStore::connect(&database.uri()).await.unwrap();
    until(async || {
        let adopted =
            own.collection::<Document>("messages").count_documents(doc! { "seq": { "$gt": 0 } }).await;
        (adopted.unwrap() > 500).then_some(())
    })
    .await;
    let two = MongoStore::connect_with(&database.uri(), settings()).await.unwrap();
    let read = async |store: &MongoStore| until(async || store.page(chat, None, 10_000).await.ok()).await;
    for page in [read(&one).await, read(&two).await, read(&one).await] {
        let texts: Vec<i64> = page.iter().map(|m| m.body.as_ref().unwrap().parse().unwrap()).collect();
        assert_eq!(texts, (0..6_000).collect::<Vec<_>>());
        assert_eq!(page.iter().map(|m| m.seq).collect::<Vec<_>>(), (1..=6_000).collect::<Vec<_>>());
    }
}

/// What can't be shown stays, is left out, and is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn documents_that_make_no_sense() {
    let odd = vec![
        doc! { "senderId": "text", "receiverId": oid(id(1).as_bytes()), "encryptedText": "a" },
        doc! { "encryptedText": "b" },
        foreign(1, 1, 5),
        doc! { "_id": "a text for an id", "senderId": oid(id(1).as_bytes()), "receiverId": oid(id(2).as_bytes()), "encryptedText": "c" },
        foreign(1, 2, 7),
    ];
    let (database, own) = seeded(odd).await;
    own.collection("users")
        .insert_many([doc! { "email": 5 }, doc! { "_id": 7, "fullName": "Number" }])
        .await
        .unwrap();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    until(async || {
        (all(&store.inner.db, "chatcore_notes")
            .await
            .iter()
            .any(|n| n.get_str("_id").ok() == Some("adoption")))
        .then_some(())
    })
    .await;
    let chat = ChatId::direct(id(1), id(2));
    assert_eq!(texts(&store, chat).await, ["7"]);
    assert_eq!(all(&store.inner.db, "messages").await.len(), 5, "all are still there");
    assert!(append(&store, message(id(1), id(2))).await.is_ok());
    assert!(store.walk_messages(None, 1).await.unwrap().len() == 1);
    assert!(store.users_by_name(id(1), None, 10).await.unwrap().len() >= 2);
}

/// Removed for good by another application: a hole, and everything else as before.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_removed_for_good() {
    let (database, own) = seeded(Vec::new()).await;
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let chat = ChatId::direct(id(1), id(2));
    for _ in 0..20 {
        append(&store, message(id(1), id(2))).await.unwrap();
    }
    let messages = own.collection::<Document>("messages");
    messages.delete_many(doc! { "seq": { "$gte": 5, "$lte": 12 } }).await.unwrap();
    messages.delete_many(doc! { "seq": { "$gte": 19 } }).await.unwrap();
    let page = |store: MongoStore, before, limit| async move {
        store.page(chat, before, limit).await.unwrap().iter().map(|m| m.seq).collect::<Vec<_>>()
    };
    let fresh = MongoStore::connect(&database.uri()).await.unwrap();
    for store in [store, fresh] {
        assert_eq!(page(store.clone(), None, 3).await, [16, 17, 18]);
        assert_eq!(page(store.clone(), Some(15), 5).await, [2, 3, 4, 13, 14]);
        assert_eq!(page(store.clone(), Some(3), 5).await, [1, 2]);
        let entry = store.chats_of(id(2), None, 1).await.unwrap().remove(0);
        assert_eq!(entry.last_message.map(|last| last.seq), Some(18));
        let sent = append(&store, message(id(2), id(1))).await.unwrap().into_record();
        assert!(sent.seq > 20, "no number is given twice");
        messages.delete_one(doc! { "_id": oid(sent.id.as_bytes()) }).await.unwrap();
    }
}

/// Another spelling, another name: found again.
#[tokio::test(flavor = "multi_thread")]
async fn users_changed_beside_this_store() {
    let (database, own) = seeded(Vec::new()).await;
    let users = own.collection::<Document>("users");
    users.insert_one(user(4, "ANN@example.org", "Twin")).await.unwrap();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    // Both are there, each by the very spelling; in any other, the first.
    let find = async |email: &str| store.user_by_email(email).await.unwrap().map(|user| user.id);
    until(async || (find("Ann@Example.org").await == Some(id(1))).then_some(())).await;
    assert_eq!((find("ann@example.org").await, find("ANN@example.org").await), (Some(id(1)), Some(id(4))));
    until(async || (store.users_by_name(id(1), None, 10).await.unwrap().len() == 3).then_some(())).await;
    let change = doc! { "$set": { "email": "New@example.org", "fullName": "Zoe" } };
    users.update_one(doc! { "_id": oid(id(2).as_bytes()) }, change).await.unwrap();
    assert_eq!(find("bob@example.org").await, None, "the address of before is nobody's");
    assert_eq!(find("New@example.org").await, Some(id(2)));
    until(async || (find("new@EXAMPLE.org").await == Some(id(2))).then_some(())).await;
    let names = async || {
        store
            .users_by_name(id(1), None, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|u| u.full_name)
            .collect::<Vec<_>>()
    };
    until(async || (names().await == ["Cid", "Twin", "Zoe"]).then_some(())).await;
    store.close().await.unwrap();
}
