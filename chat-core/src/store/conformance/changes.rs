//! Checks of [`change_message`](crate::store::Messages::change_message): edits, reactions, what is hidden; and of what a
//! delete does to them.

use std::{collections::HashSet, sync::Arc};

use super::{
    Harness,
    fixtures::{
        accounts, at, at_once, change, edit, keyed, log, message, react, reaction, record, send, unreact,
    },
};
use crate::{
    MessageId,
    store::{BodyChange, MessageChange, MessageRecord, NewMessage},
};

/// The text is another one, wherever the message is read, and the message says so.
pub async fn an_edit_replaces_the_text(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    send(&store, message(ann, bob)).await;
    let sent = send(&store, NewMessage { image: Some("a.png".into()), ..keyed(ann, bob, "k") }).await;
    for (step, body) in (1..).zip([Some("second"), Some("third"), None, Some("")]) {
        let body = body.map(str::to_owned);
        let changed =
            change(&store, sent.id, MessageChange::Edit { body: body.clone() }, at(5_000 * step)).await;
        let expected = MessageRecord { body, is_edited: true, updated_at: at(5_000 * step), ..sent.clone() };
        assert!(changed.is_change, "edit {step}");
        assert_eq!(changed.message, expected, "edit {step}");
        assert_eq!(store.message(sent.id).await.unwrap(), Some(expected.clone()), "by id");
        assert_eq!(store.messages(&[sent.id]).await.unwrap(), std::slice::from_ref(&expected), "by ids");
        assert_eq!(store.message_by_client_id(ann, "k").await.unwrap(), Some(expected.clone()), "by its key");
        assert_eq!(log(&store, sent.chat_id).await[1], expected, "in its place");
        assert!(store.walk_messages(None, 10).await.unwrap().contains(&expected), "on a walk");
        let entry = store.chats_of(bob, None, 1).await.unwrap().remove(0);
        assert_eq!(entry.last_message, Some(expected), "as the newest of its chat");
        assert_eq!(entry.last_at, sent.created_at, "an edit is no activity");
    }
    let edited = store.message(sent.id).await.unwrap().expect("it is there");
    let again = change(&store, sent.id, edit(""), at(90_000)).await;
    assert_eq!((again.is_change, again.message), (false, edited), "the same text changes nothing");
}

/// Each kind once of each person, in the order in which they came.
pub async fn reactions_are_kept_in_order(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, message(ann, bob)).await;
    let family = "👨‍👩‍👧‍👦";
    let (up, tada, bobs, folk) =
        (reaction(ann, "👍"), reaction(ann, "🎉"), reaction(bob, "👍"), reaction(bob, family));
    let steps = [
        (react(ann, "👍"), vec![up.clone()]),
        (react(bob, "👍"), vec![up.clone(), bobs.clone()]),
        (react(ann, "🎉"), vec![up.clone(), bobs.clone(), tada.clone()]),
        (react(bob, family), vec![up.clone(), bobs.clone(), tada.clone(), folk.clone()]),
        (unreact(ann, "👍"), vec![bobs.clone(), tada.clone(), folk.clone()]),
        (react(ann, "👍"), vec![bobs, tada.clone(), folk.clone(), up.clone()]),
        (unreact(bob, "👍"), vec![tada.clone(), folk.clone(), up.clone()]),
        (unreact(ann, "🎉"), vec![folk.clone(), up]),
        (unreact(ann, "👍"), vec![folk]),
        (unreact(bob, family), vec![]),
    ];
    for (step, (next, reactions)) in (1..).zip(steps) {
        let expected = MessageRecord { reactions, updated_at: at(1_000 + 1_000 * step), ..sent.clone() };
        let changed = change(&store, sent.id, next.clone(), at(1_000 + 1_000 * step)).await;
        assert!(changed.is_change, "{next:?}");
        assert_eq!(changed.message, expected, "{next:?}");
        assert_eq!(store.message(sent.id).await.unwrap(), Some(expected.clone()), "stored, {next:?}");
        let again = change(&store, sent.id, next.clone(), at(90_000)).await;
        assert_eq!((again.is_change, again.message), (false, expected), "again, {next:?}");
    }
}

