//! Coming back: cursors beside events on both doors, and what was missed in between.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{
    Person, Server, Target, Value, for_each_target, json, shape,
    sio::{self, Packet},
    ws::{Said, Ws, handshake, resumption},
};
use tokio::net::TcpStream;

const DOORS: [Door; 2] = [Door::SocketIo, Door::WebSocket];

#[derive(Debug, Clone, Copy)]
enum Door {
    SocketIo,
    WebSocket,
}

enum Line {
    SocketIo(sio::Socket),
    WebSocket(Box<Ws>),
}

/// An event as it came, whichever way.
#[derive(Debug, Clone, PartialEq)]
struct Heard {
    name: String,
    data: Value,
    cursor: Option<String>,
}

impl Line {
    async fn open(door: Door, server: &Server, person: &Person, since: Option<&str>) -> Self {
        let address = server.address();
        match door {
            Door::SocketIo => {
                let tcp = TcpStream::connect(&address).await.unwrap();
                let auth = json!({ "token": person.token, "since": since });
                Self::SocketIo(sio::Socket::over(tcp, &auth).await.unwrap())
            }
            Door::WebSocket => {
                Self::WebSocket(Ws::with(resumption(&address, &person.token, since)).await.unwrap().into())
            }
        }
    }

    async fn next(&mut self) -> Heard {
        let next = async {
            match self {
                Self::SocketIo(socket) => match socket.next().await.unwrap() {
                    Packet::Event(name, arguments) => {
                        let mut arguments = arguments.into_iter();
                        let data = arguments.next().unwrap();
                        let cursor = arguments.next().map(|more| {
                            assert_eq!(more.as_object().unwrap().len(), 1, "{more}");
                            shape::cursor(&more["cursor"]).to_owned()
                        });
                        assert_eq!(arguments.next(), None);
                        Heard { name, data, cursor }
                    }
                    packet => panic!("{packet:?}"),
                },
                Self::WebSocket(ws) => {
                    ws.cursor = None;
                    match ws.next().await {
                        Said::Event(name, data) => Heard { name, data, cursor: ws.cursor.clone() },
                        said => panic!("{said:?}"),
                    }
                }
            }
        };
        tokio::time::timeout(chat_tests::DEADLINE, next).await.expect("the server says nothing")
    }

    /// The next event that is not about who is here.
    async fn news(&mut self) -> Heard {
        loop {
            let heard = self.next().await;
            if !["presence", "onlineUsers"].contains(&heard.name.as_str()) {
                return heard;
            }
        }
    }

    /// The first thing that is said, and the cursor with it.
    async fn greeting(&mut self) -> String {
        let heard = self.next().await;
        assert_eq!(heard.name, "onlineUsers");
        heard.cursor.expect("a cursor from the beginning")
    }
}

async fn two(target: Target) -> (Server, Person, Person) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    (server, ann, bob)
}

fn path(message: &Value) -> String {
    format!("/api/messages/{}", message["_id"].as_str().unwrap())
}

/// All kinds of changes by Ann and Bob, and what Bob is told of them, in the order of their making.
async fn changes(ann: &Person, bob: &Person) -> Vec<(&'static str, Value)> {
    let (one, two) = (ann.say(bob, "one").await, ann.say(bob, "two").await);
    let answer = bob.post(&ann.inbox(), json!({ "text": "three", "replyTo": one["_id"] })).await.ok(201);
    let edited = ann.put(&path(&one), json!({ "text": "the first" })).await.ok(200);
    let reacted = bob.put(&format!("{}/reactions", path(&one)), json!({ "emoji": "👍" })).await.ok(200);
    let deleted = ann.delete(&path(&two)).await.ok(200);
    assert_eq!(bob.delete(&format!("{}?for=me", path(&answer))).await.ok(200), Value::Null);
    let chat = &one["chatId"];
    let _ = ann.post(&format!("/api/messages/{}/delivered", bob.id()), json!({ "seq": 2 })).await.ok(200);
    let _ = ann.post(&format!("/api/messages/{}/read", bob.id()), json!({ "seq": 3 })).await.ok(200);
    let mark = |seq: u64| json!({ "chatId": chat, "userId": ann.id(), "seq": seq });
    vec![
        ("sendMessage", one.clone()),
        ("sendMessage", two),
        ("sendMessage", answer.clone()),
        ("editMessage", edited),
        (
            "reactions",
            json!({ "messageId": one["_id"], "chatId": chat, "reactions": reacted["reactions"],
                "updatedAt": reacted["updatedAt"] }),
        ),
        ("deleteMessage", deleted),
        ("hideMessage", json!({ "messageId": answer["_id"], "chatId": chat })),
        ("messagesDelivered", mark(2)),
        ("messagesRead", mark(3)),
    ]
}

