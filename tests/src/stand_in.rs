//! Outside services, played by programs in `tests/js`.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};

use crate::DEADLINE;

/// A Node.js program that plays a service until it is dropped.
#[derive(Debug)]
pub struct StandIn {
    child: Child,
    /// The program ends when this is closed.
    _stdin: ChildStdin,
    url: String,
    http: reqwest::Client,
}

impl StandIn {
    /// Starts `tests/js/<script>` and waits until it listens.
    pub async fn start(script: &str) -> Self {
        Self::start_with(script, &[]).await
    }

    /// The same, with arguments.
    pub async fn start_with(script: &str, args: &[&str]) -> Self {
        let mut child = Command::new("node")
            .arg(script)
            .args(args)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/js"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node can be run");
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line =
            tokio::time::timeout(DEADLINE, lines.next_line()).await.expect("the stand-in hangs").unwrap();
        let line = line.unwrap_or_else(|| panic!("{script} ended at its start: npm ci in tests/js?"));
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{script}: {line}")).to_owned();
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        Self { child, _stdin: stdin, url, http }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How it behaves from now on.
    pub async fn mode(&self, mode: Value) {
        self.control("__mode", &mode).await;
    }

    /// One of its further control routes.
    pub async fn control(&self, route: &str, body: &Value) {
        let reply = self.http.post(format!("{}/{route}", self.url)).json(body).send().await.unwrap();
        assert!(reply.status().is_success(), "{route} {body}: {}", reply.status());
    }

    /// What it was asked so far.
    pub async fn log(&self) -> Vec<Value> {
        let reply = self.http.get(format!("{}/__log", self.url)).send().await.unwrap();
        reply.json().await.unwrap()
    }

    /// The service is down from now on.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}
