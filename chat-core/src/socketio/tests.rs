//! The whole door without a network, by long polling, in a time that can be made to stand still.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower_service::Service;

use super::SocketIoDoor;
use crate::{ChatService, auth::SignUp};

/// What packets of one payload are put between.
const BETWEEN: char = '\x1e';

/// A transport, from the client's side.
struct Client {
    door: SocketIoDoor,
    sid: String,
    /// How often it was asked whether it is there.
    pings: u32,
}

impl Client {
    async fn open(chat: &ChatService) -> Self {
        let mut client = Self { door: SocketIoDoor::new(chat), sid: String::new(), pings: 0 };
        let opening = client.poll().await.expect("a transport");
        let opening: serde_json::Value = serde_json::from_str(opening[0].strip_prefix('0').unwrap()).unwrap();
        client.sid = format!("&sid={}", opening["sid"].as_str().unwrap());
        client
    }

    async fn call(&mut self, method: Method, body: &str) -> Option<String> {
        let uri = format!("/socket.io/?EIO=4&transport=polling{}", self.sid);
        let body = Full::new(Bytes::from(body.to_owned()));
        let request = Request::builder().method(method).uri(uri).body(body).unwrap();
        let response = self.door.call(request).await.unwrap();
        let is_ok = response.status().is_success();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        is_ok.then(|| String::from_utf8(body.into()).unwrap())
    }

    /// What the server says next, but for pings, which are answered; `None` when there is no such transport any more.
    async fn poll(&mut self) -> Option<Vec<String>> {
        let payload = self.call(Method::GET, "").await?;
        let (pings, packets): (Vec<&str>, Vec<&str>) =
            payload.split(BETWEEN).partition(|packet| *packet == "2");
        for _ in pings {
            self.pings += 1;
            self.say("3").await;
        }
        Some(packets.into_iter().map(str::to_owned).collect())
    }

    async fn say(&mut self, packet: &str) {
        assert_eq!(self.call(Method::POST, packet).await.as_deref(), Some("ok"), "{packet}");
    }
}

#[tokio::test]
async fn a_token_that_expires_ends_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let life = Duration::from_secs(3600);
    let builder = ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4).token_life(life);
    let chat = builder.build().await.unwrap();
    let sign_up = SignUp {
        email: "ann@example.org".to_owned(),
        full_name: "Ann".to_owned(),
        password: "correct horse".to_owned(),
        ..SignUp::default()
    };
    let token = chat.auth().sign_up(sign_up).await.unwrap().token;

    let mut client = Client::open(&chat).await;
    client.say(&format!(r#"40{{"token":"{}"}}"#, token.as_str())).await;
    let mut heard = Vec::new();
    while !heard.iter().any(|packet: &String| packet.starts_with(r#"42["onlineUsers""#)) {
        heard.extend(client.poll().await.expect("it is let in"));
    }

    // From here on nothing that is asked for waits for a thread of the store.
    tokio::time::pause();
    let start = Instant::now();
    let mut last = Vec::new();
    while let Some(packets) = client.poll().await {
        assert!(start.elapsed() < life * 2, "it goes on and on");
        last.extend(packets.into_iter().map(|packet| (packet, start.elapsed())));
        if last.last().is_some_and(|(packet, _)| packet == "41") {
            // What the official client does then.
            client.say("1").await;
        }
    }
    let packets: Vec<_> = last.iter().map(|(packet, _)| packet.as_str()).collect();
    // Why, and that it is for good, so that the official client stays away.
    assert_eq!(packets, [r#"42["closing",{"code":"unauthenticated"}]"#, "41"], "{last:?}");
    let elapsed = last[0].1;
    assert!(elapsed > life - Duration::from_secs(60) && elapsed <= life, "{elapsed:?}");
    assert!(client.pings > 100, "it was there all the time: {}", client.pings);
}
