//! `Chats`.

use std::collections::HashSet;

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, db::Db, rows::int, sql, tx::Tx};
use crate::{
    ChatId, UserId,
    store::{ChatEntry, ChatPosition, ChatState, Chats, Result},
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

    async fn mark_read(&self, chat: ChatId, user: UserId, up_to: Option<u64>) -> Result<Option<ChatState>> {
        let write = move |tx: &mut Tx| {
            let place = params![chat.as_bytes(), user.as_bytes()];
            let Some(was) = tx.db.first::<u64>(sql::READ_SEQ, place)? else { return Ok(None) };
            let last_seq = tx.tail(chat)?.map_or(0, |tail| tail.last_seq);
            let read_seq = up_to.unwrap_or(last_seq).min(last_seq).max(was);
            // A transaction that writes nothing costs no sync.
            if read_seq != was {
                tx.db.execute(sql::READ_UP_TO, params![chat.as_bytes(), user.as_bytes(), int(read_seq)])?;
            }
            Ok(Some(ChatState { last_seq, read_seq }))
        };
        self.writer.run(write).await
    }

    async fn partners(&self, user: UserId) -> Result<Vec<UserId>> {
        let read = move |db: &Db| {
            let partners: Vec<UserId> = db.all(sql::PARTNERS, [user.as_bytes()])?;
            Ok(partners.into_iter().collect::<HashSet<_>>().into_iter().collect())
        };
        self.readers.run(read).await
    }
}
