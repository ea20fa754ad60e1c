//! Login, logout, cookies and tokens.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{
    Reply, Signup, Target, claims, for_each_target, json, shape, sign_hs256, sign_hs512, unsigned,
};

const ME: &str = "/api/auth/me";
const LOGIN: &str = "/api/auth/login";
const LOGOUT: &str = "/api/auth/logout";
const SECRET: &str = "a secret of the tests that is longer than thirty-two bytes";

async fn login_answers_the_user(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let again = ann.login().await;
    shape::user(&again.user);
    assert_eq!(again.id(), ann.id());
    assert_ne!(again.token, ann.token, "each login is a session of its own");
    assert_eq!(again.get(ME).await.ok(200)["_id"], ann.id());
}

async fn wrong_password_and_unknown_email_answer_the_same(target: Target) {
    let server = target.start().await;
    let (ann, stranger) = (server.signup().await, Signup::random());
    let wrong =
        ann.anonymous().post(LOGIN, json!({ "email": ann.form.email, "password": "not-the-password" })).await;
    let unknown =
        ann.anonymous().post(LOGIN, json!({ "email": stranger.email, "password": "not-the-password" })).await;
    wrong.refused(401, "invalid_credentials");
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    assert!(wrong.cookie().is_none() && unknown.cookie().is_none());
}

async fn login_names_what_is_missing(target: Target) {
    let server = target.start().await;
    let client = server.client();
    client.post(LOGIN, json!({ "password": "long enough" })).await.invalid(&["email"]);
    client.post(LOGIN, json!({ "email": "a@example.org" })).await.invalid(&["password"]);
    client
        .post(LOGIN, json!({ "email": { "$gt": "" }, "password": "long enough" }))
        .await
        .invalid(&["email"]);
    client
        .post(LOGIN, json!({ "email": "a@example.org", "password": { "$gt": "" } }))
        .await
        .invalid(&["password"]);
}

fn assert_cookie(reply: &Reply, more: &[&str]) {
    let (token, attributes) = reply.cookie().expect("a cookie");
    let mut rest: Vec<&str> = attributes.iter().map(String::as_str).collect();
    let at = rest.iter().position(|attribute| attribute.starts_with("max-age=")).expect("Max-Age");
    let age: u64 = rest.remove(at).trim_start_matches("max-age=").parse().unwrap();
    let claims = claims(&token);
    assert!(age > 0);
    if let (Some(iat), Some(exp)) = (claims["iat"].as_f64(), claims["exp"].as_f64()) {
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let off = (exp - iat - age as f64).abs();
        assert!(off <= 1.0, "Max-Age is {age}, the token lives {}", exp - iat);
    }
    rest.sort_unstable();
    let mut expected = [&["httponly", "path=/", "samesite=lax"], more].concat();
    expected.sort_unstable();
    assert_eq!(rest, expected);
}

async fn cookie_attributes_on_loopback(target: Target) {
    let server = target.start().await;
    let form = Signup::random();
    assert_cookie(&server.client().post("/api/auth/signup", form.json()).await, &[]);
    let login = json!({ "email": form.email, "password": form.password });
    assert_cookie(&server.client().post(LOGIN, login).await, &[]);
}

async fn cookie_is_secure_when_told(target: Target) {
    let server = target.start_with(&[("COOKIE_SECURE", "true")]).await;
    assert_cookie(&server.client().post("/api/auth/signup", Signup::random().json()).await, &["secure"]);
}

async fn bearer_works_wherever_the_cookie_does(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let bearer = ann.with_bearer(&ann.token);
    assert_eq!(bearer.get(ME).await.ok(200)["_id"], ann.id());
    let _ = bearer.put("/api/auth/profile", json!({ "fullName": "Ann" })).await.ok(200);
    let _ = bearer.get("/api/messages/contacts").await.ok(200);
    let message = bearer.post(&bob.inbox(), json!({ "text": "hi" })).await.ok(201);
    let _ = bearer.get("/api/messages/chats").await.ok(200);
    let _ = bearer.get(&format!("/api/messages/{}", bob.id())).await.ok(200);
    let _ = bearer.post(&format!("/api/messages/{}/read", bob.id()), json!({})).await.ok(200);
    let _ = bearer.delete(&format!("/api/messages/{}", message["_id"].as_str().unwrap())).await.ok(200);
    let _ = bearer.post(LOGOUT, json!({})).await.ok(200);
    bearer.get(ME).await.refused(401, "unauthenticated");
    ann.get(ME).await.refused(401, "unauthenticated");
}

async fn every_guarded_route_wants_a_token(target: Target) {
    let server = target.start().await;
    let (ann, nobody) = (server.signup().await, server.client());
    let chat = format!("/api/messages/{}", ann.id());
    for reply in [
        nobody.get(ME).await,
        nobody.put("/api/auth/profile", json!({ "fullName": "X" })).await,
        nobody.get("/api/messages/contacts").await,
        nobody.get("/api/messages/chats").await,
        nobody.get(&chat).await,
        nobody.post(&ann.inbox(), json!({ "text": "x" })).await,
        nobody.delete(&chat).await,
        nobody.post(&format!("{chat}/read"), json!({})).await,
    ] {
        reply.refused(401, "unauthenticated");
    }
}

