//! What SQLite and the operating system report, in sentences that help.

use std::{borrow::Cow, sync::Arc};

use rusqlite::ErrorCode;

use crate::{BoxError, StoreError};

/// Why a call failed: a sentence for the operator, and what lies behind it.
///
/// `Clone`, because when a transaction fails each of the calls in it gets its own copy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub(super) struct Failure {
    what: Cow<'static, str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    pub(super) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), source: None }
    }

    pub(super) fn because(
        what: impl Into<Cow<'static, str>>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { what: what.into(), source: Some(Arc::new(source)) }
    }

    pub(super) fn closed() -> Self {
        Self::new("the store is closed")
    }

    /// As "worth trying again".
    pub(super) fn unavailable(self) -> StoreError {
        StoreError::Unavailable(self.into())
    }

    /// As "a bug, or not our data".
    pub(super) fn other(self) -> StoreError {
        StoreError::Other(self.into())
    }
}

impl From<StoreError> for Failure {
    /// For a call whose failure takes others with it.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) | StoreError::Uncertain(source) | StoreError::Other(source) => {
                Self::flatten(source)
            }
            error @ (StoreError::NotFound(_) | StoreError::AlreadyExists(_)) => Self::new(error.to_string()),
        }
    }
}

impl Failure {
    fn flatten(source: BoxError) -> Self {
        match source.downcast::<Self>() {
            Ok(failure) => *failure,
            Err(source) => Self { what: source.to_string().into(), source: Some(source.into()) },
        }
    }
}

/// Sorts SQLite's errors: what may pass is [`StoreError::Unavailable`], the rest [`StoreError::Other`].
#[allow(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
pub(super) fn from_sqlite(error: rusqlite::Error) -> StoreError {
    use ErrorCode as E;
    let (may_pass, what) = match error.sqlite_error_code() {
        Some(E::DiskFull) => (true, "the disk is full, or the database has reached its largest size"),
        Some(E::DatabaseBusy | E::DatabaseLocked | E::FileLockingProtocolFailed) => {
            (true, "another program has held the database for too long")
        }
        Some(E::SystemIoFailure) => (true, "the disk failed while the database was read or written"),
        Some(E::ReadOnly) => (true, "the database can be read only"),
        Some(E::CannotOpen) => (true, "the database file can't be opened"),
        Some(E::PermissionDenied | E::AuthorizationForStatementDenied) => {
            (true, "this user may not use the database file")
        }
        Some(E::OutOfMemory) => (true, "there is not enough memory for the database"),
        Some(E::OperationInterrupted | E::OperationAborted) => {
            (true, "the database operation was interrupted")
        }
        Some(E::NotADatabase) => (false, "the file is not an SQLite database"),
        Some(E::DatabaseCorrupt) => (false, "the database file is damaged"),
        _ => (false, "the database refused a statement"),
    };
    let failure = Failure::because(what, error);
    if may_pass { failure.unavailable() } else { failure.other() }
}
