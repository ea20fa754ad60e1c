//! GET /api/messages/contacts and /api/messages/chats: order, pages, fields, unread counts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use std::collections::BTreeSet;

use chat_tests::{Person, Server, Signup, Target, Value, for_each_target, json, next_millisecond, shape};
use futures_util::{StreamExt as _, stream};

const CONTACTS: &str = "/api/messages/contacts";
const CHATS: &str = "/api/messages/chats";

async fn people(server: &Server, names: &[&str]) -> Vec<Person> {
    let client = server.client();
    stream::iter(names)
        .map(|name| {
            let client = client.clone();
            let form = Signup { full_name: (*name).to_owned(), ..Signup::random() };
            async move { Person::signup_as(&client, form).await }
        })
        .buffered(2)
        .collect()
        .await
}

async fn everyone_but_me_by_name(target: Target) {
    let server = target.start().await;
    let all = people(&server, &["delta", "Alpha", "charlie", "Bravo"]).await;
    let contacts = all[0].get(CONTACTS).await.ok(200);
    let contacts = contacts.as_array().unwrap();
    contacts.iter().for_each(shape::user);
    assert_eq!(shape::texts(contacts, "fullName"), ["Alpha", "Bravo", "charlie"]);
}

async fn alone_there_is_nobody(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let reply = ann.get(CONTACTS).await;
    assert!(reply.next_page().is_none());
    assert_eq!(reply.ok(200), json!([]));
    assert_eq!(ann.get(CHATS).await.ok(200), json!([]));
}

async fn pages_have_each_contact_once(target: Target) {
    let server = target.start().await;
    // Equal names, too: the order between them has to hold from page to page.
    let mut names: Vec<String> = (0..15).map(|i| format!("Name {i:02}")).collect();
    names.extend((0..8).map(|_| "Same Name".to_owned()));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = people(&server, &names).await;
    let me = server.signup().await;
    let expected: BTreeSet<&str> = all.iter().map(Person::id).collect();
    for limit in [1, 4, 23, 24] {
        let pages = me.pages(&format!("{CONTACTS}?limit={limit}")).await;
        assert!(pages.iter().all(|page| page.len() <= limit), "limit {limit}");
        assert_eq!(pages[0].len(), limit.min(23));
        let listed: Vec<Value> = pages.into_iter().flatten().collect();
        let ids = shape::texts(&listed, "_id");
        assert_eq!(ids.len(), 23, "limit {limit}");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected, "limit {limit}");
        let order = shape::texts(&listed, "fullName");
        assert!(order.is_sorted(), "{order:?}");
    }
}

async fn who_is_searched_for(target: Target) {
    let server = target.start().await;
    let names = ["Ann Lee", "ann Õ&=", "Anna", "Bob", "Annbel", "%", "Zoé", "ANN"];
    let all = people(&server, &names).await;
    let me = server.signup().await;
    let find = async |search: &str, limit: usize| {
        let query: String = url::form_urlencoded::byte_serialize(search.as_bytes()).collect();
        me.pages(&format!("{CONTACTS}?limit={limit}&search={query}")).await
    };
    let found = async |search: &str| {
        let found = find(search, 50).await.concat();
        found.iter().for_each(shape::user);
        shape::texts(&found, "fullName").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("aNN").await, ["ANN", "Ann Lee", "ann Õ&=", "Anna", "Annbel"]);
    assert_eq!(found("ann ").await, ["Ann Lee", "ann Õ&="]);
    assert_eq!(found("ANN õ&=").await, ["ann Õ&="]);
    assert_eq!(found("zoÉ").await, ["Zoé"]);
    assert_eq!(found("%").await, ["%"]);
    for nobody in ["nobody", "ee", "_", ".*", "\u{0}", &"é".repeat(254)] {
        assert_eq!(found(nobody).await, [""; 0], "{nobody}");
    }
    assert_eq!(found("").await.len(), all.len(), "empty is absent");
    // By e-mail: the whole of it, without case; and never oneself.
    let bobs = &all[3].form.email;
    assert_eq!(found(&bobs.to_uppercase()).await, ["Bob"]);
    assert_eq!(found(&bobs[..bobs.len() - 1]).await, [""; 0]);
    assert_eq!(found(&me.form.email).await, [""; 0]);
    assert_eq!(found(&me.form.full_name).await, [""; 0]);
    // The further pages are of the same search.
    for limit in [1, 2, 5] {
        let pages = find("Ann", limit).await;
        assert!(pages.iter().all(|page| (1..=limit).contains(&page.len())), "limit {limit}");
        let ids: Vec<Value> = pages.concat().iter().map(|user| user["_id"].clone()).collect();
        let expected = [7, 0, 1, 2, 4].map(|n: usize| json!(all[n].id()));
        assert_eq!(ids, expected, "limit {limit}");
    }
    me.get(&format!("{CONTACTS}?search={}", "x".repeat(255))).await.invalid(&["search"]);
}

