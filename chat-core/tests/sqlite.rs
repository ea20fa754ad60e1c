//! The embedded store: the conformance suite, and what is special about a file.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use chat_core::{
    ChatId, StoreError, UserId,
    store::{
        Chats, Messages, NewMessage, Notes, SqliteStore, Store, Users,
        conformance::{
            Harness,
            fixtures::{self, person},
        },
    },
};
use futures_util::FutureExt;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("chat.db")
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::open(self.file()).await.expect("the store opens")
    }

    /// The sentences of the error that opening gives.
    async fn refusal(&self) -> String {
        sentences(&SqliteStore::open(self.file()).await.expect_err("it must not open"))
    }
}

#[async_trait]
impl Harness for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store().await)
    }
}

chat_core::conformance_tests!(Folder::new());

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_in_one_call() {
    chat_core::store::conformance::run(async || Folder::new()).await;
}

fn sentences(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", sentences(source)));
    format!("{error}{}", source.unwrap_or_default())
}

async fn two_users(store: &SqliteStore) -> (UserId, UserId) {
    let (ann, bob) = (person("ann@example.com", "Ann"), person("bob@example.com", "Bob"));
    store.insert_user(&ann).await.unwrap();
    store.insert_user(&bob).await.unwrap();
    (ann.id, bob.id)
}

fn message(from: UserId, to: UserId, body: &str) -> NewMessage {
    NewMessage { body: Some(body.into()), ..fixtures::message(from, to) }
}

async fn send(store: &SqliteStore, from: UserId, to: UserId, body: &str) -> Result<u64, StoreError> {
    store.append(vec![message(from, to, body)]).await.remove(0).map(|appended| appended.into_record().seq)
}

#[tokio::test]
async fn one_opener_at_a_time() {
    let folder = Folder::new();
    let first = folder.store().await;
    let refusal = folder.refusal().await;
    assert_eq!(refusal, "the store is unavailable: another process has this database open");
    first.put_note("still", "works").await.unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.file(), folder.path("link.db")).unwrap();
        let error = SqliteStore::open(folder.path("link.db")).await.expect_err("it is the same file");
        assert!(sentences(&error).ends_with("another process has this database open"), "{error:?}");
    }
    first.close().await.unwrap();
    let second = folder.store().await;
    assert_eq!(second.note("still").await.unwrap().as_deref(), Some("works"));
    first.close().await.expect("closing again is fine");
}

/// What is not ours is refused with a sentence, and not a byte of it changes, nor is anything put beside it.
async fn refused_untouched(folder: &Folder, sentence: &str) {
    let before = std::fs::read(folder.file()).unwrap();
    let modified = || std::fs::metadata(folder.file()).unwrap().modified().unwrap();
    let was_modified = modified();
    assert_eq!(folder.refusal().await, format!("the store failed: {sentence}"));
    assert!(before == std::fs::read(folder.file()).unwrap(), "the file has changed");
    assert_eq!(modified(), was_modified);
    let entries = std::fs::read_dir(folder.0.path()).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["chat.db"], "something was put beside it");
}

#[tokio::test]
async fn a_foreign_file_is_left_alone() {
    let folder = Folder::new();
    let diary = b"Dear diary, ".repeat(1_000);
    for bytes in [b"x".as_slice(), b"SQLite format 3\0", &diary, &[0; 8_192]] {
        std::fs::write(folder.file(), bytes).unwrap();
        refused_untouched(&folder, "the file is not an SQLite database").await;
    }
}

#[tokio::test]
async fn a_database_of_another_application_is_left_alone() {
    let sentence = "the file is a database of another application";
    let folder = Folder::new();
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    connection.execute_batch("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('x')").unwrap();
    drop(connection);
    refused_untouched(&folder, sentence).await;
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    connection.pragma_update(None, "application_id", 1234).unwrap();
    drop(connection);
    refused_untouched(&folder, sentence).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = Folder::new();
    folder.store().await.close().await.unwrap();
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    connection.pragma_update(None, "user_version", 1_000).unwrap();
    drop(connection);
    let before = std::fs::read(folder.file()).unwrap();
    let refusal = folder.refusal().await;
    assert!(refusal.contains("made by a newer version of this program: its schema is 1000"), "{refusal}");
    assert!(before == std::fs::read(folder.file()).unwrap(), "the file has changed");
}

