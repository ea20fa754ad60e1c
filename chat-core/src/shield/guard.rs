//! What the embedded guard decides, on any clock.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use governor::clock::Clock;

#[cfg(feature = "http")]
use super::probes;
use super::{
    AccountAction, AccountVisit, BotPolicy, Quota, Verdict, Visit, VisitClass,
    limits::{Limit, Source},
};
use crate::{RateLimited, store::email_key};

/// Keys that one limit remembers, by default: some 3 MB where all are in use.
const MOST_KEYS: usize = 100_000;

/// The guard, on any clock: a test does not wait for one.
#[derive(Debug)]
pub(super) struct Guard<C: Clock + Clone> {
    pub(super) bots: BotPolicy,
    pub(super) credentials: Limit<C>,
    pub(super) requests: Limit<C>,
    pub(super) user_requests: Limit<C>,
    pub(super) connects: Limit<C>,
    pub(super) events: Limit<C>,
    pub(super) logins: Limit<C>,
    pub(super) known_logins: Limit<C>,
    pub(super) mails: Limit<C>,
    #[cfg(feature = "http")]
    pub(super) refuses_probes: bool,
    #[cfg(feature = "disposable-emails")]
    pub(super) refuses_disposable: bool,
    /// Keys of a map must not say whose e-mails they are, nor be made to collide.
    emails: RandomState,
    /// Whether it was said that addresses are missing.
    warned: AtomicBool,
}

impl<C: Clock + Clone> Guard<C> {
    pub(super) fn new(clock: &C) -> Self {
        let limit = |policy, quota| Limit::new(policy, quota, MOST_KEYS, clock.clone());
        // So many at once, and then one in such a time.
        let slow = |burst: u32, seconds| Quota { limit: burst, window: Duration::from_secs(seconds) * burst };
        Self {
            bots: BotPolicy::default(),
            credentials: limit("credentials", Quota::per_minute(30)),
            requests: limit("requests", Quota::per_minute(600)),
            user_requests: limit("user-requests", Quota::per_minute(600)),
            connects: limit("connects", Quota::per_minute(120)),
            events: limit("events", Quota::per_minute(600)),
            logins: limit("logins", slow(10, 60)),
            known_logins: limit("known-logins", Quota::per_minute(30)),
            mails: limit("mails", slow(3, 600)),
            #[cfg(feature = "http")]
            refuses_probes: true,
            #[cfg(feature = "disposable-emails")]
            refuses_disposable: false,
            emails: RandomState::new(),
            warned: AtomicBool::new(false),
        }
    }

    pub(super) fn set_max_keys(&mut self, keys: usize) {
        let Self { credentials, requests, user_requests, connects, events, .. } = self;
        let Self { logins, known_logins, mails, .. } = self;
        for limit in [credentials, requests, user_requests, connects, events, logins, known_logins, mails] {
            limit.set_max_keys(keys);
        }
    }

    pub(super) fn check(&self, visit: &Visit<'_>) -> Verdict {
        if self.is_bot(visit) { Verdict::Bot } else { self.check_but_bots(visit) }
    }

    /// Whether this is a bot that is not let in.
    pub(super) fn is_bot(&self, visit: &Visit<'_>) -> bool {
        visit.class != VisitClass::SocketEvent && self.bots.denies(visit.user_agent)
    }

    /// Everything but whether this is a bot.
    pub(super) fn check_but_bots(&self, visit: &Visit<'_>) -> Verdict {
        if let Err(limited) = self.count(visit) {
            return Verdict::RateLimited(limited);
        }
        // Counted before: whoever goes on with it is told to wait.
        #[cfg(feature = "http")]
        if self.refuses_probes && visit.head.is_some_and(|head| probes::is_probe(&head.uri)) {
            return Verdict::Denied("This request looks like a search for holes.".into());
        }
        Verdict::Allow
    }

    pub(super) fn check_account(&self, attempt: &AccountVisit<'_>) -> Verdict {
        let counted = match attempt.action {
            AccountAction::SignUp => Ok(()),
            AccountAction::LogIn if attempt.is_known => {
                let at = Source::from(attempt.visit.address);
                self.known_logins
                    .check(Source::Email(self.emails.hash_one((email_key(attempt.email.trim()), at))))
            }
            AccountAction::LogIn => self.logins.check(self.email(attempt.email)),
            AccountAction::Mail => self.mails.check(self.email(attempt.email)),
        };
        if let Err(limited) = counted {
            return Verdict::RateLimited(limited);
        }
        #[cfg(feature = "disposable-emails")]
        if self.refuses_disposable
            && attempt.action == AccountAction::SignUp
            && super::disposable::is_disposable(attempt.email)
        {
            return Verdict::Denied("Sign up with an e-mail that is not a disposable one.".into());
        }
        Verdict::Allow
    }

