//! Two servers on one database: one log for each chat, one message for each key, one account for each e-mail.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::collections::BTreeMap;

use chat_tests::{Person, Reply, SECRETS, Server, Signup, Target, Value, json, shape, tests_on};
use futures_util::future::join_all;

const SENDERS: usize = 16;
const MESSAGES: usize = 32;

async fn two_servers(target: Target) -> (Server, Server) {
    let one = target.start_with(&SECRETS).await;
    let two = one.beside().await;
    (one, two)
}

async fn a_chat_is_one_log(target: Target) {
    let (one, two) = two_servers(target).await;
    let (ann, bob) = (one.signup().await, one.signup().await);
    let senders = (0..2 * SENDERS).map(|number| {
        let server = if number < SENDERS { &one } else { &two };
        let (from, to) = if number % 2 == 0 { (ann.at(server), &bob) } else { (bob.at(server), &ann) };
        async move {
            let mut sent = Vec::new();
            for i in 0..MESSAGES {
                sent.push(from.say(to, &format!("{number}-{i}")).await);
            }
            sent
        }
    });
    let sent: Vec<Vec<Value>> = join_all(senders).await;
    let log = ann.at(&one).whole_conversation(&bob).await;
    assert_eq!(shape::seqs(&log), (1..=(2 * SENDERS * MESSAGES) as u64).collect::<Vec<_>>());
    for reader in [ann.at(&two), bob.at(&one), bob.at(&two)] {
        let other = if reader.id() == ann.id() { &bob } else { &ann };
        assert_eq!(reader.whole_conversation(other).await, log);
    }
    // Each server took part all the time, and not one after the other.
    let by_server: Vec<bool> = log
        .iter()
        .map(|message| message["text"].as_str().unwrap().split('-').next().unwrap().parse().unwrap())
        .map(|number: usize| number < SENDERS)
        .collect();
    let changes = by_server.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes >= 20, "the servers hardly wrote at the same time: {changes} changes");
    let by_id: BTreeMap<&str, &Value> =
        log.iter().map(|message| (message["_id"].as_str().unwrap(), message)).collect();
    for messages in &sent {
        for message in messages {
            assert_eq!(by_id[message["_id"].as_str().unwrap()], message, "answered, and not there as it was");
        }
        let seqs = shape::seqs(messages);
        assert!(seqs.is_sorted(), "what one sender said is not in its order: {seqs:?}");
    }
    let chats = [ann.at(&one).chats().await, ann.at(&two).chats().await];
    assert_eq!(chats[0], chats[1]);
    assert_eq!(chats[0][0]["lastMessage"], *log.last().unwrap());
}

/// The statuses, in order.
fn statuses(replies: &[Reply]) -> Vec<u16> {
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    statuses
}

async fn a_key_is_one_message(target: Target) {
    const ROUNDS: u64 = 150;
    let (one, two) = two_servers(target).await;
    let (ann, bob) = (one.signup().await, one.signup().await);
    let nodes = [ann.at(&one), ann.at(&two), ann.at(&one), ann.at(&two)];
    for round in 1..=ROUNDS {
        let key = format!("key-{round}");
        let (inbox, body) = (bob.inbox(), json!({ "text": key, "clientId": key }));
        let replies = join_all(nodes.iter().map(|node| node.post(&inbox, body.clone()))).await;
        assert_eq!(statuses(&replies), [200, 200, 200, 201], "round {round}");
        assert!(replies.iter().all(|reply| reply.body["data"] == replies[0].body["data"]), "round {round}");
        assert_eq!(replies[0].body["data"]["seq"], round);
    }
    assert_eq!(bob.at(&two).whole_conversation(&ann).await.len() as u64, ROUNDS);
}

async fn an_email_is_one_account(target: Target) {
    const ROUNDS: usize = 20;
    let (one, two) = two_servers(target).await;
    let servers = [one.client(), two.client()];
    for round in 0..ROUNDS {
        let form = Signup::random();
        let other = Signup { email: form.email.to_uppercase(), ..form.clone() };
        let forms = [&form, if round % 2 == 0 { &form } else { &other }];
        let posts =
            servers.iter().zip(forms).map(|(client, form)| client.post("/api/auth/signup", form.json()));
        let replies = join_all(posts).await;
        assert_eq!(statuses(&replies), [201, 409], "round {round}");
        let loser = replies.iter().find(|reply| reply.status == 409).unwrap();
        loser.refused(409, "email_taken");
        Person::login_as(&servers[round % 2], form).await;
    }
    let contacts = servers[0].with_bearer(&one.signup().await.token).pages("/api/messages/contacts").await;
    assert_eq!(contacts.into_iter().flatten().count(), ROUNDS, "an account that nobody was told of");
}

/// What one server ended, changed or read, the other knows.
async fn they_share_what_is_stored(target: Target) {
    let (one, two) = two_servers(target).await;
    let (ann, bob) = (one.signup().await, two.signup().await);
    let sent = ann.at(&one).say(&bob, "from one to two").await;
    assert_eq!(bob.at(&two).conversation(&ann).await, [sent]);
    assert_eq!(bob.at(&one).unread(&ann).await, 1);
    let _ = bob.at(&two).post(&format!("/api/messages/{}/read", ann.id()), json!({})).await.ok(200);
    assert_eq!(bob.at(&one).unread(&ann).await, 0);
    let _ = ann.at(&two).put("/api/auth/profile", json!({ "fullName": "Ann" })).await.ok(200);
    assert_eq!(ann.at(&one).get("/api/auth/me").await.ok(200)["fullName"], "Ann");
}

tests_on!(
    axum_mongo = AxumMongo: a_chat_is_one_log,
    a_key_is_one_message,
    an_email_is_one_account,
    they_share_what_is_stored,
);
