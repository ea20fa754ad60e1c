//! `proto.decide.v1alpha1.DecideService`, by Connect with JSON (<https://connectrpc.com/docs/protocol>).

use std::{borrow::Cow, time::Duration};

use http::{header, request::Parts};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use crate::{
    RateLimited,
    http::HttpDoor,
    random,
    shield::{Verdict, Visit},
};

pub(super) const DECIDE: &str = "/proto.decide.v1alpha1.DecideService/Decide";
pub(super) const REPORT: &str = "/proto.decide.v1alpha1.DecideService/Report";

/// The longest that a verdict is kept, whatever Arcjet says.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);
/// Headers that are sent.
const HEADERS: usize = 64;
/// Bytes of a header, of a path, or of a query that are sent.
const LONGEST: usize = 1024;

/// A header or parameter with one of these in its name may be what makes somebody somebody, here or in the application
/// around it: it stays here.
const SECRET: [&str; 14] = [
    "apikey",
    "auth",
    "cookie",
    "credential",
    "csrf",
    "device",
    "jwt",
    "key",
    "pass",
    "secret",
    "session",
    "sid",
    "token",
    "xsrf",
];

/// Pictures are many, and need no sign-in: their names are all it takes.
const PICTURE: &str = "/api/images/{name}";

pub(super) fn is_picture(visit: &Visit<'_>) -> bool {
    visit.head.is_some_and(|head| HttpDoor::path_template(head.uri.path()) == Some(PICTURE))
}

/// `RequestDetails`: everything but the body, what signs people in, and whose conversation it is.
pub(super) fn details(visit: &Visit<'_>, email: Option<&str>) -> Value {
    let mut details =
        json!({ "ip": visit.address.map(|ip| ip.to_canonical().to_string()).unwrap_or_default() });
    if let Some(email) = email {
        details["email"] = email.into();
    }
    if let Some(Parts { method, uri, headers, .. }) = visit.head {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.host());
        details["method"] = method.as_str().into();
        details["protocol"] = format!("{}:", uri.scheme_str().unwrap_or("http")).into();
        details["host"] = host.unwrap_or_default().into();
        details["path"] = HttpDoor::path_template(uri.path()).unwrap_or_else(|| cut(uri.path())).into();
        details["query"] = query(uri.query().unwrap_or_default()).into();
        let public = headers.iter().filter(|(name, _)| !is_secret(name.as_str())).take(HEADERS);
        let public = public.filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            // The page that a request comes from may have a secret in its own query.
            let end = if *name == header::REFERER { value.find(['?', '#']) } else { None };
            let value = &value[..end.unwrap_or(value.len())];
            Some((name.as_str().to_owned(), Value::from(cut(value))))
        });
        details["headers"] = Value::Object(public.collect::<Map<_, _>>());
    }
    details
}

/// With its question mark, and without the values of what may be secret.
fn query(query: &str) -> String {
    let mut public = String::new();
    for pair in cut(query).split('&').filter(|pair| !pair.is_empty()) {
        let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
        public.push(if public.is_empty() { '?' } else { '&' });
        // A name that is written in another way is not believed.
        public.push_str(if is_secret(name) || name.contains('%') { name } else { pair });
    }
    public
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|secret| name.contains(secret))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// `DecideRequest`. There is no name for this program among Arcjet's stacks.
pub(super) fn decide(details: &Value, rules: &[Value]) -> Value {
    json!({ "sdkVersion": env!("CARGO_PKG_VERSION"), "details": details, "rules": rules })
}

/// `ReportRequest` of what was decided here.
pub(super) fn report(details: &Value, rules: &[Value], verdict: &Verdict, ttl: Duration) -> Value {
    let reason = match verdict {
        Verdict::RateLimited(limited) => json!({ "rateLimit": {
            "max": limited.limit, "remaining": 0, "resetInSeconds": limited.retry_after.as_secs(),
            "windowInSeconds": limited.window.as_secs(),
        } }),
        Verdict::Bot => json!({ "botV2": {} }),
        Verdict::Denied(_) if details["email"].is_string() => {
            json!({ "email": { "emailTypes": ["EMAIL_TYPE_DISPOSABLE"] } })
        }
        _ => json!({ "shield": { "shieldTriggered": true } }),
    };
    let decision = json!({
        "id": id(), "conclusion": "CONCLUSION_DENY", "reason": reason, "ttl": ttl.as_secs().min(u64::from(u32::MAX)),
    });
    json!({
        "sdkVersion": env!("CARGO_PKG_VERSION"), "details": details, "rules": rules, "decision": decision,
    })
}

