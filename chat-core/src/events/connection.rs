//! One live connection: what happens, without a gap, and where its client stands.
//!
//! What changes something stands in the user's feed, at a position, and is told live along with that. A connection that
//! goes on from a cursor reads the feed first. Meanwhile the hub leaves out what stands there, so that its queue does not
//! grow with what was missed; when the feed is read to its end the hub is told so, and then the feed is looked at once
//! more, for what was left out until then. A live connection knows up to which position it has everything: where a
//! position stays out (another process told of it, or it was told late), it reads the feed again from there.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};
use tokio_util::sync::ReusableBoxFuture;

use super::{
    CloseReason, ConnectionId, Cursor, Delivery, Event, SharedEvent,
    feed::{Look, Source},
    hub::{Link, Queued, Standing},
};
use crate::{UserId, store};

/// How long a position may stay out before the feed is asked for it; how long to wait for a store that is away.
const PATIENCE: Duration = Duration::from_secs(1);
/// Positions that may have come before one that stays out.
const AHEAD: usize = 1024;
/// How often to look for what was to be told later, with twice the time in between each time: for two minutes in all.
const LOOKS: u32 = 7;

/// One live connection of a user: a bounded queue of events. To drop it is to disconnect.
pub struct Connection {
    link: Link,
    reader: Arc<dyn Source>,
    stage: Stage,
    /// It has everything up to here, and began here.
    position: u64,
    start: u64,
    /// What it has beyond that.
    ahead: BTreeSet<u64>,
    /// Its cursor was of no use.
    must_resync: bool,
    /// Looks that are left for what was to be told later.
    looks: u32,
    /// There is something new in the feed.
    has_news: bool,
    /// So much of the queue was there before it was known where the feed ends.
    early: usize,
    ready: VecDeque<Delivery>,
    reading: Option<ReusableBoxFuture<'static, store::Result<Look>>>,
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Where the feed ends is not known yet.
    Unknown,
    /// Reads the feed; the hub leaves out what stands there.
    Behind,
    /// Reads the feed once more, while what is told waits in the queue.
    LastLook,
    Live,
}

impl Connection {
    pub(super) fn new(link: Link, reader: Arc<dyn Source>) -> Self {
        Self {
            link,
            reader,
            stage: Stage::Unknown,
            position: 0,
            start: 0,
            ahead: BTreeSet::new(),
            must_resync: false,
            looks: 0,
            has_news: false,
            early: 0,
            ready: VecDeque::new(),
            reading: None,
            pause: None,
        }
    }

    /// Goes on from this cursor: first what changed since, then what happens, at least once and per chat in order. One
    /// that can't be served gives [`Event::Resync`]. Costs in proportion to what was missed, and no more memory than a
    /// step of it.
    #[must_use]
    pub fn since(mut self, cursor: &str) -> Self {
        (self.reading, self.pause) = (None, None);
        match self.reader.position(self.link.user, cursor) {
            Some(position) => {
                (self.position, self.start) = (position, position);
                self.fall_behind();
            }
            None => self.must_resync = true,
        }
        self
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.link.id
    }

