//! The HTTP door: the whole API as one [`tower::Service`](tower_service::Service), for whichever framework mounts it.
//!
//! Everything that the contract says of HTTP is in here: routes, statuses, the envelope, cookies, origins, CORS. An
//! adapter turns it into its framework's routes and adds the peer's address ([`PeerAddr`]) to each request.

#[cfg(any(feature = "socketio", feature = "websocket"))]
mod asyncapi;
mod auth;
mod body;
mod choices;
mod client;
mod endpoint;
mod images;
mod links;
mod messages;
mod openapi;
mod respond;
mod schemas;
mod settings;

use std::{
    convert::Infallible,
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::LazyLock,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri, header, request::Parts};
use http_body_util::Full;
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

use self::endpoint::{Call, ENDPOINTS, Endpoint, Reply};
#[cfg(any(feature = "socketio", feature = "websocket"))]
pub(crate) use self::{
    body::picture,
    client::{token, user_agent},
};
pub use self::{
    client::PeerAddr,
    settings::{HttpSettings, SameSite},
};
use crate::{
    BoxError, ChatService, Error, Result, UserId,
    auth::{Device, Session},
    shield::{AccountAction, AccountVisit, Verdict, Visit, VisitClass},
};

/// The body of every response.
pub type ResponseBody = Full<Bytes>;

/// The HTTP API of a service. Cheap to clone. It never fails: every error is a response.
///
/// # Examples
/// Any server that speaks tower can serve it; `chat-axum` and `chat-warp` do it for you.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use chat_core::{ChatService, http::HttpDoor};
/// use http_body_util::Full;
/// use tower_service::Service;
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
///
/// let chat = ChatService::open(folder).await?;
/// let request = http::Request::get("/api/auth/me").body(Full::<bytes::Bytes>::default())?;
/// let response = HttpDoor::new(&chat).call(request).await?;
/// assert_eq!(response.status(), 401);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct HttpDoor {
    service: Cors<Api>,
}

impl HttpDoor {
    /// The door of this service.
    #[must_use]
    pub fn new(chat: &ChatService) -> Self {
        Self { service: cors(chat).layer(Api { chat: chat.clone() }) }
    }

    /// Every path that it answers, each once, with `{name}` for what varies: what an adapter mounts.
    pub fn paths() -> impl Iterator<Item = &'static str> {
        let is_first = |(i, endpoint): (usize, &'static Endpoint)| {
            let mut before = ENDPOINTS[..i].iter();
            before.all(|other| other.path != endpoint.path).then_some(endpoint.path)
        };
        ENDPOINTS.iter().enumerate().filter_map(is_first)
    }

    /// Which of [`paths`](Self::paths) this path is, if it is one: for adapters whose framework has no table of routes,
    /// and for figures that must not count each id for itself.
    ///
    /// ```
    /// # use chat_core::http::HttpDoor;
    /// assert_eq!(HttpDoor::path_template("/api/messages/contacts"), Some("/api/messages/contacts"));
    /// assert_eq!(HttpDoor::path_template("/api/messages/0123456789abcdef01234567"), Some("/api/messages/{id}"));
    /// assert_eq!(HttpDoor::path_template("/elsewhere"), None);
    /// ```
    #[must_use]
    pub fn path_template(path: &str) -> Option<&'static str> {
        ROUTER.at(path).ok()?.value.first().map(|endpoint| endpoint.path)
    }
}

impl std::fmt::Debug for HttpDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpDoor").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for HttpDoor
where
    B: http_body::Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.service.call(request))
    }
}

/// The response to an error, for an application's own routes: status, headers and envelope as everywhere.
#[must_use]
pub fn error_response(error: &Error) -> Response<ResponseBody> {
    respond::failure(error)
}

/// The session of a request to an application's own route, by the token in its header or cookie; and, unless
/// `is_safe` says that it changes nothing, that it does not come from a page of a foreign origin with the user's cookie.
///
/// # Errors
/// [`Error::Unauthenticated`]; [`Error::OriginDenied`].
pub fn authenticate(chat: &ChatService, headers: &HeaderMap, uri: &Uri, is_safe: bool) -> Result<Session> {
    let session = client::token(headers).map(|token| chat.auth().authenticate(token));
    if !is_safe && client::cookie(headers).is_some() {
        chat.shared.http.check_origin(headers, uri, chat.shared.view.public_url())?;
    }
    session.ok_or(Error::Unauthenticated)?
}

/// The same list of origins for the API and for the sockets.
pub(crate) fn cors(chat: &ChatService) -> CorsLayer {
    let settings = chat.shared.http.clone();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| settings.is_listed(origin))
        }))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .expose_headers([
            header::LINK,
            header::RETRY_AFTER,
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
        ])
        .max_age(Duration::from_secs(3600))
}

/// From a path to its rows of the table.
#[allow(clippy::expect_used)]
static ROUTER: LazyLock<matchit::Router<Vec<&'static Endpoint>>> = LazyLock::new(|| {
    let mut router = matchit::Router::new();
    for path in HttpDoor::paths() {
        let rows = ENDPOINTS.iter().filter(|endpoint| endpoint.path == path).collect();
        // The table is a constant, and a test mounts it.
        router.insert(path, rows).expect("the paths of the table do not collide");
    }
    router
});

