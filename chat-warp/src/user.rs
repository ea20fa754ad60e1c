//! The signed-in user, for the application's own routes.

use std::fmt;

use chat_core::{ChatService, Error, UserId, auth::Session, http};
use warp::{
    Filter, Rejection, Reply,
    http::{Method, Request},
};

use crate::{request, response};

/// Whoever is signed in, by the cookie or the token of the chat: what [`current_user`] extracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentUser(pub Session);

impl CurrentUser {
    /// Their id; [`Auth::user`](chat_core::auth::Auth::user) gives the rest.
    #[must_use]
    pub const fn id(&self) -> UserId {
        self.0.user
    }
}

/// An error of the chat as a rejection: nobody is signed in, the request comes from another origin, or what a route of
/// the application's own makes of an error (`.map_err(Refusal)?`). [`recover`] answers it.
pub struct Refusal(pub Error);

impl warp::reject::Reject for Refusal {}

/// Shows the code only: warp sends it to the client where nothing recovers.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refusal").field(&self.0.code()).finish()
    }
}

/// Extracts whoever is signed in, for the application's own routes.
///
/// Where nobody is signed in, or a page of another origin uses the cookie to change something, it rejects with a
/// [`Refusal`]. Put [`recover`] right behind the routes that use it, so that no later filter answers in its place.
///
/// # Examples
/// ```
/// use chat_core::ChatService;
/// use chat_warp::CurrentUser;
/// use warp::{Filter, Rejection, Reply};
///
/// fn app(chat: &ChatService) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
///     let whoami = warp::path!("whoami")
///         .and(chat_warp::current_user(chat))
///         .map(|user: CurrentUser| user.id().to_string());
///     whoami.recover(chat_warp::recover).or(chat_warp::routes(chat))
/// }
/// ```
pub fn current_user(
    chat: &ChatService,
) -> impl Filter<Extract = (CurrentUser,), Error = Rejection> + Clone + Send + Sync + use<> + 'static {
    let chat = chat.clone();
    request::head().and_then(move |head| {
        let user = authenticate(&chat, &head);
        async { user.map_err(|error| Rejection::from(Refusal(error))) }
    })
}

/// The same for routes that are for everybody: `None` where nobody is signed in.
///
/// A page of another origin that uses the cookie to change something is rejected all the same.
pub fn optional_user(
    chat: &ChatService,
) -> impl Filter<Extract = (Option<CurrentUser>,), Error = Rejection> + Clone + Send + Sync + use<> + 'static
{
    let chat = chat.clone();
    request::head().and_then(move |head| {
        let user = match authenticate(&chat, &head) {
            Err(Error::Unauthenticated) => Ok(None),
            user => user.map(Some),
        };
        async { user.map_err(|error| Rejection::from(Refusal(error))) }
    })
}

fn authenticate(chat: &ChatService, head: &Request<()>) -> chat_core::Result<CurrentUser> {
    let is_safe = matches!(*head.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    http::authenticate(chat, head.headers(), head.uri(), is_safe).map(CurrentUser)
}

/// Answers a [`Refusal`] with the contract's envelope, and passes everything else on: for
/// [`Filter::recover`](warp::Filter::recover).
///
/// # Errors
/// The rejection itself, if there is no [`Refusal`] in it.
pub async fn recover(rejection: Rejection) -> Result<impl Reply, Rejection> {
    match rejection.find::<Refusal>() {
        Some(Refusal(error)) => Ok(response::from_door(http::error_response(error))),
        None => Err(rejection),
    }
}
