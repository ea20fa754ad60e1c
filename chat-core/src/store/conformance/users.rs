//! Checks of [`Users`](crate::store::Users).

use std::{collections::HashSet, sync::Arc};

use super::{
    Harness,
    fixtures::{accounts, assert_not_found, at, at_once, person},
};
use crate::{
    StoreError, Timestamp, UserId,
    store::{ProfileChange, UserRecord, name_key},
};

/// What was inserted is found by id and by e-mail, whole.
pub async fn a_user_reads_back(harness: &impl Harness) {
    let store = harness.open().await;
    let user = UserRecord {
        profile_pic: Some("https://example.com/é.png".into()),
        is_online: true,
        ..person("Ann.Other@Example.com", "Ann Öther")
    };
    store.insert_user(&user).await.expect("an account is added");
    assert_eq!(store.user(user.id).await.unwrap(), Some(user.clone()), "every field comes back");
    for email in ["Ann.Other@Example.com", "ann.other@example.com", "ANN.OTHER@EXAMPLE.COM"] {
        assert_eq!(store.user_by_email(email).await.unwrap(), Some(user.clone()), "found as {email}");
    }
    assert_eq!(store.user(UserId::generate(at(0))).await.unwrap(), None, "an unknown id is nobody");
    assert_eq!(store.user_by_email("an.other@example.com").await.unwrap(), None, "nor is an unknown e-mail");
    assert_eq!(store.user_by_email("").await.unwrap(), None);
}

/// An e-mail is taken in every spelling of its case, beyond ASCII too.
pub async fn emails_are_unique_without_case(harness: &impl Harness) {
    let store = harness.open().await;
    for (first, second) in [("ann@example.com", "Ann@Example.COM"), ("Élan@example.com", "éLAN@example.com")]
    {
        let taken = person(first, "First");
        store.insert_user(&taken).await.expect("an account is added");
        let late = person(second, "Second");
        let refused = store.insert_user(&late).await;
        assert!(matches!(refused, Err(StoreError::AlreadyExists("email"))), "{second}: {refused:?}");
        assert_eq!(store.user(late.id).await.unwrap(), None, "who is refused is not there");
        assert_eq!(store.user(taken.id).await.unwrap(), Some(taken), "who was first is as before");
    }
}

/// Of many who sign up with one e-mail at the same moment, one gets it.
pub async fn emails_are_unique_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let results = at_once((0..16).map(|n| {
        let store = Arc::clone(&store);
        let email = if n % 2 == 0 { "same@example.com" } else { "SAME@example.com" };
        async move {
            let user = person(email, "Same");
            (user.id, store.insert_user(&user).await)
        }
    }))
    .await;
    let mut winner = None;
    for (id, result) in results {
        match result {
            Ok(()) => assert_eq!(winner.replace(id), None, "two accounts got the same e-mail"),
            Err(StoreError::AlreadyExists("email")) => {}
            Err(other) => panic!("should be AlreadyExists(\"email\"), and is {other:?}"),
        }
    }
    assert!(winner.is_some(), "nobody got the e-mail");
    let found = store.user_by_email("same@example.com").await.unwrap();
    assert_eq!(found.map(|user| user.id), winner, "who was told so has it");
}

/// A change touches what it names and `updated_at`, and returns the account before and after.
pub async fn profile_changes_return_both_sides(harness: &impl Harness) {
    let store = harness.open().await;
    let original = person("ann@example.com", "Ann");
    store.insert_user(&original).await.unwrap();
    let name = |name: &str| ProfileChange { full_name: Some(name.into()), profile_pic: None };
    let pic = |pic: Option<&str>| ProfileChange { full_name: None, profile_pic: Some(pic.map(Into::into)) };
    let mut now = original.clone();
    let steps = [name("Anne"), pic(Some("a.png")), pic(Some("b.png")), name("Ann B"), pic(None)];
    for (n, change) in (0..).zip(steps) {
        let mut expected = UserRecord { updated_at: at(100 + n), ..now.clone() };
        expected.full_name = change.full_name.clone().unwrap_or(expected.full_name);
        expected.profile_pic = change.profile_pic.clone().unwrap_or(expected.profile_pic);
        let update = store.update_profile(original.id, &change, at(100 + n)).await.expect("it changes");
        assert_eq!(update.before, now, "before {change:?}");
        assert_eq!(update.after, expected, "after {change:?}");
        assert_eq!(store.user(original.id).await.unwrap(), Some(expected.clone()), "stored, {change:?}");
        now = expected;
    }
    let unknown = store.update_profile(UserId::generate(at(0)), &name("Nobody"), at(200)).await;
    assert_not_found(unknown, "User", "a change of an unknown account");
}

