//! Who may talk to the server, and how.

use std::{net::IpAddr, str::FromStr};

use http::{HeaderMap, Uri, header};
use ipnet::IpNet;

use crate::{BuildError, Error, Result};

/// Whether a browser sends the cookie along from other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// Only when somebody follows a link; what one wants.
    #[default]
    Lax,
    /// For a front end on another site; needs a secure cookie.
    None,
}

/// Origins, proxies and the cookie, for all doors alike. The default is safe: no other origin, no proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpSettings {
    allowed_origins: Vec<String>,
    bad_origins: Vec<String>,
    trusted_proxies: Vec<IpNet>,
    cookie_secure: bool,
    cookie_same_site: SameSite,
}

impl HttpSettings {
    /// Sites whose pages may use the API with the user's cookie and open sockets: `https://app.example.org`. Pages of
    /// the server's own origin always may.
    #[must_use]
    pub fn allowed_origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        for origin in origins {
            let origin = origin.into();
            match normal_origin(&origin) {
                Some(origin) => self.allowed_origins.push(origin),
                None => self.bad_origins.push(origin),
            }
        }
        self
    }

    /// Networks of proxies whose `X-Forwarded-For` is believed.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.trusted_proxies.extend(networks);
        self
    }

    /// Marks the cookie as `Secure`: browsers then send it over HTTPS only. Set it wherever there is HTTPS.
    #[must_use]
    pub fn cookie_secure(mut self, secure: bool) -> Self {
        self.cookie_secure = secure;
        self
    }

    /// For a front end on another site; [`SameSite::None`] is refused without [`cookie_secure`](Self::cookie_secure).
    #[must_use]
    pub fn cookie_same_site(mut self, same_site: SameSite) -> Self {
        self.cookie_same_site = same_site;
        self
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if let Some(bad) = self.bad_origins.first() {
            let reason = format!("`{bad}` is not an origin such as https://app.example.org");
            return Err(BuildError::Invalid { setting: "allowed_origins", reason });
        }
        if self.cookie_same_site == SameSite::None && !self.cookie_secure {
            let reason = "SameSite=None needs a secure cookie: browsers refuse it otherwise".to_owned();
            return Err(BuildError::Invalid { setting: "cookie_same_site", reason });
        }
        Ok(())
    }

    pub(super) fn cookie(&self, token: &str, life: std::time::Duration) -> String {
        self.named_cookie(COOKIE, token, life)
    }

    pub(super) fn named_cookie(&self, name: &str, value: &str, life: std::time::Duration) -> String {
        let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        cookie::Cookie::build((name, value))
            .http_only(true)
            .path("/")
            .same_site(match self.cookie_same_site {
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .max_age(cookie::time::Duration::seconds(life))
            .secure(self.cookie_secure)
            .build()
            .to_string()
    }

    pub(super) fn is_listed(&self, origin: &str) -> bool {
        normal_origin(origin).is_some_and(|origin| self.allowed_origins.contains(&origin))
    }

    /// Whether a browser sent this from a page that may: one of the same origin, or one on the list. Clients that are
    /// no browsers send neither header, and no page can make them do what they don't want.
    ///
    /// (OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Verifying Origin With Standard Headers" and "Fetch
    /// Metadata headers".)
    pub(crate) fn check_origin(&self, headers: &HeaderMap, uri: &Uri, public_url: &str) -> Result<()> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
            return match site {
                None | Some(b"same-origin" | b"none") => Ok(()),
                Some(_) => Err(Error::OriginDenied),
            };
        };
        let origin = origin.to_str().ok().and_then(normal_origin).ok_or(Error::OriginDenied)?;
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
        let is_own = host.is_some_and(|host| {
            let (scheme, _) = origin.split_once("://").unwrap_or_default();
            normal_origin(&format!("{scheme}://{host}")).is_some_and(|own| own == origin)
        });
        let is_public = public_url
            .split_once("://")
            .map(|(scheme, rest)| format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()))
            .and_then(|own| normal_origin(&own))
            .is_some_and(|own| own == origin);
        if is_own || is_public || self.allowed_origins.contains(&origin) {
            Ok(())
        } else {
            Err(Error::OriginDenied)
        }
    }

    /// The client's address: the peer's, or what a trusted proxy says: the last address in `X-Forwarded-For` that is
    /// not itself a trusted proxy's, because everything before it was written by the client.
    pub(crate) fn client_address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer?.to_canonical();
        let is_trusted = |address: &IpAddr| self.trusted_proxies.iter().any(|net| net.contains(address));
        if !is_trusted(&peer) {
            return Some(peer);
        }
        let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        let hops = values.iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        let mut last = peer;
        for hop in hops {
            let Some(address) = forwarded_address(hop) else { break };
            last = address;
            if !is_trusted(&address) {
                break;
            }
        }
        Some(last)
    }
}

