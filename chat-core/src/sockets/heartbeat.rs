//! How a socket whose client is gone is noticed.

use std::time::Duration;

/// A question once in a while, and how long the client may stay silent after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) interval: Duration,
    pub(crate) patience: Duration,
}

impl Default for Heartbeat {
    /// Those of Engine.IO.
    fn default() -> Self {
        Self { interval: Duration::from_secs(25), patience: Duration::from_secs(20) }
    }
}
