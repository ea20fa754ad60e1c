//! The mails as they look without templates of one's own.

mod html;
mod name;
mod text;
mod words;

use super::{Mail, MailContent, MailTemplates};
use words::Words;

/// The longest name of an application that is shown, so that what a mail is about still stands in the subject.
const LONGEST_APP_NAME: usize = 50;

/// The mails of an application of this name.
///
/// The HTML is made for mail clients: tables, inline styles, colours for light and dark, nothing that is fetched from
/// anywhere, and nothing that tells who has read it. The text says the same.
///
/// Anybody can sign up with the address of somebody else and a "name" of their own choice, so that this service would
/// mail it for them. Hence names are in no subject, and in a mail only in its greeting, as far as they look like names:
/// at most 64 characters, longer ones are cut; what a mail client could make a link of (a URL, a domain, an address, a
/// phone number) is left out, and the greeting stands without a name. Characters that nobody sees, such as those that
/// turn the direction of what follows, are removed, and a name that runs from right to left is isolated from the words
/// around it.
#[derive(Debug, Clone)]
pub struct DefaultTemplates {
    app_name: String,
    client_url: Option<String>,
}

impl DefaultTemplates {
    /// Mails of the application with this name, whose front end is at this URL.
    ///
    /// Of the name at most 50 characters are shown. A URL that is neither http nor https is left out.
    #[must_use]
    pub fn new(app_name: impl Into<String>, client_url: Option<String>) -> Self {
        let app_name = match name::clean(&app_name.into(), LONGEST_APP_NAME) {
            name if name.is_empty() => "Chat".to_owned(),
            name => name,
        };
        let client_url = client_url.filter(|url| is_web(url));
        Self { app_name, client_url }
    }
}

impl MailTemplates for DefaultTemplates {
    fn content(&self, mail: &Mail) -> MailContent {
        let words = Words::of(mail, &self.app_name, self.client_url.as_deref());
        let html = html::page(&words);
        let text = text::page(&words);
        MailContent { subject: words.subject, html, text }
    }
}

fn is_web(url: &str) -> bool {
    ["https://", "http://"].iter().any(|start| url.starts_with(start))
        && !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests;
