//! Checks of [`mark`](crate::store::Chats::mark): who got messages, who read them, and who may know.

use std::sync::Arc;

use super::{
    Harness,
    fixtures::{accounts, assert_told, at_once, feed, message, read_mark, send, state},
};
use crate::{
    ChatId,
    store::{Change, ChatState, Mark, MarkKind, Marked, Watermarks},
};

const READ: MarkKind = MarkKind::Read;
const DELIVERED: MarkKind = MarkKind::Delivered;

const fn marks(delivered: u64, read: u64) -> Watermarks {
    Watermarks { delivered, read }
}

/// Up, never back and never beyond; delivered is never less than read; what is not shown moves only one's own.
pub async fn marks_move_up(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    store.append((0..9).map(|_| message(ann, bob)).collect()).await;
    let mut now = ChatState { last_seq: 9, read_seq: 0, shown: marks(0, 0) };
    assert_eq!(state(&store, chat, bob).await, now);
    for (n, (kind, up_to, is_shown, read_seq, shown)) in [
        (DELIVERED, Some(5), false, 0, marks(0, 0)),
        (DELIVERED, Some(3), true, 0, marks(3, 0)),
        (DELIVERED, Some(2), true, 0, marks(3, 0)),
        (READ, Some(2), true, 2, marks(3, 2)),
        (READ, Some(1), true, 2, marks(3, 2)),
        (READ, Some(4), false, 4, marks(3, 2)),
        (READ, Some(3), true, 4, marks(3, 3)),
        (READ, Some(5), true, 5, marks(5, 5)),
        (DELIVERED, Some(99), true, 5, marks(9, 5)),
        (READ, Some(0), true, 5, marks(9, 5)),
        (DELIVERED, None, false, 5, marks(9, 5)),
        (READ, Some(u64::MAX), false, 9, marks(9, 5)),
        (READ, None, true, 9, marks(9, 9)),
        (DELIVERED, None, true, 9, marks(9, 9)),
    ]
    .into_iter()
    .enumerate()
    {
        let mark = Mark { chat, user: bob, kind, up_to, is_shown };
        let Marked { before, after, members, .. } = store.mark(&mark).await.unwrap().expect("a member");
        assert_eq!(before, now, "before step {n}: {mark:?}");
        now = ChatState { read_seq, shown, ..now };
        assert_eq!(after, now, "after step {n}: {mark:?}");
        assert_eq!(state(&store, chat, bob).await, now, "stored, step {n}");
        assert_eq!(store.chats_of(bob, None, 1).await.unwrap()[0].state, now, "listed, step {n}");
        let mut members = members;
        members.sort();
        let mut both = vec![ann, bob];
        both.sort();
        assert_eq!(members, both, "the members, step {n}");
    }
    let anns = ChatState { last_seq: 9, read_seq: 9, shown: marks(0, 0) };
    assert_eq!(
        state(&store, chat, ann).await,
        anns,
        "the other one's are their own, and sending shows nothing"
    );
    store.append(vec![message(ann, bob)]).await;
    let expected = ChatState { last_seq: 10, read_seq: 9, shown: marks(9, 9) };
    assert_eq!(state(&store, chat, bob).await, expected, "what comes later is neither read nor delivered");
}

/// One's own feed tells that one has read further, the others' what they may know of it.
pub async fn marks_are_told_to_whom_they_concern(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    store.append((0..9).map(|_| message(ann, bob)).collect()).await;
    let marked = Change::Marked { chat, user: bob };
    let mut told = (1, 1);
    for (kind, up_to, is_shown, users) in [
        (DELIVERED, Some(5), false, vec![]),
        (DELIVERED, Some(3), true, vec![ann]),
        (DELIVERED, Some(3), true, vec![]),
        (READ, Some(4), false, vec![bob]),
        (READ, Some(4), false, vec![]),
        (READ, Some(4), true, vec![ann]),
        (READ, Some(2), true, vec![]),
        (READ, Some(6), true, vec![ann, bob]),
        (DELIVERED, Some(6), true, vec![]),
        (READ, None, true, vec![ann, bob]),
    ] {
        let mark = Mark { chat, user: bob, kind, up_to, is_shown };
        let places = store.mark(&mark).await.unwrap().expect("a member").places;
        assert_told(&store, &places, &users, marked).await;
        told.0 += usize::from(users.contains(&ann));
        told.1 += usize::from(users.contains(&bob));
        assert_eq!((feed(&store, ann).await.len(), feed(&store, bob).await.len()), told, "after {mark:?}");
    }
}

