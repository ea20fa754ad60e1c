//! What happens.

use std::time::Instant;

use super::{
    Conversation, Entry, Fetch, LOAD_AGAIN, LinkState, Loaded, News, Order, Pending, State, TYPING_IDLE,
    TYPING_SHOWN,
};
use crate::{
    frame::Heard,
    link::LinkEvent,
    model::{Failure, Id, Message},
};

impl State {
    pub(crate) fn tick(&mut self, now: Instant) {
        for person in self.people.values_mut() {
            person.typing_until.take_if(|until| *until <= now);
        }
        if self.my_typing.as_ref().is_some_and(|typing| typing.last_key + TYPING_IDLE <= now) {
            self.stop_typing();
        }
        let (due, later) = std::mem::take(&mut self.again).into_iter().partition(|(at, _)| *at <= now);
        self.again = later;
        let due: Vec<(Instant, Fetch)> = due;
        self.orders.extend(due.into_iter().map(|(_, fetch)| Order::Fetch(fetch)));
        self.pump(now);
    }

    pub(crate) fn on_link(&mut self, event: LinkEvent, now: Instant) {
        match event {
            LinkEvent::Up { connection, goes_on } => self.connected(connection, goes_on, now),
            LinkEvent::Heard(heard) => self.hear(heard, now),
            LinkEvent::Down { why, again_in } => {
                self.disconnected();
                let seconds = again_in.as_secs_f32();
                self.news.push(News::Link(format!("no connection: {why}; again in {seconds:.1} s")));
                self.link = LinkState::Down { why, until: now + again_in };
            }
            LinkEvent::Ended { why } => {
                self.disconnected();
                self.news.push(News::Link(format!("signed out: {why}")));
                self.link = LinkState::Ended(why);
            }
        }
    }

    pub(crate) fn on_loaded(&mut self, fetch: Fetch, outcome: Result<Loaded, Failure>, now: Instant) {
        match outcome {
            Ok(Loaded::Chats(chats)) => self.chats_loaded(chats),
            Ok(Loaded::Contacts(users)) => {
                self.contacts = Some(users.iter().map(|user| user.id.clone()).collect());
                users.into_iter().for_each(|user| self.meet(user));
            }
            Ok(Loaded::History { page, is_more }) => {
                if let Fetch::History { with, before } = fetch {
                    self.page(&with, before.as_deref(), page, is_more, now);
                }
            }
            Ok(Loaded::Read) => {}
            Err(failure) => self.not_loaded(fetch, &failure, now),
        }
    }

    fn not_loaded(&mut self, fetch: Fetch, failure: &Failure, now: Instant) {
        // What was read is told in the end, also without a connection in between.
        let is_wanted = matches!(self.link, LinkState::Up(_)) || matches!(fetch, Fetch::Read { .. });
        if failure.is_passing() && is_wanted {
            self.again.push((now + LOAD_AGAIN, fetch));
            return;
        }
        match &fetch {
            Fetch::Chats => self.is_loading_chats = false,
            Fetch::Contacts => self.contacts = Some(self.contacts.take().unwrap_or_default()),
            Fetch::History { with, .. } => {
                if let Some(conversation) = self.conversations.get_mut(with) {
                    conversation.give_up();
                }
            }
            Fetch::Read { with, .. } => {
                self.marked.remove(with);
            }
        }
        // Without a connection this is no news, and what is missing is loaded after the next one.
        if !failure.is_passing() {
            self.problem(&failure.message);
        }
    }

    fn connected(&mut self, connection: u64, goes_on: bool, now: Instant) {
        self.link = LinkState::Up(connection);
        self.news.push(News::Link("connected".to_owned()));
        let interrupted = std::mem::take(&mut self.interrupted);
        if goes_on {
            // What was missed is told; loaded is what was being loaded.
            if self.is_loading_chats || !self.are_chats_loaded {
                self.is_loading_chats = false;
                self.load_chats();
            }
            for (with, down_to) in interrupted {
                if self.conversations.contains_key(&with) {
                    self.load_down_to(&with, down_to);
                }
            }
        } else {
            self.is_new = true;
            // Should the greeting not come.
            self.again.push((now + LOAD_AGAIN, Fetch::Chats));
        }
        self.pump(now);
    }

