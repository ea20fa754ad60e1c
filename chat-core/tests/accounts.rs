//! Mails, links, passwords and sessions, on a real store, through a mailer that writes down what it is given.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chat_core::{
    ChatService, ChatServiceBuilder, Code, Timestamp,
    auth::{Credentials, Device, SignUp, SignedIn},
    events::CloseReason,
    mail::{Letter, Mail, MailContent, MailError, MailKind, MailTemplates, Mailer},
    store::{Outbox, SqliteStore},
};
use tokio::sync::Notify;

const PASSWORD: &str = "correct horse battery";
const EMAIL: &str = "ann@example.org";

/// Writes down what it is given, and answers what it is told to.
#[derive(Debug, Default, Clone)]
struct Post(Arc<Office>);

#[derive(Debug, Default)]
struct Office {
    letters: Mutex<Vec<Letter>>,
    /// How many it takes only later, or never.
    later: Mutex<u32>,
    refuses: Mutex<bool>,
    came: Notify,
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        self.0.letters.lock().unwrap().push(letter.clone());
        self.0.came.notify_waiters();
        if *self.0.refuses.lock().unwrap() {
            return Err(MailError::Refused("no".into()));
        }
        let mut later = self.0.later.lock().unwrap();
        if *later > 0 {
            *later -= 1;
            return Err(MailError::Later { after: None, source: "not now".into() });
        }
        Ok(())
    }
}

impl Post {
    fn letters(&self) -> Vec<Letter> {
        self.0.letters.lock().unwrap().clone()
    }

    fn subjects(&self) -> Vec<String> {
        self.letters().into_iter().map(|letter| letter.content.subject).collect()
    }

    /// Waits until so many were handed over.
    async fn wait(&self, count: usize) -> Vec<Letter> {
        let came = async {
            loop {
                let more = self.0.came.notified();
                let letters = self.letters();
                if letters.len() >= count {
                    return letters;
                }
                // Between the look and the wait one may have come.
                let _ = tokio::time::timeout(Duration::from_millis(100), more).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), came).await.expect("no more mail comes")
    }

    /// The token in the link of the last one.
    async fn token(&self, count: usize) -> String {
        let letters = self.wait(count).await;
        let text = &letters.last().unwrap().content.text;
        text.split_once("#token=").expect("a link").1.to_owned()
    }
}

/// The kind as subject, and the link as text.
#[derive(Debug)]
struct Plain;

impl MailTemplates for Plain {
    fn content(&self, mail: &Mail) -> MailContent {
        let text = match &mail.kind {
            MailKind::VerifyEmail(link) | MailKind::ResetPassword(link) => link.url.clone(),
            _ => mail.name.clone(),
        };
        MailContent { subject: format!("{:?}", mail.kind), html: String::new(), text }
    }
}

fn builder(folder: &std::path::Path, post: &Post) -> ChatServiceBuilder {
    ChatService::builder()
        .data_dir(folder)
        .dangerous_bcrypt_cost(4)
        .mailer(post.clone())
        .mail_templates(Plain)
        .client_url("https://app.example.org/")
}

async fn service() -> (ChatService, Post, tempfile::TempDir) {
    let (folder, post) = (tempfile::tempdir().unwrap(), Post::default());
    (builder(folder.path(), &post).build().await.unwrap(), post, folder)
}

fn ann() -> SignUp {
    SignUp {
        email: EMAIL.into(),
        full_name: "Ann".into(),
        password: PASSWORD.into(),
        device: Device { address: Some("2001:db8::1".parse().unwrap()), user_agent: Some("Lynx/2.9".into()) },
    }
}

async fn log_in(chat: &ChatService, password: &str) -> chat_core::Result<SignedIn> {
    let credentials =
        Credentials { email: EMAIL.into(), password: password.into(), ..Credentials::default() };
    chat.auth().log_in(credentials).await
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: chat_core::Result<T>, code: Code) {
    assert_eq!(result.expect_err("refused").code(), code);
}

