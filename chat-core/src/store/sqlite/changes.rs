//! Changes of a message that is there.

use std::time::Duration;

use rusqlite::params;

use super::{error::Failure, sql, tx::Tx};
use crate::{
    MessageId, Timestamp, UserId,
    store::{Change, Changed, Deletion, MessageChange, MessageRecord, Reaction, Result},
};

/// Soft delete.
pub(super) fn delete(tx: &mut Tx, id: MessageId, at: Timestamp) -> Result<Option<Deletion>> {
    let Some(mut message) = message(tx, id)? else { return Ok(None) };
    if message.is_deleted {
        return Ok(Some(Deletion { message, is_first: false, image: None, places: Vec::new() }));
    }
    message.is_deleted = true;
    message.updated_at = risen(&message, at);
    message.body = None;
    message.reactions = Vec::new();
    let image = message.image.take();
    tx.db.execute(sql::DELETE_MESSAGE, params![id.as_bytes(), message.updated_at.as_millis()])?;
    let places = tx.tell_members(message.chat_id, Change::Deleted(id))?;
    Ok(Some(Deletion { message, is_first: true, image, places }))
}

/// Any other change.
pub(super) fn change(
    tx: &mut Tx,
    id: MessageId,
    change: MessageChange,
    at: Timestamp,
) -> Result<Option<Changed>> {
    let Some(mut message) = message(tx, id)? else { return Ok(None) };
    let is_change = match &change {
        MessageChange::Hide { user } => !message.hidden_for.contains(user),
        _ if message.is_deleted => false,
        MessageChange::Edit { body } => message.body != *body,
        MessageChange::React { reaction, is_on } => message.reactions.contains(reaction) != *is_on,
    };
    if !is_change {
        return Ok(Some(Changed { message, is_change, places: Vec::new() }));
    }
    let places = match change {
        MessageChange::Edit { body } => {
            message.updated_at = risen(&message, at);
            message.is_edited = true;
            message.body = body;
            let values = params![id.as_bytes(), message.body, message.updated_at.as_millis()];
            tx.db.execute(sql::EDIT_MESSAGE, values)?;
            tx.tell_members(message.chat_id, Change::Edited(id))?
        }
        MessageChange::React { reaction, is_on } => {
            message.updated_at = risen(&message, at);
            if is_on {
                message.reactions.push(reaction);
            } else {
                message.reactions.retain(|known| *known != reaction);
            }
            let values = params![id.as_bytes(), json(&message.reactions)?, message.updated_at.as_millis()];
            tx.db.execute(sql::REACT, values)?;
            tx.tell_members(message.chat_id, Change::Reacted(id))?
        }
        MessageChange::Hide { user } => {
            message.hidden_for.push(user);
            let ids: Vec<u8> = message.hidden_for.iter().flat_map(UserId::as_bytes).copied().collect();
            tx.db.execute(sql::HIDE_MESSAGE, params![id.as_bytes(), ids])?;
            vec![tx.tell(user, Change::Hidden(id))?]
        }
    };
    Ok(Some(Changed { message, is_change, places }))
}

fn message(tx: &Tx, id: MessageId) -> Result<Option<MessageRecord>> {
    tx.db.first(sql::MESSAGE, [id.as_bytes()])
}

/// When the message changes: at `at`, and later than it did before in any case.
fn risen(message: &MessageRecord, at: Timestamp) -> Timestamp {
    at.max(message.updated_at.plus(Duration::from_millis(1)))
}

fn json(reactions: &[Reaction]) -> Result<Option<String>> {
    if reactions.is_empty() {
        return Ok(None);
    }
    let json = serde_json::to_string(reactions);
    json.map(Some).map_err(|e| Failure::because("reactions can't be written", e).other())
}
