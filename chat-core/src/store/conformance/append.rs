//! Checks of [`append`](crate::store::Messages::append), but for repeats.

use std::{collections::HashMap, sync::Arc};

use super::{
    Harness,
    fixtures::{
        accounts, append, assert_not_found, at, at_once, log, message, new_record, record, send, state,
        unshown,
    },
};
use crate::{ChatId, UserId, store::NewMessage};

/// Nobody makes a chat: the first message does, with both as members.
pub async fn the_first_message_makes_the_chat(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    assert_eq!(store.chat(chat, ann).await.unwrap(), None, "before the first message there is no chat");
    assert_eq!(store.chats_of(ann, None, 10).await.unwrap(), []);
    let new = message(ann, bob);
    assert_eq!(
        send(&store, new.clone()).await,
        record(&new, 1),
        "the outcome is the message as it is stored"
    );
    assert_eq!(log(&store, chat).await, [record(&new, 1)]);
    assert_eq!(state(&store, chat, ann).await, unshown(1, 1), "the sender's side");
    assert_eq!(state(&store, chat, bob).await, unshown(1, 0), "the receiver's side");
    for user in [ann, bob] {
        let list = store.chats_of(user, None, 10).await.unwrap();
        assert_eq!(list.iter().map(|entry| entry.chat_id).collect::<Vec<_>>(), [chat], "in both lists");
    }
    assert_eq!(store.append(Vec::new()).await.len(), 0, "no message, no outcome");
}

/// Bodies are not looked at: long, odd and absent ones come back as they were.
pub async fn a_message_is_kept_as_it_is(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let bodies = [None, Some(String::new()), Some("ü€😀'\";--\u{0}x".into()), Some("long ".repeat(20_000))];
    for (seq, body) in (1..).zip(bodies) {
        let new = NewMessage {
            body,
            image: Some(format!("{seq}.png")),
            client_id: Some(format!("Key {seq} 😀")),
            at: at(1_000),
            ..message(ann, bob)
        };
        assert_eq!(send(&store, new.clone()).await, record(&new, seq));
        assert_eq!(store.message(new.id).await.unwrap(), Some(record(&new, seq)));
    }
}

/// Each chat counts for itself, from 1, whether messages come alone or many in a call.
pub async fn seqs_count_from_one(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let mut counts: HashMap<ChatId, u64> = HashMap::new();
    let mut next = |new: &NewMessage| {
        let count = counts.entry(new.chat_id).or_default();
        *count += 1;
        *count
    };
    for (from, to) in [(ann, bob), (bob, ann), (ann, cid), (ann, bob)] {
        let new = message(from, to);
        let seq = next(&new);
        assert_eq!(send(&store, new.clone()).await, record(&new, seq));
    }
    let call: Vec<_> = [(bob, cid), (ann, bob), (ann, bob), (cid, ann), (bob, ann), (cid, bob), (bob, ann)]
        .map(|(from, to)| message(from, to))
        .into();
    let outcomes = store.append(call.clone()).await;
    assert_eq!(outcomes.len(), call.len(), "one outcome per message");
    for (new, outcome) in call.iter().zip(outcomes) {
        assert_eq!(new_record(outcome), record(new, next(new)), "in the order given");
    }
    for (chat, count) in counts {
        assert_eq!(log(&store, chat).await.len() as u64, count);
    }
}

