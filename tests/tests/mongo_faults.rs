//! MongoDB fails, hangs, is killed and is away, under load: an answer in bounded time, nothing lost, nothing twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chat_tests::{
    MongoServer, Person, Reply, Server, Signup, Target, Value, json,
    ledger::{Ledger, conversations},
    sio, tests_on, until,
};
use futures_util::{FutureExt, future::join_all};
use mongodb::{
    Client,
    bson::{Bson, Document, doc},
};
use tokio::task::JoinSet;

const SENDERS: usize = 16;
/// The longest that anybody waits for an answer, whatever the database does.
const BOUND: Duration = Duration::from_secs(20);

/// A server on a database that can be harmed, and people who write to each other all the time.
struct Trial {
    mongo: MongoServer,
    server: Server,
    people: Arc<Vec<Person>>,
    load: Arc<Load>,
    senders: JoinSet<()>,
}

#[derive(Default)]
struct Load {
    ledger: Ledger,
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
}

impl Trial {
    async fn start(target: Target) -> Self {
        let mongo = MongoServer::start();
        let server = target.start_with(&[("DATABASE_URL", &mongo.uri("chat"))]).await;
        let mut people = Vec::new();
        for _ in 0..4 {
            people.push(server.signup().await);
        }
        let (people, load) = (Arc::new(people), Arc::new(Load::default()));
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            senders.spawn(send(load.clone(), people.clone(), number));
        }
        let trial = Self { mongo, server, people, load, senders };
        trial.works().await;
        trial
    }

    /// Every sender goes on: as many messages as would take each of them several answers.
    async fn works(&self) {
        self.is_acknowledged(5 * SENDERS).await;
    }

    async fn is_acknowledged(&self, more: usize) {
        let goal = self.load.acknowledged.load(Ordering::Relaxed) + more;
        until("messages to be acknowledged", || async {
            (self.load.acknowledged.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    async fn is_refused(&self) {
        let goal = self.load.refused.load(Ordering::Relaxed) + 1;
        until("a message to be refused", || async {
            (self.load.refused.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    async fn is_ready(&self, status: u16) {
        let client = self.server.client();
        until("the readiness to change", || async {
            let reply = in_time("/readyz", client.fetch("/readyz")).await;
            assert!([200, 503].contains(&reply.status), "{}", reply.text());
            (reply.status == status).then_some(())
        })
        .await;
    }

    /// The senders stop, and the books are right: before what is open is sent again, and after. So are the lists.
    async fn ends(mut self) {
        self.load.stop.store(true, Ordering::Relaxed);
        while let Some(sender) = self.senders.join_next().await {
            sender.unwrap();
        }
        let ledger = &self.load.ledger;
        ledger.check(&conversations(&self.people).await);
        ledger.settle(&self.people).await;
        until("the lists of chats to follow", || async { self.lists_are_right().await.then_some(()) }).await;
    }

    /// Everybody's list is in the order of the newest messages, shows these, and counts what came after one's own.
    async fn lists_are_right(&self) -> bool {
        let conversations = conversations(&self.people).await;
        for (number, person) in self.people.iter().enumerate() {
            let mut expected: Vec<(&str, &Value, usize)> = conversations
                .iter()
                .filter(|((a, b), _)| [*a, *b].contains(&number))
                .map(|(_, messages)| {
                    let last = messages.last().unwrap();
                    let own = messages.iter().rposition(|message| message["senderId"] == person.id());
                    let unread = messages.len() - own.map_or(0, |own| own + 1);
                    (last["createdAt"].as_str().unwrap(), last, unread)
                })
                .collect();
            expected.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
            let chats = person.chats().await;
            let is_right = chats.len() == expected.len()
                && chats.iter().zip(expected).all(|(chat, (at, last, unread))| {
                    let of = &chat["lastMessage"];
                    // Two of the same moment may stand either way.
                    of["createdAt"] == at
                        && (of["chatId"] != last["chatId"] || (of == last && chat["unread"] == unread))
                });
            if !is_right {
                return false;
            }
        }
        true
    }
}

/// Sends one message after the other. What is refused is sent again by half of the senders, and left by the others.
async fn send(load: Arc<Load>, people: Arc<Vec<Person>>, number: usize) {
    let from = number % people.len();
    for i in 0.. {
        let to = (from + 1 + i % (people.len() - 1)) % people.len();
        let key = format!("{number}-{i}");
        let body = load.ledger.begin(&key, from, to);
        let mut is_repeat = false;
        loop {
            if load.stop.load(Ordering::Relaxed) {
                return;
            }
            let reply = in_time("a message", people[from].post(&people[to].inbox(), body.clone())).await;
            if reply.status == 503 {
                refused(&reply);
                load.refused.fetch_add(1, Ordering::Relaxed);
                if number.is_multiple_of(2) {
                    is_repeat = true;
                    continue;
                }
                break;
            }
            // However often the server itself tried: who asks for the first time made the message.
            let is_good = reply.status == 201 || (reply.status == 200 && is_repeat);
            assert!(is_good, "{}: {}", reply.status, reply.body);
            load.ledger.acknowledge(&key, reply.body["data"].clone());
            load.acknowledged.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
}

async fn in_time<T>(what: &str, answer: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let answer = tokio::time::timeout(BOUND, answer).await;
    answer.unwrap_or_else(|_| panic!("{what}: no answer after {:?}", start.elapsed()))
}

fn refused(reply: &Reply) {
    reply.refused(503, "unavailable");
    let after = reply.header("retry-after").expect("a Retry-After");
    assert!(after.parse::<u64>().is_ok_and(|after| after >= 1), "Retry-After: {after}");
}

/// Everything that needs the store says so, on every route and on a socket that was there before.
async fn all_is_refused(trial: &Trial, ann: &Person, socket: &mut sio::Socket) {
    let (bob, nobody) = (&trial.people[1], ann.anonymous());
    let signup = Signup::random().json();
    let login = json!({ "email": ann.form.email, "password": ann.form.password });
    let conversation = format!("/api/messages/{}", bob.id());
    let read = format!("/api/messages/{}/read", bob.id());
    let replies = [
        nobody.post("/api/auth/signup", signup).boxed(),
        nobody.post("/api/auth/login", login).boxed(),
        ann.get("/api/auth/me").boxed(),
        ann.put("/api/auth/profile", json!({ "fullName": "Ann" })).boxed(),
        ann.get("/api/messages/contacts").boxed(),
        ann.get("/api/messages/chats").boxed(),
        ann.get(&conversation).boxed(),
        ann.post(&read, json!({})).boxed(),
        ann.delete("/api/messages/0123456789abcdef01234567").boxed(),
    ];
    let on_socket = async {
        let mut payload = trial.load.ledger.begin("by-socket", 0, 1);
        payload["receiverId"] = json!(bob.id());
        let number = socket.emit("sendMessage", &payload).await.unwrap();
        loop {
            match socket.next().await.unwrap() {
                sio::Packet::Ack(answered, arguments) if answered == number => break arguments[0].clone(),
                sio::Packet::Closed => panic!("the server hung up"),
                _ => {}
            }
        }
    };
    let (replies, envelope) =
        in_time("all routes", async { tokio::join!(join_all(replies), on_socket) }).await;
    replies.iter().for_each(refused);
    assert_eq!(envelope["data"]["code"], "unavailable", "{envelope}");
    assert_eq!(in_time("/healthz", ann.fetch("/healthz")).await.status, 200, "the process is well");
}

/// From now on these commands fail so; `mode` says how often.
async fn fail(admin: &Client, mode: impl Into<Bson>, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data };
    admin.database("admin").run_command(command).await.unwrap();
}

fn faults() -> Vec<Document> {
    vec![
        // Before the write.
        doc! { "closeConnection": true },
        doc! { "errorCode": 10_107, "errorLabels": ["RetryableWriteError"] },
        doc! { "errorCode": 10_107 },
        doc! { "errorCode": 91, "errorLabels": ["RetryableWriteError"] },
        // After it: it is there, and not known to last.
        doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } },
        doc! { "writeConcernError": { "code": 91, "errmsg": "shutdown", "errorLabels": ["RetryableWriteError"] } },
        doc! { "blockConnection": true, "blockTimeMS": 700 },
    ]
}

fn of(commands: &[&str], mut fault: Document) -> Document {
    fault.insert("failCommands", commands);
    fault
}

async fn faults_that_pass(target: Target) {
    let trial = Trial::start(target).await;
    let admin = Client::with_uri_str(trial.mongo.uri("admin")).await.unwrap();
    for fault in faults() {
        for commands in [&["insert"][..], &["update"], &["find"], &["insert", "update", "find"]] {
            if commands.contains(&"find") && fault.contains_key("writeConcernError") {
                continue;
            }
            for times in [1, 10] {
                fail(&admin, doc! { "times": times }, of(commands, fault.clone())).await;
                trial.works().await;
            }
        }
    }
    fail(&admin, "off", doc! {}).await;
    trial.works().await;
    trial.ends().await;
}

async fn faults_that_last(target: Target) {
    let trial = Trial::start(target).await;
    let admin = Client::with_uri_str(trial.mongo.uri("admin")).await.unwrap();
    for fault in [
        doc! { "closeConnection": true },
        doc! { "errorCode": 10_107, "errorLabels": ["RetryableWriteError"] },
        doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } },
    ] {
        fail(&admin, "alwaysOn", of(&["insert"], fault)).await;
        trial.is_refused().await;
        fail(&admin, "off", doc! {}).await;
        trial.works().await;
    }
    trial.ends().await;
}

/// A message stands once it is in the log: the lists of chats may follow later.
async fn lists_that_cannot_be_written_follow(target: Target) {
    let trial = Trial::start(target).await;
    let admin = Client::with_uri_str(trial.mongo.uri("admin")).await.unwrap();
    fail(&admin, "alwaysOn", of(&["update"], doc! { "closeConnection": true })).await;
    let later = "lists of chats are brought up to date later";
    until("lists to be behind", || async { trial.server.log().contains(later).then_some(()) }).await;
    // Each waits for as long as a call may take, so these are few.
    trial.is_acknowledged(SENDERS).await;
    fail(&admin, "off", doc! {}).await;
    trial.ends().await;
}

async fn what_cannot_be_read_is_refused(target: Target) {
    let trial = Trial::start(target).await;
    let admin = Client::with_uri_str(trial.mongo.uri("admin")).await.unwrap();
    let ann = &trial.people[0];
    fail(&admin, "alwaysOn", of(&["find", "aggregate"], doc! { "closeConnection": true })).await;
    let conversation = format!("/api/messages/{}", trial.people[1].id());
    for path in ["/api/auth/me", "/api/messages/contacts", "/api/messages/chats", &conversation] {
        refused(&in_time(path, ann.get(path)).await);
    }
    fail(&admin, "off", doc! {}).await;
    trial.works().await;
    trial.ends().await;
}

async fn kills_of_the_database(target: Target) {
    let mut trial = Trial::start(target).await;
    for is_back_at_once in [true, false, true, true, false, true] {
        trial.mongo.kill();
        if !is_back_at_once {
            trial.is_refused().await;
        }
        trial.mongo.restart();
        trial.works().await;
    }
    trial.ends().await;
}

/// As long as it takes somebody to be woken and to start it again.
async fn half_a_minute_without_the_database(target: Target) {
    const ABSENCE: Duration = Duration::from_secs(30);
    let mut trial = Trial::start(target).await;
    let ann = trial.people[0].login().await;
    let address = trial.server.address().parse().unwrap();
    let mut socket = sio::Socket::connect(address, None, &ann.token).await.unwrap();
    trial.mongo.kill();
    let start = tokio::time::Instant::now();
    trial.is_ready(503).await;
    all_is_refused(&trial, &ann, &mut socket).await;
    trial.is_refused().await;
    tokio::time::sleep_until(start + ABSENCE).await;
    trial.is_ready(503).await;
    trial.mongo.restart();
    trial.is_ready(200).await;
    trial.works().await;
    trial.ends().await;
}

/// Its connections are open, and nothing comes out of them.
async fn a_database_that_hangs(target: Target) {
    let trial = Trial::start(target).await;
    let ann = trial.people[0].login().await;
    let address = trial.server.address().parse().unwrap();
    let mut socket = sio::Socket::connect(address, None, &ann.token).await.unwrap();
    trial.mongo.pause();
    trial.is_refused().await;
    trial.is_ready(503).await;
    all_is_refused(&trial, &ann, &mut socket).await;
    trial.mongo.resume();
    trial.is_ready(200).await;
    trial.works().await;
    trial.ends().await;
}

tests_on!(
    axum_mongo = AxumMongo: faults_that_pass,
    faults_that_last,
    lists_that_cannot_be_written_follow,
    what_cannot_be_read_is_refused,
    kills_of_the_database,
    half_a_minute_without_the_database,
    a_database_that_hangs,
);
