//! Conversations: sending here, reading in `read.rs`, what is done to messages that are there in `change.rs`.

mod change;
mod log;
mod message;
mod read;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::log::Log;
pub use self::message::{Chat, Draft, Message, Page, Reaction, ReadState, Sent, To};
#[cfg(feature = "http")]
pub(crate) use self::read::SEARCH_CHARS;
use crate::{
    ChatId, Error, Invalid, MessageId, Result, Timestamp, UserId,
    encryption::Binding,
    events::ConnectionId,
    images::{CheckedImage, ImagePurpose},
    service::Shared,
    store::NewMessage,
};

/// The longest `client_id`, in characters.
pub(crate) const CLIENT_ID_CHARS: usize = 128;

/// Why somebody may not reach somebody else.
pub(crate) enum Refusal {
    /// The other one has blocked them, which they must not learn.
    Blocked,
    /// They have blocked the other one.
    Blocks,
}

impl Shared {
    pub(crate) async fn refusal(&self, from: UserId, to: UserId) -> Result<Option<Refusal>> {
        let relations = self.blocks.of(from).await?;
        Ok(if relations.blocked_by(to).is_some() {
            Some(Refusal::Blocked)
        } else {
            relations.blocks(to).then_some(Refusal::Blocks)
        })
    }
}

fn blocks() -> Error {
    Error::Forbidden("You have blocked this person.".into())
}

/// Conversations; from [`ChatService::messages`](crate::ChatService::messages).
///
/// A future of a method that changes something may be dropped at any time: the change is then whole or not there.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a>(pub(crate) &'a Arc<Shared>);

