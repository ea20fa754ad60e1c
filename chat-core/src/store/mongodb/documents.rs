//! Documents as Mongoose writes them, with a few fields more.
//!
//! What another application wrote is read leniently: an absent field is its default, an empty text is none. What this
//! store adds to a document: `emailKey` and `nameKey` on a user, `chat`, `seq` and `clientId` on a message, and `at`
//! where its `createdAt` would run backwards within its chat; and what Mongoose may as well read and write, absent where
//! there is nothing to say: `replyTo`, `isEdited`, `reactions` and `hiddenFor`.

use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};

use super::db::int;
use crate::{
    ChatId, MessageId, OutboxId, SessionId, Timestamp, UserId,
    store::{
        Block, Change, ChatState, Cut, MessageRecord, OutboxEntry, Reaction, SessionRecord, Settings,
        UserRecord, Watermarks, email_key, name_key,
    },
};

pub(super) const fn oid(bytes: &[u8; 12]) -> ObjectId {
    ObjectId::from_bytes(*bytes)
}

pub(super) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millis())
}

pub(super) fn timestamp(document: &Document, key: &str) -> Option<Timestamp> {
    document.get_datetime(key).ok().map(|at| Timestamp::from_millis(at.timestamp_millis()))
}

/// An id, if it is one.
pub(super) fn id(document: &Document, key: &str) -> Option<[u8; 12]> {
    document.get_object_id(key).ok().map(|id| id.bytes())
}

