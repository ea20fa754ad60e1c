//! The indexes, made one by one at the start.

use mongodb::bson::{Bson, Document, doc};

use super::{
    db::Call,
    error::other,
    queries::{BLOCKS, MEMBERS, MESSAGES, OUTBOX, SESSIONS, SIGN_INS, UNTOLD, USERS, WAITING},
};
use crate::{StoreError, store::Result};

/// Building an index over much data takes its time.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3600);

struct Index {
    collection: &'static str,
    name: &'static str,
    key: Document,
    options: Document,
}

fn index(collection: &'static str, name: &'static str, key: Document, options: Document) -> Index {
    Index { collection, name, key, options }
}

fn all() -> Vec<Index> {
    let unique = || doc! { "unique": true };
    let untold = || doc! { "partialFilterExpression": { "untold": { "$exists": true } } };
    vec![
        // As Mongoose names and makes it, so that either may come first.
        index(USERS, "email_1", doc! { "email": 1 }, unique()),
        index(USERS, "chatcore_email_keys", doc! { "emailKey": 1 }, doc! { "unique": true, "sparse": true }),
        index(USERS, "chatcore_names", doc! { "nameKey": 1, "_id": 1 }, doc! {}),
        index(
            USERS,
            "chatcore_guests",
            doc! { "presenceLease": 1 },
            doc! { "partialFilterExpression": { "isOnline": true } },
        ),
        // Sparse: what is not adopted yet has neither.
        index(
            MESSAGES,
            "chatcore_log",
            doc! { "chat": 1, "seq": 1 },
            doc! { "unique": true, "sparse": true },
        ),
        index(
            MESSAGES,
            "chatcore_client_ids",
            doc! { "senderId": 1, "clientId": 1 },
            doc! { "unique": true, "partialFilterExpression": { "clientId": { "$exists": true } } },
        ),
        index(
            MESSAGES,
            WAITING,
            doc! { "senderId": 1, "receiverId": 1, "createdAt": 1, "_id": 1 },
            doc! { "partialFilterExpression": { "seq": Bson::Null } },
        ),
        index(MESSAGES, UNTOLD, doc! { "untold.w": 1 }, untold()),
        index(MEMBERS, UNTOLD, doc! { "untold.w": 1 }, untold()),
        index(BLOCKS, "chatcore_blockers", doc! { "by": 1 }, doc! {}),
        index(BLOCKS, "chatcore_blocked", doc! { "user": 1 }, doc! {}),
        index(MEMBERS, "chatcore_members", doc! { "chat": 1, "user": 1 }, unique()),
        index(MEMBERS, "chatcore_chats", doc! { "user": 1, "lastAt": -1, "chat": -1 }, doc! {}),
        index(SESSIONS, "chatcore_expiry", doc! { "expiresAt": 1 }, doc! {}),
        index(USERS, "chatcore_cuts", doc! { "cutAt": 1 }, doc! { "sparse": true }),
        index(SIGN_INS, "chatcore_list", doc! { "user": 1, "createdAt": -1, "_id": -1 }, doc! {}),
        index(SIGN_INS, "chatcore_end", doc! { "expiresAt": 1 }, doc! {}),
        index(OUTBOX, "chatcore_due", doc! { "dueAt": 1, "_id": 1 }, doc! {}),
    ]
}

/// Makes those that are not there.
///
/// # Errors
/// Names the index, and what is in its way.
pub(super) async fn make(call: &Call) -> Result<()> {
    for index in all() {
        make_one(call, &index).await?;
    }
    Ok(())
}

async fn make_one(call: &Call, index: &Index) -> Result<()> {
    let mut entry = doc! { "name": index.name, "key": index.key.clone() };
    entry.extend(index.options.clone());
    let command = doc! { "createIndexes": index.collection, "indexes": [entry] };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let call = Call { deadline, patience: PATIENCE, ..call.clone() };
    let error = match call.command(&command).await {
        Ok(_) => return Ok(()),
        Err(StoreError::Other(source)) => match source.downcast::<mongodb::error::Error>() {
            Ok(error) => error,
            Err(source) => return Err(StoreError::Other(source)),
        },
        Err(error) => return Err(error),
    };
    if super::error::is_duplicate(&error) {
        let value = duplicate(&call, index).await.unwrap_or_default();
        let (collection, name) = (index.collection, index.name);
        return Err(other(format!(
            "the collection `{collection}` has documents that the unique index `{name}` does not allow{value}: change \
             or remove all but one of them"
        )));
    }
    let code = match &*error.kind {
        mongodb::error::ErrorKind::Command(error) => error.code,
        _ => 0,
    };
    // IndexOptionsConflict, IndexKeySpecsConflict: there is one like it.
    if matches!(code, 85 | 86) && index.name == "email_1" {
        tracing::info!("the collection `users` has an index on `email` of another application's making");
        return Ok(());
    }
    let (collection, name) = (index.collection, index.name);
    Err(other(format!("the index `{name}` of the collection `{collection}` can't be made: {error}")))
}

/// One value that is there more than once, in words.
async fn duplicate(call: &Call, index: &Index) -> Option<String> {
    let field = index.key.keys().next()?;
    let pipeline = vec![
        doc! { "$match": { field: { "$exists": true } } },
        doc! { "$group": { "_id": format!("${field}"), "n": { "$sum": 1 }, "ids": { "$push": "$_id" } } },
        doc! { "$match": { "n": { "$gt": 1 } } },
        doc! { "$limit": 1 },
    ];
    let command =
        doc! { "aggregate": index.collection, "pipeline": pipeline, "cursor": {}, "allowDiskUse": true };
    if index.key.len() > 1 {
        return None;
    }
    let answer = call.command(&command).await.ok()?;
    let found =
        answer.get_document("cursor").ok()?.get_array("firstBatch").ok()?.first()?.as_document()?.clone();
    let ids: Vec<String> = found.get_array("ids").ok()?.iter().take(10).map(ToString::to_string).collect();
    Some(format!(
        ": {field} {} is there {} times ({})",
        found.get("_id")?,
        super::db::int(&found, "n"),
        ids.join(", ")
    ))
}
