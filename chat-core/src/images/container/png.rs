//! PNG and animated PNG: a signature, then chunks of length, name, data and checksum, up to `IEND`.

use image::metadata::Orientation;

use super::{PixelLimit, Reader, Stripped, orientation};
use crate::images::ImageRefused;

/// The chunks that say how the picture looks. Not `tEXt`, `zTXt`, `iTXt` (where XMP is), `eXIf`, `tIME`, and not
/// `sPLT`, which carries free text.
const KEPT: [&[u8; 4]; 18] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP",
    b"mDCV", b"cLLI", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];

/// A colour profile is compressed, a thousandfold where somebody means harm, and every reader inflates it. Those of
/// cameras and editors have a few kilobytes; a larger one is left behind.
const LARGEST_PROFILE: usize = 64 << 10;

/// The decoder checks the checksums of what it decodes, so they are only copied here.
pub(super) fn strip(file: &[u8], pixels: PixelLimit) -> Result<Stripped, ImageRefused> {
    let mut input = Reader::new(file);
    let mut bytes = Vec::with_capacity(file.len());
    bytes.extend_from_slice(input.take(8)?);

    let mut size = None;
    let mut frames = 0;
    let mut turn = Orientation::NoTransforms;
    loop {
        let length = u32::from_be_bytes(input.array()?);
        let name = input.array::<4>()?;
        let data = input.take(length as usize)?;
        let checksum = input.array::<4>()?;
        match (&name, size) {
            (b"IHDR", None) => {
                let found = two_u32(data)?;
                pixels.judge(found)?;
                size = Some(found);
            }
            // The header is first and there is one.
            (b"IHDR", Some(_)) | (_, None) => return Err(ImageRefused::Damaged),
            (b"fcTL", Some(canvas)) => {
                frames += 1;
                frame_within(canvas, data)?;
                pixels.judge_frames(canvas, frames)?;
            }
            (b"eXIf", _) => turn = orientation(data),
            _ => {}
        }
        if KEPT.contains(&&name) && !(&name == b"iCCP" && data.len() > LARGEST_PROFILE) {
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&name);
            bytes.extend_from_slice(data);
            bytes.extend_from_slice(&checksum);
        }
        if &name == b"IEND" {
            break;
        }
    }
    let size = size.ok_or(ImageRefused::Damaged)?;
    Ok(Stripped { bytes, size, orientation: turn, animated: frames > 1 })
}

fn two_u32(data: &[u8]) -> Result<(u32, u32), ImageRefused> {
    let mut data = Reader::new(data);
    Ok((u32::from_be_bytes(data.array()?), u32::from_be_bytes(data.array()?)))
}

/// A frame of an animation lies within the canvas.
fn frame_within((width, height): (u32, u32), control: &[u8]) -> Result<(), ImageRefused> {
    // A sequence number stands before the size and the place.
    let (w, h) = two_u32(control.get(4..).unwrap_or_default())?;
    let (x, y) = two_u32(control.get(12..).unwrap_or_default())?;
    let fits = |start: u32, length: u32, end: u32| {
        length > 0 && start.checked_add(length).is_some_and(|sum| sum <= end)
    };
    if fits(x, w, width) && fits(y, h, height) { Ok(()) } else { Err(ImageRefused::Damaged) }
}
