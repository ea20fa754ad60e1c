//! Passwords that are changed or forgotten, addresses that are verified, and the list of one's sessions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::collections::BTreeSet;

use chat_tests::{
    Client, Person, Server, Signup, StandIn, Target, Value, for_each_target, json, shape, until, ws::Ws,
};

const ME: &str = "/api/auth/me";
const LOGIN: &str = "/api/auth/login";
const SIGNUP: &str = "/api/auth/signup";
const FORGOT: &str = "/api/auth/password/forgot";
const RESET: &str = "/api/auth/password/reset";
const PASSWORD: &str = "/api/auth/password";
const SESSIONS: &str = "/api/auth/sessions";
const NEW: &str = "pw-Tr0ub4dor, but another one";

/// A server that sends its mail by a Resend of the test's own.
struct Post {
    server: Server,
    resend: StandIn,
}

impl Post {
    async fn start(target: Target, more: &[(&str, &str)]) -> Self {
        let resend = StandIn::start("resend-stand-in.mjs").await;
        let mut settings = vec![
            ("RESEND_API_KEY", "re_stand_in"),
            ("MAIL_FROM", "Chat <chat@example.org>"),
            ("RESEND_BASE_URL", resend.url()),
        ];
        settings.extend(more);
        Self { server: target.start_with(&settings).await, resend }
    }

    /// The mails to this address with this in their subject, once there are so many.
    async fn mails(&self, to: &str, subject: &str, count: usize) -> Vec<Value> {
        until("the mail", || async {
            let log = self.resend.log().await;
            let is_one = |mail: &Value| {
                mail["to"].to_string().contains(to)
                    && mail["subject"].as_str().unwrap().to_lowercase().contains(subject)
            };
            let accepted = log.into_iter().filter(|entry| entry["isAccepted"] == true);
            let mails: Vec<_> = accepted.map(|mut entry| entry["mail"].take()).filter(is_one).collect();
            (mails.len() >= count).then_some(mails)
        })
        .await
    }

    /// The secret of the link in the last of them, and where it leads.
    async fn link(&self, to: &str, subject: &str, count: usize) -> (String, String) {
        let mails = self.mails(to, subject, count).await;
        let text = mails.last().unwrap()["text"].as_str().unwrap();
        let link = text.split_whitespace().find(|word| word.contains("#token=")).expect("a link");
        let (page, token) = link.split_once("#token=").unwrap();
        assert!(mails.last().unwrap()["html"].as_str().unwrap().contains(token), "in both forms");
        (page.to_owned(), token.to_owned())
    }
}

fn login(person: &Person, password: &str) -> Value {
    json!({ "email": person.form.email, "password": password })
}

async fn socket(server: &Server, person: &Person) -> Ws {
    Ws::open(&server.address(), &person.token).await
}

async fn is_signed_in(client: &Client) -> bool {
    let reply = client.get(ME).await;
    if reply.status == 200 {
        return true;
    }
    reply.refused(401, "unauthenticated");
    false
}

async fn a_forgotten_password_is_set_anew_once(target: Target) {
    let post = Post::start(target, &[]).await;
    let (ann, bob) = (post.server.signup().await, post.server.signup().await);
    let stranger = post.server.client();
    let mut socket = socket(&post.server, &ann).await;
    let email = json!({ "email": ann.form.email.to_uppercase() });
    let known = stranger.post(FORGOT, email).await;
    let unknown = stranger.post(FORGOT, json!({ "email": Signup::random().email })).await;
    assert_eq!((known.status, &known.body), (unknown.status, &unknown.body), "nothing tells them apart");
    assert_eq!(known.ok(200), Value::Null);
    let (page, token) = post.link(&ann.form.email, "password", 1).await;

    // The link leads to a page of this server.
    let page = reqwest::get(page).await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");

    stranger.post(RESET, json!({ "token": token, "password": "short" })).await.invalid(&["password"]);
    stranger.post(RESET, json!({ "token": token, "password": "iloveyou" })).await.invalid(&["password"]);
    for bad in [json!("x"), json!(null), json!(ann.token), json!(format!("{token}x"))] {
        let reply = stranger.post(RESET, json!({ "token": bad, "password": NEW })).await;
        reply.refused(400, "invalid_link");
    }
    assert!(is_signed_in(&ann).await, "nothing has happened yet");
    let reply = stranger.post(RESET, json!({ "token": token, "password": NEW })).await;
    assert!(reply.cookie().is_none(), "it signs nobody in");
    assert_eq!(reply.ok(200), Value::Null);
    stranger
        .post(RESET, json!({ "token": token, "password": "yet another one" }))
        .await
        .refused(400, "invalid_link");
    assert!(!is_signed_in(&ann).await, "all sign-ins are over");
    assert_eq!(socket.closed().await.expect("a reason").0, 4401);
    assert!(is_signed_in(&bob).await, "those of others are not");
    stranger.post(LOGIN, login(&ann, &ann.form.password)).await.refused(401, "invalid_credentials");
    let _ = stranger.post(LOGIN, login(&ann, NEW)).await.ok(200);
    post.mails(&ann.form.email, "changed", 1).await;
    let log = post.resend.log().await;
    assert!(log.iter().all(|entry| entry["differences"].as_array().is_none_or(Vec::is_empty)), "{log:?}");
    assert_eq!(post.mails("@", "", 4).await.len(), 4, "two welcomes, a link, and a notice");
}

