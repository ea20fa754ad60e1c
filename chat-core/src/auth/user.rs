//! People as clients see them.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, UserId};

/// A person, without anything secret. Serialised it is what clients see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The id.
    #[serde(rename = "_id")]
    pub id: UserId,
    /// The e-mail.
    pub email: String,
    /// The name that others see.
    pub full_name: String,
    /// URL of the picture, or `""`.
    pub profile_pic: String,
    /// When they last came or went.
    pub last_seen: Timestamp,
    /// Whether they are here.
    pub is_online: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the profile last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No name and no address: people end up in logs.
        f.debug_struct("User")
            .field("id", &self.id)
            .field("is_online", &self.is_online)
            .finish_non_exhaustive()
    }
}
