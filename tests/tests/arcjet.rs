//! An Arcjet of the test's own, made of the service definition in Arcjet's own package, decides who may come in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Client, Server, Signup, StandIn, Target, Value, json, pictures, tests_on, until, ws::Ws};

const ME: &str = "/api/auth/me";
const SIGNUP: &str = "/api/auth/signup";

struct Guarded {
    server: Server,
    arcjet: StandIn,
}

impl Guarded {
    async fn start(target: Target) -> Self {
        let arcjet = StandIn::start("arcjet-stand-in.mjs").await;
        let settings =
            [("SHIELD", "on"), ("ARCJET_KEY", "ajkey_stand_in"), ("ARCJET_BASE_URL", arcjet.url())];
        Self { server: target.start_with(&settings).await, arcjet }
    }

    async fn decide(&self, decision: Value) {
        self.arcjet.control("__decide", &decision).await;
    }

    async fn forget(&self) {
        self.arcjet.control("__forget", &json!({})).await;
    }

    async fn messages(&self, kind: &str) -> Vec<Value> {
        let log = self.arcjet.log().await.into_iter().filter(|entry| entry["kind"] == kind);
        log.map(|mut entry| entry["message"].take()).collect()
    }

    async fn reports(&self, count: usize) -> Vec<Value> {
        until("the reports", || async {
            let reports = self.messages("report").await;
            (reports.len() >= count).then_some(reports)
        })
        .await
    }

    /// A figure of `/metrics`.
    async fn figure(&self, name: &str) -> u64 {
        let page = self.server.client().fetch("/metrics").await;
        let page = String::from_utf8(page.bytes).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name}_total ")));
        line.unwrap_or_else(|| panic!("no {name}: {page}")).parse().unwrap()
    }
}

/// A client whose refusals are nobody else's.
fn browser(server: &Server, name: &str) -> Client {
    server.client().with_header("user-agent", name)
}

async fn each_request_is_asked_about_once(target: Target) {
    let guarded = Guarded::start(target).await;
    let (ann, bob) = (guarded.server.signup().await, guarded.server.signup().await);
    let _ = ann.login().await;
    ann.say(&bob, "a text that is nobody's business").await;
    let mut socket = Ws::open(&guarded.server.address(), &ann.token).await;
    let _ = socket.done("sendMessage", &json!({ "receiverId": bob.id(), "text": "nor this" })).await;
    let asked = guarded.messages("decide").await;
    let paths: Vec<_> = asked.iter().map(|message| message["details"]["path"].as_str().unwrap()).collect();
    // And of whose conversation it is, nothing.
    assert_eq!(paths, [SIGNUP, SIGNUP, "/api/auth/login", "/api/messages/send/{id}", "/ws"]);
    assert_eq!(guarded.figure("chat_shield_asked").await, 5);
    let text = json!(asked).to_string();
    for secret in [&ann.token, &bob.token, "business", "nor this", &ann.form.password, bob.id()] {
        assert!(!text.contains(secret), "{secret} has left the server");
    }
    for (n, message) in asked.iter().enumerate() {
        let details = &message["details"];
        assert_eq!(details["ip"], "127.0.0.1");
        assert_eq!(details["headers"]["host"], json!(guarded.server.address()));
        let email = if n < 2 { json!([&ann, &bob][n].form.email) } else { Value::Null };
        assert_eq!(details["email"], email, "at sign-up only");
        let rules = message["rules"].as_array().unwrap();
        assert_eq!(rules.len(), if n < 2 { 4 } else { 3 }, "{rules:?}");
        assert!(rules.iter().any(|rule| rule["shield"]["mode"] == "MODE_LIVE"));
        assert!(rules.iter().any(|rule| rule["botV2"]["allow"].is_array()));
        assert!(
            rules.iter().any(|rule| rule["rateLimit"]["max"] == 600 && rule["rateLimit"]["interval"] == 60)
        );
    }
}

