//! The plain WebSocket door: the handshake, the events, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::time::{SystemTime, UNIX_EPOCH};

use chat_tests::{
    SECRETS, Target, claims, for_each_target, json, shape, sign_hs256,
    sio::{Packet, Socket},
    two, until,
    ws::{Said, Ws, handshake, raw_frame},
};
use tokio_tungstenite::tungstenite::Message;

async fn by_cookie_or_header_with_or_without_the_subprotocol(target: Target) {
    let (server, ann, _) = two(target).await;
    let address = server.address();
    let (cookie, bearer) = (format!("a=b; jwt={}", ann.token), format!("Bearer {}", ann.token));
    let own = format!("http://{address}");
    for headers in [
        &[("cookie", cookie.as_str())][..],
        &[("authorization", bearer.as_str())],
        &[("cookie", cookie.as_str()), ("origin", own.as_str())],
        &[("authorization", bearer.as_str()), ("sec-websocket-protocol", "chat.v1.json")],
    ] {
        let mut ws = Ws::with(handshake(&address, headers)).await.unwrap();
        assert_eq!(ws.next().await, Said::Event("onlineUsers".to_owned(), json!([])), "{headers:?}");
    }
}

async fn refusals_say_why_before_anything_is_opened(target: Target) {
    let (server, ann, _) = two(target).await;
    let address = server.address();
    let bearer = format!("Bearer {}", ann.token);
    let refusal = async |headers: &[(&'static str, &str)]| {
        Ws::with(handshake(&address, headers)).await.expect_err("it was let in")
    };
    refusal(&[]).await.refused(401, "unauthenticated");
    refusal(&[("authorization", "Bearer x.y.z")]).await.refused(401, "unauthenticated");
    let foreign = [("authorization", bearer.as_str()), ("origin", "https://evil.example")];
    refusal(&foreign).await.refused(403, "origin_denied");
    let other = [("authorization", bearer.as_str()), ("sec-websocket-protocol", "chat.v2.json, mqtt")];
    refusal(&other).await.invalid(&["Sec-WebSocket-Protocol"]);

    ann.get("/ws").await.refused(426, "upgrade_required");
    let old = ann.with_header("connection", "upgrade").with_header("upgrade", "websocket");
    let old = old.with_header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let reply = old.with_header("sec-websocket-version", "8").get("/ws").await;
    reply.refused(426, "upgrade_required");
    assert_eq!(
        (reply.header("upgrade"), reply.header("sec-websocket-version")),
        (Some("websocket"), Some("13"))
    );
    let reply = ann.post("/ws", json!({})).await;
    reply.refused(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET"));
    let short = ann.with_header("connection", "upgrade").with_header("upgrade", "websocket");
    let short = short.with_header("sec-websocket-version", "13").with_header("sec-websocket-key", "short");
    short.get("/ws").await.invalid(&["Sec-WebSocket-Key"]);
    ann.get("/ws/more").await.refused(404, "not_found");
}

async fn the_same_events_as_on_socket_io(target: Target) {
    let (server, ann, bob) = two(target).await;
    let address = server.address().parse().unwrap();
    ann.say(&bob, "a chat to share").await;
    let mut annes = Ws::of(&server, &ann).await;
    let mut other = Ws::of(&server, &ann).await;
    let mut bobs = Socket::connect(address, None, &bob.token).await.unwrap();
    let mut event = async |name: &str| loop {
        match bobs.next().await.unwrap() {
            Packet::Event(event, mut payload) if event == name => return payload.remove(0),
            Packet::Closed => panic!("closed while waiting for {name}"),
            _ => {}
        }
    };
    annes.event("presence", |who| who["userId"] == bob.id() && who["isOnline"] == true).await;

    let draft = json!({ "receiverId": bob.id(), "text": "über 😀\u{202e}\u{7}", "clientId": "c1" });
    let message = annes.done("sendMessage", &draft).await;
    shape::message(&message);
    assert_eq!((&message["seq"], &message["text"]), (&json!(2), &draft["text"]));
    assert_eq!(event("sendMessage").await, message);
    assert_eq!(other.event("sendMessage", |_| true).await, message);
    assert_eq!(annes.done("sendMessage", &draft).await, message, "a repeat is answered and not told");

    let answer = bob.say(&ann, "an answer over HTTP").await;
    assert_eq!(annes.event("sendMessage", |_| true).await, answer);
    assert_eq!(other.event("sendMessage", |_| true).await, answer);

    annes.done("typing", &json!({ "receiverId": bob.id(), "isTyping": true })).await;
    let typing = |is_typing| json!({ "senderId": ann.id(), "isTyping": is_typing });
    assert_eq!(event("typing").await, typing(true));
    assert_eq!(event("typing").await, typing(false), "it ends by itself");

    let deleted = annes.done("deleteMessage", &json!({ "messageId": message["_id"] })).await;
    assert_eq!((&deleted["isDeleted"], &deleted["text"]), (&json!(true), &json!(null)));
    for told in [event("deleteMessage").await, annes.event("deleteMessage", |_| true).await] {
        assert_eq!(told, deleted);
    }
    // What else she heard: nothing of her own message.
    assert!(ann.conversation(&bob).await.contains(&deleted));
}

async fn each_frame_is_answered_in_its_turn(target: Target) {
    let (server, ann, bob) = two(target).await;
    let (mut annes, mut bobs) = (Ws::of(&server, &ann).await, Ws::of(&server, &bob).await);
    let mut ids = Vec::new();
    for i in 0..200 {
        ids.push(annes.emit("sendMessage", &json!({ "receiverId": bob.id(), "text": format!("{i}") })).await);
    }
    for (i, id) in ids.into_iter().enumerate() {
        let envelope = annes.reply(Some(id)).await;
        assert_eq!(
            (&envelope["data"]["seq"], &envelope["data"]["text"]),
            (&json!(i + 1), &json!(i.to_string()))
        );
        assert_eq!(bobs.event("sendMessage", |_| true).await, envelope["data"]);
    }
}

async fn garbage_is_answered_and_the_socket_goes_on(target: Target) {
    let (server, ann, bob) = two(target).await;
    let mut annes = Ws::of(&server, &ann).await;
    let deep = "[".repeat(100_000);
    for (text, code) in [
        ("", "invalid_json"),
        ("not JSON", "invalid_json"),
        ("[]", "invalid_json"),
        (r#"{"event":"sendMessage""#, "invalid_json"),
        (deep.as_str(), "invalid_json"),
        (r#"{"data":{}}"#, "validation_failed"),
        (r#"{"event":5,"id":1}"#, "validation_failed"),
        (r#"{"event":"sendMessage","id":"one"}"#, "validation_failed"),
        (r#"{"event":"sendMessage","id":-1}"#, "validation_failed"),
    ] {
        annes.text(text).await;
        let envelope = annes.reply(None).await;
        assert_eq!(
            (&envelope["success"], &envelope["data"]["code"]),
            (&json!(false), &json!(code)),
            "{text:.40}"
        );
    }
    for (event, data, code) in [
        ("sendMessage", json!(null), "invalid_json"),
        ("sendMessage", json!([1]), "invalid_json"),
        ("sendMessage", json!({}), "validation_failed"),
        ("sendMessage", json!({ "receiverId": { "$ne": null }, "text": 5 }), "validation_failed"),
        ("sendMessage", json!({ "receiverId": ann.id(), "text": "to myself" }), "validation_failed"),
        ("sendMessage", json!({ "receiverId": "0123456789abcdef01234567", "text": "x" }), "not_found"),
        ("deleteMessage", json!({ "messageId": "x" }), "validation_failed"),
        ("typing", json!({ "receiverId": bob.id(), "isTyping": "yes" }), "validation_failed"),
        ("presence", json!({ "userId": bob.id(), "isOnline": false }), "not_found"),
        ("", json!({}), "not_found"),
    ] {
        assert_eq!(annes.refused(event, &data).await, code, "{event} {data}");
    }
    // Without an `id` there is no answer, and what it asks for is done.
    annes.text(&json!({ "event": "nonsense" }).to_string()).await;
    annes
        .text(
            &json!({ "event": "sendMessage", "data": { "receiverId": bob.id(), "text": "quiet" } })
                .to_string(),
        )
        .await;
    let last = annes.done("sendMessage", &json!({ "receiverId": bob.id(), "text": "still here" })).await;
    assert_eq!(last["seq"], 2);
}

async fn the_end_says_why(target: Target) {
    let server = target.start_with(&SECRETS).await;
    let ann = server.signup().await;
    let end = |code: u16, reason: &str| Some((code, reason.to_owned()));

    let mut ws = Ws::of(&server, &ann).await;
    ws.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(ws.closed().await, end(1003, "unsupported_data"));

    for (what, bytes, expected) in [
        ("a text that is not UTF-8", raw_frame(0x81, 2, &[0xff, 0xfe]), end(1007, "invalid_utf8")),
        ("a reserved bit", raw_frame(0xc1, 1, b"x"), end(1002, "protocol_error")),
        ("an opcode that is none", raw_frame(0x83, 1, b"x"), end(1002, "protocol_error")),
        ("a continuation of nothing", raw_frame(0x80, 1, b"x"), end(1002, "protocol_error")),
        ("a ping in two frames", raw_frame(0x09, 1, b"x"), end(1002, "protocol_error")),
        ("a frame without a mask", vec![0x81, 1, b'x'], end(1002, "protocol_error")),
    ] {
        let mut ws = Ws::of(&server, &ann).await;
        tokio::io::AsyncWriteExt::write_all(ws.stream.get_mut(), &bytes).await.unwrap();
        assert_eq!(ws.closed().await, expected, "{what}");
    }

    // Her token ends while she is there.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut short = claims(&ann.token);
    short["exp"] = json!(now + 2);
    let short = sign_hs256(&short, SECRETS[0].1);
    let mut ws = Ws::open(&server.address(), &short).await;
    assert_eq!(ws.closed().await, end(4401, "unauthenticated"));

    // She logs out elsewhere; her other sign-in stays.
    let mut other = Ws::of(&server, &ann.login().await).await;
    let mut ws = Ws::of(&server, &ann).await;
    let _ = ann.post_bare("/api/auth/logout").await.ok(200);
    assert_eq!(ws.closed().await, end(4401, "unauthenticated"));
    server.signal_term();
    assert_eq!(other.closed().await, end(1001, "shutting_down"));
}

async fn a_picture_and_a_message_in_pieces(target: Target) {
    use tokio::io::AsyncWriteExt as _;
    let (server, ann, bob) = two(target).await;
    let mut annes = Ws::of(&server, &ann).await;
    let picture = chat_tests::pictures::data_url("image/png", &chat_tests::pictures::noise(900, 900));
    let message = annes.done("sendMessage", &json!({ "receiverId": bob.id(), "image": picture })).await;
    assert_eq!(bob.fetch(message["image"].as_str().unwrap()).await.status, 200);

    let text = json!({ "event": "sendMessage", "data": { "receiverId": bob.id(), "text": "é" }, "id": 99 })
        .to_string();
    let bytes = text.as_bytes();
    // Byte by byte, and so in the middle of a character, with a ping between.
    let mut frames = raw_frame(0x01, 1, &bytes[..1]);
    for byte in &bytes[1..bytes.len() - 1] {
        frames.extend(raw_frame(0x00, 1, &[*byte]));
        frames.extend(raw_frame(0x89, 1, b"p"));
    }
    frames.extend(raw_frame(0x80, 1, &bytes[bytes.len() - 1..]));
    annes.stream.get_mut().write_all(&frames).await.unwrap();
    assert_eq!(annes.reply(Some(99)).await["data"]["text"], "é");
}

async fn who_hangs_up_is_gone_and_what_was_sent_stays(target: Target) {
    let (server, ann, bob) = two(target).await;
    ann.say(&bob, "a chat to share").await;
    let mut bobs = Ws::of(&server, &bob).await;
    let mut annes = Ws::of(&server, &ann).await;
    bobs.event("presence", |who| who["userId"] == ann.id() && who["isOnline"] == true).await;
    // Who hangs up on what was not read yet resets the connection, and what was said on it is lost on the way.
    annes.event("onlineUsers", |_| true).await;
    annes.emit("sendMessage", &json!({ "receiverId": bob.id(), "text": "last words" })).await;
    drop(annes);
    assert_eq!(bobs.event("sendMessage", |_| true).await["text"], "last words");
    bobs.event("presence", |who| who["userId"] == ann.id() && who["isOnline"] == false).await;
    until("her to be offline", || async {
        (ann.get("/api/auth/me").await.ok(200)["isOnline"] == false).then_some(())
    })
    .await;
}

for_each_target!(
    by_cookie_or_header_with_or_without_the_subprotocol,
    refusals_say_why_before_anything_is_opened,
    the_same_events_as_on_socket_io,
    each_frame_is_answered_in_its_turn,
    garbage_is_answered_and_the_socket_goes_on,
    the_end_says_why,
    a_picture_and_a_message_in_pieces,
    who_hangs_up_is_gone_and_what_was_sent_stays,
);
