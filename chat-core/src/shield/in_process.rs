//! The embedded guard: limits by governor, bots by isbot.

use async_trait::async_trait;
use governor::clock::DefaultClock;

use super::{AccountVisit, BotPolicy, Quota, Shield, Verdict, Visit, guard::Guard};

/// The embedded guard.
///
/// | visit | counted by | policy | default |
/// |---|---|---|---|
/// | [`Credentials`](super::VisitClass::Credentials) | address | `credentials` | 30 a minute |
/// | [`Request`](super::VisitClass::Request) | address | `requests` | 600 a minute |
/// | | and user | `user-requests` | 600 a minute |
/// | [`Connect`](super::VisitClass::Connect) | address | `connects` | 120 a minute |
/// | [`SocketEvent`](super::VisitClass::SocketEvent) | user, or else address | `events` | 600 a minute |
/// | [`LogIn`](super::AccountAction::LogIn) from a device that nobody knows | e-mail | `logins` | 10, then one a minute |
/// | from a [known](AccountVisit::is_known) one | e-mail and address | `known-logins` | 30 a minute |
/// | [`Mail`](super::AccountAction::Mail) | e-mail | `mails` | 3, then one each 10 minutes |
///
/// Ten a second, on and on, is more than a person types or clicks, and all of a minute's may come at once (see
/// [`Quota`]), as they do when an application starts.
///
/// Guesses at one account from very many addresses are slowed by its e-mail: 70 in the first hour and 60 in each one
/// after, where OWASP's ASVS 5 asks for at most 100. A stranger who keeps that up keeps its owner from signing in on new
/// devices, and not on those where they have signed in before, which have limits of their own.
///
/// An address is an IPv4 address, or the first 64 bits of an IPv6 address. All visits without an address share one
/// bucket, and the first of them is logged: the application has not passed on where its clients come from.
///
/// Each limit remembers 100,000 keys (see [`with_max_keys`](Self::with_max_keys)) and forgets those whose bucket is
/// full again. Where all places are in use, newcomers share one bucket of the same quota until there is room: a flood
/// from very many addresses slows strangers down and neither fills the memory nor goes unlimited.
///
/// Bots are judged before anything is counted, by the user agent; see [`BotPolicy`]. Not on an open socket, which was
/// judged when it connected.
///
/// A request whose path or query is what scanners send (`/.env`, `/wp-login.php`, `../`, `<script`, `${jndi:` …) is
/// refused, and counted as a request. What people write is in bodies, and these are never looked into; see
/// [`with_probes_let_in`](Self::with_probes_let_in).
///
/// What is counted is of this process alone. E-mails are remembered as hashes under a key of this process.
///
/// ```
/// use std::time::Duration;
/// use chat_core::shield::{BotPolicy, InProcessShield, Quota};
///
/// let shield = InProcessShield::new()
///     .with_credentials(Quota { limit: 10, window: Duration::from_secs(300) })
///     .with_connects(Quota::per_minute(30))
///     .with_bots(BotPolicy::Strict);
/// ```
#[derive(Debug)]
pub struct InProcessShield {
    guard: Guard<DefaultClock>,
}

impl InProcessShield {
    /// With the default limits.
    #[must_use]
    pub fn new() -> Self {
        let guard = Guard::new(&DefaultClock::default());
        guard.bots.prepare();
        Self { guard }
    }

    /// How often one address may sign up or log in.
    #[must_use]
    pub fn with_credentials(mut self, quota: Quota) -> Self {
        self.guard.credentials.set_quota(quota);
        self
    }

    /// How many other requests may come from one address.
    #[must_use]
    pub fn with_requests(mut self, quota: Quota) -> Self {
        self.guard.requests.set_quota(quota);
        self
    }

    /// How many other requests may come from one user, from all their addresses.
    #[must_use]
    pub fn with_user_requests(mut self, quota: Quota) -> Self {
        self.guard.user_requests.set_quota(quota);
        self
    }

    /// How many sockets one address may open.
    #[must_use]
    pub fn with_connects(mut self, quota: Quota) -> Self {
        self.guard.connects.set_quota(quota);
        self
    }

    /// How many events one user may send, on all their sockets.
    #[must_use]
    pub fn with_events(mut self, quota: Quota) -> Self {
        self.guard.events.set_quota(quota);
        self
    }

