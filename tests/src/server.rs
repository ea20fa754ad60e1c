//! A server process of one's own.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use chat_test_servers::MongoDatabase;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{Client, DEADLINE, PASSWORD_MARK, Person, Target, until};

/// Where a server listens now; changes with a restart, and its clients follow.
pub(crate) type Base = Arc<RwLock<String>>;

/// A running server with a data folder and a log of its own; dropped, it is killed and its log is looked through.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    settings: Vec<(String, String)>,
    child: Option<Child>,
    base: Base,
    http: reqwest::Client,
    dir: TempDir,
    /// It lives as long as the last server on it.
    database: Option<Arc<MongoDatabase>>,
}

impl Server {
    pub(crate) async fn start(target: Target, settings: &[(&str, &str)]) -> Self {
        Self::start_program(target.program(), target, settings).await
    }

    /// Starts this program instead of the one that the target would build.
    pub async fn start_program(program: PathBuf, target: Target, settings: &[(&str, &str)]) -> Self {
        let is_database_given = settings.iter().any(|(key, _)| *key == "DATABASE_URL");
        let database = if is_database_given { None } else { target.database() };
        let mut all: Vec<(String, String)> =
            database.iter().map(|database| ("DATABASE_URL".to_owned(), database.uri())).collect();
        let defaults =
            [("HOST", "127.0.0.1"), ("PORT", "0"), ("SHIELD", "off"), ("RUST_LOG", "info,chat_core=debug")];
        for (key, value) in defaults.iter().chain(settings) {
            all.retain(|(present, _)| present != key);
            all.push(((*key).to_owned(), (*value).to_owned()));
        }
        Self::with(program, all, database.map(Arc::new)).await
    }

    /// One more process with the same settings, and so on the same database, with a data folder of its own. To read
    /// and to let in the same, both need the same `JWT_SECRET` and `ENCRYPTION_KEYS`.
    pub async fn beside(&self) -> Self {
        for needed in ["JWT_SECRET", "ENCRYPTION_KEYS"] {
            assert!(self.settings.iter().any(|(key, _)| key == needed), "{needed} is not among the settings");
        }
        Self::with(self.program.clone(), self.settings.clone(), self.database.clone()).await
    }

    async fn with(
        program: PathBuf,
        settings: Vec<(String, String)>,
        database: Option<Arc<MongoDatabase>>,
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("chat-test-").tempdir().unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(2 * DEADLINE)
            .build()
            .unwrap();
        let mut server = Self { program, settings, child: None, base: Base::default(), http, dir, database };
        server.launch().await;
        server
    }

    /// Starts it again, on the same data and on a new port; whatever runs is terminated before.
    pub async fn restart(&mut self) {
        if self.child.is_some() {
            self.terminate().await;
        }
        self.launch().await;
    }

    /// SIGKILL, and it is gone.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }

    /// SIGTERM, and what it exits with.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal_term();
        self.wait().await
    }

    /// Sends SIGTERM and does not wait.
    pub fn signal_term(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("the server runs");
        let status =
            tokio::time::timeout(DEADLINE, child.wait()).await.expect("the server does not end").unwrap();
        self.child = None;
        status
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("the server runs")
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        self.base.read().unwrap().clone()
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        self.url().trim_start_matches("http://").to_owned()
    }

    /// Somebody who is not signed in.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.http.clone(), self.base.clone())
    }

    /// Somebody new, signed up and signed in by cookie.
    pub async fn signup(&self) -> Person {
        Person::signup(&self.client()).await
    }

    /// The folder that `DATA_DIR` names.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Its database, on a target that has one.
    ///
    /// # Panics
    /// On another target, and where the test gave a `DATABASE_URL` itself.
    #[must_use]
    pub fn mongo(&self) -> &MongoDatabase {
        self.database.as_deref().expect("a MongoDB database of its own")
    }

    /// All that it has printed so far, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log_path())
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    async fn launch(&mut self) {
        let log: File = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let seen = self.log().len();
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(["PATH", "HOME", "TMPDIR"].iter().filter_map(|key| Some((key, std::env::var_os(key)?))))
            .env("DATA_DIR", self.data_dir())
            .envs(self.settings.iter().map(|(key, value)| (key, value)))
            // No `.env` of the developer's.
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let log = self.log_path();
        let url = until("the server to print its address", || {
            let text = read(&log).split_off(seen);
            let exit = child.try_wait().unwrap();
            async move {
                assert!(exit.is_none(), "the server ended at its start: {exit:?}\n{text}");
                let (_, rest) = text.split_once("listening on http://")?;
                // The line has to be whole, or the port may be cut.
                let (line, _) = rest.split_once('\n')?;
                let address: String =
                    line.chars().take_while(|c| c.is_ascii_hexdigit() || ".:[]".contains(*c)).collect();
                Some(format!("http://{address}"))
            }
        })
        .await;
        *self.base.write().unwrap() = url;
        self.child = Some(child);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.start_kill();
            let start = Instant::now();
            // Until it is gone, its data folder cannot be removed.
            while matches!(child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let log = self.log();
        if std::thread::panicking() {
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(60);
            eprintln!(
                "--- end of the server's log ---\n{}\n---",
                lines.get(from..).unwrap_or_default().join("\n")
            );
            return;
        }
        for (secret, what) in [
            (PASSWORD_MARK, "a password"),
            ("$2a$", "a password hash"),
            ("$2b$", "a password hash"),
            ("eyJ", "a token"),
            ("panicked at", "a panic"),
        ] {
            if let Some(line) = log.lines().find(|line| line.contains(secret)) {
                panic!("the server's log shows {what}: {line}");
            }
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
