//! Where everything is kept: a trait per aggregate, and [`Store`] as their sum.
//!
//! # Your own store
//!
//! Implement the eight traits for one type, then `Store`, which has nothing left to do but to say that it is
//! reachable and to close. Every method states what it promises; `chat_core::store::conformance` (feature
//! `conformance`) checks those promises, against your store as against the ones that come with this crate.
//!
//! All methods take `&self`, may be called from many tasks at once, and must not block an async thread. A future of
//! theirs may be dropped at any moment: what it had begun to write must then be whole or not there at all.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(any(feature = "mongodb", feature = "sqlite"))]
mod recent;
mod records;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use async_trait::async_trait;

#[cfg(feature = "mongodb")]
pub use self::mongodb::{MongoSettings, MongoStore};
pub use self::records::*;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
use crate::{BoxError, ChatId, MessageId, OutboxId, SessionId, Timestamp, UserId};

/// What a store answers when it can't do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A thing that the call needs is not there; names the kind (`"User"`, `"Chat"`), capitalised.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Another record has this value of a unique field (`"email"`).
    #[error("{0} exists already")]
    AlreadyExists(&'static str),
    /// Not reachable, full, read-only or overloaded: worth trying again. Nothing of the call was written.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// Not reachable any more, and there was no way to learn in time whether the call was carried out. Worth trying
    /// again: no call does anything twice, but an append without a `client_id`.
    #[error("the store is unavailable, and may have done what it was asked for")]
    Uncertain(#[source] BoxError),
    /// Anything else: a bug, or data that is not what this store wrote.
    #[error("the store failed")]
    Other(#[source] BoxError),
}

/// The result of a store's method.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Accounts.
#[async_trait]
pub trait Users {
    /// Adds an account.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when an account has the same e-mail by [`email_key`], also if it is added at
    /// this very moment.
    async fn insert_user(&self, user: &UserRecord) -> Result<()>;

    /// The account with this id.
    async fn user(&self, id: UserId) -> Result<Option<UserRecord>>;

    /// The account with this e-mail, compared by [`email_key`].
    async fn user_by_email(&self, email: &str) -> Result<Option<UserRecord>>;

    /// Applies a change of the profile in one step and returns the account before and after it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such account.
    async fn update_profile(
        &self,
        id: UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<ProfileUpdate>;

    /// Stores that the user came or went at `at`: `is_online` and `last_seen`, and as whose guest, if they came: see
    /// [`renew_lease`](Self::renew_lease). Not a change of the profile: `updated_at` stays. Of a user who does not
    /// exist: nothing happens.
    async fn set_presence(&self, id: UserId, is_online: bool, at: Timestamp, lease: &str) -> Result<()>;

    /// Says that the process with this lease is there, at `at`. Costs the same however many are online.
    async fn renew_lease(&self, lease: &str, at: Timestamp) -> Result<()>;

    /// Gives up the lease, and with it all who are online by it: they go offline at `at`, and how many these are is
    /// returned. `last_seen` never moves back, here and when a lease expires.
    async fn end_lease(&self, lease: &str, at: Timestamp) -> Result<u64>;

    /// Marks as offline whoever is online by a lease that was not renewed since `before`, or by none at all, and
    /// returns how many were. They were last seen when that lease was renewed last; without one `last_seen` stays.
    /// Such leases are gone afterwards.
    async fn expire_leases(&self, before: Timestamp) -> Result<u64>;

    /// Changes what a user has chosen for themselves, and returns all of it. `updated_at` stays: others must not see
    /// it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such account.
    async fn update_settings(&self, id: UserId, change: &SettingsChange) -> Result<Settings>;

    /// Replaces the hash of the password and makes a [`Cut`], in one step; `None` when the hash is not the
    /// `old_hash` any more. `updated_at` stays. Sessions of earlier generations are gone from the list afterwards.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such account.
    async fn set_password(&self, id: UserId, change: &PasswordChange, at: Timestamp) -> Result<Option<Cut>>;

    /// Ends all sessions of a user but one: the generation rises. Sessions of earlier ones are gone from the list
    /// afterwards.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such account.
    async fn cut_sessions(&self, id: UserId, kept: Option<SessionId>, at: Timestamp) -> Result<Cut>;

    /// The latest cut of everybody who had one after `since`.
    async fn cuts(&self, since: Timestamp) -> Result<Vec<Cut>>;

    /// Notes that the address is known to be the user's, if it still is this one, by [`email_key`]. Returns whether
    /// that was not known before; `updated_at` stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such account, or it has another address by now.
    async fn verify_email(&self, id: UserId, email: &str) -> Result<bool>;

    /// Accounts but `except`, ordered by [`name_key`] and then by id; those after the account `after`, at most
    /// `limit`. An unknown `after` gives [`StoreError::NotFound`].
    async fn users_by_name(
        &self,
        except: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserRecord>>;

    /// Those of [`users_by_name`](Self::users_by_name) whose [`name_key`] begins with `prefix`, which is compared as it
    /// is. `after` need not be one of them. Costs by `limit` at most, however many accounts there are.
    async fn users_named(
        &self,
        prefix: &str,
        except: UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserRecord>>;
}

/// Messages: each chat is a log that is only appended to.
#[async_trait]
pub trait Messages {
    /// Appends messages, each to its chat, in the order given.
    ///
    /// When the result is there, each `New` message is durable: it survives the end of the process or of the
    /// machine. One outcome per message, in the same order; a message that fails does not hinder the others.
    ///
    /// - `seq` is the chat's last one + 1, starting from 1, without a hole and without a repeat, also when several
    ///   processes append.
    /// - `created_at` (and `updated_at`) is `at`, or the chat's last `created_at` where that is later: within a chat,
    ///   time does not run backwards.
    /// - Where the sender already has a message with this `client_id`, in whichever chat and also in the same call or
    ///   at this very moment, nothing is appended and that message is the outcome ([`Appended::Repeat`]).
    /// - The first message to a `receiver` makes the chat, with both as its members.
    /// - The sender's read watermark moves to the new `seq`; the chat moves to the front of every member's list.
    /// - Every member's feed tells of it ([`Change::Sent`]), in one entry for each chat of the call; see [`Feeds`].
    ///
    /// # Errors
    /// Per message: [`StoreError::NotFound`] (`"User"`) when the chat does not exist yet and its sender or receiver
    /// doesn't either; `"Chat"` when there is no `receiver` and no such chat, or the sender is not a member.
    async fn append(&self, messages: Vec<NewMessage>) -> Vec<Result<Appended>>;

    /// The message with this id.
    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>>;

    /// The messages with these ids that are there, each once, in no particular order.
    async fn messages(&self, ids: &[MessageId]) -> Result<Vec<MessageRecord>>;

    /// The message that this sender sent under this `client_id`.
    async fn message_by_client_id(&self, sender: UserId, client_id: &str) -> Result<Option<MessageRecord>>;

    /// The last `limit` messages of a chat, or those below the seq `before`; by `seq` ascending, deleted ones
    /// included. Costs by `limit`, not by the length of the chat.
    async fn page(&self, chat: ChatId, before: Option<u64>, limit: usize) -> Result<Vec<MessageRecord>>;

    /// Soft delete: marks the message, and clears its body and image for good. The record stays in its place in the
    /// log. Its reactions go, too. Done again it changes nothing. `None`: there is no such message. Every member's feed
    /// tells of it ([`Change::Deleted`]).
    async fn delete_message(&self, id: MessageId, at: Timestamp) -> Result<Option<Deletion>>;

    /// Changes a message in one step. Done again it changes nothing. `None`: there is no such message. What changes is
    /// told in every member's feed; that it was hidden, in the feed of who did it. `updated_at` becomes `at`, or what
    /// it was plus a millisecond where that is later; to hide leaves it as it is.
    async fn change_message(
        &self,
        id: MessageId,
        change: MessageChange,
        at: Timestamp,
    ) -> Result<Option<Changed>>;

    /// All messages, in a fixed order of the store's choosing, those after the one at `after`; at most `limit`.
    /// A message appended during the walk may or may not be met.
    async fn walk_messages(&self, after: Option<MessagePosition>, limit: usize)
    -> Result<Vec<MessageRecord>>;

    /// Replaces bodies, each only where it still is what it was; durable when the result is there. Returns how many
    /// it replaced. `updated_at` stays: nobody sees a difference.
    async fn replace_bodies(&self, changes: Vec<BodyChange>) -> Result<u64>;
}

/// Conversations and who has read how far.
#[async_trait]
pub trait Chats {
    /// The chat as this user sees it; `None` when there is none or the user is not a member.
    async fn chat(&self, chat: ChatId, user: UserId) -> Result<Option<ChatState>>;

    /// The user's chats, latest activity first (then by id, descending), those after the position `after`; at most
    /// `limit`. Costs by `limit`, not by how many chats, messages or users there are.
    async fn chats_of(
        &self,
        user: UserId,
        after: Option<ChatPosition>,
        limit: usize,
    ) -> Result<Vec<ChatEntry>>;

    /// Moves a member's watermarks up; never beyond the newest message and never back. `None` when there is no such
    /// chat or the user is not a member. Tells of it ([`Change::Marked`]): the user's own feed when they read further,
    /// those of the other members when what is shown moved.
    async fn mark(&self, mark: &Mark) -> Result<Option<Marked>>;

    /// Everyone who shares a chat with this user, each once, without the user, in no particular order.
    async fn partners(&self, user: UserId) -> Result<Vec<UserId>>;
}

/// What happened, for each user: a feed of what changed in their chats, from which a client that was away learns what
/// it missed. Other methods write it along with the change itself.
///
/// An entry has a `position`: 1, 2, 3 … without a hole in each feed. Whoever has read a feed up to a position has read
/// all that will ever stand there: what is written later stands behind it, on any number of processes. What could not
/// be told at once (a process was killed in between, or the database was away) is told later, but always.
#[async_trait]
pub trait Feeds {
    /// The position of the newest entry; 0 when there is none.
    async fn feed_end(&self, user: UserId) -> Result<u64>;

    /// Entries after the position `after`, by position ascending; at most `limit`, and at least one if there is one.
    /// `None` when the feed does not go back that far any more, or never was there. It keeps the newest
    /// [`FEED_KEPT`] at least. Costs by what it returns.
    async fn feed(&self, user: UserId, after: u64, limit: usize) -> Result<Option<Vec<FeedEntry>>>;
}

/// Entries that a feed keeps at least.
pub const FEED_KEPT: u64 = 131_072;

/// Who does not want to hear of whom.
#[async_trait]
pub trait Blocks {
    /// Adds a block; whether it was not there before. One that was there stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such account to be blocked.
    async fn block(&self, block: &Block) -> Result<bool>;

    /// Takes it away; whether it was there.
    async fn unblock(&self, by: UserId, user: UserId) -> Result<bool>;

    /// All in which the user has a part, on either side: by `at` ascending, then by ids.
    async fn blocks_of(&self, user: UserId) -> Result<Vec<Block>>;
}

/// Sign-ins: those in force, to be listed, and those that were ended before they expired.
#[async_trait]
pub trait Sessions {
    /// Adds a session to the list. Done again it changes nothing.
    async fn insert_session(&self, session: &SessionRecord) -> Result<()>;

    /// The user's sessions that have not expired at `now`, were not revoked and not cut; the newest first, at most
    /// `limit`. Costs by how many the user has.
    async fn sessions_of(&self, user: UserId, now: Timestamp, limit: usize) -> Result<Vec<SessionRecord>>;

    /// Notes when sessions were last used, never back; those that are not in the list are left out.
    async fn touch_sessions(&self, uses: &[(SessionId, Timestamp)]) -> Result<()>;

    /// Remembers, durably, that a session was ended, and takes it from the list. Done again it changes nothing.
    async fn revoke_session(&self, revocation: Revocation) -> Result<()>;

    /// Every revocation whose token has not expired at `now`.
    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>>;

    /// Forgets sessions and revocations of tokens that have expired at `now`, which are refused anyway. Returns how
    /// many.
    async fn forget_expired(&self, now: Timestamp) -> Result<u64>;
}

/// What is still to be done outside: a queue that survives a restart, and from which each process takes what no other
/// one has taken.
#[async_trait]
pub trait Outbox {
    /// Puts an entry there, durably. Done again it changes nothing.
    async fn put_outbox(&self, entry: &OutboxEntry) -> Result<()>;

    /// Claims entries that are due at `now`, the longest due first, at most `limit`: each is given to one caller, is
    /// due again at `until`, and has one attempt more. Returns them as they are afterwards.
    async fn claim_outbox(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<OutboxEntry>>;

    /// Sets when an entry is due next; of one that is not there nothing happens.
    async fn postpone_outbox(&self, id: OutboxId, due_at: Timestamp) -> Result<()>;

    /// Removes an entry; of one that is not there nothing happens.
    async fn remove_outbox(&self, id: OutboxId) -> Result<()>;
}

/// Small notes that the service keeps for itself, such as how far a rotation has come.
#[async_trait]
pub trait Notes {
    /// The note under this key.
    async fn note(&self, key: &str) -> Result<Option<String>>;

    /// Writes a note, durably, over the one that was there.
    async fn put_note(&self, key: &str, value: &str) -> Result<()>;
}

/// The sum: everything that [`ChatService`](crate::ChatService) needs of a store.
#[async_trait]
pub trait Store:
    Users
    + Messages
    + Chats
    + Feeds
    + Blocks
    + Sessions
    + Outbox
    + Notes
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// `Ok` when a read and a write have a chance now. For readiness probes: cheap, and bounded in time.
    async fn ping(&self) -> Result<()>;

    /// Writes what is pending and lets go of files and connections. Whatever is called afterwards fails with
    /// [`StoreError::Unavailable`].
    async fn close(&self) -> Result<()>;

    /// How many calls of [`Messages::append`] may be under way at once to good effect. A store that gathers writes
    /// into one transaction wants 1: whatever waits then goes into the next call.
    fn append_lanes(&self) -> usize {
        1
    }

    /// Whether no other process can have this store open. Then whoever is online by a lease at the start of this one is
    /// so by that of a process that is gone, and need not wait for it to be over.
    fn is_exclusive(&self) -> bool {
        false
    }
}
