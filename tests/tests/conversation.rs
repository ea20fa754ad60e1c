//! GET /api/messages/:id: order, pages, and who may see what.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Person, Target, Value, for_each_target, json, shape, two};

/// `count` messages that go back and forth.
async fn talk(ann: &Person, bob: &Person, count: usize) -> Vec<Value> {
    let mut messages = Vec::new();
    for i in 1..=count {
        let (from, to) = if i % 2 == 1 { (ann, bob) } else { (bob, ann) };
        messages.push(from.say(to, &i.to_string()).await);
    }
    messages
}

fn id(message: &Value) -> &str {
    message["_id"].as_str().unwrap()
}

async fn get(person: &Person, path: &str) -> Vec<Value> {
    let Value::Array(messages) = person.get(path).await.ok(200) else { panic!("not a list") };
    messages.iter().for_each(shape::message);
    messages
}

async fn ascending_and_the_same_from_both_sides(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 7).await;
    assert_eq!(shape::seqs(&sent), [1, 2, 3, 4, 5, 6, 7]);
    let seen = ann.conversation(&bob).await;
    assert_eq!(seen, sent, "what was answered at the sending is what is read later");
    assert_eq!(bob.conversation(&ann).await, seen);
    assert!(seen.iter().all(|message| message["chatId"] == seen[0]["chatId"]));
    assert!(shape::texts(&seen, "createdAt").is_sorted());
}

async fn each_chat_counts_for_itself(target: Target) {
    let (server, ann, bob) = two(target).await;
    let carol = server.signup().await;
    for seq in 1..=3 {
        assert_eq!(ann.say(&bob, "to bob").await["seq"], seq);
        assert_eq!(carol.say(&ann, "to ann").await["seq"], seq);
    }
    let (one, other) = (ann.conversation(&bob).await, ann.conversation(&carol).await);
    assert_eq!((shape::seqs(&one), shape::seqs(&other)), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_ne!(one[0]["chatId"], other[0]["chatId"]);
}

async fn nothing_said_is_an_empty_list(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let reply = ann.get(&format!("/api/messages/{}", bob.id())).await;
    assert!(reply.next_page().is_none());
    assert_eq!(reply.ok(200), json!([]));
}

async fn the_newest_50_unless_told(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 52).await;
    let path = format!("/api/messages/{}", bob.id());
    let reply = ann.get(&path).await;
    assert!(reply.next_page().is_some(), "there are older ones");
    assert_eq!(reply.ok(200), json!(sent[2..]));
    assert_eq!(get(&ann, &format!("{path}?limit=2")).await, sent[50..]);
    assert_eq!(get(&ann, &format!("{path}?limit=2&before={}", id(&sent[50]))).await, sent[48..50]);
    assert_eq!(get(&ann, &format!("{path}?before={}", id(&sent[2]))).await, sent[..2]);
    let end = ann.get(&format!("{path}?before={}", id(&sent[0]))).await;
    assert!(end.next_page().is_none(), "there is nothing before the first");
    assert_eq!(end.ok(200), json!([]));
}

async fn limit_to_200(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 205).await;
    let path = format!("/api/messages/{}", bob.id());
    assert_eq!(get(&ann, &format!("{path}?limit=200")).await, sent[5..]);
    // More than the most is refused or cut; it is never given.
    let more = ann.get(&format!("{path}?limit=201")).await;
    if more.status == 200 {
        assert_eq!(more.ok(200), json!(sent[5..]));
    } else {
        more.invalid(&["limit"]);
    }
    for bad in ["0", "-1", "x", "1.5", "99999999999999999999"] {
        ann.get(&format!("{path}?limit={bad}")).await.invalid(&["limit"]);
    }
}

async fn pages_have_each_message_once(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 23).await;
    for limit in [1, 5, 23] {
        let mut pages = ann.pages(&format!("/api/messages/{}?limit={limit}", bob.id())).await;
        assert!(pages.iter().all(|page| page.len() <= limit));
        pages.reverse();
        assert_eq!(pages.concat(), sent, "limit {limit}");
    }
}

