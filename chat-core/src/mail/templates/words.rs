//! What mails say.

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{is_web, name};
use crate::{
    Timestamp,
    mail::{Mail, MailKind, MailLink},
};

const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");

/// One mail in plain words, each paragraph without markup.
pub(super) struct Words<'a> {
    pub(super) app: &'a str,
    pub(super) subject: String,
    /// What mail clients show beside the subject.
    pub(super) preheader: &'static str,
    pub(super) greeting: String,
    pub(super) paragraphs: Vec<String>,
    pub(super) button: Option<Button<'a>>,
    /// Below the button.
    pub(super) after: Vec<String>,
    /// Why one gets this, and what to do when one should not.
    pub(super) footer: String,
}

pub(super) struct Button<'a> {
    pub(super) label: String,
    pub(super) url: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn of(mail: &'a Mail, app: &'a str, client_url: Option<&'a str>) -> Self {
        let greeting = match name::shown(&mail.name) {
            Some(name) => format!("Hello {name},"),
            None => "Hello,".to_owned(),
        };
        let open = || client_url.map(|url| Button { label: format!("Open {app}"), url });
        match &mail.kind {
            MailKind::Welcome => Self {
                app,
                subject: format!("Welcome to {app}"),
                preheader: "Your account is ready. Someone to say hello to?",
                greeting,
                paragraphs: vec![
                    format!("It is good to have you on {app}. Your account is ready; there is nothing to set up."),
                    "Pick someone and say hello. Messages arrive the moment they are sent, and what you miss waits \
                     until you are back."
                        .to_owned(),
                ],
                button: open(),
                after: Vec::new(),
                footer: format!(
                    "You get this mail because someone opened an account on {app} with this address. If that was not \
                     you, they probably mistyped theirs, and there is nothing that you need to do."
                ),
            },
            MailKind::VerifyEmail(link) => Self {
                app,
                subject: format!("Please confirm your address for {app}"),
                preheader: "One click, and we know that your mail reaches you.",
                greeting,
                paragraphs: vec![format!(
                    "You are almost there. Please confirm that this address is yours, and {app} is ready for you."
                )],
                button: button("Confirm my address", link),
                after: until(link, "The link works until").into_iter().collect(),
                footer: format!(
                    "You get this mail because someone opened an account on {app} with this address. If that was not \
                     you, please leave the link alone: the address then stays unconfirmed."
                ),
            },
            MailKind::ResetPassword(link) => Self {
                app,
                subject: format!("Set a new password for {app}"),
                preheader: "Here is the link that you asked for.",
                greeting,
                paragraphs: vec![format!(
                    "Forgotten passwords happen to all of us. With this link you set a new one for your account on \
                     {app}."
                )],
                button: button("Set a new password", link),
                after: until(link, "The link works once, until").into_iter().collect(),
                footer: "If you did not ask for this, you can leave it alone: your password stays as it is. Please \
                         pass this mail on to nobody, not even to us: whoever has the link can use it."
                    .to_owned(),
            },
            MailKind::PasswordChanged => Self {
                app,
                subject: format!("Your password for {app} was changed"),
                preheader: "If that was you, all is well.",
                greeting,
                paragraphs: vec![
                    format!(
                        "The password of your account on {app} was changed, and the devices that were signed in with \
                         the old one have been signed out."
                    ),
                    "If that was you, all is well, and you can put this mail away.".to_owned(),
                    "If it was not you, please set a new password right away: where you sign in, you can ask for a link \
                     to one."
                        .to_owned(),
                ],
                button: open(),
                after: Vec::new(),
                footer: format!("You get this mail because it is about the safety of your account on {app}."),
            },
        }
    }
}

fn button<'a>(label: &str, link: &'a MailLink) -> Option<Button<'a>> {
    is_web(&link.url).then(|| Button { label: label.to_owned(), url: &link.url })
}

/// A moment and not a span: the same mail says the same, whenever it is made.
fn until(link: &MailLink, words: &str) -> Option<String> {
    Some(format!("{words} {}.", moment(link.expires_at)?))
}

/// To the minute before.
fn moment(at: Timestamp) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(at.as_millis().div_euclid(1000)).ok()?.format(MOMENT).ok()
}
