//! The old application, and a server on its data.

use std::{path::Path, process::Stdio};

use chat_tests::{Client, DEADLINE, Person, Server, Signup, Target, Value, json};
use mongodb::{Collection, bson::Document};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// What the application encrypted with, as the server is told.
pub(crate) const OLD_KEYS: [(&str, &str); 3] = [
    ("LEGACY_CBC_KEY", "6b657920666f72206162632d6362632d33322d6279746573206f6620697421a1"),
    ("LEGACY_GCM_KEY", "6b657920666f72206165732d67636d2d33322d6279746573206f6620697421a2"),
    ("LEGACY_PASSPHRASE", "a passphrase of the old days: öß"),
];

/// The old application.
pub(crate) struct App {
    pub(crate) uri: String,
}

impl App {
    /// Runs one of its commands.
    pub(crate) async fn run(&self, command: &str, input: Value) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
        assert!(
            folder.join("node_modules/mongoose").is_dir(),
            "mongoose is not installed: run ./test.sh, or `npm ci` in tests/js"
        );
        let mut node = Command::new("node")
            .args(["mongoose-app.mjs", command])
            .current_dir(folder)
            .env("DATABASE_URL", &self.uri)
            .envs(["CBC_KEY", "GCM_KEY", "PASSPHRASE"].into_iter().zip(OLD_KEYS.map(|(_, key)| key)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is not installed: run ./test.sh");
        let mut stdin = node.stdin.take().unwrap();
        stdin.write_all(input.to_string().as_bytes()).await.unwrap();
        drop(stdin);
        let output =
            tokio::time::timeout(2 * DEADLINE, node.wait_with_output()).await.expect("it ends").unwrap();
        let (said, wrong) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{command}: {}\n{wrong}", output.status);
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{command}: {said}\n{wrong}"))
    }

    /// Makes users, each with the password that their name says.
    pub(crate) async fn users(&self, names: &[&str]) -> Vec<String> {
        let forms: Vec<Value> = names.iter().map(|name| form(name).json()).collect();
        ids(&self.run("users", json!(forms)).await)
    }

    pub(crate) async fn messages(&self, messages: &[Value]) -> Vec<String> {
        ids(&self.run("messages", json!(messages)).await)
    }

    /// What stands in the collection.
    pub(crate) async fn collection(&self, name: &str) -> Collection<Document> {
        let client = mongodb::Client::with_uri_str(&self.uri).await.unwrap();
        client.default_database().unwrap().collection(name)
    }

    pub(crate) async fn count(&self, filter: Document) -> u64 {
        self.collection("messages").await.count_documents(filter).await.unwrap()
    }
}

pub(crate) fn form(name: &str) -> Signup {
    Signup {
        email: format!("{}@example.org", name.to_lowercase()),
        full_name: name.to_owned(),
        password: format!("pw-{name}"),
    }
}

pub(crate) fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// So many seconds after a moment of the past.
pub(crate) fn at(seconds: i64) -> i64 {
    1_700_000_000_000 + 1000 * seconds
}

pub(crate) async fn server_on(target: Target, uri: &str, more: &[(&str, &str)]) -> Server {
    let mut settings = vec![("DATABASE_URL", uri)];
    settings.extend(more);
    target.start_with(&settings).await
}

pub(crate) async fn login(client: &Client, name: &str) -> Person {
    Person::login_as(client, form(name)).await
}

pub(crate) fn texts(messages: &[Value]) -> Vec<Option<&str>> {
    messages.iter().map(|message| message["text"].as_str()).collect()
}
