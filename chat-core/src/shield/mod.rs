//! The guard before every request: limits, bots, and what scanners send.

#[cfg(feature = "arcjet")]
mod arcjet;
mod bots;
#[cfg(feature = "disposable-emails")]
mod disposable;
mod guard;
mod in_process;
mod limits;
#[cfg(feature = "http")]
mod probes;
mod store;

use std::{borrow::Cow, fmt, net::IpAddr};

use async_trait::async_trait;

#[cfg(feature = "arcjet")]
pub use self::arcjet::{ArcjetEmail, ArcjetRule, ArcjetSettingsError, ArcjetShield};
pub use self::{bots::BotPolicy, in_process::InProcessShield, limits::Quota};
use crate::{RateLimited, UserId};

/// What kind of thing a visitor wants to do; each kind has limits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VisitClass {
    /// Sign-up, login, and asking for a mail: guesses cost most here. [`Shield::check_account`] follows once it is known
    /// whose account it is about.
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
#[non_exhaustive]
pub struct Visit<'a> {
    /// What they want.
    pub class: VisitClass,
    /// Where they come from, where that is known.
    pub address: Option<IpAddr>,
    /// Who they are, where that is known: their token was checked before.
    pub user: Option<UserId>,
    /// What they say they run.
    pub user_agent: Option<&'a str>,
    /// The head of the request, where it is one.
    #[cfg(feature = "http")]
    pub head: Option<&'a http::request::Parts>,
}

impl Visit<'_> {
    /// A visit of which nothing else is known.
    #[must_use]
    pub const fn new(class: VisitClass) -> Self {
        Self {
            class,
            address: None,
            user: None,
            user_agent: None,
            #[cfg(feature = "http")]
            head: None,
        }
    }
}

/// What somebody wants with an account that they name by its e-mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AccountAction {
    /// To make it.
    SignUp,
    /// To sign in to it with its password.
    LogIn,
    /// To get a mail: a forgotten password, or a verification.
    Mail,
}

/// Somebody who names an account; told after [`Shield::check`] has let the request in and its body was read.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AccountVisit<'a> {
    /// Who and where from.
    pub visit: Visit<'a>,
    /// What they want.
    pub action: AccountAction,
    /// The e-mail, as they typed it.
    pub email: &'a str,
    /// Whether they have shown that somebody signed in to this account on this device before.
    pub is_known: bool,
}

impl<'a> AccountVisit<'a> {
    /// An attempt from a device that nobody knows.
    #[must_use]
    pub const fn new(visit: Visit<'a>, action: AccountAction, email: &'a str) -> Self {
        Self { visit, action, email, is_known: false }
    }

    /// The same where somebody has signed in to this account on this device before, or not.
    #[must_use]
    pub const fn known(self, is_known: bool) -> Self {
        Self { is_known, ..self }
    }
}

/// What the guard says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Come in.
    Allow,
    /// Too often.
    RateLimited(RateLimited),
    /// An automated client, where these are not wanted.
    Bot,
    /// Not this request, or not this address of an e-mail, with a sentence for whoever sent it.
    Denied(Cow<'static, str>),
}

/// Decides who may come in. The embedded one is [`InProcessShield`].
#[async_trait]
pub trait Shield: fmt::Debug + Send + Sync + 'static {
    /// Decides on one visit, fast: each request waits for it.
    async fn check(&self, visit: &Visit<'_>) -> Verdict;

    /// Decides on an attempt at one account, by its e-mail. Lets everybody in unless it is implemented.
    async fn check_account(&self, attempt: &AccountVisit<'_>) -> Verdict {
        let _ = attempt;
        Verdict::Allow
    }

    /// Figures, for guards that ask somebody else.
    fn stats(&self) -> ShieldStats {
        ShieldStats::default()
    }
}

/// Figures of a guard that asks a service outside, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShieldStats {
    /// Questions that were asked.
    pub asked: u64,
    /// Refusals by an answer of before, without a question.
    pub cached: u64,
    /// Visits on which it did not decide, so that the embedded guard did.
    pub fallbacks: u64,
    /// Reports that were not taken.
    pub reports_dropped: u64,
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
