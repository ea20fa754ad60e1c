//! A warp application that has filters and a state of its own, and chat: `cargo run -p embed-warp`.
//!
//! Its own routes share the login with the chat: [`CurrentUser`] is whoever signed in at `/api/auth/login`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chat_core::{
    ChatService,
    messages::{Draft, To},
};
use chat_warp::{CurrentUser, Refusal};
use serde_json::json;
use warp::{Filter, Rejection, Reply};

/// The application's own state; the chat is a part of it.
#[derive(Clone)]
struct App {
    chat: ChatService,
    visits: Arc<AtomicU64>,
}

fn app(
    chat: ChatService,
) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone + Send + Sync + 'static {
    let routes = chat_warp::routes(&chat);
    let (anybody, user) = (chat_warp::optional_user(&chat), chat_warp::current_user(&chat));
    let state = App { chat, visits: Arc::default() };
    let state = warp::any().map(move || state.clone());
    let home = warp::path::end().and(warp::get()).and(state.clone()).and(anybody).and_then(home);
    let note = warp::path!("note-to" / String).and(warp::post()).and(state).and(user).and_then(note);
    home.or(note).recover(chat_warp::recover).or(routes)
}

/// For everybody; greets whoever is signed in by name.
async fn home(app: App, user: Option<CurrentUser>) -> Result<String, Rejection> {
    let visits = app.visits.fetch_add(1, Ordering::Relaxed) + 1;
    let name = match user {
        Some(user) => app.chat.auth().user(user.id()).await.map_err(Refusal)?.full_name,
        None => "stranger".to_owned(),
    };
    Ok(format!("Hello, {name}. Visit {visits}.\n"))
}

/// For those who are signed in: sends a message from a route of the application's own.
async fn note(to: String, app: App, user: CurrentUser) -> Result<impl Reply, Rejection> {
    let to = to.parse().map_err(|_| Refusal(chat_core::Error::InvalidId))?;
    let draft = Draft::text("A note from the application.");
    let sent = app.chat.messages().send(user.id(), To::User(to), draft).await.map_err(Refusal)?;
    Ok(warp::reply::json(&json!({ "seq": sent.message.seq })))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = ChatService::open("chat-data").await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    warp::serve(app(chat)).incoming(listener).run().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chat_core::auth::SignUp;

    use super::*;

    async fn call(request: reqwest::RequestBuilder, token: Option<&str>) -> (u16, String) {
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
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
        let token = ann.token.as_str();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(warp::serve(app(chat.clone())).incoming(listener).run());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();

        assert_eq!(call(http.get(&url), None).await, (200, "Hello, stranger. Visit 1.\n".to_owned()));
        assert_eq!(call(http.get(&url), Some(token)).await, (200, "Hello, Ann. Visit 2.\n".to_owned()));
        let note = format!("{url}/note-to/{}", bob.user.id);
        assert_eq!(call(http.post(&note), Some(token)).await, (200, "{\"seq\":1}".to_owned()));
        let (status, refusal) = call(http.post(&note), None).await;
        assert_eq!(status, 401);
        assert!(refusal.contains(r#""code":"unauthenticated""#), "{refusal}");

        let (status, page) = call(http.get(format!("{url}/api/messages/{}", bob.user.id)), Some(token)).await;
        assert!(status == 200 && page.contains("A note from the application."), "{page}");
        chat.shutdown().await;
    }
}
