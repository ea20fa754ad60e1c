//! Every query of the store, in one place, so that a test can ask the server how it would run each of them.
//!
//! None has a sort that an index does not give, and none costs by the length of a chat: a page of a chat is a window
//! on `seq`, which is dense.

use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};

use super::documents::{date, oid};
use crate::{ChatId, MessageId, OutboxId, Timestamp, UserId, store::Cut};

pub(super) const USERS: &str = "users";
pub(super) const MESSAGES: &str = "messages";
pub(super) const MEMBERS: &str = "chatcore_members";
/// Those that were ended.
pub(super) const SESSIONS: &str = "chatcore_sessions";
/// Those to be listed.
pub(super) const SIGN_INS: &str = "chatcore_signins";
pub(super) const OUTBOX: &str = "chatcore_outbox";
pub(super) const NOTES: &str = "chatcore_notes";
pub(super) const FEEDS: &str = "chatcore_feeds";
pub(super) const BLOCKS: &str = "chatcore_blocks";
pub(super) const LEASES: &str = "chatcore_leases";

/// A query.
#[derive(Debug, Clone)]
pub(super) struct Find {
    pub(super) collection: &'static str,
    pub(super) filter: Document,
    pub(super) sort: Document,
    pub(super) projection: Option<Document>,
    pub(super) limit: Option<i64>,
    pub(super) hint: Option<&'static str>,
}

fn find(collection: &'static str, filter: Document) -> Find {
    Find { collection, filter, sort: Document::new(), projection: None, limit: None, hint: None }
}

impl Find {
    fn sort(self, sort: Document) -> Self {
        Self { sort, ..self }
    }

    fn limit(self, limit: usize) -> Self {
        Self { limit: Some(i64::try_from(limit).unwrap_or(i64::MAX).min(i64::from(i32::MAX - 1))), ..self }
    }

    fn hint(self, index: &'static str) -> Self {
        Self { hint: Some(index), ..self }
    }

    fn only(self, projection: Document) -> Self {
        Self { projection: Some(projection), ..self }
    }
}

/// For filters of updates: one document.
pub(super) fn by_id(id: impl Into<Bson>) -> Document {
    doc! { "_id": id.into() }
}

// --- users ---

pub(super) fn user(id: UserId) -> Find {
    find(USERS, by_id(oid(id.as_bytes())))
}

pub(super) fn users(ids: impl IntoIterator<Item = UserId>) -> Find {
    let ids: Vec<ObjectId> = ids.into_iter().map(|id| oid(id.as_bytes())).collect();
    find(USERS, doc! { "_id": { "$in": ids } })
}

/// Spelled exactly so.
pub(super) fn user_by_exact_email(email: &str) -> Find {
    find(USERS, doc! { "email": email }).limit(1)
}

pub(super) fn user_by_email_key(key: &str) -> Find {
    find(USERS, doc! { "emailKey": key })
}

/// Those with this very name, and ids after `after`.
pub(super) fn namesakes(key: &str, after: UserId, limit: usize) -> Find {
    find(USERS, doc! { "nameKey": key, "_id": { "$gt": oid(after.as_bytes()) } })
        .sort(doc! { "nameKey": 1, "_id": 1 })
        .limit(limit)
}

/// Those with names after this one; `None`: all whose names come at this prefix or after it.
pub(super) fn users_by_name(prefix: &str, after: Option<&str>, limit: usize) -> Find {
    let range = after.map_or_else(|| doc! { "$gte": prefix }, |name| doc! { "$gt": name });
    find(USERS, doc! { "nameKey": range }).sort(doc! { "nameKey": 1, "_id": 1 }).limit(limit)
}

/// Those whom another application has added.
pub(super) fn foreign_users(limit: usize) -> Find {
    find(USERS, doc! { "nameKey": Bson::Null })
        .sort(doc! { "_id": 1 })
        .only(doc! { "email": 1, "fullName": 1 })
        .limit(limit)
}

