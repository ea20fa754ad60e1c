//! The end of each chat that was lately written to, in memory.

use crate::{Timestamp, UserId, store::recent::Recent};

/// What the next message of a chat needs to know.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    /// The newest seq, 0 in an empty chat.
    pub(super) last_seq: u64,
    /// The newest message's moment.
    pub(super) last_at: Timestamp,
    /// Who may write.
    pub(super) members: Vec<UserId>,
}

/// After a rollback none of it counts: what is in memory may be ahead of the file.
pub(super) type Tails = Recent<Tail>;
