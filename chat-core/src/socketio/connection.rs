//! One socket from its first packet to its last.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use engineioxide::{
    DisconnectReason, Str, TransportType, handler::EngineIoHandler, socket::Socket as EngineSocket,
};
use serde_json::Value;
use tokio::{sync::mpsc::error::TrySendError, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    inbox::Inbox,
    lobby::{Lobby, Waiting},
    packet::{self, Packet},
};
use crate::{
    ChatService, Result, Timestamp,
    auth::Session,
    events::{CloseReason, Connection, Delivery, SharedEvent},
    presence::PresenceGuard,
    sockets::{self, CLOSING, Closing, Live},
};

/// How long a transport may stay without a sign-in.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(20);
/// How often a transport may be refused before it is closed.
const REFUSALS: u32 = 5;
/// Bytes of a packet that is taken before the sign-in: a token, and some room.
const UNSIGNED_BYTES: usize = 16 << 10;
/// How long a client may take to close the transport after it said good-bye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait for a transport that takes nothing at the moment, before it is asked again.
const BACK_OFF: Duration = Duration::from_millis(5);
/// How long to wait at the most between two times.
const BACK_OFF_MOST: Duration = Duration::from_millis(250);
/// How long a transport may take nothing while an event waits for it.
const TRANSPORT_WITHIN: Duration = Duration::from_secs(60);

pub(super) type Socket = Arc<EngineSocket<SocketState>>;

/// Where a socket is on its way.
#[derive(Debug, Default)]
pub(super) struct SocketState {
    stage: Mutex<Stage>,
    refusals: AtomicU32,
    /// Its place among those that are not signed in.
    waiting: Mutex<Option<Waiting>>,
    pub(super) inbox: Inbox,
    /// The transport is gone, or its client said that it goes.
    gone: CancellationToken,
    has_said_goodbye: AtomicBool,
}

#[derive(Debug, Default)]
enum Stage {
    /// A transport without a sign-in.
    #[default]
    New,
    /// Its sign-in is being checked.
    Connecting,
    /// Signed in.
    Live(Arc<Live>),
    /// Over.
    Closed,
}

impl SocketState {
    fn stage(&self) -> std::sync::MutexGuard<'_, Stage> {
        // A stage is assigned whole: a panic elsewhere leaves none half done.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave_lobby(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// What engineioxide calls.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) chat: ChatService,
    pub(super) lobby: Arc<Lobby>,
}

impl EngineIoHandler for Door {
    type Data = SocketState;

    fn on_connect(self: Arc<Self>, socket: Socket) {
        let waiting = self.lobby.enter(sockets::address(&self.chat, &socket.req_parts));
        *socket.data.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
        expect_sign_in(socket);
    }

    fn on_disconnect(&self, socket: Socket, _: DisconnectReason) {
        *socket.data.stage() = Stage::Closed;
        socket.data.leave_lobby();
        socket.data.gone.cancel();
    }

    fn on_message(self: &Arc<Self>, text: Str, socket: Socket) {
        let live = match &*socket.data.stage() {
            Stage::Live(live) => Some(live.clone()),
            Stage::New | Stage::Connecting | Stage::Closed => None,
        };
        if live.is_none() && text.len() > UNSIGNED_BYTES {
            return socket.close(DisconnectReason::PacketParsingError);
        }
        match packet::parse(&text) {
            Ok(Packet::Connect { namespace, auth }) if namespace == "/" => self.connect(socket, auth),
            Ok(Packet::Connect { namespace, .. }) => {
                let refusal = packet::connect_error(&namespace, "There is no such namespace.", "not_found");
                let _ = socket.emit(refusal);
            }
            Ok(Packet::Event(event)) => {
                if let Some(live) = live {
                    Inbox::take(&self.chat, &socket, live, event, text.len());
                }
            }
            Ok(Packet::Ignored) => {}
            Ok(Packet::Disconnect) if live.is_some() => {
                socket.data.has_said_goodbye.store(true, Ordering::Relaxed);
                socket.data.gone.cancel();
            }
            Ok(Packet::Disconnect) => socket.close(DisconnectReason::TransportClose),
            Err(packet::Malformed) => socket.close(DisconnectReason::PacketParsingError),
        }
    }

    fn on_binary(self: &Arc<Self>, _: Bytes, _: Socket) {}
}

/// A transport that nobody signs in on is closed.
fn expect_sign_in(socket: Socket) {
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(SIGN_IN_WITHIN) => {}
            () = socket.data.gone.cancelled() => return,
        }
        let is_unsigned = matches!(&*socket.data.stage(), Stage::New | Stage::Connecting);
        if is_unsigned {
            socket.close(DisconnectReason::HeartbeatTimeout);
        }
    });
}

impl Door {
    fn connect(self: &Arc<Self>, socket: Socket, auth: Option<Value>) {
        {
            let mut stage = socket.data.stage();
            if !matches!(&*stage, Stage::New) {
                return;
            }
            *stage = Stage::Connecting;
        }
        let door = self.clone();
        // A shutdown waits a moment until each is told.
        self.chat.shared.errands.spawn(async move {
            match door.admit(&socket, auth.as_ref()).await {
                Ok((session, since)) => door.live(socket, session, since).await,
                Err(error) => {
                    let code = error.code().as_str();
                    let _ = socket.emit(packet::connect_error("/", &error.to_string(), code));
                    if socket.data.refusals.fetch_add(1, Ordering::Relaxed) + 1 >= REFUSALS {
                        return socket.close(DisconnectReason::TransportError);
                    }
                    let mut stage = socket.data.stage();
                    if matches!(&*stage, Stage::Connecting) {
                        // The client may try again on this transport, with a better token.
                        *stage = Stage::New;
                    }
                }
            }
        });
    }