    /// How often somebody may try to log in to one account, from all the devices together on which nobody has signed in
    /// to it before.
    #[must_use]
    pub fn with_logins(mut self, quota: Quota) -> Self {
        self.guard.logins.set_quota(quota);
        self
    }

    /// How often somebody may try to log in to one account from one address, on a device on which somebody has signed in
    /// to it before.
    #[must_use]
    pub fn with_known_logins(mut self, quota: Quota) -> Self {
        self.guard.known_logins.set_quota(quota);
        self
    }

    /// How many mails may be asked for to one e-mail.
    #[must_use]
    pub fn with_mails(mut self, quota: Quota) -> Self {
        self.guard.mails.set_quota(quota);
        self
    }

    /// Nobody signs up with an e-mail of a provider of disposable ones, nor of a subdomain of it. The list, of some
    /// 56,000 domains, is that of the crate `mailchecker`: a new version of it has the newer ones. It also has services
    /// that forward mail from an alias, such as `duck.com`.
    #[cfg(feature = "disposable-emails")]
    #[must_use]
    pub fn with_disposable_emails_refused(mut self) -> Self {
        super::disposable::prepare();
        self.guard.refuses_disposable = true;
        self
    }

    /// Lets in requests whose path or query is what scanners send. They only get a 404, or what an application makes of
    /// them that has such paths itself.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_probes_let_in(mut self) -> Self {
        self.guard.refuses_probes = false;
        self
    }

    /// How many addresses, users, or e-mails each limit remembers at most. Newcomers beyond it share one bucket.
    #[must_use]
    pub fn with_max_keys(mut self, keys: usize) -> Self {
        self.guard.set_max_keys(keys);
        self
    }

    /// Which automated clients are let through.
    #[must_use]
    pub fn with_bots(mut self, policy: BotPolicy) -> Self {
        policy.prepare();
        self.guard.bots = policy;
        self
    }

    #[cfg(feature = "arcjet")]
    pub(super) fn guard(&self) -> &Guard<DefaultClock> {
        &self.guard
    }
}

impl Default for InProcessShield {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Shield for InProcessShield {
    async fn check(&self, visit: &Visit<'_>) -> Verdict {
        self.guard.check(visit)
    }

    async fn check_account(&self, attempt: &AccountVisit<'_>) -> Verdict {
        self.guard.check_account(attempt)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        UserId,
        shield::{AccountAction, VisitClass},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn visit(class: VisitClass, address: &str) -> Visit<'static> {
        Visit { address: Some(address.parse().unwrap()), ..Visit::new(class) }
    }

    #[tokio::test]
    async fn setters_set_each_its_own() {
        let two = Quota { limit: 2, window: MINUTE };
        let shield = InProcessShield::default()
            .with_credentials(two)
            .with_requests(Quota { limit: 3, ..two })
            .with_user_requests(Quota { limit: 1, ..two })
            .with_connects(Quota { limit: 4, ..two })
            .with_events(Quota { limit: 5, ..two })
            .with_logins(Quota { limit: 6, ..two })
            .with_known_logins(Quota { limit: 7, ..two })
            .with_mails(Quota { limit: 8, ..two })
            .with_max_keys(7)
            .with_bots(BotPolicy::AllowAll);
        for (class, user, most) in [
            (VisitClass::Credentials, None, 2),
            (VisitClass::Request, None, 3),
            (VisitClass::Request, Some(UserId::from_bytes([5; 12])), 1),
            (VisitClass::Connect, None, 4),
            (VisitClass::SocketEvent, None, 5),
        ] {
            let address = if user.is_some() { "192.0.2.2" } else { "192.0.2.1" };
            let visit = Visit { user, user_agent: Some("Googlebot/2.1"), ..visit(class, address) };
            let mut allowed = 0;
            while shield.check(&visit).await == Verdict::Allow {
                allowed += 1;
            }
            assert_eq!(allowed, most, "{class:?}");
        }
        for (action, is_known, most) in [
            (AccountAction::LogIn, false, 6),
            (AccountAction::LogIn, true, 7),
            (AccountAction::Mail, false, 8),
        ] {
            let visit = visit(VisitClass::Credentials, "192.0.2.1");
            let attempt = AccountVisit { visit, action, email: "ann@example.org", is_known };
            let mut allowed = 0;
            while shield.check_account(&attempt).await == Verdict::Allow {
                allowed += 1;
            }
            assert_eq!(allowed, most, "{action:?}");
        }
    }
}
