//! `Feeds`: what happened, for each user.
//!
//! One writer gives the positions, in the transaction of the change itself, so a reader finds both or neither, and
//! nothing ever appears before what it has read already.

use async_trait::async_trait;
use rusqlite::params;

use super::{
    SqliteStore,
    db::Db,
    rows::{DELETED, EDITED, HIDDEN, MARKED, REACTED, SENT, int},
    sql,
    tx::Tx,
};
use crate::{
    ChatId, MessageId, UserId,
    store::{Change, FEED_KEPT, FeedEntry, Feeds, Place, Result, recent::Recent},
};

/// So many entries are removed at a time: most writes remove none, and none has much to do.
pub(super) const TRIMMED: u64 = 64;

/// Where the feeds of those end to whom something was lately told.
#[derive(Debug)]
pub(super) struct Ends {
    known: Recent<u64, UserId>,
    /// Entries that a feed keeps at least.
    kept: u64,
}

impl Default for Ends {
    fn default() -> Self {
        Self { known: Recent::default(), kept: FEED_KEPT }
    }
}

impl Ends {
    /// After a rollback none of it counts: what is in memory may be ahead of the file.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

impl Tx {
    /// Writes a change into the feed of a user.
    pub(super) fn tell(&mut self, user: UserId, change: Change) -> Result<Place> {
        let end = match self.ends.known.get(user) {
            Some(end) => *end,
            None => end(&self.db, user)?,
        };
        let position = end + 1;
        insert(&self.db, user, position, change)?;
        if position.is_multiple_of(TRIMMED) && position > self.ends.kept {
            let to = int(position - self.ends.kept);
            self.db.execute(sql::TRIM_FEED, params![user.as_bytes(), to])?;
        }
        self.ends.known.put(user, position);
        Ok(Place { user, position: Some(position) })
    }

    /// Writes a change into the feeds of all members of a chat.
    pub(super) fn tell_members(&mut self, chat: ChatId, change: Change) -> Result<Vec<Place>> {
        let members = self.tail(chat)?.map(|tail| tail.members.clone()).unwrap_or_default();
        members.into_iter().map(|member| self.tell(member, change)).collect()
    }
}

fn end(db: &Db, user: UserId) -> Result<u64> {
    db.first(sql::FEED_END, [user.as_bytes()]).map(Option::unwrap_or_default)
}

fn insert(db: &Db, user: UserId, position: u64, change: Change) -> Result<()> {
    let (mut chat_id, mut message_id, mut member_id, mut seqs) = (None, None, None, None);
    let kind = match change {
        Change::Sent { chat, from, to } => {
            chat_id = Some(chat);
            seqs = Some((int(from), int(to)));
            SENT
        }
        Change::Marked { chat, user } => {
            chat_id = Some(chat);
            member_id = Some(user);
            MARKED
        }
        Change::Edited(message) => {
            message_id = Some(message);
            EDITED
        }
        Change::Deleted(message) => {
            message_id = Some(message);
            DELETED
        }
        Change::Reacted(message) => {
            message_id = Some(message);
            REACTED
        }
        Change::Hidden(message) => {
            message_id = Some(message);
            HIDDEN
        }
    };
    let values = params![
        user.as_bytes(),
        int(position),
        kind,
        chat_id.as_ref().map(ChatId::as_bytes),
        message_id.as_ref().map(MessageId::as_bytes),
        member_id.as_ref().map(UserId::as_bytes),
        seqs.map(|(from, _)| from),
        seqs.map(|(_, to)| to),
    ];
    db.execute(sql::INSERT_ENTRY, values).map(drop)
}

#[cfg(test)]
impl SqliteStore {
    /// From now on feeds keep so few entries.
    pub(super) async fn keep_entries(&self, kept: u64) -> Result<()> {
        let write = move |tx: &mut Tx| {
            tx.ends.kept = kept;
            Ok(())
        };
        self.writer.run(write).await
    }
}

#[async_trait]
impl Feeds for SqliteStore {
    async fn feed_end(&self, user: UserId) -> Result<u64> {
        self.readers.run(move |db| end(db, user)).await
    }

    async fn feed(&self, user: UserId, after: u64, limit: usize) -> Result<Option<Vec<FeedEntry>>> {
        self.readers.run(move |db| feed(db, user, after, limit.max(1))).await
    }
}

fn feed(db: &Db, user: UserId, after: u64, limit: usize) -> Result<Option<Vec<FeedEntry>>> {
    loop {
        let entries: Vec<FeedEntry> = db.all(sql::FEED, params![user.as_bytes(), int(after), int(limit)])?;
        if let Some(first) = entries.first() {
            // Otherwise what came next was removed.
            return Ok((first.position == after + 1).then_some(entries));
        }
        let end = end(db, user)?;
        if end <= after {
            return Ok((end == after).then_some(entries));
        }
        // Written since the first look: look again.
    }
}
