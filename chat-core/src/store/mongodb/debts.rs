//! What members are owed after messages were inserted: their chat's place in their list, the sender's watermark, and an
//! entry in their feed.
//!
//! The log is the truth; these are derived from it, and paid right after the insert, before anybody is answered. When
//! that fails they are owed, and paid as soon as the server is back. `$max` makes payments commute, so it does not
//! matter who pays first, in which process, and how often; an entry too many does no harm.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mongodb::bson::doc;
use tokio::time::Instant;

use super::{
    Inner,
    db::{Call, Update},
    documents::{date, signed, to_message},
    feeds::push_to_each,
    queries::{self, MEMBERS},
    untold,
};
use crate::{
    ChatId, MessageId, StoreError, Timestamp, UserId,
    store::{Change, MessageRecord, Result},
};

/// How long the sender of a message waits for it.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How often to try.
const PERIOD: Duration = Duration::from_secs(1);
/// Payments in one command, and messages that are looked for in one query.
const STEP: usize = 1_000;
/// An insert that a server had not carried out by then, it does not carry out any more.
const DOUBT: Duration = Duration::from_secs(120);

/// One member's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) chat: ChatId,
    pub(super) user: UserId,
    pub(super) last_seq: u64,
    pub(super) last_at: Timestamp,
    /// 0 when the member's watermark does not move.
    pub(super) read_seq: u64,
    /// The messages that the member's feed is to tell of.
    pub(super) told: Option<Range>,
}

impl Owed {
    /// With what is owed besides.
    pub(super) fn and(self, other: &Self) -> Self {
        Self {
            last_seq: self.last_seq.max(other.last_seq),
            last_at: self.last_at.max(other.last_at),
            read_seq: self.read_seq.max(other.read_seq),
            told: match (self.told, other.told) {
                (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
                (one, other) => one.or(other),
            },
            ..self
        }
    }

    const fn key(&self) -> (ChatId, UserId) {
        (self.chat, self.user)
    }
}

/// Gathers what is owed to each member of each chat.
pub(super) fn gather(all: impl IntoIterator<Item = Owed>) -> HashMap<(ChatId, UserId), Owed> {
    let mut gathered: HashMap<(ChatId, UserId), Owed> = HashMap::new();
    for owed in all {
        gathered.entry(owed.key()).and_modify(|known| *known = known.and(&owed)).or_insert(owed);
    }
    gathered
}

/// From which `seq` to which.
pub(super) type Range = (u64, u64);

/// Where a member's feed tells of a chat's messages: at which position, and of which.
pub(super) type Places = HashMap<(ChatId, UserId), (u64, Range)>;

#[derive(Debug, Default)]
pub(super) struct Debts {
    owed: Mutex<HashMap<(ChatId, UserId), Owed>>,
    /// Processes that are gone, and of which what they owed is owed here.
    pub(super) taken: Mutex<HashSet<String>>,
    /// Messages of which nobody knows whether they were inserted, and since when.
    doubts: Mutex<HashMap<MessageId, Instant>>,
    /// Up to where feeds tell of a chat, as far as that is not noted yet.
    told: Mutex<HashMap<(ChatId, UserId), u64>>,
}

pub(super) fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Debts {
    /// Whether nothing is owed, nor may be.
    pub(super) fn is_empty(&self) -> bool {
        open(&self.owed).is_empty() && open(&self.doubts).is_empty()
    }

    /// Notes something for the next payment.
    pub(super) fn add(&self, owed: Owed) {
        open(&self.owed).entry(owed.key()).and_modify(|known| *known = known.and(&owed)).or_insert(owed);
    }

    /// Notes that the feeds of these members tell of all up to here: once a second for each chat, because a process that
    /// does not know it only tells of something once more.
    pub(super) fn has_told(&self, chat: ChatId, members: &[UserId], seq: u64) {
        let mut told = open(&self.told);
        for user in members {
            let known = told.entry((chat, *user)).or_default();
            *known = seq.max(*known);
        }
    }

    /// Writes that down.
    pub(super) async fn note_told(&self, call: &Call) -> Result<()> {
        let told: Vec<_> = std::mem::take(&mut *open(&self.told)).into_iter().collect();
        for step in told.chunks(STEP) {
            let update = |((chat, user), seq): &((ChatId, UserId), u64)| Update {
                filter: queries::membership(*chat, *user),
                change: doc! { "$max": { "toldSeq": signed(*seq) } },
                upsert: false,
            };
            call.update(MEMBERS, step.iter().map(update).collect(), false).await?;
        }
        Ok(())
    }

    /// Notes messages that may or may not be there.
    pub(super) fn doubt(&self, messages: impl IntoIterator<Item = MessageId>) {
        let now = Instant::now();
        open(&self.doubts).extend(messages.into_iter().map(|message| (message, now)));
    }

    /// What was not told before comes along with what is told now, so that it is told in order.
    fn with_untold(&self, owed: Owed) -> Owed {
        match open(&self.owed).get(&owed.key()) {
            Some(known) if owed.told.is_some() => Owed { told: owed.and(known).told, ..owed },
            _ => owed,
        }
    }

    /// This is paid, but not what came on top of it meanwhile.
    fn settle(&self, paid: &Owed) {
        let mut open = open(&self.owed);
        if open.get(&paid.key()).is_some_and(|now| now.and(paid) == *paid) {
            open.remove(&paid.key());
        }
    }
}

/// Pays now; what can't be paid is owed. The messages stand in any case.
pub(super) async fn pay_at_once(inner: &Inner, call: &Call, owed: impl Iterator<Item = Owed>) -> Places {
    let owed: Vec<Owed> = owed.map(|owed| inner.debts.with_untold(owed)).collect();
    // The messages are there: who sent them need not wait long for lists.
    let deadline = call.deadline.min(Instant::now() + AT_ONCE);
    let short = Call { deadline, is_probe: true, ..call.clone() };
    let (places, failure) = pay_or_owe(inner, &short, &owed).await;
    if let Some(error) = failure {
        tracing::warn!(%error, "lists of chats are brought up to date later");
    }
    places
}

/// Pays each; what can't be paid is owed from then on. Also returns why some can't.
pub(super) async fn pay_or_owe(inner: &Inner, call: &Call, owed: &[Owed]) -> (Places, Option<StoreError>) {
    let (paid, (places, untold)) = tokio::join!(pay(call, owed), tell(inner, call, owed));
    for owed in owed {
        if owed.told.is_some() && !places.contains_key(&owed.key()) {
            inner.debts.add(*owed);
            continue;
        }
        inner.debts.settle(owed);
        if paid.is_err() {
            inner.debts.add(Owed { told: None, ..*owed });
        }
    }
    (places, paid.err().or(untold))
}

/// Pays what is owed.
pub(super) async fn pay_all(inner: &Inner, call: &Call) -> Result<()> {
    look_for_doubtful(inner, call).await?;
    let owed: Vec<Owed> = open(&inner.debts.owed).values().copied().collect();
    let mut failure = None;
    for step in owed.chunks(STEP) {
        // One that can't be paid keeps nobody else from it.
        let (places, error) = pay_or_owe(inner, call, step).await;
        inner.late.add(places.into_keys().map(|(_, user)| user));
        failure = error.or(failure);
    }
    failure.map_or(Ok(()), Err)
}

/// Those that are there after all are owed.
async fn look_for_doubtful(inner: &Inner, call: &Call) -> Result<()> {
    let doubts: Vec<(MessageId, Instant)> =
        open(&inner.debts.doubts).iter().map(|(id, since)| (*id, *since)).collect();
    for step in doubts.chunks(STEP) {
        let found = call.find_durable(&queries::messages(step.iter().map(|(id, _)| *id))).await?;
        let found: Vec<MessageRecord> = found.iter().filter_map(to_message).collect();
        found.iter().flat_map(owed_for).for_each(|owed| inner.debts.add(owed));
        let mut doubts = open(&inner.debts.doubts);
        for record in &found {
            doubts.remove(&record.id);
        }
        for (id, since) in step {
            if since.elapsed() > DOUBT {
                doubts.remove(id);
            }
        }
    }
    Ok(())
}

/// What a message owes to sender and receiver.
pub(super) fn owed_for(message: &MessageRecord) -> Vec<Owed> {
    let owed = |user: UserId, read_seq| Owed {
        chat: message.chat_id,
        user,
        last_seq: message.seq,
        last_at: message.created_at,
        read_seq,
        told: Some((message.seq, message.seq)),
    };
    let receiver = message.receiver_id.map(|receiver| owed(receiver, 0));
    let both = receiver.into_iter().chain([owed(message.sender_id, message.seq)]);
    both.filter(|owed| owed.last_seq > 0).collect()
}

/// Pays what is owed, and tells what was left untold, until the store closes.
pub(super) async fn keep_paying(inner: Arc<Inner>) {
    let db = &inner.db;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = db.stop.cancelled() => return,
        }
        if !inner.debts.is_empty()
            && let Err(error) = pay_all(&inner, &db.call()).await
        {
            tracing::debug!(%error, "lists of chats are still behind");
        }
        if let Err(error) = inner.debts.note_told(&db.call()).await {
            tracing::debug!(%error, "what was told may be told once more");
        }
        if inner.untold.is_behind()
            && let Err(error) = untold::sweep(&inner).await
        {
            tracing::debug!(%error, "changes are still to be told");
        }
    }
}

