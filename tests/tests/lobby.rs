//! Transports that nobody signs in on: bounded in number and in time, and no trouble to anybody else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Target, for_each_target, sio::Socket, until};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

async fn one_address_gets_no_more_than_its_share(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let client = server.client();
    let mut opened = Vec::new();
    let refusal = loop {
        assert!(opened.len() < 2000, "there is a bound");
        let answer = client.fetch(OPEN).await;
        if answer.status != 200 {
            break client.get(OPEN).await;
        }
        opened.push(answer.text()["0{\"sid\":\"".len()..].split('"').next().unwrap().to_owned());
    };
    refusal.refused(503, "unavailable");
    // Others do not notice, and nothing of the API does.
    let other = "127.0.0.9:0".parse().unwrap();
    let socket = Socket::connect(server.address().parse().unwrap(), Some(other), &ann.token).await.unwrap();
    let _ = ann.get("/api/auth/me").await.ok(200);
    // Those that are there go on, and make room when they are closed by the time that they have.
    assert_eq!(client.fetch(&format!("{OPEN}&sid=unknown")).await.status, 400);
    until("room again", || async { (client.fetch(OPEN).await.status == 200).then_some(()) }).await;
    socket.close().await;
}

for_each_target!(one_address_gets_no_more_than_its_share);
