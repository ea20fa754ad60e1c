//! Mail by Resend, which is played by a stand-in that holds each mail against what Resend's own package sends: it
//! arrives, once, whatever happens to Resend or to the server; and nobody waits for it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chat_tests::{Person, Server, Signup, StandIn, Target, Value, json, tests_on};

const SCRIPT: &str = "resend-stand-in.mjs";
const KEY: &str = "re_8iHgkMqA_6tT0J5pXpWq8yYb";
const FROM: &str = "Tea & Talk <tea@example.org>";

/// What a killed server had in hands is somebody else's after 40 s, and a mailer that waited for 30 s tries again after
/// a while.
const PATIENCE: Duration = Duration::from_secs(120);

async fn start(target: Target) -> (StandIn, Server) {
    let resend = StandIn::start_with(SCRIPT, &[KEY]).await;
    let settings = [
        ("RESEND_API_KEY", KEY),
        ("MAIL_FROM", FROM),
        ("RESEND_BASE_URL", resend.url()),
        ("CLIENT_URL", "https://talk.example.org"),
        ("APP_NAME", "Tea & Talk"),
    ];
    let server = target.start_with(&settings).await;
    (resend, server)
}

/// Resend comes back at the address where it was.
async fn back(resend: &StandIn) -> StandIn {
    let (_, port) = resend.url().rsplit_once(':').unwrap();
    StandIn::start_with(SCRIPT, &[KEY, port]).await
}

async fn release(resend: &StandIn) {
    let url = format!("{}/__release", resend.url());
    let reply = reqwest::Client::builder().no_proxy().build().unwrap().post(url).send().await.unwrap();
    assert_eq!(reply.json::<Value>().await.unwrap()["count"], 1, "one is held");
}