/// The lists.
pub(super) async fn pay(call: &Call, owed: &[Owed]) -> Result<()> {
    if owed.is_empty() {
        return Ok(());
    }
    let update = |owed: &Owed| {
        let mut most = doc! { "lastSeq": signed(owed.last_seq), "lastAt": date(owed.last_at) };
        if owed.read_seq > 0 {
            most.insert("readSeq", signed(owed.read_seq));
        }
        let filter = queries::membership(owed.chat, owed.user);
        Update { filter, change: doc! { "$max": most }, upsert: false }
    };
    call.update(MEMBERS, owed.iter().map(update).collect(), false).await.map(drop)
}

/// The feeds: where they tell of what, and why some do not.
async fn tell(inner: &Inner, call: &Call, owed: &[Owed]) -> (Places, Option<StoreError>) {
    let mut by_user: HashMap<UserId, Vec<(ChatId, Range)>> = HashMap::new();
    for owed in owed {
        if let Some(range) = owed.told {
            by_user.entry(owed.user).or_default().push((owed.chat, range));
        }
    }
    let sent = |(chat, (from, to)): &(ChatId, Range)| Change::Sent { chat: *chat, from: *from, to: *to };
    let changes = by_user.iter().map(|(user, all)| (*user, all.iter().map(sent).collect()));
    let (mut places, mut failure) = (Places::new(), None);
    for (user, pushed) in push_to_each(&inner.feeds, call, changes.collect()).await {
        match pushed {
            Ok(positions) => {
                let told = by_user.get(&user).into_iter().flatten().zip(positions);
                // Of several entries for one chat the last counts.
                places.extend(told.map(|((chat, range), position)| ((*chat, user), (position, *range))));
            }
            Err(error) => failure = Some(error),
        }
    }
    (places, failure)
}
