//! The load tool in small: it works, and the server holds what it is given and lets it go again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::process::Stdio;

use chat_tests::{Server, Target, Value, for_each_target, json, measure, sio, tests_on, until};
use tokio::process::Command;

async fn connections(server: &Server) -> f64 {
    let page = server.client().fetch("/metrics").await;
    measure::metric(page.text(), "chat_connections").expect("a gauge of the connections")
}

async fn load(server: &Server, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(arguments)
        .args(["--url", &server.url(), "--pid", &server.pid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {text}", output.status);
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

async fn three_hundred_are_held_and_let_go(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let address = server.address().parse().unwrap();
    let mut sockets = Vec::new();
    for _ in 0..300 {
        sockets.push(sio::Socket::connect(address, None, &ann.token).await.unwrap());
    }
    until("300 connections", || async { (connections(&server).await == 300.0).then_some(()) }).await;
    for (i, socket) in sockets.into_iter().enumerate() {
        // Half of them say goodbye, the others are just gone.
        if i % 2 == 0 {
            socket.close().await;
        }
    }
    until("no connections", || async { (connections(&server).await == 0.0).then_some(()) }).await;
    until("her to be offline", || async {
        (ann.get("/api/auth/me").await.ok(200)["isOnline"] == false).then_some(())
    })
    .await;
}

async fn idle_reports(target: Target) {
    let server = target.start().await;
    for door in ["socketio", "websocket"] {
        let report = load(&server, &["idle", "--connections", "300", "--users", "3", "--door", door]).await;
        assert_eq!(report["connections"], 300);
        assert_eq!(report["alive"], 300, "all are there at the end");
        assert_eq!(report["serverCounts"], 300.0);
        assert!(report["idle"]["rssKib"].as_u64().unwrap() > 0);
        until("no connections", || async { (connections(&server).await == 0.0).then_some(()) }).await;
    }
}

async fn storm_reports(target: Target) {
    let server = target.start().await;
    let report = load(&server, &["storm", "--logins", "20", "--seconds", "2"]).await;
    assert!(report["logins"]["200"].as_u64().unwrap() > 0, "{report}");
    assert!(report["delivered"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["delivered"], report["sent"], "{report}");
    let statuses: Vec<&String> = report["logins"].as_object().unwrap().keys().collect();
    assert!(statuses.iter().all(|status| ["200", "503"].contains(&status.as_str())), "{report}");
}

async fn send_reports(target: Target) {
    let server = target.start().await;
    let report = load(&server, &["send", "--senders", "8", "--seconds", "2"]).await;
    assert!(report["sent"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["failed"], json!(0));
}

for_each_target!(three_hundred_are_held_and_let_go);
// What is tested here is the tool.
tests_on!(axum_sqlite_tool = AxumSqlite: idle_reports, storm_reports, send_reports);
