//! The terminal client, line by line, against a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex},
};

use chat_tests::{
    DEADLINE, Person, Server, Target, Value, build_program, json,
    proxy::{Cut, Proxy},
    tests_on, until,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| build_program("terminal-chat", "terminal-chat"));

/// Somebody at a terminal client in line mode.
struct Terminal {
    child: Child,
    input: Option<ChildStdin>,
    printed: Arc<Mutex<Vec<String>>>,
    /// Lines up to here were seen.
    seen: usize,
}

impl Terminal {
    fn start(server: &Server, email: &str, password: &str, more: &[&str]) -> Self {
        Self::start_at(&server.url(), email, password, more)
    }

    fn start_at(url: &str, email: &str, password: &str, more: &[&str]) -> Self {
        let mut child = Command::new(&*PROGRAM)
            .arg(url)
            .args(["--plain", "--email", email])
            .args(more)
            .env("CHAT_PASSWORD", password)
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let printed = Arc::default();
        collect(child.stdout.take().unwrap(), &printed);
        collect(child.stderr.take().unwrap(), &printed);
        Self { input: child.stdin.take(), child, printed, seen: 0 }
    }

    /// Signed in, and connected.
    async fn of(server: &Server, person: &Person) -> Self {
        let mut terminal = Self::start(server, &person.form.email, &person.form.password, &[]);
        terminal.sees("* connected").await;
        terminal
    }

    /// The same behind a proxy, by which it can be cut off.
    async fn behind(proxy: &Proxy, person: &Person) -> Self {
        let url = format!("http://{}", proxy.address());
        let mut terminal = Self::start_at(&url, &person.form.email, &person.form.password, &[]);
        terminal.sees("* connected").await;
        terminal
    }

    /// Cuts it off, and lets it not come back.
    async fn loses(&mut self, proxy: &Proxy) {
        proxy.set_target(None);
        proxy.cut_all(Cut::Reset);
        self.sees("* no connection: ").await;
    }

    async fn types(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn talks_to(&mut self, person: &Person) {
        self.types(&format!("/to {}", person.form.email)).await;
        self.sees(&format!("* talking to {} ", person.form.full_name)).await;
    }

    /// Waits for a line that holds this, behind those that were seen before.
    async fn sees(&mut self, part: &str) -> String {
        let (printed, seen) = (self.printed.clone(), self.seen);
        let (at, line) = until(&format!("{part:?} on a terminal"), || {
            let lines = printed.lock().unwrap().clone();
            let found = lines.iter().enumerate().skip(seen).find(|(_, line)| line.contains(part));
            let found = found.map(|(at, line)| (at, line.clone()));
            async move { found }
        })
        .await;
        self.seen = at + 1;
        line
    }

    /// Waits for `HH:MM name: text`.
    async fn sees_message(&mut self, from: &Person, text: &str) {
        let line = self.sees(&format!(" {}: {text}", from.form.full_name)).await;
        let (time, _) = line.split_once(' ').unwrap();
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(form, "00:00", "{line}");
    }

    /// How many lines hold this, of all.
    fn count(&self, part: &str) -> usize {
        self.printed.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// The end of the input, and what the program exits with.
    async fn ends(mut self) -> (ExitStatus, Vec<String>) {
        drop(self.input.take());
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it ends").unwrap();
        (status, std::mem::take(&mut *self.printed.lock().unwrap()))
    }
}

fn collect(from: impl AsyncRead + Send + Unpin + 'static, into: &Arc<Mutex<Vec<String>>>) {
    let (mut lines, into) = (BufReader::new(from).lines(), into.clone());
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            into.lock().unwrap().push(line);
        }
    });
}

async fn talking(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    ann.say(&bob, "from before").await;
    bob.say(&ann, "\x1b[2J\x1b]0;title\x07in\u{202e} red\n12:00 forged: line").await;
    let name = |person: &Person| person.form.full_name.clone();

    let mut at_ann = Terminal::of(&server, &ann).await;
    let mut at_bob = Terminal::of(&server, &bob).await;
    at_ann.sees(&format!("* {} is online", name(&bob))).await;
    at_ann.types("/who").await;
    at_ann.sees(&format!("* {} <{}>: online, 1 unread", name(&bob), bob.form.email)).await;

    // History, and nothing in it that a terminal would obey.
    at_ann.talks_to(&bob).await;
    at_ann.types("/history").await;
    at_ann.sees_message(&ann, "from before").await;
    at_ann.sees_message(&bob, "in red ⏎ 12:00 forged: line").await;
    at_ann.types("/who").await;
    at_ann.sees(&format!("<{}>: online", bob.form.email)).await;
    assert_eq!(at_ann.count("1 unread"), 1, "opened, it is read");

    at_bob.talks_to(&ann).await;
    at_ann.types("/typing").await;
    at_bob.sees(&format!("* {} is typing", name(&ann))).await;
    at_ann.types("hello, Bob").await;
    at_ann.sees_message(&ann, "hello, Bob").await;
    at_bob.sees_message(&ann, "hello, Bob").await;
    at_bob.types("hello, Ann").await;
    at_ann.sees_message(&bob, "hello, Ann").await;

    at_bob.types("/delete").await;
    at_ann.sees(&format!("* {} deleted a message", name(&bob))).await;
    at_ann.types("/history").await;
    at_ann.sees_message(&bob, "[deleted]").await;

    let (status, _) = at_bob.ends().await;
    assert!(status.success());
    at_ann.sees(&format!("* {} is offline", name(&bob))).await;
    at_ann.types("/quit").await;
    let (status, lines) = at_ann.ends().await;
    assert!(status.success());
    assert!(!lines.concat().contains(|c: char| c.is_control() || c == '\u{202e}'), "{lines:#?}");
}

