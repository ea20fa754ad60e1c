//! Transports that are open and not signed in: a bounded number in all, and of one address.
//!
//! The shield judges a sign-in, whose refusal can say why; what comes before one must not cost more than this.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;

/// In all.
const MOST: usize = 8192;
/// Of one address: many people may come back at once from behind one.
const MOST_OF_ONE: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Lobby {
    of: DashMap<Option<IpAddr>, usize>,
    all: AtomicUsize,
}

/// A place, until dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    lobby: Arc<Lobby>,
    address: Option<IpAddr>,
}

impl Lobby {
    /// Whether one more from this address may open a transport now.
    pub(super) fn has_room(&self, address: Option<IpAddr>) -> bool {
        // Without addresses everybody is one; then only the number of all counts.
        let of_one = self.of.get(&address).map_or(0, |count| *count);
        self.all.load(Ordering::Relaxed) < MOST && (address.is_none() || of_one < MOST_OF_ONE)
    }

    pub(super) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Waiting {
        self.all.fetch_add(1, Ordering::Relaxed);
        *self.of.entry(address).or_default() += 1;
        Waiting { lobby: self.clone(), address }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.lobby.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut count) = self.lobby.of.get_mut(&self.address) {
            *count -= 1;
        }
        self.lobby.of.remove_if(&self.address, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_fill_it_and_places_come_back() {
        let lobby = Arc::new(Lobby::default());
        let (one, other) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        let waiting: Vec<_> = (0..MOST_OF_ONE).map(|_| lobby.enter(one)).collect();
        assert!(!lobby.has_room(one) && lobby.has_room(other));
        drop(waiting);
        assert!(lobby.has_room(one) && lobby.of.is_empty());
        let all: Vec<_> = (0..MOST).map(|_| lobby.enter(None)).collect();
        assert!(!lobby.has_room(None) && !lobby.has_room(other));
        drop(all);
    }
}
