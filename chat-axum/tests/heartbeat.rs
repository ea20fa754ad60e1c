//! A WebSocket whose client is gone is noticed, and one whose client is slow is not taken for it.
#![cfg(feature = "websocket")]
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::{net::SocketAddr, time::Duration};

use chat_core::{ChatService, auth::SignUp};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

const BEAT: Duration = Duration::from_millis(150);
const DEADLINE: Duration = Duration::from_secs(30);

/// A server with a quick heartbeat, somebody's token, and the folder that it all is in.
async fn server() -> (SocketAddr, String, ChatService, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let builder =
        ChatService::builder().data_dir(folder.path()).dangerous_bcrypt_cost(4).heartbeat(BEAT, BEAT);
    let chat = builder.build().await.unwrap();
    let (email, password) = ("ann@example.org".to_owned(), "correct horse".to_owned());
    let ann = chat
        .auth()
        .sign_up(SignUp { email, full_name: "Ann".to_owned(), password, ..SignUp::default() })
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = chat_axum::router(&chat).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, ann.token.as_str().to_owned(), chat, folder)
}

async fn open(address: SocketAddr, token: &str) -> WebSocketStream<TcpStream> {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let tcp = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(request, tcp).await.unwrap().0
}

#[tokio::test]
async fn who_does_not_answer_is_gone() {
    let (address, token, chat, _folder) = server().await;
    // What is below the client's WebSocket: it reads frames and answers none.
    let mut tcp = open(address, &token).await.into_inner();
    let mut heard = Vec::new();
    tokio::time::timeout(DEADLINE, tcp.read_to_end(&mut heard)).await.unwrap().unwrap();
    // A ping, and a close frame with code and reason.
    assert!(heard.windows(2).any(|bytes| bytes == [0x89, 0]), "{heard:?}");
    let mut last = vec![0x88, 9];
    last.extend_from_slice(&4408_u16.to_be_bytes());
    last.extend_from_slice(b"timeout");
    assert!(heard.ends_with(&last), "{heard:?}");
    assert_eq!(chat.stats().connections, 0);
}

#[tokio::test]
async fn who_answers_stays() {
    let (address, token, chat, _folder) = server().await;
    let mut socket = open(address, &token).await;
    let mut pings = 0;
    while pings < 6 {
        let message = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
        pings += usize::from(matches!(message, Message::Ping(_)));
    }
    assert_eq!(chat.stats().connections, 1);
}

#[tokio::test]
async fn who_sends_a_large_frame_slowly_is_there() {
    let (address, token, _chat, _folder) = server().await;
    let mut tcp = open(address, &token).await.into_inner();
    let text = format!(r#"{{"event":"typing","data":{{}},"id":7{}}}"#, " ".repeat(60));
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    // In all this time no ping can be answered, because a frame is on its way.
    let mut beat = tokio::time::interval(BEAT / 8);
    for byte in frame {
        beat.tick().await;
        tcp.write_all(&[byte]).await.unwrap();
    }
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(r#"{"reply":7,"success":false"#) {
        let read = tokio::time::timeout(DEADLINE, tcp.read_buf(&mut heard)).await.unwrap().unwrap();
        assert!(read > 0, "closed: {:?}", String::from_utf8_lossy(&heard));
    }
}
