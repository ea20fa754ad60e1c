//! One conversation, as far as it is loaded.

use std::collections::{BTreeMap, HashSet};

use crate::model::{Id, Message};

/// After so many, what is older is let go on a reconnect, and loaded again when somebody scrolls there.
const KEEP: u64 = 500;

#[derive(Debug, Default)]
pub(crate) struct Conversation {
    messages: BTreeMap<u64, Message>,
    /// Of which places all is known, from and to. Where there is no message, it was hidden by oneself.
    covered: BTreeMap<u64, u64>,
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

    /// These, oldest first.
    pub(crate) fn between(&self, from: u64, to: u64) -> impl Iterator<Item = &Message> {
        let range = (from <= to).then(|| self.messages.range(from..=to));
        range.into_iter().flatten().map(|(_, message)| message)
    }

    /// The last place of which something is known.
    pub(crate) fn end(&self) -> Option<u64> {
        self.covered.last_key_value().map(|(_, to)| *to)
    }

    /// The last place behind this one, up to which nothing is missing.
    pub(crate) fn known_to(&self, from: u64) -> u64 {
        let next = self.covered.range(..=from.saturating_add(1)).next_back();
        next.map_or(from, |(_, to)| from.max(*to))
    }

    pub(crate) fn is_known(&self, seq: u64) -> bool {
        self.covered.range(..=seq).next_back().is_some_and(|(_, to)| *to >= seq)
    }

    fn cover(&mut self, mut from: u64, mut to: u64) {
        while let Some((&start, &end)) = self.covered.range(..=to.saturating_add(1)).next_back()
            && end.saturating_add(1) >= from
        {
            (from, to) = (from.min(start), to.max(end));
            self.covered.remove(&start);
        }
        self.covered.insert(from, to);
    }

    /// It is not to be seen any more, nor to be waited for.
    pub(crate) fn hide(&mut self, seq: u64) {
        self.messages.remove(&seq);
        self.cover(seq, seq);
    }

    /// Whether that told something new. An old copy that comes late changes nothing, and brings back nothing.
    pub(crate) fn merge(&mut self, message: Message) -> bool {
        if self.is_known(message.seq) && !self.messages.contains_key(&message.seq) {
            return false;
        }
        self.cover(message.seq, message.seq);
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

    /// Takes the page before a message, or the newest; answers the message before which the next one is wanted.
    pub(crate) fn page(&mut self, before: Option<&str>, page: Vec<Message>, is_more: bool) -> Option<Id> {
        self.is_loading = false;
        let lowest = page.first().map(|message| (message.seq, message.id.clone()));
        let before = before.and_then(|before| self.messages.values().find(|message| message.id == before));
        let end =
            before.map(|before| before.seq.saturating_sub(1)).or(page.last().map(|message| message.seq));
        let start = if is_more { lowest.as_ref().map(|(seq, _)| *seq) } else { Some(1) };
        let shown: HashSet<u64> = page.iter().map(|message| message.seq).collect();
        for message in page {
            self.merge(message);
        }
        if let (Some(start), Some(end)) = (start, end)
            && start <= end
        {
            // What the server leaves out was hidden.
            self.messages.retain(|seq, _| !(start..=end).contains(seq) || shown.contains(seq));
            self.cover(start, end);
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

    /// Nothing comes of what was asked for: from the end down to there.
    pub(crate) fn give_up(&mut self) -> Option<u64> {
        let wanted = self.wanted.take().unwrap_or(u64::MAX);
        std::mem::take(&mut self.is_loading).then_some(wanted)
    }

    /// What was missed may be anywhere (a deletion changes an old message): answers down to where to load anew.
    pub(crate) fn refresh(&mut self) -> u64 {
        self.give_up();
        let newest = self.newest().map_or(0, |message| message.seq);
        let first = newest.saturating_sub(KEEP);
        let kept = self.messages.split_off(&first);
        let covered = std::mem::take(&mut self.covered).into_iter().filter(|(_, to)| *to >= first);
        self.covered = covered.map(|(from, to)| (from.max(first), to)).collect();
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
        assert_eq!(conversation.page(None, page(8..=10), true), None);
        assert!(!conversation.is_whole && !conversation.is_loading);
        assert!(conversation.want(11), "10 is known, 20 came");
        assert!(!conversation.want(11), "it is being loaded");
        assert_eq!(conversation.page(None, page(18..=20), true).unwrap(), page(18..=18)[0].id);
        assert_eq!(conversation.page(None, page(15..=17), true).unwrap(), page(15..=15)[0].id);
        assert_eq!(conversation.page(None, page(11..=14), true), None);
        assert_eq!(seqs(&conversation), (8..=20).collect::<Vec<_>>());
        assert_eq!(conversation.page(None, page(1..=7), false), None);
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
    fn what_is_hidden_is_no_hole() {
        let without = |hidden: u64| -> Vec<Message> {
            page(1..=9).into_iter().filter(|message| message.seq != hidden).collect()
        };
        let mut conversation = Conversation::default();
        conversation.page(None, without(4).split_off(3), true);
        assert_eq!((conversation.known_to(3), conversation.known_to(4)), (3, 9), "{conversation:?}");
        let first = conversation.lowest().unwrap().id.clone();
        conversation.page(Some(&first), without(4)[..3].to_vec(), true);
        assert_eq!((conversation.known_to(0), conversation.at(4)), (9, None), "left out between two pages");
        // Later, on another device; and a page that is older comes late.
        conversation.hide(9);
        conversation.hide(2);
        assert_eq!(
            (conversation.known_to(0), conversation.end(), seqs(&conversation).len()),
            (9, Some(9), 6)
        );
        conversation.merge(page(9..=9).remove(0));
        assert_eq!(conversation.at(9), None);
        // At the very beginning, and while nobody was there to hear of it.
        conversation.page(None, page(7..=8), false);
        assert_eq!((seqs(&conversation), conversation.known_to(0)), (vec![7, 8], 9));
        // A server that makes fun of us.
        conversation.page(None, [page(1..=1), page(u64::MAX..=u64::MAX)].concat(), false);
        assert_eq!(conversation.known_to(0), u64::MAX);
        assert_eq!(Conversation::default().page(None, Vec::new(), false), None);
    }

    #[test]
    fn what_is_known_grows_together() {
        let mut conversation = Conversation::default();
        for seq in [5, 1, 3, 9, 2, 8, 4] {
            conversation.hide(seq);
        }
        assert_eq!(conversation.covered, BTreeMap::from([(1, 5), (8, 9)]));
        assert_eq!([0, 3, 5, 6, 7, 9].map(|from| conversation.known_to(from)), [5, 5, 5, 6, 9, 9]);
        assert_eq!(
            [0, 1, 5, 6, 9, 10].map(|seq| conversation.is_known(seq)),
            [false, true, true, false, true, false]
        );
        assert_eq!(conversation.between(6, 5).count(), 0);
    }

    #[test]
    fn a_refresh_lets_go_of_what_is_old() {
        let mut conversation = Conversation::default();
        conversation.page(None, page(1..=700), false);
        assert_eq!(conversation.refresh(), 200);
        assert!(!conversation.is_whole && !conversation.is_known(199) && conversation.known_to(199) == 700);
        assert_eq!(Conversation::default().refresh(), u64::MAX);
    }
}
