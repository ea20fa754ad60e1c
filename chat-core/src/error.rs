//! What can go wrong, as values: one table of codes and statuses for every door.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use crate::{StoreError, images::ImageRefused};

/// Any source of an error, kept for the log and never shown to a client.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, in the domain's words.
///
/// `Display` is a sentence for the person at the other end: it carries nothing of a driver, a path or a secret.
/// What lies behind it is the [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fields of the input that are not as they must be.
    #[error("{0}")]
    Validation(Invalid),
    /// The body is not JSON, or not an object.
    #[error("The body must be a JSON object: {0}.")]
    InvalidJson(String),
    /// Something that should be an id is not one.
    #[error("That is not an id: an id is 24 hex characters.")]
    InvalidId,
    /// No token, or one that is malformed, expired or revoked.
    #[error("Sign in first.")]
    Unauthenticated,
    /// Wrong e-mail or wrong password; never said which.
    #[error("Wrong e-mail or password.")]
    InvalidCredentials,
    /// A link from a mail that has expired, was used, or never was one.
    #[error("This link does not work any more: it has expired or was used. Ask for a new one.")]
    InvalidLink,
    /// The password is right, but nobody has shown yet that the address is theirs.
    #[error("Open the link in the mail that was sent to you first: this address is not verified yet.")]
    EmailUnverified,
    /// Known, but not allowed.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// The shield takes the client for a bot.
    #[error("Automated clients are not allowed here.")]
    BotDenied,
    /// A browser sent this from a site that is not on the list.
    #[error("Requests from this origin are not allowed.")]
    OriginDenied,
    /// Not there, or not yours to see.
    #[error("{0} not found.")]
    NotFound(&'static str),
    /// The path exists, the method does not. Carries what is allowed, for the `Allow` header.
    #[error("This method is not allowed here.")]
    MethodNotAllowed(String),
    /// The path is that of a WebSocket, and the request does not open one. Carries why not.
    #[error("This is a WebSocket endpoint: {0}.")]
    UpgradeRequired(&'static str),
    /// The client took too long to send its request.
    #[error("The request took too long to arrive.")]
    RequestTimeout,
    /// More bytes than the limit.
    #[error("That is too large: the limit is {limit} bytes.")]
    PayloadTooLarge {
        /// Bytes that would have been taken.
        limit: usize,
    },
    /// Neither JSON nor, where a file is taken, `multipart/form-data`.
    #[error("Send {0}.")]
    UnsupportedMediaType(&'static str),
    /// There is an account with that e-mail.
    #[error("This e-mail is already in use.")]
    EmailTaken,
    /// Too many requests.
    #[error("Too many requests: try again in {} s.", .0.retry_after.as_secs().max(1))]
    RateLimited(RateLimited),
    /// Something needed is down or full for the moment; nothing was changed, or what was changed is whole.
    #[error("The service is busy or unavailable: try again shortly.")]
    Unavailable(Unavailable),
    /// A bug. The id stands in the log beside the source.
    #[error("Something went wrong here. Report it with this id: {id}.")]
    Internal {
        /// Names this occurrence in the log.
        id: String,
        /// What happened, for the log.
        source: BoxError,
    },
}

/// Fields that were refused, each with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalid {
    /// Field name to a phrase that says what is wrong.
    pub fields: BTreeMap<&'static str, Cow<'static, str>>,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Check your input:")?;
        for (i, (field, reason)) in self.fields.iter().enumerate() {
            write!(f, "{} {field}: {reason}", if i == 0 { "" } else { ";" })?;
        }
        f.write_str(".")
    }
}

/// A limit that was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    /// The name of the policy.
    pub policy: &'static str,
    /// Requests in a window.
    pub limit: u32,
    /// The window.
    pub window: Duration,
    /// When the next request has a chance.
    pub retry_after: Duration,
}

/// Something needed is not there for the moment.
#[derive(Debug)]
pub struct Unavailable {
    /// What is missing, for the log.
    pub what: &'static str,
    /// When it makes sense to try again.
    pub retry_after: Duration,
    /// Whether what was asked for may have been done all the same.
    pub may_be_done: bool,
    /// What happened, for the log.
    pub source: Option<BoxError>,
}

