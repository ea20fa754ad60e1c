//! Checks of [`Blocks`](crate::store::Blocks).

use std::sync::Arc;

use super::{
    Harness,
    fixtures::{accounts, assert_not_found, at, at_once, feed, message, send},
};
use crate::{UserId, store::Block};

/// Both sides see a block, the earliest first; nobody else does.
pub async fn blocks_are_seen_by_both_sides(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    for user in [ann, bob, cid] {
        assert_eq!(store.blocks_of(user).await.unwrap(), [], "nobody is blocked yet");
    }
    let block = |by, user, millis| Block { by, user, at: at(millis) };
    let (first, second, third) = (block(cid, ann, 100), block(ann, bob, 200), block(bob, ann, 300));
    for new in [third, first, second] {
        assert!(store.block(&new).await.unwrap(), "it was not there before");
    }
    assert_eq!(store.blocks_of(ann).await.unwrap(), [first, second, third]);
    assert_eq!(store.blocks_of(bob).await.unwrap(), [second, third]);
    assert_eq!(store.blocks_of(cid).await.unwrap(), [first]);
    assert!(!store.block(&Block { at: at(900), ..second }).await.unwrap(), "it is there");
    assert_eq!(store.blocks_of(bob).await.unwrap(), [second, third], "since when it is there stays");

    assert!(!store.unblock(bob, cid).await.unwrap(), "it is not there");
    assert!(!store.unblock(ann, cid).await.unwrap(), "only who blocked can end it");
    assert!(store.unblock(ann, bob).await.unwrap(), "it was there");
    assert!(!store.unblock(ann, bob).await.unwrap(), "it is gone");
    assert_eq!(store.blocks_of(ann).await.unwrap(), [first, third], "the other direction stays");
    assert_eq!(store.blocks_of(bob).await.unwrap(), [third]);
    let again = block(ann, bob, 50);
    assert!(store.block(&again).await.unwrap(), "anew");
    assert_eq!(store.blocks_of(ann).await.unwrap(), [again, first, third], "since then");
}

/// At the same moment: by the ids of who blocked, then of whom.
pub async fn blocks_are_ordered(harness: &impl Harness) {
    let store = harness.open().await;
    let users: [UserId; 4] = accounts(&store).await;
    let mut expected = Vec::new();
    for by in users {
        for user in users.into_iter().filter(|user| *user != by) {
            let block = Block { by, user, at: at(100) };
            assert!(store.block(&block).await.unwrap());
            expected.push(block);
        }
    }
    expected.sort_by_key(|block| (block.by, block.user));
    for user in users {
        let mut expected = expected.clone();
        expected.retain(|block| block.by == user || block.user == user);
        assert_eq!(store.blocks_of(user).await.unwrap(), expected);
    }
}

/// Who is not there can't be blocked; a chat is no matter, nor are the feeds.
pub async fn only_people_are_blocked(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let ghost = UserId::generate(at(0));
    let block = store.block(&Block { by: ann, user: ghost, at: at(0) }).await;
    assert_not_found(block, "User", "a block of nobody");
    assert_eq!(store.blocks_of(ann).await.unwrap(), []);
    assert!(!store.unblock(ann, ghost).await.unwrap(), "nobody was not blocked");
    store.block(&Block { by: ann, user: bob, at: at(0) }).await.unwrap();
    for user in [ann, bob] {
        assert_eq!(feed(&store, user).await, [], "a block is told to nobody");
    }
    send(&store, message(bob, ann)).await;
}

/// Of many at the same moment one is the first, and one takes it away.
pub async fn blocks_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let made = at_once((0..16).map(|n| {
        let store = Arc::clone(&store);
        async move { store.block(&Block { by: ann, user: bob, at: at(n) }).await.expect("it is blocked") }
    }))
    .await;
    assert_eq!(made.into_iter().filter(|is_new| *is_new).count(), 1, "one was first");
    assert_eq!(store.blocks_of(ann).await.unwrap().len(), 1);
    let ended = at_once((0..16).map(|_| {
        let store = Arc::clone(&store);
        async move { store.unblock(ann, bob).await.expect("it is taken away") }
    }))
    .await;
    assert_eq!(ended.into_iter().filter(|was_there| *was_there).count(), 1, "one took it away");
    assert_eq!(store.blocks_of(bob).await.unwrap(), []);
}
