//! A client of the plain WebSocket door, and the bytes of frames for what no proper client sends.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue, Request},
    },
};

use crate::{DEADLINE, Fetched, Person, Reply, Server, shape};

/// What the server said.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// An event: its name and its payload.
    Event(String, Value),
    /// A reply, to the frame with this `id`; without the key `reply` it is an envelope.
    Reply(Option<u64>, Value),
    /// The end: code and reason of the close frame, or `None` when there was none.
    Closed(Option<(u16, String)>),
}

/// One open WebSocket. What it was told and nobody asked for yet is kept in order.
#[derive(Debug)]
pub struct Ws {
    /// The frames themselves.
    pub stream: WebSocketStream<TcpStream>,
    /// The cursor of the last event that had one.
    pub cursor: Option<String>,
    told: VecDeque<Said>,
    next_id: u64,
}

/// A handshake for the server at this address, as the headers have it.
#[must_use]
pub fn handshake(address: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    request
}

/// A handshake that signs in by a bearer token and goes on from this cursor, whatever that is.
#[must_use]
pub fn resumption(address: &str, token: &str, since: Option<&str>) -> Request<()> {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("sec-websocket-protocol", "chat.v1.json")];
    let mut request = handshake(address, &headers);
    if let Some(since) = since {
        let query: String = url::form_urlencoded::byte_serialize(since.as_bytes()).collect();
        *request.uri_mut() = format!("ws://{address}/ws?since={query}").parse().unwrap();
    }
    request
}

impl Ws {
    /// Signs in by a bearer token.
    pub async fn open(address: &str, token: &str) -> Self {
        match Self::with(resumption(address, token, None)).await {
            Ok(ws) => ws,
            Err(refusal) => panic!("refused: {} {}", refusal.status, refusal.body),
        }
    }

    /// Another device of somebody.
    pub async fn of(server: &Server, person: &Person) -> Self {
        Self::open(&server.address(), &person.token).await
    }

    /// Any handshake.
    ///
    /// # Errors
    ///
    /// The server's refusal.
    pub async fn with(request: Request<()>) -> Result<Self, Reply> {
        let address = request.uri().authority().unwrap().as_str().to_owned();
        Self::over(TcpStream::connect(address).await.unwrap(), request).await
    }

