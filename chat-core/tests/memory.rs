//! How much memory an idle connection takes, seen from outside the process. Alone in its binary: it looks at the
//! memory of the whole process, in which nothing else may happen meanwhile.
//!
//! `benches/service.rs` counts the same allocation by allocation.
#![cfg(all(target_os = "linux", feature = "sqlite"))]
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod common;

use std::time::Duration;

use chat_core::{ChatService, SessionId, Timestamp, UserId, auth::Session};
use tokio::runtime::Handle;

const CONNECTIONS: usize = 20_000;
/// Connections that come at once.
const AT_ONCE: usize = 100;
/// The goal, in bytes per connection.
const MOST: usize = 4 << 10;

/// The memory of this process that is in use, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

fn session() -> Session {
    let now = Timestamp::now();
    Session { id: SessionId::random(), user: UserId::generate(now), expires_at: now, generation: 0 }
}

/// Makes so many connections. Returns them alive, and the bytes that each takes.
async fn measure<T>(
    chat: &ChatService,
    connections: usize,
    mut connect: impl FnMut() -> T,
) -> (Vec<T>, usize) {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let mut alive = Vec::with_capacity(connections);
    let (before, were_there) = (resident(), chat.stats().connections);
    for _ in 0..connections / AT_ONCE {
        alive.extend(std::iter::repeat_with(&mut connect).take(AT_ONCE));
        // What they set going comes to its end: idle is what is measured.
        while Handle::current().metrics().num_alive_tasks() > tasks {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let bytes = resident().saturating_sub(before) / connections;
    assert_eq!(chat.stats().connections - were_there, connections);
    (alive, bytes)
}

#[tokio::test]
async fn an_idle_connection_takes_less_than_4_kib() {
    let (chat, _folder) = common::chat().await;
    let subscribe = || chat.events().subscribe(session().user);
    let connect = || {
        let session = session();
        (chat.events().connect(&session), chat.presence().arrive(session.user))
    };
    // All of it stays alive to the end, or one would use the memory of the other again. The first few bring along what
    // is made only once.
    let _first = (measure(&chat, AT_ONCE, subscribe).await, measure(&chat, AT_ONCE, connect).await);
    let (_subscriptions, subscribed) = measure(&chat, CONNECTIONS, subscribe).await;
    let (_connections, connected) = measure(&chat, CONNECTIONS, connect).await;
    println!("bytes for each subscription: {subscribed}; for each connection with presence: {connected}");
    for bytes in [subscribed, connected] {
        // Less than what an entry of the hub has in itself would be a mistake of the measurement.
        assert!((64..MOST).contains(&bytes), "{bytes} bytes for each");
    }
}
