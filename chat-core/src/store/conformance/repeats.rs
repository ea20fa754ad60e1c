//! Checks of what [`append`](crate::store::Messages::append) promises about a repeated `client_id`.

use std::sync::Arc;

use super::{
    Harness,
    fixtures::{accounts, append, at, at_once, keyed, log, message, new_record, repeated, send, state},
};
use crate::{
    ChatId, UserId,
    store::{Appended, NewMessage},
};

/// A repeat appends nothing, moves nothing, and answers the first message as it is now.
pub async fn a_repeat_returns_the_first(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    let first = send(&store, keyed(ann, bob, "k")).await;
    let second = send(&store, message(bob, ann)).await;
    let other = NewMessage { body: Some("another text".into()), at: at(9_000), ..keyed(ann, bob, "k") };
    let id = other.id;
    assert_eq!(repeated(append(&store, other).await), first);
    assert_eq!(store.message(id).await.unwrap(), None, "the repeat is not there");
    assert_eq!(log(&store, chat).await, [first.clone(), second], "nothing is appended");
    assert_eq!(state(&store, chat, ann).await.read_seq, 1, "a repeat is no sign of having read");
    assert_eq!(store.chats_of(ann, None, 1).await.unwrap()[0].last_at, at(1_000), "nor an activity");
    assert_eq!(repeated(append(&store, keyed(ann, bob, "k")).await), first, "and again");
    assert_eq!(
        send(&store, keyed(ann, bob, "K")).await.seq,
        3,
        "keys are compared with case; no hole is left"
    );
    let deletion = store.delete_message(first.id, at(10_000)).await.unwrap().expect("it is there");
    assert_eq!(
        repeated(append(&store, keyed(ann, bob, "k")).await),
        deletion.message,
        "as it is now: deleted"
    );
}

/// The first of a call counts, the others repeat it.
pub async fn repeats_within_a_call(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let call = vec![keyed(ann, bob, "k"), keyed(ann, bob, "k"), message(ann, bob), keyed(ann, bob, "k")];
    let mut outcomes = store.append(call).await.into_iter();
    let mut next = || outcomes.next().expect("one outcome per message");
    let first = new_record(next());
    assert_eq!(repeated(next()), first);
    assert_eq!(new_record(next()).seq, 2, "a repeat leaves no hole");
    assert_eq!(repeated(next()), first);
    assert_eq!(log(&store, ChatId::direct(ann, bob)).await.len(), 2);
}

/// A `client_id` is the sender's, not the chat's; a repeat does not make the chat that it names.
pub async fn repeats_in_another_chat(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid, dan] = accounts(&store).await;
    let first = send(&store, keyed(ann, bob, "k")).await;
    let there = send(&store, message(ann, cid)).await;
    assert_eq!(repeated(append(&store, keyed(ann, cid, "k")).await), first, "in a chat that exists");
    assert_eq!(log(&store, ChatId::direct(ann, cid)).await, [there]);
    assert_eq!(repeated(append(&store, keyed(ann, dan, "k")).await), first, "in a chat that doesn't");
    assert_eq!(store.chat(ChatId::direct(ann, dan), ann).await.unwrap(), None, "and still doesn't");
    assert_eq!(store.chats_of(dan, None, 10).await.unwrap(), []);
    let mut outcomes = store.append(vec![keyed(ann, dan, "new"), keyed(ann, bob, "new")]).await.into_iter();
    let first = new_record(outcomes.next().expect("one outcome per message"));
    assert_eq!(repeated(outcomes.next().expect("one outcome per message")), first, "within a call");
}

/// Of many that carry one key at the same moment, in several chats, one is appended.
pub async fn repeats_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let users: [UserId; 4] = accounts(&store).await;
    for key in ["a", "b", "c", "d"] {
        let outcomes = at_once((0..16).map(|n| {
            let store = Arc::clone(&store);
            let call = keyed(users[0], users[1 + n % 3], key);
            async move { append(&store, call).await.expect("it is appended or repeated") }
        }))
        .await;
        let new = outcomes.iter().filter(|outcome| matches!(outcome, Appended::New { .. })).count();
        assert_eq!(new, 1, "one of them is new");
        let first = outcomes[0].clone().into_record();
        assert!(
            outcomes.into_iter().all(|outcome| outcome.into_record() == first),
            "all are answered with the same message"
        );
    }
    let mut total = 0;
    for user in &users[1..] {
        total += log(&store, ChatId::direct(users[0], *user)).await.len();
    }
    assert_eq!(total, 4, "so many messages as keys");
}

/// The same key of two senders is two keys.
pub async fn senders_do_not_share_client_ids(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let anns = send(&store, keyed(ann, bob, "k")).await;
    let bobs = send(&store, keyed(bob, ann, "k")).await;
    assert_eq!(bobs.seq, 2);
    assert_eq!(store.message_by_client_id(ann, "k").await.unwrap(), Some(anns));
    assert_eq!(store.message_by_client_id(bob, "k").await.unwrap(), Some(bobs));
}
