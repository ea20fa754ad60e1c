//! Connecting, and what is in the way of it.

use chat_test_servers::MongoDatabase;
use mongodb::{Client, bson::doc};

use super::{
    super::{MongoSettings, MongoStore},
    append, message, pair,
};
use crate::{StoreError, store::Store};

fn sentences(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", sentences(source)));
    format!("{error}{}", source.unwrap_or_default())
}

async fn refusal(uri: &str) -> String {
    let settings = MongoSettings::default().timeout(std::time::Duration::from_millis(500));
    sentences(&MongoStore::connect_with(uri, settings).await.unwrap_err())
}

#[tokio::test]
async fn an_unusable_uri_is_refused_without_its_password() {
    for uri in [
        "mongodb://me:hunter2@127.0.0.1:1/",
        "mongodb://me:hunter2@127.0.0.1:99999/chat",
        "mongodb://me:hunter2@/chat",
        "mongodb://me:hunter2@127.0.0.1:1/chat?maxPoolSize=x",
        "mongodb://me:hunter2@127.0.0.1:1/chat",
        "mongodb://me:hunt@er2@127.0.0.1:1/chat",
        "mongodb://me:hunter2?x@127.0.0.1:1/chat",
        "mongodb://me:x?hunter2@127.0.0.1:1/chat",
        "nonsense",
    ] {
        let refusal = refusal(uri).await;
        assert!(!refusal.contains("hunter2") && !refusal.contains("er2"), "{uri}: {refusal}");
        assert!(!refusal.is_empty());
    }
    assert!(refusal("mongodb://127.0.0.1:1/").await.contains("names no database"));
}

#[tokio::test]
async fn what_violates_a_unique_index_is_named() {
    let database = MongoDatabase::fresh();
    let client = Client::with_uri_str(database.uri()).await.unwrap();
    let users = client.default_database().unwrap().collection("users");
    users
        .insert_many([doc! { "email": "twice@example.org" }, doc! { "email": "twice@example.org" }])
        .await
        .unwrap();
    let refusal = refusal(&database.uri()).await;
    for word in ["`users`", "`email_1`", "twice@example.org", "2 times"] {
        assert!(refusal.contains(word), "{word}: {refusal}");
    }
}

#[tokio::test]
async fn the_applications_own_client_stays_open() {
    let database = MongoDatabase::fresh();
    let client = Client::with_uri_str(database.uri()).await.unwrap();
    let own = client.default_database().unwrap();
    let store = MongoStore::with_client(client.clone(), own.name(), MongoSettings::default()).await.unwrap();
    let (ann, bob, _) = pair(&store).await;
    append(&store, message(ann, bob)).await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert_eq!(
        own.collection::<mongodb::bson::Document>("messages").count_documents(doc! {}).await.unwrap(),
        1
    );
}

/// As Mongoose makes it, or another one: both are fine.
#[tokio::test]
async fn an_index_on_email_may_be_there() {
    for options in [doc! { "unique": true }, doc! {}, doc! { "unique": true, "sparse": true }] {
        let database = MongoDatabase::fresh();
        let client = Client::with_uri_str(database.uri()).await.unwrap();
        let mut index = doc! { "name": "email_1", "key": { "email": 1 } };
        index.extend(options.clone());
        let own = client.default_database().unwrap();
        own.run_command(doc! { "createIndexes": "users", "indexes": [index] }).await.unwrap();
        let store = MongoStore::connect(&database.uri()).await;
        assert!(store.is_ok(), "{options}: {store:?}");
    }
}