/// Changes at the same moment are applied one after the other: each sees what the one before it left.
pub async fn profile_changes_at_the_same_moment_follow_each_other(harness: &impl Harness) {
    let store = harness.open().await;
    let [id] = accounts(&store).await;
    let updates = at_once((0..16).map(|n| {
        let store = Arc::clone(&store);
        let change = ProfileChange { full_name: None, profile_pic: Some(Some(format!("{n}.png"))) };
        async move { store.update_profile(id, &change, at(100)).await.expect("it changes") }
    }))
    .await;
    let before: HashSet<_> = updates.iter().map(|update| update.before.profile_pic.clone()).collect();
    assert_eq!(before.len(), updates.len(), "no picture was replaced twice, so each can be removed once");
    let after: HashSet<_> = updates.into_iter().map(|update| update.after.profile_pic).collect();
    let last = store.user(id).await.unwrap().expect("the account is there").profile_pic;
    assert!(!before.contains(&last), "the last picture was not replaced");
    assert!(after.contains(&last), "the last picture is one of those given");
}

/// Coming and going sets `is_online` and `last_seen`, nothing else; of nobody it does nothing.
pub async fn presence_is_no_change_of_the_profile(harness: &impl Harness) {
    let store = harness.open().await;
    let user = person("ann@example.com", "Ann");
    store.insert_user(&user).await.unwrap();
    for (is_online, when) in [(true, at(50)), (true, at(60)), (false, at(70))] {
        store.set_presence(user.id, is_online, when, "lease").await.expect("presence is stored");
        let expected = UserRecord { is_online, last_seen: when, ..user.clone() };
        assert_eq!(store.user(user.id).await.unwrap(), Some(expected));
    }
    let nobody = UserId::generate(at(0));
    store.set_presence(nobody, true, at(80), "lease").await.expect("of an unknown user nothing happens");
    assert_eq!(store.user(nobody).await.unwrap(), None, "and nobody is made");
}

/// Who is online by no lease, as after a crash of a program that knew none, goes offline; `last_seen` stays.
pub async fn all_go_offline(harness: &impl Harness) {
    let store = harness.open().await;
    assert_eq!(store.expire_leases(Timestamp::now()).await.unwrap(), 0, "nobody was online");
    let ids: [UserId; 5] = accounts(&store).await;
    for id in &ids[..3] {
        store.set_presence(*id, true, at(50), "lease").await.unwrap();
    }
    assert_eq!(store.expire_leases(Timestamp::now()).await.unwrap(), 3, "so many were online");
    for (n, id) in ids.iter().enumerate() {
        let user = store.user(*id).await.unwrap().expect("the account is there");
        assert!(!user.is_online, "user {n} is offline");
        assert_eq!(user.last_seen, if n < 3 { at(50) } else { at(1) }, "last_seen of user {n} stays");
        assert_eq!(user.updated_at, at(3), "updated_at of user {n} stays");
    }
    assert_eq!(store.expire_leases(Timestamp::now()).await.unwrap(), 0, "again there is nobody");
}

/// By name without case, then by id; in pages of any size each once; without the one who asks.
pub async fn users_are_ordered_by_name(harness: &impl Harness) {
    let store = harness.open().await;
    let names =
        ["bob", "Bob", "BOB", "ann", "Ann Z", "ann b", "Zoë", "zoé", "Éva", "eva", "李", "_", "bob", "Carl"];
    let mut users = Vec::new();
    for (n, name) in names.into_iter().enumerate() {
        let user = person(&format!("{n}@example.com"), name);
        store.insert_user(&user).await.unwrap();
        users.push(user);
    }
    let me = users.swap_remove(3).id;
    users.sort_by_key(|user| (name_key(&user.full_name), user.id));
    assert_eq!(
        store.users_by_name(me, None, 100).await.unwrap(),
        users,
        "in order, without the one who asks"
    );
    assert_eq!(store.users_by_name(me, None, 0).await.unwrap(), [], "limit 0");
    let nobody = UserId::generate(at(0));
    assert_eq!(
        store.users_by_name(nobody, None, 100).await.unwrap().len(),
        users.len() + 1,
        "all but nobody"
    );
    for limit in [1, 2, 3, 5, 13, 14] {
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let page = store.users_by_name(me, after, limit).await.unwrap();
            assert!(page.len() <= limit, "at most {limit}");
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            walked.extend(page);
        }
        assert_eq!(walked, users, "in pages of {limit}");
    }
    let after_me = store.users_by_name(me, Some(me), 100).await.expect("one may continue after oneself");
    let expected: Vec<_> =
        users.iter().filter(|user| (name_key(&user.full_name), user.id) > ("ann".into(), me)).collect();
    assert_eq!(after_me.iter().collect::<Vec<_>>(), expected, "after oneself");

    let change = ProfileChange { full_name: Some("Aaron".into()), profile_pic: None };
    let last = users.last().expect("there are users").id;
    store.update_profile(last, &change, at(100)).await.unwrap();
    let renamed = store.users_by_name(me, None, 100).await.unwrap();
    let place = renamed.iter().position(|user| user.id == last);
    assert_eq!(place, Some(1), "a new name is a new place in the order, here behind `_`");
}

