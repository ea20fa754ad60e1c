//! `Blocks`.

use async_trait::async_trait;
use mongodb::bson::{doc, oid::ObjectId};

use super::{
    MongoStore,
    documents::{date, oid, to_block},
    error::{DUPLICATE, other, uncertain},
    queries::{self, BLOCKS},
};
use crate::{
    StoreError, UserId,
    store::{Block, Blocks, Result},
};

#[async_trait]
impl Blocks for MongoStore {
    async fn block(&self, block: &Block) -> Result<bool> {
        let Block { by, user, at } = *block;
        self.run(async move |_, call| {
            if call.first(&queries::user(user)).await?.is_none() {
                return Err(StoreError::NotFound("User"));
            }
            let mark = ObjectId::new();
            let document = doc! {
                "_id": queries::block_id(by, user),
                "by": oid(by.as_bytes()), "user": oid(user.as_bytes()), "at": date(at), "mark": mark,
            };
            let written = call.insert(BLOCKS, vec![document], true).await?;
            let Some(failed) = written.failed.into_iter().next() else { return Ok(true) };
            if failed.code != DUPLICATE {
                return Err(other(failed.message));
            }
            // It may be this very one, from an attempt whose answer was lost.
            let there = call.first(&queries::block(by, user)).await.map_err(uncertain)?;
            Ok(there.is_some_and(|there| there.get_object_id("mark").is_ok_and(|known| known == mark)))
        })
        .await
    }

    async fn unblock(&self, by: UserId, user: UserId) -> Result<bool> {
        self.run(async move |_, call| {
            let removed = call.delete(BLOCKS, queries::by_id(queries::block_id(by, user))).await?;
            // Made twice, it may have been the first attempt that took it away.
            Ok(removed.matched > 0 || removed.was_repeated)
        })
        .await
    }

    async fn blocks_of(&self, user: UserId) -> Result<Vec<Block>> {
        self.run(async move |_, call| {
            let found = call.find(&queries::blocks_of(user)).await?;
            let mut blocks: Vec<Block> = found.iter().filter_map(to_block).collect();
            blocks.sort_unstable_by_key(|block| (block.at, block.by, block.user));
            Ok(blocks)
        })
        .await
    }
}
