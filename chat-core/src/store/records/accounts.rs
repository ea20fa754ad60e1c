//! Accounts, and what their owners choose.

use crate::{Timestamp, UserId};

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
    /// Which generation of sign-ins is in force: it rises when all of them are ended, see [`Cut`](crate::store::Cut).
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
