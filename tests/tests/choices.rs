//! What people choose for themselves: settings, and whom they block.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{
    Person, Target, Value, for_each_target, json, shape, two, until,
    ws::{Said, Ws},
};

const SETTINGS: &str = "/api/auth/settings";
const BLOCKS: &str = "/api/auth/blocks";
const NOBODY: &str = "0123456789abcdef01234567";

fn block_of(person: &Person) -> String {
    format!("{BLOCKS}/{}", person.id())
}

/// The user in the list of somebody's contacts.
async fn contact(me: &Person, who: &Person) -> Option<Value> {
    let all = me.pages("/api/messages/contacts?limit=200").await.concat();
    all.into_iter().find(|user| user["_id"] == who.id())
}

async fn settings_are_as_they_were_left(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let settings =
        |receipts: bool, invisible: bool| json!({ "sendsReceipts": receipts, "isInvisible": invisible });
    assert_eq!(ann.get(SETTINGS).await.ok(200), settings(true, false));
    assert_eq!(ann.put(SETTINGS, json!({})).await.ok(200), settings(true, false), "what is absent stays");
    let off = json!({ "sendsReceipts": false, "isInvisible": null });
    assert_eq!(ann.put(SETTINGS, off).await.ok(200), settings(false, false));
    assert_eq!(ann.put(SETTINGS, json!({ "isInvisible": true })).await.ok(200), settings(false, true));
    for wrong in [json!("true"), json!(1), json!([])] {
        ann.put(SETTINGS, json!({ "sendsReceipts": true, "isInvisible": wrong }))
            .await
            .invalid(&["isInvisible"]);
    }
    assert_eq!(bob.get(SETTINGS).await.ok(200), settings(true, false), "they are each one's own");
    shape::user(&ann.get("/api/auth/me").await.ok(200));
    ann.anonymous().get(SETTINGS).await.refused(401, "unauthenticated");
    ann.anonymous().put(SETTINGS, json!({})).await.refused(401, "unauthenticated");
    server.restart().await;
    assert_eq!(ann.get(SETTINGS).await.ok(200), settings(false, true));
}

async fn who_is_invisible_is_offline_for_others(target: Target) {
    let (server, ann, bob) = two(target).await;
    ann.say(&bob, "a chat to share").await;
    let mut bobs = Ws::of(&server, &bob).await;
    let _annes = Ws::of(&server, &ann).await;
    let is = |online: bool| {
        let id = ann.id().to_owned();
        move |who: &Value| who["userId"] == id && who["isOnline"] == online
    };
    bobs.event("presence", is(true)).await;
    let _ = ann.put(SETTINGS, json!({ "isInvisible": true })).await.ok(200);
    bobs.event("presence", is(false)).await;
    assert_eq!(contact(&bob, &ann).await.unwrap()["isOnline"], false);
    let online = Ws::of(&server, &bob).await.event("onlineUsers", |_| true).await;
    assert_eq!(online, json!([]));
    let _ = ann.put(SETTINGS, json!({ "isInvisible": false })).await.ok(200);
    bobs.event("presence", is(true)).await;
}

