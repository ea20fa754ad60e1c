//! Signed texts for one purpose each: what is signed for one is worth nothing for another.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::JwtSecret;

/// Signs and reads what is meant for one purpose, under a key derived from the tokens' secret.
pub(crate) struct Purpose {
    name: &'static str,
    key: Zeroizing<[u8; 32]>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Purpose {
    pub(crate) fn new(secret: &JwtSecret, name: &'static str) -> Self {
        let digest = Sha256::new()
            .chain_update(b"chat-core/purpose/v1/")
            .chain_update(name.as_bytes())
            .chain_update([0])
            .chain_update(secret.bytes());
        let key = Zeroizing::new(<[u8; 32]>::from(digest.finalize()));
        // As for tokens: one algorithm, no leeway.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_audience(&[name]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        let (encoding, decoding) = (EncodingKey::from_secret(&*key), DecodingKey::from_secret(&*key));
        Self { name, key, encoding, decoding, validation }
    }

    /// What `aud` must be.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// `None`: it can't be written as JSON, which does not happen to claims of ours.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Option<String> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding).ok()
    }

    /// What was signed for this purpose and has not expired.
    pub(crate) fn read<T: DeserializeOwned>(&self, text: &str) -> Option<T> {
        jsonwebtoken::decode(text, &self.decoding, &self.validation).ok().map(|token| token.claims)
    }

    /// A digest of these parts that tells nothing of them to who does not have the key.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(parts))
    }

    /// The same as bytes.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut digest = Sha256::new().chain_update(*self.key);
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut mac = [0; 16];
        mac.copy_from_slice(&digest.finalize()[..16]);
        mac
    }
}

impl fmt::Debug for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purpose").field("name", &self.name).finish_non_exhaustive()
    }
}