async fn refusals_are_the_contracts(target: Target) {
    let guarded = Guarded::start(target).await;
    let ann = guarded.server.signup().await;
    let deny = |reason: &str| json!({ "conclusion": "DENY", "reason": reason });

    guarded.decide(deny("rateLimit")).await;
    let reply = ann.get(ME).await;
    reply.refused(429, "rate_limited");
    assert_eq!(reply.header("retry-after"), Some("17"));
    assert_eq!(reply.header("ratelimit"), Some("\"arcjet\";r=0;t=17"));
    assert_eq!(reply.header("ratelimit-policy"), Some("\"arcjet\";q=5;w=60"));
    guarded.decide(deny("bot")).await;
    ann.get(ME).await.refused(403, "bot_denied");
    guarded.decide(deny("shield")).await;
    ann.get(ME).await.refused(403, "forbidden");
    guarded.decide(json!({ "conclusion": "CHALLENGE", "reason": "shield" })).await;
    ann.get(ME).await.refused(403, "forbidden");

    let form = Signup::random();
    guarded.decide(json!({ "conclusion": "DENY", "reason": "email", "email": form.email })).await;
    let _ = ann.get(ME).await.ok(200);
    let client = guarded.server.client();
    client.post(SIGNUP, form.json()).await.refused(403, "forbidden");
    guarded.decide(json!({ "conclusion": "ALLOW" })).await;
    let _ = client.post(SIGNUP, form.json()).await.ok(201);
}

async fn a_refusal_holds_for_its_time_and_is_reported(target: Target) {
    let guarded = Guarded::start(target).await;
    guarded.decide(json!({ "conclusion": "DENY", "reason": "rateLimit", "ttl": 3600 })).await;
    let (one, other) = (browser(&guarded.server, "one/1"), browser(&guarded.server, "other/1"));
    one.get(ME).await.refused(429, "rate_limited");
    guarded.decide(json!({ "conclusion": "ALLOW" })).await;
    guarded.forget().await;
    for _ in 0..3 {
        one.get(ME).await.refused(429, "rate_limited");
    }
    let reports = guarded.reports(3).await;
    assert_eq!(guarded.messages("decide").await.len(), 0, "nobody was asked");
    for report in &reports {
        assert_eq!(report["decision"]["conclusion"], "CONCLUSION_DENY");
        assert_eq!(report["decision"]["reason"]["rateLimit"]["max"], 5);
        assert!(report["decision"]["ttl"].as_u64().unwrap() > 3000);
        assert_eq!(report["details"]["path"], ME);
    }
    other.get(ME).await.refused(401, "unauthenticated");
    assert_eq!(guarded.messages("decide").await.len(), 1, "others are asked about");
    assert_eq!(guarded.figure("chat_shield_cached").await, 3);
}

async fn what_the_embedded_guard_refuses_is_reported(target: Target) {
    let guarded = Guarded::start(target).await;
    let client = guarded.server.client();
    client.get("/.env").await.refused(403, "forbidden");
    let report = guarded.reports(1).await.remove(0);
    assert_eq!(report["details"]["path"], "/.env");
    assert_eq!(report["decision"]["reason"]["shield"]["shieldTriggered"], true);
    assert!(guarded.messages("decide").await.is_empty());
}

