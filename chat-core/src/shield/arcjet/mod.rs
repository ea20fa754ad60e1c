//! [Arcjet](https://arcjet.com) decides who may come in.

mod asker;
mod cache;
mod health;
mod protocol;
mod rules;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use http::HeaderValue;
use serde_json::Value;

use self::asker::Asker;
pub use self::rules::{ArcjetEmail, ArcjetRule};
use super::{AccountAction, AccountVisit, InProcessShield, Shield, ShieldStats, Verdict, Visit, VisitClass};
use crate::{BoxError, outbound};

/// A setting that [`ArcjetShield`] can't be made of. Shows no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArcjetSettingsError {
    /// The key.
    #[error("it is not a key of a site, such as `ajkey_…`")]
    Key,
    /// The base URL.
    #[error("the base URL: {0}")]
    BaseUrl(String),
    /// There is no TLS to be had.
    #[error("there is no TLS")]
    Tls(#[source] BoxError),
}

/// The guard that asks Arcjet, by its Decide API.
///
/// The embedded guard goes first, with its own limits; what it refuses is not asked about, and reported. Bots are left to
/// Arcjet where a rule asks for that, and to the embedded guard where there is none, or no answer. Then Arcjet is asked
/// once for each request and for each socket that opens; not for events on an open socket, not for the pictures that this
/// server has, and not where the address of the client is unknown.
///
/// Of a request it gets address, method, host, path, query and headers, and the e-mail of a sign-up where there is a
/// rule for it. Never a body, and no header or parameter that may hold a secret: neither `Cookie` nor `Authorization`,
/// nor any that has `token`, `key`, `session`, `pass` or the like in its name. Of a path of the API it gets the template
/// (`/api/messages/{id}`), and not whose conversation it is.
///
/// | Arcjet says | people get |
/// |---|---|
/// | a rate limit is over | 429 `rate_limited`, `Retry-After` until it is reset |
/// | a bot | 403 `bot_denied` |
/// | an attack, an e-mail that is not wanted, anything else | 403 `forbidden`, with a sentence |
///
/// A refusal with a `ttl` holds that long without another question, for the same address, user agent, user and e-mail.
///
/// **It fails open to the embedded guard**: where Arcjet is down, slower than half a second (a whole one for a sign-up),
/// says 401, 429 or 500, or something that is no decision, the embedded guard's word counts. After three failures in a
/// row it is not asked for 5 s, or for as long as its `Retry-After` says, at most 5 minutes, and then by one request until
/// it answers;
/// so an outage costs some requests half a second and the others nothing. The log says when it begins and ends, and
/// [`ShieldStats`] count it.
#[derive(Clone)]
pub struct ArcjetShield {
    asker: Arc<Asker>,
    local: Arc<InProcessShield>,
    rules: Arc<[ArcjetRule]>,
    is_live: bool,
}

