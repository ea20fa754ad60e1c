//! Socket.IO packets, protocol 5, in text (<https://socket.io/docs/v4/socket-io-protocol/>). Binary attachments are not
//! taken: their placeholders are then values of a wrong type.

use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// A packet from a client.
#[derive(Debug)]
pub(super) enum Packet {
    Connect {
        namespace: String,
        auth: Option<Value>,
    },
    Disconnect,
    Event(Incoming),
    /// An answer to a question that this server never asks, or something for another namespace.
    Ignored,
}

/// An event from a client.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) name: String,
    /// JSON as it came; read when it is its turn.
    pub(super) payload: Option<Box<RawValue>>,
    /// Where the client waits for an answer.
    pub(super) ack: Option<u64>,
}

/// Not a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) fn parse(text: &str) -> Result<Packet, Malformed> {
    let (kind, rest) = text.split_at_checked(1).ok_or(Malformed)?;
    match kind {
        "0" => {
            let (namespace, rest) = namespace(rest);
            let auth =
                if rest.is_empty() { None } else { Some(serde_json::from_str(rest).map_err(|_| Malformed)?) };
            Ok(Packet::Connect { namespace: namespace.to_owned(), auth })
        }
        "1" if namespace(rest).0 == "/" => Ok(Packet::Disconnect),
        "2" => event(rest),
        "1" | "3" | "6" => Ok(Packet::Ignored),
        "5" => event(rest.split_once('-').ok_or(Malformed)?.1),
        _ => Err(Malformed),
    }
}

fn namespace(rest: &str) -> (&str, &str) {
    if rest.starts_with('/') { rest.split_once(',').unwrap_or((rest, "")) } else { ("/", rest) }
}

fn event(rest: &str) -> Result<Packet, Malformed> {
    let (namespace, rest) = namespace(rest);
    if namespace != "/" {
        return Ok(Packet::Ignored);
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (ack, json) = rest.split_at(digits);
    let ack = if ack.is_empty() { None } else { Some(ack.parse().map_err(|_| Malformed)?) };
    let values: Vec<Box<RawValue>> = serde_json::from_str(json).map_err(|_| Malformed)?;
    let mut values = values.into_iter();
    let name = values.next().and_then(|name| serde_json::from_str(name.get()).ok()).ok_or(Malformed)?;
    Ok(Packet::Event(Incoming { name, payload: values.next(), ack }))
}

/// The answer to a CONNECT.
pub(super) fn connected(sid: &str) -> String {
    format!("0{}", json(&serde_json::json!({ "sid": sid })))
}

/// The refusal of a CONNECT: a sentence, and a code for programs.
pub(super) fn connect_error(namespace: &str, message: &str, code: &str) -> String {
    let separator = if namespace == "/" { "" } else { "," };
    let namespace = if namespace == "/" { "" } else { namespace };
    format!(
        "4{namespace}{separator}{}",
        json(&serde_json::json!({ "message": message, "data": { "code": code } }))
    )
}

/// The end of the connection, for good: the official client does not come back by itself.
pub(super) const DISCONNECT: &str = "1";

pub(super) fn outgoing(name: &str, payload: &impl Serialize) -> String {
    format!("2{}", json(&(name, payload)))
}

/// The same packet with one more argument: where its receiver stands. A cursor has no character that JSON escapes.
pub(super) fn with_cursor(packet: &str, cursor: &str) -> String {
    let packet = packet.strip_suffix(']').unwrap_or(packet);
    [packet, r#",{"cursor":""#, cursor, r#""}]"#].concat()
}

/// An answer; `envelope` is JSON already.
pub(super) fn ack(id: u64, envelope: &str) -> String {
    format!("3{id}[{envelope}]")
}

#[allow(clippy::expect_used)]
fn json(value: &impl Serialize) -> String {
    // Only types of this crate with string keys come here, and none of their implementations fails.
    serde_json::to_string(value).expect("the packet serialises")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> String {
        match parse(text) {
            Ok(Packet::Connect { namespace, auth }) => format!("connect {namespace} {auth:?}"),
            Ok(Packet::Disconnect) => "disconnect".to_owned(),
            Ok(Packet::Ignored) => "ignored".to_owned(),
            Ok(Packet::Event(Incoming { name, payload, ack })) => {
                format!(
                    "{name} {} {ack:?}",
                    payload.map_or("-".to_owned(), |payload| payload.get().to_owned())
                )
            }
            Err(Malformed) => "malformed".to_owned(),
        }
    }

    #[test]
    fn packets() {
        for (text, expected) in [
            ("0", "connect / None"),
            (r#"0{"token":"t"}"#, r#"connect / Some(Object {"token": String("t")})"#),
            (r#"0/admin,{"a":1}"#, r#"connect /admin Some(Object {"a": Number(1)})"#),
            ("0/admin", "connect /admin None"),
            ("1", "disconnect"),
            ("1/admin,", "ignored"),
            (r#"2["typing",{"x":1}]"#, r#"typing {"x":1} None"#),
            (r#"212["a"]"#, "a - Some(12)"),
            (r#"2/admin,["a"]"#, "ignored"),
            (r#"51-3["a",{"_placeholder":true,"num":0}]"#, r#"a {"_placeholder":true,"num":0} Some(3)"#),
            ("3", "ignored"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for bad in [
            "",
            "9",
            "2",
            "2[]",
            "2[5]",
            "2{}",
            "2[\"a\"",
            "0{",
            "299999999999999999999999[\"a\"]",
            "5[\"a\"]",
            "é",
        ] {
            assert_eq!(read(bad), "malformed", "{bad}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(connected("x"), r#"0{"sid":"x"}"#);
        assert_eq!(connect_error("/", "No.", "c"), r#"4{"data":{"code":"c"},"message":"No."}"#);
        assert_eq!(connect_error("/a", "No.", "c"), r#"4/a,{"data":{"code":"c"},"message":"No."}"#);
        assert_eq!(outgoing("typing", &json!({"a": 1})), r#"2["typing",{"a":1}]"#);
        assert_eq!(with_cursor(r#"2["a",{"b":[1]}]"#, "c-_"), r#"2["a",{"b":[1]},{"cursor":"c-_"}]"#);
        assert_eq!(ack(7, "{}"), "37[{}]");
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(text in ".{0,60}", digit in 0..10) {
            let _ = parse(&text);
            let _ = parse(&format!("{digit}{text}"));
        }
    }
}
