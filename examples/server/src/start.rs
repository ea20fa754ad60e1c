//! From settings to a service.

use chat_core::{
    BuildError, ChatService, StoreError,
    shield::NoShield,
    store::{MongoStore, SqliteStore},
};

use crate::settings::{Database, Settings};

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
    if !settings.shield {
        tracing::warn!("SHIELD=off: no rate limit and no bot check. For load tests only.");
        builder = builder.shield(NoShield);
    }
    if settings.has_foreign_origins && settings.public_url.is_empty() {
        tracing::warn!(
            "ALLOWED_ORIGINS without PUBLIC_URL: pages of other origins get pictures as paths, not URLs"
        );
    }
    let chat = builder.build().await?;
    rotate(&chat);
    Ok(chat)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn unusable(error: StoreError) -> BuildError {
    BuildError::Invalid { setting: "DATABASE_URL", reason: reason(&error) }
}

/// Re-encrypts under the first key, beside everything else, where that has not been done yet.
fn rotate(chat: &ChatService) {
    let chat = chat.clone();
    tokio::spawn(async move {
        let work = async {
            if chat.encryption().is_rotation_pending().await? {
                tracing::info!("re-encrypting messages under the first key");
                chat.encryption().rotate().await?;
            }
            Ok::<_, chat_core::Error>(())
        };
        if let Err(error) = work.await {
            tracing::warn!(%error, "the rotation stopped; it goes on at the next start");
        }
    });
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