#[tokio::test]
async fn a_welcome_comes_once_and_again_only_when_it_was_not_taken() {
    let (chat, post, folder) = service().await;
    *post.0.later.lock().unwrap() = 2;
    chat.auth().sign_up(ann()).await.unwrap();
    let letters = post.wait(3).await;
    assert!(letters.iter().all(|letter| *letter == letters[0]), "the same, under the same key");
    assert_eq!((letters[0].to.as_str(), letters[0].content.subject.as_str()), (EMAIL, "Welcome"));
    refused(chat.auth().sign_up(ann()).await, Code::EmailTaken);
    chat.shutdown().await;
    assert_eq!(chat.stats().outbox_done, 1);
    assert_eq!(chat.stats().outbox_failed, 2);

    let chat = builder(folder.path(), &post).build().await.unwrap();
    chat.shutdown().await;
    assert_eq!(post.letters().len(), 3, "a restart sends nothing again");
    let store = SqliteStore::open(folder.path().join("chat.db")).await.unwrap();
    let later = Timestamp::now().plus(Duration::from_secs(24 * 3600));
    assert_eq!(store.claim_outbox(later, later, 10).await.unwrap(), [], "nor later");
}

#[tokio::test]
async fn what_is_refused_is_given_up() {
    let (chat, post, _folder) = service().await;
    *post.0.refuses.lock().unwrap() = true;
    chat.auth().sign_up(ann()).await.unwrap();
    post.wait(1).await;
    chat.shutdown().await;
    assert_eq!((chat.stats().outbox_given_up, post.letters().len()), (1, 1));
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_once() {
    let (chat, post, _folder) = service().await;
    let before = chat.auth().sign_up(ann()).await.unwrap();
    let mut connection = chat.events().connect(&before.session);
    chat.auth().forgot_password(" Ann@Example.ORG ").await.unwrap();
    let (first, second) = (post.token(2).await, {
        chat.auth().forgot_password(EMAIL).await.unwrap();
        post.token(3).await
    });
    assert!(post.letters()[1].content.text.starts_with("https://app.example.org/reset-password#token="));

    refused(chat.auth().reset_password(&first, "short".into()).await, Code::ValidationFailed);
    refused(chat.auth().reset_password(&first, "password1".into()).await, Code::ValidationFailed);
    refused(chat.auth().reset_password(&first, EMAIL.into()).await, Code::ValidationFailed);
    refused(
        chat.auth().reset_password(before.token.as_str(), "a fine new one".into()).await,
        Code::InvalidLink,
    );
    refused(chat.auth().verify_email(&first).await, Code::InvalidLink);
    refused(chat.auth().authenticate(&first), Code::Unauthenticated);
    let tampered = format!("{}x", &first[..first.len() - 1]);
    refused(chat.auth().reset_password(&tampered, "a fine new one".into()).await, Code::InvalidLink);
    chat.auth().authenticate(before.token.as_str()).expect("nothing has happened yet");

    chat.auth().reset_password(&first, "a fine new one".into()).await.unwrap();
    for used in [&first, &second] {
        refused(chat.auth().reset_password(used, "yet another one".into()).await, Code::InvalidLink);
    }
    refused(chat.auth().authenticate(before.token.as_str()), Code::Unauthenticated);
    while connection.next().await.is_some() {}
    assert_eq!(connection.close_reason(), Some(CloseReason::SignedOut));
    refused(log_in(&chat, PASSWORD).await, Code::InvalidCredentials);
    log_in(&chat, "a fine new one").await.unwrap();
    post.wait(4).await;
    assert_eq!(post.subjects(), ["Welcome", "ResetPassword", "ResetPassword", "PasswordChanged"]);
    chat.shutdown().await;
}

#[tokio::test]
async fn links_at_the_same_moment_set_one_password() {
    let (chat, post, _folder) = service().await;
    chat.auth().sign_up(ann()).await.unwrap();
    chat.auth().forgot_password(EMAIL).await.unwrap();
    let token = post.token(2).await;
    let set = async |n: u32| chat.auth().reset_password(&token, format!("new password {n}")).await.is_ok();
    let (a, b, c) = tokio::join!(set(0), set(1), set(2));
    assert_eq!([a, b, c].into_iter().filter(|set| *set).count(), 1);
    chat.shutdown().await;
}

#[tokio::test]
async fn nobody_gets_no_mail_and_the_same_answer() {
    let (chat, post, _folder) = service().await;
    chat.auth().forgot_password("nobody@example.org").await.unwrap();
    chat.auth().send_verification("nobody@example.org").await.unwrap();
    chat.auth().sign_up(ann()).await.unwrap();
    chat.auth().send_verification(EMAIL).await.unwrap();
    refused(chat.auth().forgot_password(" ").await, Code::ValidationFailed);
    refused(chat.auth().forgot_password(&"a".repeat(255)).await, Code::ValidationFailed);
    post.wait(1).await;
    chat.shutdown().await;
    assert_eq!((post.subjects(), chat.stats().outbox_done), (vec!["Welcome".to_owned()], 4));
}

#[tokio::test]
async fn without_an_address_for_links_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let chat = ChatService::open(folder.path()).await.unwrap();
    refused(chat.auth().forgot_password(EMAIL).await, Code::Forbidden);
    chat.shutdown().await;
    let bad = async |builder: ChatServiceBuilder| {
        builder.data_dir(folder.path()).build().await.unwrap_err().to_string()
    };
    assert!(bad(ChatService::builder().verify_emails(true)).await.contains("client_url"));
    for url in
        ["", "app.example.org", "https://", "ftp://a.example.org", "https://a.example.org/?a", "https://a b"]
    {
        assert!(bad(ChatService::builder().client_url(url)).await.contains("client_url"), "{url}");
    }
    let public = ChatService::builder().public_url("https://chat.example.org/x").data_dir(folder.path());
    let post = Post::default();
    let chat =
        public.mailer(post.clone()).mail_templates(Plain).dangerous_bcrypt_cost(4).build().await.unwrap();
    chat.auth().sign_up(ann()).await.unwrap();
    chat.auth().forgot_password(EMAIL).await.unwrap();
    let letters = post.wait(2).await;
    let link = letters.iter().find(|letter| letter.content.subject == "ResetPassword").unwrap();
    assert!(link.content.text.starts_with("https://chat.example.org/x/reset-password#token="));
    chat.shutdown().await;
}

