#![doc = include_str!("../README.md")]

mod error;
mod id;
mod random;
mod time;

pub mod images;
pub mod mail;
pub mod shield;
pub mod store;

pub use self::{
    error::{BoxError, Code, Error, Invalid, RateLimited, Unavailable},
    id::{ChatId, InvalidId, MessageId, SessionId, UserId},
    store::StoreError,
    time::Timestamp,
};

/// The result of whatever the service does.
pub type Result<T, E = Error> = std::result::Result<T, E>;
