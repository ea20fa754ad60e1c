//! The store on MongoDB: the conformance suite, and what is special about a server.

#![cfg(feature = "mongodb")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::store::{MongoStore, Store, conformance::Harness};

struct Server(String);

impl Server {
    fn new() -> Self {
        let n = chat_core::MessageId::generate(chat_core::Timestamp::now());
        Self(format!("mongodb://127.0.0.1:27999/t{n}?directConnection=true"))
    }
}

#[async_trait]
impl Harness for Server {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MongoStore::connect(&self.0).await.expect("the store opens"))
    }
}

chat_core::conformance_tests!(Server::new());
