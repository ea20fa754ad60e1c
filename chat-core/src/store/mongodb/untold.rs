//! Changes that their feeds do not tell of yet.
//!
//! A change of a document carries a mark from the moment that it is made until the feeds tell of it. Whoever made it tells
//! of it at once. Where that fails, or the process is killed in between, the mark is left, and any process that finds it
//! at two looks in a row tells instead. So a change is never without its entry; at worst it has two.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use tokio::time::Instant;

use super::{
    Inner,
    db::{Call, Update},
    documents::{id, oid},
    feeds::push_to_each,
    queries::{self, MEMBERS, MESSAGES},
};
use crate::{
    ChatId, MessageId, StoreError, UserId,
    store::{Change, Place, Result},
};

/// How long whoever made a change waits for it to be told.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Documents that are looked at in one step.
const STEP: usize = 500;

/// Marks that were seen at the last look.
#[derive(Debug, Default)]
pub(super) struct Untold {
    seen: Mutex<HashSet<ObjectId>>,
    /// This process could not tell of something.
    is_behind: AtomicBool,
}

/// What a mark says: the kind of the change, and whose feeds tell of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    Edited,
    Deleted,
    Reacted,
    Hidden(UserId),
    /// The member's own feed, and those of the others.
    Marked(bool, bool),
}

/// The document that carries the mark.
#[derive(Debug, Clone, Copy)]
pub(super) enum Carrier {
    Message(MessageId),
    Member(ChatId, UserId),
}

impl Told {
    /// For `$push`, into `untold`.
    pub(super) fn mark(self, mark: ObjectId) -> Document {
        match self {
            Self::Edited => doc! { "w": mark, "k": "e" },
            Self::Deleted => doc! { "w": mark, "k": "d" },
            Self::Reacted => doc! { "w": mark, "k": "r" },
            Self::Hidden(user) => doc! { "w": mark, "k": "h", "u": oid(user.as_bytes()) },
            Self::Marked(own, others) => doc! { "w": mark, "k": "m", "own": own, "others": others },
        }
    }

    fn read(mark: &Document) -> Option<Self> {
        let is = |key| mark.get_bool(key).unwrap_or_default();
        Some(match mark.get_str("k").ok()? {
            "e" => Self::Edited,
            "d" => Self::Deleted,
            "r" => Self::Reacted,
            "h" => Self::Hidden(UserId::from_bytes(id(mark, "u")?)),
            "m" => Self::Marked(is("own"), is("others")),
            _ => return None,
        })
    }

    fn change(self, chat: ChatId, carrier: Carrier) -> Option<Change> {
        Some(match (self, carrier) {
            (Self::Edited, Carrier::Message(id)) => Change::Edited(id),
            (Self::Deleted, Carrier::Message(id)) => Change::Deleted(id),
            (Self::Reacted, Carrier::Message(id)) => Change::Reacted(id),
            (Self::Hidden(_), Carrier::Message(id)) => Change::Hidden(id),
            (Self::Marked(..), Carrier::Member(_, user)) => Change::Marked { chat, user },
            _ => return None,
        })
    }

    fn is_for(self, user: UserId, carrier: Carrier) -> bool {
        match (self, carrier) {
            (Self::Hidden(owner), _) => owner == user,
            (Self::Marked(own, others), Carrier::Member(_, member)) => {
                if member == user {
                    own
                } else {
                    others
                }
            }
            _ => true,
        }
    }
}

impl Carrier {
    fn filter(self) -> (&'static str, Document) {
        match self {
            Self::Message(id) => (MESSAGES, queries::by_id(oid(id.as_bytes()))),
            Self::Member(chat, user) => (MEMBERS, queries::membership(chat, user)),
        }
    }
}

/// The marks that a document carries.
pub(super) fn marks(document: &Document) -> impl Iterator<Item = (ObjectId, &Document)> {
    let marks = document.get_array("untold").map(Vec::as_slice).unwrap_or_default();
    marks.iter().filter_map(Bson::as_document).filter_map(|mark| Some((mark.get_object_id("w").ok()?, mark)))
}