    /// The account of this e-mail, whether there is one or not.
    fn email(&self, email: &str) -> Source {
        Source::Email(self.emails.hash_one(email_key(email.trim())))
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

    fn attempt<'a>(action: AccountAction, email: &'a str, address: &str, is_known: bool) -> AccountVisit<'a> {
        AccountVisit { visit: visit(VisitClass::Credentials, address), action, email, is_known }
    }

    /// How many of these are let in until one is not, and what is said to that one.
    fn exhaust_account(
        guard: &Guard<FakeRelativeClock>,
        attempt: impl Fn(u32) -> AccountVisit<'static>,
    ) -> (u32, RateLimited) {
        for allowed in 0..10_000 {
            match guard.check_account(&attempt(allowed)) {
                Verdict::Allow => {}
                Verdict::RateLimited(limited) => return (allowed, limited),
                other => panic!("{other:?}"),
            }
        }
        panic!("no limit")
    }

    /// An attempt of somebody with very many addresses.
    fn guess(n: u32) -> AccountVisit<'static> {
        attempt(AccountAction::LogIn, "ann@example.org", &format!("198.51.{}.{}", n / 250, n % 250), false)
    }

    #[test]
    fn a_distributed_guess_at_one_account_is_slowed() {
        let (guard, clock) = guard();
        let (allowed, limited) = exhaust_account(&guard, guess);
        assert_eq!((allowed, limited.policy, limited.retry_after), (10, "logins", MINUTE));
        // Within an hour that is at most 70, and ASVS asks for 100.
        let mut tried = 0;
        for minute in 0..60 {
            clock.advance(MINUTE);
            tried += exhaust_account(&guard, |n| guess(minute * 100 + n)).0;
        }
        assert_eq!(tried, 60);
        // However it is written, it is the same account; and another one is another.
        for email in ["ANN@example.org", " Ann@Example.ORG\n"] {
            let written = attempt(AccountAction::LogIn, email, "192.0.2.1", false);
            assert!(matches!(guard.check_account(&written), Verdict::RateLimited(_)), "{email}");
        }
        let other = attempt(AccountAction::LogIn, "bob@example.org", "192.0.2.1", false);
        assert_eq!(guard.check_account(&other), Verdict::Allow);
    }

    #[test]
    fn a_stranger_does_not_lock_the_owner_out() {
        let (guard, _) = guard();
        exhaust_account(&guard, guess);
        let owner = |_| attempt(AccountAction::LogIn, "ann@example.org", "192.0.2.1", true);
        let (allowed, limited) = exhaust_account(&guard, owner);
        assert_eq!((allowed, limited.policy), (30, "known-logins"));
        // Nor does somebody who has stolen what makes their device known, from another address.
        let elsewhere = attempt(AccountAction::LogIn, "ann@example.org", "2001:db8::1", true);
        assert_eq!(guard.check_account(&elsewhere), Verdict::Allow);
    }

    #[test]
    fn mails_to_one_address_are_few_and_sign_ups_are_not_counted() {
        let (guard, clock) = guard();
        let mail = |_| attempt(AccountAction::Mail, "ann@example.org", "192.0.2.1", false);
        let (allowed, limited) = exhaust_account(&guard, mail);
        assert_eq!((allowed, limited.policy, limited.retry_after), (3, "mails", 10 * MINUTE));
        clock.advance(10 * MINUTE);
        assert_eq!(exhaust_account(&guard, mail).0, 1);
        for _ in 0..1000 {
            let sign_up = attempt(AccountAction::SignUp, "ann@example.org", "192.0.2.1", false);
            assert_eq!(guard.check_account(&sign_up), Verdict::Allow);
        }
    }

    #[cfg(feature = "disposable-emails")]
    #[test]
    fn disposable_emails_are_refused_when_asked_for_and_at_sign_up_only() {
        let (mut guard, _) = guard();
        let with = |action| attempt(action, "ann@x.mailinator.com", "192.0.2.1", false);
        assert_eq!(guard.check_account(&with(AccountAction::SignUp)), Verdict::Allow);
        guard.refuses_disposable = true;
        assert!(matches!(guard.check_account(&with(AccountAction::SignUp)), Verdict::Denied(_)));
        for action in [AccountAction::LogIn, AccountAction::Mail] {
            assert_eq!(guard.check_account(&with(action)), Verdict::Allow);
        }
    }

    #[cfg(feature = "http")]
    #[test]
    fn probes_are_refused_and_counted() {
        let (mut guard, _) = guard();
        let (head, ()) = http::Request::get("/.env").body(()).unwrap().into_parts();
        let probe = Visit { head: Some(&head), ..visit(VisitClass::Request, "192.0.2.1") };
        for _ in 0..600 {
            assert!(matches!(guard.check(&probe), Verdict::Denied(_)));
        }
        assert!(matches!(guard.check(&probe), Verdict::RateLimited(_)));
        guard.refuses_probes = false;
        assert_eq!(guard.check(&Visit { address: Some([192, 0, 2, 2].into()), ..probe }), Verdict::Allow);
    }
}