/// The version may stand in the log only: the program that wrote it was killed.
#[tokio::test]
async fn a_newer_schema_in_the_log_is_refused() {
    let (folder, copy) = (Folder::new(), Folder::new());
    folder.store().await.close().await.unwrap();
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    connection.pragma_update(None, "user_version", 1_000).unwrap();
    for name in ["chat.db", "chat.db-wal"] {
        std::fs::copy(folder.path(name), copy.path(name)).unwrap();
    }
    let before = std::fs::read(copy.file()).unwrap();
    assert_eq!(before[60..64], 3_u32.to_be_bytes(), "the header is the old one");
    let refusal = copy.refusal().await;
    assert!(refusal.contains("made by a newer version of this program"), "{refusal}");
    assert!(before == std::fs::read(copy.file()).unwrap(), "the file has changed");
}

#[tokio::test]
async fn paths_that_lead_nowhere() {
    let folder = Folder::new();
    for (path, sentence) in [
        (folder.path("no/such/folder.db"), "the folder of the database does not exist"),
        (folder.0.path().to_path_buf(), "the database file can't be read"),
        #[cfg(target_os = "linux")]
        ("/proc/chat.db".into(), "the folder of the database is missing or can't be written to by this user"),
    ] {
        let error = SqliteStore::open(path).await.expect_err("it must not open");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(sentences(&error).contains(sentence), "{}", sentences(&error));
    }
}

/// From nothing, from an empty file, and from a file of ours with no table in it.
#[tokio::test]
async fn tables_are_made_from_version_0() {
    for file in 0..3 {
        let folder = Folder::new();
        if file == 1 {
            std::fs::write(folder.file(), "").unwrap();
        }
        if file == 2 {
            let connection = rusqlite::Connection::open(folder.file()).unwrap();
            connection.pragma_update(None, "application_id", 0x4348_4154).unwrap();
        }
        let store = folder.store().await;
        let (ann, bob) = two_users(&store).await;
        assert_eq!(send(&store, ann, bob, "hi").await.unwrap(), 1);
        store.close().await.unwrap();
        let header = std::fs::read(folder.file()).unwrap();
        assert_eq!(header[60..64], 3_u32.to_be_bytes(), "the version");
        assert_eq!(&header[68..72], b"CHAT", "the application");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let store = folder.store().await;
    two_users(&store).await;
    for name in ["chat.db", "chat.db-wal", "chat.db-shm", "chat.db.lock"] {
        let mode = std::fs::metadata(folder.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// After `close` there is one file with all in it, and no log.
#[tokio::test]
async fn close_leaves_one_file() {
    let folder = Folder::new();
    let store = folder.store().await;
    let (ann, bob) = two_users(&store).await;
    // Not waited for: `close` comes behind them all the same.
    for _ in 0..100 {
        let _ = send(&store, ann, bob, "hi").now_or_never();
    }
    store.close().await.unwrap();
    assert!(!folder.path("chat.db-wal").exists(), "the log is in the file");
    let copy = Folder::new();
    std::fs::copy(folder.file(), copy.file()).unwrap();
    let page = copy.store().await.page(ChatId::direct(ann, bob), None, 1_000).await.unwrap();
    assert_eq!(page.len(), 100, "what waited was written");
}

/// Dropped without `close`, with calls still waiting: what was acknowledged is there, and the file opens again.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_without_close() {
    let folder = Folder::new();
    let store = folder.store().await;
    let (ann, bob) = two_users(&store).await;
    assert_eq!(send(&store, ann, bob, "hi").await.unwrap(), 1);
    let _ = send(&store, ann, bob, "dropped").now_or_never();
    let _ = store.user(ann).now_or_never();
    drop(store);
    let store = folder.store().await;
    assert_eq!(send(&store, ann, bob, "hi").await.unwrap(), 3, "what was in the queue was written");
}

/// What a kill leaves: the file and its log as they are at some moment.
#[tokio::test]
async fn killed() {
    let (folder, copy) = (Folder::new(), Folder::new());
    let store = folder.store().await;
    let (ann, bob) = two_users(&store).await;
    for n in 1..=100 {
        assert_eq!(send(&store, ann, bob, "hi").await.unwrap(), n);
    }
    for name in ["chat.db", "chat.db-wal", "chat.db-shm", "chat.db.lock"] {
        std::fs::copy(folder.path(name), copy.path(name)).unwrap();
    }
    let after = copy.store().await;
    assert_eq!(send(&after, bob, ann, "hi").await.unwrap(), 101, "the log goes on without a hole");
}

/// Writes until it fails, and checks that nothing is lost or left half-way; the seq of the last message.
async fn fill(store: &SqliteStore, ann: UserId, bob: UserId, body: &str) -> u64 {
    let mut last = send(store, ann, bob, "first").await.unwrap();
    let error = loop {
        match send(store, ann, bob, body).await {
            Ok(seq) => last = seq,
            Err(error) => break error,
        }
        assert!(last < 10_000, "it never gets full");
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(sentences(&error).contains("the disk is full"), "{}", sentences(&error));
    // The small one would find room; it fails with the others all the same, and takes no number with it.
    let small = message(bob, ann, "small");
    let call = [vec![small], (0..1_000).map(|_| message(ann, bob, body)).collect()].concat();
    let outcomes = store.append(call).await;
    assert_eq!(outcomes.len(), 1_001);
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::Unavailable(_)))),
        "{outcomes:?}"
    );
    let chat = ChatId::direct(ann, bob);
    let page = store.page(chat, None, 100_000).await.unwrap();
    assert_eq!(page.last().map(|message| message.seq), Some(last), "what was acknowledged, and nothing else");
    assert_eq!(page.len() as u64, last, "all of it");
    let state = store.chat(chat, ann).await.unwrap().unwrap();
    assert_eq!((state.last_seq, state.read_seq), (last, last), "no half of a call is left");
    last
}

