//! Serving a tower service over HTTP/1.1: with limits on slow clients, and an end in time.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use chat_core::{BoxError, http::PeerAddr};
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
use tower::{Service, ServiceExt};

/// How long a client may take to send a request's head, the time between two requests included.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may leave what was sent to it unread, before the system ends the connection.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// How long to wait after an `accept` failed, as it does when no more files can be open.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `ending` is done, and then finishes what is under way until the moment that it gives. Returns whether
/// all of it finished.
pub async fn serve<S, B>(listener: TcpListener, app: S, ending: impl Future<Output = Instant>) -> bool
where
    S: Service<axum::extract::Request, Response = http::Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
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
        let app = app.clone().map_request(move |request| with_peer(request, peer));
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

fn with_peer<B>(request: http::Request<B>, peer: SocketAddr) -> axum::extract::Request
where
    B: http_body::Body<Data = axum::body::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let mut request = request.map(axum::body::Body::new);
    request.extensions_mut().insert(PeerAddr(peer));
    request
}
