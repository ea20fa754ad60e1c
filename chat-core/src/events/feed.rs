//! From a user's feed to events: what a client gets that was away.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::future::{BoxFuture, try_join_all};

use super::{Cursor, Event, SharedEvent, Watermark, cursor::Cursors};
use crate::{
    ChatId, MessageId, UserId,
    auth::JwtSecret,
    service::View,
    store::{Change, FeedEntry, MessageRecord, Result, Store},
};

/// Entries that are read at once, and messages after which a batch ends: it is held in memory for one connection.
const ENTRIES: usize = 64;
const MESSAGES: u64 = 128;

/// What a connection needs of a feed.
pub(super) trait Source: Send + Sync {
    fn sign(&self, user: UserId, position: u64) -> Cursor;

    /// The position of a cursor, if it is one of this user.
    fn position(&self, user: UserId, cursor: &str) -> Option<u64>;

    /// Where the feed ends.
    fn end(self: Arc<Self>, user: UserId) -> BoxFuture<'static, Result<Look>>;

    /// What changed after this position.
    fn after(self: Arc<Self>, user: UserId, position: u64) -> BoxFuture<'static, Result<Look>>;
}

/// Reads feeds for connections.
#[derive(Debug)]
pub(crate) struct FeedReader {
    store: Arc<dyn Store>,
    view: View,
    cursors: Cursors,
}

/// What a look into a feed came to.
pub(super) enum Look {
    /// Where it ends.
    End(u64),
    /// What changed.
    Batch {
        /// Each with the position up to which somebody has all who has it and those before it: who is cut off again
        /// and again gets forward all the same.
        events: Vec<(SharedEvent, u64)>,
        /// Who has these events has all up to here.
        position: u64,
        /// There was no more at that moment.
        is_end: bool,
    },
    /// The feed does not go back that far; it ends here.
    Lost(u64),
}

impl FeedReader {
    pub(crate) fn new(store: Arc<dyn Store>, view: View, secret: &JwtSecret) -> Self {
        Self { store, view, cursors: Cursors::new(secret) }
    }

    /// What changed after this position, in the order of the feed but for this: of each chat, messages that were sent
    /// come together where the first of them stands, as they are now. What happened to them since is told with that.
    async fn read(&self, user: UserId, position: u64) -> Result<Look> {
        let Some(entries) = self.store.feed(user, position, ENTRIES).await? else {
            return Ok(Look::Lost(self.store.feed_end(user).await?));
        };
        let mut taken = 0;
        let count = entries.iter().take_while(|entry| {
            let has_room = taken < MESSAGES;
            taken += size(entry);
            has_room
        });
        let count = count.count();
        let is_end = entries.len() < ENTRIES && count == entries.len();
        let entries = entries.get(..count).unwrap_or_default();
        let Some(last) = entries.last() else {
            return Ok(Look::Batch { events: Vec::new(), position, is_end });
        };
        let (events, ends) = self.events(user, entries).await?;
        let mut reached = entries.iter().zip(ends).peekable();
        let mut known = position;
        let events = events.into_iter().enumerate().map(|(index, event)| {
            while let Some((entry, _)) = reached.next_if(|(_, end)| *end <= index + 1) {
                known = entry.position;
            }
            (SharedEvent::new(event), known)
        });
        let events = events.collect();
        Ok(Look::Batch { events, position: last.position, is_end })
    }

    /// The events, and for each entry how many of them tell all of it and of those before it.
    async fn events(&self, user: UserId, entries: &[FeedEntry]) -> Result<(Vec<Event>, Vec<usize>)> {
        let mut sent = self.sent(user, entries).await?;
        let mut told: HashSet<MessageId> = sent.values().flatten().map(|record| record.id).collect();
        let changed = self.changed(user, entries, &told).await?;
        let mut marked = HashSet::new();
        // Where the messages of a chat stand among the events.
        let mut places: HashMap<ChatId, Vec<(u64, usize)>> = HashMap::new();
        let (mut events, mut ends) = (Vec::new(), Vec::new());
        let mut end = 0;
        for entry in entries {
            match entry.change {
                Change::Sent { chat, to, .. } => {
                    let places = places.entry(chat).or_default();
                    for record in sent.remove(&chat).unwrap_or_default() {
                        places.push((record.seq, events.len() + 1));
                        events.push(self.message(record, Event::MessageSent));
                    }
                    let own = places.iter().filter(|(seq, _)| *seq <= to).map(|(_, place)| *place);
                    end = own.fold(end, usize::max);
                }
                Change::Marked { chat, user: member } => {
                    if marked.insert((chat, member)) {
                        events.extend(self.marks(user, chat, member).await?);
                    }
                }
                Change::Hidden(id) => events.extend(changed.get(&id).map(|record| Event::MessageHidden {
                    message_id: id,
                    chat_id: record.chat_id,
                    seq: record.seq,
                    sender_id: record.sender_id,
                })),
                Change::Edited(id) | Change::Deleted(id) | Change::Reacted(id) => {
                    let record = changed.get(&id).filter(|record| !record.hidden_for.contains(&user));
                    if told.contains(&id) {
                        // By an event of before; or where that it was sent stands late, by one that comes yet.
                        let is_coming = sent.values().flatten().any(|record| record.id == id);
                        end = if is_coming { usize::MAX } else { end };
                    } else if let Some(record) = record {
                        if record.is_deleted {
                            told.insert(id);
                        }
                        events.push(if matches!(entry.change, Change::Reacted(_)) && !record.is_deleted {
                            reactions(record)
                        } else {
                            self.message(record.clone(), Event::MessageEdited)
                        });
                    }
                }
            }
            if !matches!(entry.change, Change::Sent { .. }) {
                end = end.max(events.len());
            }
            ends.push(end);
        }
        Ok((events, ends))
    }

