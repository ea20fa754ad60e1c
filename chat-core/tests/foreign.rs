//! A store that another program wrote to: its texts are read, shown as unreadable, and re-encrypted.
#![cfg(all(feature = "sqlite", feature = "foreign-text"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a failed test")]

use std::path::PathBuf;

use chat_core::{
    BuildError, ChatId, ChatService, ChatServiceBuilder, MessageId, Timestamp, UserId,
    encryption::{
        Binding, KeyRing, RotationReport,
        foreign::{Aes256Key, AesCbc, AesGcm, CryptoJs},
    },
    messages::{Draft, Message, To},
    store::{
        Messages, NewMessage, Notes, SqliteStore, Store, UserRecord, Users, conformance::fixtures::person,
    },
};
use tempfile::TempDir;

// By Node.js and crypto-js, as the vectors of the unit tests.
const KEY: &str = "an old key of exactly 32 bytes!!";
const PASSPHRASE: &str = "an old passphrase: öß";
const CBC: &str = "f6b5b08a5bd5fc2e9b110be7b5b07daf:08ffacfe31fa35c8a8567607dd7d3f52";
const GCM: &str = "172853bb6a71b4a281ecb788:0a22b6ac450ea55ff7e4ef400d358822:e9b399377fac0530456c582e";
const GCM_BASE64: &str = "N5wwlcRRY2UilO4I7EPUjQ==:75dZnRcKrkdugtk4ieVxtg==:5uzLk+kFYQW6bwGg";
const GCM_OF_NOTHING: &str = "89df9e5d0793dc30acf802f1:ebbfc624beac43ffbbd9a57d85912fe7:";
const CRYPTO_JS: &str = "U2FsdGVkX19got7DQsGwKaihHsKcrfNrZRiIrHiW/Rs=";
const TEXT: &str = "Hello, world";

/// Two people and a database, in a folder.
struct Home {
    folder: TempDir,
    ann: UserId,
    bob: UserId,
}

impl Home {
    /// As the other program leaves it: accounts, and messages with these bodies.
    async fn with(bodies: &[Option<&str>]) -> Self {
        let now = Timestamp::now();
        let [ann, bob] = [UserId::generate(now), UserId::generate(now)];
        let home = Self { folder: tempfile::tempdir().unwrap(), ann, bob };
        let store = home.store().await;
        for (id, name) in [(ann, "ann"), (bob, "bob")] {
            let user = UserRecord { id, ..person(&format!("{name}@example.org"), name) };
            store.insert_user(&user).await.unwrap();
        }
        home.append(&store, bodies).await;
        store.close().await.unwrap();
        home
    }

    async fn append(&self, store: &SqliteStore, bodies: &[Option<&str>]) {
        let now = Timestamp::now();
        let message = |body: &Option<&str>| NewMessage {
            id: MessageId::generate(now),
            chat_id: ChatId::direct(self.ann, self.bob),
            sender_id: self.ann,
            receiver_id: Some(self.bob),
            body: body.map(str::to_owned),
            image: Some("https://example.org/picture.png".to_owned()),
            client_id: None,
            at: now,
            reply_to: None,
        };
        for outcome in store.append(bodies.iter().map(message).collect()).await {
            outcome.unwrap();
        }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("old.db")
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::open(self.database()).await.unwrap()
    }

    async fn builder(&self) -> ChatServiceBuilder {
        let builder = ChatService::builder().data_dir(self.folder.path()).store(self.store().await);
        builder.dangerous_bcrypt_cost(4)
    }

    /// A service that knows the other program's keys.
    async fn chat(&self) -> ChatService {
        let key = || Aes256Key::parse(KEY).unwrap();
        let builder = self.builder().await.foreign_text(AesCbc::new(key())).foreign_text(AesGcm::new(key()));
        builder.foreign_text(CryptoJs::new(PASSPHRASE)).build().await.unwrap()
    }

    /// A service that does not.
    async fn chat_without_decoders(&self) -> ChatService {
        self.builder().await.build().await.unwrap()
    }

    async fn conversation(&self, chat: &ChatService) -> Vec<Message> {
        chat.messages().conversation(self.bob, self.ann, None, 500).await.unwrap().items
    }

    /// What is seen of each message: its text, and whether it is said to be unreadable.
    async fn seen(&self, chat: &ChatService) -> Vec<(Option<String>, bool)> {
        let messages = self.conversation(chat).await;
        messages.into_iter().map(|message| (message.text, message.unreadable)).collect()
    }

    /// The bodies as they are stored.
    async fn bodies(&self) -> Vec<Option<String>> {
        let store = self.store().await;
        let page = store.page(ChatId::direct(self.ann, self.bob), None, 500).await.unwrap();
        store.close().await.unwrap();
        page.into_iter().map(|record| record.body).collect()
    }

    fn lose_the_keys(&self) {
        std::fs::remove_file(self.folder.path().join("encryption-keys")).unwrap();
    }

    async fn assert_refused(&self) {
        let refused = self.builder().await.build().await.unwrap_err();
        assert!(matches!(refused, BuildError::Secret(_)), "{refused}");
        assert!(refused.to_string().contains("encryption-keys is missing"), "{refused}");
    }
}

fn text(text: &str) -> (Option<String>, bool) {
    (Some(text.to_owned()), false)
}

const NO_TEXT: (Option<String>, bool) = (None, false);
const UNREADABLE: (Option<String>, bool) = (None, true);

