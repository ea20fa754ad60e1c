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
    /// What they have chosen for themselves.
    pub settings: Settings,
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
    /// When it last changed, for everybody: later than what it was before by a millisecond at least.
    pub updated_at: Timestamp,
    /// The message of the same chat that it answers.
    pub reply_to: Option<MessageId>,
    /// Whether its text was changed since.
    pub is_edited: bool,
    /// What people think of it, in the order in which they said so.
    pub reactions: Vec<Reaction>,
    /// Members who don't want to see it any more.
    pub hidden_for: Vec<UserId>,
}

/// What somebody thinks of a message, in one picture.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// Who.
    pub user_id: UserId,
    /// An emoji.
    pub emoji: String,
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
    /// The message of the same chat that it answers; the caller has made sure that it is one.
    pub reply_to: Option<MessageId>,
    /// The moment.
    pub at: Timestamp,
}

/// What became of a message that was to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It was appended.
    New {
        /// As it stands.
        message: MessageRecord,
        /// Where the entry ends that tells of it and of those before it in the same chat. Where one entry tells of
        /// several messages, the last of them has its places, and the others have none; likewise where the feeds
        /// are brought up to date later.
        places: Vec<Place>,
    },
    /// The sender had sent it before, under the same `client_id`: this one.
    Repeat(MessageRecord),
}

impl Appended {
    /// The message, new or not.
    #[must_use]
    pub fn into_record(self) -> MessageRecord {
        match self {
            Self::New { message, .. } | Self::Repeat(message) => message,
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
    /// Where the change stands in the members' feeds; none where they are brought up to date later.
    pub places: Vec<Place>,
}

/// A change of a message that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// Another text: the sealed body, and `is_edited`.
    Edit {
        /// The sealed text, or `None` for none.
        body: Option<String>,
    },
    /// Adds a reaction, or takes it away.
    React {
        /// Which, and whose.
        reaction: Reaction,
        /// Whether it is added.
        is_on: bool,
    },
    /// The user does not want to see it any more. For nobody else anything changes, `updated_at` neither.
    Hide {
        /// Who.
        user: UserId,
    },
}

/// What a change of a message did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The message afterwards.
    pub message: MessageRecord,
    /// Whether something changed; not when it was so before, and never of a deleted message, which can only be hidden.
    pub is_change: bool,
    /// Where the change stands in the feeds of those whom it concerns; none where they are brought up to date later.
    pub places: Vec<Place>,
}

/// Where a change stands in somebody's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose feed.
    pub user: UserId,
    /// 1, 2, 3 … without a hole. `None`: it stands there, or will, along with what no call of this process has brought,
    /// and not before that. So who follows it live is to read the feed, rather than to be told.
    pub position: Option<u64>,
}

/// What a feed tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Messages were appended to a chat: these, and no others between them.
    Sent {
        /// The chat.
        chat: ChatId,
        /// The seq of the first.
        from: u64,
        /// The seq of the last.
        to: u64,
    },
    /// A text was changed.
    Edited(MessageId),
    /// A message was deleted.
    Deleted(MessageId),
    /// Reactions of a message changed.
    Reacted(MessageId),
    /// The owner of the feed has hidden a message.
    Hidden(MessageId),
    /// A member has read further, or got more: the owner of the feed, or another one who lets it be known.
    Marked {
        /// The chat.
        chat: ChatId,
        /// The member.
        user: UserId,
    },
}

/// A change in a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedEntry {
    /// Its place.
    pub position: u64,
    /// What happened. What became of it since is in the log.
    pub change: Change,
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
    /// What others may know of it.
    pub shown: Watermarks,
}

/// How far messages came with a member, as others may know. `delivered` is never less than `read`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// The seq up to which a device of the member has them.
    pub delivered: u64,
    /// The seq up to which the member has read them.
    pub read: u64,
}

/// A member got messages, or read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The chat.
    pub chat: ChatId,
    /// The member.
    pub user: UserId,
    /// Which.
    pub kind: MarkKind,
    /// Up to which seq; `None`: to the newest message.
    pub up_to: Option<u64>,
    /// Whether others may know of it: else [`ChatState::shown`] stays as it is.
    pub is_shown: bool,
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// A device has them. Where nobody may know, nothing is stored.
    Delivered,
    /// They were read, and delivered along with that.
    Read,
}

/// What a mark did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The chat as it was from the member's side.
    pub before: ChatState,
    /// And as it is.
    pub after: ChatState,
    /// The chat's members.
    pub members: Vec<UserId>,
    /// Where the change stands in the feeds: in the member's own if they read further, in those of the others if
    /// [`ChatState::shown`] moved. None where nothing changed, or feeds are brought up to date later.
    pub places: Vec<Place>,
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
    /// How far the partner has got, as the user may know.
    pub partner_marks: Watermarks,
}

/// Somebody whom a user does not want to hear of, or be heard of by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Who blocked.
    pub by: UserId,
    /// Whom.
    pub user: UserId,
    /// When.
    pub at: Timestamp,
}

/// What a user has chosen for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Others may know what one got and read.
    pub sends_receipts: bool,
    /// Nobody may know that one is here.
    pub is_invisible: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sends_receipts: true, is_invisible: false }
    }
}

/// A change of them; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// See [`Settings::sends_receipts`].
    pub sends_receipts: Option<bool>,
    /// See [`Settings::is_invisible`].
    pub is_invisible: Option<bool>,
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
