//! Whether all is well: every device against the history, and what was acknowledged against what is there.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chat_tests::{Value, json, proxy::Cut, resuming::Device};

use super::{CATCH_UP, Trial, partners};

impl Trial {
    /// Compares every device with the history, until they are the same or it takes too long.
    pub(crate) async fn compare(&mut self) {
        let histories = self.histories().await;
        let lost = self.differences(&histories, CATCH_UP).await;
        if !lost.is_empty() {
            // Not told to whom is there, or not even to whom comes back? The cause is another one.
            self.proxy.cut_all(Cut::Reset);
            let still = self.differences(&histories, CATCH_UP / 5).await.len();
            eprintln!("of {} lost, {still} are so after a reconnect, too", lost.len());
        }
        let disorder = self.disorder(&histories);
        let broken = self.broken_promises(&histories).await;
        self.report(&lost, &disorder);
        let figures = [("lost", lost), ("out of order", disorder), ("broken promises", broken)];
        for (what, lines) in &figures {
            for line in lines.iter().take(10) {
                eprintln!("{what}: {line}");
            }
        }
        for (what, lines) in figures {
            assert!(lines.is_empty(), "{what}: {}", lines.len());
        }
        for device in &self.devices {
            let state = device.state();
            assert_eq!(state.mirror.contradictions, [""; 0], "{}", device.identity.name);
            assert_eq!(state.mirror.resyncs, 0, "a good cursor is refused: {}", device.identity.name);
        }
    }

