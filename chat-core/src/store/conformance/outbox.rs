//! Checks of [`Outbox`](crate::store::Outbox).

use std::{collections::HashSet, sync::Arc};

use super::{
    Harness,
    fixtures::{at, at_once},
};
use crate::{OutboxId, store::OutboxEntry};

fn entry(due: i64) -> OutboxEntry {
    let id = OutboxId::generate(at(0));
    OutboxEntry { id, body: format!("sealed {id} é"), created_at: at(1), due_at: at(due), attempts: 0 }
}

/// An entry is claimed when it is due, the longest due first, and is then not due for a while.
pub async fn entries_are_claimed_when_due(harness: &impl Harness) {
    let store = harness.open().await;
    assert_eq!(store.claim_outbox(at(1_000), at(2_000), 10).await.unwrap(), [], "there is none");
    let [late, first, second, never] = [entry(300), entry(100), entry(200), entry(9_000)];
    for entry in [&late, &first, &second, &never] {
        store.put_outbox(entry).await.expect("an entry is put there");
    }
    let again = OutboxEntry { body: "another".into(), due_at: at(0), ..first.clone() };
    store.put_outbox(&again).await.expect("again is fine");
    let claimed =
        |entry: &OutboxEntry, until, attempts| OutboxEntry { due_at: at(until), attempts, ..entry.clone() };
    assert_eq!(
        store.claim_outbox(at(300), at(500), 2).await.unwrap(),
        [claimed(&first, 500, 1), claimed(&second, 500, 1)],
        "the longest due first, at most so many, as they were first put there"
    );
    assert_eq!(store.claim_outbox(at(300), at(600), 10).await.unwrap(), [claimed(&late, 600, 1)]);
    assert_eq!(store.claim_outbox(at(499), at(600), 10).await.unwrap(), [], "they are somebody's");
    assert_eq!(
        store.claim_outbox(at(500), at(700), 1).await.unwrap().len(),
        1,
        "a claim that ran out is as good as none"
    );
    store.postpone_outbox(second.id, at(5_000)).await.unwrap();
    store.remove_outbox(first.id).await.unwrap();
    store.remove_outbox(first.id).await.expect("again is fine");
    store.postpone_outbox(first.id, at(0)).await.expect("of one that is not there nothing happens");
    assert_eq!(store.claim_outbox(at(4_999), at(8_000), 10).await.unwrap(), [claimed(&late, 8_000, 2)]);
    let left = store.claim_outbox(at(5_000), at(8_000), 10).await.unwrap();
    assert_eq!(
        left.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        [second.id],
        "postponed, and due again"
    );
    store.remove_outbox(late.id).await.unwrap();
    store.remove_outbox(second.id).await.unwrap();
    assert_eq!(store.claim_outbox(at(9_000), at(9_999), 10).await.unwrap(), [claimed(&never, 9_999, 1)]);
}

/// Of many who claim at the same moment, one gets each entry.
pub async fn entries_are_claimed_by_one(harness: &impl Harness) {
    let store = harness.open().await;
    let entries: Vec<_> = (0..40).map(entry).collect();
    for entry in &entries {
        store.put_outbox(entry).await.unwrap();
    }
    let claims = at_once((0..8).map(|_| {
        let store = Arc::clone(&store);
        async move {
            let mut all = Vec::new();
            loop {
                let some = store.claim_outbox(at(1_000), at(2_000), 7).await.expect("a claim");
                if some.is_empty() {
                    return all;
                }
                all.extend(some);
            }
        }
    }))
    .await;
    let claimed: Vec<_> = claims.into_iter().flatten().map(|entry| entry.id).collect();
    assert_eq!(claimed.len(), entries.len(), "each once");
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), entries.len());
}
