//! The frames of the WebSocket door.

use std::{io, time::Duration};

use serde_json::{Value, json};

use crate::{
    api,
    model::{Failure, Id, Message},
};

/// Bytes of a cursor: those that servers give are far shorter.
const MOST_OF_A_CURSOR: usize = 256;

/// What the server says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    OnlineUsers(Vec<Id>),
    Message(Message),
    /// It has another text, or is deleted.
    Changed(Message),
    /// One has hidden it, on another device.
    Hidden {
        message: Id,
        sender: Id,
        seq: u64,
    },
    /// Somebody has read a chat up to there, oneself maybe.
    Read {
        chat: Id,
        user: Id,
        seq: u64,
    },
    /// What was missed can't be told any more: all is to be loaded anew.
    Resync,
    Typing {
        sender: Id,
        is_typing: bool,
    },
    Presence {
        user: Id,
        is_online: bool,
        last_seen: String,
    },
    Reply {
        id: u64,
        outcome: Result<Value, Failure>,
    },
    /// The server closes the connection; where it goes away, it says when to come back.
    Closing {
        again_in: Option<Duration>,
    },
    /// Of a later version, or to a frame that could not be read.
    Other,
}

/// What one says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Say {
    Send { id: u64, to: Id, text: String, client_id: String },
    Delete { id: u64, message: Id },
    Typing { to: Id, is_typing: bool },
}

impl Say {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Send { id, to, text, client_id } => json!({
                "event": "sendMessage", "id": id,
                "data": { "receiverId": to, "text": text, "clientId": client_id },
            }),
            Self::Delete { id, message } => {
                json!({ "event": "deleteMessage", "id": id, "data": { "messageId": message } })
            }
            Self::Typing { to, is_typing } => {
                json!({ "event": "typing", "data": { "receiverId": to, "isTyping": is_typing } })
            }
        }
        .to_string()
    }
}

/// Random, so that no two messages of anybody share one.
pub(crate) fn client_id() -> io::Result<String> {
    let number = || getrandom::u64().map_err(|error| io::Error::other(format!("no random numbers: {error}")));
    Ok(format!("{:016x}{:016x}", number()?, number()?))
}

/// What is said, and where one stands who has heard it, if that is told along. Keys and events that are not known are let
/// by: the server may be newer.
pub(crate) fn parse(text: &str) -> (Heard, Option<String>) {
    let Ok(frame) = serde_json::from_str::<Value>(text) else { return (Heard::Other, None) };
    if !frame.is_object() {
        return (Heard::Other, None);
    }
    let cursor = frame["cursor"].as_str().filter(|cursor| is_cursor(cursor)).map(str::to_owned);
    (heard(frame), cursor)
}

/// It goes into a URL, and is kept.
fn is_cursor(text: &str) -> bool {
    text.len() <= MOST_OF_A_CURSOR && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn heard(mut frame: Value) -> Heard {
    if let Some(id) = frame["reply"].as_u64() {
        let outcome =
            if frame["success"] == true { Ok(frame["data"].take()) } else { Err(api::failure(&frame)) };
        return Heard::Reply { id, outcome };
    }
    let data = frame["data"].take();
    event(frame["event"].as_str().unwrap_or_default(), data).unwrap_or(Heard::Other)
}

fn event(name: &str, data: Value) -> Option<Heard> {
    let id = |key: &str| Some(data[key].as_str()?.to_owned());
    Some(match name {
        "onlineUsers" => Heard::OnlineUsers(serde_json::from_value(data).ok()?),
        "sendMessage" => Heard::Message(serde_json::from_value(data).ok()?),
        "editMessage" | "deleteMessage" => Heard::Changed(serde_json::from_value(data).ok()?),
        "hideMessage" => {
            Heard::Hidden { message: id("messageId")?, sender: id("senderId")?, seq: data["seq"].as_u64()? }
        }
        "messagesRead" => {
            Heard::Read { chat: id("chatId")?, user: id("userId")?, seq: data["seq"].as_u64()? }
        }
        "resync" => Heard::Resync,
        "closing" => Heard::Closing { again_in: data["retryAfter"].as_u64().map(Duration::from_millis) },
        "typing" => Heard::Typing { sender: id("senderId")?, is_typing: data["isTyping"].as_bool()? },
        "presence" => Heard::Presence {
            user: id("userId")?,
            is_online: data["isOnline"].as_bool()?,
            last_seen: id("lastSeen").unwrap_or_default(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heard() {
        let parse = |text| parse(text).0;
        let typing = r#"{"event":"typing","data":{"senderId":"a","isTyping":true},"new":"later"}"#;
        assert_eq!(parse(typing), Heard::Typing { sender: "a".into(), is_typing: true });
        let hidden =
            r#"{"event":"hideMessage","data":{"messageId":"m","chatId":"c","senderId":"a","seq":3}}"#;
        assert_eq!(parse(hidden), Heard::Hidden { message: "m".into(), sender: "a".into(), seq: 3 });
        let read = r#"{"event":"messagesRead","data":{"chatId":"c","userId":"a","seq":3}}"#;
        assert_eq!(parse(read), Heard::Read { chat: "c".into(), user: "a".into(), seq: 3 });
        assert_eq!(parse(r#"{"event":"resync","data":{}}"#), Heard::Resync);
        assert_eq!(parse(r#"{"event":"onlineUsers","data":["a"]}"#), Heard::OnlineUsers(vec!["a".into()]));
        let closing = r#"{"event":"closing","data":{"code":"shutting_down","retryAfter":740}}"#;
        assert_eq!(parse(closing), Heard::Closing { again_in: Some(Duration::from_millis(740)) });
        let reply = r#"{"reply":7,"success":false,"data":{"code":"not_found"},"message":"No such user."}"#;
        let failure = Failure { code: "not_found".into(), message: "No such user.".into() };
        assert_eq!(parse(reply), Heard::Reply { id: 7, outcome: Err(failure) });
        assert_eq!(
            parse(r#"{"reply":8,"success":true,"data":1,"message":""}"#),
            Heard::Reply { id: 8, outcome: Ok(json!(1)) }
        );
        for other in
            ["", "[]", "7", "{}", r#"{"event":"new","data":{}}"#, r#"{"reply":null,"success":false}"#]
        {
            assert_eq!(parse(other), Heard::Other, "{other}");
        }
    }

    #[test]
    fn where_one_stands() {
        let cursor =
            |cursor: &str| parse(&json!({ "event": "new", "data": {}, "cursor": cursor }).to_string()).1;
        assert_eq!(cursor("aZ0-_").as_deref(), Some("aZ0-_"));
        for bad in ["a&b", "a b", "ä", "%20", &"a".repeat(MOST_OF_A_CURSOR + 1)] {
            assert_eq!(cursor(bad), None, "{bad}");
        }
        assert_eq!(parse(r#"{"event":"typing","data":{},"cursor":7}"#).1, None);
    }

    #[test]
    fn what_is_said() {
        let say = Say::Typing { to: "a".into(), is_typing: false };
        assert_eq!(say.text(), r#"{"data":{"isTyping":false,"receiverId":"a"},"event":"typing"}"#);
        let say = Say::Send { id: 1, to: "a".into(), text: "\"".into(), client_id: "c".into() };
        assert!(say.text().contains(r#""text":"\"""#) && say.text().contains(r#""id":1"#));
    }
}
