//! Checks of who is online, by which lease, and of what users choose for themselves.

use std::sync::Arc;

use super::{
    Harness,
    fixtures::{accounts, assert_not_found, at, at_once, person},
};
use crate::{
    Timestamp, UserId,
    store::{Settings, SettingsChange, Store, UserRecord},
};

/// Whether somebody is online, and when they were last seen.
async fn seen(store: &Arc<dyn Store>, user: UserId) -> (bool, Timestamp) {
    let user = store.user(user).await.expect("a user is read").expect("the user is there");
    assert_eq!(user.updated_at, at(3), "presence is no change of the profile");
    (user.is_online, user.last_seen)
}

/// Who is online by a lease that is renewed stays so; the others were last seen when theirs was.
pub async fn leases_that_end_take_their_guests_along(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid, dan, eve, fay] = accounts(&store).await;
    store.renew_lease("old", at(1_000)).await.unwrap();
    store.renew_lease("new", at(1_000)).await.unwrap();
    for (user, lease, when) in [
        (ann, "old", 1_100),
        (bob, "new", 1_200),
        (cid, "never renewed", 1_300),
        (dan, "old", 1_400),
        (eve, "old", 9_000),
    ] {
        store.set_presence(user, true, at(when), lease).await.unwrap();
    }
    // Gone before its lease is: nothing to do.
    store.set_presence(dan, false, at(1_500), "old").await.unwrap();
    store.renew_lease("old", at(2_000)).await.unwrap();
    store.renew_lease("new", at(6_000)).await.unwrap();
    store.renew_lease("new", at(5_000)).await.unwrap();
    assert_eq!(store.expire_leases(at(1_500)).await.unwrap(), 1, "by none that is known");
    assert_eq!(seen(&store, cid).await, (false, at(1_300)), "of that nothing is known");
    assert_eq!(store.expire_leases(at(5_500)).await.unwrap(), 2, "a lease is never set back");
    assert_eq!(seen(&store, ann).await, (false, at(2_000)), "when the lease was renewed last");
    assert_eq!(seen(&store, bob).await, (true, at(1_200)), "by a lease that goes on");
    assert_eq!(seen(&store, dan).await, (false, at(1_500)), "who was gone");
    assert_eq!(seen(&store, eve).await, (false, at(9_000)), "seen later than the lease");
    assert_eq!(seen(&store, fay).await, (false, at(1)), "who was never there");
    assert_eq!(store.expire_leases(at(5_500)).await.unwrap(), 0, "again there is nobody");

    // A lease that has expired is gone, and can be taken anew.
    store.set_presence(ann, true, at(7_000), "old").await.unwrap();
    assert_eq!(store.expire_leases(at(1_500)).await.unwrap(), 1, "it is not there any more");
    assert_eq!(seen(&store, ann).await, (false, at(7_000)));
    store.renew_lease("old", at(8_000)).await.unwrap();
    store.set_presence(ann, true, at(8_000), "old").await.unwrap();
    assert_eq!(store.expire_leases(at(7_500)).await.unwrap(), 1, "`new`, but not `old`");
    assert_eq!(seen(&store, ann).await, (true, at(8_000)));
    assert_eq!(seen(&store, bob).await, (false, at(6_000)));
}

/// Who came back by another lease does not go with the first one.
pub async fn the_last_lease_counts(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann] = accounts(&store).await;
    store.renew_lease("first", at(1_000)).await.unwrap();
    store.renew_lease("second", at(9_000)).await.unwrap();
    store.set_presence(ann, true, at(1_100), "first").await.unwrap();
    store.set_presence(ann, true, at(1_200), "second").await.unwrap();
    assert_eq!(store.expire_leases(at(5_000)).await.unwrap(), 0);
    assert_eq!(store.end_lease("first", at(5_000)).await.unwrap(), 0);
    assert_eq!(seen(&store, ann).await, (true, at(1_200)));
}