/// For filters of updates: who is online by one of these leases; `Null` is none.
pub(super) fn guests(leases: Vec<Bson>) -> Document {
    doc! { "isOnline": true, "presenceLease": { "$in": leases } }
}

/// By which leases people are online.
pub(super) fn leases_in_use() -> Document {
    doc! { "distinct": USERS, "key": "presenceLease", "query": { "isOnline": true } }
}

pub(super) fn leases() -> Find {
    find(LEASES, doc! { "_id": { "$gte": "" } })
}

// --- blocks ---

/// One that blocks, and whom.
pub(super) fn block_id(by: UserId, user: UserId) -> String {
    format!("{by}:{user}")
}

pub(super) fn block(by: UserId, user: UserId) -> Find {
    find(BLOCKS, by_id(block_id(by, user)))
}

pub(super) fn blocks_of(user: UserId) -> Find {
    let user = oid(user.as_bytes());
    find(BLOCKS, doc! { "$or": [{ "by": user }, { "user": user }] })
}

// --- feeds ---

/// Ordered as the numbers are.
pub(super) fn bucket_id(user: UserId, number: u64) -> String {
    format!("{user}:{number:012}")
}

pub(super) fn bucket_number(bucket: &Document) -> Option<u64> {
    bucket.get_str("_id").ok()?.split_once(':')?.1.parse().ok()
}

pub(super) fn bucket(user: UserId, number: u64) -> Find {
    find(FEEDS, by_id(bucket_id(user, number)))
}

/// From one to another, both included.
pub(super) fn buckets(user: UserId, from: u64, to: u64) -> Find {
    let (from, to) = (bucket_id(user, from), bucket_id(user, to.min(BUCKETS)));
    find(FEEDS, doc! { "_id": { "$gte": from, "$lte": to } }).sort(doc! { "_id": 1 })
}

/// The same, and of each only how many entries it has.
pub(super) fn bucket_counts(user: UserId, from: u64, to: u64) -> Find {
    buckets(user, from, to).only(doc! { "n": 1 })
}

pub(super) fn newest_bucket(user: UserId) -> Find {
    let (from, to) = (bucket_id(user, 0), bucket_id(user, BUCKETS));
    find(FEEDS, doc! { "_id": { "$gte": from, "$lte": to } })
        .sort(doc! { "_id": -1 })
        .only(doc! { "n": 1 })
        .limit(1)
}

/// For removal.
pub(super) fn buckets_before(user: UserId, number: u64) -> Document {
    doc! { "_id": { "$gte": bucket_id(user, 0), "$lt": bucket_id(user, number) } }
}

/// The highest number that keeps its place in the order.
const BUCKETS: u64 = 999_999_999_999;

// --- what is still to be told ---

/// The indexes that hold nothing but what carries a mark.
pub(super) const UNTOLD: &str = "chatcore_untold";

pub(super) fn untold_messages(limit: usize) -> Find {
    untold(MESSAGES, doc! { "chat": 1, "untold": 1 }, limit)
}

pub(super) fn untold_members(limit: usize) -> Find {
    untold(MEMBERS, doc! { "chat": 1, "user": 1, "untold": 1 }, limit)
}

fn untold(collection: &'static str, fields: Document, limit: usize) -> Find {
    find(collection, doc! { "untold": { "$exists": true } }).only(fields).hint(UNTOLD).limit(limit)
}

// --- messages ---

pub(super) fn message(id: MessageId) -> Find {
    find(MESSAGES, by_id(oid(id.as_bytes())))
}

pub(super) fn messages(ids: impl IntoIterator<Item = MessageId>) -> Find {
    let ids: Vec<ObjectId> = ids.into_iter().map(|id| oid(id.as_bytes())).collect();
    find(MESSAGES, doc! { "_id": { "$in": ids } })
}

pub(super) fn message_by_client_id(sender: UserId, client_id: &str) -> Find {
    find(MESSAGES, doc! { "senderId": oid(sender.as_bytes()), "clientId": client_id })
}

