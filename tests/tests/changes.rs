//! What is done to messages that are there, over HTTP: editing, answering, reacting, deleting for oneself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Person, Reply, Target, Value, for_each_target, json, pictures, shape, two, until};

const NOBODY: &str = "0123456789abcdef01234567";

fn path(message: &Value) -> String {
    format!("/api/messages/{}", message["_id"].as_str().unwrap())
}

async fn edit(who: &Person, message: &Value, text: &str) -> Reply {
    who.put(&path(message), json!({ "text": text })).await
}

async fn react(who: &Person, message: &Value, emoji: &str) -> Reply {
    who.put(&format!("{}/reactions", path(message)), json!({ "emoji": emoji })).await
}

async fn take_back(who: &Person, message: &Value, emoji: &str) -> Reply {
    let query: String = emoji.bytes().map(|byte| format!("%{byte:02x}")).collect();
    who.delete(&format!("{}/reactions?emoji={query}", path(message))).await
}

/// The message as its reader sees it now.
async fn seen(who: &Person, with: &Person, message: &Value) -> Value {
    let all = who.conversation(with).await;
    all.into_iter().find(|other| other["_id"] == message["_id"]).expect("it is there")
}

async fn the_sender_edits(target: Target) {
    let (server, ann, bob) = two(target).await;
    let message = ann.say(&bob, "helo").await;
    assert_eq!((&message["isEdited"], &message["replyTo"]), (&json!(false), &Value::Null));
    let edited = edit(&ann, &message, "hello").await.ok(200);
    shape::message(&edited);
    let mut expected = message.clone();
    (expected["text"], expected["isEdited"]) = (json!("hello"), json!(true));
    expected["updatedAt"] = edited["updatedAt"].clone();
    assert_eq!(edited, expected, "the rest stays");
    assert!(edited["updatedAt"].as_str() > message["updatedAt"].as_str());
    assert_eq!(seen(&bob, &ann, &message).await, edited);
    assert_eq!(edit(&ann, &message, "hello").await.ok(200), edited, "the same again changes nothing");

    edit(&bob, &message, "mine now").await.refused(403, "forbidden");
    let eve = server.signup().await;
    edit(&eve, &message, "mine now").await.refused(404, "not_found");
    edit(&ann, &json!({ "_id": NOBODY }), "x").await.refused(404, "not_found");
    edit(&ann, &json!({ "_id": "x" }), "x").await.refused(400, "invalid_id");
    ann.anonymous().put(&path(&message), json!({ "text": "x" })).await.refused(401, "unauthenticated");
    edit(&ann, &message, "").await.invalid(&["text"]);
    edit(&ann, &message, &"x".repeat(10_001)).await.invalid(&["text"]);
    for body in [json!({}), json!({ "text": null }), json!({ "text": 5 })] {
        ann.put(&path(&message), body).await.invalid(&["text"]);
    }
    assert_eq!(seen(&ann, &bob, &message).await, edited, "nothing of that was done");

    let _ = ann.delete(&path(&message)).await.ok(200);
    edit(&ann, &message, "back again").await.refused(404, "not_found");
}

async fn a_picture_needs_no_text(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let body = json!({ "text": "look", "image": pictures::png_url() });
    let message = ann.post(&bob.inbox(), body).await.ok(201);
    let edited = edit(&ann, &message, "").await.ok(200);
    shape::message(&edited);
    assert_eq!((&edited["text"], &edited["image"]), (&Value::Null, &message["image"]));
}

async fn too_late(target: Target) {
    let server = target.start_with(&[("EDIT_WITHIN", "0")]).await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let message = ann.say(&bob, "first").await;
    // Until then it goes well, or is not needed.
    until("it to be too late", || async {
        let reply = edit(&ann, &message, "second").await;
        (reply.status != 200).then(|| _ = reply.refused(403, "forbidden"))
    })
    .await;
}

async fn an_answer_to_a_message(target: Target) {
    let (server, ann, bob) = two(target).await;
    let first = ann.say(&bob, "a question").await;
    let body = |id: &Value| json!({ "text": "an answer", "replyTo": id });
    let answer = bob.post(&ann.inbox(), body(&first["_id"])).await.ok(201);
    shape::message(&answer);
    assert_eq!(answer["replyTo"], first["_id"]);
    assert_eq!(seen(&ann, &bob, &answer).await, answer);

    let form = reqwest::multipart::Form::new()
        .text("text", "by form")
        .text("replyTo", first["_id"].as_str().unwrap().to_owned());
    let answer = bob.multipart(reqwest::Method::POST, &ann.inbox(), form).await.ok(201);
    assert_eq!(answer["replyTo"], first["_id"]);

    let cid = server.signup().await;
    let elsewhere = ann.say(&cid, "elsewhere").await;
    for id in [&elsewhere["_id"], &json!(NOBODY), &json!("x"), &json!(""), &json!(5)] {
        bob.post(&ann.inbox(), body(id)).await.invalid(&["replyTo"]);
    }
    assert_eq!(bob.post(&ann.inbox(), body(&Value::Null)).await.ok(201)["replyTo"], Value::Null);
    // The answer stays when the question goes.
    let _ = ann.delete(&path(&first)).await.ok(200);
    assert_eq!(seen(&ann, &bob, &answer).await["replyTo"], first["_id"]);
}

