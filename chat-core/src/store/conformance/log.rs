//! Checks of reading, deleting, walking and resealing messages.

use std::{collections::HashSet, sync::Arc};

use super::{
    Harness,
    fixtures::{accounts, at, at_once, keyed, log, message, send, state},
};
use crate::{
    ChatId, MessageId, UserId,
    store::{BodyChange, Deletion, MessageRecord, NewMessage},
};

/// By id and by the sender's key; what is not there is `None`.
pub async fn messages_are_found(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, keyed(ann, bob, "k")).await;
    assert_eq!(store.message(sent.id).await.unwrap(), Some(sent.clone()));
    assert_eq!(store.message_by_client_id(ann, "k").await.unwrap(), Some(sent));
    assert_eq!(store.message(MessageId::generate(at(0))).await.unwrap(), None, "an unknown id");
    assert_eq!(store.message_by_client_id(ann, "K").await.unwrap(), None, "an unknown key");
    assert_eq!(store.message_by_client_id(bob, "k").await.unwrap(), None, "a key of somebody else");
}

/// The newest, or those below a seq, always ascending, deleted ones included.
pub async fn pages(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    for _ in 0..4 {
        // Other chats in between.
        store.append(vec![message(ann, bob), message(ann, cid), message(bob, ann), message(cid, bob)]).await;
    }
    store.append(vec![message(ann, bob), message(ann, bob)]).await;
    let fourth = store.page(chat, Some(5), 1).await.unwrap().remove(0);
    store.delete_message(fourth.id, at(5_000)).await.unwrap();

    let cases: [(Option<u64>, usize, std::ops::RangeInclusive<u64>); 13] = [
        (None, 100, 1..=10),
        (None, 10, 1..=10),
        (None, 3, 8..=10),
        (None, 1, 10..=10),
        (Some(10), 1, 9..=9),
        (Some(8), 3, 5..=7),
        (Some(4), 100, 1..=3),
        (Some(2), 5, 1..=1),
        (Some(11), 2, 9..=10),
        (Some(1_000), 2, 9..=10),
        (Some(u64::MAX), 2, 9..=10),
        (Some(5), 2, 3..=4),
        (None, usize::MAX, 1..=10),
    ];
    for (before, limit, expected) in cases {
        let page = store.page(chat, before, limit).await.unwrap();
        let seqs: Vec<_> = page.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, expected.collect::<Vec<_>>(), "before {before:?}, limit {limit}");
        assert!(page.iter().all(|message| message.chat_id == chat), "of this chat only");
    }
    for (before, limit) in [(None, 0), (Some(1), 10), (Some(0), 10)] {
        assert_eq!(store.page(chat, before, limit).await.unwrap(), [], "before {before:?}, limit {limit}");
    }
    assert!(store.page(chat, None, 100).await.unwrap()[3].is_deleted, "a deleted message keeps its place");
    assert_eq!(store.page(ChatId::generate(at(0)), None, 10).await.unwrap(), [], "of an unknown chat");
}

/// Body and image are gone everywhere, the record stays; the image is handed out once.
pub async fn a_delete_clears_for_good(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    send(&store, message(ann, bob)).await;
    let sent = send(&store, NewMessage { image: Some("a.png".into()), ..keyed(ann, bob, "k") }).await;
    let gone =
        MessageRecord { body: None, image: None, is_deleted: true, updated_at: at(5_000), ..sent.clone() };
    let first = store.delete_message(sent.id, at(5_000)).await.unwrap().expect("it is there");
    assert_eq!((first.message, first.is_first), (gone.clone(), true), "the first time");
    assert_eq!(first.image.as_deref(), Some("a.png"), "the picture that it had");
    let second = store.delete_message(sent.id, at(6_000)).await.unwrap();
    assert_eq!(
        second,
        Some(Deletion { message: gone.clone(), is_first: false, image: None, places: Vec::new() }),
        "the second time"
    );
    assert_eq!(
        store.delete_message(MessageId::generate(at(0)), at(6_000)).await.unwrap(),
        None,
        "an unknown one"
    );

    assert_eq!(store.message(sent.id).await.unwrap(), Some(gone.clone()));
    assert_eq!(store.message_by_client_id(ann, "k").await.unwrap(), Some(gone.clone()));
    assert_eq!(log(&store, sent.chat_id).await[1], gone, "in its place");
    assert!(store.walk_messages(None, 10).await.unwrap().contains(&gone));
    let entry = store.chats_of(bob, None, 1).await.unwrap().remove(0);
    assert_eq!(entry.last_message, Some(gone), "the newest message of a chat, deleted or not");
    assert_eq!(entry.last_at, sent.created_at, "a delete is no activity");
    assert_eq!(state(&store, sent.chat_id, bob).await.unread(), 2, "it still counts");

    let text = send(&store, message(ann, bob)).await;
    assert_eq!(text.seq, 3, "its number is not given again");
    let deletion = store.delete_message(text.id, at(7_000)).await.unwrap().expect("it is there");
    assert_eq!((deletion.is_first, deletion.image), (true, None), "one without an image");
}

