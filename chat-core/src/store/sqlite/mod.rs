//! The embedded store: one SQLite file, no other program.
//!
//! One thread writes: it takes all calls that wait, runs them in one transaction and answers after the commit, so
//! that a sync of the disk is shared by everybody who waits for one. A few connections read beside it (WAL), on
//! blocking threads.
//!
//! ```no_run
//! # async fn demo() -> Result<(), chat_core::StoreError> {
//! use chat_core::store::{SqliteStore, Store};
//!
//! let store = SqliteStore::open("chat.db").await?;
//! store.ping().await?;
//! store.close().await
//! # }
//! ```

mod append;
mod blocks;
mod changes;
mod chats;
mod db;
mod error;
mod feeds;
mod lock;
mod messages;
mod open;
mod outbox;
mod readers;
mod rows;
mod schema;
mod sessions;
mod sql;
mod tails;
#[cfg(test)]
mod tests;
mod tx;
mod users;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

use self::{error::Failure, readers::Readers, tx::Tx, writer::Writer};
use super::{Notes, Result, Store};

/// How long a store that works may take to say so.
const PING: Duration = Duration::from_secs(2);

/// A [`Store`] in one SQLite file.
///
/// For one process at a time: a second one that opens the file is refused. Dropped without
/// [`close`](Store::close), it still writes what waits, on its own thread; nothing that was acknowledged is lost,
/// whichever way the process ends.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
}

impl SqliteStore {
    /// Opens the database at `path`, or makes it, readable by its owner only. Its folder must exist. Beside it there
    /// will be `<path>.lock` and, while it is open, `<path>-wal` and `<path>-shm`.
    ///
    /// # Errors
    /// - [`Unavailable`](crate::StoreError::Unavailable): another process, or this one, has it open; the folder is
    ///   missing; the file or its folder can't be written to; the disk is full.
    /// - [`Other`](crate::StoreError::Other): the file is not an SQLite database, or is that of another application
    ///   or of a newer version of this one. It is left as it was.
    ///
    /// The source of the error is a sentence that says which.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let task = tokio::task::spawn_blocking(move || {
            let opened = open::open(&path)?;
            let readers = Arc::new(Readers::new(opened.readers));
            let writer = Writer::start(Tx::new(opened.writer), Arc::clone(&readers), opened.lock)
                .map_err(|e| Failure::because("there is no thread for the database", e).unavailable())?;
            Ok(Self { writer, readers })
        });
        task.await.unwrap_or_else(|e| Err(Failure::because("opening was broken off", e).unavailable()))
    }

    /// Lets the file grow to so many pages of 4 KiB and no further, for tests of a full disk.
    ///
    /// # Errors
    /// Those of any write.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<()> {
        self.writer.run(move |tx| tx.db.limit_pages(pages)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<()> {
        // A real write: on a full or read-only disk an empty transaction would still do.
        let write = Notes::put_note(self, "ping", "");
        let read = self.readers.run(|db| db.first::<u64>(sql::PING, []));
        match tokio::time::timeout(PING, async { write.await.and(read.await) }).await {
            Ok(answer) => answer.map(drop),
            Err(late) => Err(Failure::because("the database does not answer in time", late).unavailable()),
        }
    }

    async fn close(&self) -> Result<()> {
        self.writer.close().await
    }

    /// It holds a lock.
    fn is_exclusive(&self) -> bool {
        true
    }
}
