//! Socket.IO packets, protocol 5, in text (<https://socket.io/docs/v4/socket-io-protocol/>). Binary attachments are not
//! taken: their placeholders are then values of a wrong type.

use serde::Serialize;
use serde_json::Value;

/// A packet from a client.
#[derive(Debug, PartialEq)]
pub(super) enum Packet {
    Connect {
        namespace: String,
        auth: Option<Value>,
    },
    Disconnect,
    Event(Incoming),
    /// An answer to a question that this server never asks.
    Ack,
}

/// An event from a client.
#[derive(Debug, PartialEq)]
pub(super) struct Incoming {
    pub(super) name: String,
    pub(super) payload: Value,
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
        "1" => Ok(Packet::Disconnect),
        "2" => event(rest),
        "3" | "6" => Ok(Packet::Ack),
        "5" => event(rest.split_once('-').ok_or(Malformed)?.1),
        _ => Err(Malformed),
    }
}

fn namespace(rest: &str) -> (&str, &str) {
    if rest.starts_with('/') { rest.split_once(',').unwrap_or((rest, "")) } else { ("/", rest) }
}

fn event(rest: &str) -> Result<Packet, Malformed> {
    let (_, rest) = namespace(rest);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (ack, json) = rest.split_at(digits);
    let ack = if ack.is_empty() { None } else { Some(ack.parse().map_err(|_| Malformed)?) };
    let Ok(Value::Array(values)) = serde_json::from_str(json) else { return Err(Malformed) };
    let mut values = values.into_iter();
    let Some(Value::String(name)) = values.next() else { return Err(Malformed) };
    Ok(Packet::Event(Incoming { name, payload: values.next().unwrap_or_default(), ack }))
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

    fn connect(namespace: &str, auth: Option<Value>) -> Packet {
        Packet::Connect { namespace: namespace.to_owned(), auth }
    }

    fn said(name: &str, payload: Value, ack: Option<u64>) -> Packet {
        Packet::Event(Incoming { name: name.to_owned(), payload, ack })
    }

    #[test]
    fn packets() {
        assert_eq!(parse("0"), Ok(connect("/", None)));
        assert_eq!(parse(r#"0{"token":"t"}"#), Ok(connect("/", Some(json!({"token": "t"})))));
        assert_eq!(parse(r#"0/admin,{"a":1}"#), Ok(connect("/admin", Some(json!({"a": 1})))));
        assert_eq!(parse("0/admin"), Ok(connect("/admin", None)));
        assert_eq!(parse("1"), Ok(Packet::Disconnect));
        assert_eq!(parse(r#"2["typing",{"x":1}]"#), Ok(said("typing", json!({"x": 1}), None)));
        assert_eq!(parse(r#"212["a"]"#), Ok(said("a", Value::Null, Some(12))));
        assert_eq!(parse(r#"51-3["a",{"_placeholder":true,"num":0}]"#).map(|_| ()), Ok(()));
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
            assert_eq!(parse(bad), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(connected("x"), r#"0{"sid":"x"}"#);
        assert_eq!(connect_error("/", "No.", "c"), r#"4{"data":{"code":"c"},"message":"No."}"#);
        assert_eq!(connect_error("/a", "No.", "c"), r#"4/a,{"data":{"code":"c"},"message":"No."}"#);
        assert_eq!(outgoing("typing", &json!({"a": 1})), r#"2["typing",{"a":1}]"#);
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
