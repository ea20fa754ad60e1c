//! The WebSocket: a task that keeps it open, and opens it again.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message as Frame,
        client::IntoClientRequest as _,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{
    api::{self, Api},
    frame::{self, Heard, Say},
    model::Failure,
    net::Stream,
};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// The server pings every 25 s; so long without a byte, and nobody is there.
const SILENCE: Duration = Duration::from_secs(45);
/// Long enough for the server to have meant it: then the next wait begins small again.
const STABLE: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What waits for the app, and for the server: full, the other side waits, too.
const QUEUE: usize = 256;

/// What becomes of the connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LinkEvent {
    /// Connected, for the so-manieth time; where it goes on, what was missed is told first.
    Up {
        connection: u64,
        goes_on: bool,
    },
    Heard(Heard),
    /// Lost, or not reached; the next attempt comes by itself.
    Down {
        why: String,
        again_in: Duration,
    },
    /// For good: the login is no longer valid.
    Ended {
        why: String,
    },
}

/// The app's end. Dropped, the connection is closed.
pub(crate) struct Link {
    pub(crate) events: mpsc::Receiver<LinkEvent>,
    /// With the number of the connection that it is for: on a later one it would be too late, or out of order.
    pub(crate) say: mpsc::Sender<(u64, Say)>,
}

pub(crate) fn start(api: Api) -> Link {
    let (tell, events) = mpsc::channel(QUEUE);
    let (say, orders) = mpsc::channel(QUEUE);
    let task = Task { api, tell, orders, connections: 0, asked_wait: None, cursor: None };
    tokio::spawn(task.run());
    Link { events, say }
}

struct Task {
    api: Api,
    tell: mpsc::Sender<LinkEvent>,
    orders: mpsc::Receiver<(u64, Say)>,
    connections: u64,
    /// How long the server asked to stay away, when it went away itself.
    asked_wait: Option<Duration>,
    /// Up to where everything was heard.
    cursor: Option<String>,
}

/// Why a connection, or an attempt at one, is over.
enum Over {
    Lost(String),
    Ended(String),
    /// The app is gone.
    Left,
}

impl From<Failure> for Over {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure.message)
    }
}

impl Task {
    async fn run(mut self) {
        let mut attempts = 0;
        loop {
            let start = Instant::now();
            let over = match self.open().await {
                Ok(socket) => self.hold(socket).await,
                Err(over) => over,
            };
            if start.elapsed() >= STABLE {
                attempts = 0;
            }
            let event = match over {
                Over::Left => return,
                Over::Ended(why) => LinkEvent::Ended { why },
                Over::Lost(why) => {
                    let asked = self.asked_wait.take().map(|asked| asked.min(LONGEST_WAIT));
                    LinkEvent::Down { why, again_in: asked.unwrap_or_else(|| wait(attempts, random())) }
                }
            };
            let again_in = match &event {
                LinkEvent::Down { again_in, .. } => Some(*again_in),
                _ => None,
            };
            if self.tell.send(event).await.is_err() {
                return;
            }
            let Some(again_in) = again_in else { return };
            attempts += 1;
            tokio::select! {
                () = sleep(again_in) => {}
                () = self.tell.closed() => return,
            }
        }
    }

