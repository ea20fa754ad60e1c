//! Chaos: connections cut in the middle of frames, slow readers, servers and databases killed with SIGKILL, all at random
//! moments and under load. Then quiet, and what each device has made of its stream is the history: nothing lost, nothing
//! out of order, nothing sent twice.
//!
//! It takes up to 40 s, and as long as it takes until all is quiet. `CHAT_CHAOS=long` takes ten times as long and sends
//! ten times as much. `CHAT_CHAOS_SEED` repeats the choices of a run; what they meet is up to the
//! system, so a failure may take a few attempts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops at what is not as it should be, and says what it did"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chat_tests::{
    Dice, MongoServer, Person, Server, Target, Value, for_each_target, json,
    line::Door,
    measure::metric,
    mirror::Mirror,
    proxy::{Cut, Proxy, Way},
    resuming::{Device, Identity, Request, Script},
    until,
};

const PEOPLE: usize = 8;
/// How often the server is killed; as often it is told to end.
const KILLS: usize = 3;
/// How often the database is killed; as often it hangs for a moment.
const STORE_KILLS: usize = 2;
/// Kept away from the database for so long: shorter than anybody would give up.
const HANG: Duration = Duration::from_millis(700);
/// Devices that read nothing, at the same time.
const SLOW: usize = 2;
/// The first so many people write much more than the others, and to each other: their devices are soon too slow.
const HOT: usize = 2;
/// How long there is chaos, at most.
const BUDGET: Duration = Duration::from_secs(40);
/// How long the devices may take to have everything when it is quiet. On MongoDB, what a killed process had inserted and
/// not told of is told by the next one when that is sure that it is gone: after a minute, and it looks twice in that.
const CATCH_UP: Duration = Duration::from_secs(150);

/// Everybody writes to three others: the corners of a cube and its edges.
fn partners(person: usize) -> [usize; 3] {
    [person ^ 1, person ^ 2, person ^ 4]
}

/// How many times as much as usual.
fn scale() -> usize {
    if std::env::var("CHAT_CHAOS").is_ok_and(|mode| mode == "long") { 10 } else { 1 }
}

/// The messages that are still to be sent.
struct Work {
    total: usize,
    left: AtomicUsize,
    begun: OnceLock<Instant>,
    /// When this is over, no more of them are sent: a slow machine sends fewer, and is harmed as often.
    budget: Duration,
    ids: Vec<String>,
}

impl Work {
    /// Takes one of them.
    fn take(&self) -> bool {
        self.is_on()
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    fn is_on(&self) -> bool {
        self.begun.get().is_some() && self.progress() < 1000
    }

    fn sent(&self) -> usize {
        self.total - self.left.load(Ordering::Relaxed)
    }

    /// How much is done, of the work or of the time, in thousandths.
    fn progress(&self) -> usize {
        let time =
            self.begun.get().map_or(0, |begun| begun.elapsed().as_millis() * 1000 / self.budget.as_millis());
        (self.sent() * 1000 / self.total).max(usize::try_from(time).unwrap())
    }
}

/// What a device does: it sends at full speed, and every twentieth time it does something with what is there.
struct Author {
    work: Arc<Work>,
    dice: Dice,
    person: usize,
    name: String,
    /// Its own, so that a person's two devices don't take away each other's.
    emoji: [&'static str; 2],
    sent: usize,
}

impl Author {
    fn script(mut self) -> Script {
        Box::new(move |mirror, under_way| {
            if !self.work.is_on() {
                return None;
            }
            let change = if self.dice.percent(6) { self.change(mirror, under_way) } else { None };
            change.or_else(|| self.send())
        })
    }

    fn send(&mut self) -> Option<Request> {
        if !self.work.take() {
            return None;
        }
        let to = *self.dice.pick(&partners(self.person));
        let to = if self.person < HOT && self.dice.percent(80) { self.person ^ 1 } else { to };
        let key = format!("{}-{}", self.name, self.sent);
        self.sent += 1;
        // A few long ones, or the system would buffer a whole run for those who don't read.
        let padding = if self.dice.percent(15) { self.dice.below(6000) } else { 0 };
        let text = format!("{key} {}", ".".repeat(usize::try_from(padding).unwrap()));
        let payload = json!({ "receiverId": self.work.ids[to], "text": text.trim_end(), "clientId": key });
        Some(Request { event: "sendMessage", payload, tag: key })
    }

