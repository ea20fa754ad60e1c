//! The parts that the description of the API refers to by name: schemas, parameters and headers.

use serde_json::{Value, json};

use crate::{
    Code, Limits,
    auth::BCRYPT_BYTES,
    messages::{CLIENT_ID_CHARS, SEARCH_CHARS},
};

pub(super) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The name of the schema of what comes under this name.
pub(super) fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_ascii_uppercase() + rest
}

pub(super) fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

pub(super) fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// What to show for signing in, each way by itself enough.
pub(super) const SECURITY_SCHEMES: [&str; 2] = ["cookie", "bearer"];

pub(super) fn components(limits: &Limits) -> Value {
    json!({
        "schemas": merged([ids(), outputs(), errors(), inputs(limits)]),
        "parameters": parameters(limits),
        "headers": headers(),
        "securitySchemes": {
            "cookie": {
                "type": "apiKey", "in": "cookie", "name": super::settings::COOKIE,
                "description": "Set by sign-up and login. What changes something must then come from the same \
                    origin, or from one that the server allows.",
            },
            "bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "The value of the cookie.",
            },
        },
    })
}

/// Those of the sockets.
#[cfg(any(feature = "socketio", feature = "websocket"))]
pub(super) fn socket_schemas(limits: &Limits) -> Value {
    let mut outputs = outputs();
    let names = ["Message", "Reaction", "ReadState", "DeliveryState"];
    let used = names.iter().map(|name| ((*name).to_owned(), outputs[name].take())).collect();
    merged([ids(), Value::Object(used), json!({ "ErrorCode": errors()["ErrorCode"].take() }), events(limits)])
}

fn merged<const N: usize>(parts: [Value; N]) -> Value {
    let objects = parts.into_iter().filter_map(|part| match part {
        Value::Object(map) => Some(map),
        _ => None,
    });
    Value::Object(objects.flatten().collect())
}

