//! The same work as `store` on MongoDB: `cargo bench -p chat-core --features mongodb --bench mongodb`.
//!
//! Against the server that `MONGODB_URI` names, or else against one of the tests', which is not MongoDB: the first
//! line says which, and its figures are that server's.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that can't run has nothing to tell"
)]

mod common;

use std::sync::Arc;

use chat_core::store::MongoStore;
use chat_test_servers::MongoDatabase;
use common::{Opened, RUNTIME};
use divan::Bencher;

fn main() {
    let server = match std::env::var_os("MONGODB_URI") {
        Some(_) => "the server of MONGODB_URI",
        None => "secantus-mdb, a server of the tests that speaks MongoDB's protocol and is NOT MongoDB",
    };
    println!("Measured against: {server}");
    divan::main();
}

fn open() -> Opened {
    let database = MongoDatabase::fresh();
    let store = RUNTIME.block_on(MongoStore::connect(&database.uri())).unwrap();
    (Arc::new(store), Box::new(database))
}

#[divan::bench]
fn append_one_at_a_time(bencher: Bencher<'_, '_>) {
    common::append_one_at_a_time(bencher, open());
}

#[divan::bench(sample_count = 30, sample_size = 1)]
fn append_by_64_callers(bencher: Bencher<'_, '_>) {
    common::append_by_64_callers(bencher, open());
}

#[divan::bench]
fn append_64_in_one_call(bencher: Bencher<'_, '_>) {
    common::append_64_in_one_call(bencher, open());
}

const SIZES: [usize; 2] = [1_000, 100_000];

#[divan::bench(args = SIZES)]
fn newest_50_of_a_chat(bencher: Bencher<'_, '_>, messages: usize) {
    common::newest_50_of_a_chat(bencher, &common::seeded(messages, open));
}

#[divan::bench(args = SIZES)]
fn some_50_amid_a_chat(bencher: Bencher<'_, '_>, messages: usize) {
    common::some_50_amid_a_chat(bencher, &common::seeded(messages, open), messages);
}

#[divan::bench(args = SIZES)]
fn first_50_of_100_chats(bencher: Bencher<'_, '_>, messages: usize) {
    common::first_50_of_100_chats(bencher, &common::seeded(messages, open));
}