async fn coming_back(target: Target) {
    let mut server = target.start_with(&[("PORT", &free_port())]).await;
    let (ann, bob, carl) = (server.signup().await, server.signup().await, server.signup().await);
    let mut at_ann = Terminal::of(&server, &ann).await;
    let mut at_bob = Terminal::of(&server, &bob).await;
    at_ann.talks_to(&bob).await;
    at_bob.talks_to(&ann).await;
    at_ann.types("before").await;
    at_bob.sees_message(&ann, "before").await;

    server.kill().await;
    at_ann.sees("* no connection: ").await;
    at_bob.sees("* no connection: ").await;
    for text in ["away 1", "away 2", "away 3"] {
        at_ann.types(text).await;
    }
    server.restart().await;
    // Somebody who is faster than the clients: they get by the history what they were not there for.
    carl.say(&bob, "while you were away").await;
    at_bob.sees("* connected").await;
    at_ann.sees("* connected").await;
    at_ann.sees_message(&ann, "away 3").await;
    at_bob.sees_message(&ann, "away 3").await;
    at_bob.types("after").await;
    at_ann.sees_message(&bob, "after").await;

    let kept = ann.conversation(&bob).await;
    assert_eq!(chat_tests::shape::texts(&kept, "text"), ["before", "away 1", "away 2", "away 3", "after"]);
    until("what Carl wrote", || {
        let count = at_bob.count("while you were away");
        async move { (count > 0).then_some(()) }
    })
    .await;
    for terminal in [at_ann, at_bob] {
        let (status, lines) = terminal.ends().await;
        assert!(status.success());
        let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
        let counts = ["before", ": away 1", ": away 2", ": away 3", ": after"].map(count);
        assert_eq!(counts, [1; 5], "each once: {lines:#?}");
        assert!(count("while you were away") <= 1, "{lines:#?}");
    }
}

/// What changed meanwhile is told, also of what is not open; what was hidden on another device is not waited for.
async fn going_on(target: Target) {
    let server = target.start().await;
    let (ann, bob, carl) = (server.signup().await, server.signup().await, server.signup().await);
    let proxy = Proxy::to(server.address().parse().unwrap()).await;
    let mut at_bob = Terminal::behind(&proxy, &bob).await;
    let path = |message: &Value| format!("/api/messages/{}", message["_id"].as_str().unwrap());
    let hide = async |message: &Value| {
        assert_eq!(bob.delete(&format!("{}?for=me", path(message))).await.ok(200), Value::Null);
    };
    let (typo, slip) = (carl.say(&bob, "tpyo").await, carl.say(&bob, "slip").await);
    at_bob.sees_message(&carl, "slip").await;
    at_bob.talks_to(&ann).await;
    ann.say(&bob, "one").await;
    at_bob.sees_message(&ann, "one").await;

    at_bob.loses(&proxy).await;
    let _ = carl.put(&path(&typo), json!({ "text": "typo" })).await.ok(200);
    let _ = carl.delete(&path(&slip)).await.ok(200);
    hide(&ann.say(&bob, "two").await).await;
    ann.say(&bob, "three").await;
    hide(&bob.say(&ann, "mine, elsewhere").await).await;
    ann.say(&bob, "four").await;
    proxy.set_target(Some(server.address().parse().unwrap()));
    at_bob.sees("* connected").await;
    at_bob.sees(&format!("* {} edited a message: typo", carl.form.full_name)).await;
    at_bob.sees(&format!("* {} deleted a message", carl.form.full_name)).await;
    at_bob.sees_message(&ann, "three").await;
    at_bob.sees_message(&ann, "four").await;

    // And while it is there.
    let five = ann.say(&bob, "five").await;
    at_bob.sees_message(&ann, "five").await;
    hide(&five).await;
    ann.say(&bob, "six").await;
    at_bob.sees_message(&ann, "six").await;
    at_bob.types("/history").await;
    at_bob.sees_message(&ann, "four").await;
    at_bob.sees_message(&ann, "six").await;

    let (status, lines) = at_bob.ends().await;
    assert!(status.success());
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    let counts = [": two", "elsewhere", ": five", "edited", "deleted", "! "].map(count);
    assert_eq!(counts, [0, 0, 1, 1, 1, 0], "{lines:#?}");
}

