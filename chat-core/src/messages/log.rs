//! The way to the store: each chat belongs to one lane, and a lane does one thing after the other.
//!
//! So the events of a chat leave in the order in which they were committed; what waits while the store is busy goes
//! into its next transaction together; and a caller who hangs up cancels nothing, because the work is the lane's.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::message::{Message, Sent};
use crate::{
    ChatId, Error, MessageId, Result, StoreError, Timestamp, UserId,
    events::{ConnectionId, Event, Hub, SharedEvent, Standing, reactions},
    service::View,
    store::{Appended, Changed, Deletion, MessageChange, MessageRecord, NewMessage, Place, Store},
};

/// Messages that may wait in a lane; past that, senders are told at once to come again.
const WAITING: usize = 4096;
/// Messages that go to the store in one call.
const BATCH: usize = 512;
/// How often to look up what is doubtful, and after how long it is taken as not there.
const DOUBT: Duration = Duration::from_secs(1);
const DOUBT_ENDS: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Log {
    lanes: Vec<mpsc::Sender<Job>>,
}

#[derive(Debug)]
enum Job {
    Append { message: NewMessage, text: Option<String>, from: Option<ConnectionId>, reply: Reply<Sent> },
    Change { id: MessageId, to: Vec<UserId>, work: Work },
}

/// What is done to a message that is there.
#[derive(Debug)]
enum Work {
    Delete { reply: Reply<(Message, Deletion)> },
    Change { change: MessageChange, reply: Reply<Message> },
}

type Reply<T> = oneshot::Sender<Result<T>>;

impl Log {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        hub: &Arc<Hub>,
        view: &View,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let lane = |_| {
            let (sender, jobs) = mpsc::channel(WAITING);
            let (store, hub, view) = (store.clone(), hub.clone(), view.clone());
            let lane = Lane { store, hub, view, doubtful: HashMap::new() };
            tasks.spawn(lane.run(jobs, stop.clone()));
            sender
        };
        Self { lanes: (0..store.append_lanes().max(1)).map(lane).collect() }
    }

    /// Appends a message, tells everybody whom it concerns but the connection `from`, and returns it: in this order.
    pub(crate) async fn append(
        &self,
        message: NewMessage,
        text: Option<String>,
        from: Option<ConnectionId>,
    ) -> Result<Sent> {
        let chat = message.chat_id;
        self.ask(chat, |reply| Job::Append { message, text, from, reply }).await
    }

    /// Deletes a message and tells these users, if it was not deleted before.
    pub(crate) async fn delete(
        &self,
        chat: ChatId,
        id: MessageId,
        to: Vec<UserId>,
    ) -> Result<(Message, Deletion)> {
        self.ask(chat, |reply| Job::Change { id, to, work: Work::Delete { reply } }).await
    }

    /// Changes a message, tells these users if that makes a difference, and returns it.
    pub(crate) async fn change(
        &self,
        chat: ChatId,
        id: MessageId,
        change: MessageChange,
        to: Vec<UserId>,
    ) -> Result<Message> {
        self.ask(chat, |reply| Job::Change { id, to, work: Work::Change { change, reply } }).await
    }

    async fn ask<T>(&self, chat: ChatId, job: impl FnOnce(Reply<T>) -> Job) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        // Chat ids are hashes: any byte of them spreads chats evenly.
        let lane = &self.lanes[usize::from(chat.as_bytes()[11]) % self.lanes.len()];
        lane.try_send(job(reply)).map_err(|_| Error::unavailable("message lane", None))?;
        answer.await.map_err(|_| Error::unavailable("message lane", None))?
    }
}

struct Lane {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    view: View,
    /// Messages of which the store could not say whether they were appended. Where one was, its receiver must hear of
    /// it, though its sender was told otherwise.
    doubtful: HashMap<MessageId, Instant>,
}

