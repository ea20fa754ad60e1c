//! Bounded load on a server of this machine, and what it costs: `load idle`, `load storm`, `load send`.
//!
//! Without `--url` it builds and starts the release server itself, on an empty data folder with the shield off. It
//! prints one line of JSON for each result and talks to 127.0.0.1 only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a tool for measuring: what goes wrong has to stop it"
)]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use chat_tests::{
    Client, Person, Server, Signup, Target, Value, json,
    measure::{Memory, metric, quantile},
    sio::{Packet, Socket},
    ws::{Said, Ws, handshake},
};
use clap::{Parser, Subcommand, ValueEnum};
use futures_util::future::join_all;
use tokio::{net::TcpSocket, sync::watch};

/// Bounded load on a chat server of this machine.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    load: Load,
    /// The server, `http://127.0.0.1:<port>`; without it, one is built in release mode and started.
    #[arg(long, global = true, requires = "pid")]
    url: Option<String>,
    /// The process id of that server, for its memory.
    #[arg(long, global = true, requires = "url")]
    pid: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum Load {
    /// Opens connections, holds them idle, closes them; memory at each step.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// Of how many users.
        #[arg(long, default_value_t = 100)]
        users: usize,
        /// On which door.
        #[arg(long, value_enum, default_value_t = Door::Socketio)]
        door: Door,
        /// How long they are held.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=600))]
        hold: u64,
    },
    /// Logins without a pause, while two sockets exchange messages at a steady rate: how late do these get?
    Storm {
        /// Concurrent logins.
        #[arg(long, default_value_t = 50)]
        logins: usize,
        /// How long.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
        seconds: u64,
        /// Messages a second.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
        rate: u64,
    },
    /// Sends without a pause.
    Send {
        /// Concurrent senders, each in a chat of its own.
        #[arg(long, default_value_t = 32)]
        senders: usize,
        /// How long.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
        seconds: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Door {
    Socketio,
    Websocket,
}

struct Goal {
    client: Client,
    address: SocketAddr,
    pid: u32,
    /// Killed when dropped.
    _own: Option<Server>,
}

impl Goal {
    async fn of(arguments: &Arguments) -> Self {
        if let (Some(url), Some(pid)) = (&arguments.url, arguments.pid) {
            let address: SocketAddr =
                url.trim_end_matches('/').replace("http://", "").parse().expect("an address");
            assert!(address.ip().is_loopback(), "only servers of this machine are loaded");
            return Self { client: Client::at(url), address, pid, _own: None };
        }
        let program = Target::AxumSqlite.release_program();
        let server = Server::start_program(
            program,
            Target::AxumSqlite,
            &[("RUST_LOG", "warn,server=info,chat_server=info")],
        )
        .await;
        let address = server.address().parse().unwrap();
        Self { client: server.client(), address, pid: server.pid(), _own: Some(server) }
    }

    async fn people(&self, count: usize) -> Vec<Person> {
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(Person::signup(&self.client).await);
        }
        people
    }

    fn memory(&self) -> Value {
        let memory = Memory::of(self.pid).expect("the server runs");
        json!({ "rssKib": memory.rss, "pssKib": memory.pss })
    }

    /// What the server says of its connections; its own gauge, if it has one.
    async fn connections(&self) -> Option<f64> {
        metric(self.client.fetch("/metrics").await.text(), "chat_connections")
    }
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    // Each connection is a file on this side; a server that is started here inherits the limit.
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of open files");
    let goal = Goal::of(&arguments).await;
    let report = match arguments.load {
        Load::Idle { connections, users, door, hold } => {
            idle(&goal, connections, users, door, Duration::from_secs(hold)).await
        }
        Load::Storm { logins, seconds, rate } => {
            storm(&goal, logins, Duration::from_secs(seconds), rate).await
        }
        Load::Send { senders, seconds } => send(&goal, senders, Duration::from_secs(seconds)).await,
    };
    println!("{report}");
}

/// The address that the n-th connection comes from: an address has 28,000 ports by default, and 127.0.0.0/8 has many
/// addresses.
fn source(n: usize) -> SocketAddr {
    let address = Ipv4Addr::new(127, 0, 0, u8::try_from(1 + n / 20_000).expect("fewer than five million"));
    SocketAddr::new(IpAddr::V4(address), 0)
}

