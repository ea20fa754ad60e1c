#![doc = include_str!("../README.md")]

mod builder;
mod error;
mod id;
mod limits;
#[cfg(feature = "outbound")]
mod outbound;
mod outbox;
mod random;
mod secrets;
mod service;
mod time;

pub mod auth;
pub mod encryption;
pub mod events;
#[cfg(feature = "http")]
pub mod http;
pub mod images;
pub mod mail;
pub mod messages;
pub mod presence;
pub mod shield;
#[cfg(feature = "socketio")]
pub mod socketio;
#[cfg(any(feature = "socketio", feature = "websocket"))]
mod sockets;
pub mod store;
#[cfg(feature = "websocket")]
pub mod websocket;
#[cfg(feature = "http")]
mod wire;

pub use self::{
    builder::{BuildError, ChatServiceBuilder},
    error::{BoxError, Code, Error, Invalid, RateLimited, Unavailable},
    id::{ChatId, InvalidId, MessageId, OutboxId, SessionId, UserId},
    limits::Limits,
    secrets::SecretFileError,
    service::{ChatService, Stats},
    store::StoreError,
    time::Timestamp,
};

/// The result of whatever the service does.
pub type Result<T, E = Error> = std::result::Result<T, E>;
