//! What a client knows that only listens: messages merged by `_id`, by the very rules of the front end in the README, and
//! notes on the way.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The state that one device has made of its stream.
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    chats: BTreeMap<String, Chat>,
    /// How far members have come, by event, chat and member.
    marks: BTreeMap<(String, String, String), u64>,
    /// New messages that came before earlier ones of their chat.
    pub gaps: Vec<Gap>,
    /// Events about messages.
    pub events: usize,
    /// Of those, such of a form (`updatedAt`) that was known.
    pub repeats: usize,
    /// Of those, such of a form that is older than what was known.
    pub stale: usize,
    /// Of those, such of a message that was hidden.
    pub ghosts: usize,
    /// How often it was told that its cursor can't be served.
    pub resyncs: usize,
    /// What must not be: the same form of a message (`_id`, `updatedAt`) with another content.
    pub contradictions: Vec<String>,
}

/// A message appeared while earlier ones of its chat were not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The chat.
    pub chat: String,
    /// Its place.
    pub seq: u64,
    /// The places of those that were missing, as far as they were not noted before.
    pub missing: Vec<u64>,
    /// The event it came by.
    pub event: String,
}

#[derive(Debug, Clone, Default)]
struct Chat {
    messages: BTreeMap<String, Value>,
    /// The newest form of each in which it came as a whole.
    wholes: BTreeMap<String, Value>,
    /// Places that have appeared, or whose absence was noted.
    seen: BTreeSet<u64>,
    /// All places up to here are among them.
    prefix: u64,
    hidden: BTreeSet<String>,
}

impl Mirror {
    /// Takes in an event. Those that are not about messages change nothing.
    pub fn apply(&mut self, name: &str, data: &Value) {
        match name {
            "sendMessage" | "editMessage" | "deleteMessage" => {
                assert_eq!(data["isDeleted"] == true, name == "deleteMessage", "{name}: {data}");
                self.events += 1;
                self.appears(name, data);
                self.upsert(data);
            }
            "reactions" => {
                self.events += 1;
                self.reactions(data);
            }
            "hideMessage" => {
                self.events += 1;
                let chat = self.chat(data);
                let id = text(&data["messageId"]);
                chat.note(data["seq"].as_u64().unwrap());
                chat.messages.remove(&id);
                chat.hidden.insert(id);
            }
            "messagesRead" | "messagesDelivered" => {
                let key = (name.to_owned(), text(&data["chatId"]), text(&data["userId"]));
                let (mark, seq) = (self.marks.entry(key).or_default(), data["seq"].as_u64().unwrap());
                *mark = seq.max(*mark);
            }
            "resync" => {
                assert_eq!(data, &json!({}));
                self.resyncs += 1;
            }
            "onlineUsers" | "presence" | "typing" => {}
            _ => panic!("an unknown event {name}: {data}"),
        }
    }

    /// Takes in a message that it has from elsewhere: the answer to a request, the history. Order is not asked for.
    pub fn learn(&mut self, message: &Value) {
        let chat = self.chat(message);
        chat.note(message["seq"].as_u64().unwrap());
        self.upsert(message);
    }

    /// Takes away a message that it knows and does not want to see any more.
    pub fn hide(&mut self, id: &str) {
        for chat in self.chats.values_mut() {
            if chat.messages.remove(id).is_some() {
                chat.hidden.insert(id.to_owned());
            }
        }
    }

    /// The messages of a chat, by `seq`.
    #[must_use]
    pub fn messages(&self, chat: &str) -> Vec<Value> {
        let mut messages: Vec<Value> =
            self.chats.get(chat).iter().flat_map(|chat| chat.messages.values()).cloned().collect();
        messages.sort_by_key(|message| message["seq"].as_u64());
        messages
    }

    /// One message.
    #[must_use]
    pub fn message(&self, chat: &str, id: &str) -> Option<&Value> {
        self.chats.get(chat)?.messages.get(id)
    }

