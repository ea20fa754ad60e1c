//! The proof that somebody signed in to an account on this device before, so that strangers who guess at the account do
//! not slow its owner down (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{JwtSecret, Purpose};
use crate::{Timestamp, store::email_key};

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    /// A digest of the e-mail.
    acc: String,
}

/// Makes and checks the proofs.
#[derive(Debug)]
pub(crate) struct Devices(Purpose);

/// How long a device is known after a sign-in.
pub(crate) const KNOWN_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

impl Devices {
    pub(crate) fn new(secret: &JwtSecret) -> Self {
        Self(Purpose::new(secret, "device"))
    }

    /// The proof that somebody signed in to the account with this e-mail on a device.
    pub(crate) fn proof(&self, email: &str, now: Timestamp) -> Option<String> {
        let exp = now.plus(KNOWN_LIFE).as_millis() / 1000;
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
}
