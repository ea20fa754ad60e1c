//! `Blocks`.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, db::Db, sql, tx::Tx};
use crate::{
    StoreError, UserId,
    store::{Block, Blocks, Result},
};

#[async_trait]
impl Blocks for SqliteStore {
    async fn block(&self, block: &Block) -> Result<bool> {
        let Block { by, user, at } = *block;
        let write = move |tx: &mut Tx| {
            let known: Option<String> = tx.db.first(sql::USER_NAME_KEY, [user.as_bytes()])?;
            known.ok_or(StoreError::NotFound("User"))?;
            let values = params![by.as_bytes(), user.as_bytes(), at.as_millis()];
            tx.db.execute(sql::BLOCK, values).map(|added| added > 0)
        };
        self.writer.run(write).await
    }

    async fn unblock(&self, by: UserId, user: UserId) -> Result<bool> {
        let write = move |tx: &mut Tx| {
            tx.db.execute(sql::UNBLOCK, params![by.as_bytes(), user.as_bytes()]).map(|removed| removed > 0)
        };
        self.writer.run(write).await
    }

    async fn blocks_of(&self, user: UserId) -> Result<Vec<Block>> {
        let read = move |db: &Db| {
            let mut blocks: Vec<Block> = db.all(sql::BLOCKS_BY, [user.as_bytes()])?;
            blocks.extend(db.all::<Block>(sql::BLOCKS_OF, [user.as_bytes()])?);
            blocks.sort_unstable_by_key(|block| (block.at, block.by, block.user));
            Ok(blocks)
        };
        self.readers.run(read).await
    }
}
