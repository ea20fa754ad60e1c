//! The official `socket.io-client` in `tests/js`, over each transport and with each way to sign in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{collections::BTreeMap, path::Path, process::Stdio};

use chat_tests::{Target, for_each_target};
use tokio::process::Command;

async fn run(target: Target, transport: &str, auth: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
    assert!(
        folder.join("node_modules/socket.io-client").is_dir(),
        "socket.io-client is not installed: run ./test.sh, or `npm ci` in tests/js"
    );
    let mut suites: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    suites.sort();
    let server = target.start().await;
    let output = Command::new("node")
        .args(["--test", "--test-reporter=tap", "--test-timeout=120000"])
        .args(&suites)
        .current_dir(&folder)
        .env("BASE_URL", server.url())
        .env("TRANSPORT", transport)
        .env("AUTH", auth)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node is not installed: run ./test.sh");
    let tap = String::from_utf8_lossy(&output.stdout);
    let counts = counts(&tap);
    let count = |name: &str| counts.get(name).copied();
    let is_good = output.status.success()
        && ["fail", "cancelled", "skipped", "todo"].iter().all(|name| count(name) == Some(0))
        && count("pass").is_some_and(|pass| pass >= suites.len());
    assert!(
        is_good,
        "the JavaScript suites over {transport} with {auth}: {}\n{tap}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The summary at the end of the report: `# pass 12`.
fn counts(tap: &str) -> BTreeMap<&str, usize> {
    tap.lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once(' '))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect()
}

/// Both ways to sign in at once: these suites wait more than they work.
async fn both(target: Target, transport: &str) {
    tokio::join!(run(target, transport, "cookie"), run(target, transport, "token"));
}

async fn websocket(target: Target) {
    both(target, "websocket").await;
}

async fn polling(target: Target) {
    both(target, "polling").await;
}

async fn upgrade(target: Target) {
    both(target, "upgrade").await;
}

for_each_target!(websocket, polling, upgrade);
