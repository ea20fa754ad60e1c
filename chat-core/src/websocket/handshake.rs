//! The opening handshake (RFC 6455, section 4.2), and who may do it.

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, HeaderValue, Request, Response, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::{
    Error as ProtocolFailure, error::ProtocolError, handshake::server::create_response_with_body,
};

use super::ResponseBody;
use crate::{ChatService, Error, Result, auth::Session, sockets};

/// The one that is spoken here.
pub(super) const SUBPROTOCOL: &str = "chat.v1.json";

/// A handshake that went well.
pub(super) struct Accepted {
    /// What becomes the connection, once the answer is sent.
    pub(super) upgrade: OnUpgrade,
    pub(super) session: Session,
    /// From where the client goes on.
    pub(super) since: Option<String>,
    pub(super) address: Option<IpAddr>,
}

/// What is answered, and what comes of it.
pub(super) async fn accept(chat: &ChatService, parts: Parts) -> Result<(Response<ResponseBody>, Accepted)> {
    let request = Request::from_parts(parts, ());
    let mut response =
        create_response_with_body(&request, ResponseBody::default).map_err(|failure| refused(&failure))?;
    let (mut parts, ()) = request.into_parts();
    if let Some(protocol) = subprotocol(&parts.headers)? {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or(Error::UpgradeRequired("this connection can't become one; use HTTP/1.1"))?;
    let session = sockets::sign_in(chat, &parts, None).await?;
    let since = sockets::since(query(&parts, "since").as_deref());
    Ok((response, Accepted { upgrade, session, since, address: sockets::address(chat, &parts) }))
}

fn refused(failure: &ProtocolFailure) -> Error {
    match failure {
        ProtocolFailure::Protocol(ProtocolError::WrongHttpMethod) => {
            Error::MethodNotAllowed("GET".to_owned())
        }
        ProtocolFailure::Protocol(
            ProtocolError::MissingSecWebSocketKey | ProtocolError::InvalidSecWebSocketKey,
        ) => Error::invalid("Sec-WebSocket-Key", "must be 16 random bytes in base64"),
        ProtocolFailure::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            Error::UpgradeRequired("its version is 13")
        }
        _ => Error::UpgradeRequired("send a WebSocket handshake over HTTP/1.1"),
    }
}

/// A parameter of the URL.
fn query<'a>(parts: &'a Parts, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = form_urlencoded::parse(parts.uri.query()?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Ours, where it is offered; none where none is.
fn subprotocol(headers: &HeaderMap) -> Result<Option<HeaderValue>> {
    let mut offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().peekable();
    if offers.peek().is_none() {
        return Ok(None);
    }
    let mut names = offers.filter_map(|offer| offer.to_str().ok()).flat_map(|offer| offer.split(','));
    if names.any(|name| name.trim() == SUBPROTOCOL) {
        Ok(Some(HeaderValue::from_static(SUBPROTOCOL)))
    } else {
        Err(Error::invalid("Sec-WebSocket-Protocol", format!("must offer {SUBPROTOCOL}, or be absent")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subprotocols() {
        let chosen = |offers: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for offer in offers {
                headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offer));
            }
            subprotocol(&headers)
        };
        assert_eq!(chosen(&[]).unwrap(), None);
        for offers in [&["chat.v1.json"][..], &["other, chat.v1.json"], &["other", "chat.v1.json,x"]] {
            assert_eq!(chosen(offers).unwrap().unwrap(), "chat.v1.json", "{offers:?}");
        }
        for offers in [&["other"][..], &[""], &["chat.v2.json", "chat.v1"]] {
            assert!(chosen(offers).is_err(), "{offers:?}");
        }
    }
}
