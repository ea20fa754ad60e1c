//! `CLOUDINARY_URL`.

use std::borrow::Cow;

use form_urlencoded::parse;
use url::Url;
use zeroize::Zeroizing;

use crate::{BoxError, outbound};

/// How requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureAlgorithm {
    /// Cloudinary's default.
    #[default]
    Sha1,
    /// For accounts that are set to it.
    Sha256,
}

/// Why a `CLOUDINARY_URL` can't be used. Never shows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudinaryUrlError {
    /// It does not have the form.
    #[error("it is not of the form cloudinary://key:secret@cloud")]
    Form,
    /// `signature_algorithm` is something else.
    #[error("signature_algorithm must be sha1 or sha256")]
    Algorithm,
    /// `upload_prefix` is no URL.
    #[error("upload_prefix: {0}")]
    Prefix(String),
    /// There is no TLS to be had.
    #[error("there is no TLS")]
    Tls(#[source] BoxError),
}

/// An account, and where it is.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) cloud: String,
    pub(super) key: String,
    pub(super) secret: Zeroizing<String>,
    pub(super) algorithm: SignatureAlgorithm,
    /// Where the API is.
    pub(super) base: String,
    /// A host of one's own for pictures.
    pub(super) distribution: Option<String>,
}

impl Account {
    pub(super) fn parse(text: &str) -> Result<Self, CloudinaryUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| CloudinaryUrlError::Form)?;
        let cloud = url.host_str().unwrap_or_default();
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let (key, secret) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
        if url.scheme() != "cloudinary"
            || cloud.is_empty()
            || !is_name(cloud)
            || [&key, &secret].iter().any(|part| part.is_empty() || part.contains(char::is_control))
        {
            return Err(CloudinaryUrlError::Form);
        }
        let path = url.path().trim_matches('/');
        let mut account = Self {
            cloud: cloud.to_owned(),
            key,
            secret: Zeroizing::new(secret),
            algorithm: SignatureAlgorithm::default(),
            base: "https://api.cloudinary.com".to_owned(),
            distribution: Some(path.to_owned()).filter(|path| !path.is_empty()),
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "upload_prefix" => {
                    account.base = outbound::base_url(&value).map_err(CloudinaryUrlError::Prefix)?;
                }
                "signature_algorithm" => {
                    account.algorithm = match value.to_ascii_lowercase().as_str() {
                        "sha1" => SignatureAlgorithm::Sha1,
                        "sha256" => SignatureAlgorithm::Sha256,
                        _ => return Err(CloudinaryUrlError::Algorithm),
                    };
                }
                "secure_distribution" => account.distribution = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(account)
    }
}

/// Without its percent signs; `+` is a plus here.
fn decoded(text: &str) -> String {
    let kept = text.replace('+', "%2B");
    parse(format!("x={kept}").as_bytes()).next().map_or(Cow::Borrowed(""), |(_, value)| value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_form_and_its_options() {
        let account = Account::parse("cloudinary://1234:a%2Fb+c@demo").unwrap();
        assert_eq!((account.cloud.as_str(), account.key.as_str()), ("demo", "1234"));
        assert_eq!((account.secret.as_str(), account.base.as_str()), ("a/b+c", "https://api.cloudinary.com"));
        assert_eq!((account.algorithm, account.distribution), (SignatureAlgorithm::Sha1, None));
        let account = Account::parse(
            "cloudinary://k:s@my-cloud_1/img.example.org?upload_prefix=http%3A%2F%2F127.0.0.1%3A8%2F\
             &signature_algorithm=SHA256&secure=true",
        );
        let account = account.unwrap();
        assert_eq!(
            (account.base.as_str(), account.algorithm),
            ("http://127.0.0.1:8", SignatureAlgorithm::Sha256)
        );
        assert_eq!(
            (account.cloud.as_str(), account.distribution.as_deref()),
            ("my-cloud_1", Some("img.example.org"))
        );
    }

    #[test]
    fn others_are_refused_without_being_shown() {
        for bad in [
            "",
            "secret",
            "https://key:hunter2@cloud",
            "cloudinary://key@cloud",
            "cloudinary://:hunter2@cloud",
            "cloudinary://key:hunter2@",
            "cloudinary://key:hunter2@a.b",
            "cloudinary://key:hun%0Ater2@cloud",
            "cloudinary://key:hunter2@cloud?signature_algorithm=md5",
            "cloudinary://key:hunter2@cloud?upload_prefix=x",
        ] {
            let Err(error) = Account::parse(bad) else { panic!("{bad}") };
            assert!(!format!("{error} {error:?}").contains("hun"), "{error:?}");
        }
    }
}
