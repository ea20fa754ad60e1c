//! Feeds: what happened stands there, whatever became of whoever did it.

use std::{collections::HashMap, time::Duration};

use chat_test_servers::{MongoDatabase, MongoServer};
use mongodb::bson::{Document, doc, oid::ObjectId};

use super::{
    super::{
        MongoSettings, MongoStore,
        documents::from_message,
        feeds::push_to_each,
        queries::{self, FEEDS},
    },
    all, append, insert, message, pair,
    proxy::Proxy,
    until,
};
use crate::{
    MessageId, Timestamp, UserId,
    store::{
        Appended, Change, Chats, Feeds, Mark, MarkKind, MessageChange, MessageRecord, Messages, NewMessage,
        Place, Reaction, Store, StoreError,
    },
};

async fn feed(store: &MongoStore, user: UserId) -> Vec<Change> {
    let before = store.feed_end(user).await.unwrap();
    let entries = store.feed(user, 0, usize::MAX).await.unwrap().unwrap();
    for (position, entry) in (1..).zip(&entries) {
        assert_eq!(entry.position, position, "without a hole");
    }
    // Others may be writing to it.
    let (count, after) = (entries.len() as u64, store.feed_end(user).await.unwrap());
    assert!((before..=after).contains(&count), "it ends where it is said to: {before}, {count}, {after}");
    entries.into_iter().map(|entry| entry.change).collect()
}

async fn send(store: &MongoStore, from: UserId, to: UserId) -> MessageId {
    append(store, message(from, to)).await.unwrap().into_record().id
}

/// Waits until a feed is this.
async fn until_told(store: &MongoStore, user: UserId, expected: &[Change]) {
    until(async || (feed(store, user).await == expected).then_some(())).await;
}

/// Waits until nothing carries a mark any more.
async fn until_clear(store: &MongoStore) {
    until(async || {
        let mut documents = all(&store.inner.db, "messages").await;
        documents.extend(all(&store.inner.db, "chatcore_members").await);
        documents.iter().all(|document| !document.contains_key("untold")).then_some(())
    })
    .await;
}

/// What can be done to a message, and to a chat, by its receiver.
async fn every_change(store: &MongoStore, user: UserId, id: MessageId, n: usize) -> (bool, usize, Change) {
    let at = Timestamp::now();
    let (change, expected) = match n {
        0 => (MessageChange::Edit { body: Some("edited".into()) }, Change::Edited(id)),
        1 => {
            let reaction = Reaction { user_id: user, emoji: "👍".into() };
            (MessageChange::React { reaction, is_on: true }, Change::Reacted(id))
        }
        2 => (MessageChange::Hide { user }, Change::Hidden(id)),
        3 => {
            let deletion = store.delete_message(id, at).await.unwrap().unwrap();
            return (deletion.is_first, deletion.places.len(), Change::Deleted(id));
        }
        _ => {
            let chat = store.message(id).await.unwrap().unwrap().chat_id;
            let mark = Mark { chat, user, kind: MarkKind::Read, up_to: None, is_shown: true };
            let marked = store.mark(&mark).await.unwrap().unwrap();
            return (marked.before != marked.after, marked.places.len(), Change::Marked { chat, user });
        }
    };
    let changed = store.change_message(id, change, at).await.unwrap().unwrap();
    (changed.is_change, changed.places.len(), expected)
}

/// A feed that can't be written to: the change is made, and told as soon as it can.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_could_not_be_told_is_told_later() {
    let database = MongoDatabase::fresh();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    let id = send(&store, ann, bob).await;
    let mut expected = vec![Change::Sent { chat, from: 1, to: 1 }];
    assert_eq!(feed(&store, bob).await, expected);
    let feeds = store.inner.db.database.collection::<Document>(FEEDS);
    let own = queries::by_id(queries::bucket_id(bob, 0));
    for n in 0..6 {
        let whole = feeds.find_one(own.clone()).await.unwrap().unwrap();
        feeds.update_one(own.clone(), doc! { "$set": { "entries": "no list" } }).await.unwrap();
        let anns = store.feed_end(ann).await.unwrap();
        let (places, change) = if n == 5 {
            let Appended::New { places, message } = append(&store, message(ann, bob)).await.unwrap() else {
                panic!("it is new")
            };
            (places.len(), Change::Sent { chat, from: message.seq, to: message.seq })
        } else {
            let (is_change, places, change) = every_change(&store, bob, id, n).await;
            assert!(is_change, "{change:?}");
            (places, change)
        };
        let is_anns = !matches!(change, Change::Hidden(_));
        assert_eq!(places, usize::from(is_anns), "it was told to ann only: {change:?}");
        assert!(store.feed_end(ann).await.unwrap() >= anns + u64::from(is_anns));
        feeds.replace_one(own.clone(), whole).await.unwrap();
        expected.push(change);
        until(async || (feed(&store, bob).await.last() == Some(&change)).then_some(())).await;
        let mut told = feed(&store, bob).await;
        // Two who sweep at the same moment tell of it twice, which does no harm.
        told.dedup();
        assert_eq!(told, expected);
    }
    until_clear(&store).await;
    until(async || store.inner.debts.is_empty().then_some(())).await;
}

