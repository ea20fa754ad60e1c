//! Limits: so many visits of one kind, from one source, in a time.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use governor::{RateLimiter, clock::Clock, middleware::NoOpMiddleware};

use super::store::Buckets;
use crate::{RateLimited, UserId};

/// So many in such a time, as a bucket that refills evenly.
///
/// The bucket is full at first: `limit` visits may come at once, and from then on one every `window / limit`. Somebody
/// who sends now and then never meets it, and nobody gets through more than twice the limit in any one window.
///
/// A limit of 0 denies everybody; a window of zero limits nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many at once, and in a window.
    pub limit: u32,
    /// The window in which the bucket refills.
    pub window: Duration,
}

impl Quota {
    /// So many a minute.
    #[must_use]
    pub const fn per_minute(limit: u32) -> Self {
        Self { limit, window: Duration::from_secs(60) }
    }
}

/// The longest window. A longer one would overflow the clock's arithmetic, and means never anyhow.
const LONGEST_WINDOW: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Idle buckets are dropped once in so many visits: often enough to stay small, rarely enough to cost nothing.
const SWEEP_EVERY: u32 = 4096;

/// And more often when there is no place for newcomers, who share one bucket until there is.
const SWEEP_EVERY_WHEN_FULL: u32 = 256;

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4(Ipv4Addr),
    /// The first 64 bits: that much a household has, and could send each request from another address of it.
    V6(u64),
    /// All whose address is not known share one bucket.
    Unknown,
    User(UserId),
    /// A hash of an e-mail, under a key that nobody knows.
    Email(u64),
}

impl From<Option<IpAddr>> for Source {
    fn from(address: Option<IpAddr>) -> Self {
        // A socket that takes both kinds sees IPv4 as IPv6; it is the same visitor.
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => Self::V6((address.to_bits() >> 64) as u64),
            None => Self::Unknown,
        }
    }
}

type Limiter<C> = RateLimiter<Source, Buckets<Source>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One limit, with a bucket for each source.
pub(super) struct Limit<C: Clock + Clone> {
    policy: &'static str,
    quota: Quota,
    most_keys: usize,
    clock: C,
    visits: AtomicU32,
    /// None where nothing has to be counted: nobody is let in, or everybody.
    limiter: Option<Limiter<C>>,
}

impl<C: Clock + Clone> Limit<C> {
    pub(super) fn new(policy: &'static str, quota: Quota, most_keys: usize, clock: C) -> Self {
        let quota = Quota { window: quota.window.min(LONGEST_WINDOW), ..quota };
        let limiter = NonZeroU32::new(quota.limit)
            .and_then(|limit| {
                Some(governor::Quota::with_period(quota.window / quota.limit)?.allow_burst(limit))
            })
            .map(|quota| RateLimiter::new(quota, Buckets::new(most_keys), clock.clone()));
        Self { policy, quota, most_keys, clock, visits: AtomicU32::new(0), limiter }
    }

    /// Sets another quota; what was counted is forgotten.
    pub(super) fn set_quota(&mut self, quota: Quota) {
        *self = Self::new(self.policy, quota, self.most_keys, self.clock.clone());
    }

    /// Sets another number of keys; what was counted is forgotten.
    pub(super) fn set_max_keys(&mut self, keys: usize) {
        *self = Self::new(self.policy, self.quota, keys, self.clock.clone());
    }

    /// Counts a visit.
    pub(super) fn check(&self, source: Source) -> Result<(), RateLimited> {
        let Some(limiter) = &self.limiter else {
            return if self.quota.limit == 0 { Err(self.limited(self.quota.window)) } else { Ok(()) };
        };
        self.sweep(limiter);
        limiter.check_key(&source).map_err(|until| self.limited(until.wait_time_from(self.clock.now())))
    }

