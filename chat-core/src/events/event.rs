//! What happens, as it is told to those whom it concerns.

#[cfg(any(feature = "socketio", feature = "websocket"))]
use std::sync::OnceLock;
use std::{ops::Deref, sync::Arc};

use serde::Serialize;

use crate::{
    ChatId, MessageId, Timestamp, UserId,
    messages::{Message, Reaction},
};

/// Something that happened. Serialised it is the payload that clients see (camelCase).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Event {
    /// A message was sent.
    MessageSent(Message),
    /// A message was deleted: `is_deleted`, and nothing left of what it said.
    MessageDeleted(Message),
    /// A message has another text.
    MessageEdited(Message),
    /// Reactions of a message changed.
    #[serde(rename_all = "camelCase")]
    Reactions {
        /// The message.
        message_id: MessageId,
        /// Its chat.
        chat_id: ChatId,
        /// All of them, in the order in which they were made.
        reactions: Vec<Reaction>,
        /// When the message last changed.
        updated_at: Timestamp,
    },
    /// You deleted a message for yourself only.
    #[serde(rename_all = "camelCase")]
    MessageHidden {
        /// The message.
        message_id: MessageId,
        /// Its chat.
        chat_id: ChatId,
        /// Its place there: who never had it learns that there is one.
        seq: u64,
        /// Who wrote it.
        sender_id: UserId,
    },
    /// A device of a member has the messages of a chat up to `seq`.
    MessagesDelivered(Watermark),
    /// A member has read a chat up to `seq`. Also you, on another device.
    MessagesRead(Watermark),
    /// You come back with a cursor that can't be served: load the state anew.
    Resync {},
    /// Somebody writes to you, or no longer does.
    #[serde(rename_all = "camelCase")]
    Typing {
        /// Who.
        sender_id: UserId,
        /// Whether they do.
        is_typing: bool,
    },
    /// Somebody with whom you share a chat came or went.
    #[serde(rename_all = "camelCase")]
    Presence {
        /// Who.
        user_id: UserId,
        /// Whether they are here.
        is_online: bool,
        /// When they came or went.
        last_seen: Timestamp,
    },
    /// Those of your chat partners who are here: what a door sends once, before anything else.
    OnlineUsers(Vec<UserId>),
}

/// How far a member has come in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Watermark {
    /// The chat.
    pub chat_id: ChatId,
    /// The member.
    pub user_id: UserId,
    /// Up to where.
    pub seq: u64,
}

impl Event {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageSent(_) => "sendMessage",
            Self::MessageDeleted(_) => "deleteMessage",
            Self::MessageEdited(_) => "editMessage",
            Self::Reactions { .. } => "reactions",
            Self::MessageHidden { .. } => "hideMessage",
            Self::MessagesDelivered(_) => "messagesDelivered",
            Self::MessagesRead(_) => "messagesRead",
            Self::Resync {} => "resync",
            Self::Typing { .. } => "typing",
            Self::Presence { .. } => "presence",
            Self::OnlineUsers(_) => "onlineUsers",
        }
    }
}

/// An event on its way to many: made once, and encoded once for all who speak the same protocol.
#[derive(Debug, Clone)]
pub struct SharedEvent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    event: Event,
    #[cfg(feature = "socketio")]
    socketio: OnceLock<engineioxide::Str>,
    #[cfg(feature = "websocket")]
    websocket: OnceLock<tokio_tungstenite::tungstenite::Utf8Bytes>,
}

impl SharedEvent {
    /// Makes it ready to be shared.
    #[must_use]
    pub fn new(event: Event) -> Self {
        Self(Arc::new(Inner {
            event,
            #[cfg(feature = "socketio")]
            socketio: OnceLock::new(),
            #[cfg(feature = "websocket")]
            websocket: OnceLock::new(),
        }))
    }

    /// The Socket.IO packet, encoded by the first who asks. A copy of it costs nothing.
    #[cfg(feature = "socketio")]
    pub(crate) fn socketio(&self, encode: impl FnOnce(&Event) -> String) -> engineioxide::Str {
        self.0.socketio.get_or_init(|| encode(&self.0.event).into()).clone()
    }

    /// The WebSocket frame, likewise.
    #[cfg(feature = "websocket")]
    pub(crate) fn websocket(
        &self,
        encode: impl FnOnce(&Event) -> String,
    ) -> tokio_tungstenite::tungstenite::Utf8Bytes {
        self.0.websocket.get_or_init(|| encode(&self.0.event).into()).clone()
    }
}

impl Deref for SharedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0.event
    }
}
