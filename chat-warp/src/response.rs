//! From a door's response to warp's.

use chat_core::BoxError;
use http_body_util::BodyDataStream;
use hyper::body::{Body, Bytes};
use warp::{
    Reply,
    http::{HeaderValue, Response, header},
};

/// The same response, its body as it comes.
pub(crate) fn from_door<B>(response: Response<B>) -> warp::reply::Response
where
    B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + Sync + 'static,
{
    let (mut parts, body) = response.into_parts();
    if body.is_end_stream() {
        return Response::from_parts(parts, ()).map(|()| Default::default());
    }
    // A stream has no length by itself, and would go out in chunks.
    if let Some(length) = body.size_hint().exact() {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    let body = warp::reply::stream(BodyDataStream::new(body)).into_response().into_body();
    Response::from_parts(parts, body)
}
