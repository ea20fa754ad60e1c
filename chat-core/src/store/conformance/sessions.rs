//! Checks of [`Sessions`](crate::store::Sessions) and [`Notes`](crate::store::Notes).

use super::{
    Harness,
    fixtures::{accounts, assert_not_found, at, at_once, person},
};
use crate::{
    SessionId, Timestamp, UserId,
    store::{Cut, PasswordChange, Revocation, SessionRecord, UserRecord},
};

/// A session that began at this moment.
fn session(user: UserId, generation: u32, began: i64) -> SessionRecord {
    SessionRecord {
        id: SessionId::random(),
        user,
        generation,
        created_at: at(began),
        expires_at: at(began + 1_000),
        last_used_at: at(began),
        address: Some("2001:db8::1".into()),
        user_agent: None,
    }
}

/// Sessions are listed, the newest first, until they expire, are revoked, or are forgotten; each user's own.
pub async fn sessions_are_listed(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    assert_eq!(store.sessions_of(ann, at(0), 10).await.unwrap(), [], "there is none");
    let mut of_ann: Vec<_> = (0..4).map(|n| session(ann, 0, n * 100)).collect();
    of_ann[2].user_agent = Some("Über/1.0".into());
    of_ann[2].address = None;
    let of_bob = session(bob, 0, 50);
    for session in of_ann.iter().chain([&of_bob]) {
        store.insert_session(session).await.expect("a session is added");
    }
    store.insert_session(&of_ann[0]).await.expect("again is fine");
    of_ann.reverse();
    assert_eq!(store.sessions_of(ann, at(400), 10).await.unwrap(), of_ann, "the newest first, whole");
    assert_eq!(store.sessions_of(ann, at(400), 2).await.unwrap(), of_ann[..2], "at most so many");
    assert_eq!(store.sessions_of(ann, at(1_100), 10).await.unwrap(), of_ann[..2], "two have expired");
    assert_eq!(store.sessions_of(bob, at(400), 10).await.unwrap(), [of_bob], "each has their own");

    let uses = [(of_ann[0].id, at(700)), (SessionId::random(), at(700)), (of_ann[1].id, at(1))];
    store.touch_sessions(&uses).await.expect("uses are noted");
    of_ann[0].last_used_at = at(700);
    assert_eq!(
        store.sessions_of(ann, at(400), 10).await.unwrap(),
        of_ann,
        "never back, and of none that is not"
    );

    let revocation = Revocation { session: of_ann[1].id, expires_at: of_ann[1].expires_at };
    store.revoke_session(revocation).await.unwrap();
    of_ann.remove(1);
    assert_eq!(store.sessions_of(ann, at(400), 10).await.unwrap(), of_ann, "who is revoked is not listed");
    assert!(store.forget_expired(at(1_100)).await.unwrap() >= 2, "what has expired is forgotten");
    assert_eq!(store.sessions_of(ann, at(0), 10).await.unwrap(), of_ann[..1]);
}

/// A cut raises the generation and takes the sessions of before from the list, but for the one that is kept.
pub async fn a_cut_ends_all_but_one(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    assert_eq!(store.cuts(at(0)).await.unwrap(), [], "there was none");
    let (kept, old, of_bob) = (session(ann, 0, 10), session(ann, 0, 20), session(bob, 0, 30));
    for session in [&kept, &old, &of_bob] {
        store.insert_session(session).await.unwrap();
    }
    let first = store.cut_sessions(ann, Some(kept.id), at(100)).await.expect("it is cut");
    assert_eq!(first, Cut { user: ann, generation: 1, kept: Some(kept.id) });
    let user = store.user(ann).await.unwrap().expect("the account is there");
    assert_eq!(
        (user.generation, user.updated_at),
        (1, at(3)),
        "the account knows, and its profile is as it was"
    );
    assert_eq!(
        store.sessions_of(ann, at(100), 10).await.unwrap(),
        std::slice::from_ref(&kept),
        "one is left"
    );
    assert_eq!(store.sessions_of(bob, at(100), 10).await.unwrap(), [of_bob], "others are as they were");
    let new = session(ann, 1, 200);
    store.insert_session(&new).await.unwrap();
    let second = store.cut_sessions(ann, None, at(300)).await.expect("it is cut");
    assert_eq!(second, Cut { user: ann, generation: 2, kept: None });
    assert_eq!(store.sessions_of(ann, at(300), 10).await.unwrap(), [], "none is left");
    assert_eq!(store.cuts(at(299)).await.unwrap(), [second], "the latest of each");
    assert_eq!(store.cuts(at(300)).await.unwrap(), [], "those after a moment");
    assert_not_found(
        store.cut_sessions(UserId::generate(at(0)), None, at(0)).await,
        "User",
        "a cut of nobody",
    );
}