/// Of many deletes at the same moment one is the first, and gets the image.
pub async fn deletes_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, NewMessage { image: Some("a.png".into()), ..message(ann, bob) }).await;
    let deletions = at_once((0..16).map(|n| {
        let (store, id) = (Arc::clone(&store), sent.id);
        async move { store.delete_message(id, at(5_000 + n)).await.unwrap().expect("it is there") }
    }))
    .await;
    let (first, others): (Vec<_>, Vec<_>) = deletions.into_iter().partition(|deletion| deletion.is_first);
    assert_eq!(first.len(), 1, "one was first");
    assert_eq!(first[0].image.as_deref(), Some("a.png"), "and got the image");
    for other in others {
        assert_eq!(other.image, None, "the others didn't");
        assert_eq!(other.message, first[0].message, "and changed nothing");
    }
}

/// All chats, each message once, in the same order whatever the size of the steps.
pub async fn a_walk_meets_each_message_once(harness: &impl Harness) {
    let store = harness.open().await;
    assert_eq!(store.walk_messages(None, 10).await.unwrap(), [], "there is nothing to walk over");
    let users: [UserId; 5] = accounts(&store).await;
    let mut sent = HashSet::new();
    for n in 0..7 {
        for (a, from) in users.into_iter().enumerate() {
            let new = NewMessage { at: at(1_000 - n), ..message(from, users[(a + 1 + a % 2) % 5]) };
            sent.insert(send(&store, new).await.id);
        }
    }
    let mut orders = Vec::new();
    for limit in [1, 2, 3, 7, 34, 35, 36, 1_000] {
        let (mut order, mut after) = (Vec::new(), None);
        loop {
            let step = store.walk_messages(after, limit).await.unwrap();
            assert!(step.len() <= limit, "at most {limit}");
            let Some(last) = step.last() else { break };
            after = Some(last.position());
            order.extend(step.into_iter().map(|message| message.id));
        }
        assert_eq!(order.len(), sent.len(), "in steps of {limit}: each once");
        assert_eq!(order.iter().copied().collect::<HashSet<_>>(), sent, "in steps of {limit}: all");
        orders.push(order);
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "always in the same order");
    assert_eq!(store.walk_messages(None, 0).await.unwrap(), [], "limit 0");
}

/// A body is replaced only where it is still the one that was resealed.
pub async fn bodies_are_replaced_where_unchanged(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(send(&store, message(ann, bob)).await);
    }
    let change = |message: &MessageRecord| BodyChange {
        at: message.position(),
        old: message.body.clone().expect("it has a body"),
        new: format!("new {}", message.seq),
    };
    let mut unknown = change(&sent[3]);
    unknown.at.id = MessageId::generate(at(0));
    unknown.at.seq = 100;
    let outdated = BodyChange { old: "another body".into(), ..change(&sent[2]) };
    let deleted = change(&sent[4]);
    store.delete_message(sent[4].id, at(5_000)).await.unwrap();
    let changes = vec![change(&sent[0]), outdated, deleted, unknown, change(&sent[1])];
    assert_eq!(store.replace_bodies(changes).await.unwrap(), 2, "two of five could be replaced");
    let log = log(&store, ChatId::direct(ann, bob)).await;
    for n in [0, 1] {
        let expected = MessageRecord { body: Some(format!("new {}", n + 1)), ..sent[n].clone() };
        assert_eq!(log[n], expected, "the body is replaced, and nothing else, `updated_at` neither");
    }
    assert_eq!(log[2..4], sent[2..4], "these are as they were");
    assert!(log[4].is_deleted && log[4].body.is_none(), "what is deleted stays empty");
    assert_eq!(store.replace_bodies(vec![change(&sent[0])]).await.unwrap(), 0, "again: not what it was");
    assert_eq!(store.replace_bodies(Vec::new()).await.unwrap(), 0, "nothing to replace");
}
