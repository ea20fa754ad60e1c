//! Socket.IO over a WebSocket, as little of it as measuring needs.
//!
//! Not a substitute for the official client, which tests the protocol in `tests/js`: this one is here because ten
//! thousand of it fit into one process.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// Why a connection did not come about, or ended.
#[derive(Debug)]
pub struct Failure(pub String);

/// What the server said.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// An event with its arguments.
    Event(String, Vec<Value>),
    /// The answer to a request with this number.
    Ack(u64, Vec<Value>),
    /// The server ends the session, or the connection is gone.
    Closed,
}

/// One connected socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    next_ack: u64,
    was_told: bool,
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

impl Socket {
    /// Connects and signs in by token; `from` is the local address to come from.
    ///
    /// # Errors
    ///
    /// No connection, no upgrade, or the server's refusal.
    pub async fn connect(server: SocketAddr, from: Option<SocketAddr>, token: &str) -> Result<Self, Failure> {
        let tcp = TcpSocket::new_v4().map_err(failed)?;
        if let Some(from) = from {
            tcp.bind(from).map_err(failed)?;
        }
        let tcp = tcp.connect(server).await.map_err(failed)?;
        Self::over(tcp, &json!({ "token": token })).await
    }

    /// Connects over this connection; `auth` is what the client gives about itself: `token`, and `since`.
    ///
    /// # Errors
    ///
    /// No upgrade, or the server's refusal.
    pub async fn over(tcp: TcpStream, auth: &Value) -> Result<Self, Failure> {
        tcp.set_nodelay(true).map_err(failed)?;
        let server = tcp.peer_addr().map_err(failed)?;
        let url = format!("ws://{server}/socket.io/?EIO=4&transport=websocket");
        let (stream, _) = tokio_tungstenite::client_async(url, tcp).await.map_err(failed)?;
        let mut socket = Self { stream, next_ack: 0, was_told: false };
        let open = socket.text().await?;
        if !open.starts_with("0{") {
            return Err(Failure(format!("no Engine.IO handshake: {open}")));
        }
        socket.write(format!("40{auth}")).await?;
        let connected = socket.text().await?;
        if !connected.starts_with("40{") {
            return Err(Failure(format!("refused: {connected}")));
        }
        Ok(socket)
    }

    /// Sends an event and returns the number that its acknowledgement will have.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub async fn emit(&mut self, event: &str, payload: &Value) -> Result<u64, Failure> {
        let ack = self.next_ack;
        self.next_ack += 1;
        self.write(format!("42{ack}{}", json!([event, payload]))).await?;
        Ok(ack)
    }

    /// The next packet; pings are answered on the way.
    ///
    /// # Errors
    ///
    /// Something that is no Socket.IO.
    pub async fn next(&mut self) -> Result<Packet, Failure> {
        loop {
            let Ok(text) = self.text().await else { return Ok(Packet::Closed) };
            let Some(packet) = parse(&text)? else { continue };
            self.was_told |= packet == Packet::Closed;
            return Ok(packet);
        }
    }

    /// Whether the server said that it closes, by a packet or a close frame.
    #[must_use]
    pub const fn was_told(&self) -> bool {
        self.was_told
    }

    /// Closes it in the proper way.
    pub async fn close(mut self) {
        let _ = self.write("41".to_owned()).await;
        let _ = self.stream.close(None).await;
    }

    async fn write(&mut self, text: String) -> Result<(), Failure> {
        self.stream.send(Message::text(text)).await.map_err(failed)
    }

    async fn text(&mut self) -> Result<String, Failure> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Close(_))) => {
                    self.was_told = true;
                    return Err(Failure("closed".to_owned()));
                }
                None => return Err(Failure("gone".to_owned())),
                Some(Err(error)) => return Err(failed(error)),
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.write("3".to_owned()).await?,
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(_)) => {}
            }
        }
    }
}

fn parse(text: &str) -> Result<Option<Packet>, Failure> {
    let odd = || Failure(format!("not a packet: {text}"));
    let (kind, rest) = text.split_at_checked(2).unwrap_or((text, ""));
    match kind {
        "1" | "41" => return Ok(Some(Packet::Closed)),
        "42" | "43" => {}
        "40" | "6" => return Ok(None),
        _ => return Err(odd()),
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, json) = rest.split_at_checked(digits).ok_or_else(odd)?;
    let Ok(Value::Array(mut arguments)) = serde_json::from_str(json) else { return Err(odd()) };
    if kind == "43" {
        return Ok(Some(Packet::Ack(number.parse().map_err(|_| odd())?, arguments)));
    }
    if arguments.is_empty() {
        return Err(odd());
    }
    let Value::String(name) = arguments.remove(0) else { return Err(odd()) };
    Ok(Some(Packet::Event(name, arguments)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets() {
        let event = Packet::Event("a".to_owned(), vec![json!({ "b": 1 })]);
        assert_eq!(parse(r#"42["a",{"b":1}]"#).unwrap(), Some(event));
        assert_eq!(
            parse(r#"4312[{"success":true}]"#).unwrap(),
            Some(Packet::Ack(12, vec![json!({ "success": true })]))
        );
        assert_eq!(parse("41").unwrap(), Some(Packet::Closed));
        assert!(parse("42{}").is_err() && parse("nonsense").is_err());
    }
}