macro_rules! codes {
    ($($code:ident $text:literal $status:literal,)*) => {
        /// The stable, machine-readable name of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "each is documented at its `Error`")]
        pub enum Code {
            $($code,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            const fn row(self) -> (&'static str, u16) {
                match self {
                    $(Self::$code => ($text, $status),)*
                }
            }
        }
    };
}

// The one table: each code with its text and its HTTP status.
codes! {
    ValidationFailed "validation_failed" 400,
    InvalidJson "invalid_json" 400,
    InvalidId "invalid_id" 400,
    InvalidLink "invalid_link" 400,
    Unauthenticated "unauthenticated" 401,
    InvalidCredentials "invalid_credentials" 401,
    Forbidden "forbidden" 403,
    EmailUnverified "email_unverified" 403,
    BotDenied "bot_denied" 403,
    OriginDenied "origin_denied" 403,
    NotFound "not_found" 404,
    MethodNotAllowed "method_not_allowed" 405,
    RequestTimeout "request_timeout" 408,
    PayloadTooLarge "payload_too_large" 413,
    UnsupportedMediaType "unsupported_media_type" 415,
    EmailTaken "email_taken" 409,
    UpgradeRequired "upgrade_required" 426,
    RateLimited "rate_limited" 429,
    Internal "internal" 500,
    Unavailable "unavailable" 503,
}

impl Code {
    /// As clients see it, `snake_case`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().1
    }
}

impl Error {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Validation(_) => Code::ValidationFailed,
            Self::InvalidJson(_) => Code::InvalidJson,
            Self::InvalidId => Code::InvalidId,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::InvalidCredentials => Code::InvalidCredentials,
            Self::Forbidden(_) => Code::Forbidden,
            Self::InvalidLink => Code::InvalidLink,
            Self::EmailUnverified => Code::EmailUnverified,
            Self::BotDenied => Code::BotDenied,
            Self::OriginDenied => Code::OriginDenied,
            Self::NotFound(_) => Code::NotFound,
            Self::MethodNotAllowed(_) => Code::MethodNotAllowed,
            Self::UpgradeRequired(_) => Code::UpgradeRequired,
            Self::RequestTimeout => Code::RequestTimeout,
            Self::PayloadTooLarge { .. } => Code::PayloadTooLarge,
            Self::UnsupportedMediaType(_) => Code::UnsupportedMediaType,
            Self::EmailTaken => Code::EmailTaken,
            Self::RateLimited(_) => Code::RateLimited,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Internal { .. } => Code::Internal,
        }
    }

    /// One field that is not as it must be.
    #[must_use]
    pub fn invalid(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Validation(Invalid { fields: BTreeMap::from([(field, reason.into())]) })
    }

    /// A bug: logs it under a new id and keeps the source.
    #[must_use]
    pub fn internal(source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let id = crate::random::name::<6>();
        tracing::error!(error_id = %id, error = ?source, "internal error");
        Self::Internal { id, source }
    }

    /// Something needed is down (which is logged) or full: says when to try again.
    #[must_use]
    pub fn unavailable(what: &'static str, source: Option<BoxError>) -> Self {
        Self::unavailable_for(what, None, source)
    }

    /// The same, where it is known for how long.
    pub(crate) fn unavailable_for(
        what: &'static str,
        retry_after: Option<Duration>,
        source: Option<BoxError>,
    ) -> Self {
        // Without a source it is full and not broken: a crowd must not fill the log too.
        match &source {
            Some(source) => tracing::warn!(what, error = ?source, "unavailable"),
            None => tracing::debug!(what, "unavailable"),
        }
        let second = Duration::from_secs(1);
        let retry_after = retry_after.unwrap_or(second).clamp(second, Duration::from_secs(3600));
        Self::Unavailable(Unavailable { what, retry_after, may_be_done: false, source })
    }

    /// Whether what was asked for may have been done in spite of the error.
    pub(crate) const fn may_be_done(&self) -> bool {
        matches!(self, Self::Unavailable(Unavailable { may_be_done: true, .. }))
    }

    /// A picture, in this field, that was not taken.
    pub(crate) fn refused(field: &'static str, refused: ImageRefused) -> Self {
        match refused {
            ImageRefused::Busy => Self::unavailable("picture workers", None),
            refused => Self::invalid(field, refused.to_string()),
        }
    }

    /// When to try again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(limited) => Some(limited.retry_after),
            Self::Unavailable(unavailable) => Some(unavailable.retry_after),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::NotFound(what),
            StoreError::Unavailable(source) => Self::unavailable("store", Some(source)),
            StoreError::Uncertain(source) => match Self::unavailable("store", Some(source)) {
                Self::Unavailable(unavailable) => {
                    Self::Unavailable(Unavailable { may_be_done: true, ..unavailable })
                }
                error => error,
            },
            error @ (StoreError::AlreadyExists(_) | StoreError::Other(_)) => Self::internal(error),
        }
    }
}
