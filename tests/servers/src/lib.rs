//! Real servers for tests: each starts in a fraction of a second, is killed and started again at will, and is gone with
//! the test.
//!
//! ```no_run
//! let mut server = chat_test_servers::MongoServer::start();
//! let uri = server.uri("chat");
//! server.kill();
//! server.restart();
//! assert_eq!(server.uri("chat"), uri);
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "this crate is for tests: what is not as it should be has to stop them"
)]

mod database;
mod mongo;
mod ports;
mod process;
mod tools;

pub use self::{database::MongoDatabase, mongo::MongoServer, tools::tool};