/// The requests for mails to this person that the probe asks for, once there is one.
async fn request(resend: &StandIn, to: &Person, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let log = resend.log().await;
        if let Some(entry) =
            log.into_iter().find(|entry| entry["mail"]["to"] == to.form.email && probe(entry))
        {
            return entry;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}: {:?}", resend.log().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Resend has told the server that it has the mail: so the server is done with it.
async fn arrived(resend: &StandIn, to: &Person) -> Value {
    let is_done = |entry: &Value| entry["status"] == 200 && entry["mode"] != "garbage";
    request(resend, to, "a mail that Resend says it has", is_done).await["mail"].take()
}

/// Each of these has got one mail, and nobody another one; all were as they should be, and the log tells no secrets.
async fn once_each(resend: &StandIn, server: &Server, people: &[&Person]) {
    // Whatever was to be sent twice is sent before this.
    let fence = server.signup().await;
    arrived(resend, &fence).await;
    let log = resend.log().await;
    let mut keys = BTreeSet::new();
    for entry in &log {
        assert_eq!(entry["differences"], json!([]), "{entry}");
        keys.insert(entry["key"].as_str().unwrap());
    }
    let mut got: Vec<_> = log.iter().filter(|entry| entry["isAccepted"] == true).collect();
    got.sort_by_key(|entry| entry["mail"]["to"].to_string());
    let got: Vec<_> = got.iter().map(|entry| entry["mail"]["to"].as_str().unwrap()).collect();
    let mut expected: Vec<_> = people.iter().map(|person| person.form.email.as_str()).collect();
    expected.push(&fence.form.email);
    expected.sort_unstable();
    assert_eq!(got, expected);
    assert_eq!(keys.len(), expected.len(), "each mail keeps its key: {keys:?}");

    let log = server.log();
    for secret in expected.iter().chain(&[KEY]) {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}

async fn a_welcome_as_one_likes_it(target: Target) {
    let (resend, server) = start(target).await;
    let form = Signup { full_name: "<b>Ann</b> & \"Co\"".to_owned(), ..Signup::random() };
    let ann = Person::signup_as(&server.client(), form).await;
    let mail = arrived(&resend, &ann).await;
    let fields: Vec<_> = mail.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["from", "html", "subject", "text", "to"]);
    assert_eq!((&mail["from"], &mail["to"]), (&json!(FROM), &json!(ann.form.email)));
    assert_eq!(mail["subject"], "Welcome to Tea & Talk");
    let (html, text) = (mail["html"].as_str().unwrap(), mail["text"].as_str().unwrap());
    // A name with a slash could be a link, and is not shown.
    assert!(!html.contains("<b>") && html.starts_with("<!DOCTYPE html>"));
    for part in ["Hello,", "https://talk.example.org"] {
        assert!(html.contains(part) && text.contains(part), "{part}: {text}");
    }

    let form = Signup { full_name: "Bob <3 & \"Co\"".to_owned(), ..Signup::random() };
    let bob = Person::signup_as(&server.client(), form).await;
    let mail = arrived(&resend, &bob).await;
    assert!(mail["html"].as_str().unwrap().contains("Hello Bob &lt;3 &amp; &quot;Co&quot;,"));
    assert!(mail["text"].as_str().unwrap().starts_with("Hello Bob <3 & \"Co\",\n"));
    once_each(&resend, &server, &[&ann, &bob]).await;
}

async fn nobody_waits_for_resend(target: Target) {
    let (resend, server) = start(target).await;
    resend.mode(json!({ "mode": "hold", "times": 1 })).await;
    // Resend says nothing before this is through.
    let ann = server.signup().await;
    let held = request(&resend, &ann, "the request", |_| true).await;
    assert_eq!(held["status"], Value::Null);
    let _ = ann.get("/api/auth/me").await.ok(200);
    release(&resend).await;
    arrived(&resend, &ann).await;
    once_each(&resend, &server, &[&ann]).await;
}

async fn whatever_resend_answers(target: Target) {
    let (resend, server) = start(target).await;
    let mut people = Vec::new();
    for mode in ["garbage", "unauthorized", "unverified", "limited", "broken", "hangup", "accept-then-hangup"]
    {
        resend.mode(json!({ "mode": mode, "times": 1 })).await;
        let person = server.signup().await;
        request(&resend, &person, mode, |entry| entry["mode"] == mode).await;
        arrived(&resend, &person).await;
        people.push(person);
    }
    once_each(&resend, &server, &people.iter().collect::<Vec<_>>()).await;
    // Whoever reads the log learns what to mend.
    let log = server.log();
    for setting in ["RESEND_API_KEY", "MAIL_FROM"] {
        let line = log.lines().find(|line| line.contains(setting)).expect(setting);
        assert!(line.contains("ERROR"), "{line}");
    }
}

async fn not_before_resend_wants_it(target: Target) {
    let (resend, server) = start(target).await;
    resend.mode(json!({ "mode": "limited", "times": 1, "retryAfter": 4 })).await;
    let ann = server.signup().await;
    let first = request(&resend, &ann, "the first attempt", |entry| entry["status"] == 429).await;
    arrived(&resend, &ann).await;
    let second = request(&resend, &ann, "the second attempt", |entry| entry["status"] == 200).await;
    let pause = second["at"].as_i64().unwrap() - first["at"].as_i64().unwrap();
    // The clocks of two processes.
    assert!(pause >= 3900, "{pause} ms");
    once_each(&resend, &server, &[&ann]).await;
}

async fn slow(target: Target) {
    let (resend, server) = start(target).await;
    resend.mode(json!({ "mode": "slow", "times": 1 })).await;
    let ann = server.signup().await;
    request(&resend, &ann, "an attempt while the first goes on", |entry| entry["status"] == 409).await;
    arrived(&resend, &ann).await;
    once_each(&resend, &server, &[&ann]).await;
}

async fn down(target: Target) {
    let (mut resend, server) = start(target).await;
    resend.kill().await;
    let people = [server.signup().await, server.signup().await];
    let resend = back(&resend).await;
    for person in &people {
        arrived(&resend, person).await;
    }
    once_each(&resend, &server, &[&people[0], &people[1]]).await;
}

async fn what_resend_refuses_is_given_up(target: Target) {
    let (resend, server) = start(target).await;
    resend.mode(json!({ "mode": "refused", "times": 1 })).await;
    let ann = server.signup().await;
    let refused = request(&resend, &ann, "the attempt", |entry| entry["status"] == 422).await;
    let bob = server.signup().await;
    arrived(&resend, &bob).await;
    let log = resend.log().await;
    let attempts = log.iter().filter(|entry| entry["key"] == refused["key"]).count();
    assert_eq!(attempts, 1);
    assert!(server.log().lines().any(|line| line.contains("ERROR") && line.contains("given up")));
    let _ = ann.get("/api/auth/me").await.ok(200);
}

async fn a_kill_between_sign_up_and_mail(target: Target) {
    let (mut resend, mut server) = start(target).await;
    resend.kill().await;
    let ann = server.signup().await;
    server.kill().await;
    let resend = back(&resend).await;
    server.restart().await;
    arrived(&resend, &ann).await;
    once_each(&resend, &server, &[&ann]).await;
}

async fn a_kill_while_sending(target: Target) {
    let (resend, mut server) = start(target).await;
    resend.mode(json!({ "mode": "hold", "times": 1 })).await;
    let ann = server.signup().await;
    let held = request(&resend, &ann, "the request", |_| true).await;
    server.kill().await;
    // Nobody is there to hear that Resend has it.
    release(&resend).await;
    server.restart().await;
    let again = |entry: &Value| entry["mode"] == "ok" && entry["status"] == 200;
    let again = request(&resend, &ann, "a second attempt", again).await;
    assert_eq!((&again["key"], &again["isAccepted"]), (&held["key"], &json!(false)));
    once_each(&resend, &server, &[&ann]).await;
}

tests_on!(axum_sqlite = AxumSqlite:
    a_welcome_as_one_likes_it,
    nobody_waits_for_resend,
    whatever_resend_answers,
    not_before_resend_wants_it,
    slow,
    down,
    what_resend_refuses_is_given_up,
    a_kill_between_sign_up_and_mail,
    a_kill_while_sending,
);
tests_on!(warp_sqlite = WarpSqlite:
    a_welcome_as_one_likes_it,
    nobody_waits_for_resend,
    whatever_resend_answers,
    not_before_resend_wants_it,
    slow,
    down,
    what_resend_refuses_is_given_up,
    a_kill_between_sign_up_and_mail,
    a_kill_while_sending,
);
// The outbox of the other store.
tests_on!(axum_mongo = AxumMongo: a_welcome_as_one_likes_it, a_kill_while_sending);
tests_on!(warp_mongo = WarpMongo: a_welcome_as_one_likes_it, a_kill_while_sending);
