//! SIGTERM: requests finish, sockets are told, the exit is clean, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{RawConnection, Target, for_each_target, json, shape, sio, two, until};

async fn idle_it_ends_cleanly(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let sent = ann.say(&bob, "before").await;
    let status = server.terminate().await;
    assert_eq!(status.code(), Some(0), "{status}");
    server.restart().await;
    assert_eq!(bob.conversation(&ann).await, [sent]);
}

async fn a_request_that_has_begun_is_finished(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let address = server.address();
    let body = json!({ "text": "just in time" }).to_string();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {address}\r\nCookie: jwt={}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        bob.inbox(),
        ann.token,
        body.len()
    );
    let mut connection = RawConnection::open(&address).await;
    connection.write(head.as_bytes()).await;
    // That it asks for the body shows that the server is in the middle of this request.
    assert_eq!(connection.read_raw().await.status, 100);
    server.signal_term();
    // The listener is closed: the drain has begun.
    until("new connections to be refused", || async {
        tokio::net::TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await;
    connection.write(body.as_bytes()).await;
    let message = connection.read().await.ok(201);
    shape::message(&message);
    let status = server.wait().await;
    assert_eq!(status.code(), Some(0), "{status}");
    server.restart().await;
    assert_eq!(bob.conversation(&ann).await, [message]);
}

async fn sockets_are_told(target: Target) {
    let (mut server, ann, _bob) = two(target).await;
    let mut socket = sio::Socket::connect(server.address().parse().unwrap(), None, &ann.token).await.unwrap();
    server.signal_term();
    while socket.next().await.unwrap() != sio::Packet::Closed {}
    assert!(socket.was_told(), "the connection is gone without a word");
    let status = server.wait().await;
    assert_eq!(status.code(), Some(0), "{status}");
    server.restart().await;
    until("her to be offline", || async {
        (ann.get("/api/auth/me").await.ok(200)["isOnline"] == false).then_some(())
    })
    .await;
}

/// A client that never finishes its request must not hold the server for ever.
async fn a_stuck_client_does_not_stop_the_end(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let mut stuck = Vec::new();
    for bytes in [
        "",
        "POST /api/auth/login HTTP/1.1\r\n",
        "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    ] {
        let mut connection = RawConnection::open(&server.address()).await;
        connection.write(bytes.as_bytes()).await;
        stuck.push(connection);
    }
    let sent = ann.say(&bob, "before").await;
    let status = server.terminate().await;
    assert_eq!(status.code(), Some(0), "the store is closed all the same: {status}");
    drop(stuck);
    server.restart().await;
    assert_eq!(bob.conversation(&ann).await, [sent]);
}

/// Under load: every request is answered in full or not begun, and what was acknowledged is there.
async fn under_load_nothing_acknowledged_is_lost(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let senders: Vec<_> = (0..8)
        .map(|i| {
            let (ann, inbox) = (ann.clone(), bob.inbox());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    match ann.try_post(&inbox, json!({ "text": format!("{i}-{n}") })).await {
                        Ok(reply) if reply.status == 201 => acknowledged.push(reply.ok(201)),
                        Ok(reply) => {
                            reply.refused(503, "unavailable");
                            break;
                        }
                        Err(_) => break,
                    }
                }
                acknowledged
            })
        })
        .collect();
    until("some messages", || async { (bob.conversation(&ann).await.len() >= 40).then_some(()) }).await;
    let status = server.terminate().await;
    assert_eq!(status.code(), Some(0), "{status}");
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    server.restart().await;
    let all = bob.whole_conversation(&ann).await;
    assert_eq!(shape::seqs(&all), (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(acknowledged.iter().all(|message| all.contains(message)));
}

for_each_target!(
    idle_it_ends_cleanly,
    a_request_that_has_begun_is_finished,
    sockets_are_told,
    a_stuck_client_does_not_stop_the_end,
    under_load_nothing_acknowledged_is_lost,
);
