//! Clients that mean harm, on both socket doors: each is refused or closed with its reason, the memory of the server stays
//! bounded, and the others notice nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::time::{SystemTime, UNIX_EPOCH};

use chat_tests::{
    DEADLINE, RawConnection, SECRETS, Server, Target, Value, claims, for_each_target, json,
    measure::{Memory, metric},
    sign_hs256, two_with, until,
    ws::{handshake, raw_frame},
};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

const MIB: usize = 1 << 20;
/// What the memory of the server may grow by while it is abused; a debug build, and an allocator that gives back late.
const MOST_GROWTH: u64 = 96 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    SocketIo,
    WebSocket,
}

const DOORS: [Door; 2] = [Door::SocketIo, Door::WebSocket];

/// A socket that is signed in, at the level of frames.
struct Line {
    door: Door,
    stream: WebSocketStream<TcpStream>,
}

/// How a socket ended.
#[derive(Debug, PartialEq)]
enum End {
    /// With this reason.
    Told(String),
    /// With a close frame of this code, or without a word.
    Closed(Option<u16>),
}

impl Line {
    async fn open(door: Door, server: &Server, token: &str) -> Self {
        Self::over(door, server, token, TcpSocket::new_v4().unwrap()).await
    }

    async fn over(door: Door, server: &Server, token: &str, socket: TcpSocket) -> Self {
        let address = server.address();
        let tcp = socket.connect(address.parse().unwrap()).await.unwrap();
        let authorization = format!("Bearer {token}");
        let mut request = handshake(&address, &[("authorization", &authorization)]);
        if door == Door::SocketIo {
            let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
            request = url.into_client_request().unwrap();
        }
        let (stream, _) = client_async(request, tcp).await.unwrap();
        let mut line = Self { door, stream };
        if door == Door::SocketIo {
            line.send(format!("40{}", json!({ "token": token }))).await;
        }
        line.until("onlineUsers").await;
        line
    }

    /// The text of an event, which asks for an answer.
    fn event(&self, name: &str, data: &Value) -> String {
        match self.door {
            Door::SocketIo => format!("427{}", json!([name, data])),
            Door::WebSocket => json!({ "event": name, "data": data, "id": 7 }).to_string(),
        }
    }

