//! What stands in text frames: events, and the replies to them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Result, wire::Fields};

/// An event from a client.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) name: String,
    /// JSON as it came; read when it is its turn.
    pub(super) data: Option<Box<RawValue>>,
    /// Where the client waits for a reply.
    pub(super) id: Option<u64>,
}

pub(super) fn parse(text: &str) -> Result<Incoming> {
    let mut fields = Fields::parse(text.as_bytes())?;
    let (name, id, data) = (fields.required("event"), fields.number("id"), fields.raw("data"));
    fields.finish()?;
    // `finish` has refused an absent one.
    Ok(Incoming { name: name.unwrap_or_default(), data, id })
}

#[derive(Serialize)]
struct Outgoing<'a, T: Serialize> {
    event: &'a str,
    data: &'a T,
}

#[allow(clippy::expect_used)]
pub(super) fn event(name: &str, data: &impl Serialize) -> String {
    // Only types of this crate with string keys come here, and none of their implementations fails.
    serde_json::to_string(&Outgoing { event: name, data }).expect("the frame serialises")
}

/// The same frame with one more key: where its receiver stands. A cursor has no character that JSON escapes.
pub(super) fn with_cursor(frame: &str, cursor: &str) -> String {
    let frame = frame.strip_suffix('}').unwrap_or(frame);
    [frame, r#","cursor":""#, cursor, r#""}"#].concat()
}

/// The reply to a frame, by its `id`, or to one that has none that can be read. `envelope` is a JSON object already.
pub(super) fn reply(id: Option<u64>, envelope: &str) -> String {
    let rest = envelope.trim_start_matches('{');
    id.map_or_else(|| format!(r#"{{"reply":null,{rest}"#), |id| format!(r#"{{"reply":{id},{rest}"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, wire};

    #[test]
    fn frames() {
        let read = |text: &str| parse(text).unwrap();
        let full = read(r#" {"event":"typing","data":{"a":[1]},"id":7,"more":1}"#);
        assert_eq!(
            (full.name.as_str(), full.data.unwrap().get(), full.id),
            ("typing", r#"{"a":[1]}"#, Some(7))
        );
        let bare = read(r#"{"event":"x","data":null,"id":null}"#);
        assert!(bare.data.is_none() && bare.id.is_none());
        assert_eq!(read(r#"{"event":"x","id":18446744073709551615}"#).id, Some(u64::MAX));
    }

    #[test]
    fn what_is_no_frame() {
        for text in ["", "x", "[]", "5", "{", r#"{"event":"x"} {}"#, r#"{"event":"\ud800"}"#] {
            assert_eq!(parse(text).unwrap_err().code(), Code::InvalidJson, "{text}");
        }
        for text in [
            "{}",
            r#"{"event":5}"#,
            r#"{"event":null}"#,
            r#"{"event":"x","id":-1}"#,
            r#"{"event":"x","id":"7"}"#,
        ] {
            assert_eq!(parse(text).unwrap_err().code(), Code::ValidationFailed, "{text}");
        }
    }

    #[test]
    fn replies_are_envelopes_with_one_more_key() {
        assert_eq!(
            reply(Some(7), &wire::success(&(), "Done.")),
            r#"{"reply":7,"success":true,"data":null,"message":"Done."}"#
        );
        assert!(reply(None, &wire::success(&(), "Done.")).starts_with(r#"{"reply":null,"success""#));
        let frame = event("typing", &serde_json::json!({"a": 1}));
        assert_eq!(frame, r#"{"event":"typing","data":{"a":1}}"#);
        assert_eq!(with_cursor(&frame, "c-_"), r#"{"event":"typing","data":{"a":1},"cursor":"c-_"}"#);
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(text in ".{0,60}") {
            let _ = parse(&text);
            let _ = parse(&format!("{{\"event\":{text}}}"));
        }
    }
}
