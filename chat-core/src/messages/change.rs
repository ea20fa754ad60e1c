//! What is done to messages that are there: editing, reacting, deleting.

use super::{Message, Messages, Reaction, Refusal, blocks};
use crate::{
    Error, MessageId, Result, Timestamp, UserId,
    encryption::Binding,
    store::{MessageChange, MessageRecord},
};

/// In how many ways one can react to one message.
const REACTIONS: usize = 8;

impl Messages<'_> {
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
            let (message, deletion) = shared.log.delete(record.chat_id, id, concerned(&record)).await?;
            shared.drop_image(deletion.image);
            Ok(message)
        };
        self.0.tasks.spawn(delete).await.map_err(Error::internal)?
    }

    /// Changes the text of a message that one sent, within [`Limits::edit_within`](crate::Limits::edit_within) of
    /// that. An empty text is one only where there is a picture. The same text changes nothing.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::Forbidden`] when one did not send it, or it is too late;
    /// [`Error::NotFound`] when there is no such message, it is deleted, or none of one's business;
    /// [`Error::Unavailable`].
    pub async fn edit(&self, me: UserId, id: MessageId, text: impl Into<String>) -> Result<Message> {
        let text = Some(text.into()).filter(|text| !text.is_empty());
        let record = self.of_mine(me, id).await?;
        if record.sender_id != me {
            return Err(Error::Forbidden("Only the sender can edit a message.".into()));
        }
        let limits = &self.0.limits;
        if text.is_none() && record.image.is_none() {
            return Err(Error::invalid("text", "a message has a text, an image, or both"));
        }
        if text.as_ref().is_some_and(|text| text.chars().count() > limits.text_chars) {
            return Err(Error::invalid("text", format!("longer than {} characters", limits.text_chars)));
        }
        if record.created_at.plus(limits.edit_within) < Timestamp::now() {
            return Err(Error::Forbidden("It is too late to edit this message.".into()));
        }
        let (chat, to) = (record.chat_id, concerned(&record));
        let binding = Binding { chat, message: id, sender: me };
        let current = self.0.view.message(record);
        if current.text == text && !current.unreadable {
            return Ok(current);
        }
        let body = text.as_ref().map(|text| self.0.opener.keys().seal(&binding, text));
        self.0.log.change(chat, id, MessageChange::Edit { body }, to).await
    }

    /// Adds a reaction to a message of one's chats, or takes it away. One can react in 8 ways to one message, and once
    /// in each.
    ///
    /// # Errors
    /// [`Error::Validation`] when it is not an emoji, or one has reacted in too many ways; [`Error::NotFound`] when
    /// there is no such message, it is deleted, or none of one's business; [`Error::Unavailable`].
    pub async fn react(&self, me: UserId, id: MessageId, emoji: &str, is_on: bool) -> Result<Message> {
        // In the form that Unicode recommends, so that the same one is not there twice.
        let emoji = emojis::get(emoji).map(|emoji| emoji.as_str().to_owned());
        let emoji = emoji.ok_or_else(|| Error::invalid("emoji", "must be an emoji"))?;
        let record = self.of_mine(me, id).await?;
        let mine = record.reactions.iter().filter(|reaction| reaction.user_id == me);
        let is_there = mine.clone().any(|reaction| reaction.emoji == emoji);
        if is_there == is_on {
            return Ok(self.0.view.message(record));
        }
        if is_on && mine.count() >= REACTIONS {
            return Err(Error::invalid("emoji", format!("you have reacted in {REACTIONS} ways already")));
        }
        let reaction = Reaction { user_id: me, emoji };
        let (chat, to) = (record.chat_id, concerned(&record));
        self.0.log.change(chat, id, MessageChange::React { reaction, is_on }, to).await
    }

    /// Deletes a message for oneself only. Done again it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such message, or it is none of one's business; [`Error::Unavailable`].
    pub async fn hide(&self, me: UserId, id: MessageId) -> Result<()> {
        let record = self.seen(me, id).await?;
        let hide = MessageChange::Hide { user: me };
        self.0.log.change(record.chat_id, id, hide, vec![me]).await.map(drop)
    }

    /// A message of one of the user's chats.
    async fn seen(&self, me: UserId, id: MessageId) -> Result<MessageRecord> {
        let record = self.0.store.message(id).await?.ok_or(Error::NotFound("Message"))?;
        if !concerned(&record).contains(&me) && self.0.store.chat(record.chat_id, me).await?.is_none() {
            return Err(Error::NotFound("Message"));
        }
        Ok(record)
    }

    /// One that is there to be changed, in a chat where nobody has blocked anybody.
    async fn of_mine(&self, me: UserId, id: MessageId) -> Result<MessageRecord> {
        let record = self.seen(me, id).await?;
        if record.is_deleted || record.hidden_for.contains(&me) {
            return Err(Error::NotFound("Message"));
        }
        for other in concerned(&record).into_iter().filter(|user| *user != me) {
            match self.0.refusal(me, other).await? {
                // As if there were no such message.
                Some(Refusal::Blocked) => return Err(Error::NotFound("Message")),
                Some(Refusal::Blocks) => return Err(blocks()),
                None => {}
            }
        }
        Ok(record)
    }
}

/// Who is told of a change.
fn concerned(record: &MessageRecord) -> Vec<UserId> {
    record.receiver_id.into_iter().chain([record.sender_id]).collect()
}
