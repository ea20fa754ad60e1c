//! SIGKILL under load: what was acknowledged is there, once, in order, and nothing has a hole.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chat_tests::{
    DEADLINE, Person, Server, Target, for_each_target, json,
    ledger::{Ledger, conversations},
    sio, until, until_in,
};

const ROUNDS: usize = 5;
const SENDERS: usize = 16;
/// Acknowledgements in a round before it is cut.
const ENOUGH: usize = 120;

struct Round {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

/// Sends one message after the other until it is told to stop; a failure of the connection leaves the key open.
async fn sender(round: Arc<Round>, ledger: Ledger, people: Arc<Vec<Person>>, number: usize, name: String) {
    let from = number % people.len();
    for i in 0.. {
        if round.stop.load(Ordering::Relaxed) {
            return;
        }
        let to = (from + 1 + i % (people.len() - 1)) % people.len();
        let key = format!("{name}-{i}");
        let body = ledger.begin(&key, from, to);
        if let Ok(reply) = people[from].try_post(&people[to].inbox(), body).await {
            if reply.status == 503 {
                continue;
            }
            let message = reply.ok(201);
            ledger.acknowledge(&key, message);
            round.acknowledged.fetch_add(1, Ordering::Relaxed);
        } else {
            // The server is gone, or about to be: this sender's keep-alive connection has ended.
            return;
        }
    }
}

async fn round(server: &mut Server, ledger: &Ledger, people: &Arc<Vec<Person>>, number: usize) {
    let round = Arc::new(Round { stop: AtomicBool::new(false), acknowledged: AtomicUsize::new(0) });
    let senders: Vec<_> = (0..SENDERS)
        .map(|i| {
            let name = format!("{number}-{i}");
            tokio::spawn(sender(round.clone(), ledger.clone(), people.clone(), i, name))
        })
        .collect();
    until("enough acknowledgements", || async {
        (round.acknowledged.load(Ordering::Relaxed) >= ENOUGH).then_some(())
    })
    .await;
    server.kill().await;
    round.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    server.restart().await;
}

async fn acknowledged_messages_survive_kills(target: Target) {
    let mut server = target.start().await;
    let mut people = Vec::new();
    for _ in 0..4 {
        people.push(server.signup().await);
    }
    let people = Arc::new(people);
    let ledger = Ledger::default();
    for number in 0..ROUNDS {
        round(&mut server, &ledger, &people, number).await;
        ledger.check(&conversations(&people).await);
    }
    assert!(ledger.open() > 0, "the kills did not cut anything off");
    ledger.settle(&people).await;
}

async fn a_message_acknowledged_on_a_socket_survives_a_kill(target: Target) {
    let mut server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let address = server.address().parse().unwrap();
    let mut socket = sio::Socket::connect(address, None, &ann.token).await.unwrap();
    let payload = json!({ "receiverId": bob.id(), "text": "by socket" });
    let number = socket.emit("sendMessage", &payload).await.unwrap();
    let message = loop {
        match socket.next().await.unwrap() {
            sio::Packet::Ack(answered, mut arguments) if answered == number => {
                break arguments.remove(0)["data"].take();
            }
            sio::Packet::Closed => panic!("the server hung up"),
            _ => {}
        }
    };
    server.kill().await;
    server.restart().await;
    assert_eq!(bob.conversation(&ann).await, [message]);
}

async fn accounts_profiles_and_deletes_survive_a_kill(target: Target) {
    let mut server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let message = ann.say(&bob, "gone").await;
    let renamed = ann.put("/api/auth/profile", json!({ "fullName": "Ann" })).await.ok(200);
    let path = format!("/api/messages/{}", message["_id"].as_str().unwrap());
    let deleted = ann.delete(&path).await.ok(200);
    server.kill().await;
    server.restart().await;
    assert_eq!(ann.login().await.user["fullName"], renamed["fullName"]);
    assert_eq!(bob.conversation(&ann).await, [deleted]);
}

/// A kill with people online must not leave them online for ever.
async fn nobody_stays_online_after_a_kill(target: Target) {
    let mut server = target.start().await;
    let ann = server.signup().await;
    let socket = sio::Socket::connect(server.address().parse().unwrap(), None, &ann.token).await.unwrap();
    until("her to be online", || async {
        (ann.get("/api/auth/me").await.ok(200)["isOnline"] == true).then_some(())
    })
    .await;
    server.kill().await;
    drop(socket);
    server.restart().await;
    // Where several processes may share a store, it is known from its lease that one is gone: after 30 s, and looked at
    // every 30 s. Else the start knows.
    let within = if target.is_on_mongo() { Duration::from_secs(90) } else { DEADLINE };
    until_in(within, "her to be offline", || async {
        (ann.get("/api/auth/me").await.ok(200)["isOnline"] == false).then_some(())
    })
    .await;
}

for_each_target!(
    acknowledged_messages_survive_kills,
    a_message_acknowledged_on_a_socket_survives_a_kill,
    accounts_profiles_and_deletes_survive_a_kill,
    nobody_stays_online_after_a_kill,
);
