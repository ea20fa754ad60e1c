//! POST /api/messages/send/:id: texts, limits, idempotence.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Person, Target, Value, for_each_target, json, pictures, shape, two};
use futures_util::future::join_all;
use reqwest::{
    Method,
    multipart::{Form, Part},
};

async fn send(from: &Person, to: &Person, body: Value) -> Value {
    let message = from.post(&to.inbox(), body).await.ok(201);
    shape::message(&message);
    message
}

async fn a_message_says_all_about_itself(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let message = send(&ann, &bob, json!({ "text": "hello", "clientId": "c-1" })).await;
    assert_eq!(message["senderId"], ann.id());
    assert_eq!(message["receiverId"], bob.id());
    assert_eq!(message["text"], "hello");
    assert_eq!(message["image"], Value::Null);
    assert_eq!(message["clientId"], "c-1");
    assert_eq!(message["isDeleted"], false);
    assert_eq!(message["seq"], 1);
    assert_eq!(message["createdAt"], message["updatedAt"]);
    let without = send(&ann, &bob, json!({ "text": "again" })).await;
    assert_eq!((&without["clientId"], &without["seq"]), (&Value::Null, &json!(2)));
}

async fn texts_come_back_as_they_went(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let texts = [
        "x",
        " leading and trailing \n",
        "line\r\nline\ttab",
        "nul \0 inside",
        "\0",
        "\u{1}\u{7f}\u{feff}",
        "żółć, Straße, 日本語, 한국어",
        "e\u{301} is not é",
        "👩‍👩‍👧‍👦🏳️‍🌈👍🏽",
        "\u{202e}right to left\u{202c} עברית العربية",
        "<script>alert('x')</script> & \"quotes\" \\ / %00 ${x} {{x}}",
        "'; DROP TABLE messages; --",
        "null",
        "\u{10ffff}\u{fffd}",
    ];
    for text in texts {
        assert_eq!(send(&ann, &bob, json!({ "text": text })).await["text"], text);
    }
    server.restart().await;
    let seen = bob.conversation(&ann).await;
    assert_eq!(shape::texts(&seen, "text"), texts);
    assert_eq!(bob.chats().await[0]["lastMessage"]["text"], texts[texts.len() - 1]);
}

async fn text_to_10000_characters(target: Target) {
    let (_server, ann, bob) = two(target).await;
    for one in ["x", "é", "😀"] {
        let text = one.repeat(10_000);
        assert_eq!(send(&ann, &bob, json!({ "text": text })).await["text"], text);
        ann.post(&bob.inbox(), json!({ "text": one.repeat(10_001) })).await.invalid(&["text"]);
    }
    assert_eq!(shape::seqs(&ann.conversation(&bob).await), [1, 2, 3]);
}

async fn a_message_has_something_in_it(target: Target) {
    let (_server, ann, bob) = two(target).await;
    for body in [
        json!({}),
        json!({ "text": "" }),
        json!({ "image": "" }),
        json!({ "text": "", "image": "" }),
        json!({ "text": null, "image": null }),
        json!({ "clientId": "c" }),
    ] {
        let reply = ann.post(&bob.inbox(), body).await;
        let fields = &reply.refused(400, "validation_failed")["fields"];
        assert!(fields["text"].is_string() || fields["image"].is_string(), "{fields}");
    }
    assert!(ann.conversation(&bob).await.is_empty());
}

async fn an_empty_half_counts_as_absent(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let text = send(&ann, &bob, json!({ "text": "x", "image": "" })).await;
    assert_eq!(text["image"], Value::Null);
    let text = send(&ann, &bob, json!({ "text": "x", "image": null, "clientId": null })).await;
    assert_eq!((&text["image"], &text["clientId"]), (&Value::Null, &Value::Null));
    let image = send(&ann, &bob, json!({ "text": "", "image": pictures::png_url() })).await;
    assert_eq!(image["text"], Value::Null);
}

async fn wrong_types_are_named(target: Target) {
    let (_server, ann, bob) = two(target).await;
    for wrong in [json!(5), json!(true), json!(["x"]), json!({ "$ne": null })] {
        for field in ["text", "image", "clientId"] {
            let mut body = json!({ "text": "x" });
            body[field] = wrong.clone();
            ann.post(&bob.inbox(), body).await.invalid(&[field]);
        }
    }
    assert!(ann.conversation(&bob).await.is_empty());
}

async fn not_to_oneself_and_not_to_nobody(target: Target) {
    let (_server, ann, _bob) = two(target).await;
    ann.post(&ann.inbox(), json!({ "text": "x" })).await.refused(400, "validation_failed");
    let unknown = "/api/messages/send/0123456789abcdef01234567";
    ann.post(unknown, json!({ "text": "x" })).await.refused(404, "not_found");
}

async fn nothing_else_can_be_set(target: Target) {
    let (server, ann, bob) = two(target).await;
    let eve = server.signup().await;
    let wish = json!({ "text": "x", "senderId": eve.id(), "receiverId": eve.id(), "seq": 99, "isDeleted": true,
        "_id": "0123456789abcdef01234567", "chatId": "mine", "createdAt": "2000-01-01T00:00:00.000Z" });
    let message = send(&ann, &bob, wish).await;
    assert_eq!((&message["senderId"], &message["receiverId"]), (&json!(ann.id()), &json!(bob.id())));
    assert_eq!((&message["seq"], &message["isDeleted"]), (&json!(1), &json!(false)));
    assert_ne!(message["_id"], "0123456789abcdef01234567");
    assert!(!message.to_string().contains("2000-01-01") && message["chatId"] != "mine");
}

