//! Requests to services outside: bounded in time and in bytes, by HTTP/1.1 over TLS.
//!
//! hyper and not reqwest: reqwest's TLS without a second library of cryptography makes every client in an application
//! panic that was built without one (its feature `rustls-no-provider`, by unification).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use url::Url;

use crate::BoxError;

/// An answer that is longer is none that these services give.
const LONGEST_ANSWER: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The service was not reached: nothing was sent.
    #[error("the service could not be reached")]
    Connect(#[source] BoxError),
    /// There was no answer in time; what was asked for may have been done.
    #[error("the service did not answer in time")]
    Timeout,
    /// The answer broke off or was too long; what was asked for may have been done.
    #[error("the answer of the service could not be read")]
    Broken(#[source] BoxError),
}

/// An HTTP client. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    inner: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// # Errors
    /// When there is no cryptography to speak TLS with.
    pub(crate) fn new() -> Result<Self, BoxError> {
        // Named, because an application may have two of them, and rustls then refuses to choose.
        let provider = rustls::crypto::ring::default_provider;
        // The certificates of the system, which has those of a company's proxy; where there are none, Mozilla's.
        let tls = HttpsConnectorBuilder::new().with_provider_and_platform_verifier(provider());
        let tls = match tls {
            Ok(tls) => tls,
            Err(_) => HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider())?,
        };
        let inner = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(16)
            .build(tls.https_or_http().enable_http1().build());
        Ok(Self { inner })
    }

    /// Sends a request and reads the answer, all of it within `timeout`. A connection that turns out to be closed
    /// before anything was sent on it is replaced by another; beyond that nothing is tried twice.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, OutboundError> {
        let exchange = async {
            let answer = self.inner.request(request).await.map_err(|error| {
                if error.is_connect() {
                    OutboundError::Connect(error.into())
                } else {
                    OutboundError::Broken(error.into())
                }
            })?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(OutboundError::Broken)?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(OutboundError::Timeout))
    }
}

/// The base of a service's URLs, without a slash at its end.
///
/// # Errors
/// A sentence that says why it can't be used.
pub(crate) fn base_url(url: &str) -> Result<String, String> {
    // Not shown: a password may be in it.
    let parsed = Url::parse(url).map_err(|error| format!("it is not a URL: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none_or(str::is_empty) {
        return Err("it must be an http or https URL".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() || !parsed.username().is_empty() {
        return Err("it must be a URL without user, query and fragment".to_owned());
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

/// How long the service asks us to wait (RFC 9110, section 10.2.3): seconds, or a date. At most a day.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok()?,
    };
    Some(wait.min(Duration::from_secs(24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases() {
        for (url, base) in [
            ("https://api.example.org", "https://api.example.org"),
            ("https://api.example.org/", "https://api.example.org"),
            ("http://127.0.0.1:8080/a/b/", "http://127.0.0.1:8080/a/b"),
        ] {
            assert_eq!(base_url(url).as_deref(), Ok(base));
        }
        for bad in [
            "",
            "api.example.org",
            "ftp://example.org",
            "https://u:p@example.org",
            "https://example.org/?a=b",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of =
            |value: &str| retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("18446744073709551615"), Some(Duration::from_secs(86_400)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!(of(&date).is_some_and(|wait| (90..=100).contains(&wait.as_secs())));
        assert_eq!((of("soon"), of("Thu, 01 Jan 1970 00:00:00 GMT"), of("-1")), (None, None, None));
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
