#![doc = include_str!("../README.md")]

mod adapter;
mod user;

use std::convert::Infallible;

use axum::{Router, body::Body, http::Request, response::IntoResponse};
#[cfg(feature = "socketio")]
use chat_core::socketio::SocketIoDoor;
#[cfg(feature = "websocket")]
use chat_core::websocket::WebSocketDoor;
use chat_core::{ChatService, http::HttpDoor};
use tower_service::Service;

use self::adapter::Adapter;
pub use self::user::{CurrentUser, Rejection};

/// The routes of the chat: the HTTP API below `/api`, Socket.IO at `/socket.io`, and plain WebSockets at `/ws`.
///
/// [`merge`](Router::merge) it into an application's router, or [`nest`](Router::nest) it below a prefix (and then
/// tell the service, with [`public_url`](chat_core::ChatServiceBuilder::public_url)). It has no fallback, no state and
/// no layer: those of the application stay as they are.
///
/// Serve the application with
/// [`into_make_service_with_connect_info::<SocketAddr>()`](Router::into_make_service_with_connect_info), so that limits
/// count each client by its address; without it all clients share them.
pub fn router<S: Clone + Send + Sync + 'static>(chat: &ChatService) -> Router<S> {
    let mut router = Router::new();
    let door = Adapter::new(HttpDoor::new(chat));
    for path in HttpDoor::paths() {
        router = router.route_service(path, door.clone());
    }
    #[cfg(feature = "socketio")]
    {
        let door = Adapter::new(SocketIoDoor::new(chat));
        for path in SocketIoDoor::PATHS {
            router = router.route_service(path, door.clone());
        }
    }
    #[cfg(feature = "websocket")]
    {
        router = router.route_service(WebSocketDoor::PATH, Adapter::new(WebSocketDoor::new(chat)));
    }
    router
}

/// What answers to paths that nobody has, with the contract's envelope and for pages of listed origins too: the
/// [`fallback_service`](Router::fallback_service) of a server that is nothing but the chat.
pub fn fallback(
    chat: &ChatService,
) -> impl Service<Request<Body>, Response = impl IntoResponse, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    Adapter::new(HttpDoor::new(chat))
}
