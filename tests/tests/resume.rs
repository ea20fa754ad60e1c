//! Coming back: cursors beside events on both doors, and what was missed in between.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::collections::BTreeMap;

use chat_tests::{
    Person, Server, Target, Value, for_each_target, json, shape,
    sio::{self, Packet},
    two,
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
    SocketIo(Box<sio::Socket>),
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
                Self::SocketIo(sio::Socket::over(tcp, &auth).await.unwrap().into())
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
        (
            "hideMessage",
            json!({ "messageId": answer["_id"], "chatId": chat, "senderId": bob.id(), "seq": answer["seq"] }),
        ),
        ("messagesDelivered", mark(2)),
        ("messagesRead", mark(3)),
    ]
}

/// Applies an event as a client does: messages by id, the newer one wins.
fn apply(copy: &mut BTreeMap<String, Value>, heard: &Heard) {
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

/// A copy of what was said of messages and of marks, and the cursor with the last of it.
#[derive(Debug, Default)]
struct Copy {
    messages: BTreeMap<String, Value>,
    marks: BTreeMap<String, u64>,
    cursor: Option<String>,
}

impl Copy {
    /// Hears until this is true.
    async fn hear(mut self, line: &mut Line, is_all: impl Fn(&Self) -> bool) -> Self {
        while !is_all(&self) {
            let heard = line.news().await;
            assert_ne!(heard.name, "resync");
            apply(&mut self.messages, &heard);
            if heard.name.starts_with("messages") {
                let who = format!("{} {}", heard.name, heard.data["userId"].as_str().unwrap());
                self.marks.insert(who, heard.data["seq"].as_u64().unwrap());
            }
            self.cursor = heard.cursor;
        }
        self
    }

    fn has(&self, message: &Value) -> bool {
        self.messages.contains_key(message["_id"].as_str().unwrap())
    }

    fn sorted(self) -> Vec<Value> {
        let mut all: Vec<_> = self.messages.into_values().collect();
        all.sort_by_key(|message| message["seq"].as_u64());
        all
    }
}

async fn what_was_missed_comes_with_since(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let mut left = Vec::new();
    for door in DOORS {
        let mut line = Line::open(door, &server, &bob, None).await;
        let _ = line.greeting().await;
        let told = ann.say(&bob, "heard").await;
        let copy = Copy::default().hear(&mut line, |copy| copy.has(&told)).await;
        left.push((door, copy.cursor.unwrap(), told));
    }
    changes(&ann, &bob).await;
    // A cursor is good after a restart, too, and as often as one likes.
    for is_restarted in [false, true] {
        if is_restarted {
            server.restart().await;
        }
        for (door, since, told) in &left {
            let last = ann.say(&bob, "and one more").await;
            let mut line = Line::open(*door, &server, &bob, Some(since)).await;
            let _ = line.greeting().await;
            let read = format!("messagesRead {}", ann.id());
            let is_all = |copy: &Copy| copy.has(&last) && copy.marks.get(&read) == Some(&3);
            let copy = Copy::default().hear(&mut line, is_all).await;
            // It says what is now: what was deleted is deleted, and what was hidden is not there.
            let mut now = bob.whole_conversation(&ann).await;
            now.retain(|message| message["seq"].as_u64() > told["seq"].as_u64());
            assert_eq!(copy.sorted(), now, "{door:?}");

            // And on it goes, live, from there as from the beginning.
            let live = ann.say(&bob, "live").await;
            let copy = Copy::default().hear(&mut line, |copy| copy.has(&live)).await;
            let next = ann.say(&bob, "next").await;
            let mut later = Line::open(*door, &server, &bob, copy.cursor.as_deref()).await;
            let _ = later.greeting().await;
            let heard = later.news().await;
            assert_eq!((&heard.name[..], &heard.data), ("sendMessage", &next), "{door:?}: nothing twice");
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
            // No cursor before it is told: cut off in between, with a good one, it would never hear of it.
            assert_eq!(line.next().await.cursor, None, "{door:?} {bad}");
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

/// Too long, or of another type: no reason to be turned away, or one would have to know what is wrong with it.
async fn what_can_be_no_cursor_is_told_too(target: Target) {
    let (server, ann, bob) = two(target).await;
    let address = server.address();
    let cursor = Line::open(Door::WebSocket, &server, &bob, None).await.greeting().await;
    let (longer, longest) = (cursor.repeat(3), cursor.repeat(500));
    let mut lines = Vec::new();
    for long in [&longer, &longest] {
        for door in DOORS {
            lines.push((long.len().to_string(), Line::open(door, &server, &bob, Some(long)).await));
        }
    }
    for bad in [json!(5), json!({ "$ne": null }), json!([cursor]), json!(true)] {
        let tcp = TcpStream::connect(&address).await.unwrap();
        let auth = json!({ "token": bob.token, "since": bad });
        let socket = sio::Socket::over(tcp, &auth).await.expect("it is let in");
        lines.push((bad.to_string(), Line::SocketIo(socket.into())));
    }
    for (what, line) in &mut lines {
        assert_eq!(line.next().await.cursor, None, "{what}");
        assert_eq!(line.news().await.name, "resync", "{what}");
    }
    let live = ann.say(&bob, "live").await;
    for (what, line) in &mut lines {
        assert_eq!(line.news().await.data, live, "{what}: told once to load anew");
    }
    let mut stranger = handshake(&address, &[]);
    *stranger.uri_mut() = format!("ws://{address}/ws?since={longer}").parse().unwrap();
    Ws::with(stranger).await.expect_err("it was let in").refused(401, "unauthenticated");
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
    what_can_be_no_cursor_is_told_too,
    closing_says_when_to_come_back,
);