impl Lane {
    /// Works until the service stops, and then to the end of what was taken in.
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                biased;
                taken = jobs.recv_many(&mut waiting, BATCH) => if taken == 0 { return },
                () = stop.cancelled(), if !jobs.is_closed() => {
                    jobs.close();
                    continue;
                }
                () = tokio::time::sleep(DOUBT), if !self.doubtful.is_empty() && !jobs.is_closed() => {
                    self.resolve().await;
                    continue;
                }
            }
            // A store that panics fails those who asked, whose replies are dropped, and not the lane.
            let work = AssertUnwindSafe(self.work(waiting.drain(..))).catch_unwind();
            if work.await.is_err() {
                tracing::error!("a lane of messages caught a panic");
            }
        }
    }

    /// Looks up what is doubtful, and tells of what is there.
    async fn resolve(&mut self) {
        let ids: Vec<MessageId> = self.doubtful.keys().copied().collect();
        for id in ids {
            match self.store.message(id).await {
                Ok(Some(record)) => {
                    self.doubtful.remove(&id);
                    self.tell(&self.view.message(record), None, &Told::Along);
                }
                // An attempt may be under way still.
                Ok(None) => self.doubtful.retain(|known, since| *known != id || since.elapsed() < DOUBT_ENDS),
                // As long as the store is away there is nothing to learn.
                Err(_) => return,
            }
        }
    }

    async fn work(&mut self, jobs: impl Iterator<Item = Job>) {
        let (mut messages, mut appends) = (Vec::new(), Vec::new());
        let mut changes: HashMap<MessageId, Vec<(Vec<UserId>, Work)>> = HashMap::new();
        for job in jobs {
            match job {
                Job::Append { message, text, from, reply } => {
                    messages.push(message);
                    appends.push((text, from, reply));
                }
                Job::Change { id, to, work } => changes.entry(id).or_default().push((to, work)),
            }
        }
        if !messages.is_empty() {
            let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
            let outcomes = self.store.append(messages).await;
            let told = told(&outcomes);
            for (((id, outcome), told), (text, from, reply)) in
                ids.into_iter().zip(outcomes).zip(told).zip(appends)
            {
                if matches!(outcome, Err(StoreError::Uncertain(_))) && self.doubtful.len() < WAITING {
                    self.doubtful.insert(id, Instant::now());
                }
                // The other end may have hung up; the message stands all the same.
                let _ = reply.send(self.appended(outcome, text, from, &told));
            }
        }
        // What is done to one message is done in its order; what is done to several shares a transaction.
        let lane = &*self;
        let changes = changes.into_iter().map(|(id, works)| async move {
            for (to, work) in works {
                match work {
                    Work::Delete { reply } => drop(reply.send(lane.delete(id, to).await)),
                    Work::Change { change, reply } => drop(reply.send(lane.change(id, change, to).await)),
                }
            }
        });
        join_all(changes).await;
    }

    fn appended(
        &mut self,
        outcome: Result<Appended, StoreError>,
        text: Option<String>,
        from: Option<ConnectionId>,
        told: &Told,
    ) -> Result<Sent> {
        match outcome? {
            Appended::Repeat(record) => {
                let message = self.view.message(record);
                // The first attempt was in doubt: this is how its sender, and everybody else, learns of it.
                if self.doubtful.remove(&message.id).is_some() {
                    self.tell(&message, from, &Told::Along);
                }
                Ok(Sent { message, is_repeat: true })
            }
            Appended::New { message, .. } => {
                let message = self.view.message_with_text(message, text);
                self.tell(&message, from, told);
                Ok(Sent { message, is_repeat: false })
            }
        }
    }

    /// Everybody whom it concerns but the connection `from`.
    fn tell(&self, message: &Message, from: Option<ConnectionId>, told: &Told) {
        let event = SharedEvent::new(Event::MessageSent(message.clone()));
        if let Some(receiver) = message.receiver_id {
            self.hub.deliver(receiver, &event, None, told.standing(receiver));
        }
        self.hub.deliver(message.sender_id, &event, from, told.standing(message.sender_id));
    }

    async fn delete(&self, id: MessageId, to: Vec<UserId>) -> Result<(Message, Deletion)> {
        let deletion =
            self.store.delete_message(id, Timestamp::now()).await?.ok_or(Error::NotFound("Message"))?;
        let message = self.view.message(deletion.message.clone());
        if deletion.is_first {
            let event = Event::MessageDeleted(message.clone());
            self.tell_of(event, &deletion.message, to, &deletion.places);
        }
        Ok((message, deletion))
    }

    async fn change(&self, id: MessageId, change: MessageChange, to: Vec<UserId>) -> Result<Message> {
        let event: fn(&MessageRecord, &Message) -> Event = match &change {
            MessageChange::Edit { .. } => |_, message| Event::MessageEdited(message.clone()),
            MessageChange::React { .. } => |record, _| reactions(record),
            MessageChange::Hide { .. } => |record, _| Event::MessageHidden {
                message_id: record.id,
                chat_id: record.chat_id,
                seq: record.seq,
                sender_id: record.sender_id,
            },
        };
        let is_for_oneself = matches!(change, MessageChange::Hide { .. });
        let changed = self.store.change_message(id, change, Timestamp::now()).await?;
        let Changed { message: record, is_change, places } = changed.ok_or(Error::NotFound("Message"))?;
        let message = self.view.message(record.clone());
        if is_change {
            self.tell_of(event(&record, &message), &record, to, &places);
        } else if record.is_deleted && !is_for_oneself {
            // Deleted in the meantime.
            return Err(Error::NotFound("Message"));
        }
        Ok(message)
    }

    fn tell_of(&self, event: Event, of: &MessageRecord, to: Vec<UserId>, places: &[Place]) {
        let is_hiding = matches!(event, Event::MessageHidden { .. });
        let event = SharedEvent::new(event);
        for user in to {
            let standing = Standing::of(places.iter().find(|place| place.user == user));
            if is_hiding || !of.hidden_for.contains(&user) {
                self.hub.deliver(user, &event, None, standing);
            } else {
                self.hub.pass(user, standing);
            }
        }
    }
}

/// Where the feeds of those whom a message concerns tell of it.
enum Told {
    /// In these places, of which it is the last part or not.
    At { places: Vec<Place>, is_last: bool },
    /// Nowhere yet.
    Later,
    /// Somewhere, and what came after it may have been told already.
    Along,
}

impl Told {
    fn standing(&self, user: UserId) -> Standing {
        match self {
            Self::At { places, is_last } => {
                match Standing::of(places.iter().find(|place| place.user == user)) {
                    Standing::At { position, .. } => Standing::At { position, is_last: *is_last },
                    other => other,
                }
            }
            Self::Later => Standing::Later,
            Self::Along => Standing::News,
        }
    }
}

/// One entry tells of all messages of a chat up to the one that has its places.
fn told(outcomes: &[Result<Appended, StoreError>]) -> Vec<Told> {
    let mut by_chat: HashMap<ChatId, &[Place]> = HashMap::new();
    let mut told: Vec<Told> = Vec::with_capacity(outcomes.len());
    for outcome in outcomes.iter().rev() {
        told.push(match outcome {
            Ok(Appended::New { message, places }) => {
                let is_last = !places.is_empty();
                if is_last {
                    by_chat.insert(message.chat_id, places);
                }
                by_chat
                    .get(&message.chat_id)
                    .map_or(Told::Later, |places| Told::At { places: places.to_vec(), is_last })
            }
            Ok(Appended::Repeat(_)) | Err(_) => Told::Later,
        });
    }
    told.reverse();
    told
}
