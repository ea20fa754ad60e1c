//! The pages that links in mails lead to, for servers whose front end has none.

use http::{HeaderName, HeaderValue, Response, header};
use http_body_util::Full;
use hyper::body::Bytes;

/// Path, media type and text of each.
const PAGES: [(&str, &str, &str); 4] = [
    ("/reset-password", "text/html; charset=utf-8", include_str!("../assets/reset-password.html")),
    ("/verify-email", "text/html; charset=utf-8", include_str!("../assets/verify-email.html")),
    ("/account.css", "text/css; charset=utf-8", include_str!("../assets/account.css")),
    ("/account.js", "text/javascript; charset=utf-8", include_str!("../assets/account.js")),
];

/// Nothing of another site, and nobody told where one came from: the link has a secret in it.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "public, max-age=300"),
];

/// Their paths.
pub(crate) const PATHS: [&str; PAGES.len()] = [PAGES[0].0, PAGES[1].0, PAGES[2].0, PAGES[3].0];

/// The page at this path.
pub(crate) fn page(path: &str) -> Option<Response<Full<Bytes>>> {
    let (_, kind, text) = PAGES.iter().find(|(own, ..)| *own == path)?;
    let mut response = Response::new(Full::from(*text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}
