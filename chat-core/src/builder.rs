//! Every choice, checked once.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ChatService, Limits, SecretFileError, StoreError,
    auth::{Blocks, JwtSecret, Links, Passwords, Revocations, Tokens, Uses},
    encryption::{self, ForeignText, KeyRing, Opener},
    events::{FeedReader, Hub, Typing},
    images::{DiskImages, ImageStore},
    mail::{DefaultTemplates, LogMailer, MailTemplates, Mailer},
    messages::Log,
    outbox::{self, Outbox},
    presence::Tracker,
    service::{Shared, View},
    shield::{InProcessShield, Shield},
    store::Store,
};

/// How often the service tidies up.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// And how many times in between it forgets what has expired.
const FORGETTING: u32 = 60;

/// A choice that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Something is needed that has no default.
    #[error("{0} is missing: set it, or a `data_dir` in which it can be made")]
    Missing(&'static str),
    /// A value that makes no sense.
    #[error("{setting}: {reason}")]
    Invalid {
        /// Which.
        setting: &'static str,
        /// Why not.
        reason: String,
    },
    /// A file with a secret.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The store can't be opened or read.
    #[error("the store can't be used: {}", reason(.0))]
    Store(#[source] StoreError),
}

/// The whole chain in one sentence: at a start, the one who reads it is the one who can mend it.
fn reason(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Collects choices and checks them all in [`build`](Self::build). From [`ChatService::builder`].
#[derive(Debug)]
#[must_use = "nothing is made before `build`"]
pub struct ChatServiceBuilder {
    data_dir: Option<PathBuf>,
    store: Option<Arc<dyn Store>>,
    images: Option<Arc<dyn ImageStore>>,
    mailer: Arc<dyn Mailer>,
    mail_templates: Option<Arc<dyn MailTemplates>>,
    app_name: String,
    client_url: Option<String>,
    verifies_emails: bool,
    shield: Arc<dyn Shield>,
    keys: Option<KeyRing>,
    foreign: Vec<Arc<dyn ForeignText>>,
    jwt_secret: Option<JwtSecret>,
    token_life: Duration,
    bcrypt_cost: u32,
    password_workers: usize,
    password_queue: usize,
    connection_queue: usize,
    presence_grace: Duration,
    public_url: String,
    limits: Limits,
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    heartbeat: crate::sockets::Heartbeat,
    #[cfg(feature = "http")]
    http: crate::http::HttpSettings,
}

impl ChatServiceBuilder {
    pub(crate) fn new() -> Self {
        Self {
            data_dir: None,
            store: None,
            images: None,
            mailer: Arc::new(LogMailer),
            mail_templates: None,
            app_name: "Chat".to_owned(),
            client_url: None,
            verifies_emails: false,
            shield: Arc::new(InProcessShield::default()),
            keys: None,
            foreign: Vec::new(),
            jwt_secret: None,
            token_life: Duration::from_secs(7 * 24 * 3600),
            bcrypt_cost: 10,
            password_workers: Passwords::default_workers(),
            password_queue: 64,
            connection_queue: 256,
            presence_grace: Duration::from_secs(5),
            public_url: String::new(),
            limits: Limits::default(),
            #[cfg(any(feature = "socketio", feature = "websocket"))]
            heartbeat: crate::sockets::Heartbeat::default(),
            #[cfg(feature = "http")]
            http: crate::http::HttpSettings::default(),
        }
    }

    /// The folder for whatever is not given otherwise: the SQLite database `chat.db`, `images`, and the secrets
    /// `jwt-secret` and `encryption-keys`, which are made at the first start. It is made if it is not there.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// The store. Without it: SQLite in the [`data_dir`](Self::data_dir).
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Where pictures are kept. Without it: on disk in the [`data_dir`](Self::data_dir).
    pub fn images(mut self, images: impl ImageStore) -> Self {
        self.images = Some(Arc::new(images));
        self
    }

    /// What sends mail. Without it: mail goes to the log.
    pub fn mailer(mut self, mailer: impl Mailer) -> Self {
        self.mailer = Arc::new(mailer);
        self
    }

    /// What mails say and how they look. Without it: [`DefaultTemplates`] with the
    /// [`app_name`](Self::app_name) and the [`client_url`](Self::client_url).
    pub fn mail_templates(mut self, templates: impl MailTemplates) -> Self {
        self.mail_templates = Some(Arc::new(templates));
        self
    }

    /// The name of the application in mails; `Chat` by default.
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.app_name = name.into();
        self
    }

    /// Where people open the application, an absolute URL: links in mails lead there. Without it: the
    /// [`public_url`](Self::public_url), where that is absolute.
    pub fn client_url(mut self, url: impl Into<String>) -> Self {
        self.client_url = Some(url.into());
        self
    }

    /// Whether people must show that their address is theirs before they can sign in; `false` by default. A new
    /// account then gets a link instead of a sign-in, and its welcome once that was opened. Accounts that were made
    /// before count as verified. Needs a [`client_url`](Self::client_url).
    pub fn verify_emails(mut self, verify: bool) -> Self {
        self.verifies_emails = verify;
        self
    }

    /// The guard before every request. Without it: [`InProcessShield`] with its defaults.
    pub fn shield(mut self, shield: impl Shield) -> Self {
        self.shield = Arc::new(shield);
        self
    }

    /// The keys that seal messages. Without them: a file in the [`data_dir`](Self::data_dir).
    pub fn encryption_keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Reads the texts that another program encrypted, such as the one whose database this was. Called again, it adds
    /// one; they are asked in this order, for what this crate did not write.
    ///
    /// The forms of other programs are weaker, see [`encryption::foreign`]: give decoders only while there are such
    /// texts. [`rotate`](crate::encryption::Encryption::rotate) re-encrypts what they read; once that has come to its
    /// end with nothing unreadable, leave them out.
    pub fn foreign_text(mut self, decoder: impl ForeignText) -> Self {
        self.foreign.push(Arc::new(decoder));
        self
    }

    /// The secret that signs tokens. Without it: a file in the [`data_dir`](Self::data_dir).
    pub fn jwt_secret(mut self, secret: JwtSecret) -> Self {
        self.jwt_secret = Some(secret);
        self
    }

    /// How long a sign-in lasts; 7 days by default, between 1 s and a year.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// bcrypt's cost; 10 by default, at most 20.
    pub fn bcrypt_cost(mut self, cost: u32) -> Self {
        self.bcrypt_cost = cost.max(10);
        self
    }

    /// A bcrypt cost below 10, for tests that sign up by the thousand. Passwords hashed with it can be guessed.
    pub fn dangerous_bcrypt_cost(mut self, cost: u32) -> Self {
        self.bcrypt_cost = cost;
        self
    }

    /// How many passwords are hashed or checked at once (all cores but one by default), and how many may wait for
    /// that (64). Past both, sign-ups and logins are told to come again.
    pub fn password_workers(mut self, workers: usize, waiting: usize) -> Self {
        (self.password_workers, self.password_queue) = (workers, waiting);
        self
    }

    /// Events that may wait for one connection before it is closed as too slow; 256 by default.
    pub fn connection_queue(mut self, events: usize) -> Self {
        self.connection_queue = events;
        self
    }

    /// How long after their last connection a user counts as gone; 5 s by default.
    pub fn presence_grace(mut self, grace: Duration) -> Self {
        self.presence_grace = grace;
        self
    }

    /// Where clients see the doors, when that is not the root of the site they are on: `https://chat.example.org`, or
    /// `/chat` when mounted below that. It stands before the paths of pictures and of further pages.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = url.into();
        self
    }

    /// Limits on what people send.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How often a socket is asked whether its client is still there (25 s by default), and how long that may take
    /// (20 s). A proxy that ends quiet connections sooner needs a shorter interval.
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    pub fn heartbeat(mut self, interval: Duration, patience: Duration) -> Self {
        self.heartbeat = crate::sockets::Heartbeat { interval, patience };
        self
    }

    /// Origins, proxies and the cookie.
    #[cfg(feature = "http")]
    pub fn http(mut self, settings: crate::http::HttpSettings) -> Self {
        self.http = settings;
        self
    }

    /// Checks every choice, opens the store, and starts the service. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`] names the choice that can't be used, and says why.
    pub async fn build(mut self) -> Result<ChatService, BuildError> {
        self.check()?;
        self.fill_from_data_dir().await?;
        let store = self.store.ok_or(BuildError::Missing("the store"))?;
        let images = self.images.ok_or(BuildError::Missing("the image store"))?;
        let keys = self.keys.ok_or(BuildError::Missing("the encryption key"))?;
        let jwt_secret = self.jwt_secret.ok_or(BuildError::Missing("the token secret"))?;

        let revocations = Revocations::load(&*store).await.map_err(BuildError::Store)?;
        encryption::note_use(&*store).await.map_err(BuildError::Store)?;
        encryption::forget_other_keys(&*store, &keys).await.map_err(BuildError::Store)?;

        let mail_templates = self
            .mail_templates
            .unwrap_or_else(|| Arc::new(DefaultTemplates::new(self.app_name, self.client_url.clone())));

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let hub = Arc::new(Hub::new(self.connection_queue));
        let opener = Opener::new(keys, self.foreign);
        let view = View::new(opener.clone(), &self.public_url);
        let (outbox, waiting) = Outbox::new(store.clone(), opener.clone());
        let blocks = Arc::new(Blocks::new(store.clone()));
        let presence = Tracker::open(
            store.clone(),
            blocks.clone(),
            hub.clone(),
            &tasks,
            stop.clone(),
            self.presence_grace,
        );
        let presence = presence.await.map_err(BuildError::Store)?;
        let shared = Arc::new(Shared {
            log: Log::new(&store, &hub, &view, &stop, &tasks),
            feeds: Arc::new(FeedReader::new(store.clone(), view.clone(), &jwt_secret)),
            blocks,
            store,
            images,
            mailer: self.mailer,
            mail_templates,
            outbox,
            links: Links::new(&jwt_secret, self.client_url),
            #[cfg(feature = "http")]
            devices: crate::auth::Devices::new(&jwt_secret),
            verifies_emails: self.verifies_emails,
            shield: self.shield,
            opener,
            tokens: Tokens::new(&jwt_secret, self.token_life),
            passwords: Passwords::new(self.bcrypt_cost, self.password_workers, self.password_queue),
            revocations,
            uses: Uses::default(),
            hub,
            presence,
            typing: Arc::new(Typing::new()),
            view,
            limits: self.limits,
            crowd: std::sync::OnceLock::new(),
            #[cfg(any(feature = "socketio", feature = "websocket"))]
            heartbeat: self.heartbeat,
            #[cfg(feature = "http")]
            http: self.http,
            #[cfg(feature = "http")]
            openapi: std::sync::OnceLock::new(),
            #[cfg(any(feature = "socketio", feature = "websocket"))]
            asyncapi: std::sync::OnceLock::new(),
            rotation: Arc::new(Mutex::new(())),
            tasks,
            errands: TaskTracker::new(),
            stop,
        });
        outbox::start(&shared, waiting);
        look_for_late_news(&shared);
        keep_house(&shared);
        Ok(ChatService { shared })
    }

    fn check(&mut self) -> Result<(), BuildError> {
        let invalid = |setting, reason: String| Err(BuildError::Invalid { setting, reason });
        if !(4..=20).contains(&self.bcrypt_cost) {
            return invalid("bcrypt_cost", format!("{} is not between 4 and 20", self.bcrypt_cost));
        }
        if self.token_life < Duration::from_secs(1) || self.token_life > Duration::from_secs(366 * 24 * 3600)
        {
            return invalid("token_life", "must be between 1 s and a year".to_owned());
        }
        let bounds = 1..=1 << 20;
        if !bounds.contains(&self.password_workers)
            || !(0..=1 << 20).contains(&self.password_queue)
            || !bounds.contains(&self.connection_queue)
        {
            let reason = "must be between 1 and 1,048,576".to_owned();
            return invalid("password_workers, connection_queue", reason);
        }
        #[cfg(any(feature = "socketio", feature = "websocket"))]
        if self.heartbeat.interval.is_zero() || self.heartbeat.patience.is_zero() {
            return invalid("heartbeat", "must not be zero".to_owned());
        }
        if self.limits.page == 0 || self.limits.page > self.limits.max_page {
            return invalid("limits", "`page` must be between 1 and `max_page`".to_owned());
        }
        let url = self.public_url.trim_end_matches('/').to_owned();
        let is_fine = url.is_empty()
            || ["/", "http://", "https://"].iter().any(|start| url.starts_with(start))
                && url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#".contains(&b));
        if !is_fine {
            return invalid("public_url", "must be a path, or an http or https URL".to_owned());
        }
        self.public_url = url;
        let client_url = self.client_url.take().map(|url| url.trim_end_matches('/').to_owned());
        self.client_url =
            client_url.or_else(|| Some(self.public_url.clone()).filter(|url| url.contains("://")));
        if let Some(url) = &self.client_url {
            let is_fine =
                ["http://", "https://"].iter().any(|start| url.len() > start.len() && url.starts_with(start))
                    && url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#".contains(&b));
            if !is_fine {
                return invalid(
                    "client_url",
                    "must be an http or https URL without query and fragment".to_owned(),
                );
            }
        } else if self.verifies_emails {
            return invalid("verify_emails", "needs a `client_url` that the links lead to".to_owned());
        }
        #[cfg(feature = "http")]
        self.http.check()?;
        Ok(())
    }

    async fn fill_from_data_dir(&mut self) -> Result<(), BuildError> {
        let Some(folder) = self.data_dir.clone() else { return Ok(()) };
        let (needs_keys, needs_secret) = (self.keys.is_none(), self.jwt_secret.is_none());
        // A database that was written with a key is worth nothing under a new one.
        let is_store_in_use = match &self.store {
            Some(store) if needs_keys => {
                Some(encryption::is_in_use(&**store).await.map_err(BuildError::Store)?)
            }
            _ => None,
        };
        let read = {
            let folder = folder.clone();
            move || {
                make_folder(&folder)?;
                let is_in_use = is_store_in_use.unwrap_or_else(|| folder.join("chat.db").exists());
                let keys = needs_keys.then(|| {
                    crate::secrets::read_or_make(
                        &folder.join("encryption-keys"),
                        !is_in_use,
                        KeyRing::generate,
                    )
                });
                let secret = needs_secret.then(|| {
                    let make = || zeroize::Zeroizing::new(crate::random::name::<32>());
                    crate::secrets::read_or_make(&folder.join("jwt-secret"), true, make)
                });
                Ok::<_, SecretFileError>((keys.transpose()?, secret.transpose()?))
            }
        };
        let (keys, secret) = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| BuildError::Invalid { setting: "data_dir", reason: error.to_string() })??;
        let file = |name: &str| folder.join(name).display().to_string();
        if let Some(keys) = keys {
            let keys = KeyRing::parse(&keys).map_err(|error| BuildError::Invalid {
                setting: "encryption_keys",
                reason: format!("{}: {error}", file("encryption-keys")),
            })?;
            self.keys = Some(keys);
        }
        if let Some(secret) = secret {
            let secret = JwtSecret::new(secret.as_bytes()).map_err(|error| BuildError::Invalid {
                setting: "jwt_secret",
                reason: format!("{}: {error}", file("jwt-secret")),
            })?;
            self.jwt_secret = Some(secret);
        }
        #[cfg(feature = "sqlite")]
        if self.store.is_none() {
            let store = crate::store::SqliteStore::open(folder.join("chat.db")).await;
            self.store = Some(Arc::new(store.map_err(BuildError::Store)?));
        }
        if self.images.is_none() {
            self.images = Some(Arc::new(DiskImages::new(folder.join("images"))));
        }
        Ok(())
    }
}

