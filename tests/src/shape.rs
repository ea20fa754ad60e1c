//! What things look like on the wire: exact keys, exact forms.

use std::collections::BTreeSet;

use serde_json::Value;

/// The table of codes in the contract, each with its status.
const CODES: &[(&str, u16)] = &[
    ("validation_failed", 400),
    ("invalid_json", 400),
    ("invalid_id", 400),
    ("invalid_link", 400),
    ("unauthenticated", 401),
    ("invalid_credentials", 401),
    ("forbidden", 403),
    ("email_unverified", 403),
    ("bot_denied", 403),
    ("origin_denied", 403),
    ("not_found", 404),
    ("method_not_allowed", 405),
    ("request_timeout", 408),
    ("email_taken", 409),
    ("payload_too_large", 413),
    ("unsupported_media_type", 415),
    ("upgrade_required", 426),
    ("rate_limited", 429),
    ("internal", 500),
    ("unavailable", 503),
];

const USER: &[&str] =
    &["_id", "email", "fullName", "profilePic", "lastSeen", "isOnline", "createdAt", "updatedAt"];

const MESSAGE: &[&str] = &[
    "_id",
    "chatId",
    "seq",
    "senderId",
    "receiverId",
    "text",
    "image",
    "clientId",
    "isDeleted",
    "createdAt",
    "updatedAt",
    "replyTo",
    "isEdited",
    "reactions",
];

/// Three keys; an error with its code and nothing of the inside.
#[track_caller]
pub fn envelope(status: u16, body: &Value) {
    answer(body);
    let is_success = body["success"] == true;
    assert_eq!(is_success, status < 400, "status {status}: {body}");
    let code = body["data"]["code"].as_str().unwrap_or_default();
    assert!(
        is_success || CODES.contains(&(code, status)),
        "code {code} does not go with status {status}: {body}"
    );
}

/// An envelope, on whichever way it came.
pub fn answer(body: &Value) {
    assert_eq!(keys(body), set(&["success", "data", "message"]), "{body}");
    let text = body.to_string();
    assert!(!["$2a$", "$2b$"].iter().any(|hash| text.contains(hash)), "a password hash: {body}");
    let message = body["message"].as_str().unwrap_or_else(|| panic!("no sentence: {body}"));
    assert!(!message.is_empty(), "an empty message: {body}");
    let is_success = body["success"].as_bool().unwrap_or_else(|| panic!("no success: {body}"));
    if is_success {
        return;
    }
    let data = &body["data"];
    let code = data["code"].as_str().unwrap_or_else(|| panic!("no code: {body}"));
    assert!(CODES.iter().any(|(known, _)| *known == code), "an unknown code: {body}");
    if code == "validation_failed" {
        assert_eq!(keys(data), set(&["code", "fields"]), "{body}");
        let fields = data["fields"].as_object().unwrap_or_else(|| panic!("fields: {body}"));
        assert!(!fields.is_empty(), "no field is named: {body}");
        assert!(
            fields.values().all(|why| why.as_str().is_some_and(|why| !why.is_empty())),
            "no reason: {body}"
        );
    } else {
        assert_eq!(keys(data), set(&["code"]), "{body}");
    }
    let lower = text.to_lowercase();
    for inside in
        [".rs:", ".rs\"", "/src/", "/tmp/", "/home/", "/root/", "sqlite", "mongo", "panicked", "backtrace"]
    {
        assert!(!lower.contains(inside), "an error shows {inside:?} of the inside: {body}");
    }
}

/// A user, and nothing more than a user.
#[track_caller]
pub fn user(user: &Value) {
    assert_eq!(keys(user), set(USER), "{user}");
    user_fields(user);
}

/// A line of the list of chats: the partner, and five keys more.
#[track_caller]
pub fn chat(chat: &Value) {
    let mut expected = set(USER);
    expected.extend(["chatId", "lastMessage", "unread", "deliveredSeq", "readSeq"]);
    assert_eq!(keys(chat), expected, "{chat}");
    user_fields(chat);
    assert!(chat["chatId"].is_string() && chat["unread"].is_u64(), "{chat}");
    let (delivered, read) = (chat["deliveredSeq"].as_u64().unwrap(), chat["readSeq"].as_u64().unwrap());
    assert!(read <= delivered && delivered <= chat["lastMessage"]["seq"].as_u64().unwrap(), "{chat}");
    message(&chat["lastMessage"]);
}

/// A message, and nothing more than a message (`unreadable` may be there).
#[track_caller]
pub fn message(message: &Value) {
    let mut present = keys(message);
    present.remove("unreadable");
    assert_eq!(present, set(MESSAGE), "{message}");
    for id in ["_id", "senderId", "receiverId"] {
        assert_id(&message[id]);
    }
    for time in ["createdAt", "updatedAt"] {
        assert_time(&message[time]);
    }
    for text in ["text", "image", "clientId"] {
        assert!(
            message[text].is_null() || message[text].as_str().is_some_and(|text| !text.is_empty()),
            "{message}"
        );
    }
    assert!(message["chatId"].as_str().is_some_and(|id| !id.is_empty()), "{message}");
    assert!(message["seq"].as_u64().is_some_and(|seq| seq >= 1), "{message}");
    let is_deleted = message["isDeleted"].as_bool().unwrap_or_else(|| panic!("isDeleted: {message}"));
    let is_empty = message["text"].is_null() && message["image"].is_null();
    // What cannot be decrypted any more has no text either.
    let is_empty = is_empty && message["unreadable"] != true;
    assert_eq!(is_deleted, is_empty, "a message is empty exactly when it is deleted: {message}");
    if !message["replyTo"].is_null() {
        assert_id(&message["replyTo"]);
    }
    assert!(message["isEdited"].is_boolean(), "{message}");
    reactions(&message["reactions"]);
    assert!(!is_deleted || message["reactions"] == Value::Array(Vec::new()), "{message}");
}