/// The messages of a chat from `from` to `to`, both included.
pub(super) fn window(chat: ChatId, from: u64, to: u64) -> Find {
    let range = doc! { "$gte": number(from), "$lte": number(to) };
    find(MESSAGES, doc! { "chat": oid(chat.as_bytes()), "seq": range }).sort(doc! { "chat": 1, "seq": 1 })
}

/// The first messages of a chat from `from` on.
pub(super) fn onward(chat: ChatId, from: u64, limit: usize) -> Find {
    find(MESSAGES, doc! { "chat": oid(chat.as_bytes()), "seq": { "$gte": number(from) } })
        .sort(doc! { "chat": 1, "seq": 1 })
        .limit(limit)
}

/// The last messages of a chat up to `to`, the newest first: for a chat with holes in it.
pub(super) fn backward(chat: ChatId, to: u64, limit: usize) -> Find {
    find(MESSAGES, doc! { "chat": oid(chat.as_bytes()), "seq": { "$lte": number(to) } })
        .sort(doc! { "chat": -1, "seq": -1 })
        .limit(limit)
}

/// The same, and of each only what the end of a chat is.
pub(super) fn ends_of(chat: ChatId, from: u64, limit: usize) -> Find {
    onward(chat, from, limit).only(doc! { "seq": 1, "createdAt": 1, "at": 1 })
}

/// Each chat from its `seq` on.
pub(super) fn ends(chats: &[(ChatId, u64)]) -> Find {
    let end = |(chat, from): &(ChatId, u64)| doc! { "chat": oid(chat.as_bytes()), "seq": { "$gte": number(*from) } };
    find(MESSAGES, doc! { "$or": chats.iter().map(end).collect::<Vec<_>>() })
}

/// In the order of their ids; what has another kind of id is no message of anybody's.
pub(super) fn walk(after: Option<ObjectId>, limit: usize) -> Find {
    let range = after.map_or_else(|| doc! { "$gte": oid(&[0; 12]) }, |id| doc! { "$gt": id });
    find(MESSAGES, doc! { "_id": range }).sort(doc! { "_id": 1 }).limit(limit)
}

/// Messages with ids made from `from` to `to`, in seconds, and what their lists need to know.
pub(super) fn written_between(from: Timestamp, to: Timestamp) -> Find {
    let id = |at: Timestamp| {
        let seconds = u32::try_from(at.as_millis().max(0) / 1000).unwrap_or(u32::MAX);
        let mut id = [0; 12];
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        oid(&id)
    };
    find(MESSAGES, doc! { "_id": { "$gte": id(from), "$lt": id(to) } })
        .sort(doc! { "_id": 1 })
        .only(doc! { "chat": 1, "seq": 1, "senderId": 1, "receiverId": 1, "createdAt": 1, "at": 1 })
}

// --- messages of another application ---

/// The index that holds nothing but what waits to be adopted.
pub(super) const WAITING: &str = "chatcore_waiting";

pub(super) fn waiting(limit: usize) -> Find {
    find(MESSAGES, doc! { "seq": Bson::Null })
        .sort(doc! { "senderId": 1, "receiverId": 1, "createdAt": 1, "_id": 1 })
        .only(doc! { "senderId": 1, "receiverId": 1 })
        .hint(WAITING)
        .limit(limit)
}

/// The first one to a receiver after this one.
pub(super) fn next_waiting_receiver(sender: ObjectId, after: ObjectId) -> Find {
    next_waiting(doc! { "seq": Bson::Null, "senderId": sender, "receiverId": { "$gt": after } })
}

/// The first one from a sender after this one.
pub(super) fn next_waiting_sender(after: ObjectId) -> Find {
    next_waiting(doc! { "seq": Bson::Null, "senderId": { "$gt": after } })
}

fn next_waiting(filter: Document) -> Find {
    Find { filter, ..waiting(1) }
}

