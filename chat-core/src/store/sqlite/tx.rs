//! The writer's open transaction, with what it keeps in memory.

use std::collections::HashMap;

use rusqlite::params;

use super::{
    db::Db,
    feeds::Ends,
    rows::int,
    sql,
    tails::{Tail, Tails},
};
use crate::{ChatId, Timestamp, UserId, store::Result};

/// What the jobs of one transaction write through.
#[derive(Debug)]
pub(super) struct Tx {
    pub(super) db: Db,
    pub(super) tails: Tails,
    pub(super) ends: Ends,
    pending: HashMap<ChatId, Touch>,
}

/// What appends owe to the `members` of a chat.
#[derive(Debug)]
struct Touch {
    last_at: Timestamp,
    /// Watermarks of those who wrote.
    read: Vec<(UserId, u64)>,
}

impl Tx {
    pub(super) fn new(db: Db) -> Self {
        Self { db, tails: Tails::default(), ends: Ends::default(), pending: HashMap::new() }
    }

    /// The end of the chat; `None` when there is no such chat.
    pub(super) fn tail(&mut self, chat: ChatId) -> Result<Option<&mut Tail>> {
        if self.tails.get(chat).is_none() {
            let members: Vec<UserId> = self.db.all(sql::MEMBERS, [chat.as_bytes()])?;
            if members.is_empty() {
                return Ok(None);
            }
            let newest: Option<(u64, Timestamp)> = self.db.first(sql::TAIL, [chat.as_bytes()])?;
            let (last_seq, last_at) = newest.unwrap_or((0, Timestamp::from_millis(i64::MIN)));
            self.tails.put(chat, Tail { last_seq, last_at, members });
        }
        Ok(self.tails.get(chat))
    }

    /// Notes that `sender` wrote the message `seq` at `at`.
    ///
    /// The rows of the members are written once per chat and transaction, however many messages there were: in a
    /// busy chat that is most of the work.
    pub(super) fn touch(&mut self, chat: ChatId, sender: UserId, seq: u64, at: Timestamp) {
        let touch = self.pending.entry(chat).or_insert_with(|| Touch { last_at: at, read: Vec::new() });
        touch.last_at = at;
        match touch.read.iter_mut().find(|(user, _)| *user == sender) {
            Some((_, read)) => *read = seq,
            None => touch.read.push((sender, seq)),
        }
    }

    /// Writes what [`touch`](Self::touch) noted: before the commit, and before whatever reads `members`.
    pub(super) fn settle(&mut self) -> Result<()> {
        for (chat, touch) in self.pending.drain() {
            let mut read = touch.read.iter();
            // `touch` made the entry with one sender in it.
            if let Some((user, seq)) = read.next() {
                let at = touch.last_at.as_millis();
                self.db.execute(sql::TOUCH_CHAT, params![chat.as_bytes(), at, user.as_bytes(), int(*seq)])?;
            }
            for (user, seq) in read {
                self.db.execute(sql::READ_UP_TO, params![chat.as_bytes(), user.as_bytes(), int(*seq)])?;
            }
        }
        Ok(())
    }

    /// Runs `work`, and undoes what it wrote if it fails, in the file and in memory. Not amid appends: what
    /// [`touch`](Self::touch) noted must be written by then.
    pub(super) fn whole_or_not<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.db.save()?;
        let done = work(self);
        if done.is_err() {
            self.tails.clear();
            self.ends.clear();
        }
        self.db.release(done)
    }

    /// Undoes everything since the begin, in the file and in memory.
    pub(super) fn rollback(&mut self) -> Result<()> {
        self.tails.clear();
        self.ends.clear();
        self.pending.clear();
        self.db.rollback()
    }
}
