//! Checks of what happens to a store from its opening to its end.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::{
    Harness,
    fixtures::{
        Followed, accounts, append, at, change, edit, feed, keyed, log, message, person, react, read_mark,
        repeated, send, state, unshown,
    },
};
use crate::{
    ChatId, MessageId, OutboxId, SessionId, StoreError, Timestamp, UserId,
    store::{
        Block, Change, ChatState, Mark, MarkKind, MessageChange, NewMessage, ProfileChange, Result,
        Revocation, SettingsChange, UserRecord, Watermarks,
    },
};

/// A client that hangs up drops its call, at any moment: then the call is done or not, and never half.
pub async fn dropped_calls_are_whole_or_not_there(harness: &impl Harness) {
    let store = harness.open().await;
    let users: [UserId; 6] = accounts(&store).await;
    let me = users[0];
    let mut sent = Vec::new();
    for n in 0..60_usize {
        let call: Vec<_> = (0..=n % 3).map(|m| message(me, users[1 + (n + m) % 5])).collect();
        sent.extend(call.clone());
        let future = store.append(call);
        if n % 2 == 0 {
            // Polled once: it has begun.
            assert!(future.now_or_never().is_none_or(|outcomes| !outcomes.is_empty()));
        } else {
            let patience = Duration::from_micros(10 * n as u64);
            let _ = tokio::time::timeout(patience, future).await;
        }
    }
    // One that is waited for, in each chat. What was dropped may still end after it, so look until nothing moves.
    for user in &users[1..] {
        send(&store, message(me, *user)).await;
    }
    let mut count = 0;
    loop {
        let now = store.walk_messages(None, 10_000).await.unwrap().len();
        if now == count {
            break;
        }
        count = now;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for user in &users[1..] {
        let chat = ChatId::direct(me, *user);
        let log = log(&store, chat).await;
        let last_seq = log.len() as u64;
        assert_eq!(state(&store, chat, me).await, unshown(last_seq, last_seq), "the sender's side");
        assert_eq!(state(&store, chat, *user).await, unshown(last_seq, 0), "the receiver's side");
        let entry = store.chats_of(*user, None, 1).await.unwrap().remove(0);
        assert_eq!(entry.last_message.as_ref(), log.last());
        for member in [me, *user] {
            let mut followed = Followed::default();
            feed(&store, member).await.into_iter().for_each(|change| followed.take(change));
            assert_eq!(followed.end(chat), last_seq, "the feed of {member} tells of the whole log");
        }
        let ids: HashSet<_> = log.iter().map(|message| message.id).collect();
        assert_eq!(ids.len(), log.len(), "none is there twice");
        for new in sent.iter().filter(|new| new.chat_id == chat) {
            let found = store.message(new.id).await.unwrap();
            assert_eq!(found.is_some(), ids.contains(&new.id), "found by id exactly where the log has it");
            assert!(found.is_none_or(|found| found.body == new.body), "whole");
        }
    }
}

/// What was acknowledged is there when the data is opened again, and goes on from there.
pub async fn data_is_there_after_a_reopen(harness: &impl Harness) {
    if !harness.keeps_data() {
        return;
    }
    let store = harness.open().await;
    let [ann, bob] = accounts(&store).await;
    let user = UserRecord { is_online: true, ..person("cid@example.com", "Cid") };
    store.insert_user(&user).await.unwrap();
    let renaming = ProfileChange { full_name: Some("Cyd".into()), profile_pic: Some(Some("c.png".into())) };
    let user = store.update_profile(user.id, &renaming, at(4_000)).await.unwrap().after;
    for n in 0..5 {
        send(&store, keyed(ann, bob, &format!("{n}"))).await;
    }
    let chat = ChatId::direct(ann, bob);
    let third = log(&store, chat).await.remove(2);
    store.delete_message(third.id, at(5_000)).await.unwrap();
    let first = log(&store, chat).await.remove(0);
    change(&store, first.id, edit("edited"), at(5_000)).await;
    change(&store, first.id, react(bob, "👍"), at(5_000)).await;
    change(&store, first.id, MessageChange::Hide { user: bob }, at(5_000)).await;
    let delivered = Mark { kind: MarkKind::Delivered, ..read_mark(chat, bob, Some(4)) };
    let private = Mark { is_shown: false, ..read_mark(chat, bob, Some(4)) };
    for mark in [read_mark(chat, bob, Some(2)), delivered, private] {
        store.mark(&mark).await.unwrap().expect("a member");
    }
    let block = Block { by: ann, user: bob, at: at(6_000) };
    store.block(&block).await.unwrap();
    let shy = SettingsChange { sends_receipts: Some(false), is_invisible: Some(true) };
    let settings = store.update_settings(bob, &shy).await.unwrap();
    store.renew_lease("lease", at(7_000)).await.unwrap();
    store.set_presence(ann, true, at(6_000), "lease").await.unwrap();
    let revocation = Revocation { session: SessionId::random(), expires_at: at(9_000) };
    store.revoke_session(revocation).await.unwrap();
    store.put_note("key", "value").await.unwrap();
    let (messages, list) = (log(&store, chat).await, store.chats_of(bob, None, 10).await.unwrap());
    let feeds = (feed(&store, ann).await, feed(&store, bob).await);
    store.close().await.expect("it closes");
    drop(store);

    let store = harness.open().await;
    assert_eq!(store.user(user.id).await.unwrap(), Some(user), "the account");
    assert_eq!(log(&store, chat).await, messages, "the messages");
    assert_eq!(store.chats_of(bob, None, 10).await.unwrap(), list, "the list");
    assert_eq!(
        state(&store, chat, bob).await,
        ChatState { shown: Watermarks { delivered: 4, read: 2 }, ..unshown(5, 4) },
        "the watermarks"
    );
    assert_eq!((feed(&store, ann).await, feed(&store, bob).await), feeds, "the feeds");
    assert_eq!(store.blocks_of(bob).await.unwrap(), [block], "the block");
    assert_eq!(store.user(bob).await.unwrap().map(|bob| bob.settings), Some(settings), "the settings");
    assert_eq!(store.revocations(at(0)).await.unwrap(), [revocation], "the revocation");
    assert_eq!(store.note("key").await.unwrap().as_deref(), Some("value"), "the note");
    assert_eq!(store.expire_leases(at(6_500)).await.unwrap(), 1, "who was online by no lease");
    assert_eq!(store.expire_leases(Timestamp::now()).await.unwrap(), 1, "who was online by a lease");
    assert_eq!(store.user(ann).await.unwrap().map(|ann| ann.last_seen), Some(at(7_000)), "the lease");
    let again = repeated(append(&store, keyed(ann, bob, "0")).await);
    assert_eq!(again, messages[0], "a key of before is still a repeat");
    let next = send(&store, NewMessage { at: at(0), ..message(bob, ann) }).await;
    assert_eq!((next.seq, next.created_at), (6, at(1_000)), "the log goes on where it was");
    let end = store.feed_end(ann).await.unwrap();
    assert_eq!(end, feeds.0.len() as u64 + 1, "so does the feed");
    let newest = store.feed(ann, end - 1, 1).await.unwrap().expect("it is there").remove(0);
    assert_eq!(newest.change, Change::Sent { chat, from: 6, to: 6 });
}

/// A store that works answers a ping; one that is closed answers nothing but `Unavailable`.
pub async fn a_closed_store_is_unavailable(harness: &impl Harness) {
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "the results are made to be checked here")]
    fn refused<T: std::fmt::Debug>(result: Result<T>) {
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "should be Unavailable: {result:?}");
    }
    let store = harness.open().await;
    assert!(store.append_lanes() > 0, "there is at least one lane");
    store.ping().await.expect("it answers");
    let [ann, bob] = accounts(&store).await;
    let chat = send(&store, message(ann, bob)).await.chat_id;
    let late = Arc::clone(&store);
    store.close().await.expect("it closes");
    let store = late;

    refused(store.ping().await);
    refused(store.insert_user(&person("new@example.com", "New")).await);
    refused(store.user(ann).await);
    refused(store.user_by_email("user0@example.com").await);
    refused(store.update_profile(ann, &ProfileChange::default(), at(0)).await);
    refused(store.set_presence(ann, true, at(0), "lease").await);
    refused(store.expire_leases(Timestamp::now()).await);
    refused(store.renew_lease("lease", at(0)).await);
    refused(store.end_lease("lease", at(0)).await);
    refused(store.update_settings(ann, &SettingsChange::default()).await);
    refused(store.users_by_name(ann, None, 10).await);
    refused(store.users_named("a", ann, None, 10).await);
    let outcomes = store.append(vec![message(ann, bob), message(bob, ann)]).await;
    assert_eq!(outcomes.len(), 2, "one outcome per message, also then");
    outcomes.into_iter().for_each(refused);
    refused(store.message(MessageId::generate(at(0))).await);
    refused(store.message_by_client_id(ann, "k").await);
    refused(store.page(chat, None, 10).await);
    refused(store.delete_message(MessageId::generate(at(0)), at(0)).await);
    refused(store.messages(&[]).await);
    refused(store.messages(&[MessageId::generate(at(0))]).await);
    refused(store.change_message(MessageId::generate(at(0)), edit("new"), at(0)).await);
    refused(store.walk_messages(None, 10).await);
    refused(store.replace_bodies(Vec::new()).await);
    refused(store.chat(chat, ann).await);
    refused(store.chats_of(ann, None, 10).await);
    refused(store.mark(&read_mark(chat, ann, None)).await);
    refused(store.partners(ann).await);
    refused(store.feed_end(ann).await);
    refused(store.feed(ann, 0, 10).await);
    refused(store.block(&Block { by: ann, user: bob, at: at(0) }).await);
    refused(store.unblock(ann, bob).await);
    refused(store.blocks_of(ann).await);
    refused(store.revoke_session(Revocation { session: SessionId::random(), expires_at: at(0) }).await);
    refused(store.revocations(at(0)).await);
    refused(store.forget_expired(at(0)).await);
    refused(store.sessions_of(ann, at(0), 10).await);
    refused(store.touch_sessions(&[(SessionId::random(), at(0))]).await);
    refused(store.cut_sessions(ann, None, at(0)).await);
    refused(store.cuts(at(0)).await);
    refused(store.verify_email(ann, "user0@example.com").await);
    refused(store.claim_outbox(at(0), at(0), 10).await);
    refused(store.postpone_outbox(OutboxId::generate(at(0)), at(0)).await);
    refused(store.remove_outbox(OutboxId::generate(at(0))).await);
    refused(store.note("key").await);
    refused(store.put_note("key", "value").await);
}
