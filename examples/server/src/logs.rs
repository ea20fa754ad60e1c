//! Logs on stderr.

use tracing_subscriber::EnvFilter;

use crate::settings::{BadSetting, LogSettings};

/// Starts logging, once per process.
///
/// # Errors
/// [`BadSetting`] when `RUST_LOG` is not a filter.
pub fn init(settings: &LogSettings) -> Result<(), BadSetting> {
    let filter = EnvFilter::try_new(&settings.filter)
        .map_err(|error| BadSetting { name: "RUST_LOG", reason: error.to_string() })?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    // Whoever has set up logging before keeps theirs.
    let _ = if settings.json { logs.json().try_init() } else { logs.try_init() };
    Ok(())
}
