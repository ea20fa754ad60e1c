//! On `warp::serve`, over real sockets.

use std::net::{IpAddr, SocketAddr};

use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::common::{chat, person};

async fn serve(chat: &chat_core::ChatService) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(chat_warp::routes(chat)).incoming(listener).run());
    address
}

/// The next text but a ping of Engine.IO's.
async fn text(socket: &mut WebSocketStream<TcpStream>) -> String {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) if text.as_str() != "2" => return text.as_str().to_owned(),
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_is_sent_over_http_arrives_over_socket_io() {
    let (chat, _folder) = chat("").await;
    let (ann, bob) = (person(&chat, "ann").await, person(&chat, "bob").await);
    let address = serve(&chat).await;

    let tcp = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
    assert!(text(&mut socket).await.starts_with("0{"));
    socket.send(Message::text(format!("40{}", json!({ "token": bob.1 })))).await.unwrap();
    let connected = text(&mut socket).await;
    assert!(connected.starts_with("40{"), "{connected}");

    let url = format!("http://{address}/api/messages/send/{}", bob.0);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = || http.post(&url).bearer_auth(&ann.1);
    let sent = send().json(&json!({ "text": "Hello, Bob" })).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    assert!(sent.content_length().is_some(), "{:?}", sent.headers());
    let sent: Value = sent.json().await.unwrap();
    let event = loop {
        let packet = text(&mut socket).await;
        if let Some(event) = packet.strip_prefix("42[\"sendMessage\",") {
            break event.to_owned();
        }
    };
    assert!(event.contains(sent["data"]["_id"].as_str().unwrap()), "{event}");

    let stream =
        futures_util::stream::repeat(Bytes::from_static(&[b' '; 64 * 1024])).map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(stream.take(chat.limits().body_bytes / (64 * 1024) + 2));
    let cut = send().header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(cut.status(), 413);
    chat.shutdown().await;
}

#[tokio::test]
async fn a_plain_websocket_opens() {
    let (chat, _folder) = chat("").await;
    let (_, token) = person(&chat, "ann").await;
    let address = serve(&chat).await;
    let open = async |token: &str| {
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let tcp = TcpStream::connect(address).await.unwrap();
        tokio_tungstenite::client_async(request, tcp).await
    };
    let (mut socket, _) = open(&token).await.unwrap();
    let greeting = text(&mut socket).await;
    assert!(greeting.starts_with(r#"{"event":"onlineUsers","data":[],"cursor":""#), "{greeting}");
    socket.send(Message::text(r#"{"event":"deleteMessage","data":{},"id":7}"#)).await.unwrap();
    let reply = text(&mut socket).await;
    assert!(reply.starts_with(r#"{"reply":7,"success":false"#), "{reply}");
    let Err(Error::Http(refusal)) = open("no-token").await else { unreachable!("let in") };
    assert_eq!(refusal.status(), 401);
    chat.shutdown().await;
}

#[tokio::test]
async fn each_client_has_limits_of_its_own() {
    let (chat, _folder) = chat("").await;
    let url = format!("http://{}/api/auth/login", serve(&chat).await);
    let from = |last: u8| {
        let address = IpAddr::from([127, 0, 0, last]);
        reqwest::Client::builder().no_proxy().local_address(address).build().unwrap()
    };
    let status = async |client: &reqwest::Client| client.post(&url).send().await.unwrap().status().as_u16();
    let busy = from(1);
    let mut tries = 0;
    while status(&busy).await != 429 {
        tries += 1;
        assert!(tries < 1000, "there is no limit");
    }
    assert_ne!(status(&from(2)).await, 429);
}
