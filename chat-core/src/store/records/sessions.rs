//! Sessions, and what ends them.

use crate::{SessionId, Timestamp, UserId};

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