/// Where one is not a member, there is nothing to mark.
pub async fn strangers_mark_nothing(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let chat = send(&store, message(ann, bob)).await.chat_id;
    for kind in [READ, DELIVERED] {
        for (chat, user) in [(chat, cid), (ChatId::direct(ann, cid), ann)] {
            let mark = Mark { kind, ..read_mark(chat, user, None) };
            assert_eq!(store.mark(&mark).await.unwrap(), None, "{mark:?}");
        }
    }
    assert_eq!(feed(&store, cid).await, []);
    assert_eq!(feed(&store, ann).await.len(), 1);
}

/// A line of one's list says how far the partner has got, as they let it be known.
pub async fn the_list_shows_the_partners_marks(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    store.append((0..4).map(|_| message(ann, bob)).collect()).await;
    store.append(vec![message(bob, ann), message(cid, ann)]).await;
    for mark in [
        read_mark(chat, bob, Some(2)),
        Mark { kind: DELIVERED, ..read_mark(chat, bob, Some(4)) },
        Mark { is_shown: false, ..read_mark(chat, bob, None) },
        Mark { kind: DELIVERED, ..read_mark(chat, ann, None) },
    ] {
        store.mark(&mark).await.unwrap().expect("a member");
    }
    for (user, count, partner_marks, shown) in
        [(ann, 2, marks(4, 2), marks(5, 0)), (bob, 1, marks(5, 0), marks(4, 2))]
    {
        let list = store.chats_of(user, None, 10).await.unwrap();
        assert_eq!(list.len(), count);
        for entry in list {
            let is_this = entry.chat_id == chat;
            let expected = if is_this { (partner_marks, shown) } else { (marks(0, 0), marks(0, 0)) };
            assert_eq!((entry.partner_marks, entry.state.shown), expected, "in the list of {user}");
        }
    }
}

/// The farthest of several at the same moment wins; what moved is told, each step once.
pub async fn marks_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    store.append((0..20).map(|_| message(ann, bob)).collect()).await;
    let marked = at_once((0..24).map(|n| {
        let store = Arc::clone(&store);
        let kind = if n % 2 == 0 { READ } else { DELIVERED };
        let mark = Mark { chat, user: bob, kind, up_to: Some(1 + n / 2), is_shown: n % 3 != 1 };
        async move { (mark, store.mark(&mark).await.unwrap().expect("a member")) }
    }))
    .await;
    let (mut read, mut shown) = (0, 0);
    for (mark, Marked { before, after, .. }) in marked {
        let is_up = before.read_seq <= after.read_seq
            && before.shown.read <= after.shown.read
            && before.shown.delivered <= after.shown.delivered;
        assert!(is_up && after.shown.read <= after.shown.delivered, "{mark:?}: {before:?}, {after:?}");
        let reached = match mark.kind {
            READ => after.read_seq,
            DELIVERED if mark.is_shown => after.shown.delivered,
            DELIVERED => u64::MAX,
        };
        assert!(Some(reached) >= mark.up_to, "{mark:?} gave {after:?}");
        read += usize::from(before.read_seq != after.read_seq);
        shown += usize::from(before.shown != after.shown);
    }
    // The farthest: read 12 (n = 22), but shown 11 (n = 20), and delivered 12 (n = 23).
    let expected = ChatState { last_seq: 20, read_seq: 12, shown: marks(12, 11) };
    assert_eq!(state(&store, chat, bob).await, expected);
    assert_eq!(feed(&store, bob).await.len(), 1 + read, "each step of one's own reading");
    assert_eq!(feed(&store, ann).await.len(), 1 + shown, "each step that is shown");
}
