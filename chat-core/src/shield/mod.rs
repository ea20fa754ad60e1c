//! The guard before every request: limits and bots.

mod bots;
mod in_process;
mod limits;
mod store;

use std::{fmt, net::IpAddr};

use async_trait::async_trait;

pub use self::{bots::BotPolicy, in_process::InProcessShield, limits::Quota};
use crate::{RateLimited, UserId};

/// What kind of thing a visitor wants to do; each kind has limits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VisitClass {
    /// Sign-up and login: guesses cost most here.
    Credentials,
    /// Any other request of the API.
    Request,
    /// Opening a socket.
    Connect,
    /// An event on an open socket.
    SocketEvent,
}

/// Somebody at the door.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// What they want.
    pub class: VisitClass,
    /// Where they come from, where that is known.
    pub address: Option<IpAddr>,
    /// Who they are, where that is known: their token was checked before.
    pub user: Option<UserId>,
    /// What they say they run.
    pub user_agent: Option<&'a str>,
}

/// What the guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Come in.
    Allow,
    /// Too often.
    RateLimited(RateLimited),
    /// An automated client, where these are not wanted.
    Bot,
}

/// Decides who may come in. The embedded one is [`InProcessShield`].
#[async_trait]
pub trait Shield: fmt::Debug + Send + Sync + 'static {
    /// Decides on one visit, fast: each request waits for it.
    async fn check(&self, visit: &Visit<'_>) -> Verdict;
}

/// Lets everybody in. For load tests, and for applications that have a guard of their own in front.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoShield;

#[async_trait]
impl Shield for NoShield {
    async fn check(&self, _: &Visit<'_>) -> Verdict {
        Verdict::Allow
    }
}
