//! From settings to a service.

use std::time::Duration;

use chat_core::{
    BuildError, ChatService, Limits, StoreError,
    encryption::RotationReport,
    shield::{InProcessShield, NoShield},
    store::{MongoStore, SqliteStore},
};

use crate::settings::{Database, Legacy, Settings};

/// Builds the service that these settings ask for.
///
/// # Errors
/// [`BuildError`] names what can't be used, and says why.
pub async fn service(settings: &Settings) -> Result<ChatService, BuildError> {
    let mut builder = ChatService::builder()
        .data_dir(&settings.data_dir)
        .public_url(&settings.public_url)
        .http(settings.http.clone());
    builder = match &settings.database {
        Database::Sqlite(None) => builder,
        Database::Sqlite(Some(path)) => builder.store(SqliteStore::open(path).await.map_err(unusable)?),
        Database::Mongo(uri) => builder.store(MongoStore::connect(uri).await.map_err(unusable)?),
    };
    if let Some(secret) = &settings.jwt_secret {
        builder = builder.jwt_secret(secret.clone());
    }
    if let Some(keys) = &settings.encryption_keys {
        builder = builder.encryption_keys(keys.clone());
    }
    let legacy = &settings.legacy;
    if let Some(decoder) = &legacy.cbc {
        builder = builder.foreign_text(decoder.clone());
    }
    if let Some(decoder) = &legacy.gcm {
        builder = builder.foreign_text(decoder.clone());
    }
    if let Some(decoder) = &legacy.crypto_js {
        builder = builder.foreign_text(decoder.clone());
    }
    builder = if settings.shield {
        let mut local = InProcessShield::new();
        if settings.refuse_disposable_emails {
            local = local.with_disposable_emails_refused();
        }
        match &settings.arcjet {
            Some(arcjet) => builder.shield(arcjet.clone().with_local(local)),
            None => builder.shield(local),
        }
    } else {
        tracing::warn!("SHIELD=off: no rate limit and no bot check, whoever decides. For load tests only.");
        builder.shield(NoShield)
    };
    if let Some(cloudinary) = &settings.cloudinary {
        builder = builder.images(cloudinary.clone());
    }
    let mail = &settings.mail;
    if let Some(resend) = &mail.resend {
        builder = builder.mailer(resend.clone());
    }
    if let Some(name) = &mail.app_name {
        builder = builder.app_name(name);
    }
    if let Some(url) = &mail.client_url {
        builder = builder.client_url(url);
    } else if !settings.public_url.contains("://") {
        tracing::warn!(
            "without CLIENT_URL links in mails lead nowhere: nobody can set a forgotten password anew"
        );
    }
    builder = builder.verify_emails(mail.verify);
    let mut limits = Limits::default();
    limits.edit_within = settings.edit_within;
    builder = builder.limits(limits);
    if settings.has_foreign_origins && settings.public_url.is_empty() {
        tracing::warn!(
            "ALLOWED_ORIGINS without PUBLIC_URL: pages of other origins get pictures as paths, not URLs"
        );
    }
    let chat = builder.build().await?;
    let (rotating, when) = (chat.clone(), Rotation::of(legacy));
    tokio::spawn(async move {
        // It goes on where it was.
        while let Err(error) = rotate(&rotating, when).await {
            tracing::warn!(%error, "the rotation stopped; it goes on in a moment, or at the next start");
            tokio::time::sleep(ROTATION_PAUSE).await;
        }
    });
    Ok(chat)
}

/// Before a rotation that an outage stopped is begun again.
const ROTATION_PAUSE: Duration = Duration::from_secs(10);

/// When messages are re-encrypted under the first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotation {
    /// Where that has not been done yet.
    Pending,
    /// At each start: another program may have written more since.
    Always,
    /// Not by itself: another program couldn't read its messages any more.
    Never,
}

impl Rotation {
    fn of(legacy: &Legacy) -> Self {
        match (legacy.is_given(), legacy.reencrypt) {
            (false, _) => Self::Pending,
            (true, true) => Self::Always,
            (true, false) => Self::Never,
        }
    }
}