async fn idle(goal: &Goal, count: usize, users: usize, door: Door, hold: Duration) -> Value {
    let people = goal.people(users.max(1)).await;
    let before = goal.memory();
    let (stop, stopped) = watch::channel(false);
    let start = Instant::now();
    let mut sockets = Vec::with_capacity(count);
    let mut n = 0;
    while n < count {
        let batch = (n..count.min(n + 64))
            .map(|n| Line::open(door, goal.address, source(n), &people[n % people.len()].token));
        for line in join_all(batch).await {
            sockets.push(tokio::spawn(held(line, stopped.clone())));
        }
        n = sockets.len();
    }
    let opened = start.elapsed();
    tokio::time::sleep(hold).await;
    let at_idle = goal.memory();
    let counted = goal.connections().await;
    stop.send(true).unwrap();
    let mut alive = 0;
    for socket in sockets {
        alive += usize::from(socket.await.unwrap());
    }
    let after = settled(goal).await;
    let grown = rss(&at_idle) - rss(&before);
    json!({
        "load": "idle", "door": format!("{door:?}"), "connections": count, "users": people.len(), "openedInMs": millis(opened), "alive": alive,
        "serverCounts": counted, "before": before, "idle": at_idle, "after": after,
        "kibPerConnection": grown / count.max(1) as f64,
    })
}

/// A socket on either door.
enum Line {
    SocketIo(Socket),
    WebSocket(Ws),
}

impl Line {
    async fn open(door: Door, server: SocketAddr, from: SocketAddr, token: &str) -> Self {
        if door == Door::Socketio {
            return Self::SocketIo(Socket::connect(server, Some(from), token).await.expect("a connection"));
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from).unwrap();
        let tcp = socket.connect(server).await.expect("a connection");
        let authorization = format!("Bearer {token}");
        let request = handshake(&server.to_string(), &[("authorization", &authorization)]);
        Self::WebSocket(Ws::over(tcp, request).await.unwrap_or_else(|refusal| panic!("{}", refusal.body)))
    }

    /// Whether it goes on after the next thing that the server says.
    async fn goes_on(&mut self) -> bool {
        match self {
            Self::SocketIo(socket) => !matches!(socket.next().await, Ok(Packet::Closed) | Err(_)),
            Self::WebSocket(ws) => !matches!(ws.read().await, Said::Closed(_)),
        }
    }

    async fn close(self) {
        match self {
            Self::SocketIo(socket) => socket.close().await,
            Self::WebSocket(mut ws) => {
                let _ = ws.stream.close(None).await;
            }
        }
    }
}

/// Holds a socket until it may be closed; whether the server held it as long.
async fn held(mut line: Line, mut stopped: watch::Receiver<bool>) -> bool {
    loop {
        tokio::select! {
            _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
            goes_on = line.goes_on() => if !goes_on { return false },
        }
    }
    line.close().await;
    true
}

fn rss(memory: &Value) -> f64 {
    memory["rssKib"].as_f64().unwrap()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Memory once the connections are gone and it does not fall any more; allocators take some seconds to give it back.
async fn settled(goal: &Goal) -> Value {
    let start = Instant::now();
    let mut last = goal.memory();
    let mut is_still = 0;
    while is_still < 26 && start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = goal.memory();
        let is_gone = goal.connections().await.is_none_or(|connections| connections == 0.0);
        is_still = if is_gone && rss(&now) > rss(&last) * 0.99 { is_still + 1 } else { 0 };
        last = now;
    }
    last
}

