//! The API is as it describes itself: `schemathesis` and `openapi-spec-validator` (`tests/python`) judge it.
//!
//! The shield is off: it would answer most of the requests. One worker asks, so that a seed means the same each time
//! and the password workers are never full, which would be an honest 503.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use chat_tests::{Person, Server, Target, Value, for_each_target, json, pictures, tool};
use tempfile::TempDir;
use tokio::process::Command;

/// How a run says who it is.
type Header = fn(&str) -> (&'static str, String);

fn bearer(token: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {token}"))
}

fn cookie(token: &str) -> (&'static str, String) {
    ("Cookie", format!("jwt={token}"))
}

/// A server where something is going on, and who may look at it.
struct World {
    server: Server,
    ann: Person,
    bob: Person,
    /// What exists, for the hooks of `schemathesis`.
    known: Value,
    folder: TempDir,
}

impl World {
    async fn of(target: Target) -> Self {
        let server = target.start().await;
        let (ann, bob) = (server.signup().await, server.signup().await);
        let (cid, dot) = (server.signup().await, server.signup().await);
        let mut messages = Vec::new();
        for other in [&bob, &cid, &dot] {
            for i in 0..5 {
                messages.push(ann.say(other, &format!("text {i}")).await);
                let body =
                    json!({ "text": "look", "image": pictures::png_url(), "clientId": format!("key-{i}") });
                messages.push(other.post(&ann.inbox(), body).await.ok(201));
            }
        }
        messages.push(cid.say(&dot, "not for Ann").await);
        let ids: Vec<_> = messages.iter().map(|message| &message["_id"]).collect();
        // Those that nobody deletes, of Ann, by the other one of the conversation.
        let mut kept = serde_json::Map::new();
        for other in [&cid, &dot] {
            kept.insert(other.id().to_owned(), ann.say(other, "this stays").await["_id"].take());
        }
        let strangers = [server.signup().await, server.signup().await];
        // One that nobody deletes.
        let profile =
            cid.put("/api/auth/profile", json!({ "profilePic": pictures::png_url() })).await.ok(200);
        let known = json!({
            "askers": [ann.id(), bob.id()],
            "users": [cid.id(), dot.id()],
            "messages": ids,
            "kept": kept,
            "strangers": strangers.each_ref().map(|stranger| stranger.id()),
            "picture": profile["profilePic"].as_str().unwrap().rsplit('/').next(),
        });
        Self { server, ann, bob, known, folder: TempDir::new().unwrap() }
    }

    async fn all_is_as_described(&self, header: Header) {
        let apart = || APART.iter().chain(&GUARDED);
        let rows = self.rows().await - apart().count();
        let arguments: Vec<_> = apart().flat_map(|id| ["--exclude-operation-id", id]).collect();
        self.goes_well(header, rows, &arguments).await;
    }

    async fn refusals_are_as_described(&self, header: Header) {
        let mut arguments =
            vec!["--phases", "examples,coverage,fuzzing", "--exclude-checks", "positive_data_acceptance"];
        arguments.extend(GUARDED.iter().flat_map(|id| ["--include-operation-id", id]));
        self.is_as_described(header, GUARDED.len(), &arguments).await;
    }

    async fn the_rest_is_as_described(&self, header: Header) {
        // Nothing leads to them or from them, which the stateful phase would call an error.
        let mut arguments = vec!["--phases", "examples,coverage,fuzzing"];
        arguments.extend(APART.iter().flat_map(|id| ["--include-operation-id", id]));
        self.goes_well(header, APART.len(), &arguments).await;
    }

    /// And nothing is judged by its refusals alone.
    async fn goes_well(&self, header: Header, rows: usize, arguments: &[&str]) {
        let (report, text) = self.is_as_described(header, rows, arguments).await;
        for (operation, phases) in report["valid_rates"].as_object().unwrap() {
            let mut phases = phases.as_object().unwrap().values();
            assert!(phases.any(|phase| phase["accepted"] != 0), "{operation} never went well:\n{text}");
        }
    }

    /// How many operations are described.
    async fn rows(&self) -> usize {
        let document = self.server.client().fetch("/api/openapi.json").await;
        let document: Value = serde_json::from_slice(&document.bytes).unwrap();
        let paths = document["paths"].as_object().unwrap().values();
        paths.map(|path| path.as_object().unwrap().len()).sum()
    }

    /// Every check on so many operations, as Ann; Bob is there so that she can be kept out of what is his.
    async fn is_as_described(&self, header: Header, rows: usize, arguments: &[&str]) -> (Value, String) {
        let user = |(name, person): (&str, &Person)| {
            let (header, value) = header(&person.token);
            json!({ "name": name, "fixedHeaders": [{ "name": header, "value": value }] })
        };
        let people = [("ann", &self.ann), ("bob", &self.bob)].map(user);
        let auth = self.folder.path().join("auth.json");
        std::fs::write(&auth, json!({ "auth": people }).to_string()).unwrap();
        let program = tool("python/bin/schemathesis");
        let mut command = Command::new(program);
        command
            .arg("--config-file")
            .arg(python().join("schemathesis.toml"))
            .arg("run")
            .arg(self.server.client().url("/api/openapi.json"))
            .args(["--checks", "all", "--no-color", "--report", "json", "--report-json-path", "report.json"])
            .args(arguments)
            .env("CHAT_TEST_AUTH", auth)
            .env("CHAT_TEST_WORLD", self.known.to_string());
        let text = run(command, self.folder.path()).await;
        assert!(!text.contains(&self.ann.token), "the report shows a token");
        let report = std::fs::read(self.folder.path().join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["operations"]["tested"], rows, "{text}");
        (report, text)
    }
}

/// The folder of the Python programs.
fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// Runs it to its end; what it printed is what the test fails with.
async fn run(mut command: Command, folder: &Path) -> String {
    let output = command
        // It leaves things behind where it runs.
        .current_dir(folder)
        .env("PYTHONPATH", python())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{}:\n{text}", output.status);
    text
}

/// The logout would end the session of the run. The description itself is left out unless it is named.
const APART: [&str; 2] = ["logOut", "openapi"];

/// They want a secret that can't be made up, or end what the run stands on: how they go well, others test.
const GUARDED: [&str; 5] = ["changePassword", "resetPassword", "verifyEmail", "endSession", "forgotPassword"];

async fn it_is_as_described_to_a_bearer(target: Target) {
    World::of(target).await.all_is_as_described(bearer).await;
}

async fn it_is_as_described_to_a_cookie(target: Target) {
    World::of(target).await.all_is_as_described(cookie).await;
}

async fn what_is_guarded_refuses_as_described(target: Target) {
    World::of(target).await.refusals_are_as_described(bearer).await;
}

async fn the_logout_and_the_description_are_too(target: Target) {
    let mut world = World::of(target).await;
    for header in [bearer as Header, cookie] {
        world.ann = world.ann.login().await;
        world.the_rest_is_as_described(header).await;
        world.ann.get("/api/auth/me").await.refused(401, "unauthenticated");
    }
}

async fn the_document_is_openapi(target: Target) {
    let server = target.start().await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("openapi.json");
    std::fs::write(&path, server.client().fetch("/api/openapi.json").await.bytes).unwrap();
    let mut command = Command::new(tool("python/bin/openapi-spec-validator"));
    command.args(["--schema", "3.1"]).arg(path);
    let _ = run(command, folder.path()).await;
}

for_each_target!(
    it_is_as_described_to_a_bearer,
    it_is_as_described_to_a_cookie,
    what_is_guarded_refuses_as_described,
    the_logout_and_the_description_are_too,
    the_document_is_openapi,
);
