//! How much of everything.

use std::time::Duration;

use crate::images::ImageLimits;

/// Limits on what people send. Each can be set; the defaults are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Characters of a message's text: 10,000.
    pub text_chars: usize,
    /// Characters of a name: 100.
    pub full_name_chars: usize,
    /// Bytes of an e-mail: 254 (RFC 5321, section 4.5.3.1.3).
    pub email_bytes: usize,
    /// The fewest characters of a password: 8 (OWASP ASVS 5.0, 6.2.1). The most are 72 bytes, which is bcrypt's own.
    pub password_chars: usize,
    /// Pictures: 5 MiB and 40 megapixels.
    pub image: ImageLimits,
    /// Bytes of a request's body: 8 MiB.
    pub body_bytes: usize,
    /// Messages, chats or contacts on a page when nothing is said: 50.
    pub page: usize,
    /// The most of them on a page: 200.
    pub max_page: usize,
    /// How long after it was sent a message can be edited: 15 minutes.
    pub edit_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_chars: 10_000,
            full_name_chars: 100,
            email_bytes: 254,
            password_chars: 8,
            image: ImageLimits::default(),
            body_bytes: 8 << 20,
            page: 50,
            max_page: 200,
            edit_within: Duration::from_secs(15 * 60),
        }
    }
}