/// An object all of whose properties are there, but for those named.
fn object(description: &str, properties: Value, optional: &[&str]) -> Value {
    let names = properties.as_object().into_iter().flat_map(serde_json::Map::keys);
    let required: Vec<_> = names.filter(|name| !optional.contains(&name.as_str())).cloned().collect();
    let mut object = json!({ "type": "object", "description": description });
    object["properties"] = properties;
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// What Rust's `trim` removes, for a class in a pattern: `\s` is something else in every dialect.
const WHITE: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// White space, and between it something that is not empty and has no control characters.
fn trimmed() -> String {
    format!("^[{WHITE}]*[^{WHITE}{CONTROL}]([^{CONTROL}]*[^{WHITE}{CONTROL}])?[{WHITE}]*$")
}

/// At least one of these texts is there and not empty.
fn some_of(names: &[&str], mut object: Value) -> Value {
    let is_there = |name: &&str| {
        let text = json!({ "type": "string", "minLength": 1 });
        json!({ "required": [name], "properties": { *name: text } })
    };
    object["anyOf"] = names.iter().map(is_there).collect();
    object
}

pub(super) fn or_null(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

const ID: &str = "^[0-9a-fA-F]{24}$";

fn ids() -> Value {
    json!({
        "Id": {
            "type": "string", "pattern": ID,
            "description": "24 hex characters, answered in lower case.",
            "examples": ["65b2c3d4e5f6a7b8c9d0e1f2"],
        },
        "Time": {
            "type": "string", "format": "date-time",
            "description": "RFC 3339, UTC, with milliseconds.",
            "examples": ["2026-01-31T12:00:00.000Z"],
        },
    })
}

fn outputs() -> Value {
    let (id, time, text) = (schema("Id"), schema("Time"), json!({ "type": ["string", "null"] }));
    let count = json!({ "type": "integer", "minimum": 0 });
    json!({
        "User": object("A person.", json!({
            "_id": id,
            "email": { "type": "string" },
            "fullName": { "type": "string" },
            "profilePic": { "type": "string", "description": "URL of the picture, or empty." },
            "lastSeen": time,
            "isOnline": { "type": "boolean" },
            "createdAt": time,
            "updatedAt": time,
        }), &[]),
        "Message": object("A message.", json!({
            "_id": id,
            "chatId": id,
            "seq": { "type": "integer", "minimum": 1, "description": "Counts 1, 2, 3 … within the chat without a hole." },
            "senderId": id,
            "receiverId": or_null(&id),
            "text": text,
            "image": { "type": ["string", "null"], "description": "URL of the picture." },
            "clientId": { "type": ["string", "null"], "description": "The sender's own idempotency key." },
            "isDeleted": { "type": "boolean", "description": "Then `text` and `image` are null." },
            "unreadable": { "const": true, "description": "There when the message has a text that no key opens." },
            "replyTo": { "anyOf": [id, { "type": "null" }], "description": "The message of the same chat that it answers." },
            "isEdited": { "type": "boolean", "description": "Whether its text was changed since." },
            "reactions": { "type": "array", "items": schema("Reaction"), "description": "In the order in which they were made." },
            "createdAt": time,
            "updatedAt": time,
        }), &["unreadable"]),
        "Reaction": object("What somebody thinks of a message.", json!({
            "userId": id,
            "emoji": { "type": "string" },
        }), &[]),
        "Chat": { "allOf": [schema("User"), object("The partner's fields, and these.", json!({
            "chatId": id,
            "lastMessage": or_null(&schema("Message")),
            "unread": count,
            "deliveredSeq": { "type": "integer", "minimum": 0, "description": "A device of the partner has the messages up to this `seq`." },
            "readSeq": { "type": "integer", "minimum": 0, "description": "The partner has read up to this `seq`." },
        }), &[])] },
        "Session": object("A sign-in of yours.", json!({
            "_id": id,
            "device": { "type": ["string", "null"], "description": "What the device said that it runs." },
            "address": { "type": ["string", "null"], "description": "Where it signed in from." },
            "createdAt": time,
            "lastUsedAt": time,
            "expiresAt": time,
            "isCurrent": { "type": "boolean", "description": "The one that asks." },
        }), &[]),
        "DeliveryState": object("Up to where others know that a device of yours has a chat.", json!({
            "chatId": id,
            "seq": count,
        }), &[]),
        "Settings": object("What others may know of you.", json!({
            "sendsReceipts": { "type": "boolean", "description": "What you have got and read." },
            "isInvisible": { "type": "boolean", "description": "Then nobody knows that you are here." },
        }), &[]),
        "ReadState": object("How far you have read a chat.", json!({
            "chatId": id,
            "seq": count,
            "unread": count,
        }), &[]),
    })
}

/// What goes over sockets, beside messages.
#[cfg(any(feature = "socketio", feature = "websocket"))]
fn events(limits: &Limits) -> Value {
    let (id, time, flag) = (schema("Id"), schema("Time"), json!({ "type": "boolean" }));
    let count = json!({ "type": "integer", "minimum": 0 });
    let mut inputs = inputs(limits);
    let mut send = inputs["SendMessage"].take();
    with_id(&mut send, "receiverId");
    let mut events = json!({
        "DeleteMessageEvent": object("What to delete.", json!({ "messageId": id }), &[]),
        "HideMessageEvent": object("What you don't want to see any more.", json!({ "messageId": id }), &[]),
        "MessageHiddenEvent": object(
            "What you don't want to see any more.",
            json!({ "messageId": id, "chatId": id, "seq": count, "senderId": id }),
            &[],
        ),
        "ReactionsEvent": object("All reactions of a message.", json!({
            "messageId": id, "chatId": id, "reactions": { "type": "array", "items": schema("Reaction") }, "updatedAt": time,
        }), &[]),
        "WatermarkEvent": object("Who, and up to where.", json!({ "chatId": id, "userId": id, "seq": count }), &[]),
        "ResyncEvent": { "type": "object", "description": "Nothing more." },
        "TypingEvent": object("To whom.", json!({ "receiverId": id, "isTyping": flag }), &[]),
        "TypingToYouEvent": object("Who writes.", json!({ "senderId": id, "isTyping": flag }), &[]),
        "PresenceEvent": object("Who came or went, and when.", json!({
            "userId": id, "isOnline": flag, "lastSeen": time,
        }), &[]),
        "OnlineUsersEvent": { "type": "array", "items": id },
    });
    #[cfg(feature = "websocket")]
    {
        let description = "Where you stand: come back with it to get what you miss.";
        events["Cursor"] = json!({ "type": "string", "maxLength": crate::sockets::CURSOR_CHARS, "description": description });
    }
    events["SendMessageEvent"] = send;
    events["EditMessageEvent"] = inputs["EditMessage"].take();
    with_id(&mut events["EditMessageEvent"], "messageId");
    events["ReactEvent"] = inputs["React"].take();
    with_id(&mut events["ReactEvent"], "messageId");
    events["ReactEvent"]["properties"]["isOn"] =
        json!({ "type": ["boolean", "null"], "description": "False takes it back." });
    for name in ["MessagesDeliveredEvent", "MessagesReadEvent"] {
        events[name] = up_to();
        with_id(&mut events[name], "chatId");
    }
    let reasons: Vec<_> = crate::events::CloseReason::ALL.iter().map(|reason| reason.as_str()).collect();
    events["ClosingEvent"] = object(
        "Why, and when to come back.",
        json!({
            "code": { "type": "string", "enum": reasons },
            "retryAfter": {
                "type": "integer", "minimum": 0,
                "description": "Milliseconds to wait before; there when the server goes away.",
            },
        }),
        &["retryAfter"],
    );
    events
}

/// Adds a property, which must be there.
#[cfg(any(feature = "socketio", feature = "websocket"))]
fn with_id(object: &mut Value, name: &str) {
    object["properties"][name] = schema("Id");
    match &mut object["required"] {
        Value::Array(required) => required.push(name.into()),
        required => *required = json!([name]),
    }
}

/// The envelope of what went wrong.
pub(super) fn failure() -> Value {
    let data = json!({
        "code": schema("ErrorCode"),
        "fields": {
            "type": "object", "additionalProperties": { "type": "string" },
            "description": "With `validation_failed`: what is wrong, by field.",
        },
    });
    envelope(false, &object("What went wrong.", data, &["fields"]))
}

fn errors() -> Value {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({ "ErrorCode": { "type": "string", "enum": codes }, "Error": failure() })
}

/// Exactly three keys.
pub(super) fn envelope(success: bool, data: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "success": { "type": "boolean", "const": success },
            "data": data,
            "message": { "type": "string", "description": "A sentence for a person." },
        },
        "required": ["success", "data", "message"],
        "additionalProperties": false,
    })
}