/// The API without CORS.
#[derive(Clone)]
struct Api {
    chat: ChatService,
}

impl<B> Service<Request<B>> for Api
where
    B: http_body::Body<Data: Buf + Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let is_head = parts.method == Method::HEAD;
            let answer = AssertUnwindSafe(api.answer(parts, body)).catch_unwind().await;
            let answer = answer.unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Err(Error::internal(format!("panic: {text}")))
            });
            let mut response = match answer {
                Ok(reply) => respond::success(reply),
                Err(error) => respond::failure(&error),
            };
            if is_head {
                *response.body_mut() = Full::default();
            }
            Ok(response)
        })
    }
}

impl Api {
    async fn answer<B>(&self, parts: Parts, body: B) -> Result<Reply>
    where
        B: http_body::Body<Data: Buf, Error: Into<BoxError>>,
    {
        let path = parts.uri.path();
        let found = ROUTER.at(path).ok();
        // A HEAD is a GET whose body nobody wants.
        let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let endpoint =
            found.as_ref().and_then(|found| found.value.iter().find(|endpoint| endpoint.method == *method));

        let token = client::token(&parts.headers);
        let session = token.map(|token| self.chat.auth().authenticate(token));
        let user = session.as_ref().and_then(|session| session.as_ref().ok()).map(|session| session.user);
        // What nobody has counts as well: a flood of it is a flood.
        let class = endpoint.map_or(VisitClass::Request, |endpoint| endpoint.class);
        let shared = &self.chat.shared;
        let peer = parts.extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
        let address = shared.http.client_address(peer, &parts.headers);
        shared.admit(&visit(class, &parts, address, user)).await?;
        let found = found.ok_or(Error::NotFound("Page"))?;
        let endpoint = endpoint.ok_or_else(|| Error::MethodNotAllowed(allowed(found.value)))?;
        let parameter = found.params.iter().next().map(|(_, value)| value.to_owned()).unwrap_or_default();
        if *method != Method::GET && client::cookie(&parts.headers).is_some() {
            shared.http.check_origin(&parts.headers, &parts.uri, shared.view.public_url())?;
        }
        let session = match session {
            Some(Ok(session)) => Some(session),
            Some(Err(error)) if endpoint.needs_session => return Err(error),
            None if endpoint.needs_session => return Err(Error::Unauthenticated),
            _ => None,
        };

        let payload = body::read(endpoint.body, &parts.headers, body, self.chat.limits()).await?;
        let call = Call {
            chat: self.chat.clone(),
            class,
            address,
            parameter,
            session,
            fields: payload.fields,
            file: payload.file,
            parts,
        };
        (endpoint.call)(call).await
    }
}

/// Somebody with a request.
fn visit(class: VisitClass, parts: &Parts, address: Option<IpAddr>, user: Option<UserId>) -> Visit<'_> {
    Visit {
        address,
        user,
        user_agent: client::user_agent(&parts.headers),
        head: Some(parts),
        ..Visit::new(class)
    }
}

impl Call {
    /// Asks the shield about an attempt at the account with this e-mail.
    async fn attempt(&self, action: AccountAction, email: &str) -> Result<()> {
        let auth = self.chat.auth();
        let proof = client::device(&self.parts.headers);
        let is_known = proof.is_some_and(|proof| self.chat.shared.devices.is_known(email, proof));
        let user = self.session.map(|session| session.user);
        let visit = visit(self.class, &self.parts, self.address, user);
        let attempt = AccountVisit { visit, action, email: email.trim(), is_known };
        let shared = &self.chat.shared;
        let verdict = shared.admit_account(&attempt).await;
        // Who has no cookie, and is slowed down by a stranger, may still be known by where they are.
        let is_slowed =
            !is_known && action == AccountAction::LogIn && matches!(verdict, Err(Error::RateLimited(_)));
        if is_slowed && auth.knows_address(email.trim(), self.address).await? {
            return shared.admit_account(&AccountVisit { is_known: true, ..attempt }).await;
        }
        verdict
    }

    /// What the client says of itself.
    fn device(&self) -> Device {
        let user_agent = client::user_agent(&self.parts.headers).map(str::to_owned);
        Device { address: self.address, user_agent }
    }
}

impl crate::service::Shared {
    /// Asks the shield.
    pub(crate) async fn admit(&self, visit: &Visit<'_>) -> Result<()> {
        judged(self.shield.check(visit).await)
    }

    /// Asks it about one account.
    async fn admit_account(&self, attempt: &AccountVisit<'_>) -> Result<()> {
        judged(self.shield.check_account(attempt).await)
    }
}

fn judged(verdict: Verdict) -> Result<()> {
    match verdict {
        Verdict::Allow => Ok(()),
        Verdict::Bot => Err(Error::BotDenied),
        Verdict::RateLimited(limited) => Err(Error::RateLimited(limited)),
        Verdict::Denied(sentence) => Err(Error::Forbidden(sentence)),
    }
}

fn allowed(rows: &[&Endpoint]) -> String {
    let mut methods: Vec<_> = rows.iter().map(|endpoint| endpoint.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.join(", ")
}
