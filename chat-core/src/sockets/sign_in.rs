//! Who may open a socket.

use std::net::IpAddr;

use http::request::Parts;

use crate::{
    ChatService, Error, Result,
    auth::Session,
    http::{PeerAddr, token, user_agent},
    shield::{Visit, VisitClass},
};

/// Checks who opens a socket: the page that it comes from, the shield, and the token, which is the one that was `given`,
/// else that of the header or the cookie.
pub(crate) async fn sign_in(chat: &ChatService, parts: &Parts, given: Option<&str>) -> Result<Session> {
    let shared = &chat.shared;
    shared.http.check_origin(&parts.headers, &parts.uri, shared.view.public_url())?;
    let session = given.or_else(|| token(&parts.headers)).map(|token| chat.auth().authenticate(token));
    let user = session.as_ref().and_then(|session| session.as_ref().ok()).map(|session| session.user);
    let user_agent = user_agent(&parts.headers);
    let address = address(chat, parts);
    shared
        .admit(&Visit { address, user, user_agent, head: Some(parts), ..Visit::new(VisitClass::Connect) })
        .await?;
    session.ok_or(Error::Unauthenticated)?
}

/// Where the client of this request is.
pub(crate) fn address(chat: &ChatService, parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
    chat.shared.http.client_address(peer, &parts.headers)
}