    /// The chats of which something is known.
    #[must_use]
    pub fn chats(&self) -> Vec<&str> {
        self.chats.iter().filter(|(_, chat)| !chat.messages.is_empty()).map(|(id, _)| id.as_str()).collect()
    }

    /// One of the messages of a chat, by any number.
    #[must_use]
    pub fn nth(&self, chat: &str, number: usize) -> Option<&Value> {
        let messages = &self.chats.get(chat)?.messages;
        messages.values().nth(number % messages.len().max(1))
    }

    /// How many messages of a chat are known.
    #[must_use]
    pub fn len(&self, chat: &str) -> usize {
        self.chats.get(chat).map_or(0, |chat| chat.messages.len())
    }

    /// Whether nothing is known of a chat.
    #[must_use]
    pub fn is_empty(&self, chat: &str) -> bool {
        self.len(chat) == 0
    }

    /// How far a member has come, by the name of the event that tells of it.
    #[must_use]
    pub fn mark(&self, event: &str, chat: &str, user: &str) -> u64 {
        self.marks.get(&(event.to_owned(), chat.to_owned(), user.to_owned())).copied().unwrap_or_default()
    }

    /// The gaps of a client that was there when its chats had so many messages already.
    #[must_use]
    pub fn gaps_after(&self, seq: u64) -> Vec<&Gap> {
        self.gaps.iter().filter(|gap| gap.seq > seq + 1).collect()
    }

    /// Where this differs from the history of a chat: one line for each message, the first few of them.
    #[must_use]
    pub fn differences(&self, chat: &str, history: &[Value]) -> Vec<String> {
        let ours = self.messages(chat);
        let ours: BTreeMap<&str, &Value> = ours.iter().map(|message| (id(message), message)).collect();
        let theirs: BTreeMap<&str, &Value> = history.iter().map(|message| (id(message), message)).collect();
        let mut lines = Vec::new();
        for (id, theirs) in &theirs {
            match ours.get(id) {
                None => lines.push(format!("lost: {theirs}")),
                Some(ours) if ours != theirs => {
                    lines.push(format!("differs: history {theirs}\n          stream {ours}"));
                }
                Some(_) => {}
            }
        }
        let extra = ours.iter().filter(|(id, _)| !theirs.contains_key(*id));
        lines.extend(extra.map(|(_, ours)| format!("not in the history: {ours}")));
        lines
    }

    fn chat(&mut self, data: &Value) -> &mut Chat {
        self.chats.entry(text(&data["chatId"])).or_default()
    }

    /// Looks whether a message that is not known yet comes in its turn.
    fn appears(&mut self, event: &str, message: &Value) {
        let seq = message["seq"].as_u64().unwrap();
        let chat = self.chat(message);
        if chat.seen.contains(&seq) || seq <= chat.prefix {
            return;
        }
        let missing: Vec<u64> = (chat.prefix + 1..seq).filter(|seq| !chat.seen.contains(seq)).collect();
        for seq in &missing {
            chat.note(*seq);
        }
        chat.note(seq);
        if !missing.is_empty() {
            let chat = text(&message["chatId"]);
            self.gaps.push(Gap { chat, seq, missing, event: event.to_owned() });
        }
    }

    /// What is not older than what is known replaces it.
    fn upsert(&mut self, message: &Value) {
        let chat = self.chats.entry(text(&message["chatId"])).or_default();
        let id = text(&message["_id"]);
        if chat.hidden.contains(&id) {
            self.ghosts += 1;
            return;
        }
        if let Some(known) = chat.messages.get(&id) {
            self.stale += usize::from(message["updatedAt"].as_str() < known["updatedAt"].as_str());
            self.repeats += usize::from(message["updatedAt"] == known["updatedAt"]);
        }
        match chat.wholes.get(&id) {
            Some(whole) if whole["updatedAt"] == message["updatedAt"] && whole != message => {
                self.contradictions.push(format!("{whole} and {message}"));
            }
            // Times of this form are in the order of their texts.
            Some(whole) if whole["updatedAt"].as_str() > message["updatedAt"].as_str() => {}
            _ => {
                chat.wholes.insert(id, message.clone());
            }
        }
        chat.merge(message);
    }

