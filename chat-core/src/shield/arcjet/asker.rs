//! Questions to Arcjet and reports to it, each bounded in time and number.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use super::{
    cache::Cache,
    health::{Change, Health},
    protocol,
};
use crate::{
    BoxError,
    outbound::{self, HttpClient, OutboundError},
    shield::Verdict,
};

const BASE_URL: &str = "https://decide.arcjet.com";
/// Everybody waits for it.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Questions at once; past that the embedded shield decides alone.
const AT_ONCE: usize = 256;
/// Reports that wait.
const REPORTS: usize = 256;
/// A report may take longer: nobody waits for it.
const REPORTING: Duration = Duration::from_secs(5);

/// What clones share.
pub(super) struct Asker {
    http: HttpClient,
    pub(super) base: String,
    authorization: HeaderValue,
    pub(super) timeout: Duration,
    pub(super) cache: Cache,
    pub(super) health: Health,
    places: Semaphore,
    reports: OnceLock<mpsc::Sender<Value>>,
    pub(super) asked: AtomicU64,
    pub(super) cached: AtomicU64,
    pub(super) fallbacks: AtomicU64,
    pub(super) reports_dropped: AtomicU64,
}

impl Asker {
    pub(super) fn new(authorization: HeaderValue) -> Result<Self, BoxError> {
        Ok(Self {
            http: HttpClient::new()?,
            base: BASE_URL.to_owned(),
            authorization,
            timeout: TIMEOUT,
            cache: Cache::default(),
            health: Health::default(),
            places: Semaphore::new(AT_ONCE),
            reports: OnceLock::new(),
            asked: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
            reports_dropped: AtomicU64::new(0),
        })
    }

    /// Arcjet's decision; `None` when there is none, which is counted.
    pub(super) async fn decide(
        &self,
        message: impl FnOnce() -> Value,
        with_email: bool,
    ) -> Option<(Verdict, Duration)> {
        let decision = self.try_decide(message, with_email).await;
        if decision.is_none() {
            self.fallbacks.fetch_add(1, Relaxed);
        }
        decision
    }

    async fn try_decide(
        &self,
        message: impl FnOnce() -> Value,
        with_email: bool,
    ) -> Option<(Verdict, Duration)> {
        let _place = self.places.try_acquire().ok()?;
        if !self.health.may_ask() {
            return None;
        }
        let question = Question(Some(&self.health));
        self.asked.fetch_add(1, Relaxed);
        let timeout = if with_email { 2 * self.timeout } else { self.timeout };
        let answer = self.call(protocol::DECIDE, &message(), timeout).await;
        let outcome = outcome(answer, with_email);
        if !matches!(outcome, Outcome::Unknown) {
            question.answered();
        }
        match outcome {
            Outcome::Decision(verdict, ttl) => {
                self.is_back();
                Some((verdict, ttl))
            }
            Outcome::Undecided(why) => {
                self.is_back();
                tracing::debug!(why, "Arcjet did not decide");
                None
            }
            Outcome::Unknown => None,
            Outcome::Away(error, wait) => {
                if self.health.failure(wait) == Change::Away {
                    tracing::error!(%error, "Arcjet does not decide; until it does, the embedded shield decides alone");
                } else {
                    tracing::debug!(%error, "Arcjet did not decide");
                }
                None
            }
        }
    }

    fn is_back(&self) {
        if self.health.success() == Change::Back {
            tracing::info!("Arcjet decides again");
        }
    }

