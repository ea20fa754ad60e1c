//! Which sites may make a signed-in browser do something, and which may read the answer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Client, Fetched, Person, Reply, Target, for_each_target, json, two, two_with};
use reqwest::Method;

const APP: &str = "https://app.example";
const OTHER: &str = "http://localhost:5173";
const ALLOWED: &[(&str, &str)] = &[("ALLOWED_ORIGINS", "https://app.example,http://localhost:5173")];

/// Every request that changes something, from this origin.
async fn changes(client: &Client, other: &Person) -> Vec<(&'static str, Reply)> {
    vec![
        ("send", client.post(&other.inbox(), json!({ "text": "x" })).await),
        ("profile", client.put("/api/auth/profile", json!({ "fullName": "Taken Over" })).await),
        ("read", client.post(&format!("/api/messages/{}/read", other.id()), json!({})).await),
        ("delete", client.delete("/api/messages/0123456789abcdef01234567").await),
        ("logout", client.post("/api/auth/logout", json!({})).await),
    ]
}

async fn a_foreign_site_changes_nothing(target: Target) {
    let (server, ann, bob) = two_with(target, ALLOWED).await;
    let address = server.address();
    let (host, port) = address.rsplit_once(':').unwrap();
    for origin in [
        "https://evil.example",
        "null",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil-app.example",
        "https://sub.app.example",
        "http://localhost:5174",
        &format!("http://{host}:1"),
        &format!("http://{address}.evil.example"),
        &format!("http://evil.example:{port}"),
        "file://",
        "garbage",
        "",
    ] {
        for (what, reply) in changes(&ann.with_header("origin", origin), &bob).await {
            let code = reply.body["data"]["code"].as_str();
            assert_eq!((reply.status, code), (403, Some("origin_denied")), "{what} from {origin:?}");
        }
    }
    assert!(ann.conversation(&bob).await.is_empty());
    assert_eq!(ann.get("/api/auth/me").await.ok(200)["fullName"], ann.form.full_name);
}

async fn a_foreign_site_may_not_read(target: Target) {
    let (_server, ann, _bob) = two_with(target, ALLOWED).await;
    let reply = ann.with_header("origin", "https://evil.example").get("/api/auth/me").await;
    let allowed = reply.header("access-control-allow-origin");
    assert!(allowed.is_none_or(|origin| origin != "*" && origin != "https://evil.example"), "{allowed:?}");
}

async fn the_own_site_may(target: Target) {
    let (server, ann, bob) = two(target).await;
    let here = ann.with_header("origin", &server.url());
    let _ = here.post(&bob.inbox(), json!({ "text": "x" })).await.ok(201);
    let _ = here.put("/api/auth/profile", json!({ "fullName": "Ann" })).await.ok(200);
    let _ = here.post("/api/auth/logout", json!({})).await.ok(200);
}

async fn without_a_list_only_the_own_site_may(target: Target) {
    let (_server, ann, bob) = two(target).await;
    for (what, reply) in changes(&ann.with_header("origin", APP), &bob).await {
        assert_eq!((reply.status, &reply.body["data"]["code"]), (403, &json!("origin_denied")), "{what}");
    }
}

async fn who_sends_no_origin_is_no_browser(target: Target) {
    let (_server, ann, bob) = two_with(target, ALLOWED).await;
    let _ = ann.post(&bob.inbox(), json!({ "text": "x" })).await.ok(201);
}

async fn a_bearer_token_is_not_sent_by_a_browser_on_its_own(target: Target) {
    let (_server, ann, bob) = two_with(target, ALLOWED).await;
    for origin in ["https://evil.example", "null"] {
        let client = ann.with_bearer(&ann.token).with_header("origin", origin);
        let _ = client.post(&bob.inbox(), json!({ "text": "x" })).await.ok(201);
    }
}

#[track_caller]
fn assert_open_to(reply: &Reply, origin: &str) {
    assert_eq!(reply.header("access-control-allow-origin"), Some(origin), "{}", reply.body);
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"), "{}", reply.body);
    let varies: Vec<String> =
        reply.headers.get_all("vary").iter().map(|vary| vary.to_str().unwrap().to_lowercase()).collect();
    assert!(varies.join(",").contains("origin"), "caches have to know: {varies:?}");
}

async fn a_listed_site_may_do_and_read(target: Target) {
    let (server, ann, bob) = two_with(target, ALLOWED).await;
    for origin in [APP, OTHER] {
        let client = ann.with_header("origin", origin);
        let me = client.get("/api/auth/me").await;
        assert_open_to(&me, origin);
        let _ = me.ok(200);
        let sent = client.post(&bob.inbox(), json!({ "text": "x" })).await;
        assert_open_to(&sent, origin);
        let _ = sent.ok(201);
        // Its front end has to see what went wrong, too.
        let nobody = server.client().with_header("origin", origin);
        let refused = nobody.get("/api/auth/me").await;
        assert_open_to(&refused, origin);
        refused.refused(401, "unauthenticated");
        let missing = client.get("/api/nope").await;
        assert_open_to(&missing, origin);
        missing.refused(404, "not_found");
    }
}

async fn preflight(client: &Client, origin: &str, method: &str, path: &str) -> Fetched {
    let response = client
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "content-type,authorization")
        .send()
        .await
        .unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Fetched { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
}

async fn a_listed_site_gets_its_preflight(target: Target) {
    let (server, _ann, bob) = two_with(target, ALLOWED).await;
    let chat = format!("/api/messages/{}", bob.id());
    for (method, path) in [
        ("POST", "/api/auth/login"),
        ("PUT", "/api/auth/profile"),
        ("POST", bob.inbox().as_str()),
        ("DELETE", chat.as_str()),
        ("GET", "/api/messages/chats"),
    ] {
        let answer = preflight(&server.client(), APP, method, path).await;
        assert!([200, 204].contains(&answer.status), "{method} {path}: {}", answer.status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        let list = |name| answer.header(name).unwrap_or_default().to_lowercase();
        // With credentials, a star is only a star.
        let methods = list("access-control-allow-methods");
        assert!(methods.split(',').any(|m| m.trim() == method.to_lowercase()), "{method}: {methods}");
        let headers = list("access-control-allow-headers");
        assert!(["content-type", "authorization"].iter().all(|name| headers.contains(name)), "{headers}");
    }
}

async fn a_foreign_site_gets_none(target: Target) {
    let (server, _ann, bob) = two_with(target, ALLOWED).await;
    for origin in ["https://evil.example", "null", "https://app.example.evil.example"] {
        let answer = preflight(&server.client(), origin, "POST", &bob.inbox()).await;
        let allowed = answer.header("access-control-allow-origin");
        assert!(allowed.is_none_or(|allowed| allowed != origin && allowed != "*"), "{allowed:?}");
    }
}

for_each_target!(
    a_foreign_site_changes_nothing,
    a_foreign_site_may_not_read,
    the_own_site_may,
    without_a_list_only_the_own_site_may,
    who_sends_no_origin_is_no_browser,
    a_bearer_token_is_not_sent_by_a_browser_on_its_own,
    a_listed_site_may_do_and_read,
    a_listed_site_gets_its_preflight,
    a_foreign_site_gets_none,
);
