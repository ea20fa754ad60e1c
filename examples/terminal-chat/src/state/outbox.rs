//! What is typed and not yet acknowledged. It goes out one after the other, so that the order stays and a server that is
//! in trouble is not flooded; and under a `clientId`, so that sending it again doubles nothing.

use std::time::{Duration, Instant};

use crate::{
    frame::Say,
    model::{Failure, Id},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    Waiting,
    /// Under this number of a frame.
    Sending(u64),
    Failed(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) client_id: String,
    pub(crate) to: Id,
    pub(crate) text: String,
    pub(crate) delivery: Delivery,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pending: Vec<Pending>,
    retry_at: Option<Instant>,
    retries: u32,
}

impl Outbox {
    pub(crate) fn push(&mut self, client_id: String, to: Id, text: String) {
        self.pending.push(Pending { client_id, to, text, delivery: Delivery::Waiting });
    }

    pub(crate) fn to<'a>(&'a self, to: &'a str) -> impl Iterator<Item = &'a Pending> {
        self.pending.iter().filter(move |pending| pending.to == to)
    }

    /// Something is still going to be sent.
    pub(crate) fn is_busy(&self) -> bool {
        self.pending.iter().any(|pending| !matches!(pending.delivery, Delivery::Failed(_)))
    }

    /// The next frame, if it is time for one.
    pub(crate) fn next(&mut self, frame: u64, now: Instant) -> Option<Say> {
        let is_sending = self.pending.iter().any(|pending| matches!(pending.delivery, Delivery::Sending(_)));
        if is_sending || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        let next = self.pending.iter_mut().find(|pending| pending.delivery == Delivery::Waiting)?;
        next.delivery = Delivery::Sending(frame);
        let (to, text, client_id) = (next.to.clone(), next.text.clone(), next.client_id.clone());
        Some(Say::Send { id: frame, to, text, client_id })
    }

    /// It is in the conversation.
    pub(crate) fn arrived(&mut self, client_id: &str) {
        self.pending.retain(|pending| pending.client_id != client_id);
    }

    /// The server did not take it: again later, if that may help. What failed for good is answered.
    pub(crate) fn refused(&mut self, frame: u64, failure: &Failure, now: Instant) -> Option<Pending> {
        let pending = self.pending.iter_mut().find(|pending| pending.delivery == Delivery::Sending(frame))?;
        // The login is over: that is no fault of the message, and the connection is about to end.
        if failure.is_passing() || failure.code == "unauthenticated" {
            pending.delivery = Delivery::Waiting;
            self.retry_at = Some(now + Duration::from_secs(1 << self.retries.min(5)));
            self.retries += 1;
            return None;
        }
        pending.delivery = Delivery::Failed(failure.message.clone());
        Some(pending.clone())
    }

    pub(crate) const fn succeeded(&mut self) {
        self.retries = 0;
        self.retry_at = None;
    }

    /// What was under way may have arrived or not: it is sent again.
    pub(crate) fn disconnected(&mut self) {
        self.succeeded();
        for pending in &mut self.pending {
            if matches!(pending.delivery, Delivery::Sending(_)) {
                pending.delivery = Delivery::Waiting;
            }
        }
    }

    /// Another try for all that failed there.
    pub(crate) fn again(&mut self, to: &str) {
        for pending in self.pending.iter_mut().filter(|pending| pending.to == to) {
            if matches!(pending.delivery, Delivery::Failed(_)) {
                pending.delivery = Delivery::Waiting;
            }
        }
    }

    /// Takes the newest that failed there out.
    pub(crate) fn discard(&mut self, to: &str) -> Option<Pending> {
        let failed = |pending: &Pending| pending.to == to && matches!(pending.delivery, Delivery::Failed(_));
        let at = self.pending.iter().rposition(failed)?;
        Some(self.pending.remove(at))
    }

    pub(crate) const fn wake_at(&self) -> Option<Instant> {
        self.retry_at
    }
}
