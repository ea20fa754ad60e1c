//! Denials that hold for a while.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use dashmap::DashMap;
use tokio::time::Instant;

use crate::shield::{AccountAction, Verdict, Visit};

/// Denials that are kept; a flood beyond it is asked about.
const MOST: usize = 10_000;

/// Denials by who they are for, as a keyed hash: nobody can make up two that share one.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// The verdict, since when, and until when.
    denials: DashMap<u64, (Verdict, Instant, Instant)>,
    hasher: RandomState,
}

impl Cache {
    /// What a verdict may depend on, beyond how often somebody came: where from, with what, who, and for sign-ups the
    /// e-mail.
    pub(super) fn key(&self, visit: &Visit<'_>, email: Option<&str>) -> u64 {
        let what = email.map(|email| (AccountAction::SignUp, email));
        self.hasher.hash_one((visit.address.map(|ip| ip.to_canonical()), visit.user, visit.user_agent, what))
    }

    /// The denial that holds, and for how long yet.
    pub(super) fn get(&self, key: u64) -> Option<(Verdict, Duration)> {
        let now = Instant::now();
        let (verdict, gone, left) = {
            let entry = self.denials.get(&key)?;
            let (verdict, since, until) = entry.value();
            (verdict.clone(), now.saturating_duration_since(*since), until.saturating_duration_since(now))
        };
        if left.is_zero() {
            self.denials.remove(&key);
            return None;
        }
        Some((
            match verdict {
                Verdict::RateLimited(limited) => Verdict::RateLimited(crate::RateLimited {
                    retry_after: limited.retry_after.saturating_sub(gone).max(Duration::from_secs(1)),
                    ..limited
                }),
                verdict => verdict,
            },
            left,
        ))
    }

    pub(super) fn put(&self, key: u64, verdict: &Verdict, ttl: Duration) {
        if *verdict == Verdict::Allow || ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        if self.denials.len() >= MOST {
            self.denials.retain(|_, (.., until)| *until > now);
            if self.denials.len() >= MOST {
                return;
            }
        }
        self.denials.insert(key, (verdict.clone(), now, now + ttl));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shield::VisitClass;

    fn visit(address: &str) -> Visit<'static> {
        Visit { address: Some(address.parse().unwrap()), ..Visit::new(VisitClass::Request) }
    }

    #[tokio::test(start_paused = true)]
    async fn denials_hold_for_their_time_and_for_who_they_are_for() {
        let cache = Cache::default();
        let key = cache.key(&visit("192.0.2.1"), None);
        assert_eq!(key, cache.key(&visit("::ffff:192.0.2.1"), None));
        assert_ne!(key, cache.key(&visit("192.0.2.2"), None));
        assert_ne!(key, cache.key(&visit("192.0.2.1"), Some("ann@example.org")));
        cache.put(key, &Verdict::Allow, Duration::from_secs(60));
        cache.put(key, &Verdict::Bot, Duration::ZERO);
        assert_eq!(cache.get(key), None);
        cache.put(key, &Verdict::Bot, Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(cache.get(key), Some((Verdict::Bot, Duration::from_secs(1))));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get(key), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_grows_shorter() {
        let cache = Cache::default();
        let wait = Duration::from_secs(30);
        let limited = crate::RateLimited { policy: "arcjet", limit: 5, window: 2 * wait, retry_after: wait };
        cache.put(1, &Verdict::RateLimited(limited), 2 * wait);
        for (seconds, left) in [(10, 20), (30, 1)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            let Some((Verdict::RateLimited(limited), _)) = cache.get(1) else { panic!("it holds") };
            assert_eq!(limited.retry_after, Duration::from_secs(left));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_does_not_fill_the_memory() {
        let cache = Cache::default();
        for n in 0..MOST as u64 * 2 {
            cache.put(n, &Verdict::Bot, Duration::from_secs(60));
        }
        assert_eq!(cache.denials.len(), MOST);
        tokio::time::advance(Duration::from_secs(61)).await;
        cache.put(u64::MAX, &Verdict::Bot, Duration::from_secs(60));
        assert_eq!(cache.denials.len(), 1, "room is made");
    }
}