#[tokio::test]
async fn a_changed_password_ends_all_other_sessions_for_good() {
    let (chat, post, folder) = service().await;
    let here = chat.auth().sign_up(ann()).await.unwrap();
    let there = log_in(&chat, PASSWORD).await.unwrap();
    let (kept, mut lost) = (chat.events().connect(&here.session), chat.events().connect(&there.session));
    let change = async |current: &str, new: &str| {
        chat.auth().change_password(&here.session, current.into(), new.into()).await
    };
    for (current, new, code) in [
        ("wrong horse battery", "a fine new one", Code::InvalidCredentials),
        ("", "a fine new one", Code::ValidationFailed),
        ("x\0y", "a fine new one", Code::InvalidCredentials),
        (PASSWORD, "short", Code::ValidationFailed),
        (PASSWORD, "qwertyuiop", Code::ValidationFailed),
    ] {
        refused(change(current, new).await, code);
    }
    chat.auth().authenticate(there.token.as_str()).expect("nothing has happened yet");
    change(PASSWORD, "a fine new one").await.unwrap();
    while lost.next().await.is_some() {}
    assert_eq!(lost.close_reason(), Some(CloseReason::SignedOut));
    assert_eq!(kept.close_reason(), None);
    drop(kept);
    let newer = log_in(&chat, "a fine new one").await.unwrap();
    refused(log_in(&chat, PASSWORD).await, Code::InvalidCredentials);
    post.wait(2).await;
    chat.shutdown().await;
    assert_eq!(post.subjects(), ["Welcome", "PasswordChanged"]);

    let chat = builder(folder.path(), &post).build().await.unwrap();
    let fits = |signed_in: &SignedIn| chat.auth().authenticate(signed_in.token.as_str()).is_ok();
    assert_eq!([fits(&here), fits(&there), fits(&newer)], [true, false, true], "after a restart as well");
    chat.shutdown().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let (chat, post, folder) = service().await;
    let first = chat.auth().sign_up(ann()).await.unwrap();
    let second = log_in(&chat, PASSWORD).await.unwrap();
    let third = log_in(&chat, PASSWORD).await.unwrap();
    let bob = common::person(&chat, "bob").await;
    let list = async |of: &SignedIn| chat.auth().sessions(&of.session).await.unwrap();
    let listed = list(&second).await;
    assert_eq!(
        listed.iter().map(|session| (session.id, session.is_current)).collect::<Vec<_>>(),
        [(third.session.id, false), (second.session.id, true), (first.session.id, false)]
    );
    let oldest = &listed[2];
    assert_eq!(
        (oldest.device.as_deref(), oldest.address.as_deref()),
        (Some("Lynx/2.9"), Some("2001:db8::1"))
    );
    assert_eq!((listed[1].device.as_deref(), listed[1].address.as_deref()), (None, None));
    assert!(oldest.last_used_at >= oldest.created_at && oldest.expires_at == first.session.expires_at);

    // A use shows at once, and is kept at the end of the service.
    let before = oldest.last_used_at;
    while chat_core::Timestamp::now() <= before {
        tokio::task::yield_now().await;
    }
    chat.auth().authenticate(first.token.as_str()).unwrap();
    assert!(list(&second).await[2].last_used_at > before);

    refused(chat.auth().end_session(&second.session, bob.session.id).await, Code::NotFound);
    let mut connection = chat.events().connect(&third.session);
    chat.auth().end_session(&second.session, third.session.id).await.unwrap();
    while connection.next().await.is_some() {}
    assert_eq!(connection.close_reason(), Some(CloseReason::SignedOut));
    refused(chat.auth().authenticate(third.token.as_str()), Code::Unauthenticated);
    refused(chat.auth().end_session(&second.session, third.session.id).await, Code::NotFound);
    assert_eq!(list(&second).await.len(), 2);

    chat.auth().end_other_sessions(&second.session).await.unwrap();
    refused(chat.auth().authenticate(first.token.as_str()), Code::Unauthenticated);
    chat.auth().authenticate(second.token.as_str()).unwrap();
    assert_eq!(list(&second).await.iter().map(|session| session.id).collect::<Vec<_>>(), [second.session.id]);
    assert_eq!(list(&bob).await.len(), 1, "others are as they were");
    let fourth = log_in(&chat, PASSWORD).await.unwrap();
    chat.shutdown().await;

    let chat = builder(folder.path(), &post).build().await.unwrap();
    let fits = |signed_in: &SignedIn| chat.auth().authenticate(signed_in.token.as_str()).is_ok();
    assert_eq!([fits(&first), fits(&second), fits(&third), fits(&fourth)], [false, true, false, true]);
    chat.auth().end_session(&second.session, second.session.id).await.expect("one may end one's own");
    assert!(!fits(&second));
    chat.shutdown().await;
}

