//! `Users`.

use async_trait::async_trait;
use rusqlite::params;

use super::{SqliteStore, db::Db, rows::int, sql, tx::Tx};
use crate::{
    SessionId, StoreError, Timestamp, UserId,
    store::{
        Cut, PasswordChange, ProfileChange, ProfileUpdate, Result, Settings, SettingsChange, UserRecord,
        Users, email_key, name_key,
    },
};

#[async_trait]
impl Users for SqliteStore {
    async fn insert_user(&self, user: &UserRecord) -> Result<()> {
        let user = user.clone();
        let write = move |tx: &mut Tx| {
            let inserted = tx.db.execute(
                sql::INSERT_USER,
                params![
                    user.id.as_bytes(),
                    user.email,
                    email_key(&user.email),
                    user.full_name,
                    name_key(&user.full_name),
                    user.password_hash,
                    user.profile_pic,
                    user.last_seen.as_millis(),
                    user.is_online,
                    user.created_at.as_millis(),
                    user.updated_at.as_millis(),
                    user.email_verified,
                    user.generation,
                    user.settings.sends_receipts,
                    user.settings.is_invisible,
                ],
            )?;
            if inserted > 0 { Ok(()) } else { Err(StoreError::AlreadyExists("email")) }
        };
        self.writer.run(write).await
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRecord>> {
        self.readers.run(move |db| db.first(sql::USER, [id.as_bytes()])).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<UserRecord>> {
        let key = email_key(email);
        self.readers.run(move |db| db.first(sql::USER_BY_EMAIL, [key])).await
    }

    async fn update_profile(
        &self,
        id: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<ProfileUpdate> {
        let change = change.clone();
        let write = move |tx: &mut Tx| {
            let before: UserRecord =
                tx.db.first(sql::USER, [id.as_bytes()])?.ok_or(StoreError::NotFound("User"))?;
            let mut after = UserRecord { updated_at: at, ..before.clone() };
            if let Some(full_name) = change.full_name {
                after.full_name = full_name;
            }
            if let Some(profile_pic) = change.profile_pic {
                after.profile_pic = profile_pic;
            }
            tx.db.execute(
                sql::UPDATE_PROFILE,
                params![
                    id.as_bytes(),
                    after.full_name,
                    name_key(&after.full_name),
                    after.profile_pic,
                    at.as_millis()
                ],
            )?;
            Ok(ProfileUpdate { before, after })
        };
        self.writer.run(write).await
    }

    async fn set_presence(&self, id: UserId, is_online: bool, at: Timestamp, lease: &str) -> Result<()> {
        let lease = is_online.then(|| lease.to_owned());
        let write = move |tx: &mut Tx| {
            let values = params![id.as_bytes(), is_online, at.as_millis(), lease];
            tx.db.execute(sql::SET_PRESENCE, values).map(drop)
        };
        self.writer.run(write).await
    }

    async fn renew_lease(&self, lease: &str, at: Timestamp) -> Result<()> {
        let lease = lease.to_owned();
        let write =
            move |tx: &mut Tx| tx.db.execute(sql::RENEW_LEASE, params![lease, at.as_millis()]).map(drop);
        self.writer.run(write).await
    }

    async fn end_lease(&self, lease: &str, at: Timestamp) -> Result<u64> {
        let lease = lease.to_owned();
        let write = move |tx: &mut Tx| {
            tx.db.execute(sql::REMOVE_LEASE, [&lease])?;
            tx.db.execute(sql::LEAVE, params![lease, at.as_millis()]).map(|changed| changed as u64)
        };
        self.writer.run(write).await
    }

    async fn expire_leases(&self, before: Timestamp) -> Result<u64> {
        let write = move |tx: &mut Tx| {
            let changed = tx.db.execute(sql::EXPIRE, [before.as_millis()])?;
            // Only now: it was asked when they were renewed.
            tx.db.execute(sql::REMOVE_LEASES, [before.as_millis()])?;
            Ok(changed as u64)
        };
        self.writer.run(write).await
    }

    async fn update_settings(&self, id: UserId, change: &SettingsChange) -> Result<Settings> {
        let change = *change;
        let write = move |tx: &mut Tx| {
            let was = user(tx, id)?.settings;
            let settings = Settings {
                sends_receipts: change.sends_receipts.unwrap_or(was.sends_receipts),
                is_invisible: change.is_invisible.unwrap_or(was.is_invisible),
            };
            // A transaction that writes nothing costs no sync.
            if settings != was {
                let values = params![id.as_bytes(), settings.sends_receipts, settings.is_invisible];
                tx.db.execute(sql::SET_SETTINGS, values)?;
            }
            Ok(settings)
        };
        self.writer.run(write).await
    }

    async fn set_password(&self, id: UserId, change: &PasswordChange, at: Timestamp) -> Result<Option<Cut>> {
        let change = change.clone();
        let write = move |tx: &mut Tx| {
            let user = user(tx, id)?;
            if user.password_hash != change.old_hash {
                return Ok(None);
            }
            tx.db
                .execute(sql::SET_PASSWORD, params![id.as_bytes(), change.new_hash, change.verifies_email])?;
            cut(tx, &user, change.kept, at).map(Some)
        };
        self.writer.run(write).await
    }

    async fn cut_sessions(&self, id: UserId, kept: Option<SessionId>, at: Timestamp) -> Result<Cut> {
        let write = move |tx: &mut Tx| {
            let user = user(tx, id)?;
            cut(tx, &user, kept, at)
        };
        self.writer.run(write).await
    }

    async fn cuts(&self, since: Timestamp) -> Result<Vec<Cut>> {
        self.readers.run(move |db| db.all(sql::CUTS, [since.as_millis()])).await
    }

    async fn verify_email(&self, id: UserId, email: &str) -> Result<bool> {
        let key = email_key(email);
        let write = move |tx: &mut Tx| {
            let user = user(tx, id)?;
            if email_key(&user.email) != key {
                return Err(StoreError::NotFound("User"));
            }
            tx.db.execute(sql::VERIFY_EMAIL, [id.as_bytes()])?;
            Ok(!user.email_verified)
        };
        self.writer.run(write).await
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
        let read = move |db: &Db| {
            // Before the first of them: no id.
            let mut place = (prefix.clone(), Vec::new());
            if let Some(after) = after {
                let name: Option<String> = db.first(sql::USER_NAME_KEY, [after.as_bytes()])?;
                place = place.max((name.ok_or(StoreError::NotFound("User"))?, after.as_bytes().to_vec()));
            }
            let params = params![place.0, place.1, except.as_bytes(), int(limit)];
            let mut users: Vec<UserRecord> = db.all(sql::USERS_BY_NAME, params)?;
            // They stand together: what follows is read along, and no more of it than was asked for.
            let count =
                users.iter().take_while(|user| name_key(&user.full_name).starts_with(&prefix)).count();
            users.truncate(count);
            Ok(users)
        };
        self.readers.run(read).await
    }
}

fn user(tx: &Tx, id: UserId) -> Result<UserRecord> {
    tx.db.first(sql::USER, [id.as_bytes()])?.ok_or(StoreError::NotFound("User"))
}

fn cut(tx: &Tx, user: &UserRecord, kept: Option<SessionId>, at: Timestamp) -> Result<Cut> {
    let cut = Cut { user: user.id, generation: user.generation.saturating_add(1), kept };
    let (id, kept) = (user.id.as_bytes(), kept.map(|kept| *kept.as_bytes()));
    tx.db.execute(sql::CUT, params![id, cut.generation, kept, at.as_millis()])?;
    tx.db.execute(sql::REMOVE_CUT_SESSIONS, params![id, cut.generation, kept])?;
    Ok(cut)
}
