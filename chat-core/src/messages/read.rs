//! Reading: conversations, lists, and how far one has come.

use super::{Chat, Message, Messages, Page, ReadState};
use crate::{
    ChatId, Error, MessageId, Result, UserId,
    auth::User,
    events::{Event, SharedEvent, Standing, Watermark},
    service::Shared,
    store::{ChatPosition, ChatState, Mark, MarkKind, Marked, MessageRecord, UserRecord, name_key},
};

/// Characters of what contacts are searched for: as many as an e-mail has.
pub(crate) const SEARCH_CHARS: usize = 254;
/// Messages that are read at once, at the least.
const STEP: usize = 16;
/// Steps in which a page looks for messages that one did not delete for oneself.
const STEPS: usize = 16;

impl Messages<'_> {
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
        let (records, next) = self.visible(me, chat, before, limit).await?;
        if records.is_empty() && before.is_none() && next.is_none() {
            // No chat yet, or nobody to chat with.
            self.0.store.user(with).await?.ok_or(Error::NotFound("User"))?;
        }
        Ok(Page { items: records.into_iter().map(|record| self.0.view.message(record)).collect(), next })
    }

    /// The last `limit` messages of a chat before `before` that one did not delete for oneself, and the `before` of the page
    /// with older ones.
    async fn visible(
        &self,
        me: UserId,
        chat: ChatId,
        mut before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<MessageRecord>, Option<MessageId>)> {
        let mut visible: Vec<MessageRecord> = Vec::new();
        let mut next = None;
        // Of a chat of which one deleted nearly everything for oneself, a page may be short.
        for _ in 0..STEPS {
            let mut records = self.0.store.page(chat, before, limit.max(STEP)).await?;
            next = records.first().filter(|first| first.seq > 1).map(|first| (first.id, first.seq));
            records.retain(|record| !record.hidden_for.contains(&me));
            records.append(&mut visible);
            visible = records;
            match next {
                Some((_, seq)) if visible.len() < limit => before = Some(seq),
                _ => break,
            }
        }
        let more = visible.len().saturating_sub(limit);
        if more > 0 {
            visible.drain(..more);
            next = visible.first().map(|first| (first.id, first.seq));
        }
        Ok((visible, next.map(|(id, _)| id)))
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
        let settings = self.0.store.user(me).await?.map(|user| user.settings).unwrap_or_default();
        let is_blocked =
            self.0.blocks.of(me).await?.blocked().any(|partner| ChatId::direct(me, partner) == chat);
        let mark = Mark { chat, user: me, kind, up_to, is_shown: settings.sends_receipts && !is_blocked };
        let shared = self.0.clone();
        // A task of its own: what was marked is told, whether or not somebody waits for it.
        let work = async move {
            let marked = shared.store.mark(&mark).await?;
            Ok(marked.map(|marked| {
                shared.tell_marked(&mark, &marked);
                marked.after
            }))
        };
        self.0.tasks.spawn(work).await.map_err(Error::internal)?
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
        for entry in &mut entries {
            if entry.last_message.as_ref().is_some_and(|last| last.hidden_for.contains(&me)) {
                let before = entry.last_message.take().map(|last| last.seq);
                entry.last_message = self.visible(me, entry.chat_id, before, 1).await?.0.pop();
            }
        }
        let relations = self.0.blocks.of(me).await?;
        let items = entries.into_iter().filter_map(|entry| {
            let unread = entry.state.unread();
            Some(Chat {
                partner: self.0.view_user_for(&relations, entry.partner?),
                chat_id: entry.chat_id,
                last_message: entry.last_message.map(|record| self.0.view.message(record)),
                unread,
                delivered_seq: entry.partner_marks.delivered,
                read_seq: entry.partner_marks.read,
            })
        });
        Ok(Page { items: items.collect(), next })
    }

    /// Everybody but oneself and those who have blocked one, by name; those after the user `after`. So a page may be
    /// shorter than asked for though there is a further one.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no user `after`; [`Error::Unavailable`].
    pub async fn contacts(
        &self,
        me: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<User, UserId>> {
        let users = self.0.store.users_by_name(me, after, limit.saturating_add(1)).await?;
        self.page_of_contacts(me, users, limit).await
    }

    /// Those of them whose full name begins with this text, without case, and who has it as their e-mail, without case.
    /// Costs by `limit` at most, however many there are.
    ///
    /// # Errors
    /// [`Error::Validation`] of a text of more than 254 characters; [`Error::NotFound`] when there is no user `after`;
    /// [`Error::Unavailable`].
    pub async fn find_contacts(
        &self,
        me: UserId,
        search: &str,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Page<User, UserId>> {
        if search.chars().count() > SEARCH_CHARS {
            return Err(Error::invalid("search", format!("must have at most {SEARCH_CHARS} characters")));
        }
        let (store, prefix) = (&self.0.store, name_key(search));
        let mut users = store.users_named(&prefix, me, after, limit.saturating_add(1)).await?;
        let place = |user: &UserRecord| (name_key(&user.full_name), user.id);
        let by_email = store.user_by_email(search).await?;
        if let Some(found) = by_email.filter(|user| user.id != me && !place(user).0.starts_with(&prefix)) {
            // At its place in the order, which may be on another page.
            let before = match after {
                Some(after) => Some(place(&store.user(after).await?.ok_or(Error::NotFound("User"))?)),
                None => None,
            };
            if before.is_none_or(|before| before < place(&found)) {
                let at = users.partition_point(|user| place(user) < place(&found));
                users.insert(at, found);
            }
        }
        self.page_of_contacts(me, users, limit).await
    }

    /// A page of them; there is a further one if there are more than its limit.
    async fn page_of_contacts(
        &self,
        me: UserId,
        mut users: Vec<UserRecord>,
        limit: usize,
    ) -> Result<Page<User, UserId>> {
        let is_more = users.len() > limit;
        users.truncate(limit);
        let next = users.last().filter(|_| is_more).map(|user| user.id);
        let relations = self.0.blocks.of(me).await?;
        users.retain(|user| relations.blocked_by(user.id).is_none());
        Ok(Page { items: users.into_iter().map(|user| self.0.view_user(user)).collect(), next })
    }
}

impl Shared {
    /// Tells the user's own devices how far they have read, and the others how far they may know.
    fn tell_marked(&self, mark: &Mark, Marked { before, after, members, places }: &Marked) {
        let tell = |user: UserId, event: fn(Watermark) -> Event, seq: u64| {
            let event = SharedEvent::new(event(Watermark { chat_id: mark.chat, user_id: mark.user, seq }));
            let place = places.iter().find(|place| place.user == user);
            let at = |position| Standing::At { position, is_last: true };
            self.hub.deliver(user, &event, None, place.map_or(Standing::Later, |place| at(place.position)));
        };
        if after.read_seq > before.read_seq {
            tell(mark.user, Event::MessagesRead, after.read_seq);
        }
        let (was, is) = (before.shown, after.shown);
        for member in members.iter().filter(|member| **member != mark.user) {
            // What was read was delivered: of both at once the first is enough.
            if is.read > was.read {
                tell(*member, Event::MessagesRead, is.read);
            } else if is.delivered > was.delivered {
                tell(*member, Event::MessagesDelivered, is.delivered);
            }
        }
    }
}
