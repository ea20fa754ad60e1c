//! Mail that the service sends: what it says, how it looks, and who carries it.
//!
//! The service writes a [`Mail`] into the store's outbox, in which it survives a restart; [`MailTemplates`] make a
//! [`Letter`] of it; a [`Mailer`] hands that over, and is asked again when it could not.

mod log;
#[cfg(feature = "resend")]
mod resend;
mod templates;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

#[cfg(feature = "resend")]
pub use self::resend::{ResendMailer, ResendSettingsError};
pub use self::{log::LogMailer, templates::DefaultTemplates};
use crate::{BoxError, Timestamp};

/// What is to be said to one person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The person's name, as given: escape it for HTML.
    pub name: String,
    /// What it says.
    pub kind: MailKind,
}

/// What a mail says. `Debug` shows no link.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MailKind {
    /// The account is there. Sent once.
    Welcome,
    /// Whoever opens the link shows that the address is theirs.
    VerifyEmail(MailLink),
    /// Whoever opens the link may set a new password.
    ResetPassword(MailLink),
    /// The password was changed, and if that was not you, here is what to do.
    PasswordChanged,
}

/// A link that means something for a while. `Debug` hides it: whoever has it may use it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailLink {
    /// The URL.
    pub url: String,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for MailKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Welcome => "Welcome",
            Self::VerifyEmail(_) => "VerifyEmail",
            Self::ResetPassword(_) => "ResetPassword",
            Self::PasswordChanged => "PasswordChanged",
        })
    }
}

impl fmt::Debug for MailLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailLink").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// How a mail looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailContent {
    /// The subject, one line.
    pub subject: String,
    /// The mail as HTML.
    pub html: String,
    /// The same as plain text.
    pub text: String,
}

/// Words and looks of mails. The embedded ones are [`DefaultTemplates`].
pub trait MailTemplates: fmt::Debug + Send + Sync + 'static {
    /// The content of a mail. The same mail must give the same content each time: a mail that is handed over a second
    /// time, because nobody knows what became of the first, is recognised by that.
    ///
    /// The name is what a stranger typed: escape it in HTML, and keep line breaks out of the subject.
    fn content(&self, mail: &Mail) -> MailContent;
}

/// A mail, ready to be handed over.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Names this mail, also when it is handed over again: whoever gets two of the same key sends one. At most 64
    /// characters, letters, digits and `-`.
    pub key: String,
    /// The address.
    pub to: String,
    /// Subject, HTML and text.
    pub content: MailContent,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A mail could not be handed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// Not now; worth trying again. Whether it was taken may be unknown.
    #[error("the mail could not be handed over now")]
    Later {
        /// No sooner than this, where the service said so.
        after: Option<Duration>,
        /// What happened.
        source: BoxError,
    },
    /// It will not be taken, however often it is tried: the address or the content is refused.
    #[error("the mail was refused")]
    Refused(#[source] BoxError),
}

/// Hands mail over. The embedded one is [`LogMailer`], which writes to the log that it would.
#[async_trait]
pub trait Mailer: fmt::Debug + Send + Sync + 'static {
    /// Hands one mail over; nobody waits for it. It is given up after 30 s and tried again, under the same
    /// [`key`](Letter::key).
    ///
    /// # Errors
    /// [`MailError`] says whether it makes sense to try again.
    async fn send(&self, letter: &Letter) -> Result<(), MailError>;
}