/// Re-encrypts, beside everything else.
async fn rotate(chat: &ChatService, when: Rotation) -> chat_core::Result<Option<RotationReport>> {
    let encryption = chat.encryption();
    let is_due = match when {
        Rotation::Pending => encryption.is_rotation_pending().await?,
        Rotation::Always => true,
        Rotation::Never => {
            tracing::info!(
                "messages are not re-encrypted: the program that wrote those of the LEGACY settings could not read \
                 them any more. Once it has stopped for good, set LEGACY_REENCRYPT=on"
            );
            false
        }
    };
    if !is_due {
        return Ok(None);
    }
    tracing::info!("re-encrypting messages under the first key");
    encryption.rotate().await.map(Some)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn unusable(error: StoreError) -> BuildError {
    BuildError::Invalid { setting: "DATABASE_URL", reason: reason(&error) }
}

/// The whole chain of reasons in one line: at a start, the one who reads it is the one who can mend it.
#[must_use]
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // A message may repeat its source's.
        if !text.contains(&more) && error.downcast_ref::<StoreError>().is_none() {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use chat_core::{
        ChatId, MessageId, Timestamp, UserId,
        store::{Messages, NewMessage, Store, UserRecord, Users},
    };

    use super::*;
    use crate::settings::Args;

    const KEY: &str = "an old key of exactly 32 bytes!!";
    const PASSPHRASE: &str = "an old passphrase: öß";
    /// "Hello, world", by Node.js and crypto-js.
    const BODIES: [&str; 3] = [
        "f6b5b08a5bd5fc2e9b110be7b5b07daf:08ffacfe31fa35c8a8567607dd7d3f52",
        "172853bb6a71b4a281ecb788:0a22b6ac450ea55ff7e4ef400d358822:e9b399377fac0530456c582e",
        "U2FsdGVkX19got7DQsGwKaihHsKcrfNrZRiIrHiW/Rs=",
    ];

    async fn store(folder: &Path) -> SqliteStore {
        SqliteStore::open(folder.join("old.db")).await.unwrap()
    }

    /// Writes a message for each body, as the program did that was there before, and returns who writes to whom.
    async fn write(folder: &Path) -> (UserId, UserId) {
        let (store, now) = (store(folder).await, Timestamp::now());
        let (ann, bob) = (UserId::generate(now), UserId::generate(now));
        for id in [ann, bob] {
            let user = UserRecord {
                id,
                email: format!("{id}@example.org"),
                full_name: id.to_string(),
                password_hash: String::new(),
                profile_pic: None,
                last_seen: now,
                is_online: false,
                created_at: now,
                updated_at: now,
                email_verified: true,
                generation: 0,
                settings: chat_core::store::Settings::default(),
            };
            store.insert_user(&user).await.unwrap();
        }
        let message = |body: &str| NewMessage {
            id: MessageId::generate(now),
            chat_id: ChatId::direct(ann, bob),
            sender_id: ann,
            receiver_id: Some(bob),
            body: Some(body.to_owned()),
            image: None,
            client_id: None,
            at: now,
            reply_to: None,
        };
        for outcome in store.append(BODIES.map(message).to_vec()).await {
            outcome.unwrap();
        }
        store.close().await.unwrap();
        (ann, bob)
    }

    fn settings(folder: &Path, reencrypt: &str) -> Settings {
        let some = |text: &str| Some(text.to_owned());
        let args = Args {
            data_dir: some(folder.to_str().unwrap()),
            database_url: Some(format!("sqlite:{}", folder.join("old.db").display())),
            legacy_cbc_key: some(KEY),
            legacy_gcm_key: some(KEY),
            legacy_passphrase: some(PASSPHRASE),
            legacy_reencrypt: some(reencrypt),
            ..Args::default()
        };
        args.check().unwrap()
    }

    #[tokio::test]
    async fn legacy_messages_are_read_and_stay_as_they_are_unless_told_otherwise() {
        for reencrypt in ["off", "on"] {
            let folder = tempfile::tempdir().unwrap();
            let (ann, bob) = write(folder.path()).await;
            let chat = service(&settings(folder.path(), reencrypt)).await.unwrap();
            let page = chat.messages().conversation(bob, ann, None, 10).await.unwrap();
            let texts: Vec<_> = page.items.iter().map(|message| message.text.as_deref()).collect();
            assert_eq!(texts, [Some("Hello, world"); 3]);
            let rotated = async {
                while chat.encryption().is_rotation_pending().await.unwrap() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            // For `off`, long enough for one that must not run.
            let wait = Duration::from_millis(if reencrypt == "on" { 20_000 } else { 300 });
            assert_eq!(tokio::time::timeout(wait, rotated).await.is_ok(), reencrypt == "on");
            chat.shutdown().await;

            let page = store(folder.path()).await.page(ChatId::direct(ann, bob), None, 10).await.unwrap();
            let bodies: Vec<_> = page.into_iter().filter_map(|record| record.body).collect();
            if reencrypt == "on" {
                assert!(bodies.len() == 3 && bodies.iter().all(|body| body.starts_with("v1.")), "{bodies:?}");
            } else {
                assert_eq!(bodies, BODIES);
            }
        }
    }

    #[tokio::test]
    async fn a_rotation_runs_where_it_is_due() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Rotation::of(&Legacy::default()), Rotation::Pending);
        assert_eq!(Rotation::of(&settings(folder.path(), "off").legacy), Rotation::Never);
        assert_eq!(Rotation::of(&settings(folder.path(), "on").legacy), Rotation::Always);

        let chat = ChatService::open(folder.path()).await.unwrap();
        let ran = async |when| rotate(&chat, when).await.unwrap().is_some();
        assert!(!ran(Rotation::Never).await);
        assert!(ran(Rotation::Pending).await && !ran(Rotation::Pending).await);
        assert!(ran(Rotation::Always).await && ran(Rotation::Always).await);
        chat.shutdown().await;
    }
}