    /// Messages that were sent, by chat, as the user may see them.
    async fn sent(&self, user: UserId, entries: &[FeedEntry]) -> Result<HashMap<ChatId, Vec<MessageRecord>>> {
        let mut ranges: HashMap<ChatId, (u64, u64)> = HashMap::new();
        for entry in entries {
            if let Change::Sent { chat, from, to } = entry.change {
                let range = ranges.entry(chat).or_insert((from, to));
                *range = (range.0.min(from), range.1.max(to));
            }
        }
        let reads = ranges.into_iter().map(|(chat, (from, to))| async move {
            let limit = usize::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(usize::MAX);
            let mut records = self.store.page(chat, Some(to.saturating_add(1)), limit).await?;
            records.retain(|record| record.seq >= from);
            self.allowed(user, &mut records).await?;
            records.retain(|record| !record.hidden_for.contains(&user));
            Ok::<_, crate::StoreError>((chat, records))
        });
        Ok(try_join_all(reads).await?.into_iter().collect())
    }

    /// Messages that changed, and are not among those `told` as they are now.
    async fn changed(
        &self,
        user: UserId,
        entries: &[FeedEntry],
        told: &HashSet<MessageId>,
    ) -> Result<HashMap<MessageId, MessageRecord>> {
        let ids = entries.iter().filter_map(|entry| match entry.change {
            Change::Edited(id) | Change::Deleted(id) | Change::Reacted(id) => {
                (!told.contains(&id)).then_some(id)
            }
            Change::Hidden(id) => Some(id),
            Change::Sent { .. } | Change::Marked { .. } => None,
        });
        let ids: HashSet<MessageId> = ids.collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut records = self.store.messages(&ids.into_iter().collect::<Vec<_>>()).await?;
        self.allowed(user, &mut records).await?;
        Ok(records.into_iter().map(|record| (record.id, record)).collect())
    }

    /// Keeps what the user may see now, whatever was so when it happened.
    async fn allowed(&self, user: UserId, records: &mut Vec<MessageRecord>) -> Result<()> {
        let is_of_two = |record: &MessageRecord| {
            record.receiver_id.is_some_and(|receiver| {
                [receiver, record.sender_id].contains(&user)
                    && record.chat_id == ChatId::direct(receiver, record.sender_id)
            })
        };
        let others: HashSet<ChatId> =
            records.iter().filter(|record| !is_of_two(record)).map(|record| record.chat_id).collect();
        let mut closed = HashSet::new();
        for chat in others {
            if self.store.chat(chat, user).await?.is_none() {
                closed.insert(chat);
            }
        }
        records.retain(|record| !closed.contains(&record.chat_id) || is_of_two(record));
        Ok(())
    }

    /// How far a member has come, as the user may know.
    async fn marks(&self, user: UserId, chat_id: ChatId, member: UserId) -> Result<Vec<Event>> {
        let mark = |seq| Watermark { chat_id, user_id: member, seq };
        let Some(state) = self.store.chat(chat_id, member).await? else { return Ok(Vec::new()) };
        if member == user {
            return Ok(vec![Event::MessagesRead(mark(state.read_seq))]);
        }
        if chat_id != ChatId::direct(user, member) && self.store.chat(chat_id, user).await?.is_none() {
            return Ok(Vec::new());
        }
        let (delivered, read) = (state.shown.delivered, state.shown.read);
        let delivered = (delivered > read).then(|| Event::MessagesDelivered(mark(delivered)));
        let read = (read > 0).then(|| Event::MessagesRead(mark(read)));
        Ok(read.into_iter().chain(delivered).collect())
    }

    /// The message as it is, and of one that was deleted since, only that.
    fn message(&self, record: MessageRecord, event: fn(crate::messages::Message) -> Event) -> Event {
        let is_deleted = record.is_deleted;
        let message = self.view.message(record);
        if is_deleted { Event::MessageDeleted(message) } else { event(message) }
    }
}

impl Source for FeedReader {
    fn sign(&self, user: UserId, position: u64) -> Cursor {
        self.cursors.sign(user, position)
    }

    fn position(&self, user: UserId, cursor: &str) -> Option<u64> {
        self.cursors.read(user, cursor)
    }

    fn end(self: Arc<Self>, user: UserId) -> BoxFuture<'static, Result<Look>> {
        Box::pin(async move { Ok(Look::End(self.store.feed_end(user).await?)) })
    }

    fn after(self: Arc<Self>, user: UserId, position: u64) -> BoxFuture<'static, Result<Look>> {
        Box::pin(async move { self.read(user, position).await })
    }
}

/// Of a message, all reactions.
pub(crate) fn reactions(record: &MessageRecord) -> Event {
    Event::Reactions {
        message_id: record.id,
        chat_id: record.chat_id,
        reactions: record.reactions.clone(),
        updated_at: record.updated_at,
    }
}

/// Messages that an entry stands for.
const fn size(entry: &FeedEntry) -> u64 {
    match entry.change {
        Change::Sent { from, to, .. } => to.saturating_sub(from).saturating_add(1),
        _ => 1,
    }
}
