//! Limits on guessing, proxies that are trusted and those that are not, and bots.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Client, Reply, Signup, Target, for_each_target, json, sio};

const ON: (&str, &str) = ("SHIELD", "on");
const LOGIN: &str = "/api/auth/login";

/// More attempts than anybody's hands make.
const MANY: usize = 500;

/// Tries without a password, which costs the server nothing, until it says that this is enough.
async fn exhaust(client: &Client, path: &str) -> Reply {
    for _ in 0..MANY {
        let reply = client.post(path, json!({ "email": "guess@example.org" })).await;
        if reply.status == 429 {
            return reply;
        }
        reply.refused(400, "validation_failed");
    }
    panic!("{path} takes {MANY} guesses in a row");
}

async fn guessing_is_limited(target: Target) {
    for path in [LOGIN, "/api/auth/signup"] {
        let server = target.start_with(&[ON]).await;
        let reply = exhaust(&server.client(), path).await;
        reply.refused(429, "rate_limited");
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!(wait >= 1);
        let limit = reply.header("ratelimit").unwrap();
        assert!(limit.contains(";r=0") && limit.contains(";t="), "RateLimit: {limit}");
        let policy = reply.header("ratelimit-policy").unwrap();
        assert!(policy.contains(";q=") && policy.contains(";w="), "RateLimit-Policy: {policy}");
        // A right password is not looked at either.
        let form = Signup::random();
        let body = json!({ "email": form.email, "password": form.password });
        server.client().post(LOGIN, body).await.refused(429, "rate_limited");
    }
}

async fn who_is_signed_in_goes_on(target: Target) {
    let server = target.start_with(&[ON]).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    exhaust(&server.client(), LOGIN).await;
    let _ = ann.get("/api/auth/me").await.ok(200);
    ann.say(&bob, "hi").await;
}

async fn nobody_is_believed_about_their_address(target: Target) {
    let server = target.start_with(&[ON]).await;
    let client = server.client();
    exhaust(&client, LOGIN).await;
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("cf-connecting-ip", "203.0.113.9"),
    ] {
        let reply = client.with_header(name, value).post(LOGIN, json!({})).await;
        assert_eq!(reply.status, 429, "{name}");
    }
}

async fn a_named_proxy_is_believed(target: Target) {
    let server = target.start_with(&[ON, ("TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")]).await;
    let client = server.client();
    let from = |chain: &str| client.with_header("x-forwarded-for", chain);
    exhaust(&from("203.0.113.5"), LOGIN).await;
    // Somebody else behind the same proxy.
    from("203.0.113.9").post(LOGIN, json!({})).await.refused(400, "validation_failed");
    // The address is the last one that no trusted proxy vouches for; what stands before is what the client made up.
    for chain in ["198.51.100.7, 203.0.113.5", "198.51.100.7, 203.0.113.5, 10.1.2.3", "nonsense, 203.0.113.5"]
    {
        let reply = from(chain).post(LOGIN, json!({})).await;
        assert_eq!(reply.status, 429, "{chain}");
    }
}