/// Those whose name begins with a text, in the same order and in pages of any size.
pub async fn users_are_found_by_how_their_name_begins(harness: &impl Harness) {
    let store = harness.open().await;
    let names = [
        "Ann",
        "ann",
        "Anna",
        "ANNABEL Z",
        "Ann Bee",
        "an",
        "Annû",
        "Bob",
        "Ano",
        "ann\u{10FFFF}x",
        "Zoé",
        "ZOÉ B",
        "a%",
        "_ann",
    ];
    let mut users = Vec::new();
    for (n, name) in names.into_iter().enumerate() {
        let user = person(&format!("{n}@example.com"), name);
        store.insert_user(&user).await.unwrap();
        users.push(user);
    }
    let me = users.swap_remove(1).id;
    users.sort_by_key(|user| (name_key(&user.full_name), user.id));
    for (prefix, count) in [
        ("", 13),
        ("a", 9),
        ("an", 8),
        ("ann", 6),
        ("ann ", 1),
        ("anna", 2),
        ("ann\u{10FFFF}", 1),
        ("zoé", 2),
        ("bob", 1),
        ("bobby", 0),
        ("a%", 1),
        ("%", 0),
        ("_", 1),
        ("zz", 0),
        ("Ann", 0),
        ("\u{10FFFF}", 0),
    ] {
        let expected: Vec<_> =
            users.iter().filter(|user| name_key(&user.full_name).starts_with(prefix)).cloned().collect();
        assert_eq!(expected.len(), count, "{prefix:?}, of the check itself");
        for limit in [1, 2, 5, 100] {
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let page = store.users_named(prefix, me, after, limit).await.unwrap();
                assert!(page.len() <= limit, "at most {limit}");
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                walked.extend(page);
            }
            assert_eq!(walked, expected, "those who begin with {prefix:?}, in pages of {limit}");
        }
        // After each of all, one of them or not.
        for after in &users {
            let place = |user: &UserRecord| (name_key(&user.full_name), user.id);
            let later: Vec<_> = expected.iter().filter(|user| place(user) > place(after)).cloned().collect();
            let page = store.users_named(prefix, me, Some(after.id), 100).await.unwrap();
            assert_eq!(page, later, "{prefix:?} after {:?}", after.full_name);
        }
    }
    assert_eq!(store.users_named("ann", me, None, 0).await.unwrap(), [], "limit 0");
    let page = store.users_named("ann", me, Some(UserId::generate(at(0))), 10).await;
    assert_not_found(page, "User", "users after an unknown one");
    let change = ProfileChange { full_name: Some("Zora".into()), profile_pic: None };
    let bob = users.iter().find(|user| user.full_name == "Bob").expect("he is there").id;
    store.update_profile(bob, &change, at(100)).await.unwrap();
    assert_eq!(store.users_named("bob", me, None, 10).await.unwrap(), [], "by the name of today");
    assert_eq!(store.users_named("zor", me, None, 10).await.unwrap().len(), 1, "by the name of today");
}

/// One can't continue after somebody who is not there.
pub async fn an_unknown_user_to_continue_after(harness: &impl Harness) {
    let store = harness.open().await;
    let [me, _] = accounts(&store).await;
    let page = store.users_by_name(me, Some(UserId::generate(at(0))), 10).await;
    assert_not_found(page, "User", "users after an unknown one");
}
