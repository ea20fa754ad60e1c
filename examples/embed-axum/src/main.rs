//! An axum application that has routes and a state of its own, and chat: `cargo run -p embed-axum`.
//!
//! Its own routes share the login with the chat: [`CurrentUser`] is whoever signed in at `/api/auth/login`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{FromRef, State},
    routing::{get, post},
};
use chat_axum::CurrentUser;
use chat_core::{
    ChatService,
    messages::{Draft, To},
};
use serde_json::{Value, json};

/// The application's own state; the chat is a part of it.
#[derive(Clone)]
struct App {
    chat: ChatService,
    visits: Arc<AtomicU64>,
}

impl FromRef<App> for ChatService {
    fn from_ref(app: &App) -> Self {
        app.chat.clone()
    }
}

fn app(chat: ChatService) -> Router {
    let routes = chat_axum::router(&chat);
    Router::new()
        .route("/", get(home))
        .route("/note-to/{user}", post(note))
        .with_state(App { chat, visits: Arc::default() })
        .merge(routes)
}

/// For everybody; greets whoever is signed in by name.
async fn home(State(app): State<App>, user: Option<CurrentUser>) -> Result<String, chat_axum::Rejection> {
    let visits = app.visits.fetch_add(1, Ordering::Relaxed) + 1;
    let name = match user {
        Some(user) => app.chat.auth().user(user.id()).await.map_err(chat_axum::Rejection)?.full_name,
        None => "stranger".to_owned(),
    };
    Ok(format!("Hello, {name}. Visit {visits}.\n"))
}

/// For those who are signed in: sends a message from a route of the application's own.
async fn note(
    State(chat): State<ChatService>,
    user: CurrentUser,
    axum::extract::Path(to): axum::extract::Path<String>,
) -> Result<Json<Value>, chat_axum::Rejection> {
    let to = to.parse().map_err(|_| chat_axum::Rejection(chat_core::Error::InvalidId))?;
    let sent =
        chat.messages().send(user.id(), To::User(to), Draft::text("A note from the application.")).await;
    Ok(Json(json!({ "seq": sent.map_err(chat_axum::Rejection)?.message.seq })))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = ChatService::open("chat-data").await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(chat).into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, header},
    };
    use chat_core::auth::SignUp;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str, token: Option<&str>) -> (u16, String) {
        call(app, Request::get(path), token).await
    }

    async fn call(app: &Router, request: axum::http::request::Builder, token: Option<&str>) -> (u16, String) {
        let request = match token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test]
    async fn the_login_of_the_chat_is_the_login_of_the_application() {
        let folder = tempfile::tempdir().unwrap();
        let chat = ChatService::open(folder.path()).await.unwrap();
        let person = |name: &str| SignUp {
            email: format!("{name}@example.org"),
            full_name: name.to_owned(),
            password: "correct horse".to_owned(),
            ..SignUp::default()
        };
        let ann = chat.auth().sign_up(person("Ann")).await.unwrap();
        let bob = chat.auth().sign_up(person("Bob")).await.unwrap();
        let (app, token) = (app(chat.clone()), ann.token.as_str());

        assert_eq!(get(&app, "/", None).await, (200, "Hello, stranger. Visit 1.\n".to_owned()));
        assert_eq!(get(&app, "/", Some(token)).await, (200, "Hello, Ann. Visit 2.\n".to_owned()));
        let note = format!("/note-to/{}", bob.user.id);
        assert_eq!(call(&app, Request::post(&note), Some(token)).await, (200, "{\"seq\":1}".to_owned()));
        let (status, refusal) = call(&app, Request::post(&note), None).await;
        assert_eq!(status, 401);
        assert!(refusal.contains(r#""code":"unauthenticated""#), "{refusal}");

        let (status, page) = get(&app, &format!("/api/messages/{}", bob.user.id), Some(token)).await;
        assert!(status == 200 && page.contains("A note from the application."), "{page}");
        chat.shutdown().await;
    }
}
