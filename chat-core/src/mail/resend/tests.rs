use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::mail::MailContent;

const KEY: &str = "re_a_secret";

fn letter() -> Letter {
    let content = MailContent {
        subject: "Hello".to_owned(),
        html: "<p>\"é\" & co.</p>".to_owned(),
        text: "\"é\" & co.".to_owned(),
    };
    Letter { key: "mail-1".to_owned(), to: "ann@example.org".to_owned(), content }
}

/// Answers one request with these bytes; nothing at all is silence. What it was asked is in the mutex.
async fn service(answer: &str) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/behind/a/proxy/", listener.local_addr().unwrap());
    let (asked, answer) = (Arc::new(Mutex::new(String::new())), answer.to_owned());
    let seen = asked.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let n = stream.read(&mut part).await.unwrap();
            assert!(n > 0, "the request broke off");
            request.extend_from_slice(&part[..n]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                *seen.lock().unwrap() = text;
                break;
            }
        }
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    (url, asked)
}

fn mailer(url: &str) -> ResendMailer {
    ResendMailer::new(KEY, "Chat <chat@example.org>").unwrap().with_base_url(url).unwrap()
}

async fn sent(status: &str, headers: &str, body: &str) -> Result<(), MailError> {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}");
    let (url, _) = service(&answer).await;
    mailer(&url).send(&letter()).await
}

/// The pause of `Later`, in seconds.
fn later(result: Result<(), MailError>) -> Option<u64> {
    match result {
        Err(MailError::Later { after, source }) => {
            let shown = format!("{source} {source:?}");
            assert!(!shown.contains(KEY) && !shown.contains("@example.org"), "{shown}");
            after.map(|after| after.as_secs())
        }
        other => panic!("not `Later`: {other:?}"),
    }
}

fn error(name: &str, message: &str) -> String {
    format!(r#"{{"statusCode":0,"name":"{name}","message":"{message}"}}"#)
}

#[tokio::test]
async fn what_is_sent() {
    let body = r#"{"id":"49a3999c"}"#;
    let (url, asked) =
        service(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    mailer(&url).with_reply_to("help@example.org").unwrap().send(&letter()).await.unwrap();
    let asked = asked.lock().unwrap().clone();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /behind/a/proxy/emails HTTP/1.1\r\n"), "{head}");
    for line in
        ["authorization: Bearer re_a_secret", "content-type: application/json", "idempotency-key: mail-1"]
    {
        assert!(head.lines().any(|other| other == line), "{line} is not in {head}");
    }
    assert!(head.contains("\r\nuser-agent: chat-core/"));
    assert_eq!(
        body,
        r#"{"from":"Chat <chat@example.org>","html":"<p>\"é\" & co.</p>","reply_to":"help@example.org","subject":"Hello","text":"\"é\" & co.","to":"ann@example.org"}"#
    );
}

#[tokio::test]
async fn what_was_sent_before_is_sent() {
    sent("200", "", r#"{"id":"x","more":[1]}"#).await.unwrap();
    sent("202", "", r#"{"id":"x"}"#).await.unwrap();
    sent("409", "", &error("invalid_idempotent_request", "")).await.unwrap();
}

#[tokio::test]
async fn what_may_go_well_later() {
    for (status, body) in [
        ("200", "<html>"),
        ("200", "{}"),
        ("200", r#"{"id":""}"#),
        ("204", ""),
        ("301", ""),
        ("400", "<html>a proxy</html>"),
        ("401", &error("missing_api_key", "")),
        ("403", &error("invalid_api_key", "re_a_secret")),
        ("403", &error("validation_error", "You can only send to you@example.org")),
        ("404", ""),
        ("409", &error("concurrent_idempotent_requests", "")),
        ("409", ""),
        ("422", &error("validation_error", "Invalid `from` field.")),
        ("422", &error("invalid_from_address", "")),
        ("429", &error("rate_limit_exceeded", "")),
        ("500", &error("application_error", "")),
        ("503", ""),
    ] {
        assert_eq!(later(sent(status, "", body).await), None, "{status} {body}");
    }
}

#[tokio::test]
async fn as_long_as_it_asks_but_not_for_ever() {
    let body = error("rate_limit_exceeded", "");
    assert_eq!(later(sent("429", "Retry-After: 7\r\n", &body).await), Some(7));
    assert_eq!(later(sent("503", "Retry-After: 7\r\n", "").await), Some(7));
    assert_eq!(later(sent("429", "Retry-After: 99999999999\r\n", &body).await), Some(86_400));
    assert_eq!(later(sent("429", "Retry-After: soon\r\n", &body).await), None);
    for name in ["daily_quota_exceeded", "monthly_quota_exceeded"] {
        assert_eq!(later(sent("429", "", &error(name, "")).await), Some(600));
        assert_eq!(later(sent("429", "Retry-After: 1\r\n", &error(name, "")).await), Some(600));
        assert_eq!(later(sent("429", "Retry-After: 3600\r\n", &error(name, "")).await), Some(3600));
    }
}

#[tokio::test]
async fn what_is_refused() {
    for status in ["400", "413", "422"] {
        let body = error("validation_error", "Invalid `to` field: ann@example.org");
        match sent(status, "", &body).await {
            Err(MailError::Refused(error)) => {
                assert!(error.to_string().starts_with(&format!("Resend answered {status}")), "{error}");
                assert!(!format!("{error:?}").contains('@'));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn down_slow_and_hanging_up() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(later(mailer(&format!("http://{gone}")).send(&letter()).await), None);

    let (url, _) = service("").await;
    let slow = mailer(&url).with_timeout(Duration::from_millis(50));
    let answer = tokio::time::timeout(Duration::from_secs(30), slow.send(&letter())).await.unwrap();
    assert_eq!(later(answer), None);

    let (url, _) = service("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
    assert_eq!(later(mailer(&url).send(&letter()).await), None);
}

#[test]
fn settings() {
    for key in ["", " ", "re_ x", "re_\n", "re_é"] {
        assert!(matches!(ResendMailer::new(key, "a@b.org"), Err(ResendSettingsError::ApiKey)), "{key:?}");
    }
    for (from, is) in [
        ("chat@example.org", "chat@example.org"),
        (" Chat, Inc. <chat@example.org> ", "Chat, Inc. <chat@example.org>"),
        ("Chät<chat@example.org>", "Chät <chat@example.org>"),
        ("<chat@example.org>", "chat@example.org"),
    ] {
        assert_eq!(ResendMailer::new(KEY, from).unwrap().from, is);
    }
    let long = format!("{} <chat@example.org>", "x".repeat(101));
    for from in [
        "",
        "chat",
        "Chat chat@example.org",
        "Chat <chat>",
        "Chat <chat@example.org",
        "Chat <a@b.org> <c@d.org>",
        "Chat\r\nBcc: x <chat@example.org>",
        "a@b.org, c@d.org",
        "Chat <a@b.org>, c@d.org",
        &long,
    ] {
        let error = ResendMailer::new(KEY, from).expect_err(from);
        assert!(matches!(error, ResendSettingsError::Address(_)), "{from:?}: {error}");
        assert!(mailer("http://127.0.0.1").with_reply_to(from).is_err());
    }
    let mailer = mailer("http://127.0.0.1");
    assert!(!format!("{mailer:?}").contains(KEY) && !format!("{mailer:?}").contains('@'));
    assert!(mailer.clone().with_base_url("ftp://x").is_err());
    assert_eq!(mailer.with_base_url("https://x.org/").unwrap().url, "https://x.org/emails");
}
