//! The data of a Mongoose application, which goes on writing: `tests/js/mongoose-app.mjs` is that application.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

mod app;
mod history;

use std::process::{Output, Stdio};

use chat_tests::{
    DEADLINE, MongoDatabase, Person, SECRETS, Signup, Target, Value, json, shape, tests_on, until,
};
use mongodb::bson::{Bson, doc};
use tokio::process::Command;

use self::{
    app::{App, OLD_KEYS, at, form, ids, login, server_on, texts},
    history::{a_long_history_is_adopted_also_when_it_is_cut, old_messages_stay_before_new_ones},
};

async fn an_application_moves_over(target: Target) {
    let database = MongoDatabase::fresh();
    let app = App { uri: database.uri() };
    let users = app
        .run(
            "users",
            json!([
                { "email": "ann@example.org", "fullName": "Ann", "password": "abc123", "prefix": "$2a$" },
                { "email": "bob@example.org", "fullName": "Bob", "password": "pw-Bob", "prefix": "$2b$" },
                { "email": "cid@example.org", "fullName": "Cid", "password": "pw-Cid",
                  "profilePic": "https://res.cloudinary.com/demo/image/upload/v1/cid.png" },
                { "email": "dee@example.org", "fullName": "Dee", "password": "pw-Dee",
                  "without": ["profilePic", "lastSeen", "isOnline"] },
            ]),
        )
        .await;
    let [ann, bob, cid, dee] = ids(&users).try_into().unwrap();
    // Neither written in their order, nor all in one direction.
    app.messages(&[
        json!({ "from": bob, "to": ann, "text": "two", "form": "gcm", "at": at(2) }),
        json!({ "from": ann, "to": bob, "text": "one: grüße 👋", "form": "cbc", "at": at(1) }),
        json!({ "from": ann, "to": bob, "text": "three", "form": "cryptoJs", "at": at(3) }),
        json!({ "from": cid, "to": ann, "text": "from Cid", "form": "gcm", "at": at(9) }),
        json!({ "from": bob, "to": ann, "image": "https://res.cloudinary.com/demo/image/upload/v1/cat.jpg", "at": at(4) }),
    ])
    .await;

    let server = server_on(target, &app.uri, &OLD_KEYS).await;
    let client = server.client();
    let old = |name: &str, password: &str| Signup { password: password.to_owned(), ..form(name) };
    let ann = Person::login_as(&client, old("Ann", "abc123")).await;
    let wrong = json!({ "email": "ann@example.org", "password": "abc124" });
    client.post("/api/auth/login", wrong).await.refused(401, "invalid_credentials");
    assert_eq!(ann.user["profilePic"], "");
    let (bob, cid, dee_in) =
        (login(&client, "Bob").await, login(&client, "Cid").await, login(&client, "Dee").await);
    assert_eq!([bob.id(), dee_in.id()], [users[1].as_str().unwrap(), dee.as_str()]);
    assert_eq!(cid.user["profilePic"], "https://res.cloudinary.com/demo/image/upload/v1/cid.png");
    assert_eq!(dee_in.user["profilePic"], "");

    // The history, in its order, and as read.
    let history = bob.conversation(&ann).await;
    assert_eq!(texts(&history), [Some("one: grüße 👋"), Some("two"), Some("three"), None]);
    assert_eq!(history[3]["image"], "https://res.cloudinary.com/demo/image/upload/v1/cat.jpg");
    assert_eq!(history[0]["createdAt"], "2023-11-14T22:13:21.000Z");
    let chats = ann.chats().await;
    assert_eq!(shape::texts(&chats, "fullName"), ["Cid", "Bob"]);
    assert_eq!(chats.iter().map(|chat| chat["unread"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 0]);
    let contacts = ann.pages("/api/messages/contacts").await.concat();
    assert_eq!(shape::texts(&contacts, "fullName"), ["Bob", "Cid", "Dee"]);

    // What the server writes, the application reads.
    let sent = ann.say(&bob, "new: grüße 👋").await;
    let answer = bob.say(&ann, "and back").await;
    let to_dee = ann.say(&dee_in, "nice to meet you").await;
    let seen = app.run("conversation", json!({ "a": ann.id(), "b": bob.id() })).await;
    let seen = seen.as_array().unwrap();
    assert_eq!(seen.len(), 6);
    for (message, sent) in seen[4..].iter().zip([&sent, &answer]) {
        for key in ["_id", "senderId", "receiverId", "createdAt", "updatedAt", "isDeleted"] {
            assert_eq!(message[key], sent[key], "{key}");
        }
        assert_eq!(message["chatId"], seen[0]["chatId"], "the application's own name of the chat");
        assert!(message["encryptedText"].as_str().unwrap().starts_with("v1."));
        check_types(message);
    }
    let first = app.run("conversation", json!({ "a": ann.id(), "b": dee })).await;
    assert_eq!(first[0]["_id"], to_dee["_id"]);
    let new = server.signup().await;
    let input = json!({ "email": new.form.email, "password": new.form.password });
    let account = app.run("login", input).await;
    assert_eq!(account["isLoggedIn"], true, "{account}");
    let types = json!({ "_id": "ObjectId", "email": "String", "fullName": "String", "password": "String",
        "profilePic": "String", "lastSeen": "Date", "isOnline": "Boolean", "createdAt": "Date", "updatedAt": "Date" });
    for (name, kind) in types.as_object().unwrap() {
        assert_eq!(account["types"][name], *kind, "{name}: {account}");
    }

    // What the application writes now is news.
    app.messages(&[json!({ "from": bob.id(), "to": ann.id(), "text": "still here", "form": "cbc" })]).await;
    until("the message to appear", || async {
        (texts(&ann.conversation(&bob).await).last() == Some(&Some("still here"))).then_some(())
    })
    .await;
    assert_eq!(shape::seqs(&ann.conversation(&bob).await), [1, 2, 3, 4, 5, 6, 7]);
    let chats = ann.chats().await;
    assert_eq!(shape::texts(&chats, "fullName"), ["Bob", "Dee", "Cid"]);
    // One of them came by the server, since when she has not read.
    assert_eq!(chats[0]["unread"], 2);
    assert_eq!(chats[0]["lastMessage"]["text"], "still here");
    app.run("users", json!([{ "email": "eve@example.org", "fullName": "Eve", "password": "pw-Eve" }])).await;
    login(&client, "Eve").await;
}

/// As Mongoose stores it; more than that there may be.
fn check_types(message: &Value) {
    let types = json!({ "_id": "ObjectId", "senderId": "ObjectId", "receiverId": "ObjectId",
        "encryptedText": "String", "isDeleted": "Boolean", "chatId": "String", "createdAt": "Date",
        "updatedAt": "Date", "__v": "Number" });
    for (name, kind) in types.as_object().unwrap() {
        assert_eq!(message["types"][name], *kind, "{name}: {message}");
    }
}

/// The text of one that the application deleted stays in the database, and nobody sees it.
async fn what_the_application_deletes_is_gone(target: Target) {
    let database = MongoDatabase::fresh();
    let app = App { uri: database.uri() };
    let [ann, bob] = app.users(&["Ann", "Bob"]).await.try_into().unwrap();
    let message = |text: &str, second| json!({ "from": ann, "to": bob, "text": text, "at": at(second) });
    let mut before = message("before", 1);
    before["isDeleted"] = json!(true);
    before["image"] = json!("https://example.org/secret.png");
    let written = app.messages(&[before, message("meanwhile", 2), message("stays", 3)]).await;
    let server = server_on(target, &app.uri, &OLD_KEYS).await;
    let bob = login(&server.client(), "Bob").await;
    let ann = login(&server.client(), "Ann").await;
    assert_eq!(texts(&bob.conversation(&ann).await), [None, Some("meanwhile"), Some("stays")]);
    let deleted = app.run("delete", json!({ "id": written[1] })).await;
    assert!(deleted["encryptedText"].is_string(), "the text is still there: {deleted}");
    let conversation = bob.conversation(&ann).await;
    assert_eq!(texts(&conversation), [None, None, Some("stays")]);
    for message in &conversation[..2] {
        assert_eq!(message["isDeleted"], true);
        assert!(message["image"].is_null(), "{message}");
    }
    // Here, it goes for good.
    let gone = ann.delete(&format!("/api/messages/{}", written[2])).await.ok(200);
    assert_eq!(gone["isDeleted"], true);
    assert_eq!(app.count(doc! { "isDeleted": true, "encryptedText": { "$ne": Bson::Null } }).await, 2);
}

async fn a_text_that_no_key_opens_is_unreadable(target: Target) {
    let database = MongoDatabase::fresh();
    let app = App { uri: database.uri() };
    let [ann, bob] = app.users(&["Ann", "Bob"]).await.try_into().unwrap();
    let forms = ["cbc", "gcm", "cryptoJs", "lost"];
    let messages: Vec<Value> = forms
        .iter()
        .zip(1..)
        .map(|(form, second)| json!({ "from": ann, "to": bob, "text": form, "form": form, "at": at(second) }))
        .collect();
    app.messages(&messages).await;
    // Whose key is not given is no better off than the one whose key is lost.
    for given in 0..=OLD_KEYS.len() {
        let server = server_on(target, &app.uri, &[&SECRETS[..], &OLD_KEYS[..given]].concat()).await;
        let (ann, bob) = (login(&server.client(), "Ann").await, login(&server.client(), "Bob").await);
        for (message, n) in bob.conversation(&ann).await.iter().zip(0..) {
            let is_readable = n < given;
            assert_eq!(message["text"].as_str(), is_readable.then_some(forms[n]), "{given} keys: {message}");
            let unreadable = if is_readable { Value::Null } else { json!(true) };
            assert_eq!(message["unreadable"], unreadable, "{given} keys: {message}");
        }
        assert_eq!(bob.chats().await[0]["lastMessage"]["unreadable"], true);
    }
}

async fn re_encrypted_texts_need_no_old_keys(target: Target) {
    let database = MongoDatabase::fresh();
    let app = App { uri: database.uri() };
    let [ann, bob] = app.users(&["Ann", "Bob"]).await.try_into().unwrap();
    let forms = ["cbc", "gcm", "cryptoJs"];
    let mut messages: Vec<Value> = (0..450)
        .map(|n| json!({ "from": ann, "to": bob, "text": format!("old {n}"), "form": forms[n % 3], "at": at(n as i64) }))
        .collect();
    messages.push(json!({ "from": bob, "to": ann, "text": "?", "form": "lost", "at": at(1000) }));
    app.messages(&messages).await;
    let is_ours = doc! { "encryptedText": { "$regex": "^v1\\." } };

    // Not unless it is told to.
    let server = server_on(target, &app.uri, &[&SECRETS[..], &OLD_KEYS].concat()).await;
    let (ann, bob) = (login(&server.client(), "Ann").await, login(&server.client(), "Bob").await);
    assert_eq!(bob.whole_conversation(&ann).await.len(), 451);
    assert_eq!(app.count(is_ours.clone()).await, 0);
    drop(server);

    let switch = [("LEGACY_REENCRYPT", "on")];
    let server = server_on(target, &app.uri, &[&SECRETS[..], &OLD_KEYS, &switch].concat()).await;
    until("all to be re-encrypted", || async { (app.count(is_ours.clone()).await == 450).then_some(()) })
        .await;
    drop(server);

    let server = server_on(target, &app.uri, &SECRETS).await;
    let all = bob.at(&server).whole_conversation(&ann).await;
    let expected: Vec<String> = (0..450).map(|n| format!("old {n}")).collect();
    assert_eq!(texts(&all)[..450], expected.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>());
    assert_eq!((&all[450]["text"], &all[450]["unreadable"]), (&Value::Null, &json!(true)));
}

async fn emails_that_differ_only_in_case(target: Target) {
    let database = MongoDatabase::fresh();
    let app = App { uri: database.uri() };
    let forms = [("ann@example.org", "pw-one"), ("Ann@Example.org", "pw-two")];
    let input: Vec<Value> = forms
        .iter()
        .map(|(email, password)| json!({ "email": email, "fullName": email, "password": password }))
        .collect();
    let users = ids(&app.run("users", json!(input)).await);
    let server = server_on(target, &app.uri, &OLD_KEYS).await;
    let mut people = Vec::new();
    for ((email, password), id) in forms.iter().zip(&users) {
        let form = Signup {
            email: (*email).to_owned(),
            full_name: (*email).to_owned(),
            password: (*password).to_owned(),
        };
        let person = Person::login_as(&server.client(), form).await;
        assert_eq!((person.id(), &person.user["email"]), (id.as_str(), &json!(email)));
        people.push(person);
    }
    assert_eq!(people[1].say(&people[0], "which of us").await["receiverId"], users[0].as_str());
    until("the log to name them", || async {
        let log = server.log();
        log.lines()
            .any(|line| line.contains("WARN") && forms.iter().all(|(email, _)| line.contains(email)))
            .then_some(())
    })
    .await;
    // No third one.
    for email in ["ann@example.org", "Ann@Example.org", "ANN@EXAMPLE.ORG"] {
        let form = Signup { email: email.to_owned(), ..Signup::random() };
        server.client().post("/api/auth/signup", form.json()).await.refused(409, "email_taken");
    }
    assert_eq!(app.collection("users").await.count_documents(doc! {}).await.unwrap(), 2);
}

async fn an_email_that_is_there_twice_stops_the_start(target: Target) {
    let database = MongoDatabase::fresh();
    let app = App { uri: database.uri() };
    let twins = [form("Ann").json(), form("Ann").json(), form("Bob").json()];
    let twins = ids(&app.run("usersWithoutIndex", json!(twins)).await);
    let output = start(target, &app.uri).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "{said}");
    for part in ["DATABASE_URL", "`users`", "email", "ann@example.org", &twins[0], &twins[1]] {
        assert!(said.contains(part), "{part} is not named: {said}");
    }
    assert!(
        !said.contains("panicked") && !said.contains("bob@example.org") && !said.contains("$2"),
        "{said}"
    );
    // Once it is mended, it starts.
    let twin = mongodb::bson::oid::ObjectId::parse_str(&twins[1]).unwrap();
    app.collection("users").await.delete_one(doc! { "_id": twin }).await.unwrap();
    let server = server_on(target, &app.uri, &OLD_KEYS).await;
    login(&server.client(), "Ann").await;
}

/// A start that has to end by itself.
async fn start(target: Target, uri: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let server = Command::new(target.program())
        .env_clear()
        .envs([("PORT", "0"), ("DATABASE_URL", uri)])
        .env("DATA_DIR", dir.path().join("data"))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(DEADLINE, server).await.expect("the start ends").unwrap()
}

tests_on!(
    axum_mongo = AxumMongo: an_application_moves_over,
    what_the_application_deletes_is_gone,
    a_text_that_no_key_opens_is_unreadable,
    re_encrypted_texts_need_no_old_keys,
    emails_that_differ_only_in_case,
    an_email_that_is_there_twice_stops_the_start,
    a_long_history_is_adopted_also_when_it_is_cut,
    old_messages_stay_before_new_ones,
);
