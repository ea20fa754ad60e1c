//! Mail to the log, for development and for servers without mail.

use async_trait::async_trait;

use super::{Mail, MailError, Mailer};

/// Writes to the log that a mail would be sent; never its address, because logs travel.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        tracing::info!(kind = ?mail.kind, "a mail would be sent here");
        Ok(())
    }
}
