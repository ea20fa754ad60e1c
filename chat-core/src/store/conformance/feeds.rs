//! Checks of [`Feeds`](crate::store::Feeds): what happened stands there, once, at the place that was told.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Harness,
    fixtures::{
        Followed, accounts, append, assert_not_found, assert_told, at, at_once, change, edit, feed, keyed,
        log, message, react, read_mark, send, unreact,
    },
};
use crate::{
    ChatId, UserId,
    store::{Appended, Change, FeedEntry, Mark, MarkKind, MessageChange, NewMessage, Place, Store},
};

/// Each change stands in the feeds of those whom it concerns, at the place that the call returned.
pub async fn a_feed_tells_of_each_change(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    for user in [ann, bob, cid] {
        assert_eq!(feed(&store, user).await, [], "nothing has happened yet");
    }
    let both = [ann, bob];
    let (id, chat, sent) = told_of_one(&store, message(ann, bob), &both).await;
    let edited = change(&store, id, edit("edited"), at(2_000)).await;
    assert_told(&store, &edited.places, &both, Change::Edited(id)).await;
    let reacted = change(&store, id, react(bob, "👍"), at(3_000)).await;
    assert_told(&store, &reacted.places, &both, Change::Reacted(id)).await;
    let taken_back = change(&store, id, unreact(bob, "👍"), at(4_000)).await;
    assert_told(&store, &taken_back.places, &both, Change::Reacted(id)).await;
    let hidden = change(&store, id, MessageChange::Hide { user: bob }, at(5_000)).await;
    assert_told(&store, &hidden.places, &[bob], Change::Hidden(id)).await;
    let read = store.mark(&read_mark(chat, bob, None)).await.unwrap().expect("a member");
    let marked = Change::Marked { chat, user: bob };
    assert_told(&store, &read.places, &both, marked).await;
    let deletion = store.delete_message(id, at(6_000)).await.unwrap().expect("it is there");
    assert_told(&store, &deletion.places, &both, Change::Deleted(id)).await;

    let (edited, reacted, deleted) = (Change::Edited(id), Change::Reacted(id), Change::Deleted(id));
    assert_eq!(feed(&store, ann).await, [sent, edited, reacted, reacted, marked, deleted]);
    let hidden = Change::Hidden(id);
    assert_eq!(feed(&store, bob).await, [sent, edited, reacted, reacted, hidden, marked, deleted]);
    assert_eq!(feed(&store, cid).await, [], "of others nobody tells");
}

/// Sends a message, whose change must be told at its places.
async fn told_of_one(
    store: &Arc<dyn Store>,
    new: NewMessage,
    members: &[UserId],
) -> (crate::MessageId, ChatId, Change) {
    let Ok(Appended::New { message, places }) = append(store, new).await else { panic!("it is new") };
    let sent = Change::Sent { chat: message.chat_id, from: message.seq, to: message.seq };
    assert_told(store, &places, members, sent).await;
    (message.id, message.chat_id, sent)
}

/// A call gives each member one entry per chat, however many messages there were; its last message has the places.
pub async fn a_call_is_one_entry_for_each_chat(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let (to_bob, to_cid) = (ChatId::direct(ann, bob), ChatId::direct(ann, cid));
    send(&store, keyed(ann, bob, "k")).await;
    let stranger = NewMessage { sender_id: cid, ..message(ann, bob) };
    let call = vec![
        message(ann, bob),
        message(cid, ann),
        keyed(ann, bob, "k"),
        message(bob, ann),
        stranger,
        message(ann, cid),
        message(ann, bob),
        keyed(ann, bob, "k"),
    ];
    let mut outcomes = store.append(call).await;
    assert_not_found(outcomes.remove(4), "Chat", "not a member");
    let mut told = Vec::new();
    for outcome in outcomes {
        if let Appended::New { message, places } = outcome.expect("it is appended") {
            told.push((message.chat_id, message.seq, places));
        }
    }
    let seqs: Vec<_> = told.iter().map(|(chat, seq, _)| (*chat, *seq)).collect();
    assert_eq!(seqs, [(to_bob, 2), (to_cid, 1), (to_bob, 3), (to_cid, 2), (to_bob, 4)]);
    let bobs = Change::Sent { chat: to_bob, from: 2, to: 4 };
    let cids = Change::Sent { chat: to_cid, from: 1, to: 2 };
    for (n, (_, _, places)) in told.iter().enumerate() {
        match n {
            3 => assert_told(&store, places, &[ann, cid], cids).await,
            4 => assert_told(&store, places, &[ann, bob], bobs).await,
            _ => assert_eq!(*places, [], "message {n} is told of by the last one's entry"),
        }
    }
    let first = Change::Sent { chat: to_bob, from: 1, to: 1 };
    let mut anns = feed(&store, ann).await;
    assert_eq!(anns.remove(0), first);
    assert!(anns == [bobs, cids] || anns == [cids, bobs], "one entry for each chat: {anns:?}");
    assert_eq!(feed(&store, bob).await, [first, bobs]);
    assert_eq!(feed(&store, cid).await, [cids]);
}

