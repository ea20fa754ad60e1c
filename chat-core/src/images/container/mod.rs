//! The four containers, walked part by part: what a picture needs is copied, everything else is left behind.
//!
//! Each walker is an allow-list: a part it does not know (EXIF, XMP, comments, whatever comes next year) is not copied,
//! and nothing after the picture's end is. The pixels are not touched. Sizes are judged as soon as they are read, so
//! a file that promises too much is refused before anything is allocated for it.
//!
//! Written by hand, because `img-parts` has no GIF and keeps all that follows the first scan of a JPEG.

mod gif;
mod jpeg;
mod png;
mod webp;

use image::metadata::Orientation;

use super::{ImageFormat, ImageRefused};

/// How many times the pixel limit all frames of an animation together may have: 640 megapixels by default, which is
/// five minutes of a 480×270 clip, and still less work for the viewer than a second of video.
const FRAMES_FACTOR: u64 = 16;

/// A file without all that a picture does not need.
pub(super) struct Stripped {
    /// The new file.
    pub(super) bytes: Vec<u8>,
    /// The size that its header states.
    pub(super) size: (u32, u32),
    /// How it must be turned; the tag that said so is gone from the file.
    pub(super) orientation: Orientation,
    /// Whether it has more than one frame.
    pub(super) animated: bool,
}

/// The format that the first bytes say. Nothing else is asked: names and declared types lie.
pub(super) fn sniff(file: &[u8]) -> Option<ImageFormat> {
    match file {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(ImageFormat::Png),
        [0xff, 0xd8, 0xff, ..] => Some(ImageFormat::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(ImageFormat::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageFormat::Webp),
        _ => None,
    }
}

/// Walks a file of this format.
///
/// # Errors
/// [`ImageRefused::Damaged`] where its parts do not add up or it ends too early, [`ImageRefused::TooManyPixels`] where
/// its header states more than `limit`.
pub(super) fn strip(format: ImageFormat, file: &[u8], limit: u64) -> Result<Stripped, ImageRefused> {
    let pixels = PixelLimit(limit);
    match format {
        ImageFormat::Png => png::strip(file, pixels),
        ImageFormat::Jpeg => jpeg::strip(file, pixels),
        ImageFormat::Webp => webp::strip(file, pixels),
        ImageFormat::Gif => gif::strip(file, pixels),
    }
}

/// Judges sizes.
#[derive(Clone, Copy)]
struct PixelLimit(u64);

impl PixelLimit {
    /// Judges one frame, or the canvas.
    fn judge(self, (width, height): (u32, u32)) -> Result<(), ImageRefused> {
        match u64::from(width) * u64::from(height) {
            0 => Err(ImageRefused::Damaged),
            pixels if pixels > self.0 => Err(ImageRefused::TooManyPixels(self.0)),
            _ => Ok(()),
        }
    }

    /// Judges an animation by its canvas and not by what each frame covers: a viewer composes the whole canvas for
    /// every frame, so a thousand frames of one pixel on a huge canvas are as dear as a thousand full ones.
    fn judge_frames(self, canvas: (u32, u32), frames: u32) -> Result<(), ImageRefused> {
        self.judge(canvas)?;
        let all = self.0.saturating_mul(FRAMES_FACTOR);
        let pixels = u64::from(canvas.0) * u64::from(canvas.1);
        if frames > 1 && pixels.saturating_mul(frames.into()) > all {
            return Err(ImageRefused::TooManyPixels(all));
        }
        Ok(())
    }
}

/// What a TIFF structure, as EXIF is, says about turning.
fn orientation(exif: &[u8]) -> Orientation {
    // Some writers put the prefix that only JPEG wants into the other containers too.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).unwrap_or(Orientation::NoTransforms)
}

/// Reads a file from its beginning; every read that goes past its end says that the file is damaged.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    const fn new(file: &'a [u8]) -> Self {
        Self { rest: file }
    }

    const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ImageRefused> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ImageRefused::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImageRefused> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ImageRefused::Damaged)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, ImageRefused> {
        self.array::<1>().map(|[byte]| byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), Some(ImageFormat::Png));
        assert_eq!(sniff(b"\xff\xd8\xff\xe0"), Some(ImageFormat::Jpeg));
        assert_eq!(sniff(b"GIF87a"), Some(ImageFormat::Gif));
        assert_eq!(sniff(b"RIFF\0\0\0\0WEBPVP8 "), Some(ImageFormat::Webp));
        for other in
            [&b""[..], b"GIF", b"GIF88a", b"RIFF\0\0\0\0WAVE", b"<svg>", b"%PDF-1.7", b"BM\0\0", b"II*\0"]
        {
            assert_eq!(sniff(other), None, "{other:?}");
        }
    }

    #[test]
    fn frames_are_bounded_by_their_canvas() {
        let limit = PixelLimit(100);
        assert_eq!(limit.judge_frames((10, 10), 16), Ok(()));
        assert_eq!(limit.judge_frames((10, 10), 17), Err(ImageRefused::TooManyPixels(1600)));
        assert_eq!(limit.judge((10, 11)), Err(ImageRefused::TooManyPixels(100)));
        assert_eq!(limit.judge((0, 11)), Err(ImageRefused::Damaged));
        assert_eq!(limit.judge((u32::MAX, u32::MAX)), Err(ImageRefused::TooManyPixels(100)));
    }
}
