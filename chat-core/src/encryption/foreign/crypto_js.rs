//! What CryptoJS makes of a text and a passphrase: OpenSSL's salted form.

use std::fmt;

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::{ForeignText, aes_cbc, decode::base64};

/// Reads what `CryptoJS.AES.encrypt(text, passphrase).toString()` gives, `U2FsdGVkX1…`: AES-256-CBC in OpenSSL's salted
/// form, its key and iv derived by `EVP_BytesToKey`, with one round of MD5.
///
/// As CBC notices no change, see [`AesCbc`](super::AesCbc). And as one round of MD5 costs next to nothing, a passphrase
/// that people can remember can be found from one such text.
#[derive(Clone)]
pub struct CryptoJs {
    passphrase: Zeroizing<String>,
}

impl CryptoJs {
    /// With the passphrase of the program that wrote the texts.
    #[must_use]
    pub fn new(passphrase: impl Into<String>) -> Self {
        Self { passphrase: Zeroizing::new(passphrase.into()) }
    }

    /// `EVP_BytesToKey`: each hash goes on from the one before, until there is enough for key and iv.
    fn key_and_iv(&self, salt: &[u8]) -> Zeroizing<[u8; 48]> {
        let mut out = Zeroizing::new([0; 48]);
        for at in [0, 16, 32] {
            let (before, rest) = out.split_at_mut(at);
            let hash = Md5::new()
                .chain_update(&before[at.saturating_sub(16)..])
                .chain_update(self.passphrase.as_bytes())
                .chain_update(salt);
            rest[..16].copy_from_slice(&hash.finalize());
        }
        out
    }
}

impl ForeignText for CryptoJs {
    fn open(&self, body: &str) -> Option<String> {
        let bytes = base64(body)?;
        let (salt, ciphertext) = bytes.strip_prefix(b"Salted__")?.split_at_checked(8)?;
        let derived = self.key_and_iv(salt);
        let (key, iv) = derived.split_first_chunk()?;
        aes_cbc::open(key, iv.try_into().ok()?, ciphertext.to_vec())
    }
}

impl fmt::Debug for CryptoJs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CryptoJs(..)")
    }
}