/// Nobody is left who knows of a change: another process finds the mark, and tells.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_did_is_told() {
    let database = MongoDatabase::fresh();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    let id = send(&store, ann, bob).await;
    let mark = |kind: &str| doc! { "w": ObjectId::new(), "k": kind };
    let bobs = doc! { "w": ObjectId::new(), "k": "h", "u": super::super::documents::oid(bob.as_bytes()) };
    let messages = store.inner.db.database.collection::<Document>("messages");
    let untold = doc! { "untold": { "$each": [mark("e"), bobs, mark("r")] } };
    let change = doc! { "$set": { "isEdited": true }, "$push": untold };
    messages.update_one(doc! { "seq": 1 }, change).await.unwrap();
    let read = doc! { "w": ObjectId::new(), "k": "m", "own": false, "others": true };
    let members = store.inner.db.database.collection::<Document>("chatcore_members");
    let change = doc! { "$set": { "shownRead": 1_i64 }, "$push": { "untold": read } };
    members.update_one(queries::membership(chat, bob), change).await.unwrap();

    let sent = Change::Sent { chat, from: 1, to: 1 };
    let (edited, hidden, reacted) = (Change::Edited(id), Change::Hidden(id), Change::Reacted(id));
    let marked = Change::Marked { chat, user: bob };
    until_told(&store, bob, &[sent, edited, hidden, reacted]).await;
    until_told(&store, ann, &[sent, edited, reacted, marked]).await;
    until_clear(&store).await;
}

/// A process was killed between its insert and its telling: who appends next tells along what it did not, and the sender
/// who comes again has it told.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_inserted_is_told_before_what_comes_next() {
    let database = MongoDatabase::fresh();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    let first = append(&store, message(ann, bob)).await.unwrap().into_record();
    // As the other process would have.
    let leave_behind = async |seq: u64, new: &NewMessage| {
        let record = MessageRecord {
            id: new.id,
            seq,
            sender_id: new.sender_id,
            receiver_id: new.receiver_id,
            client_id: new.client_id.clone(),
            ..first.clone()
        };
        insert(&store.inner.db, "messages", vec![from_message(&record, None)]).await;
    };
    leave_behind(2, &message(bob, ann)).await;
    leave_behind(3, &message(ann, bob)).await;
    let Appended::New { message: fourth, mut places } = append(&store, message(ann, bob)).await.unwrap()
    else {
        panic!("it is new")
    };
    places.sort_by_key(|place| place.user);
    let mut along = [ann, bob].map(|user| Place { user, position: None });
    along.sort_by_key(|place| place.user);
    assert_eq!((fourth.seq, &places[..]), (4, &along[..]), "nobody has heard of two of them");

    let fifth = message(bob, ann);
    leave_behind(5, &fifth).await;
    let again = NewMessage { client_id: fifth.client_id, ..message(bob, ann) };
    assert!(matches!(append(&store, again).await.unwrap(), Appended::Repeat(record) if record.seq == 5));
    let late = tokio::time::timeout(Duration::from_secs(30), store.told_late()).await;
    let mut late: Vec<UserId> = late.expect("somebody is told late");
    late.sort();
    assert_eq!(late, along.map(|place| place.user), "they are told by nobody else");

    let Appended::New { places, .. } = append(&store, message(ann, bob)).await.unwrap() else {
        panic!("it is new")
    };
    assert_eq!(places.iter().map(|place| place.position).collect::<Vec<_>>(), [Some(4); 2]);
    let sent = |from, to| Change::Sent { chat, from, to };
    for user in [ann, bob] {
        assert_eq!(feed(&store, user).await, [sent(1, 1), sent(2, 4), sent(5, 5), sent(6, 6)]);
    }
}

/// The answer is lost, and the entry is there: once, at the place that is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_tells_nothing_twice() {
    let server = MongoServer::start();
    let proxy = Proxy::start(server.address()).await;
    let store = MongoStore::connect(&proxy.uri("t")).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    let id = send(&store, ann, bob).await;
    let mut expected = vec![Change::Sent { chat, from: 1, to: 1 }];
    for n in [0, 1, 2, 4, 3] {
        proxy.lose("findAndModify", 2);
        let (is_change, places, change) = every_change(&store, bob, id, n).await;
        assert_eq!(proxy.left(), 0, "answers were lost");
        assert!(is_change, "{change:?}");
        assert_eq!(places, if n == 2 { 1 } else { 2 }, "{change:?}");
        expected.push(change);
        assert_eq!(feed(&store, bob).await, expected);
    }
    for seq in 2..5 {
        proxy.lose("findAndModify", 2);
        let outcome = append(&store, message(bob, ann)).await.unwrap();
        assert_eq!(proxy.left(), 0, "answers were lost");
        let Appended::New { places, .. } = outcome else { panic!("it is new") };
        assert_eq!(places.len(), 2);
        expected.push(Change::Sent { chat, from: seq, to: seq });
        assert_eq!(feed(&store, bob).await, expected);
    }
}

