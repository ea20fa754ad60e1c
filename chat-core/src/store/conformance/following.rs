//! The check of [`Feeds`](crate::store::Feeds) that all of it is for: who follows a feed misses nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Harness,
    fixtures::{
        Followed, accounts, at, change, edit, feed, log, message, new_record, react, read_mark, unreact,
    },
};
use crate::{
    ChatId, UserId,
    store::{Change, MessageChange, Store},
};

/// What writers did, as the one who reads is told of it.
#[derive(Default)]
struct Done {
    changes: Vec<Change>,
    marks: HashSet<(ChatId, UserId)>,
}

/// Who reads on from where they were, while others send, edit, react, hide, mark and delete, misses none of it; and
/// what an entry tells of can be seen when it is read.
pub async fn a_reader_misses_nothing(harness: &impl Harness) {
    const ROUNDS: i64 = 12;
    let store = harness.open().await;
    let users: [UserId; 5] = accounts(&store).await;
    let me = users[0];
    let writers = at_once_in_background(&store, users, ROUNDS);
    let reader = tokio::spawn(read_until_done(Arc::clone(&store), me, writers));
    let patience = Duration::from_secs(120);
    let (read, done) = tokio::time::timeout(patience, reader).await.expect("it ends").expect("no panic");

    let mut followed = Followed::default();
    read.iter().for_each(|change| followed.take(*change));
    for partner in &users[1..] {
        let chat = ChatId::direct(me, *partner);
        assert_eq!(followed.end(chat), log(&store, chat).await.len() as u64, "all that was sent");
    }
    let mut counts: HashMap<String, i64> = HashMap::new();
    for change in &read {
        *counts.entry(format!("{change:?}")).or_default() += 1;
    }
    for change in done.changes {
        let count = counts.entry(format!("{change:?}")).or_default();
        *count -= 1;
        assert!(*count >= 0, "{change:?} was missed");
    }
    for (chat, user) in done.marks {
        let marked = Change::Marked { chat, user };
        assert!(counts.remove(&format!("{marked:?}")).is_some(), "{marked:?} was missed");
    }
    counts.retain(|change, count| *count > 0 && !change.starts_with("Sent"));
    assert_eq!(counts, HashMap::new(), "nothing was told that did not happen");
    assert_eq!(feed(&store, me).await, read, "what was read is what stands there");
}

type Writers = Vec<tokio::task::JoinHandle<Done>>;

/// Two tasks in each of four chats, one on either side.
fn at_once_in_background(store: &Arc<dyn Store>, users: [UserId; 5], rounds: i64) -> Writers {
    let pairs = users[1..].iter().flat_map(|partner| [(users[0], *partner), (*partner, users[0])]);
    pairs.map(|(from, to)| tokio::spawn(write(Arc::clone(store), users[0], from, to, rounds))).collect()
}

async fn write(store: Arc<dyn Store>, me: UserId, from: UserId, to: UserId, rounds: i64) -> Done {
    let mut done = Done::default();
    let chat = ChatId::direct(from, to);
    for round in 0..rounds {
        let call = (0..=round % 3).map(|_| message(from, to)).collect();
        let sent: Vec<_> = store.append(call).await.into_iter().map(new_record).collect();
        let id = sent[0].id;
        for (step, next) in
            [edit(&format!("edit {round}")), react(from, "👍"), react(from, "🎉"), unreact(from, "👍")]
                .into_iter()
                .enumerate()
        {
            let is_edit = matches!(next, MessageChange::Edit { .. });
            assert!(change(&store, id, next, at(2_000 + round)).await.is_change, "step {step}");
            done.changes.push(if is_edit { Change::Edited(id) } else { Change::Reacted(id) });
        }
        assert!(change(&store, id, MessageChange::Hide { user: from }, at(2_000)).await.is_change);
        if from == me {
            done.changes.push(Change::Hidden(id));
        }
        if round % 4 == 0 {
            let deletion = store.delete_message(id, at(3_000)).await.unwrap().expect("it is there");
            assert!(deletion.is_first);
            done.changes.push(Change::Deleted(id));
        }
        let marked = store.mark(&read_mark(chat, from, None)).await.unwrap().expect("a member");
        let shown_moved = marked.after.shown != marked.before.shown;
        let read_moved = marked.after.read_seq != marked.before.read_seq;
        if if from == me { read_moved } else { shown_moved } {
            done.marks.insert((chat, from));
        }
    }
    done
}

/// Reads on until all is written, and then to the end.
async fn read_until_done(store: Arc<dyn Store>, me: UserId, writers: Writers) -> (Vec<Change>, Done) {
    let mut read = Vec::new();
    loop {
        // Asked before reading: what they wrote is there by then.
        let is_last = writers.iter().all(tokio::task::JoinHandle::is_finished);
        loop {
            let step = store.feed(me, read.len() as u64, 7).await.unwrap().expect("it goes back so far");
            if step.is_empty() {
                break;
            }
            for entry in step {
                assert_eq!(entry.position, read.len() as u64 + 1, "the next one");
                can_be_seen(&store, entry.change).await;
                read.push(entry.change);
            }
        }
        if is_last {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut all = Done::default();
    for writer in writers {
        let done = writer.await.expect("a writer does not panic");
        all.changes.extend(done.changes);
        all.marks.extend(done.marks);
    }
    (read, all)
}

async fn can_be_seen(store: &Arc<dyn Store>, change: Change) {
    match change {
        Change::Sent { chat, from, to } => {
            let count = usize::try_from(to + 1 - from).unwrap();
            let page = store.page(chat, Some(to + 1), count).await.unwrap();
            let seqs: Vec<_> = page.iter().map(|message| message.seq).collect();
            assert_eq!(seqs, (from..=to).collect::<Vec<_>>(), "what was sent is in the log");
        }
        Change::Edited(id) | Change::Reacted(id) | Change::Deleted(id) | Change::Hidden(id) => {
            let message = store.message(id).await.unwrap().expect("the message is there");
            match change {
                Change::Edited(_) => assert!(message.is_edited || message.is_deleted),
                Change::Deleted(_) => assert!(message.is_deleted),
                Change::Hidden(_) => assert!(!message.hidden_for.is_empty()),
                _ => assert!(message.updated_at > message.created_at),
            }
        }
        Change::Marked { chat, user } => {
            let state = store.chat(chat, user).await.unwrap().expect("a member");
            assert!(state.read_seq > 0 && state.shown.read > 0, "how far {user} has read");
        }
    }
}
