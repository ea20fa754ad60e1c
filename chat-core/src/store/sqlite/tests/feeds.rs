//! Feeds that grow old, writes that fail, and notes to oneself.

use std::path::PathBuf;

use futures_util::future::join_all;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::super::{SqliteStore, feeds::TRIMMED};
use crate::{
    StoreError, UserId,
    store::{
        Appended, Change, Chats, Feeds, Mark, MarkKind, MessageChange, Messages, NewMessage, Result, Store,
        Users,
        conformance::fixtures::{at, message, person},
    },
};

/// A store on a file, with two accounts.
struct Fixture {
    folder: TempDir,
    store: SqliteStore,
    ann: UserId,
    bob: UserId,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("chat.db")).await.unwrap();
        let [ann, bob] = ["ann", "bob"].map(|name| person(&format!("{name}@example.com"), name));
        let fixture = Self { folder, store, ann: ann.id, bob: bob.id };
        fixture.store.insert_user(&ann).await.unwrap();
        fixture.store.insert_user(&bob).await.unwrap();
        fixture
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("chat.db")
    }

    fn message(&self, to: UserId, body: &str) -> NewMessage {
        NewMessage { body: Some(body.into()), ..message(self.ann, to) }
    }

    async fn send(&self, body: &str) -> Result<Appended> {
        self.store.append(vec![self.message(self.bob, body)]).await.remove(0)
    }

    /// What stands in a feed, whose positions must count from 1.
    async fn feed(&self, user: UserId) -> Vec<Change> {
        let entries = self.store.feed(user, 0, usize::MAX).await.unwrap().expect("it goes back to the first");
        for (expected, entry) in (1..).zip(&entries) {
            assert_eq!(entry.position, expected);
        }
        entries.iter().map(|entry| entry.change).collect()
    }
}

/// The newest stay, so many at least and not many more; what was removed can't be read past.
#[tokio::test]
async fn old_entries_are_removed() {
    const KEPT: u64 = 100;
    const SENT: u64 = 16 * TRIMMED;
    let fixture = Fixture::new().await;
    fixture.store.keep_entries(KEPT).await.unwrap();
    for end in (TRIMMED..=SENT).step_by(usize::try_from(TRIMMED).unwrap()) {
        for sent in join_all((0..TRIMMED).map(|_| fixture.send("hi"))).await {
            sent.unwrap();
        }
        let oldest = fixture.store.feed(fixture.bob, end.saturating_sub(KEPT), 1).await.unwrap();
        assert!(oldest.is_some_and(|oldest| oldest.len() == 1), "nothing is removed too early, at {end}");
    }
    let Fixture { folder, store, ann, bob } = fixture;
    for store in [store, {
        let copy = folder.path().join("copy.db");
        std::fs::copy(folder.path().join("chat.db"), &copy).unwrap();
        std::fs::copy(folder.path().join("chat.db-wal"), folder.path().join("copy.db-wal")).unwrap();
        SqliteStore::open(copy).await.unwrap()
    }] {
        for user in [ann, bob] {
            assert_eq!(store.feed_end(user).await.unwrap(), SENT);
            let newest = store.feed(user, SENT - KEPT, usize::MAX).await.unwrap().expect("so many are kept");
            let positions: Vec<_> = newest.iter().map(|entry| entry.position).collect();
            assert_eq!(positions, (SENT - KEPT + 1..=SENT).collect::<Vec<_>>());
            let mut first = SENT - KEPT;
            while store.feed(user, first - 1, 1).await.unwrap().is_some() {
                first -= 1;
            }
            assert!(SENT - first < KEPT + TRIMMED, "not many more: {}", SENT - first);
            for after in 0..first {
                assert_eq!(
                    store.feed(user, after, 1).await.unwrap(),
                    None,
                    "after {after} something is gone"
                );
            }
        }
        store.close().await.unwrap();
    }
}

