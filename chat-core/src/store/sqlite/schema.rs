//! The tables, as numbered migrations, and what tells our file from others.

use rusqlite::Connection;

use super::error::{Failure, from_sqlite};
use crate::StoreError;

/// `CHAT` in the file's header (`PRAGMA application_id`): this database is ours.
pub(super) const APPLICATION_ID: i32 = 0x4348_4154;

/// Applied in order; `PRAGMA user_version` counts how many were. Never change one that was released: add one.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3];

/// How many migrations this program knows.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Ids are 12-byte blobs, moments are milliseconds since 1970.
///
/// - `messages` lies in the order of arrival, with an index over (chat, seq). In the order of the index itself
///   (`WITHOUT ROWID`, as the other tables are) each message of a busy moment would change a page of its own and often
///   split it: measured with 64 chats, that is 2.5 pages to sync per message, and a quarter fewer messages per second,
///   for pages of a chat that were read no faster from a warm cache.
/// - `members` carries each chat's latest activity, so that its index is the order of everybody's list. A chat has
///   any number of members.
/// - No foreign key from `messages`: the writer has the members of the chat at hand and checks the sender there; a
///   key would look both up again for each message. What no hot path writes has them.
const V1: &str = "
CREATE TABLE users (
    id            BLOB    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL,
    email_key     TEXT    NOT NULL UNIQUE,
    full_name     TEXT    NOT NULL,
    name_key      TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    profile_pic   TEXT,
    last_seen     INTEGER NOT NULL,
    is_online     INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_name ON users (name_key, id);
CREATE INDEX users_online ON users (is_online) WHERE is_online = 1;

CREATE TABLE chats (
    id         BLOB    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('direct')),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    chat_id  BLOB    NOT NULL REFERENCES chats (id),
    user_id  BLOB    NOT NULL REFERENCES users (id),
    read_seq INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    PRIMARY KEY (chat_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_activity ON members (user_id, last_at, chat_id);

CREATE TABLE messages (
    chat_id     BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    sender_id   BLOB    NOT NULL,
    receiver_id BLOB,
    client_id   TEXT,
    is_deleted  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    image       TEXT,
    body        TEXT,
    PRIMARY KEY (chat_id, seq)
) STRICT;
CREATE UNIQUE INDEX messages_by_id ON messages (id);
CREATE UNIQUE INDEX messages_by_client_id ON messages (sender_id, client_id) WHERE client_id IS NOT NULL;

CREATE TABLE revocations (
    session    BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revocations_by_end ON revocations (expires_at);

CREATE TABLE notes (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Sessions to be listed, cuts, verified addresses, and the outbox.
const V2: &str = "
ALTER TABLE users ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 1;
ALTER TABLE users ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN cut_at INTEGER;
ALTER TABLE users ADD COLUMN cut_kept BLOB;
CREATE INDEX users_by_cut ON users (cut_at) WHERE cut_at IS NOT NULL;

CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL,
    generation   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    address      TEXT,
    user_agent   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE outbox (
    id         BLOB    NOT NULL PRIMARY KEY,
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_due ON outbox (due_at);
";

/// Feeds, and what messages, members and users have besides: edits and reactions, receipts, blocks, leases.
///
/// - A feed lies by user and position: what a client missed is read in one go.
/// - `messages.hidden_for` is ids, one after the other. There are few, and who reads the message needs them with it.
const V3: &str = "
ALTER TABLE users ADD COLUMN sends_receipts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE users ADD COLUMN is_invisible INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN lease TEXT;
ALTER TABLE members ADD COLUMN shown_delivered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN shown_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN reply_to BLOB;
ALTER TABLE messages ADD COLUMN is_edited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN reactions TEXT;
ALTER TABLE messages ADD COLUMN hidden_for BLOB;

CREATE TABLE feeds (
    user_id    BLOB    NOT NULL,
    position   INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    chat_id    BLOB,
    message_id BLOB,
    member_id  BLOB,
    from_seq   INTEGER,
    to_seq     INTEGER,
    PRIMARY KEY (user_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (
    by_id   BLOB    NOT NULL,
    user_id BLOB    NOT NULL REFERENCES users (id),
    at      INTEGER NOT NULL,
    PRIMARY KEY (by_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_by_user ON blocks (user_id);

CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    renewed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_renewal ON leases (renewed_at);
";

/// Refuses what another application, or a newer version of this one, has made.
///
/// # Errors
/// [`StoreError::Other`] with the reason.
pub(super) fn check(application_id: i32, version: u32) -> Result<(), StoreError> {
    if application_id != APPLICATION_ID {
        return Err(Failure::new("the file is a database of another application").other());
    }
    if version > newest() {
        let sentence = format!(
            "the database was made by a newer version of this program: its schema is {version}, the newest known \
             here is {}",
            newest()
        );
        return Err(Failure::new(sentence).other());
    }
    Ok(())
}

/// Brings the tables up to date, all of it or nothing.
///
/// # Errors
/// Those of SQLite; the file is then as it was.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(from_sqlite)?;
    if version >= newest() {
        return Ok(());
    }
    let mut apply = || {
        let transaction = connection.transaction()?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", newest())?;
        transaction.commit()
    };
    apply().map_err(from_sqlite)
}
