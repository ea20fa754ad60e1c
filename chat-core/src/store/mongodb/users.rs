//! `Users`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

use super::{
    Inner, MongoStore, adopt,
    db::{Call, Update},
    documents::{date, from_user, oid, to_cut, to_settings, to_user},
    error::{DUPLICATE, other, unavailable, uncertain},
    leases,
    queries::{self, SIGN_INS, USERS},
};
use crate::{
    SessionId, StoreError, Timestamp, UserId,
    store::{
        Cut, PasswordChange, ProfileChange, ProfileUpdate, Result, Settings, SettingsChange, UserRecord,
        Users, email_key, name_key,
    },
};

#[async_trait]
impl Users for MongoStore {
    async fn insert_user(&self, user: &UserRecord) -> Result<()> {
        let user = user.clone();
        self.run(async move |inner, call| {
            // Until then the index does not know every e-mail of before.
            adopt::wait(&call, &inner.backlog.has_users).await?;
            let written = call.insert(USERS, vec![from_user(&user)], true).await?;
            let Some(failed) = written.failed.into_iter().next() else { return Ok(()) };
            if failed.code != DUPLICATE {
                return Err(other(failed.message));
            }
            // It may be this very one, from an attempt whose answer was lost.
            let there = call.find_durable(&queries::user(user.id)).await.map_err(uncertain)?;
            let is_own = there
                .first()
                .and_then(to_user)
                .is_some_and(|there| (there.email, there.password_hash) == (user.email, user.password_hash));
            if is_own { Ok(()) } else { Err(StoreError::AlreadyExists("email")) }
        })
        .await
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRecord>> {
        self.run(async move |_, call| Ok(call.first(&queries::user(id)).await?.as_ref().and_then(to_user)))
            .await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<UserRecord>> {
        let email = email.to_owned();
        self.run(async move |inner, call| {
            // The very spelling first: in data of before, two may differ in nothing but case.
            if let Some(found) = call.first(&queries::user_by_exact_email(&email)).await? {
                adopt::mend(&inner, &found);
                return Ok(to_user(&found));
            }
            let key = email_key(&email);
            let Some(found) = call.first(&queries::user_by_email_key(&key)).await? else { return Ok(None) };
            adopt::mend(&inner, &found);
            // Another application may have changed the e-mail, and not the key.
            Ok(to_user(&found).filter(|user| email_key(&user.email) == key))
        })
        .await
    }

    async fn update_profile(
        &self,
        id: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<ProfileUpdate> {
        let change = change.clone();
        self.run(async move |_, call| update_profile(&call, id, &change, at).await).await
    }

    async fn set_presence(&self, id: UserId, is_online: bool, at: Timestamp, lease: &str) -> Result<()> {
        let lease = lease.to_owned();
        self.run(async move |_, call| leases::set_presence(&call, id, is_online, at, lease).await).await
    }

    async fn renew_lease(&self, lease: &str, at: Timestamp) -> Result<()> {
        let lease = lease.to_owned();
        self.run(async move |_, call| leases::renew(&call, lease, at).await).await
    }

    async fn end_lease(&self, lease: &str, at: Timestamp) -> Result<u64> {
        let lease = lease.to_owned();
        self.run(async move |_, call| leases::end(&call, lease, at).await).await
    }

    async fn expire_leases(&self, before: Timestamp) -> Result<u64> {
        self.run(async move |_, call| leases::expire(&call, before).await).await
    }

    async fn update_settings(&self, id: UserId, change: &SettingsChange) -> Result<Settings> {
        let change = *change;
        self.run(async move |_, call| update_settings(&call, id, change).await).await
    }

    async fn set_password(&self, id: UserId, change: &PasswordChange, at: Timestamp) -> Result<Option<Cut>> {
        let change = change.clone();
        self.run(async move |_, call| cut(&call, id, Some(&change), change.kept, at).await).await
    }

    async fn cut_sessions(&self, id: UserId, kept: Option<SessionId>, at: Timestamp) -> Result<Cut> {
        self.run(async move |_, call| {
            let cut = cut(&call, id, None, kept, at).await?;
            cut.ok_or_else(|| other("a cut without a condition did not happen"))
        })
        .await
    }

    async fn cuts(&self, since: Timestamp) -> Result<Vec<Cut>> {
        self.run(async move |_, call| {
            Ok(call.find(&queries::cuts(since)).await?.iter().filter_map(to_cut).collect())
        })
        .await
    }

    async fn verify_email(&self, id: UserId, email: &str) -> Result<bool> {
        let key = email_key(email);
        self.run(async move |_, call| {
            let found = call.first(&queries::user(id)).await?;
            let user = found.as_ref().and_then(to_user).filter(|user| email_key(&user.email) == key);
            let user = user.ok_or(StoreError::NotFound("User"))?;
            if user.email_verified {
                return Ok(false);
            }
            let change = doc! { "$set": { "emailVerified": true } };
            let filter = doc! { "_id": oid(id.as_bytes()), "email": &user.email };
            let written = call.update(USERS, vec![Update { filter, change, upsert: false }], true).await?;
            match written.failed.into_iter().next() {
                Some(failed) => Err(other(failed.message)),
                None if written.matched == 0 => Err(StoreError::NotFound("User")),
                // Of two at the same moment, or of an attempt and its repetition, one has changed it.
                None => Ok(written.modified > 0 || written.was_repeated),
            }
        })
        .await
    }

    async fn users_by_name(
        &self,
        except: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserRecord>> {
        self.users_named("", except, after, limit).await
    }

    async fn users_named(
        &self,
        prefix: &str,
        except: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserRecord>> {
        let prefix = prefix.to_owned();
        self.run(async move |inner, call| users_named(&inner, &call, &prefix, except, after, limit).await)
            .await
    }
}

async fn update_settings(call: &Call, id: UserId, change: SettingsChange) -> Result<Settings> {
    let (mut set, mut unset) = (doc! {}, doc! {});
    let default = Settings::default();
    // Absent they are what most have chosen, and those of another application.
    for (key, value, default) in [
        ("sendsReceipts", change.sends_receipts, default.sends_receipts),
        ("isInvisible", change.is_invisible, default.is_invisible),
    ] {
        match value {
            Some(value) if value == default => drop(unset.insert(key, "")),
            Some(value) => drop(set.insert(key, value)),
            None => {}
        }
    }
    let parts = [("$set", set), ("$unset", unset)];
    let change: Document = parts
        .into_iter()
        .filter(|(_, part)| !part.is_empty())
        .map(|(k, part)| (k.into(), part.into()))
        .collect();
    let found = if change.is_empty() {
        call.first(&queries::user(id)).await?
    } else {
        let update = Update { filter: queries::by_id(oid(id.as_bytes())), change, upsert: false };
        call.modify(USERS, update, Some(doc! { "sendsReceipts": 1, "isInvisible": 1 })).await?.document
    };
    found.as_ref().map(to_settings).ok_or(StoreError::NotFound("User"))
}

/// Each change carries a mark of its own, so that it is known whose change followed which.
async fn update_profile(
    call: &Call,
    id: UserId,
    change: &ProfileChange,
    at: Timestamp,
) -> Result<ProfileUpdate> {
    let mark = Bson::ObjectId(ObjectId::new());
    let mut pause = Duration::from_millis(5);
    loop {
        let found = call.first(&queries::user(id)).await?.ok_or(StoreError::NotFound("User"))?;
        let before = to_user(&found).ok_or(StoreError::NotFound("User"))?;
        let mut after = UserRecord { updated_at: at, ..before.clone() };
        let mut set = doc! { "updatedAt": date(at), "revision": mark.clone() };
        if let Some(full_name) = &change.full_name {
            after.full_name.clone_from(full_name);
            set.extend(doc! { "fullName": full_name, "nameKey": name_key(full_name) });
        }
        if let Some(profile_pic) = &change.profile_pic {
            after.profile_pic.clone_from(profile_pic);
            set.insert("profilePic", profile_pic.as_deref().unwrap_or_default());
        }
        let was = found.get("revision").cloned().unwrap_or(Bson::Null);
        let filter = doc! { "_id": oid(id.as_bytes()), "revision": was };
        let update = Update { filter, change: doc! { "$set": set }, upsert: false };
        let written = call.update(USERS, vec![update], true).await?;
        if let Some(failed) = written.failed.into_iter().next() {
            return Err(other(failed.message));
        }
        if written.matched == 1
            || (written.was_repeated && has_revision(call, id, &mark).await.map_err(uncertain)?)
        {
            return Ok(ProfileUpdate { before, after });
        }
        if !call.pause(&mut pause).await {
            return Err(unavailable("others change this profile faster than can be followed"));
        }
    }
}

/// Raises the generation, and replaces the password where one is given: `None` when it is not the old one any more.
async fn cut(
    call: &Call,
    id: UserId,
    password: Option<&PasswordChange>,
    kept: Option<SessionId>,
    at: Timestamp,
) -> Result<Option<Cut>> {
    let mark = Bson::ObjectId(ObjectId::new());
    let mut pause = Duration::from_millis(5);
    loop {
        let found = call.first(&queries::user(id)).await?.ok_or(StoreError::NotFound("User"))?;
        let user = to_user(&found).ok_or(StoreError::NotFound("User"))?;
        let cut = Cut { user: id, generation: user.generation.saturating_add(1), kept };
        let was = found.get("revision").cloned().unwrap_or(Bson::Null);
        let mut filter = doc! { "_id": oid(id.as_bytes()), "revision": was };
        let mut set = doc! {
            "generation": i64::from(cut.generation),
            "cutAt": date(at),
            "cutKept": kept.map(|kept| oid(kept.as_bytes())),
            "revision": mark.clone(),
        };
        if let Some(change) = password {
            if user.password_hash != change.old_hash {
                return Ok(None);
            }
            filter.insert("password", &change.old_hash);
            set.insert("password", &change.new_hash);
            if change.verifies_email && !user.email_verified {
                set.insert("emailVerified", true);
            }
        }
        let update = Update { filter, change: doc! { "$set": set }, upsert: false };
        let written = call.update(USERS, vec![update], true).await?;
        if let Some(failed) = written.failed.into_iter().next() {
            return Err(other(failed.message));
        }
        if written.matched == 1
            || (written.was_repeated && has_revision(call, id, &mark).await.map_err(uncertain)?)
        {
            // The list only: that these sessions are over is known from the account.
            call.delete(SIGN_INS, queries::cut_sign_ins(&cut)).await.map_err(uncertain)?;
            return Ok(Some(cut));
        }
        if !call.pause(&mut pause).await {
            return Err(unavailable("others change this account faster than can be followed"));
        }
    }
}

async fn has_revision(call: &Call, id: UserId, mark: &Bson) -> Result<bool> {
    Ok(call.first(&queries::user(id)).await?.is_some_and(|found| found.get("revision") == Some(mark)))
}

async fn users_named(
    inner: &Arc<Inner>,
    call: &Call,
    prefix: &str,
    except: UserId,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<UserRecord>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // One more, for the one who asks may be among them.
    let wanted = limit.saturating_add(1);
    let mut found: Vec<Document> = Vec::new();
    let mut name = None;
    if let Some(after) = after {
        let last = call.first(&queries::user(after)).await?.ok_or(StoreError::NotFound("User"))?;
        let key = match last.get_str("nameKey") {
            Ok(key) => key.to_owned(),
            Err(_) => name_key(last.get_str("fullName").unwrap_or_default()),
        };
        if key.as_str() >= prefix {
            found = call.find(&queries::namesakes(&key, after, wanted)).await?;
            name = Some(key);
        }
    }
    if found.len() < wanted {
        let query = queries::users_by_name(prefix, name.as_deref(), wanted - found.len());
        found.extend(call.find(&query).await?);
    }
    // They stand together: what follows is read along, and no more of it than was asked for.
    let is_named = |user: &Document| user.get_str("nameKey").is_ok_and(|key| key.starts_with(prefix));
    let count = found.iter().take_while(|user| is_named(user)).count();
    found.truncate(count);
    found.iter().for_each(|user| adopt::mend(inner, user));
    Ok(found.iter().filter_map(to_user).filter(|user| user.id != except).take(limit).collect())
}
