//! What the example servers share, whichever framework they run on: settings, the service that these make, logs,
//! metrics, and how to end well.

pub mod drain;
pub mod logs;
pub mod metrics;
pub mod serve;
pub mod settings;
pub mod start;
