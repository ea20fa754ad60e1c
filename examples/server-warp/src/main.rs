//! The full chat back end on warp: `cargo run --release -p chat-server-warp`, with the settings of the server on axum.

use std::process::ExitCode;

use warp::Filter;

fn main() -> ExitCode {
    // A service rather than `warp::serve`, which has no limit on the time of a request's head.
    chat_server::run(|chat| warp::service(chat_warp::routes(chat).or(chat_warp::fallback(chat))))
}
