//! What the driver and the server report: what may pass, what is certain, and what is a bug.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::StoreError;

/// A unique index has this value already.
pub(super) const DUPLICATE: i32 = 11_000;

/// A sentence for the operator where the driver has none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failure(pub(super) String);

pub(super) fn unavailable(what: impl Into<String>) -> StoreError {
    StoreError::Unavailable(Box::new(Failure(what.into())))
}

pub(super) fn other(what: impl Into<String>) -> StoreError {
    StoreError::Other(Box::new(Failure(what.into())))
}

pub(super) fn closed() -> StoreError {
    unavailable("the store is closed")
}

/// Of a write that was sent: it may have been carried out.
pub(super) fn uncertain(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(source) => StoreError::Uncertain(source),
        error => error,
    }
}

/// The same failure for another of those who wait for it.
pub(super) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::NotFound(what) => StoreError::NotFound(what),
        StoreError::AlreadyExists(what) => StoreError::AlreadyExists(what),
        StoreError::Unavailable(source) => unavailable(source.to_string()),
        StoreError::Uncertain(source) => StoreError::Uncertain(Box::new(Failure(source.to_string()))),
        StoreError::Other(source) => other(source.to_string()),
    }
}

/// Codes of a server that is busy with something else: an election, a shutdown, a conflict, a full disk. From the
/// list of retryable errors in MongoDB's specification of retryable writes, and what is like them.
const PASSING: [i32; 28] = [
    6,      // HostUnreachable
    7,      // HostNotFound
    24,     // LockTimeout
    43,     // CursorNotFound
    46,     // LockBusy
    50,     // MaxTimeMSExpired
    64,     // WriteConcernTimeout
    79,     // UnknownReplWriteConcern
    89,     // NetworkTimeout
    91,     // ShutdownInProgress
    100,    // UnsatisfiableWriteConcern
    112,    // WriteConflict
    134,    // ReadConcernMajorityNotAvailableYet
    146,    // ExceededMemoryLimit
    175,    // QueryPlanKilled
    189,    // PrimarySteppedDown
    202,    // NetworkInterfaceExceededTimeLimit
    237,    // CursorKilled
    262,    // ExceededTimeLimit
    462,    // IngressRequestRateLimitExceeded
    9_001,  // SocketException
    10_107, // NotWritablePrimary
    11_600, // InterruptedAtShutdown
    11_601, // Interrupted
    11_602, // InterruptedDueToReplStateChange
    13_435, // NotPrimaryNoSecondaryOk
    13_436, // NotPrimaryOrSecondary
    14_031, // OutOfDiskSpace
];

pub(super) fn is_passing_code(code: i32) -> bool {
    PASSING.contains(&code)
}

/// Whether to try again makes sense.
pub(super) fn is_passing(error: &Error) -> bool {
    if ["RetryableWriteError", "RetryableError", "SystemOverloadedError"]
        .iter()
        .any(|label| error.contains_label(label))
    {
        return true;
    }
    match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::DnsResolve { .. } => true,
        ErrorKind::Command(error) => is_passing_code(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => is_passing_code(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => is_passing_code(error.code),
        _ => false,
    }
}

/// Whether a write met a value that a unique index has already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Command(error) => error.code == DUPLICATE,
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE,
        _ => false,
    }
}

/// In the store's terms.
pub(super) fn from_driver(error: Error) -> StoreError {
    let is_closed = matches!(&*error.kind, ErrorKind::Shutdown);
    // An account that was locked is the operator's to unlock: until then nothing works, and then everything.
    let is_locked_out = match &*error.kind {
        ErrorKind::Authentication { .. } => true,
        ErrorKind::Command(error) => matches!(error.code, 13 | 18),
        _ => false,
    };
    if is_closed {
        closed()
    } else if is_locked_out || is_passing(&error) {
        StoreError::Unavailable(error.into())
    } else {
        StoreError::Other(error.into())
    }
}
