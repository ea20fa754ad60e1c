//! Receipts: how far messages came with the other one, told live and in the list of chats.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{
    Person, Target, Value, for_each_target, json, two,
    ws::{Said, Ws},
};

const NOBODY: &str = "0123456789abcdef01234567";

/// What Ann may know of how far her messages came with Bob: delivered, read.
async fn marks(ann: &Person, bob: &Person) -> (u64, u64) {
    let chats = ann.chats().await;
    let chat = chats.iter().find(|chat| chat["_id"] == bob.id()).unwrap();
    (chat["deliveredSeq"].as_u64().unwrap(), chat["readSeq"].as_u64().unwrap())
}

fn path(partner: &Person, what: &str) -> String {
    format!("/api/messages/{}/{what}", partner.id())
}

async fn delivered_and_read_over_http(target: Target) {
    let (server, ann, bob) = two(target).await;
    let chat = ann.say(&bob, "1").await["chatId"].clone();
    for text in ["2", "3"] {
        ann.say(&bob, text).await;
    }
    let mut annes = Ws::of(&server, &ann).await;
    let told = |seq: u64| json!({ "chatId": chat, "userId": bob.id(), "seq": seq });
    assert_eq!(marks(&ann, &bob).await, (0, 0), "to have asked for it is no receipt");

    let state = bob.post(&path(&ann, "delivered"), json!({ "seq": 2 })).await.ok(200);
    assert_eq!(state, json!({ "chatId": chat, "seq": 2 }));
    assert_eq!(annes.event("messagesDelivered", |_| true).await, told(2));
    assert_eq!(marks(&ann, &bob).await, (2, 0));
    let state = bob.post(&path(&ann, "delivered"), json!({ "seq": 1 })).await.ok(200);
    assert_eq!(state["seq"], 2, "never back");

    let state = bob.post(&path(&ann, "read"), json!({ "seq": 1 })).await.ok(200);
    assert_eq!(state, json!({ "chatId": chat, "seq": 1, "unread": 2 }));
    assert_eq!(annes.event("messagesRead", |_| true).await, told(1));
    assert_eq!(marks(&ann, &bob).await, (2, 1));

    // Nothing said, and too much: up to the newest.
    let state = bob.post_bare(&path(&ann, "delivered")).await.ok(200);
    assert_eq!(state["seq"], 3);
    assert_eq!(annes.event("messagesDelivered", |_| true).await, told(3));
    let _ = bob.post(&path(&ann, "read"), json!({ "seq": 99 })).await.ok(200);
    assert_eq!(annes.event("messagesRead", |_| true).await, told(3));
    assert_eq!(marks(&ann, &bob).await, (3, 3));

    for bad in [json!(-1), json!("1"), json!(1.5)] {
        bob.post(&path(&ann, "delivered"), json!({ "seq": bad })).await.invalid(&["seq"]);
    }
    bob.post(&format!("/api/messages/{NOBODY}/delivered"), json!({})).await.refused(404, "not_found");
    bob.post("/api/messages/x/delivered", json!({})).await.refused(400, "invalid_id");
    bob.anonymous().post(&path(&ann, "delivered"), json!({})).await.refused(401, "unauthenticated");
}

async fn delivered_and_read_over_sockets(target: Target) {
    let (server, ann, bob) = two(target).await;
    let chat = ann.say(&bob, "1").await["chatId"].clone();
    ann.say(&bob, "2").await;
    let mut annes = Ws::of(&server, &ann).await;
    let (mut bobs, mut other) = (Ws::of(&server, &bob).await, Ws::of(&server, &bob).await);
    let told = |seq: u64| json!({ "chatId": chat, "userId": bob.id(), "seq": seq });
    let state = bobs.done("messagesDelivered", &json!({ "chatId": chat, "seq": 1 })).await;
    assert_eq!(state, json!({ "chatId": chat, "seq": 1 }));
    assert_eq!(annes.event("messagesDelivered", |_| true).await, told(1));
    let state = bobs.done("messagesRead", &json!({ "chatId": chat })).await;
    assert_eq!(state, json!({ "chatId": chat, "seq": 2, "unread": 0 }));
    assert_eq!(annes.event("messagesRead", |_| true).await, told(2));
    assert_eq!(other.event("messagesRead", |_| true).await, told(2), "his other device counts anew");
    assert_eq!(marks(&ann, &bob).await, (2, 2), "what was read was delivered");

    let eve = server.signup().await;
    let mut eves = Ws::of(&server, &eve).await;
    for event in ["messagesDelivered", "messagesRead"] {
        assert_eq!(eves.refused(event, &json!({ "chatId": chat })).await, "not_found");
        for bad in [json!({}), json!({ "chatId": "x" }), json!({ "chatId": chat, "seq": -1 })] {
            assert_eq!(bobs.refused(event, &bad).await, "validation_failed", "{event} {bad}");
        }
    }
}

async fn who_sends_no_receipts(target: Target) {
    let (server, ann, bob) = two(target).await;
    let chat = ann.say(&bob, "1").await["chatId"].clone();
    let _ = bob.put("/api/auth/settings", json!({ "sendsReceipts": false })).await.ok(200);
    let mut annes = Ws::of(&server, &ann).await;
    let mut other = Ws::of(&server, &bob).await;
    let state = bob.post(&path(&ann, "delivered"), json!({})).await.ok(200);
    assert_eq!(state, json!({ "chatId": chat, "seq": 0 }));
    let state = bob.post(&path(&ann, "read"), json!({})).await.ok(200);
    assert_eq!((&state["seq"], &state["unread"]), (&json!(1), &json!(0)), "for himself it is read");
    let told = other.event("messagesRead", |_| true).await;
    assert_eq!(told, json!({ "chatId": chat, "userId": bob.id(), "seq": 1 }));
    assert_eq!(marks(&ann, &bob).await, (0, 0));
    // What comes later is told later: by then she would know.
    bob.say(&ann, "fence").await;
    loop {
        let Said::Event(name, data) = annes.next().await else { panic!("no event") };
        assert!(!name.starts_with("messages"), "{name} {data}");
        if name == "sendMessage" && data["text"] == "fence" {
            break;
        }
    }
    assert_eq!(bob.unread(&ann).await, 0);
}

async fn they_survive_a_restart(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    ann.say(&bob, "1").await;
    ann.say(&bob, "2").await;
    let _ = bob.post(&path(&ann, "delivered"), json!({})).await.ok(200);
    let _ = bob.post(&path(&ann, "read"), json!({ "seq": 1 })).await.ok(200);
    server.restart().await;
    assert_eq!(marks(&ann, &bob).await, (2, 1));
    let unread: Vec<Value> = bob.chats().await.iter().map(|chat| chat["unread"].clone()).collect();
    assert_eq!(unread, [json!(1)]);
}

for_each_target!(
    delivered_and_read_over_http,
    delivered_and_read_over_sockets,
    who_sends_no_receipts,
    they_survive_a_restart,
);
