//! What devices do: how many messages are sent, by whom to whom, and what else is done to them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chat_tests::{
    Dice, json,
    mirror::Mirror,
    resuming::{Request, Script},
};

use super::{HOT, partners};

/// The messages that are still to be sent.
pub(crate) struct Work {
    pub(crate) total: usize,
    pub(crate) left: AtomicUsize,
    pub(crate) begun: OnceLock<Instant>,
    /// When this is over, no more of them are sent: a slow machine sends fewer, and is harmed as often.
    pub(crate) budget: Duration,
    pub(crate) ids: Vec<String>,
}

impl Work {
    /// Takes one of them.
    fn take(&self) -> bool {
        self.is_on()
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.begun.get().is_some() && self.progress() < 1000
    }

    pub(crate) fn sent(&self) -> usize {
        self.total - self.left.load(Ordering::Relaxed)
    }

    /// How much is done, of the work or of the time, in thousandths.
    pub(crate) fn progress(&self) -> usize {
        let time =
            self.begun.get().map_or(0, |begun| begun.elapsed().as_millis() * 1000 / self.budget.as_millis());
        (self.sent() * 1000 / self.total).max(usize::try_from(time).unwrap())
    }
}

/// What a device does: it sends at full speed, and every twentieth time it does something with what is there.
pub(crate) struct Author {
    pub(crate) work: Arc<Work>,
    pub(crate) dice: Dice,
    pub(crate) person: usize,
    pub(crate) name: String,
    /// Its own, so that a person's two devices don't take away each other's.
    pub(crate) emoji: [&'static str; 2],
    pub(crate) sent: usize,
}

impl Author {
    pub(crate) fn script(mut self) -> Script {
        Box::new(move |mirror, under_way| {
            if !self.work.is_on() {
                return None;
            }
            let change = if self.dice.percent(6) { self.change(mirror, under_way) } else { None };
            change.or_else(|| self.send())
        })
    }

    fn send(&mut self) -> Option<Request> {
        if !self.work.take() {
            return None;
        }
        let to = *self.dice.pick(&partners(self.person));
        let to = if self.person < HOT && self.dice.percent(80) { self.person ^ 1 } else { to };
        let key = format!("{}-{}", self.name, self.sent);
        self.sent += 1;
        // A few long ones, or the system would buffer a whole run for those who don't read.
        let padding = if self.dice.percent(15) { self.dice.below(6000) } else { 0 };
        let text = format!("{key} {}", ".".repeat(usize::try_from(padding).unwrap()));
        let payload = json!({ "receiverId": self.work.ids[to], "text": text.trim_end(), "clientId": key });
        Some(Request { event: "sendMessage", payload, tag: key })
    }

    fn change(&mut self, mirror: &Mirror, under_way: &BTreeSet<String>) -> Option<Request> {
        let chats = mirror.chats();
        if chats.is_empty() {
            return None;
        }
        let chat = (*self.dice.pick(&chats)).to_owned();
        let message = mirror.nth(&chat, usize::try_from(self.dice.next() >> 8).unwrap())?;
        let id = message["_id"].as_str().unwrap();
        // One after the other, so that it is known how each message has to look in the end.
        if message["isDeleted"] == true || under_way.contains(id) {
            return None;
        }
        let is_own = message["clientId"].as_str().unwrap().starts_with(&format!("{}-", self.name));
        let is_theirs = message["senderId"] != self.work.ids[self.person];
        let emoji = *self.dice.pick(&self.emoji);
        let (event, payload) = match self.dice.below(12) {
            0..4 if is_own => {
                let text = format!("edited {}", self.dice.below(1000));
                ("editMessage", json!({ "messageId": id, "text": text }))
            }
            0..2 if is_theirs => ("hideMessage", json!({ "messageId": id })),
            4 if is_own => ("deleteMessage", json!({ "messageId": id })),
            4..8 => ("react", json!({ "messageId": id, "emoji": emoji, "isOn": true })),
            8 => ("react", json!({ "messageId": id, "emoji": emoji, "isOn": false })),
            9..12 => {
                let payload = json!({ "chatId": chat, "seq": message["seq"] });
                return Some(Request { event: "messagesRead", payload, tag: format!("read {chat}") });
            }
            _ => return None,
        };
        Some(Request { event, payload, tag: id.to_owned() })
    }
}
