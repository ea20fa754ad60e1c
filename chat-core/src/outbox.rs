//! What is done outside when nobody waits for it: mails, and pictures that are to be removed.
//!
//! Each job is an entry in the store before anybody is told that it will be done, and is removed when it is done. In
//! between it is claimed for a while: whoever claimed it and was killed leaves it to the next one. So it is done at
//! least once; mails carry a key by which a second one is known ([`Letter::key`](crate::mail::Letter::key)).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    OutboxId, Result, Timestamp, UserId,
    encryption::Opener,
    error::BoxError,
    mail::{Letter, Mail, MailError, MailKind},
    service::Shared,
    store::{OutboxEntry, Store, UserRecord},
};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(30);
/// How long an entry is somebody's: longer than an attempt, and what it takes to note its end.
const CLAIM: Duration = Duration::from_secs(40);
/// How often to look for what others left, or what could not be done before.
const PERIOD: Duration = Duration::from_secs(5);
/// How long it takes to its end when the service is shut down.
const FINISH: Duration = Duration::from_millis(1500);
/// Jobs at once.
const AT_ONCE: usize = 8;
/// Jobs that were put by this process and wait for a place; what is more is found in the store.
const WAITING: usize = 1024;
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));
/// Mail is not handed over later than this: those who forget the keys of mails do so after a day.
const MAIL_LIFE: Duration = Duration::from_secs(23 * 3600);
/// A picture that can't be removed for so long stays.
const IMAGE_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
/// How long the account that a mail is for may take to appear.
const ACCOUNT: Duration = Duration::from_secs(300);

/// Something to be done.
#[derive(Serialize, Deserialize)]
pub(crate) enum Job {
    /// A mail to the owner of an account, which must be there.
    Mail { user: UserId, mail: Mail, until: Timestamp },
    /// A link to a new password, for whoever has an account with this e-mail.
    ForgottenPassword { email: String },
    /// A link that verifies this e-mail, if an account waits for that.
    Verification { email: String },
    /// A picture that nobody points to any more.
    RemoveImage { url: String },
}

impl Job {
    pub(crate) fn mail(user: &UserRecord, kind: MailKind, now: Timestamp) -> Self {
        let life = now.plus(MAIL_LIFE);
        let until = match &kind {
            MailKind::VerifyEmail(link) | MailKind::ResetPassword(link) => link.expires_at.min(life),
            _ => life,
        };
        let mail = Mail { to: user.email.clone(), name: user.full_name.clone(), kind };
        Self::Mail { user: user.id, mail, until }
    }

    /// An account has one welcome, whoever puts it there.
    fn id(&self, now: Timestamp) -> OutboxId {
        match self {
            Self::Mail { user, mail, .. } if mail.kind == MailKind::Welcome => {
                OutboxId::from_bytes(*user.as_bytes())
            }
            _ => OutboxId::generate(now),
        }
    }

    fn until(&self, created_at: Timestamp) -> Timestamp {
        match self {
            Self::Mail { until, .. } => *until,
            Self::ForgottenPassword { .. } => created_at.plus(crate::auth::RESET_LIFE),
            Self::Verification { .. } => created_at.plus(MAIL_LIFE),
            Self::RemoveImage { .. } => created_at.plus(IMAGE_LIFE),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Mail { .. } => "mail",
            Self::ForgottenPassword { .. } => "link to a new password",
            Self::Verification { .. } => "link that verifies an address",
            Self::RemoveImage { .. } => "removal of a picture",
        }
    }
}

/// How an attempt ended.
enum End {
    Done,
    /// Worth trying again, no sooner than after this time.
    Later(Option<Duration>, BoxError),
    /// It makes no sense to try again.
    GivenUp(BoxError),
}

impl End {
    fn later(error: impl Into<BoxError>) -> Self {
        Self::Later(None, error.into())
    }
}

/// The queue, in front of the store's.
#[derive(Debug)]
pub(crate) struct Outbox {
    store: Arc<dyn Store>,
    opener: Opener,
    waiting: mpsc::Sender<OutboxEntry>,
    /// Nothing more is put.
    finish: CancellationToken,
    done: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
}

impl Outbox {
    pub(crate) fn new(store: Arc<dyn Store>, opener: Opener) -> (Self, mpsc::Receiver<OutboxEntry>) {
        let (waiting, receiver) = mpsc::channel(WAITING);
        let [done, failed, given_up] = [const { AtomicU64::new(0) }; 3];
        let finish = CancellationToken::new();
        (Self { store, opener, waiting, finish, done, failed, given_up }, receiver)
    }