/// The bodies, by the `operationId` with a capital. In all of them `null` counts as absent.
fn inputs(limits: &Limits) -> Value {
    let email =
        json!({ "type": "string", "format": "email", "minLength": 1, "maxLength": limits.email_bytes });
    let password = json!({
        "type": "string", "format": "password", "minLength": limits.password_chars, "maxLength": BCRYPT_BYTES,
        "pattern": r"^[^\u0000]*$",
        "description": format!(
            "At most {BCRYPT_BYTES} bytes of UTF-8, none of them NUL; none of the most common passwords, and not your \
             e-mail or name."
        ),
    });
    let named_email = json!({
        "type": "string", "minLength": 1, "maxLength": limits.email_bytes, "pattern": format!("[^{WHITE}]"),
    });
    let token = json!({ "type": "string", "minLength": 1 });
    let name = |types: Value| {
        json!({
            "type": types, "minLength": 1, "maxLength": limits.full_name_chars, "pattern": trimmed(),
            "description": "White space around it is removed; within it there are no control characters.",
        })
    };
    let picture = |empty: &str| {
        let (bytes, pixels) = (limits.image.bytes, limits.image.pixels);
        let limit = format!("at most {bytes} bytes and {pixels} pixels");
        json!({
            "type": ["string", "null"], "format": "data-url",
            "description": format!("A png, jpeg, webp or gif as data URL in base64, {limit}. Empty: {empty}."),
        })
    };
    json!({
        "SignUp": object("Who you are.", json!({
            "email": email, "fullName": name(json!("string")), "password": password,
        }), &[]),
        "LogIn": object("What you signed up with.", json!({
            "email": { "type": "string", "minLength": 1, "pattern": format!("[^{WHITE}]") },
            "password": { "type": "string", "format": "password", "minLength": 1 },
        }), &[]),
        "ChangePassword": object("The one that you have, and the one that you want.", json!({
            "currentPassword": { "type": "string", "format": "password", "minLength": 1 },
            "newPassword": password,
        }), &[]),
        "ForgotPassword": object("Where the link is to be sent.", json!({ "email": named_email }), &[]),
        "ResetPassword": object("What stands in the link, and the new password.", json!({
            "token": token, "password": password,
        }), &[]),
        "VerifyEmail": object("What stands in the link.", json!({ "token": token }), &[]),
        "ResendVerification": object("Where the link is to be sent.", json!({ "email": named_email }), &[]),
        "UpdateProfile": object("What is absent stays as it is.", json!({
            "fullName": name(json!(["string", "null"])),
            "profilePic": picture("the picture is removed"),
        }), &["fullName", "profilePic"]),
        "SendMessage": some_of(&["text", "image"], object("A text, a picture, or both.", json!({
            "text": { "type": ["string", "null"], "maxLength": limits.text_chars, "description": "Empty: absent." },
            "image": picture("absent"),
            "clientId": {
                "type": ["string", "null"], "minLength": 1, "maxLength": CLIENT_ID_CHARS,
                "description": "A key of your own: sent again under it, the message is not sent twice.",
            },
            "replyTo": {
                "type": ["string", "null"], "pattern": ID,
                "description": "The message of the same conversation that it answers.",
            },
        }), &["text", "image", "clientId", "replyTo"])),
        "EditMessage": object("The text that it shall have.", json!({
            "text": {
                "type": "string", "maxLength": limits.text_chars,
                "description": "Empty only where there is a picture.",
            },
        }), &[]),
        "React": object("In which way.", json!({ "emoji": emoji() }), &[]),
        "ChangeSettings": object("What is absent stays as it is.", json!({
            "sendsReceipts": { "type": ["boolean", "null"] },
            "isInvisible": { "type": ["boolean", "null"] },
        }), &["sendsReceipts", "isInvisible"]),
        "MarkDelivered": up_to(),
        "MarkRead": up_to(),
    })
}

