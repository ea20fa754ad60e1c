//! The end of each chat that was lately written to, in memory.

use std::collections::HashMap;

use crate::{ChatId, Timestamp, UserId};

/// What the next message of a chat needs to know.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    /// The newest seq, 0 in an empty chat.
    pub(super) last_seq: u64,
    /// The newest message's moment.
    pub(super) last_at: Timestamp,
    /// Who may write.
    pub(super) members: Vec<UserId>,
}

/// Tails by chat: about `2 * GENERATION` of them at most.
///
/// Two generations instead of a list in order of use: what was used lately is in the young one, and when that is full
/// it becomes the old one. As good as LRU here, and each use costs one look-up.
#[derive(Debug, Default)]
pub(super) struct Tails {
    young: HashMap<ChatId, Tail>,
    old: HashMap<ChatId, Tail>,
}

/// Some 150 bytes each: a few megabytes in all.
const GENERATION: usize = 16_384;

impl Tails {
    pub(super) fn get(&mut self, chat: ChatId) -> Option<&mut Tail> {
        if !self.young.contains_key(&chat) {
            let tail = self.old.remove(&chat)?;
            self.put(chat, tail);
        }
        self.young.get_mut(&chat)
    }

    pub(super) fn put(&mut self, chat: ChatId, tail: Tail) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(chat, tail);
    }

    pub(super) fn forget(&mut self, chat: ChatId) {
        self.young.remove(&chat);
        self.old.remove(&chat);
    }

    /// What is in memory may be ahead of the file: after a rollback none of it counts.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_keeps_what_is_in_use() {
        let id = |n: u64| {
            let mut bytes = [0; 12];
            bytes[4..].copy_from_slice(&n.to_be_bytes());
            ChatId::from_bytes(bytes)
        };
        let mut tails = Tails::default();
        for n in 0..100_000 {
            tails.put(id(n), Tail { last_seq: n, last_at: Timestamp::from_millis(0), members: vec![] });
            assert_eq!(tails.get(id(0)).map(|tail| tail.last_seq), Some(0), "in use, after {n}");
        }
        assert!(tails.young.len() + tails.old.len() <= 2 * GENERATION);
        assert_eq!(tails.get(id(99_999)).map(|tail| tail.last_seq), Some(99_999));
        tails.clear();
        assert!(tails.get(id(0)).is_none());
    }
}
