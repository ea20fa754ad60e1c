//! One database, and calls that are tried again until they are certain or their time is over.
//!
//! Whatever a call does is written so that doing it again changes nothing: inserts carry their ids, updates say what
//! must be there. So an error after which a write may have happened is not guessed about: it is made again, until the
//! server says what became of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt;
use mongodb::{
    Client, Database,
    bson::{Bson, Document, RawDocumentBuf, doc},
    options::{Hint, ReadConcern, ReadPreference, SelectionCriteria},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    error::{self, closed, from_driver, is_passing, is_passing_code, unavailable, uncertain},
    queries::Find,
};
use crate::store::Result;

/// Calls at once; past that it is better to say no than to let everybody wait for a time-out.
const CALLS: usize = 4_096;
/// The first pause before something is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(400));

/// The database, with all that runs on it.
#[derive(Debug)]
pub(super) struct Db {
    client: Client,
    /// Not the application's: to be shut down with the store.
    owns_client: bool,
    pub(super) database: Database,
    timeout: Duration,
    calls: Semaphore,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// The last call found no server.
    is_away: AtomicBool,
    /// The server is no member of a replica set.
    pub(super) is_alone: AtomicBool,
}

/// One call: what it does has a common end.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) db: Arc<Db>,
    pub(super) deadline: Instant,
    /// How long one attempt may take.
    pub(super) patience: Duration,
    /// Its end comes early: that it was too slow for that says nothing about other calls.
    pub(super) is_probe: bool,
}

/// One statement of an `update` command.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) filter: Document,
    pub(super) change: Document,
    pub(super) upsert: bool,
}

/// What a write came to, statement by statement.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) matched: u64,
    pub(super) modified: u64,
    pub(super) failed: Vec<Failed>,
    /// It was made more than once: what an earlier attempt had done does not count as done by this one.
    pub(super) was_repeated: bool,
}

/// What became of a change of one document.
#[derive(Debug)]
pub(super) struct Modified {
    /// As it is afterwards; `None` when none matched.
    pub(super) document: Option<Document>,
}

/// A statement that failed for good.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) index: usize,
    pub(super) code: i32,
    pub(super) message: String,
}

impl Db {
    pub(super) fn new(client: Client, owns_client: bool, database: Database, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            client,
            owns_client,
            database,
            timeout,
            calls: Semaphore::new(CALLS),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            is_away: AtomicBool::new(false),
            is_alone: AtomicBool::new(false),
        })
    }

    /// Runs a call in a task of its own: the driver is not cancel-safe, and a caller who hangs up must not leave a
    /// write half done.
    pub(super) async fn run<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Call) -> F + Send,
    ) -> Result<T> {
        if self.stop.is_cancelled() {
            return Err(closed());
        }
        let db = self.clone();
        let call = work(self.call());
        let task = self.tasks.spawn(async move {
            let Ok(_place) = db.calls.try_acquire() else {
                return Err(unavailable("too many calls at once"));
            };
            call.await
        });
        task.await.unwrap_or_else(|error| Err(error::other(error.to_string())))
    }

    /// A call that begins now. While the server is known to be away, it is short: many would wait for nothing.
    pub(super) fn call(self: &Arc<Self>) -> Call {
        let is_away = self.is_away.load(Ordering::Relaxed);
        let time = if is_away { self.timeout / 5 } else { self.timeout };
        Call { db: self.clone(), deadline: Instant::now() + time, patience: time, is_probe: false }
    }

    /// Takes no further calls, and waits for those that run.
    pub(super) async fn finish(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Lets go of the connections.
    pub(super) async fn disconnect(&self) {
        if self.owns_client {
            self.client.clone().shutdown().immediate(true).await;
        }
    }

    /// Survives the loss of a minority of the servers, and of the power.
    fn write_concern(&self) -> Document {
        let millis = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        doc! { "w": "majority", "j": true, "wtimeout": millis }
    }
}

impl Call {
    /// All documents that a query finds.
    pub(super) async fn find(&self, find: &Find) -> Result<Vec<Document>> {
        self.find_with(find, ReadConcern::local()).await
    }

