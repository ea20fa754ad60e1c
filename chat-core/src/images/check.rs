//! Pictures are judged by their bytes and leave here without their metadata.

use std::{
    sync::{Arc, LazyLock},
    thread::available_parallelism,
};

use bytes::Bytes;
use image::metadata::Orientation;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{ImageFormat, ImageLimits, ImageRefused, container, decode};

/// Pictures that may be checked or wait for it, each with its file in memory.
static PLACES: Semaphore = Semaphore::const_new(64);

/// As many pictures are decoded at once as there are cores, less the one that the chat needs; the others wait with
/// no more than their bytes. So this bounds the memory too: a picture that uses the default limit up takes up to
/// 320 MB of pixels while it is decoded, and twice that while it is turned.
static DECODERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(cores.saturating_sub(1).max(1)))
});

/// A picture that was checked: its format, its size, and that it can be decoded; metadata removed.
///
/// Where it was taken (EXIF), what an editor noted (XMP, comments, text), thumbnails, and whatever stands behind the
/// picture's end are gone; colour profiles stay. The pixels are as they came, except that a still picture which was
/// marked as turned is turned, because the mark went with the rest. Animations stay animations.
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
    /// Its bytes decide, whatever its name or declared type says. What its header promises is judged before anything
    /// is decoded; then it is decoded, of an animation the first frame, on a thread beside the asynchronous ones and
    /// with no more at once than cores less one. An animation may have 16 times the pixel limit in all its frames
    /// together, each counted as the whole canvas.
    ///
    /// A picture that is turned (see [`CheckedImage`]) is encoded again and then within the limit of bytes as well: a
    /// JPEG with quality 90, or less where it must, PNG and WebP without loss, or as a JPEG where that is too large.
    ///
    /// # Errors
    /// [`ImageRefused`] says why it is not taken.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub async fn check(bytes: Bytes, limits: ImageLimits) -> Result<Self, ImageRefused> {
        if bytes.len() > limits.bytes {
            return Err(ImageRefused::TooManyBytes(limits.bytes));
        }
        let format = container::sniff(&bytes).ok_or(ImageRefused::Format)?;

        // The semaphore is never closed; a permit is all it can give.
        let _place = PLACES.try_acquire().map_err(|_| ImageRefused::Busy)?;
        let permit = Arc::clone(&DECODERS).acquire_owned().await.ok();
        let work = spawn_blocking(move || {
            // Held here and not in the future: when nobody waits any more, the thread is busy all the same.
            let _permit = permit;
            check(format, &bytes, limits)
        });
        work.await.unwrap_or_else(|error| {
            // A decoder that panics on a crafted file must not take more than the file down.
            tracing::error!(?format, panicked = error.is_panic(), "a picture could not be decoded");
            Err(ImageRefused::Damaged)
        })
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

fn check(format: ImageFormat, file: &[u8], limits: ImageLimits) -> Result<CheckedImage, ImageRefused> {
    let stripped = container::strip(format, file, limits.pixels)?;
    // What is decoded is what is kept, and not the file that came.
    let mut decoded = decode::decode(format, &stripped.bytes, stripped.size, limits)?;

    // Turning an animation would leave one frame of it. Nobody makes turned ones.
    let upright = stripped.orientation == Orientation::NoTransforms || stripped.animated;
    let (format, bytes, (width, height)) = if upright {
        (format, stripped.bytes, stripped.size)
    } else {
        decoded.image.apply_orientation(stripped.orientation);
        let size = (decoded.image.width(), decoded.image.height());
        let (format, bytes) = decode::encode(decoded, format, limits.bytes)?;
        (format, bytes, size)
    };
    Ok(CheckedImage { format, width, height, bytes: bytes.into() })
}
