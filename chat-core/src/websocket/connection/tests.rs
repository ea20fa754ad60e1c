//! One conversation over a pipe, in a time that can be made to stand still.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::{Conversation, Socket};
use crate::{
    ChatService,
    auth::SignUp,
    sockets::{self, Live},
    websocket::close::{Close, Ending},
};

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
    let session = chat.auth().sign_up(sign_up).await.unwrap().session;

    let (near, far) = tokio::io::duplex(1 << 16);
    let conversation = tokio::spawn({
        let chat = chat.clone();
        async move {
            let mut socket = Socket::new(near, 1 << 16).await;
            let connection = sockets::connect(&chat, &session, None);
            let live = Live::new(session, connection.id(), None);
            Conversation::new(&chat, live, connection, &session).hold(&mut socket).await
        }
    });
    let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
    let greeting = client.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(greeting.contains("onlineUsers"), "{greeting}");

    // From here on nothing that is asked for waits for a thread of the store.
    tokio::time::pause();
    let start = Instant::now();
    let mut pings = 0;
    while let Some(Ok(message)) = client.next().await {
        assert!(start.elapsed() < life * 2, "it goes on and on");
        pings += u32::from(matches!(message, Message::Ping(_)));
        // The answer goes out with the next read: later than what it answers, as it would be.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (ending, elapsed) = (conversation.await.unwrap(), start.elapsed());
    assert!(matches!(ending, Ending::Closed(Close::Unauthenticated)), "{ending:?}");
    assert!(elapsed > life - Duration::from_secs(60) && elapsed <= life, "{elapsed:?}");
    assert!(pings > 100, "it was there all the time: {pings}");
}
