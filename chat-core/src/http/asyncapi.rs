//! `/api/asyncapi.json`: the description of the sockets, made from the table of their events (AsyncAPI 3.0).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    endpoint::{Call, Reply},
    schemas::{self, SECURITY_SCHEMES, capitalised, envelope, schema},
};
use crate::{
    Limits, Result,
    sockets::{CLIENT_EVENTS, CLOSING},
};

pub(super) async fn get(call: Call) -> Result<Reply> {
    let shared = &call.chat.shared;
    let build = || Bytes::from(document(&shared.limits, shared.view.public_url()).to_string());
    Ok(Reply::Document(shared.asyncapi.get_or_init(build).clone()))
}

/// What the server says by itself.
struct ServerEvent {
    name: &'static str,
    /// The schema of its payload.
    payload: &'static str,
    /// When.
    summary: &'static str,
    /// Whether it says where its receiver stands.
    has_cursor: bool,
}

const fn says(name: &'static str, payload: &'static str, summary: &'static str) -> ServerEvent {
    ServerEvent { name, payload, summary, has_cursor: false }
}

/// Something that a client can be told later, too.
const fn changes(name: &'static str, payload: &'static str, summary: &'static str) -> ServerEvent {
    ServerEvent { has_cursor: true, ..says(name, payload, summary) }
}

const SERVER_EVENTS: [ServerEvent; 12] = [
    changes(
        "onlineUsers",
        "OnlineUsersEvent",
        "Once, before anything else: those of your chat partners who are online.",
    ),
    changes(
        "sendMessage",
        "Message",
        "A message, to every socket of its receiver and the sender's other sockets.",
    ),
    changes("editMessage", "Message", "A message that has another text, to every socket of both."),
    changes("deleteMessage", "Message", "A message that was deleted, to every socket of both."),
    changes("reactions", "ReactionsEvent", "Reactions of a message changed, to every socket of both."),
    changes("hideMessage", "MessageHiddenEvent", "You deleted a message for yourself only, to your sockets."),
    changes(
        "messagesDelivered",
        "WatermarkEvent",
        "A device of your chat partner has the messages of a chat up to `seq`.",
    ),
    changes(
        "messagesRead",
        "WatermarkEvent",
        "Your chat partner has read a chat up to `seq`, or you have on another device.",
    ),
    changes(
        "resync",
        "ResyncEvent",
        "You came back with a cursor that can't be served: load the state anew.",
    ),
    says(
        "typing",
        "TypingToYouEvent",
        "Somebody writes to you, or no longer does. Ends by itself after 6 s.",
    ),
    says("presence", "PresenceEvent", "Somebody with whom you share a chat came or went."),
    says(CLOSING, "ClosingEvent", "The server closes this socket, for this reason."),
];

/// A door, with its way to put things into packets or frames.
struct Door {
    channel: &'static str,
    address: &'static str,
    description: String,
    /// An event, as the server or a client sends it: its name, its payload, and what else can be with it.
    event: fn(&str, &Value, Along) -> Value,
    /// An answer around this envelope.
    answer: fn(Value) -> Value,
}

/// What an event may have beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Along {
    Nothing,
    /// What the answer is to refer to.
    Id,
    /// Where its receiver stands.
    Cursor,
}

fn doors() -> Vec<Door> {
    vec![
        #[cfg(feature = "socketio")]
        Door {
            channel: "socketio",
            address: "/socket.io/",
            description: "Socket.IO, protocol 5, namespace `/`. Sign in with the cookie, or with `auth: { token }`. A refusal \
                is a `connect_error` with `data: { code }`. The payload is the event's first argument; the answer is \
                the acknowledgement, for clients that ask for one. What changes something, `onlineUsers` and `resync` have a \
                second argument `{ cursor }`. A client that comes back with the last one that it got, as `auth: { since }`, \
                gets what it missed, at least once; whatever else `since` is gets `resync`. Before the server closes a \
                socket it says `closing`."
                .to_owned(),
            event: |_, payload, _| payload.clone(),
            answer: |envelope| envelope,
        },
        #[cfg(feature = "websocket")]
        Door {
            channel: "websocket",
            address: crate::websocket::WebSocketDoor::PATH,
            description: closing_codes(),
            event: frame,
            answer: reply,
        },
    ]
}