/// The server has lost what was told: everything is loaded anew, and it goes on from there.
async fn beginning_anew(target: Target) {
    let mut server = target.start().await;
    let (ann, bob, carl) = (server.signup().await, server.signup().await, server.signup().await);
    ann.say(&bob, "in the backup").await;
    assert!(server.terminate().await.success());
    let (file, copy) = (server.data_dir().join("chat.db"), server.data_dir().join("copy.db"));
    std::fs::copy(&file, &copy).unwrap();
    server.restart().await;
    let proxy = Proxy::to(server.address().parse().unwrap()).await;
    let mut at_bob = Terminal::behind(&proxy, &bob).await;
    for n in 0..5 {
        let text = format!("lost with the disk {n}");
        ann.say(&bob, &text).await;
        at_bob.sees_message(&ann, &text).await;
    }
    at_bob.loses(&proxy).await;
    assert!(server.terminate().await.success());
    for rest in ["chat.db-wal", "chat.db-shm"] {
        let _ = std::fs::remove_file(server.data_dir().join(rest));
    }
    std::fs::copy(&copy, &file).unwrap();
    server.restart().await;
    let (ann, bob, carl) = (ann.at(&server), bob.at(&server), carl.at(&server));
    carl.say(&bob, "while you were away").await;
    proxy.set_target(Some(server.address().parse().unwrap()));
    at_bob.sees("* connected").await;
    at_bob.sees_message(&carl, "while you were away").await;
    carl.say(&bob, "live").await;
    at_bob.sees_message(&carl, "live").await;
    at_bob.loses(&proxy).await;
    carl.say(&bob, "once more").await;
    proxy.set_target(Some(server.address().parse().unwrap()));
    at_bob.sees_message(&carl, "once more").await;
    at_bob.talks_to(&ann).await;
    at_bob.types("/history").await;
    at_bob.sees_message(&ann, "in the backup").await;
    let (status, lines) = at_bob.ends().await;
    assert!(status.success());
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!([": while", ": live", ": once more"].map(count), [1; 3], "{lines:#?}");
}

/// The last word of a pipe is sent, though the input ends at once, and though the server is away for a moment.
async fn the_end_of_the_input(target: Target) {
    let mut server = target.start_with(&[("PORT", &free_port())]).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let mut at_ann = Terminal::of(&server, &ann).await;
    at_ann.talks_to(&bob).await;
    server.kill().await;
    at_ann.sees("* no connection: ").await;
    at_ann.types("one").await;
    at_ann.types("two").await;
    let ((status, lines), ()) = tokio::join!(at_ann.ends(), server.restart());
    assert!(status.success(), "{lines:#?}");
    assert_eq!(chat_tests::shape::texts(&ann.conversation(&bob).await, "text"), ["one", "two"]);
}

async fn signing_in(target: Target) {
    let mut server = target.start_with(&[("PORT", &free_port())]).await;
    let ann = server.signup().await;
    let (email, password) = ("zoe@example.org", "a long password of Zoe's");
    let (status, lines) = Terminal::start(&server, &ann.form.email, "wrong password", &[]).ends().await;
    assert!(!status.success() && lines.concat().contains("Wrong e-mail or password."), "{lines:#?}");

    let mut zoe = Terminal::start(&server, email, password, &["--sign-up", "--name", "Zoe"]);
    zoe.sees("* signed in as Zoe").await;
    zoe.types("hello?").await;
    zoe.sees("! nobody to talk to").await;
    zoe.types("/to nobody-of-that-name").await;
    zoe.sees("! there is nobody called").await;
    assert!(zoe.ends().await.0.success());
    let (status, lines) =
        Terminal::start(&server, email, password, &["--sign-up", "--name", "Zoe"]).ends().await;
    assert!(!status.success() && lines.concat().contains("already in use"), "{lines:#?}");

    // The server forgets all logins: that is for good, and no reason to knock for ever.
    let mut zoe = Terminal::start(&server, email, password, &[]);
    zoe.sees("* connected").await;
    server.kill().await;
    zoe.sees("* no connection: ").await;
    std::fs::remove_file(server.data_dir().join("jwt-secret")).unwrap();
    server.restart().await;
    zoe.sees("* signed out: ").await;
    assert!(!zoe.ends().await.0.success());
}

/// Given explicitly, it stays the same after a restart.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

tests_on!(axum_sqlite = AxumSqlite: talking, coming_back, going_on, beginning_anew, the_end_of_the_input, signing_in);
