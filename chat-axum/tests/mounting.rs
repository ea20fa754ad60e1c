//! Mounted into an application: beside its routes, its state and its layers, and below a prefix.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode, header},
    routing::get,
};
use chat_core::{ChatService, auth::SignUp};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

async fn chat(public_url: &str) -> (ChatService, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let builder =
        ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4).public_url(public_url);
    (builder.build().await.unwrap(), folder)
}

async fn person(chat: &ChatService, name: &str) -> (String, String) {
    let (email, password) = (format!("{name}@example.org"), "correct horse".to_owned());
    let signed_in = chat
        .auth()
        .sign_up(SignUp { email, full_name: name.to_owned(), password, ..SignUp::default() })
        .await
        .unwrap();
    (signed_in.user.id.to_string(), signed_in.token.as_str().to_owned())
}

async fn call(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

fn signed_in(method: &str, path: &str, token: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    request.header(header::COOKIE, format!("jwt={token}")).body(Body::empty()).unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

#[tokio::test]
async fn the_application_keeps_its_own() {
    let (chat, _folder) = chat("").await;
    let app: Router = Router::new()
        .route("/count", get(|State(state): State<u32>| async move { state.to_string() }))
        .merge(chat_axum::router(&chat))
        .fallback(|| async { (StatusCode::IM_A_TEAPOT, "its own fallback") })
        .with_state(7);
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();

    assert_eq!(text(call(&app, get("/count")).await).await, "7");
    for path in ["/elsewhere", "/api/elsewhere", "/api/auth/me/x"] {
        assert_eq!(call(&app, get(path)).await.status(), StatusCode::IM_A_TEAPOT, "{path}");
    }
    assert_eq!(call(&app, get("/api/auth/me")).await.status(), StatusCode::UNAUTHORIZED);
    let wrong = call(&app, Request::delete("/api/auth/me").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (wrong.status(), &wrong.headers()[header::ALLOW]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD".parse().unwrap())
    );
    for path in ["/socket.io/?EIO=4&transport=polling", "/socket.io?EIO=4&transport=polling"] {
        let open = call(&app, get(path)).await;
        assert_eq!(open.status(), StatusCode::OK, "{path}");
        assert!(text(open).await.starts_with("0{\"sid\":"), "{path}");
    }
}

#[tokio::test]
async fn below_a_prefix_links_and_pictures_have_it() {
    let (chat, _folder) = chat("/chat").await;
    let app: Router = Router::new().nest("/chat", chat_axum::router(&chat));
    let (_, token) = person(&chat, "ann").await;
    for name in ["bob", "cid", "dan"] {
        person(&chat, name).await;
    }
    let mut path = "/chat/api/messages/contacts?limit=1".to_owned();
    let mut names = Vec::new();
    loop {
        let response = call(&app, signed_in("GET", &path, &token)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        let page: Value = serde_json::from_str(&text(response).await).unwrap();
        names.push(page["data"][0]["fullName"].as_str().unwrap().to_owned());
        let Some(link) = link else { break };
        path = link.trim_start_matches('<').trim_end_matches(">; rel=\"next\"").to_owned();
        assert!(path.starts_with("/chat/api/"), "{path}");
    }
    assert_eq!(names, ["bob", "cid", "dan"]);
    let open = Request::get("/chat/socket.io/?EIO=4&transport=polling").body(Body::empty()).unwrap();
    assert_eq!(call(&app, open).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_extractor_checks_the_origin_of_what_changes_something() {
    let (chat, _folder) = chat("").await;
    let (id, token) = person(&chat, "ann").await;
    let whoami = |user: chat_axum::CurrentUser| async move { user.id().to_string() };
    let app: Router = Router::new().route("/whoami", get(whoami).post(whoami)).with_state(chat);
    let from = |method: &str, origin: &'static str| {
        let mut request = signed_in(method, "/whoami", &token);
        request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        request.headers_mut().insert(header::HOST, "app.example.org".parse().unwrap());
        request
    };
    assert_eq!(text(call(&app, signed_in("POST", "/whoami", &token)).await).await, id);
    assert_eq!(text(call(&app, from("POST", "https://app.example.org")).await).await, id);
    assert_eq!(text(call(&app, from("GET", "https://evil.example")).await).await, id);
    let foreign = call(&app, from("POST", "https://evil.example")).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert!(text(foreign).await.contains("origin_denied"));
}