#[tokio::test]
async fn an_address_is_verified_before_the_first_sign_in() {
    let (folder, post) = (tempfile::tempdir().unwrap(), Post::default());
    let chat = builder(folder.path(), &post).build().await.unwrap();
    let bob = common::person(&chat, "bob").await.user;
    chat.shutdown().await;
    let letters = post.letters().len();
    let chat = builder(folder.path(), &post).verify_emails(true).build().await.unwrap();
    refused(chat.auth().sign_up(ann()).await, Code::EmailUnverified);
    let token = post.token(letters + 1).await;
    refused(log_in(&chat, PASSWORD).await, Code::EmailUnverified);
    refused(log_in(&chat, "a wrong password").await, Code::InvalidCredentials);
    refused(chat.auth().reset_password(&token, "a fine new one".into()).await, Code::InvalidLink);
    chat.auth().send_verification(EMAIL).await.unwrap();
    let again = post.token(letters + 2).await;
    let auth = chat.auth();
    let (one, two) = tokio::join!(auth.verify_email(&token), auth.verify_email(&again));
    one.and(two).unwrap();
    chat.auth().verify_email(&token).await.expect("again is fine");
    log_in(&chat, PASSWORD).await.unwrap();
    post.wait(letters + 3).await;
    let of_bob = Credentials { email: bob.email, password: "correct horse".into(), ..Credentials::default() };
    chat.auth().log_in(of_bob).await.expect("who was there before counts as verified");
    chat.shutdown().await;
    assert_eq!(post.subjects()[letters..], ["VerifyEmail", "VerifyEmail", "Welcome"]);
}

#[tokio::test]
async fn a_reset_shows_that_the_address_is_ones_own() {
    let (folder, post) = (tempfile::tempdir().unwrap(), Post::default());
    let chat = builder(folder.path(), &post).verify_emails(true).build().await.unwrap();
    refused(chat.auth().sign_up(ann()).await, Code::EmailUnverified);
    post.wait(1).await;
    chat.auth().forgot_password(EMAIL).await.unwrap();
    let token = post.token(2).await;
    chat.auth().reset_password(&token, "a fine new one".into()).await.unwrap();
    log_in(&chat, "a fine new one").await.unwrap();
    chat.shutdown().await;
}

#[tokio::test]
async fn easy_passwords_are_refused() {
    let (chat, _post, _folder) = service().await;
    for easy in ["password", "Password1", "12345678", "aaaaaaaa", EMAIL] {
        refused(chat.auth().sign_up(SignUp { password: easy.into(), ..ann() }).await, Code::ValidationFailed);
    }
    chat.shutdown().await;
}
