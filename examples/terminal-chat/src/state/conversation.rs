//! One conversation, as far as it is loaded.

use std::collections::BTreeMap;

use crate::model::{Id, Message};

/// After so many, what is older is let go on a reconnect, and loaded again when somebody scrolls there.
const KEEP: u64 = 500;

#[derive(Debug, Default)]
pub(crate) struct Conversation {
    messages: BTreeMap<u64, Message>,
    /// The first message is there.
    pub(crate) is_whole: bool,
    pub(crate) is_loading: bool,
    /// Pages are loaded until this `seq` is reached.
    wanted: Option<u64>,
}

impl Conversation {
    /// By `seq`, oldest first.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.values()
    }

    pub(crate) fn at(&self, seq: u64) -> Option<&Message> {
        self.messages.get(&seq)
    }

    pub(crate) fn lowest(&self) -> Option<&Message> {
        self.messages.first_key_value().map(|(_, message)| message)
    }

    pub(crate) fn newest(&self) -> Option<&Message> {
        self.messages.last_key_value().map(|(_, message)| message)
    }

    /// Whether that told something new. An old copy that comes late changes nothing.
    pub(crate) fn merge(&mut self, message: Message) -> bool {
        let is_news = self.messages.get(&message.seq).is_none_or(|known| {
            // What is deleted stays deleted, should both have the same millisecond.
            (&message.updated_at, message.is_deleted) > (&known.updated_at, known.is_deleted)
        });
        if is_news {
            self.messages.insert(message.seq, message);
        }
        is_news
    }

    /// Asks for what is missing down to `seq`. True: begin to load at the newest.
    pub(crate) fn want(&mut self, seq: u64) -> bool {
        self.wanted = Some(self.wanted.map_or(seq, |wanted| wanted.min(seq)));
        !std::mem::replace(&mut self.is_loading, true)
    }

    /// Takes a page; answers the message before which the next one is wanted.
    pub(crate) fn page(&mut self, page: Vec<Message>, is_more: bool) -> Option<Id> {
        self.is_loading = false;
        let lowest = page.first().map(|message| (message.seq, message.id.clone()));
        for message in page {
            self.merge(message);
        }
        let reached = lowest.as_ref().map_or(0, |(seq, _)| *seq);
        if !is_more && self.lowest().is_none_or(|message| message.seq >= reached) {
            self.is_whole = true;
        }
        match (self.wanted, lowest) {
            (Some(wanted), Some((seq, id))) if is_more && seq > wanted => {
                self.is_loading = true;
                Some(id)
            }
            _ => {
                self.wanted = None;
                None
            }
        }
    }

    /// Nothing comes of what was asked for.
    pub(crate) const fn give_up(&mut self) {
        self.is_loading = false;
        self.wanted = None;
    }

    /// What was missed may be anywhere (a deletion changes an old message): answers down to where to load anew.
    pub(crate) fn refresh(&mut self) -> u64 {
        self.give_up();
        let newest = self.newest().map_or(0, |message| message.seq);
        let kept = self.messages.split_off(&newest.saturating_sub(KEEP));
        if !self.messages.is_empty() {
            self.is_whole = false;
        }
        self.messages = kept;
        self.lowest().map_or(u64::MAX, |message| message.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::message;

    fn page(seqs: std::ops::RangeInclusive<u64>) -> Vec<Message> {
        seqs.map(|seq| message(seq, "bob", "ann", "x")).collect()
    }

    fn seqs(conversation: &Conversation) -> Vec<u64> {
        conversation.messages().map(|message| message.seq).collect()
    }

    #[test]
    fn pages_are_loaded_until_the_hole_is_closed() {
        let mut conversation = Conversation::default();
        assert!(conversation.want(u64::MAX));
        assert_eq!(conversation.page(page(8..=10), true), None);
        assert!(!conversation.is_whole && !conversation.is_loading);
        assert!(conversation.want(11), "10 is known, 20 came");
        assert!(!conversation.want(11), "it is being loaded");
        assert_eq!(conversation.page(page(18..=20), true).unwrap(), page(18..=18)[0].id);
        assert_eq!(conversation.page(page(15..=17), true).unwrap(), page(15..=15)[0].id);
        assert_eq!(conversation.page(page(11..=14), true), None);
        assert_eq!(seqs(&conversation), (8..=20).collect::<Vec<_>>());
        assert_eq!(conversation.page(page(1..=7), false), None);
        assert!(conversation.is_whole);
    }

    #[test]
    fn the_later_version_stays() {
        let mut conversation = Conversation::default();
        let first = message(1, "bob", "ann", "x");
        let deleted = Message { is_deleted: true, text: None, ..first.clone() };
        assert!(conversation.merge(first.clone()) && conversation.merge(deleted));
        assert!(!conversation.merge(first));
        assert!(conversation.at(1).unwrap().is_deleted);
    }

    #[test]
    fn a_refresh_lets_go_of_what_is_old() {
        let mut conversation = Conversation::default();
        conversation.page(page(1..=700), false);
        assert_eq!(conversation.refresh(), 200);
        assert!(!conversation.is_whole);
        assert_eq!(Conversation::default().refresh(), u64::MAX);
    }
}
