//! What senders know, so that nothing is lost and nothing is there twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};

use crate::Person;

/// Every `clientId` that was used, and the message where it was acknowledged. Clones are one ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<BTreeMap<String, Sent>>>);

#[derive(Debug, Clone)]
struct Sent {
    from: usize,
    to: usize,
    acknowledged: Option<Value>,
}

/// Every conversation, by the pair of people.
pub type Conversations = BTreeMap<(usize, usize), Vec<Value>>;

impl Ledger {
    /// Somebody is about to send a message under this key, with the key as its text; people are numbers.
    pub fn begin(&self, key: &str, from: usize, to: usize) -> Value {
        self.lock().insert(key.to_owned(), Sent { from, to, acknowledged: None });
        body(key)
    }

    /// The server has answered this message.
    pub fn acknowledge(&self, key: &str, message: Value) {
        let mut sent = self.lock();
        let sent = sent.get_mut(key).expect("it was begun");
        // The same, however often it is answered.
        if let Some(before) = sent.acknowledged.replace(message) {
            assert_eq!(sent.acknowledged.as_ref(), Some(&before), "a repeat answers another message");
        }
    }

    /// How many were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.lock().values().filter(|sent| sent.acknowledged.is_some()).count()
    }

    /// How many were not.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().values().filter(|sent| sent.acknowledged.is_none()).count()
    }

    /// Nothing acknowledged is lost, nothing is there twice, nothing has a hole, and nobody sent what is not here.
    pub fn check(&self, all: &Conversations) {
        let mut by_key = BTreeMap::new();
        for messages in all.values() {
            let seqs: Vec<u64> = messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
            assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "a hole, a repeat or a disorder");
            for message in messages {
                let key = message["clientId"].as_str().unwrap().to_owned();
                assert_eq!(message["text"], key, "a text that is not its own");
                assert!(by_key.insert(key, message).is_none(), "a message is there twice: {message}");
            }
        }
        let ledger = self.lock();
        for (key, sent) in ledger.iter() {
            if let Some(acknowledged) = &sent.acknowledged {
                assert_eq!(by_key.get(key), Some(&acknowledged), "acknowledged, and not there as it was");
            }
        }
        let known: BTreeSet<&String> = ledger.keys().collect();
        assert!(by_key.keys().all(|key| known.contains(key)), "a message that nobody sent");
    }

    /// Sends again what was not acknowledged, as a client does it: each key makes one message, new or not. Then all
    /// of them are there.
    pub async fn settle(&self, people: &[Person]) {
        let open: Vec<(String, Sent)> = self
            .lock()
            .iter()
            .filter(|(_, sent)| sent.acknowledged.is_none())
            .map(|(key, sent)| (key.clone(), sent.clone()))
            .collect();
        for (key, sent) in open {
            for is_again in [false, true] {
                let reply = people[sent.from].post(&people[sent.to].inbox(), body(&key)).await;
                assert!(reply.status == 200 || (reply.status == 201 && !is_again), "{}", reply.body);
                self.acknowledge(&key, reply.body["data"].clone());
            }
        }
        let all = conversations(people).await;
        self.check(&all);
        assert_eq!(all.values().map(Vec::len).sum::<usize>(), self.lock().len());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Sent>> {
        self.0.lock().unwrap()
    }
}

fn body(key: &str) -> Value {
    json!({ "text": key, "clientId": key })
}

/// Every conversation of these people, the same from both sides.
pub async fn conversations(people: &[Person]) -> Conversations {
    let mut all = BTreeMap::new();
    for a in 0..people.len() {
        for b in a + 1..people.len() {
            let messages = people[a].whole_conversation(&people[b]).await;
            assert_eq!(people[b].whole_conversation(&people[a]).await, messages);
            all.insert((a, b), messages);
        }
    }
    all
}