impl fmt::Debug for ArcjetShield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcjetShield")
            .field("rules", &self.rules)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl ArcjetShield {
    /// Asks with the key of a site (`ajkey_…`), by the default rules: attacks; bots but search engines and programs
    /// that say what they are; 600 requests a minute from one address; and at sign-up no e-mail that is disposable or
    /// takes no mail.
    ///
    /// # Errors
    /// [`ArcjetSettingsError`]: it is no such key, or there is no TLS.
    pub fn new(key: &str) -> Result<Self, ArcjetSettingsError> {
        let is_key = key.len() > "ajkey_".len()
            && key.starts_with("ajkey_")
            && key.bytes().all(|b| b.is_ascii_graphic());
        let authorization = Some(key).filter(|_| is_key).ok_or(ArcjetSettingsError::Key)?;
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {authorization}")).map_err(|_| ArcjetSettingsError::Key)?;
        authorization.set_sensitive(true);
        let asker = Asker::new(authorization).map_err(ArcjetSettingsError::Tls)?;
        let local = Arc::new(InProcessShield::default());
        Ok(Self { asker: Arc::new(asker), local, rules: rules::defaults().into(), is_live: true })
    }

    /// Where Arcjet is, for a proxy in between; `https://decide.arcjet.com` by default.
    ///
    /// # Errors
    /// [`ArcjetSettingsError::BaseUrl`]: not an http or https URL, or one with a user, query or fragment.
    pub fn with_base_url(mut self, url: &str) -> Result<Self, ArcjetSettingsError> {
        let base = outbound::base_url(url).map_err(ArcjetSettingsError::BaseUrl)?;
        self.change(|asker| asker.base = base);
        Ok(self)
    }

    /// How long a question may take; 500 ms by default, and twice as long for a sign-up, whose e-mail Arcjet looks up.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.change(|asker| asker.timeout = timeout);
        self
    }

    /// What Arcjet is asked to look at, in the place of the default rules.
    #[must_use]
    pub fn with_rules(mut self, rules: impl Into<Vec<ArcjetRule>>) -> Self {
        self.rules = rules.into().into();
        self
    }

    /// Arcjet only notes what it would refuse; the embedded guard goes on refusing.
    #[must_use]
    pub const fn with_dry_run(mut self) -> Self {
        self.is_live = false;
        self
    }

    /// The embedded guard that goes first, and decides when Arcjet does not; with its default limits unless it is
    /// given.
    #[must_use]
    pub fn with_local(mut self, local: InProcessShield) -> Self {
        self.local = Arc::new(local);
        self
    }

    /// Settings are made before there are clones; a clone keeps those that it has.
    fn change(&mut self, change: impl FnOnce(&mut Asker)) {
        if let Some(asker) = Arc::get_mut(&mut self.asker) {
            change(asker);
        }
    }

    /// Whether it is Arcjet who refuses bots.
    fn leaves_bots(&self) -> bool {
        self.is_live && self.rules.iter().any(|rule| matches!(rule, ArcjetRule::Bots { .. }))
    }

    /// The e-mail, where there is a rule for it.
    fn looked_up<'a>(&self, email: Option<&'a str>) -> Option<&'a str> {
        email.filter(|_| self.rules.iter().any(ArcjetRule::is_of_email))
    }

    fn messages(&self, with_email: bool) -> Vec<Value> {
        let rules = self.rules.iter().filter(|rule| with_email || !rule.is_of_email());
        rules.map(|rule| rule.message(self.is_live)).collect()
    }

    /// Reports a refusal that Arcjet was not asked about.
    fn report(&self, visit: &Visit<'_>, email: Option<&str>, verdict: &Verdict, ttl: Duration) {
        // Of an event there is nothing to tell.
        if visit.head.is_none() {
            return;
        }
        let email = self.looked_up(email);
        self.asker.report(|| {
            let details = protocol::details(visit, email);
            protocol::report(&details, &self.messages(email.is_some()), verdict, ttl)
        });
    }

    async fn ask(&self, visit: &Visit<'_>, email: Option<&str>) -> Verdict {
        let asker = &self.asker;
        let has_nothing = visit.head.is_none() || visit.address.is_none() || protocol::is_picture(visit);
        if has_nothing || !self.leaves_bots() {
            let verdict = self.judge_bots(visit, email);
            if verdict != Verdict::Allow {
                return verdict;
            }
        }
        if has_nothing {
            return Verdict::Allow;
        }
        let email = self.looked_up(email);
        let key = asker.cache.key(visit, email);
        if let Some((verdict, left)) = asker.cache.get(key) {
            asker.cached.fetch_add(1, Relaxed);
            self.report(visit, email, &verdict, left);
            return verdict;
        }
        let message = || protocol::decide(&protocol::details(visit, email), &self.messages(email.is_some()));
        match asker.decide(message, email.is_some()).await {
            Some((verdict, ttl)) => {
                asker.cache.put(key, &verdict, ttl);
                verdict
            }
            // The embedded guard has let them in, but for what it leaves to Arcjet.
            None => self.judge_bots(visit, email),
        }
    }

    fn judge_bots(&self, visit: &Visit<'_>, email: Option<&str>) -> Verdict {
        if !self.local.guard().is_bot(visit) {
            return Verdict::Allow;
        }
        self.report(visit, email, &Verdict::Bot, Duration::ZERO);
        Verdict::Bot
    }
}