/// Who hides a message does so for themselves: nothing else of it changes, `updated_at` neither.
pub async fn hiding_concerns_oneself(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, message(ann, bob)).await;
    let mut hidden_for = Vec::new();
    for user in [bob, ann] {
        hidden_for.push(user);
        let expected = MessageRecord { hidden_for: hidden_for.clone(), ..sent.clone() };
        for is_change in [true, false] {
            let changed = change(&store, sent.id, MessageChange::Hide { user }, at(5_000)).await;
            assert_eq!((changed.is_change, &changed.message), (is_change, &expected));
        }
        assert_eq!(log(&store, sent.chat_id).await, [expected], "it keeps its place");
    }
}

/// A delete takes the reactions along; afterwards a message can be hidden, and nothing else.
pub async fn what_is_deleted_can_be_hidden_only(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, message(ann, bob)).await;
    change(&store, sent.id, edit("edited"), at(2_000)).await;
    change(&store, sent.id, react(bob, "👍"), at(3_000)).await;
    change(&store, sent.id, MessageChange::Hide { user: bob }, at(4_000)).await;
    let deletion = store.delete_message(sent.id, at(5_000)).await.unwrap().expect("it is there");
    let gone = deletion.message;
    assert_eq!((gone.body.as_ref(), &gone.reactions, gone.is_deleted), (None, &Vec::new(), true));
    assert_eq!((&gone.hidden_for, gone.updated_at), (&vec![bob], at(5_000)), "who has hidden it stays");
    assert_eq!(store.message(sent.id).await.unwrap().as_ref(), Some(&gone));
    for next in [edit("again"), react(ann, "👍"), unreact(bob, "👍"), MessageChange::Hide { user: bob }] {
        let changed = change(&store, sent.id, next.clone(), at(9_000)).await;
        assert_eq!(
            (changed.is_change, changed.message, changed.places),
            (false, gone.clone(), vec![]),
            "{next:?}"
        );
    }
    let hidden = change(&store, sent.id, MessageChange::Hide { user: ann }, at(9_000)).await;
    let expected = MessageRecord { hidden_for: vec![bob, ann], ..gone };
    assert_eq!((hidden.is_change, &hidden.message), (true, &expected));
    assert_eq!(store.message(sent.id).await.unwrap(), Some(expected));
}

/// Clients take the newer one: so `updated_at` rises with each change that others see, whatever the clock says.
pub async fn updated_at_always_rises(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, NewMessage { at: at(9_000), ..message(ann, bob) }).await;
    for (next, given, expected) in [
        (edit("same moment"), 9_000, 9_001),
        (react(bob, "👍"), 0, 9_002),
        (edit("later"), 9_500, 9_500),
        (unreact(bob, "👍"), 9_500, 9_501),
        (MessageChange::Hide { user: bob }, 9_900, 9_501),
        (react(bob, "🎉"), 9_502, 9_502),
    ] {
        let changed = change(&store, sent.id, next.clone(), at(given)).await.message;
        assert_eq!(changed.updated_at, at(expected), "{next:?} at {given}");
        assert_eq!(changed.created_at, at(9_000), "that it was made then stays");
        assert_eq!(store.message(sent.id).await.unwrap(), Some(changed), "stored");
    }
    let gone = store.delete_message(sent.id, at(9_100)).await.unwrap().expect("it is there").message;
    assert_eq!(gone.updated_at, at(9_503), "a delete");
    assert_eq!(store.message(sent.id).await.unwrap(), Some(gone), "stored");
}

/// By ids those that are there, each once; of an unknown one nothing can be changed.
pub async fn messages_are_found_by_ids(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob, cid] = accounts(&store).await;
    let mut sent = Vec::new();
    for (from, to) in [(ann, bob), (cid, ann), (bob, ann), (bob, cid)] {
        sent.push(send(&store, message(from, to)).await);
    }
    let unknown = MessageId::generate(at(0));
    let ids = [sent[3].id, unknown, sent[0].id, sent[1].id, sent[0].id];
    let mut found = store.messages(&ids).await.unwrap();
    found.sort_by_key(|message| message.id);
    let mut expected = [sent[0].clone(), sent[1].clone(), sent[3].clone()];
    expected.sort_by_key(|message| message.id);
    assert_eq!(found, expected);
    assert_eq!(store.messages(&[]).await.unwrap(), []);
    assert_eq!(store.messages(&[unknown]).await.unwrap(), []);
    for next in [edit("nothing"), react(ann, "👍"), MessageChange::Hide { user: ann }] {
        assert_eq!(store.change_message(unknown, next, at(5_000)).await.unwrap(), None, "an unknown one");
    }
}

