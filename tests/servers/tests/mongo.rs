//! The servers do as they say.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chat_test_servers::{MongoDatabase, MongoServer};
use mongodb::{
    Client, Collection,
    bson::{Document, doc},
};

async fn notes(uri: &str) -> Collection<Document> {
    Client::with_uri_str(uri).await.unwrap().default_database().unwrap().collection("notes")
}

#[tokio::test]
async fn data_and_address_stay_over_a_kill() {
    let mut server = MongoServer::start();
    let uri = server.uri("chat");
    notes(&uri).await.insert_one(doc! { "_id": 1 }).await.unwrap();
    server.kill();
    assert!(TcpStream::connect(server.address()).is_err(), "it is gone");
    server.restart();
    assert_eq!(server.uri("chat"), uri);
    assert_eq!(notes(&uri).await.find_one(doc! {}).await.unwrap(), Some(doc! { "_id": 1 }));
}

#[tokio::test]
async fn paused_it_does_not_answer() {
    let server = MongoServer::start();
    let notes = notes(&server.uri("chat")).await;
    notes.insert_one(doc! { "_id": 1 }).await.unwrap();
    server.pause();
    let count = notes.count_documents(doc! {});
    let mut count = std::pin::pin!(std::future::IntoFuture::into_future(count));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut count).await.is_err(), "it answers");
    server.resume();
    assert_eq!(count.await.unwrap(), 1);
}

#[tokio::test]
async fn a_database_is_empty_and_ones_own() {
    let (one, other) = (MongoDatabase::fresh(), MongoDatabase::fresh());
    notes(&one.uri()).await.insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(notes(&other.uri()).await.count_documents(doc! {}).await.unwrap(), 0);
}

/// Run by the next test in a process of its own.
#[test]
#[ignore = "it waits until it is killed"]
fn hold_a_server() {
    let server = MongoServer::start();
    println!("address {}", server.address());
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn no_server_outlives_a_test_that_is_killed() {
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hold_a_server", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let address =
        lines.map_while(Result::ok).find_map(|line| Some(line.split_once("address ")?.1.to_owned()));
    let address = address.expect("it starts a server");
    TcpStream::connect(&address).expect("the server listens");
    test.kill().unwrap();
    test.wait().unwrap();
    let start = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(30), "the server outlives its test");
        std::thread::sleep(Duration::from_millis(10));
    }
}
