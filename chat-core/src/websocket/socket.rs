//! One WebSocket: its limits, and its end. What is said on it is not known here.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Message, Utf8Bytes,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    close::{Close, Ending},
    io::{Heard, LARGE},
};

/// Bytes that are read at once, and kept for as long as the connection is there: there are many, and most are silent.
const READ_BUFFER: usize = 4 << 10;
/// Bytes that are gathered before they are written, when several frames are sent at once.
const WRITE_BUFFER: usize = 16 << 10;
/// Bytes that may wait to be written, one frame of the largest kind included.
const MOST_TO_WRITE: usize = 20 << 20;
/// How long the client may leave what was sent to it unread.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// How often to look whether what can't be written is still wanted.
const LOOK: Duration = Duration::from_millis(250);
/// How long a message may take from its first byte to its last.
const MESSAGE_WITHIN: Duration = Duration::from_secs(120);
/// How long it may take to say good-bye, each way.
const GOOD_BYE: Duration = Duration::from_millis(800);
/// Bytes that are thrown away on the way to the client's good-bye.
const MOST_TO_DISCARD: u64 = 16 << 20;

/// A WebSocket over any connection.
#[derive(Debug)]
pub(super) struct Socket<T> {
    /// Absent only while it is being exchanged.
    stream: Option<WebSocketStream<Heard<T>>>,
    config: WebSocketConfig,
    /// A large message came, and its buffer is still there.
    is_swollen: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Socket<T> {
    /// On a connection whose handshake is done. Messages of more than `most` bytes are not taken.
    pub(super) async fn new(io: T, most: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(MOST_TO_WRITE)
            .max_message_size(Some(most))
            .max_frame_size(Some(most))
            .accept_unmasked_frames(false);
        let stream = WebSocketStream::from_raw_socket(Heard::new(io), Role::Server, Some(config)).await;
        Self { stream: Some(stream), config, is_swollen: false }
    }

    fn stream(&mut self) -> Result<&mut WebSocketStream<Heard<T>>, Ending> {
        self.stream.as_mut().ok_or(Ending::Gone)
    }

    /// Gives back what a large message needed: tungstenite keeps a buffer at its largest size for as long as the
    /// connection is there. Possible between two frames, and when nothing waits to be written. Not cancel-safe.
    pub(super) async fn shrink(&mut self) -> Result<(), Ending> {
        if !std::mem::take(&mut self.is_swollen) {
            return Ok(());
        }
        let stream = self.stream()?;
        if stream.get_ref().is_between_frames()
            && matches!(timeout(LOOK, stream.flush()).await, Ok(Ok(())))
            && let Some(stream) = self.stream.take()
        {
            let io = stream.into_inner();
            self.stream = Some(WebSocketStream::from_raw_socket(io, Role::Server, Some(self.config)).await);
        }
        Ok(())
    }

    /// The next message that is a text or bytes; pings are answered on the way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Message, Ending> {
        loop {
            let stream = self.stream()?;
            let message = stream.next().await;
            stream.get_mut().unfinished = None;
            match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    self.is_swollen = message.len() as u64 >= LARGE;
                    return Ok(message);
                }
                Some(Ok(Message::Close(_))) => {
                    // The answer to it is in the buffer.
                    let _ = timeout(GOOD_BYE, stream.flush()).await;
                    return Err(Ending::Gone);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Ending::Gone),
            }
        }
    }

    /// Sends a message of any kind.
    #[cfg(test)]
    pub(super) async fn send_any(&mut self, message: Message) -> Result<(), Ending> {
        Ok(self.stream()?.send(message).await?)
    }

    /// When something was heard last.
    pub(super) fn heard(&self) -> Instant {
        self.stream.as_ref().map_or_else(Instant::now, |stream| stream.get_ref().last())
    }

    /// Whether a message was begun so long ago that it is not meant to end.
    pub(super) fn is_stalled(&self) -> bool {
        let unfinished = self.stream.as_ref().and_then(|stream| stream.get_ref().unfinished);
        unfinished.is_some_and(|since| since.elapsed() > MESSAGE_WITHIN)
    }

    /// Sends texts. Waits for a client that reads slowly, at most until nobody wants them any more.
    pub(super) async fn send(
        &mut self,
        texts: impl IntoIterator<Item = Utf8Bytes>,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Ending> {
        let stream = self.stream()?;
        let write = async {
            for text in texts {
                stream.feed(Message::Text(text)).await?;
            }
            stream.flush().await
        };
        let mut write = std::pin::pin!(write);
        let deadline = Instant::now() + WRITE_WITHIN;
        loop {
            if let Ok(written) = timeout(LOOK, &mut write).await {
                return Ok(written?);
            }
            if is_over() || Instant::now() >= deadline {
                return Err(Ending::Closed(Close::SlowConsumer));
            }
        }
    }

    /// Asks whether the client is there. One that takes nothing is not asked twice.
    pub(super) async fn ping(&mut self) -> Result<(), Ending> {
        match timeout(LOOK, self.stream()?.send(Message::Ping(Bytes::new()))).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Ok(()),
        }
    }

    /// Says why, after a `last` text, waits a moment for the client to hear it, and ends the connection.
    pub(super) async fn end(mut self, ending: Ending, last: Option<Utf8Bytes>) {
        let (Ending::Closed(close) | Ending::Broken(close)) = ending else { return };
        let Ok(stream) = self.stream() else { return };
        let say = async {
            if let Some(text) = last {
                stream.feed(Message::Text(text)).await?;
            }
            stream.send(Message::Close(Some(close.frame()))).await
        };
        if !matches!(timeout(GOOD_BYE, say).await, Ok(Ok(()))) {
            return;
        }
        let _ = timeout(GOOD_BYE, async {
            if matches!(ending, Ending::Closed(_)) {
                while let Some(Ok(_)) = stream.next().await {}
            } else {
                // What is left unread when a connection ends makes the system throw away what the client has not read
                // yet: the reason (RFC 9112, section 9.6).
                let io = stream.get_mut();
                let _ = io.shutdown().await;
                let _ = tokio::io::copy(&mut io.take(MOST_TO_DISCARD), &mut tokio::io::sink()).await;
            }
        })
        .await;
    }
}
