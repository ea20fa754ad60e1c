//! Watermarks: how far a member has read, and what others may know of it.

use std::{sync::Arc, time::Duration};

use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

use super::{
    Inner,
    chats::state,
    db::{Call, Update},
    documents::signed,
    error::{unavailable, uncertain},
    queries::{self, MEMBERS},
    untold::{Carrier, Told, marks, tell},
};
use crate::store::{Mark, Marked, Result};

pub(super) async fn mark(inner: &Arc<Inner>, call: &Call, mark: &Mark) -> Result<Option<Marked>> {
    let Mark { chat, user, .. } = *mark;
    let own = ObjectId::new();
    let (mut pause, mut made) = (Duration::from_millis(2), None);
    let (before, after, told) = loop {
        let Some((found, before)) = state(inner, call, chat, user).await? else { return Ok(None) };
        if let Some(made) = made.filter(|_| marks(&found).any(|(known, _)| known == own)) {
            // The answer to the attempt of before was lost.
            break made;
        }
        let after = before.marked(mark);
        if after == before {
            break (before, after, None);
        }
        let told = Told::Marked(after.read_seq != before.read_seq, after.shown != before.shown);
        let filter = unmoved(queries::membership(chat, user), &found);
        let change = doc! {
            "$set": {
                "readSeq": signed(after.read_seq),
                "shownDelivered": signed(after.shown.delivered),
                "shownRead": signed(after.shown.read),
            },
            "$push": { "untold": told.mark(own) },
        };
        made = Some((before, after, Some(told)));
        let changed = call.modify(MEMBERS, Update { filter, change, upsert: false }, Some(doc! { "_id": 1 }));
        if changed.await?.document.is_some() {
            break (before, after, Some(told));
        }
        if !call.pause(&mut pause).await {
            return Err(uncertain(unavailable("a watermark moves faster than can be followed")));
        }
    };
    let members = inner.tails.tail(call, chat).await?.map(|tail| tail.members).unwrap_or_default();
    let places = match told {
        Some(told) => tell(inner, call, chat, Carrier::Member(chat, user), told, vec![own]).await,
        None => Vec::new(),
    };
    Ok(Some(Marked { before, after, members, places }))
}

/// The filter, if the watermarks are what they were.
fn unmoved(mut filter: Document, found: &Document) -> Document {
    for key in ["readSeq", "shownDelivered", "shownRead"] {
        filter.insert(key, found.get(key).cloned().unwrap_or(Bson::Null));
    }
    filter
}
