//! What clients can say on a socket: the table of their events, for both doors.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::future::BoxFuture;

use crate::{
    ChatService, Error, Result, Timestamp,
    auth::Session,
    events::ConnectionId,
    http::picture,
    messages::{Draft, To},
    shield::{Visit, VisitClass},
    wire::{self, DeliveryState, Fields},
};

/// Events in a row that the shield may refuse before the socket is closed: its client does not listen.
const REFUSALS: u32 = 1000;

/// What is known of a socket that is signed in.
#[derive(Debug)]
pub(crate) struct Live {
    session: Session,
    connection: ConnectionId,
    address: Option<IpAddr>,
    /// In a row.
    refusals: AtomicU32,
}

impl Live {
    pub(crate) const fn new(session: Session, connection: ConnectionId, address: Option<IpAddr>) -> Self {
        Self { session, connection, address, refusals: AtomicU32::new(0) }
    }

    /// Whether the client goes on at full speed, though it is told that it is too fast.
    pub(crate) fn is_flooding(&self) -> bool {
        self.refusals.load(Ordering::Relaxed) >= REFUSALS
    }
}

/// One row.
pub(crate) struct ClientEvent {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    /// The schema of the `data` of its answer.
    pub(crate) answer: Option<&'static str>,
    perform: for<'a> fn(Ask<'a>) -> BoxFuture<'a, Result<String>>,
}

/// An event that came this far: its sender is signed in and not too fast.
struct Ask<'a> {
    chat: &'a ChatService,
    live: &'a Live,
    fields: Fields,
}

/// The table. The name with a capital and `Event` at its end is the name of the schema of the payload.
pub(crate) const CLIENT_EVENTS: &[ClientEvent] = &[
    ClientEvent {
        name: "sendMessage",
        summary: "Send a message. A repeat of a `clientId` gets the first message again.",
        answer: Some("Message"),
        perform: |ask| Box::pin(send(ask)),
    },
    ClientEvent {
        name: "editMessage",
        summary: "Change the text of a message, which you sent not long ago.",
        answer: Some("Message"),
        perform: |ask| Box::pin(edit(ask)),
    },
    ClientEvent {
        name: "react",
        summary: "Say what you think of a message, once in each way, or take that back. Again is fine.",
        answer: Some("Message"),
        perform: |ask| Box::pin(react(ask)),
    },
    ClientEvent {
        name: "hideMessage",
        summary: "Delete a message for yourself only. Again is fine.",
        answer: None,
        perform: |ask| Box::pin(hide(ask)),
    },
    ClientEvent {
        name: "messagesDelivered",
        summary: "Tell that this device has the messages of a chat, up to `seq` or the newest.",
        answer: Some("DeliveryState"),
        perform: |ask| Box::pin(delivered(ask)),
    },
    ClientEvent {
        name: "messagesRead",
        summary: "Tell that you have read a chat, up to `seq` or the newest.",
        answer: Some("ReadState"),
        perform: |ask| Box::pin(read(ask)),
    },
    ClientEvent {
        name: "deleteMessage",
        summary: "Delete a message, which you sent, for everybody. Again is fine.",
        answer: Some("Message"),
        perform: |ask| Box::pin(delete(ask)),
    },
    ClientEvent {
        name: "typing",
        summary: "Tell somebody that you write to them, or no longer do.",
        answer: None,
        perform: |ask| Box::pin(typing(ask)),
    },
];

/// Does what the client asks for, and returns the envelope of the answer. `payload` is JSON as it came.
pub(crate) async fn perform(chat: &ChatService, live: &Live, name: &str, payload: &str) -> Result<String> {
    // What waited while the session ended is not done any more.
    if live.session.expires_at <= Timestamp::now() || chat.shared.revocations.contains(&live.session) {
        return Err(Error::Unauthenticated);
    }
    admit(chat, live).await?;
    let event = CLIENT_EVENTS.iter().find(|event| event.name == name).ok_or(Error::NotFound("Event"))?;
    let fields = Fields::parse(payload.as_bytes())?;
    (event.perform)(Ask { chat, live, fields }).await
}

