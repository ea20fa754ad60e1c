//! What came back, checked against the envelope before a test sees it.

use std::collections::BTreeSet;

use reqwest::{RequestBuilder, header};
use serde_json::Value;

use crate::shape;

/// A response of the API.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: header::HeaderMap,
    /// The envelope.
    pub body: Value,
}

/// A response without an envelope.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: header::HeaderMap,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Reply {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("a whole response")
    }

    pub(crate) async fn try_of(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let fetched = Fetched::try_of(request).await?;
        Ok(Self::check(fetched))
    }

    /// Takes a response apart, and fails where it is not an envelope as the contract has it.
    #[must_use]
    pub fn check(fetched: Fetched) -> Self {
        let Fetched { status, headers, bytes } = fetched;
        let text = String::from_utf8(bytes).expect("the API answers UTF-8");
        let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap()).unwrap_or_default();
        assert!(kind.starts_with("application/json"), "status {status} with content type {kind:?}: {text}");
        let body: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("status {status}: not JSON: {text}"));
        shape::envelope(status, &body);
        Self { status, headers, body }
    }

    /// It went well with this status; what it answered.
    #[must_use]
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        let Value::Object(mut body) = self.body else { unreachable!("checked") };
        body.remove("data").unwrap()
    }

    /// It was refused with this status and code; `data`.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "an assertion")]
    pub fn refused(&self, status: u16, code: &str) -> &Value {
        let data = &self.body["data"];
        assert_eq!((self.status, data["code"].as_str()), (status, Some(code)), "{}", self.body);
        data
    }

    /// It was refused for exactly these fields.
    #[track_caller]
    pub fn invalid(&self, fields: &[&str]) {
        let data = self.refused(400, "validation_failed");
        let named: BTreeSet<&str> = data["fields"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, fields.iter().copied().collect(), "{}", self.body);
    }

    /// The text of a header, where it is there once.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.headers, name)
    }

    /// The `Set-Cookie` header of `jwt`: its value, and its attributes in lower case.
    #[must_use]
    #[track_caller]
    pub fn cookie(&self) -> Option<(String, Vec<String>)> {
        let all = self.headers.get_all(header::SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
        let (mut tokens, others): (Vec<_>, Vec<_>) = all.partition(|cookie| cookie.starts_with("jwt="));
        for other in others {
            assert!(other.starts_with("device="), "an unknown cookie: {other}");
            assert!(other.to_lowercase().contains("; httponly"), "a page could read it: {other}");
        }
        let cookie = tokens.pop()?;
        assert!(tokens.is_empty(), "more than one token is set");
        let mut parts = cookie.split(';').map(str::trim);
        let (_, value) = parts.next().unwrap().split_once('=').unwrap();
        Some((value.to_owned(), parts.map(str::to_lowercase).collect()))
    }

    /// The token that it signs in with.
    #[must_use]
    #[track_caller]
    pub fn token(&self) -> String {
        let (token, _) = self.cookie().unwrap_or_else(|| panic!("no cookie is set: {}", self.body));
        assert!(!token.is_empty(), "the cookie is empty");
        token
    }

    /// Where the next page is: `Link: <…>; rel="next"`.
    #[must_use]
    pub fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        assert!(parameters.contains("rel=\"next\""), "Link: {link}");
        Some(target.to_owned())
    }
}

impl Fetched {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("a whole response")
    }

    pub(crate) async fn try_of(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, bytes: response.bytes().await?.to_vec() })
    }

    /// The text of a header, where it is there once.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.headers, name)
    }

    /// The bytes as text.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }
}

#[track_caller]
fn header_of<'a>(headers: &'a header::HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    assert!(values.next().is_none(), "the header {name} is there more than once");
    Some(value.to_str().unwrap())
}
