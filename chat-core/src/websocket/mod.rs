//! The plain WebSocket door: `GET /ws`, as a [`tower::Service`](tower_service::Service).

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower_service::Service;

use crate::{ChatService, Error, http::error_response};

/// The body of every response.
pub type ResponseBody = Full<Bytes>;

/// The WebSocket endpoint of a service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WebSocketDoor {
    #[allow(dead_code)]
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

impl<B: Send + 'static> Service<Request<B>> for WebSocketDoor {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(error_response(&Error::NotFound("Page"))))
    }
}