    /// Loads everything anew, on a connection that tells what comes from now on.
    fn load_all(&mut self) {
        self.again.retain(|(_, fetch)| *fetch != Fetch::Chats);
        self.is_loading_chats = false;
        self.load_chats();
        let open = self.open.clone();
        if !self.is_following_all {
            self.conversations.retain(|with, _| Some(with) == open.as_ref());
        }
        if let Some(with) = open {
            let down_to = self.conversations.entry(with.clone()).or_default().refresh();
            self.load_down_to(&with, down_to);
        }
    }

    fn disconnected(&mut self) {
        self.outbox.disconnected();
        self.deleting.clear();
        self.my_typing = None;
        self.again.retain(|(_, fetch)| matches!(fetch, Fetch::Read { .. } | Fetch::Contacts));
        self.online = None;
        self.is_new = false;
        for person in self.people.values_mut() {
            (person.user.is_online, person.typing_until) = (false, None);
            // Who comes and goes meanwhile is not told of later.
            person.user.last_seen.clear();
        }
        for (with, conversation) in &mut self.conversations {
            if let Some(down_to) = conversation.give_up() {
                let known = self.interrupted.entry(with.clone()).or_insert(down_to);
                *known = down_to.min(*known);
            }
        }
    }

    fn hear(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::OnlineUsers(online) => {
                for person in self.people.values_mut() {
                    person.user.is_online = online.contains(&person.user.id);
                }
                self.online = Some(online.into_iter().collect());
                // Not before: what was loaded before the connection told of what is new could miss something.
                if std::mem::take(&mut self.is_new) {
                    self.load_all();
                }
            }
            Heard::Message(message) => self.arrived(message),
            Heard::Changed(message) => self.changed(message),
            Heard::Hidden { message, sender, seq } => self.hidden(&message, &sender, seq),
            Heard::Read { chat, user, seq } if user == self.me.id => self.read_elsewhere(&chat, seq),
            Heard::Resync => {
                self.is_new = false;
                self.load_all();
            }
            Heard::Typing { sender, is_typing } => self.heard_typing(sender, is_typing, now),
            Heard::Presence { user, is_online, last_seen } => {
                if let Some(online) = &mut self.online {
                    if is_online {
                        online.insert(user.clone())
                    } else {
                        online.remove(&user)
                    };
                }
                if let Some(person) = self.people.get_mut(&user) {
                    let was_online = std::mem::replace(&mut person.user.is_online, is_online);
                    person.user.last_seen = last_seen;
                    person.typing_until.take_if(|_| !is_online);
                    if was_online != is_online {
                        self.news.push(News::Presence { user, is_online });
                    }
                } else {
                    // Somebody who shares a chat since a moment ago.
                    self.load_chats();
                }
            }
            Heard::Reply { id, outcome } => self.replied(id, outcome, now),
            // The link has taken note of the first.
            Heard::Closing { .. } | Heard::Read { .. } | Heard::Other => {}
        }
    }

    fn heard_typing(&mut self, sender: Id, is_typing: bool, now: Instant) {
        let Some(person) = self.people.get_mut(&sender) else { return };
        let was_typing = person.typing_until.is_some();
        person.typing_until = is_typing.then(|| now + TYPING_SHOWN);
        if is_typing && !was_typing {
            self.news.push(News::Typing(sender));
        }
    }

    fn replied(&mut self, id: u64, outcome: Result<serde_json::Value, Failure>, now: Instant) {
        let is_deletion = self.deleting.contains(&id);
        self.deleting.retain(|deleting| *deleting != id);
        match outcome.map(serde_json::from_value::<Message>) {
            Ok(Ok(message)) if is_deletion => self.changed(message),
            Ok(Ok(message)) => {
                self.outbox.succeeded();
                self.arrived(message);
            }
            Ok(Err(_)) => {}
            Err(failure) if is_deletion => self.problem(&failure.message),
            Err(failure) => {
                if let Some(Pending { text, .. }) = self.outbox.refused(id, &failure, now) {
                    self.news.push(News::NotSent { text, why: failure.message });
                }
            }
        }
        self.pump(now);
    }

    /// A message that was sent just now, by anybody.
    fn arrived(&mut self, message: Message) {
        let Some(with) = message.partner(&self.me.id).cloned() else { return };
        let is_mine = message.sender_id == self.me.id;
        if let Some(client_id) = message.client_id.as_deref().filter(|_| is_mine) {
            self.outbox.arrived(client_id);
        }
        if let Some(person) = self.people.get_mut(&with).filter(|_| !is_mine) {
            person.typing_until = None;
        } else if !self.people.contains_key(&with) {
            self.load_chats();
        }
        self.list(&with, &message);
        if !self.is_following_all && self.open.as_ref() != Some(&with) {
            // It is loaded when it is opened: what is kept must have no end in the middle.
            self.conversations.remove(&with);
            return;
        }
        let conversation = self.conversations.entry(with.clone()).or_default();
        let newest = conversation.end().max(self.told.get(&with).copied());
        let seq = message.seq;
        conversation.merge(message);
        if let Some(newest) = newest.filter(|newest| seq.saturating_sub(1) > *newest) {
            self.load_down_to(&with, newest + 1);
        }
        self.tell(&with);
        self.read();
    }

    /// A message is not what it was.
    fn changed(&mut self, message: Message) {
        let Some(with) = message.partner(&self.me.id).cloned() else { return };
        let listed = self.chats.iter().find(|entry| entry.with == with).and_then(|entry| entry.last.as_ref());
        let known = self.conversations.get(&with);
        let newest = listed.map(|last| last.seq).max(known.and_then(Conversation::end));
        if self.are_chats_loaded && newest.is_none_or(|newest| message.seq > newest) {
            // Sent and changed while nobody was here to hear of it.
            return self.arrived(message);
        }
        if let Some(entry) = self.chats.iter_mut().find(|entry| entry.with == with)
            && entry.last.as_ref().is_some_and(|last| last.id == message.id)
        {
            entry.last = Some(message.clone());
        }
        // What is still to be told is told as it is then.
        let mut is_news =
            !self.are_chats_loaded || self.told.get(&with).is_none_or(|told| message.seq <= *told);
        if let Some(conversation) = self.conversations.get_mut(&with)
            && conversation.is_known(message.seq)
        {
            let was_deleted = conversation.at(message.seq).is_some_and(|known| known.is_deleted);
            // Elsewhere it would stand alone, with a hole on either side.
            is_news &= conversation.merge(message.clone()) && !was_deleted;
        }
        if is_news {
            self.news.push(if message.is_deleted { News::Deleted(message) } else { News::Edited(message) });
        }
        self.tell(&with);
        self.read();
    }

    /// One has hidden a message, here or elsewhere.
    fn hidden(&mut self, message: &str, sender: &Id, seq: u64) {
        let is_there = |(with, known): (&Id, &Conversation)| {
            known.at(seq).is_some_and(|known| known.id == message).then(|| with.clone())
        };
        // To whom one's own went stands only where it is.
        let is_mine = *sender == self.me.id;
        let with = if is_mine { self.conversations.iter().find_map(is_there) } else { Some(sender.clone()) };
        if let Some(with) = with
            && let Some(conversation) = self.conversations.get_mut(&with)
        {
            conversation.hide(seq);
            self.tell(&with);
        }
        let is_last = |entry: &&mut Entry| entry.last.as_ref().is_some_and(|last| last.id == message);
        if let Some(entry) = self.chats.iter_mut().find(is_last) {
            entry.last = self.conversations.get(&entry.with).and_then(Conversation::newest).cloned();
            self.load_chats();
        }
    }

    /// One has read a chat, on another device maybe.
    fn read_elsewhere(&mut self, chat: &str, seq: u64) {
        for entry in &mut self.chats {
            if let Some(last) = entry.last.as_ref().filter(|last| last.chat_id == chat) {
                entry.unread = entry.unread.min(last.seq.saturating_sub(seq));
            }
        }
    }
}