    /// Whose it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.link.user
    }

    /// Why the service closed it, once it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.link.close_reason()
    }

    /// Where a client stands that has got what was read from here until now. Waits for the store where that is not known
    /// yet; a door bounds that in time.
    ///
    /// Cancel-safe.
    pub async fn cursor(&mut self) -> Cursor {
        std::future::poll_fn(|context| {
            while self.stage == Stage::Unknown {
                if !self.poll_feed(context) {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
        self.reader.sign(self.link.user, self.position)
    }

    /// Whether it is to be told first that its cursor was of no use: until then it must not be given another one.
    #[cfg(any(feature = "socketio", feature = "websocket"))]
    pub(crate) const fn must_resync(&self) -> bool {
        self.must_resync
    }

    /// The next event; `None` when the service closed the connection and everything queued before was read.
    ///
    /// Cancel-safe: a dropped future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Self::next), for streams.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Poll::Ready(Some(delivery));
            }
            if self.poll_feed(context) {
                continue;
            }
            if self.stage == Stage::LastLook && self.close_reason().is_none() {
                return Poll::Pending;
            }
            match self.link.poll_next(context) {
                Poll::Ready(Some(queued)) => {
                    if let Some(delivery) = self.take(queued) {
                        return Poll::Ready(Some(delivery));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Works on what the feed is needed for. `false`: there is nothing to do, or it waits.
    fn poll_feed(&mut self, context: &mut Context<'_>) -> bool {
        if self.close_reason().is_some() {
            return false;
        }
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return false;
            }
            self.pause = None;
            if self.stage == Stage::Live && (!self.ahead.is_empty() || self.looks > 0) {
                self.fall_behind();
            }
        }
        if self.stage == Stage::Live {
            if self.link.has_left_out() {
                self.looks = LOOKS;
            }
            if std::mem::take(&mut self.has_news) || self.ahead.len() > AHEAD {
                self.fall_behind();
            } else if !self.ahead.is_empty() || self.looks == LOOKS {
                self.pause = Some(Box::pin(sleep(PATIENCE)));
            } else if self.looks > 0 {
                self.pause = Some(Box::pin(sleep(PATIENCE * (1 << (LOOKS - self.looks).min(LOOKS)))));
            } else {
                return false;
            }
            return true;
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (reader, user, position) = (self.reader.clone(), self.link.user, self.position);
            match self.stage {
                Stage::Unknown => ReusableBoxFuture::new(reader.end(user)),
                _ => ReusableBoxFuture::new(reader.after(user, position)),
            }
        });
        let Poll::Ready(look) = reading.poll(context) else { return false };
        self.reading = None;
        match look {
            Ok(look) => self.looked(look),
            Err(error) => {
                tracing::debug!(%error, "a feed can't be read now");
                if self.stage == Stage::LastLook {
                    self.fall_behind();
                }
                self.pause = Some(Box::pin(sleep(PATIENCE)));
            }
        }
        true
    }

    fn looked(&mut self, look: Look) {
        match look {
            Look::End(end) => {
                (self.position, self.start) = (end, end);
                self.early = self.link.queued();
                self.stage = Stage::Live;
                if std::mem::take(&mut self.must_resync) {
                    self.resync();
                }
            }
            Look::Lost(end) => {
                (self.position, self.start) = (end, end);
                self.ahead.clear();
                self.resync();
            }
            Look::Batch { events, position, is_end } => {
                let count = events.len();
                let before = self.position;
                self.position = self.position.max(position);
                self.absorb();
                for (index, (event, known)) in events.into_iter().enumerate() {
                    // Behind the last one is what needs no event, or was told live.
                    let position = if index + 1 == count { self.position } else { known.max(before) };
                    let cursor = Some(self.reader.sign(self.link.user, position));
                    self.ready.push_back(Delivery { event, cursor });
                }
                match (self.stage, is_end) {
                    (Stage::LastLook, true) => {
                        self.stage = Stage::Live;
                        self.looks = self.looks.saturating_sub(1);
                    }
                    (_, true) => {
                        self.link.set_behind(false);
                        self.stage = Stage::LastLook;
                    }
                    (_, false) => self.fall_behind(),
                }
            }
        }
    }

    fn resync(&mut self) {
        let cursor = Some(self.reader.sign(self.link.user, self.position));
        self.ready.push_back(Delivery { event: SharedEvent::new(Event::Resync {}), cursor });
    }

    fn fall_behind(&mut self) {
        self.link.set_behind(true);
        self.stage = Stage::Behind;
    }

    /// What of the queue is to be told.
    fn take(&mut self, Queued { event, standing }: Queued) -> Option<Delivery> {
        let is_early = self.stage == Stage::Unknown || self.early > 0;
        self.early = self.early.saturating_sub(1);
        if standing == Standing::Passing {
            return event.map(|event| Delivery { event, cursor: None });
        }
        if standing == Standing::News {
            // Who reads it just now comes to that.
            self.has_news = self.stage != Stage::Behind;
            if self.stage == Stage::Live {
                // What comes after it in the queue must not pass it.
                self.pause = None;
            }
            if event.is_some() {
                self.looks = LOOKS;
            }
            // The end of the feed may be behind that already.
            return event.filter(|_| is_early).map(|event| Delivery { event, cursor: None });
        }
        if self.stage == Stage::Behind {
            // It stands in the feed, behind what is read just now, or will.
            if standing == Standing::Later {
                self.looks = LOOKS;
            }
            return None;
        }
        if let Standing::At { position, is_last } = standing {
            if self.start < position && position <= self.position {
                // The feed told of it.
                return None;
            }
            if is_last && self.stage != Stage::Unknown && position > self.position {
                self.ahead.insert(position);
                self.absorb();
            }
        }
        let is_known = self.stage != Stage::Unknown;
        let cursor = is_known.then(|| self.reader.sign(self.link.user, self.position));
        event.map(|event| Delivery { event, cursor })
    }

    /// What follows without a hole is no longer ahead.
    fn absorb(&mut self) {
        while let Some(next) = self.ahead.first().copied().filter(|next| *next <= self.position + 1) {
            self.position = self.position.max(next);
            self.ahead.remove(&next);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.link.id)
            .field("user", &self.link.user)
            .field("stage", &self.stage)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