/// What changes nothing writes nothing: no entry, no place.
pub async fn repeats_are_not_told(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, keyed(ann, bob, "k")).await;
    let other = send(&store, message(ann, bob)).await;
    change(&store, sent.id, react(bob, "👍"), at(2_000)).await;
    change(&store, sent.id, MessageChange::Hide { user: bob }, at(2_000)).await;
    change(&store, sent.id, edit("same"), at(2_000)).await;
    store.mark(&read_mark(sent.chat_id, bob, None)).await.unwrap();
    store.delete_message(other.id, at(3_000)).await.unwrap();
    let before = (feed(&store, ann).await, feed(&store, bob).await, log(&store, sent.chat_id).await);

    assert!(matches!(append(&store, keyed(ann, bob, "k")).await, Ok(Appended::Repeat(_))));
    for (id, again) in [
        (sent.id, react(bob, "👍")),
        (sent.id, unreact(ann, "👍")),
        (sent.id, MessageChange::Hide { user: bob }),
        (sent.id, edit("same")),
        (other.id, edit("deleted")),
        (other.id, react(bob, "👍")),
    ] {
        let changed = change(&store, id, again.clone(), at(9_000)).await;
        assert!(!changed.is_change, "nothing to change: {again:?}");
        assert_eq!(changed.places, [], "{again:?}");
    }
    let deletion = store.delete_message(other.id, at(9_000)).await.unwrap().expect("it is there");
    assert_eq!((deletion.is_first, deletion.places), (false, Vec::new()));
    for up_to in [None, Some(1), Some(0), Some(99)] {
        for kind in [MarkKind::Read, MarkKind::Delivered] {
            for is_shown in [true, false] {
                let mark = Mark { kind, is_shown, ..read_mark(sent.chat_id, bob, up_to) };
                let marked = store.mark(&mark).await.unwrap().expect("a member");
                assert_eq!((marked.places, marked.before), (Vec::new(), marked.after), "{mark:?}");
            }
        }
    }
    let after = (feed(&store, ann).await, feed(&store, bob).await, log(&store, sent.chat_id).await);
    assert_eq!(after, before, "all is as it was");
}

/// What changes nobody's view is in nobody's feed: resealing, a note, an account.
pub async fn resealing_is_not_told(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, message(ann, bob)).await;
    let old = sent.body.clone().expect("it has a body");
    let reseal = crate::store::BodyChange { at: sent.position(), old, new: "resealed".into() };
    assert_eq!(store.replace_bodies(vec![reseal]).await.unwrap(), 1);
    store.set_presence(ann, true, at(50), "lease").await.unwrap();
    for user in [ann, bob] {
        assert_eq!(feed(&store, user).await.len(), 1, "the message, and nothing else");
    }
}

/// From any position on, so many at most; what was never there can't be gone on from.
pub async fn a_feed_is_read_in_steps(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let chat = ChatId::direct(ann, bob);
    for _ in 0..10 {
        send(&store, message(ann, bob)).await;
    }
    assert_eq!(store.feed_end(ann).await.unwrap(), 10);
    let entry = |seq| FeedEntry { position: seq, change: Change::Sent { chat, from: seq, to: seq } };
    for (after, limit, expected) in [
        (0, 10, 1..=10),
        (0, usize::MAX, 1..=10),
        (0, 3, 1..=3),
        (4, 1, 5..=5),
        (4, 100, 5..=10),
        (9, 1, 10..=10),
        (3, 0, 4..=4),
    ] {
        let step = store.feed(ann, after, limit).await.unwrap();
        let expected: Vec<_> = expected.map(entry).collect();
        assert_eq!(step, Some(expected), "after {after}, limit {limit}");
    }
    for limit in [0, 1, 100] {
        assert_eq!(store.feed(ann, 10, limit).await.unwrap(), Some(Vec::new()), "nothing after the end");
        for after in [11, 1_000, u64::MAX] {
            assert_eq!(store.feed(ann, after, limit).await.unwrap(), None, "{after} was never there");
        }
    }
    let nobody = UserId::generate(at(0));
    assert_eq!(store.feed_end(nobody).await.unwrap(), 0, "of nobody");
    assert_eq!(store.feed(nobody, 0, 10).await.unwrap(), Some(Vec::new()), "of nobody");
    assert_eq!(store.feed(nobody, 1, 10).await.unwrap(), None, "of nobody");
}

/// Many write to one person at the same moment, in a chat each: no hole, nothing told twice, all places exact.
pub async fn positions_have_no_holes_at_the_same_moment(harness: &impl Harness) {
    const ROUNDS: usize = 8;
    let store = harness.open().await;
    let users: [UserId; 13] = accounts(&store).await;
    let me = users[0];
    let told = at_once((0..24_usize).map(|n| {
        // Two callers in each chat, one on either side.
        let partner = users[1 + n % 12];
        let (from, to) = if n < 12 { (me, partner) } else { (partner, me) };
        let store = Arc::clone(&store);
        async move {
            let mut told = Vec::new();
            for round in 0..ROUNDS {
                let call: Vec<_> = (0..=round % 3).map(|_| message(from, to)).collect();
                for outcome in store.append(call).await {
                    let Ok(Appended::New { message, places }) = outcome else { panic!("it is new") };
                    told.extend(places.into_iter().map(|place| (place, message.chat_id, message.seq)));
                }
            }
            told
        }
    }))
    .await;
    let mut feeds = HashMap::new();
    for user in users {
        let mut followed = Followed::default();
        let changes = feed(&store, user).await;
        changes.iter().for_each(|change| followed.take(*change));
        for partner in &users[1..] {
            let chat = ChatId::direct(me, *partner);
            if user == me || user == *partner {
                assert_eq!(followed.end(chat), log(&store, chat).await.len() as u64, "all of it is told");
            }
        }
        feeds.insert(user, changes);
    }
    let mut places = HashSet::new();
    for (Place { user, position }, chat, seq) in told.into_iter().flatten() {
        let position = position.expect("nobody else brings anything");
        assert!(places.insert((user, position)), "one place for one change");
        let change = feeds[&user][usize::try_from(position).unwrap() - 1];
        let is_exact = matches!(change, Change::Sent { chat: c, to, .. } if (c, to) == (chat, seq));
        assert!(is_exact, "at {position} of {user}: {change:?}, and not up to {seq} of {chat}");
    }
}