    /// Where devices differ from the history, when that has not come to an end in this time.
    async fn differences(
        &mut self,
        histories: &[BTreeMap<String, Vec<Value>>],
        at_most: Duration,
    ) -> Vec<String> {
        let start = Instant::now();
        loop {
            let mut lines = Vec::new();
            for (number, device) in self.devices.iter().enumerate() {
                let (state, name) = (device.state(), &device.identity.name);
                for (chat, history) in &histories[number / 2] {
                    let of = state.mirror.differences(chat, history);
                    lines.extend(of.iter().map(|line| format!("{name}: {line}")));
                }
            }
            for device in &mut self.devices {
                device.check().await;
            }
            if lines.is_empty() || start.elapsed() > at_most {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everybody's chats, each with its messages.
    async fn histories(&self) -> Vec<BTreeMap<String, Vec<Value>>> {
        let mut all = Vec::new();
        for (number, person) in self.people.iter().enumerate() {
            let mut chats = BTreeMap::new();
            for partner in partners(number) {
                let messages = person.whole_conversation(&self.people[partner]).await;
                chats.insert(messages[0]["chatId"].as_str().unwrap().to_owned(), messages);
            }
            all.push(chats);
        }
        all
    }

    /// New messages that came before earlier ones. What a device itself had sent and heard no answer of yet is not in
    /// its stream, nor is what its owner has hidden.
    fn disorder(&self, histories: &[BTreeMap<String, Vec<Value>>]) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, device) in self.devices.iter().enumerate() {
            let (name, state) = (&device.identity.name, device.state());
            for gap in &state.mirror.gaps {
                let history = histories[number / 2].get(&gap.chat).map(Vec::as_slice).unwrap_or_default();
                for seq in &gap.missing {
                    let Some(message) = history.iter().find(|message| message["seq"] == *seq) else {
                        continue;
                    };
                    let is_own = message["clientId"].as_str().unwrap().starts_with(&format!("{name}-"));
                    if !is_own {
                        let (event, at) = (&gap.event, gap.seq);
                        lines.push(format!("{name}: {event} of {at} in {} before {message}", gap.chat));
                    }
                }
            }
        }
        lines
    }

    /// What was acknowledged and is not so, as everybody's history has it.
    async fn broken_promises(&self, histories: &[BTreeMap<String, Vec<Value>>]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut keys = BTreeMap::new();
        let mut by_id: BTreeMap<&str, &Value> = BTreeMap::new();
        for message in histories.iter().flat_map(BTreeMap::values).flatten() {
            let (id, key) = (message["_id"].as_str().unwrap(), message["clientId"].as_str().unwrap());
            by_id.insert(id, message);
            if *keys.entry(key).or_insert(id) != id {
                lines.push(format!("twice: {message}"));
            }
        }
        for (number, device) in self.devices.iter().enumerate() {
            let state = device.state();
            let mut expected = BTreeMap::new();
            for done in &state.done {
                let (request, payload) = (&done.request, &done.request.payload);
                if done.answer["success"] != true {
                    // Somebody else may have deleted it at this very moment.
                    let may_be = ["react", "hideMessage"].contains(&request.event);
                    if !may_be || done.answer["data"]["code"] != "not_found" {
                        lines.push(format!("refused: {payload}: {}", done.answer));
                    }
                    continue;
                }
                match request.event {
                    "sendMessage" => {
                        let id = done.answer["data"]["_id"].as_str().unwrap();
                        // Both may have hidden it: so it need not be there at all.
                        let is_there = keys.get(request.tag.as_str()).is_none_or(|there| *there == id);
                        if !is_there {
                            lines.push(format!("another message than was acknowledged: {}", done.answer));
                        }
                        expected.insert((request.event, id.to_owned(), ""), payload);
                    }
                    "react" => {
                        let emoji = payload["emoji"].as_str().unwrap();
                        expected.insert((request.event, request.tag.clone(), emoji), payload);
                    }
                    "messagesRead" => {}
                    event => {
                        expected.insert((event, request.tag.clone(), ""), payload);
                    }
                }
            }
            let me = self.people[number / 2].id();
            for ((event, id, emoji), payload) in expected {
                let own = histories[number / 2].values().flatten().find(|message| message["_id"] == *id);
                if event == "hideMessage" {
                    if let Some(message) = own {
                        lines.push(format!("hidden, and there: {message}"));
                    }
                    continue;
                }
                // Nobody hides what they sent themselves.
                let message = match (event, own) {
                    ("react", own) => own.or(by_id.get(id.as_str()).copied()),
                    (_, own) => own,
                };
                let Some(message) = message else {
                    if event != "react" {
                        lines.push(format!("acknowledged, and not there: {event} {payload}"));
                    }
                    continue;
                };
                let is_deleted = message["isDeleted"] == true;
                let is_so = match event {
                    "sendMessage" => {
                        is_deleted || message["isEdited"] == true || message["text"] == payload["text"]
                    }
                    "editMessage" => is_deleted || message["text"] == payload["text"],
                    "deleteMessage" => is_deleted,
                    _ => {
                        let reaction = json!({ "userId": me, "emoji": emoji });
                        let is_on = message["reactions"].as_array().unwrap().contains(&reaction);
                        is_deleted || payload["isOn"] == is_on
                    }
                };
                if !is_so {
                    lines.push(format!("acknowledged, and not so: {event} {payload}: {message}"));
                }
            }
        }
        lines.extend(self.broken_receipts().await);
        lines
    }

    /// What was read is known to the partner: in the list of chats, and on each device.
    async fn broken_receipts(&self) -> Vec<String> {
        let mut read: BTreeMap<(String, usize), u64> = BTreeMap::new();
        for (number, device) in self.devices.iter().enumerate() {
            for done in device.state().done.iter().filter(|done| done.request.event == "messagesRead") {
                let payload = &done.request.payload;
                let key = (payload["chatId"].as_str().unwrap().to_owned(), number / 2);
                let (mark, seq) = (read.entry(key).or_default(), payload["seq"].as_u64().unwrap());
                *mark = seq.max(*mark);
            }
        }
        let mut lines = Vec::new();
        for (number, person) in self.people.iter().enumerate() {
            for chat in person.chats().await {
                let partner = self.people.iter().position(|person| person.id() == chat["_id"]).unwrap();
                let id = chat["chatId"].as_str().unwrap();
                let Some(seq) = read.get(&(id.to_owned(), partner)) else { continue };
                if chat["readSeq"].as_u64().unwrap() < *seq {
                    lines.push(format!("read to {seq}, and the list says {chat}"));
                }
                let _ = number;
            }
        }
        lines
    }

    /// How everybody stands, for failures.
    pub(crate) fn standing(&self) -> String {
        let lines = self.devices.iter().map(|device| {
            let state = device.state();
            let name = &device.identity.name;
            let open = state.open;
            format!(
                "{name}: {open} open, connected {}, {} dead, {} refused",
                state.is_connected, state.dead, state.refused
            )
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    fn report(&self, lost: &[String], disorder: &[String]) {
        let sum = |of: &dyn Fn(&Device) -> usize| self.devices.iter().map(of).sum::<usize>();
        eprintln!(
            "chaos on {}: {} messages, {} events, {} changes; {} cuts, {} kills, {} kills of the store, {} slow readers \
             closed, {} dead connections; {} resumes, {} refused for the moment, {} repeats, {} stale, \
             {} lost, {} out of order; {:.1} s",
            self.target.name(),
            self.work.sent(),
            sum(&|device| device.state().mirror.events),
            sum(&|device| {
                device.state().done.iter().filter(|done| done.request.event != "sendMessage").count()
            }),
            self.proxy.cuts(),
            self.kills,
            self.store_kills,
            self.slow,
            sum(&|device| device.state().dead),
            sum(&|device| device.state().resumes),
            sum(&|device| device.state().refused),
            sum(&|device| device.state().mirror.repeats),
            sum(&|device| device.state().mirror.stale),
            lost.len(),
            disorder.len(),
            self.start.elapsed().as_secs_f64(),
        );
    }
}
