//! Who is at the other end of a request, as far as its head tells.

use std::net::SocketAddr;

use http::{HeaderMap, header};

use super::settings::{COOKIE, DEVICE_COOKIE};

/// The address at the other end of the connection: an extension of the request that the adapter, or whoever runs the
/// server, puts there. Without it all clients count as one, and share its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The token: from `Authorization: Bearer`, else from the cookie.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| cookie(headers))
}

/// The value of our cookie, if it is there and not empty.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    named(headers, COOKIE)
}

/// The proof that somebody signed in on this device before.
pub(super) fn device(headers: &HeaderMap) -> Option<&str> {
    named(headers, DEVICE_COOKIE)
}

fn named<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted && !value.is_empty()).then(|| value.trim_matches('"'))
    })
}

pub(crate) fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_goes_before_the_cookie() {
        let mut headers = HeaderMap::new();
        assert_eq!(token(&headers), None);
        headers.insert(header::COOKIE, "a=b; jwt=from-cookie; jwtx=c".parse().unwrap());
        assert_eq!(token(&headers), Some("from-cookie"));
        headers.insert(header::AUTHORIZATION, "bearer from-header".parse().unwrap());
        assert_eq!(token(&headers), Some("from-header"));
        headers.insert(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert_eq!(token(&headers), Some("from-cookie"));
        headers.insert(header::COOKIE, "jwt=".parse().unwrap());
        assert_eq!(token(&headers), None);
    }
}