#[cfg(feature = "websocket")]
fn closing_codes() -> String {
    use std::fmt::Write;
    let mut text = "WebSocket with JSON in text frames, subprotocol `chat.v1.json`. Sign in with the cookie, or with \
        `Authorization: Bearer`. A refusal is an HTTP response with the usual envelope. A frame with an `id` is \
        answered; `reply` is null where no `id` could be read. What changes something, `onlineUsers` and `resync` have \
        a `cursor`. A client that comes back with the last one that it got, as the parameter `since` of the URL, gets what \
        it missed, at least once; whatever else `since` is gets `resync`. Close codes, of which some are told by `closing` \
        as well:"
        .to_owned();
    for close in crate::websocket::Close::ALL {
        let (code, reason, meaning) = close.row();
        // Writing to a String does not fail.
        let _ = write!(text, " {code} `{reason}` ({meaning});");
    }
    text.pop();
    text + "."
}

#[cfg(feature = "websocket")]
fn frame(name: &str, data: &Value, along: Along) -> Value {
    let mut properties = json!({ "event": { "type": "string", "const": name }, "data": data });
    match along {
        Along::Nothing => {}
        Along::Id => {
            properties["id"] = json!({ "type": ["integer", "null"], "minimum": 0, "description": "Where there shall be a reply." });
        }
        Along::Cursor => properties["cursor"] = schema("Cursor"),
    }
    json!({ "type": "object", "properties": properties, "required": ["event", "data"] })
}

#[cfg(feature = "websocket")]
fn reply(mut envelope: Value) -> Value {
    envelope["properties"]["reply"] =
        json!({ "type": ["integer", "null"], "description": "The `id` of the frame." });
    if let Value::Array(required) = &mut envelope["required"] {
        required.push("reply".into());
    }
    envelope
}

fn document(limits: &Limits, public_url: &str) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for door in doors() {
        channels.insert(door.channel.to_owned(), channel(&door));
        operations.extend(operations_of(&door));
    }
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chat sockets",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The same events on each door. An answer is an envelope of three keys, and `data.code` of a \
                failure is stable. What one socket says is done one thing after the other. Unknown keys are to be \
                ignored.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "schemas": schemas::socket_schemas(limits), "securitySchemes": security_schemes() },
    });
    if let Some((scheme, rest)) = public_url.split_once("://") {
        let (host, path) =
            rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
        let protocol = if scheme == "https" { "wss" } else { "ws" };
        let mut server = json!({ "host": host, "protocol": protocol });
        if !path.is_empty() {
            server["pathname"] = path.into();
        }
        document["servers"] = json!({ "this": server });
    }
    document
}

fn channel(door: &Door) -> Value {
    let mut messages = Map::new();
    for event in CLIENT_EVENTS {
        let payload = schema(&format!("{}Event", capitalised(event.name)));
        let payload = (door.event)(event.name, &payload, Along::Id);
        messages.insert(format!("{}.ask", event.name), message(event.name, event.summary, &payload));
        let data = event.answer.map_or_else(|| json!({ "type": "null" }), schema);
        let answers =
            json!({ "oneOf": [(door.answer)(envelope(true, &data)), (door.answer)(schemas::failure())] });
        messages.insert(format!("{}.answer", event.name), message(event.name, "The answer.", &answers));
    }
    for ServerEvent { name, payload, summary, has_cursor } in SERVER_EVENTS {
        let along = if has_cursor { Along::Cursor } else { Along::Nothing };
        let payload = (door.event)(name, &schema(payload), along);
        messages.insert(name.to_owned(), message(name, summary, &payload));
    }
    let mut channel =
        json!({ "address": door.address, "description": door.description, "messages": messages });
    if door.channel == "websocket" {
        let since = json!({
            "type": "string",
            "description": "The last cursor. Empty: absent. What is no cursor gets `resync`, as one does that can't be served.",
        });
        let query = json!({ "type": "object", "properties": { "since": since } });
        channel["bindings"] = json!({ "ws": { "method": "GET", "query": query } });
    }
    channel
}

fn message(name: &str, summary: &str, payload: &Value) -> Value {
    json!({ "name": name, "summary": summary, "payload": payload })
}

