//! The routes: those of the chat, and those for whoever runs it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use chat_core::{ChatService, Error, Timestamp, http::error_response};
use chat_server::metrics::Metrics;

/// Everything that the server answers.
pub(crate) fn router(chat: &ChatService) -> Router {
    let metrics = Metrics::new(chat);
    let page = metrics.clone();
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(chat.clone()))
        .route("/metrics", get(|| async move { metrics_page(&page) }))
        .merge(chat_axum::router(chat))
        .fallback_service(chat_axum::fallback(chat))
        .layer(from_fn_with_state(metrics, watch))
}

async fn ready(State(chat): State<ChatService>) -> Response {
    match chat.ready().await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => answer(&error),
    }
}

fn metrics_page(metrics: &Metrics) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.page()).into_response()
}

fn answer(error: &Error) -> Response {
    error_response(error).map(Body::new)
}

/// One line and one count per request. Never a body, a query or a header: these have tokens and what people write.
async fn watch(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = path.unwrap_or_else(|| "(none)".to_owned());
    let id = request_id();
    let mut response = next.run(request).await;
    let (status, took) = (response.status(), start.elapsed());
    let millis = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) as f64 / 1000.0;
    let method = if is_usual(&method) { method.as_str() } else { "OTHER" };
    tracing::info!(method, path, status = status.as_u16(), millis, request_id = %id, "request");
    if status != StatusCode::SWITCHING_PROTOCOLS {
        metrics.request(method, &path, status.as_u16(), took);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Unique among the requests of all runs of this server: the moment, and a count.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:x}-{:x}", Timestamp::now().as_millis(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether it is a method that has a meaning here: clients can make up any number of others.
fn is_usual(method: &axum::http::Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH")
}