    fn change(&mut self, mirror: &Mirror, under_way: &BTreeSet<String>) -> Option<Request> {
        let chats = mirror.chats();
        if chats.is_empty() {
            return None;
        }
        let chat = (*self.dice.pick(&chats)).to_owned();
        let message = mirror.nth(&chat, usize::try_from(self.dice.next() >> 8).unwrap())?;
        let id = message["_id"].as_str().unwrap();
        // One after the other, so that it is known how each message has to look in the end.
        if message["isDeleted"] == true || under_way.contains(id) {
            return None;
        }
        let is_own = message["clientId"].as_str().unwrap().starts_with(&format!("{}-", self.name));
        let is_theirs = message["senderId"] != self.work.ids[self.person];
        let emoji = *self.dice.pick(&self.emoji);
        let (event, payload) = match self.dice.below(12) {
            0..4 if is_own => {
                let text = format!("edited {}", self.dice.below(1000));
                ("editMessage", json!({ "messageId": id, "text": text }))
            }
            0..2 if is_theirs => ("hideMessage", json!({ "messageId": id })),
            4 if is_own => ("deleteMessage", json!({ "messageId": id })),
            4..8 => ("react", json!({ "messageId": id, "emoji": emoji, "isOn": true })),
            8 => ("react", json!({ "messageId": id, "emoji": emoji, "isOn": false })),
            9..12 => {
                let payload = json!({ "chatId": chat, "seq": message["seq"] });
                return Some(Request { event: "messagesRead", payload, tag: format!("read {chat}") });
            }
            _ => return None,
        };
        Some(Request { event, payload, tag: id.to_owned() })
    }
}

/// The servers, the people, and what befalls them.
struct Trial {
    target: Target,
    server: Server,
    store: Option<MongoServer>,
    proxy: Arc<Proxy>,
    people: Vec<Person>,
    /// Two of each person, in their order.
    devices: Vec<Device>,
    work: Arc<Work>,
    dice: Dice,
    start: Instant,
    kills: usize,
    store_kills: usize,
    /// Connections that were closed because their clients read too slowly, as the servers said.
    slow: f64,
}

impl Trial {
    async fn start(target: Target) -> Self {
        let mut dice = Dice::from_environment("CHAT_CHAOS_SEED", target.name());
        let is_mongo = matches!(target, Target::AxumMongo | Target::WarpMongo);
        let store = is_mongo.then(MongoServer::start);
        let uri = store.as_ref().map(|store| store.uri("chat"));
        // At the level of debugging, the log would be the larger part of the work.
        let mut settings = vec![("RUST_LOG", "warn")];
        settings.extend(uri.iter().map(|uri| ("DATABASE_URL", uri.as_str())));
        let server = target.start_with(&settings).await;
        let proxy = Arc::new(Proxy::to(server.address().parse().unwrap()).await);
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            people.push(server.signup().await);
        }
        let total = if is_mongo { 4000 } else { 8000 } * scale();
        let ids = people.iter().map(|person| person.id().to_owned()).collect();
        let work = Arc::new(Work {
            total,
            left: AtomicUsize::new(total),
            begun: OnceLock::new(),
            budget: BUDGET * u32::try_from(scale()).unwrap(),
            ids,
        });
        let mut devices = Vec::new();
        let start = Instant::now();
        for (number, person) in people.iter().enumerate() {
            for door in Door::ALL {
                // The second one has a session of its own.
                let (token, emoji) = match door {
                    Door::SocketIo => (person.token.clone(), ["👍", "❤️"]),
                    Door::WebSocket => (person.login().await.token, ["😂", "🎉"]),
                };
                let name = format!("{number}{}", if door == Door::SocketIo { 's' } else { 'w' });
                let window = if number < HOT { 16 } else { 4 };
                let identity = Identity { door, name: name.clone(), token, window };
                let author =
                    Author { work: work.clone(), dice: dice.fork(), person: number, name, emoji, sent: 0 };
                devices.push(Device::start(identity, proxy.clone(), dice.fork(), author.script()));
            }
        }
        Self {
            target,
            server,
            store,
            proxy,
            people,
            devices,
            work,
            dice,
            start,
            kills: 0,
            store_kills: 0,
            slow: 0.0,
        }
    }

    /// Everybody has a cursor, and begins. Before that they would have to load what is there.
    async fn begin(&self) {
        until("everybody to have a cursor", || async {
            self.devices.iter().all(|device| device.state().cursor.is_some()).then_some(())
        })
        .await;
        self.work.begun.set(Instant::now()).unwrap();
        self.devices.iter().for_each(|device| device.set_slow(false));
    }

