//! The server's times, as a clock on the wall here shows them.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

/// How far local time is from UTC. To be asked before there are threads: afterwards the system's answer is not safe.
pub(crate) fn offset() -> UtcOffset {
    UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC)
}

/// `HH:MM`.
pub(crate) fn time(at: &str, offset: UtcOffset) -> String {
    let text = local(at, offset).and_then(|at| at.format(format_description!("[hour]:[minute]")).ok());
    text.unwrap_or_else(|| "--:--".to_owned())
}

/// `2026-01-31`.
pub(crate) fn day(at: &str, offset: UtcOffset) -> String {
    let text = local(at, offset).and_then(|at| at.format(format_description!("[year]-[month]-[day]")).ok());
    text.unwrap_or_default()
}

fn local(at: &str, offset: UtcOffset) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(at, &Rfc3339).ok()?.checked_to_offset(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times() {
        let offset = UtcOffset::from_hms(2, 0, 0).unwrap();
        let at = "2026-01-31T23:05:00.000Z";
        assert_eq!((time(at, offset).as_str(), day(at, offset).as_str()), ("01:05", "2026-02-01"));
        assert_eq!((time("x\x1b[2J", offset).as_str(), day("", offset).as_str()), ("--:--", ""));
    }
}
