//! What one does.

use std::time::Instant;

use super::{Fetch, LinkState, MyTyping, Order, State, TYPING_EVERY};
use crate::{frame::Say, model::Message};

impl State {
    /// Opens the conversation with somebody.
    pub(crate) fn talk_to(&mut self, with: &str) {
        if self.open.as_deref() == Some(with) {
            return;
        }
        self.stop_typing();
        self.open = Some(with.to_owned());
        if self.conversations.entry(with.to_owned()).or_default().newest().is_none() {
            self.load_down_to(with, u64::MAX);
        }
        self.read();
    }

    pub(crate) fn load_contacts(&mut self) {
        self.contacts = None;
        self.fetch(Fetch::Contacts);
    }

    /// The newest page of the open conversation.
    pub(crate) fn load_newest(&mut self) {
        if let Some(with) = self.open.clone() {
            self.load_down_to(&with, u64::MAX);
        }
    }

    /// A page more of the open conversation's past.
    pub(crate) fn load_older(&mut self) {
        let Some(with) = self.open.clone() else { return };
        let Some(conversation) = self.conversations.get_mut(&with) else { return };
        if conversation.is_whole || conversation.is_loading {
            return;
        }
        let Some(lowest) = conversation.lowest() else { return };
        let before = Some(lowest.id.clone());
        conversation.is_loading = true;
        self.fetch(Fetch::History { with, before });
    }

    pub(crate) fn send(&mut self, text: String, client_id: String, now: Instant) {
        let Some(to) = self.open.clone() else { return };
        self.stop_typing();
        self.outbox.push(client_id, to, text);
        self.pump(now);
    }

    pub(crate) fn send_again(&mut self, now: Instant) {
        if let Some(to) = self.open.clone() {
            self.outbox.again(&to);
            self.pump(now);
        }
    }

    /// What of one's own [`State::delete_last`] would delete.
    pub(crate) fn last_of_mine(&self) -> Option<&Message> {
        let conversation = self.conversations.get(self.open.as_ref()?)?;
        conversation.messages().rev().find(|message| message.sender_id == self.me.id && !message.is_deleted)
    }

    /// The newest of one's own in the open conversation; first what could not be sent.
    pub(crate) fn delete_last(&mut self) {
        let Some(open) = self.open.clone() else { return };
        if self.outbox.discard(&open).is_some() {
            return;
        }
        let Some(message) = self.last_of_mine().map(|message| message.id.clone()) else {
            return self.problem("There is nothing of yours to delete.");
        };
        let LinkState::Up(connection) = self.link else {
            return self.problem("Nothing can be deleted while there is no connection.");
        };
        let id = self.next_frame();
        self.deleting.push(id);
        self.orders.push(Order::Say(connection, Say::Delete { id, message }));
    }

    /// A deletion is under way.
    pub(crate) fn is_deleting(&self) -> bool {
        !self.deleting.is_empty()
    }

    /// A key was pressed in a message to whom one talks to.
    pub(crate) fn type_on(&mut self, now: Instant) {
        let (Some(to), LinkState::Up(connection)) = (self.open.clone(), &self.link) else { return };
        let connection = *connection;
        match &mut self.my_typing {
            Some(typing) if now < typing.told + TYPING_EVERY => typing.last_key = now,
            _ => {
                self.my_typing = Some(MyTyping { to: to.clone(), told: now, last_key: now });
                self.orders.push(Order::Say(connection, Say::Typing { to, is_typing: true }));
            }
        }
    }

    pub(crate) fn stop_typing(&mut self) {
        if let (Some(typing), LinkState::Up(connection)) = (self.my_typing.take(), &self.link) {
            self.orders.push(Order::Say(*connection, Say::Typing { to: typing.to, is_typing: false }));
        }
    }
}