pub(super) fn waiting_from(sender: UserId, receiver: UserId, limit: usize) -> Find {
    let (sender, receiver) = (oid(sender.as_bytes()), oid(receiver.as_bytes()));
    find(MESSAGES, doc! { "seq": Bson::Null, "senderId": sender, "receiverId": receiver })
        .sort(doc! { "createdAt": 1, "_id": 1 })
        .only(doc! { "senderId": 1, "receiverId": 1, "createdAt": 1, "chatId": 1 })
        .hint(WAITING)
        .limit(limit)
}

// --- members ---

/// For filters of updates too.
pub(super) fn membership(chat: ChatId, user: UserId) -> Document {
    doc! { "chat": oid(chat.as_bytes()), "user": oid(user.as_bytes()) }
}

pub(super) fn member(chat: ChatId, user: UserId) -> Find {
    find(MEMBERS, membership(chat, user))
}

pub(super) fn members(chat: ChatId) -> Find {
    find(MEMBERS, doc! { "chat": oid(chat.as_bytes()) })
}

/// The members of several chats.
pub(super) fn members_of(chats: impl IntoIterator<Item = ChatId>) -> Find {
    let chats: Vec<ObjectId> = chats.into_iter().map(|chat| oid(chat.as_bytes())).collect();
    find(MEMBERS, doc! { "chat": { "$in": chats } })
}

pub(super) fn memberships(user: UserId) -> Find {
    find(MEMBERS, doc! { "user": oid(user.as_bytes()) }).only(doc! { "partner": 1, "lastSeq": 1 })
}

/// A user's chats from the front, or those after a moment.
pub(super) fn chats(user: UserId, after: Option<Timestamp>, limit: usize) -> Find {
    let mut filter = doc! { "user": oid(user.as_bytes()) };
    if let Some(at) = after {
        filter.insert("lastAt", doc! { "$lt": date(at) });
    }
    find(MEMBERS, filter).sort(doc! { "lastAt": -1, "chat": -1 }).limit(limit)
}

/// Those of this very moment, after a chat.
pub(super) fn chats_at(user: UserId, at: Timestamp, after: ChatId, limit: usize) -> Find {
    let at: DateTime = date(at);
    let filter =
        doc! { "user": oid(user.as_bytes()), "lastAt": at, "chat": { "$lt": oid(after.as_bytes()) } };
    find(MEMBERS, filter).sort(doc! { "lastAt": -1, "chat": -1 }).limit(limit)
}

// --- sessions and notes ---

pub(super) fn sessions(after: Timestamp) -> Find {
    find(SESSIONS, doc! { "expiresAt": { "$gt": date(after) } })
}

pub(super) fn expired_sessions(at: Timestamp) -> Document {
    doc! { "expiresAt": { "$lte": date(at) } }
}

pub(super) fn sign_ins(user: UserId, now: Timestamp, limit: usize) -> Find {
    find(SIGN_INS, doc! { "user": oid(user.as_bytes()), "expiresAt": { "$gt": date(now) } })
        .sort(doc! { "createdAt": -1, "_id": -1 })
        .limit(limit)
}

/// Those of earlier generations but one.
pub(super) fn cut_sign_ins(cut: &Cut) -> Document {
    let kept = cut.kept.map(|kept| oid(kept.as_bytes()));
    let older = doc! { "$lt": i64::from(cut.generation) };
    doc! { "user": oid(cut.user.as_bytes()), "generation": older, "_id": { "$ne": kept } }
}

pub(super) fn cuts(since: Timestamp) -> Find {
    find(USERS, doc! { "cutAt": { "$gt": date(since) } }).only(doc! { "generation": 1, "cutKept": 1 })
}

pub(super) fn due(now: Timestamp, limit: usize) -> Find {
    find(OUTBOX, doc! { "dueAt": { "$lte": date(now) } }).sort(doc! { "dueAt": 1, "_id": 1 }).limit(limit)
}

pub(super) fn outbox(id: OutboxId) -> Find {
    find(OUTBOX, by_id(oid(id.as_bytes())))
}

