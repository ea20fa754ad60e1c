//! Mounted into warp applications.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod common;
mod mounting;
mod serving;
mod user;