async fn a_limit_is_a_small_positive_number(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    ann.say(&bob, "hi").await;
    for path in [CONTACTS, CHATS] {
        for bad in ["0", "-1", "x", "1.5", "99999999999999999999"] {
            ann.get(&format!("{path}?limit={bad}")).await.invalid(&["limit"]);
        }
        for bad in ["x", "%00", "'", "%7B%22$gt%22:%22%22%7D"] {
            assert_eq!(ann.get(&format!("{path}?after={bad}")).await.status, 400, "{path} after {bad}");
        }
    }
}

async fn chats_latest_first_with_their_last_message(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let others = people(&server, &["Bob", "Carol", "Dave"]).await;
    for (i, other) in others.iter().enumerate() {
        ann.say(other, &format!("first to {i}")).await;
        next_millisecond().await;
    }
    others[0].say(&ann, "the newest of all").await;
    let chats = ann.chats().await;
    assert_eq!(shape::texts(&chats, "fullName"), ["Bob", "Dave", "Carol"]);
    assert_eq!(chats[0]["lastMessage"]["text"], "the newest of all");
    assert_eq!(chats[0]["lastMessage"]["senderId"], others[0].id());
    assert_eq!(chats[2]["lastMessage"]["text"], "first to 1");
    assert_eq!(chats[0]["chatId"], chats[0]["lastMessage"]["chatId"]);
    assert_eq!(chats[0]["email"], others[0].form.email);
    // The same chat from the other side.
    let theirs = others[0].chats().await;
    assert_eq!(theirs.len(), 1);
    assert_eq!((&theirs[0]["_id"], &theirs[0]["chatId"]), (&json!(ann.id()), &chats[0]["chatId"]));
}

async fn a_deleted_last_message_shows_nothing(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    let message = ann.say(&bob, "a mistake").await;
    let _ = ann.delete(&format!("/api/messages/{}", message["_id"].as_str().unwrap())).await.ok(200);
    for person in [&ann, &bob] {
        let chats = person.chats().await;
        assert_eq!(chats[0]["lastMessage"]["isDeleted"], true);
        assert!(!json!(chats).to_string().contains("a mistake"));
    }
}

async fn chats_are_paged(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let others = people(&server, &["A", "B", "C", "D", "E", "F", "G"]).await;
    for other in &others {
        ann.say(other, "hi").await;
        next_millisecond().await;
    }
    let pages = ann.pages(&format!("{CHATS}?limit=3")).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let chats: Vec<Value> = pages.into_iter().flatten().collect();
    chats.iter().for_each(shape::chat);
    assert_eq!(shape::texts(&chats, "fullName"), ["G", "F", "E", "D", "C", "B", "A"]);
}

async fn a_chat_concerns_only_its_two(target: Target) {
    let server = target.start().await;
    let (ann, bob, eve) = (server.signup().await, server.signup().await, server.signup().await);
    ann.say(&bob, "between us").await;
    assert!(eve.chats().await.is_empty());
    assert_eq!((ann.chats().await.len(), bob.chats().await.len()), (1, 1));
}