    fn reactions(&mut self, data: &Value) {
        let chat = self.chats.entry(text(&data["chatId"])).or_default();
        // Of one that is not known yet, the message itself will tell when it comes.
        let Some(known) = chat.messages.get(data["messageId"].as_str().unwrap()) else { return };
        self.stale += usize::from(data["updatedAt"].as_str() < known["updatedAt"].as_str());
        self.repeats += usize::from(data["updatedAt"] == known["updatedAt"]);
        let mut message = known.clone();
        message["reactions"] = data["reactions"].clone();
        message["updatedAt"] = data["updatedAt"].clone();
        chat.merge(&message);
    }
}

impl Chat {
    fn merge(&mut self, message: &Value) {
        let id = message["_id"].as_str().unwrap();
        let old = self.messages.get(id);
        if old.is_none_or(|old| old["updatedAt"].as_str() <= message["updatedAt"].as_str()) {
            self.messages.insert(id.to_owned(), message.clone());
        }
    }

    fn note(&mut self, seq: u64) {
        if seq > self.prefix {
            self.seen.insert(seq);
        }
        while self.seen.remove(&(self.prefix + 1)) {
            self.prefix += 1;
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn id(message: &Value) -> &str {
    message["_id"].as_str().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64, version: u64, text: &str) -> Value {
        json!({ "_id": format!("m{seq}"), "chatId": "c", "seq": seq, "text": text, "isDeleted": false,
            "reactions": [], "updatedAt": format!("2026-01-31T12:00:00.{version:03}Z") })
    }

    #[test]
    fn newer_wins_and_repeats_are_counted() {
        let mut mirror = Mirror::default();
        mirror.apply("sendMessage", &message(1, 0, "a"));
        mirror.apply("editMessage", &message(1, 2, "b"));
        mirror.apply("sendMessage", &message(1, 0, "a"));
        mirror.apply("editMessage", &message(1, 2, "b"));
        assert_eq!(mirror.messages("c"), [message(1, 2, "b")]);
        assert_eq!((mirror.repeats, mirror.stale, mirror.gaps.len()), (1, 1, 0));
        mirror.apply("editMessage", &message(1, 2, "c"));
        assert_eq!(mirror.contradictions.len(), 1);
    }

    #[test]
    fn what_comes_too_early_is_noted_once() {
        let mut mirror = Mirror::default();
        mirror.learn(&message(1, 0, "own"));
        for seq in [3, 4, 2, 6] {
            mirror.apply("sendMessage", &message(seq, 0, "x"));
        }
        let missing: Vec<_> = mirror.gaps.iter().map(|gap| (gap.seq, gap.missing.clone())).collect();
        assert_eq!(missing, [(3, vec![2]), (6, vec![5])]);
    }

    #[test]
    fn losses_and_differences_are_seen() {
        let mut mirror = Mirror::default();
        let history = [message(1, 0, "a"), message(2, 0, "b")];
        mirror.apply("sendMessage", &history[0]);
        assert!(mirror.differences("c", &history)[0].starts_with("lost"));
        mirror.apply("sendMessage", &message(2, 1, "c"));
        assert!(mirror.differences("c", &history)[0].starts_with("differs"));
        assert!(mirror.differences("c", &history[..1]).iter().any(|line| line.starts_with("not in")));
        let hidden = json!({ "chatId": "c", "messageId": "m2", "seq": 2, "senderId": "s" });
        mirror.apply("hideMessage", &hidden);
        assert!(mirror.differences("c", &history[..1]).is_empty());
    }
}
