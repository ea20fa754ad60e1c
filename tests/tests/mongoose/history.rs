//! A history of thousands of messages: numbered in its order, also when that is cut off, and before what comes now.

use chat_tests::{MongoServer, Person, Server, Target, Value, json, shape, until};
use mongodb::bson::{Bson, doc};

use crate::app::{App, OLD_KEYS, at, login, server_on, texts};

const CHATS: usize = 5;
const EACH: usize = 600;

/// Several chats of one person with others, thousands of messages, and the text of each is its place in its chat.
async fn long_history(app: &App) {
    let names = ["Me", "A", "B", "C", "D", "E"];
    let users = app.users(&names[..=CHATS]).await;
    let mut messages = Vec::new();
    for place in 0..EACH {
        for partner in 1..=CHATS {
            let (from, to) = if place % 3 == 0 { (partner, 0) } else { (0, partner) };
            // Some share a moment: then it is the order in which they were written.
            let at = at(i64::try_from(place / 2 * 2 + partner).unwrap());
            messages.push(json!({ "from": users[from], "to": users[to], "text": place.to_string(),
                "form": if place % 2 == 0 { "cbc" } else { "gcm" }, "at": at }));
        }
    }
    // Nobody promises that a collection is in the order of time: the second half comes first.
    let later = messages.split_off(messages.len() / 2);
    app.messages(&later).await;
    app.messages(&messages).await;
}

/// Everybody's conversation with the first.
async fn all_chats(server: &Server) -> Vec<Vec<Value>> {
    let me = login(&server.client(), "Me").await;
    let mut all = Vec::new();
    for name in &["A", "B", "C", "D", "E"][..CHATS] {
        let partner = login(&server.client(), name).await;
        all.push(partner.whole_conversation(&me).await);
    }
    all
}

/// The history of a chat is whole, in its order, and what was sent since follows it.
fn check_history(chat: &[Value], sent: usize) {
    assert_eq!(shape::seqs(chat), (1..=(EACH + sent) as u64).collect::<Vec<_>>());
    let places: Vec<String> = (0..EACH).map(|place| place.to_string()).collect();
    assert_eq!(texts(&chat[..EACH]), places.iter().map(|place| Some(place.as_str())).collect::<Vec<_>>());
    let times: Vec<&str> = shape::texts(chat, "createdAt");
    assert!(times.is_sorted(), "time runs backwards");
}

async fn slow_down(mongo: &MongoServer, millis: i32) {
    let admin = mongodb::Client::with_uri_str(mongo.uri("admin")).await.unwrap();
    let mode = if millis > 0 { "alwaysOn" } else { "off" };
    let data = doc! { "failCommands": ["update"], "blockConnection": true, "blockTimeMS": millis };
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    admin.database("admin").run_command(command).await.unwrap();
}

pub(super) async fn a_long_history_is_adopted_also_when_it_is_cut(target: Target) {
    let mongo = MongoServer::start();
    let app = App { uri: mongo.uri("chat") };
    long_history(&app).await;
    let total = (CHATS * EACH) as u64;
    slow_down(&mongo, 150).await;
    let mut server = server_on(target, &app.uri, &OLD_KEYS).await;
    let adopted = || app.count(doc! { "seq": { "$exists": true } });
    for kills in 0..3 {
        let before = adopted().await;
        until("the next messages to be adopted", || async { (adopted().await > before).then_some(()) }).await;
        server.kill().await;
        let after = adopted().await;
        assert!(after < total, "all are adopted before kill {kills}");
        server.restart().await;
    }
    slow_down(&mongo, 0).await;
    until("all to be adopted", || async { (adopted().await == total).then_some(()) }).await;
    for chat in all_chats(&server).await {
        check_history(&chat, 0);
    }
    let me = login(&server.client(), "Me").await;
    assert!(me.chats().await.iter().all(|chat| chat["unread"] == 0), "the history counts as read");
}

/// Sends as an honest client does: a chat that is busy with its history may refuse for now.
async fn say_patiently(from: &Person, to: &Person, text: String) -> Value {
    let body = json!({ "text": text, "clientId": format!("{} {text}", to.id()) });
    let inbox = to.inbox();
    let reply = until("a message to be taken", || {
        let reply = from.post(&inbox, body.clone());
        async {
            let reply = reply.await;
            (reply.status != 503).then_some(reply)
        }
    })
    .await;
    assert!([200, 201].contains(&reply.status), "{}", reply.body);
    reply.body["data"].clone()
}

/// Whoever writes into a chat whose history is on its way writes after it.
pub(super) async fn old_messages_stay_before_new_ones(target: Target) {
    const NEW: usize = 20;
    let mongo = MongoServer::start();
    let app = App { uri: mongo.uri("chat") };
    long_history(&app).await;
    slow_down(&mongo, 100).await;
    let server = server_on(target, &app.uri, &OLD_KEYS).await;
    let me = login(&server.client(), "Me").await;
    let mut sent = Vec::new();
    let mut was_amid = false;
    for name in &["E", "D", "C", "B", "A"][..CHATS] {
        let partner = login(&server.client(), name).await;
        was_amid |= app.count(doc! { "seq": Bson::Null }).await > 0;
        let send = |n: usize| say_patiently(&me, &partner, format!("new {n}"));
        sent.push(futures_util::future::join_all((0..NEW).map(send)).await);
    }
    assert!(was_amid, "all was adopted before the first message was sent");
    slow_down(&mongo, 0).await;
    let mut chats = all_chats(&server).await;
    chats.reverse();
    for (chat, sent) in chats.iter().zip(sent) {
        check_history(chat, NEW);
        for message in sent {
            assert!(chat[EACH..].contains(&message), "answered, and not there as it was");
        }
    }
}