async fn who_is_blocked_meets_nobody(target: Target) {
    let (server, ann, bob) = two(target).await;
    let message = ann.say(&bob, "we know each other").await;
    let mine = bob.say(&ann, "we do").await;
    assert_eq!(ann.put(&block_of(&bob), json!(null)).await.ok(200), Value::Null);
    assert_eq!(ann.put(&block_of(&bob), json!(null)).await.ok(200), Value::Null, "again is fine");
    let blocked = ann.get(BLOCKS).await.ok(200);
    shape::user(&blocked[0]);
    assert_eq!((&blocked[0]["_id"], blocked.as_array().unwrap().len()), (&json!(bob.id()), 1));
    assert_eq!(bob.get(BLOCKS).await.ok(200), json!([]), "he is not told");

    // Word for word what is said of somebody who is not there.
    let text = || json!({ "text": "hello?" });
    let unknown = bob.post(&format!("/api/messages/send/{NOBODY}"), text()).await;
    unknown.refused(404, "not_found");
    let refused = bob.post(&ann.inbox(), text()).await;
    assert_eq!((refused.status, refused.body), (unknown.status, unknown.body));
    let path = |message: &Value| format!("/api/messages/{}", message["_id"].as_str().unwrap());
    let unknown = bob.put(&format!("/api/messages/{NOBODY}"), text()).await;
    let refused = bob.put(&path(&mine), text()).await;
    assert_eq!((refused.status, refused.body), (unknown.status, unknown.body));
    let thumb = || json!({ "emoji": "👍" });
    let unknown = bob.put(&format!("/api/messages/{NOBODY}/reactions"), thumb()).await;
    let refused = bob.put(&format!("{}/reactions", path(&message)), thumb()).await;
    assert_eq!((refused.status, refused.body), (unknown.status, unknown.body));
    let mut bobs = Ws::of(&server, &bob).await;
    let send = json!({ "receiverId": ann.id(), "text": "hello?" });
    assert_eq!(bobs.refused("sendMessage", &send).await, "not_found");
    assert_eq!(
        bobs.refused("react", &json!({ "messageId": message["_id"], "emoji": "👍" })).await,
        "not_found"
    );
    bobs.done("typing", &json!({ "receiverId": ann.id(), "isTyping": true })).await;

    // She has to make up her mind.
    ann.post(&bob.inbox(), text()).await.refused(403, "forbidden");
    assert!(contact(&bob, &ann).await.is_none());
    assert!(contact(&ann, &bob).await.is_some());
    let mut again = Ws::of(&server, &bob).await;
    assert_eq!(again.event("onlineUsers", |_| true).await, json!([]));

    assert_eq!(ann.delete(&block_of(&bob)).await.ok(200), Value::Null);
    assert_eq!(ann.delete(&block_of(&bob)).await.ok(200), Value::Null, "again is fine");
    assert_eq!(ann.get(BLOCKS).await.ok(200), json!([]));
    bob.say(&ann, "there you are").await;
    assert!(contact(&bob, &ann).await.is_some());
}

async fn who_is_blocked_does_not_see_her_come_and_go(target: Target) {
    let (server, ann, bob) = two(target).await;
    let cid = server.signup().await;
    ann.say(&bob, "a chat to share").await;
    ann.say(&cid, "a chat to share").await;
    let _ = ann.put(&block_of(&bob), json!(null)).await.ok(200);
    let (mut bobs, mut cids) = (Ws::of(&server, &bob).await, Ws::of(&server, &cid).await);
    let annes = Ws::of(&server, &ann).await;
    cids.event("presence", |who| who["userId"] == ann.id() && who["isOnline"] == true).await;
    drop(annes);
    cids.event("presence", |who| who["userId"] == ann.id() && who["isOnline"] == false).await;
    // What comes later is told later: by then he would know.
    cid.say(&bob, "fence").await;
    loop {
        let Said::Event(name, data) = bobs.next().await else { panic!("no event") };
        assert!(name != "presence" || data["userId"] != ann.id(), "{data}");
        if name == "sendMessage" && data["text"] == "fence" {
            break;
        }
    }
    let line = async || bob.chats().await.into_iter().find(|chat| chat["_id"] == ann.id()).unwrap();
    assert_eq!(line().await["isOnline"], false);
    let _ = ann.delete(&block_of(&bob)).await.ok(200);
    let _annes = Ws::of(&server, &ann).await;
    until("her to be online for him", || async { (line().await["isOnline"] == true).then_some(()) }).await;
}

async fn not_everybody_can_be_blocked(target: Target) {
    let (_server, ann, bob) = two(target).await;
    ann.put(&block_of(&ann), json!(null)).await.invalid(&["id"]);
    ann.put(&format!("{BLOCKS}/{NOBODY}"), json!(null)).await.refused(404, "not_found");
    ann.put(&format!("{BLOCKS}/x"), json!(null)).await.refused(400, "invalid_id");
    ann.delete(&format!("{BLOCKS}/x")).await.refused(400, "invalid_id");
    ann.anonymous().put(&block_of(&bob), json!(null)).await.refused(401, "unauthenticated");
    ann.anonymous().get(BLOCKS).await.refused(401, "unauthenticated");
    assert_eq!(ann.get(BLOCKS).await.ok(200), json!([]));
}

for_each_target!(
    settings_are_as_they_were_left,
    who_is_invisible_is_offline_for_others,
    who_is_blocked_meets_nobody,
    who_is_blocked_does_not_see_her_come_and_go,
    not_everybody_can_be_blocked,
);
