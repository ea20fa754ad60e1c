//! What an answer of Resend means for a mail.
//!
//! Of an answer, only its status and the name of its error get into errors and logs: its text may hold addresses.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;

use super::MailError;
use crate::outbound::retry_after;

/// However long Resend asks us to wait: once a day is not too often, and what is lost is lost by a slip in a header.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// A quota is full for hours, but a plan can be upgraded at any moment; and a link in a mail does not work for long.
const QUOTA_PAUSE: Duration = Duration::from_secs(600);

/// Resend did not take a mail.
#[derive(Debug, thiserror::Error)]
#[error("Resend answered {status}{}", name.as_deref().map(|name| format!(" {name}")).unwrap_or_default())]
struct NotTaken {
    status: StatusCode,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

#[derive(Deserialize)]
struct Failure {
    name: String,
    #[serde(default)]
    message: String,
}

pub(super) fn read(answer: &Response<Bytes>, key: &str) -> Result<(), MailError> {
    let status = answer.status();
    if status.is_success() {
        return match serde_json::from_slice::<Accepted>(answer.body()) {
            Ok(accepted) if !accepted.id.is_empty() => Ok(()),
            _ => Err(later(None, NotTaken { status, name: None })),
        };
    }
    let failure =
        serde_json::from_slice::<Failure>(answer.body()).ok().filter(|failure| is_name(&failure.name));
    let name = failure.as_ref().map(|failure| failure.name.as_str());
    let error = || NotTaken { status, name: name.map(str::to_owned) };

    let is_sender = name == Some("invalid_from_address")
        || status == StatusCode::FORBIDDEN && name == Some("validation_error")
        || failure.as_ref().is_some_and(|failure| failure.message.contains("`from`"));
    if is_sender {
        tracing::error!(
            status = status.as_u16(),
            name,
            "Resend does not accept the sender (MAIL_FROM): its domain has to be verified at resend.com/domains. Mail \
             waits until then"
        );
        return Err(later(None, error()));
    }
    match (status, name) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            tracing::error!(
                status = status.as_u16(),
                name,
                "Resend does not accept the API key (RESEND_API_KEY): is it right, active, and allowed to send? Mail \
                 waits until then"
            );
            Err(later(None, error()))
        }
        (StatusCode::CONFLICT, Some("invalid_idempotent_request")) => {
            tracing::warn!(key, "a mail was sent before, with other content; it is not sent again");
            Ok(())
        }
        (StatusCode::TOO_MANY_REQUESTS, Some("daily_quota_exceeded" | "monthly_quota_exceeded")) => {
            tracing::error!(
                name,
                "Resend sends no more mail for now: the plan's quota is used up. Mail waits"
            );
            let pause = retry_after(answer.headers()).unwrap_or_default().clamp(QUOTA_PAUSE, LONGEST_PAUSE);
            Err(later(Some(pause), error()))
        }
        // Where it is not Resend that says so, it is something in between that may be mended.
        (
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY,
            Some(_),
        ) => Err(MailError::Refused(error().into())),
        _ => {
            let pause = retry_after(answer.headers()).map(|pause| pause.min(LONGEST_PAUSE));
            Err(later(pause, error()))
        }
    }
}

fn later(after: Option<Duration>, error: NotTaken) -> MailError {
    MailError::Later { after, source: error.into() }
}

/// Of the names that Resend gives to errors, and nothing that somebody else wrote.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
