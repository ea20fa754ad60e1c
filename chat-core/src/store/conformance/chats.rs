//! Checks of [`Chats`](crate::store::Chats).

use std::sync::Arc;

use super::{
    Harness,
    fixtures::{accounts, at, at_once, mark_read, message, new_record, send, state, unshown},
};
use crate::{
    ChatId, UserId,
    store::{ChatEntry, NewMessage, ProfileChange, Watermarks},
};

/// A line has the partner as they are now, the newest message, and the user's own state.
pub async fn the_list_shows_each_chat(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    send(&store, message(ann, bob)).await;
    let newest = send(&store, NewMessage { at: at(2_000), ..message(bob, ann) }).await;
    send(&store, message(bob, ann)).await;
    let newest = {
        assert_eq!(newest.seq, 2);
        send(&store, NewMessage { at: at(3_000), ..message(bob, ann) }).await
    };
    let change = ProfileChange { full_name: Some("Robert".into()), profile_pic: None };
    let robert = store.update_profile(bob, &change, at(9_000)).await.unwrap().after;
    let entry = |partner, read_seq| ChatEntry {
        chat_id: ChatId::direct(ann, bob),
        partner: Some(partner),
        last_message: Some(newest.clone()),
        partner_marks: Watermarks::default(),
        last_at: at(3_000),
        state: unshown(4, read_seq),
    };
    assert_eq!(store.chats_of(ann, None, 10).await.unwrap(), [entry(robert, 1)], "the one side");
    let user = store.user(ann).await.unwrap().expect("ann is there");
    assert_eq!(store.chats_of(bob, None, 10).await.unwrap(), [entry(user, 4)], "the other side");
    assert_eq!(entry(store.user(bob).await.unwrap().expect("bob is there"), 1).state.unread(), 3);
    assert_eq!(store.chats_of(cid, None, 10).await.unwrap(), [], "of someone without a chat");
    assert_eq!(store.chats_of(UserId::generate(at(0)), None, 10).await.unwrap(), [], "of nobody");
}

/// Whatever is written in a chat, by either side, moves it to the front of both lists.
pub async fn the_list_is_ordered_by_activity(harness: &impl Harness) {
    let store = harness.open().await;
    let users: [UserId; 4] = accounts(&store).await;
    let me = users[0];
    let mut order: Vec<ChatId> = Vec::new();
    for (n, (partner, is_mine)) in
        (0..).zip([(1, true), (2, false), (3, true), (1, false), (1, true), (3, false), (2, true)])
    {
        let (from, to) = if is_mine { (me, users[partner]) } else { (users[partner], me) };
        let sent = send(&store, NewMessage { at: at(2_000 + n), ..message(from, to) }).await;
        order.retain(|chat| *chat != sent.chat_id);
        order.insert(0, sent.chat_id);
        let list = store.chats_of(me, None, 10).await.unwrap();
        assert_eq!(list.iter().map(|entry| entry.chat_id).collect::<Vec<_>>(), order, "after message {n}");
    }
    store
        .append(vec![
            NewMessage { at: at(4_000), ..message(me, users[1]) },
            NewMessage { at: at(4_001), ..message(users[3], me) },
            NewMessage { at: at(4_002), ..message(users[1], me) },
        ])
        .await;
    let list = store.chats_of(me, None, 10).await.unwrap();
    let expected = [1, 3, 2].map(|partner| ChatId::direct(me, users[partner]));
    assert_eq!(list.iter().map(|entry| entry.chat_id).collect::<Vec<_>>(), expected, "after a call of three");
    assert_eq!(list[0].last_at, at(4_002));
}

/// In pages of any size each chat once, also where several were active in the same millisecond.
pub async fn the_list_is_paged(harness: &impl Harness) {
    let store = harness.open().await;
    let users: [UserId; 12] = accounts(&store).await;
    let me = users[0];
    for (n, user) in (0..).zip(&users[1..]) {
        // Three each at the same moment.
        send(&store, NewMessage { at: at(2_000 + n / 3), ..message(*user, me) }).await;
        send(&store, message(*user, users[if n == 0 { 2 } else { 1 }])).await;
    }
    let all = store.chats_of(me, None, 100).await.unwrap();
    assert_eq!(all.len(), 11);
    assert!(
        all.is_sorted_by(|a, b| (a.last_at, a.chat_id) > (b.last_at, b.chat_id)),
        "latest first, then by id descending"
    );
    assert_eq!(store.chats_of(me, None, 0).await.unwrap(), [], "limit 0");
    for limit in [1, 2, 3, 4, 10, 11, 12] {
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let page = store.chats_of(me, after, limit).await.unwrap();
            assert!(page.len() <= limit, "at most {limit}");
            let Some(last) = page.last() else { break };
            after = Some(last.position());
            walked.extend(page);
        }
        assert_eq!(walked, all, "in pages of {limit}");
    }
}

