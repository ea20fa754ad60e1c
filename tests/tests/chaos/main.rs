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

mod author;
mod verdict;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use chat_tests::{
    Dice, MongoServer, Person, Server, Target, for_each_target,
    line::Door,
    measure::metric,
    proxy::{Cut, Proxy, Way},
    resuming::{Device, Identity},
    until,
};

use self::author::{Author, Work};

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