    /// Drops the buckets that are full again, which are as good as new ones. Visitors do it in passing, so that no
    /// task has to run beside them.
    fn sweep(&self, limiter: &Limiter<C>) {
        let visits = self.visits.fetch_add(1, Relaxed).wrapping_add(1);
        let every = if limiter.len() < self.most_keys { SWEEP_EVERY } else { SWEEP_EVERY_WHEN_FULL };
        if visits.is_multiple_of(every) {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    const fn limited(&self, retry_after: Duration) -> RateLimited {
        RateLimited { policy: self.policy, limit: self.quota.limit, window: self.quota.window, retry_after }
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> u32 {
        self.limiter.as_ref().map_or(0, |limiter| u32::try_from(limiter.len()).unwrap())
    }
}

impl<C: Clock + Clone> fmt::Debug for Limit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the sources: they are people's addresses.
        f.debug_struct("Limit")
            .field("policy", &self.policy)
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const TWO: Quota = Quota { limit: 2, window: Duration::from_secs(10) };

    fn limit(quota: Quota, most_keys: usize) -> (Limit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limit::new("test", quota, most_keys, clock.clone()), clock)
    }

    fn source(n: u32) -> Source {
        Source::V4(Ipv4Addr::from_bits(n))
    }

    #[test]
    fn newcomers_beyond_the_cap_share_one_bucket() {
        let (limit, clock) = limit(TWO, 3);
        for n in 0..3 {
            assert_eq!(limit.check(source(n)), Ok(()));
        }
        // Two in all for everybody else, wherever they come from.
        assert_eq!(limit.check(source(10)), Ok(()));
        assert_eq!(limit.check(source(11)), Ok(()));
        let limited = limit.check(source(12)).unwrap_err();
        assert_eq!(limited.retry_after, Duration::from_secs(5));
        assert_eq!(limit.keys(), 3);
        // Who has a bucket keeps it.
        assert_eq!(limit.check(source(0)), Ok(()));
        assert!(limit.check(source(0)).is_err());
        // The shared one refills as the others do.
        clock.advance(Duration::from_secs(5));
        assert_eq!(limit.check(source(12)), Ok(()));
        assert!(limit.check(source(13)).is_err());
    }

    #[test]
    fn idle_buckets_are_dropped_and_busy_ones_kept() {
        let (limit, clock) = limit(TWO, 10_000);
        for n in 1..SWEEP_EVERY {
            assert_eq!(limit.check(source(n)), Ok(()));
        }
        assert_eq!(limit.keys(), SWEEP_EVERY - 1);
        clock.advance(TWO.window);
        assert_eq!(limit.check(source(0)), Ok(()));
        assert_eq!(limit.keys(), 1, "all but the one that just came");

        assert_eq!(limit.check(source(0)), Ok(()));
        for n in 2..SWEEP_EVERY {
            assert_eq!(limit.check(source(n)), Ok(()));
        }
        assert!(limit.check(source(0)).is_err(), "the sweep must not forgive");
        assert_eq!(limit.keys(), SWEEP_EVERY - 1);
    }

    #[test]
    fn room_is_found_again_soon_after_a_flood() {
        let (limit, clock) = limit(TWO, 100);
        for n in 0..1000 {
            let _ = limit.check(source(n));
        }
        assert_eq!(limit.keys(), 100);
        clock.advance(TWO.window);
        for _ in 0..SWEEP_EVERY_WHEN_FULL {
            let _ = limit.check(source(5000));
        }
        assert_eq!(limit.keys(), 1, "the newcomer has a bucket of their own");
    }

    #[test]
    fn the_cap_holds_when_all_come_at_once() {
        let (limit, _) = limit(TWO, 500);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let limit = &limit;
                scope.spawn(move || (0..2000).for_each(|n| _ = limit.check(source(thread * 10_000 + n))));
            }
        });
        assert_eq!(limit.keys(), 500);
    }

    #[test]
    fn nobody_and_everybody() {
        let (nobody, _) = limit(Quota { limit: 0, ..TWO }, 10);
        assert_eq!(nobody.check(source(1)).unwrap_err().retry_after, TWO.window);
        let (everybody, _) = limit(Quota { limit: 1, window: Duration::ZERO }, 10);
        assert!((0..1000).all(|_| everybody.check(source(1)).is_ok()));
        let (once, _) = limit(Quota { limit: 1, window: Duration::MAX }, 10);
        assert_eq!(once.check(source(1)), Ok(()));
        assert_eq!(once.check(source(1)).unwrap_err().retry_after, LONGEST_WINDOW);
    }

    #[test]
    fn debug_shows_no_addresses() {
        let (limit, _) = limit(TWO, 10);
        limit.check(Source::from(Some("203.0.113.77".parse().unwrap()))).unwrap();
        assert!(!format!("{limit:?}").contains("203"));
    }
}
