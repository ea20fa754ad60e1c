//! What is known: people, chats, conversations, and what waits to be sent. Pure: it is told what happened, and says what
//! is to be done ([`Order`]) and what is new ([`News`]); it knows no network and no terminal.

mod conversation;
mod outbox;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

pub(crate) use self::{
    conversation::Conversation,
    outbox::{Delivery, Outbox, Pending},
};
use crate::{
    clean,
    frame::{Heard, Say},
    link::LinkEvent,
    model::{Chat, Failure, Id, Message, User},
};

/// The server ends a typing notice after 6 s; this is for when it cannot any more.
const TYPING_SHOWN: Duration = Duration::from_secs(8);
/// Typing is told no more often than this.
const TYPING_EVERY: Duration = Duration::from_secs(3);
/// Who has not touched a key for so long is not typing.
const TYPING_IDLE: Duration = Duration::from_secs(5);
/// After that, what could not be loaded is asked for again.
const LOAD_AGAIN: Duration = Duration::from_secs(3);

/// To be loaded, or told, over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fetch {
    Chats,
    Contacts,
    History { with: Id, before: Option<Id> },
    Read { with: Id, seq: u64 },
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    Chats(Vec<Chat>),
    Contacts(Vec<User>),
    History { page: Vec<Message>, is_more: bool },
    Read,
}

/// To be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// On the connection with this number.
    Say(u64, Say),
    Fetch(Fetch),
}

/// For who reads along line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    Message(Message),
    Deleted(Message),
    Presence { user: Id, is_online: bool },
    Typing(Id),
    Link(String),
    NotSent { text: String, why: String },
    Problem(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkState {
    Connecting,
    Up(u64),
    Down { why: String, until: Instant },
    Ended(String),
}

#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) user: User,
    typing_until: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) with: Id,
    pub(crate) last: Option<Message>,
    pub(crate) unread: u64,
}

/// That one types, as far as others were told.
#[derive(Debug)]
struct MyTyping {
    to: Id,
    told: Instant,
    last_key: Instant,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) me: User,
    pub(crate) link: LinkState,
    /// All conversations are of interest, not only the open one.
    is_following_all: bool,
    people: HashMap<Id, Person>,
    /// Of those one shares a chat with, who is connected, as the connection tells; HTTP's answers are about sign-ins, too.
    online: Option<HashSet<Id>>,
    /// By name; there once they were asked for.
    contacts: Option<Vec<Id>>,
    chats: Vec<Entry>,
    are_chats_loaded: bool,
    is_loading_chats: bool,
    /// Something changed while they were being loaded.
    load_chats_again: bool,
    conversations: HashMap<Id, Conversation>,
    open: Option<Id>,
    outbox: Outbox,
    deleting: Vec<u64>,
    my_typing: Option<MyTyping>,
    /// Up to where each conversation was told as news.
    told: HashMap<Id, u64>,
    /// Up to where the server knows that I have read.
    marked: HashMap<Id, u64>,
    again: Vec<(Instant, Fetch)>,
    frames: u64,
    orders: Vec<Order>,
    news: Vec<News>,
}

impl State {
    pub(crate) fn new(me: User, is_following_all: bool) -> Self {
        Self {
            me,
            link: LinkState::Connecting,
            is_following_all,
            people: HashMap::new(),
            online: None,
            contacts: None,
            chats: Vec::new(),
            are_chats_loaded: false,
            is_loading_chats: false,
            load_chats_again: false,
            conversations: HashMap::new(),
            open: None,
            outbox: Outbox::default(),
            deleting: Vec::new(),
            my_typing: None,
            told: HashMap::new(),
            marked: HashMap::new(),
            again: Vec::new(),
            frames: 0,
            orders: Vec::new(),
            news: Vec::new(),
        }
    }

    // ---- what there is to see

    pub(crate) fn chats(&self) -> &[Entry] {
        &self.chats
    }

    pub(crate) const fn are_chats_loaded(&self) -> bool {
        self.are_chats_loaded
    }

    /// Everybody, by name, once they are loaded.
    pub(crate) fn contacts(&self) -> Option<impl Iterator<Item = &User>> {
        let users = |id: &Id| self.people.get(id).map(|person| &person.user);
        self.contacts.as_ref().map(|ids| ids.iter().filter_map(users))
    }

    pub(crate) fn person(&self, id: &str) -> Option<&Person> {
        self.people.get(id)
    }

    /// Safe to show, and never empty.
    pub(crate) fn name(&self, id: &str) -> String {
        let user =
            if id == self.me.id { Some(&self.me) } else { self.people.get(id).map(|person| &person.user) };
        let name = user.map(|user| (clean::line(&user.full_name), clean::line(&user.email)));
        match name {
            Some((name, email)) => {
                if name.is_empty() {
                    email
                } else {
                    name
                }
            }
            None => "somebody".to_owned(),
        }
    }

    pub(crate) fn is_typing(&self, id: &str) -> bool {
        self.people.get(id).is_some_and(|person| person.typing_until.is_some())
    }

    pub(crate) fn open(&self) -> Option<&Id> {
        self.open.as_ref()
    }

    pub(crate) fn conversation(&self, with: &str) -> Option<&Conversation> {
        self.conversations.get(with)
    }

