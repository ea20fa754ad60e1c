//! What a process holds, and what its metrics say.

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// `VmRSS` of `/proc/<pid>/status`.
    pub rss: u64,
    /// `Pss` of `/proc/<pid>/smaps_rollup`: shared pages counted in part; 0 where the kernel does not tell.
    pub pss: u64,
}

impl Memory {
    /// Of this process now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        Some(Self { rss: kib(&status, "VmRSS:")?, pss: kib(&rollup, "Pss:").unwrap_or_default() })
    }
}

fn kib(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// The sum over the samples of one metric in Prometheus' text format, or `None` where there is no such metric.
#[must_use]
pub fn metric(text: &str, name: &str) -> Option<f64> {
    let mut samples = text
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with([' ', '{']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .peekable();
    samples.peek()?;
    Some(samples.sum())
}

/// The value below which this part of the samples lies; sorts them.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index"
)]
pub fn quantile(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let at = (samples.len() as f64 * part) as usize;
    samples.get(at).or(samples.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_and_not_confused() {
        let text = "# TYPE chat_connections gauge\nchat_connections{door=\"a\"} 3\nchat_connections{door=\"b\"} 4\n\
                    chat_connections_total 9\n";
        assert_eq!(metric(text, "chat_connections"), Some(7.0));
        assert_eq!(metric(text, "chat_connections_total"), Some(9.0));
        assert_eq!(metric(text, "chat"), None);
    }

    #[test]
    fn own_memory_and_quantiles() {
        assert!(Memory::of(std::process::id()).unwrap().rss > 100);
        let mut samples: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!((quantile(&mut samples, 0.5), quantile(&mut samples, 1.0)), (50.0, 99.0));
    }
}
