//! Chats from a member's side, and how far the member has got.

use super::{MessageRecord, Place, UserRecord};
use crate::{ChatId, Timestamp, UserId};

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

impl ChatState {
    /// Messages that the member has not read. One's own are never among them: sending moves the watermark.
    #[must_use]
    pub const fn unread(self) -> u64 {
        self.last_seq.saturating_sub(self.read_seq)
    }

    /// What a mark makes of it: watermarks never go back, nor past the newest message.
    #[must_use]
    pub fn marked(self, mark: &Mark) -> Self {
        let up_to = mark.up_to.unwrap_or(self.last_seq).min(self.last_seq);
        let mut after = self;
        if mark.kind == MarkKind::Read {
            after.read_seq = self.read_seq.max(up_to);
        }
        if mark.is_shown {
            after.shown.delivered = self.shown.delivered.max(up_to);
            if mark.kind == MarkKind::Read {
                after.shown.read = self.shown.read.max(up_to);
            }
        }
        after
    }
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

impl ChatEntry {
    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> ChatPosition {
        ChatPosition { last_at: self.last_at, chat_id: self.chat_id }
    }
}

/// Where a chat stands in a user's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatPosition {
    /// Its latest activity.
    pub last_at: Timestamp,
    /// Its id.
    pub chat_id: ChatId,
}
