//! Accounts and sign-ins.

mod input;
mod password;
mod revocations;
mod token;
mod user;

use std::{sync::Arc, time::Duration};

#[cfg(feature = "http")]
pub(crate) use self::input::BCRYPT_BYTES;
pub use self::{
    input::{Credentials, ProfileEdit, SignUp},
    token::{JwtSecret, SecretTooShort, Session, Token},
    user::User,
};
pub(crate) use self::{password::Passwords, revocations::Revocations, token::Tokens};
use crate::{
    Error, Result, StoreError, Timestamp, UserId,
    images::{CheckedImage, ImagePurpose},
    mail::{Letter, Mail, MailKind},
    service::Shared,
    store::{ProfileChange, Revocation, UserRecord},
};

/// How long an outside service may take for what nobody waits for.
const OUTSIDE: Duration = Duration::from_secs(60);

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
    /// Makes an account and signs in. The welcome mail is sent without making anybody wait.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::EmailTaken`]; [`Error::Unavailable`] when the store is down or the password
    /// workers are full.
    pub async fn sign_up(&self, input: SignUp) -> Result<SignedIn> {
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
        };
        let shared = self.0.clone();
        // A task of its own: an account that was made gets its mail, whether or not the client still waits.
        let insert = async move {
            match shared.store.insert_user(&user).await {
                Ok(()) => {}
                Err(StoreError::AlreadyExists(_)) => return Err(Error::EmailTaken),
                Err(error) => return Err(error.into()),
            }
            shared.send_mail(Mail {
                to: user.email.clone(),
                name: user.full_name.clone(),
                kind: MailKind::Welcome,
            });
            shared.sign_in(user)
        };
        self.0.tasks.spawn(insert).await.map_err(Error::internal)?
    }

    /// Signs in. An unknown e-mail takes as long as a wrong password and gets the same answer.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`]; [`Error::Validation`] when a field is empty; [`Error::Unavailable`] when the
    /// store is down or the password workers are full.
    pub async fn log_in(&self, input: Credentials) -> Result<SignedIn> {
        let input = input.checked()?;
        let user = self.0.store.user_by_email(&input.email).await?;
        // What sign-up would refuse can't be right here: bcrypt would not read all of it.
        let is_possible = input.password.len() <= input::BCRYPT_BYTES && !input.password.contains('\0');
        let hash = user.as_ref().filter(|_| is_possible).map(|user| user.password_hash.clone());
        let password = if is_possible { input.password } else { String::new() };
        let fits = self.0.passwords.verify(password, hash).await?;
        match user {
            Some(user) if fits => self.0.sign_in(user),
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
        let end = async move {
            let revocation = Revocation { session: session.id, expires_at: session.expires_at };
            shared.revocations.add(&*shared.store, revocation).await?;
            if shared.hub.close_session(session.user, session.id) == 0 {
                shared.presence.depart(session.user);
            }
            Ok(())
        };
        self.0.tasks.spawn(end).await.map_err(Error::internal)?
    }

    /// The session that a token stands for. Asks nobody: it costs one HMAC.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is malformed, forged, expired or ended.
    pub fn authenticate(&self, token: &str) -> Result<Session> {
        let session = self.0.tokens.read(token)?;
        if self.0.revocations.contains(session.id) { Err(Error::Unauthenticated) } else { Ok(session) }
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
    fn sign_in(self: &Arc<Self>, user: UserRecord) -> Result<SignedIn> {
        let now = Timestamp::now();
        let (session, token) = self.tokens.issue(user.id, now)?;
        self.presence.visit(user.id);
        let user = UserRecord { is_online: true, last_seen: now, ..user };
        Ok(SignedIn { user: self.view_user(user), session, token })
    }

    fn send_mail(self: &Arc<Self>, mail: Mail) {
        let shared = self.clone();
        self.errands.spawn(async move {
            let content = shared.mail_templates.content(&mail);
            let letter = Letter { key: crate::random::name::<16>(), to: mail.to, content };
            match tokio::time::timeout(OUTSIDE, shared.mailer.send(&letter)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(?error, "a mail was not sent"),
                Err(_) => tracing::warn!("a mail was not sent in time"),
            }
        });
    }

    pub(crate) fn view_user(&self, user: UserRecord) -> User {
        User {
            id: user.id,
            email: user.email,
            full_name: user.full_name,
            profile_pic: user.profile_pic.map(|url| self.public(url)).unwrap_or_default(),
            last_seen: user.last_seen,
            is_online: user.is_online,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}
