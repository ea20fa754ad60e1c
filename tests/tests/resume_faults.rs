//! Coming back with a cursor when much was missed, from a server that was killed, to another one, out of a crowd of
//! events, and after having been too slow: what was missed, then what happens, on both doors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops at what is not as it should be, and says what it did"
)]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chat_tests::{
    Dice, MongoServer, Person, SECRETS, Server, Target, Value, for_each_target, json,
    line::{Door, Heard, Line},
    measure::metric,
    mirror::Mirror,
    proxy::{Proxy, Way},
    tests_on, two_with,
};

/// Devices are cut off on purpose: of that nothing is to be said.
const QUIET: &[(&str, &str)] = &[("RUST_LOG", "warn")];

/// One device, and what it has heard.
struct Device {
    line: Line,
    mirror: Mirror,
    cursor: String,
    /// The names of all events but those about who is here, with their payloads.
    log: Vec<(String, Value)>,
}

impl Device {
    /// Comes for the first time, and has a cursor at once.
    async fn new(door: Door, server: &Server, person: &Person) -> Self {
        let line = Line::open(door, address(server), &person.token, None).await.unwrap();
        Self::greeted(line, Mirror::default()).await
    }

    async fn greeted(mut line: Line, mirror: Mirror) -> Self {
        let greeting = line.hear().await;
        let Heard::Event { name, cursor: Some(cursor), .. } = greeting else { panic!("{greeting:?}") };
        assert_eq!(name, "onlineUsers");
        Self { line, mirror, cursor, log: Vec::new() }
    }

    /// Goes without a word.
    fn leave(self) -> (Mirror, String) {
        (self.mirror, self.cursor)
    }

    /// Comes back; what it knew before it still knows, and `log` begins anew.
    async fn back(self, door: Door, server: &Server, person: &Person) -> Self {
        let (mirror, cursor) = self.leave();
        Self::come(door, address(server), person, mirror, &cursor).await
    }

    async fn come(door: Door, server: SocketAddr, person: &Person, mirror: Mirror, since: &str) -> Self {
        let line = Line::open(door, server, &person.token, Some(since)).await.unwrap();
        Self { line, mirror, cursor: since.to_owned(), log: Vec::new() }
    }

    /// Takes in one thing. `false`: that was the end.
    async fn hear(&mut self) -> bool {
        match self.line.hear().await {
            Heard::Event { name, data, cursor } => {
                self.mirror.apply(&name, &data);
                self.cursor = cursor.unwrap_or(std::mem::take(&mut self.cursor));
                if !["onlineUsers", "presence"].contains(&name.as_str()) {
                    self.log.push((name, data));
                }
                true
            }
            Heard::Answer(..) => true,
            Heard::Closed(_) => false,
        }
    }

    /// Listens until it has heard this text, and that has to be the last thing.
    async fn until(&mut self, text: &str) {
        while self.log.last().is_none_or(|(_, data)| data["text"] != text) {
            assert!(self.hear().await, "closed while waiting for {text}");
        }
    }

    fn names(&self) -> Vec<&str> {
        self.log.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn texts(&self) -> Vec<&str> {
        self.log.iter().filter_map(|(_, data)| data["text"].as_str()).collect()
    }
}

fn address(server: &Server) -> SocketAddr {
    server.address().parse().unwrap()
}

fn id(message: &Value) -> &str {
    message["_id"].as_str().unwrap()
}

/// Somebody who sends one message after the other, several at a time, and all of them are acknowledged.
struct Sender {
    line: Line,
    to: String,
    open: VecDeque<u64>,
}

impl Sender {
    async fn new(door: Door, server: &Server, from: &Person, to: &Person) -> Self {
        let line = Line::open(door, address(server), &from.token, None).await.unwrap();
        Self { line, to: to.id().to_owned(), open: VecDeque::new() }
    }

