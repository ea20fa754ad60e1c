//! Figures for Prometheus.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use chat_core::ChatService;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    path: String,
    status: u16,
}

/// The figures of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    durations: Histogram,
    connections: Gauge,
    users_online: Gauge,
    events: Counter<u64, AtomicU64>,
    closed_slow: Counter<u64, AtomicU64>,
    outbox_done: Counter<u64, AtomicU64>,
    outbox_failed: Counter<u64, AtomicU64>,
    outbox_given_up: Counter<u64, AtomicU64>,
    shield_asked: Counter<u64, AtomicU64>,
    shield_cached: Counter<u64, AtomicU64>,
    shield_fallbacks: Counter<u64, AtomicU64>,
    shield_reports_dropped: Counter<u64, AtomicU64>,
    chat: ChatService,
}

impl Metrics {
    /// The figures of a server of this service.
    #[must_use]
    pub fn new(chat: &ChatService) -> Self {
        let inner = Inner {
            registry: Mutex::default(),
            requests: Family::default(),
            durations: Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]),
            connections: Gauge::default(),
            users_online: Gauge::default(),
            events: Counter::default(),
            closed_slow: Counter::default(),
            outbox_done: Counter::default(),
            outbox_failed: Counter::default(),
            outbox_given_up: Counter::default(),
            shield_asked: Counter::default(),
            shield_cached: Counter::default(),
            shield_fallbacks: Counter::default(),
            shield_reports_dropped: Counter::default(),
            chat: chat.clone(),
        };
        {
            let mut registry = inner.registry.lock().unwrap_or_else(PoisonError::into_inner);
            let r = &mut *registry;
            r.register(
                "http_requests",
                "Requests by method, path template and status",
                inner.requests.clone(),
            );
            r.register("http_request_duration_seconds", "From head to answer", inner.durations.clone());
            r.register("chat_connections", "Live connections", inner.connections.clone());
            r.register("chat_users_online", "Users who are here", inner.users_online.clone());
            r.register("chat_events_delivered", "Events queued for connections", inner.events.clone());
            r.register(
                "chat_slow_connections_closed",
                "Closed for reading too slowly",
                inner.closed_slow.clone(),
            );
            for (name, help, counter) in [
                ("chat_shield_asked", "Questions to Arcjet", &inner.shield_asked),
                ("chat_shield_cached", "Refusals by an answer of before", &inner.shield_cached),
                ("chat_shield_fallbacks", "Decided by the embedded shield alone", &inner.shield_fallbacks),
                ("chat_shield_reports_dropped", "Reports not taken", &inner.shield_reports_dropped),
            ] {
                r.register(name, help, counter.clone());
            }
            r.register(
                "chat_outbox_done",
                "Mails handed over, and pictures removed",
                inner.outbox_done.clone(),
            );
            r.register(
                "chat_outbox_failed",
                "Attempts at that which failed; most are made again",
                inner.outbox_failed.clone(),
            );
            r.register("chat_outbox_given_up", "Mails and removals given up", inner.outbox_given_up.clone());
        }
        Self(Arc::new(inner))
    }

    /// Counts a request. `path` is a template, so that the number of series is bounded.
    pub fn request(&self, method: &str, path: &str, status: u16, took: Duration) {
        let labels = Request { method: method.to_owned(), path: path.to_owned(), status };
        self.0.requests.get_or_create(&labels).inc();
        self.0.durations.observe(took.as_secs_f64());
    }

    /// The page for Prometheus, in the OpenMetrics text format.
    #[must_use]
    pub fn page(&self) -> String {
        let stats = self.0.chat.stats();
        self.0.connections.set(i64::try_from(stats.connections).unwrap_or(i64::MAX));
        self.0.users_online.set(i64::try_from(stats.users_online).unwrap_or(i64::MAX));
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that two pages at once do not add the same difference twice.
        raise(&self.0.events, stats.events_delivered);
        raise(&self.0.closed_slow, stats.slow_connections_closed);
        raise(&self.0.shield_asked, stats.shield.asked);
        raise(&self.0.shield_cached, stats.shield.cached);
        raise(&self.0.shield_fallbacks, stats.shield.fallbacks);
        raise(&self.0.shield_reports_dropped, stats.shield.reports_dropped);
        raise(&self.0.outbox_done, stats.outbox_done);
        raise(&self.0.outbox_failed, stats.outbox_failed);
        raise(&self.0.outbox_given_up, stats.outbox_given_up);
        let mut page = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut page, &registry);
        page
    }
}

fn raise(counter: &Counter<u64, AtomicU64>, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
