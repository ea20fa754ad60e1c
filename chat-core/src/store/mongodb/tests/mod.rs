//! What can only be seen from inside, or with a fault at the right moment.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod adoption;
mod faults;
mod feeds;
mod opening;
mod plans;
mod proxy;

use mongodb::bson::{Document, doc};

use super::{MongoStore, db::Db};
use crate::{
    ChatId, MessageId, Timestamp, UserId,
    store::{Appended, Messages, NewMessage, UserRecord, Users},
};

/// `millis` after a moment that all tests share.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

async fn person(store: &MongoStore, name: &str) -> UserId {
    let id = UserId::generate(at(0));
    let user = UserRecord {
        id,
        email: format!("{name}@example.org"),
        full_name: name.to_owned(),
        password_hash: "$2b$10$not.a.hash".into(),
        profile_pic: None,
        last_seen: at(1),
        is_online: false,
        created_at: at(2),
        updated_at: at(3),
        email_verified: true,
        generation: 0,
        settings: crate::store::Settings::default(),
    };
    store.insert_user(&user).await.unwrap();
    id
}

async fn pair(store: &MongoStore) -> (UserId, UserId, ChatId) {
    let (ann, bob) = (person(store, "ann").await, person(store, "bob").await);
    (ann, bob, ChatId::direct(ann, bob))
}

fn message(from: UserId, to: UserId) -> NewMessage {
    let id = MessageId::generate(Timestamp::now());
    NewMessage {
        id,
        chat_id: ChatId::direct(from, to),
        sender_id: from,
        receiver_id: Some(to),
        body: Some(format!("v1.k.{id}")),
        image: None,
        client_id: Some(id.to_string()),
        at: Timestamp::now(),
        reply_to: None,
    }
}

async fn append(store: &MongoStore, new: NewMessage) -> crate::store::Result<Appended> {
    store.append(vec![new]).await.remove(0)
}

async fn seqs(store: &MongoStore, chat: ChatId) -> Vec<u64> {
    store.page(chat, None, 10_000).await.unwrap().iter().map(|message| message.seq).collect()
}

async fn insert(db: &Db, collection: &str, documents: Vec<Document>) {
    db.database.collection(collection).insert_many(documents).await.unwrap();
}

async fn all(db: &Db, collection: &str) -> Vec<Document> {
    use futures_util::TryStreamExt;
    db.database.collection(collection).find(doc! {}).await.unwrap().try_collect().await.unwrap()
}

/// Waits for something that happens in the background; its time is the test runner's.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), look).await.expect("it happens")
}
