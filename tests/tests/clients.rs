//! Clients that nobody here wrote, each on the same round: sign in, send, receive, delete, type, go and come back.
//!
//! The official `socket.io-client` has suites of its own (`sockets.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{path::Path, process::Stdio};

use chat_tests::{Target, for_each_target, tool};
use tokio::process::Command;

/// Runs a client for two people who share a chat, and expects that it says "ok" so often.
async fn run(target: Target, mut client: Command, rounds: usize) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    ann.say(&bob, "a chat to share").await;
    let output = client
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("BASE_URL", server.url())
        .envs([
            ("ANN_ID", ann.id()),
            ("ANN_TOKEN", &ann.token),
            ("BOB_ID", bob.id()),
            ("BOB_TOKEN", &bob.token),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{client:?}: {error}: run ./test.sh, which installs it"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let ok = out.lines().filter(|line| line.starts_with("ok: ")).count();
    assert!(output.status.success() && ok == rounds, "{client:?}: {}\n{out}\n{err}", output.status);
    // One that was deleted and one that stayed, for each round.
    assert_eq!(ann.whole_conversation(&bob).await.len(), 1 + 2 * rounds);
}

fn python(script: &str) -> Command {
    let mut command = Command::new(tool("python/bin/python3"));
    command.arg("-B").arg(Path::new("python").join(script));
    command
}

async fn python_socketio(target: Target) {
    run(target, python("zoo_socketio.py"), 6).await;
}

async fn rust_socketio(target: Target) {
    run(target, Command::new(tool("rust-client/debug/rust-client")), 4).await;
}

async fn python_websockets(target: Target) {
    run(target, python("zoo_websockets.py"), 2).await;
}

async fn npm_ws(target: Target) {
    let mut node = Command::new("node");
    node.arg("js/zoo_ws.mjs");
    run(target, node, 2).await;
}

for_each_target!(python_socketio, rust_socketio, python_websockets, npm_ws);
