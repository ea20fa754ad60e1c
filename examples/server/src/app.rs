//! Around the application: what whoever runs it asks, and what they want to know of each request.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Instant,
};

use chat_core::{
    BoxError, ChatService, Error, Timestamp,
    http::{HttpDoor, error_response},
    socketio::SocketIoDoor,
    websocket::WebSocketDoor,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Incoming};
use tower::{Service, ServiceExt};

use crate::{
    metrics::Metrics,
    pages::{self, Pages},
};

/// What a server serves: a tower service, as every framework can make of an application.
pub trait App:
    Service<Request<Incoming>, Response = Response<Self::Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> App for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// An application and, beside it, `/healthz`, `/readyz`, `/metrics`, the web client, and the pages that links in mails
/// lead to. Each request is logged and counted.
#[derive(Debug, Clone)]
pub struct Operated<A> {
    app: A,
    chat: ChatService,
    metrics: Metrics,
    pages: Pages,
}

/// The paths for whoever runs the server.
const OWN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

impl<A: App> Operated<A> {
    /// The application of a server of this service.
    #[must_use]
    pub fn new(chat: &ChatService, app: A) -> Self {
        Self { app, chat: chat.clone(), metrics: Metrics::new(chat), pages: Pages::new(None) }
    }

    /// Lets pages show pictures of this origin, beside those of the server itself.
    #[must_use]
    pub fn with_pictures_from(self, origin: &str) -> Self {
        Self { pages: Pages::new(Some(origin)), ..self }
    }

    /// One line and one count per request. Never a body, a query or a header: these have tokens and what people write.
    async fn watch(self, request: Request<Incoming>) -> Response<Either<Full<Bytes>, A::Body>> {
        let start = Instant::now();
        let method = request.method().clone();
        let path = template(request.uri().path());
        let id = request_id();
        let metrics = self.metrics.clone();
        let mut response = match path {
            Some(path) if OWN.contains(&path) => {
                operate(&self.chat, &metrics, &method, path).await.map(Either::Left)
            }
            _ if pages::template(request.uri().path()).is_some() => self.page(&request).map(Either::Left),
            _ => self.app.oneshot(request).await.unwrap_or_else(|never| match never {}).map(Either::Right),
        };
        let (status, took) = (response.status(), start.elapsed());
        let millis = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) as f64 / 1000.0;
        let method = if is_usual(&method) { method.as_str() } else { "OTHER" };
        let path = path.unwrap_or("(none)");
        tracing::info!(method, path, status = status.as_u16(), millis, request_id = %id, "request");
        if status != StatusCode::SWITCHING_PROTOCOLS {
            metrics.request(method, path, status.as_u16(), took);
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }

    fn page(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !is_read(request.method()) {
            return read_only();
        }
        let page = self.pages.get(request.uri().path(), request.headers());
        page.unwrap_or_else(|| error_response(&Error::NotFound("Page")))
    }
}

impl<A: App> Service<Request<Incoming>> for Operated<A> {
    type Response = Response<Either<Full<Bytes>, A::Body>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let this = self.clone();
        Box::pin(async { Ok(this.watch(request).await) })
    }
}

/// The answer to one of our [`OWN`] paths.
async fn operate(
    chat: &ChatService,
    metrics: &Metrics,
    method: &Method,
    path: &str,
) -> Response<Full<Bytes>> {
    if !is_read(method) {
        return read_only();
    }
    let text = "text/plain; charset=utf-8";
    let (kind, body) = match path {
        "/metrics" => ("application/openmetrics-text; version=1.0.0; charset=utf-8", metrics.page()),
        "/readyz" => match chat.ready().await {
            Ok(()) => (text, "ok\n".to_owned()),
            Err(error) => return error_response(&error),
        },
        _ => (text, "ok\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What stands for this path in figures, whose number is bounded: clients can make up any number of paths.
fn template(path: &str) -> Option<&'static str> {
    let mut fixed = OWN.into_iter().chain(SocketIoDoor::PATHS).chain([WebSocketDoor::PATH]);
    let fixed = fixed.find(|fixed| *fixed == path).or_else(|| pages::template(path));
    fixed.or_else(|| HttpDoor::path_template(path))
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn read_only() -> Response<Full<Bytes>> {
    error_response(&Error::MethodNotAllowed("GET, HEAD".to_owned()))
}

/// Unique among the requests of all runs of this server: the moment, and a count.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:x}-{:x}", Timestamp::now().as_millis(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether it is a method that has a meaning here: clients can make up any number of others.
fn is_usual(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_templates_is_bounded() {
        for (path, expected) in [
            ("/metrics", Some("/metrics")),
            ("/api/auth/me", Some("/api/auth/me")),
            ("/api/messages/0123456789abcdef01234567", Some("/api/messages/{id}")),
            ("/socket.io/", Some("/socket.io/")),
            ("/ws", Some("/ws")),
            ("/ws/more", None),
            ("/", Some("/")),
            ("/verify-email", Some("/verify-email")),
            ("/web/js/main.js", Some("/web/{file}")),
            ("/web/js/made-up.js", None),
            ("/elsewhere", None),
        ] {
            assert_eq!(template(path), expected);
        }
    }

    #[tokio::test]
    async fn the_paths_for_whoever_runs_it_are_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let chat = ChatService::open(folder.path()).await.unwrap();
        let metrics = Metrics::new(&chat);
        for path in OWN {
            for method in [Method::GET, Method::HEAD] {
                let response = operate(&chat, &metrics, &method, path).await;
                assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
            }
            let refused = operate(&chat, &metrics, &Method::POST, path).await;
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
        }
        chat.shutdown().await;
    }
}