async fn reactions(target: Target) {
    let (server, ann, bob) = two(target).await;
    let message = ann.say(&bob, "what do you think?").await;
    let of = |who: &Person, emoji: &str| json!({ "userId": who.id(), "emoji": emoji });
    let one = react(&bob, &message, "👍").await.ok(200);
    shape::message(&one);
    assert_eq!(one["reactions"], json!([of(&bob, "👍")]));
    assert!(one["updatedAt"].as_str() > message["updatedAt"].as_str());
    assert_eq!(react(&bob, &message, "👍").await.ok(200), one, "once in each way");
    let _ = react(&ann, &message, "👍").await.ok(200);
    let all = react(&bob, &message, "🎉").await.ok(200);
    assert_eq!(all["reactions"], json!([of(&bob, "👍"), of(&ann, "👍"), of(&bob, "🎉")]));
    assert_eq!(seen(&ann, &bob, &message).await, all);

    let less = take_back(&bob, &message, "👍").await.ok(200);
    assert_eq!(less["reactions"], json!([of(&ann, "👍"), of(&bob, "🎉")]));
    assert_eq!(take_back(&bob, &message, "👍").await.ok(200), less, "again is fine");

    for bad in ["", "x", "👍👍", "👍 ", "<b>", &"👍".repeat(33)] {
        react(&bob, &message, bad).await.invalid(&["emoji"]);
        take_back(&bob, &message, bad).await.invalid(&["emoji"]);
    }
    let reactions = format!("{}/reactions", path(&message));
    for body in [json!({}), json!({ "emoji": null }), json!({ "emoji": 1 })] {
        bob.put(&reactions, body).await.invalid(&["emoji"]);
    }
    bob.delete(&reactions).await.invalid(&["emoji"]);
    let eve = server.signup().await;
    react(&eve, &message, "👍").await.refused(404, "not_found");
    take_back(&eve, &message, "👍").await.refused(404, "not_found");
    react(&eve, &json!({ "_id": NOBODY }), "👍").await.refused(404, "not_found");
    react(&bob, &json!({ "_id": "x" }), "👍").await.refused(400, "invalid_id");

    let deleted = ann.delete(&path(&message)).await.ok(200);
    assert_eq!(deleted["reactions"], json!([]), "they go with the message");
    react(&bob, &message, "👍").await.refused(404, "not_found");
}

async fn for_me_only(target: Target) {
    let (server, ann, bob) = two(target).await;
    let (first, second) = (ann.say(&bob, "first").await, ann.say(&bob, "second").await);
    let for_me = format!("{}?for=me", path(&first));
    assert_eq!(bob.delete(&for_me).await.ok(200), Value::Null);
    assert_eq!(bob.delete(&for_me).await.ok(200), Value::Null, "again is fine");
    assert_eq!(bob.conversation(&ann).await, std::slice::from_ref(&second));
    assert_eq!(ann.conversation(&bob).await, [first.clone(), second.clone()], "for her nothing changed");
    react(&bob, &first, "👍").await.refused(404, "not_found");

    let eve = server.signup().await;
    eve.delete(&format!("{}?for=me", path(&second))).await.refused(404, "not_found");
    bob.delete(&format!("{}?for=all", path(&second))).await.refused(403, "forbidden");
    for bad in ["you", "ME", "me,all", "0"] {
        ann.delete(&format!("{}?for={bad}", path(&second))).await.invalid(&["for"]);
    }
    for for_all in ["", "?for=", "?for=all"] {
        let deleted = ann.delete(&format!("{}{for_all}", path(&second))).await.ok(200);
        assert_eq!(deleted["isDeleted"], true);
    }
    // The newest one, hidden, does not stand in the list of chats as if it were there.
    let third = ann.say(&bob, "third").await;
    let _ = bob.delete(&format!("{}?for=me", path(&third))).await.ok(200);
    let Value::Array(chats) = bob.get("/api/messages/chats").await.ok(200) else { panic!("no list") };
    assert_ne!(chats[0]["lastMessage"]["text"], "third");
    let Value::Array(chats) = ann.get("/api/messages/chats").await.ok(200) else { panic!("no list") };
    assert_eq!(chats[0]["lastMessage"]["text"], "third");
}

for_each_target!(
    the_sender_edits,
    a_picture_needs_no_text,
    too_late,
    an_answer_to_a_message,
    reactions,
    for_me_only,
);
