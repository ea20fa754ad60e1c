//! What the example servers share: everything but the adapter. A server is [`run`] with its application.

mod app;
mod run;

pub mod drain;
pub mod logs;
pub mod metrics;
mod pages;
pub mod serve;
pub mod settings;
pub mod start;

pub use self::{
    app::{App, Operated},
    run::run,
};

/// Gives memory back to the system when a crowd of connections has gone, which the system's own allocator does not.
#[cfg(all(unix, not(target_env = "musl")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
