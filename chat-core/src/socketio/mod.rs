//! The Socket.IO door: protocol 5, path `/socket.io`, namespace `/`, as a [`tower::Service`](tower_service::Service).
//!
//! Engine.IO (transports, upgrades, heartbeats) is `engineioxide`. The few packets of Socket.IO that stand on it are
//! written here rather than taken from a framework: a refusal carries its code, an event is encoded once for everybody,
//! and nothing is kept per socket but what this door needs.
//!
//! Events that change something, and the first one (`onlineUsers`), have a second argument `{ cursor }`: where the client
//! stands who has this one and all before it. A client that comes back with the last one that it got, as `auth: { since }`,
//! is told what it missed and then what happens: at least once, and per chat in order. A cursor that can't be served gives
//! the event `resync`. Before the server closes a socket it says `closing`, with a `code`; when it goes away itself, with
//! `retryAfter`, too: the milliseconds to wait before one comes back, different for each.

mod connection;
mod inbox;
mod lobby;
mod packet;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use engineioxide::{config::EngineIoConfig, service::EngineIoService};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::BoxBody};
use tower_http::cors::Cors;
use tower_layer::Layer;
use tower_service::Service;

use self::{connection::Door, lobby::Lobby};
use crate::{
    BoxError, ChatService, Error,
    http::{PeerAddr, error_response},
};

/// Packets that wait for one transport; what is more waits in the connection's own queue.
const ENGINE_BUFFER: usize = 128;

/// The body of every response.
pub type ResponseBody = BoxBody<Bytes, BoxError>;

/// The Socket.IO endpoint of a service. Cheap to clone. It answers what comes to `/socket.io/`, WebSocket and polling.
#[derive(Clone)]
pub struct SocketIoDoor {
    service: Cors<Engine>,
}

impl SocketIoDoor {
    /// The path at which it answers.
    pub const PATH: &str = "/socket.io";

    /// That path in the forms that clients use: what an adapter mounts.
    pub const PATHS: [&str; 2] = [Self::PATH, "/socket.io/"];

    /// The door of this service.
    #[must_use]
    pub fn new(chat: &ChatService) -> Self {
        let largest = chat.limits().body_bytes;
        let config = EngineIoConfig::builder()
            .req_path(Self::PATH)
            .max_payload(largest as u64)
            .ws_max_message_size(largest)
            .ws_max_frame_size(largest)
            .max_buffer_size(ENGINE_BUFFER)
            .ping_interval(chat.shared.heartbeat.interval)
            .ping_timeout(chat.shared.heartbeat.patience)
            .build();
        let lobby = Arc::new(Lobby::default());
        let door = Arc::new(Door { chat: chat.clone(), lobby: lobby.clone() });
        let engine = Engine { engine: EngineIoService::with_config(door, config), chat: chat.clone(), lobby };
        Self { service: crate::http::cors(chat).layer(engine) }
    }
}

impl fmt::Debug for SocketIoDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoDoor").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for SocketIoDoor
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.service.call(request))
    }
}

/// Engine.IO with bodies of one type on both sides.
#[derive(Clone)]
struct Engine {
    engine: EngineIoService<Door>,
    chat: ChatService,
    lobby: Arc<Lobby>,
}

impl Engine {
    /// Whether the request may go on: one that would open a transport needs room for it.
    fn admits<B>(&self, request: &Request<B>) -> bool {
        let query = request.uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair.starts_with("sid=")) {
            return true;
        }
        let peer = request.extensions().get::<PeerAddr>().map(|peer| peer.0.ip());
        self.lobby.has_room(self.chat.shared.http.client_address(peer, request.headers()))
    }
}

impl<B> Service<Request<B>> for Engine
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.admits(&request) {
            let refusal = error_response(&Error::unavailable("room for sockets that sign in", None));
            return Box::pin(async { Ok(refusal.map(|body| body.map_err(|never| match never {}).boxed())) });
        }
        let request = request.map(|body| body.map_err(Into::<BoxError>::into).boxed_unsync());
        let answer = Service::call(&mut self.engine, request);
        Box::pin(async move { Ok(answer.await?.map(|body| body.map_err(|never| match never {}).boxed())) })
    }
}
