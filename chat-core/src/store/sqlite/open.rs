//! From a path to connections: what is refused, and how the file is set up.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    db::Db,
    error::{Failure, from_sqlite},
    lock::{self, Lock},
    schema,
};
use crate::store::Result;

/// How long to wait for another program that holds the file, such as a backup.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads that may run at once.
const READERS: usize = 4;

/// An open database.
pub(super) struct Opened {
    pub(super) lock: Lock,
    pub(super) writer: Db,
    pub(super) readers: Vec<Db>,
}

/// Opens or makes the database at `path`. Blocks.
///
/// # Errors
/// When it can't be opened, with a sentence that says why. Nothing was changed then.
pub(super) fn open(path: &Path) -> Result<Opened> {
    let path = resolve(path)?;
    // Before the lock: a file that is not ours gets no lock beside it.
    check_header(&path)?;
    let lock = Lock::take(&path)?;
    check_header(&path)?;
    let writer = writer(&path)?;
    let readers = (0..READERS).map(|_| reader(&path)).collect::<Result<_>>()?;
    Ok(Opened { lock, writer, readers })
}

/// One name for one file, whichever links lead to it, so that there is one lock.
fn resolve(path: &Path) -> Result<PathBuf> {
    let missing = |e| Failure::because("the folder of the database does not exist", e).unavailable();
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let Some(name) = path.file_name() else {
                return Err(Failure::new("the path of the database names no file").other());
            };
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Ok(folder.unwrap_or(Path::new(".")).canonicalize().map_err(missing)?.join(name))
        }
        Err(e) => Err(Failure::because("the path of the database can't be followed", e).unavailable()),
    }
}

/// Reads the header with our own eyes: SQLite, once it has opened a file, may write to it.
///
/// A file of ours has carried its application id since its first transaction, so the header is never too old to
/// show it. It may be too old to show the newest version, which [`writer`] asks for again.
fn check_header(path: &Path) -> Result<()> {
    /// <https://www.sqlite.org/fileformat2.html#the_database_header>
    const HEADER: usize = 100;
    let unreadable = |e| Failure::because("the database file can't be read", e).unavailable();
    let mut header = Vec::with_capacity(HEADER);
    match File::open(path) {
        Ok(file) => file.take(HEADER as u64).read_to_end(&mut header).map_err(unreadable)?,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unreadable(e)),
    };
    // Made, but nothing was written yet.
    if header.is_empty() {
        return Ok(());
    }
    let field = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    match (header.starts_with(b"SQLite format 3\0"), field(60), field(68)) {
        (true, Some(version), Some(id)) => schema::check(id.cast_signed(), version),
        _ => Err(Failure::new("the file is not an SQLite database").other()),
    }
}

fn writer(path: &Path) -> Result<Db> {
    // Made here because SQLite would make it readable by all. It gives its log the same mode.
    lock::private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(path)
        .map_err(|e| {
            Failure::because("the database file can't be written to by this user", e).unavailable()
        })?;
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(from_sqlite)?;
    if connection.is_readonly("main").map_err(from_sqlite)? {
        return Err(Failure::new("the database file can't be written to by this user").unavailable());
    }
    connection.busy_timeout(PATIENCE).map_err(from_sqlite)?;
    check_again(&connection)?;
    schema::migrate(&mut connection)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(from_sqlite)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(
            Failure::new("the file system of the database has no shared memory, which WAL needs").other()
        );
    }
    connection.execute_batch(WRITER).map_err(from_sqlite)?;
    Ok(Db::new(connection))
}

/// As SQLite sees it, with what is still in the log.
fn check_again(connection: &Connection) -> Result<()> {
    // Without this, closing a connection moves the log into the file: a refused file must stay as it is.
    let keep_log = |on| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on);
    keep_log(true).map_err(from_sqlite)?;
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (id, version) =
        read("application_id").and_then(|id| Ok((id, read("user_version")?))).map_err(from_sqlite)?;
    let pages =
        connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).map_err(from_sqlite)?;
    if pages > 0 {
        schema::check(i32::try_from(id).unwrap_or_default(), u32::try_from(version).unwrap_or(u32::MAX))?;
    }
    keep_log(false).map_err(from_sqlite).map(drop)
}

/// - `synchronous = FULL`: the log is synced at each commit; with NORMAL a power cut could take acknowledged messages.
/// - `wal_autocheckpoint`, in pages of 4 KiB: a checkpoint syncs twice more and writes each changed page once,
///   however often it changed; so rarely is cheaper. 16 MiB of log are still read back in no time at the next start.
/// - `temp_store`: the journals of statements and savepoints are not worth a file.
/// - `secure_delete = FAST`: what is deleted is overwritten where that costs no extra write.
const WRITER: &str = "
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -65536;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
PRAGMA secure_delete = FAST;
";

const READER: &str = "
PRAGMA query_only = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -16384;
";

fn reader(path: &Path) -> Result<Db> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connect = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch(READER)?;
        Ok(connection)
    };
    connect().map(Db::new).map_err(from_sqlite)
}
