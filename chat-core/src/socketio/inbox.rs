//! What clients say on a socket that is signed in, one thing after the other.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engineioxide::DisconnectReason;

use super::{
    connection::{Socket, Transmitted, end, transmit},
    packet::{self, Incoming},
};
use crate::{
    ChatService, Error, RateLimited, Result,
    events::CloseReason,
    sockets::{Live, perform},
    wire,
};

/// Events of one socket that may wait.
const WAITING: usize = 512;
/// Events that may be refused because so many wait, before the socket is closed. Fewer than the transport's buffer
/// takes: the reason has to fit in behind the refusals.
const OVERFLOWS: usize = 64;
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
    /// Refused since there was room last.
    overflows: usize,
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
            waiting.overflows += 1;
            let is_flood = waiting.overflows > OVERFLOWS;
            drop(waiting);
            if is_flood {
                return end(chat, socket, Some(CloseReason::Flooding));
            }
            let second = Duration::from_secs(1);
            let limit = u32::try_from(WAITING).unwrap_or(u32::MAX);
            let limited = RateLimited { policy: "waiting", limit, window: second, retry_after: second };
            let Some(ack) = event.ack else { return };
            let refusal = wire::failure(&Error::RateLimited(limited));
            if socket.emit(packet::ack(ack, &refusal)).is_err() {
                // It floods and does not read: never a silent drop.
                end(chat, socket, Some(CloseReason::Flooding));
            }
            return;
        }
        waiting.overflows = 0;
        waiting.events.push_back((event, bytes));
        waiting.bytes += bytes;
        if !waiting.is_busy {
            waiting.is_busy = true;
            tokio::spawn(work(chat.clone(), socket.clone(), live));
        }
    }

    fn clear(&self) {
        let mut waiting = self.lock();
        (waiting.events, waiting.bytes) = (VecDeque::new(), 0);
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
        let asked = {
            let (chat, live) = (chat.clone(), live.clone());
            async move {
                let payload = event.payload.as_ref().map(|payload| payload.get()).unwrap_or_default();
                perform(&chat, &live, &event.name, payload).await
            }
        };
        let done = tokio::spawn(asked).await;
        answer(&socket, ack, done.unwrap_or_else(|panic| Err(Error::internal(panic)))).await;
        if live.is_flooding() {
            socket.data.inbox.clear();
            end(&chat, &socket, Some(CloseReason::Flooding));
        }
    }
}

/// Answers, where the client waits for an answer: an envelope. A client that takes nothing for long is closed; it
/// learns from the history what became of what it sent.
async fn answer(socket: &Socket, ack: Option<u64>, done: Result<String>) {
    let Some(ack) = ack else { return };
    let envelope = done.unwrap_or_else(|error| wire::failure(&error));
    if transmit(socket, packet::ack(ack, &envelope).into(), || false, ANSWER_WITHIN).await
        == Transmitted::Stuck
    {
        socket.close(DisconnectReason::TransportError);
    }
}