/// Whatever becomes of Arcjet, people come in, in bounded time, past the embedded guard.
async fn it_fails_open_to_the_embedded_guard(target: Target) {
    for mode in ["slow", "hangup", "garbage", "unauthorized", "limited", "broken", "down"] {
        let mut guarded = Guarded::start(target).await;
        if mode == "down" {
            guarded.arcjet.kill().await;
        } else {
            guarded.arcjet.mode(json!({ "mode": mode })).await;
        }
        let work = async {
            let ann = guarded.server.signup().await;
            for _ in 0..20 {
                let _ = ann.get(ME).await.ok(200);
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(25), work).await.expect(mode);
        let asked = guarded.figure("chat_shield_asked").await;
        assert!((1..=6).contains(&asked), "{mode}: asked {asked} times, though it is away");
        assert!(guarded.figure("chat_shield_fallbacks").await >= 21, "{mode}");
        let log = guarded.server.log();
        assert_eq!(log.matches("Arcjet does not decide").count(), 1, "{mode}: once\n{log}");
        if mode == "unauthorized" {
            assert!(log.contains("ARCJET_KEY"), "{log}");
        }
        let crawler = browser(&guarded.server, "Mozilla/5.0 (compatible; Googlebot/2.1)");
        crawler.get(ME).await.refused(403, "bot_denied");
    }
}

/// What Arcjet can't decide on says nothing of other requests: a visitor who knows how to bring that about must not shut
/// it off for all.
async fn a_question_without_an_answer_is_no_outage(target: Target) {
    for mode in ["undecided", "refused"] {
        let guarded = Guarded::start(target).await;
        let ann = guarded.server.signup().await;
        guarded.arcjet.mode(json!({ "mode": mode })).await;
        for _ in 0..10 {
            let _ = ann.get(ME).await.ok(200);
        }
        assert_eq!(guarded.figure("chat_shield_asked").await, 11, "{mode}");
        assert_eq!(guarded.figure("chat_shield_fallbacks").await, 10, "{mode}");
        assert!(!guarded.server.log().contains("Arcjet does not decide"), "{mode}");
    }
}

/// Nor do sign-ups whose e-mail Arcjet takes long to look up, which whoever has the domain can bring about.
async fn slow_emails_are_no_outage(target: Target) {
    let guarded = Guarded::start(target).await;
    let ann = guarded.server.signup().await;
    guarded.arcjet.mode(json!({ "mode": "slow", "times": 4 })).await;
    for _ in 0..4 {
        let _ = guarded.server.signup().await;
    }
    guarded.decide(json!({ "conclusion": "DENY", "reason": "shield" })).await;
    ann.get(ME).await.refused(403, "forbidden");
    assert_eq!(guarded.figure("chat_shield_fallbacks").await, 4);
    assert!(!guarded.server.log().contains("Arcjet does not decide"));
}

async fn pictures_are_not_asked_about_and_a_new_password_once(target: Target) {
    let guarded = Guarded::start(target).await;
    let ann = guarded.server.signup().await;
    let picture = json!({ "profilePic": pictures::png_url() });
    let user = ann.put("/api/auth/profile", picture).await.ok(200);
    let url = user["profilePic"].as_str().unwrap();
    guarded.forget().await;
    assert_eq!(ann.fetch(url).await.status, 200);
    assert!(guarded.messages("decide").await.is_empty());
    let body = json!({ "currentPassword": "a wild guess", "newPassword": "another wild guess" });
    ann.put("/api/auth/password", body).await.refused(401, "invalid_credentials");
    let asked = guarded.messages("decide").await;
    assert_eq!(asked.len(), 1, "{asked:?}");
}

async fn it_is_asked_again_once_it_is_back(target: Target) {
    let guarded = Guarded::start(target).await;
    let ann = guarded.server.signup().await;
    guarded.arcjet.mode(json!({ "mode": "broken" })).await;
    for _ in 0..5 {
        let _ = ann.get(ME).await.ok(200);
    }
    guarded.arcjet.mode(json!({ "mode": "ok" })).await;
    guarded.decide(json!({ "conclusion": "DENY", "reason": "shield" })).await;
    until("Arcjet's word", || async { (ann.get(ME).await.status == 403).then_some(()) }).await;
    assert!(guarded.server.log().contains("Arcjet decides again"));
}

tests_on!(axum_sqlite = AxumSqlite:
    each_request_is_asked_about_once,
    refusals_are_the_contracts,
    a_refusal_holds_for_its_time_and_is_reported,
    what_the_embedded_guard_refuses_is_reported,
    it_fails_open_to_the_embedded_guard,
    it_is_asked_again_once_it_is_back,
    a_question_without_an_answer_is_no_outage,
    slow_emails_are_no_outage,
    pictures_are_not_asked_about_and_a_new_password_once,
);
tests_on!(warp_sqlite = WarpSqlite:
    each_request_is_asked_about_once,
    refusals_are_the_contracts,
    what_the_embedded_guard_refuses_is_reported,
);
