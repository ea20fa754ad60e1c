//! Serving a tower service over HTTP/1.1: with limits on slow clients, and an end in time.

use std::time::Duration;

use chat_core::http::PeerAddr;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tower::ServiceExt;

use crate::App;

/// How long a client may take to send a request's head, the time between two requests included.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may leave what was sent to it unread, before the system ends the connection.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// How long to wait after an `accept` failed, as it does when no more files can be open.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `ending` is done, and then finishes what is under way until the moment that it gives. Returns whether
/// all of it finished.
///
/// The loop is our own, for every framework, because neither `axum::serve` nor `warp::serve` has a limit on the time of a
/// request's head.
pub async fn serve(listener: TcpListener, app: impl App, ending: impl Future<Output = Instant>) -> bool {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let graceful = GracefulShutdown::new();
    let mut ending = std::pin::pin!(ending);
    let deadline = loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            },
            deadline = &mut ending => break deadline,
        };
        tune(&stream);
        let app = app.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddr(peer));
            request
        });
        let connection =
            builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(app));
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection broke");
            }
        });
    };
    drop(listener);
    tokio::time::timeout_at(deadline, graceful.shutdown()).await.is_ok()
}

/// What can't be set is not worth a connection.
fn tune(stream: &TcpStream) {
    // A message is small and wants to go now.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(READ_WITHIN));
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(READ_WITHIN));
}
