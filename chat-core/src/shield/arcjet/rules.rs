//! What Arcjet is asked to look at.

use serde_json::{Value, json};

/// A rule; those that are given hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArcjetRule {
    /// Attacks, as Arcjet's shield knows them.
    Shield,
    /// Bots: those named are let in, as `CURL` or `CATEGORY:SEARCH_ENGINE`, and all others that Arcjet knows are not.
    Bots {
        /// Names or categories, of <https://arcjet.com/bot-list>.
        allow: Vec<String>,
    },
    /// So many requests from one address in any stretch of so many seconds.
    SlidingWindow {
        /// Requests.
        max: u32,
        /// Seconds.
        interval: u32,
    },
    /// So many requests from one address in each stretch of so many seconds.
    FixedWindow {
        /// Requests.
        max: u32,
        /// Seconds.
        window: u32,
    },
    /// A bucket for each address.
    TokenBucket {
        /// Tokens that come each interval.
        refill_rate: u32,
        /// Seconds.
        interval: u32,
        /// Tokens that it holds.
        capacity: u32,
    },
    /// Addresses of these kinds can't be signed up with. Asked at sign-up only.
    Email {
        /// The kinds.
        deny: Vec<ArcjetEmail>,
    },
}

/// A kind of e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArcjetEmail {
    /// Of a service for addresses that last some minutes.
    Disposable,
    /// Of a service where anybody gets one.
    Free,
    /// Its domain takes no mail.
    NoMxRecords,
    /// Nobody has a picture for it.
    NoGravatar,
    /// It is none.
    Invalid,
}

impl ArcjetEmail {
    const fn name(self) -> &'static str {
        match self {
            Self::Disposable => "EMAIL_TYPE_DISPOSABLE",
            Self::Free => "EMAIL_TYPE_FREE",
            Self::NoMxRecords => "EMAIL_TYPE_NO_MX_RECORDS",
            Self::NoGravatar => "EMAIL_TYPE_NO_GRAVATAR",
            Self::Invalid => "EMAIL_TYPE_INVALID",
        }
    }
}

/// Clients that programs are written with, as Arcjet names them: those that the embedded shield lets in too. Arcjet's
/// categories of them have crawlers, scanners and headless browsers as well.
const CLIENTS: [&str; 19] = [
    "CURL",
    "GOT",
    "GO_HTTP",
    "HTTPIE",
    "JAVASCRIPT_AXIOS",
    "JAVASCRIPT_NODE_FETCH",
    "JAVA_APACHE_HTTPCLIENT",
    "JAVA_ASYNCHTTPCLIENT",
    "JAVA_JERSEY",
    "JAVA_JETTY",
    "JAVA_OKHTTP",
    "PERL_LIBWWW",
    "PHP_CURLCLASS",
    "POSTMAN",
    "PYTHON_AIOHTTP",
    "PYTHON_HTTPX",
    "PYTHON_REQUESTS",
    "PYTHON_URLLIB",
    "WGET",
];

/// Those without a choice of one's own: attacks; bots but search engines and programs with an honest name, which the
/// embedded shield lets in too; 600 requests a minute; and at sign-up no address that is disposable, or takes no mail.
pub(super) fn defaults() -> Vec<ArcjetRule> {
    let allow = ["CATEGORY:SEARCH_ENGINE"].into_iter().chain(CLIENTS);
    vec![
        ArcjetRule::Shield,
        ArcjetRule::Bots { allow: allow.map(str::to_owned).collect() },
        ArcjetRule::SlidingWindow { max: 600, interval: 60 },
        ArcjetRule::Email {
            deny: vec![ArcjetEmail::Disposable, ArcjetEmail::Invalid, ArcjetEmail::NoMxRecords],
        },
    ]
}

impl ArcjetRule {
    pub(super) const fn is_of_email(&self) -> bool {
        matches!(self, Self::Email { .. })
    }

    /// As `proto.decide.v1alpha1.Rule` in JSON.
    pub(super) fn message(&self, is_live: bool) -> Value {
        let mode = if is_live { "MODE_LIVE" } else { "MODE_DRY_RUN" };
        match self {
            Self::Shield => json!({ "shield": { "mode": mode } }),
            Self::Bots { allow } => json!({ "botV2": { "mode": mode, "allow": allow } }),
            Self::SlidingWindow { max, interval } => json!({ "rateLimit": {
                "mode": mode, "algorithm": "RATE_LIMIT_ALGORITHM_SLIDING_WINDOW", "max": max, "interval": interval,
            } }),
            Self::FixedWindow { max, window } => json!({ "rateLimit": {
                "mode": mode, "algorithm": "RATE_LIMIT_ALGORITHM_FIXED_WINDOW", "max": max, "windowInSeconds": window,
            } }),
            Self::TokenBucket { refill_rate, interval, capacity } => json!({ "rateLimit": {
                "mode": mode, "algorithm": "RATE_LIMIT_ALGORITHM_TOKEN_BUCKET", "refillRate": refill_rate,
                "interval": interval, "capacity": capacity,
            } }),
            Self::Email { deny } => json!({ "email": {
                "mode": mode, "deny": deny.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
                "requireTopLevelDomain": true, "allowDomainLiteral": false,
            } }),
        }
    }
}