    async fn send(&mut self, text: &str) {
        let payload = json!({ "receiverId": self.to, "text": text });
        self.open.push_back(self.line.emit("sendMessage", &payload).await.unwrap());
        while self.open.len() > 16 {
            self.answer().await;
        }
    }

    async fn answer(&mut self) {
        match self.line.hear().await {
            Heard::Answer(number, envelope) => {
                assert_eq!(Some(number), self.open.pop_front(), "answers come in order");
                assert_eq!(envelope["success"], true, "{envelope}");
            }
            Heard::Event { .. } => {}
            Heard::Closed(why) => panic!("closed: {why:?}"),
        }
    }

    async fn settle(&mut self) {
        while !self.open.is_empty() {
            self.answer().await;
        }
    }
}

async fn what_was_missed_comes_once_and_in_order(target: Target) {
    let (server, ann, bob) = two_with(target, QUIET).await;
    let mut sender = Sender::new(Door::WebSocket, &server, &ann, &bob).await;
    for door in Door::ALL {
        let mut device = Device::new(door, &server, &bob).await;
        let first = bob.whole_conversation(&ann).await.len() as u64;
        for missed in [0, 1, 500] {
            let texts: Vec<String> = (0..missed).map(|n| format!("{door:?} {missed} {n}")).collect();
            let (mirror, cursor) = device.leave();
            for text in &texts {
                sender.send(text).await;
            }
            sender.settle().await;
            device = Device::come(door, address(&server), &bob, mirror, &cursor).await;
            if let Some(text) = texts.last() {
                device.until(text).await;
            }
            let live = format!("{door:?} {missed} live");
            ann.say(&bob, &live).await;
            device.until(&live).await;
            assert_eq!(device.texts(), texts.iter().map(String::as_str).chain([&*live]).collect::<Vec<_>>());
            // What it stands for now is behind all of it.
            let mut again = device.back(door, &server, &bob).await;
            let last = format!("{door:?} {missed} last");
            ann.say(&bob, &last).await;
            again.until(&last).await;
            assert_eq!(again.texts(), [last]);
            device = again;
        }
        let gaps = device.mirror.gaps_after(first);
        assert!(gaps.is_empty(), "{door:?}: {gaps:?}");
    }
}

async fn changes_that_were_missed(target: Target) {
    let (server, ann, bob) = two_with(target, QUIET).await;
    for door in Door::ALL {
        let mut device = Device::new(door, &server, &bob).await;
        let mut other = Device::new(door, &server, &bob).await;
        let mut anns = Device::new(door, &server, &ann).await;
        let mut messages = Vec::new();
        for n in 0..5 {
            messages.push(ann.say(&bob, &format!("{door:?} {n}")).await);
        }
        let chat = messages[0]["chatId"].as_str().unwrap().to_owned();
        for device in [&mut device, &mut other, &mut anns] {
            device.until(&format!("{door:?} 4")).await;
        }
        let (mirror, cursor) = device.leave();
        let requests = [
            (&mut anns, "editMessage", json!({ "messageId": id(&messages[0]), "text": "edited" })),
            (&mut other, "react", json!({ "messageId": id(&messages[1]), "emoji": "👍", "isOn": true })),
        ];
        for (device, event, payload) in requests {
            done(device, event, &payload).await;
        }
        let rest = [
            ("hideMessage", json!({ "messageId": id(&messages[3]) })),
            ("messagesRead", json!({ "chatId": chat, "seq": messages[4]["seq"] })),
        ];
        done(&mut anns, "deleteMessage", &json!({ "messageId": id(&messages[2]) })).await;
        for (event, payload) in rest {
            done(&mut other, event, &payload).await;
        }
        let mut device = Device::come(door, address(&server), &bob, mirror, &cursor).await;
        let after = format!("{door:?} after");
        ann.say(&bob, &after).await;
        device.until(&after).await;
        let history = bob.whole_conversation(&ann).await;
        assert_eq!(
            device.mirror.differences(&chat, &history[history.len() - device.mirror.len(&chat)..]),
            [""; 0]
        );
        let expected =
            ["editMessage", "reactions", "deleteMessage", "hideMessage", "messagesRead", "sendMessage"];
        assert_eq!(device.names(), expected, "{door:?}");
        assert_eq!(device.mirror.mark("messagesRead", &chat, bob.id()), messages[4]["seq"].as_u64().unwrap());
        // The one who sent them gets the receipt as well, when she comes back from before it.
        let mut again = Device::come(door, address(&server), &ann, Mirror::default(), &anns.cursor).await;
        let last = format!("{door:?} last");
        bob.say(&ann, &last).await;
        again.until(&last).await;
        anns.until(&last).await;
        let read = messages[4]["seq"].as_u64().unwrap();
        let marks = |device: &Device| device.mirror.mark("messagesRead", &chat, bob.id());
        assert!(marks(&anns) >= read, "live");
        assert!(anns.mirror.message(&chat, id(&messages[3])).is_some(), "for her nothing is hidden");
        drop(again);
    }
}

/// Asks for something, and it has to go well; what is heard meanwhile counts.
async fn done(device: &mut Device, event: &str, payload: &Value) -> Value {
    let number = device.line.emit(event, payload).await.unwrap();
    loop {
        match device.line.hear().await {
            Heard::Answer(answered, mut envelope) if answered == number => {
                assert_eq!(envelope["success"], true, "{event} {payload}: {envelope}");
                return envelope["data"].take();
            }
            Heard::Answer(..) => {}
            Heard::Event { name, data, cursor } => {
                device.mirror.apply(&name, &data);
                device.cursor = cursor.unwrap_or(std::mem::take(&mut device.cursor));
            }
            Heard::Closed(why) => panic!("closed: {why:?}"),
        }
    }
}

/// Who comes back from nowhere is told to load everything anew, and goes on live.
async fn is_told_to_load_anew(door: Door, server: &Server, person: &Person, from: &Person, since: &str) {
    let mut device = Device::come(door, address(server), person, Mirror::default(), since).await;
    while device.mirror.resyncs == 0 {
        // Who is cut off now, and has a good cursor already, would never be told.
        assert_eq!(device.cursor, since, "{door:?}: a cursor before the word to load anew");
        assert!(device.hear().await, "closed");
    }
    assert_eq!(device.names(), ["resync"], "{door:?} {since}");
    assert_ne!(device.cursor, since, "a cursor that can be used");
    let text = format!("after {since}");
    from.say(person, &text).await;
    device.until(&text).await;
    let mut device = device.back(door, server, person).await;
    from.say(person, "good again").await;
    device.until("good again").await;
    assert_eq!(device.names(), ["sendMessage"], "{door:?} {since}");
}

async fn a_cursor_that_can_not_be_served(target: Target) {
    let (server, ann, bob) = two_with(target, QUIET).await;
    ann.say(&bob, "hello").await;
    for door in Door::ALL {
        let anns = Device::new(door, &server, &ann).await.cursor;
        let bobs = Device::new(door, &server, &bob).await.cursor;
        let changed = format!("{}{}", if bobs.starts_with('B') { "C" } else { "B" }, &bobs[1..]);
        let longer = format!("{bobs}AAAA");
        for since in [&*anns, &*changed, &bobs[1..], &*longer, "nonsense", "ü & =", "AAAA", &"A".repeat(64)]
        {
            is_told_to_load_anew(door, &server, &bob, &ann, since).await;
        }
    }
}

/// Settings with which servers of both adapters are on the same data.
struct Data {
    settings: Vec<(&'static str, String)>,
    _folder: tempfile::TempDir,
    _mongo: Option<MongoServer>,
}

impl Data {
    fn new(target: Target) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mongo = target.is_on_mongo().then(MongoServer::start);
        let url = match &mongo {
            Some(mongo) => mongo.uri("chat"),
            None => format!("sqlite:{}", folder.path().join("chat.db").display()),
        };
        let mut settings: Vec<_> = SECRETS.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        settings.push(("DATABASE_URL", url));
        Self { settings, _folder: folder, _mongo: mongo }
    }

