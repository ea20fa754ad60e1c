//! One connection from its first frame to its last.

#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::time::Duration;

use futures_util::FutureExt;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{
    close::{Close, Ending},
    frame::{self, Incoming},
    handshake::Accepted,
    socket::Socket,
};
use crate::{
    ChatService, Error, Result, Timestamp,
    auth::Session,
    events::{Connection, Delivery, SharedEvent},
    sockets::{self, CLOSING, Closing, Heartbeat, Live, admit, perform},
    wire,
};

/// How long the connection may take to become a WebSocket once the handshake is answered.
const UPGRADE_WITHIN: Duration = Duration::from_secs(10);
/// Events that are written at once.
const BATCH: usize = 64;

/// The life of a WebSocket that is signed in.
pub(super) async fn live(chat: ChatService, accepted: Accepted) {
    let Accepted { upgrade, session, since, address } = accepted;
    let upgraded = match timeout(UPGRADE_WITHIN, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return tracing::debug!(%error, "a handshake did not become a WebSocket"),
        Err(_) => return tracing::debug!("a handshake did not become a WebSocket in time"),
    };
    let mut socket = Socket::new(TokioIo::new(upgraded), chat.limits().body_bytes).await;
    let connection = sockets::connect(&chat, &session, since.as_deref());
    let guard = chat.presence().arrive(session.user);
    let live = Live::new(session, connection.id(), address);
    let ending = Conversation::new(&chat, live, connection, &session).hold(&mut socket).await;
    // Gone for everybody else before the client is told.
    drop(guard);
    if let Ending::Closed(close) | Ending::Broken(close) = ending {
        tracing::debug!(?close, "a WebSocket is closed");
    }
    let last = closing(&chat, ending);
    socket.end(ending, last).await;
}

/// What is said on one socket, both ways.
struct Conversation<'a> {
    chat: &'a ChatService,
    live: std::sync::Arc<Live>,
    connection: Connection,
    /// What the client asked for last, and is being done: one thing after the other, so that messages keep their order.
    /// Meanwhile nothing is read, and the client waits in the end.
    work: Option<Work>,
    expiry: Instant,
    pulse: Pulse,
}

struct Work {
    id: Option<u64>,
    /// A task of its own, so that a panic ends this one event, and a client that goes away nothing.
    task: JoinHandle<Result<String>>,
}

impl<'a> Conversation<'a> {
    fn new(chat: &'a ChatService, live: Live, connection: Connection, session: &Session) -> Self {
        let left = session.expires_at.as_millis().saturating_sub(Timestamp::now().as_millis());
        Self {
            chat,
            live: live.into(),
            connection,
            work: None,
            expiry: Instant::now() + Duration::from_millis(left.try_into().unwrap_or(0)),
            pulse: Pulse::new(chat.shared.heartbeat),
        }
    }

