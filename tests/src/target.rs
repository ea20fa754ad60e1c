//! Which server program, on which store.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{LazyLock, Mutex},
};

use chat_test_servers::MongoDatabase;
use serde_json::Value;

use crate::Server;

/// One combination of a server program and a store that the suites run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The axum server on the embedded SQLite store.
    AxumSqlite,
    /// The axum server on MongoDB.
    AxumMongo,
    /// The warp server on the embedded SQLite store.
    WarpSqlite,
    /// The warp server on MongoDB.
    WarpMongo,
}

impl Target {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::AxumSqlite, Self::AxumMongo, Self::WarpSqlite, Self::WarpMongo];

    /// Its name, for failures and for the load tool.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AxumSqlite => "axum_sqlite",
            Self::AxumMongo => "axum_mongo",
            Self::WarpSqlite => "warp_sqlite",
            Self::WarpMongo => "warp_mongo",
        }
    }

    /// Whether its store is one that several processes may share.
    #[must_use]
    pub const fn is_on_mongo(self) -> bool {
        matches!(self, Self::AxumMongo | Self::WarpMongo)
    }

    /// The cargo package and the binary in it.
    const fn binary(self) -> (&'static str, &'static str) {
        match self {
            Self::AxumSqlite | Self::AxumMongo => ("chat-server", "server"),
            Self::WarpSqlite | Self::WarpMongo => ("chat-server-warp", "server-warp"),
        }
    }

    /// The database of one server, where it needs one beside its data folder.
    pub(crate) fn database(self) -> Option<MongoDatabase> {
        match self {
            // SQLite in DATA_DIR is the default: that it needs no setting is part of what is tested.
            Self::AxumSqlite | Self::WarpSqlite => None,
            Self::AxumMongo | Self::WarpMongo => Some(MongoDatabase::fresh()),
        }
    }

    /// The program, built once in this process with the profile of the tests.
    ///
    /// `CHAT_TEST_SERVER` names another program to be tested instead.
    #[must_use]
    pub fn program(self) -> PathBuf {
        static BUILT: LazyLock<Mutex<HashMap<(&str, &str), PathBuf>>> = LazyLock::new(Mutex::default);
        if let Some(program) = std::env::var_os("CHAT_TEST_SERVER") {
            return program.into();
        }
        let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        built.entry(self.binary()).or_insert_with(|| build(self.binary(), !cfg!(debug_assertions))).clone()
    }

    /// The program in release mode, for measuring.
    #[must_use]
    pub fn release_program(self) -> PathBuf {
        build(self.binary(), true)
    }

    /// A fresh server with an empty data folder and the shield off.
    pub async fn start(self) -> Server {
        Server::start(self, &[]).await
    }

    /// A fresh server with these settings on top; with a `DATABASE_URL` among them it gets no database of its own.
    pub async fn start_with(self, settings: &[(&str, &str)]) -> Server {
        Server::start(self, settings).await
    }
}

/// Builds a program of the workspace with the profile of the tests: for those that are clients.
#[must_use]
pub fn build_program(package: &str, binary: &str) -> PathBuf {
    build((package, binary), !cfg!(debug_assertions))
}

fn build((package, binary): (&str, &str), is_release: bool) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--package",
        package,
        "--bin",
        binary,
        "--message-format=json-render-diagnostics",
    ]);
    if is_release {
        command.arg("--release");
    }
    // What cargo says of this package to its tests: a build script that asks for it would run again, and all that
    // stands on it would be built anew each time, to and fro.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "building {package} failed: {}", output.status);
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| message["target"]["name"] == binary && message["executable"].is_string())
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap_or_else(|| panic!("package {package} has no binary {binary}"))
}