    async fn send(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// Reads on until a text that contains this.
    async fn until(&mut self, part: &str) -> String {
        let read = async {
            loop {
                match self.stream.next().await.expect("it ended").expect("it broke") {
                    Message::Text(text) if text.contains(part) => return text.as_str().to_owned(),
                    Message::Text(text) if text.as_str() == "2" => {
                        self.stream.send(Message::text("3")).await.unwrap();
                    }
                    Message::Close(frame) => panic!("closed while waiting for {part}: {frame:?}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(DEADLINE, read).await.unwrap_or_else(|_| panic!("waited in vain for {part}"))
    }

    /// Reads to the end, and returns how it was told.
    async fn end(&mut self) -> End {
        let mut told = None;
        let read = async {
            while let Some(Ok(message)) = self.stream.next().await {
                match message {
                    Message::Text(text) if text.starts_with(r#"42["closing""#) => {
                        let event: Value = serde_json::from_str(&text[2..]).unwrap();
                        told = Some(End::Told(event[1]["code"].as_str().unwrap().to_owned()));
                    }
                    Message::Close(Some(frame)) if !frame.reason.is_empty() => {
                        told = Some(End::Told(frame.reason.as_str().to_owned()));
                    }
                    Message::Close(frame) => {
                        told = told.take().or(Some(End::Closed(frame.map(|frame| frame.code.into()))));
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(2 * DEADLINE, read).await.expect("it is not closed");
        told.unwrap_or(End::Closed(None))
    }
}

fn memory(server: &Server) -> u64 {
    Memory::of(server.pid()).unwrap().rss
}

/// Fails when the server has grown by more than it may.
fn bounded(server: &Server, before: u64, what: &str) {
    let grown = memory(server).saturating_sub(before);
    assert!(grown < MOST_GROWTH, "{what}: the server grew by {grown} KiB");
}

async fn a_frame_of_a_hundred_megabytes(target: Target) {
    let (server, ann, bob) = two_with(target, &SECRETS).await;
    ann.say(&bob, "before").await;
    for door in DOORS {
        let before = memory(&server);
        let mut lines = Vec::new();
        for _ in 0..8 {
            lines.push(Line::open(door, &server, &ann.token).await);
        }
        let mut witness = Line::open(door, &server, &bob.token).await;
        for line in &mut lines {
            let head = raw_frame(0x81, 100_000_000, &[b'x'; 1000]);
            line.stream.get_mut().write_all(&head).await.unwrap();
        }
        for line in &mut lines {
            // As much of the rest as it takes; that it ends is what counts.
            let piece = vec![b'x'; 64 << 10];
            for _ in 0..100_000_000 / piece.len() {
                let tcp = line.stream.get_mut();
                let (reader, mut writer) = tcp.split();
                let goes_on = tokio::select! {
                    biased;
                    _ = reader.readable() => false,
                    written = writer.write_all(&piece) => written.is_ok(),
                };
                if !goes_on {
                    break;
                }
            }
            let end = line.end().await;
            let is_fine = match door {
                Door::WebSocket => end == End::Told("payload_too_large".to_owned()),
                // Engine.IO has no reasons of its own.
                Door::SocketIo => matches!(end, End::Closed(_)),
            };
            assert!(is_fine, "{door:?}: {end:?}");
        }
        bounded(&server, before, "frames of 100 MB");
        ann.say(&bob, "still here").await;
        witness.until("still here").await;
    }
}

/// On the other door the buffer is engineioxide's, which keeps it as long as the socket is open.
async fn a_large_message_leaves_nothing_behind(target: Target) {
    let (server, ann, bob) = two_with(target, &SECRETS).await;
    let before = memory(&server);
    let text = "x".repeat(7 * MIB);
    let mut lines = Vec::new();
    for _ in 0..30 {
        let mut line = Line::open(Door::WebSocket, &server, &ann.token).await;
        line.send(line.event("sendMessage", &json!({ "receiverId": bob.id(), "text": text }))).await;
        line.until("validation_failed").await;
        line.send(line.event("typing", &json!({ "receiverId": bob.id(), "isTyping": false }))).await;
        line.until("Told.").await;
        lines.push(line);
    }
    bounded(&server, before, "30 messages of 7 MiB");
}

async fn fragments_without_end(target: Target) {
    let (server, ann, bob) = two_with(target, &SECRETS).await;
    for door in DOORS {
        let before = memory(&server);
        let mut line = Line::open(door, &server, &ann.token).await;
        let piece = vec![b'x'; 64 << 10];
        let mut first = 0x01;
        let mut sent = 0;
        // Empty ones cost nothing and must not do harm either.
        let empty = raw_frame(0x00, 0, &[]).repeat(1000);
        while sent < 100 * MIB {
            let mut frame = raw_frame(first, piece.len() as u64, &piece);
            frame.extend_from_slice(&empty);
            (first, sent) = (0x00, sent + piece.len());
            let (reader, mut writer) = line.stream.get_mut().split();
            tokio::select! {
                biased;
                _ = reader.readable() => break,
                written = writer.write_all(&frame) => if written.is_err() { break },
            }
        }
        assert!(sent < 100 * MIB, "{door:?}: it takes fragments without end");
        let end = line.end().await;
        if door == Door::WebSocket {
            assert_eq!(end, End::Told("payload_too_large".to_owned()));
        }
        bounded(&server, before, "fragments without end");
        ann.say(&bob, "still here").await;
    }
}

async fn what_is_no_text_of_the_protocol(target: Target) {
    let (server, ann, bob) = two_with(target, &SECRETS).await;
    let mut witness = Line::open(Door::WebSocket, &server, &bob.token).await;
    // Engine.IO and Socket.IO have no answer to what is no packet: the socket is closed.
    for text in
        ["", "x", "9", "4", "4x", "42", "42{}", "42[5]", "42[\"a\"", "40{", "45", "4\u{0}", "\u{feff}42[]"]
    {
        let mut line = Line::open(Door::SocketIo, &server, &ann.token).await;
        line.send(text.to_owned()).await;
        assert!(matches!(line.end().await, End::Closed(_)), "{text:?}");
    }
    for (name, data) in [
        ("sendMessage", json!(5)),
        ("sendMessage", json!([[]])),
        ("deleteMessage", json!({ "messageId": {} })),
    ] {
        for door in DOORS {
            let mut line = Line::open(door, &server, &ann.token).await;
            line.send(line.event(name, &data)).await;
            let answer = line.until("\"success\":false").await;
            assert!(
                answer.contains("invalid_json") || answer.contains("validation_failed"),
                "{door:?}: {answer}"
            );
        }
    }
    ann.say(&bob, "still here").await;
    witness.until("still here").await;
}

async fn handshakes_that_stay_half_open(target: Target) {
    let (server, ann, bob) = two_with(target, &SECRETS).await;
    let address = server.address();
    let before = memory(&server);
    let upgrade = |path: &str, more: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}"
        )
    };
    let signed_in = format!("Authorization: Bearer {}\r\n\r\n", ann.token);
    let mut open = Vec::new();
    for text in [
        String::new(),
        "GET /ws HTTP/1.1\r\nHost:".to_owned(),
        upgrade("/ws", ""),
        upgrade("/ws", &signed_in),
        upgrade("/socket.io/?EIO=4&transport=websocket", "\r\n"),
    ] {
        for _ in 0..100 {
            let mut connection = RawConnection::open(&address).await;
            connection.write(text.as_bytes()).await;
            open.push(connection);
        }
    }
    let mut line = Line::open(Door::WebSocket, &server, &bob.token).await;
    ann.say(&bob, "the others notice nothing").await;
    line.until("notice nothing").await;
    bounded(&server, before, "half-open handshakes");
    // Those who never sign in are ended by the server, those who hang up are forgotten at once.
    let connections =
        async || metric(server.client().fetch("/metrics").await.text(), "chat_connections").unwrap();
    until("the silent ones that are signed in", || async { (connections().await >= 101.0).then_some(()) })
        .await;
    drop(open);
    until("them to be forgotten", || async { (connections().await <= 1.0).then_some(()) }).await;
}

async fn who_never_reads_is_closed_and_the_others_get_everything(target: Target) {
    let (server, ann, bob) = two_with(target, &SECRETS).await;
    for door in DOORS {
        let before = memory(&server);
        let mut quick = Line::open(door, &server, &ann.token).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut slow = Line::over(door, &server, &ann.token, socket).await;
        let closed = async || {
            metric(server.client().fetch("/metrics").await.text(), "chat_slow_connections_closed_total")
                .unwrap()
        };
        let (were_closed, text) = (closed().await, "😀".repeat(9_990));
        let mut sent = 0;
        while closed().await <= were_closed {
            for _ in 0..16 {
                bob.say(&ann, &format!("{text}<{sent}>")).await;
                quick.until(&format!("<{sent}>")).await;
                sent += 1;
            }
            assert!(sent < 4000, "{door:?}: everything is buffered");
        }
        bounded(&server, before, "a client that never reads");
        // Once it reads, it finds what fits into the buffers of the system, and the end.
        let end = slow.end().await;
        assert!(
            matches!(&end, End::Closed(_)) || end == End::Told("slow_consumer".to_owned()),
            "{door:?}: {end:?}"
        );
        bob.say(&ann, "after that").await;
        quick.until("after that").await;
    }
}

async fn ten_thousand_events_at_once(target: Target) {
    let server = target.start_with(&[("SHIELD", "on")]).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let (cid, dan) = (server.signup().await, server.signup().await);
    for (door, flooder) in [(Door::SocketIo, &ann), (Door::WebSocket, &bob)] {
        let before = memory(&server);
        let line = Line::open(door, &server, &flooder.token).await;
        let text = line.event("sendMessage", &json!({ "receiverId": cid.id(), "text": "flood" }));
        let (mut writer, mut reader) = line.stream.split();
        let flood = async {
            for _ in 0..10_000 {
                if writer.send(Message::text(text.clone())).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let listen = async {
            let (mut refused, mut told) = (0, None);
            while let Some(Ok(message)) = reader.next().await {
                match message {
                    Message::Text(text) if text.contains("closing") => told = Some(text.as_str().to_owned()),
                    Message::Text(text) if text.contains("rate_limited") => refused += 1,
                    Message::Close(Some(frame)) => told = told.or(Some(frame.reason.as_str().to_owned())),
                    _ => {}
                }
            }
            (refused, told.unwrap_or_default())
        };
        let mut quiet = Line::open(door, &server, &dan.token).await;
        let chat = async {
            for i in 0..50 {
                cid.say(&dan, &format!("calm {i}.")).await;
                quiet.until(&format!("calm {i}.")).await;
            }
            std::future::pending::<()>().await;
        };
        let (refused, told) = tokio::select! {
            heard = listen => heard,
            () = flood => unreachable!("it stays"),
            () = chat => unreachable!("it stays"),
            () = tokio::time::sleep(2 * DEADLINE) => panic!("{door:?}: it is not closed"),
        };
        assert!(refused > 0 && told.contains("rate_limited"), "{door:?}: {refused} {told}");
        // What it had said before is done all the same.
        until("what got through", || async {
            let delivered = flooder.whole_conversation(&cid).await.len();
            assert!(delivered < 2000, "{door:?}: {delivered} got through");
            (delivered > 0).then_some(())
        })
        .await;
        bounded(&server, before, "a flood");
    }
}

async fn a_token_that_expires_ends_its_sockets(target: Target) {
    let (server, ann, _) = two_with(target, &SECRETS).await;
    for door in DOORS {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut short = claims(&ann.token);
        short["exp"] = json!(now + 2);
        let mut line = Line::open(door, &server, &sign_hs256(&short, SECRETS[0].1)).await;
        assert_eq!(line.end().await, End::Told("unauthenticated".to_owned()), "{door:?}");
    }
}

async fn a_page_of_a_foreign_origin_gets_in_nowhere(target: Target) {
    let (server, ann, _) = two_with(target, &SECRETS).await;
    let address = server.address();
    let cookie = format!("jwt={}", ann.token);
    let headers = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
    let refusal = chat_tests::ws::Ws::with(handshake(&address, &headers)).await.expect_err("it was let in");
    refusal.refused(403, "origin_denied");

    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let tcp = TcpStream::connect(&address).await.unwrap();
    let (stream, _) = client_async(request, tcp).await.unwrap();
    let mut line = Line { door: Door::SocketIo, stream };
    line.send("40".to_owned()).await;
    let refusal = line.until("44").await;
    assert!(refusal.contains(r#""code":"origin_denied""#), "{refusal}");
}

for_each_target!(
    a_frame_of_a_hundred_megabytes,
    a_large_message_leaves_nothing_behind,
    fragments_without_end,
    what_is_no_text_of_the_protocol,
    handshakes_that_stay_half_open,
    who_never_reads_is_closed_and_the_others_get_everything,
    ten_thousand_events_at_once,
    a_token_that_expires_ends_its_sockets,
    a_page_of_a_foreign_origin_gets_in_nowhere,
);
