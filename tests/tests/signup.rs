//! POST /api/auth/signup: who may come in, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{PASSWORD_MARK, Signup, Target, for_each_target, json, shape};
use futures_util::future::join_all;

const SIGNUP: &str = "/api/auth/signup";

async fn answers_the_user(target: Target) {
    let server = target.start().await;
    let form = Signup::random();
    let reply = server.client().post(SIGNUP, form.json()).await;
    assert!(!reply.body.to_string().contains(PASSWORD_MARK));
    let user = reply.ok(201);
    shape::user(&user);
    assert_eq!(user["email"], form.email);
    assert_eq!(user["fullName"], form.full_name);
    assert_eq!(user["profilePic"], "");
    let again = server.signup().await;
    assert_ne!(user["_id"], again.user["_id"]);
}

async fn signed_in_at_once(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let me = ann.get("/api/auth/me").await.ok(200);
    shape::user(&me);
    assert_eq!(me["_id"], ann.id());
}

async fn full_name_from_1_to_100_characters(target: Target) {
    let server = target.start().await;
    let client = server.client();
    for (name, is_good) in [
        (String::new(), false),
        ("A".to_owned(), true),
        ("a".repeat(100), true),
        ("a".repeat(101), false),
        ("é".repeat(100), true),
        ("é".repeat(101), false),
        ("😀".repeat(100), true),
        ("😀".repeat(101), false),
    ] {
        let mut body = Signup::random().json();
        body["fullName"] = json!(name);
        let reply = client.post(SIGNUP, body).await;
        if is_good {
            assert_eq!(reply.ok(201)["fullName"], name);
        } else {
            reply.invalid(&["fullName"]);
        }
    }
}

async fn email_forms(target: Target) {
    let server = target.start().await;
    let client = server.client();
    let bad =
        ["", "x", "no-at.example.org", "a@", "@b.org", "a b@c.org", "a@b@c.org", "a@b c.org", "a\n@b.org"];
    for email in bad {
        let mut body = Signup::random().json();
        body["email"] = json!(email);
        client.post(SIGNUP, body).await.invalid(&["email"]);
    }
    for email in ["a.b+c@example.org", "x_y-z@sub.domain.example.org"] {
        let mut body = Signup::random().json();
        body["email"] = json!(email);
        assert_eq!(client.post(SIGNUP, body).await.ok(201)["email"], email);
    }
}

async fn email_to_254_characters(target: Target) {
    let server = target.start().await;
    let client = server.client();
    // 64 before the @, and labels of at most 63 behind it.
    let of_length = |length: usize| {
        let last = length - 64 - 1 - 63 - 1 - 63 - 1;
        format!("{}@{}.{}.{}", "l".repeat(64), "a".repeat(63), "b".repeat(63), "c".repeat(last))
    };
    assert_eq!((of_length(254).len(), of_length(255).len()), (254, 255));
    let mut body = Signup::random().json();
    body["email"] = json!(of_length(255));
    client.post(SIGNUP, body.clone()).await.invalid(&["email"]);
    body["email"] = json!(of_length(254));
    assert_eq!(client.post(SIGNUP, body).await.ok(201)["email"], of_length(254));
}

async fn password_from_8_characters_to_72_bytes(target: Target) {
    let server = target.start().await;
    let client = server.client();
    for (password, is_good) in [
        (String::new(), false),
        ("1234567".to_owned(), false),
        // Eight, but everybody's.
        ("12345678".to_owned(), false),
        ("k7Wq2xLz".to_owned(), true),
        ("x".repeat(72), true),
        ("x".repeat(73), false),
        // Seven characters, whatever their bytes.
        ("é".repeat(7), false),
        ("éàèùâêîô".to_owned(), true),
        ("é".repeat(36), true),
        (format!("{}x", "é".repeat(36)), false),
        ("😀😁".repeat(9), true),
        ("😀😁".repeat(9) + "x", false),
    ] {
        let mut body = Signup::random().json();
        body["password"] = json!(password);
        let reply = client.post(SIGNUP, body.clone()).await;
        if is_good {
            let _ = reply.ok(201);
            let login = json!({ "email": body["email"], "password": password });
            let _ = client.post("/api/auth/login", login).await.ok(200);
        } else {
            reply.invalid(&["password"]);
        }
    }
}

