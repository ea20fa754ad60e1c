//! The conformance suite: every promise of the [`store`](crate::store) traits, as checks against a store that works.
//!
//! Write a [`Harness`] for your store and let [`conformance_tests!`](crate::conformance_tests) make a test of each
//! check (it needs `tokio` with `macros` and `rt-multi-thread` among your dev-dependencies):
//!
//! ```
//! use std::sync::Arc;
//! use async_trait::async_trait;
//! use chat_core::store::{SqliteStore, Store, conformance::Harness};
//!
//! struct Folder(tempfile::TempDir);
//!
//! #[async_trait]
//! impl Harness for Folder {
//!     async fn open(&self) -> Arc<dyn Store> {
//!         Arc::new(SqliteStore::open(self.0.path().join("chat.db")).await.expect("it opens"))
//!     }
//! }
//!
//! chat_core::conformance_tests!(Folder(tempfile::tempdir().expect("a folder")));
//! ```
//!
//! Each check is also a function of its own, in the module of what it is about, and [`run`] calls them all. They
//! panic with a sentence when a promise is broken; none of them knows how a store is made, and none waits for time to
//! pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "these are tests: a panic is how they speak"
)]

pub mod append;
pub mod blocks;
pub mod changes;
pub mod chats;
pub mod feeds;
pub mod fixtures;
pub mod following;
pub mod life;
pub mod log;
pub mod marks;
pub mod outbox;
pub mod presence;
pub mod repeats;
pub mod sessions;
pub mod users;

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt;

use super::Store;

/// Where a check gets its store from. Each check has a harness of its own: an empty database.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the store: an empty one at first, and once that has been closed, the same data again.
    ///
    /// Panics when it can't.
    async fn open(&self) -> Arc<dyn Store>;

    /// Whether there is data to come back to. `false` for a store that lives in memory: the checks that close and
    /// open again then pass without looking.
    fn keeps_data(&self) -> bool {
        true
    }
}

/// Makes a `#[tokio::test]` of each check of the [conformance suite](crate::store::conformance).
///
/// The argument is an expression that makes a new [`Harness`](crate::store::conformance::Harness); each test
/// evaluates it once.
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::__conformance_checks! { __conformance_tests ($harness) }
    };
}

/// The one list of checks; hands it to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_checks {
    ($then:ident $args:tt) => {
        $crate::$then! { $args
            users::a_user_reads_back
            users::emails_are_unique_without_case
            users::emails_are_unique_at_the_same_moment
            users::profile_changes_return_both_sides
            users::profile_changes_at_the_same_moment_follow_each_other
            users::presence_is_no_change_of_the_profile
            users::all_go_offline
            users::users_are_ordered_by_name
            users::users_are_found_by_how_their_name_begins
            users::an_unknown_user_to_continue_after
            append::the_first_message_makes_the_chat
            append::a_message_is_kept_as_it_is
            append::seqs_count_from_one
            append::seqs_have_no_holes_at_the_same_moment
            append::first_messages_at_the_same_moment
            append::time_does_not_run_backwards
            append::unknown_users
            append::unknown_chats_and_strangers
            append::a_message_without_receiver
            append::a_failure_hinders_no_other
            append::sending_moves_the_watermark
            repeats::a_repeat_returns_the_first
            repeats::repeats_within_a_call
            repeats::repeats_in_another_chat
            repeats::repeats_at_the_same_moment
            repeats::senders_do_not_share_client_ids
            log::messages_are_found
            log::pages
            log::a_delete_clears_for_good
            log::deletes_at_the_same_moment
            log::a_walk_meets_each_message_once
            log::bodies_are_replaced_where_unchanged
            chats::the_list_shows_each_chat
            chats::the_list_is_ordered_by_activity
            chats::the_list_is_paged
            chats::a_chat_is_seen_by_its_members
            chats::reading_moves_the_watermark
            chats::reading_at_the_same_moment
            chats::reading_and_sending_at_the_same_moment
            chats::partners_are_those_with_a_chat
            feeds::a_feed_tells_of_each_change
            feeds::a_call_is_one_entry_for_each_chat
            feeds::repeats_are_not_told
            feeds::resealing_is_not_told
            feeds::a_feed_is_read_in_steps
            feeds::positions_have_no_holes_at_the_same_moment
            following::a_reader_misses_nothing
            changes::an_edit_replaces_the_text
            changes::reactions_are_kept_in_order
            changes::hiding_concerns_oneself
            changes::what_is_deleted_can_be_hidden_only
            changes::updated_at_always_rises
            changes::messages_are_found_by_ids
            changes::replies_name_their_message
            changes::resealing_leaves_changes_alone
            changes::changes_at_the_same_moment_follow_each_other
            changes::changes_and_deletes_at_the_same_moment
            marks::marks_move_up
            marks::marks_are_told_to_whom_they_concern
            marks::strangers_mark_nothing
            marks::the_list_shows_the_partners_marks
            marks::marks_at_the_same_moment
            blocks::blocks_are_seen_by_both_sides
            blocks::blocks_are_ordered
            blocks::only_people_are_blocked
            blocks::blocks_at_the_same_moment
            presence::leases_that_end_take_their_guests_along
            presence::the_last_lease_counts
            presence::a_lease_is_given_up
            presence::settings_are_changed_one_by_one
            presence::settings_at_the_same_moment
            sessions::revocations_last_until_they_expire
            sessions::notes_are_overwritten
            sessions::sessions_are_listed
            sessions::a_cut_ends_all_but_one
            sessions::cuts_at_the_same_moment_follow_each_other
            sessions::a_password_is_replaced_once
            sessions::a_password_is_replaced_by_one_at_the_same_moment
            sessions::an_email_is_verified
            outbox::entries_are_claimed_when_due
            outbox::entries_are_claimed_by_one
            life::dropped_calls_are_whole_or_not_there
            life::data_is_there_after_a_reopen
            life::a_closed_store_is_unavailable
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($harness:expr) $($module:ident :: $check:ident)+) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                $crate::store::conformance::$module::$check(&$harness).await;
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_run {
    (($make:ident, $failed:ident) $($module:ident :: $check:ident)+) => {
        $(
            let harness = $make().await;
            // The panic's own message has been printed by then, as in any test.
            if AssertUnwindSafe($module::$check(&harness)).catch_unwind().await.is_err() {
                $failed.push(concat!(stringify!($module), "::", stringify!($check)));
            }
        )+
    };
}

/// Runs all checks, each with a harness of its own.
///
/// # Panics
/// At the end, with the names of the checks that failed.
pub async fn run<H: Harness>(make: impl AsyncFn() -> H) {
    let mut failed: Vec<&str> = Vec::new();
    crate::__conformance_checks! { __conformance_run (make, failed) }
    assert!(failed.is_empty(), "the store breaks {} promises: {failed:?}", failed.len());
}
