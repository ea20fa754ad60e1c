//! SIGKILL under load: what was acknowledged is there, once, in order, and nothing has a hole.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use chat_tests::{Person, Server, Target, Value, for_each_target, json, sio, until};

const ROUNDS: usize = 5;
const SENDERS: usize = 16;
/// Acknowledgements in a round before it is cut.
const ENOUGH: usize = 120;

/// What the senders know: every key that they used, and the message where it was acknowledged.
type Ledger = Arc<Mutex<BTreeMap<String, Sent>>>;

#[derive(Debug, Clone)]
struct Sent {
    from: usize,
    to: usize,
    acknowledged: Option<Value>,
}

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
        ledger.lock().unwrap().insert(key.clone(), Sent { from, to, acknowledged: None });
        let body = json!({ "text": key, "clientId": key });
        if let Ok(reply) = people[from].try_post(&people[to].inbox(), body).await {
            if reply.status == 503 {
                continue;
            }
            let message = reply.ok(201);
            ledger.lock().unwrap().get_mut(&key).unwrap().acknowledged = Some(message);
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

/// Every conversation, read from one side, by the pair of people.
async fn conversations(people: &[Person]) -> BTreeMap<(usize, usize), Vec<Value>> {
    let mut all = BTreeMap::new();
    for a in 0..people.len() {
        for b in a + 1..people.len() {
            let messages = people[a].whole_conversation(&people[b]).await;
            assert_eq!(people[b].whole_conversation(&people[a]).await, messages);
            all.insert((a, b), messages);
        }
    }
    all
}

fn check(ledger: &Ledger, all: &BTreeMap<(usize, usize), Vec<Value>>) {
    let mut by_key = BTreeMap::new();
    for messages in all.values() {
        let seqs: Vec<u64> = messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "a hole, a repeat or a disorder");
        for message in messages {
            let key = message["clientId"].as_str().unwrap().to_owned();
            assert_eq!(message["text"], key, "a text that is not its own");
            assert!(by_key.insert(key, message).is_none(), "a message is there twice: {message}");
        }
    }
    let ledger = ledger.lock().unwrap();
    for (key, sent) in ledger.iter() {
        if let Some(acknowledged) = &sent.acknowledged {
            assert_eq!(by_key.get(key), Some(&acknowledged), "acknowledged, and not there as it was");
        }
    }
    let known: BTreeSet<&String> = ledger.keys().collect();
    assert!(by_key.keys().all(|key| known.contains(key)), "a message that nobody sent");
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
        check(&ledger, &conversations(&people).await);
    }
    // What was not acknowledged is sent again, as a client does it: each key makes one message, new or not.
    let open: Vec<(String, Sent)> = ledger
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, sent)| sent.acknowledged.is_none())
        .map(|(key, sent)| (key.clone(), sent.clone()))
        .collect();
    assert!(!open.is_empty(), "the kills did not cut anything off");
    for (key, sent) in open {
        let body = json!({ "text": key, "clientId": key });
        for is_again in [false, true] {
            let reply = people[sent.from].post(&people[sent.to].inbox(), body.clone()).await;
            assert!(reply.status == 200 || (reply.status == 201 && !is_again), "{}", reply.body);
            let message = reply.body["data"].clone();
            ledger.lock().unwrap().get_mut(&key).unwrap().acknowledged = Some(message);
        }
    }
    let all = conversations(&people).await;
    check(&ledger, &all);
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), ledger.lock().unwrap().len());
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
    until("her to be offline", || async {
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
