//! Somebody with an account.

use std::ops::Deref;

use serde_json::{Value, json};

use crate::{Client, Reply, Server, Signup, Target, shape, until};

/// Somebody signed up; as a [`Client`], signed in by cookie.
#[derive(Debug, Clone)]
pub struct Person {
    client: Client,
    /// What they typed.
    pub form: Signup,
    /// The user that the sign-up answered.
    pub user: Value,
    /// The token of their first session.
    pub token: String,
}

impl Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// A fresh server, and two people on it.
pub async fn two(target: Target) -> (Server, Person, Person) {
    two_with(target, &[]).await
}

/// The same, with these settings of the server.
pub async fn two_with(target: Target, settings: &[(&str, &str)]) -> (Server, Person, Person) {
    let server = target.start_with(settings).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    (server, ann, bob)
}

impl Person {
    /// Signs up somebody new.
    pub async fn signup(client: &Client) -> Self {
        Self::signup_as(client, Signup::random()).await
    }

    /// Signs up somebody new by this form.
    pub async fn signup_as(client: &Client, form: Signup) -> Self {
        let reply = patient(|| client.post("/api/auth/signup", form.json())).await;
        let token = reply.token();
        let user = reply.ok(201);
        shape::user(&user);
        Self { client: client.with_cookie(&token), form, user, token }
    }

    /// Another session of the same person.
    pub async fn login(&self) -> Self {
        Self::login_as(&self.anonymous(), self.form.clone()).await
    }

    /// Signs in somebody who has an account.
    pub async fn login_as(client: &Client, form: Signup) -> Self {
        let body = json!({ "email": form.email, "password": form.password });
        let reply = patient(|| client.post("/api/auth/login", body.clone())).await;
        let token = reply.token();
        let user = reply.ok(200);
        shape::user(&user);
        Self { client: client.with_cookie(&token), form, user, token }
    }

    /// The same person on another server that knows them.
    #[must_use]
    pub fn at(&self, server: &Server) -> Self {
        Self { client: server.client().with_cookie(&self.token), ..self.clone() }
    }

    /// Their id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.user["_id"].as_str().unwrap()
    }

    /// The path that sends to this person.
    #[must_use]
    pub fn inbox(&self) -> String {
        format!("/api/messages/send/{}", self.id())
    }

    /// Sends a text and gets the message.
    pub async fn say(&self, to: &Self, text: &str) -> Value {
        let message = self.post(&to.inbox(), json!({ "text": text })).await.ok(201);
        shape::message(&message);
        message
    }

    /// The newest of the conversation with somebody, each checked.
    pub async fn conversation(&self, with: &Self) -> Vec<Value> {
        let Value::Array(messages) = self.get(&format!("/api/messages/{}", with.id())).await.ok(200) else {
            panic!("a conversation is a list")
        };
        messages.iter().for_each(shape::message);
        messages
    }

    /// The whole conversation with somebody, page by page, oldest first.
    pub async fn whole_conversation(&self, with: &Self) -> Vec<Value> {
        let mut pages = self.pages(&format!("/api/messages/{}?limit=200", with.id())).await;
        pages.reverse();
        pages.into_iter().flatten().collect()
    }

    /// The list of chats, each checked.
    pub async fn chats(&self) -> Vec<Value> {
        let Value::Array(chats) = self.get("/api/messages/chats").await.ok(200) else {
            panic!("chats are a list")
        };
        chats.iter().for_each(shape::chat);
        chats
    }

    /// How many messages of that partner are unread.
    pub async fn unread(&self, from: &Self) -> u64 {
        let chats = self.chats().await;
        let chat = chats.iter().find(|chat| chat["_id"] == from.id()).expect("there is a chat");
        chat["unread"].as_u64().unwrap()
    }
}

/// Tries again as long as the answer is 503: the password workers may be full.
pub(crate) async fn patient<F, R>(mut request: F) -> Reply
where
    F: FnMut() -> R,
    R: Future<Output = Reply>,
{
    until("a place at the password workers", || {
        let reply = request();
        async {
            let reply = reply.await;
            (reply.status != 503).then_some(reply)
        }
    })
    .await
}
