//! Files that earlier versions wrote.

use std::path::Path;

use rusqlite::Connection;

use super::super::{SqliteStore, schema};
use crate::{
    ChatId, MessageId, Timestamp, UserId,
    store::{
        Appended, Blocks, Change, ChatState, Chats, Feeds, Mark, MarkKind, MessageChange, MessageRecord,
        Messages, NewMessage, Outbox, Reaction, Sessions, Settings, Store, Users, Watermarks,
    },
};

/// Makes a file as the program of that version did.
fn of_version(version: u32, file: &Path, data: &str) {
    let connection = Connection::open(file).unwrap();
    for migration in schema::MIGRATIONS.iter().take(version as usize) {
        connection.execute_batch(migration).unwrap();
    }
    connection.execute_batch(data).unwrap();
    connection.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}

/// What the first version wrote is read by this one, and keeps its meaning.
#[tokio::test]
async fn data_of_the_first_schema_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.db");
    of_version(
        1,
        &file,
        "INSERT INTO users VALUES (x'010203040506070809101112', 'Ann@example.org', 'ann@example.org', 'Ann', 'ann',
            'hash', NULL, 5, 1, 6, 7);
         INSERT INTO revocations VALUES (x'0a0203040506070809101112', 9000);",
    );
    let store = SqliteStore::open(&file).await.unwrap();
    let ann = store.user_by_email("ann@example.org").await.unwrap().unwrap();
    assert!(ann.email_verified && ann.generation == 0 && ann.is_online && ann.password_hash == "hash");
    let at = Timestamp::from_millis;
    assert_eq!(store.revocations(at(0)).await.unwrap().len(), 1);
    assert_eq!(store.cuts(at(0)).await.unwrap(), []);
    assert_eq!(store.sessions_of(ann.id, at(0), 10).await.unwrap(), []);
    assert_eq!(store.claim_outbox(at(0), at(1), 10).await.unwrap(), []);
    store.close().await.unwrap();
}

/// What the second version wrote has none of what came with the third, and gets it.
#[tokio::test]
async fn data_of_the_second_schema_is_taken_over() {
    let at = Timestamp::from_millis;
    let (ann, bob) = (UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12]));
    let chat = ChatId::direct(ann, bob);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.db");
    let data = format!(
        "INSERT INTO users VALUES (x'{ann}', 'ann@example.org', 'ann@example.org', 'Ann', 'ann', 'hash', NULL, 5, 1, 6,
            7, 1, 0, NULL, NULL);
         INSERT INTO users VALUES (x'{bob}', 'bob@example.org', 'bob@example.org', 'Bob', 'bob', 'hash', NULL, 5, 0, 6,
            7, 1, 0, NULL, NULL);
         INSERT INTO chats VALUES (x'{chat}', 'direct', 10);
         INSERT INTO members VALUES (x'{chat}', x'{ann}', 2, 20), (x'{chat}', x'{bob}', 1, 20);
         INSERT INTO messages VALUES
            (x'{chat}', 1, x'030303030303030303030301', x'{ann}', x'{bob}', 'k', 0, 10, 10, NULL, 'first'),
            (x'{chat}', 2, x'030303030303030303030302', x'{ann}', x'{bob}', NULL, 1, 20, 25, NULL, NULL);"
    );
    of_version(2, &file, &data);

    let store = SqliteStore::open(&file).await.unwrap();
    let first = MessageRecord {
        id: "030303030303030303030301".parse().unwrap(),
        chat_id: chat,
        seq: 1,
        sender_id: ann,
        receiver_id: Some(bob),
        body: Some("first".into()),
        image: None,
        client_id: Some("k".into()),
        is_deleted: false,
        created_at: at(10),
        updated_at: at(10),
        reply_to: None,
        is_edited: false,
        reactions: Vec::new(),
        hidden_for: Vec::new(),
    };
    assert_eq!(store.page(chat, Some(2), 1).await.unwrap(), std::slice::from_ref(&first));
    let entry = store.chats_of(bob, None, 10).await.unwrap().remove(0);
    let shown = Watermarks::default();
    assert_eq!(entry.state, ChatState { last_seq: 2, read_seq: 1, shown });
    assert_eq!(entry.partner_marks, shown);
    assert_eq!(
        entry.partner.map(|ann| ann.settings),
        Some(Settings::default()),
        "receipts, and not invisible"
    );
    assert_eq!(store.expire_leases(at(0)).await.unwrap(), 1, "who was online is so by no lease");
    assert_eq!(store.blocks_of(ann).await.unwrap(), []);
    for user in [ann, bob] {
        assert_eq!(store.feed_end(user).await.unwrap(), 0, "feeds begin with the update");
    }

    let like = Reaction { user_id: bob, emoji: "👍".into() };
    let react = MessageChange::React { reaction: like.clone(), is_on: true };
    let changed = store.change_message(first.id, react, at(30)).await.unwrap().unwrap();
    assert_eq!(changed.message, MessageRecord { reactions: vec![like], updated_at: at(30), ..first.clone() });
    let mark = Mark { chat, user: bob, kind: MarkKind::Read, up_to: None, is_shown: true };
    let marked = store.mark(&mark).await.unwrap().unwrap();
    assert_eq!(marked.after.shown, Watermarks { delivered: 2, read: 2 });
    let new = NewMessage {
        id: MessageId::generate(at(40)),
        chat_id: chat,
        sender_id: bob,
        receiver_id: Some(ann),
        body: None,
        image: None,
        client_id: None,
        reply_to: Some(first.id),
        at: at(40),
    };
    let appended = store.append(vec![new]).await.remove(0).unwrap();
    assert!(matches!(appended, Appended::New { message, .. } if message.seq == 3), "the log goes on");
    let changes: Vec<_> =
        store.feed(ann, 0, 10).await.unwrap().unwrap().iter().map(|entry| entry.change).collect();
    let sent = Change::Sent { chat, from: 3, to: 3 };
    assert_eq!(changes, [Change::Reacted(first.id), Change::Marked { chat, user: bob }, sent]);
    store.close().await.unwrap();
}
