//! Connections that only read, beside the writer.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::{db::Db, error::Failure};
use crate::store::Result;

/// A fixed number of connections, each used by one blocking task at a time.
///
/// In WAL mode a reader sees the last commit and waits for nobody, so a few are enough: more would only compete for
/// the cores.
#[derive(Debug)]
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    /// Those not in use; `None` after [`close`](Self::close).
    idle: Mutex<Option<Vec<Db>>>,
}

impl Readers {
    pub(super) fn new(connections: Vec<Db>) -> Self {
        Self { permits: Arc::new(Semaphore::new(connections.len())), idle: Mutex::new(Some(connections)) }
    }

    /// Runs `work` on a connection, away from the async threads.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Unavailable`](crate::StoreError::Unavailable) when the store is closed.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let closed = || Failure::closed().unavailable();
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let lent = readers.lend().ok_or_else(closed)?;
            let result = lent.db.as_ref().ok_or_else(closed).and_then(work);
            // In this order: whoever gets the permit finds the connection.
            drop(lent);
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|e| Err(Failure::because("a read was broken off", e).unavailable()))
    }

    /// Closes the connections that nobody uses; the others follow as they are given back.
    pub(super) fn close(&self) {
        self.permits.close();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(idle);
    }

    fn lend(&self) -> Option<Lent<'_>> {
        let db = self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.pop();
        Some(Lent { readers: self, db })
    }
}

/// Gives the connection back however the work ends, also by a panic.
struct Lent<'a> {
    readers: &'a Readers,
    db: Option<Db>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(idle), Some(db)) = (idle.as_mut(), self.db.take()) {
            idle.push(db);
        }
    }
}
