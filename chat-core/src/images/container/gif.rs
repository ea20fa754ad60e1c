//! GIF: a screen, then blocks (pictures, extensions), up to the trailer.

use image::metadata::Orientation;

use super::{PixelLimit, Reader, Stripped};
use crate::images::ImageRefused;

const EXTENSION: u8 = 0x21;
const PICTURE: u8 = 0x2c;
const TRAILER: u8 = 0x3b;

pub(super) fn strip(file: &[u8], pixels: PixelLimit) -> Result<Stripped, ImageRefused> {
    let mut input = Reader::new(file);
    let mut bytes = Vec::with_capacity(file.len());
    bytes.extend_from_slice(input.take(6)?);
    let screen = input.array::<7>()?;
    bytes.extend_from_slice(&screen);
    bytes.extend_from_slice(color_table(&mut input, screen[4])?);

    let size = (u16_at(&screen, 0), u16_at(&screen, 2));
    pixels.judge(size)?;
    // Frames may reach over the screen's edge, and viewers enlarge it then; that size is what has to be afforded.
    let mut canvas = size;
    let mut frames = 0;
    // How the next picture is shown: kept only if a picture does follow.
    let mut control: Option<[u8; 4]> = None;
    loop {
        match input.byte()? {
            TRAILER => break,
            EXTENSION => match input.byte()? {
                0xf9 => {
                    let found = sub_blocks(&mut input)?;
                    let data =
                        *found.get(1..).and_then(|data| data.first_chunk()).ok_or(ImageRefused::Damaged)?;
                    control = Some(data);
                }
                0xff => copy_loop_count(&mut bytes, sub_blocks(&mut input)?),
                // Plain text is drawn with the control before it; no browser does, so both go.
                0x01 => {
                    sub_blocks(&mut input)?;
                    control = None;
                }
                _ => {
                    sub_blocks(&mut input)?;
                }
            },
            PICTURE => {
                let place = input.array::<9>()?;
                let edge = |start, length| u16_at(&place, start) + u16_at(&place, length);
                canvas = (canvas.0.max(edge(0, 4)), canvas.1.max(edge(2, 6)));
                frames += 1;
                pixels.judge_frames(canvas, frames)?;

                if let Some(control) = control.take() {
                    bytes.extend_from_slice(&[EXTENSION, 0xf9, 4]);
                    bytes.extend_from_slice(&control);
                    bytes.push(0);
                }
                bytes.push(PICTURE);
                bytes.extend_from_slice(&place);
                bytes.extend_from_slice(color_table(&mut input, place[8])?);
                bytes.push(input.byte()?);
                bytes.extend_from_slice(sub_blocks(&mut input)?);
            }
            _ => return Err(ImageRefused::Damaged),
        }
    }
    if frames == 0 {
        return Err(ImageRefused::Damaged);
    }
    bytes.push(TRAILER);
    Ok(Stripped { bytes, size, orientation: Orientation::NoTransforms, animated: frames > 1 })
}

fn u16_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(bytes[at]) | u32::from(bytes[at + 1]) << 8
}

/// The colours that follow a screen or a picture, if its flags say so.
fn color_table<'a>(input: &mut Reader<'a>, flags: u8) -> Result<&'a [u8], ImageRefused> {
    if flags & 0x80 == 0 {
        return Ok(&[]);
    }
    input.take(3 << ((flags & 7) + 1))
}

/// Blocks with a length before each, up to an empty one; with lengths, and with the empty one.
fn sub_blocks<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], ImageRefused> {
    let mut ahead = Reader::new(input.rest);
    loop {
        let length = ahead.byte()?;
        ahead.take(length.into())?;
        if length == 0 {
            return input.take(input.rest.len() - ahead.rest.len());
        }
    }
}

/// Of all applications' data only how often to repeat is kept, and of that only the count.
fn copy_loop_count(bytes: &mut Vec<u8>, blocks: &[u8]) {
    let rest = blocks.strip_prefix(b"\x0bNETSCAPE2.0").or_else(|| blocks.strip_prefix(b"\x0bANIMEXTS1.0"));
    if let Some([3, 1, low, high, ..]) = rest {
        bytes.extend_from_slice(&[EXTENSION, 0xff]);
        bytes.extend_from_slice(b"\x0bNETSCAPE2.0");
        bytes.extend_from_slice(&[3, 1, *low, *high, 0]);
    }
}