    /// Puts a job into the store, claimed by this process: [`begin`](Self::begin) then starts it. Without that it is
    /// found there in a while.
    pub(crate) async fn put(&self, job: Job) -> Result<OutboxEntry> {
        let now = Timestamp::now();
        let id = job.id(now);
        let json = serde_json::to_string(&job).map_err(crate::Error::internal)?;
        let body = self.opener.keys().seal_with(&binding(id), &json);
        let entry = OutboxEntry { id, body, created_at: now, due_at: now.plus(CLAIM), attempts: 1 };
        self.store.put_outbox(&entry).await?;
        Ok(entry)
    }

    /// Starts what was put. Never waits: when there is no place, it is found in the store later.
    pub(crate) fn begin(&self, entry: OutboxEntry) {
        let _ = self.waiting.try_send(entry);
    }

    /// Takes back what was put: what it was for did not happen.
    pub(crate) async fn withdraw(&self, entry: &OutboxEntry) {
        if let Err(error) = self.store.remove_outbox(entry.id).await {
            tracing::debug!(%error, "a job that is not needed stays until it is looked at");
        }
    }

    /// Ends it, once nothing more is put: what waits here is done yet, if it takes no longer than `FINISH`.
    pub(crate) fn finish(&self) {
        self.finish.cancel();
    }

    /// How many jobs were done, how many attempts failed, and how many jobs were given up.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.done.load(Relaxed), self.failed.load(Relaxed), self.given_up.load(Relaxed))
    }

    fn open(&self, entry: &OutboxEntry) -> Result<Job, BoxError> {
        let json = self.opener.keys().open_with(&binding(entry.id), &entry.body)?;
        Ok(serde_json::from_str(&json)?)
    }

    async fn note_end(&self, entry: &OutboxEntry) {
        if let Err(error) = self.store.remove_outbox(entry.id).await {
            tracing::warn!(%error, "a job that is done is still in the outbox, and will be done again");
        }
    }
}

/// A job moved to another entry can't be opened.
fn binding(id: OutboxId) -> [u8; 28] {
    let mut binding = [0; 28];
    binding[..16].copy_from_slice(b"chat-core/outbox");
    binding[16..].copy_from_slice(id.as_bytes());
    binding
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.finish.cancel();
    }
}

/// Does jobs, as long as the service is there, and those that wait at its end. What is not done then is left to the next
/// start.
pub(crate) fn start(shared: &Arc<Shared>, mut waiting: mpsc::Receiver<OutboxEntry>) {
    let weak = Arc::downgrade(shared);
    let (stop, finish) = (shared.stop.clone(), shared.outbox.finish.clone());
    shared.errands.spawn(async move {
        let mut running = JoinSet::new();
        let mut next_look = Instant::now();
        loop {
            let has_place = running.len() < AT_ONCE;
            tokio::select! {
                () = finish.cancelled() => break,
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    // When it may be tried again.
                    let again: Option<Instant> = ended.unwrap_or_default();
                    next_look = again.map_or(next_look, |again| next_look.min(again));
                }
                Some(entry) = waiting.recv(), if has_place => {
                    let Some(shared) = weak.upgrade() else { break };
                    // One that waited for too long is not ours any more.
                    if entry.due_at > Timestamp::now().plus(ATTEMPT) {
                        running.spawn(run(shared, entry));
                    }
                }
                () = sleep_until(next_look), if has_place && !stop.is_cancelled() => {
                    let Some(shared) = weak.upgrade() else { break };
                    let places = AT_ONCE - running.len();
                    let now = Timestamp::now();
                    next_look = Instant::now() + PERIOD;
                    match shared.store.claim_outbox(now, now.plus(CLAIM), places).await {
                        Ok(entries) => {
                            if entries.len() == places {
                                next_look = Instant::now();
                            }
                            for entry in entries {
                                running.spawn(run(shared.clone(), entry));
                            }
                        }
                        Err(error) => tracing::debug!(%error, "the outbox can't be looked at for now"),
                    }
                }
            }
        }
        let finish = async {
            loop {
                while running.len() < AT_ONCE
                    && let (Ok(entry), Some(shared)) = (waiting.try_recv(), weak.upgrade())
                {
                    running.spawn(run(shared, entry));
                }
                if running.join_next().await.is_none() {
                    return;
                }
            }
        };
        if timeout(FINISH, finish).await.is_err() {
            tracing::info!("mails or removals of pictures are left to the next start");
        }
    });
}