    /// Any handshake, on this connection.
    ///
    /// # Errors
    ///
    /// The server's refusal.
    pub async fn over(tcp: TcpStream, request: Request<()>) -> Result<Self, Reply> {
        tcp.set_nodelay(true).unwrap();
        let opening = tokio::time::timeout(DEADLINE, client_async(request, tcp));
        match opening.await.expect("no answer to the handshake") {
            Ok((stream, _)) => Ok(Self::on(stream)),
            Err(Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                let headers =
                    parts.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                let bytes = body.unwrap_or_default();
                Err(Reply::check(Fetched { status: parts.status.as_u16(), headers, bytes }))
            }
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }

    /// On what is open already.
    #[must_use]
    pub const fn on(stream: WebSocketStream<TcpStream>) -> Self {
        Self { stream, cursor: None, told: VecDeque::new(), next_id: 1 }
    }

    /// Sends any frame.
    pub async fn send(&mut self, message: Message) {
        use futures_util::SinkExt as _;
        self.stream.send(message).await.unwrap();
    }

    /// Sends any text.
    pub async fn text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends an event, and returns the `id` that its reply will have.
    pub async fn emit(&mut self, event: &str, data: &Value) -> u64 {
        self.try_emit(event, data).await.unwrap()
    }

    /// The same on a connection that may be gone.
    ///
    /// # Errors
    ///
    /// It is gone.
    pub async fn try_emit(&mut self, event: &str, data: &Value) -> Result<u64, Error> {
        use futures_util::SinkExt as _;
        let id = self.next_id;
        self.next_id += 1;
        let frame = json!({ "event": event, "data": data, "id": id }).to_string();
        self.stream.send(Message::text(frame)).await?;
        Ok(id)
    }

    /// The reply to the frame with this `id`, now or later.
    pub async fn reply(&mut self, id: Option<u64>) -> Value {
        let Said::Reply(_, envelope) = self
            .find(&format!("the reply to {id:?}"), |said| matches!(said, Said::Reply(to, _) if *to == id))
            .await
        else {
            unreachable!("found")
        };
        envelope
    }

    /// Sends an event that has to go well, and returns the data of its reply.
    pub async fn done(&mut self, event: &str, data: &Value) -> Value {
        let id = self.emit(event, data).await;
        let mut envelope = self.reply(Some(id)).await;
        assert_eq!(envelope["success"], true, "{event} {data}: {envelope}");
        envelope["data"].take()
    }

    /// Sends an event that has to be refused, and returns the code.
    pub async fn refused(&mut self, event: &str, data: &Value) -> String {
        let id = self.emit(event, data).await;
        let envelope = self.reply(Some(id)).await;
        assert_eq!(envelope["success"], false, "{event} {data}: {envelope}");
        envelope["data"]["code"].as_str().unwrap().to_owned()
    }

    /// The payload of the next event of this name that matches, now or later.
    pub async fn event(&mut self, name: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let is_it = |said: &Said| matches!(said, Said::Event(event, data) if event == name && matches(data));
        let Said::Event(_, data) = self.find(name, is_it).await else { unreachable!("found") };
        data
    }

    /// Waits for the end, and returns code and reason.
    pub async fn closed(&mut self) -> Option<(u16, String)> {
        let Said::Closed(why) = self.find("the end", |said| matches!(said, Said::Closed(_))).await else {
            unreachable!("found")
        };
        why
    }

    /// The next thing that the server says.
    pub async fn next(&mut self) -> Said {
        match self.told.pop_front() {
            Some(said) => said,
            None => tokio::time::timeout(DEADLINE, self.read()).await.expect("the server says nothing"),
        }
    }

    async fn find(&mut self, what: &str, is_it: impl Fn(&Said) -> bool) -> Said {
        if let Some(at) = self.told.iter().position(&is_it) {
            return self.told.remove(at).unwrap();
        }
        let search = async {
            loop {
                let said = self.read().await;
                if is_it(&said) {
                    return said;
                }
                assert!(!matches!(said, Said::Closed(_)), "closed while waiting for {what}: {said:?}");
                self.told.push_back(said);
            }
        };
        tokio::time::timeout(DEADLINE, search).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// The next thing that the server says, whenever that may be; cancel-safe.
    pub async fn read(&mut self) -> Said {
        use futures_util::StreamExt as _;
        loop {
            return match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let (said, cursor) = parse(&text);
                    self.cursor = cursor.or(self.cursor.take());
                    said
                }
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| (u16::from(frame.code), frame.reason.as_str().to_owned()));
                    Said::Closed(why)
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Said::Closed(None),
            };
        }
    }
}

/// Checks the form of what came; with the cursor of an event.
fn parse(text: &str) -> (Said, Option<String>) {
    let mut frame: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    let object = frame.as_object_mut().unwrap_or_else(|| panic!("not an object: {text}"));
    if let Some(to) = object.remove("reply") {
        shape::answer(&frame);
        return (Said::Reply(to.as_u64(), frame), None);
    }
    let name = object.remove("event").and_then(|name| name.as_str().map(str::to_owned));
    let data = object.remove("data");
    let cursor = object.remove("cursor").map(|cursor| shape::cursor(&cursor).to_owned());
    assert!(object.is_empty(), "keys that are not in the contract: {text}");
    let (Some(name), Some(data)) = (name, data) else { panic!("neither reply nor event: {text}") };
    if ["sendMessage", "editMessage", "deleteMessage"].contains(&name.as_str()) {
        shape::message(&data);
    }
    (Said::Event(name, data), cursor)
}

/// The bytes of one frame as a client sends it, its payload masked with zeros: whatever is wanted of its first byte,
/// and a length that need not be true.
#[must_use]
pub fn raw_frame(first: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
