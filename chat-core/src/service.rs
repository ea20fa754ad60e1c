//! The service: everything that is chat, without a web framework.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ChatServiceBuilder, Error, Limits, Result,
    auth::{Auth, Blocks, Links, Passwords, Revocations, Tokens, Uses},
    encryption::{Encryption, Opener},
    events::{Events, FeedReader, Hub, Typing},
    images::{CheckedImage, ImagePurpose, ImageStore},
    mail::{MailTemplates, Mailer},
    messages::{Log, Message, Messages},
    outbox::{Job, Outbox},
    presence::{Presence, Tracker},
    shield::{Shield, ShieldStats},
    store::{MessageRecord, Store},
};

/// How long a shutdown waits for mail and for pictures to be removed.
const ERRANDS: Duration = Duration::from_secs(2);

/// Chat: accounts, messages, encryption, presence and live delivery.
///
/// Cheap to clone: all clones are one service. Made by [`open`](Self::open) or by a [`builder`](Self::builder), within
/// a tokio runtime.
#[derive(Clone)]
pub struct ChatService {
    pub(crate) shared: Arc<Shared>,
}

impl ChatService {
    /// A service that keeps everything in this folder: an SQLite database, pictures, and the secrets, which are made
    /// at the first start. Every other setting has its safe default.
    ///
    /// # Errors
    /// [`BuildError`](crate::BuildError) says what can't be used, and why.
    #[cfg(feature = "sqlite")]
    pub async fn open(folder: impl AsRef<std::path::Path>) -> Result<Self, crate::BuildError> {
        Self::builder().data_dir(folder.as_ref()).build().await
    }

    /// A service with choices of one's own.
    pub fn builder() -> ChatServiceBuilder {
        ChatServiceBuilder::new()
    }

    /// Accounts and sign-ins.
    #[must_use]
    pub fn auth(&self) -> Auth<'_> {
        Auth(&self.shared)
    }

    /// Conversations.
    #[must_use]
    pub fn messages(&self) -> Messages<'_> {
        Messages(&self.shared)
    }

    /// The keys.
    #[must_use]
    pub fn encryption(&self) -> Encryption<'_> {
        Encryption(&self.shared)
    }

    /// Who is here.
    #[must_use]
    pub fn presence(&self) -> Presence<'_> {
        Presence(&self.shared)
    }

    /// Live delivery.
    #[must_use]
    pub fn events(&self) -> Events<'_> {
        Events(&self.shared)
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Whether what the service needs is there now, for a readiness probe. Bounded in time: at most 2 s.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it is not, or when the service was told to shut down.
    pub async fn ready(&self) -> Result<()> {
        if self.shared.stop.is_cancelled() {
            return Err(Error::unavailable("service: shutting down", None));
        }
        match tokio::time::timeout(Duration::from_secs(2), self.shared.store.ping()).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => Err(Error::unavailable("store", Some(elapsed.into()))),
        }
    }

    /// Figures of this process, for a metrics endpoint.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (outbox_done, outbox_failed, outbox_given_up) = self.shared.outbox.counts();
        Stats {
            connections: self.shared.hub.connections(),
            users_online: self.shared.presence.online(),
            events_delivered: self.shared.hub.delivered(),
            slow_connections_closed: self.shared.hub.closed_slow(),
            outbox_done,
            outbox_failed,
            outbox_given_up,
            shield: self.shared.shield.stats(),
        }
    }

    /// Closes every connection, telling it why, and whatever connects from now on. Requests still work: the first
    /// half of a graceful end, while those that are under way finish.
    pub fn close_connections(&self) {
        self.shared.close_connections();
    }

    /// Ends the service: closes every connection, finishes what was begun, notes that everybody has gone, and closes
    /// the store. Done again it changes nothing.
    pub async fn shutdown(&self) {
        self.shared.close_connections();
        self.shared.stop.cancel();
        self.shared.tasks.close();
        // The lanes finish what they had taken in, and take nothing more.
        self.shared.tasks.wait().await;
        self.shared.outbox.finish();
        self.shared.errands.close();
        if tokio::time::timeout(ERRANDS, self.shared.errands.wait()).await.is_err() {
            tracing::info!("a mail or the removal of a picture is left to the next start");
        }
        self.shared.uses.write(&*self.shared.store).await;
        self.shared.presence.close().await;
        if let Err(error) = self.shared.store.close().await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

impl fmt::Debug for ChatService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatService").field("store", &self.shared.store).finish_non_exhaustive()
    }
}

/// Figures of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Live connections and subscriptions.
    pub connections: usize,
    /// Users who are here, or signed in or went within the grace.
    pub users_online: usize,
    /// Events put into queues of connections since the start.
    pub events_delivered: u64,
    /// Connections closed since the start because they read too slowly.
    pub slow_connections_closed: u64,
    /// Mails handed over, and pictures removed, since the start.
    pub outbox_done: u64,
    /// Attempts at that which failed; most are made again.
    pub outbox_failed: u64,
    /// Mails and removals that were given up.
    pub outbox_given_up: u64,
    /// The shield's, where it asks a service outside.
    pub shield: ShieldStats,
}

