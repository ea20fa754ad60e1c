//! Messages, and what is done to them.

use super::Place;
use crate::{ChatId, MessageId, Timestamp, UserId};

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

impl MessageRecord {
    /// Where it stands, for [`walk_messages`](crate::store::Messages::walk_messages).
    #[must_use]
    pub const fn position(&self) -> MessagePosition {
        MessagePosition { id: self.id, chat_id: self.chat_id, seq: self.seq }
    }
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
