//! `Chats`.

use std::collections::HashSet;

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, db::Db, rows::int, sql, tx::Tx};
use crate::{
    ChatId, UserId,
    store::{
        Block, Blocks, ChatEntry, ChatPosition, ChatState, Chats, FeedEntry, Feeds, Mark, Marked, Result,
        Watermarks,
    },
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
        let Mark { chat, user, up_to, .. } = *mark;
        let write = move |tx: &mut Tx| {
            let place = params![chat.as_bytes(), user.as_bytes()];
            let Some(was) = tx.db.first::<u64>(sql::READ_SEQ, place)? else { return Ok(None) };
            let last_seq = tx.tail(chat)?.map_or(0, |tail| tail.last_seq);
            let read_seq = up_to.unwrap_or(last_seq).min(last_seq).max(was);
            // A transaction that writes nothing costs no sync.
            if read_seq != was {
                tx.db.execute(sql::READ_UP_TO, params![chat.as_bytes(), user.as_bytes(), int(read_seq)])?;
            }
            let state = |read_seq| ChatState { last_seq, read_seq, shown: Watermarks::default() };
            Ok(Some(Marked {
                before: state(was),
                after: state(read_seq),
                members: Vec::new(),
                places: Vec::new(),
            }))
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

#[async_trait]
impl Feeds for SqliteStore {
    async fn feed_end(&self, _user: UserId) -> Result<u64> {
        Ok(0)
    }

    async fn feed(&self, _user: UserId, _after: u64, _limit: usize) -> Result<Option<Vec<FeedEntry>>> {
        Ok(Some(Vec::new()))
    }
}

#[async_trait]
impl Blocks for SqliteStore {
    async fn block(&self, _block: &Block) -> Result<bool> {
        Ok(false)
    }

    async fn unblock(&self, _by: UserId, _user: UserId) -> Result<bool> {
        Ok(false)
    }

    async fn blocks_of(&self, _user: UserId) -> Result<Vec<Block>> {
        Ok(Vec::new())
    }
}
