//! What people choose for themselves: what others may know of them, and of whom they don't want to hear.

use super::{Auth, User};
use crate::{
    Error, Result, Timestamp, UserId,
    service::Shared,
    store::{Block, Settings, SettingsChange},
};

impl Auth<'_> {
    /// What one has chosen for oneself.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account; [`Error::Unavailable`].
    pub async fn settings(&self, me: UserId) -> Result<Settings> {
        Ok(self.0.store.user(me).await?.ok_or(Error::NotFound("User"))?.settings)
    }

    /// Changes it, and returns all of it. Who becomes invisible goes offline for everybody else at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account; [`Error::Unavailable`].
    pub async fn change_settings(&self, me: UserId, change: SettingsChange) -> Result<Settings> {
        let shared = self.0.clone();
        // To its end, also when nobody waits for it any more.
        let change = async move {
            let settings = shared.store.update_settings(me, &change).await;
            if change.is_invisible.is_some() {
                // After an error as well: it may have been done.
                shared.presence.reconsider(me);
            }
            Ok(settings?)
        };
        self.0.tasks.spawn(change).await.map_err(Error::internal)?
    }

    /// Blocks somebody: they can't write to one any more, nor react, nor see whether one is here or has read what they
    /// wrote; what they are told is what they would be told of somebody who is not there. Done again it changes nothing.
    ///
    /// # Errors
    /// [`Error::Validation`] for oneself; [`Error::NotFound`] when there is no such user; [`Error::Unavailable`].
    pub async fn block(&self, me: UserId, user: UserId) -> Result<()> {
        if me == user {
            return Err(Error::invalid("id", "must not be yourself".to_owned()));
        }
        let (shared, at) = (self.0.clone(), Timestamp::now());
        let change = async move {
            shared.blocks.block(&Block { by: me, user, at }).await?;
            shared.tell_of_block(me, user, at).await;
            Ok(())
        };
        self.0.tasks.spawn(change).await.map_err(Error::internal)?
    }

    /// Ends that. Done again it changes nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn unblock(&self, me: UserId, user: UserId) -> Result<()> {
        let (shared, at) = (self.0.clone(), Timestamp::now());
        let change = async move {
            shared.blocks.unblock(me, user).await?;
            shared.tell_of_block(me, user, at).await;
            Ok(())
        };
        self.0.tasks.spawn(change).await.map_err(Error::internal)?
    }

    /// Whom one has blocked, the first one first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn blocked(&self, me: UserId) -> Result<Vec<User>> {
        let mut users = Vec::new();
        for block in self.0.store.blocks_of(me).await?.into_iter().filter(|block| block.by == me) {
            users.extend(self.0.store.user(block.user).await?.map(|user| self.0.view_user(user)));
        }
        Ok(users)
    }
}

impl Shared {
    /// Presence of who has blocked somebody ends for that one, or begins again.
    async fn tell_of_block(&self, by: UserId, user: UserId, at: Timestamp) {
        if let Err(error) = self.presence.tell_of_block(by, user, at).await {
            tracing::warn!(%error, "somebody may still see who has blocked them as online");
        }
    }
}
