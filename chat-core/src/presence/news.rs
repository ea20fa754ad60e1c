//! Who changed since somebody looked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::UserId;

/// Users who wait to be stored and told, each once: [`State::is_queued`](super::state::State::is_queued) sees to that.
#[derive(Debug, Default)]
pub(super) struct News {
    users: Mutex<Vec<UserId>>,
    arrival: Notify,
}

impl News {
    pub(super) fn put(&self, user: UserId) {
        self.users().push(user);
        self.arrival.notify_one();
    }

    pub(super) fn take(&self) -> Vec<UserId> {
        std::mem::take(&mut *self.users())
    }

    /// Waits until there may be some.
    pub(super) async fn wait(&self) {
        self.arrival.notified().await;
    }

    fn users(&self) -> MutexGuard<'_, Vec<UserId>> {
        // A push and a take leave nothing half done.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
