//! Users: the keys by which they are found and ordered.

use std::sync::Arc;

use mongodb::bson::{Bson, Document, doc};

use super::{
    super::{
        Inner,
        db::{Call, Update},
        error::DUPLICATE,
        queries::{self, USERS},
    },
    STEP,
};
use crate::store::{Result, email_key, name_key};

/// Adopts all users who lack the keys, the oldest first.
pub(super) async fn adopt(call: &Call) -> Result<()> {
    loop {
        let found = call.find(&queries::foreign_users(STEP)).await?;
        let update = |user: &Document, change: Document| Update {
            filter: doc! { "_id": user.get("_id").cloned().unwrap_or(Bson::Null), "nameKey": Bson::Null },
            change: doc! { "$set": change },
            upsert: false,
        };
        let both = found.iter().map(|user| update(user, keys(user))).collect();
        let mut taken = Vec::new();
        let mut left_out = 0;
        for failed in call.update(USERS, both, false).await?.failed {
            let Some(user) = found.get(failed.index) else { continue };
            if failed.code != DUPLICATE {
                left_out += 1;
                tracing::warn!(user = ?user.get("_id"), reason = failed.message, "a user can't be adopted");
                continue;
            }
            report(call, user).await?;
            taken.push(update(user, doc! { "nameKey": name_of(user) }));
        }
        if !taken.is_empty() {
            call.update(USERS, taken, false).await?;
        }
        if found.len() < STEP || left_out == found.len() {
            return Ok(());
        }
    }
}

fn name_of(user: &Document) -> String {
    name_key(user.get_str("fullName").unwrap_or_default())
}

fn keys(user: &Document) -> Document {
    let mut keys = doc! { "nameKey": name_of(user) };
    if let Ok(email) = user.get_str("email") {
        keys.insert("emailKey", email_key(email));
    }
    keys
}

/// Says whose e-mails can't be told apart. Both stay: each signs in by the very spelling.
async fn report(call: &Call, user: &Document) -> Result<()> {
    let email = user.get_str("email").unwrap_or_default();
    let other = call.first(&queries::user_by_email_key(&email_key(email))).await?;
    let show = |user: &Document| {
        let id = user.get("_id").map(ToString::to_string).unwrap_or_default();
        format!("{} ({id})", user.get_str("email").unwrap_or_default())
    };
    tracing::warn!(
        first = other.as_ref().map(show),
        second = show(user),
        "the e-mails of two users differ only in case: the second signs in by this very spelling only"
    );
    Ok(())
}

/// Brings the keys of a user up to date whom another application has changed: without making anybody wait.
pub(in super::super) fn mend(inner: &Arc<Inner>, user: &Document) {
    let is_stale = |key: &str, now: &Bson| user.get(key).is_some_and(|was| was != now);
    let now = keys(user);
    if !now.iter().any(|(key, value)| is_stale(key, value)) {
        return;
    }
    let same = |key: &str| user.get(key).cloned().unwrap_or(Bson::Null);
    let filter = doc! { "_id": same("_id"), "email": same("email"), "fullName": same("fullName") };
    let (inner, user) = (inner.clone(), user.clone());
    inner.clone().db.tasks.spawn(async move {
        let call = inner.db.call();
        let update = Update { filter: filter.clone(), change: doc! { "$set": now.clone() }, upsert: false };
        let mended = async {
            let written = call.update(USERS, vec![update], true).await?;
            if written.failed.iter().any(|failed| failed.code == DUPLICATE) {
                report(&call, &user).await?;
                let name = doc! { "$set": { "nameKey": name_of(&user) }, "$unset": { "emailKey": "" } };
                call.update(USERS, vec![Update { filter, change: name, upsert: false }], true).await?;
            }
            Ok::<_, crate::StoreError>(())
        };
        if let Err(error) = mended.await {
            tracing::debug!(%error, "the keys of a user stay stale for now");
        }
    });
}
