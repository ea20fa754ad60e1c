//! Accounts and sign-ins.

mod blocks;
mod choices;
mod common_passwords;
mod device;
mod input;
#[cfg(feature = "http")]
mod known_device;
mod links;
mod password;
mod purpose;
mod recovery;
mod revocations;
mod sessions;
mod token;
mod user;

use std::sync::Arc;

pub(crate) use self::{
    blocks::{Blocks, Relations},
    links::Links,
    password::Passwords,
    purpose::Purpose,
    recovery::RESET_LIFE,
    revocations::Revocations,
    sessions::Uses,
    token::Tokens,
};
pub use self::{
    device::Device,
    input::{Credentials, ProfileEdit, SignUp},
    sessions::LiveSession,
    token::{JwtSecret, SecretTooShort, Session, Token},
    user::User,
};
#[cfg(feature = "http")]
pub(crate) use self::{
    input::BCRYPT_BYTES,
    known_device::{Devices, KNOWN_LIFE},
};
use crate::{
    Error, Result, StoreError, Timestamp, UserId,
    images::{CheckedImage, ImagePurpose},
    mail::MailKind,
    outbox::Job,
    service::Shared,
    store::{ProfileChange, SessionRecord, Settings, UserRecord},
};

/// Somebody who has just signed up or logged in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The sign-in.
    pub session: Session,
    /// What they show from now on.
    pub token: Token,
}

/// Accounts and sign-ins; from [`ChatService::auth`](crate::ChatService::auth).
///
/// A future of a method that changes something may be dropped at any time: the change is then whole or not there.
#[derive(Debug, Clone, Copy)]
pub struct Auth<'a>(pub(crate) &'a Arc<Shared>);

impl Auth<'_> {
    /// Makes an account and signs in. The welcome mail is sent without making anybody wait: it is in the outbox, from
    /// which no restart takes it, before the account is there.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::EmailTaken`]; [`Error::Unavailable`] when the store is down or the password
    /// workers are full. [`Error::EmailUnverified`] where addresses have to be verified first
    /// ([`verify_emails`](crate::ChatServiceBuilder::verify_emails)): the account is there then, and
    /// [`register`](Self::register) says so without an error.
    pub async fn sign_up(&self, input: SignUp) -> Result<SignedIn> {
        let device = input.device.clone();
        let user = self.register_record(input).await?;
        if self.0.verifies_emails {
            return Err(Error::EmailUnverified);
        }
        self.0.sign_in(user, &device).await
    }

    /// Makes an account, as [`sign_up`](Self::sign_up) does, and does not sign in.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::EmailTaken`]; [`Error::Unavailable`] when the store is down or the password
    /// workers are full.
    pub async fn register(&self, input: SignUp) -> Result<User> {
        let user = self.register_record(input).await?;
        Ok(self.0.view_user(user))
    }

    /// The same input with the white space around e-mail and name removed, if it is as it must be. What it is checked
    /// for, [`register`](Self::register) checks too: this is for who wants to know first.
    ///
    /// # Errors
    /// [`Error::Validation`].
    pub fn check(&self, input: SignUp) -> Result<SignUp> {
        input.checked(&self.0.limits)
    }

    #[cfg(feature = "http")]
    pub(crate) fn check_credentials(&self, input: Credentials) -> Result<Credentials> {
        input.checked()
    }

    async fn register_record(&self, input: SignUp) -> Result<UserRecord> {
        let input = input.checked(&self.0.limits)?;
        if self.0.store.user_by_email(&input.email).await?.is_some() {
            return Err(Error::EmailTaken);
        }
        let password_hash = self.0.passwords.hash(input.password).await?;
        let now = Timestamp::now();
        let user = UserRecord {
            id: UserId::generate(now),
            email: input.email,
            full_name: input.full_name,
            password_hash,
            profile_pic: None,
            last_seen: now,
            is_online: false,
            created_at: now,
            updated_at: now,
            email_verified: !self.0.verifies_emails,
            generation: 0,
            settings: Settings::default(),
        };
        let shared = self.0.clone();
        // A task of its own: an account that was made gets its mail, whether or not the client still waits.
        let insert = async move {
            // First the mail and then the account: a mail whose account never came is dropped, an account without its
            // mail would not be noticed.
            let mail = shared.outbox.put(shared.first_mail(&user, now)).await?;
            match shared.store.insert_user(&user).await {
                Ok(()) => {
                    shared.outbox.begin(mail);
                    Ok(user)
                }
                Err(StoreError::AlreadyExists(_)) => {
                    shared.outbox.withdraw(&mail).await;
                    Err(Error::EmailTaken)
                }
                // It may be there: the mail is sent once it is.
                Err(error @ StoreError::Uncertain(_)) => Err(error.into()),
                Err(error) => {
                    shared.outbox.withdraw(&mail).await;
                    Err(error.into())
                }
            }
        };
        self.0.tasks.spawn(insert).await.map_err(Error::internal)?
    }

    /// Signs in. An unknown e-mail takes as long as a wrong password and gets the same answer.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`]; [`Error::Validation`] when a field is empty; [`Error::EmailUnverified`] where
    /// that is asked for; [`Error::Unavailable`] when the store is down or the password workers are full.
    pub async fn log_in(&self, input: Credentials) -> Result<SignedIn> {
        let input = input.checked()?;
        let user = self.0.store.user_by_email(&input.email).await?;
        // What sign-up would refuse can't be right here: bcrypt would not read all of it.
        let is_possible = input.password.len() <= input::BCRYPT_BYTES && !input.password.contains('\0');
        let hash = user.as_ref().filter(|_| is_possible).map(|user| user.password_hash.clone());
        let password = if is_possible { input.password } else { String::new() };
        let fits = self.0.passwords.verify(password, hash).await?;
        match user {
            Some(user) if fits && self.0.verifies_emails && !user.email_verified => {
                Err(Error::EmailUnverified)
            }
            Some(user) if fits => self.0.sign_in(user, &input.device).await,
            _ => Err(Error::InvalidCredentials),
        }
    }

    /// Ends a session: its token is refused from now on, also after a restart, and its connections are closed. Done
    /// again it changes nothing.
    ///
    /// # Errors
    /// When the store is unavailable; the session is then still in force.
    pub async fn log_out(&self, session: &Session) -> Result<()> {
        let (shared, session) = (self.0.clone(), *session);
        self.0.tasks.spawn(async move { shared.revoke(session).await }).await.map_err(Error::internal)?
    }

    /// The session that a token stands for. Asks nobody: it costs one HMAC.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is malformed, forged, expired or ended.
    pub fn authenticate(&self, token: &str) -> Result<Session> {
        let session = self.0.tokens.read(token)?;
        if self.0.revocations.contains(&session) {
            return Err(Error::Unauthenticated);
        }
        self.0.uses.note(session.id);
        Ok(session)
    }

    /// How long a new token lives.
    #[must_use]
    pub fn token_life(&self) -> std::time::Duration {
        self.0.tokens.life()
    }

    /// The person with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the store is down.
    pub async fn user(&self, id: UserId) -> Result<User> {
        let user = self.0.store.user(id).await?.ok_or(Error::NotFound("User"))?;
        Ok(self.0.view_user(user))
    }

    /// Changes one's name or picture, or both. The picture that was there before is removed.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::NotFound`]; [`Error::Unavailable`] when the store or the image store is down:
    /// then nothing has changed.
    pub async fn update_profile(&self, user: UserId, edit: ProfileEdit) -> Result<User> {
        let full_name = edit.full_name.map(|name| input::checked_name(&name, &self.0.limits)).transpose()?;
        let picture = match edit.picture {
            Some(Some(bytes)) => Some(Some(
                CheckedImage::check(bytes, self.0.limits.image)
                    .await
                    .map_err(|refused| Error::refused("profilePic", refused))?,
            )),
            Some(None) => Some(None),
            None => None,
        };
        let shared = self.0.clone();
        let change = async move {
            let profile_pic = match picture {
                Some(Some(image)) => Some(Some(shared.put_image(image, ImagePurpose::Profile).await?)),
                Some(None) => Some(None),
                None => None,
            };
            let change = ProfileChange { full_name, profile_pic };
            match shared.store.update_profile(user, &change, Timestamp::now()).await {
                Ok(update) => {
                    if update.before.profile_pic != update.after.profile_pic {
                        shared.drop_image(update.before.profile_pic);
                    }
                    Ok(shared.view_user(update.after))
                }
                // Otherwise the picture may be in use.
                Err(error) if !matches!(error, StoreError::Uncertain(_)) => {
                    shared.drop_image(change.profile_pic.flatten());
                    Err(error.into())
                }
                Err(error) => Err(error.into()),
            }
        };
        self.0.tasks.spawn(change).await.map_err(Error::internal)?
    }
}

