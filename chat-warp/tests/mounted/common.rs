//! A service, people, and calls of a filter without a server.

use std::convert::Infallible;

use chat_core::{ChatService, auth::SignUp};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use tower_service::Service;
use warp::{
    Reply,
    filters::BoxedFilter,
    http::{HeaderMap, Request, Response, StatusCode, header},
};

pub(crate) async fn chat(public_url: &str) -> (ChatService, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let builder =
        ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4).public_url(public_url);
    (builder.build().await.unwrap(), folder)
}

/// Somebody's id and token.
pub(crate) async fn person(chat: &ChatService, name: &str) -> (String, String) {
    let (email, password) = (format!("{name}@example.org"), "correct horse".to_owned());
    let signed_in = chat
        .auth()
        .sign_up(SignUp { email, full_name: name.to_owned(), password, ..SignUp::default() })
        .await
        .unwrap();
    (signed_in.user.id.to_string(), signed_in.token.as_str().to_owned())
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

pub(crate) async fn call<R, B>(app: &BoxedFilter<(R,)>, request: Request<B>) -> Answer
where
    R: Reply + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
{
    let response: Response<_> = warp::service(app.clone()).call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

pub(crate) fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(path).body(Full::from(body)).unwrap()
}

pub(crate) fn signed_in(method: &str, path: &str, token: &str) -> Request<Full<Bytes>> {
    let mut request = request(method, path, "");
    request.headers_mut().insert(header::COOKIE, format!("jwt={token}").parse().unwrap());
    request
}
