//! A server that speaks MongoDB's protocol, on a folder of its own.

use std::{ffi::OsString, path::Path};

use tempfile::TempDir;

use crate::{ports, process::Process, tool};

const PROGRAM: &str = "secantus-mdb-0.5.3-beta.196/bin/secantusd-rs";
/// Another process may take a port between the look and the start.
const ATTEMPTS: usize = 20;

/// A server of one's own; dropped, it is killed and its data are removed.
///
/// It keeps its data and its port over [`kill`](Self::kill) and [`restart`](Self::restart). What it has acknowledged,
/// it has written: `j: true` holds.
#[derive(Debug)]
pub struct MongoServer {
    // Before the folder: fields are dropped in this order.
    process: Option<Process>,
    folder: TempDir,
    port: u16,
}

impl MongoServer {
    /// Starts one without data, and waits until it listens.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("chat-test-mongo-").tempdir().unwrap();
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let port = ports::pick();
            match launch(folder.path(), port) {
                Ok(process) => return Self { process: Some(process), folder, port },
                Err(text) => said = text,
            }
        }
        panic!("the server ends at its start: {said}");
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URI of a database on it.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        format!("mongodb://{}/{database}?directConnection=true", self.address())
    }

    /// SIGKILL, and it is gone. Nothing happens when it is gone already.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, on the same data and the same port; if it runs, it is killed before.
    pub fn restart(&mut self) {
        self.kill();
        let process = launch(self.folder.path(), self.port);
        self.process = Some(process.unwrap_or_else(|said| panic!("the server does not start again: {said}")));
    }

    /// SIGSTOP: it is there, and does not answer.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// SIGCONT: it goes on.
    pub fn resume(&self) {
        self.running().resume();
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }
}

fn launch(folder: &Path, port: u16) -> Result<Process, String> {
    let mut arguments: Vec<OsString> = ["--host", "127.0.0.1", "--port"].map(OsString::from).into();
    arguments.extend([port.to_string().into(), "--storage-path".into(), folder.join("data").into()]);
    // An fsync for each commit, the commands that make faults, and little space: there are many of them.
    let flags =
        "--sync-on-commit --enable-test-commands --log-file-max 10MB --cache-size 64M --log-level WARNING";
    arguments.extend(flags.split(' ').map(OsString::from));
    let (process, address) = Process::start(&tool(PROGRAM), &arguments, "listening on ")?;
    assert_eq!(address, format!("127.0.0.1:{port}"), "where it listens");
    Ok(process)
}