impl Shared {
    /// Gives out a token. Whoever signs in is stored as online, for as long as it takes a connection to come.
    async fn sign_in(self: &Arc<Self>, user: UserRecord, device: &Device) -> Result<SignedIn> {
        let now = Timestamp::now();
        let (session, token) = self.tokens.issue(user.id, user.generation, now)?;
        let listed = SessionRecord {
            id: session.id,
            user: user.id,
            generation: user.generation,
            created_at: now,
            expires_at: session.expires_at,
            last_used_at: now,
            address: device.address.map(|address| address.to_canonical().to_string()),
            user_agent: device.short_user_agent(),
        };
        // One that is not in the list ends with all others, and with its token: no reason to turn anybody away.
        if let Err(error) = self.store.insert_session(&listed).await {
            tracing::warn!(%error, "a session is not in the list of its user's");
        }
        self.presence.visit(user.id);
        let user = UserRecord { is_online: true, last_seen: now, ..user };
        Ok(SignedIn { user: self.view_user(user), session, token })
    }

    /// What is sent to a new account: the welcome, or first of all the link that verifies its address.
    fn first_mail(&self, user: &UserRecord, now: Timestamp) -> Job {
        let kind = if self.verifies_emails {
            self.links.verify(user, now.plus(recovery::VERIFY_LIFE)).map(MailKind::VerifyEmail)
        } else {
            None
        };
        Job::mail(user, kind.unwrap_or(MailKind::Welcome), now)
    }

    /// As one sees others: who has blocked one went then.
    pub(crate) fn view_user_for(&self, relations: &Relations, user: UserRecord) -> User {
        let blocked_at = relations.blocked_by(user.id);
        let user = self.view_user(user);
        match blocked_at {
            Some(at) => {
                let last_seen = if user.is_online { at } else { user.last_seen.min(at) };
                User { is_online: false, last_seen, ..user }
            }
            None => user,
        }
    }

    pub(crate) fn view_user(&self, user: UserRecord) -> User {
        User {
            id: user.id,
            email: user.email,
            full_name: user.full_name,
            profile_pic: user.profile_pic.map(|url| self.public(url)).unwrap_or_default(),
            last_seen: user.last_seen,
            // What is stored of who has just become invisible may be a moment behind.
            is_online: user.is_online && !user.settings.is_invisible,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}