/// Many callers, same and different chats, alone and in batches: no hole, no repeat, nothing lost.
pub async fn seqs_have_no_holes_at_the_same_moment(harness: &impl Harness) {
    const ROUNDS: usize = 6;
    let store = harness.open().await;
    let users: [UserId; 6] = accounts(&store).await;
    let outcomes = at_once((0..48_usize).map(|n| {
        let store = Arc::clone(&store);
        // A third of them in one chat.
        let (from, to) = if n % 3 == 0 { (0, 1) } else { (n % 6, (n + 1 + n % 5) % 6) };
        let (from, to) = (users[from], users[if from == to { (to + 1) % 6 } else { to }]);
        let (from, to) = if n % 2 == 0 { (from, to) } else { (to, from) };
        async move {
            let mut sent = Vec::new();
            for round in 0..ROUNDS {
                let call: Vec<_> = (0..=round % 3).map(|_| message(from, to)).collect();
                sent.extend(store.append(call).await.into_iter().map(new_record));
            }
            sent
        }
    }))
    .await;
    let mut chats: HashMap<ChatId, Vec<_>> = HashMap::new();
    for sent in outcomes {
        for pair in sent.windows(2) {
            assert!(pair[0].seq < pair[1].seq, "one caller's messages keep their order");
        }
        for message in sent {
            chats.entry(message.chat_id).or_default().push(message);
        }
    }
    for (chat, mut sent) in chats {
        sent.sort_by_key(|message| message.seq);
        assert_eq!(log(&store, chat).await, sent, "the log is what the callers were told");
    }
}

/// Both write the first message of their chat at the same moment: one chat, two messages.
pub async fn first_messages_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let users: [UserId; 12] = accounts(&store).await;
    let pairs: Vec<_> = users.chunks(2).flat_map(|pair| [(pair[0], pair[1]), (pair[1], pair[0])]).collect();
    let sent = at_once(pairs.into_iter().map(|(from, to)| {
        let store = Arc::clone(&store);
        async move { send(&store, message(from, to)).await }
    }))
    .await;
    assert_eq!(sent.len(), users.len());
    for pair in users.chunks(2) {
        assert_eq!(log(&store, ChatId::direct(pair[0], pair[1])).await.len(), 2);
        for user in pair {
            assert_eq!(store.chats_of(*user, None, 10).await.unwrap().len(), 1, "one chat in each list");
        }
    }
}

/// A clock that was set back does not disturb the order of a log; other chats don't mind.
pub async fn time_does_not_run_backwards(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let alone = [(1_000, 1_000), (5_000, 5_000), (3_000, 5_000), (5_001, 5_001)];
    for (given, stored) in alone {
        let sent = send(&store, NewMessage { at: at(given), ..message(ann, bob) }).await;
        assert_eq!((sent.created_at, sent.updated_at), (at(stored), at(stored)), "alone, at {given}");
    }
    let call = [(9_000, 9_000), (7_000, 9_000), (9_500, 9_500), (0, 9_500)];
    let outcomes =
        store.append(call.map(|(given, _)| NewMessage { at: at(given), ..message(bob, ann) }).into()).await;
    for ((given, stored), outcome) in call.into_iter().zip(outcomes) {
        let sent = new_record(outcome);
        assert_eq!((sent.created_at, sent.updated_at), (at(stored), at(stored)), "in a call, at {given}");
    }
    log(&store, ChatId::direct(ann, bob)).await;
    let other = send(&store, NewMessage { at: at(2_000), ..message(ann, cid) }).await;
    assert_eq!(other.created_at, at(2_000), "another chat has a time of its own");
    let list = store.chats_of(ann, None, 10).await.unwrap();
    assert_eq!(list.iter().map(|entry| entry.last_at).collect::<Vec<_>>(), [at(9_500), at(2_000)]);
}

/// A first message needs both people, and without them leaves nothing behind.
pub async fn unknown_users(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann] = accounts(&store).await;
    let ghost = UserId::generate(at(0));
    for (from, to) in [(ann, ghost), (ghost, ann), (ghost, UserId::generate(at(0)))] {
        let new = message(from, to);
        assert_not_found(append(&store, new.clone()).await, "User", "a first message of or to nobody");
        assert_eq!(store.message(new.id).await.unwrap(), None, "it is not there");
        assert_eq!(store.chat(new.chat_id, ann).await.unwrap(), None, "and made no chat");
    }
    assert_eq!(store.chats_of(ann, None, 10).await.unwrap(), []);
    assert_eq!(store.partners(ann).await.unwrap(), []);
}

