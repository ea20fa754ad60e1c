//! Pictures as they stand in JSON: data URLs.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

/// Why a text is not taken as a data URL. `Display` is a phrase for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataUrlError {
    /// It does not begin as one, or is not in base64.
    #[error("not a data URL of a picture")]
    NotDataUrl,
    /// What follows the comma is not base64: the standard alphabet, padded, without spaces.
    #[error("not valid base64")]
    Base64,
    /// Nothing follows the comma.
    #[error("an empty picture")]
    Empty,
    /// It holds more bytes than allowed.
    #[error("larger than {0} bytes")]
    TooManyBytes(usize),
}

/// The bytes of a data URL in base64: `data:image/png;base64,…`.
///
/// The type that it declares is not read: [`CheckedImage::check`](super::CheckedImage::check) judges by the bytes. The
/// limit is the one of [`ImageLimits`](super::ImageLimits), and holds for the decoded bytes; nothing is decoded or
/// allocated for a longer text.
///
/// # Errors
/// [`DataUrlError`] says what is wrong with it.
///
/// ```
/// use chat_core::images::{DataUrlError, decode_data_url};
///
/// assert_eq!(&decode_data_url("data:image/gif;base64,R0lG", 100)?[..], b"GIF");
/// assert_eq!(decode_data_url("https://example.org/a.gif", 100), Err(DataUrlError::NotDataUrl));
/// # Ok::<_, DataUrlError>(())
/// ```
pub fn decode_data_url(url: &str, limit: usize) -> Result<Bytes, DataUrlError> {
    let (scheme, rest) = url.split_once(':').ok_or(DataUrlError::NotDataUrl)?;
    let (declared, data) = rest.split_once(',').ok_or(DataUrlError::NotDataUrl)?;
    // Both are case-insensitive by RFC 2397; the comma is the first one, because a type has none.
    let (_, encoding) = declared.rsplit_once(';').ok_or(DataUrlError::NotDataUrl)?;
    if !scheme.eq_ignore_ascii_case("data") || !encoding.eq_ignore_ascii_case("base64") {
        return Err(DataUrlError::NotDataUrl);
    }
    if data.is_empty() {
        return Err(DataUrlError::Empty);
    }
    let padding = data.bytes().rev().take(2).take_while(|&byte| byte == b'=').count();
    if data.len() / 4 * 3 > limit.saturating_add(padding) {
        return Err(DataUrlError::TooManyBytes(limit));
    }
    STANDARD.decode(data).map(Bytes::from).map_err(|_| DataUrlError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_out() {
        for url in [
            "data:image/png;base64,AAEC",
            "DATA:IMAGE/PNG;BASE64,AAEC",
            "data:image/svg+xml;charset=utf-8;base64,AAEC",
            "data:;base64,AAEC",
        ] {
            assert_eq!(decode_data_url(url, 3).as_deref(), Ok(&[0u8, 1, 2][..]), "{url}");
        }
        assert_eq!(decode_data_url("data:image/png;base64,AA==", 1).as_deref(), Ok(&[0u8][..]));
    }

    #[test]
    fn others_are_refused() {
        use DataUrlError::{Base64, Empty, NotDataUrl};
        for (url, why) in [
            ("", NotDataUrl),
            ("AAEC", NotDataUrl),
            ("https://example.org/a;base64,AAEC", NotDataUrl),
            ("data:image/png,AAEC", NotDataUrl),
            ("data:image/png;base64", NotDataUrl),
            ("data:image/png;base32,AAEC", NotDataUrl),
            ("data:image/png;base64,", Empty),
            ("data:image/png;base64,AA E", Base64),
            ("data:image/png;base64,AAE", Base64),
            ("data:image/png;base64,AA", Base64),
            ("data:image/png;base64,AB==", Base64),
            ("data:image/png;base64,-_AA", Base64),
            ("data:image/png;base64,AAEC\n", Base64),
            ("data:image/png;base64,%2B", Base64),
        ] {
            assert_eq!(decode_data_url(url, 100), Err(why), "{url}");
        }
    }

    #[test]
    fn the_limit_is_judged_before_decoding() {
        assert_eq!(decode_data_url("data:image/png;base64,AAEC", 2), Err(DataUrlError::TooManyBytes(2)));
        assert_eq!(decode_data_url("data:image/png;base64,AAA=", 1), Err(DataUrlError::TooManyBytes(1)));
        // This is not base64 either; that it is too long is said first, so it was not decoded.
        let long = format!("data:image/png;base64,{}", "!".repeat(4000));
        assert_eq!(decode_data_url(&long, 100), Err(DataUrlError::TooManyBytes(100)));
    }
}