async fn storm(goal: &Goal, logins: usize, time: Duration, rate: u64) -> Value {
    let people = goal.people(4).await;
    let (ann, bob) = (&people[0], &people[1]);
    let calm = exchange(goal, ann, bob, Duration::from_secs(2).min(time), rate).await;
    let end = Instant::now() + time;
    let attempts = (0..logins).map(|n| {
        let person = &people[2 + n % 2];
        let client = person.anonymous();
        async move {
            let body = json!({ "email": person.form.email, "password": person.form.password });
            let mut statuses = BTreeMap::<u16, u64>::new();
            while Instant::now() < end {
                let status = client.post("/api/auth/login", body.clone()).await.status;
                *statuses.entry(status).or_default() += 1;
                if status == 503 {
                    // As an honest client does, though sooner than `Retry-After` says.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            statuses
        }
    });
    let (statuses, mut busy) = tokio::join!(join_all(attempts), exchange(goal, ann, bob, time, rate));
    let mut sum = serde_json::Map::new();
    for (status, count) in statuses.into_iter().flatten() {
        let so_far = sum.get(&status.to_string()).and_then(Value::as_u64).unwrap_or_default();
        sum.insert(status.to_string(), json!(so_far + count));
    }
    let object = busy.as_object_mut().unwrap();
    object.insert("load".to_owned(), json!("storm"));
    object.insert("concurrentLogins".to_owned(), json!(logins));
    object.insert("logins".to_owned(), Value::Object(sum));
    object.insert("calm".to_owned(), calm);
    object.insert("memory".to_owned(), goal.memory());
    busy
}

/// One socket sends at a steady rate, another receives: how long it took from the one to the other.
async fn exchange(goal: &Goal, from: &Person, to: &Person, time: Duration, rate: u64) -> Value {
    let mut sending = Socket::connect(goal.address, None, &from.token).await.expect("a connection");
    let mut receiving = Socket::connect(goal.address, None, &to.token).await.expect("a connection");
    let begin = Instant::now();
    // Each exchange has its own: what comes of an earlier one does not count here.
    let marker = format!("{}:", Signup::random().email);
    let total = rate * time.as_secs().max(1);
    let pace = Duration::from_secs_f64(1.0 / rate as f64);
    let receiver = to.id().to_owned();
    let send = async {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let mut acknowledged = 0;
        let mut sent = 0;
        while acknowledged < total {
            tokio::select! {
                _ = ticks.tick(), if sent < total => {
                    // The time at which it was due, so that a sender that is held up does not hide it.
                    let due = pace.as_nanos() * u128::from(sent);
                    let payload = json!({ "receiverId": receiver, "text": format!("{marker}{due}") });
                    sending.emit("sendMessage", &payload).await.expect("a connection");
                    sent += 1;
                }
                packet = sending.next() => match packet.expect("a packet") {
                    Packet::Ack(_, answer) => {
                        assert_eq!(answer[0]["success"], true, "{answer:?}");
                        acknowledged += 1;
                    }
                    Packet::Closed => panic!("the server hung up"),
                    Packet::Event(..) => {}
                },
            }
        }
        sent
    };
    let receive = async {
        let mut delays = Vec::new();
        while (delays.len() as u64) < total {
            match receiving.next().await.expect("a packet") {
                Packet::Event(name, arguments) if name == "sendMessage" => {
                    let text = arguments[0]["text"].as_str().unwrap_or_default();
                    let Some(due) = text.strip_prefix(&marker) else { continue };
                    let due = Duration::from_nanos(due.parse().unwrap());
                    delays.push(millis(begin.elapsed().saturating_sub(due)));
                }
                Packet::Closed => panic!("the server hung up"),
                _ => {}
            }
        }
        delays
    };
    let (sent, mut delays) =
        tokio::time::timeout(time + Duration::from_secs(60), async { tokio::join!(send, receive) })
            .await
            .expect("all messages arrive");
    sending.close().await;
    receiving.close().await;
    json!({
        "sent": sent, "delivered": delays.len(), "ratePerSecond": rate,
        "deliveryMs": { "p50": quantile(&mut delays, 0.5), "p99": quantile(&mut delays, 0.99), "max": quantile(&mut delays, 1.0) },
    })
}

async fn send(goal: &Goal, senders: usize, time: Duration) -> Value {
    let people = goal.people(senders.clamp(2, 32)).await;
    let start = Instant::now();
    let work = (0..senders).map(|n| {
        let from = &people[n % people.len()];
        let inbox = people[(n + 1) % people.len()].inbox();
        async move {
            let (mut delays, mut failed) = (Vec::new(), 0_u64);
            while start.elapsed() < time {
                let begin = Instant::now();
                let reply = from.try_post(
                    &inbox,
                    json!({ "text": "a message of a usual length, neither long nor short" }),
                );
                match reply.await {
                    Ok(reply) if reply.status == 201 => delays.push(millis(begin.elapsed())),
                    _ => failed += 1,
                }
            }
            (delays, failed)
        }
    });
    let results = join_all(work).await;
    let elapsed = start.elapsed().as_secs_f64();
    let failed: u64 = results.iter().map(|(_, failed)| failed).sum();
    let mut delays: Vec<f64> = results.into_iter().flat_map(|(delays, _)| delays).collect();
    json!({
        "load": "send", "senders": senders, "sent": delays.len(), "failed": failed,
        "perSecond": delays.len() as f64 / elapsed,
        "answerMs": { "p50": quantile(&mut delays, 0.5), "p99": quantile(&mut delays, 0.99), "max": quantile(&mut delays, 1.0) },
        "memory": goal.memory(),
    })
}
