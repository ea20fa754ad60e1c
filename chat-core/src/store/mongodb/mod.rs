//! The store on MongoDB: production's, and a drop-in on the data of a Node.js application that wrote with Mongoose.
//!
//! It needs a server of version 5.0 or later, alone or as a replica set, and its collections not sharded: a `seq` and an
//! e-mail are unique by index. Every write waits for a majority and its journal, every read asks the primary.
//!
//! # Collections
//! `users` and `messages` are as Mongoose writes them, with a few fields more, so that a Mongoose application can go on
//! reading and writing beside this store: what it writes is adopted within a second or so. `chatcore_members` has the
//! list of chats of each user, `chatcore_feeds` what happened for each, `chatcore_blocks` who does not want to hear of
//! whom, `chatcore_leases` which processes are there, `chatcore_sessions` ended sign-ins, `chatcore_notes` what the
//! service notes for itself.
//!
//! A message that another application removes for good leaves a hole in its chat's `seq`; one that it marks with
//! `isDeleted` does not.

mod adopt;
mod append;
mod blocks;
mod changes;
mod chats;
mod db;
mod debts;
mod documents;
mod error;
mod feeds;
mod indexes;
mod late;
mod leases;
mod marks;
mod messages;
mod nodes;
mod outbox;
mod queries;
mod sessions;
mod settings;
mod tails;
#[cfg(test)]
mod tests;
mod untold;
mod users;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mongodb::{Client, bson::doc, options::ClientOptions};
use tokio_util::sync::DropGuard;

pub use self::settings::MongoSettings;
use self::{
    adopt::Backlog,
    db::{Call, Db},
    debts::Debts,
    error::{other, unavailable},
    feeds::FeedWriter,
    late::Late,
    tails::Tails,
    untold::Untold,
};
use super::{Result, Store, StoreError};

/// The store on MongoDB; see the [module](self).
///
/// Every call runs in a task of its own and is tried again while the server is away, as long as its
/// [`timeout`](MongoSettings::timeout) lasts. A caller who hangs up cancels nothing.
#[derive(Clone)]
pub struct MongoStore {
    inner: Arc<Inner>,
    /// Ends the background work with the last clone.
    _stop: Arc<DropGuard>,
}

/// What calls and background work share.
#[derive(Debug)]
struct Inner {
    db: Arc<Db>,
    tails: Tails,
    debts: Debts,
    feeds: FeedWriter,
    untold: Untold,
    late: Late,
    backlog: Backlog,
    /// Under which this process leaves word that it is there.
    node: String,
    is_closed: AtomicBool,
    /// Whether the last write of this process for its own sake was durable in time.
    can_write: AtomicBool,
}

impl MongoStore {
    /// Connects, makes the indexes, and begins to adopt what another application has written. The URI names the
    /// database: `mongodb://host/database`.
    ///
    /// # Errors
    /// [`StoreError::Other`] when the URI can't be used or the data is in the way of an index, with a sentence that
    /// names what and where; [`StoreError::Unavailable`] when the server can't be reached or refuses to let us in.
    ///
    /// # Examples
    /// ```no_run
    /// use chat_core::{ChatService, store::MongoStore};
    ///
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MongoStore::connect("mongodb://127.0.0.1/chat").await?;
    /// let chat = ChatService::builder().data_dir("chat-data").store(store).build().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(uri: &str) -> Result<Self> {
        Self::connect_with(uri, MongoSettings::default()).await
    }

    /// As [`connect`](Self::connect), with choices.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(uri: &str, settings: MongoSettings) -> Result<Self> {
        let mut options = ClientOptions::parse(uri).await.map_err(|error| unusable(uri, &error))?;
        let Some(database) = options.default_database.clone() else {
            return Err(other("the URI names no database: mongodb://host/<database>"));
        };
        settings.apply(&mut options);
        let client = Client::with_options(options).map_err(|error| unusable(uri, &error))?;
        Self::start(client, true, &database, &settings).await
    }

    /// On a client of the application's own, with its pool and its time-outs; it stays open when the store closes.
    /// Of the settings those count that are not the client's.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn with_client(client: Client, database: &str, settings: MongoSettings) -> Result<Self> {
        Self::start(client, false, database, &settings).await
    }

    async fn start(
        client: Client,
        owns_client: bool,
        database: &str,
        settings: &MongoSettings,
    ) -> Result<Self> {
        let database = client.database(database);
        let db = Db::new(client, owns_client, database, settings.call_timeout());
        let inner = Arc::new(Inner {
            db,
            tails: Tails::new(),
            debts: Debts::default(),
            feeds: FeedWriter::new(),
            untold: Untold::default(),
            late: Late::default(),
            backlog: Backlog::default(),
            node: nodes::name(),
            is_closed: AtomicBool::new(false),
            can_write: AtomicBool::new(true),
        });
        let call = inner.db.call();
        let prepared = async {
            ready(&call).await?;
            indexes::make(&call).await
        };
        if let Err(error) = prepared.await {
            inner.db.disconnect().await;
            return Err(error);
        }
        inner.db.tasks.spawn(adopt::keep_adopting(inner.clone(), settings.adoption_period()));
        inner.db.tasks.spawn(debts::keep_paying(inner.clone()));
        inner.db.tasks.spawn(nodes::keep_beating(inner.clone()));
        let stop = Arc::new(inner.db.stop.clone().drop_guard());
        Ok(Self { inner, _stop: stop })
    }

    /// Runs a call to its end, whether somebody waits for it or not.
    async fn run<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Inner>, Call) -> F + Send,
    ) -> Result<T> {
        let inner = self.inner.clone();
        self.inner.db.run(move |call| work(inner, call)).await
    }
}

/// Whether the server can be written to now.
async fn ready(call: &Call) -> Result<()> {
    let hello = call.command(&doc! { "hello": 1 }).await?;
    let is_alone = !hello.contains_key("setName") && hello.get_str("msg").ok() != Some("isdbgrid");
    call.db.is_alone.store(is_alone, Ordering::Relaxed);
    if hello.get_bool("isWritablePrimary").unwrap_or_default() {
        Ok(())
    } else {
        Err(unavailable("the server can't be written to: it is not the primary"))
    }
}

/// Of a URI that can't be used. Where there may be a password in it, the driver's sentence could repeat some of that.
fn unusable(uri: &str, error: &mongodb::error::Error) -> StoreError {
    other(if uri.contains('@') {
        "the URI can't be used: mongodb://user:password@host/database, and in the user and the password each of \
         : / ? # [ ] @ % written as % and its two hex digits"
            .to_owned()
    } else {
        format!("the URI can't be used: {}", error.kind)
    })
}

#[async_trait]
impl Store for MongoStore {
    async fn ping(&self) -> Result<()> {
        self.run(async move |inner, call| {
            let deadline = tokio::time::Instant::now() + Duration::from_millis(1_500);
            let call = Call { deadline: call.deadline.min(deadline), is_probe: true, ..call };
            ready(&call).await?;
            // The server may be there, and no majority to write to.
            if inner.can_write.load(Ordering::Relaxed) { Ok(()) } else { nodes::beat(&inner, &call).await }
        })
        .await
    }

    async fn close(&self) -> Result<()> {
        self.inner.db.finish().await;
        if !self.inner.is_closed.swap(true, Ordering::Relaxed) {
            nodes::sign_off(&self.inner).await;
            self.inner.db.disconnect().await;
        }
        Ok(())
    }

    fn append_lanes(&self) -> usize {
        16
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore").field("database", &self.inner.db.database.name()).finish_non_exhaustive()
    }
}
