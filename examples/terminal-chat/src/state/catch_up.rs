//! The list of chats, and what is missing: so that it is loaded, told and read, each message once and in order.

use std::{collections::HashMap, time::Instant};

use super::{Conversation, Entry, Fetch, News, Person, State};
use crate::model::{Chat, Id, Message, User};

impl State {
    /// Moves the chat to the front of the list.
    pub(super) fn list(&mut self, with: &Id, message: &Message) {
        let at = self.chats.iter().position(|entry| entry.with == *with);
        let mut entry = match at {
            Some(at) => self.chats.remove(at),
            None => Entry { with: with.clone(), last: None, unread: 0 },
        };
        let is_newer = entry.last.as_ref().is_none_or(|last| message.seq > last.seq);
        if is_newer {
            entry.unread = if message.sender_id == self.me.id { 0 } else { entry.unread + 1 };
            entry.last = Some(message.clone());
        }
        self.chats.insert(if is_newer { 0 } else { at.unwrap_or(0) }, entry);
        if self.is_loading_chats {
            self.load_chats_again = true;
        }
    }

    pub(super) fn load_chats(&mut self) {
        if std::mem::replace(&mut self.is_loading_chats, true) {
            self.load_chats_again = true;
        } else {
            self.fetch(Fetch::Chats);
        }
    }

    pub(super) fn chats_loaded(&mut self, chats: Vec<Chat>) {
        self.is_loading_chats = false;
        let is_first = !std::mem::replace(&mut self.are_chats_loaded, true);
        let mut before: HashMap<Id, Entry> =
            std::mem::take(&mut self.chats).into_iter().map(|entry| (entry.with.clone(), entry)).collect();
        for Chat { partner, last_message, unread } in chats {
            let with = partner.id.clone();
            let newest = last_message.as_ref().map_or(0, |last| last.seq);
            if is_first {
                // What came live since the start is news; what was there before isn't.
                let live =
                    self.conversations.get(&with).and_then(Conversation::lowest).map(|lowest| lowest.seq);
                let told = if self.open.as_ref() == Some(&with) {
                    newest
                } else {
                    live.map_or(newest, |live| newest.min(live.saturating_sub(1)))
                };
                self.told.insert(with.clone(), told);
            }
            let known = before.remove(&with);
            // An answer can be older than an event that came meanwhile; then the list is loaded once more.
            let is_older =
                known.as_ref().and_then(|entry| entry.last.as_ref()).is_some_and(|last| last.seq > newest);
            let entry = match known {
                Some(entry) if is_older => entry,
                _ => Entry { with: with.clone(), last: last_message, unread },
            };
            self.chats.push(entry);
            self.meet(partner);
            let told = self.told.get(&with).copied().unwrap_or(0);
            if self.is_following_all && newest > told && self.contiguous(&with, told) < newest {
                self.load_down_to(&with, told + 1);
            }
        }
        // Chats that began after the list was made.
        let mut begun: Vec<Entry> = before.into_values().collect();
        begun.append(&mut self.chats);
        self.chats = begun;
        let all: Vec<Id> = self.chats.iter().map(|entry| entry.with.clone()).collect();
        all.iter().for_each(|with| self.tell(with));
        self.read();
        if std::mem::take(&mut self.load_chats_again) {
            self.load_chats();
        }
    }

    pub(super) fn page(
        &mut self,
        with: &Id,
        before: Option<&str>,
        page: Vec<Message>,
        is_more: bool,
        now: Instant,
    ) {
        for message in &page {
            if let Some(client_id) = message.client_id.as_deref().filter(|_| message.sender_id == self.me.id)
            {
                self.outbox.arrived(client_id);
            }
        }
        let Some(conversation) = self.conversations.get_mut(with) else { return };
        if let Some(before) = conversation.page(before, page, is_more) {
            self.fetch(Fetch::History { with: with.clone(), before: Some(before) });
        }
        self.tell(with);
        self.read();
        self.pump(now);
    }

    pub(super) fn load_down_to(&mut self, with: &str, seq: u64) {
        if self.conversations.entry(with.to_owned()).or_default().want(seq) {
            self.fetch(Fetch::History { with: with.to_owned(), before: None });
        }
    }

    /// The last `seq` from there on without a hole.
    pub(super) fn contiguous(&self, with: &str, from: u64) -> u64 {
        self.conversations.get(with).map_or(from, |conversation| conversation.known_to(from))
    }

    /// Tells messages as news: each once, in order, and not before the name is known.
    pub(super) fn tell(&mut self, with: &str) {
        if !self.is_following_all || !self.are_chats_loaded || !self.people.contains_key(with) {
            return;
        }
        let told = self.told.get(with).copied().unwrap_or(0);
        let upto = self.contiguous(with, told);
        if let Some(conversation) = self.conversations.get(with) {
            let new = conversation.between(told.saturating_add(1), upto);
            self.news.extend(new.cloned().map(News::Message));
        }
        self.told.insert(with.to_owned(), upto);
    }

    /// What is open is read, once all of it is there.
    pub(super) fn read(&mut self) {
        let Some(with) = self.open.clone() else { return };
        let Some(seq) = self.conversations.get(&with).and_then(Conversation::newest).map(|newest| newest.seq)
        else {
            return;
        };
        let Some(entry) = self.chats.iter_mut().find(|entry| entry.with == with) else { return };
        if entry.unread == 0 || entry.last.as_ref().is_some_and(|last| last.seq > seq) {
            return;
        }
        entry.unread = 0;
        if self.marked.insert(with.clone(), seq) != Some(seq) {
            self.fetch(Fetch::Read { with, seq });
        }
    }

    pub(super) fn meet(&mut self, mut user: User) {
        let is_partner = self.chats.iter().any(|entry| entry.with == user.id);
        if let Some(online) = self.online.as_ref().filter(|_| is_partner) {
            user.is_online = online.contains(&user.id);
        }
        let typing_until = self.people.remove(&user.id).and_then(|person| person.typing_until);
        self.people.insert(user.id.clone(), Person { user, typing_until });
    }
}