    async fn call(
        &self,
        path: &str,
        message: &Value,
        timeout: Duration,
    ) -> Result<Response<Bytes>, OutboundError> {
        let request = Request::post(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .header("connect-protocol-version", "1")
            .header("connect-timeout-ms", timeout.as_millis().to_string())
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::USER_AGENT, concat!("chat-core/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(message.to_string())))
            .map_err(|error| OutboundError::Broken(error.into()))?;
        self.http.send(request, timeout).await
    }

    /// Sends a report, when there is time; drops it when there is none.
    pub(super) fn report(self: &Arc<Self>, report: impl FnOnce() -> Value) {
        let reports = self.reports.get_or_init(|| {
            let (sender, mut reports) = mpsc::channel::<Value>(REPORTS);
            let asker = Arc::downgrade(self);
            tokio::spawn(async move {
                // It ends with the last clone, whose sender goes with it.
                while let Some(report) = reports.recv().await {
                    let Some(asker) = asker.upgrade() else { return };
                    let sent = match asker.health.may_report() {
                        true => asker
                            .call(protocol::REPORT, &report, REPORTING)
                            .await
                            .is_ok_and(|a| a.status().is_success()),
                        false => false,
                    };
                    if !sent {
                        asker.reports_dropped.fetch_add(1, Relaxed);
                    }
                }
            });
            sender
        });
        // Not made before there is a place for it: a flood that is refused has to stay cheap.
        match reports.try_reserve() {
            Ok(place) if self.health.may_report() => place.send(report()),
            _ => _ = self.reports_dropped.fetch_add(1, Relaxed),
        }
    }
}

/// What came of a question.
#[derive(Debug)]
enum Outcome {
    Decision(Verdict, Duration),
    /// Arcjet is there and has no word on this one request.
    Undecided(&'static str),
    /// This says nothing of Arcjet, neither way.
    Unknown,
    /// It is not there for others either; and how long it asks not to be asked.
    Away(BoxError, Option<Duration>),
}

/// Whatever one visitor can bring about by what they send must not shut Arcjet off for all.
fn outcome(answer: Result<Response<Bytes>, OutboundError>, with_email: bool) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        // Arcjet asks the servers of the e-mail's domain, which may be the visitor's and take their time.
        Err(OutboundError::Timeout) if with_email => return Outcome::Unknown,
        Err(error) => return Outcome::Away(error.into(), None),
    };
    match answer.status() {
        StatusCode::OK => match protocol::verdict(answer.body()) {
            Some(Some((verdict, ttl))) => Outcome::Decision(verdict, ttl),
            Some(None) => Outcome::Undecided("it says that it could not"),
            None => Outcome::Away("its answer is no decision".into(), None),
        },
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Outcome::Undecided("it refuses the question"),
        // A proxy in between says that too, of what looks like an attack.
        StatusCode::FORBIDDEN if !protocol::is_error(answer.body(), "permission_denied") => {
            Outcome::Undecided("something in between refuses the question")
        }
        status => {
            let hint = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": it does not know this ARCJET_KEY",
                _ => "",
            };
            let error = format!("it answers {}{hint}", status.as_u16());
            Outcome::Away(error.into(), outbound::retry_after(answer.headers()))
        }
    }
}

/// A question under way. Dropped before there is an answer, because who waited has gone, it lets the next one ask.
struct Question<'a>(Option<&'a Health>);

impl Question<'_> {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some(health) = self.0 {
            health.given_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &'static str, with_email: bool) -> Outcome {
        let answer = Response::builder().status(status).header("retry-after", "7");
        outcome(Ok(answer.body(Bytes::from_static(body.as_bytes())).unwrap()), with_email)
    }

    #[test]
    fn what_one_visitor_brings_about_does_not_shut_arcjet_off() {
        let undecided = [
            (200, r#"{"decision":{"conclusion":"CONCLUSION_ERROR"}}"#),
            (400, r#"{"code":"invalid_argument"}"#),
            (403, "<html>blocked by a firewall</html>"),
            (413, ""),
            (422, ""),
            (431, ""),
        ];
        for (status, body) in undecided {
            assert!(matches!(of(status, body, false), Outcome::Undecided(_)), "{status}");
        }
        assert!(matches!(outcome(Err(OutboundError::Timeout), true), Outcome::Unknown));
        assert!(matches!(outcome(Err(OutboundError::Timeout), false), Outcome::Away(_, None)));
        let away = [
            (200, "<html>"),
            (302, ""),
            (401, ""),
            (403, r#"{"code":"permission_denied"}"#),
            (404, ""),
            (429, ""),
            (500, ""),
            (503, ""),
        ];
        for (status, body) in away {
            let Outcome::Away(error, wait) = of(status, body, true) else { panic!("{status}") };
            assert_eq!(wait.is_some(), status != 200, "{status}");
            assert_eq!(error.to_string().contains("ARCJET_KEY"), matches!(status, 401 | 403), "{status}");
        }
    }
}
