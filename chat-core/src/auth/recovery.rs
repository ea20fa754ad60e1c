//! Passwords: changed, or forgotten and set anew; and addresses that are verified.

use std::time::Duration;

use super::{Auth, Session, input};
use crate::{
    Error, Result, StoreError, Timestamp,
    mail::{Mail, MailKind},
    outbox::Job,
    service::Shared,
    store::{PasswordChange, UserRecord},
};

/// How long the link to a new password works (OWASP Forgot Password Cheat Sheet, "URL Tokens": short).
pub(crate) const RESET_LIFE: Duration = Duration::from_secs(3600);
/// How long the link that verifies an address works.
pub(crate) const VERIFY_LIFE: Duration = Duration::from_secs(24 * 3600);

impl Auth<'_> {
    /// Changes one's password, and ends all one's sessions but this one. A mail tells the owner of the address.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::InvalidCredentials`] when it is not the current password; [`Error::NotFound`] when the account is gone; [`Error::Unavailable`] when the store is down or the password
    /// workers are full.
    pub async fn change_password(&self, session: &Session, current: String, new: String) -> Result<()> {
        let user = self.0.store.user(session.user).await?.ok_or(Error::NotFound("User"))?;
        input::checked_passwords(&current, &new, &user, &self.0.limits)?;
        if !self.0.passwords.verify(current, Some(user.password_hash.clone())).await? {
            return Err(Error::InvalidCredentials);
        }
        self.set_password(user, new, Some(session), false).await?.ok_or(Error::InvalidCredentials)
    }

    /// Sends a link to a new password to this address, if there is an account with it. Whether there is, neither the
    /// answer tells nor the time that it takes: who it is for is looked up when nobody waits.
    ///
    /// # Errors
    /// [`Error::Validation`] when it is empty; [`Error::Forbidden`] when the service was not told where its links
    /// lead ([`client_url`](crate::ChatServiceBuilder::client_url)); [`Error::Unavailable`] when the store is down.
    pub async fn forgot_password(&self, email: &str) -> Result<()> {
        self.send_link(email, |email| Job::ForgottenPassword { email }).await
    }

    /// Sends the link that verifies this address once more, if there is an account with it that needs it. Nothing
    /// tells whether there is.
    ///
    /// # Errors
    /// As [`forgot_password`](Self::forgot_password).
    pub async fn send_verification(&self, email: &str) -> Result<()> {
        self.send_link(email, |email| Job::Verification { email }).await
    }

    async fn send_link(&self, email: &str, job: impl FnOnce(String) -> Job) -> Result<()> {
        let email = input::checked_email(email, &self.0.limits)?;
        if !self.0.links.is_possible() {
            return Err(Error::Forbidden(
                "This server has no address that a link in a mail could lead to.".into(),
            ));
        }
        let (shared, job) = (self.0.clone(), job(email));
        let put = async move {
            let entry = shared.outbox.put(job).await?;
            shared.outbox.begin(entry);
            Ok(())
        };
        self.0.tasks.spawn(put).await.map_err(Error::internal)?
    }

    /// Sets a new password by the token of a link from a mail. That works once; it ends all sessions, verifies the
    /// address, and signs nobody in. A mail tells the owner of the address.
    ///
    /// # Errors
    /// [`Error::InvalidLink`]; [`Error::Validation`] of `password`, after which the link still works;
    /// [`Error::Unavailable`] when the store is down or the password workers are full.
    pub async fn reset_password(&self, token: &str, password: String) -> Result<()> {
        input::checked_password("password", &password, &[], &self.0.limits)?;
        let read = self.0.links.read_reset(token)?;
        let user = self.0.store.user(read.user).await?.ok_or(Error::InvalidLink)?;
        if !self.0.links.is_reset_of(&read, &user) {
            return Err(Error::InvalidLink);
        }
        input::checked_password("password", &password, &[&user.email, &user.full_name], &self.0.limits)?;
        self.set_password(user, password, None, true).await?.ok_or(Error::InvalidLink)
    }

    /// Verifies an address by the token of a link from a mail. Done again it changes nothing.
    ///
    /// # Errors
    /// [`Error::InvalidLink`]; [`Error::Unavailable`] when the store is down.
    pub async fn verify_email(&self, token: &str) -> Result<()> {
        let read = self.0.links.read_verify(token)?;
        let user = self.0.store.user(read.user).await?.ok_or(Error::InvalidLink)?;
        if !self.0.links.is_verify_of(&read, &user) {
            return Err(Error::InvalidLink);
        }
        if user.email_verified {
            return Ok(());
        }
        let shared = self.0.clone();
        let verify = async move {
            // First the mail, as at a sign-up: it is not sent before the address is verified.
            let welcome = shared.outbox.put(Job::mail(&user, MailKind::Welcome, Timestamp::now())).await?;
            match shared.store.verify_email(user.id, &user.email).await {
                Ok(true) => {
                    shared.outbox.begin(welcome);
                    Ok(())
                }
                // Somebody else was faster, and begins it.
                Ok(false) => Ok(()),
                Err(StoreError::NotFound(_)) => Err(Error::InvalidLink),
                Err(error) => Err(error.into()),
            }
        };
        self.0.tasks.spawn(verify).await.map_err(Error::internal)?
    }

    /// `None`: the password is not the one of the record any more.
    async fn set_password(
        &self,
        user: UserRecord,
        new: String,
        session: Option<&Session>,
        verifies_email: bool,
    ) -> Result<Option<()>> {
        let new_hash = self.0.passwords.hash(new).await?;
        let kept = session.map(|session| session.id);
        let shared = self.0.clone();
        let set = async move {
            let change =
                PasswordChange { old_hash: user.password_hash.clone(), new_hash, kept, verifies_email };
            let cut = shared.store.set_password(user.id, &change, Timestamp::now()).await;
            let Some(cut) = cut.map_err(Error::from)? else { return Ok(None) };
            shared.put_in_force(cut);
            let notice = Job::mail(&user, MailKind::PasswordChanged, Timestamp::now());
            // The password is changed: that nobody is told is no reason to say that it is not.
            match shared.outbox.put(notice).await {
                Ok(entry) => shared.outbox.begin(entry),
                Err(error) => tracing::warn!(%error, "nobody is told by mail that a password was changed"),
            }
            Ok(Some(()))
        };
        self.0.tasks.spawn(set).await.map_err(Error::internal)?
    }
}

impl Shared {
    /// The mail that somebody asked for who named this address, if there is an account that it is for.
    pub(crate) async fn link_mail(
        &self,
        email: &str,
        is_reset: bool,
        since: Timestamp,
    ) -> Result<Option<Mail>> {
        let Some(user) = self.store.user_by_email(email).await? else { return Ok(None) };
        // From when it was asked for, so that a second attempt sends the same.
        let kind = if is_reset {
            self.links.reset(&user, since.plus(RESET_LIFE)).map(MailKind::ResetPassword)
        } else if user.email_verified {
            None
        } else {
            self.links.verify(&user, since.plus(VERIFY_LIFE)).map(MailKind::VerifyEmail)
        };
        Ok(kind.map(|kind| Mail { to: user.email, name: user.full_name, kind }))
    }
}
