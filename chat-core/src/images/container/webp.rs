//! WebP: a RIFF file of chunks, each a name, a length and data padded to an even length.

use image::metadata::Orientation;

use super::{PixelLimit, Reader, Stripped, orientation};
use crate::images::ImageRefused;

/// Bits of the flags in `VP8X`.
const ANIMATED: u8 = 0x02;
const ALPHA: u8 = 0x10;
const PROFILE: u8 = 0x20;

pub(super) fn strip(file: &[u8], pixels: PixelLimit) -> Result<Stripped, ImageRefused> {
    let mut input = Reader::new(file);
    input.take(4)?;
    let length = u32::from_le_bytes(input.array()?) as usize;
    // What follows the length that it states is not the picture's.
    let mut input = Reader::new(input.take(length)?);
    input.take(4)?;

    let mut header = None;
    let mut profile = false;
    let mut frames = 0;
    let mut still = None;
    let mut turn = Orientation::NoTransforms;
    let mut body = Vec::with_capacity(file.len());
    while !input.is_empty() {
        let (name, data) = chunk(&mut input)?;
        match (&name, header) {
            (b"VP8X", None) if still.is_none() => {
                let found = Header::read(data)?;
                pixels.judge(found.canvas)?;
                header = Some(found);
            }
            (b"VP8X", _) => return Err(ImageRefused::Damaged),
            (b"ICCP", Some(_)) => {
                profile = true;
                copy(&mut body, name, data);
            }
            (b"ANIM", Some(header)) if header.animated() => copy(&mut body, name, data),
            (b"ANMF", Some(header)) if header.animated() => {
                frames += 1;
                pixels.judge_frames(header.canvas, frames)?;
                copy(&mut body, name, &frame(header.canvas, data)?);
            }
            (b"ALPH", Some(header)) if !header.animated() => copy(&mut body, name, data),
            (b"VP8 " | b"VP8L", header)
                if still.is_none() && header.is_none_or(|header| !header.animated()) =>
            {
                let size = stream_size(name, data)?;
                pixels.judge(size)?;
                still = Some(size);
                copy(&mut body, name, data);
            }
            (b"EXIF", _) => turn = orientation(data),
            _ => {}
        }
    }

    let size = match (header, still) {
        (None, Some(size)) => size,
        (Some(header), None) if frames > 0 => header.canvas,
        (Some(header), Some(size)) if header.canvas == size => size,
        _ => return Err(ImageRefused::Damaged),
    };
    let mut bytes = Vec::with_capacity(body.len() + 30);
    bytes.extend_from_slice(b"RIFF\0\0\0\0WEBP");
    if let Some(header) = header {
        copy(&mut bytes, *b"VP8X", &header.write(profile));
    }
    bytes.extend_from_slice(&body);
    let length = length_of(bytes.len() - 8)?;
    bytes[4..8].copy_from_slice(&length);
    Ok(Stripped { bytes, size, orientation: turn, animated: frames > 1 })
}

/// `VP8X`: what the file holds, and the canvas.
#[derive(Clone, Copy)]
struct Header {
    flags: u8,
    canvas: (u32, u32),
}

impl Header {
    fn read(data: &[u8]) -> Result<Self, ImageRefused> {
        let mut data = Reader::new(data);
        let [flags, _, _, _] = data.array()?;
        Ok(Self { flags, canvas: (u24(&mut data)? + 1, u24(&mut data)? + 1) })
    }

    const fn animated(self) -> bool {
        self.flags & ANIMATED != 0
    }

    /// Says only what is still in the file.
    fn write(self, profile: bool) -> [u8; 10] {
        let flags = self.flags & (ANIMATED | ALPHA) | if profile { PROFILE } else { 0 };
        let [w0, w1, w2, _] = (self.canvas.0 - 1).to_le_bytes();
        let [h0, h1, h2, _] = (self.canvas.1 - 1).to_le_bytes();
        [flags, 0, 0, 0, w0, w1, w2, h0, h1, h2]
    }
}

/// A frame of an animation: its place, then chunks of its own, where foreign ones can hide too.
fn frame(canvas: (u32, u32), data: &[u8]) -> Result<Vec<u8>, ImageRefused> {
    let mut input = Reader::new(data);
    let place = input.array::<16>()?;
    let mut numbers = Reader::new(&place);
    let (x, y) = (u24(&mut numbers)? * 2, u24(&mut numbers)? * 2);
    let size = (u24(&mut numbers)? + 1, u24(&mut numbers)? + 1);
    if x + size.0 > canvas.0 || y + size.1 > canvas.1 {
        return Err(ImageRefused::Damaged);
    }

    let mut bytes = place.to_vec();
    let mut found = false;
    while !input.is_empty() {
        let (name, data) = chunk(&mut input)?;
        match &name {
            b"ALPH" => copy(&mut bytes, name, data),
            b"VP8 " | b"VP8L" if !found && stream_size(name, data)? == size => {
                found = true;
                copy(&mut bytes, name, data);
            }
            b"VP8 " | b"VP8L" => return Err(ImageRefused::Damaged),
            _ => {}
        }
    }
    if found { Ok(bytes) } else { Err(ImageRefused::Damaged) }
}

/// The size that the compressed picture itself states: it is this one that a decoder allocates for.
fn stream_size(name: [u8; 4], data: &[u8]) -> Result<(u32, u32), ImageRefused> {
    match (&name, data) {
        (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Ok((side(*w0, *w1), side(*h0, *h1)))
        }
        (b"VP8L", [0x2f, b0, b1, b2, b3, ..]) => {
            let bits = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
            Ok(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => Err(ImageRefused::Damaged),
    }
}

fn u24(input: &mut Reader<'_>) -> Result<u32, ImageRefused> {
    let [b0, b1, b2] = input.array()?;
    Ok(u32::from_le_bytes([b0, b1, b2, 0]))
}

fn chunk<'a>(input: &mut Reader<'a>) -> Result<([u8; 4], &'a [u8]), ImageRefused> {
    let name = input.array()?;
    let length = u32::from_le_bytes(input.array()?) as usize;
    let data = input.take(length)?;
    // Some writers leave out the padding of the last chunk.
    if length % 2 == 1 && !input.is_empty() {
        input.byte()?;
    }
    Ok((name, data))
}

fn copy(bytes: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    bytes.extend_from_slice(&name);
    // It came out of a chunk with a length of four bytes, or is shorter.
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(data);
    if data.len() % 2 == 1 {
        bytes.push(0);
    }
}

fn length_of(bytes: usize) -> Result<[u8; 4], ImageRefused> {
    u32::try_from(bytes).map(u32::to_le_bytes).map_err(|_| ImageRefused::Damaged)
}
