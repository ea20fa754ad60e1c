//! What is asked over HTTP: signing in, people, chats, history, and what is read.

use std::time::Duration;

use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    model::{Chat, Failure, Message, User},
    net::Server,
};

pub(crate) const USER_AGENT: &str = concat!("terminal-chat/", env!("CARGO_PKG_VERSION"));

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Lists are loaded whole up to this many pages, in case somebody's list has no end.
const MOST_PAGES: usize = 100;
/// A page of pictures' URLs and long texts is far below that.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The API, as whoever has this token. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    server: Server,
    token: String,
}

/// An answer that went well.
struct Answer {
    headers: HeaderMap,
    data: Value,
}

impl Api {
    pub(crate) async fn log_in(server: Server, email: &str, password: &str) -> Result<(Self, User), Failure> {
        Self::enter(server, "/api/auth/login", json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn sign_up(
        server: Server,
        email: &str,
        full_name: &str,
        password: &str,
    ) -> Result<(Self, User), Failure> {
        let form = json!({ "email": email, "fullName": full_name, "password": password });
        Self::enter(server, "/api/auth/signup", form).await
    }

    async fn enter(server: Server, path: &str, form: Value) -> Result<(Self, User), Failure> {
        let answer = ask(&server, None, Method::POST, path, Some(form)).await?;
        let token = cookie(&answer.headers).ok_or_else(|| Failure::network("the server gave no token"))?;
        Ok((Self { server, token }, read(answer.data)?))
    }

    /// The token ends; nobody else can use it after this.
    pub(crate) async fn log_out(&self) -> Result<(), Failure> {
        self.ask(Method::POST, "/api/auth/logout", None).await.map(|_| ())
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Everybody else.
    pub(crate) async fn contacts(&self) -> Result<Vec<User>, Failure> {
        self.all("/api/messages/contacts").await
    }

    /// The latest first.
    pub(crate) async fn chats(&self) -> Result<Vec<Chat>, Failure> {
        self.all("/api/messages/chats").await
    }

    /// The newest of a conversation, or those before a message, oldest first; and whether there are older ones.
    pub(crate) async fn history(
        &self,
        with: &str,
        before: Option<&str>,
    ) -> Result<(Vec<Message>, bool), Failure> {
        let before = before.map(|id| format!("?before={id}")).unwrap_or_default();
        let answer = self.ask(Method::GET, &format!("/api/messages/{with}{before}"), None).await?;
        Ok((read(answer.data)?, next(&answer.headers).is_some()))
    }

    /// I have read that conversation up to there.
    pub(crate) async fn mark_read(&self, with: &str, seq: u64) -> Result<(), Failure> {
        let path = format!("/api/messages/{with}/read");
        self.ask(Method::POST, &path, Some(json!({ "seq": seq }))).await.map(|_| ())
    }

    async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Failure> {
        let (mut all, mut path) = (Vec::new(), path.to_owned());
        for _ in 0..MOST_PAGES {
            let answer = self.ask(Method::GET, &path, None).await?;
            all.extend(read::<Vec<T>>(answer.data)?);
            match next(&answer.headers) {
                Some(next) => path = next,
                None => break,
            }
        }
        Ok(all)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer, Failure> {
        ask(&self.server, Some(&self.token), method, path, body).await
    }
}

/// One connection for one question: they are few, and so nothing has to be kept alive.
async fn ask(
    server: &Server,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Answer, Failure> {
    let asking = async {
        let mut request = Request::builder()
            .method(method)
            .uri(server.path(path))
            .header(header::HOST, server.host())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONNECTION, "close");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let bytes = body.map(|body| body.to_string());
        if bytes.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::new(Bytes::from(bytes.unwrap_or_default()))).map_err(Failure::network)?;
        let stream = TokioIo::new(server.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(Failure::network)?;
        let answering = async {
            let (head, body) = sender.send_request(request).await.map_err(Failure::network)?.into_parts();
            let body = http_body_util::Limited::new(body, MOST_BYTES).collect().await;
            Ok((head, body.map_err(Failure::network)?.to_bytes()))
        };
        let mut answering = std::pin::pin!(answering);
        let (head, body) = tokio::select! {
            answer = &mut answering => answer?,
            // It ends once the last byte is there, which may be before that byte is read.
            _ = connection => answering.await?,
        };
        envelope(&body, head.status).map(|data| Answer { headers: head.headers, data })
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::network(format!("{} does not answer", server.host()))),
    }
}

/// The data in an answer, or the server's own words for why there is none.
pub(crate) fn envelope(body: &[u8], status: http::StatusCode) -> Result<Value, Failure> {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut envelope) if envelope.get("success").is_some_and(Value::is_boolean) => {
            if envelope["success"] == true { Ok(envelope["data"].take()) } else { Err(failure(&envelope)) }
        }
        // A proxy in between, or no chat server at all.
        _ => {
            Err(Failure::network(format!("the server answered {status}, and that is not the chat's answer")))
        }
    }
}

/// Out of an envelope that tells of one.
pub(crate) fn failure(envelope: &Value) -> Failure {
    let text = |value: &Value| value.as_str().map(crate::clean::line);
    let mut message = text(&envelope["message"]).unwrap_or_else(|| "The server refused.".to_owned());
    let fields = envelope["data"]["fields"].as_object();
    for (field, why) in fields.into_iter().flatten() {
        let why = text(why).unwrap_or_default();
        if !message.contains(&why) {
            message.push_str(&format!(" ({}: {why})", crate::clean::line(field)));
        }
    }
    Failure { code: text(&envelope["data"]["code"]).unwrap_or_else(|| "unknown".to_owned()), message }
}

fn read<T: DeserializeOwned>(data: Value) -> Result<T, Failure> {
    serde_json::from_value(data)
        .map_err(|error| Failure::network(format!("the answer makes no sense: {error}")))
}

/// The token, out of the cookie that signing in sets.
fn cookie(headers: &HeaderMap) -> Option<String> {
    headers.get_all(header::SET_COOKIE).iter().find_map(|cookie| {
        let value = cookie.to_str().ok()?.strip_prefix("jwt=")?;
        Some(value.split(';').next().unwrap_or_default().to_owned()).filter(|token| !token.is_empty())
    })
}

/// Path and query of the next page.
fn next(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|link| link.to_str().ok())
        .flat_map(|link| link.split(','))
        .find_map(|link| {
            let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
            if !rest.contains("rel=\"next\"") {
                return None;
            }
            // Only the way, never the host: the token goes nowhere else.
            let at = target.find("/api/")?;
            target.get(at..).map(str::to_owned)
        })
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn answers() {
        let answer = envelope(br#"{"success":true,"data":[1],"message":"Fine."}"#, StatusCode::OK);
        assert_eq!(answer.unwrap(), json!([1]));
        let refused = br#"{"success":false,"data":{"code":"validation_failed","fields":{"email":"not an e-mail address"}},"message":"No\u001b[31m."}"#;
        let failure = envelope(refused, StatusCode::BAD_REQUEST).unwrap_err();
        assert_eq!(failure.code, "validation_failed");
        assert_eq!(failure.message, "No. (email: not an e-mail address)");
        let failure = envelope(b"<html>Bad Gateway", StatusCode::BAD_GATEWAY).unwrap_err();
        assert!(failure.message.contains("502") && failure.is_passing());
    }

    #[test]
    fn what_stands_in_headers() {
        let mut headers = HeaderMap::new();
        assert_eq!((cookie(&headers), next(&headers)), (None, None));
        headers.append(header::SET_COOKIE, HeaderValue::from_static("other=1"));
        headers.append(header::SET_COOKIE, HeaderValue::from_static("jwt=a.b.c; HttpOnly; Path=/"));
        headers.append(header::LINK, HeaderValue::from_static("<http://evil/api/x?before=1>; rel=\"next\""));
        assert_eq!(cookie(&headers).as_deref(), Some("a.b.c"));
        assert_eq!(next(&headers).as_deref(), Some("/api/x?before=1"));
    }
}
