//! Pictures: checked by their bytes, then given to an [`ImageStore`].
//!
//! A picture goes through three hands: [`decode_data_url`] where it came in JSON, [`CheckedImage::check`], and then
//! [`ImageStore::put`], which takes nothing that was not checked.

mod check;
#[cfg(feature = "cloudinary")]
mod cloudinary;
mod container;
mod data_url;
mod decode;
mod disk;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

#[cfg(feature = "cloudinary")]
pub use self::cloudinary::{CloudinaryImages, CloudinaryUrlError, SignatureAlgorithm};
pub use self::{
    check::CheckedImage,
    data_url::{DataUrlError, decode_data_url},
    disk::DiskImages,
};
use crate::BoxError;

/// The kinds of pictures that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// `image/png`
    Png,
    /// `image/jpeg`
    Jpeg,
    /// `image/webp`
    Webp,
    /// `image/gif`
    Gif,
}

impl ImageFormat {
    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// The usual ending of a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Gif => "gif",
        }
    }

    /// The format with this ending.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        [Self::Png, Self::Jpeg, Self::Webp, Self::Gif]
            .into_iter()
            .find(|format| format.extension() == extension)
    }
}

/// Where a picture is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImagePurpose {
    /// The picture of a profile.
    Profile,
    /// A picture in a message.
    Message,
}

/// What is allowed of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageLimits {
    /// Bytes of the file; 5 MiB by default.
    pub bytes: usize,
    /// Width times height; 40,000,000 by default.
    pub pixels: u64,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self { bytes: 5 << 20, pixels: 40_000_000 }
    }
}

/// Why some bytes are not taken as a picture. `Display` is a phrase for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageRefused {
    /// Not one of the formats, whatever its name or declared type says.
    #[error("not a png, jpeg, webp or gif picture")]
    Format,
    /// It begins like a picture but can't be decoded.
    #[error("the picture is damaged")]
    Damaged,
    /// More bytes than allowed.
    #[error("larger than {0} bytes")]
    TooManyBytes(usize),
    /// Too many pictures are being checked at this moment; worth trying again.
    #[error("too many pictures at this moment")]
    Busy,
    /// More pixels than allowed.
    #[error("more than {0} pixels")]
    TooManyPixels(u64),
}

/// An [`ImageStore`] could not do as asked; worth trying again.
#[derive(Debug, thiserror::Error)]
#[error("the image store failed")]
pub struct ImageStoreError {
    /// What happened, for the log.
    #[source]
    pub source: BoxError,
    /// No sooner than this, where that is known.
    pub retry_after: Option<Duration>,
    /// The URL of a picture that may have been kept all the same: the service removes it a little later.
    pub leftover: Option<String>,
}

impl ImageStoreError {
    /// Nothing was kept, and it may be tried again at once.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self { source: source.into(), retry_after: None, leftover: None }
    }
}

/// A picture as it is served.
#[derive(Clone)]
pub struct StoredImage {
    /// Its format.
    pub format: ImageFormat,
    /// The file.
    pub bytes: Bytes,
}

impl fmt::Debug for StoredImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredImage").field("format", &self.format).field("bytes", &self.bytes.len()).finish()
    }
}

/// Keeps pictures and gives each a URL. The embedded one is [`DiskImages`].
#[async_trait]
pub trait ImageStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a picture and returns its URL: absolute, or a path below where the HTTP door is mounted (it begins with
    /// `/`, and the service puts its public URL before it). Nobody can guess it from other URLs.
    ///
    /// # Errors
    /// When it can't be kept now; nothing is kept then, but for what the error calls a leftover.
    async fn put(&self, image: CheckedImage, purpose: ImagePurpose) -> Result<String, ImageStoreError>;

    /// Removes the picture with this URL; one that it does not know, or has removed before, is no error.
    ///
    /// # Errors
    /// When it can't be removed now.
    async fn remove(&self, url: &str) -> Result<(), ImageStoreError>;

    /// The picture with this file name, for stores whose pictures the HTTP door serves at `/api/images/{name}`.
    ///
    /// # Errors
    /// When it can't be read now.
    async fn get(&self, name: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        let _ = name;
        Ok(None)
    }
}