    /// The first one.
    pub(super) async fn first(&self, find: &Find) -> Result<Option<Document>> {
        Ok(self.find(find).await?.into_iter().next())
    }

    /// Those that a majority of the servers has: nothing can undo them any more.
    pub(super) async fn find_durable(&self, find: &Find) -> Result<Vec<Document>> {
        // A server of its own knows no majority: what it has, it has.
        let concern = self.db.is_alone.load(Ordering::Relaxed).then(ReadConcern::local);
        self.find_with(find, concern.unwrap_or_else(ReadConcern::majority)).await
    }

    async fn find_with(&self, find: &Find, concern: ReadConcern) -> Result<Vec<Document>> {
        let collection = self.db.database.collection::<Document>(find.collection);
        let attempt = || async {
            // One reads one's own writes.
            let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
            let mut action = collection.find(find.filter.clone()).selection_criteria(primary);
            action = action.max_time(self.left());
            if !find.sort.is_empty() {
                action = action.sort(find.sort.clone());
            }
            if let Some(projection) = &find.projection {
                action = action.projection(projection.clone());
            }
            if let Some(limit) = find.limit {
                action = action.limit(limit).batch_size(u32::try_from(limit).unwrap_or(u32::MAX));
            }
            if let Some(index) = find.hint {
                action = action.hint(Hint::Name(index.to_owned()));
            }
            action = action.read_concern(concern.clone());
            action.await?.try_collect().await
        };
        self.insist(attempt).await.map(|(found, _)| found)
    }

    /// Inserts documents that carry their ids. With `is_ordered` it stops at the first that fails.
    ///
    /// # Errors
    /// When the time is over before it is certain what became of them.
    pub(super) async fn insert(
        &self,
        collection: &str,
        documents: Vec<Document>,
        is_ordered: bool,
    ) -> Result<Written> {
        let documents: Vec<Bson> = documents.into_iter().map(Bson::Document).collect();
        self.write(doc! { "insert": collection, "documents": documents, "ordered": is_ordered }).await
    }

