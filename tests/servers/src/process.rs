//! A server process that does not outlive the test, however the test ends.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// Kills the server as soon as its own standard input ends, which it does when the test's process is gone: also after
/// a SIGKILL, when nobody is there to clean up. Then it waits until the server has ended.
const KEEPER: &str = r#""$@" & echo "pid $!"; read -r _; kill -9 $!; wait $!"#;

/// A running server, and the shell that looks after it.
#[derive(Debug)]
pub(crate) struct Process {
    keeper: Child,
    /// Closed, the server ends.
    line: Option<ChildStdin>,
    server: Pid,
}

impl Process {
    /// Starts it and returns what it prints after `ready`, up to the end of that line; `Err` with all that it printed
    /// when it ends before that.
    pub(crate) fn start(
        program: &Path,
        arguments: &[OsString],
        ready: &str,
    ) -> Result<(Self, String), String> {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the test.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let line = keeper.stdin.take();
        let mut output = BufReader::new(keeper.stdout.take().expect("it is piped"));
        let (mut server, mut address, mut said) = (None, None, String::new());
        while server.is_none() || address.is_none() {
            let mut text = String::new();
            if output.read_line(&mut text).expect("what it prints") == 0 {
                break;
            }
            if let Some(pid) = text.strip_prefix("pid ") {
                server = pid.trim().parse().ok().and_then(Pid::from_raw);
            } else if let Some((_, rest)) = text.split_once(ready) {
                address = Some(rest.trim().to_owned());
            }
            said.push_str(&text);
        }
        // Whatever it still prints must not fill the pipe, nor break it.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        match (server, address) {
            (Some(server), Some(address)) => Ok((Self { keeper, line, server }, address)),
            _ => {
                drop(line);
                let _ = keeper.wait();
                Err(said)
            }
        }
    }

    /// SIGSTOP, and every thread of it stands still: one that is on another core goes on for a moment.
    pub(crate) fn pause(&self) {
        kill_process(self.server, Signal::STOP).expect("the server runs");
        let tasks = format!("/proc/{}/task", self.server.as_raw_nonzero());
        let is_stopped = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
        };
        // Where there is no /proc, it has to be believed.
        while std::fs::read_dir(&tasks).is_ok_and(|mut all| !all.all(|task| task.is_ok_and(is_stopped))) {
            std::thread::yield_now();
        }
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        kill_process(self.server, Signal::CONT).expect("the server runs");
    }
}

impl Drop for Process {
    /// SIGKILL, and it is gone.
    fn drop(&mut self) {
        drop(self.line.take());
        let _ = self.keeper.wait();
    }
}