/// Asks the shield, and counts what it refuses.
pub(crate) async fn admit(chat: &ChatService, live: &Live) -> Result<()> {
    let user = Some(live.session.user);
    let visit = Visit { address: live.address, user, ..Visit::new(VisitClass::SocketEvent) };
    let admitted = chat.shared.admit(&visit).await;
    match &admitted {
        Ok(()) => live.refusals.store(0, Ordering::Relaxed),
        Err(_) => _ = live.refusals.fetch_add(1, Ordering::Relaxed),
    }
    admitted
}

async fn send(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let to = fields.id("receiverId");
    let text = fields.string("text");
    let image = fields.string("image").filter(|url| !url.is_empty());
    let client_id = fields.string("clientId");
    let reply_to = fields.optional_id("replyTo");
    fields.finish()?;
    // `finish` has refused an absent id.
    let to = To::User(to.ok_or(Error::InvalidId)?);
    let image = match image {
        Some(url) => Some(picture("image", url, chat.limits()).await?),
        None => None,
    };
    let draft = Draft { text, image, client_id, reply_to };
    let sent = chat.messages().send_from(live.session.user, to, draft, Some(live.connection)).await?;
    Ok(wire::success(&sent.message, if sent.is_repeat { "Sent before." } else { "Sent." }))
}

async fn delete(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let id = fields.id("messageId");
    fields.finish()?;
    let message = chat.messages().delete(live.session.user, id.ok_or(Error::InvalidId)?).await?;
    Ok(wire::success(&message, "Deleted."))
}

async fn edit(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let (id, text) = (fields.id("messageId"), fields.required("text"));
    fields.finish()?;
    // `finish` has refused an absent text.
    let (id, text) = (id.ok_or(Error::InvalidId)?, text.unwrap_or_default());
    let message = chat.messages().edit(live.session.user, id, text).await?;
    Ok(wire::success(&message, "Edited."))
}

async fn react(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let (id, emoji) = (fields.id("messageId"), fields.required("emoji"));
    let is_on = fields.optional_flag("isOn").unwrap_or(true);
    fields.finish()?;
    let (id, emoji) = (id.ok_or(Error::InvalidId)?, emoji.unwrap_or_default());
    let message = chat.messages().react(live.session.user, id, &emoji, is_on).await?;
    Ok(wire::success(&message, if is_on { "That is your reaction." } else { "Not your reaction any more." }))
}

async fn hide(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let id = fields.id("messageId");
    fields.finish()?;
    chat.messages().hide(live.session.user, id.ok_or(Error::InvalidId)?).await?;
    Ok(wire::success(&(), "Deleted for you."))
}

async fn delivered(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let (chat_id, up_to) = (fields.id("chatId"), fields.number("seq"));
    fields.finish()?;
    let chat_id = chat_id.ok_or(Error::InvalidId)?;
    let seq = chat.messages().mark_delivered(live.session.user, chat_id, up_to).await?;
    Ok(wire::success(&DeliveryState { chat_id, seq }, "Noted."))
}

async fn read(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let (chat_id, up_to) = (fields.id("chatId"), fields.number("seq"));
    fields.finish()?;
    let chat_id = chat_id.ok_or(Error::InvalidId)?;
    let state = chat.messages().mark_chat_read(live.session.user, chat_id, up_to).await?;
    Ok(wire::success(&state, "Read."))
}

async fn typing(Ask { chat, live, mut fields }: Ask<'_>) -> Result<String> {
    let (to, is_typing) = (fields.id("receiverId"), fields.flag("isTyping"));
    fields.finish()?;
    if let (Some(to), Some(is_typing)) = (to, is_typing) {
        chat.events().typing(live.session.user, to, is_typing).await?;
    }
    Ok(wire::success(&(), "Told."))
}
