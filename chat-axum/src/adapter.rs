//! From axum's requests to a door's, and back.

use std::{
    convert::Infallible,
    net::SocketAddr,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{Request, Response},
};
use chat_core::{BoxError, http::PeerAddr};
use tower_service::Service;

/// Tells the door the peer's address in its own terms.
#[derive(Debug, Clone)]
pub(crate) struct Adapter<D> {
    door: D,
}

impl<D> Adapter<D> {
    pub(crate) fn new(door: D) -> Self {
        Self { door }
    }
}

impl<D, B> Service<Request<Body>> for Adapter<D>
where
    D: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    D::Future: Send + 'static,
    B: axum::body::HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = D::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.door.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(&ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
            request.extensions_mut().insert(PeerAddr(peer));
        }
        self.door.call(request)
    }
}