/// The cookie with the token.
pub(super) const COOKIE: &str = "jwt";
/// Tells a device on which somebody signed in from one where strangers guess.
pub(super) const DEVICE_COOKIE: &str = "device";

fn forwarded_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let address = IpAddr::from_str(hop)
        .ok()
        .or_else(|| std::net::SocketAddr::from_str(hop).ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

/// `scheme://host[:port]` in lower case and without the scheme's usual port; `None` for anything else.
fn normal_origin(origin: &str) -> Option<String> {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let parsed: http::uri::Authority = authority.parse().ok()?;
    if parsed.host().is_empty() || authority.contains('@') || parsed.host().contains('*') {
        return None;
    }
    Some(format!("{scheme}://{}", authority.strip_suffix(usual).unwrap_or(authority)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn origins() {
        let settings = HttpSettings::default().allowed_origins(["https://App.example.org:443/"]);
        settings.check().unwrap();
        let check = |pairs: &[(&'static str, &str)], public: &str| {
            settings.check_origin(&headers(pairs), &Uri::from_static("/"), public).is_ok()
        };
        assert!(check(&[], ""), "no browser");
        assert!(check(&[("origin", "https://app.example.org")], ""));
        assert!(check(&[("origin", "http://localhost:3000"), ("host", "localhost:3000")], ""));
        assert!(check(&[("origin", "https://chat.example.org"), ("host", "chat.example.org:443")], ""));
        assert!(check(
            &[("origin", "https://c.example.org"), ("host", "10.0.0.1")],
            "https://c.example.org/chat"
        ));
        for foreign in [
            "https://evil.example",
            "http://app.example.org",
            "https://app.example.org.evil.example",
            "null",
            "file://",
        ] {
            assert!(!check(&[("origin", foreign), ("host", "localhost:3000")], ""), "{foreign}");
        }
        assert!(!check(&[("origin", "http://localhost:5173"), ("host", "localhost:3000")], ""));
        assert!(!check(&[("sec-fetch-site", "cross-site")], ""));
        assert!(check(&[("sec-fetch-site", "same-origin")], ""));
        for bad in
            ["*", "app.example.org", "https://", "https://*.example.org", "ftp://a.example", "https://a/b"]
        {
            assert!(HttpSettings::default().allowed_origins([bad]).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_address_is_the_last_that_no_trusted_proxy_has() {
        let settings = HttpSettings::default().trusted_proxies(["10.0.0.0/8".parse().unwrap()]);
        let address = |peer: &str, pairs: &[(&'static str, &str)]| {
            settings.client_address(Some(peer.parse().unwrap()), &headers(pairs)).unwrap().to_string()
        };
        assert_eq!(address("192.0.2.1", &[("x-forwarded-for", "1.1.1.1")]), "192.0.2.1");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.2")]), "192.0.2.7");
        assert_eq!(
            address("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7")]),
            "192.0.2.7"
        );
        assert_eq!(address("::ffff:10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:443")]), "2001:db8::1");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, garbage")]), "10.0.0.1");
    }

    #[test]
    fn none_needs_secure() {
        let settings = HttpSettings::default().cookie_same_site(SameSite::None);
        assert!(settings.check().is_err());
        assert!(settings.cookie_secure(true).check().is_ok());
    }
}
