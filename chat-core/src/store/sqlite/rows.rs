//! From rows to records, and from the domain's types to SQLite's.

use rusqlite::{Row, types::FromSqlError};

use crate::{
    ChatId, MessageId, OutboxId, SessionId, Timestamp, UserId,
    store::{
        Block, Change, ChatEntry, ChatState, Cut, FeedEntry, MessageRecord, OutboxEntry, Reaction,
        Revocation, SessionRecord, Settings, UserRecord, Watermarks,
    },
};

/// What a row of a statement is.
pub(super) trait FromRow: Sized {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self>;
}

/// What `feeds.kind` says.
pub(super) const SENT: &str = "sent";
pub(super) const EDITED: &str = "edited";
pub(super) const DELETED: &str = "deleted";
pub(super) const REACTED: &str = "reacted";
pub(super) const HIDDEN: &str = "hidden";
pub(super) const MARKED: &str = "marked";

/// A count or a place, as SQLite's signed integer. What does not fit is beyond whatever there could be.
pub(super) fn int(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| FromSqlError::OutOfRange(value).into())
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// The columns of `user!`, from `first` on.
fn user(row: &Row<'_>, first: usize) -> rusqlite::Result<UserRecord> {
    Ok(UserRecord {
        id: UserId::from_bytes(row.get(first)?),
        email: row.get(first + 1)?,
        full_name: row.get(first + 2)?,
        password_hash: row.get(first + 3)?,
        profile_pic: row.get(first + 4)?,
        last_seen: moment(row, first + 5)?,
        is_online: row.get(first + 6)?,
        created_at: moment(row, first + 7)?,
        updated_at: moment(row, first + 8)?,
        email_verified: row.get(first + 9)?,
        generation: row.get(first + 10)?,
        settings: Settings { sends_receipts: row.get(first + 11)?, is_invisible: row.get(first + 12)? },
    })
}

/// The columns of `message!`, from `first` on: 15 of them.
fn message(row: &Row<'_>, first: usize) -> rusqlite::Result<MessageRecord> {
    Ok(MessageRecord {
        id: MessageId::from_bytes(row.get(first)?),
        chat_id: ChatId::from_bytes(row.get(first + 1)?),
        seq: seq(row, first + 2)?,
        sender_id: UserId::from_bytes(row.get(first + 3)?),
        receiver_id: row.get::<_, Option<_>>(first + 4)?.map(UserId::from_bytes),
        body: row.get(first + 5)?,
        image: row.get(first + 6)?,
        client_id: row.get(first + 7)?,
        is_deleted: row.get(first + 8)?,
        created_at: moment(row, first + 9)?,
        updated_at: moment(row, first + 10)?,
        reply_to: row.get::<_, Option<_>>(first + 11)?.map(MessageId::from_bytes),
        is_edited: row.get(first + 12)?,
        reactions: reactions(row.get_ref(first + 13)?.as_str_or_null()?)?,
        hidden_for: users(row.get_ref(first + 14)?.as_blob_or_null()?.unwrap_or_default()),
    })
}

fn reactions(json: Option<&str>) -> Result<Vec<Reaction>, FromSqlError> {
    json.map_or(Ok(Vec::new()), |json| serde_json::from_str(json).map_err(FromSqlError::other))
}

/// Ids, one after the other.
fn users(bytes: &[u8]) -> Vec<UserId> {
    let (ids, _) = bytes.as_chunks();
    ids.iter().copied().map(UserId::from_bytes).collect()
}

fn marks(row: &Row<'_>, first: usize) -> rusqlite::Result<Watermarks> {
    Ok(Watermarks { delivered: seq(row, first)?, read: seq(row, first + 1)? })
}

impl FromRow for UserRecord {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        user(row, 0)
    }
}

impl FromRow for MessageRecord {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        message(row, 0)
    }
}

impl FromRow for ChatEntry {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        // An outer join that found nothing gives a NULL id.
        let last_message = row.get_ref(7)?.as_blob_or_null()?.map(|_| message(row, 7)).transpose()?;
        let partner = row.get_ref(22)?.as_blob_or_null()?.map(|_| user(row, 22)).transpose()?;
        Ok(Self {
            chat_id: ChatId::from_bytes(row.get(0)?),
            last_at: moment(row, 1)?,
            state: ChatState {
                last_seq: last_message.as_ref().map_or(0, |message| message.seq),
                read_seq: seq(row, 2)?,
                shown: marks(row, 3)?,
            },
            partner_marks: partner.as_ref().map_or(Ok(Watermarks::default()), |_| marks(row, 5))?,
            partner,
            last_message,
        })
    }
}

impl FromRow for ChatState {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { last_seq: seq(row, 0)?, read_seq: seq(row, 1)?, shown: marks(row, 2)? })
    }
}

impl FromRow for FeedEntry {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let chat = || row.get(2).map(ChatId::from_bytes);
        let message = || row.get(3).map(MessageId::from_bytes);
        let change = match row.get_ref(1)?.as_str()? {
            SENT => Change::Sent { chat: chat()?, from: seq(row, 5)?, to: seq(row, 6)? },
            EDITED => Change::Edited(message()?),
            DELETED => Change::Deleted(message()?),
            REACTED => Change::Reacted(message()?),
            HIDDEN => Change::Hidden(message()?),
            MARKED => Change::Marked { chat: chat()?, user: UserId::from_bytes(row.get(4)?) },
            _ => return Err(FromSqlError::InvalidType.into()),
        };
        Ok(Self { position: seq(row, 0)?, change })
    }
}

impl FromRow for Block {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            by: UserId::from_bytes(row.get(0)?),
            user: UserId::from_bytes(row.get(1)?),
            at: moment(row, 2)?,
        })
    }
}

impl FromRow for Revocation {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { session: SessionId::from_bytes(row.get(0)?), expires_at: moment(row, 1)? })
    }
}

impl FromRow for SessionRecord {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: SessionId::from_bytes(row.get(0)?),
            user: UserId::from_bytes(row.get(1)?),
            generation: row.get(2)?,
            created_at: moment(row, 3)?,
            expires_at: moment(row, 4)?,
            last_used_at: moment(row, 5)?,
            address: row.get(6)?,
            user_agent: row.get(7)?,
        })
    }
}

impl FromRow for Cut {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            user: UserId::from_bytes(row.get(0)?),
            generation: row.get(1)?,
            kept: row.get::<_, Option<_>>(2)?.map(SessionId::from_bytes),
        })
    }
}

impl FromRow for OutboxEntry {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: OutboxId::from_bytes(row.get(0)?),
            body: row.get(1)?,
            created_at: moment(row, 2)?,
            due_at: moment(row, 3)?,
            attempts: row.get(4)?,
        })
    }
}

impl FromRow for UserId {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        row.get(0).map(Self::from_bytes)
    }
}

impl FromRow for String {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        row.get(0)
    }
}

/// A seq alone.
impl FromRow for u64 {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        seq(row, 0)
    }
}

/// A seq and its moment.
impl FromRow for (u64, Timestamp) {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok((seq(row, 0)?, moment(row, 1)?))
    }
}