async fn pages_hold_while_messages_come_in(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 6).await;
    let first = ann.get(&format!("/api/messages/{}?limit=3", bob.id())).await;
    talk(&ann, &bob, 2).await;
    let next = first.next_page().unwrap();
    assert_eq!(first.ok(200), json!(sent[3..]));
    assert_eq!(get(&ann, &next).await, sent[..3]);
}

async fn strangers_see_nothing(target: Target) {
    let (server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 3).await;
    let eve = server.signup().await;
    for other in [&ann, &bob] {
        assert!(eve.conversation(other).await.is_empty());
        let path = format!("/api/messages/{}?before={}", other.id(), id(&sent[2]));
        let reply = eve.get(&path).await;
        if reply.status == 200 {
            assert_eq!(reply.ok(200), json!([]));
        } else {
            assert!([400, 404].contains(&reply.status), "{}", reply.body);
        }
    }
    // A message's or a chat's id is not a user's.
    eve.get(&format!("/api/messages/{}", id(&sent[0]))).await.refused(404, "not_found");
    let chat = eve.get(&format!("/api/messages/{}", sent[0]["chatId"].as_str().unwrap())).await;
    assert!([400, 404].contains(&chat.status), "{}", chat.body);
}

async fn a_cursor_of_another_chat_shows_nothing_of_it(target: Target) {
    let (server, ann, bob) = two(target).await;
    let carol = server.signup().await;
    talk(&ann, &bob, 3).await;
    let other = talk(&ann, &carol, 3).await;
    let reply = ann.get(&format!("/api/messages/{}?before={}", bob.id(), id(&other[2]))).await;
    if reply.status == 200 {
        let listed = reply.ok(200);
        let chat = other[0]["chatId"].clone();
        assert!(listed.as_array().unwrap().iter().all(|message| message["chatId"] != chat), "{listed}");
    } else {
        assert!([400, 404].contains(&reply.status), "{}", reply.body);
    }
}

async fn bad_ids_and_unknown_people(target: Target) {
    let (_server, ann, _bob) = two(target).await;
    for bad in [
        "xyz",
        "123",
        "0123456789abcdef0123456",
        "0123456789abcdef012345678",
        "g123456789abcdef01234567",
        "%00",
        "%F0%9F%98%80",
    ] {
        let path = format!("/api/messages/{bad}");
        ann.get(&path).await.refused(400, "invalid_id");
        ann.post(&format!("/api/messages/send/{bad}"), json!({ "text": "x" }))
            .await
            .refused(400, "invalid_id");
        ann.delete(&path).await.refused(400, "invalid_id");
        ann.post(&format!("{path}/read"), json!({})).await.refused(400, "invalid_id");
    }
    let unknown = "/api/messages/0123456789abcdef01234567";
    ann.get(unknown).await.refused(404, "not_found");
    ann.delete(unknown).await.refused(404, "not_found");
}

async fn a_cursor_has_to_be_an_id(target: Target) {
    let (_server, ann, bob) = two(target).await;
    talk(&ann, &bob, 2).await;
    for bad in ["x", "%00", "[$gt]=", "0123456789abcdef0123456g"] {
        let reply = ann.get(&format!("/api/messages/{}?before={bad}", bob.id())).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    }
}

async fn an_id_may_be_in_upper_case(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 1).await;
    assert_eq!(get(&ann, &format!("/api/messages/{}", bob.id().to_uppercase())).await, sent);
}

async fn survives_a_restart(target: Target) {
    let (mut server, ann, bob) = two(target).await;
    let sent = talk(&ann, &bob, 4).await;
    server.restart().await;
    assert_eq!(ann.conversation(&bob).await, sent);
    assert_eq!(bob.say(&ann, "and on").await["seq"], 5);
}

for_each_target!(
    ascending_and_the_same_from_both_sides,
    each_chat_counts_for_itself,
    nothing_said_is_an_empty_list,
    the_newest_50_unless_told,
    limit_to_200,
    pages_have_each_message_once,
    pages_hold_while_messages_come_in,
    strangers_see_nothing,
    a_cursor_of_another_chat_shows_nothing_of_it,
    bad_ids_and_unknown_people,
    a_cursor_has_to_be_an_id,
    an_id_may_be_in_upper_case,
    survives_a_restart,
);
