//! The thread that writes: whatever waits goes into one transaction, with one fsync for them all.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};

use super::{error::Failure, lock::Lock, readers::Readers, tx::Tx};
use crate::{StoreError, store::Result};

/// Calls that may wait; the next one is refused at once, which is better than a queue whose end nobody waits for.
const QUEUE: usize = 8_192;

/// Calls in one transaction: so many that the fsync no longer counts, so few that the first does not wait long.
const GATHERED: usize = 512;

/// Something for the thread to do within a transaction.
pub(super) trait Job: Send {
    /// Does it and keeps the result.
    ///
    /// # Errors
    /// When it met something that makes the whole transaction fail. The job's own failure is its result.
    fn run(&mut self, tx: &mut Tx) -> Result<(), Failure>;

    /// Hands the result to whoever waits: after the commit, or with the reason why there is none.
    fn answer(self: Box<Self>, failure: Option<&Failure>);
}

enum Message {
    Job(Box<dyn Job>),
    Close(oneshot::Sender<Result<()>>),
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(super) struct Writer(mpsc::Sender<Message>);

impl Writer {
    /// Starts the thread. It ends after [`close`](Self::close), or when the last `Writer` is gone and all that
    /// waited is written; then it closes the readers and its own connection and lets go of the lock.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(tx: Tx, readers: Arc<Readers>, lock: Lock) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = Thread { tx, readers, lock };
        std::thread::Builder::new().name("chat-sqlite".into()).spawn(move || thread.run(receiver))?;
        Ok(Self(sender))
    }

    /// Puts a job into the queue.
    ///
    /// # Errors
    /// When the queue is full or the store closed.
    pub(super) fn submit(&self, job: impl Job + 'static) -> Result<(), Failure> {
        self.0.try_send(Message::Job(Box::new(job))).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Failure::new("too many writes are waiting"),
            mpsc::error::TrySendError::Closed(_) => Failure::closed(),
        })
    }

    /// Runs `work` in the next transaction; it is whole or not there at all. Once in the queue it runs, also when
    /// this future is dropped.
    ///
    /// # Errors
    /// Those of `work` and of the transaction.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.submit(Call { work: Some(work), result: None, reply }).map_err(Failure::unavailable)?;
        answer.await.unwrap_or_else(|_| Err(Failure::closed().unavailable()))
    }

    /// Ends the thread, after what waits.
    ///
    /// # Errors
    /// Those of the last checkpoint. The data is safe all the same: it is in the log.
    pub(super) async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Message::Close(reply)).await.is_err() {
            return Ok(());
        }
        // Two calls at once: the second one's message is dropped unread, and the store is closed as it wished.
        answer.await.unwrap_or(Ok(()))
    }
}

/// A closure as a [`Job`].
struct Call<W, T> {
    work: Option<W>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnOnce(&mut Tx) -> Result<T> + Send> Job for Call<W, T> {
    fn run(&mut self, tx: &mut Tx) -> Result<(), Failure> {
        let Some(work) = self.work.take() else { return Ok(()) };
        tx.settle()?;
        match work(tx) {
            // Not this job's own doing: the disk is full, or failed.
            Err(StoreError::Unavailable(source)) => Err(StoreError::Unavailable(source).into()),
            result => {
                self.result = Some(result);
                Ok(())
            }
        }
    }

    fn answer(self: Box<Self>, failure: Option<&Failure>) {
        let result = match (failure, self.result) {
            (None, Some(result)) => result,
            (Some(failure), _) => Err(failure.clone().unavailable()),
            (None, None) => Err(Failure::new("the call was not run").other()),
        };
        // Nobody waits any more: the work is done all the same.
        let _ = self.reply.send(result);
    }
}

struct Thread {
    tx: Tx,
    readers: Arc<Readers>,
    lock: Lock,
}

impl Thread {
    fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        let mut waiting = Vec::with_capacity(GATHERED);
        let mut close = None;
        while close.is_none() && receiver.blocking_recv_many(&mut waiting, GATHERED) > 0 {
            let mut jobs = Vec::with_capacity(waiting.len());
            for message in waiting.drain(..) {
                match message {
                    Message::Job(job) => jobs.push(job),
                    Message::Close(reply) => {
                        close = Some(reply);
                        break;
                    }
                }
            }
            self.transaction(jobs);
        }
        drop(receiver);
        let closed = self.finish();
        if let Some(reply) = close {
            let _ = reply.send(closed);
        }
    }

    /// All the jobs, one commit, and only then the answers.
    fn transaction(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() {
            return;
        }
        let run = AssertUnwindSafe(|| {
            self.tx.db.begin()?;
            for job in &mut jobs {
                job.run(&mut self.tx)?;
            }
            self.tx.settle()?;
            self.tx.db.commit()?;
            Ok(())
        });
        // A panic is a bug; without this it would end the thread, and every later call would find the store closed.
        let done = catch_unwind(run).unwrap_or_else(|_| Err(Failure::new("a write panicked")));
        if let Err(failure) = &done {
            tracing::warn!(error = ?failure, calls = jobs.len(), "a transaction was rolled back");
            if let Err(error) = self.tx.rollback() {
                tracing::error!(error = ?error, "the rollback failed too");
            }
        }
        for job in jobs {
            job.answer(done.as_ref().err());
        }
    }

    /// The lock last: whoever gets it finds the file at rest.
    fn finish(self) -> Result<()> {
        let Self { tx, readers, lock } = self;
        readers.close();
        let checkpoint = tx.db.checkpoint();
        drop(tx);
        drop(lock);
        checkpoint
    }
}
