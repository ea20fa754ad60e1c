//! What the black-box suites stand on: real server processes, real sockets, and a client that trusts nothing.
//!
//! A suite is a file in `tests/tests/`. Its tests are plain `async fn(Target)`; [`for_each_target!`] at the end of the
//! file turns each of them into one `#[test]` per [`Target`] (a server program on a store). A test that is missing from
//! that list is dead code, and the lints refuse it.
//!
//! ```text
//! async fn healthy(target: Target) {
//!     let server = target.start().await;
//!     assert_eq!(server.client().fetch("/healthz").await.status, 200);
//! }
//!
//! for_each_target!(healthy);
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "this crate is a test: what is not as it should be has to stop it"
)]

mod client;
mod dice;
mod names;
mod person;
mod raw;
mod reply;
mod secrets;
mod server;
mod stand_in;
mod target;
mod token;
mod wait;

pub mod ledger;
pub mod line;
pub mod measure;
pub mod mirror;
pub mod pictures;
pub mod proxy;
pub mod resuming;
pub mod shape;
pub mod sio;
pub mod ws;

pub use self::{
    client::Client,
    dice::Dice,
    names::{PASSWORD_MARK, Signup},
    person::{Person, two, two_with},
    raw::{RawConnection, RawReply},
    reply::{Fetched, Reply},
    secrets::SECRETS,
    server::Server,
    stand_in::StandIn,
    target::{Target, build_program},
    token::{claims, sign_hs256, sign_hs512, unsigned},
    wait::{DEADLINE, next_millisecond, until, until_in},
};
pub use chat_test_servers::{MongoDatabase, MongoServer, tool};
pub use serde_json::{Value, json};

/// Runs one test on one target; a test that hangs fails.
pub fn run<F, T>(target: Target, test: F)
where
    F: FnOnce(Target) -> T,
    T: Future<Output = ()>,
{
    // Building is not part of the test's time.
    let _ = target.program();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(wait::test_deadline(), test(target)).await.expect("the test hangs");
    });
}

/// Makes one `#[test]` for each target out of each named `async fn(Target)`.
///
/// This list and [`Target`] are the two halves of the registry: a new server or store is one line in each.
#[macro_export]
macro_rules! for_each_target {
    ($($test:ident),+ $(,)?) => {
        $crate::tests_on!(axum_sqlite = AxumSqlite: $($test),+);
        $crate::tests_on!(axum_mongo = AxumMongo: $($test),+);
        $crate::tests_on!(warp_sqlite = WarpSqlite: $($test),+);
        $crate::tests_on!(warp_mongo = WarpMongo: $($test),+);
    };
}

/// The tests of one target, in a module with its name; for what only that target has.
#[macro_export]
macro_rules! tests_on {
    ($module:ident = $target:ident: $($test:ident),+ $(,)?) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    $crate::run($crate::Target::$target, super::$test);
                }
            )+
        }
    };
}
