//! The table: every route of the API, once. What serves it, what documents it and what mounts it read it here.

use std::{borrow::Cow, net::IpAddr};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, request::Parts};
use serde::Serialize;

#[cfg(any(feature = "socketio", feature = "websocket"))]
use super::asyncapi;
use super::{auth, choices, images, messages, openapi};
use crate::{ChatService, Code, Error, Result, auth::Session, images::StoredImage, shield::VisitClass, wire};

/// One row.
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// With `{name}` for what varies.
    pub(super) path: &'static str,
    pub(super) class: VisitClass,
    pub(super) needs_session: bool,
    pub(super) body: Body,
    pub(super) call: fn(Call) -> BoxFuture<'static, Result<Reply>>,
    pub(super) doc: Doc,
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

/// What the description of the API says of a row, beyond what follows from the rest of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doc {
    /// Its `operationId`. The same with a capital is the name of the schema of its body.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// The statuses when all is well.
    pub(super) ok: &'static [u16],
    pub(super) answer: Answer,
    /// What can go wrong here for a reason of its own.
    pub(super) errors: &'static [Code],
}

/// What comes back when all is well; the names are those of schemas and of parameters in `schemas.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The user, and the cookie.
    SignedIn,
    /// Nothing, and the cookie is gone.
    SignedOut,
    One(&'static str),
    /// One of these, or nothing: which, the parameter of this name decides.
    Maybe(&'static str, &'static str),
    /// One of these; what is meant is in this parameter.
    By(&'static str, &'static str),
    Nothing,
    /// All there are, on one page.
    List(&'static str),
    /// A list of these, the further page of which begins where the first of these parameters says.
    Page(&'static str, &'static [&'static str]),
    Image,
    /// The description itself.
    Document,
}

const fn row(
    method: Method,
    path: &'static str,
    class: VisitClass,
    needs_session: bool,
    body: Body,
    call: fn(Call) -> BoxFuture<'static, Result<Reply>>,
    doc: Doc,
) -> Endpoint {
    Endpoint { method, path, class, needs_session, body, call, doc }
}

const fn doc(
    id: &'static str,
    summary: &'static str,
    ok: &'static [u16],
    answer: Answer,
    errors: &'static [Code],
) -> Doc {
    Doc { id, summary, ok, answer, errors }
}

use Answer::{By, Document, Image, List, Maybe, Nothing, One, Page, SignedIn, SignedOut};
use Body::{Json, JsonOrFile, OptionalJson};
use Code::{EmailTaken, EmailUnverified, InvalidCredentials, InvalidLink, NotFound, ValidationFailed};
use VisitClass::{Credentials, Request};

#[rustfmt::skip]
pub(super) const ENDPOINTS: &[Endpoint] = &[
    row(Method::POST,   "/api/auth/signup",        Credentials, false, Json,                     |c| Box::pin(auth::sign_up(c)),
        doc("signUp", "Make an account and sign in.", &[201], SignedIn, &[EmailTaken])),
    row(Method::POST,   "/api/auth/login",         Credentials, false, Json,                     |c| Box::pin(auth::log_in(c)),
        doc("logIn", "Sign in.", &[200], SignedIn, &[InvalidCredentials, EmailUnverified])),
    row(Method::POST,   "/api/auth/logout",        Request,     false, Body::None,               |c| Box::pin(auth::log_out(c)),
        doc("logOut", "End this sign-in. Without one it is fine too.", &[200], SignedOut, &[])),
    row(Method::PUT,    "/api/auth/profile",       Request,     true,  JsonOrFile("profilePic"), |c| Box::pin(auth::update_profile(c)),
        doc("updateProfile", "Change your name, your picture, or both.", &[200], One("User"), &[NotFound])),
    row(Method::PUT,    "/api/auth/password",      Request    , true,  Json,                     |c| Box::pin(auth::change_password(c)),
        doc("changePassword", "Change your password. All your other sign-ins end.", &[200], Nothing, &[InvalidCredentials, NotFound])),
    row(Method::POST,   "/api/auth/password/forgot", Credentials, false, Json,                   |c| Box::pin(auth::forgot_password(c)),
        doc("forgotPassword", "Have a link to a new password sent to you, if there is an account with this e-mail.", &[200], Nothing, &[])),
    row(Method::POST,   "/api/auth/password/reset", Request    , false, Json,                    |c| Box::pin(auth::reset_password(c)),
        doc("resetPassword", "Set a new password by a link, which works once. All your sign-ins end.", &[200], Nothing, &[InvalidLink])),
    row(Method::POST,   "/api/auth/email/verify",  Request    , false, Json,                     |c| Box::pin(auth::verify_email(c)),
        doc("verifyEmail", "Show by a link that your e-mail is yours. Again is fine.", &[200], Nothing, &[InvalidLink])),
    row(Method::POST,   "/api/auth/email/resend",  Credentials, false, Json,                     |c| Box::pin(auth::resend_verification(c)),
        doc("resendVerification", "Have that link sent once more, if an account waits for it.", &[200], Nothing, &[])),
    row(Method::GET,    "/api/auth/sessions",      Request,     true,  Body::None,               |c| Box::pin(auth::sessions(c)),
        doc("sessions", "Your sign-ins, the newest first.", &[200], List("Session"), &[])),
    row(Method::DELETE, "/api/auth/sessions",      Request,     true,  Body::None,               |c| Box::pin(auth::end_other_sessions(c)),
        doc("endOtherSessions", "End all your sign-ins but this one.", &[200], Nothing, &[NotFound])),
    row(Method::DELETE, "/api/auth/sessions/{id}", Request,     true,  Body::None,               |c| Box::pin(auth::end_session(c)),
        doc("endSession", "End one of your sign-ins.", &[200], Nothing, &[NotFound])),
    row(Method::GET,    "/api/auth/settings",      Request,     true,  Body::None,               |c| Box::pin(choices::settings(c)),
        doc("settings", "What others may know of you.", &[200], One("Settings"), &[NotFound])),
    row(Method::PUT,    "/api/auth/settings",      Request,     true,  Json,                     |c| Box::pin(choices::change_settings(c)),
        doc("changeSettings", "Change it. Who becomes invisible goes offline for everybody else.", &[200], One("Settings"), &[NotFound])),
    row(Method::GET,    "/api/auth/blocks",        Request,     true,  Body::None,               |c| Box::pin(choices::blocks(c)),
        doc("blocks", "Whom you have blocked, the first one first.", &[200], List("User"), &[])),
    row(Method::PUT,    "/api/auth/blocks/{id}",   Request,     true,  Body::None,               |c| Box::pin(choices::block(c)),
        doc("block", "Block user `id`, who then can't write to you any more, nor see whether you are here. Again is fine.", &[200], Nothing, &[NotFound, ValidationFailed])),
    row(Method::DELETE, "/api/auth/blocks/{id}",   Request,     true,  Body::None,               |c| Box::pin(choices::unblock(c)),
        doc("unblock", "End that. Again is fine.", &[200], Nothing, &[])),
    row(Method::GET,    "/api/auth/me",            Request,     true,  Body::None,               |c| Box::pin(auth::me(c)),
        doc("me", "Who you are.", &[200], One("User"), &[])),
    row(Method::GET,    "/api/messages/contacts",  Request,     true,  Body::None,               |c| Box::pin(messages::contacts(c)),
        doc("contacts", "Everybody but you, by name, or those who are searched for.", &[200], Page("User", &["AfterUser", "Search"]), &[NotFound])),
    row(Method::GET,    "/api/messages/chats",     Request,     true,  Body::None,               |c| Box::pin(messages::chats(c)),
        doc("chats", "Your chats, latest activity first.", &[200], Page("Chat", &["AfterChat"]), &[])),
    row(Method::GET,    "/api/messages/{id}",      Request,     true,  Body::None,               |c| Box::pin(messages::conversation(c)),
        doc("conversation", "Your conversation with user `id`: the newest messages, oldest first.", &[200], Page("Message", &["BeforeMessage"]), &[NotFound])),
    row(Method::DELETE, "/api/messages/{id}",      Request,     true,  Body::None,               |c| Box::pin(messages::delete(c)),
        doc("deleteMessage", "Delete message `id`: one that you sent, for everybody; any of your chats, for yourself. Again is fine.", &[200], Maybe("Message", "For"), &[NotFound])),
    row(Method::PUT,    "/api/messages/{id}",      Request,     true,  Json,                     |c| Box::pin(messages::edit(c)),
        doc("editMessage", "Change the text of message `id`, which you sent not long ago.", &[200], One("Message"), &[NotFound])),
    row(Method::PUT,    "/api/messages/{id}/reactions", Request, true, Json,                     |c| Box::pin(messages::react(c)),
        doc("react", "Say what you think of message `id`: once in each way. Again is fine.", &[200], One("Message"), &[NotFound])),
    row(Method::DELETE, "/api/messages/{id}/reactions", Request, true, Body::None,               |c| Box::pin(messages::take_reaction_back(c)),
        doc("takeReactionBack", "Take that back. Again is fine.", &[200], By("Message", "Emoji"), &[NotFound])),
    row(Method::POST,   "/api/messages/send/{id}", Request,     true,  JsonOrFile("image"),      |c| Box::pin(messages::send(c)),
        doc("sendMessage", "Send to user `id`. A repeat of a `clientId` gets the first message again, with 200.", &[201, 200], One("Message"), &[NotFound])),
    row(Method::POST,   "/api/messages/{id}/read", Request,     true,  OptionalJson,             |c| Box::pin(messages::mark_read(c)),
        doc("markRead", "Note that you have read the conversation with user `id`, up to `seq` or its newest.", &[200], One("ReadState"), &[NotFound])),
    row(Method::POST,   "/api/messages/{id}/delivered", Request, true, OptionalJson,             |c| Box::pin(messages::mark_delivered(c)),
        doc("markDelivered", "Note that a device of yours has the conversation with user `id`, up to `seq` or its newest.", &[200], One("DeliveryState"), &[NotFound])),
    row(Method::GET,    "/api/images/{name}",      Request,     false, Body::None,               |c| Box::pin(images::get(c)),
        doc("image", "A picture. Its name, which nobody can guess, is all it takes.", &[200], Image, &[NotFound])),
    row(Method::GET,    "/api/openapi.json",       Request,     false, Body::None,               |c| Box::pin(openapi::get(c)),
        doc("openapi", "This description of the API.", &[200], Document, &[])),
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    row(Method::GET,    "/api/asyncapi.json",      Request,     false, Body::None,               |c| Box::pin(asyncapi::get(c)),
        doc("asyncapi", "The description of the sockets.", &[200], Document, &[])),
];

/// A request that came this far: past the shield, signed in where it must be, its body read.
pub(super) struct Call {
    pub(super) chat: ChatService,
    /// What the shield let in already.
    pub(super) class: VisitClass,
    /// The head of the request.
    pub(super) parts: Parts,
    /// Where the client is, as far as that is known.
    pub(super) address: Option<IpAddr>,
    /// What stands for `{id}` or `{name}`.
    pub(super) parameter: String,
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
        let query = self.parts.uri.query()?;
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
    pub(super) fn link<'a>(
        &self,
        limit: usize,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(HeaderName, HeaderValue)> {
        let mut query = form_urlencoded::Serializer::new(format!("{}?limit={limit}", self.parts.uri.path()));
        let url = self.chat.shared.public(query.extend_pairs(parameters).finish());
        let link = HeaderValue::try_from(format!("<{url}>; rel=\"next\"")).map_err(Error::internal)?;
        Ok((http::header::LINK, link))
    }
}

/// What went well.
pub(super) enum Reply {
    Json {
        status: u16,
        body: String,
        headers: Vec<(HeaderName, HeaderValue)>,
    },
    Image(StoredImage),
    /// JSON without an envelope that is the same for everybody.
    Document(Bytes),
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
