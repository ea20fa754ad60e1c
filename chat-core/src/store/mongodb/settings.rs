//! What may be chosen about the connection.

use std::time::Duration;

use mongodb::options::ClientOptions;

/// Choices for [`MongoStore`](super::MongoStore). What is not chosen here comes from the URI, and from there, where it
/// says nothing, from the defaults named below.
#[derive(Debug, Clone, Default)]
#[must_use = "these are choices, not yet a store"]
pub struct MongoSettings {
    max_pool_size: Option<u32>,
    min_pool_size: Option<u32>,
    connect_timeout: Option<Duration>,
    server_selection_timeout: Option<Duration>,
    timeout: Option<Duration>,
    adopt_every: Option<Duration>,
}

impl MongoSettings {
    /// Connections to each server at the most; 64 by default. More calls than that wait for one another.
    pub const fn max_pool_size(mut self, connections: u32) -> Self {
        self.max_pool_size = Some(connections);
        self
    }

    /// Connections that are kept open while nothing happens, so that the first people of the morning do not wait for
    /// handshakes; 4 by default.
    pub const fn min_pool_size(mut self, connections: u32) -> Self {
        self.min_pool_size = Some(connections);
        self
    }

    /// How long one connection may take to open; 5 s by default.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long to look for a server that can be written to; 4 s by default. An election takes 2 to 12 s: what began
    /// in it is tried again as long as its [`timeout`](Self::timeout) lasts.
    pub const fn server_selection_timeout(mut self, timeout: Duration) -> Self {
        self.server_selection_timeout = Some(timeout);
        self
    }

    /// How long one call of the store may take in all, with everything that it tries again; 10 s by default. While
    /// the server is known to be away, calls get a fifth of it.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How often to look for messages and users that another application has written; 1 s by default.
    pub const fn adopt_every(mut self, period: Duration) -> Self {
        self.adopt_every = Some(period);
        self
    }

    /// Completes what the URI says.
    pub(super) fn apply(&self, options: &mut ClientOptions) {
        fn choose<T: Copy>(place: &mut Option<T>, chosen: Option<T>, default: T) {
            *place = Some(chosen.or(*place).unwrap_or(default));
        }
        choose(&mut options.max_pool_size, self.max_pool_size, 64);
        let most = options.max_pool_size.filter(|most| *most > 0).unwrap_or(u32::MAX);
        choose(&mut options.min_pool_size, self.min_pool_size, 4.min(most));
        choose(&mut options.connect_timeout, self.connect_timeout, Duration::from_secs(5));
        choose(&mut options.server_selection_timeout, self.server_selection_timeout, Duration::from_secs(4));
        // Also how long the driver may go on believing that there is no primary, after one said that it is none.
        choose(&mut options.heartbeat_freq, None, Duration::from_secs(1));
        // Proxies and firewalls forget connections that were quiet for longer.
        choose(&mut options.max_idle_time, None, Duration::from_secs(300));
        if options.app_name.is_none() {
            options.app_name = Some("chat-core".to_owned());
        }
    }

    pub(super) fn call_timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(10)).max(Duration::from_millis(100))
    }

    pub(super) fn adoption_period(&self) -> Duration {
        self.adopt_every.unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(10))
    }
}
