//! A connection that runs the statements of `sql.rs` and nothing else.

use rusqlite::{Connection, Params};

use super::{error::from_sqlite, rows::FromRow, sql::Sql};
use crate::store::Result;

/// Statements that stay prepared: more than there are.
const STATEMENTS: usize = 128;

/// A connection whose only ways in are prepared statements and transaction control.
#[derive(Debug)]
pub(super) struct Db(Connection);

impl Db {
    pub(super) fn new(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Self(connection)
    }

    /// Runs a statement that returns nothing; how many rows it changed.
    pub(super) fn execute(&self, sql: Sql, params: impl Params) -> Result<usize> {
        let run = || self.0.prepare_cached(sql.text())?.execute(params);
        run().map_err(from_sqlite)
    }

    /// The first row, if there is one.
    pub(super) fn first<T: FromRow>(&self, sql: Sql, params: impl Params) -> Result<Option<T>> {
        let run = || {
            let mut statement = self.0.prepare_cached(sql.text())?;
            let mut rows = statement.query(params)?;
            rows.next()?.map(T::from_row).transpose()
        };
        run().map_err(from_sqlite)
    }

    /// All rows.
    pub(super) fn all<T: FromRow>(&self, sql: Sql, params: impl Params) -> Result<Vec<T>> {
        let run = || -> rusqlite::Result<Vec<T>> {
            self.0.prepare_cached(sql.text())?.query_map(params, T::from_row)?.collect()
        };
        run().map_err(from_sqlite)
    }

    /// Whether anything was written since [`begin`](Self::begin) is SQLite's to know: a transaction that wrote
    /// nothing commits without touching the disk.
    pub(super) fn begin(&self) -> Result<()> {
        self.control("BEGIN IMMEDIATE")
    }

    /// After this, what was written survives.
    pub(super) fn commit(&self) -> Result<()> {
        self.control("COMMIT")
    }

    /// Undoes the transaction, if SQLite has not already done so on its own after an error.
    pub(super) fn rollback(&self) -> Result<()> {
        if self.0.is_autocommit() { Ok(()) } else { self.control("ROLLBACK") }
    }

    /// Runs `work`, and undoes what it wrote if it fails.
    pub(super) fn whole_or_not<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.save()?;
        self.release(work(self))
    }

    /// A point to come back to, until it is [released](Self::release).
    pub(super) fn save(&self) -> Result<()> {
        self.control("SAVEPOINT work")
    }

    /// Keeps what was written since [`save`](Self::save), or undoes it if what was done failed.
    pub(super) fn release<T>(&self, done: Result<T>) -> Result<T> {
        match done {
            Ok(done) => self.control("RELEASE work").map(|()| done),
            Err(error) if self.0.is_autocommit() => Err(error),
            Err(error) => {
                self.control("ROLLBACK TO work").and_then(|()| self.control("RELEASE work"))?;
                Err(error)
            }
        }
    }

    /// Moves the write-ahead log into the database file and empties it.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let run = || self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        run().map_err(from_sqlite)
    }

    /// Lets the file grow to so many pages and no further.
    pub(super) fn limit_pages(&self, pages: u32) -> Result<()> {
        let run = || self.0.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        run().map_err(from_sqlite)
    }

    fn control(&self, sql: &'static str) -> Result<()> {
        let run = || self.0.prepare_cached(sql)?.execute([]).map(drop);
        run().map_err(from_sqlite)
    }
}
