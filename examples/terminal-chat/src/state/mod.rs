//! What is known: people, chats, conversations, and what waits to be sent. Pure: it is told what happened, and says what
//! is to be done ([`Order`]) and what is new ([`News`]); it knows no network and no terminal.

mod actions;
mod catch_up;
mod conversation;
mod events;
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
    frame::Say,
    model::{Chat, Id, Message, User},
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
    Edited(Message),
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
    /// A connection that does not go on from another one: after its greeting all is loaded.
    is_new: bool,
    /// What was being loaded when the connection ended, and down to where.
    interrupted: HashMap<Id, u64>,
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
            is_new: false,
            interrupted: HashMap::new(),
            frames: 0,
            orders: Vec::new(),
            news: Vec::new(),
        }
    }

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