/// Tells of a change that was made under these marks, and has them taken away. What can't be told now is told later,
/// and has no places.
pub(super) async fn tell(
    inner: &Arc<Inner>,
    call: &Call,
    chat: ChatId,
    carrier: Carrier,
    told: Told,
    marks: Vec<ObjectId>,
) -> Vec<Place> {
    // The change is made: who made it need not wait long.
    let deadline = call.deadline.min(Instant::now() + AT_ONCE);
    let short = Call { deadline, is_probe: true, ..call.clone() };
    let (places, failure) = match push(inner, &short, chat, carrier, told).await {
        Ok(pushed) => pushed,
        Err(error) => (Vec::new(), Some(error)),
    };
    if let Some(error) = failure {
        tracing::warn!(%error, "a change is told later");
        inner.untold.seen().extend(marks);
        inner.untold.is_behind.store(true, Ordering::Relaxed);
    } else if !marks.is_empty() {
        let inner = inner.clone();
        inner.clone().db.tasks.spawn(async move {
            if let Err(error) = clear(&inner.db.call(), carrier, &marks).await {
                tracing::debug!(%error, "a change is told once more");
            }
        });
    }
    places
}

async fn push(
    inner: &Inner,
    call: &Call,
    chat: ChatId,
    carrier: Carrier,
    told: Told,
) -> Result<(Vec<Place>, Option<StoreError>)> {
    let Some(change) = told.change(chat, carrier) else { return Ok((Vec::new(), None)) };
    let members = match told {
        Told::Hidden(user) => vec![user],
        _ => inner.tails.tail(call, chat).await?.map(|tail| tail.members).unwrap_or_default(),
    };
    let members = members.into_iter().filter(|member| told.is_for(*member, carrier));
    let changes: HashMap<UserId, Vec<Change>> = members.map(|member| (member, vec![change])).collect();
    let (mut places, mut failure) = (Vec::new(), None);
    for (user, pushed) in push_to_each(&inner.feeds, call, changes).await {
        match pushed {
            Ok(positions) => {
                places.extend(positions.into_iter().map(|at| Place { user, position: Some(at) }));
            }
            Err(error) => failure = Some(error),
        }
    }
    Ok((places, failure))
}

/// Takes marks away, and the list of them where it is empty then.
async fn clear(call: &Call, carrier: Carrier, marks: &[ObjectId]) -> Result<()> {
    let (collection, filter) = carrier.filter();
    let mut empty = filter.clone();
    empty.insert("untold", doc! { "$size": 0 });
    let updates = [
        (filter, doc! { "$pull": { "untold": { "w": { "$in": marks } } } }),
        (empty, doc! { "$unset": { "untold": "" } }),
    ];
    let updates = updates.map(|(filter, change)| Update { filter, change, upsert: false });
    call.update(collection, updates.into(), true).await.map(drop)
}

impl Untold {
    fn seen(&self) -> std::sync::MutexGuard<'_, HashSet<ObjectId>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }
}

/// Tells of what was left: of what this process could not tell of, and of what was there at the last look already.
pub(super) async fn sweep(inner: &Inner) -> Result<()> {
    inner.untold.is_behind.store(false, Ordering::Relaxed);
    let swept = sweep_all(inner, &inner.db.call()).await;
    if swept.is_err() {
        inner.untold.is_behind.store(true, Ordering::Relaxed);
    }
    swept
}

async fn sweep_all(inner: &Inner, call: &Call) -> Result<()> {
    let (mut now, mut failure) = (HashSet::new(), None);
    for query in [queries::untold_messages(STEP), queries::untold_members(STEP)] {
        for document in call.find(&query).await? {
            let Some(chat) = id(&document, "chat").map(ChatId::from_bytes) else { continue };
            let carrier = if query.collection == MESSAGES {
                id(&document, "_id").map(|id| Carrier::Message(MessageId::from_bytes(id)))
            } else {
                id(&document, "user").map(|user| Carrier::Member(chat, UserId::from_bytes(user)))
            };
            let Some(carrier) = carrier else { continue };
            for (mark, content) in marks(&document) {
                if !inner.untold.seen().contains(&mark) {
                    now.insert(mark);
                    continue;
                }
                if let Err(error) = tell_again(inner, call, chat, carrier, mark, content).await {
                    // One that can't be told keeps no other from it.
                    now.insert(mark);
                    failure = Some(error);
                }
            }
        }
    }
    *inner.untold.seen() = now;
    failure.map_or(Ok(()), Err)
}

async fn tell_again(
    inner: &Inner,
    call: &Call,
    chat: ChatId,
    carrier: Carrier,
    mark: ObjectId,
    content: &Document,
) -> Result<()> {
    if let Some(told) = Told::read(content) {
        let (places, failure) = push(inner, call, chat, carrier, told).await?;
        inner.late.add(places.into_iter().map(|place| place.user));
        failure.map_or(Ok(()), Err)?;
    }
    clear(call, carrier, &[mark]).await
}
