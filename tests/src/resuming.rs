//! A client that comes back whenever its connection ends, with the last cursor that it was given, and loses nothing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::{
    Dice,
    line::{Door, Heard, Line},
    mirror::Mirror,
    proxy::{Proxy, Way},
};

/// A request without an answer for so long means that the connection is dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a refused request waits.
const AGAIN: Duration = Duration::from_millis(150);

/// A request that can be made again and again, and is until it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The event.
    pub event: &'static str,
    /// Its payload.
    pub payload: Value,
    /// What the script wants to know of it later.
    pub tag: String,
}

/// A request that was answered for good.
#[derive(Debug, Clone)]
pub struct Done {
    /// The request.
    pub request: Request,
    /// The envelope.
    pub answer: Value,
}

/// What a device does of itself: asked whenever there is room for a request. It sees what the device knows, and the
/// tags of the requests that are under way.
pub type Script = Box<dyn FnMut(&Mirror, &BTreeSet<String>) -> Option<Request> + Send>;

/// Who it is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// By which door it comes.
    pub door: Door,
    /// Its name, for failures.
    pub name: String,
    /// What it signs in with.
    pub token: String,
    /// Requests that wait for an answer at the same time.
    pub window: usize,
}

/// How it went so far.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// What it has made of its stream.
    pub mirror: Mirror,
    /// What was answered, in that order.
    pub done: Vec<Done>,
    /// Requests under way.
    pub open: usize,
    /// Whether it is connected now.
    pub is_connected: bool,
    /// How often it came back with a cursor.
    pub resumes: usize,
    /// How often it was closed because it read too slowly.
    pub slow: usize,
    /// How often it gave up a connection that did not answer.
    pub dead: usize,
    /// How often a request was refused for the moment.
    pub refused: usize,
    /// The last cursor that it was given.
    pub cursor: Option<String>,
}

/// A running device; dropped, it is gone without a word.
#[derive(Debug)]
pub struct Device {
    /// Who it is.
    pub identity: Identity,
    state: Arc<Mutex<State>>,
    slow: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Device {
    /// Starts it.
    #[must_use]
    pub fn start(identity: Identity, proxy: Arc<Proxy>, dice: Dice, script: Script) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (slow, is_slow) = watch::channel(false);
        let life = Life {
            identity: identity.clone(),
            proxy,
            dice,
            script,
            is_slow,
            state: state.clone(),
            outbox: BTreeMap::new(),
            next: 0,
        };
        Self { identity, state, slow, task: tokio::spawn(life.live()) }
    }

    /// How it is now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on it reads nothing; or it goes on.
    pub fn set_slow(&self, is_slow: bool) {
        self.slow.send_replace(is_slow);
    }

    /// Whether it stopped because something was not as it should be; then that is a failure here.
    pub async fn check(&mut self) {
        if self.task.is_finished() {
            (&mut self.task).await.unwrap();
            panic!("{} has ended", self.identity.name);
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Life {
    identity: Identity,
    proxy: Arc<Proxy>,
    dice: Dice,
    script: Script,
    is_slow: watch::Receiver<bool>,
    state: Arc<Mutex<State>>,
    /// What is not answered for good, in the order in which it was asked for.
    outbox: BTreeMap<u64, Request>,
    next: u64,
}

/// What belongs to one connection.
struct Session {
    line: Line,
    /// By the number on the wire.
    asked: BTreeMap<u64, u64>,
    unsent: VecDeque<u64>,
    later: VecDeque<(Instant, u64)>,
    heard: Instant,
}

impl Life {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn live(mut self) {
        let mut failures = 0;
        loop {
            let since = self.state().cursor.clone();
            let identity = &self.identity;
            let opening = Line::open(identity.door, self.proxy.address(), &identity.token, since.as_deref());
            match opening.await {
                Ok(line) => {
                    failures = 0;
                    {
                        let mut state = self.state();
                        state.is_connected = true;
                        state.resumes += usize::from(since.is_some());
                    }
                    self.session(line).await;
                    self.state().is_connected = false;
                }
                Err(_) => failures += 1,
            }
            let most = (20 << failures.min(4)) + 1;
            let pause = self.dice.below(most);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// One connection, to its end.
    async fn session(&mut self, line: Line) {
        let unsent = self.outbox.keys().copied().collect();
        let mut session =
            Session { line, asked: BTreeMap::new(), unsent, later: VecDeque::new(), heard: Instant::now() };
        loop {
            if *self.is_slow.borrow_and_update() {
                self.proxy.stall(session.line.local(), Way::Down, true);
                let _ = self.is_slow.wait_for(|is_slow| !is_slow).await;
                self.proxy.stall(session.line.local(), Way::Down, false);
                session.heard = Instant::now();
            }
            self.ask(&mut session);
            while let Some(number) = session.unsent.pop_front() {
                let request = &self.outbox[&number];
                let Ok(asked) = session.line.emit(request.event, &request.payload).await else { return };
                session.asked.insert(asked, number);
            }
            let dead = session.heard + PATIENCE;
            let later = session.later.front().map(|(at, _)| *at);
            tokio::select! {
                heard = session.line.next() => {
                    session.heard = Instant::now();
                    if self.hear(&mut session, heard).is_none() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(dead), if !session.asked.is_empty() => {
                    self.state().dead += 1;
                    return;
                }
                () = tokio::time::sleep_until(later.unwrap_or(dead)), if later.is_some() => {
                    session.unsent.extend(session.later.pop_front().map(|(_, number)| number));
                }
                _ = self.is_slow.changed() => {}
            }
        }
    }

    /// Fills the window from the script.
    fn ask(&mut self, session: &mut Session) {
        while self.outbox.len() < self.identity.window {
            let tags = self.outbox.values().map(|request| request.tag.clone()).collect();
            let mut state = self.state.lock().unwrap();
            let Some(request) = (self.script)(&state.mirror, &tags) else { return };
            state.open += 1;
            self.outbox.insert(self.next, request);
            session.unsent.push_back(self.next);
            self.next += 1;
        }
    }

    /// `None` when that was the end.
    fn hear(&mut self, session: &mut Session, heard: Heard) -> Option<()> {
        match heard {
            Heard::Event { name, data, cursor } => {
                let mut state = self.state();
                state.mirror.apply(&name, &data);
                // After the event: who is cut off between the two gets it again.
                state.cursor = cursor.or(state.cursor.take());
            }
            Heard::Answer(asked, answer) => {
                let number = session.asked.remove(&asked).expect("an answer to a request");
                self.answered(session, number, answer);
            }
            Heard::Closed(reason) => {
                let is_slow = reason.as_deref() == Some("slow_consumer");
                self.state().slow += usize::from(is_slow);
                return None;
            }
        }
        Some(())
    }

    fn answered(&mut self, session: &mut Session, number: u64, answer: Value) {
        let mut state = self.state.lock().unwrap();
        if answer["data"]["code"] == "unavailable" {
            state.refused += 1;
            session.later.push_back((Instant::now() + AGAIN, number));
            return;
        }
        let request = self.outbox.remove(&number).expect("it is open");
        if answer["success"] == true {
            if request.event == "hideMessage" {
                state.mirror.hide(request.payload["messageId"].as_str().expect("an id"));
            } else if answer["data"]["_id"].is_string() {
                state.mirror.learn(&answer["data"]);
            }
        }
        state.open -= 1;
        state.done.push(Done { request, answer });
    }
}