fn make_folder(folder: &std::path::Path) -> Result<(), SecretFileError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| SecretFileError::Io { path: folder.to_owned(), source })
}

/// What a store told late is told nobody live: who is concerned looks at their feed.
fn look_for_late_news(shared: &Arc<Shared>) {
    let (store, hub, stop) = (shared.store.clone(), shared.hub.clone(), shared.stop.clone());
    tokio::spawn(async move {
        loop {
            let users = tokio::select! {
                users = store.told_late() => users,
                () = stop.cancelled() => return,
            };
            users.into_iter().for_each(|user| hub.look(user));
        }
    });
}

/// Tidies up once in a while, as long as the service is there.
fn keep_house(shared: &Arc<Shared>) {
    let (weak, stop) = (Arc::downgrade(shared), shared.stop.clone());
    tokio::spawn(async move {
        for n in 1_u32.. {
            tokio::select! {
                () = tokio::time::sleep(HOUSEKEEPING) => {}
                () = stop.cancelled() => return,
            }
            let Some(shared) = weak.upgrade() else { return };
            shared.uses.write(&*shared.store).await;
            if !n.is_multiple_of(FORGETTING) {
                continue;
            }
            if let Err(error) = shared.revocations.forget_expired(&*shared.store).await {
                tracing::warn!(%error, "expired revocations stay for now");
            }
        }
    });
}
