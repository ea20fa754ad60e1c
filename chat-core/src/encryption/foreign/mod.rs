//! Texts that another program encrypted, in its own form.
//!
//! A database that a Node.js program wrote to before holds texts in that program's form. A [`ForeignText`] reads them:
//! the feature `foreign-text` has ready ones for the usual forms, and another form is one small implementation away.
//! Give them to the service by [`foreign_text`](crate::ChatServiceBuilder::foreign_text), and
//! [`rotate`](super::Encryption::rotate) seals what they read in this crate's form.
//!
//! These forms are weaker than that: none is bound to its message, and CBC notices no change at all. Who can write to
//! the database can alter such a text, move it, and, by watching what becomes unreadable, find out what it says. So
//! give decoders only while there are such texts: once `rotate` has come to its end with nothing unreadable, and the
//! old program writes no more, leave them out.
//!
//! # Your own form
//!
//! ```
//! use chat_core::encryption::ForeignText;
//!
//! /// What a program without encryption wrote as `plain:<text>`.
//! #[derive(Debug)]
//! struct Plain;
//!
//! impl ForeignText for Plain {
//!     fn open(&self, body: &str) -> Option<String> {
//!         body.strip_prefix("plain:").map(str::to_owned)
//!     }
//! }
//!
//! assert_eq!(Plain.open("plain:hello").as_deref(), Some("hello"));
//! assert_eq!(Plain.open("something else"), None);
//! ```

#[cfg(feature = "foreign-text")]
mod aes_cbc;
#[cfg(feature = "foreign-text")]
mod aes_gcm;
#[cfg(feature = "foreign-text")]
mod crypto_js;
#[cfg(feature = "foreign-text")]
mod decode;
#[cfg(feature = "foreign-text")]
mod key;
#[cfg(all(test, feature = "foreign-text"))]
mod tests;

#[cfg(feature = "foreign-text")]
pub use self::{
    aes_cbc::AesCbc,
    aes_gcm::AesGcm,
    crypto_js::CryptoJs,
    key::{Aes256Key, InvalidAes256Key},
};

/// Reads the texts that another program encrypted, with the key of that program.
pub trait ForeignText: std::fmt::Debug + Send + Sync + 'static {
    /// The text of a stored body; `None` when the body does not have this form, or can't be read.
    ///
    /// It is asked whenever such a message is shown. It gets no body in this crate's own form, and no empty one.
    fn open(&self, body: &str) -> Option<String>;
}
