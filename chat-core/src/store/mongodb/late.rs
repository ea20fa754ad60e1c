//! Users whose feeds were told something that nobody tells them live.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::UserId;

/// Gathers them until somebody asks.
#[derive(Debug, Default)]
pub(super) struct Late {
    users: Mutex<HashSet<UserId>>,
    news: Notify,
}

impl Late {
    fn users(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, users: impl IntoIterator<Item = UserId>) {
        let mut known = self.users();
        known.extend(users);
        if !known.is_empty() {
            self.news.notify_one();
        }
    }

    /// All since this was asked last; waits until there is one.
    pub(super) async fn take(&self) -> Vec<UserId> {
        loop {
            let users = std::mem::take(&mut *self.users());
            if !users.is_empty() {
                return users.into_iter().collect();
            }
            self.news.notified().await;
        }
    }
}
