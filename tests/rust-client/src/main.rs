//! rust_socketio against the Socket.IO door: the round of `tests/python/zoo.py`, by each transport and each way to sign in.

use std::{
    env::var,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use rust_socketio::{
    Payload, TransportType,
    asynchronous::{Client, ClientBuilder},
};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

/// What a socket has heard, in order.
type Heard = Arc<Mutex<Vec<(String, Value)>>>;

struct Line {
    client: Client,
    heard: Heard,
}

#[derive(Clone)]
struct Way {
    transport: TransportType,
    by_cookie: bool,
}

async fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn first(payload: Payload) -> Value {
    match payload {
        Payload::Text(mut values) if !values.is_empty() => values.remove(0),
        other => json!(format!("{other:?}")),
    }
}

impl Line {
    /// Connects, and does not wait for anything.
    async fn begin(way: &Way, token: &str) -> Self {
        let heard = Heard::default();
        let (of_all, of_errors) = (heard.clone(), heard.clone());
        let builder = ClientBuilder::new(var("BASE_URL").unwrap())
            .transport_type(way.transport.clone())
            .reconnect(false)
            .on_any(move |event, payload, _| {
                of_all.lock().unwrap().push((event.as_str().to_owned(), first(payload)));
                async {}.boxed()
            })
            .on("error", move |payload, _| {
                of_errors.lock().unwrap().push(("error".to_owned(), json!(format!("{payload:?}"))));
                async {}.boxed()
            });
        let builder = if way.by_cookie {
            builder.opening_header("cookie", format!("jwt={token}"))
        } else {
            builder.auth(json!({ "token": token }))
        };
        Self { client: builder.connect().await.expect("a transport"), heard }
    }

    async fn open(way: &Way, token: &str) -> Self {
        let line = Self::begin(way, token).await;
        line.wait("onlineUsers", |_| true).await;
        line
    }

    fn all(&self, name: &str) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|(event, _)| event == name).map(|(_, payload)| payload.clone()).collect()
    }

    async fn wait(&self, name: &str, matches: impl Fn(&Value) -> bool) -> Value {
        until(name, || self.all(name).into_iter().find(|payload| matches(payload))).await
    }

    async fn ask(&self, name: &str, payload: Value) -> Value {
        let answer = Arc::new(Mutex::new(None));
        let slot = answer.clone();
        let heard = move |payload: Payload, _: Client| {
            *slot.lock().unwrap() = Some(first(payload));
            async {}.boxed()
        };
        self.client.emit_with_ack(name, payload, DEADLINE, heard).await.expect("it is sent");
        let mut envelope = until(&format!("the answer to {name}"), || answer.lock().unwrap().take()).await;
        if let Value::Array(values) = &mut envelope {
            // It gives the arguments of an acknowledgement as one list.
            envelope = values.remove(0);
        }
        assert_eq!(envelope.as_object().unwrap().len(), 3, "{envelope}");
        envelope
    }

    async fn done(&self, name: &str, payload: Value) -> Value {
        let mut envelope = self.ask(name, payload).await;
        assert_eq!(envelope["success"], true, "{envelope}");
        envelope["data"].take()
    }

    async fn refused(&self, name: &str, payload: Value, code: &str) {
        let envelope = self.ask(name, payload).await;
        assert_eq!((&envelope["success"], &envelope["data"]["code"]), (&json!(false), &json!(code)));
    }
}

async fn round(way: &Way, tag: &str) {
    let [ann, ann_token, bob, bob_token] =
        ["ANN_ID", "ANN_TOKEN", "BOB_ID", "BOB_TOKEN"].map(|name| var(name).unwrap());
    for wrong in ["", "x.y.z"] {
        let refusal = Line::begin(way, wrong).await.wait("error", |_| true).await.to_string();
        assert!(refusal.contains("unauthenticated"), "{refusal}");
    }
    let bobs = Line::open(way, &bob_token).await;
    let annes = Line::open(way, &ann_token).await;
    let others = Line::open(way, &ann_token).await;
    let online = annes.wait("onlineUsers", |_| true).await;
    assert!(online.as_array().unwrap().contains(&json!(bob)), "{online}");

    let draft = json!({ "receiverId": bob, "text": format!("{tag}: über שלום 😀 \t end"), "clientId": tag });
    let sent = annes.done("sendMessage", draft.clone()).await;
    assert_eq!(sent["text"], draft["text"]);
    let is_it = |message: &Value| message["_id"] == sent["_id"];
    assert_eq!(bobs.wait("sendMessage", is_it).await, sent);
    assert_eq!(others.wait("sendMessage", is_it).await, sent);
    assert_eq!(annes.done("sendMessage", draft).await, sent, "a repeat gets the first one again");

    annes.done("typing", json!({ "receiverId": bob, "isTyping": true })).await;
    // By itself after 6 s; seen once, in the first round.
    let signs: &[bool] = if sent["seq"] == 2 { &[true, false] } else { &[true] };
    for is_typing in signs {
        bobs.wait("typing", |it| *it == json!({ "senderId": ann, "isTyping": is_typing })).await;
    }
    annes.refused("sendMessage", json!({ "receiverId": bob }), "validation_failed").await;
    annes.refused("deleteMessage", json!({ "messageId": bob }), "not_found").await;
    let deleted = annes.done("deleteMessage", json!({ "messageId": sent["_id"] })).await;
    assert_eq!((&deleted["isDeleted"], &deleted["text"]), (&json!(true), &json!(null)));
    for line in [&annes, &bobs, &others] {
        assert_eq!(line.wait("deleteMessage", is_it).await, deleted);
    }
    assert!(!annes.all("sendMessage").iter().any(is_it), "an answer is not told as well");

    // Away, and back.
    bobs.client.disconnect().await.unwrap();
    let again = Line::open(way, &bob_token).await;
    let answer = again.done("sendMessage", json!({ "receiverId": ann, "text": "back" })).await;
    assert_eq!(answer["seq"].as_u64(), sent["seq"].as_u64().map(|seq| seq + 1));
    assert_eq!(annes.wait("sendMessage", |message| message["_id"] == answer["_id"]).await, answer);
    for line in [annes, others, again] {
        line.client.disconnect().await.unwrap();
    }
    println!("ok: {tag}");
}

#[tokio::main]
async fn main() {
    for (name, transport) in [("websocket", TransportType::Websocket), ("polling", TransportType::Polling)] {
        for by_cookie in [false, true] {
            let way = Way { transport: transport.clone(), by_cookie };
            round(&way, &format!("rust_socketio {name} {}", if by_cookie { "cookie" } else { "token" }))
                .await;
        }
    }
}
