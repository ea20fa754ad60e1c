//! Every statement of the store, in one place, so that a test can ask SQLite how it would run each of them.

/// A statement. Only this file can make one, and [`Db`](super::db::Db) runs nothing else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sql(&'static str);

impl Sql {
    pub(super) const fn text(self) -> &'static str {
        self.0
    }
}

/// Makes the constants and, for the test, the list of them all.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $($part:expr),+;)*) => {
        $($(#[$doc])* pub(super) const $name: Sql = Sql(concat!($($part),+));)*

        /// Each with its name.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name.0)),*];
    };
}

/// In the order that `rows.rs` reads them.
macro_rules! user {
    ($table:literal) => {
        concat!(
            $table,
            ".id, ",
            $table,
            ".email, ",
            $table,
            ".full_name, ",
            $table,
            ".password_hash, ",
            $table,
            ".profile_pic, ",
            $table,
            ".last_seen, ",
            $table,
            ".is_online, ",
            $table,
            ".created_at, ",
            $table,
            ".updated_at, ",
            $table,
            ".email_verified, ",
            $table,
            ".generation, ",
            $table,
            ".sends_receipts, ",
            $table,
            ".is_invisible"
        )
    };
}
macro_rules! message {
    ($table:literal) => {
        concat!(
            $table,
            ".id, ",
            $table,
            ".chat_id, ",
            $table,
            ".seq, ",
            $table,
            ".sender_id, ",
            $table,
            ".receiver_id, ",
            $table,
            ".body, ",
            $table,
            ".image, ",
            $table,
            ".client_id, ",
            $table,
            ".is_deleted, ",
            $table,
            ".created_at, ",
            $table,
            ".updated_at, ",
            $table,
            ".reply_to, ",
            $table,
            ".is_edited, ",
            $table,
            ".reactions, ",
            $table,
            ".hidden_for"
        )
    };
}

