//! Pictures, good and bad.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat, RgbImage};

/// A small picture in this format.
#[must_use]
pub fn small(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(8, 6, |x, y| {
        image::Rgb([(x * 30).to_le_bytes()[0], (y * 40).to_le_bytes()[0], 90])
    });
    encode(&picture.into(), format)
}

/// A PNG of noise, which does not shrink: about `width * height * 3` bytes.
#[must_use]
pub fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut picture = RgbImage::new(width, height);
    getrandom::fill(&mut picture).expect("the system has random numbers");
    encode(&picture.into(), ImageFormat::Png)
}

/// A PNG of one grey, which shrinks to next to nothing.
#[must_use]
pub fn blank(width: u32, height: u32) -> Vec<u8> {
    encode(&DynamicImage::new_luma8(width, height), ImageFormat::Png)
}

/// A JPEG with this text in its metadata.
#[must_use]
pub fn jpeg_with_metadata(text: &str) -> Vec<u8> {
    let mut jpeg = small(ImageFormat::Jpeg);
    for (marker, prefix) in [(0xE1, "Exif\0\0"), (0xFE, "")] {
        let content = format!("{prefix}{text}");
        let [high, low] = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        let segment: Vec<u8> = [0xFF, marker, high, low].into_iter().chain(content.into_bytes()).collect();
        // Right after the start of the image.
        jpeg.splice(2..2, segment);
    }
    jpeg
}

/// As a front end sends it.
#[must_use]
pub fn data_url(mime: &str, bytes: &[u8]) -> String {
    format!("data:{mime};base64,{}", STANDARD.encode(bytes))
}

/// A small PNG as a data URL.
#[must_use]
pub fn png_url() -> String {
    data_url("image/png", &small(ImageFormat::Png))
}

/// The formats that the contract names, each with its type.
pub const FORMATS: [(ImageFormat, &str); 4] = [
    (ImageFormat::Png, "image/png"),
    (ImageFormat::Jpeg, "image/jpeg"),
    (ImageFormat::WebP, "image/webp"),
    (ImageFormat::Gif, "image/gif"),
];

/// Data URLs that are no picture that may be taken, each with what is wrong.
#[must_use]
pub fn bad_urls() -> Vec<(&'static str, String)> {
    let png = small(ImageFormat::Png);
    let half = png.get(..png.len() / 2).unwrap();
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    vec![
        ("half a picture", data_url("image/png", half)),
        ("only the first bytes", data_url("image/png", png.get(..8).unwrap())),
        ("text that claims to be a picture", data_url("image/png", b"not a picture at all")),
        (
            "a page that claims to be a picture",
            data_url("image/png", b"<html><script>alert(1)</script></html>"),
        ),
        ("an svg", data_url("image/svg+xml", svg)),
        ("an svg that claims to be a png", data_url("image/png", svg)),
        ("a bmp", data_url("image/bmp", &[b'B', b'M', 0, 0, 0, 0])),
        ("nothing", data_url("image/png", b"")),
        ("not base64", "data:image/png;base64,%%%%".to_owned()),
        ("no data", "data:image/png;base64".to_owned()),
        ("not a data URL", "hello".to_owned()),
        ("a web address", "https://example.org/cat.png".to_owned()),
        ("a path", "file:///etc/passwd".to_owned()),
    ]
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_they_say() {
        for (format, _) in FORMATS {
            assert_eq!(image::guess_format(&small(format)).unwrap(), format);
            image::load_from_memory(&small(format)).unwrap();
        }
        let jpeg = jpeg_with_metadata("here");
        assert!(jpeg.windows(4).any(|part| part == b"here"));
        image::load_from_memory(&jpeg).unwrap();
        assert!(noise(100, 100).len() > 30_000);
        assert!(blank(1000, 1000).len() < 30_000);
    }
}
