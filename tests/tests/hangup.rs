//! Clients that hang up in the middle: a message is there whole or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::collections::BTreeSet;

use chat_tests::{Person, RawConnection, Target, Value, for_each_target, json, pictures, shape, two, until};
use futures_util::{StreamExt as _, stream};

/// A whole POST of a message, as bytes.
fn request(from: &Person, to: &Person, body: &Value) -> Vec<u8> {
    let address = from.base().replace("http://", "");
    let body = body.to_string();
    format!(
        "POST {} HTTP/1.1\r\nHost: {address}\r\nCookie: jwt={}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        to.inbox(),
        from.token,
        body.len()
    )
    .into_bytes()
}

#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Reset,
    /// FIN of the sending half only; whatever is answered is read to its end.
    HalfClosed,
}

async fn hang_up_after(address: &str, bytes: &[u8], end: End) {
    let mut connection = RawConnection::open(address).await;
    connection.write(bytes).await;
    match end {
        End::Fin => connection.hang_up().await,
        End::HalfClosed => connection.half_close().await,
        End::Reset => connection.reset(),
    }
}

/// Hangs up at every stage of many requests; then looks at what there is.
async fn at_every_stage(target: Target, end: End) {
    let (server, ann, bob) = two(target).await;
    let address = server.address();
    let length = request(&ann, &bob, &json!({ "text": "t-0000", "clientId": "c-0000" })).len();
    // Every few bytes, all around the end of the head, and the whole several times: that is where races are.
    let mut stages: Vec<usize> = (0..length).step_by(7).chain(length - 60..length).collect();
    stages.extend([length; 40]);
    let total = stages.len();
    stream::iter(stages.iter().enumerate())
        .for_each_concurrent(8, |(i, stage)| {
            let body = json!({ "text": format!("t-{i:04}"), "clientId": format!("c-{i:04}") });
            let bytes = request(&ann, &bob, &body);
            let address = &address;
            async move { hang_up_after(address, bytes.get(..*stage).unwrap(), end).await }
        })
        .await;
    // What was whole when the connection ended may still be on its way; a message that is sent now settles nothing
    // about it, so each is sent again under its key: that is what the key is for.
    let cut = bob.whole_conversation(&ann).await;
    for i in 0..total {
        let body = json!({ "text": format!("t-{i:04}"), "clientId": format!("c-{i:04}") });
        let reply = ann.post(&bob.inbox(), body).await;
        assert!([200, 201].contains(&reply.status), "{}", reply.body);
        shape::message(&reply.body["data"]);
    }
    let all = bob.whole_conversation(&ann).await;
    assert_eq!(shape::seqs(&all), (1..=total as u64).collect::<Vec<_>>());
    assert_eq!(all.get(..cut.len()), Some(cut.as_slice()), "what was there stays as it was");
    let keys: BTreeSet<&str> = shape::texts(&all, "clientId").into_iter().collect();
    assert_eq!(keys.len(), total, "each once");
    for message in &all {
        shape::message(message);
        let (text, key) = (message["text"].as_str().unwrap(), message["clientId"].as_str().unwrap());
        assert_eq!(text.trim_start_matches("t-"), key.trim_start_matches("c-"), "whole");
    }
    // A request that was cut is no message.
    for message in &cut {
        let number: usize = message["clientId"].as_str().unwrap().trim_start_matches("c-").parse().unwrap();
        assert_eq!(stages[number], length, "half a request made {message}");
    }
    assert_eq!(server.client().fetch("/healthz").await.status, 200);
    assert_eq!(server.client().fetch("/readyz").await.status, 200);
}

async fn with_fin(target: Target) {
    at_every_stage(target, End::Fin).await;
}

async fn with_reset(target: Target) {
    at_every_stage(target, End::Reset).await;
}

/// A client may close its sending half once the request is whole, and still gets its answer or a closed connection;
/// either way the message exists whole or not at all.
async fn with_half_close(target: Target) {
    at_every_stage(target, End::HalfClosed).await;
}

/// The picture is stored before the message: a cut there must not leave a message without it.
async fn with_a_picture(target: Target) {
    let (server, ann, bob) = two(target).await;
    let url = pictures::data_url("image/png", &pictures::noise(300, 300));
    let total = 24;
    for i in 0..total {
        let key = format!("c-{i}");
        let bytes = request(&ann, &bob, &json!({ "text": key, "image": url, "clientId": key }));
        let stage = if i % 2 == 0 { bytes.len() } else { bytes.len() * i / total };
        let end = if i % 4 < 2 { End::Reset } else { End::Fin };
        hang_up_after(&server.address(), bytes.get(..stage).unwrap(), end).await;
    }
    for i in 0..total {
        let key = format!("c-{i}");
        let reply = ann.post(&bob.inbox(), json!({ "text": key, "image": url, "clientId": key })).await;
        assert!([200, 201].contains(&reply.status), "{}", reply.body);
    }
    let all = bob.whole_conversation(&ann).await;
    assert_eq!(shape::seqs(&all), (1..=total as u64).collect::<Vec<_>>());
    for message in &all {
        let served = bob.fetch(message["image"].as_str().unwrap()).await;
        assert_eq!(served.status, 200, "{message}");
        image::load_from_memory(&served.bytes).expect("a whole picture");
    }
}

/// Connections that were hung up do not stay: the server does not run out of them.
async fn nothing_is_left_open(target: Target) {
    let (server, ann, bob) = two(target).await;
    let open = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    // What it needs anyway.
    ann.say(&bob, "warm").await;
    let before = open();
    let bytes = request(&ann, &bob, &json!({ "text": "x" }));
    for i in 0..200 {
        let stage = bytes.len() * i / 200;
        let end = if i % 2 == 0 { End::Fin } else { End::Reset };
        hang_up_after(&server.address(), bytes.get(..stage).unwrap(), end).await;
    }
    until("the connections to be gone", || async { (open() <= before + 20).then_some(()) }).await;
}

for_each_target!(with_fin, with_reset, with_half_close, with_a_picture, nothing_is_left_open);
