//! What a socket is told last: why it is closed, and when to come back.

use std::time::Duration;

use serde::Serialize;

use crate::{ChatService, events::CloseReason};

/// The name of the event.
pub(crate) const CLOSING: &str = "closing";

/// The soonest that anybody shall come back to a server that goes away.
const SOONEST: Duration = Duration::from_millis(500);
/// How much longer that may take for each one who was connected: they come back at 500 a second.
const FOR_EACH: Duration = Duration::from_millis(2);
/// The latest.
const LATEST: Duration = Duration::from_secs(30);

/// The payload of the event `closing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Closing {
    code: &'static str,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Closing {
    /// For one socket. All who have to leave at once are told different times.
    pub(crate) fn new(chat: &ChatService, reason: CloseReason) -> Self {
        let retry_after = (reason == CloseReason::ShuttingDown).then(|| {
            let after = retry_after(chat.shared.crowd(), u64::from_ne_bytes(crate::random::bytes()));
            after.as_millis().try_into().unwrap_or(u64::MAX)
        });
        Self { code: reason.as_str(), retry_after }
    }
}

/// Somewhere between the soonest and the latest for so many.
fn retry_after(crowd: usize, chance: u64) -> Duration {
    let crowd = u32::try_from(crowd).unwrap_or(u32::MAX);
    let latest = (SOONEST + FOR_EACH.saturating_mul(crowd)).min(LATEST);
    let steps: u64 = (latest - SOONEST).as_millis().try_into().unwrap_or(u64::MAX);
    SOONEST + Duration::from_millis(chance % steps.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_comes_back_one_after_the_other() {
        let millis = |crowd, chance| retry_after(crowd, chance).as_millis();
        assert_eq!((millis(0, 0), millis(0, u64::MAX)), (500, 500));
        assert_eq!((millis(1, 0), millis(1, 2), millis(1, 3)), (500, 502, 500));
        assert_eq!(millis(10_000, 20_000), 20_500);
        for crowd in [0, 1, 7, 1000, 100_000, usize::MAX] {
            let most = 500 + (2 * crowd as u128).min(29_500);
            for chance in [0, 1, 12_345, u64::MAX / 3, u64::MAX] {
                assert!((500..=most).contains(&millis(crowd, chance)), "{crowd} {chance}");
            }
            assert_eq!(millis(crowd, u64::try_from(most - 500).unwrap()), most, "the latest is reached");
        }
    }

    #[test]
    fn only_who_shall_come_back_later_is_told_when() {
        let closing = |retry_after| serde_json::to_string(&Closing { code: "c", retry_after }).unwrap();
        assert_eq!(closing(None), r#"{"code":"c"}"#);
        assert_eq!(closing(Some(512)), r#"{"code":"c","retryAfter":512}"#);
    }
}