statements! {
    INSERT_USER =
        "INSERT INTO users (id, email, email_key, full_name, name_key, password_hash, profile_pic, last_seen,
            is_online, created_at, updated_at, email_verified, generation, sends_receipts, is_invisible)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (email_key) DO NOTHING";
    USER = "SELECT ", user!("u"), " FROM users u WHERE u.id = ?1";
    USER_BY_EMAIL = "SELECT ", user!("u"), " FROM users u WHERE u.email_key = ?1";
    USER_NAME_KEY = "SELECT name_key FROM users WHERE id = ?1";
    UPDATE_PROFILE =
        "UPDATE users SET full_name = ?2, name_key = ?3, profile_pic = ?4, updated_at = ?5 WHERE id = ?1";
    SET_PRESENCE = "UPDATE users SET is_online = ?2, last_seen = ?3, lease = ?4 WHERE id = ?1";
    SET_SETTINGS = "UPDATE users SET sends_receipts = ?2, is_invisible = ?3 WHERE id = ?1";
    RENEW_LEASE =
        "INSERT INTO leases (name, renewed_at) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET renewed_at = max(renewed_at, excluded.renewed_at)";
    REMOVE_LEASE = "DELETE FROM leases WHERE name = ?1";
    REMOVE_LEASES = "DELETE FROM leases WHERE renewed_at < ?1";
    LEAVE =
        "UPDATE users SET is_online = 0, lease = NULL, last_seen = max(last_seen, ?2)
         WHERE is_online = 1 AND lease = ?1";
    EXPIRE =
        "UPDATE users SET is_online = 0, lease = NULL,
            last_seen = max(last_seen, ifnull((SELECT renewed_at FROM leases WHERE name = users.lease), last_seen))
         WHERE is_online = 1
            AND NOT EXISTS (SELECT 1 FROM leases WHERE name = users.lease AND renewed_at >= ?1)";
    SET_PASSWORD =
        "UPDATE users SET password_hash = ?2, email_verified = max(email_verified, ?3) WHERE id = ?1";
    CUT = "UPDATE users SET generation = ?2, cut_kept = ?3, cut_at = ?4 WHERE id = ?1";
    CUTS = "SELECT id, generation, cut_kept FROM users WHERE cut_at > ?1";
    VERIFY_EMAIL = "UPDATE users SET email_verified = 1 WHERE id = ?1";
    USERS_BY_NAME =
        "SELECT ", user!("u"), " FROM users u
         WHERE (u.name_key, u.id) > (?1, ?2) AND u.id <> ?3
         ORDER BY u.name_key, u.id LIMIT ?4";

    /// Any conflict, also that of the partial index over `client_id`, leaves the row out: the caller sees it in
    /// the number of changes and asks which it was.
    INSERT_MESSAGE =
        "INSERT INTO messages (id, chat_id, seq, sender_id, receiver_id, body, image, client_id, is_deleted,
            created_at, updated_at, reply_to)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?9, ?10)
         ON CONFLICT DO NOTHING";
    MESSAGE = "SELECT ", message!("m"), " FROM messages m WHERE m.id = ?1";
    MESSAGE_BY_CLIENT_ID =
        "SELECT ", message!("m"), " FROM messages m WHERE m.sender_id = ?1 AND m.client_id = ?2";
    /// The end of a log: its newest seq and moment.
    TAIL = "SELECT seq, created_at FROM messages WHERE chat_id = ?1 ORDER BY seq DESC LIMIT 1";
    PAGE =
        "SELECT ", message!("m"), " FROM messages m WHERE m.chat_id = ?1 AND m.seq < ?2
         ORDER BY m.seq DESC LIMIT ?3";
    DELETE_MESSAGE =
        "UPDATE messages SET is_deleted = 1, body = NULL, image = NULL, reactions = NULL, updated_at = ?2
         WHERE id = ?1";
    EDIT_MESSAGE = "UPDATE messages SET is_edited = 1, body = ?2, updated_at = ?3 WHERE id = ?1";
    REACT = "UPDATE messages SET reactions = ?2, updated_at = ?3 WHERE id = ?1";
    HIDE_MESSAGE = "UPDATE messages SET hidden_for = ?2 WHERE id = ?1";
    WALK_MESSAGES =
        "SELECT ", message!("m"), " FROM messages m WHERE (m.chat_id, m.seq) > (?1, ?2)
         ORDER BY m.chat_id, m.seq LIMIT ?3";
    REPLACE_BODY =
        "UPDATE messages SET body = ?5 WHERE chat_id = ?1 AND seq = ?2 AND id = ?3 AND body = ?4";

    INSERT_CHAT = "INSERT INTO chats (id, kind, created_at) VALUES (?1, 'direct', ?2)";
    /// The conflict is a note to oneself: the two of a direct chat are one person.
    INSERT_MEMBER =
        "INSERT INTO members (chat_id, user_id, read_seq, last_at) VALUES (?1, ?2, 0, ?3) ON CONFLICT DO NOTHING";
    MEMBERS = "SELECT user_id FROM members WHERE chat_id = ?1";
    /// Moves the chat in the list of each of its members, and one member's watermark along: most often that is
    /// all there is to do after a message.
    TOUCH_CHAT =
        "UPDATE members SET last_at = ?2, read_seq = iif(user_id = ?3, ?4, read_seq) WHERE chat_id = ?1";
    READ_UP_TO = "UPDATE members SET read_seq = ?3 WHERE chat_id = ?1 AND user_id = ?2";
    MARK =
        "UPDATE members SET read_seq = ?3, shown_delivered = ?4, shown_read = ?5
         WHERE chat_id = ?1 AND user_id = ?2";
    CHAT_STATE =
        "SELECT ifnull((SELECT max(seq) FROM messages WHERE chat_id = ?1), 0), read_seq, shown_delivered, shown_read
         FROM members WHERE chat_id = ?1 AND user_id = ?2";
    /// The joins find one row each or none: in a chat of two there is one other member, and of each chat one
    /// newest message.
    CHATS_OF =
        "SELECT m.chat_id, m.last_at, m.read_seq, m.shown_delivered, m.shown_read, p.shown_delivered, p.shown_read, ",
            message!("l"), ", ", user!("u"), "
         FROM members m
         JOIN chats c ON c.id = m.chat_id
         LEFT JOIN members p ON c.kind = 'direct' AND p.chat_id = m.chat_id AND p.user_id <> m.user_id
         LEFT JOIN users u ON u.id = p.user_id
         LEFT JOIN messages l ON l.chat_id = m.chat_id
            AND l.seq = (SELECT max(seq) FROM messages WHERE chat_id = m.chat_id)
         WHERE m.user_id = ?1 AND (m.last_at, m.chat_id) < (?2, ?3)
         ORDER BY m.last_at DESC, m.chat_id DESC LIMIT ?4";
    /// May name a partner twice: DISTINCT would sort.
    PARTNERS =
        "SELECT p.user_id FROM members m JOIN members p ON p.chat_id = m.chat_id
         WHERE m.user_id = ?1 AND p.user_id <> ?1";

    INSERT_ENTRY =
        "INSERT INTO feeds (user_id, position, kind, chat_id, message_id, member_id, from_seq, to_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    TRIM_FEED = "DELETE FROM feeds WHERE user_id = ?1 AND position <= ?2";
    FEED_END = "SELECT position FROM feeds WHERE user_id = ?1 ORDER BY position DESC LIMIT 1";
    FEED =
        "SELECT position, kind, chat_id, message_id, member_id, from_seq, to_seq FROM feeds
         WHERE user_id = ?1 AND position > ?2 ORDER BY position LIMIT ?3";

    BLOCK = "INSERT INTO blocks (by_id, user_id, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    UNBLOCK = "DELETE FROM blocks WHERE by_id = ?1 AND user_id = ?2";
    BLOCKS_BY = "SELECT by_id, user_id, at FROM blocks WHERE by_id = ?1";
    /// Without a block of oneself, which the one above finds.
    BLOCKS_OF = "SELECT by_id, user_id, at FROM blocks WHERE user_id = ?1 AND by_id <> ?1";

    INSERT_SESSION =
        "INSERT INTO sessions (id, user_id, generation, created_at, expires_at, last_used_at, address, user_agent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    SESSIONS_OF =
        "SELECT id, user_id, generation, created_at, expires_at, last_used_at, address, user_agent FROM sessions
         WHERE user_id = ?1 AND expires_at > ?2 ORDER BY created_at DESC, id DESC LIMIT ?3";
    TOUCH_SESSION = "UPDATE sessions SET last_used_at = max(last_used_at, ?2) WHERE id = ?1";
    REMOVE_SESSION = "DELETE FROM sessions WHERE id = ?1";
    REMOVE_CUT_SESSIONS = "DELETE FROM sessions WHERE user_id = ?1 AND generation < ?2 AND id IS NOT ?3";
    FORGET_SESSIONS = "DELETE FROM sessions WHERE expires_at <= ?1";
    REVOKE_SESSION = "INSERT INTO revocations (session, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    REVOCATIONS = "SELECT session, expires_at FROM revocations WHERE expires_at > ?1";
    FORGET_REVOCATIONS = "DELETE FROM revocations WHERE expires_at <= ?1";

    PUT_OUTBOX =
        "INSERT INTO outbox (id, body, created_at, due_at, attempts) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING";
    DUE_OUTBOX =
        "SELECT id, body, created_at, due_at, attempts FROM outbox
         WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?2";
    CLAIM_OUTBOX = "UPDATE outbox SET due_at = ?2, attempts = ?3 WHERE id = ?1";
    POSTPONE_OUTBOX = "UPDATE outbox SET due_at = ?2 WHERE id = ?1";
    REMOVE_OUTBOX = "DELETE FROM outbox WHERE id = ?1";

    PING = "SELECT 1";

    NOTE = "SELECT value FROM notes WHERE key = ?1";
    PUT_NOTE =
        "INSERT INTO notes (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
}