pub(super) fn note(key: &str) -> Find {
    find(NOTES, by_id(key))
}

/// The notes in which processes say that they are there begin so.
pub(super) const NODE: &str = "node:";

pub(super) fn nodes() -> Find {
    // The character after `:` ends the range.
    find(NOTES, doc! { "_id": { "$gte": NODE, "$lt": "node;" } })
}

fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// One of each, for the test.
#[cfg(test)]
pub(super) fn samples() -> Vec<(&'static str, Find)> {
    let (user_id, other) = (UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12]));
    let (chat, id) = (ChatId::from_bytes([3; 12]), MessageId::from_bytes([4; 12]));
    let at = Timestamp::from_millis(1_700_000_000_000);
    vec![
        ("user", user(user_id)),
        ("users", users([user_id, other])),
        ("user_by_exact_email", user_by_exact_email("a@example.org")),
        ("user_by_email_key", user_by_email_key("a@example.org")),
        ("namesakes", namesakes("a", user_id, 10)),
        ("users_by_name, first", users_by_name("", None, 10)),
        ("users_by_name, with a prefix", users_by_name("a", None, 10)),
        ("users_by_name, after", users_by_name("", Some("a"), 10)),
        ("foreign_users", foreign_users(10)),
        ("guests", find(USERS, guests(vec!["lease".into(), Bson::Null]))),
        ("leases", leases()),
        ("block", block(user_id, other)),
        ("blocks_of", blocks_of(user_id)),
        ("bucket", bucket(user_id, 3)),
        ("buckets", buckets(user_id, 3, 5)),
        ("bucket_counts", bucket_counts(user_id, 3, 4)),
        ("newest_bucket", newest_bucket(user_id)),
        ("buckets_before", find(FEEDS, buckets_before(user_id, 3))),
        ("untold_messages", untold_messages(10)),
        ("untold_members", untold_members(10)),
        ("message", message(id)),
        ("messages", messages([id])),
        ("message, for a new body", find(MESSAGES, doc! { "_id": oid(id.as_bytes()), "encryptedText": "x" })),
        ("message_by_client_id", message_by_client_id(user_id, "k")),
        ("window", window(chat, 3, 9)),
        ("onward", onward(chat, 3, 10)),
        ("backward", backward(chat, 9, 10)),
        ("ends_of", ends_of(chat, 3, 10)),
        ("ends", ends(&[(chat, 3), (ChatId::from_bytes([5; 12]), 9)])),
        ("walk, first", walk(None, 10)),
        ("walk, after", walk(Some(oid(id.as_bytes())), 10)),
        ("written_between", written_between(at, at)),
        ("waiting", waiting(10)),
        ("next_waiting_receiver", next_waiting_receiver(oid(&[1; 12]), oid(&[2; 12]))),
        ("next_waiting_sender", next_waiting_sender(oid(&[1; 12]))),
        ("waiting_from", waiting_from(user_id, other, 10)),
        ("member", member(chat, user_id)),
        ("members", members(chat)),
        ("members_of", members_of([chat])),
        ("memberships", memberships(user_id)),
        ("chats, first", chats(user_id, None, 10)),
        ("chats, after", chats(user_id, Some(at), 10)),
        ("chats_at", chats_at(user_id, at, chat, 10)),
        ("sessions", sessions(at)),
        ("expired_sessions", find(SESSIONS, expired_sessions(at))),
        ("sign_ins", sign_ins(user_id, at, 10)),
        ("cut_sign_ins", find(SIGN_INS, cut_sign_ins(&Cut { user: user_id, generation: 1, kept: None }))),
        ("expired sign_ins", find(SIGN_INS, expired_sessions(at))),
        ("cuts", cuts(at)),
        ("due", due(at, 10)),
        ("outbox", outbox(OutboxId::from_bytes([6; 12]))),
        ("note", note("k")),
        ("nodes", nodes()),
    ]
}
