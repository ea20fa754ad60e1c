//! Links in mails: a signed text that says what it is for, until when, and on what state of the account it rests.
//!
//! Nothing is stored for a link. One that sets a password rests on the hash of the old one, so it works once, and not
//! after the password was changed otherwise. (The idea is Django's, `PasswordResetTokenGenerator`.) The text stands in
//! the URL's fragment, which browsers send to no server and in no `Referer`.

use serde::{Deserialize, Serialize};

use super::{JwtSecret, Purpose};
use crate::{
    Error, Result, Timestamp, UserId,
    mail::MailLink,
    store::{UserRecord, email_key},
};

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    sub: UserId,
    exp: i64,
    /// A digest of what it rests on.
    on: String,
}

/// Makes and reads links.
#[derive(Debug)]
pub(crate) struct Links {
    reset: Purpose,
    verify: Purpose,
    /// Where people open the application.
    client_url: Option<String>,
}

impl Links {
    pub(crate) fn new(secret: &JwtSecret, client_url: Option<String>) -> Self {
        let client_url = client_url.map(|url| url.trim_end_matches('/').to_owned());
        Self {
            reset: Purpose::new(secret, "reset-password"),
            verify: Purpose::new(secret, "verify-email"),
            client_url,
        }
    }

    /// Whether links lead anywhere.
    pub(crate) const fn is_possible(&self) -> bool {
        self.client_url.is_some()
    }

    /// A link that sets a new password. `None`: nobody said where the application is.
    pub(crate) fn reset(&self, user: &UserRecord, expires_at: Timestamp) -> Option<MailLink> {
        self.link(&self.reset, user, expires_at, reset_state(&self.reset, user))
    }

    /// A link that verifies the e-mail.
    pub(crate) fn verify(&self, user: &UserRecord, expires_at: Timestamp) -> Option<MailLink> {
        self.link(&self.verify, user, expires_at, verify_state(&self.verify, user))
    }

    fn link(
        &self,
        purpose: &Purpose,
        user: &UserRecord,
        expires_at: Timestamp,
        on: String,
    ) -> Option<MailLink> {
        let base = self.client_url.as_deref()?;
        // A token's end is in whole seconds.
        let exp = expires_at.as_millis() / 1000;
        let token = purpose.sign(&Claims { aud: purpose.name().to_owned(), sub: user.id, exp, on })?;
        let url = format!("{base}/{}#token={token}", purpose.name());
        Some(MailLink { url, expires_at: Timestamp::from_millis(exp * 1000) })
    }

    /// Whose password a link may set, if it has the form of one and has not expired. Whether it rests on the state that
    /// the account has is for [`is_reset_of`](Self::is_reset_of).
    pub(crate) fn read_reset(&self, token: &str) -> Result<Read> {
        read(&self.reset, token)
    }

    pub(crate) fn is_reset_of(&self, read: &Read, user: &UserRecord) -> bool {
        read.on == reset_state(&self.reset, user)
    }

    /// The same for the e-mail.
    pub(crate) fn read_verify(&self, token: &str) -> Result<Read> {
        read(&self.verify, token)
    }

    pub(crate) fn is_verify_of(&self, read: &Read, user: &UserRecord) -> bool {
        read.on == verify_state(&self.verify, user)
    }
}

/// What a link says.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) user: UserId,
    on: String,
}

fn read(purpose: &Purpose, token: &str) -> Result<Read> {
    let claims: Claims = purpose.read(token.trim()).ok_or(Error::InvalidLink)?;
    Ok(Read { user: claims.sub, on: claims.on })
}

fn reset_state(purpose: &Purpose, user: &UserRecord) -> String {
    purpose.digest(&[user.password_hash.as_bytes(), &user.generation.to_be_bytes()])
}

fn verify_state(purpose: &Purpose, user: &UserRecord) -> String {
    purpose.digest(&[email_key(&user.email).as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_link_rests_on_the_state_that_it_was_made_for() {
        let secret = JwtSecret::new("0123456789abcdef0123456789abcdef").unwrap();
        let links = Links::new(&secret, Some("https://app.example.org/".into()));
        let now = Timestamp::now();
        let ann = UserRecord {
            id: UserId::generate(now),
            email: "Ann@example.org".into(),
            full_name: "Ann".into(),
            password_hash: "old".into(),
            profile_pic: None,
            last_seen: now,
            is_online: false,
            created_at: now,
            updated_at: now,
            email_verified: false,
            generation: 0,
            settings: crate::store::Settings::default(),
        };
        let until = now.plus(Duration::from_secs(60));
        let token = |link: Option<MailLink>| link.unwrap().url.split_once("#token=").unwrap().1.to_owned();
        let reset = links.read_reset(&token(links.reset(&ann, until))).unwrap();
        let verify = links.read_verify(&token(links.verify(&ann, until))).unwrap();
        assert!(links.is_reset_of(&reset, &ann) && links.is_verify_of(&verify, &ann));
        let changed = UserRecord { password_hash: "new".into(), ..ann.clone() };
        assert!(!links.is_reset_of(&reset, &changed) && links.is_verify_of(&verify, &changed));
        assert!(!links.is_reset_of(&reset, &UserRecord { generation: 1, ..ann.clone() }));
        let moved = UserRecord { email: "bob@example.org".into(), ..ann.clone() };
        assert!(!links.is_verify_of(&verify, &moved));
        let old = now.minus(Duration::from_secs(1));
        assert!(links.read_reset(&token(links.reset(&ann, old))).is_err(), "expired");
        assert_eq!(links.reset(&ann, until), links.reset(&ann, until), "the same for a second attempt");
        assert!(Links::new(&secret, None).reset(&ann, until).is_none());
    }
}
