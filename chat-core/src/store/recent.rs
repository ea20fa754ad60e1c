//! What is known of chats and users that were lately used, in memory.

use std::{collections::HashMap, hash::Hash};

use crate::ChatId;

/// Values by id: about `2 * GENERATION` of them at most.
///
/// Two generations instead of a list in order of use: what was used lately is in the young one, and when that is full
/// it becomes the old one. As good as LRU here, and each use costs one look-up.
#[derive(Debug)]
pub(super) struct Recent<T, K = ChatId> {
    young: HashMap<K, T>,
    old: HashMap<K, T>,
}

/// Some 150 bytes each: a few megabytes in all.
const GENERATION: usize = 16_384;

impl<T, K> Default for Recent<T, K> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T, K: Copy + Eq + Hash> Recent<T, K> {
    pub(super) fn get(&mut self, id: K) -> Option<&mut T> {
        if !self.young.contains_key(&id) {
            let value = self.old.remove(&id)?;
            self.put(id, value);
        }
        self.young.get_mut(&id)
    }

    pub(super) fn put(&mut self, id: K, value: T) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, value);
    }

    pub(super) fn forget(&mut self, id: K) {
        self.young.remove(&id);
        self.old.remove(&id);
    }

    #[cfg(any(feature = "sqlite", test))]
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
        let mut recent = Recent::default();
        for n in 0..100_000 {
            recent.put(id(n), n);
            assert_eq!(recent.get(id(0)), Some(&mut 0), "in use, after {n}");
        }
        assert!(recent.young.len() + recent.old.len() <= 2 * GENERATION);
        assert_eq!(recent.get(id(99_999)), Some(&mut 99_999));
        recent.clear();
        assert!(recent.get(id(0)).is_none());
    }
}