/// A text that is not empty.
fn text(document: &Document, key: &str) -> Option<String> {
    document.get_str(key).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// When the id was made, to the second.
fn made_at(document: &Document) -> Timestamp {
    let at = document.get_object_id("_id").map(|id| id.timestamp().timestamp_millis());
    Timestamp::from_millis(at.unwrap_or_default())
}

/// When the document was made: by its own account, or by its id.
pub(super) fn created_at(document: &Document) -> Timestamp {
    timestamp(document, "createdAt").unwrap_or_else(|| made_at(document))
}

/// The moment that a message shows.
pub(super) fn shown_at(document: &Document) -> Option<Timestamp> {
    timestamp(document, "at").or_else(|| timestamp(document, "createdAt"))
}

pub(super) fn seq(document: &Document) -> u64 {
    u64::try_from(int(document, "seq")).unwrap_or_default()
}

pub(super) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

// --- users ---

pub(super) fn from_user(user: &UserRecord) -> Document {
    let mut document = doc! {
        "_id": oid(user.id.as_bytes()),
        "email": &user.email,
        "fullName": &user.full_name,
        "password": &user.password_hash,
        "profilePic": user.profile_pic.as_deref().unwrap_or_default(),
        "lastSeen": date(user.last_seen),
        "isOnline": user.is_online,
        "createdAt": date(user.created_at),
        "updatedAt": date(user.updated_at),
        "__v": 0,
        "emailKey": email_key(&user.email),
        "nameKey": name_key(&user.full_name),
    };
    // Absent they are what most accounts have, and those of another application.
    if !user.email_verified {
        document.insert("emailVerified", false);
    }
    if user.generation > 0 {
        document.insert("generation", i64::from(user.generation));
    }
    if !user.settings.sends_receipts {
        document.insert("sendsReceipts", false);
    }
    if user.settings.is_invisible {
        document.insert("isInvisible", true);
    }
    document
}

/// `None`: its id is not an ObjectId.
pub(super) fn to_user(document: &Document) -> Option<UserRecord> {
    let created_at = created_at(document);
    Some(UserRecord {
        id: UserId::from_bytes(id(document, "_id")?),
        email: text(document, "email").unwrap_or_default(),
        full_name: text(document, "fullName").unwrap_or_default(),
        password_hash: text(document, "password").unwrap_or_default(),
        profile_pic: text(document, "profilePic"),
        last_seen: timestamp(document, "lastSeen").unwrap_or(created_at),
        is_online: document.get_bool("isOnline").unwrap_or_default(),
        created_at,
        updated_at: timestamp(document, "updatedAt").unwrap_or(created_at),
        email_verified: document.get_bool("emailVerified").unwrap_or(true),
        generation: count(document, "generation"),
        settings: to_settings(document),
    })
}

pub(super) fn to_settings(document: &Document) -> Settings {
    let default = Settings::default();
    Settings {
        sends_receipts: document.get_bool("sendsReceipts").unwrap_or(default.sends_receipts),
        is_invisible: document.get_bool("isInvisible").unwrap_or(default.is_invisible),
    }
}

/// `None`: its id is not an ObjectId.
pub(super) fn to_cut(document: &Document) -> Option<Cut> {
    Some(Cut {
        user: UserId::from_bytes(id(document, "_id")?),
        generation: count(document, "generation"),
        kept: id(document, "cutKept").map(SessionId::from_bytes),
    })
}

// --- sessions ---

pub(super) fn from_session(session: &SessionRecord) -> Document {
    doc! {
        "user": oid(session.user.as_bytes()),
        "generation": i64::from(session.generation),
        "createdAt": date(session.created_at),
        "expiresAt": date(session.expires_at),
        "lastUsedAt": date(session.last_used_at),
        "address": session.address.as_deref(),
        "userAgent": session.user_agent.as_deref(),
    }
}

pub(super) fn to_session(document: &Document) -> Option<SessionRecord> {
    Some(SessionRecord {
        id: SessionId::from_bytes(id(document, "_id")?),
        user: UserId::from_bytes(id(document, "user")?),
        generation: count(document, "generation"),
        created_at: timestamp(document, "createdAt")?,
        expires_at: timestamp(document, "expiresAt")?,
        last_used_at: timestamp(document, "lastUsedAt")?,
        address: text(document, "address"),
        user_agent: text(document, "userAgent"),
    })
}

// --- outbox ---

pub(super) fn from_entry(entry: &OutboxEntry) -> Document {
    doc! {
        "body": &entry.body,
        "createdAt": date(entry.created_at),
        "dueAt": date(entry.due_at),
        "attempts": i64::from(entry.attempts),
    }
}

pub(super) fn to_entry(document: &Document) -> Option<OutboxEntry> {
    Some(OutboxEntry {
        id: OutboxId::from_bytes(id(document, "_id")?),
        body: text(document, "body")?,
        created_at: timestamp(document, "createdAt")?,
        due_at: timestamp(document, "dueAt")?,
        attempts: count(document, "attempts"),
    })
}

fn count(document: &Document, key: &str) -> u32 {
    u32::try_from(int(document, key)).unwrap_or_default()
}

// --- messages ---

/// `chat_id` is what an application of before calls this chat.
pub(super) fn from_message(record: &MessageRecord, chat_id: Option<&Bson>) -> Document {
    let chat = oid(record.chat_id.as_bytes());
    let mut document = doc! {
        "_id": oid(record.id.as_bytes()),
        "senderId": oid(record.sender_id.as_bytes()),
        "receiverId": record.receiver_id.map(|id| oid(id.as_bytes())),
        "isDeleted": record.is_deleted,
        "chatId": chat_id.cloned().unwrap_or_else(|| chat.into()),
        "createdAt": date(record.created_at),
        "updatedAt": date(record.updated_at),
        "__v": 0,
        "chat": chat,
        "seq": signed(record.seq),
    };
    for (key, value) in
        [("encryptedText", &record.body), ("image", &record.image), ("clientId", &record.client_id)]
    {
        if let Some(value) = value {
            document.insert(key, value);
        }
    }
    if let Some(reply_to) = record.reply_to {
        document.insert("replyTo", oid(reply_to.as_bytes()));
    }
    document
}

pub(super) fn from_reaction(reaction: &Reaction) -> Document {
    doc! { "userId": oid(reaction.user_id.as_bytes()), "emoji": &reaction.emoji }
}

fn to_reaction(value: &Bson) -> Option<Reaction> {
    let document = value.as_document()?;
    Some(Reaction { user_id: UserId::from_bytes(id(document, "userId")?), emoji: text(document, "emoji")? })
}

/// What can be read of a list.
fn list<T>(document: &Document, key: &str, read: impl Fn(&Bson) -> Option<T>) -> Vec<T> {
    document.get_array(key).map(|values| values.iter().filter_map(read).collect()).unwrap_or_default()
}

/// `None`: one that nobody sent, or not to anybody. Not yet adopted it has the `seq` 0.
pub(super) fn to_message(document: &Document) -> Option<MessageRecord> {
    let sender_id = UserId::from_bytes(id(document, "senderId")?);
    let receiver_id = id(document, "receiverId").map(UserId::from_bytes);
    let chat_id = match (id(document, "chat"), receiver_id) {
        (Some(chat), _) => ChatId::from_bytes(chat),
        (None, Some(receiver)) => ChatId::direct(sender_id, receiver),
        (None, None) => return None,
    };
    let is_deleted = document.get_bool("isDeleted").unwrap_or_default();
    // Another application may keep the text of what it has deleted; here nobody sees it any more.
    let unless_deleted = |value: Option<String>| value.filter(|_| !is_deleted);
    let moved = timestamp(document, "at");
    let created_at = moved.unwrap_or_else(|| created_at(document));
    let updated_at = timestamp(document, "updatedAt").unwrap_or(created_at);
    Some(MessageRecord {
        id: MessageId::from_bytes(id(document, "_id")?),
        chat_id,
        seq: seq(document),
        sender_id,
        receiver_id,
        body: unless_deleted(document.get_str("encryptedText").ok().map(str::to_owned)),
        image: unless_deleted(text(document, "image")),
        client_id: text(document, "clientId"),
        is_deleted,
        created_at,
        updated_at: moved.map_or(updated_at, |moved| updated_at.max(moved)),
        reply_to: id(document, "replyTo").map(MessageId::from_bytes),
        is_edited: document.get_bool("isEdited").unwrap_or_default(),
        reactions: if is_deleted { Vec::new() } else { list(document, "reactions", to_reaction) },
        hidden_for: list(document, "hiddenFor", |id| Some(UserId::from_bytes(id.as_object_id()?.bytes()))),
    })
}

// --- members ---

/// A chat from one member's side, as its document has it: `last_seq` may lag behind the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) chat: ChatId,
    pub(super) user: UserId,
    pub(super) partner: Option<UserId>,
    pub(super) last_at: Timestamp,
    pub(super) state: ChatState,
    /// The feed tells of all up to here, at least; `None` in a chat of before there were feeds.
    pub(super) told_seq: Option<u64>,
}