    /// Harms everybody until all is sent.
    async fn rage(&mut self) {
        let mut ends = self.moments(2 * KILLS * scale());
        let mut store_ends = self.moments(if self.store.is_some() { 2 * STORE_KILLS * scale() } else { 0 });
        let mut slow: Vec<(usize, usize)> = Vec::new();
        while self.work.progress() < 1000 {
            let progress = self.work.progress();
            if ends.pop_if(|moment| *moment <= progress).is_some() {
                self.end_the_server(ends.len().is_multiple_of(2)).await;
            }
            if store_ends.pop_if(|moment| *moment <= progress).is_some() {
                self.harm_the_store(store_ends.len().is_multiple_of(2)).await;
            }
            slow.retain(|(device, until)| {
                let is_over = *until <= progress;
                if is_over {
                    self.devices[*device].set_slow(false);
                }
                !is_over
            });
            if slow.len() < SLOW && progress < 800 {
                let device = usize::try_from(self.dice.below(2 * HOT as u64)).unwrap();
                if !slow.iter().any(|(other, _)| *other == device) {
                    self.devices[device].set_slow(true);
                    slow.push((device, progress + 150));
                }
            }
            self.harm_a_connection();
            for device in &mut self.devices {
                device.check().await;
            }
            // As often as it happens by chance; nothing is waited for.
            let pause = self.dice.below(100);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// So many moments in the course of the work, the last one first.
    fn moments(&mut self, count: usize) -> Vec<usize> {
        let mut moments: Vec<usize> =
            (0..count).map(|_| usize::try_from(50 + self.dice.below(850)).unwrap()).collect();
        moments.sort_by_key(|moment| std::cmp::Reverse(*moment));
        moments
    }

    fn harm_a_connection(&mut self) {
        // Those that are held up stay so, until they are too slow, or their clients give them up.
        let mut clients: Vec<SocketAddr> = self.proxy.clients();
        clients.retain(|client| !self.proxy.is_stalled(*client));
        if clients.is_empty() {
            return;
        }
        let client = *self.dice.pick(&clients);
        let way = *self.dice.pick(&[Way::Up, Way::Down]);
        let how = *self.dice.pick(&[Cut::Fin, Cut::Reset]);
        match self.dice.below(100) {
            0..50 => self.proxy.cut_after(client, way, self.dice.below(20_000), how),
            50..60 => self.proxy.cut(client, how),
            60..65 => self.proxy.stall(client, way, true),
            65 => self.proxy.cut_all(how),
            _ => {}
        }
    }

    /// Most of them are not told why: there is no way through to them.
    async fn count_the_slow(&mut self) {
        let page = self.server.client().fetch("/metrics").await;
        self.slow += metric(page.text(), "chat_slow_connections_closed_total").unwrap();
    }

    async fn end_the_server(&mut self, is_kill: bool) {
        self.count_the_slow().await;
        if is_kill {
            self.server.kill().await;
            self.kills += 1;
        } else {
            self.server.terminate().await;
        }
        self.proxy.set_target(None);
        self.server.restart().await;
        self.proxy.set_target(Some(self.server.address().parse().unwrap()));
    }

    async fn harm_the_store(&mut self, is_kill: bool) {
        let store = self.store.as_mut().expect("a database");
        if is_kill {
            store.restart();
            self.store_kills += 1;
        } else {
            store.pause();
            tokio::time::sleep(HANG).await;
            store.resume();
        }
    }

    /// Nothing is harmed any more, and everything is answered.
    async fn quiet(&mut self) {
        self.count_the_slow().await;
        self.proxy.heal();
        for device in &self.devices {
            device.set_slow(false);
        }
        let start = Instant::now();
        loop {
            for device in &mut self.devices {
                device.check().await;
            }
            let open: Vec<_> = self
                .devices
                .iter()
                .filter(|device| device.state().open > 0 || !device.state().is_connected)
                .map(|device| device.identity.name.clone())
                .collect();
            if open.is_empty() {
                return;
            }
            assert!(start.elapsed() < CATCH_UP, "no answer, or no connection: {open:?}: {}", self.standing());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Compares every device with the history, until they are the same or it takes too long.
    async fn compare(&mut self) {
        let histories = self.histories().await;
        let lost = self.differences(&histories, CATCH_UP).await;
        if !lost.is_empty() {
            // Not told to whom is there, or not even to whom comes back? The cause is another one.
            self.proxy.cut_all(Cut::Reset);
            let still = self.differences(&histories, CATCH_UP / 5).await.len();
            eprintln!("of {} lost, {still} are so after a reconnect, too", lost.len());
        }
        let disorder = self.disorder(&histories);
        let broken = self.broken_promises(&histories).await;
        self.report(&lost, &disorder);
        let figures = [("lost", lost), ("out of order", disorder), ("broken promises", broken)];
        for (what, lines) in &figures {
            for line in lines.iter().take(10) {
                eprintln!("{what}: {line}");
            }
        }
        for (what, lines) in figures {
            assert!(lines.is_empty(), "{what}: {}", lines.len());
        }
        for device in &self.devices {
            let state = device.state();
            assert_eq!(state.mirror.contradictions, [""; 0], "{}", device.identity.name);
            assert_eq!(state.mirror.resyncs, 0, "a good cursor is refused: {}", device.identity.name);
        }
    }

    /// Where devices differ from the history, when that has not come to an end in this time.
    async fn differences(
        &mut self,
        histories: &[BTreeMap<String, Vec<Value>>],
        at_most: Duration,
    ) -> Vec<String> {
        let start = Instant::now();
        loop {
            let mut lines = Vec::new();
            for (number, device) in self.devices.iter().enumerate() {
                let (state, name) = (device.state(), &device.identity.name);
                for (chat, history) in &histories[number / 2] {
                    let of = state.mirror.differences(chat, history);
                    lines.extend(of.iter().map(|line| format!("{name}: {line}")));
                }
            }
            for device in &mut self.devices {
                device.check().await;
            }
            if lines.is_empty() || start.elapsed() > at_most {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everybody's chats, each with its messages.
    async fn histories(&self) -> Vec<BTreeMap<String, Vec<Value>>> {
        let mut all = Vec::new();
        for (number, person) in self.people.iter().enumerate() {
            let mut chats = BTreeMap::new();
            for partner in partners(number) {
                let messages = person.whole_conversation(&self.people[partner]).await;
                chats.insert(messages[0]["chatId"].as_str().unwrap().to_owned(), messages);
            }
            all.push(chats);
        }
        all
    }

    /// New messages that came before earlier ones. What a device itself had sent and heard no answer of yet is not in
    /// its stream, nor is what its owner has hidden.
    fn disorder(&self, histories: &[BTreeMap<String, Vec<Value>>]) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, device) in self.devices.iter().enumerate() {
            let (name, state) = (&device.identity.name, device.state());
            for gap in &state.mirror.gaps {
                let history = histories[number / 2].get(&gap.chat).map(Vec::as_slice).unwrap_or_default();
                for seq in &gap.missing {
                    let Some(message) = history.iter().find(|message| message["seq"] == *seq) else {
                        continue;
                    };
                    let is_own = message["clientId"].as_str().unwrap().starts_with(&format!("{name}-"));
                    if !is_own {
                        let (event, at) = (&gap.event, gap.seq);
                        lines.push(format!("{name}: {event} of {at} in {} before {message}", gap.chat));
                    }
                }
            }
        }
        lines
    }

    /// What was acknowledged and is not so, as everybody's history has it.
    async fn broken_promises(&self, histories: &[BTreeMap<String, Vec<Value>>]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut keys = BTreeMap::new();
        let mut by_id: BTreeMap<&str, &Value> = BTreeMap::new();
        for message in histories.iter().flat_map(BTreeMap::values).flatten() {
            let (id, key) = (message["_id"].as_str().unwrap(), message["clientId"].as_str().unwrap());
            by_id.insert(id, message);
            if *keys.entry(key).or_insert(id) != id {
                lines.push(format!("twice: {message}"));
            }
        }
        for (number, device) in self.devices.iter().enumerate() {
            let state = device.state();
            let mut expected = BTreeMap::new();
            for done in &state.done {
                let (request, payload) = (&done.request, &done.request.payload);
                if done.answer["success"] != true {
                    // Somebody else may have deleted it at this very moment.
                    let may_be = ["react", "hideMessage"].contains(&request.event);
                    if !may_be || done.answer["data"]["code"] != "not_found" {
                        lines.push(format!("refused: {payload}: {}", done.answer));
                    }
                    continue;
                }
                match request.event {
                    "sendMessage" => {
                        let id = done.answer["data"]["_id"].as_str().unwrap();
                        // Both may have hidden it: so it need not be there at all.
                        let is_there = keys.get(request.tag.as_str()).is_none_or(|there| *there == id);
                        if !is_there {
                            lines.push(format!("another message than was acknowledged: {}", done.answer));
                        }
                        expected.insert((request.event, id.to_owned(), ""), payload);
                    }
                    "react" => {
                        let emoji = payload["emoji"].as_str().unwrap();
                        expected.insert((request.event, request.tag.clone(), emoji), payload);
                    }
                    "messagesRead" => {}
                    event => {
                        expected.insert((event, request.tag.clone(), ""), payload);
                    }
                }
            }
            let me = self.people[number / 2].id();
            for ((event, id, emoji), payload) in expected {
                let own = histories[number / 2].values().flatten().find(|message| message["_id"] == *id);
                if event == "hideMessage" {
                    if let Some(message) = own {
                        lines.push(format!("hidden, and there: {message}"));
                    }
                    continue;
                }
                // Nobody hides what they sent themselves.
                let message = match (event, own) {
                    ("react", own) => own.or(by_id.get(id.as_str()).copied()),
                    (_, own) => own,
                };
                let Some(message) = message else {
                    if event != "react" {
                        lines.push(format!("acknowledged, and not there: {event} {payload}"));
                    }
                    continue;
                };
                let is_deleted = message["isDeleted"] == true;
                let is_so = match event {
                    "sendMessage" => {
                        is_deleted || message["isEdited"] == true || message["text"] == payload["text"]
                    }
                    "editMessage" => is_deleted || message["text"] == payload["text"],
                    "deleteMessage" => is_deleted,
                    _ => {
                        let reaction = json!({ "userId": me, "emoji": emoji });
                        let is_on = message["reactions"].as_array().unwrap().contains(&reaction);
                        is_deleted || payload["isOn"] == is_on
                    }
                };
                if !is_so {
                    lines.push(format!("acknowledged, and not so: {event} {payload}: {message}"));
                }
            }
        }
        lines.extend(self.broken_receipts().await);
        lines
    }

    /// What was read is known to the partner: in the list of chats, and on each device.
    async fn broken_receipts(&self) -> Vec<String> {
        let mut read: BTreeMap<(String, usize), u64> = BTreeMap::new();
        for (number, device) in self.devices.iter().enumerate() {
            for done in device.state().done.iter().filter(|done| done.request.event == "messagesRead") {
                let payload = &done.request.payload;
                let key = (payload["chatId"].as_str().unwrap().to_owned(), number / 2);
                let (mark, seq) = (read.entry(key).or_default(), payload["seq"].as_u64().unwrap());
                *mark = seq.max(*mark);
            }
        }
        let mut lines = Vec::new();
        for (number, person) in self.people.iter().enumerate() {
            for chat in person.chats().await {
                let partner = self.people.iter().position(|person| person.id() == chat["_id"]).unwrap();
                let id = chat["chatId"].as_str().unwrap();
                let Some(seq) = read.get(&(id.to_owned(), partner)) else { continue };
                if chat["readSeq"].as_u64().unwrap() < *seq {
                    lines.push(format!("read to {seq}, and the list says {chat}"));
                }
                let _ = number;
            }
        }
        lines
    }

    /// How everybody stands, for failures.
    fn standing(&self) -> String {
        let lines = self.devices.iter().map(|device| {
            let state = device.state();
            let name = &device.identity.name;
            let open = state.open;
            format!(
                "{name}: {open} open, connected {}, {} dead, {} refused",
                state.is_connected, state.dead, state.refused
            )
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    fn report(&self, lost: &[String], disorder: &[String]) {
        let sum = |of: &dyn Fn(&Device) -> usize| self.devices.iter().map(of).sum::<usize>();
        eprintln!(
            "chaos on {}: {} messages, {} events, {} changes; {} cuts, {} kills, {} kills of the store, {} slow readers \
             closed, {} dead connections; {} resumes, {} refused for the moment, {} repeats, {} stale, \
             {} lost, {} out of order; {:.1} s",
            self.target.name(),
            self.work.sent(),
            sum(&|device| device.state().mirror.events),
            sum(&|device| {
                device.state().done.iter().filter(|done| done.request.event != "sendMessage").count()
            }),
            self.proxy.cuts(),
            self.kills,
            self.store_kills,
            self.slow,
            sum(&|device| device.state().dead),
            sum(&|device| device.state().resumes),
            sum(&|device| device.state().refused),
            sum(&|device| device.state().mirror.repeats),
            sum(&|device| device.state().mirror.stale),
            lost.len(),
            disorder.len(),
            self.start.elapsed().as_secs_f64(),
        );
    }
}

async fn every_stream_equals_the_history(target: Target) {
    let mut trial = Trial::start(target).await;
    trial.begin().await;
    trial.rage().await;
    trial.quiet().await;
    trial.compare().await;
    // It was what it says it was.
    assert!(trial.work.sent() > 500, "only {} messages", trial.work.sent());
    assert!(trial.kills > 0 && trial.proxy.cuts() > 20, "nothing happened");
    assert!(trial.devices.iter().all(|device| device.state().resumes > 0), "somebody had peace");
}

for_each_target!(every_stream_equals_the_history);