/// Without a receiver there must be a chat, and the sender must be in it.
pub async fn unknown_chats_and_strangers(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let nowhere = NewMessage { chat_id: ChatId::generate(at(0)), receiver_id: None, ..message(ann, bob) };
    assert_not_found(append(&store, nowhere).await, "Chat", "no receiver and no such chat");
    let first = send(&store, message(ann, bob)).await;
    for receiver_id in [None, Some(bob)] {
        let strange = NewMessage { sender_id: cid, receiver_id, ..message(ann, bob) };
        assert_not_found(append(&store, strange).await, "Chat", "a sender who is not a member");
    }
    assert_eq!(log(&store, first.chat_id).await, [first], "the log is as before");
    assert_eq!(store.chats_of(cid, None, 10).await.unwrap(), [], "the stranger has no chat");
}

/// In a chat that exists, the receiver may be left out.
pub async fn a_message_without_receiver(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    send(&store, message(ann, bob)).await;
    let new = NewMessage { receiver_id: None, ..message(bob, ann) };
    assert_eq!(send(&store, new.clone()).await, record(&new, 2));
    assert_eq!(store.message(new.id).await.unwrap(), Some(record(&new, 2)));
}

/// In one call some fail and the others are appended, in order and without a hole.
pub async fn a_failure_hinders_no_other(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let ghost = UserId::generate(at(0));
    let good = [message(ann, bob), message(bob, ann), message(cid, ann), message(ann, bob)];
    let call = vec![
        message(ann, ghost),
        good[0].clone(),
        NewMessage { sender_id: cid, ..message(ann, bob) },
        good[1].clone(),
        good[2].clone(),
        NewMessage { chat_id: ChatId::generate(at(0)), receiver_id: None, ..message(ann, bob) },
        good[3].clone(),
    ];
    let mut outcomes = store.append(call).await;
    assert_eq!(outcomes.len(), 7, "one outcome per message");
    assert_eq!(new_record(outcomes.pop().unwrap()), record(&good[3], 3));
    assert_not_found(outcomes.pop().unwrap(), "Chat", "no such chat");
    assert_eq!(new_record(outcomes.pop().unwrap()), record(&good[2], 1));
    assert_eq!(new_record(outcomes.pop().unwrap()), record(&good[1], 2));
    assert_not_found(outcomes.pop().unwrap(), "Chat", "not a member");
    assert_eq!(new_record(outcomes.pop().unwrap()), record(&good[0], 1));
    assert_not_found(outcomes.pop().unwrap(), "User", "to nobody");
    assert_eq!(log(&store, ChatId::direct(ann, bob)).await.len(), 3);
    assert_eq!(log(&store, ChatId::direct(ann, cid)).await.len(), 1);
}

/// Who writes has read what stands above.
pub async fn sending_moves_the_watermark(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    for (from, to, ann_read, bob_read) in
        [(ann, bob, 1, 0), (ann, bob, 2, 0), (bob, ann, 2, 3), (ann, bob, 4, 3)]
    {
        let last_seq = send(&store, message(from, to)).await.seq;
        assert_eq!(state(&store, chat, ann).await, unshown(last_seq, ann_read), "ann at {last_seq}");
        assert_eq!(state(&store, chat, bob).await, unshown(last_seq, bob_read), "bob at {last_seq}");
    }
    // 5, 6 and 7 in one call.
    store.append(vec![message(bob, ann), message(ann, bob), message(bob, ann)]).await;
    assert_eq!(state(&store, chat, ann).await, unshown(7, 6), "ann after a call");
    assert_eq!(state(&store, chat, bob).await, unshown(7, 7), "bob after a call");
    assert_eq!(state(&store, chat, ann).await.unread(), 1);
}
