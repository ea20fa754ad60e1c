//! One opener at a time: a lock on a file beside the database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::error::Failure;
use crate::StoreError;

/// A store that was dropped without `close` finishes its last transaction on its own thread: the next opener waits
/// that long for it, and no longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Held as long as the database is open.
///
/// SQLite itself lets several processes share a file, but the writer keeps the end of each chat in memory: a second
/// writer would make it wrong. The lock goes with the process, however that ends; the file stays, because removing
/// it would let two openers lock two different files.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held, not used")] File);

impl Lock {
    /// Takes the lock of this database.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when somebody else has it, or when the file can't be made.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(&path)
            .map_err(|e| {
                let sentence = "the folder of the database is missing or can't be written to by this user";
                Failure::because(sentence, e).unavailable()
            })?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::new("another process has this database open").unavailable());
                }
                Err(TryLockError::Error(e)) => {
                    return Err(Failure::because("the database can't be locked", e).unavailable());
                }
            }
        }
    }
}

/// `<path><suffix>`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What it makes is readable by its owner only.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
