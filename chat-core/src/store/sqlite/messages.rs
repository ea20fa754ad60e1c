//! `Messages`, but for the hot path in `append.rs`.

use std::collections::HashSet;

use async_trait::async_trait;
use rusqlite::params;
use tokio::sync::oneshot;

use super::{
    SqliteStore,
    append::{Append, refused},
    changes,
    db::Db,
    error::Failure,
    rows::int,
    sql,
};
use crate::{
    ChatId, MessageId, Timestamp, UserId,
    store::{
        Appended, BodyChange, Changed, Deletion, MessageChange, MessagePosition, MessageRecord, Messages,
        NewMessage, Result,
    },
};

#[async_trait]
impl Messages for SqliteStore {
    async fn append(&self, messages: Vec<NewMessage>) -> Vec<Result<Appended>> {
        let count = messages.len();
        let (reply, answer) = oneshot::channel();
        match self.writer.submit(Append::new(messages, reply)) {
            Ok(()) => answer.await.unwrap_or_else(|_| refused(count, &Failure::closed())),
            Err(failure) => refused(count, &failure),
        }
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>> {
        self.readers.run(move |db| db.first(sql::MESSAGE, [id.as_bytes()])).await
    }

    async fn message_by_client_id(&self, sender: UserId, client_id: &str) -> Result<Option<MessageRecord>> {
        let client_id = client_id.to_owned();
        let read = move |db: &Db| db.first(sql::MESSAGE_BY_CLIENT_ID, params![sender.as_bytes(), client_id]);
        self.readers.run(read).await
    }

    async fn page(&self, chat: ChatId, before: Option<u64>, limit: usize) -> Result<Vec<MessageRecord>> {
        let before = before.map_or(i64::MAX, int);
        let read = move |db: &Db| {
            let mut page = db.all(sql::PAGE, params![chat.as_bytes(), before, int(limit)])?;
            page.reverse();
            Ok(page)
        };
        self.readers.run(read).await
    }

    async fn messages(&self, ids: &[MessageId]) -> Result<Vec<MessageRecord>> {
        let ids: HashSet<MessageId> = ids.iter().copied().collect();
        let read = move |db: &Db| {
            let found = ids.iter().map(|id| db.first(sql::MESSAGE, [id.as_bytes()]));
            found.filter_map(Result::transpose).collect()
        };
        self.readers.run(read).await
    }

    async fn delete_message(&self, id: MessageId, at: Timestamp) -> Result<Option<Deletion>> {
        self.writer.run(move |tx| tx.whole_or_not(|tx| changes::delete(tx, id, at))).await
    }

    async fn change_message(
        &self,
        id: MessageId,
        change: MessageChange,
        at: Timestamp,
    ) -> Result<Option<Changed>> {
        self.writer.run(move |tx| tx.whole_or_not(|tx| changes::change(tx, id, change, at))).await
    }

    async fn walk_messages(
        &self,
        after: Option<MessagePosition>,
        limit: usize,
    ) -> Result<Vec<MessageRecord>> {
        // An empty blob comes before every id.
        let (chat, seq) = after.map_or((Vec::new(), 0), |at| (at.chat_id.as_bytes().to_vec(), at.seq));
        self.readers.run(move |db| db.all(sql::WALK_MESSAGES, params![chat, int(seq), int(limit)])).await
    }

    async fn replace_bodies(&self, changes: Vec<BodyChange>) -> Result<u64> {
        let write = move |tx: &mut super::tx::Tx| {
            tx.db.whole_or_not(|db| {
                let mut replaced = 0;
                for BodyChange { at, old, new } in &changes {
                    let place = params![at.chat_id.as_bytes(), int(at.seq), at.id.as_bytes(), old, new];
                    replaced += db.execute(sql::REPLACE_BODY, place)? as u64;
                }
                Ok(replaced)
            })
        };
        self.writer.run(write).await
    }
}