/// The reactions of a message: each of somebody once.
#[track_caller]
pub fn reactions(reactions: &Value) {
    let all = reactions.as_array().unwrap_or_else(|| panic!("reactions: {reactions}"));
    let mut met = BTreeSet::new();
    for reaction in all {
        assert_eq!(keys(reaction), set(&["userId", "emoji"]), "{reactions}");
        assert_id(&reaction["userId"]);
        let is_text = reaction["emoji"].as_str().is_some_and(|emoji| !emoji.is_empty());
        assert!(is_text && met.insert(reaction.to_string()), "{reactions}");
    }
}

/// A cursor: a short text that can stand in a URL.
#[track_caller]
pub fn cursor(cursor: &Value) -> &str {
    let text = cursor.as_str().unwrap_or_else(|| panic!("no text: {cursor}"));
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    assert!((1..=32).contains(&text.len()) && text.chars().all(is_good), "not a cursor: {cursor}");
    text
}

/// 24 hex characters.
#[track_caller]
pub fn assert_id(id: &Value) {
    let is_id = id.as_str().is_some_and(|id| id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(is_id, "not an id: {id}");
}

/// RFC 3339, UTC, milliseconds.
#[track_caller]
pub fn assert_time(time: &Value) {
    let text = time.as_str().unwrap_or_default();
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z", "not a time: {time}");
}

/// The `seq` of each message.
#[must_use]
#[track_caller]
pub fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect()
}

/// The text of each thing under this key.
#[must_use]
#[track_caller]
pub fn texts<'a>(things: &'a [Value], key: &str) -> Vec<&'a str> {
    things.iter().map(|thing| thing[key].as_str().unwrap_or_else(|| panic!("no {key}: {thing}"))).collect()
}

fn user_fields(user: &Value) {
    assert_id(&user["_id"]);
    for time in ["lastSeen", "createdAt", "updatedAt"] {
        assert_time(&user[time]);
    }
    for text in ["email", "fullName"] {
        assert!(user[text].as_str().is_some_and(|text| !text.is_empty()), "{user}");
    }
    assert!(user["profilePic"].is_string() && user["isOnline"].is_boolean(), "{user}");
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn set<'a>(keys: &[&'a str]) -> BTreeSet<&'a str> {
    keys.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(check: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(check).is_ok()
    }

    #[test]
    fn an_envelope_is_three_keys_and_a_known_code() {
        let error = |data: Value| json!({ "success": false, "data": data, "message": "No." });
        assert!(holds(|| envelope(200, &json!({ "success": true, "data": null, "message": "Fine." }))));
        assert!(holds(|| envelope(404, &error(json!({ "code": "not_found" })))));
        let bad = [
            (200, json!({ "success": true, "data": null })),
            (200, json!({ "success": true, "data": null, "message": "x", "more": 1 })),
            (200, json!({ "success": true, "data": "$2b$10$x", "message": "x" })),
            (200, error(json!({ "code": "not_found" }))),
            (400, error(json!({ "code": "not_found" }))),
            (404, error(json!({ "code": "not_found", "stack": "x" }))),
            (404, error(Value::Null)),
            (400, error(json!({ "code": "validation_failed" }))),
            (400, error(json!({ "code": "validation_failed", "fields": {} }))),
            (400, error(json!({ "code": "validation_failed", "fields": { "a": "in /tmp/x" } }))),
        ];
        for (status, body) in bad {
            assert!(!holds(|| envelope(status, &body)), "{status} {body}");
        }
    }

    #[test]
    fn a_message_and_a_user_have_exactly_their_keys() {
        let at = "2026-01-31T12:00:00.000Z";
        let id = "0123456789abcdef01234567";
        let good = json!({ "_id": id, "chatId": "c", "seq": 1, "senderId": id, "receiverId": id, "text": "x",
            "image": null, "clientId": null, "isDeleted": false, "createdAt": at, "updatedAt": at,
            "replyTo": null, "isEdited": false, "reactions": [{ "userId": id, "emoji": "👍" }] });
        assert!(holds(|| message(&good)));
        for (key, value) in
            [("seq", json!(0)), ("text", Value::Null), ("_id", json!("x")), ("createdAt", json!(1))]
        {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(!holds(|| message(&bad)), "{bad}");
        }
        let good = json!({ "_id": id, "email": "a@b.c", "fullName": "A", "profilePic": "", "lastSeen": at,
            "isOnline": false, "createdAt": at, "updatedAt": at });
        assert!(holds(|| user(&good)));
        let mut bad = good;
        bad["password"] = json!("x");
        assert!(!holds(|| user(&bad)));
    }
}
