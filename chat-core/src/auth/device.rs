//! The device at the other end: what it says of itself, and the proof that it signed in here before.

use std::{fmt, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{JwtSecret, Purpose};
use crate::{Timestamp, store::email_key};

/// How long a device is known after a sign-in.
const KNOWN_FOR: i64 = 365 * 24 * 3600;

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

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    /// A digest of the e-mail.
    acc: String,
}

/// Makes and checks the proofs (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
#[derive(Debug)]
pub(crate) struct Devices(Purpose);

/// How long a device is known.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) const KNOWN_LIFE: Duration = Duration::from_secs(KNOWN_FOR.unsigned_abs());

impl Devices {
    pub(crate) fn new(secret: &JwtSecret) -> Self {
        Self(Purpose::new(secret, "device"))
    }

    /// The proof that somebody signed in to the account with this e-mail on a device.
    pub(crate) fn proof(&self, email: &str, now: Timestamp) -> Option<String> {
        let exp = now.as_millis() / 1000 + KNOWN_FOR;
        let acc = self.0.digest(&[email_key(email).as_bytes()]);
        self.0.sign(&Claims { aud: self.0.name().to_owned(), exp, acc })
    }

    /// Whether this is such a proof, and has not expired.
    pub(crate) fn is_known(&self, email: &str, proof: &str) -> bool {
        let claims = self.0.read::<Claims>(proof);
        claims.is_some_and(|claims| claims.acc == self.0.digest(&[email_key(email).as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(secret: &str) -> Devices {
        Devices::new(&JwtSecret::new(secret).unwrap())
    }

    #[test]
    fn a_proof_is_of_one_account_and_expires() {
        let here = devices("0123456789abcdef0123456789abcdef");
        let now = Timestamp::now();
        let proof = here.proof("Ann@example.org", now).unwrap();
        assert!(here.is_known("ann@EXAMPLE.org", &proof));
        assert!(!here.is_known("bob@example.org", &proof));
        assert!(!devices("another secret of thirty-two bytes").is_known("ann@example.org", &proof));
        let old = here.proof("ann@example.org", Timestamp::from_millis(now.as_millis() - 366 * 86_400_000));
        assert!(!here.is_known("ann@example.org", &old.unwrap()));
        assert!(["", "a.b.c", "x"].iter().all(|bad| !here.is_known("ann@example.org", bad)));
    }

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