async fn a_changed_password_ends_all_other_sessions(target: Target) {
    let mut server = target.start().await;
    let ann = server.signup().await;
    let there = ann.login().await;
    let (mut kept, mut lost) = (socket(&server, &ann).await, socket(&server, &there).await);
    let body = |current: &str, new: &str| json!({ "currentPassword": current, "newPassword": new });
    server.client().put(PASSWORD, body(&ann.form.password, NEW)).await.refused(401, "unauthenticated");
    ann.put(PASSWORD, json!({})).await.invalid(&["currentPassword", "newPassword"]);
    ann.put(PASSWORD, body(&ann.form.password, "password1")).await.invalid(&["newPassword"]);
    ann.put(PASSWORD, body("not the password", NEW)).await.refused(401, "invalid_credentials");
    assert!(is_signed_in(&there).await);
    assert_eq!(ann.put(PASSWORD, body(&ann.form.password, NEW)).await.ok(200), Value::Null);
    assert_eq!(lost.closed().await.expect("a reason").0, 4401);
    assert!(is_signed_in(&ann).await && !is_signed_in(&there).await);
    server.client().post(LOGIN, login(&ann, &ann.form.password)).await.refused(401, "invalid_credentials");
    let _ = server.client().post(LOGIN, login(&ann, NEW)).await.ok(200);
    let bob = server.signup().await;
    let _ = kept.done("sendMessage", &json!({ "receiverId": bob.id(), "text": "still here" })).await;
    drop(kept);
    server.kill().await;
    server.restart().await;
    assert!(
        is_signed_in(&ann.at(&server)).await && !is_signed_in(&there.at(&server)).await,
        "after a kill too"
    );
}

async fn sessions_are_listed_and_ended(target: Target) {
    let server = target.start().await;
    let form = Signup::random();
    let phone = server.client().with_header("user-agent", "Phone/1.0");
    let first = Person::signup_as(&phone, form).await;
    let (second, third) = (first.login().await, first.login().await);
    let bob = server.signup().await;
    let list = async |of: &Person| -> Vec<Value> {
        let Value::Array(list) = of.get(SESSIONS).await.ok(200) else { panic!("a list") };
        let keys = ["_id", "device", "address", "createdAt", "lastUsedAt", "expiresAt", "isCurrent"];
        for session in &list {
            let own: BTreeSet<&str> = session.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(own, keys.into_iter().collect(), "{session}");
            shape::assert_id(&session["_id"]);
            for time in ["createdAt", "lastUsedAt", "expiresAt"] {
                shape::assert_time(&session[time]);
            }
            assert_eq!(session["address"], "127.0.0.1");
        }
        list
    };
    server.client().get(SESSIONS).await.refused(401, "unauthenticated");
    let listed = list(&second).await;
    let current: Vec<_> = listed.iter().map(|session| session["isCurrent"] == true).collect();
    assert_eq!(current, [false, true, false], "the newest first");
    assert!(listed[2]["device"].as_str().is_some_and(|device| device.starts_with("Phone/1.0")), "{listed:?}");

    let of_third = format!("{SESSIONS}/{}", listed[0]["_id"].as_str().unwrap());
    bob.delete(&of_third).await.refused(404, "not_found");
    second.delete(&format!("{SESSIONS}/x")).await.refused(400, "invalid_id");
    let mut socket = socket(&server, &third).await;
    assert_eq!(second.delete(&of_third).await.ok(200), Value::Null);
    assert_eq!(socket.closed().await.expect("a reason").0, 4401);
    assert!(!is_signed_in(&third).await);
    second.delete(&of_third).await.refused(404, "not_found");
    assert_eq!(list(&second).await.len(), 2);

    assert_eq!(second.delete(SESSIONS).await.ok(200), Value::Null);
    assert!(!is_signed_in(&first).await && is_signed_in(&second).await && is_signed_in(&bob).await);
    assert_eq!(list(&second).await.len(), 1);
    assert_eq!(second.delete(SESSIONS).await.ok(200), Value::Null, "again is fine");
}

async fn an_address_is_verified_before_the_first_sign_in(target: Target) {
    let post = Post::start(target, &[("VERIFY_EMAILS", "on")]).await;
    let (client, form) = (post.server.client(), Signup::random());
    let reply = client.post(SIGNUP, form.json()).await;
    assert!(reply.cookie().is_none(), "nobody is signed in yet");
    shape::user(&reply.ok(201));
    let credentials = json!({ "email": form.email, "password": form.password });
    client.post(LOGIN, credentials.clone()).await.refused(403, "email_unverified");
    let (_, first) = post.link(&form.email, "", 1).await;
    assert_eq!(
        client.post("/api/auth/email/resend", json!({ "email": form.email })).await.ok(200),
        Value::Null
    );
    let (_, second) = post.link(&form.email, "", 2).await;
    let verify = async |token: &str| client.post("/api/auth/email/verify", json!({ "token": token })).await;
    verify("x").await.refused(400, "invalid_link");
    client.post(RESET, json!({ "token": first, "password": NEW })).await.refused(400, "invalid_link");
    for token in [&first, &first, &second] {
        assert_eq!(verify(token).await.ok(200), Value::Null);
    }
    shape::user(&client.post(LOGIN, credentials).await.ok(200));
    post.mails(&form.email, "welcome", 1).await;
    assert_eq!(post.mails(&form.email, "", 3).await.len(), 3, "two links and one welcome");
}

async fn common_passwords_are_refused(target: Target) {
    let server = target.start().await;
    let form = Signup::random();
    for easy in ["password", "PASSWORD1", "12345678", "qwertyuiop", "aaaaaaaaaa", &form.email] {
        let mut body = form.json();
        body["password"] = json!(easy);
        server.client().post(SIGNUP, body).await.invalid(&["password"]);
    }
}

for_each_target!(
    a_forgotten_password_is_set_anew_once,
    a_changed_password_ends_all_other_sessions,
    sessions_are_listed_and_ended,
    an_address_is_verified_before_the_first_sign_in,
    common_passwords_are_refused,
);
