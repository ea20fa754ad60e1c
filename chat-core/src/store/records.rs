//! What a store holds, in the domain's types.

use crate::{ChatId, MessageId, OutboxId, SessionId, Timestamp, UserId};

/// An account as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Its id.
    pub id: UserId,
    /// As the user wrote it; compared by [`email_key`].
    pub email: String,
    /// The name that others see; ordered by [`name_key`].
    pub full_name: String,
    /// A bcrypt hash.
    pub password_hash: String,
    /// URL of the picture.
    pub profile_pic: Option<String>,
    /// When the user last came or went.
    pub last_seen: Timestamp,
    /// Whether the user has a live connection.
    pub is_online: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the profile last changed.
    pub updated_at: Timestamp,
    /// Whether the address is known to be theirs; true where nobody asked.
    pub email_verified: bool,
    /// Which generation of sign-ins is in force: it rises when all of them are ended, see [`Cut`].
    pub generation: u32,
}

impl std::fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No hash and no address: records end up in logs.
        f.debug_struct("UserRecord").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How e-mails are compared: without case.
#[must_use]
pub fn email_key(email: &str) -> String {
    email.to_lowercase()
}

/// How names are ordered: without case, by code point.
#[must_use]
pub fn name_key(full_name: &str) -> String {
    full_name.to_lowercase()
}

/// A change of a profile; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The new name.
    pub full_name: Option<String>,
    /// The new picture, or `Some(None)` to remove it.
    pub profile_pic: Option<Option<String>>,
}

/// An account before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileUpdate {
    /// As it was.
    pub before: UserRecord,
    /// As it is.
    pub after: UserRecord,
}

/// A message as it is stored: its text sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// Its id.
    pub id: MessageId,
    /// The chat whose log it stands in.
    pub chat_id: ChatId,
    /// Its place in that log: 1, 2, 3 …
    pub seq: u64,
    /// Who wrote it.
    pub sender_id: UserId,
    /// The other one, in a chat of two.
    pub receiver_id: Option<UserId>,
    /// The sealed text; `None` when it has none or is deleted.
    pub body: Option<String>,
    /// URL of the picture; `None` when it has none or is deleted.
    pub image: Option<String>,
    /// The sender's idempotency key.
    pub client_id: Option<String>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// When it was appended.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl MessageRecord {
    /// Where it stands, for [`walk_messages`](super::Messages::walk_messages).
    #[must_use]
    pub const fn position(&self) -> MessagePosition {
        MessagePosition { id: self.id, chat_id: self.chat_id, seq: self.seq }
    }
}

/// A message that is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its id, new.
    pub id: MessageId,
    /// The chat; with a `receiver_id` the [`ChatId::direct`] of the two.
    pub chat_id: ChatId,
    /// Who writes.
    pub sender_id: UserId,
    /// The other one, in a chat of two; `None` in a chat that exists already.
    pub receiver_id: Option<UserId>,
    /// The sealed text.
    pub body: Option<String>,
    /// URL of the picture.
    pub image: Option<String>,
    /// The sender's idempotency key.
    pub client_id: Option<String>,
    /// The moment.
    pub at: Timestamp,
}

/// What became of a message that was to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It was appended.
    New(MessageRecord),
    /// The sender had sent it before, under the same `client_id`: this one.
    Repeat(MessageRecord),
}

impl Appended {
    /// The message, new or not.
    #[must_use]
    pub fn into_record(self) -> MessageRecord {
        match self {
            Self::New(record) | Self::Repeat(record) => record,
        }
    }
}

/// What a delete did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The message afterwards.
    pub message: MessageRecord,
    /// Whether it was this call that deleted it.
    pub is_first: bool,
    /// The picture that it had until now, which nobody points to any more.
    pub image: Option<String>,
}

/// Where a message stands among all; a store uses of it what its order needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MessagePosition {
    /// The message.
    pub id: MessageId,
    /// Its chat.
    pub chat_id: ChatId,
    /// Its place in the chat.
    pub seq: u64,
}

/// A body to be replaced by one that says the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyChange {
    /// The message.
    pub at: MessagePosition,
    /// The body that it must still have.
    pub old: String,
    /// The body that it gets.
    pub new: String,
}

/// A chat from one member's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatState {
    /// The seq of the newest message; 0 when there is none.
    pub last_seq: u64,
    /// The seq up to which the member has read.
    pub read_seq: u64,
}

impl ChatState {
    /// Messages that the member has not read. One's own are never among them: sending moves the watermark.
    #[must_use]
    pub const fn unread(self) -> u64 {
        self.last_seq.saturating_sub(self.read_seq)
    }
}

/// A line of a user's list of chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatEntry {
    /// The chat.
    pub chat_id: ChatId,
    /// The other one, in a chat of two.
    pub partner: Option<UserRecord>,
    /// The newest message, deleted or not.
    pub last_message: Option<MessageRecord>,
    /// When that was; the list is ordered by it.
    pub last_at: Timestamp,
    /// How far it goes, and how far the user has read.
    pub state: ChatState,
}

/// Where a chat stands in a user's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatPosition {
    /// Its latest activity.
    pub last_at: Timestamp,
    /// Its id.
    pub chat_id: ChatId,
}

impl ChatEntry {
    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> ChatPosition {
        ChatPosition { last_at: self.last_at, chat_id: self.chat_id }
    }
}

/// A session that was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Which.
    pub session: SessionId,
    /// When its token would have expired by itself.
    pub expires_at: Timestamp,
}

/// A session that was begun, for the list of one's sessions.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// The user's generation when it began.
    pub generation: u32,
    /// When it began.
    pub created_at: Timestamp,
    /// When its token expires.
    pub expires_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_used_at: Timestamp,
    /// The address from which it began.
    pub address: Option<String>,
    /// What the device said that it runs.
    pub user_agent: Option<String>,
}

impl std::fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No address: records end up in logs.
        f.debug_struct("SessionRecord")
            .field("id", &self.id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// All of a user's sessions but one were ended at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Whose.
    pub user: UserId,
    /// Sessions of earlier generations are over.
    pub generation: u32,
    /// But for this one.
    pub kept: Option<SessionId>,
}

/// A new password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// The hash that must still be there.
    pub old_hash: String,
    /// The hash that takes its place.
    pub new_hash: String,
    /// The session that goes on.
    pub kept: Option<SessionId>,
    /// Whether who changes it has shown that the address is theirs.
    pub verifies_email: bool,
}

impl std::fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordChange").finish_non_exhaustive()
    }
}

/// Something to be done outside, once: a mail to be sent, a picture to be removed.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its id.
    pub id: OutboxId,
    /// What is to be done, sealed.
    pub body: String,
    /// When it was put there.
    pub created_at: Timestamp,
    /// When it may be tried next.
    pub due_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
}

impl std::fmt::Debug for OutboxEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxEntry")
            .field("id", &self.id)
            .field("due_at", &self.due_at)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
