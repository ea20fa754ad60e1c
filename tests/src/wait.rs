//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long anything may take that has to happen.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long a whole test may take; with `CHAT_CHAOS=long`, an hour.
pub(crate) fn test_deadline() -> Duration {
    let is_long = std::env::var("CHAT_CHAOS").is_ok_and(|mode| mode == "long");
    Duration::from_secs(if is_long { 3600 } else { 300 })
}

/// Asks again and again until there is an answer; past [`DEADLINE`] the test fails and says what it waited for.
pub async fn until<T, F, R>(what: &str, probe: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Option<T>>,
{
    until_in(DEADLINE, what, probe).await
}

/// The same for what takes longer.
pub async fn until_in<T, F, R>(deadline: Duration, what: &str, mut probe: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(start.elapsed() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for the clock to go on, so that what follows has a later time than what was before.
pub async fn next_millisecond() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let start = now();
    while now() <= start {
        tokio::task::yield_now().await;
    }
}
