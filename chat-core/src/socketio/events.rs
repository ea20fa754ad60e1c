//! What clients say on a socket that is signed in.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engineioxide::DisconnectReason;

use super::{
    connection::{Live, Socket, Transmitted, transmit},
    packet::{self, Incoming},
};
use crate::{
    ChatService, Error, RateLimited, Result, Timestamp,
    http::picture,
    messages::{Draft, To},
    shield::{Visit, VisitClass},
    wire::{self, Fields},
};

/// Events of one socket that may wait.
const WAITING: usize = 512;
/// How long an answer may wait for a client that takes nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What waits to be done for one socket: one thing after the other, so that messages keep the order in which they were
/// sent. A task is there only while something waits: an idle socket costs nothing here.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<(Incoming, usize)>,
    bytes: usize,
    is_busy: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Queue and counter are changed together without a call in between that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event in, or refuses it at once when too much waits.
    pub(super) fn take(chat: &ChatService, socket: &Socket, live: Arc<Live>, event: Incoming, bytes: usize) {
        let mut waiting = socket.data.inbox.lock();
        if waiting.events.len() >= WAITING || waiting.bytes + bytes > 2 * chat.limits().body_bytes {
            drop(waiting);
            let second = Duration::from_secs(1);
            let limit = u32::try_from(WAITING).unwrap_or(u32::MAX);
            let limited = RateLimited { policy: "waiting", limit, window: second, retry_after: second };
            let Some(ack) = event.ack else { return };
            let refusal = wire::failure(&Error::RateLimited(limited));
            if socket.emit(packet::ack(ack, &refusal)).is_err() {
                // It floods and does not read: never a silent drop.
                socket.close(DisconnectReason::TransportError);
            }
            return;
        }
        waiting.events.push_back((event, bytes));
        waiting.bytes += bytes;
        if !waiting.is_busy {
            waiting.is_busy = true;
            tokio::spawn(work(chat.clone(), socket.clone(), live));
        }
    }

    fn next(&self) -> Option<Incoming> {
        let mut waiting = self.lock();
        let Some((event, bytes)) = waiting.events.pop_front() else {
            waiting.is_busy = false;
            // What a burst needed goes back.
            waiting.events = VecDeque::new();
            return None;
        };
        waiting.bytes -= bytes;
        Some(event)
    }
}

/// Works off what waits. What a socket had said before it closed is done all the same.
async fn work(chat: ChatService, socket: Socket, live: Arc<Live>) {
    while let Some(event) = socket.data.inbox.next() {
        let ack = event.ack;
        // In a task of its own, so that a panic ends this one event and not the socket's ear.
        let (chat, live) = (chat.clone(), live.clone());
        let done = tokio::spawn(async move { handle(&chat, &live, event).await }).await;
        answer(&socket, ack, done.unwrap_or_else(|panic| Err(Error::internal(panic)))).await;
    }
}

/// Answers, where the client waits for an answer: an envelope. A client that takes nothing for long is closed; it
/// learns from the history what became of what it sent.
async fn answer(socket: &Socket, ack: Option<u64>, done: Result<String>) {
    let Some(ack) = ack else { return };
    let envelope = done.unwrap_or_else(|error| wire::failure(&error));
    if transmit(socket, &packet::ack(ack, &envelope), || false, ANSWER_WITHIN).await == Transmitted::Stuck {
        socket.close(DisconnectReason::TransportError);
    }
}

fn fields(event: &Incoming) -> Result<Fields> {
    Fields::parse(event.payload.as_ref().map(|payload| payload.get()).unwrap_or_default().as_bytes())
}

async fn handle(chat: &ChatService, live: &Live, event: Incoming) -> Result<String> {
    let me = live.session.user;
    // What waited while the session ended is not done any more.
    if live.session.expires_at <= Timestamp::now() || chat.shared.revocations.contains(live.session.id) {
        return Err(Error::Unauthenticated);
    }
    let visit =
        Visit { class: VisitClass::SocketEvent, address: live.address, user: Some(me), user_agent: None };
    chat.shared.admit(&visit).await?;
    match event.name.as_str() {
        "sendMessage" => {
            let mut fields = fields(&event)?;
            let to = fields.id("receiverId");
            let text = fields.string("text");
            let image = fields.string("image").filter(|url| !url.is_empty());
            let client_id = fields.string("clientId");
            fields.finish()?;
            // `finish` has refused an absent id.
            let to = To::User(to.ok_or(Error::InvalidId)?);
            let image = image.map(|url| picture("image", &url, chat.limits()));
            let draft = Draft { text, image: image.transpose()?, client_id };
            let sent = chat.messages().send_from(me, to, draft, Some(live.connection)).await?;
            Ok(wire::success(&sent.message, if sent.is_repeat { "Sent before." } else { "Sent." }))
        }
        "deleteMessage" => {
            let mut fields = fields(&event)?;
            let id = fields.id("messageId");
            fields.finish()?;
            let message = chat.messages().delete(me, id.ok_or(Error::InvalidId)?).await?;
            Ok(wire::success(&message, "Deleted."))
        }
        "typing" => {
            let mut fields = fields(&event)?;
            let (to, is_typing) = (fields.id("receiverId"), fields.flag("isTyping"));
            fields.finish()?;
            if let (Some(to), Some(is_typing)) = (to, is_typing) {
                chat.events().typing(me, to, is_typing);
            }
            Ok(wire::success(&(), "Told."))
        }
        _ => Err(Error::NotFound("Event")),
    }
}
