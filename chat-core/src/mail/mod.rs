//! Mail that the service sends.

mod log;

use std::fmt;

use async_trait::async_trait;

pub use self::log::LogMailer;
use crate::BoxError;

/// A mail to one person.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The person's name, as given: escape it for HTML.
    pub name: String,
    /// What it says.
    pub kind: MailKind,
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailKind {
    /// Sent once, after the sign-up.
    Welcome,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A mail could not be sent.
#[derive(Debug, thiserror::Error)]
#[error("the mail could not be sent")]
pub struct MailError(#[source] pub BoxError);

/// Sends mail. The embedded one is [`LogMailer`], which writes to the log that it would.
#[async_trait]
pub trait Mailer: fmt::Debug + Send + Sync + 'static {
    /// Sends one mail. Nobody waits for it: the service calls it in a task of its own.
    ///
    /// # Errors
    /// When it was not accepted; the service logs it.
    async fn send(&self, mail: Mail) -> Result<(), MailError>;
}