    async fn hold<T: AsyncRead + AsyncWrite + Unpin>(mut self, socket: &mut Socket<T>) -> Ending {
        match self.talk(socket).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        }
    }

    async fn talk<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<T>,
    ) -> Result<std::convert::Infallible, Ending> {
        self.greet(socket).await?;
        let mut timer = std::pin::pin!(sleep_until(Instant::now()));
        loop {
            if self.work.is_none() {
                socket.shrink().await?;
            }
            timer.as_mut().reset(self.pulse.next().min(self.expiry));
            tokio::select! {
                event = self.connection.next() => {
                    let Some(event) = event else { return Err(self.closed()) };
                    let mut batch = vec![encode(&event)];
                    while batch.len() < BATCH
                        && let Some(Some(event)) = self.connection.next().now_or_never()
                    {
                        batch.push(encode(&event));
                    }
                    self.say(socket, batch).await?;
                }
                (id, done) = finished(&mut self.work) => {
                    if let Some(id) = id {
                        let envelope = done.unwrap_or_else(|error| wire::failure(&error));
                        self.say(socket, [frame::reply(Some(id), &envelope).into()]).await?;
                    }
                    if self.live.is_flooding() {
                        return Err(Ending::Closed(Close::RateLimited));
                    }
                }
                message = socket.next(), if self.work.is_none() => match message? {
                    Message::Text(text) => self.hear(socket, &text).await?,
                    _ => return Err(Ending::Closed(Close::UnsupportedData)),
                },
                () = &mut timer => {
                    if Instant::now() >= self.expiry {
                        return Err(Ending::Closed(Close::Unauthenticated));
                    }
                    self.pulse.beat(socket, self.work.is_some()).await?;
                }
            }
        }
    }

    /// Tells who is here, and where the client stands.
    async fn greet<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<T>,
    ) -> Result<(), Ending> {
        let Some((greeting, cursor)) = sockets::greeting(self.chat, &mut self.connection).await else {
            return Ok(());
        };
        self.say(socket, [encode(&Delivery { event: SharedEvent::new(greeting), cursor })]).await
    }

    /// Takes a frame in; what it asks for begins.
    async fn hear<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<T>,
        text: &str,
    ) -> Result<(), Ending> {
        match frame::parse(text) {
            Ok(Incoming { name, data, id }) => {
                let (chat, live) = (self.chat.clone(), self.live.clone());
                let task = tokio::spawn(async move {
                    let data = data.as_ref().map(|data| data.get()).unwrap_or_default();
                    perform(&chat, &live, &name, data).await
                });
                self.work = Some(Work { id, task });
                Ok(())
            }
            Err(error) => {
                // It counts like any other.
                let error = admit(self.chat, &self.live).await.err().unwrap_or(error);
                self.say(socket, [frame::reply(None, &wire::failure(&error)).into()]).await?;
                if self.live.is_flooding() { Err(Ending::Closed(Close::RateLimited)) } else { Ok(()) }
            }
        }
    }

    /// Meanwhile events gather in the connection's queue, which is bounded: full, it gives the reason.
    async fn say<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut Socket<T>,
        texts: impl IntoIterator<Item = Utf8Bytes>,
    ) -> Result<(), Ending> {
        let said = socket.send(texts, || self.connection.close_reason().is_some()).await;
        match said {
            Err(Ending::Closed(_)) if self.connection.close_reason().is_some() => Err(self.closed()),
            said => said,
        }
    }

    fn closed(&self) -> Ending {
        self.connection.close_reason().map_or(Ending::Gone, |reason| Ending::Closed(reason.into()))
    }
}

/// What all receive alike is encoded once; a cursor is each connection's own.
fn encode(Delivery { event, cursor }: &Delivery) -> Utf8Bytes {
    let frame = event.websocket(|event| frame::event(event.name(), event));
    match cursor {
        None => frame,
        Some(cursor) => frame::with_cursor(&frame, &cursor.to_string()).into(),
    }
}

/// What is said before the close frame, where the other door says it, too.
fn closing(chat: &ChatService, ending: Ending) -> Option<Utf8Bytes> {
    let Ending::Closed(close) = ending else { return None };
    Some(frame::event(CLOSING, &Closing::new(chat, close.reason()?)).into())
}

/// The end of what is being done, if anything is.
async fn finished(work: &mut Option<Work>) -> (Option<u64>, Result<String>) {
    let Some(Work { id, task }) = work else { return std::future::pending().await };
    let done = task.await.unwrap_or_else(|panic| Err(Error::internal(panic)));
    let id = *id;
    *work = None;
    (id, done)
}

/// Asks once in a while whether the client is there.
struct Pulse {
    heartbeat: Heartbeat,
    /// When to ask again.
    ask: Instant,
    /// When it was asked, and nothing was heard since.
    asked: Option<Instant>,
}

impl Pulse {
    fn new(heartbeat: Heartbeat) -> Self {
        Self { heartbeat, ask: Instant::now() + heartbeat.interval, asked: None }
    }

    /// When there is something to do.
    fn next(&self) -> Instant {
        self.asked.map_or(self.ask, |asked| self.ask.min(asked + self.heartbeat.patience))
    }

    async fn beat<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<T>,
        is_busy: bool,
    ) -> Result<(), Ending> {
        let now = Instant::now();
        if let Some(asked) = self.asked {
            if is_busy {
                // Nothing is read meanwhile.
                self.asked = Some(now);
            } else if socket.heard() > asked {
                self.asked = None;
            } else if now >= asked + self.heartbeat.patience {
                return Err(Ending::Closed(Close::Timeout));
            }
        }
        if socket.is_stalled() {
            return Err(Ending::Broken(Close::Timeout));
        }
        if now >= self.ask {
            self.ask = now + self.heartbeat.interval;
            self.asked.get_or_insert(now);
            socket.ping().await?;
        }
        Ok(())
    }
}
