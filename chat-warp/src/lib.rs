#![doc = include_str!("../README.md")]

mod request;
mod response;
mod user;

use std::convert::Infallible;

#[cfg(feature = "socketio")]
use chat_core::socketio::SocketIoDoor;
#[cfg(feature = "websocket")]
use chat_core::websocket::WebSocketDoor;
use chat_core::{BoxError, ChatService, http::HttpDoor};
use http_body_util::Empty;
use hyper::body::{Body, Bytes};
use tower_service::Service;
use warp::{
    Filter, Rejection, Reply,
    http::{HeaderMap, Method, Request},
    path::Peek,
};

pub use self::user::{CurrentUser, Refusal, current_user, optional_user, recover};

/// The routes of the chat: the HTTP API below `/api`, Socket.IO at `/socket.io`, and plain WebSockets at `/ws`.
///
/// Combine it with an application's own filters by [`or`](Filter::or), or mount it below a prefix with
/// `warp::path("chat").and(…)` (and then tell the service, with
/// [`public_url`](chat_core::ChatServiceBuilder::public_url)). What is not the chat's is rejected as not found, and its
/// body is left for the next filter; what is, is answered, errors too.
pub fn routes(
    chat: &ChatService,
) -> impl Filter<Extract = (impl Reply + use<>,), Error = Rejection> + Clone + Send + Sync + use<> + 'static {
    let doors = Doors::new(chat);
    warp::path::peek()
        .and_then(move |path: Peek| {
            let door = doors.at(&format!("/{}", path.as_str()));
            async { door.ok_or_else(warp::reject::not_found) }
        })
        .and(request::head())
        .and(warp::body::stream())
        .then(|door: Door, head: Request<()>, body| door.answer(head.map(|()| request::body(body))))
}

/// What answers to whatever comes to it, with the contract's 404 and for pages of listed origins too: the last filter of
/// a server that is nothing but the chat.
pub fn fallback(
    chat: &ChatService,
) -> impl Filter<Extract = (impl Reply + use<>,), Error = Infallible> + Clone + Send + Sync + use<> + 'static
{
    let door = HttpDoor::new(chat);
    warp::method().and(warp::header::headers_cloned()).then(move |method: Method, headers: HeaderMap| {
        // Its path is `/`, which is not one of the door's, whatever was asked for.
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let mut door = door.clone();
        async move { door.call(request).await.map(response::from_door) }
    })
}

/// The doors of one service.
#[derive(Clone)]
struct Doors {
    http: HttpDoor,
    #[cfg(feature = "socketio")]
    socketio: SocketIoDoor,
    #[cfg(feature = "websocket")]
    websocket: WebSocketDoor,
}

impl Doors {
    fn new(chat: &ChatService) -> Self {
        Self {
            http: HttpDoor::new(chat),
            #[cfg(feature = "socketio")]
            socketio: SocketIoDoor::new(chat),
            #[cfg(feature = "websocket")]
            websocket: WebSocketDoor::new(chat),
        }
    }

    /// The one that has this path.
    fn at(&self, path: &str) -> Option<Door> {
        #[cfg(feature = "socketio")]
        if SocketIoDoor::PATHS.contains(&path) {
            return Some(Door::SocketIo(self.socketio.clone()));
        }
        #[cfg(feature = "websocket")]
        if path == WebSocketDoor::PATH {
            return Some(Door::WebSocket(self.websocket.clone()));
        }
        HttpDoor::path_template(path).map(|_| Door::Http(self.http.clone()))
    }
}

enum Door {
    Http(HttpDoor),
    #[cfg(feature = "socketio")]
    SocketIo(SocketIoDoor),
    #[cfg(feature = "websocket")]
    WebSocket(WebSocketDoor),
}

impl Door {
    async fn answer<B>(self, request: Request<B>) -> Result<warp::reply::Response, Infallible>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        match self {
            Self::Http(mut door) => door.call(request).await.map(response::from_door),
            #[cfg(feature = "socketio")]
            Self::SocketIo(mut door) => door.call(request).await.map(response::from_door),
            #[cfg(feature = "websocket")]
            Self::WebSocket(mut door) => door.call(request).await.map(response::from_door),
        }
    }
}