    pub(crate) const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// When to call [`State::tick`].
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let people = self.people.values().filter_map(|person| person.typing_until);
        let mine = self.my_typing.as_ref().map(|typing| typing.last_key + TYPING_IDLE);
        let again = self.again.iter().map(|(at, _)| *at);
        people.chain(mine).chain(again).chain(self.outbox.wake_at()).min()
    }

    pub(crate) fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    // ---- what one does

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

    // ---- what happens

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
            LinkEvent::Up(connection) => self.connected(connection, now),
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
                if let Fetch::History { with, .. } = fetch {
                    self.page(&with, page, is_more, now);
                }
            }
            Ok(Loaded::Read) => {}
            Err(failure) => self.not_loaded(fetch, &failure, now),
        }
    }

    fn not_loaded(&mut self, fetch: Fetch, failure: &Failure, now: Instant) {
        if failure.is_passing() && matches!(self.link, LinkState::Up(_)) {
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

    fn connected(&mut self, connection: u64, now: Instant) {
        self.link = LinkState::Up(connection);
        self.news.push(News::Link("connected".to_owned()));
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
        self.pump(now);
    }

    fn disconnected(&mut self) {
        self.outbox.disconnected();
        self.deleting.clear();
        self.my_typing = None;
        self.again.clear();
        self.online = None;
        for person in self.people.values_mut() {
            (person.user.is_online, person.typing_until) = (false, None);
        }
        self.conversations.values_mut().for_each(Conversation::give_up);
    }

    fn hear(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::OnlineUsers(online) => {
                for person in self.people.values_mut() {
                    person.user.is_online = online.contains(&person.user.id);
                }
                self.online = Some(online.into_iter().collect());
            }
            Heard::Message(message) => self.arrived(message),
            Heard::Deleted(message) => self.changed(message),
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
            Heard::Other => {}
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
        let newest = conversation.newest().map(|newest| newest.seq).or_else(|| self.told.get(&with).copied());
        let seq = message.seq;
        conversation.merge(message);
        if let Some(newest) = newest.filter(|newest| seq > newest + 1) {
            self.load_down_to(&with, newest + 1);
        }
        self.tell(&with);
        self.read();
    }

    /// A message is not what it was.
    fn changed(&mut self, message: Message) {
        let Some(with) = message.partner(&self.me.id).cloned() else { return };
        if let Some(entry) = self.chats.iter_mut().find(|entry| entry.with == with)
            && entry.last.as_ref().is_some_and(|last| last.id == message.id)
        {
            entry.last = Some(message.clone());
        }
        let is_news = self
            .conversations
            .get(&with)
            .and_then(|known| known.at(message.seq))
            .is_none_or(|known| !known.is_deleted);
        if self.is_following_all {
            self.conversations.entry(with.clone()).or_default();
        }
        if let Some(conversation) = self.conversations.get_mut(&with) {
            conversation.merge(message.clone());
        }
        if is_news {
            self.news.push(News::Deleted(message));
        }
        self.tell(&with);
        self.read();
    }

    /// Moves the chat to the front of the list.
    fn list(&mut self, with: &Id, message: &Message) {
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

    fn load_chats(&mut self) {
        if std::mem::replace(&mut self.is_loading_chats, true) {
            self.load_chats_again = true;
        } else {
            self.fetch(Fetch::Chats);
        }
    }

    fn chats_loaded(&mut self, chats: Vec<Chat>) {
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
                    live.map_or(newest, |live| newest.min(live - 1))
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

    fn page(&mut self, with: &Id, page: Vec<Message>, is_more: bool, now: Instant) {
        for message in &page {
            if let Some(client_id) = message.client_id.as_deref().filter(|_| message.sender_id == self.me.id)
            {
                self.outbox.arrived(client_id);
            }
        }
        let Some(conversation) = self.conversations.get_mut(with) else { return };
        if let Some(before) = conversation.page(page, is_more) {
            self.fetch(Fetch::History { with: with.clone(), before: Some(before) });
        }
        self.tell(with);
        self.read();
        self.pump(now);
    }

    fn load_down_to(&mut self, with: &str, seq: u64) {
        if self.conversations.entry(with.to_owned()).or_default().want(seq) {
            self.fetch(Fetch::History { with: with.to_owned(), before: None });
        }
    }

    /// The last `seq` from there on without a hole.
    fn contiguous(&self, with: &str, from: u64) -> u64 {
        let Some(conversation) = self.conversations.get(with) else { return from };
        (from + 1..).take_while(|seq| conversation.at(*seq).is_some()).last().unwrap_or(from)
    }

    /// Tells messages as news: each once, in order, and not before the name is known.
    fn tell(&mut self, with: &str) {
        if !self.is_following_all || !self.are_chats_loaded || !self.people.contains_key(with) {
            return;
        }
        let told = self.told.get(with).copied().unwrap_or(0);
        let upto = self.contiguous(with, told);
        if let Some(conversation) = self.conversations.get(with) {
            let new = (told + 1..=upto).filter_map(|seq| conversation.at(seq)).cloned().map(News::Message);
            self.news.extend(new);
        }
        self.told.insert(with.to_owned(), upto);
    }

    /// What is open is read, once all of it is there.
    fn read(&mut self) {
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

    fn meet(&mut self, mut user: User) {
        let is_partner = self.chats.iter().any(|entry| entry.with == user.id);
        if let Some(online) = self.online.as_ref().filter(|_| is_partner) {
            user.is_online = online.contains(&user.id);
        }
        let typing_until = self.people.remove(&user.id).and_then(|person| person.typing_until);
        self.people.insert(user.id.clone(), Person { user, typing_until });
    }

    /// Sends what can be sent.
    fn pump(&mut self, now: Instant) {
        let LinkState::Up(connection) = self.link else { return };
        let frame = self.frames + 1;
        if let Some(say) = self.outbox.next(frame, now) {
            self.frames = frame;
            self.orders.push(Order::Say(connection, say));
        }
    }

    const fn next_frame(&mut self) -> u64 {
        self.frames += 1;
        self.frames
    }

    fn fetch(&mut self, fetch: Fetch) {
        self.orders.push(Order::Fetch(fetch));
    }

    fn problem(&mut self, text: &str) {
        self.news.push(News::Problem(text.to_owned()));
    }
}
