//! The store on MongoDB: the conformance suite, against a real server.

#![cfg(feature = "mongodb")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::store::{MongoStore, Store, conformance::Harness};
use chat_test_servers::MongoDatabase;

struct Database(MongoDatabase);

impl Database {
    fn new() -> Self {
        Self(MongoDatabase::fresh())
    }
}

#[async_trait]
impl Harness for Database {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MongoStore::connect(&self.0.uri()).await.expect("the store opens"))
    }
}

chat_core::conformance_tests!(Database::new());