    /// Runs updates.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub(super) async fn update(
        &self,
        collection: &str,
        updates: Vec<Update>,
        is_ordered: bool,
    ) -> Result<Written> {
        if updates.is_empty() {
            return Ok(Written::default());
        }
        let statement =
            |update: Update| doc! { "q": update.filter, "u": update.change, "upsert": update.upsert };
        let updates: Vec<Bson> = updates.into_iter().map(|update| statement(update).into()).collect();
        self.write(doc! { "update": collection, "updates": updates, "ordered": is_ordered }).await
    }

    /// Runs one update on all documents that match it.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub(super) async fn update_all(
        &self,
        collection: &str,
        filter: Document,
        change: Document,
    ) -> Result<Written> {
        let statement = doc! { "q": filter, "u": change, "multi": true };
        self.write(doc! { "update": collection, "updates": [statement] }).await
    }

    /// Removes all documents that match.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub(super) async fn delete(&self, collection: &str, filter: Document) -> Result<Written> {
        self.write(doc! { "delete": collection, "deletes": [{ "q": filter, "limit": 0 }] }).await
    }

    /// A write by its command, because the answer to that tells for each statement what became of it.
    async fn write(&self, mut command: Document) -> Result<Written> {
        command.insert("writeConcern", self.db.write_concern());
        let command = RawDocumentBuf::try_from(&command).map_err(|error| error::other(error.to_string()))?;
        let mut was_repeated = false;
        let mut pause = PAUSES.0;
        loop {
            let attempt = || async { self.db.database.run_raw_command(command.clone()).await };
            let (answer, attempts) = self.insist(attempt).await.map_err(uncertain)?;
            was_repeated |= attempts > 1;
            match read(&answer) {
                Ok(written) => return Ok(Written { was_repeated, ..written }),
                // It may have happened, or be undone yet: only the next attempt can tell.
                Err(reason) => {
                    was_repeated = true;
                    if !self.pause(&mut pause).await {
                        return Err(uncertain(unavailable(reason)));
                    }
                }
            }
        }
    }

    /// Changes one document, and returns it as it is then, or these fields of it. One that was changed by an attempt
    /// whose answer was lost counts as not matching, if the filter says so.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub(super) async fn modify(
        &self,
        collection: &str,
        update: Update,
        fields: Option<Document>,
    ) -> Result<Modified> {
        let mut command = doc! {
            "findAndModify": collection, "query": update.filter, "update": update.change, "new": true,
            "upsert": update.upsert, "writeConcern": self.db.write_concern(),
        };
        if let Some(fields) = fields {
            command.insert("fields", fields);
        }
        let mut pause = PAUSES.0;
        loop {
            let attempt = || async { self.db.database.run_command(command.clone()).await };
            let (answer, _) = self.insist(attempt).await.map_err(uncertain)?;
            match read(&answer) {
                Ok(_) => {
                    let document = answer.get_document("value").ok().cloned();
                    return Ok(Modified { document });
                }
                Err(reason) if !self.pause(&mut pause).await => return Err(uncertain(unavailable(reason))),
                Err(_) => {}
            }
        }
    }

    /// Runs a command.
    pub(super) async fn command(&self, command: &Document) -> Result<Document> {
        let attempt = || async { self.db.database.run_command(command.clone()).await };
        self.insist(attempt).await.map(|(answer, _)| answer)
    }

    /// Makes attempts until one has an answer; also returns how many it took.
    async fn insist<T, F: Future<Output = mongodb::error::Result<T>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<(T, u32)> {
        let mut pause = PAUSES.0;
        for attempts in 1.. {
            let end = self.deadline.min(Instant::now() + self.patience);
            let error = match timeout_at(end, attempt()).await {
                Ok(Ok(answer)) => {
                    self.db.is_away.store(false, Ordering::Relaxed);
                    return Ok((answer, attempts));
                }
                Ok(Err(error)) if !is_passing(&error) => return Err(from_driver(error)),
                Ok(Err(error)) => from_driver(error),
                Err(_) => unavailable("the database did not answer in time"),
            };
            if !self.pause(&mut pause).await {
                if !self.is_probe {
                    self.db.is_away.store(true, Ordering::Relaxed);
                }
                return Err(error);
            }
        }
        Err(unavailable("too many attempts"))
    }

    /// Waits a little before the next attempt; `false` when there is no time for one.
    pub(super) async fn pause(&self, pause: &mut Duration) -> bool {
        // Two that met each other must not meet again.
        let wait = pause.mul_f64(0.5 + f64::from(crate::random::bytes::<1>()[0]) / 256.0);
        *pause = (*pause * 2).min(PAUSES.1);
        if self.left() <= wait {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The answer to a write, or why it is not certain what became of it.
fn read(answer: &Document) -> Result<Written, String> {
    if let Ok(error) = answer.get_document("writeConcernError") {
        return Err(format!("not known to be durable: {}", error.get_str("errmsg").unwrap_or_default()));
    }
    let mut failed = Vec::new();
    for error in answer.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default() {
        let Some(error) = error.as_document() else { continue };
        let (code, message) = (int(error, "code"), error.get_str("errmsg").unwrap_or_default().to_owned());
        let code = i32::try_from(code).unwrap_or_default();
        if is_passing_code(code) {
            return Err(message);
        }
        let index = usize::try_from(int(error, "index")).unwrap_or_default();
        failed.push(Failed { index, code, message });
    }
    let count = |key| u64::try_from(int(answer, key)).unwrap_or_default();
    Ok(Written { matched: count("n"), modified: count("nModified"), failed, was_repeated: false })
}

/// A number, in whichever type the server sent it.
#[allow(clippy::cast_possible_truncation, reason = "counts, and they are small")]
pub(super) fn int(document: &Document, key: &str) -> i64 {
    match document.get(key) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Double(number)) => *number as i64,
        _ => 0,
    }
}
