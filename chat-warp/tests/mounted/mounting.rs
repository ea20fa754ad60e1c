//! Mounted into an application: beside its filters, before and after them, and below a prefix.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame};
use serde_json::Value;
use warp::{
    Filter, Rejection, Reply,
    http::{Request, StatusCode, header},
};

use super::common::{call, chat, person, request, signed_in};

/// The application's own: a path, what takes any body, and an answer to everything else.
fn own() -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone + Send + Sync + 'static {
    let count = warp::path!("count").and(warp::get()).map(|| "7".to_owned());
    let echo = warp::post()
        .and(warp::path!("echo" / ..))
        .and(warp::body::bytes())
        .map(|body: Bytes| String::from_utf8(body.into()).unwrap());
    count.or(echo)
}

fn teapot() -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone + Send + Sync + 'static {
    warp::any().map(|| warp::reply::with_status("its own fallback", StatusCode::IM_A_TEAPOT))
}

#[tokio::test]
async fn the_application_keeps_its_own() {
    let (chat, _folder) = chat("").await;
    let after = own().or(chat_warp::routes(&chat)).or(teapot()).map(Reply::into_response).boxed();
    let before = chat_warp::routes(&chat).or(own()).or(teapot()).map(Reply::into_response).boxed();
    for app in [after, before] {
        let get = |path: &str| request("GET", path, "");
        assert_eq!(call(&app, get("/count")).await.text, "7");
        assert_eq!(call(&app, request("POST", "/echo/api", "a body")).await.text, "a body");
        for path in ["/", "/elsewhere", "/api/elsewhere", "/api/auth/me/x", "//api/auth/me", "/x/api/auth/me"]
        {
            assert_eq!(call(&app, get(path)).await.status, StatusCode::IM_A_TEAPOT, "{path}");
        }
        let refused = call(&app, get("/api/auth/me")).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.headers[header::CONTENT_LENGTH], refused.text.len().to_string());
        let wrong = call(&app, request("DELETE", "/api/auth/me", "")).await;
        assert_eq!(
            (wrong.status, &wrong.headers[header::ALLOW]),
            (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD".parse().unwrap())
        );
        for path in ["/socket.io/?EIO=4&transport=polling", "/socket.io?EIO=4&transport=polling"] {
            let open = call(&app, get(path)).await;
            assert_eq!(open.status, StatusCode::OK, "{path}");
            assert!(open.text.starts_with("0{\"sid\":"), "{path}");
        }
    }
}

#[tokio::test]
async fn below_a_prefix_links_and_pictures_have_it() {
    let (chat, _folder) = chat("/chat").await;
    let app = warp::path("chat").and(chat_warp::routes(&chat)).map(Reply::into_response).boxed();
    let (id, token) = person(&chat, "ann").await;
    for name in ["bob", "cid", "dan"] {
        person(&chat, name).await;
    }
    let mut path = "/chat/api/messages/contacts?limit=1".to_owned();
    let mut names = Vec::new();
    loop {
        let page = call(&app, signed_in("GET", &path, &token)).await;
        assert_eq!(page.status, StatusCode::OK);
        let body: Value = serde_json::from_str(&page.text).unwrap();
        names.push(body["data"][0]["fullName"].as_str().unwrap().to_owned());
        let Some(link) = page.headers.get(header::LINK).map(|link| link.to_str().unwrap()) else { break };
        path = link.trim_start_matches('<').trim_end_matches(">; rel=\"next\"").to_owned();
        assert!(path.starts_with("/chat/api/"), "{path}");
    }
    assert_eq!(names, ["bob", "cid", "dan"]);

    let picture = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let body = format!(r#"{{"profilePic":"{picture}"}}"#);
    let mut put =
        signed_in("PUT", "/chat/api/auth/profile", &token).map(|_| http_body_util::Full::from(body));
    put.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    let user: Value = serde_json::from_str(&call(&app, put).await.text).unwrap();
    assert_eq!(user["data"]["_id"], id, "{user}");
    let path = user["data"]["profilePic"].as_str().unwrap();
    assert!(path.starts_with("/chat/api/images/"), "{path}");
    let head = call(&app, request("HEAD", path, "")).await;
    assert_eq!(
        (head.status, &head.headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"image/gif".parse().unwrap())
    );

    assert_eq!(
        call(&app, request("GET", "/chat/socket.io/?EIO=4&transport=polling", "")).await.status,
        StatusCode::OK
    );
    for elsewhere in ["/api/auth/me", "/chat", "/chat/", "/chats/api/auth/me"] {
        assert_eq!(
            call(&app, request("GET", elsewhere, "")).await.status,
            StatusCode::NOT_FOUND,
            "{elsewhere}"
        );
    }
}

#[tokio::test]
async fn the_fallback_answers_everything_else_with_the_envelope() {
    let folder = tempfile::tempdir().unwrap();
    let settings = chat_core::http::HttpSettings::default().allowed_origins(["https://app.example"]);
    let chat =
        chat_core::ChatService::builder().data_dir(folder.path()).http(settings).build().await.unwrap();
    let routes = warp::path("chat").and(chat_warp::routes(&chat));
    let app = routes.or(chat_warp::fallback(&chat)).map(Reply::into_response).boxed();
    for (method, path) in [("GET", "/"), ("POST", "/elsewhere"), ("POST", "/api/auth/login")] {
        let mut request = request(method, path, "{}");
        request.headers_mut().insert(header::ORIGIN, "https://app.example".parse().unwrap());
        let answer = call(&app, request).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text.contains(r#""code":"not_found""#), "{path}: {}", answer.text);
        assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
    }
    assert_eq!(call(&app, request("HEAD", "/", "")).await.text, "");
}

/// An endless body that counts how much of it was taken.
struct Endless(Arc<AtomicUsize>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(PIECE, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; PIECE])))))
    }
}

const PIECE: usize = 64 * 1024;

#[tokio::test]
async fn limits_hold_before_a_body_is_read_and_while_it_comes() {
    let (chat, _folder) = chat("").await;
    let app = chat_warp::routes(&chat).map(Reply::into_response).boxed();
    let limit = chat.limits().body_bytes;
    for (declared, most) in [(Some(limit + 1), 0), (None, limit + PIECE)] {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut post = Request::post("/api/auth/login").header(header::CONTENT_TYPE, "application/json");
        if let Some(length) = declared {
            post = post.header(header::CONTENT_LENGTH, length);
        }
        let answer = call(&app, post.body(Endless(taken.clone())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(answer.text.contains("payload_too_large"), "{}", answer.text);
        assert!(taken.load(Ordering::Relaxed) <= most, "{declared:?}: {taken:?}");
    }
}