fn up_to() -> Value {
    let seq = json!({ "seq": { "type": ["integer", "null"], "minimum": 0 } });
    object("Without `seq`, or with one that is not reached yet: up to the newest.", seq, &["seq"])
}

/// Characters of the longest emoji, and some room.
const EMOJI_CHARS: usize = 32;

/// No schema says what an emoji is: the format is a hint.
fn emoji() -> Value {
    json!({
        "type": "string", "format": "emoji", "minLength": 1, "maxLength": EMOJI_CHARS,
        "description": "One emoji.",
    })
}

fn parameters(limits: &Limits) -> Value {
    let query = |name: &str, schema: Value, description: &str| {
        json!({
            "name": name, "in": "query", "schema": schema, "allowEmptyValue": true,
            "description": format!("{description} Empty: absent."),
        })
    };
    let position = json!({ "type": "string", "pattern": "^[0-9]{1,18}-[0-9a-fA-F]{24}$" });
    let limit =
        json!({ "type": "integer", "minimum": 1, "maximum": limits.max_page, "default": limits.page });
    json!({
        "Limit": query("limit", limit, "How many at the most."),
        "AfterUser": query("after", schema("Id"), "The last user of the page before."),
        "Search": query("search", json!({ "type": "string", "maxLength": SEARCH_CHARS }),
            "Those only whose name begins with this, and who has it as their e-mail; without case."),
        "AfterChat": query("after", position, "Where the page before ended: from its `Link`."),
        "For": query("for", json!({ "type": "string", "enum": ["all", "me"], "default": "all" }), "For whom it is deleted."),
        "Emoji": { "name": "emoji", "in": "query", "schema": emoji(), "required": true, "description": "In which way." },
        "BeforeMessage": query("before", schema("Id"), "The oldest message of the page with newer ones."),
    })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "schema": { "type": "string" }, "description": description });
    json!({
        "Link": text("The further page, where there is one: `<url>; rel=\"next\"` (RFC 8288)."),
        "Retry-After": {
            "schema": { "type": "integer", "minimum": 1 }, "required": true,
            "description": "Seconds until it makes sense to try again.",
        },
        "RateLimit": text("What is left and until when (draft-ietf-httpapi-ratelimit-headers)."),
        "RateLimit-Policy": text("Requests and window of the limit (draft-ietf-httpapi-ratelimit-headers)."),
        "Set-Cookie": text("The cookie `jwt`; after a logout empty and expired. At a sign-in a second one, `device`, by which the \
             device is told from those of strangers who guess at the account."),
        "WWW-Authenticate": text("`Bearer`."),
    })
}
