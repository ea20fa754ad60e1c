//! Messages and chats as clients see them, and what one sends.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use crate::store::Reaction;
use crate::{ChatId, MessageId, Timestamp, UserId, auth::User};

/// A message. Serialised it is what clients see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The id.
    #[serde(rename = "_id")]
    pub id: MessageId,
    /// The chat.
    pub chat_id: ChatId,
    /// Its place in the chat: 1, 2, 3 … without a hole.
    pub seq: u64,
    /// Who wrote it.
    pub sender_id: UserId,
    /// The other one, in a chat of two.
    pub receiver_id: Option<UserId>,
    /// What it says; `None` when it has no text, is deleted, or can't be read.
    pub text: Option<String>,
    /// URL of its picture.
    pub image: Option<String>,
    /// The sender's own idempotency key.
    pub client_id: Option<String>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// It has a text, which no key opens. On the wire only when it is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// The message that it answers.
    #[serde(default)]
    pub reply_to: Option<MessageId>,
    /// Whether its text was changed since it was sent.
    #[serde(default)]
    pub is_edited: bool,
    /// What people think of it, in the order in which they said so.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing of what people write: messages end up in logs.
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("chat_id", &self.chat_id)
            .field("seq", &self.seq)
            .field("is_deleted", &self.is_deleted)
            .finish_non_exhaustive()
    }
}

/// A line of somebody's list of chats. Serialised it is the partner's fields and these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// The other one.
    #[serde(flatten)]
    pub partner: User,
    /// The chat.
    pub chat_id: ChatId,
    /// The newest message.
    pub last_message: Option<Message>,
    /// Messages that one has not read.
    pub unread: u64,
    /// A device of the partner has them up to this seq, as far as they let it be known.
    #[serde(default)]
    pub delivered_seq: u64,
    /// The partner has read them up to this seq, likewise.
    #[serde(default)]
    pub read_seq: u64,
}

/// How far somebody has read a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadState {
    /// The chat.
    pub chat_id: ChatId,
    /// Read up to here.
    pub seq: u64,
    /// Messages after that.
    pub unread: u64,
}

/// To whom a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum To {
    /// To one person.
    User(UserId),
}

/// What one sends: a text, a picture, or both.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The text; empty counts as absent.
    pub text: Option<String>,
    /// The file of a picture; empty counts as absent.
    pub image: Option<Bytes>,
    /// A key of the sender's choosing: sent again under it, the message is not sent twice.
    pub client_id: Option<String>,
    /// The message of the same conversation that it answers.
    pub reply_to: Option<MessageId>,
}

impl Draft {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// A picture: the bytes of a png, jpeg, webp or gif file.
    #[must_use]
    pub fn image(image: impl Into<Bytes>) -> Self {
        Self { image: Some(image.into()), ..Self::default() }
    }

    /// The same as an answer to this message.
    #[must_use]
    pub fn reply_to(self, message: MessageId) -> Self {
        Self { reply_to: Some(message), ..self }
    }

    /// The same under an idempotency key: 1 to 128 characters.
    #[must_use]
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What became of what one sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message: committed, it survives the end of the process.
    pub message: Message,
    /// It had been sent before, under the same `client_id`, and was not sent again.
    pub is_repeat: bool,
}

/// Part of a longer list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What is on this page.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<C>,
}
