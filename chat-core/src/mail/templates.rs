//! The mails as they look without templates of one's own.

use super::{Mail, MailContent, MailTemplates};

/// The mails of an application of this name.
#[derive(Debug, Clone)]
pub struct DefaultTemplates {
    app_name: String,
    client_url: Option<String>,
}

impl DefaultTemplates {
    /// Mails of the application with this name, whose front end is at this URL.
    #[must_use]
    pub fn new(app_name: impl Into<String>, client_url: Option<String>) -> Self {
        Self { app_name: app_name.into(), client_url }
    }
}

impl MailTemplates for DefaultTemplates {
    fn content(&self, mail: &Mail) -> MailContent {
        let subject = format!("{}: {:?}", self.app_name, mail.kind);
        MailContent { text: self.client_url.clone().unwrap_or_default(), html: subject.clone(), subject }
    }
}