async fn read(reader: &Person, partner: &Person, body: Value) -> (u64, u64) {
    let answer = reader.post(&format!("/api/messages/{}/read", partner.id()), body).await.ok(200);
    let mut keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["chatId", "seq", "unread"]);
    assert_eq!(answer["chatId"], reader.chats().await[0]["chatId"]);
    (answer["seq"].as_u64().unwrap(), answer["unread"].as_u64().unwrap())
}

async fn unread_counts_until_read(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    for text in ["1", "2", "3"] {
        bob.say(&ann, text).await;
    }
    assert_eq!((ann.unread(&bob).await, bob.unread(&ann).await), (3, 0));
    assert_eq!(ann.conversation(&bob).await.len(), 3);
    assert_eq!(ann.unread(&bob).await, 3, "a GET marks nothing");
    assert_eq!(read(&ann, &bob, json!({ "seq": 1 })).await, (1, 2));
    assert_eq!(ann.unread(&bob).await, 2);
    assert_eq!(read(&ann, &bob, json!({})).await, (3, 0));
    assert_eq!(ann.unread(&bob).await, 0);
    bob.say(&ann, "4").await;
    assert_eq!((ann.unread(&bob).await, bob.unread(&ann).await), (1, 0));
}

async fn the_watermark_never_goes_back(target: Target) {
    let mut server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    for text in ["1", "2", "3"] {
        bob.say(&ann, text).await;
    }
    assert_eq!(read(&ann, &bob, json!({ "seq": 3 })).await, (3, 0));
    assert_eq!(read(&ann, &bob, json!({ "seq": 1 })).await, (3, 0));
    assert_eq!(read(&ann, &bob, json!({ "seq": 1 })).await, (3, 0));
    assert_eq!(ann.unread(&bob).await, 0);
    server.restart().await;
    assert_eq!(ann.unread(&bob).await, 0);
}

async fn reading_ahead_does_not_read_what_is_to_come(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    bob.say(&ann, "1").await;
    let path = format!("/api/messages/{}/read", bob.id());
    let reply = ann.post(&path, json!({ "seq": 1000 })).await;
    if reply.status == 200 {
        assert_eq!(reply.ok(200)["seq"], 1);
    } else {
        reply.invalid(&["seq"]);
    }
    bob.say(&ann, "2").await;
    assert!(ann.unread(&bob).await >= 1);
    for wrong in [json!("1"), json!(-1), json!(1.5), json!([]), json!(true)] {
        ann.post(&path, json!({ "seq": wrong })).await.invalid(&["seq"]);
    }
}

async fn sending_is_reading(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    bob.say(&ann, "1").await;
    assert_eq!(ann.unread(&bob).await, 1);
    ann.say(&bob, "2").await;
    assert_eq!((ann.unread(&bob).await, bob.unread(&ann).await), (0, 1));
}

async fn reading_with_nobody(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    ann.post("/api/messages/0123456789abcdef01234567/read", json!({})).await.refused(404, "not_found");
    ann.post("/api/messages/xyz/read", json!({})).await.refused(400, "invalid_id");
}

async fn unread_survives_a_restart(target: Target) {
    let mut server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    bob.say(&ann, "1").await;
    bob.say(&ann, "2").await;
    let _ = read(&ann, &bob, json!({ "seq": 1 })).await;
    server.restart().await;
    assert_eq!(ann.unread(&bob).await, 1);
}

for_each_target!(
    everyone_but_me_by_name,
    alone_there_is_nobody,
    pages_have_each_contact_once,
    who_is_searched_for,
    a_limit_is_a_small_positive_number,
    chats_latest_first_with_their_last_message,
    a_deleted_last_message_shows_nothing,
    chats_are_paged,
    a_chat_concerns_only_its_two,
    unread_counts_until_read,
    the_watermark_never_goes_back,
    reading_ahead_does_not_read_what_is_to_come,
    sending_is_reading,
    reading_with_nobody,
    unread_survives_a_restart,
);
