//! What feeds tell, and where.

use crate::{ChatId, MessageId, UserId};

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
