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
    http::{Request, Response},
    path::{FullPath, Peek},
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
    let routes = mount(HttpDoor::new(chat), |path| HttpDoor::path_template(path).is_some());
    #[cfg(feature = "socketio")]
    let routes = routes.or(mount(SocketIoDoor::new(chat), |path| SocketIoDoor::PATHS.contains(&path)));
    #[cfg(feature = "websocket")]
    let routes = routes.or(mount(WebSocketDoor::new(chat), |path| path == WebSocketDoor::PATH));
    routes
}

/// A door, for the paths that it has.
fn mount<D, B>(
    door: D,
    has: fn(&str) -> bool,
) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone + Send + Sync + 'static
where
    D: Service<Request<request::DoorBody>, Response = Response<B>, Error = Infallible, Future: Send>,
    D: Clone + Send + Sync + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + Sync + 'static,
{
    warp::path::peek()
        .and_then(move |path: Peek| {
            let is_ours = has(&format!("/{}", path.as_str()));
            async move { is_ours.then_some(()).ok_or_else(warp::reject::not_found) }
        })
        .untuple_one()
        .and(request::head())
        .and(warp::body::stream())
        .then(move |head: Request<()>, body| {
            let answer = door.clone().call(head.map(|()| request::body(body)));
            async { answer.await.map(response::from_door) }
        })
}

/// What answers to whatever comes to it, with the contract's 404 and for pages of listed origins too: the last filter of
/// a server that is nothing but the chat.
pub fn fallback(
    chat: &ChatService,
) -> impl Filter<Extract = (impl Reply + use<>,), Error = Infallible> + Clone + Send + Sync + use<> + 'static
{
    let door = HttpDoor::new(chat);
    warp::path::full().and(request::head()).then(move |path: FullPath, mut head: Request<()>| {
        // Whatever was asked for is not the door's here, not even what it has somewhere else; the shield wants to see it.
        let path = path.as_str();
        let path = if HttpDoor::path_template(path).is_some() { "/" } else { path };
        *head.uri_mut() = request::with_path(head.uri(), path);
        let answer = door.clone().call(head.map(|()| Empty::<Bytes>::new()));
        async { answer.await.map(response::from_door) }
    })
}
