//! A bot that answers, in process and without HTTP: `cargo run -p bot`.
//!
//! It works on the service itself: it reads the stream of what concerns it, and sends. In an application, the same
//! service would be mounted by `chat-axum` as well, and people would write to the bot from their browsers; here a
//! person in the same process does.

use chat_core::{
    ChatService, Error, UserId,
    auth::{Credentials, SignUp},
    events::{Event, Subscription},
    messages::{Draft, To},
};
use futures_util::StreamExt;

/// The bot's account: made at the first start.
async fn account(chat: &ChatService, name: &str) -> Result<UserId, Error> {
    let email = format!("{}@bots.example.org", name.to_lowercase());
    // Nobody logs in as the bot from outside. A real one would read its password from a secret.
    let password = "a long password that only the bot knows".to_owned();
    let sign_up = SignUp {
        email: email.clone(),
        full_name: name.to_owned(),
        password: password.clone(),
        ..SignUp::default()
    };
    match chat.auth().sign_up(sign_up).await {
        Err(Error::EmailTaken) => {
            chat.auth().log_in(Credentials { email, password, ..Credentials::default() }).await
        }
        signed_in => signed_in,
    }
    .map(|signed_in| signed_in.user.id)
}

/// Answers every message, until the stream ends.
#[allow(clippy::print_stderr)]
async fn answer(chat: &ChatService, me: UserId, mut events: Subscription) {
    while let Some(event) = events.next().await {
        let Event::MessageSent(message) = &*event else { continue };
        let Some(text) = message.text.as_ref().filter(|_| message.sender_id != me) else { continue };
        let reply = if text.trim() == "help" { "I repeat what you say." } else { text };
        // Under the question's id: should the bot be stopped and ask itself again, it answers once.
        let draft = Draft::text(reply).client_id(format!("re:{}", message.id));
        if let Err(error) = chat.messages().send(me, To::User(message.sender_id), draft).await {
            eprintln!("no answer to {}: {error}", message.id);
        }
    }
}

#[tokio::main]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = ChatService::open("bot-data").await?;
    let (bot, person) = (account(&chat, "Parrot").await?, account(&chat, "Person").await?);
    // Before anybody writes: a stream tells what happens from now on.
    let (heard, mut seen) = (chat.events().subscribe(bot), chat.events().subscribe(person));
    let _here = chat.presence().arrive(bot);

    chat.messages().send(person, To::User(bot), Draft::text("Polly wants a cracker")).await?;
    tokio::select! {
        () = answer(&chat, bot, heard) => {}
        () = async {
            while let Some(event) = seen.next().await {
                if let Event::MessageSent(message) = &*event {
                    let who = if message.sender_id == bot { "Parrot" } else { "Person" };
                    println!("{who}: {}", message.text.as_deref().unwrap_or_default());
                    if message.sender_id == bot {
                        break;
                    }
                }
            }
        } => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    chat.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_once() {
        let folder = tempfile::tempdir().unwrap();
        let chat = ChatService::open(folder.path()).await.unwrap();
        let (bot, person) = (account(&chat, "Bot").await.unwrap(), account(&chat, "Ann").await.unwrap());
        assert_eq!(account(&chat, "Bot").await.unwrap(), bot, "the same account at the next start");
        let (heard, mut seen) = (chat.events().subscribe(bot), chat.events().subscribe(person));
        let answering = tokio::spawn({
            let chat = chat.clone();
            async move { answer(&chat, bot, heard).await }
        });
        chat.messages().send(person, To::User(bot), Draft::text("hello")).await.unwrap();
        let answer = loop {
            let event = seen.next().await.expect("the stream goes on");
            if let Event::MessageSent(message) = &*event
                && message.sender_id == bot
            {
                break message.clone();
            }
        };
        assert_eq!((answer.text.as_deref(), answer.seq), (Some("hello"), 2));
        chat.shutdown().await;
        answering.await.unwrap();
    }
}
