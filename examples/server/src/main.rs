//! The full chat back end on axum: `cargo run --release`, and `--help` for its settings.

use std::process::ExitCode;

use axum::Router;

fn main() -> ExitCode {
    chat_server::run(|chat| {
        Router::new().merge(chat_axum::router(chat)).fallback_service(chat_axum::fallback(chat))
    })
}
