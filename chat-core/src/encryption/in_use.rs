//! Whether there are texts in a store that were sealed under a key of ours, and would be lost without it.

use super::seal::is_our_form;
use crate::store::{Result, Store};

/// Written at the first start with a key; never removed.
const NOTE: &str = "encryption.in_use";
/// Messages that are looked at together.
const STEP: usize = 100;

/// From now on, texts in this store are sealed.
pub(crate) async fn note_use(store: &dyn Store) -> Result<()> {
    match store.note(NOTE).await? {
        Some(_) => Ok(()),
        None => store.put_note(NOTE, "yes").await,
    }
}

/// Whether the store was in use with a key. A store that only another program wrote to was not, however many messages
/// it has; one from before there was the note shows it by the first messages that have a text.
pub(crate) async fn is_in_use(store: &dyn Store) -> Result<bool> {
    if store.note(NOTE).await?.is_some() {
        return Ok(true);
    }
    let mut after = None;
    loop {
        let messages = store.walk_messages(after, STEP).await?;
        let mut bodies = messages.iter().filter_map(|message| message.body.as_deref());
        if bodies.any(is_our_form) {
            return Ok(true);
        }
        let has_text =
            messages.iter().any(|message| message.body.as_ref().is_some_and(|body| !body.is_empty()));
        let Some(last) = messages.last().filter(|_| !has_text) else { return Ok(false) };
        after = Some(last.position());
    }
}
