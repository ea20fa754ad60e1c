//! The signed-in user, for the application's own routes.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{Method, request::Parts},
    response::{IntoResponse, Response},
};
use chat_core::{ChatService, Error, UserId, auth::Session, http};

/// Whoever is signed in, by the cookie or the token of the chat: an extractor for the application's own routes.
///
/// The application's state must give a [`ChatService`], by [`FromRef`] or by being one. Where nobody is signed in, the
/// answer is the contract's 401; where a page of another origin uses the cookie to change something, its 403. Use
/// `Option<CurrentUser>` or `Result<CurrentUser, _>` to go on without.
///
/// # Examples
/// ```
/// use axum::{Router, routing::get};
/// use chat_axum::CurrentUser;
/// use chat_core::ChatService;
///
/// async fn whoami(user: CurrentUser) -> String {
///     user.id().to_string()
/// }
///
/// fn app(chat: ChatService) -> Router {
///     Router::new().route("/whoami", get(whoami)).merge(chat_axum::router(&chat)).with_state(chat)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentUser(pub Session);

impl CurrentUser {
    /// Their id; [`Auth::user`](chat_core::auth::Auth::user) gives the rest.
    #[must_use]
    pub const fn id(&self) -> UserId {
        self.0.user
    }
}

/// Nobody is signed in, or the request comes from another origin: answers with the contract's envelope.
#[derive(Debug)]
pub struct Rejection(pub Error);

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        http::error_response(&self.0).map(axum::body::Body::new)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser
where
    ChatService: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let chat = ChatService::from_ref(state);
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        http::authenticate(&chat, &parts.headers, &parts.uri, is_safe).map(Self).map_err(Rejection)
    }
}

impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for CurrentUser
where
    ChatService: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(user) => Ok(Some(user)),
            Err(Rejection(Error::Unauthenticated)) => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }
}
