//! Pictures in messages, and the end of a message.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Person, Reply, Target, Value, for_each_target, json, pictures, shape, two, until};

async fn send(from: &Person, to: &Person, body: Value) -> Value {
    let message = from.post(&to.inbox(), body).await.ok(201);
    shape::message(&message);
    message
}

fn path_of(message: &Value) -> String {
    format!("/api/messages/{}", message["_id"].as_str().unwrap())
}

/// Too much of a picture: the contract has two codes that fit.
#[track_caller]
fn assert_too_large(reply: &Reply, field: &str) {
    if reply.status == 413 {
        reply.refused(413, "payload_too_large");
    } else {
        reply.invalid(&[field]);
    }
}

async fn a_picture_of_each_format_with_and_without_text(target: Target) {
    let (_server, ann, bob) = two(target).await;
    for (format, mime) in pictures::FORMATS {
        let url = pictures::data_url(mime, &pictures::small(format));
        for text in [json!(null), json!("look")] {
            let message = send(&ann, &bob, json!({ "text": text, "image": url })).await;
            assert_eq!(message["text"], text);
            let served = bob.fetch(message["image"].as_str().unwrap()).await;
            assert_eq!(served.status, 200);
            assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
            assert!(served.header("content-type").unwrap().starts_with("image/"));
            assert!(!served.header("content-type").unwrap().contains("svg"));
            assert!(served.header("cache-control").unwrap().contains("immutable"));
            image::load_from_memory(&served.bytes).expect("a picture");
        }
    }
}

async fn what_is_no_picture_is_refused(target: Target) {
    let (_server, ann, bob) = two(target).await;
    for (what, url) in pictures::bad_urls() {
        let reply = ann.post(&bob.inbox(), json!({ "text": "with it", "image": url })).await;
        assert_eq!(reply.status, 400, "{what}: {}", reply.body);
        reply.invalid(&["image"]);
    }
    assert!(ann.conversation(&bob).await.is_empty());
}

async fn five_mebibytes_of_picture(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let fits = pictures::noise(1200, 1400);
    let too_large = pictures::noise(1400, 1400);
    assert!(fits.len() < 5 << 20 && too_large.len() > 5 << 20);
    let too_large = pictures::data_url("image/png", &too_large);
    assert!(too_large.len() + 100 < 8 << 20, "it is the picture that is too large, not the body");
    assert_too_large(&ann.post(&bob.inbox(), json!({ "image": too_large })).await, "image");
    assert_too_large(&ann.put("/api/auth/profile", json!({ "profilePic": too_large })).await, "profilePic");
    let message = send(&ann, &bob, json!({ "image": pictures::data_url("image/png", &fits) })).await;
    assert_eq!(message["seq"], 1);
}

async fn forty_megapixels_of_picture(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let bomb = pictures::blank(7000, 7000);
    assert!(bomb.len() < 1 << 20, "few bytes, many pixels");
    let bomb = pictures::data_url("image/png", &bomb);
    assert_too_large(&ann.post(&bob.inbox(), json!({ "image": bomb })).await, "image");
    assert_too_large(&ann.put("/api/auth/profile", json!({ "profilePic": bomb })).await, "profilePic");
    assert!(ann.conversation(&bob).await.is_empty());
    let fits = pictures::data_url("image/png", &pictures::blank(6000, 6000));
    send(&ann, &bob, json!({ "image": fits })).await;
}

async fn metadata_does_not_get_out(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let jpeg = pictures::jpeg_with_metadata("GPS-52.5200N-13.4050E");
    let message = send(&ann, &bob, json!({ "image": pictures::data_url("image/jpeg", &jpeg) })).await;
    let served = bob.fetch(message["image"].as_str().unwrap()).await;
    assert_eq!(served.status, 200);
    assert!(!served.bytes.windows(4).any(|part| part == b"GPS-"), "where it was taken is still in it");
}

async fn a_deleted_message_is_empty_for_both(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let before = send(&ann, &bob, json!({ "text": "one" })).await;
    let message = send(&ann, &bob, json!({ "text": "a secret", "image": pictures::png_url() })).await;
    let url = message["image"].as_str().unwrap();
    assert_eq!(bob.fetch(url).await.status, 200);
    let deleted = ann.delete(&path_of(&message)).await.ok(200);
    shape::message(&deleted);
    assert_eq!(
        (&deleted["isDeleted"], &deleted["text"], &deleted["image"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    for key in ["_id", "chatId", "seq", "senderId", "receiverId", "clientId", "createdAt"] {
        assert_eq!(deleted[key], message[key], "{key}");
    }
    assert!(deleted["updatedAt"].as_str() >= message["updatedAt"].as_str());
    until("the picture to be gone", || async { (bob.fetch(url).await.status == 404).then_some(()) }).await;
    server.restart().await;
    for (person, other) in [(&ann, &bob), (&bob, &ann)] {
        assert_eq!(person.conversation(other).await, [before.clone(), deleted.clone()]);
    }
    assert_eq!(bob.say(&ann, "next").await["seq"], 3, "a deleted message keeps its place");
}

async fn deleting_again_is_fine(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let message = send(&ann, &bob, json!({ "text": "x" })).await;
    let first = ann.delete(&path_of(&message)).await.ok(200);
    assert_eq!(ann.delete(&path_of(&message)).await.ok(200), first);
}

async fn only_the_sender_deletes(target: Target) {
    let (server, ann, bob) = two(target).await;
    let eve = server.signup().await;
    let message = send(&ann, &bob, json!({ "text": "x" })).await;
    bob.delete(&path_of(&message)).await.refused(403, "forbidden");
    eve.delete(&path_of(&message)).await.refused(404, "not_found");
    ann.anonymous().delete(&path_of(&message)).await.refused(401, "unauthenticated");
    assert_eq!(ann.conversation(&bob).await, std::slice::from_ref(&message));
    // Nor does anything change for them when it is gone.
    let _ = ann.delete(&path_of(&message)).await.ok(200);
    bob.delete(&path_of(&message)).await.refused(403, "forbidden");
    eve.delete(&path_of(&message)).await.refused(404, "not_found");
}

async fn ten_deletes_at_once_are_one(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let message = send(&ann, &bob, json!({ "text": "x", "image": pictures::png_url() })).await;
    let path = path_of(&message);
    let replies = futures_util::future::join_all((0..10).map(|_| ann.delete(&path))).await;
    let answers: Vec<Value> = replies.into_iter().map(|reply| reply.ok(200)).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

for_each_target!(
    a_picture_of_each_format_with_and_without_text,
    what_is_no_picture_is_refused,
    five_mebibytes_of_picture,
    forty_megapixels_of_picture,
    metadata_does_not_get_out,
    a_deleted_message_is_empty_for_both,
    deleting_again_is_fine,
    only_the_sender_deletes,
    ten_deletes_at_once_are_one,
);
