//! The embedded guard: limits by governor, bots by isbot.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use governor::clock::{Clock, DefaultClock};

use super::{
    BotPolicy, Quota, Shield, Verdict, Visit, VisitClass,
    limits::{Limit, Source},
};
use crate::RateLimited;

/// Keys that one limit remembers, by default: some 6 MB where all are in use.
const MOST_KEYS: usize = 100_000;

/// The embedded guard.
///
/// | visit | counted by | policy | default |
/// |---|---|---|---|
/// | [`Credentials`](VisitClass::Credentials) | address | `credentials` | 30 a minute |
/// | [`Request`](VisitClass::Request) | address | `requests` | 600 a minute |
/// | | and user | `user-requests` | 600 a minute |
/// | [`Connect`](VisitClass::Connect) | address | `connects` | 120 a minute |
/// | [`SocketEvent`](VisitClass::SocketEvent) | user, or else address | `events` | 600 a minute |
///
/// Ten a second, on and on, is more than a person types or clicks, and all of a minute's may come at once (see
/// [`Quota`]), as they do when an application starts.
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
/// What is counted is of this process alone.
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

    /// How many addresses, or users, each limit remembers at most. Newcomers beyond it share one bucket.
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
}

/// The guard, on any clock: a test does not wait for one.
#[derive(Debug)]
struct Guard<C: Clock + Clone> {
    bots: BotPolicy,
    credentials: Limit<C>,
    requests: Limit<C>,
    user_requests: Limit<C>,
    connects: Limit<C>,
    events: Limit<C>,
    /// Whether it was said that addresses are missing.
    warned: AtomicBool,
}

impl<C: Clock + Clone> Guard<C> {
    fn new(clock: &C) -> Self {
        let limit = |policy, quota| Limit::new(policy, quota, MOST_KEYS, clock.clone());
        Self {
            bots: BotPolicy::default(),
            credentials: limit("credentials", Quota::per_minute(30)),
            requests: limit("requests", Quota::per_minute(600)),
            user_requests: limit("user-requests", Quota::per_minute(600)),
            connects: limit("connects", Quota::per_minute(120)),
            events: limit("events", Quota::per_minute(600)),
            warned: AtomicBool::new(false),
        }
    }

    fn set_max_keys(&mut self, keys: usize) {
        let Self { credentials, requests, user_requests, connects, events, .. } = self;
        for limit in [credentials, requests, user_requests, connects, events] {
            limit.set_max_keys(keys);
        }
    }

    fn check(&self, visit: &Visit<'_>) -> Verdict {
        if visit.class != VisitClass::SocketEvent && self.bots.denies(visit.user_agent) {
            return Verdict::Bot;
        }
        match self.count(visit) {
            Ok(()) => Verdict::Allow,
            Err(limited) => Verdict::RateLimited(limited),
        }
    }

    fn count(&self, visit: &Visit<'_>) -> Result<(), RateLimited> {
        let user = visit.user.map(Source::User);
        match visit.class {
            VisitClass::Credentials => self.credentials.check(self.address(visit)),
            VisitClass::Request => {
                self.requests.check(self.address(visit))?;
                user.map_or(Ok(()), |user| self.user_requests.check(user))
            }
            VisitClass::Connect => self.connects.check(self.address(visit)),
            VisitClass::SocketEvent => self.events.check(user.unwrap_or_else(|| self.address(visit))),
        }
    }

    /// Where a visit comes from; the first one from nowhere is logged.
    fn address(&self, visit: &Visit<'_>) -> Source {
        if visit.address.is_none() && !self.warned.swap(true, Relaxed) {
            tracing::warn!(
                "the shield gets no client addresses, so all clients share one limit: pass on the peer address of \
                 each connection"
            );
        }
        Source::from(visit.address)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::UserId;

    fn guard() -> (Guard<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Guard::new(&clock), clock)
    }