/// Makes one attempt; returns when to make the next one.
async fn run(shared: Arc<Shared>, entry: OutboxEntry) -> Option<Instant> {
    let outbox = &shared.outbox;
    let job = match outbox.open(&entry) {
        Ok(job) => job,
        Err(error) => {
            tracing::error!(%error, "a job in the outbox can't be read, and is dropped");
            outbox.given_up.fetch_add(1, Relaxed);
            outbox.note_end(&entry).await;
            return None;
        }
    };
    // One that was left for so long by a service that was down: who would send it twice may have forgotten its key.
    let end = if Timestamp::now() > job.until(entry.created_at) {
        End::GivenUp("it is too late for it".into())
    } else {
        timeout(ATTEMPT, perform(&shared, &entry, &job)).await.unwrap_or_else(End::later)
    };
    match end {
        End::Done => {
            outbox.done.fetch_add(1, Relaxed);
            outbox.note_end(&entry).await;
            None
        }
        End::GivenUp(error) => {
            outbox.given_up.fetch_add(1, Relaxed);
            tracing::error!(job = job.name(), %error, "given up");
            outbox.note_end(&entry).await;
            None
        }
        End::Later(after, error) => {
            outbox.failed.fetch_add(1, Relaxed);
            let pause = pause(entry.attempts).max(after.unwrap_or_default());
            let due_at = Timestamp::now().plus(pause);
            if due_at > job.until(entry.created_at) {
                outbox.given_up.fetch_add(1, Relaxed);
                tracing::error!(job = job.name(), %error, "given up after many attempts");
                outbox.note_end(&entry).await;
                return None;
            }
            let source = std::error::Error::source(&*error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(job = job.name(), attempt = entry.attempts, %error, source, "not done yet; it is tried again");
            // Where this fails, it is due when the claim ends.
            if let Err(error) = shared.store.postpone_outbox(entry.id, due_at).await {
                tracing::debug!(%error, "a job is not postponed");
                return None;
            }
            Some(Instant::now() + pause)
        }
    }
}

/// Twice as long each time, and not all at the same moment.
fn pause(attempts: u32) -> Duration {
    let doubled = PAUSES.0.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled.min(PAUSES.1).mul_f64(0.75 + f64::from(crate::random::bytes::<1>()[0]) / 512.0)
}

async fn perform(shared: &Shared, entry: &OutboxEntry, job: &Job) -> End {
    match job {
        Job::Mail { user, mail, .. } => {
            let account = match shared.store.user(*user).await {
                Ok(account) => account,
                Err(error) => return End::later(error),
            };
            let is_due =
                account.is_some_and(|account| mail.kind != MailKind::Welcome || account.email_verified);
            if is_due {
                return send(shared, entry, mail).await;
            }
            // It was put here just before the account was, or was not, made.
            if Timestamp::now() < entry.created_at.plus(ACCOUNT) {
                return End::Later(Some(PERIOD), "the account is not there yet".into());
            }
            tracing::debug!("a mail whose account did not come to be is dropped");
            End::Done
        }
        Job::ForgottenPassword { email } => link(shared, entry, email, true).await,
        Job::Verification { email } => link(shared, entry, email, false).await,
        Job::RemoveImage { url } => match shared.images.remove(url).await {
            Ok(()) => End::Done,
            Err(error) => End::Later(error.retry_after, error.into()),
        },
    }
}

async fn link(shared: &Shared, entry: &OutboxEntry, email: &str, is_reset: bool) -> End {
    match shared.link_mail(email, is_reset, entry.created_at).await {
        Ok(Some(mail)) => send(shared, entry, &mail).await,
        Ok(None) => End::Done,
        Err(error) => End::later(error),
    }
}

async fn send(shared: &Shared, entry: &OutboxEntry, mail: &Mail) -> End {
    let content = shared.mail_templates.content(mail);
    let letter = Letter { key: format!("mail-{}", entry.id), to: mail.to.clone(), content };
    match shared.mailer.send(&letter).await {
        Ok(()) => End::Done,
        Err(MailError::Later { after, source }) => End::Later(after, source),
        Err(MailError::Refused(source)) => End::GivenUp(source),
    }
}
