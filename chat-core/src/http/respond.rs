//! From replies and errors to responses.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::{ResponseBody, endpoint::Reply};
use crate::{Error, images::StoredImage, wire};

pub(super) fn success(reply: Reply) -> Response<ResponseBody> {
    match reply {
        Reply::Json { status, body, headers } => {
            let mut response = json(status, body);
            // Two cookies are two headers: `extend` would replace the first.
            for (name, value) in headers {
                response.headers_mut().append(name, value);
            }
            response
        }
        Reply::Image(image) => picture(image),
        Reply::Document(bytes) => document(bytes),
    }
}

pub(super) fn failure(error: &Error) -> Response<ResponseBody> {
    let mut response = json(error.code().status(), wire::failure(error));
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    if let Some(after) = error.retry_after() {
        put(header::RETRY_AFTER, seconds(after).to_string());
    }
    match error {
        Error::UpgradeRequired(_) => {
            // RFC 9110, section 15.5.22, and RFC 6455, section 4.2.2.
            put(header::CONNECTION, "upgrade".to_owned());
            put(header::UPGRADE, "websocket".to_owned());
            put(header::SEC_WEBSOCKET_VERSION, "13".to_owned());
        }
        Error::MethodNotAllowed(methods) => put(header::ALLOW, methods.clone()),
        Error::Unauthenticated | Error::InvalidCredentials => {
            put(header::WWW_AUTHENTICATE, "Bearer".to_owned());
        }
        Error::RateLimited(limited) => {
            // draft-ietf-httpapi-ratelimit-headers-10
            let (policy, window) = (limited.policy, seconds(limited.window));
            put(
                HeaderName::from_static("ratelimit-policy"),
                format!("\"{policy}\";q={};w={window}", limited.limit),
            );
            put(
                HeaderName::from_static("ratelimit"),
                format!("\"{policy}\";r=0;t={}", seconds(limited.retry_after)),
            );
        }
        _ => {}
    }
    response
}

/// Whole seconds, rounded up: who waits that long has waited long enough.
fn seconds(duration: std::time::Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

fn json(status: u16, body: String) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Answers are for one person and for now.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A picture never changes under its name, and is nothing but a picture, whatever a browser makes of its bytes.
fn picture(image: StoredImage) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(image.bytes));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, image.format.content_type()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CONTENT_DISPOSITION, "inline"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The description of the API: the same for everybody, until the next release or a change of settings.
fn document(bytes: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
