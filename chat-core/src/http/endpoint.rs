//! The table: every route of the API, once. What serves it, what documents it and what mounts it read it here.

use std::borrow::Cow;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::{auth, images, messages};
use crate::{ChatService, Error, Result, auth::Session, images::StoredImage, shield::VisitClass, wire};

/// One row.
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// With `{name}` for what varies.
    pub(super) path: &'static str,
    pub(super) class: VisitClass,
    pub(super) needs_session: bool,
    pub(super) body: Body,
    pub(super) call: fn(Call) -> BoxFuture<'static, Result<Reply>>,
}

/// What a request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Json,
    /// JSON, or nothing, which counts as `{}`.
    OptionalJson,
    /// JSON with a data URL, or `multipart/form-data` with a file, in the field of this name.
    JsonOrFile(&'static str),
}

const fn row(
    method: Method,
    path: &'static str,
    class: VisitClass,
    needs_session: bool,
    body: Body,
    call: fn(Call) -> BoxFuture<'static, Result<Reply>>,
) -> Endpoint {
    Endpoint { method, path, class, needs_session, body, call }
}

use Body::{Json, JsonOrFile, OptionalJson};
use VisitClass::{Credentials, Request};

#[rustfmt::skip]
pub(super) const ENDPOINTS: &[Endpoint] = &[
    row(Method::POST,   "/api/auth/signup",        Credentials, false, Json,                     |c| Box::pin(auth::sign_up(c))),
    row(Method::POST,   "/api/auth/login",         Credentials, false, Json,                     |c| Box::pin(auth::log_in(c))),
    row(Method::POST,   "/api/auth/logout",        Request,     false, Body::None,               |c| Box::pin(auth::log_out(c))),
    row(Method::PUT,    "/api/auth/profile",       Request,     true,  JsonOrFile("profilePic"), |c| Box::pin(auth::update_profile(c))),
    row(Method::GET,    "/api/auth/me",            Request,     true,  Body::None,               |c| Box::pin(auth::me(c))),
    row(Method::GET,    "/api/messages/contacts",  Request,     true,  Body::None,               |c| Box::pin(messages::contacts(c))),
    row(Method::GET,    "/api/messages/chats",     Request,     true,  Body::None,               |c| Box::pin(messages::chats(c))),
    row(Method::GET,    "/api/messages/{id}",      Request,     true,  Body::None,               |c| Box::pin(messages::conversation(c))),
    row(Method::DELETE, "/api/messages/{id}",      Request,     true,  Body::None,               |c| Box::pin(messages::delete(c))),
    row(Method::POST,   "/api/messages/send/{id}", Request,     true,  JsonOrFile("image"),      |c| Box::pin(messages::send(c))),
    row(Method::POST,   "/api/messages/{id}/read", Request,     true,  OptionalJson,             |c| Box::pin(messages::mark_read(c))),
    row(Method::GET,    "/api/images/{name}",      Request,     false, Body::None,               |c| Box::pin(images::get(c))),
];

/// A request that came this far: past the shield, signed in where it must be, its body read.
pub(super) struct Call {
    pub(super) chat: ChatService,
    /// The endpoint's path.
    pub(super) path: String,
    /// What stands for `{id}` or `{name}`.
    pub(super) parameter: String,
    pub(super) query: Option<String>,
    pub(super) session: Option<Session>,
    pub(super) fields: wire::Fields,
    /// The file of a multipart body.
    pub(super) file: Option<Bytes>,
}

impl Call {
    pub(super) fn session(&self) -> Result<Session> {
        self.session.ok_or(Error::Unauthenticated)
    }

    pub(super) fn id<T: std::str::FromStr>(&self) -> Result<T> {
        self.parameter.parse().map_err(|_| Error::InvalidId)
    }

    /// A parameter of the query; an empty one counts as absent.
    pub(super) fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.query.as_deref()?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value)
    }

    pub(super) fn limit(&self) -> Result<usize> {
        let limits = self.chat.limits();
        let Some(limit) = self.query("limit") else { return Ok(limits.page) };
        match limit.parse() {
            Ok(limit) if (1..=limits.max_page).contains(&limit) => Ok(limit),
            _ => Err(Error::invalid("limit", format!("must be a number from 1 to {}", limits.max_page))),
        }
    }

    /// The URL of the further page, for the `Link` header (RFC 8288).
    pub(super) fn link(&self, limit: usize, name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
        let url = self.chat.shared.public(format!("{}?limit={limit}&{name}={value}", self.path));
        let link = HeaderValue::try_from(format!("<{url}>; rel=\"next\"")).map_err(Error::internal)?;
        Ok((http::header::LINK, link))
    }
}

/// What went well.
pub(super) enum Reply {
    Json { status: u16, body: String, headers: Vec<(HeaderName, HeaderValue)> },
    Image(StoredImage),
}

impl Reply {
    pub(super) fn ok(data: &impl Serialize, message: &str) -> Self {
        Self::Json { status: 200, body: wire::success(data, message), headers: Vec::new() }
    }

    pub(super) fn created(data: &impl Serialize, message: &str) -> Self {
        Self::Json { status: 201, body: wire::success(data, message), headers: Vec::new() }
    }

    pub(super) fn with(mut self, header: Option<(HeaderName, HeaderValue)>) -> Self {
        if let Self::Json { headers, .. } = &mut self {
            headers.extend(header);
        }
        self
    }
}