/// A request's id as Arcjet's own clients make it for what they decide: `lreq_` and 128 bits in Crockford's base 32.
fn id() -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bits = u128::from_be_bytes(random::bytes());
    let digit = |n: u32| char::from(DIGITS[(bits >> (5 * n) & 31) as usize]);
    (0..26).rev().map(digit).fold("lreq_".to_owned(), |mut id, digit| {
        id.push(digit);
        id
    })
}

/// `DecideResponse`, as much of it as matters.
#[derive(Deserialize)]
struct Response {
    decision: Decision,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decision {
    conclusion: String,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default)]
    ttl: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Reason {
    RateLimit(RateLimit),
    Bot(IgnoredAny),
    BotV2(IgnoredAny),
    Email(Email),
    #[serde(untagged)]
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct RateLimit {
    max: u32,
    reset_in_seconds: u32,
    window_in_seconds: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Email {
    email_types: Vec<String>,
}

/// Connect's error.
#[derive(Deserialize)]
struct Failure {
    code: String,
}

/// Whether an answer is this error.
pub(super) fn is_error(body: &[u8], code: &str) -> bool {
    serde_json::from_slice::<Failure>(body).is_ok_and(|failure| failure.code == code)
}

/// What the answer says, and for how long; `Some(None)` where it says that Arcjet could not decide, and `None` when it is
/// no answer.
pub(super) fn verdict(body: &[u8]) -> Option<Option<(Verdict, Duration)>> {
    let Response { decision } = serde_json::from_slice(body).ok()?;
    let ttl = Duration::from_secs(decision.ttl.into()).min(LONGEST_TTL);
    let verdict = match decision.conclusion.as_str() {
        "CONCLUSION_ALLOW" => Verdict::Allow,
        // Nobody here can set a challenge.
        "CONCLUSION_DENY" | "CONCLUSION_CHALLENGE" => denial(decision.reason),
        _ => return Some(None),
    };
    Some(Some((verdict, ttl)))
}

fn denial(reason: Option<Reason>) -> Verdict {
    match reason {
        Some(Reason::RateLimit(limit)) => Verdict::RateLimited(RateLimited {
            policy: "arcjet",
            limit: limit.max,
            window: Duration::from_secs(limit.window_in_seconds.max(1).into()),
            retry_after: Duration::from_secs(limit.reset_in_seconds.max(1).into()),
        }),
        Some(Reason::Bot(_) | Reason::BotV2(_)) => Verdict::Bot,
        Some(Reason::Email(email)) => {
            let is = |kind| email.email_types.iter().any(|found| found == kind);
            Verdict::Denied(Cow::Borrowed(if is("EMAIL_TYPE_DISPOSABLE") {
                "Addresses for a few minutes can't be used here."
            } else if is("EMAIL_TYPE_NO_MX_RECORDS") {
                "This e-mail's domain takes no mail."
            } else {
                "This e-mail can't be used here."
            }))
        }
        Some(Reason::Other(_)) | None => Verdict::Denied(Cow::Borrowed("This request is not allowed.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shield::VisitClass;

    #[test]
    fn what_signs_people_in_stays_here() {
        let (head, ()) = http::Request::post(
            "https://chat.example.org/api/auth/login?a=b&token=s3cret&to%6ben=s3cret&c=d",
        )
        .header("authorization", "Bearer s3cret")
        .header("proxy-authorization", "Basic s3cret")
        .header("cookie", "jwt=s3cret; device=s3cret")
        .header("x-api-key", "s3cret")
        .header("X-Access-Token", "s3cret")
        .header("referer", "https://app.example.org/reset-password?token=s3cret#s3cret")
        .header("user-agent", "Firefox")
        .header("x-long", "x".repeat(5_000))
        .body(())
        .unwrap()
        .into_parts();
        let address = Some("::ffff:192.0.2.1".parse().unwrap());
        let visit = Visit { address, head: Some(&head), ..Visit::new(VisitClass::Request) };
        let details = details(&visit, Some("ann@example.org"));
        assert!(!details.to_string().contains("s3cret"), "{details}");
        assert_eq!(details["headers"]["referer"], "https://app.example.org/reset-password");
        assert_eq!((&details["ip"], &details["method"]), (&json!("192.0.2.1"), &json!("POST")));
        assert_eq!(
            (&details["path"], &details["query"]),
            (&json!("/api/auth/login"), &json!("?a=b&token&to%6ben&c=d"))
        );
        assert_eq!((&details["protocol"], &details["host"]), (&json!("https:"), &json!("chat.example.org")));
        assert_eq!(details["headers"]["user-agent"], "Firefox");
        assert_eq!(details["headers"]["x-long"].as_str().unwrap().len(), 1024);
    }

    #[test]
    fn whose_conversation_it_is_stays_here_and_so_do_names_of_pictures() {
        for (path, told) in [
            ("/api/messages/0123456789abcdef01234567", "/api/messages/{id}"),
            ("/api/images/s3cret.png", "/api/images/{name}"),
            ("/.env", "/.env"),
        ] {
            let (head, ()) = http::Request::get(path).body(()).unwrap().into_parts();
            let visit = Visit { head: Some(&head), ..Visit::new(VisitClass::Request) };
            assert_eq!(details(&visit, None)["path"], told);
            assert_eq!(is_picture(&visit), told == PICTURE);
        }
    }

    #[test]
    fn what_is_told_is_bounded() {
        let mut request = http::Request::get(format!("/{0}?{0}", "a".repeat(5000)));
        for n in 0..500 {
            request = request.header(format!("x-{n}"), "a".repeat(5000));
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let visit = Visit { head: Some(&head), ..Visit::new(VisitClass::Request) };
        assert!(details(&visit, None).to_string().len() < 70_000);
    }

    #[test]
    fn conclusions() {
        let of = |decision: Value| verdict(json!({ "decision": decision }).to_string().as_bytes());
        let deny =
            |reason: Value| of(json!({ "conclusion": "CONCLUSION_DENY", "reason": reason, "ttl": 60 }));
        let minute = Duration::from_secs(60);
        assert_eq!(
            of(json!({ "conclusion": "CONCLUSION_ALLOW" })),
            Some(Some((Verdict::Allow, Duration::ZERO)))
        );
        assert_eq!(deny(json!({ "botV2": { "denied": ["CURL"] } })), Some(Some((Verdict::Bot, minute))));
        let limit =
            json!({ "rateLimit": { "max": 5, "resetInSeconds": 7, "windowInSeconds": 9, "count": 1 } });
        let limited = RateLimited {
            policy: "arcjet",
            limit: 5,
            window: Duration::from_secs(9),
            retry_after: Duration::from_secs(7),
        };
        assert_eq!(deny(limit), Some(Some((Verdict::RateLimited(limited), minute))));
        for reason in [
            json!({ "shield": { "shieldTriggered": true } }),
            json!({ "email": { "emailTypes": ["EMAIL_TYPE_DISPOSABLE"] } }),
            json!({ "email": {} }),
            json!({ "somethingNew": 1 }),
            json!({}),
            Value::Null,
        ] {
            assert!(matches!(deny(reason.clone()), Some(Some((Verdict::Denied(_), _)))), "{reason}");
        }
        assert_eq!(of(json!({ "conclusion": "CONCLUSION_ERROR" })), Some(None));
        for garbage in ["", "{}", "null", "<html>", "{\"decision\":{}}"] {
            assert_eq!(verdict(garbage.as_bytes()), None, "{garbage}");
        }
    }

    #[test]
    fn ids_are_as_arcjets_clients_make_them() {
        let id = id();
        assert_eq!(id.len(), 31);
        assert!(id.as_bytes()[5] <= b'7' && id != super::id(), "{id}");
    }
}
