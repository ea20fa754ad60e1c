//! How fast the embedded store is: `cargo bench -p chat-core --bench store`.
//!
//! On a real file in the system's temporary folder, with every sync: `TMPDIR` says which disk is measured.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't run has nothing to tell")]

mod common;

use std::sync::Arc;

use chat_core::store::SqliteStore;
use common::{Opened, RUNTIME};
use divan::Bencher;

fn main() {
    divan::main();
}

fn open() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let store = RUNTIME.block_on(SqliteStore::open(folder.path().join("chat.db"))).unwrap();
    (Arc::new(store), Box::new(folder))
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

const SIZES: [usize; 2] = [1_000, 1_000_000];

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