#[async_trait]
impl Shield for ArcjetShield {
    async fn check(&self, visit: &Visit<'_>) -> Verdict {
        let verdict = self.local.guard().check_but_bots(visit);
        if verdict != Verdict::Allow {
            self.report(visit, None, &verdict, Duration::ZERO);
            return verdict;
        }
        match visit.class {
            // Many a second; and who they are was asked when the socket opened.
            VisitClass::SocketEvent => Verdict::Allow,
            // `check_account` follows, and knows more.
            VisitClass::Credentials => Verdict::Allow,
            VisitClass::Request | VisitClass::Connect => self.ask(visit, None).await,
        }
    }

    async fn check_account(&self, attempt: &AccountVisit<'_>) -> Verdict {
        let email = (attempt.action == AccountAction::SignUp).then_some(attempt.email);
        let verdict = self.local.guard().check_account(attempt);
        if verdict != Verdict::Allow {
            self.report(&attempt.visit, email, &verdict, Duration::ZERO);
            return verdict;
        }
        // Of others it was asked before their body was read.
        if attempt.visit.class != VisitClass::Credentials {
            return Verdict::Allow;
        }
        self.ask(&attempt.visit, email).await
    }

    fn stats(&self) -> ShieldStats {
        let asker = &self.asker;
        ShieldStats {
            asked: asker.asked.load(Relaxed),
            cached: asker.cached.load(Relaxed),
            fallbacks: asker.fallbacks.load(Relaxed),
            reports_dropped: asker.reports_dropped.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn bots_are_left_to_arcjet_where_it_refuses_them() {
        let shield = || ArcjetShield::new("ajkey_0123").unwrap();
        assert!(shield().leaves_bots());
        assert!(!shield().with_dry_run().leaves_bots());
        assert!(!shield().with_rules([ArcjetRule::Shield]).leaves_bots());
        assert_eq!(shield().looked_up(Some("ann@example.org")), Some("ann@example.org"));
        assert_eq!(shield().with_rules([ArcjetRule::Shield]).looked_up(Some("ann@example.org")), None);
    }

    #[test]
    fn keys() {
        for bad in ["", "ajkey_", "key", "ajkey_a b", "ajkey_é"] {
            let error = ArcjetShield::new(bad).unwrap_err();
            assert!(matches!(error, ArcjetSettingsError::Key) && !error.to_string().contains("a b"));
        }
        let shield = ArcjetShield::new("ajkey_secret").unwrap();
        assert!(!format!("{shield:?}").contains("secret"));
        assert!(shield.with_base_url("decide.example.org").is_err());
    }

    #[tokio::test]
    async fn nobody_there_is_no_reason_to_turn_anybody_away() {
        // A port that nobody listens on any more.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let shield = ArcjetShield::new("ajkey_x").unwrap().with_base_url(&url).unwrap();
        let (head, ()) = Request::get("/api/auth/me").body(()).unwrap().into_parts();
        let address = Some("192.0.2.1".parse().unwrap());
        let visit = Visit { address, head: Some(&head), ..Visit::new(VisitClass::Request) };
        for nothing in [Visit { head: None, ..visit }, Visit { address: None, ..visit }] {
            assert_eq!(shield.check(&nothing).await, Verdict::Allow);
            assert_eq!(shield.stats(), ShieldStats::default(), "there is nothing to ask about");
        }
        for _ in 0..10 {
            assert_eq!(shield.check(&visit).await, Verdict::Allow);
        }
        let stats = shield.stats();
        assert_eq!((stats.asked, stats.fallbacks), (3, 10), "after three failures nobody asks for a while");
        let crawler = Some("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");
        assert_eq!(
            shield.check(&Visit { user_agent: crawler, ..visit }).await,
            Verdict::Bot,
            "the embedded one decides"
        );
    }
}