async fn a_longer_password_is_not_cut(target: Target) {
    let server = target.start().await;
    let client = server.client();
    let mut body = Signup::random().json();
    body["password"] = json!("x".repeat(72));
    let _ = client.post(SIGNUP, body.clone()).await.ok(201);
    let login = json!({ "email": body["email"], "password": "x".repeat(73) });
    let status = client.post("/api/auth/login", login).await.status;
    assert!([400, 401].contains(&status), "{status}");
}

async fn a_password_does_not_end_at_nul(target: Target) {
    let server = target.start().await;
    let client = server.client();
    let mut body = Signup::random().json();
    body["password"] = json!("longenough\0one");
    let reply = client.post(SIGNUP, body.clone()).await;
    if reply.status == 201 {
        let login = json!({ "email": body["email"], "password": "longenough\0two" });
        client.post("/api/auth/login", login).await.refused(401, "invalid_credentials");
    } else {
        reply.invalid(&["password"]);
    }
}

async fn every_wrong_field_is_named(target: Target) {
    let server = target.start().await;
    let client = server.client();
    let all = ["email", "fullName", "password"];
    client.post(SIGNUP, json!({ "email": "x", "fullName": "", "password": "1" })).await.invalid(&all);
    client
        .post(SIGNUP, json!({ "email": "x", "fullName": "Ann", "password": "1" }))
        .await
        .invalid(&["email", "password"]);
}

async fn missing_and_mistyped_fields_are_named(target: Target) {
    let server = target.start().await;
    let client = server.client();
    for field in ["email", "fullName", "password"] {
        let good = Signup::random().json();
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove(field);
        client.post(SIGNUP, missing).await.invalid(&[field]);
        for wrong in [json!(5), json!(true), json!(null), json!([]), json!({ "$ne": "" }), json!(["a@b.org"])]
        {
            let mut body = good.clone();
            body[field] = wrong;
            client.post(SIGNUP, body).await.invalid(&[field]);
        }
    }
}

async fn nothing_else_can_be_set(target: Target) {
    let server = target.start().await;
    let mut body = Signup::random().json();
    let wish = "0123456789abcdef01234567";
    for (key, value) in [
        ("_id", json!(wish)),
        ("id", json!(wish)),
        ("isOnline", json!(true)),
        ("lastSeen", json!("2000-01-01T00:00:00.000Z")),
        ("createdAt", json!("2000-01-01T00:00:00.000Z")),
        ("isAdmin", json!(true)),
    ] {
        body[key] = value;
    }
    let user = server.client().post(SIGNUP, body).await.ok(201);
    shape::user(&user);
    assert_ne!(user["_id"], wish);
    assert!(!user.to_string().contains("2000-01-01"), "{user}");
}

async fn an_email_is_taken_in_any_case(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    for email in [ann.form.email.clone(), ann.form.email.to_uppercase(), ann.form.email.replacen('p', "P", 1)]
    {
        let mut body = Signup::random().json();
        body["email"] = json!(email);
        let reply = server.client().post(SIGNUP, body).await;
        reply.refused(409, "email_taken");
        assert!(reply.cookie().is_none(), "nobody is signed in");
    }
    let login = json!({ "email": ann.form.email.to_uppercase(), "password": ann.form.password });
    assert_eq!(server.client().post("/api/auth/login", login).await.ok(200)["_id"], ann.id());
}

async fn one_of_many_at_once_gets_the_email(target: Target) {
    let server = target.start().await;
    let form = Signup::random();
    let tries = (0..8).map(|i| {
        let (client, mut body) = (server.client(), form.json());
        if i % 2 == 1 {
            body["email"] = json!(form.email.to_uppercase());
        }
        async move {
            chat_tests::until("a place at the password workers", || async {
                let reply = client.post(SIGNUP, body.clone()).await;
                (reply.status != 503).then_some(reply)
            })
            .await
        }
    });
    let replies = join_all(tries).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 1);
    replies.iter().filter(|reply| reply.status != 201).for_each(|reply| {
        reply.refused(409, "email_taken");
    });
}

for_each_target!(
    answers_the_user,
    signed_in_at_once,
    full_name_from_1_to_100_characters,
    email_forms,
    email_to_254_characters,
    password_from_8_characters_to_72_bytes,
    a_longer_password_is_not_cut,
    a_password_does_not_end_at_nul,
    every_wrong_field_is_named,
    missing_and_mistyped_fields_are_named,
    nothing_else_can_be_set,
    an_email_is_taken_in_any_case,
    one_of_many_at_once_gets_the_email,
);
