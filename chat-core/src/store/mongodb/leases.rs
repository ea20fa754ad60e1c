//! Who is online, and by which lease: a process that is gone leaves nobody online for ever.

use mongodb::bson::{Bson, Document, doc};

use super::{
    db::{Call, Update},
    documents::{date, oid, timestamp},
    queries::{self, LEASES, USERS},
    sessions::upsert,
};
use crate::{Timestamp, UserId, store::Result};

/// Somebody came by a lease, or went.
pub(super) async fn set_presence(
    call: &Call,
    id: UserId,
    is_online: bool,
    at: Timestamp,
    lease: String,
) -> Result<()> {
    let mut set = doc! { "isOnline": is_online, "lastSeen": date(at) };
    let mut change = doc! {};
    if is_online {
        set.insert("presenceLease", lease);
    } else {
        change.insert("$unset", doc! { "presenceLease": "" });
    }
    change.insert("$set", set);
    let update = Update { filter: queries::by_id(oid(id.as_bytes())), change, upsert: false };
    call.update(USERS, vec![update], true).await.map(drop)
}

pub(super) async fn renew(call: &Call, lease: String, at: Timestamp) -> Result<()> {
    let change = doc! { "$max": { "seen": date(at) } };
    upsert(call, LEASES, Update { filter: queries::by_id(lease), change, upsert: true }).await
}

pub(super) async fn end(call: &Call, lease: String, at: Timestamp) -> Result<u64> {
    let count = take_offline(call, vec![lease.clone().into()], Some(at)).await?;
    call.delete(LEASES, queries::by_id(lease)).await?;
    Ok(count)
}

pub(super) async fn expire(call: &Call, before: Timestamp) -> Result<u64> {
    let mut count = 0;
    for lease in call.find(&queries::leases()).await? {
        let Some(seen) = timestamp(&lease, "seen").filter(|seen| *seen < before) else { continue };
        let Some(name) = lease.get("_id").cloned() else { continue };
        count += take_offline(call, vec![name.clone()], Some(seen)).await?;
        // Unless it was renewed at this very moment.
        call.delete(LEASES, doc! { "_id": name, "seen": { "$lt": date(before) } }).await?;
    }
    // First who is online, then the leases that there are: one comes by a lease that is there already.
    let answer = call.command(&queries::leases_in_use()).await?;
    let mut unknown: Vec<Bson> = answer.get_array("values").cloned().unwrap_or_default();
    let known = call.find(&queries::leases()).await?;
    unknown.retain(|lease| !known.iter().any(|known| known.get("_id") == Some(lease)));
    // Of another application, or of before.
    unknown.push(Bson::Null);
    count += take_offline(call, unknown, None).await?;
    Ok(count)
}

/// All who are online by one of these leases go; they were seen then.
async fn take_offline(call: &Call, leases: Vec<Bson>, seen: Option<Timestamp>) -> Result<u64> {
    let mut change: Document = doc! { "$set": { "isOnline": false }, "$unset": { "presenceLease": "" } };
    if let Some(seen) = seen {
        change.insert("$max", doc! { "lastSeen": date(seen) });
    }
    Ok(call.update_all(USERS, queries::guests(leases), change).await?.modified)
}
