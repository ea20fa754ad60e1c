//! `proto.decide.v1alpha1.DecideService`, by Connect with JSON (<https://connectrpc.com/docs/protocol>).

use std::{borrow::Cow, time::Duration};

use http::{HeaderName, header, request::Parts};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use crate::{
    RateLimited, random,
    shield::{Verdict, Visit},
};

pub(super) const DECIDE: &str = "/proto.decide.v1alpha1.DecideService/Decide";
pub(super) const REPORT: &str = "/proto.decide.v1alpha1.DecideService/Report";

/// The longest that a verdict is kept, whatever Arcjet says.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);
/// Headers that are sent, and bytes of each.
const HEADERS: (usize, usize) = (64, 1024);

/// Headers that stay here: whoever has them is somebody.
const SECRET: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// `RequestDetails`: everything but the body and what signs people in.
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
        details["path"] = uri.path().into();
        details["query"] = uri.query().map(|query| format!("?{query}")).unwrap_or_default().into();
        let public = headers.iter().filter(|(name, _)| !SECRET.contains(name)).take(HEADERS.0);
        let public = public.filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), Value::from(&value[..value.floor_char_boundary(HEADERS.1)])))
        });
        details["headers"] = Value::Object(public.collect::<Map<_, _>>());
    }
    details
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

/// What the answer says, and for how long; `None` when it is not one, or says that Arcjet could not decide.
pub(super) fn verdict(body: &[u8]) -> Option<(Verdict, Duration)> {
    let Response { decision } = serde_json::from_slice(body).ok()?;
    let ttl = Duration::from_secs(decision.ttl.into()).min(LONGEST_TTL);
    let verdict = match decision.conclusion.as_str() {
        "CONCLUSION_ALLOW" => Verdict::Allow,
        // Nobody here can set a challenge.
        "CONCLUSION_DENY" | "CONCLUSION_CHALLENGE" => denial(decision.reason),
        _ => return None,
    };
    Some((verdict, ttl))
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
        let (head, ()) = http::Request::post("https://chat.example.org/api/auth/login?a=b")
            .header("authorization", "Bearer token-1")
            .header("cookie", "jwt=token-2; device=token-3")
            .header("user-agent", "Firefox")
            .header("x-long", "x".repeat(5_000))
            .body(())
            .unwrap()
            .into_parts();
        let address = Some("::ffff:192.0.2.1".parse().unwrap());
        let visit = Visit { address, head: Some(&head), ..Visit::new(VisitClass::Request) };
        let details = details(&visit, Some("ann@example.org"));
        assert!(!details.to_string().contains("token"), "{details}");
        assert_eq!((&details["ip"], &details["method"]), (&json!("192.0.2.1"), &json!("POST")));
        assert_eq!((&details["path"], &details["query"]), (&json!("/api/auth/login"), &json!("?a=b")));
        assert_eq!((&details["protocol"], &details["host"]), (&json!("https:"), &json!("chat.example.org")));
        assert_eq!(details["headers"]["user-agent"], "Firefox");
        assert_eq!(details["headers"]["x-long"].as_str().unwrap().len(), 1024);
    }

    #[test]
    fn conclusions() {
        let of = |decision: Value| verdict(json!({ "decision": decision }).to_string().as_bytes());
        let deny =
            |reason: Value| of(json!({ "conclusion": "CONCLUSION_DENY", "reason": reason, "ttl": 60 }));
        let minute = Duration::from_secs(60);
        assert_eq!(of(json!({ "conclusion": "CONCLUSION_ALLOW" })), Some((Verdict::Allow, Duration::ZERO)));
        assert_eq!(deny(json!({ "botV2": { "denied": ["CURL"] } })), Some((Verdict::Bot, minute)));
        let limit =
            json!({ "rateLimit": { "max": 5, "resetInSeconds": 7, "windowInSeconds": 9, "count": 1 } });
        let limited = RateLimited {
            policy: "arcjet",
            limit: 5,
            window: Duration::from_secs(9),
            retry_after: Duration::from_secs(7),
        };
        assert_eq!(deny(limit), Some((Verdict::RateLimited(limited), minute)));
        for reason in [
            json!({ "shield": { "shieldTriggered": true } }),
            json!({ "email": { "emailTypes": ["EMAIL_TYPE_DISPOSABLE"] } }),
            json!({ "email": {} }),
            json!({ "somethingNew": 1 }),
            json!({}),
            Value::Null,
        ] {
            assert!(matches!(deny(reason.clone()), Some((Verdict::Denied(_), _))), "{reason}");
        }
        assert_eq!(of(json!({ "conclusion": "CONCLUSION_ERROR" })), None);
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