async fn a_repeat_answers_the_first_message(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let carol = server.signup().await;
    let body = json!({ "text": "once", "clientId": "key" });
    let first = send(&ann, &bob, body.clone()).await;
    assert_eq!(ann.post(&bob.inbox(), body.clone()).await.ok(200), first);
    // The key decides, not what else is said.
    assert_eq!(ann.post(&bob.inbox(), json!({ "text": "other", "clientId": "key" })).await.ok(200), first);
    assert_eq!(ann.post(&carol.inbox(), body.clone()).await.ok(200), first);
    assert!(ann.conversation(&carol).await.is_empty());
    server.restart().await;
    assert_eq!(ann.post(&bob.inbox(), body).await.ok(200), first);
    assert_eq!(ann.conversation(&bob).await, [first]);
}

async fn a_key_belongs_to_its_sender(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let body = json!({ "text": "x", "clientId": "key" });
    let one = send(&ann, &bob, body.clone()).await;
    let other = send(&bob, &ann, body).await;
    assert_ne!(one["_id"], other["_id"]);
    assert_eq!(shape::seqs(&ann.conversation(&bob).await), [1, 2]);
}

async fn a_repeat_after_the_delete_does_not_bring_it_back(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let body = json!({ "text": "gone", "clientId": "key" });
    let first = send(&ann, &bob, body.clone()).await;
    let _ = ann.delete(&format!("/api/messages/{}", first["_id"].as_str().unwrap())).await.ok(200);
    let again = ann.post(&bob.inbox(), body).await.ok(200);
    assert_eq!((&again["_id"], &again["isDeleted"]), (&first["_id"], &json!(true)));
    assert_eq!(ann.conversation(&bob).await.len(), 1);
}

async fn twenty_at_once_with_one_key_make_one_message(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let body = json!({ "text": "once", "clientId": "key" });
    let inbox = bob.inbox();
    let replies = join_all((0..20).map(|_| ann.post(&inbox, body.clone()))).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 1);
    let messages: Vec<Value> = replies
        .into_iter()
        .map(|reply| if reply.status == 201 { reply.ok(201) } else { reply.ok(200) })
        .collect();
    assert!(messages.iter().all(|message| *message == messages[0]));
    assert_eq!(ann.conversation(&bob).await, messages[..1]);
}

async fn many_at_once_stand_in_a_row(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let sends = (0..60).map(|i| {
        let (from, to) = if i % 2 == 0 { (&ann, &bob) } else { (&bob, &ann) };
        async move { from.say(to, &i.to_string()).await }
    });
    let mut sent = join_all(sends).await;
    sent.sort_by_key(|message| message["seq"].as_u64());
    assert_eq!(shape::seqs(&sent), (1..=60).collect::<Vec<_>>());
    assert_eq!(ann.whole_conversation(&bob).await, sent);
}

async fn multipart_with_a_file(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let picture =
        || Part::bytes(pictures::small(image::ImageFormat::Png)).file_name("p.png").mime_str("image/png");
    let form =
        || Form::new().text("text", "look 👀").text("clientId", "m-1").part("image", picture().unwrap());
    let message = ann.multipart(Method::POST, &bob.inbox(), form()).await.ok(201);
    shape::message(&message);
    assert_eq!((&message["text"], &message["clientId"]), (&json!("look 👀"), &json!("m-1")));
    assert_eq!(bob.fetch(message["image"].as_str().unwrap()).await.status, 200);
    assert_eq!(ann.multipart(Method::POST, &bob.inbox(), form()).await.ok(200), message);
    // Only a text, and only a picture.
    let only = ann.multipart(Method::POST, &bob.inbox(), Form::new().text("text", "only")).await.ok(201);
    assert_eq!(only["text"], "only");
    let form = Form::new().part("image", picture().unwrap());
    assert_eq!(ann.multipart(Method::POST, &bob.inbox(), form).await.ok(201)["text"], Value::Null);
}

async fn multipart_is_checked_as_json_is(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let fake = Part::bytes(b"<svg/>".to_vec()).file_name("x.png").mime_str("image/png").unwrap();
    ann.multipart(Method::POST, &bob.inbox(), Form::new().part("image", fake)).await.invalid(&["image"]);
    let long = Form::new().text("text", "x".repeat(10_001));
    ann.multipart(Method::POST, &bob.inbox(), long).await.invalid(&["text"]);
    let empty = ann.multipart(Method::POST, &bob.inbox(), Form::new().text("text", "")).await;
    empty.refused(400, "validation_failed");
    for (kind, body) in [
        ("multipart/form-data", "--x--\r\n"),
        ("multipart/form-data; boundary=x", "no boundary at all"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\ncut off",
        ),
    ] {
        let status = ann.raw(Method::POST, &bob.inbox(), kind, body).await.status;
        assert!([400, 415].contains(&status), "{kind} {body:?}: {status}");
    }
    assert!(ann.conversation(&bob).await.is_empty());
}

for_each_target!(
    a_message_says_all_about_itself,
    texts_come_back_as_they_went,
    text_to_10000_characters,
    a_message_has_something_in_it,
    an_empty_half_counts_as_absent,
    wrong_types_are_named,
    not_to_oneself_and_not_to_nobody,
    nothing_else_can_be_set,
    a_repeat_answers_the_first_message,
    a_key_belongs_to_its_sender,
    a_repeat_after_the_delete_does_not_bring_it_back,
    twenty_at_once_with_one_key_make_one_message,
    many_at_once_stand_in_a_row,
    multipart_with_a_file,
    multipart_is_checked_as_json_is,
);
