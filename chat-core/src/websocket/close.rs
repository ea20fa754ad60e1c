//! Why a WebSocket ends: the codes and reasons of close frames (RFC 6455, section 7.4).

use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::events::CloseReason;

/// Why the server closes a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    ShuttingDown,
    ProtocolError,
    UnsupportedData,
    InvalidUtf8,
    RateLimited,
    PayloadTooLarge,
    Unauthenticated,
    Timeout,
    SlowConsumer,
}

impl Close {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::ShuttingDown,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::InvalidUtf8,
        Self::RateLimited,
        Self::PayloadTooLarge,
        Self::Unauthenticated,
        Self::Timeout,
        Self::SlowConsumer,
    ];

    /// The code, the reason, and what it means to a client. From 4000 on codes are an application's own.
    pub(crate) const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::ShuttingDown => (1001, "shutting_down", "the server goes away: connect again"),
            Self::ProtocolError => (1002, "protocol_error", "not the WebSocket protocol"),
            Self::UnsupportedData => (1003, "unsupported_data", "a binary message: only text is taken"),
            Self::InvalidUtf8 => (1007, "invalid_utf8", "a text that is not UTF-8"),
            Self::RateLimited => (1008, "rate_limited", "it went on though it was told that it is too fast"),
            Self::PayloadTooLarge => (1009, "payload_too_large", "a message over the limit"),
            Self::Unauthenticated => {
                (4401, "unauthenticated", "signed out, or the token expired: sign in again")
            }
            Self::Timeout => {
                (4408, "timeout", "no answer to a ping, or a message that does not come to its end")
            }
            Self::SlowConsumer => (4410, "slow_consumer", "it does not read what it is sent: connect again"),
        }
    }

    /// The same as the other door says it; `None` for what there is on this one only.
    pub(super) const fn reason(self) -> Option<CloseReason> {
        match self {
            Self::SlowConsumer => Some(CloseReason::SlowConsumer),
            Self::Unauthenticated => Some(CloseReason::SignedOut),
            Self::ShuttingDown => Some(CloseReason::ShuttingDown),
            Self::RateLimited => Some(CloseReason::Flooding),
            Self::ProtocolError
            | Self::UnsupportedData
            | Self::InvalidUtf8
            | Self::PayloadTooLarge
            | Self::Timeout => None,
        }
    }

    pub(super) fn frame(self) -> CloseFrame {
        let (code, reason, _) = self.row();
        CloseFrame { code: CloseCode::from(code), reason: reason.into() }
    }
}

impl From<CloseReason> for Close {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::SlowConsumer => Self::SlowConsumer,
            CloseReason::SignedOut => Self::Unauthenticated,
            CloseReason::ShuttingDown => Self::ShuttingDown,
            CloseReason::Flooding => Self::RateLimited,
        }
    }
}

/// How a WebSocket comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client closed it, or its connection broke.
    Gone,
    /// The server closes it; what comes from the client is still in order.
    Closed(Close),
    /// The server closes it, because what came from the client can't be followed any further.
    Broken(Close),
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => Self::Broken(Close::PayloadTooLarge),
            Error::Utf8(_) => Self::Broken(Close::InvalidUtf8),
            Error::WriteBufferFull(_) => Self::Closed(Close::SlowConsumer),
            Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                | ProtocolError::ReceivedAfterClosing
                | ProtocolError::SendAfterClosing,
            ) => Self::Gone,
            Error::Protocol(_) | Error::AttackAttempt => Self::Broken(Close::ProtocolError),
            _ => Self::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons_are_each_their_own() {
        let mut seen = std::collections::BTreeSet::new();
        for close in Close::ALL {
            let (code, reason, _) = close.row();
            assert!(seen.insert(code) && reason.len() <= 123, "{close:?}");
            // Those that the protocol leaves to applications, or has a meaning for.
            assert!((1001..=1009).contains(&code) || (4000..5000).contains(&code));
            assert_eq!(u16::from(close.frame().code), code);
        }
        for reason in CloseReason::ALL {
            let close = Close::from(*reason);
            assert_eq!((close.reason(), close.row().1), (Some(*reason), reason.as_str()));
        }
    }
}
