//! Reading what a request brings: bounded in bytes and in time.

use std::{convert::Infallible, time::Duration};

use bytes::{Buf, Bytes};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};

use super::endpoint::Body;
use crate::{BoxError, Error, Limits, Result, wire::Fields};

/// How long a body may take to arrive.
const DEADLINE: Duration = Duration::from_secs(60);
/// Parts of a form; there are three fields at the most that mean something.
const PARTS: usize = 32;

/// What came.
#[derive(Default)]
pub(super) struct Payload {
    pub(super) fields: Fields,
    pub(super) file: Option<Bytes>,
}

pub(super) async fn read<B>(expected: Body, headers: &HeaderMap, body: B, limits: &Limits) -> Result<Payload>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    if expected == Body::None {
        return Ok(Payload::default());
    }
    let kind = content_type(headers);
    let boundary = match (&kind, expected) {
        (ContentType::Form(boundary), Body::JsonOrFile(_)) => Some(boundary.clone()),
        (ContentType::Json | ContentType::Absent, _) => None,
        (_, Body::JsonOrFile(_)) => {
            return Err(Error::UnsupportedMediaType("application/json or multipart/form-data"));
        }
        _ => return Err(Error::UnsupportedMediaType("application/json")),
    };
    let bytes = collect(headers, body, limits.body_bytes).await?;
    if let (Some(boundary), Body::JsonOrFile(file)) = (boundary, expected) {
        return form(bytes, boundary, file).await;
    }
    if bytes.is_empty() && expected == Body::OptionalJson {
        return Ok(Payload::default());
    }
    if kind == ContentType::Absent && !bytes.is_empty() {
        return Err(Error::UnsupportedMediaType("application/json"));
    }
    Ok(Payload { fields: Fields::parse(&bytes)?, file: None })
}

/// The picture in a data URL.
pub(crate) async fn picture(field: &'static str, url: String, limits: &Limits) -> Result<Bytes> {
    let most = limits.image.bytes;
    let decode = move || crate::images::decode_data_url(&url, most);
    // Milliseconds for a large one, during which others would wait.
    let decoded = tokio::task::spawn_blocking(decode).await.map_err(Error::internal)?;
    decoded.map_err(|refused| Error::invalid(field, refused.to_string()))
}

async fn collect<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes>
where
    B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
{
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > limit as u64) {
        return Err(Error::PayloadTooLarge { limit });
    }
    let body = std::pin::pin!(Limited::new(body, limit));
    match tokio::time::timeout(DEADLINE, body.collect()).await {
        Err(_) => Err(Error::RequestTimeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Error::PayloadTooLarge { limit })
        }
        // The connection broke; there is hardly anybody left to read the answer.
        Ok(Err(_)) => Err(Error::InvalidJson("it did not arrive whole".to_owned())),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum ContentType {
    Absent,
    Json,
    Form(String),
    Other,
}

fn content_type(headers: &HeaderMap) -> ContentType {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return ContentType::Absent };
    let value = value.to_str().unwrap_or_default();
    let (media, parameters) = value.split_once(';').unwrap_or((value, ""));
    match media.trim().to_ascii_lowercase().as_str() {
        "application/json" => {
            let charset = parameters.trim().to_ascii_lowercase();
            let charset = charset.strip_prefix("charset=").map(|charset| charset.trim_matches('"'));
            if charset.is_none_or(|charset| charset == "utf-8" || charset == "utf8") {
                ContentType::Json
            } else {
                ContentType::Other
            }
        }
        "multipart/form-data" => multer::parse_boundary(value).map_or(ContentType::Other, ContentType::Form),
        _ => ContentType::Other,
    }
}

async fn form(bytes: Bytes, boundary: String, file_field: &'static str) -> Result<Payload> {
    let broken = |_| Error::invalid("body", "can't be read as multipart/form-data");
    let stream = futures_util::stream::iter([Ok::<_, Infallible>(bytes)]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut payload = Payload::default();
    for _ in 0..PARTS {
        let Some(part) = form.next_field().await.map_err(broken)? else { return Ok(payload) };
        let Some(name) = part.name().map(str::to_owned) else { continue };
        let is_file = name == file_field && (part.file_name().is_some() || part.content_type().is_some());
        let bytes = part.bytes().await.map_err(broken)?;
        if is_file {
            payload.file = Some(bytes);
        } else if let Ok(text) = String::from_utf8(bytes.into()) {
            payload.fields.insert(name, &text);
        } else {
            return Err(Error::invalid("body", "has a field that is not UTF-8"));
        }
    }
    Err(Error::invalid("body", "has too many parts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            content_type(&headers)
        };
        assert_eq!(content_type(&HeaderMap::new()), ContentType::Absent);
        for json in
            ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
        {
            assert_eq!(of(json), ContentType::Json, "{json}");
        }
        for other in ["text/plain", "application/json; charset=latin1", "multipart/form-data", "garbage"] {
            assert_eq!(of(other), ContentType::Other, "{other}");
        }
        assert_eq!(of("multipart/form-data; boundary=x"), ContentType::Form("x".to_owned()));
    }
}
