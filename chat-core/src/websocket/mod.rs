//! The plain WebSocket door, for clients without a Socket.IO library: `GET /ws`, as a
//! [`tower::Service`](tower_service::Service).
//!
//! The handshake needs what the API needs: the cookie, or `Authorization: Bearer`; and a page's origin must be on the
//! list. Where it is refused, the answer is the usual envelope. The subprotocol is `chat.v1.json`; a client may leave it
//! out. Frames are JSON in text:
//!
//! ```json
//! {"event": "sendMessage", "data": {"receiverId": "65b2c3d4e5f6a7b8c9d0e1f2", "text": "Hello"}, "id": 7}
//! ```
//!
//! is answered, because it has an `id`, by the envelope with that number:
//!
//! ```json
//! {"reply": 7, "success": true, "data": {"_id": "…", "seq": 1, "text": "Hello"}, "message": "Sent."}
//! ```
//!
//! `reply` is `null` where no `id` could be read. Events of the server have `event` and `data`, with the names and
//! payloads of the Socket.IO door; the first is `onlineUsers`. What one socket says is done one thing after the other.
//!
//! Events that change something, and the first one, have a `cursor` as well: where the client stands who has this one and
//! all before it. A client that comes back with the last one that it got, `GET /ws?since=<cursor>`, is told what it missed
//! and then what happens: at least once, and per chat in order. A cursor that can't be served gives the event `resync`.
//! Without `since` a client is told what happens from now on.
//!
//! The server asks for a sign of life (a ping) every 25 s. When it closes a socket, the close frame says why. Where the
//! code is one that the Socket.IO door has, too, an event `closing` goes before it: `{"code": "shutting_down",
//! "retryAfter": 740}`. `retryAfter` is there when the server goes away: the milliseconds to wait before one comes back,
//! different for each, so that not all come at once.
//!
//! | code | reason | |
//! |---|---|---|
//! | 1001 | `shutting_down` | connect again |
//! | 1002, 1003, 1007 | `protocol_error`, `unsupported_data`, `invalid_utf8` | not text frames of the WebSocket protocol |
//! | 1008 | `rate_limited` | it went on though it was told that it is too fast |
//! | 1009 | `payload_too_large` | a message over [`Limits::body_bytes`](crate::Limits) |
//! | 4401 | `unauthenticated` | signed out, or the token expired |
//! | 4408 | `timeout` | no answer to a ping, or a message that does not come to its end |
//! | 4410 | `slow_consumer` | it does not read what it is sent; what it missed is in the history |

#[cfg(test)]
mod autobahn;
mod close;
mod connection;
mod frame;
mod handshake;
mod io;
mod socket;

use std::{
    convert::Infallible,
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use tower_service::Service;

pub(crate) use self::close::Close;
use crate::{ChatService, Result, http::error_response};

/// The body of every response.
pub type ResponseBody = Full<Bytes>;

/// The WebSocket endpoint of a service. Cheap to clone. It never fails: what is no handshake gets a response.
///
/// The request must have hyper's [`OnUpgrade`](hyper::upgrade::OnUpgrade) among its extensions, where hyper puts it, and
/// the server must serve connections with upgrades.
#[derive(Clone)]
pub struct WebSocketDoor {
    chat: ChatService,
}

impl WebSocketDoor {
    /// The path at which it answers.
    pub const PATH: &str = "/ws";

    /// The door of this service.
    #[must_use]
    pub fn new(chat: &ChatService) -> Self {
        Self { chat: chat.clone() }
    }
}

impl fmt::Debug for WebSocketDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketDoor").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for WebSocketDoor {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (chat, (parts, _)) = (self.chat.clone(), request.into_parts());
        Box::pin(async move {
            Ok(match handshake::accept(&chat, parts).await {
                Ok((response, accepted)) => {
                    // A shutdown waits a moment until each is told.
                    chat.shared.errands.spawn(connection::live(chat.clone(), accepted));
                    response
                }
                Err(error) => error_response(&error),
            })
        })
    }
}