    async fn open(&self) -> Result<WebSocketStream<Box<dyn Stream>>, Over> {
        let server = self.api.server();
        let opening = async {
            let since = self.cursor.as_ref().map_or_else(String::new, |cursor| format!("?since={cursor}"));
            let uri = format!("ws://{}{}{since}", server.host(), server.path("/ws"));
            let mut request = uri.into_client_request().map_err(Failure::network)?;
            let bearer = format!("Bearer {}", self.api.token());
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, HeaderValue::try_from(bearer).map_err(Failure::network)?);
            headers.insert(header::USER_AGENT, HeaderValue::from_static(api::USER_AGENT));
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat.v1.json"));
            let stream = server.connect().await?;
            client_async(request, stream).await.map(|(socket, _)| socket).map_err(|error| refused(&error))
        };
        match timeout(CONNECT_WITHIN, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(Over::Lost(format!("{} does not answer", server.host()))),
        }
    }

    async fn hold(&mut self, mut socket: WebSocketStream<Box<dyn Stream>>) -> Over {
        self.connections += 1;
        let up = LinkEvent::Up { connection: self.connections, goes_on: self.cursor.is_some() };
        if self.tell.send(up).await.is_err() {
            return Over::Left;
        }
        let mut heard = tokio::time::Instant::now();
        loop {
            let step = tokio::select! {
                frame = timeout_at(heard + SILENCE, socket.next()) => match frame {
                    Ok(frame) => {
                        heard = tokio::time::Instant::now();
                        self.hear(frame).await
                    }
                    Err(_) => ControlFlow::Break(Over::Lost("the server is silent".to_owned())),
                },
                order = self.orders.recv() => match order {
                    Some((connection, _)) if connection != self.connections => ControlFlow::Continue(()),
                    Some((_, say)) => say_to(&mut socket, &say).await,
                    None => ControlFlow::Break(Over::Left),
                },
            };
            if let ControlFlow::Break(over) = step {
                // Polite, and not worth waiting for.
                let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                return over;
            }
        }
    }

    async fn hear(&mut self, frame: Option<Result<Frame, tungstenite::Error>>) -> ControlFlow<Over> {
        let (heard, cursor) = match frame {
            Some(Ok(Frame::Text(text))) => match frame::parse(&text) {
                (Heard::Closing { again_in }, _) => {
                    self.asked_wait = again_in;
                    return ControlFlow::Continue(());
                }
                heard => heard,
            },
            Some(Ok(Frame::Close(why))) => return ControlFlow::Break(closed(why.as_ref())),
            // A ping has been answered by now.
            Some(Ok(_)) => return ControlFlow::Continue(()),
            Some(Err(error)) => return ControlFlow::Break(Over::Lost(error.to_string())),
            None => return ControlFlow::Break(Over::Lost("the connection was cut".to_owned())),
        };
        match self.tell.send(LinkEvent::Heard(heard)).await {
            Ok(()) => {
                self.cursor = cursor.or(self.cursor.take());
                ControlFlow::Continue(())
            }
            Err(_) => ControlFlow::Break(Over::Left),
        }
    }
}

async fn say_to(socket: &mut WebSocketStream<Box<dyn Stream>>, say: &Say) -> ControlFlow<Over> {
    match timeout(SILENCE, socket.send(Frame::text(say.text()))).await {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(error)) => ControlFlow::Break(Over::Lost(error.to_string())),
        Err(_) => ControlFlow::Break(Over::Lost("the server takes nothing any more".to_owned())),
    }
}

/// The server's answer to the handshake, where it is not a WebSocket.
fn refused(error: &tungstenite::Error) -> Over {
    let tungstenite::Error::Http(response) = error else { return Over::Lost(error.to_string()) };
    let body = response.body().as_deref().unwrap_or_default();
    let why = match api::envelope(body, response.status()) {
        Err(failure) => failure.message,
        Ok(_) => format!("the server answered {}", response.status()),
    };
    if response.status() == http::StatusCode::UNAUTHORIZED { Over::Ended(why) } else { Over::Lost(why) }
}

fn closed(frame: Option<&CloseFrame>) -> Over {
    let Some(CloseFrame { code, reason }) = frame else { return Over::Lost("the server hung up".to_owned()) };
    let number = u16::from(*code);
    let why = format!("the server closed the connection: {number} {}", crate::clean::line(reason));
    match code {
        CloseCode::Library(4401) => Over::Ended(why),
        _ => Over::Lost(why),
    }
}

/// Doubles up to a bound; by chance up to a half shorter, so that not all come back in the same moment.
fn wait(attempts: u32, chance: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << attempts.min(8)).min(LONGEST_WAIT);
    longest - longest.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_differ() {
        let longest: Vec<u128> = (0..9).map(|attempt| wait(attempt, 0).as_millis()).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(wait(1, u32::MAX).as_millis(), 500);
        assert!(wait(u32::MAX, 7) <= LONGEST_WAIT);
    }

    #[test]
    fn only_the_end_of_the_login_is_for_good() {
        let close = |code: u16| closed(Some(&CloseFrame { code: code.into(), reason: "why".into() }));
        assert!(matches!(close(4401), Over::Ended(why) if why.ends_with("4401 why")));
        for code in [1001, 1008, 1011, 4408, 4410] {
            assert!(matches!(close(code), Over::Lost(why) if why.ends_with(&format!("{code} why"))));
        }
        assert!(matches!(closed(None), Over::Lost(_)));
    }
}