/// What a message answers is kept with it, also when it is edited or deleted.
pub async fn replies_name_their_message(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let first = send(&store, message(ann, bob)).await;
    assert_eq!(first.reply_to, None);
    let new = NewMessage { reply_to: Some(first.id), ..keyed(bob, ann, "k") };
    let reply = send(&store, new.clone()).await;
    assert_eq!(reply, record(&new, 2));
    assert_eq!(store.message(reply.id).await.unwrap(), Some(reply.clone()));
    assert_eq!(store.message_by_client_id(bob, "k").await.unwrap(), Some(reply.clone()));
    let edited = change(&store, reply.id, edit("edited"), at(2_000)).await.message;
    assert_eq!(edited.reply_to, Some(first.id));
    let gone = store.delete_message(reply.id, at(3_000)).await.unwrap().expect("it is there").message;
    assert_eq!(gone.reply_to, Some(first.id));
    assert_eq!(log(&store, first.chat_id).await, [first, gone]);
}

/// A resealed body takes nothing else with it.
pub async fn resealing_leaves_changes_alone(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, message(ann, bob)).await;
    change(&store, sent.id, react(bob, "👍"), at(2_000)).await;
    change(&store, sent.id, MessageChange::Hide { user: bob }, at(2_000)).await;
    let edited = change(&store, sent.id, edit("edited"), at(3_000)).await.message;
    let reseal =
        |old: &str| vec![BodyChange { at: edited.position(), old: old.into(), new: "resealed".into() }];
    let outdated = sent.body.as_deref().expect("it has a body");
    assert_eq!(store.replace_bodies(reseal(outdated)).await.unwrap(), 0, "the text of before the edit");
    assert_eq!(store.replace_bodies(reseal("edited")).await.unwrap(), 1);
    let expected = MessageRecord { body: Some("resealed".into()), ..edited };
    assert_eq!(store.message(sent.id).await.unwrap(), Some(expected));
}

/// Changes at the same moment are made one after the other: none is lost, and each rises above the one before.
pub async fn changes_at_the_same_moment_follow_each_other(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let sent = send(&store, message(ann, bob)).await;
    let emojis = ["👍", "🎉", "❤️", "😀", "😢", "😡"];
    let mut changes = Vec::new();
    for emoji in emojis {
        // Each twice, so that one of the two finds it done.
        changes.extend([react(ann, emoji), react(bob, emoji), react(ann, emoji), react(bob, emoji)]);
    }
    changes.extend((0..6).map(|n| edit(&format!("edit {n}"))));
    let changed = at_once(changes.into_iter().map(|next| {
        let store = Arc::clone(&store);
        async move { change(&store, sent.id, next, at(2_000)).await }
    }))
    .await;
    let first: Vec<_> = changed.iter().filter(|changed| changed.is_change).collect();
    assert_eq!(first.len(), 12 + 6, "each reaction once, and each edit");
    let times: HashSet<_> = first.iter().map(|changed| changed.message.updated_at).collect();
    assert_eq!(times.len(), first.len(), "each is newer than the one before");
    let stored = store.message(sent.id).await.unwrap().expect("it is there");
    let newest = first.iter().max_by_key(|changed| changed.message.updated_at).expect("there are some");
    assert_eq!(newest.message, stored, "the newest is what is stored");
    let reactions: HashSet<_> =
        stored.reactions.iter().map(|reaction| (reaction.user_id, reaction.emoji.as_str())).collect();
    assert_eq!((reactions.len(), stored.reactions.len()), (12, 12), "no reaction is lost or there twice");
}

/// An edit, a reaction and a delete at the same moment: whoever comes after the delete changes nothing.
pub async fn changes_and_deletes_at_the_same_moment(harness: &impl Harness) {
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    for round in 0..10 {
        let sent = send(&store, message(ann, bob)).await;
        let (edited, deletion, reacted) = tokio::join!(
            change(&store, sent.id, edit("edited"), at(2_000)),
            store.delete_message(sent.id, at(2_000)),
            change(&store, sent.id, react(bob, "👍"), at(2_000)),
        );
        let gone = deletion.unwrap().expect("it is there").message;
        assert_eq!(store.message(sent.id).await.unwrap(), Some(gone.clone()), "round {round}");
        assert_eq!((gone.body, gone.reactions), (None, vec![]), "round {round}");
        for changed in [edited, reacted] {
            assert_ne!(
                changed.is_change, changed.message.is_deleted,
                "round {round}: before it, or not at all"
            );
        }
    }
}