/// Applies an event as a client does: messages by id, the newer one wins.
fn apply(copy: &mut std::collections::BTreeMap<String, Value>, heard: &Heard) {
    let data = &heard.data;
    match heard.name.as_str() {
        "sendMessage" | "editMessage" | "deleteMessage" => {
            shape::message(data);
            let old = copy.get(data["_id"].as_str().unwrap());
            if old.is_none_or(|old| old["updatedAt"].as_str() <= data["updatedAt"].as_str()) {
                copy.insert(data["_id"].as_str().unwrap().to_owned(), data.clone());
            }
        }
        "reactions" => {
            shape::reactions(&data["reactions"]);
            if let Some(old) = copy.get_mut(data["messageId"].as_str().unwrap())
                && old["updatedAt"].as_str() <= data["updatedAt"].as_str()
            {
                (old["reactions"], old["updatedAt"]) = (data["reactions"].clone(), data["updatedAt"].clone());
            }
        }
        "hideMessage" => _ = copy.remove(data["messageId"].as_str().unwrap()),
        _ => {}
    }
}

fn sorted(copy: std::collections::BTreeMap<String, Value>) -> Vec<Value> {
    let mut all: Vec<_> = copy.into_values().collect();
    all.sort_by_key(|message| message["seq"].as_u64());
    all
}

async fn every_change_has_a_cursor(target: Target) {
    let (server, ann, bob) = two(target).await;
    let mut lines = Vec::new();
    for door in DOORS {
        let mut line = Line::open(door, &server, &bob, None).await;
        let cursor = line.greeting().await;
        lines.push((door, line, cursor));
    }
    let expected = changes(&ann, &bob).await;
    for (door, mut line, first) in lines {
        let mut cursor = first;
        for (name, data) in &expected {
            let heard = line.news().await;
            assert_eq!((&heard.name[..], &heard.data), (*name, data), "{door:?}");
            let next = heard.cursor.unwrap_or_else(|| panic!("{door:?}: {name} has no cursor"));
            assert_ne!(next, cursor, "{door:?}: {name} moves it");
            cursor = next;
        }
    }
}

async fn what_was_missed_comes_with_since(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let before = ann.say(&bob, "before").await;
    let mut firsts = Vec::new();
    for door in DOORS {
        let mut line = Line::open(door, &server, &bob, None).await;
        let cursor = line.greeting().await;
        let told = ann.say(&bob, "heard").await;
        let heard = line.news().await;
        assert_eq!(heard.data, told);
        assert_ne!(heard.cursor.as_ref(), Some(&cursor));
        firsts.push(heard.cursor.unwrap());
    }
    let expected = changes(&ann, &bob).await;
    // The cursor is good after a restart, too, and as often as one likes.
    for restarts in [false, true] {
        if restarts {
            server.restart().await;
        }
        for (door, since) in DOORS.into_iter().zip(&firsts) {
            let mut line = Line::open(door, &server, &bob, Some(since)).await;
            let _ = line.greeting().await;
            // It says what is: a message that is deleted by now is deleted, and what is hidden is not told.
            let mut copy = std::collections::BTreeMap::new();
            let (mut marks, mut last) = (Vec::new(), None);
            loop {
                let heard = line.news().await;
                assert_ne!(heard.name, "resync", "{door:?}");
                assert_ne!(heard.data["_id"], before["_id"], "{door:?}: that was heard before");
                apply(&mut copy, &heard);
                last = heard.cursor.clone().or(last);
                if heard.name.starts_with("messages") && heard.data["userId"] == ann.id() {
                    marks.push((heard.name, heard.data["seq"].clone()));
                    if marks.last().unwrap().1 == 3 {
                        break;
                    }
                }
            }
            let now = bob.whole_conversation(&ann).await;
            let missed: Vec<_> = now
                .iter()
                .filter(|message| message["text"] == "the first" || message["isDeleted"] == true)
                .cloned()
                .collect();
            let copy: Vec<_> =
                sorted(copy).into_iter().filter(|message| message["text"] != "heard").collect();
            assert_eq!(copy, missed, "{door:?}: {expected:?}");
            assert!(marks.contains(&("messagesRead".to_owned(), json!(3))), "{door:?}: {marks:?}");

            // And on it goes, live; the last cursor has nothing of that to tell.
            let live = ann.say(&bob, "live").await;
            let heard = line.news().await;
            assert_eq!((&heard.name[..], &heard.data), ("sendMessage", &live), "{door:?}");
            let mut later = Line::open(door, &server, &bob, heard.cursor.as_deref()).await;
            let _ = later.greeting().await;
            let next = ann.say(&bob, "heard").await;
            assert_eq!(later.news().await.data, next, "{door:?}: nothing twice");
        }
    }
}

