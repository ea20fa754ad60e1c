//! What the server tells: people, messages, chats.

use serde::Deserialize;

/// Of a user, a message or a chat: 24 hex characters.
pub(crate) type Id = String;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    #[serde(rename = "_id")]
    pub(crate) id: Id,
    pub(crate) email: String,
    pub(crate) full_name: String,
    #[serde(default)]
    pub(crate) is_online: bool,
    #[serde(default)]
    pub(crate) last_seen: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    #[serde(rename = "_id")]
    pub(crate) id: Id,
    #[serde(default)]
    pub(crate) chat_id: Id,
    pub(crate) seq: u64,
    pub(crate) sender_id: Id,
    pub(crate) receiver_id: Option<Id>,
    pub(crate) text: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) is_deleted: bool,
    #[serde(default)]
    pub(crate) unreadable: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

impl Message {
    /// The other one of the two, seen from here.
    pub(crate) fn partner(&self, me: &str) -> Option<&Id> {
        if self.sender_id == me { self.receiver_id.as_ref() } else { Some(&self.sender_id) }
    }

    /// What to show, with what no terminal should obey taken out.
    pub(crate) fn shown(&self) -> String {
        if self.is_deleted {
            return "[deleted]".to_owned();
        }
        if self.unreadable {
            return "[can't be decrypted]".to_owned();
        }
        let text = self.text.as_deref().map(crate::clean::text);
        let image = self.image.as_deref().map(|url| format!("[picture] {}", crate::clean::line(url)));
        [text, image].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chat {
    #[serde(flatten)]
    pub(crate) partner: User,
    pub(crate) last_message: Option<Message>,
    pub(crate) unread: u64,
}

/// Why the server did not do what was asked, or why nobody could ask it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    /// The server could not be reached, or did not answer as it should.
    pub(crate) fn network(message: impl std::fmt::Display) -> Self {
        Self { code: "network".to_owned(), message: message.to_string() }
    }

    /// The same may go well a little later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.code.as_str(), "network" | "unavailable" | "rate_limited" | "request_timeout")
    }
}
