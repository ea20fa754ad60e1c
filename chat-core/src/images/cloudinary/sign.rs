//! Signatures of requests
//! (<https://cloudinary.com/documentation/authentication_signatures>).

use std::fmt::Write;

use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::SignatureAlgorithm;

/// Over all parameters but the file and the key, in order, with `&` in values encoded: version 2, which keeps a value
/// from passing for further parameters.
pub(super) fn signature(
    parameters: &[(&'static str, String)],
    secret: &str,
    algorithm: SignatureAlgorithm,
) -> String {
    let mut parameters: Vec<_> = parameters.iter().filter(|(_, value)| !value.is_empty()).collect();
    parameters.sort_unstable();
    let mut text = String::new();
    for (name, value) in parameters {
        let separator = if text.is_empty() { "" } else { "&" };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}{name}={}", value.replace('&', "%26"));
    }
    text.push_str(secret);
    match algorithm {
        SignatureAlgorithm::Sha1 => hex(&Sha1::digest(&text)),
        SignatureAlgorithm::Sha256 => hex(&Sha256::digest(&text)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `cloudinary.utils.api_sign_request` of the npm package 2.11.0.
    #[test]
    fn as_the_vendor_signs() {
        let parameters = [
            ("timestamp", "1700000000".to_owned()),
            ("public_id", "a&b=c é".to_owned()),
            ("folder", "chat".to_owned()),
            ("context", String::new()),
            ("transformation", "ar_1.0,c_crop,g_auto/c_limit,h_512,w_512".to_owned()),
        ];
        let of = |algorithm| signature(&parameters, "a secret", algorithm);
        assert_eq!(of(SignatureAlgorithm::Sha1), "939edb6e986d8893a2fe14e99b29e7975c9a9e0b");
        assert_eq!(
            of(SignatureAlgorithm::Sha256),
            "10c50da4376d9b981ae34be5b17036bc28b987ba9bbd029b027489a25aed5af6"
        );
    }
}