/// As the server sees it: it receives what clients send.
fn operations_of(door: &Door) -> Map<String, Value> {
    let channel = json!({ "$ref": format!("#/channels/{}", door.channel) });
    let one =
        |message: String| json!([{ "$ref": format!("#/channels/{}/messages/{message}", door.channel) }]);
    let security: Vec<_> = SECURITY_SCHEMES
        .iter()
        .map(|scheme| json!({ "$ref": format!("#/components/securitySchemes/{scheme}") }))
        .collect();
    let mut operations = Map::new();
    for event in CLIENT_EVENTS {
        let operation = json!({
            "action": "receive", "channel": channel, "summary": event.summary, "security": security,
            "messages": one(format!("{}.ask", event.name)),
            "reply": { "channel": channel, "messages": one(format!("{}.answer", event.name)) },
        });
        operations.insert(format!("{}.{}", door.channel, event.name), operation);
    }
    for ServerEvent { name, summary, .. } in SERVER_EVENTS {
        let operation = json!({
            "action": "send", "channel": channel, "summary": summary, "security": security,
            "messages": one(name.to_owned()),
        });
        operations.insert(format!("{}.on{}", door.channel, capitalised(name)), operation);
    }
    operations
}

fn security_schemes() -> Value {
    json!({
        "cookie": {
            "type": "httpApiKey", "in": "cookie", "name": super::settings::COOKIE,
            "description": "Set by sign-up and login over HTTP.",
        },
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The value of the cookie." },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        ChatId, MessageId, Timestamp, UserId,
        events::{Event, Watermark},
    };

    fn refs<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| refs(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| refs(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document = document(&Limits::default(), "https://chat.example.org/x");
        let mut found = BTreeSet::new();
        refs(&document, &mut found);
        for target in &found {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(
                found.contains(format!("#/components/schemas/{name}").as_str()),
                "nothing refers to {name}"
            );
        }
        let server = json!({ "host": "chat.example.org", "pathname": "/x", "protocol": "wss" });
        assert_eq!(document["servers"]["this"], server);
    }

    /// The fields of what is really sent, against those of the schemas.
    #[test]
    fn every_event_is_described_as_it_is_sent() {
        let (now, id) = (Timestamp::now(), UserId::generate(Timestamp::now()));
        let schemas = schemas::socket_schemas(&Limits::default());
        let described = |event: &Event| {
            let row = SERVER_EVENTS.iter().find(|row| row.name == event.name());
            &schemas[row.unwrap_or_else(|| panic!("{} is not described", event.name())).payload]
        };
        let (chat_id, message_id) = (ChatId::direct(id, id), MessageId::generate(now));
        let watermark = Watermark { chat_id, user_id: id, seq: 1 };
        for event in [
            &Event::Typing { sender_id: id, is_typing: true },
            &Event::Presence { user_id: id, is_online: true, last_seen: now },
            &Event::Reactions { message_id, chat_id, reactions: Vec::new(), updated_at: now },
            &Event::MessageHidden { message_id, chat_id, seq: 5, sender_id: id },
            &Event::MessagesDelivered(watermark),
            &Event::MessagesRead(watermark),
        ] {
            let sent: BTreeSet<_> = json!(event).as_object().unwrap().keys().cloned().collect();
            let schema = described(event);
            let properties: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(properties, sent, "{}", event.name());
            assert_eq!(schema["required"].as_array().unwrap().len(), sent.len());
        }
        assert_eq!(described(&Event::OnlineUsers(vec![id]))["type"], "array");
        assert_eq!(json!(Event::Resync {}), json!({}));
        assert_eq!(described(&Event::Resync {})["type"], "object");
        for event in CLIENT_EVENTS {
            assert!(schemas[format!("{}Event", capitalised(event.name))].is_object(), "{}", event.name);
        }
    }

    #[cfg(feature = "websocket")]
    #[test]
    fn the_codes_are_all_there() {
        let document = document(&Limits::default(), "");
        let text = document["channels"]["websocket"]["description"].as_str().unwrap();
        for close in crate::websocket::Close::ALL {
            let (code, reason, _) = close.row();
            assert!(text.contains(&format!("{code} `{reason}`")), "{close:?}: {text}");
        }
        assert!(document["servers"].is_null());
    }
}