async fn garbage_is_no_token(target: Target) {
    let server = target.start().await;
    let (ann, nobody) = (server.signup().await, server.client());
    let mut tampered = ann.token.clone().into_bytes();
    // Inside the signature, not its last character, whose low bits may not count.
    let at = tampered.len() - 10;
    let byte = tampered.get_mut(at).unwrap();
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    let parts: Vec<&str> = ann.token.split('.').collect();
    let cut = format!("{}.{}", parts[0], parts[1]);
    let long = "x".repeat(4000);
    for token in ["", "x", "a.b.c", "null", "undefined", &tampered, &cut, &format!("{cut}."), &long] {
        nobody.with_cookie(token).get(ME).await.refused(401, "unauthenticated");
        nobody.with_bearer(token).get(ME).await.refused(401, "unauthenticated");
    }
    for scheme in ["Basic", "Token"] {
        let client = nobody.with_header("authorization", &format!("{scheme} {}", ann.token));
        client.get(ME).await.refused(401, "unauthenticated");
    }
}

async fn only_our_own_valid_signature_counts(target: Target) {
    let server = target.start_with(&[("JWT_SECRET", SECRET)]).await;
    let (ann, nobody) = (server.signup().await, server.client());
    let good = claims(&ann.token);
    // The control: what follows is refused for what is changed, not for how this test signs.
    let _ = nobody.with_bearer(&sign_hs256(&good, SECRET)).get(ME).await.ok(200);
    let changed = |key: &str, value| {
        let mut claims = good.clone();
        claims[key] = value;
        sign_hs256(&claims, SECRET)
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut endless = good.clone();
    endless.as_object_mut().unwrap().remove("exp");
    let mut no_subject = good.clone();
    no_subject.as_object_mut().unwrap().retain(|key, _| ["exp", "iat"].contains(&key.as_str()));
    for (what, token) in [
        ("expired", changed("exp", json!(now - 3600))),
        ("without an end", sign_hs256(&endless, SECRET)),
        ("without a subject", sign_hs256(&no_subject, SECRET)),
        ("of another algorithm", sign_hs512(&good, SECRET)),
        ("of another key", sign_hs256(&good, "another secret that is also longer than thirty-two bytes")),
        ("of the empty key", sign_hs256(&good, "")),
        ("without a signature", unsigned(&good)),
    ] {
        for client in [nobody.with_bearer(&token), nobody.with_cookie(&token)] {
            let reply = client.get(ME).await;
            assert_eq!(
                (reply.status, reply.body["data"]["code"].as_str()),
                (401, Some("unauthenticated")),
                "{what}"
            );
        }
    }
}

async fn a_token_of_another_server_is_foreign(target: Target) {
    let (one, other) = (target.start().await, target.start().await);
    let ann = one.signup().await;
    other.client().with_bearer(&ann.token).get(ME).await.refused(401, "unauthenticated");
}

async fn logout_clears_the_cookie(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let reply = ann.post(LOGOUT, json!({})).await;
    let (value, attributes) = reply.cookie().expect("a cookie that clears");
    assert_eq!(value, "");
    assert!(attributes.iter().any(|a| a == "max-age=0"), "{attributes:?}");
    assert!(
        attributes.iter().any(|a| a == "path=/") && attributes.iter().any(|a| a == "httponly"),
        "{attributes:?}"
    );
    assert!(reply.ok(200).is_null());
}

async fn logout_ends_that_token_only_and_for_good(target: Target) {
    let mut server = target.start().await;
    let ann = server.signup().await;
    let (phone, laptop) = (ann.login().await, ann.login().await);
    let _ = phone.post(LOGOUT, json!({})).await.ok(200);
    for _ in 0..2 {
        phone.get(ME).await.refused(401, "unauthenticated");
        phone.with_bearer(&phone.token).get(ME).await.refused(401, "unauthenticated");
        let _ = laptop.get(ME).await.ok(200);
        let _ = ann.get(ME).await.ok(200);
        server.restart().await;
    }
}

async fn logout_survives_a_kill(target: Target) {
    let mut server = target.start().await;
    let ann = server.signup().await;
    let phone = ann.login().await;
    let _ = phone.post(LOGOUT, json!({})).await.ok(200);
    server.kill().await;
    server.restart().await;
    phone.get(ME).await.refused(401, "unauthenticated");
    let _ = ann.get(ME).await.ok(200);
}

async fn logout_needs_no_token(target: Target) {
    let server = target.start().await;
    let nobody = server.client();
    assert!(nobody.post(LOGOUT, json!({})).await.ok(200).is_null());
    assert!(nobody.with_cookie("garbage").post(LOGOUT, json!({})).await.ok(200).is_null());
    // A browser's fetch without a body.
    let ann = server.signup().await;
    assert!(ann.post_bare(LOGOUT).await.ok(200).is_null());
    ann.get(ME).await.refused(401, "unauthenticated");
}

async fn the_cookie_is_found_among_others(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let others =
        server.client().with_header("cookie", &format!("theme=dark; jwt={}; jwt2=x; a=b", ann.token));
    assert_eq!(others.get(ME).await.ok(200)["_id"], ann.id());
}

for_each_target!(
    login_answers_the_user,
    wrong_password_and_unknown_email_answer_the_same,
    login_names_what_is_missing,
    cookie_attributes_on_loopback,
    cookie_is_secure_when_told,
    bearer_works_wherever_the_cookie_does,
    every_guarded_route_wants_a_token,
    garbage_is_no_token,
    only_our_own_valid_signature_counts,
    a_token_of_another_server_is_foreign,
    logout_clears_the_cookie,
    logout_ends_that_token_only_and_for_good,
    logout_survives_a_kill,
    logout_needs_no_token,
    the_cookie_is_found_among_others,
);