/// What was rolled back leaves no hole: neither what found the disk full, nor what was written along with it.
#[tokio::test]
async fn a_failed_write_leaves_no_hole() {
    let fixture = Fixture::new().await;
    fixture.send("first").await.unwrap();
    fixture.store.limit_pages(1).await.unwrap();
    let large = "x".repeat(5_000);
    let (mut sent, mut failed) = (1, 0);
    while failed < 100 {
        // What waits for the first of them shares a transaction: what is small is written, and undone with the rest.
        let calls = (0..20).map(|n| fixture.send(if n % 2 == 0 { "small" } else { &large }));
        for outcome in join_all(calls).await {
            match outcome {
                Ok(_) => sent += 1,
                Err(StoreError::Unavailable(_)) => failed += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    fixture.store.limit_pages(1_000_000).await.unwrap();
    let Ok(Appended::New { message, places }) = fixture.send(&large).await else { panic!("there is room") };
    sent += 1;
    assert_eq!(message.seq, sent);
    assert!(places.iter().all(|place| place.position == Some(sent)), "{places:?}");
    let chat = message.chat_id;
    let expected: Vec<_> = (1..=sent).map(|seq| Change::Sent { chat, from: seq, to: seq }).collect();
    assert_eq!(fixture.feed(fixture.ann).await, expected);
    assert_eq!(fixture.feed(fixture.bob).await, expected);
}

/// Where a feed can't be written to, the change is undone: there is no change that nobody is told of.
#[tokio::test]
async fn what_cannot_be_told_does_not_happen() {
    let fixture = Fixture::new().await;
    let Ok(Appended::New { message: sent, .. }) = fixture.send("first").await else { panic!("it is new") };
    let (store, chat) = (&fixture.store, sent.chat_id);
    // Somebody else takes the place that comes next, in the feed that is written last.
    let other = Connection::open(fixture.file()).unwrap();
    let take = || {
        let members = &[fixture.ann, fixture.bob];
        for member in members {
            let taken = "INSERT INTO feeds (user_id, position, kind, message_id)
                 SELECT ?1, max(position) + 1, 'hidden', ?2 FROM feeds WHERE user_id = ?1";
            other.execute(taken, params![member.as_bytes(), sent.id.as_bytes()]).unwrap();
        }
    };
    take();
    assert!(fixture.send("second").await.is_err());
    assert_eq!(store.page(chat, None, 10).await.unwrap(), std::slice::from_ref(&sent), "it was not appended");
    fixture.send("second").await.expect("it looks where the feed ends");
    let before = store.page(chat, None, 10).await.unwrap();
    take();
    let edit = || MessageChange::Edit { body: Some("edited".into()) };
    store.change_message(sent.id, edit(), at(10)).await.unwrap_err();
    assert_eq!(store.page(chat, None, 10).await.unwrap(), before, "it was not edited");
    assert!(store.change_message(sent.id, edit(), at(10)).await.unwrap().unwrap().is_change);
    let before = store.page(chat, None, 10).await.unwrap();
    take();
    store.delete_message(sent.id, at(20)).await.unwrap_err();
    assert_eq!(store.page(chat, None, 10).await.unwrap(), before, "it was not deleted");
    assert!(store.delete_message(sent.id, at(20)).await.unwrap().unwrap().is_first);
    take();
    let mark = Mark { chat, user: fixture.bob, kind: MarkKind::Read, up_to: None, is_shown: true };
    store.mark(&mark).await.unwrap_err();
    assert_eq!(store.chat(chat, fixture.bob).await.unwrap().unwrap().read_seq, 0, "it was not marked");
    assert_eq!(store.mark(&mark).await.unwrap().unwrap().after.read_seq, 2);

    let (seconds, hidden) = (Change::Sent { chat, from: 2, to: 2 }, Change::Hidden(sent.id));
    let firsts = Change::Sent { chat, from: 1, to: 1 };
    let (edited, deleted) = (Change::Edited(sent.id), Change::Deleted(sent.id));
    let marked = Change::Marked { chat, user: fixture.bob };
    for user in [fixture.ann, fixture.bob] {
        let expected = [firsts, hidden, seconds, hidden, edited, hidden, deleted, hidden, marked];
        assert_eq!(fixture.feed(user).await, expected);
    }
}

/// A chat with oneself has one member, who is told once.
#[tokio::test]
async fn a_note_to_oneself_is_told_once() {
    let fixture = Fixture::new().await;
    for seq in 1..=3 {
        let note = fixture.message(fixture.ann, "a note");
        let outcome = fixture.store.append(vec![note]).await.remove(0);
        let Ok(Appended::New { message, places }) = outcome else { panic!("it is new") };
        assert_eq!((message.seq, places.len()), (seq, 1));
        assert_eq!(places[0].position, Some(seq));
    }
    assert_eq!(fixture.feed(fixture.ann).await.len(), 3);
}
