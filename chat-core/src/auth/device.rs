//! The device at the other end: what it says of itself.

use std::{fmt, net::IpAddr};

/// Characters of a user agent that are kept.
const USER_AGENT_CHARS: usize = 256;

/// Where a sign-in comes from, as far as that is known; shown in the list of one's sessions.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Its address.
    pub address: Option<IpAddr>,
    /// What it says that it runs.
    pub user_agent: Option<String>,
}

impl Device {
    /// What is kept of the user agent.
    pub(super) fn short_user_agent(&self) -> Option<String> {
        let agent = self.user_agent.as_deref()?.trim();
        let kept: String = agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS).collect();
        (!kept.is_empty()).then_some(kept)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device { .. }")
    }
}

/// Whether two addresses are of one household: the same, or within the same 64 bits of IPv6.
pub(super) fn is_same_household(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() >> 64 == other.to_bits() >> 64,
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn households() {
        let same = |one: &str, other: &str| is_same_household(one.parse().unwrap(), other.parse().unwrap());
        assert!(same("192.0.2.1", "::ffff:192.0.2.1") && same("2001:db8::1", "2001:db8::2"));
        assert!(!same("192.0.2.1", "192.0.2.2") && !same("2001:db8::1", "2001:db8:0:1::1"));
    }

    #[test]
    fn user_agents_are_cut() {
        let of = |agent: &str| Device { user_agent: Some(agent.into()), address: None }.short_user_agent();
        assert_eq!(of(" curl/8\n "), Some("curl/8".into()));
        assert_eq!(of(" "), None);
        assert_eq!(of(&"é".repeat(1000)), Some("é".repeat(USER_AGENT_CHARS)));
    }
}
