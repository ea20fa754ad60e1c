//! One connection of a client, on either door: what they have in common.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{client_async, tungstenite::Error};

use crate::{
    DEADLINE, shape,
    sio::{self, Failure, Packet},
    ws::{self, Said, Ws},
};

/// How a client gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// Socket.IO, over a WebSocket.
    SocketIo,
    /// The plain WebSocket.
    WebSocket,
}

impl Door {
    /// Both.
    pub const ALL: [Self; 2] = [Self::SocketIo, Self::WebSocket];
}

/// A connection that is signed in. It is dropped without a word.
#[derive(Debug)]
pub struct Line {
    socket: Socket,
    local: SocketAddr,
}

#[derive(Debug)]
enum Socket {
    SocketIo(Box<sio::Socket>),
    WebSocket(Box<Ws>),
}

/// What the server says.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// An event.
    Event {
        /// Its name.
        name: String,
        /// Its payload.
        data: Value,
        /// Where the client stands who has it.
        cursor: Option<String>,
    },
    /// The answer to the request of this number: an envelope.
    Answer(u64, Value),
    /// The end, and the reason where there was one, as `slow_consumer`.
    Closed(Option<String>),
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

impl Line {
    /// Connects, signs in by token, and goes on from this cursor.
    ///
    /// # Errors
    /// No connection, or it was cut; the server's refusal.
    pub async fn open(
        door: Door,
        server: SocketAddr,
        token: &str,
        since: Option<&str>,
    ) -> Result<Self, Failure> {
        let tcp = TcpStream::connect(server).await.map_err(failed)?;
        Self::over(door, tcp, token, since).await
    }

    /// The same with so small a buffer that the server soon notices when nothing is read.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn narrow(
        door: Door,
        server: SocketAddr,
        token: &str,
        since: Option<&str>,
    ) -> Result<Self, Failure> {
        let socket = TcpSocket::new_v4().map_err(failed)?;
        socket.set_recv_buffer_size(4096).map_err(failed)?;
        Self::over(door, socket.connect(server).await.map_err(failed)?, token, since).await
    }

    async fn over(door: Door, tcp: TcpStream, token: &str, since: Option<&str>) -> Result<Self, Failure> {
        let local = tcp.local_addr().map_err(failed)?;
        let server = tcp.peer_addr().map_err(failed)?;
        let opening = async {
            Ok(match door {
                Door::SocketIo => {
                    let mut auth = json!({ "token": token });
                    if let Some(since) = since {
                        auth["since"] = since.into();
                    }
                    Socket::SocketIo(Box::new(sio::Socket::over(tcp, &auth).await?))
                }
                Door::WebSocket => {
                    tcp.set_nodelay(true).map_err(failed)?;
                    let request = ws::resumption(&server.to_string(), token, since);
                    let (stream, _) = client_async(request, tcp).await.map_err(|error| match error {
                        Error::Http(response) => Failure(format!("refused: {}", response.status())),
                        error => failed(error),
                    })?;
                    Socket::WebSocket(Box::new(Ws::on(stream)))
                }
            })
        };
        let socket = tokio::time::timeout(DEADLINE, opening).await.map_err(failed)??;
        Ok(Self { socket, local })
    }

    /// Its own address, by which a proxy knows it.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends an event, and returns the number that its answer will have.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn emit(&mut self, event: &str, payload: &Value) -> Result<u64, Failure> {
        match &mut self.socket {
            Socket::SocketIo(socket) => socket.emit(event, payload).await,
            Socket::WebSocket(ws) => ws.try_emit(event, payload).await.map_err(failed),
        }
    }

    /// The next thing that the server says, whenever that may be; its form is checked. Cancel-safe.
    pub async fn next(&mut self) -> Heard {
        let heard = match &mut self.socket {
            Socket::SocketIo(socket) => match socket
                .next()
                .await
                .unwrap_or_else(|error| panic!("{}", error.0))
            {
                Packet::Event(name, mut arguments) => {
                    assert!((1..=2).contains(&arguments.len()), "{name} with {} arguments", arguments.len());
                    let with = (arguments.len() == 2).then(|| arguments.remove(1));
                    let cursor = with.map(|with| {
                        assert_eq!(with.as_object().unwrap().len(), 1, "more than a cursor: {with}");
                        shape::cursor(&with["cursor"]).to_owned()
                    });
                    Heard::Event { name, data: arguments.remove(0), cursor }
                }
                Packet::Ack(number, mut arguments) => {
                    let envelope = arguments.remove(0);
                    shape::answer(&envelope);
                    Heard::Answer(number, envelope)
                }
                Packet::Closed => Heard::Closed(None),
            },
            Socket::WebSocket(ws) => match ws.read().await {
                Said::Event(name, data) => Heard::Event { name, data, cursor: ws.cursor.take() },
                Said::Reply(number, envelope) => {
                    Heard::Answer(number.expect("the number of a request"), envelope)
                }
                Said::Closed(why) => Heard::Closed(why.map(|(_, reason)| reason)),
            },
        };
        if let Heard::Event { name, data, .. } = &heard {
            // Socket.IO has no reason when it closes, so that is an event of its own.
            if name == "closing" {
                return Heard::Closed(data["code"].as_str().map(str::to_owned));
            }
            if ["sendMessage", "editMessage", "deleteMessage"].contains(&name.as_str()) {
                shape::message(data);
            }
        }
        heard
    }

    /// The same; that it says nothing is a failure.
    pub async fn hear(&mut self) -> Heard {
        tokio::time::timeout(DEADLINE, self.next()).await.expect("the server says nothing")
    }
}