/// What all facets share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) images: Arc<dyn ImageStore>,
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) outbox: Outbox,
    pub(crate) links: Links,
    #[cfg(feature = "http")]
    pub(crate) devices: crate::auth::Devices,
    pub(crate) verifies_emails: bool,
    pub(crate) mail_templates: Arc<dyn MailTemplates>,
    pub(crate) shield: Arc<dyn Shield>,
    pub(crate) opener: Opener,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) revocations: Revocations,
    pub(crate) uses: Uses,
    pub(crate) hub: Arc<Hub>,
    pub(crate) feeds: Arc<FeedReader>,
    pub(crate) blocks: Arc<Blocks>,
    pub(crate) presence: Arc<Tracker>,
    pub(crate) typing: Arc<Typing>,
    pub(crate) log: Log,
    pub(crate) view: View,
    pub(crate) limits: Limits,
    /// How many were connected when all of them were closed.
    pub(crate) crowd: OnceLock<usize>,
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    pub(crate) heartbeat: crate::sockets::Heartbeat,
    #[cfg(feature = "http")]
    pub(crate) http: crate::http::HttpSettings,
    /// The document that describes the API, once somebody asked for it.
    #[cfg(feature = "http")]
    pub(crate) openapi: std::sync::OnceLock<bytes::Bytes>,
    /// The same of the sockets.
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    pub(crate) asyncapi: std::sync::OnceLock<bytes::Bytes>,
    /// Held while a rotation runs.
    pub(crate) rotation: Arc<Mutex<()>>,
    /// What was begun and must come to its end.
    pub(crate) tasks: TaskTracker,
    /// What nobody waits for: the jobs of the outbox.
    pub(crate) errands: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Shared {
    fn close_connections(&self) {
        // Before any of them is gone: those who are told last shall not come back sooner than the first.
        self.crowd.get_or_init(|| self.hub.connections());
        self.hub.close_all();
    }

    /// How many come back when all have to leave.
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    pub(crate) fn crowd(&self) -> usize {
        self.crowd.get().copied().unwrap_or_else(|| self.hub.connections())
    }

    pub(crate) fn public(&self, url: String) -> String {
        self.view.public(url)
    }

    pub(crate) async fn put_image(&self, image: CheckedImage, purpose: ImagePurpose) -> Result<String> {
        match self.images.put(image, purpose).await {
            Ok(url) => Ok(url),
            Err(mut error) => {
                if let Some(url) = error.leftover.take()
                    && let Err(error) = self.outbox.put(Job::RemoveImage { url }).await
                {
                    tracing::warn!(%error, "a picture that nobody points to may stay");
                }
                Err(Error::unavailable_for("image store", error.retry_after, Some(error.into())))
            }
        }
    }

    /// Removes a picture that nobody points to any more, without making anybody wait.
    pub(crate) fn drop_image(self: &Arc<Self>, url: Option<String>) {
        let Some(url) = url else { return };
        let shared = self.clone();
        self.tasks.spawn(async move {
            match shared.outbox.put(Job::RemoveImage { url }).await {
                Ok(entry) => shared.outbox.begin(entry),
                Err(error) => tracing::warn!(%error, "a picture that nobody points to stays"),
            }
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// From records to what clients see.
#[derive(Debug, Clone)]
pub(crate) struct View {
    opener: Opener,
    public_url: Arc<str>,
}

impl View {
    pub(crate) fn new(opener: Opener, public_url: &str) -> Self {
        Self { opener, public_url: public_url.into() }
    }

    /// Where pictures of our own are, as clients see it.
    pub(crate) fn public(&self, url: String) -> String {
        if url.starts_with('/') { format!("{}{url}", self.public_url) } else { url }
    }

    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    pub(crate) fn message(&self, record: MessageRecord) -> Message {
        match self.opener.text(&record) {
            Ok(text) => self.message_with_text(record, text),
            Err(reason) => {
                tracing::warn!(message = %record.id, %reason, "a message can't be read");
                Message { unreadable: true, ..self.message_with_text(record, None) }
            }
        }
    }

    /// The same where the text is at hand.
    pub(crate) fn message_with_text(&self, record: MessageRecord, text: Option<String>) -> Message {
        Message {
            id: record.id,
            chat_id: record.chat_id,
            seq: record.seq,
            sender_id: record.sender_id,
            receiver_id: record.receiver_id,
            text,
            image: record.image.map(|url| self.public(url)),
            client_id: record.client_id,
            is_deleted: record.is_deleted,
            unreadable: false,
            reply_to: record.reply_to,
            is_edited: record.is_edited,
            reactions: record.reactions,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}