impl Messages<'_> {
    /// Sends a message. When it returns, the message is committed and on its way to everybody whom it concerns.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::NotFound`] when the receiver does not exist; [`Error::Unavailable`] when the
    /// store or the image store is down or more is waiting than can be taken in.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use chat_core::{ChatService, auth::SignUp, messages::{Draft, To}};
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    ///
    /// let chat = ChatService::open(folder).await?;
    /// let person = |name: &str| SignUp {
    ///     email: format!("{name}@example.org"),
    ///     full_name: name.to_owned(),
    ///     password: "correct horse battery".to_owned(),
    ///     ..SignUp::default()
    /// };
    /// let ann = chat.auth().sign_up(person("ann")).await?.user.id;
    /// let bob = chat.auth().sign_up(person("bob")).await?.user.id;
    ///
    /// let sent = chat.messages().send(ann, To::User(bob), Draft::text("hi")).await?;
    /// assert_eq!((sent.message.seq, sent.message.text.as_deref()), (1, Some("hi")));
    /// # chat.shutdown().await;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    pub async fn send(&self, sender: UserId, to: To, draft: Draft) -> Result<Sent> {
        self.send_from(sender, to, draft, None).await
    }

    /// As [`send`](Self::send), from a connection of the sender that shall not get the event, because it gets the
    /// answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_from(
        &self,
        sender: UserId,
        to: To,
        draft: Draft,
        from: Option<ConnectionId>,
    ) -> Result<Sent> {
        let To::User(receiver) = to;
        let draft = self.checked(sender, receiver, draft)?;
        if let Some(sent) = self.admit(sender, receiver, &draft).await? {
            return Ok(sent);
        }
        let now = Timestamp::now();
        let (id, chat_id) = (MessageId::generate(now), ChatId::direct(sender, receiver));
        let binding = Binding { chat: chat_id, message: id, sender };
        let body = draft.text.as_ref().map(|text| self.0.opener.keys().seal(&binding, text));
        let message = NewMessage {
            id,
            chat_id,
            sender_id: sender,
            receiver_id: Some(receiver),
            body,
            image: None,
            client_id: draft.client_id,
            reply_to: draft.reply_to,
            at: now,
        };
        match draft.image {
            None => self.0.log.append(message, draft.text, from).await,
            Some(image) => self.send_with_image(message, draft.text, image, from).await,
        }
    }

    /// Whether the sender may write this to the receiver; of a repeat, the first message, which stands whatever came after
    /// it.
    async fn admit(&self, sender: UserId, receiver: UserId, draft: &Draft) -> Result<Option<Sent>> {
        let refusal = self.0.refusal(sender, receiver).await?;
        if refusal.is_some()
            && let Some(client_id) = &draft.client_id
            && let Some(sent) = self.0.store.message_by_client_id(sender, client_id).await?
        {
            return Ok(Some(Sent { message: self.0.view.message(sent), is_repeat: true }));
        }
        match refusal {
            // As if there were nobody.
            Some(Refusal::Blocked) => return Err(Error::NotFound("User")),
            Some(Refusal::Blocks) => return Err(blocks()),
            None => {}
        }
        if let Some(answered) = draft.reply_to {
            let chat = ChatId::direct(sender, receiver);
            let answered = self.0.store.message(answered).await?;
            let is_there = answered.is_some_and(|m| m.chat_id == chat && !m.hidden_for.contains(&sender));
            if !is_there {
                return Err(Error::invalid("replyTo", "there is no such message in this conversation"));
            }
        }
        Ok(None)
    }

    async fn send_with_image(
        &self,
        message: NewMessage,
        text: Option<String>,
        image: Bytes,
        from: Option<ConnectionId>,
    ) -> Result<Sent> {
        // A repeat must not upload its picture again. Two at the same time may: the second one is removed below.
        if let Some(client_id) = &message.client_id
            && let Some(sent) = self.0.store.message_by_client_id(message.sender_id, client_id).await?
        {
            return Ok(Sent { message: self.0.view.message(sent), is_repeat: true });
        }
        if let Some(receiver) = message.receiver_id {
            // Before any work for a picture.
            self.0.store.user(receiver).await?.ok_or(Error::NotFound("User"))?;
        }
        let image = CheckedImage::check(image, self.0.limits.image)
            .await
            .map_err(|refused| Error::refused("image", refused))?;
        let shared = self.0.clone();
        // A task of its own: between the image store and the commit nobody may hang up.
        let send = async move {
            let url = shared.put_image(image, ImagePurpose::Message).await?;
            let message = NewMessage { image: Some(url.clone()), ..message };
            let sent = shared.log.append(message, text, from).await;
            match &sent {
                Ok(sent) if !sent.is_repeat => {}
                // The message may be there, with this picture.
                Err(error) if error.may_be_done() => {}
                Ok(_) | Err(_) => shared.drop_image(Some(url)),
            }
            sent
        };
        self.0.tasks.spawn(send).await.map_err(Error::internal)?
    }

    fn checked(&self, sender: UserId, receiver: UserId, mut draft: Draft) -> Result<Draft> {
        let limits = &self.0.limits;
        let mut invalid = Invalid::default();
        if sender == receiver {
            invalid.fields.insert("receiverId", "must not be yourself".into());
        }
        let text = draft.text.take().filter(|text| !text.is_empty());
        let image = draft.image.take().filter(|image| !image.is_empty());
        if text.is_none() && image.is_none() {
            invalid.fields.insert("text", "a message has a text, an image, or both".into());
        }
        if text.as_ref().is_some_and(|text| text.chars().count() > limits.text_chars) {
            invalid.fields.insert("text", format!("longer than {} characters", limits.text_chars).into());
        }
        if let Some(client_id) = &draft.client_id
            && (client_id.is_empty() || client_id.chars().count() > CLIENT_ID_CHARS)
        {
            invalid.fields.insert("clientId", format!("must have 1 to {CLIENT_ID_CHARS} characters").into());
        }
        if invalid.fields.is_empty() {
            Ok(Draft { text, image, ..draft })
        } else {
            Err(Error::Validation(invalid))
        }
    }
}