/// The sender was told to come again, and never did; the message is there, so the feeds tell of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_message_is_told() {
    let server = MongoServer::start();
    let proxy = Proxy::start(server.address()).await;
    let settings = MongoSettings::default().timeout(Duration::from_millis(800));
    let store = MongoStore::connect_with(&proxy.uri("t"), settings).await.unwrap();
    let (ann, bob, chat) = pair(&store).await;
    proxy.lose("insert", 10_000);
    let sent = append(&store, message(ann, bob)).await;
    assert!(matches!(sent, Err(StoreError::Uncertain(_))), "{sent:?}");
    assert!(!store.inner.debts.is_empty());
    proxy.lose("", 0);
    until(async || store.ping().await.ok()).await;
    for user in [ann, bob] {
        until_told(&store, user, &[Change::Sent { chat, from: 1, to: 1 }]).await;
    }
    until(async || store.inner.debts.is_empty().then_some(())).await;
}

/// Over many buckets, from two processes at once: dense, and each at the place that was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_goes_on_over_its_buckets() {
    let database = MongoDatabase::fresh();
    let stores = [
        MongoStore::connect(&database.uri()).await.unwrap(),
        MongoStore::connect(&database.uri()).await.unwrap(),
    ];
    let (_, bob, chat) = pair(&stores[0]).await;
    let writers = (0..6_u64).map(|n| {
        let store = stores[usize::try_from(n % 2).unwrap()].clone();
        tokio::spawn(async move {
            let mut told = Vec::new();
            for round in 0..40 {
                let from = n * 1_000 + round * 10;
                let changes: Vec<_> = (from..=from + n).map(|to| Change::Sent { chat, from, to }).collect();
                let call = store.inner.db.call();
                let each = HashMap::from([(bob, changes.clone())]);
                let pushed = push_to_each(&store.inner.feeds, &call, each).await.remove(0).1.unwrap();
                assert!(pushed.is_sorted() && pushed.len() == changes.len());
                told.extend(pushed.into_iter().zip(changes));
            }
            told
        })
    });
    let mut told = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        told.extend(writer.await.unwrap());
    }
    told.sort_unstable_by_key(|(position, _)| *position);
    let told: Vec<Change> = told.into_iter().map(|(_, change)| change).collect();
    assert_eq!(told.len(), 40 * 21);
    for store in &stores {
        assert_eq!(feed(store, bob).await, told);
        // From anywhere, and in steps that end anywhere.
        for (after, limit) in [(0, 1), (255, 1), (255, 2), (256, 1), (511, 300), (700, usize::MAX), (840, 5)]
        {
            let step = store.feed(bob, after, limit).await.unwrap().unwrap();
            let from = usize::try_from(after).unwrap();
            let expected = &told[from..told.len().min(from.saturating_add(limit))];
            assert!(step.iter().map(|entry| &entry.change).eq(expected), "{limit} after {after}");
        }
        assert_eq!(store.feed(bob, 841, 1).await.unwrap(), None);
    }
}

/// What is older than what is kept is gone, and said to be; what is younger is there.
#[tokio::test(flavor = "multi_thread")]
async fn old_entries_are_forgotten() {
    let database = MongoDatabase::fresh();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let (_, bob, chat) = pair(&store).await;
    store.inner.feeds.keep(2);
    let push = async |count: u64| {
        let changes = vec![Change::Sent { chat, from: 1, to: 1 }; usize::try_from(count).unwrap()];
        store.inner.feeds.push(&store.inner.db.call(), bob, changes).await.unwrap()
    };
    assert_eq!(push(3 * 256).await, (1..=3 * 256).collect::<Vec<_>>());
    assert_eq!(store.feed(bob, 3 * 256, 10).await.unwrap(), Some(vec![]), "full, and no next one yet");
    assert_eq!(store.feed(bob, 3 * 256 + 1, 10).await.unwrap(), None);
    assert!(store.feed(bob, 0, 10).await.unwrap().is_some());
    assert_eq!(push(1).await, [3 * 256 + 1]);
    until(async || store.feed(bob, 0, 10).await.unwrap().is_none().then_some(())).await;
    assert_eq!(store.feed(bob, 255, 10).await.unwrap(), None);
    let kept = store.feed(bob, 256, usize::MAX).await.unwrap().unwrap();
    assert_eq!((kept.len(), kept[0].position), (2 * 256 + 1, 257));
    assert_eq!(store.feed_end(bob).await.unwrap(), 3 * 256 + 1);
}