    /// Who it is, and from where they go on.
    async fn admit(&self, socket: &Socket, auth: Option<&Value>) -> Result<(Session, Option<String>)> {
        let given = |key| auth.and_then(|auth| auth.get(key));
        let token = given("token").and_then(Value::as_str);
        let session = sockets::sign_in(&self.chat, &socket.req_parts, token).await?;
        let since = match given("since") {
            None | Some(Value::Null) => None,
            Some(Value::String(since)) => sockets::since(Some(since)),
            // No cursor either.
            Some(other) => sockets::since(Some(&other.to_string())),
        };
        Ok((session, since))
    }

    /// The life of a socket that is signed in.
    async fn live(&self, socket: Socket, session: Session, since: Option<String>) {
        let mut connection = sockets::connect(&self.chat, &session, since.as_deref());
        let guard = self.chat.presence().arrive(session.user);
        {
            let mut stage = socket.data.stage();
            if !matches!(&*stage, Stage::Connecting) {
                return;
            }
            // Before any event may go out, and before any may come in.
            let _ = socket.emit(packet::connected(&socket.id.to_string()));
            let address = sockets::address(&self.chat, &socket.req_parts);
            *stage = Stage::Live(Arc::new(Live::new(session, connection.id(), address)));
        }
        socket.data.leave_lobby();
        if let Some((greeting, cursor)) = sockets::greeting(&self.chat, &mut connection).await {
            let _ = socket.emit(encode(&Delivery { event: SharedEvent::new(greeting), cursor }));
        }
        let left = session.expires_at.as_millis().saturating_sub(Timestamp::now().as_millis());
        let expiry = Instant::now() + Duration::from_millis(left.try_into().unwrap_or(0));
        let ending = pump(&socket, &mut connection, expiry).await;
        end(&self.chat, &socket, ending);
        drop::<(Connection, PresenceGuard)>((connection, guard));
    }
}

/// From the connection's queue to the transport, until one of them ends. Returns why, where it was not the transport.
async fn pump(socket: &Socket, connection: &mut Connection, expiry: Instant) -> Option<CloseReason> {
    loop {
        tokio::select! {
            delivery = connection.next() => {
                let Some(delivery) = delivery else { return connection.close_reason() };
                let packet = encode(&delivery);
                // Meanwhile events gather in the connection's queue, which is bounded: full, it gives the reason.
                let is_over = || connection.close_reason().is_some();
                match transmit(socket, packet, is_over, TRANSPORT_WITHIN).await {
                    Transmitted::Yes => {}
                    Transmitted::Gone => return None,
                    Transmitted::Stuck => return Some(CloseReason::SlowConsumer),
                }
            }
            () = socket.data.gone.cancelled() => return None,
            () = tokio::time::sleep_until(expiry) => return Some(CloseReason::SignedOut),
        }
    }
}

/// What all receive alike is encoded once; a cursor is each connection's own.
fn encode(Delivery { event, cursor }: &Delivery) -> Str {
    let packet = event.socketio(|event| packet::outgoing(event.name(), event));
    match cursor {
        None => packet,
        Some(cursor) => packet::with_cursor(&packet, &cursor.to_string()).into(),
    }
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transmitted {
    /// The transport has it.
    Yes,
    /// The transport is gone.
    Gone,
    /// Nobody wants it any more, or it took too long.
    Stuck,
}

/// Gives the transport a packet. While it takes nothing, waits: until then, or until `is_over`.
pub(super) async fn transmit(
    socket: &Socket,
    mut packet: Str,
    is_over: impl Fn() -> bool,
    at_most: Duration,
) -> Transmitted {
    let deadline = Instant::now() + at_most;
    let mut wait = BACK_OFF;
    loop {
        packet = match socket.emit(packet) {
            Ok(()) => return Transmitted::Yes,
            Err(TrySendError::Closed(_)) => return Transmitted::Gone,
            Err(TrySendError::Full(packet)) => packet,
        };
        if is_over() || Instant::now() >= deadline {
            return Transmitted::Stuck;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(BACK_OFF_MOST),
            () = socket.data.gone.cancelled() => return Transmitted::Gone,
        }
    }
}

/// Tells the client why, as far as it listens, and closes. After a sign-out the official client stays away; after
/// anything else it comes back by itself.
pub(super) fn end(chat: &ChatService, socket: &Socket, reason: Option<CloseReason>) {
    *socket.data.stage() = Stage::Closed;
    if let Some(reason) = reason {
        let _ = socket.emit(packet::outgoing(CLOSING, &Closing::new(chat, reason)));
        if reason == CloseReason::SignedOut {
            let _ = socket.emit(packet::DISCONNECT);
        }
    }
    let has_more = match reason {
        // A poll takes along what is there when it is answered, and the rest waits for the next one.
        Some(CloseReason::SignedOut) => socket.transport_type() == TransportType::Polling,
        // A connection that is closed while something in it is unread is reset, and what was written is lost with it. From
        // here on nothing that comes is done.
        Some(CloseReason::Flooding) => true,
        _ => false,
    };
    if has_more || socket.data.has_said_goodbye.load(Ordering::Relaxed) {
        // The client closes the transport itself, and some take it amiss when it is not there any more.
        let socket = socket.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GOODBYE_WITHIN).await;
            socket.close(DisconnectReason::TransportClose);
        });
        return;
    }
    socket.close(DisconnectReason::ClosingServer);
}