/// Reading goes on, and writing too once there is room, without opening it again.
#[tokio::test]
async fn a_full_database() {
    let folder = Folder::new();
    let store = folder.store().await;
    let (ann, bob) = two_users(&store).await;
    // As large as it is now.
    store.limit_pages(1).await.unwrap();
    let body = "x".repeat(5_000);
    let last = fill(&store, ann, bob, &body).await;
    store.limit_pages(1_000_000).await.unwrap();
    assert_eq!(send(&store, ann, bob, &body).await.unwrap(), last + 1, "it works again, without a hole");
    let state = store.chat(ChatId::direct(ann, bob), bob).await.unwrap().unwrap();
    assert_eq!((state.last_seq, state.read_seq), (last + 1, 0), "what failed was not written later");
}

/// A small file system in memory, which only root can mount.
#[cfg(target_os = "linux")]
struct Mounted(PathBuf);

#[cfg(target_os = "linux")]
impl Mounted {
    fn new(folder: &Folder) -> Self {
        let mounted = Self(folder.0.path().to_owned());
        mounted.mount("size=2m");
        mounted
    }

    fn mount(&self, options: &str) {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(&self.0);
        assert!(mount.status().unwrap().success());
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Root may write to whatever is not mounted read-only, so for a test that anybody can run there is no such file.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "mounts a file system: needs root"]
async fn a_read_only_disk() {
    let folder = Folder::new();
    let mounted = Mounted::new(&folder);
    folder.store().await.close().await.unwrap();
    mounted.mount("remount,ro");
    let refusal = folder.refusal().await;
    let sentence =
        "the store is unavailable: the folder of the database is missing or can't be written to by this user";
    assert!(refusal.starts_with(sentence), "{refusal}");
}

/// The same as above on a disk that is really full.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "mounts a file system: needs root"]
async fn a_full_disk() {
    let folder = Folder::new();
    let _mounted = Mounted::new(&folder);
    let ballast = folder.path("ballast");
    std::fs::write(&ballast, vec![0; 500_000]).unwrap();
    let store = folder.store().await;
    let (ann, bob) = two_users(&store).await;
    let body = "x".repeat(5_000);
    let last = fill(&store, ann, bob, &body).await;
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(send(&store, ann, bob, &body).await.unwrap(), last + 1, "it works again, without a hole");
    fill(&store, ann, bob, &body).await;
    drop(store);
    let chat = ChatId::direct(ann, bob);
    let store = folder.store().await;
    assert!(store.page(chat, None, 100_000).await.unwrap().len() as u64 > last, "it opens on a full disk");
}

/// A failed call leaves the others of its transaction alone.
#[tokio::test(flavor = "multi_thread")]
async fn failures_keep_to_themselves() {
    let folder = Folder::new();
    let store = Arc::new(folder.store().await);
    let (ann, bob) = two_users(&store).await;
    let known = message(ann, bob, "known");
    store.append(vec![known.clone()]).await.remove(0).unwrap();
    let user = store.user(ann).await.unwrap().unwrap();
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let (store, known, user) = (Arc::clone(&store), known.clone(), user.clone());
            tokio::spawn(async move {
                match n % 4 {
                    // Its id is taken.
                    0 => store.append(vec![known]).await.remove(0).is_err(),
                    // Its e-mail is taken.
                    1 => store.insert_user(&user).await.is_err(),
                    2 => store.put_note("key", "value").await.is_ok(),
                    _ => send(&store, ann, bob, "fine").await.is_ok(),
                }
            })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    let page = store.page(known.chat_id, None, 1_000).await.unwrap();
    let seqs: Vec<_> = page.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, (1..=51).collect::<Vec<_>>());
}
