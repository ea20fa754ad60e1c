//! Mail by [Resend](https://resend.com).
//!
//! By hand and not by `resend-rs` 0.35, the vendor's crate: its client panics on a bad `RESEND_BASE_URL` or
//! `RESEND_RATE_LIMIT` in the environment of whoever embeds this; its errors leave out `Retry-After`, and the status
//! of every answer that is not in Resend's form; it bounds neither the time nor the bytes of an answer; and it brings
//! HTTP/2, a parser of mails and a generator of random numbers, for one request.

mod answer;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use email_address::{EmailAddress, Options};
use http::{HeaderValue, Request, header};
use serde::Serialize;

use super::{Letter, MailError, Mailer};
use crate::{
    BoxError,
    outbound::{self, HttpClient},
};

const BASE_URL: &str = "https://api.resend.com";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Resend refuses requests without one.
const USER_AGENT: &str = concat!("chat-core/", env!("CARGO_PKG_VERSION"));
/// The name before an address; a header of a mail that is longer gets broken somewhere on its way.
const LONGEST_NAME: usize = 100;

/// A setting that [`ResendMailer`] can't be made of. Shows no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResendSettingsError {
    /// The API key.
    #[error("the API key must be printable ASCII without spaces, such as `re_…`")]
    ApiKey,
    /// The sender, or the address for answers.
    #[error("{0} must be an address, as `chat@example.org` or `Chat <chat@example.org>`")]
    Address(&'static str),
    /// The base URL.
    #[error("the base URL: {0}")]
    BaseUrl(String),
    /// There is no TLS to be had.
    #[error("there is no TLS")]
    Tls(#[source] BoxError),
}

/// Hands mail to Resend, by `POST /emails` with an `Idempotency-Key`, as the vendor's own clients do it.
///
/// What becomes of a mail, by what Resend does with it:
///
/// | Resend | | |
/// |---|---|---|
/// | takes it: 2xx with an `id` | `Ok` | |
/// | had it before: 409 `invalid_idempotent_request` | `Ok` | The content is another, such as after an update of the templates. The first mail was sent. |
/// | has it in hands: 409 `concurrent_idempotent_requests` | [`Later`](MailError::Later) | |
/// | is asked too often: 429 | `Later` | after `Retry-After`, at most a day |
/// | has sent all that was paid for: 429 `daily_quota_exceeded`, `monthly_quota_exceeded` | `Later` | after `Retry-After`, and no sooner than in 10 min |
/// | refuses the key: 401, 403 | `Later` | an error in the log says that `RESEND_API_KEY` is at fault |
/// | refuses the sender: 403 `validation_error`, or `invalid_from_address` | `Later` | an error in the log says that `MAIL_FROM` is at fault |
/// | refuses the mail: 400, 413, 422, in Resend's own form | [`Refused`](MailError::Refused) | It is not sent. |
/// | is down, slow, hangs up, has an error (5xx), answers anything else | `Later` | |
///
/// Under the same key, for a day, Resend sends one mail however often it is handed over; a mail of which nobody knows
/// whether it was taken is therefore safe to hand over again within that day.
#[derive(Clone)]
pub struct ResendMailer {
    http: HttpClient,
    url: String,
    authorization: HeaderValue,
    from: String,
    reply_to: Option<String>,
    timeout: Duration,
}

impl fmt::Debug for ResendMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResendMailer").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl ResendMailer {
    /// Sends with this API key, from `chat@example.org` or `Chat <chat@example.org>`, whose domain has to be verified
    /// at Resend.
    ///
    /// # Errors
    /// [`ResendSettingsError`]: the key is empty or not printable, the sender is no address, or there is no TLS.
    pub fn new(api_key: &str, from: &str) -> Result<Self, ResendSettingsError> {
        if api_key.is_empty() || !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ResendSettingsError::ApiKey);
        }
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {api_key}")).map_err(|_| ResendSettingsError::ApiKey)?;
        authorization.set_sensitive(true);
        Ok(Self {
            from: mailbox(from).ok_or(ResendSettingsError::Address("the sender"))?,
            http: HttpClient::new().map_err(ResendSettingsError::Tls)?,
            url: format!("{BASE_URL}/emails"),
            authorization,
            reply_to: None,
            timeout: TIMEOUT,
        })
    }

    /// Where Resend is, for a proxy in between; `https://api.resend.com` by default.
    ///
    /// # Errors
    /// [`ResendSettingsError::BaseUrl`]: not an http or https URL, or one with a user, query or fragment.
    pub fn with_base_url(mut self, url: &str) -> Result<Self, ResendSettingsError> {
        let base = outbound::base_url(url).map_err(ResendSettingsError::BaseUrl)?;
        self.url = format!("{base}/emails");
        Ok(self)
    }

    /// Where answers to the mails go, when not to the sender.
    ///
    /// # Errors
    /// [`ResendSettingsError::Address`]: it is no address.
    pub fn with_reply_to(mut self, address: &str) -> Result<Self, ResendSettingsError> {
        self.reply_to =
            Some(mailbox(address).ok_or(ResendSettingsError::Address("the address for answers"))?);
        Ok(self)
    }

    /// How long Resend may take for one mail; 10 s by default. Beyond 30 s the service gives up before.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

#[async_trait]
impl Mailer for ResendMailer {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let body = Body {
            from: &self.from,
            html: &letter.content.html,
            reply_to: self.reply_to.as_deref(),
            subject: &letter.content.subject,
            text: &letter.content.text,
            to: &letter.to,
        };
        let refused = |error: BoxError| MailError::Refused(error);
        let body = serde_json::to_vec(&body).map_err(|error| refused(error.into()))?;
        let request = Request::post(&self.url)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header("idempotency-key", &letter.key)
            .body(bytes::Bytes::from(body).into())
            .map_err(|error| refused(error.into()))?;
        match self.http.send(request, self.timeout).await {
            Ok(answer) => answer::read(&answer, &letter.key),
            Err(error) => Err(MailError::Later { after: None, source: error.into() }),
        }
    }
}

/// As the vendor's npm package writes it.
#[derive(Serialize)]
struct Body<'a> {
    from: &'a str,
    html: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    subject: &'a str,
    text: &'a str,
    to: &'a str,
}

/// An address, or a name and an address, on one line.
fn mailbox(text: &str) -> Option<String> {
    let is_address = |text: &str| {
        let options = Options::default().without_display_text().without_domain_literal();
        EmailAddress::parse_with_options(text, options).is_ok()
    };
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return None;
    }
    let Some((name, address)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
        return is_address(text).then(|| text.to_owned());
    };
    let name = name.trim();
    let is_name = name.chars().count() <= LONGEST_NAME && !name.contains(['<', '>']);
    match (is_name && is_address(address), name) {
        (false, _) => None,
        (true, "") => Some(address.to_owned()),
        (true, _) => Some(format!("{name} <{address}>")),
    }
}

#[cfg(test)]
mod tests;
