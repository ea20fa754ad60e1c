//! Whether Arcjet is asked at all: not while it is away.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row after which it counts as away.
const FAILURES: u32 = 3;
/// How long it is not asked then.
const PAUSE: Duration = Duration::from_secs(5);
/// And the longest that it may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// It is not asked before.
    not_before: Option<Instant>,
    /// Somebody finds out whether it is back.
    is_probed: bool,
}

/// What a failure or a success changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Away,
    Back,
}

impl Health {
    fn open(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be asked now. While it is away one request finds out whether it still is, once the pause is over.
    pub(super) fn may_ask(&self) -> bool {
        let mut state = self.open();
        let is_over = state.not_before.is_none_or(|at| Instant::now() >= at);
        if state.failures < FAILURES {
            return is_over;
        }
        if !is_over || state.is_probed {
            return false;
        }
        state.is_probed = true;
        true
    }

    /// Whether a report may be sent: one that fails says nothing about questions, so it is not sent while these fail.
    pub(super) fn may_report(&self) -> bool {
        let state = self.open();
        state.failures < FAILURES && state.not_before.is_none_or(|at| Instant::now() >= at)
    }

    /// It is there, whatever it said.
    pub(super) fn success(&self) -> Change {
        let mut state = self.open();
        let was_away = state.failures >= FAILURES || state.not_before.is_some();
        *state = State::default();
        if was_away { Change::Back } else { Change::None }
    }

    /// It failed; with `wait` it said for how long it does not want to be asked.
    pub(super) fn failure(&self, wait: Option<Duration>) -> Change {
        let mut state = self.open();
        let was_away = state.failures >= FAILURES || state.not_before.is_some();
        state.failures = state.failures.saturating_add(1);
        state.is_probed = false;
        if state.failures >= FAILURES || wait.is_some() {
            state.not_before = Some(Instant::now() + wait.unwrap_or_default().clamp(PAUSE, LONGEST_PAUSE));
        }
        let is_away = state.failures >= FAILURES || state.not_before.is_some();
        if is_away && !was_away { Change::Away } else { Change::None }
    }

    /// Who asked went away before there was an answer: the next one may.
    pub(super) fn given_up(&self) {
        self.open().is_probed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn away_and_back() {
        let health = Health::default();
        assert!(health.may_ask() && health.may_ask());
        assert_eq!(health.failure(None), Change::None);
        assert_eq!(health.success(), Change::None);
        for change in [Change::None, Change::None, Change::Away, Change::None] {
            assert_eq!(health.failure(None), change);
        }
        assert!(!health.may_ask());
        tokio::time::advance(PAUSE).await;
        assert!(health.may_ask());
        assert!(!health.may_ask(), "one finds out");
        assert_eq!(health.failure(None), Change::None);
        tokio::time::advance(PAUSE).await;
        assert!(health.may_ask());
        health.given_up();
        assert!(health.may_ask());
        assert_eq!(health.success(), Change::Back);
        assert!(health.may_ask() && health.may_ask());
    }

    #[tokio::test(start_paused = true)]
    async fn it_may_ask_for_a_pause() {
        let health = Health::default();
        assert_eq!(health.failure(Some(Duration::from_secs(60))), Change::Away);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!health.may_ask());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(health.may_ask());
        assert_eq!(health.success(), Change::Back);
        // But not for good.
        health.failure(Some(Duration::MAX));
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(health.may_ask());
    }
}
