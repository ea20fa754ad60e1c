//! Pictures, really decoded; and encoded anew where they had to be turned.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageEncoder, ImageResult, Limits,
    codecs::{
        gif::GifDecoder,
        jpeg::{JpegDecoder, JpegEncoder},
        png::{PngDecoder, PngEncoder},
        webp::{WebPDecoder, WebPEncoder},
    },
};

use super::{ImageFormat, ImageLimits, ImageRefused};

/// How well a JPEG is encoded again; the next one is tried where the file would be larger than allowed.
const QUALITIES: [u8; 3] = [90, 80, 70];

/// A picture as pixels.
pub(super) struct Decoded {
    pub(super) image: DynamicImage,
    /// The profile of its colours.
    profile: Option<Vec<u8>>,
}

/// Decodes a picture, of an animation the first frame.
///
/// # Errors
/// [`ImageRefused::Damaged`] when it can't be, or is not of the size that its header was judged by.
pub(super) fn decode(
    format: ImageFormat,
    bytes: &[u8],
    size: (u32, u32),
    limits: ImageLimits,
) -> Result<Decoded, ImageRefused> {
    let mut decoder = decoder(format, bytes, limits).map_err(|_| ImageRefused::Damaged)?;
    if decoder.dimensions() != size {
        return Err(ImageRefused::Damaged);
    }
    let profile = decoder.icc_profile().unwrap_or_default();
    let image = DynamicImage::from_decoder(decoder).map_err(|_| ImageRefused::Damaged)?;
    Ok(Decoded { image, profile })
}

fn decoder(
    format: ImageFormat,
    bytes: &[u8],
    limits: ImageLimits,
) -> ImageResult<Box<dyn ImageDecoder + '_>> {
    let file = Cursor::new(bytes);
    // Eight bytes are the most that a pixel takes (16 bits in four channels), and the decoders need as much again for
    // what they work on, and something for the smallest of pictures.
    let mut allocations = Limits::default();
    allocations.max_alloc = Some(limits.pixels.saturating_mul(16).saturating_add(16 << 20));
    let mut decoder: Box<dyn ImageDecoder + '_> = match format {
        ImageFormat::Png => Box::new(PngDecoder::with_limits(file, allocations.clone())?),
        ImageFormat::Jpeg => Box::new(JpegDecoder::new(file)?),
        ImageFormat::Webp => Box::new(WebPDecoder::new(file)?),
        ImageFormat::Gif => Box::new(GifDecoder::new(file)?),
    };
    decoder.set_limits(allocations)?;
    Ok(decoder)
}

/// Encodes a picture: JPEG stays JPEG, the others stay without loss. A photo that would outgrow the limit without loss
/// becomes a JPEG.
///
/// # Errors
/// [`ImageRefused::TooManyBytes`] when no way of encoding it is within the limit.
pub(super) fn encode(
    decoded: Decoded,
    format: ImageFormat,
    limit: usize,
) -> Result<(ImageFormat, Vec<u8>), ImageRefused> {
    let Decoded { image, profile } = decoded;
    let profile = profile.filter(|profile| fits(profile, &image));
    let fitting = |bytes: &Vec<u8>| bytes.len() <= limit;

    let lossless = match format {
        ImageFormat::Png => Some(write(&image, profile.as_deref(), Target::Png)?),
        ImageFormat::Webp => Some(write(&image, profile.as_deref(), Target::Webp)?),
        ImageFormat::Jpeg | ImageFormat::Gif => None,
    };
    if let Some(bytes) = lossless.filter(fitting) {
        return Ok((format, bytes));
    }
    if image.color().has_alpha() {
        return Err(ImageRefused::TooManyBytes(limit));
    }
    let image = match image {
        image @ (DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_)) => image,
        image => DynamicImage::ImageRgb8(image.into_rgb8()),
    };
    let profile = profile.filter(|profile| fits(profile, &image));
    for quality in QUALITIES {
        let bytes = write(&image, profile.as_deref(), Target::Jpeg(quality))?;
        if fitting(&bytes) {
            return Ok((ImageFormat::Jpeg, bytes));
        }
    }
    Err(ImageRefused::TooManyBytes(limit))
}

/// Whether a profile speaks of the colours that the pixels are in: the decoder turns CMYK into RGB, and then the
/// file's profile is of something else.
fn fits(profile: &[u8], image: &DynamicImage) -> bool {
    let space: &[u8] = if image.color().has_color() { b"RGB " } else { b"GRAY" };
    profile.get(16..20) == Some(space)
}

/// What is written.
#[derive(Clone, Copy)]
enum Target {
    Png,
    Webp,
    Jpeg(u8),
}

fn write(image: &DynamicImage, profile: Option<&[u8]>, target: Target) -> Result<Vec<u8>, ImageRefused> {
    fn to(
        mut encoder: impl ImageEncoder,
        image: &DynamicImage,
        profile: Option<&[u8]>,
    ) -> Result<(), ImageRefused> {
        if let Some(profile) = profile {
            // All three take one; without it the picture is a little paler, and no reason to refuse it.
            let _ = encoder.set_icc_profile(profile.to_vec());
        }
        image.write_with_encoder(encoder).map_err(|_| ImageRefused::Damaged)
    }

    let mut bytes = Vec::new();
    match target {
        Target::Png => to(PngEncoder::new(&mut bytes), image, profile)?,
        Target::Webp => to(WebPEncoder::new_lossless(&mut bytes), image, profile)?,
        Target::Jpeg(quality) => to(JpegEncoder::new_with_quality(&mut bytes, quality), image, profile)?,
    }
    Ok(bytes)
}