#[tokio::test]
async fn each_form_is_read_and_the_rest_is_unreadable() {
    let forms = [CBC, GCM, GCM_BASE64, CRYPTO_JS, GCM_OF_NOTHING, "", "plain text", "00:11"];
    let home = Home::with(&forms.map(Some)).await;
    home.chat().await.shutdown().await;
    let store = home.store().await;
    home.append(&store, &[Some("v1.lost.AAAA")]).await;
    store.close().await.unwrap();

    let chat = home.chat().await;
    let expected = [vec![text(TEXT); 4], vec![NO_TEXT; 2], vec![UNREADABLE; 3]];
    assert_eq!(home.seen(&chat).await, expected.concat());

    let last = chat.messages().chats(home.bob, None, 1).await.unwrap().items.remove(0).last_message;
    assert!(last.unwrap().unreadable, "in the list of chats as well");
    let first = home.conversation(&chat).await.remove(0);
    let binding = Binding { chat: first.chat_id, message: first.id, sender: first.sender_id };
    assert_eq!(chat.encryption().open(&binding, CBC).as_deref(), Ok(TEXT));
    chat.shutdown().await;

    let chat = home.chat_without_decoders().await;
    let unreadable = [vec![UNREADABLE; 5], vec![NO_TEXT], vec![UNREADABLE; 3]];
    assert_eq!(home.seen(&chat).await, unreadable.concat());
    chat.shutdown().await;
}

#[tokio::test]
async fn rotate_seals_what_is_read_and_leaves_the_rest() {
    // More than a step of the walk.
    let mut bodies = [CBC, GCM, GCM_BASE64, CRYPTO_JS].repeat(60);
    bodies.extend(["", "plain text", "00:11"]);
    let home = Home::with(&bodies.iter().copied().map(Some).chain([None]).collect::<Vec<_>>()).await;

    let chat = home.chat().await;
    chat.messages().send(home.ann, To::User(home.bob), Draft::text("ours")).await.unwrap();
    let seen = home.conversation(&chat).await;
    let report = chat.encryption().rotate().await.unwrap();
    assert_eq!(report, RotationReport { seen: 245, rewritten: 240, unreadable: 2 });
    assert_eq!(home.conversation(&chat).await, seen, "nobody sees a difference");
    chat.shutdown().await;

    // The other program may have written more since: the next walk finds that.
    let store = home.store().await;
    home.append(&store, &[Some(GCM)]).await;
    store.close().await.unwrap();
    let chat = home.chat().await;
    let report = chat.encryption().rotate().await.unwrap();
    assert_eq!(report, RotationReport { seen: 246, rewritten: 1, unreadable: 2 });
    chat.shutdown().await;

    let stored = home.bodies().await;
    assert!(stored[..240].iter().flatten().all(|body| body.starts_with("v1.")));
    let left: Vec<_> = stored[240..244].iter().map(Option::as_deref).collect();
    assert_eq!(left, [Some(""), Some("plain text"), Some("00:11"), None]);

    let chat = home.chat_without_decoders().await;
    let rest = [NO_TEXT, UNREADABLE, UNREADABLE, NO_TEXT, text("ours"), text(TEXT)];
    assert_eq!(home.seen(&chat).await, [vec![text(TEXT); 240], rest.to_vec()].concat());
    chat.shutdown().await;
}

#[tokio::test]
async fn without_a_decoder_rotate_changes_nothing() {
    let home = Home::with(&[Some(CBC), Some(GCM), Some("")]).await;
    let before = home.bodies().await;
    let chat = home.chat_without_decoders().await;
    let report = chat.encryption().rotate().await.unwrap();
    assert_eq!(report, RotationReport { seen: 3, rewritten: 0, unreadable: 2 });
    chat.shutdown().await;
    assert_eq!(home.bodies().await, before);
}

#[tokio::test]
async fn a_store_that_only_another_program_wrote_to_gets_a_key() {
    // Pictures without a text say nothing, however many they are.
    let home = Home::with(&[[None, Some("")].repeat(100), vec![Some(CBC)]].concat()).await;
    let chat = home.chat().await;
    assert_eq!(home.seen(&chat).await[200], text(TEXT));
    chat.shutdown().await;
    // And keeps it: from now on it is in use, also before the first message of ours.
    home.chat().await.shutdown().await;
    home.lose_the_keys();
    home.assert_refused().await;
}

#[tokio::test]
async fn a_store_from_before_the_note_is_known_by_its_texts() {
    let sealed = {
        let keys = KeyRing::parse(&KeyRing::generate()).unwrap();
        let now = Timestamp::now();
        let [sender, receiver] = [UserId::generate(now), UserId::generate(now)];
        let chat = ChatId::direct(sender, receiver);
        keys.seal(&Binding { chat, message: MessageId::generate(now), sender }, "sealed")
    };
    for bodies in [
        vec![Some(sealed.as_str())],
        vec![Some(CBC), Some(&sealed)],
        [vec![None; 250], vec![Some(sealed.as_str())]].concat(),
    ] {
        Home::with(&bodies).await.assert_refused().await;
    }
}

#[tokio::test]
async fn the_note_is_written_once() {
    let home = Home::with(&[]).await;
    home.chat().await.shutdown().await;
    let note = async || {
        let store = home.store().await;
        let note = store.note("encryption.in_use").await.unwrap();
        (store, note)
    };
    let (store, written) = note().await;
    assert!(written.is_some());
    store.put_note("encryption.in_use", "written before").await.unwrap();
    store.close().await.unwrap();
    home.chat().await.shutdown().await;
    assert_eq!(note().await.1.as_deref(), Some("written before"));
}
