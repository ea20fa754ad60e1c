//! The signed-in user on an application's own routes.

use chat_warp::{CurrentUser, Refusal};
use warp::{
    Filter, Reply,
    http::{StatusCode, header},
};

use super::common::{call, chat, person, request, signed_in};

#[tokio::test]
async fn a_refusal_wins_over_what_comes_after() {
    let (chat, _folder) = chat("").await;
    let (id, token) = person(&chat, "ann").await;
    let whoami = warp::path!("whoami")
        .and(chat_warp::current_user(&chat))
        .map(|user: CurrentUser| user.id().to_string());
    let routes = chat_warp::routes(&chat);

    let recovered_first =
        whoami.clone().recover(chat_warp::recover).or(routes.clone()).or(chat_warp::fallback(&chat));
    let recovered_last = routes.or(whoami).or(warp::path!("else").and(warp::post()).map(warp::reply));
    let recovered_last = recovered_last.recover(chat_warp::recover);
    for app in
        [recovered_first.map(Reply::into_response).boxed(), recovered_last.map(Reply::into_response).boxed()]
    {
        assert_eq!(call(&app, signed_in("GET", "/whoami", &token)).await.text, id);
        for refused in [request("GET", "/whoami", ""), signed_in("GET", "/whoami", "no-token")] {
            let answer = call(&app, refused).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            assert!(answer.text.contains(r#""code":"unauthenticated""#), "{}", answer.text);
        }
        assert_eq!(call(&app, request("GET", "/elsewhere", "")).await.status, StatusCode::NOT_FOUND);
        assert_eq!(call(&app, signed_in("GET", "/api/auth/me", &token)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_origin_of_what_changes_something_is_checked() {
    let (chat, _folder) = chat("").await;
    let (id, token) = person(&chat, "ann").await;
    let whoami = warp::path!("whoami")
        .and(chat_warp::current_user(&chat))
        .map(|user: CurrentUser| user.id().to_string());
    let app = whoami.recover(chat_warp::recover).map(Reply::into_response).boxed();
    let from = |method: &str, origin: &'static str| {
        let mut request = signed_in(method, "/whoami", &token);
        request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        request.headers_mut().insert(header::HOST, "app.example.org".parse().unwrap());
        request
    };
    assert_eq!(call(&app, signed_in("POST", "/whoami", &token)).await.text, id);
    assert_eq!(call(&app, from("POST", "https://app.example.org")).await.text, id);
    assert_eq!(call(&app, from("GET", "https://evil.example")).await.text, id);
    let foreign = call(&app, from("POST", "https://evil.example")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert!(foreign.text.contains("origin_denied"));

    // As HTTP/2 says it.
    let mut without_host = from("POST", "https://app.example.org");
    without_host.headers_mut().remove(header::HOST);
    assert_eq!(call(&app, without_host).await.status, StatusCode::FORBIDDEN);
    let mut without_host = from("POST", "https://app.example.org");
    without_host.headers_mut().remove(header::HOST);
    *without_host.uri_mut() = "https://app.example.org/whoami".parse().unwrap();
    assert_eq!(call(&app, without_host).await.text, id);
}

#[tokio::test]
async fn where_nobody_must_be_signed_in() {
    let (chat, _folder) = chat("").await;
    let (id, token) = person(&chat, "ann").await;
    let home = warp::path::end().and(chat_warp::optional_user(&chat)).map(|user: Option<CurrentUser>| {
        user.map_or_else(|| "nobody".to_owned(), |user| user.id().to_string())
    });
    let app = home.recover(chat_warp::recover).map(Reply::into_response).boxed();
    assert_eq!(call(&app, request("GET", "/", "")).await.text, "nobody");
    assert_eq!(call(&app, signed_in("GET", "/", "no-token")).await.text, "nobody");
    assert_eq!(call(&app, signed_in("GET", "/", &token)).await.text, id);
    let mut foreign = signed_in("POST", "/", &token);
    foreign.headers_mut().insert(header::ORIGIN, "https://evil.example".parse().unwrap());
    assert_eq!(call(&app, foreign).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_forgotten_recover_shows_nothing() {
    let fails = warp::any().and_then(|| async {
        let source = "the driver's text".into();
        Err::<String, _>(warp::Rejection::from(Refusal(chat_core::Error::Internal {
            id: "x".to_owned(),
            source,
        })))
    });
    let answer = call(&fails.boxed(), request("GET", "/", "")).await;
    assert_eq!((answer.status, answer.text.contains("driver")), (StatusCode::INTERNAL_SERVER_ERROR, false));
}