async fn a_proxy_that_was_not_named_is_not_believed(target: Target) {
    let server = target.start_with(&[ON, ("TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    exhaust(&server.client(), LOGIN).await;
    let reply = server.client().with_header("x-forwarded-for", "203.0.113.9").post(LOGIN, json!({})).await;
    reply.refused(429, "rate_limited");
}

async fn crawlers_are_denied_and_tools_are_not(target: Target) {
    let server = target.start_with(&[ON]).await;
    let ann = server.signup().await;
    for agent in [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "GPTBot/1.0",
    ] {
        ann.with_header("user-agent", agent).get("/api/auth/me").await.refused(403, "bot_denied");
        server
            .client()
            .with_header("user-agent", agent)
            .post(LOGIN, json!({}))
            .await
            .refused(403, "bot_denied");
    }
    for agent in [
        "curl/8.5.0",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "okhttp/4.12.0",
        "axios/1.7.0",
    ] {
        let _ = ann.with_header("user-agent", agent).get("/api/auth/me").await.ok(200);
    }
}

async fn off_is_off(target: Target) {
    let server = target.start().await;
    for _ in 0..MANY {
        server.client().post(LOGIN, json!({})).await.refused(400, "validation_failed");
    }
    let agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    server
        .client()
        .with_header("user-agent", agent)
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
    assert!(server.log().to_lowercase().contains("shield"), "it is said at the start");
}

/// The limit on opening sockets, if it is hit at all, must not lock a signed-in person out of the rest.
async fn sockets_pass_the_shield(target: Target) {
    let server = target.start_with(&[ON]).await;
    let ann = server.signup().await;
    let address = server.address().parse().unwrap();
    let socket = sio::Socket::connect(address, None, &ann.token).await.unwrap();
    let _ = ann.get("/api/auth/me").await.ok(200);
    socket.close().await;
}

/// A guess that comes from everywhere is slowed down, and the owner is not.
async fn strangers_lock_no_owner_out(target: Target) {
    let server = target.start_with(&[ON, ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let at = |address: &str| server.client().with_header("x-forwarded-for", address);
    let (ann, bob) = (Signup::random(), Signup::random());
    let device = |reply: &Reply| {
        let mut cookies = reply.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
        let cookie = cookies.find(|cookie| cookie.starts_with("device=")).expect("a cookie of the device");
        cookie.split(';').next().unwrap().to_owned()
    };
    let reply = at("198.51.100.1").post("/api/auth/signup", ann.json()).await;
    let of_ann = device(&reply);
    let _ = reply.ok(201);
    let of_bob = device(&at("198.51.100.2").post("/api/auth/signup", bob.json()).await);
    let login = |form: &Signup, password: &str| json!({ "email": form.email, "password": password });

    for n in 1..=10 {
        let reply = at(&format!("203.0.113.{n}")).post(LOGIN, login(&ann, "a wild guess")).await;
        reply.refused(401, "invalid_credentials");
    }
    for (n, password) in [(11, "a wild guess"), (12, ann.password.as_str())] {
        let reply = at(&format!("203.0.113.{n}")).post(LOGIN, login(&ann, password)).await;
        reply.refused(429, "rate_limited");
        assert!(reply.header("ratelimit").unwrap().starts_with("\"logins\""));
    }
    // She is known by where she is, and elsewhere by her browser; that of others is not hers.
    let right = || login(&ann, &ann.password);
    let _ = at("198.51.100.1").post(LOGIN, right()).await.ok(200);
    let _ = at("203.0.113.50").with_header("cookie", &of_ann).post(LOGIN, right()).await.ok(200);
    at("203.0.113.51").with_header("cookie", &of_bob).post(LOGIN, right()).await.refused(429, "rate_limited");
    let forged = format!("{}x", &of_ann[..of_ann.len() - 1]);
    at("203.0.113.52").with_header("cookie", &forged).post(LOGIN, right()).await.refused(429, "rate_limited");
    let _ = at("203.0.113.53").post(LOGIN, login(&bob, &bob.password)).await.ok(200);
}

async fn few_mails_go_to_one_address(target: Target) {
    let server = target.start_with(&[ON]).await;
    let forgot = async |email: &str| {
        server.client().post("/api/auth/password/forgot", json!({ "email": email })).await
    };
    for email in ["nobody@example.org", "Nobody@Example.org", " nobody@example.org"] {
        let _ = forgot(email).await.ok(200);
    }
    forgot("nobody@example.org").await.refused(429, "rate_limited");
    let _ = forgot("somebody@example.org").await.ok(200);
}

async fn scanners_are_refused_and_people_who_write_like_them_are_not(target: Target) {
    let server = target.start_with(&[ON]).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    for path in ["/wp-login.php", "/.env", "/.git/config", "/a?file=..%2f..%2fetc%2fpasswd"] {
        server.client().get(path).await.refused(403, "forbidden");
    }
    server.client().get("/not/here").await.refused(404, "not_found");
    let _ = ann
        .say(&bob, "<script>alert(1)</script> ' UNION SELECT 1 -- ../../etc/passwd ${jndi:ldap://x}")
        .await;
}

async fn disposable_addresses_are_refused_when_asked_for(target: Target) {
    for (setting, status) in [("on", 403), ("off", 201)] {
        let server = target.start_with(&[ON, ("REFUSE_DISPOSABLE_EMAILS", setting)]).await;
        let mut form = Signup::random();
        form.email = form.email.replace("example.org", "mailinator.com");
        assert_eq!(server.client().post("/api/auth/signup", form.json()).await.status, status);
        let _ = server.signup().await;
    }
}

for_each_target!(
    strangers_lock_no_owner_out,
    few_mails_go_to_one_address,
    scanners_are_refused_and_people_who_write_like_them_are_not,
    disposable_addresses_are_refused_when_asked_for,
    guessing_is_limited,
    who_is_signed_in_goes_on,
    nobody_is_believed_about_their_address,
    a_named_proxy_is_believed,
    a_proxy_that_was_not_named_is_not_believed,
    crawlers_are_denied_and_tools_are_not,
    off_is_off,
    sockets_pass_the_shield,
);