/// Members see their own side of a chat, others none.
pub async fn a_chat_is_seen_by_its_members(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let chat = send(&store, message(ann, bob)).await.chat_id;
    send(&store, message(bob, cid)).await;
    assert_eq!(store.chat(chat, ann).await.unwrap(), Some(unshown(1, 1)));
    assert_eq!(store.chat(chat, bob).await.unwrap(), Some(unshown(1, 0)));
    assert_eq!(store.chat(chat, cid).await.unwrap(), None, "not a member");
    assert_eq!(store.chat(ChatId::direct(ann, cid), ann).await.unwrap(), None, "no such chat");
    assert_eq!(mark_read(&store, chat, cid, None).await, None, "not a member has nothing to read");
    assert_eq!(mark_read(&store, ChatId::direct(ann, cid), ann, None).await, None, "no such chat");
    assert_eq!(store.chat(chat, cid).await.unwrap(), None, "reading makes nobody a member");
}

/// Up to where it says or to the newest, never back and never beyond.
pub async fn reading_moves_the_watermark(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    store.append((0..6).map(|_| message(ann, bob)).collect()).await;
    let steps =
        [(Some(0), 0), (Some(2), 2), (Some(1), 2), (Some(2), 2), (Some(5), 5), (Some(99), 6), (Some(3), 6)];
    for (up_to, read_seq) in steps {
        let expected = unshown(6, read_seq);
        assert_eq!(mark_read(&store, chat, bob, up_to).await, Some(expected), "up to {up_to:?}");
        assert_eq!(state(&store, chat, bob).await, expected, "stored, up to {up_to:?}");
        assert_eq!(store.chats_of(bob, None, 1).await.unwrap()[0].state, expected, "listed, up to {up_to:?}");
    }
    store.append((0..2).map(|_| message(ann, bob)).collect()).await;
    assert_eq!(state(&store, chat, bob).await.unread(), 2, "what came after `beyond` is unread");
    let read = mark_read(&store, chat, bob, None).await;
    assert_eq!(read, Some(unshown(8, 8)), "all of it");
    let huge = mark_read(&store, chat, bob, Some(u64::MAX)).await;
    assert_eq!(huge, Some(unshown(8, 8)), "never beyond");
    assert_eq!(state(&store, chat, ann).await.read_seq, 8, "the other one's is their own");
    let list = store.chats_of(ann, None, 1).await.unwrap();
    assert_eq!(list[0].last_at, at(1_000), "reading is no activity");
}

/// The farthest of several readings at the same moment wins, whatever their order.
pub async fn reading_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    store.append((0..20).map(|_| message(ann, bob)).collect()).await;
    let states = at_once((0..16).map(|n| {
        let store = Arc::clone(&store);
        async move { (n, mark_read(&store, chat, bob, Some(n)).await.expect("a member")) }
    }))
    .await;
    for (n, state) in states {
        assert!((n..=15).contains(&state.read_seq), "up to {n} gave {state:?}");
    }
    assert_eq!(state(&store, chat, bob).await.read_seq, 15);
}

/// Writing and reading at the same moment: whichever goes farther stays.
pub async fn reading_and_sending_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = send(&store, message(ann, bob)).await.chat_id;
    for round in 0..20 {
        let (mine, theirs, read, again) = tokio::join!(
            store.append(vec![message(bob, ann)]),
            store.append(vec![message(ann, bob)]),
            mark_read(&store, chat, bob, None),
            store.append(vec![message(ann, bob)]),
        );
        let mine = mine.into_iter().chain(theirs).chain(again).map(new_record).next().expect("a message");
        let read = read.expect("a member");
        let after = state(&store, chat, bob).await;
        let farthest = read.read_seq.max(mine.seq);
        assert_eq!(after.read_seq, farthest, "round {round}: sent {}, read {read:?}", mine.seq);
    }
}

/// Each once, without the user, whoever wrote first.
pub async fn partners_are_those_with_a_chat(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid, dan] = accounts(&store).await;
    store.append(vec![message(ann, bob), message(bob, ann), message(cid, ann), message(bob, dan)]).await;
    for (user, expected) in [(ann, vec![bob, cid]), (bob, vec![ann, dan]), (cid, vec![ann]), (dan, vec![bob])]
    {
        let mut partners = store.partners(user).await.unwrap();
        partners.sort();
        assert_eq!(partners, expected);
    }
    assert_eq!(store.partners(UserId::generate(at(0))).await.unwrap(), [], "of nobody");
}