pub(super) fn to_member(document: &Document) -> Option<Member> {
    let number = |key| u64::try_from(int(document, key)).unwrap_or_default();
    Some(Member {
        chat: ChatId::from_bytes(id(document, "chat")?),
        user: UserId::from_bytes(id(document, "user")?),
        partner: id(document, "partner").map(UserId::from_bytes),
        last_at: timestamp(document, "lastAt").unwrap_or(Timestamp::from_millis(0)),
        state: ChatState {
            last_seq: number("lastSeq"),
            read_seq: number("readSeq"),
            shown: Watermarks { delivered: number("shownDelivered"), read: number("shownRead") },
        },
        told_seq: document.contains_key("toldSeq").then(|| number("toldSeq")),
    })
}

// --- feeds ---

/// An entry: `k` says what happened, `c`, `m` and `u` to which chat, message and user, `f` and `t` from which seq to
/// which.
pub(super) fn from_change(change: &Change) -> Document {
    let message = |kind: &str, id: &MessageId| doc! { "k": kind, "m": oid(id.as_bytes()) };
    match change {
        Change::Sent { chat, from, to } => {
            doc! { "k": "s", "c": oid(chat.as_bytes()), "f": signed(*from), "t": signed(*to) }
        }
        Change::Edited(id) => message("e", id),
        Change::Deleted(id) => message("d", id),
        Change::Reacted(id) => message("r", id),
        Change::Hidden(id) => message("h", id),
        Change::Marked { chat, user } => {
            doc! { "k": "m", "c": oid(chat.as_bytes()), "u": oid(user.as_bytes()) }
        }
    }
}

pub(super) fn to_change(entry: &Document) -> Option<Change> {
    let chat = || id(entry, "c").map(ChatId::from_bytes);
    let message = || id(entry, "m").map(MessageId::from_bytes);
    let number = |key| u64::try_from(int(entry, key)).ok();
    Some(match entry.get_str("k").ok()? {
        "s" => Change::Sent { chat: chat()?, from: number("f")?, to: number("t")? },
        "e" => Change::Edited(message()?),
        "d" => Change::Deleted(message()?),
        "r" => Change::Reacted(message()?),
        "h" => Change::Hidden(message()?),
        "m" => Change::Marked { chat: chat()?, user: UserId::from_bytes(id(entry, "u")?) },
        _ => return None,
    })
}

// --- blocks ---

pub(super) fn to_block(document: &Document) -> Option<Block> {
    Some(Block {
        by: UserId::from_bytes(id(document, "by")?),
        user: UserId::from_bytes(id(document, "user")?),
        at: timestamp(document, "at")?,
    })
}