    async fn start(&self, target: Target) -> Server {
        let settings: Vec<_> = self.settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        target.start_with(&settings).await
    }
}

const fn other_adapter(target: Target) -> Target {
    match target {
        Target::AxumSqlite => Target::WarpSqlite,
        Target::AxumMongo => Target::WarpMongo,
        Target::WarpSqlite => Target::AxumSqlite,
        Target::WarpMongo => Target::AxumMongo,
    }
}

async fn a_cursor_survives_restarts_and_is_good_for_the_other_adapter(target: Target) {
    let data = Data::new(target);
    let mut server = data.start(target).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    ann.say(&bob, "first").await;
    let mut cursors: Vec<(Door, String)> = Vec::new();
    for door in Door::ALL {
        cursors.push((door, Device::new(door, &server, &bob).await.cursor));
    }
    let mut expected = Vec::new();
    for round in 0..4 {
        let text = format!("missed {round}");
        ann.at(&server).say(&bob, &text).await;
        expected.push(text);
        match round {
            0 => server.kill().await,
            _ => assert_eq!(server.terminate().await.code(), Some(0)),
        }
        server = match round {
            0 | 1 => {
                server.restart().await;
                server
            }
            2 => data.start(other_adapter(target)).await,
            _ => data.start(target).await,
        };
        for (door, cursor) in &cursors {
            let bob = bob.at(&server);
            let mut device = Device::come(*door, address(&server), &bob, Mirror::default(), cursor).await;
            device.until(expected.last().unwrap()).await;
            // What a killed process owed is told once more: repeats, and none is missing.
            let mut texts: Vec<&str> = Vec::new();
            for text in device.texts() {
                if text.starts_with("missed") && !texts.contains(&text) {
                    texts.push(text);
                }
            }
            assert_eq!(texts, expected, "{door:?} in round {round}");
        }
    }
}

/// Put back to an older copy, the feed ends before the cursor: what came after the copy must not be taken for known.
async fn a_cursor_from_after_the_backup(target: Target) {
    let mut server = target.start_with(QUIET).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    ann.say(&bob, "in the backup").await;
    assert!(server.terminate().await.success());
    let (file, copy) = (server.data_dir().join("chat.db"), server.data_dir().join("copy.db"));
    std::fs::copy(&file, &copy).unwrap();
    server.restart().await;
    for n in 0..5 {
        ann.say(&bob, &format!("lost with the disk {n}")).await;
    }
    let since = Device::new(Door::WebSocket, &server, &bob).await.cursor;
    assert!(server.terminate().await.success());
    for rest in ["chat.db-wal", "chat.db-shm"] {
        let _ = std::fs::remove_file(server.data_dir().join(rest));
    }
    std::fs::copy(&copy, &file).unwrap();
    server.restart().await;
    for door in Door::ALL {
        let mut device = Device::come(door, address(&server), &bob, Mirror::default(), &since).await;
        while device.mirror.resyncs == 0 {
            assert!(device.hear().await, "closed");
        }
        assert_eq!(device.names(), ["resync"], "{door:?}");
    }
}

/// The seam between what is read and what is live: somebody sends at full speed while others come back and go.
async fn nothing_falls_through_the_seam(target: Target) {
    const TIMES: usize = 100;
    let (server, ann, bob) = two_with(target, QUIET).await;
    let mut dice = Dice::from_environment("CHAT_RESUME_SEED", target.name());
    let is_over = Arc::new(AtomicBool::new(false));
    let mut sender = Sender::new(Door::WebSocket, &server, &ann, &bob).await;
    let sending = tokio::spawn({
        let is_over = is_over.clone();
        async move {
            let mut sent = 0;
            while !is_over.load(Ordering::Relaxed) {
                sender.send(&format!("<{sent}>")).await;
                sent += 1;
            }
            sender.settle().await;
            sent
        }
    });
    // Both doors and both people: she is told on her other devices.
    let devices =
        [(Door::SocketIo, &ann), (Door::SocketIo, &bob), (Door::WebSocket, &ann), (Door::WebSocket, &bob)];
    let comings = devices.map(|(door, person)| {
        let (server, mut dice) = (&server, dice.fork());
        async move {
            let mut device = Device::new(door, server, person).await;
            for _ in 0..TIMES {
                for _ in 0..dice.below(30) {
                    assert!(device.hear().await, "closed");
                }
                device = device.back(door, server, person).await;
            }
            device
        }
    });
    let mut devices = futures_util::future::join_all(comings).await;
    is_over.store(true, Ordering::Relaxed);
    let sent = sending.await.unwrap();
    let history = bob.whole_conversation(&ann).await;
    assert_eq!(history.len(), sent);
    let chat = history[0]["chatId"].as_str().unwrap();
    let mut repeats = 0;
    for device in &mut devices {
        while device.mirror.messages(chat).last().is_none_or(|last| last["seq"] != sent) {
            assert!(device.hear().await, "closed");
        }
        // From its first one on: it had nothing before it came.
        let from = history.len() - device.mirror.len(chat);
        assert_eq!(device.mirror.differences(chat, &history[from..]), [""; 0]);
        let gaps = device.mirror.gaps_after(from as u64);
        assert!(gaps.is_empty(), "out of order: {gaps:?}");
        repeats += device.mirror.repeats;
    }
    eprintln!("seam on {}: {} messages, {} resumes, {repeats} repeats", target.name(), sent, 4 * TIMES);
}

async fn who_reads_too_slowly_is_closed_and_comes_back(target: Target) {
    let (server, ann, bob) = two_with(target, QUIET).await;
    let proxy = Proxy::to(address(&server)).await;
    for door in Door::ALL {
        let first = Device::new(door, &server, &bob).await;
        let line = Line::open(door, proxy.address(), &bob.token, Some(&first.cursor)).await.unwrap();
        let mut slow = Device { line, ..first };
        ann.say(&bob, "it reads").await;
        slow.until("it reads").await;
        proxy.stall(slow.line.local(), Way::Down, true);
        let closed = async || {
            let page = server.client().fetch("/metrics").await;
            metric(page.text(), "chat_slow_connections_closed_total").unwrap()
        };
        let (before, mut sent) = (closed().await, 0);
        let mut sender = Sender::new(Door::WebSocket, &server, &ann, &bob).await;
        while closed().await <= before {
            assert!(sent < 4000, "{door:?}: everything is buffered");
            for _ in 0..50 {
                sender.send(&format!("{}<{sent}>", "x".repeat(2000))).await;
                sent += 1;
            }
        }
        sender.settle().await;
        proxy.heal();
        // What fitted into buffers, and the end.
        while slow.hear().await {}
        let has = slow.log.len();
        assert!(has < sent, "{door:?}: it was not slow");
        let mut back = slow.back(door, &server, &bob).await;
        let last = format!("{door:?} after that");
        ann.say(&bob, &last).await;
        back.until(&last).await;
        let history = bob.whole_conversation(&ann).await;
        let chat = history[0]["chatId"].as_str().unwrap();
        let from = history.len() - back.mirror.len(chat);
        assert_eq!(back.mirror.differences(chat, &history[from..]), [""; 0]);
        assert!(back.mirror.len(chat) >= sent, "{door:?}");
        assert!(back.mirror.gaps_after(from as u64).is_empty(), "{door:?}");
    }
}

for_each_target!(
    what_was_missed_comes_once_and_in_order,
    changes_that_were_missed,
    a_cursor_that_can_not_be_served,
    a_cursor_survives_restarts_and_is_good_for_the_other_adapter,
    nothing_falls_through_the_seam,
    who_reads_too_slowly_is_closed_and_comes_back,
);

tests_on!(axum_sqlite_file = AxumSqlite: a_cursor_from_after_the_backup);