async fn a_cursor_that_is_none_is_told(target: Target) {
    let (server, ann, bob) = two(target).await;
    ann.say(&bob, "before").await;
    let annes = Line::open(Door::WebSocket, &server, &ann, None).await.greeting().await;
    for door in DOORS {
        for bad in ["x", "\u{0}", "é ü", &annes, &"x".repeat(64), "AAAAAAAAAAAAAAAAAAAAAA"] {
            let mut line = Line::open(door, &server, &bob, Some(bad)).await;
            let _ = line.greeting().await;
            let heard = line.news().await;
            assert_eq!((&heard.name[..], &heard.data), ("resync", &json!({})), "{door:?} {bad}");
            let cursor = heard.cursor.expect("from here it goes on");
            let live = ann.say(&bob, "live").await;
            assert_eq!(line.news().await.data, live, "{door:?} {bad}");
            let mut again = Line::open(door, &server, &bob, Some(&cursor)).await;
            let _ = again.greeting().await;
            assert_eq!(again.news().await.data, live, "{door:?} {bad}");
        }
        // An empty one is none, and nothing was missed.
        let mut line = Line::open(door, &server, &bob, Some("")).await;
        let _ = line.greeting().await;
        let live = ann.say(&bob, "live").await;
        assert_eq!(line.news().await.data, live, "{door:?}");
    }
}

async fn what_can_be_no_cursor_is_refused(target: Target) {
    let (server, ann, _) = two(target).await;
    let address = server.address();
    let long = "x".repeat(65);
    let refusal = Ws::with(resumption(&address, &ann.token, Some(&long))).await.expect_err("it was let in");
    refusal.invalid(&["since"]);
    let mut twice = handshake(&address, &[]);
    *twice.uri_mut() = format!("ws://{address}/ws?since={long}").parse().unwrap();
    Ws::with(twice).await.expect_err("it was let in").refused(401, "unauthenticated");
    for bad in [json!(5), json!({ "$ne": null }), json!(["x"]), json!(true), json!(long)] {
        let tcp = TcpStream::connect(&address).await.unwrap();
        let auth = json!({ "token": ann.token, "since": bad });
        let sio::Failure(why) = sio::Socket::over(tcp, &auth).await.expect_err("it was let in");
        assert!(why.contains(r#""code":"validation_failed""#), "{bad}: {why}");
    }
}

/// A server that goes away says when to come back: to each something else, and not too late.
async fn closing_says_when_to_come_back(target: Target) {
    let (server, ann, _) = two(target).await;
    let mut lines = Vec::new();
    for door in DOORS {
        for _ in 0..5 {
            let mut line = Line::open(door, &server, &ann, None).await;
            let _ = line.greeting().await;
            lines.push((door, line));
        }
    }
    server.signal_term();
    for (door, mut line) in lines {
        let heard = line.news().await;
        assert_eq!((&heard.name[..], &heard.cursor), ("closing", &None), "{door:?}");
        assert_eq!(heard.data["code"], "shutting_down");
        let after = heard.data["retryAfter"].as_u64().unwrap_or_else(|| panic!("{door:?}: {}", heard.data));
        assert!((500..=500 + 2 * 10).contains(&after), "{door:?}: {after}");
        assert_eq!(heard.data.as_object().unwrap().len(), 2, "{}", heard.data);
    }
}

for_each_target!(
    every_change_has_a_cursor,
    what_was_missed_comes_with_since,
    a_cursor_that_is_none_is_told,
    what_can_be_no_cursor_is_refused,
    closing_says_when_to_come_back,
);
