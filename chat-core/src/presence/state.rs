//! What is known of one user who is here, or was a moment ago.

use crate::Timestamp;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) guards: usize,
    /// The grace that runs, if one does.
    pub(super) grace: Option<u64>,
    /// Said good-bye: the last guard goes without a grace.
    pub(super) is_leaving: bool,
    /// Has a connection, or had one until a moment ago.
    pub(super) is_online: bool,
    /// Signed in a moment ago, and no connection has come yet: names that sign-in.
    pub(super) visit: Option<u64>,
    pub(super) changed_at: Option<Timestamp>,
    pub(super) privacy: Privacy,
    /// What was stored last.
    pub(super) stored: Option<bool>,
    /// What those who share a chat were told last.
    pub(super) told: bool,
    /// Somebody was shown what the others were not told yet, and it may have changed back since.
    pub(super) must_tell: bool,
    /// Waits to be stored and told.
    pub(super) is_queued: bool,
    /// Counts what voids decisions that are being carried out: whoever began before it has to look again.
    pub(super) epoch: u64,
}

/// Whether the user wants to be seen.
#[derive(Debug, Default)]
pub(super) struct Privacy {
    /// As it was when the store was asked last.
    pub(super) is_invisible: Option<bool>,
    /// Since when that may have changed.
    pub(super) doubted_at: Option<Timestamp>,
}

impl Privacy {
    pub(super) fn known(&self) -> Option<bool> {
        self.is_invisible.filter(|_| self.doubted_at.is_none())
    }
}

impl State {
    /// Whether others see the user; `None` while that is not known.
    pub(super) fn is_visible(&self) -> Option<bool> {
        if self.is_online { self.privacy.known().map(|is_invisible| !is_invisible) } else { Some(false) }
    }

    pub(super) fn is_here(&self) -> bool {
        self.is_online || self.visit.is_some()
    }

    /// Whether there is nothing left to be kept.
    pub(super) fn is_over(&self) -> bool {
        !self.is_here() && self.guards == 0 && !self.is_queued
    }
}