/// Who gives up a lease takes its guests offline, and nobody else.
pub async fn a_lease_is_given_up(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid, dan] = accounts(&store).await;
    for lease in ["mine", "yours"] {
        store.renew_lease(lease, at(1_000)).await.unwrap();
    }
    for (user, lease, when) in
        [(ann, "mine", 1_100), (bob, "yours", 1_200), (cid, "mine", 9_000), (dan, "mine", 1_300)]
    {
        store.set_presence(user, true, at(when), lease).await.unwrap();
    }
    store.set_presence(dan, false, at(1_400), "mine").await.unwrap();
    assert_eq!(store.end_lease("nobody's", at(5_000)).await.unwrap(), 0);
    assert_eq!(store.end_lease("mine", at(5_000)).await.unwrap(), 2);
    assert_eq!(seen(&store, ann).await, (false, at(5_000)));
    assert_eq!(seen(&store, bob).await, (true, at(1_200)), "another's guest");
    assert_eq!(seen(&store, cid).await, (false, at(9_000)), "last seen does not go back");
    assert_eq!(seen(&store, dan).await, (false, at(1_400)), "who was gone");
    assert_eq!(store.end_lease("mine", at(6_000)).await.unwrap(), 0, "again there is nobody");
    // It is not there any more: whoever comes by it has none.
    store.set_presence(ann, true, at(7_000), "mine").await.unwrap();
    assert_eq!(store.expire_leases(at(500)).await.unwrap(), 1);
    assert_eq!(seen(&store, ann).await, (false, at(7_000)));
    assert_eq!(seen(&store, bob).await, (true, at(1_200)));
}

/// Each choice by itself; `updated_at` and all else of the account stays.
pub async fn settings_are_changed_one_by_one(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let before = store.user(ann).await.unwrap().expect("ann is there");
    assert_eq!(before.settings, Settings { sends_receipts: true, is_invisible: false });
    for (sends_receipts, is_invisible, expected) in [
        (None, None, (true, false)),
        (Some(false), None, (false, false)),
        (None, Some(true), (false, true)),
        (None, None, (false, true)),
        (Some(true), Some(true), (true, true)),
        (Some(false), Some(false), (false, false)),
    ] {
        let change = SettingsChange { sends_receipts, is_invisible };
        let settings = Settings { sends_receipts: expected.0, is_invisible: expected.1 };
        assert_eq!(store.update_settings(ann, &change).await.unwrap(), settings, "{change:?}");
        let stored = store.user(ann).await.unwrap();
        assert_eq!(stored, Some(UserRecord { settings, ..before.clone() }), "{change:?}");
    }
    assert_eq!(store.user(bob).await.unwrap().expect("bob is there").settings, Settings::default());
    let unknown = store.update_settings(UserId::generate(at(0)), &SettingsChange::default()).await;
    assert_not_found(unknown, "User", "the settings of nobody");

    let settings = Settings { sends_receipts: false, is_invisible: true };
    let shy = UserRecord { settings, ..person("shy@example.com", "Shy") };
    store.insert_user(&shy).await.unwrap();
    assert_eq!(store.user_by_email("shy@example.com").await.unwrap(), Some(shy.clone()), "from the first on");
    assert!(store.users_by_name(ann, None, 10).await.unwrap().contains(&shy), "in the list");
}

/// Two choices at the same moment don't undo each other.
pub async fn settings_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    for round in 0..8 {
        let user = person(&format!("{round}@example.com"), "Someone");
        store.insert_user(&user).await.unwrap();
        at_once((0..8).map(|n| {
            let store = Arc::clone(&store);
            let change = match n % 2 {
                0 => SettingsChange { sends_receipts: Some(false), is_invisible: None },
                _ => SettingsChange { sends_receipts: None, is_invisible: Some(true) },
            };
            async move { store.update_settings(user.id, &change).await.expect("it is changed") }
        }))
        .await;
        let settings = store.user(user.id).await.unwrap().expect("the account is there").settings;
        assert_eq!(settings, Settings { sends_receipts: false, is_invisible: true }, "round {round}");
    }
}