/// Cuts at the same moment follow each other: each has a generation of its own.
pub async fn cuts_at_the_same_moment_follow_each_other(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann] = accounts(&store).await;
    let mut cuts = at_once((0..8).map(|_| {
        let store = store.clone();
        async move { store.cut_sessions(ann, None, at(100)).await.expect("it is cut").generation }
    }))
    .await;
    cuts.sort_unstable();
    assert_eq!(cuts, (1..=8).collect::<Vec<_>>());
    assert_eq!(store.user(ann).await.unwrap().map(|user| user.generation), Some(8));
}

/// A password is replaced where it still is the one that is named, together with a cut.
pub async fn a_password_is_replaced_once(harness: &impl Harness) {
    let store = harness.open().await;
    let user = UserRecord { email_verified: false, ..person("ann@example.com", "Ann") };
    store.insert_user(&user).await.unwrap();
    assert_eq!(store.user(user.id).await.unwrap(), Some(user.clone()), "not verified, as it was given");
    let change = |old: &str, new: &str, verifies_email| PasswordChange {
        old_hash: old.into(),
        new_hash: new.into(),
        kept: None,
        verifies_email,
    };
    let wrong = store.set_password(user.id, &change("another", "new", true), at(100)).await.unwrap();
    assert_eq!(wrong, None, "it is not the hash that is there");
    assert_eq!(store.user(user.id).await.unwrap(), Some(user.clone()), "nothing has changed");
    let session = session(user.id, 0, 10);
    store.insert_session(&session).await.unwrap();

    let right = change(&user.password_hash, "new", false);
    let cut = Cut { user: user.id, generation: 1, kept: None };
    assert_eq!(store.set_password(user.id, &right, at(100)).await.unwrap(), Some(cut));
    assert_eq!(store.set_password(user.id, &right, at(100)).await.unwrap(), None, "not a second time");
    let expected = UserRecord { password_hash: "new".into(), generation: 1, ..user.clone() };
    assert_eq!(store.user(user.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.sessions_of(user.id, at(100), 10).await.unwrap(), [], "the sessions of before are over");

    let verifying = change("new", "newer", true);
    store.set_password(user.id, &verifying, at(200)).await.unwrap().expect("it is replaced");
    let expected =
        UserRecord { password_hash: "newer".into(), generation: 2, email_verified: true, ..expected };
    assert_eq!(store.user(user.id).await.unwrap(), Some(expected));
    let nobody = store.set_password(UserId::generate(at(0)), &verifying, at(0)).await;
    assert_not_found(nobody, "User", "a password of nobody");
}

/// Of many who replace a password at the same moment, one does.
pub async fn a_password_is_replaced_by_one_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let user = person("ann@example.com", "Ann");
    store.insert_user(&user).await.unwrap();
    let done = at_once((0..8).map(|n| {
        let (store, user) = (store.clone(), user.clone());
        async move {
            let new_hash = format!("new {n}");
            let change =
                PasswordChange { old_hash: user.password_hash, new_hash, kept: None, verifies_email: false };
            store.set_password(user.id, &change, at(100)).await.expect("an answer").is_some()
        }
    }))
    .await;
    assert_eq!(done.into_iter().filter(|done| *done).count(), 1);
}

/// An address is verified once, and only the one that the account has.
pub async fn an_email_is_verified(harness: &impl Harness) {
    let store = harness.open().await;
    let user = UserRecord { email_verified: false, ..person("Ann@example.com", "Ann") };
    store.insert_user(&user).await.unwrap();
    let other = store.verify_email(user.id, "bob@example.com").await;
    assert_not_found(other, "User", "another address");
    assert!(store.verify_email(user.id, "ann@example.com").await.unwrap(), "it was not verified before");
    assert!(!store.verify_email(user.id, "ann@example.com").await.unwrap(), "now it was");
    let expected = UserRecord { email_verified: true, ..user.clone() };
    assert_eq!(store.user(user.id).await.unwrap(), Some(expected));
    let nobody = store.verify_email(UserId::generate(at(0)), "ann@example.com").await;
    assert_not_found(nobody, "User", "an address of nobody");
}

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
    assert_eq!(store.forget_expired(at(300)).await.unwrap(), 3, "three have expired");
    assert_eq!(valid(at(0)).await, all[3..], "the others stay");
    assert_eq!(store.forget_expired(at(300)).await.unwrap(), 0, "again there is none");
    assert_eq!(store.forget_expired(at(10_000)).await.unwrap(), 2);
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
