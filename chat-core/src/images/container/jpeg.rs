//! JPEG: segments behind markers, and entropy-coded scans, up to the end marker.

use image::metadata::Orientation;

use super::{PixelLimit, Reader, Stripped, orientation};
use crate::images::ImageRefused;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// A progressive picture has about ten scans. Each costs a decoder a pass over the whole picture, however few bytes it
/// has, so thousands of empty ones in a small file would keep a core busy for minutes.
const MAX_SCANS: u32 = 64;

pub(super) fn strip(file: &[u8], pixels: PixelLimit) -> Result<Stripped, ImageRefused> {
    let mut input = Reader::new(file);
    let mut bytes = Vec::with_capacity(file.len());
    bytes.extend_from_slice(input.take(2)?);

    let mut size = None;
    let mut scans = 0;
    let mut turn = Orientation::NoTransforms;
    loop {
        let marker = next_marker(&mut input)?;
        match marker {
            EOI => break,
            SOI => return Err(ImageRefused::Damaged),
            // Markers without a segment; outside of a scan they mean nothing.
            0x01 | 0xd0..=0xd7 => continue,
            _ => {}
        }
        let data = segment(&mut input)?;
        match marker {
            // Start of frame, in all its kinds.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                // Two headers with two sizes: which one counts would be up to the reader.
                if size.is_some() {
                    return Err(ImageRefused::Damaged);
                }
                let found = frame_size(data)?;
                pixels.judge(found)?;
                size = Some(found);
                copy(&mut bytes, marker, data);
            }
            // Tables: Huffman, arithmetic, quantisation, restart interval.
            0xc4 | 0xcc | 0xdb | 0xdd => copy(&mut bytes, marker, data),
            // JFIF: version and density; not the thumbnail, which may show what was cut away.
            0xe0 if data.starts_with(b"JFIF\0") => {
                let head = data.get(..12).ok_or(ImageRefused::Damaged)?;
                copy(&mut bytes, marker, &[head, &[0, 0]].concat());
            }
            0xe1 if data.starts_with(b"Exif\0\0") => turn = orientation(data),
            0xe2 if data.starts_with(b"ICC_PROFILE\0") => copy(&mut bytes, marker, data),
            // Adobe's, without which the colours of some pictures are wrong.
            0xee if data.starts_with(b"Adobe") => {
                copy(&mut bytes, marker, data.get(..12).ok_or(ImageRefused::Damaged)?);
            }
            SOS => {
                scans += 1;
                if size.is_none() || scans > MAX_SCANS {
                    return Err(ImageRefused::Damaged);
                }
                copy(&mut bytes, marker, data);
                bytes.extend_from_slice(entropy(&mut input)?);
            }
            _ => {}
        }
    }
    bytes.extend_from_slice(&[0xff, EOI]);
    match size {
        Some(size) if scans > 0 => Ok(Stripped { bytes, size, orientation: turn, animated: false }),
        _ => Err(ImageRefused::Damaged),
    }
}

/// The next marker. Bytes before it belong to nothing; decoders skip them, and here they are left behind.
fn next_marker(input: &mut Reader<'_>) -> Result<u8, ImageRefused> {
    loop {
        while input.byte()? != 0xff {}
        // Any number of 0xff may stand before the marker as filling.
        let marker = loop {
            match input.byte()? {
                0xff => {}
                marker => break marker,
            }
        };
        if marker != 0 {
            return Ok(marker);
        }
    }
}

/// The data of a segment. Its length counts itself.
fn segment<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], ImageRefused> {
    let length = u16::from_be_bytes(input.array()?);
    input.take(length.checked_sub(2).ok_or(ImageRefused::Damaged)?.into())
}

/// Entropy-coded data: up to a marker that is neither an escaped 0xff nor a restart.
fn entropy<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], ImageRefused> {
    let data = input.rest;
    let mut at = 0;
    loop {
        at += data[at..].iter().position(|&byte| byte == 0xff).ok_or(ImageRefused::Damaged)?;
        match data.get(at + 1).ok_or(ImageRefused::Damaged)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return input.take(at),
        }
    }
}

fn frame_size(data: &[u8]) -> Result<(u32, u32), ImageRefused> {
    let mut data = Reader::new(data);
    let _precision = data.byte()?;
    let height = u16::from_be_bytes(data.array()?);
    let width = u16::from_be_bytes(data.array()?);
    Ok((width.into(), height.into()))
}

/// Copies a segment that is no longer than it was.
fn copy(bytes: &mut Vec<u8>, marker: u8, data: &[u8]) {
    // It came out of a segment with a length of two bytes, or is shorter.
    let length = u16::try_from(data.len() + 2).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&[0xff, marker]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(data);
}
