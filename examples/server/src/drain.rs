//! To end well: on SIGTERM or Ctrl-C, no new connections, requests finish, sockets are told, the store is closed.

use std::time::Duration;

/// How long requests may take to finish.
pub const FINISHING: Duration = Duration::from_secs(6);

/// How long the service may take to close after that: 10 s at most in all.
pub const CLOSING: Duration = Duration::from_secs(4);

/// Waits until the process is asked to end.
pub async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
                return;
            }
            Err(error) => tracing::warn!(%error, "SIGTERM ends this process without a drain"),
        }
    }
    if interrupt.await.is_err() {
        std::future::pending::<()>().await;
    }
}
