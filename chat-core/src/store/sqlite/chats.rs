//! `Chats`.

use std::collections::HashSet;

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, db::Db, rows::int, sql, tx::Tx};
use crate::{
    ChatId, UserId,
    store::{Change, ChatEntry, ChatPosition, ChatState, Chats, Mark, Marked, Result, Watermarks},
};

#[async_trait]
impl Chats for SqliteStore {
    async fn chat(&self, chat: ChatId, user: UserId) -> Result<Option<ChatState>> {
        let read = move |db: &Db| db.first(sql::CHAT_STATE, params![chat.as_bytes(), user.as_bytes()]);
        self.readers.run(read).await
    }

    async fn chats_of(
        &self,
        user: UserId,
        after: Option<ChatPosition>,
        limit: usize,
    ) -> Result<Vec<ChatEntry>> {
        let read = move |db: &Db| {
            // The latest moment is a place that nothing stands at or after.
            let (at, chat) =
                after.map_or((i64::MAX, [0xff; 12]), |at| (at.last_at.as_millis(), *at.chat_id.as_bytes()));
            db.all(sql::CHATS_OF, params![user.as_bytes(), at, chat, int(limit)])
        };
        self.readers.run(read).await
    }

    async fn mark(&self, mark: &Mark) -> Result<Option<Marked>> {
        let mark = *mark;
        self.writer.run(move |tx| tx.whole_or_not(|tx| marked(tx, mark))).await
    }

    async fn partners(&self, user: UserId) -> Result<Vec<UserId>> {
        let read = move |db: &Db| {
            let partners: Vec<UserId> = db.all(sql::PARTNERS, [user.as_bytes()])?;
            Ok(partners.into_iter().collect::<HashSet<_>>().into_iter().collect())
        };
        self.readers.run(read).await
    }
}

fn marked(tx: &mut Tx, mark: Mark) -> Result<Option<Marked>> {
    let Mark { chat, user, .. } = mark;
    let place = params![chat.as_bytes(), user.as_bytes()];
    let Some(before) = tx.db.first::<ChatState>(sql::CHAT_STATE, place)? else { return Ok(None) };
    let after = before.marked(&mark);
    let members = tx.tail(chat)?.map(|tail| tail.members.clone()).unwrap_or_default();
    let mut places = Vec::new();
    // A transaction that writes nothing costs no sync.
    if after != before {
        let Watermarks { delivered, read } = after.shown;
        let marks = (int(after.read_seq), int(delivered), int(read));
        tx.db.execute(sql::MARK, params![chat.as_bytes(), user.as_bytes(), marks.0, marks.1, marks.2])?;
        for member in &members {
            let is_told = match *member == user {
                true => after.read_seq != before.read_seq,
                false => after.shown != before.shown,
            };
            if is_told {
                places.push(tx.tell(*member, Change::Marked { chat, user })?);
            }
        }
    }
    Ok(Some(Marked { before, after, members, places }))
}