    fn visit(class: VisitClass, address: &str) -> Visit<'static> {
        Visit { address: Some(address.parse().unwrap()), ..Visit::new(class) }
    }

    /// How many of these are let in until one is not, and what is said to that one.
    fn exhaust(guard: &Guard<FakeRelativeClock>, visit: &Visit<'_>) -> (u32, RateLimited) {
        for allowed in 0.. {
            match guard.check(visit) {
                Verdict::Allow => assert!(allowed < 10_000, "no limit"),
                Verdict::RateLimited(limited) => return (allowed, limited),
                other => panic!("{other:?}"),
            }
        }
        unreachable!()
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn each_class_has_its_default() {
        use VisitClass::{Connect, Credentials, Request, SocketEvent};
        for (class, limit, policy) in [
            (Credentials, 30, "credentials"),
            (Request, 600, "requests"),
            (Connect, 120, "connects"),
            (SocketEvent, 600, "events"),
        ] {
            let (guard, _) = guard();
            let retry_after = MINUTE / limit;
            let limited = RateLimited { policy, limit, window: MINUTE, retry_after };
            assert_eq!(exhaust(&guard, &visit(class, "192.0.2.1")), (limit, limited));
        }
    }

    #[test]
    fn classes_do_not_use_each_other_up() {
        let (guard, _) = guard();
        exhaust(&guard, &visit(VisitClass::Credentials, "192.0.2.1"));
        assert_eq!(guard.check(&visit(VisitClass::Request, "192.0.2.1")), Verdict::Allow);
        assert_eq!(guard.check(&visit(VisitClass::Connect, "192.0.2.1")), Verdict::Allow);
    }

    #[test]
    fn a_bucket_refills_evenly() {
        let (guard, clock) = guard();
        let visit = visit(VisitClass::Credentials, "192.0.2.1");
        let (_, limited) = exhaust(&guard, &visit);
        assert_eq!(limited.retry_after, Duration::from_secs(2));

        clock.advance(Duration::from_millis(1500));
        assert_eq!(exhaust(&guard, &visit).1.retry_after, Duration::from_millis(500));
        clock.advance(Duration::from_millis(500));
        assert_eq!(exhaust(&guard, &visit).0, 1);
        clock.advance(MINUTE);
        assert_eq!(exhaust(&guard, &visit).0, 30);
        // It does not fill beyond its brim.
        clock.advance(MINUTE * 10);
        assert_eq!(exhaust(&guard, &visit).0, 30);
    }

    #[test]
    fn addresses_are_told_apart_as_households() {
        let allowed = |first: &str, second: &str| {
            let (guard, _) = guard();
            exhaust(&guard, &visit(VisitClass::Credentials, first));
            guard.check(&visit(VisitClass::Credentials, second)) == Verdict::Allow
        };
        assert!(allowed("192.0.2.1", "192.0.2.2"));
        assert!(!allowed("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(allowed("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
        assert!(!allowed("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(allowed("2001:db8:1:2::1", "2001:db8:1:3::1"));
    }

    #[test]
    fn a_user_is_counted_across_addresses() {
        let (guard, _) = guard();
        let user = UserId::from_bytes([1; 12]);
        for n in 0..600u32 {
            let address = format!("198.51.{}.{}", n / 200, n % 200);
            let visit = Visit { user: Some(user), ..visit(VisitClass::Request, &address) };
            assert_eq!(guard.check(&visit), Verdict::Allow);
        }
        let here = visit(VisitClass::Request, "192.0.2.1");
        let Verdict::RateLimited(limited) = guard.check(&Visit { user: Some(user), ..here }) else {
            panic!("the user has had their share")
        };
        assert_eq!(limited.policy, "user-requests");
        // Another one at the same address goes on.
        assert_eq!(guard.check(&Visit { user: Some(UserId::from_bytes([2; 12])), ..here }), Verdict::Allow);
    }

    #[test]
    fn events_are_counted_by_user_and_need_no_address() {
        let (guard, _) = guard();
        let event = |user| Visit { user, address: None, ..visit(VisitClass::SocketEvent, "192.0.2.1") };
        let (one, other) =
            (event(Some(UserId::from_bytes([3; 12]))), event(Some(UserId::from_bytes([4; 12]))));
        assert_eq!(exhaust(&guard, &one).0, 600);
        assert_eq!(guard.check(&other), Verdict::Allow);
        assert!(!guard.warned.load(Relaxed));
    }

    #[test]
    fn visits_from_nowhere_share_a_bucket() {
        let (guard, _) = guard();
        let nowhere = Visit { address: None, ..visit(VisitClass::Credentials, "192.0.2.1") };
        assert_eq!(exhaust(&guard, &nowhere).0, 30);
        assert!(guard.warned.load(Relaxed));
        assert_eq!(guard.check(&visit(VisitClass::Credentials, "192.0.2.1")), Verdict::Allow);
    }

    #[test]
    fn bots_are_denied_uncounted_and_not_on_an_open_socket() {
        let (mut guard, _) = guard();
        let crawler = Some("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");
        let classes = [VisitClass::Credentials, VisitClass::Request, VisitClass::Connect];
        for class in classes {
            for _ in 0..1000 {
                assert_eq!(
                    guard.check(&Visit { user_agent: crawler, ..visit(class, "192.0.2.1") }),
                    Verdict::Bot
                );
            }
            assert_eq!(guard.check(&visit(class, "192.0.2.1")), Verdict::Allow);
        }
        guard.bots = BotPolicy::Strict;
        for class in classes {
            assert_eq!(guard.check(&visit(class, "192.0.2.1")), Verdict::Bot);
        }
        assert_eq!(guard.check(&visit(VisitClass::SocketEvent, "192.0.2.1")), Verdict::Allow);
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
    }
}
