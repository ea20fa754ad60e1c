//! Answers that the service gives as a number only.

use serde::Serialize;

use crate::ChatId;

/// Up to where others know that a device of one's own has a chat.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryState {
    pub(crate) chat_id: ChatId,
    pub(crate) seq: u64,
}
