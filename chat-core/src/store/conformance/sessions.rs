//! Checks of [`Sessions`](crate::store::Sessions) and [`Notes`](crate::store::Notes).

use super::{Harness, fixtures::at};
use crate::{SessionId, Timestamp, store::Revocation};

/// A revocation is there until its token would have expired, and is forgotten when told so.
pub async fn revocations_last_until_they_expire(harness: &impl Harness) {
    let store = harness.open().await;
    let all: Vec<_> =
        (1..=5).map(|n| Revocation { session: SessionId::random(), expires_at: at(n * 100) }).collect();
    for revocation in &all {
        store.revoke_session(*revocation).await.expect("a session is revoked");
    }
    store.revoke_session(all[4]).await.expect("again is fine");
    let later = Revocation { expires_at: at(9_000), ..all[0] };
    store.revoke_session(later).await.expect("again is fine, also with another end");
    let valid = async |now: Timestamp| {
        let mut found = store.revocations(now).await.unwrap();
        found.sort_by_key(|revocation| revocation.expires_at);
        found
    };
    assert_eq!(valid(at(0)).await, all, "each once, as it was first revoked");
    assert_eq!(valid(at(299)).await, all[2..], "just before the third expires");
    assert_eq!(valid(at(300)).await, all[3..], "a token that expires at this moment has expired");
    assert_eq!(store.forget_revocations(at(300)).await.unwrap(), 3, "three have expired");
    assert_eq!(valid(at(0)).await, all[3..], "the others stay");
    assert_eq!(store.forget_revocations(at(300)).await.unwrap(), 0, "again there is none");
    assert_eq!(store.forget_revocations(at(10_000)).await.unwrap(), 2);
    assert_eq!(valid(at(0)).await, []);
}

/// A note is what was last written under its key.
pub async fn notes_are_overwritten(harness: &impl Harness) {
    let store = harness.open().await;
    assert_eq!(store.note("a").await.unwrap(), None, "there is no note");
    for (key, value) in [("a", "1"), ("b", ""), ("a", "2 é"), ("A", "3")] {
        store.put_note(key, value).await.expect("a note is written");
        assert_eq!(store.note(key).await.unwrap().as_deref(), Some(value), "{key}");
    }
    assert_eq!(store.note("a").await.unwrap().as_deref(), Some("2 é"), "keys are compared with case");
    assert_eq!(store.note("b").await.unwrap().as_deref(), Some(""), "an empty note is a note");
}
