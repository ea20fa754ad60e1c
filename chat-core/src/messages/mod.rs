//! Conversations: sending, reading, deleting.

mod log;
mod message;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::log::Log;
pub use self::message::{Chat, Draft, Message, Page, Reaction, ReadState, Sent, To};
use crate::{
    ChatId, Error, Invalid, MessageId, Result, Timestamp, UserId,
    auth::User,
    encryption::Binding,
    events::ConnectionId,
    images::{CheckedImage, ImagePurpose},
    service::Shared,
    store::{ChatPosition, ChatState, Mark, MarkKind, NewMessage},
};

/// The longest `client_id`, in characters.
pub(crate) const CLIENT_ID_CHARS: usize = 128;

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

    /// The conversation with `with`, by `seq` ascending: the newest `limit` messages, or those before the message
    /// `before`. The page's `next` is the `before` of the page with older ones.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user, or no such message in this conversation;
    /// [`Error::Unavailable`].
    pub async fn conversation(
        &self,
        me: UserId,
        with: UserId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Page<Message, MessageId>> {
        let chat = ChatId::direct(me, with);
        let before = match before {
            None => None,
            Some(id) => {
                let message = self.0.store.message(id).await?.filter(|message| message.chat_id == chat);
                Some(message.ok_or(Error::NotFound("Message"))?.seq)
            }
        };
        let records = self.0.store.page(chat, before, limit).await?;
        if records.is_empty() && before.is_none() {
            // No chat yet, or nobody to chat with.
            self.0.store.user(with).await?.ok_or(Error::NotFound("User"))?;
        }
        let next = records.first().filter(|first| first.seq > 1).map(|first| first.id);
        Ok(Page { items: records.into_iter().map(|record| self.0.view.message(record)).collect(), next })
    }

    /// Deletes a message for everybody: its text and its picture are gone for good, its place in the chat stays.
    /// Done again it changes nothing.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when one did not send it; [`Error::NotFound`] when there is no such message, or it is
    /// none of one's business; [`Error::Unavailable`].
    pub async fn delete(&self, me: UserId, id: MessageId) -> Result<Message> {
        let record = self.0.store.message(id).await?.ok_or(Error::NotFound("Message"))?;
        if record.sender_id != me {
            return Err(match self.0.store.chat(record.chat_id, me).await? {
                Some(_) => Error::Forbidden("Only the sender can delete a message.".into()),
                None => Error::NotFound("Message"),
            });
        }
        let shared = self.0.clone();
        let delete = async move {
            let to = record.receiver_id.into_iter().chain([record.sender_id]).collect();
            let (message, deletion) = shared.log.delete(record.chat_id, id, to).await?;
            shared.drop_image(deletion.image);
            Ok(message)
        };
        self.0.tasks.spawn(delete).await.map_err(Error::internal)?
    }

    /// Notes that one has read the conversation with `with` up to `seq`, or up to its newest message. Never moves
    /// back, and never beyond what is there.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user; [`Error::Unavailable`].
    pub async fn mark_read(&self, me: UserId, with: UserId, seq: Option<u64>) -> Result<ReadState> {
        let chat = ChatId::direct(me, with);
        match self.mark(me, chat, MarkKind::Read, seq).await? {
            Some(state) => Ok(ReadState { chat_id: chat, seq: state.read_seq, unread: state.unread() }),
            None => {
                self.0.store.user(with).await?.ok_or(Error::NotFound("User"))?;
                Ok(ReadState { chat_id: chat, seq: 0, unread: 0 })
            }
        }
    }

    /// As [`mark_read`](Self::mark_read), by the chat's id.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one has no such chat; [`Error::Unavailable`].
    pub async fn mark_chat_read(&self, me: UserId, chat: ChatId, seq: Option<u64>) -> Result<ReadState> {
        let state = self.mark(me, chat, MarkKind::Read, seq).await?.ok_or(Error::NotFound("Chat"))?;
        Ok(ReadState { chat_id: chat, seq: state.read_seq, unread: state.unread() })
    }

    /// Notes that a device of one's own has the messages of a chat up to `seq`, or up to the newest. Those who sent
    /// them are told, unless one has turned receipts off. Returns up to where that is known now; 0 with receipts off.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one has no such chat; [`Error::Unavailable`].
    pub async fn mark_delivered(&self, me: UserId, chat: ChatId, seq: Option<u64>) -> Result<u64> {
        let state = self.mark(me, chat, MarkKind::Delivered, seq).await?.ok_or(Error::NotFound("Chat"))?;
        Ok(state.shown.delivered)
    }

    async fn mark(
        &self,
        me: UserId,
        chat: ChatId,
        kind: MarkKind,
        up_to: Option<u64>,
    ) -> Result<Option<ChatState>> {
        let mark = Mark { chat, user: me, kind, up_to, is_shown: true };
        Ok(self.0.store.mark(&mark).await?.map(|marked| marked.after))
    }

    /// Changes the text of a message that one sent, within [`Limits::edit_within`](crate::Limits::edit_within) of
    /// that. An empty text is one only where there is a picture. The same text changes nothing.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::Forbidden`] when one did not send it, or it is too late;
    /// [`Error::NotFound`] when there is no such message, it is deleted, or none of one's business;
    /// [`Error::Unavailable`].
    pub async fn edit(&self, me: UserId, id: MessageId, text: String) -> Result<Message> {
        let _ = (me, id, text, self.0);
        Err(Error::NotFound("Message"))
    }

    /// Adds a reaction to a message of one's chats, or takes it away. One can react in many ways to one message, and
    /// once in each.
    ///
    /// # Errors
    /// [`Error::Validation`] when it is not an emoji, or one has reacted in too many ways; [`Error::NotFound`] when
    /// there is no such message, it is deleted, or none of one's business; [`Error::Unavailable`].
    pub async fn react(&self, me: UserId, id: MessageId, emoji: &str, is_on: bool) -> Result<Message> {
        let _ = (me, id, emoji, is_on, self.0);
        Err(Error::NotFound("Message"))
    }

    /// Deletes a message for oneself only. Done again it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such message, or it is none of one's business; [`Error::Unavailable`].
    pub async fn hide(&self, me: UserId, id: MessageId) -> Result<()> {
        let _ = (me, id, self.0);
        Err(Error::NotFound("Message"))
    }

    /// One's chats, latest activity first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn chats(
        &self,
        me: UserId,
        after: Option<ChatPosition>,
        limit: usize,
    ) -> Result<Page<Chat, ChatPosition>> {
        // One more than asked for tells whether there is a further page.
        let mut entries = self.0.store.chats_of(me, after, limit.saturating_add(1)).await?;
        let is_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| is_more).map(crate::store::ChatEntry::position);
        let items = entries.into_iter().filter_map(|entry| {
            let unread = entry.state.unread();
            Some(Chat {
                partner: self.0.view_user(entry.partner?),
                chat_id: entry.chat_id,
                last_message: entry.last_message.map(|record| self.0.view.message(record)),
                unread,
                delivered_seq: entry.partner_marks.delivered,
                read_seq: entry.partner_marks.read,
            })
        });
        Ok(Page { items: items.collect(), next })
    }

    /// Everybody but oneself, by name; those after the user `after`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no user `after`; [`Error::Unavailable`].
    pub async fn contacts(
        &self,
        me: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<User, UserId>> {
        let mut users = self.0.store.users_by_name(me, after, limit.saturating_add(1)).await?;
        let is_more = users.len() > limit;
        users.truncate(limit);
        let next = users.last().filter(|_| is_more).map(|user| user.id);
        Ok(Page { items: users.into_iter().map(|user| self.0.view_user(user)).collect(), next })
    }
}
