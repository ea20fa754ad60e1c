//! Pictures, as real files: made here by the `image` crate, or by hand where they have to be wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy does not see that the helpers of a test are a test"
)]

use std::io::Cursor;

use bytes::Bytes;
use chat_core::images::{CheckedImage, ImageFormat, ImageLimits, ImageRefused};
use image::{
    AnimationDecoder, DynamicImage, Frame, ImageDecoder, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::{
        gif::{GifDecoder, GifEncoder, Repeat},
        jpeg::JpegEncoder,
        png::{PngDecoder, PngEncoder},
        webp::{WebPDecoder, WebPEncoder},
    },
};

const FORMATS: [(ImageFormat, image::ImageFormat); 4] = [
    (ImageFormat::Png, image::ImageFormat::Png),
    (ImageFormat::Jpeg, image::ImageFormat::Jpeg),
    (ImageFormat::Webp, image::ImageFormat::WebP),
    (ImageFormat::Gif, image::ImageFormat::Gif),
];

async fn check(file: impl Into<Bytes>) -> Result<CheckedImage, ImageRefused> {
    CheckedImage::check(file.into(), ImageLimits::default()).await
}

async fn refused(file: impl Into<Bytes>) -> ImageRefused {
    check(file).await.expect_err("should be refused")
}

/// Red on the left, blue on the right, in blocks that survive JPEG.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([250, 5, 5]) } else { Rgb([5, 5, 250]) })
}

fn file(format: image::ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture(32, 16)).write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A TIFF structure with an orientation, and with a secret where a place would be.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif.extend(b"GPS 48.2082 N");
    exif
}

fn turned(format: ImageFormat, exif: Vec<u8>) -> Vec<u8> {
    fn with(mut encoder: impl ImageEncoder, exif: Vec<u8>) {
        encoder.set_exif_metadata(exif).unwrap();
        DynamicImage::from(picture(32, 16)).write_with_encoder(encoder).unwrap();
    }
    let mut file = Vec::new();
    match format {
        ImageFormat::Png => with(PngEncoder::new(&mut file), exif),
        ImageFormat::Jpeg => with(JpegEncoder::new_with_quality(&mut file, 95), exif),
        ImageFormat::Webp => with(WebPEncoder::new_lossless(&mut file), exif),
        ImageFormat::Gif => unreachable!("a GIF has no EXIF"),
    }
    file
}

fn contains(file: &[u8], text: &str) -> bool {
    file.windows(text.len()).any(|window| window == text.as_bytes())
}

fn gif(frames: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    encoder.set_repeat(Repeat::Infinite).unwrap();
    for n in 0..frames {
        let color = Rgba([n * 10, 0, 0, 255]);
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(8, 6, color))).unwrap();
    }
    drop(encoder);
    file
}

fn png_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(name);
    chunk.extend(data);
    let crc = chunk[4..].iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    });
    chunk.extend((!crc).to_be_bytes());
    chunk
}

fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = [&name[..], &u32::try_from(data.len()).unwrap().to_le_bytes(), data].concat();
    if data.len() % 2 == 1 {
        chunk.push(0);
    }
    chunk
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff_chunk(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
}

/// An animated WebP, made of stills by hand: the image crate writes none.
fn animated_webp(canvas: (u32, u32), frames: usize) -> Vec<u8> {
    let u24 = |number: u32| number.to_le_bytes()[..3].to_vec();
    let still = file(image::ImageFormat::WebP);
    let frame = [
        vec![0; 6],
        u24(31),
        u24(15),
        u24(100),
        vec![0],
        still[12..].to_vec(),
        riff_chunk(b"HIDE", b"secret"),
    ];
    let header = [vec![0x02 | 0x08 | 0x04, 0, 0, 0], u24(canvas.0 - 1), u24(canvas.1 - 1)].concat();
    let mut chunks = vec![riff_chunk(b"VP8X", &header), riff_chunk(b"ANIM", &[0; 6])];
    chunks.extend(std::iter::repeat_n(riff_chunk(b"ANMF", &frame.concat()), frames));
    chunks.push(riff_chunk(b"EXIF", &exif(1)));
    chunks.push(riff_chunk(b"XMP ", b"secret"));
    riff(&chunks)
}

#[tokio::test]
async fn each_format_is_taken() {
    for (format, written) in FORMATS {
        let original = file(written);
        let checked = check(original.clone()).await.unwrap();
        assert_eq!(checked.format(), format);
        assert_eq!(checked.size(), (32, 16));
        let bytes = checked.into_bytes();
        let read = |file: &[u8]| image::load_from_memory_with_format(file, written).unwrap();
        assert_eq!(read(&bytes), read(&original), "{format:?}: the pixels are as they came");
        // Checking again changes nothing.
        assert_eq!(check(bytes.clone()).await.unwrap().into_bytes(), bytes, "{format:?}");
    }
}

#[tokio::test]
async fn what_is_no_picture_is_refused() {
    for other in [
        "",
        "hello",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        "<?xml version=\"1.0\"?><svg/>",
        "<!doctype html><script>alert(1)</script>",
        "%PDF-1.7",
        "PK\u{3}\u{4}",
        "BM",
        " GIF89a",
        "GIF8",
    ] {
        assert_eq!(refused(other).await, ImageRefused::Format, "{other}");
    }
}

#[tokio::test]
async fn truncated_anywhere_is_damaged() {
    for (format, written) in FORMATS {
        let whole = file(written);
        for length in 12..whole.len() {
            let why = refused(whole[..length].to_vec()).await;
            assert_eq!(why, ImageRefused::Damaged, "{format:?} cut to {length} of {}", whole.len());
        }
    }
}

#[tokio::test]
async fn pixels_that_cannot_be_decoded_are_damaged() {
    // Well-formed containers, wrong insides.
    let mut png = file(image::ImageFormat::Png);
    let at = png.windows(4).position(|name| name == b"IDAT").unwrap() + 8;
    png[at] ^= 0xff;
    assert_eq!(refused(png).await, ImageRefused::Damaged);

    let mut webp = file(image::ImageFormat::WebP);
    webp[25..].fill(0xff);
    assert_eq!(refused(webp).await, ImageRefused::Damaged);

    let no_picture = [&gif(1)[..13], b"\x3b"].concat();
    assert_eq!(refused(no_picture).await, ImageRefused::Damaged);

    // A JPEG whose first scan says that it has 255 components.
    let mut jpeg = file(image::ImageFormat::Jpeg);
    let at = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    jpeg[at + 4] = 255;
    assert_eq!(refused(jpeg).await, ImageRefused::Damaged);
}

#[tokio::test]
async fn bytes_are_limited() {
    let file = file(image::ImageFormat::Png);
    let limits = |bytes| ImageLimits { bytes, ..ImageLimits::default() };
    assert!(CheckedImage::check(file.clone().into(), limits(file.len())).await.is_ok());
    let less = file.len() - 1;
    let refused = CheckedImage::check(file.into(), limits(less)).await.unwrap_err();
    assert_eq!(refused, ImageRefused::TooManyBytes(less));
    let too_large = vec![0; (5 << 20) + 1];
    assert_eq!(check(too_large).await.unwrap_err(), ImageRefused::TooManyBytes(5 << 20));
}

#[tokio::test]
async fn pixels_are_limited_by_the_header() {
    let too_many = ImageRefused::TooManyPixels(40_000_000);

    // A PNG that claims 60000x60000 and has nothing to show for it.
    let header = [&60_000u32.to_be_bytes()[..], &60_000u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let png = [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &header)].concat();
    assert_eq!(refused(png).await, too_many);

    let mut jpeg = file(image::ImageFormat::Jpeg);
    let at = jpeg.windows(2).position(|marker| matches!(marker, [0xff, 0xc0..=0xc2])).unwrap();
    jpeg[at + 5..at + 9].fill(0xff);
    assert_eq!(refused(jpeg).await, too_many);

    let mut screen = gif(1);
    screen[6..10].fill(0xff);
    assert_eq!(refused(screen).await, too_many);
    // A small screen and a frame that reaches far over it.
    let mut frame = gif(1);
    let at = frame.windows(9).rposition(|place| place == [0x2c, 0, 0, 0, 0, 8, 0, 6, 0]).unwrap();
    frame[at + 1..at + 5].fill(0xff);
    assert_eq!(refused(frame).await, too_many);

    let mut webp = file(image::ImageFormat::WebP);
    webp[21..25].copy_from_slice(&[0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(refused(webp).await, too_many);
    assert_eq!(refused(animated_webp((1 << 24, 1 << 24), 1)).await, too_many);
}

#[tokio::test]
async fn forty_megapixels_and_not_one_row_more() {
    let black = |width, height| {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::new_luma8(width, height).write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    };
    let checked = check(black(8000, 5000)).await.unwrap();
    assert_eq!(checked.size(), (8000, 5000));
    assert_eq!(refused(black(8000, 5001)).await, ImageRefused::TooManyPixels(40_000_000));
    assert_eq!(refused(black(8000, 5125)).await, ImageRefused::TooManyPixels(40_000_000));
}

#[tokio::test]
async fn metadata_is_removed_and_the_picture_turned() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Webp] {
        for orientation in 0..=9 {
            let original = turned(format, exif(orientation));
            assert!(contains(&original, "GPS"));
            let checked = check(original).await.unwrap();
            assert_eq!(checked.format(), format);
            let size = checked.size();
            let bytes = checked.into_bytes();
            for gone in ["GPS", "Exif", "eXIf", "EXIF"] {
                assert!(!contains(&bytes, gone), "{format:?} {gone}");
            }

            let shown = image::load_from_memory(&bytes).unwrap().into_rgb8();
            assert_eq!(shown.dimensions(), size);
            // Where the red half is, by the definition of the tag.
            let (expected, red) = match orientation {
                2 | 3 => ((32, 16), (28, 8)),
                5 | 6 => ((16, 32), (8, 4)),
                7 | 8 => ((16, 32), (8, 28)),
                _ => ((32, 16), (4, 8)),
            };
            assert_eq!(size, expected, "{format:?} {orientation}");
            let Rgb([r, _, b]) = *shown.get_pixel(red.0, red.1);
            assert!(r > 200 && b < 60, "{format:?} {orientation}");
        }
    }
}

#[tokio::test]
async fn a_turned_picture_is_within_the_limit_too() {
    // Noise: at a higher quality it takes more bytes than it came with.
    let mut state = 1u32;
    let noise = RgbImage::from_fn(128, 128, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, r, g, b] = state.to_le_bytes();
        Rgb([r, g, b])
    });
    let mut original = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut original, 82);
    encoder.set_exif_metadata(exif(6)).unwrap();
    DynamicImage::from(noise).write_with_encoder(encoder).unwrap();

    let limits = |bytes| ImageLimits { bytes, ..ImageLimits::default() };
    let enough = original.len();
    let free = CheckedImage::check(original.clone().into(), limits(enough * 10)).await.unwrap();
    assert!(free.into_bytes().len() > enough, "or this tests nothing");
    let tight = CheckedImage::check(original.into(), limits(enough)).await.unwrap();
    assert!(tight.into_bytes().len() <= enough);
}

#[tokio::test]
async fn text_in_a_png_is_removed() {
    let still = file(image::ImageFormat::Png);
    let chunks = [
        png_chunk(b"tEXt", b"Comment\0secret"),
        png_chunk(b"zTXt", b"Comment\0\0secret"),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0secret"),
        png_chunk(b"tIME", b"\x07\xe8\x01\x01\0\0\0"),
        png_chunk(b"prVt", b"secret"),
        png_chunk(b"gAMA", &45_455u32.to_be_bytes()),
    ];
    let png = [&still[..33], &chunks.concat(), &still[33..]].concat();
    let bytes = check(png).await.unwrap().into_bytes();
    assert!(!contains(&bytes, "secret") && !contains(&bytes, "tIME"));
    assert!(contains(&bytes, "gAMA"), "what the picture needs stays");
}

#[tokio::test]
async fn a_png_keeps_a_profile_but_not_a_bomb() {
    let still = file(image::ImageFormat::Png);
    for (length, kept) in [(64 << 10, true), ((64 << 10) + 1, false)] {
        let png = [&still[..33], &png_chunk(b"iCCP", &vec![0; length]), &still[33..]].concat();
        assert_eq!(contains(&check(png).await.unwrap().into_bytes(), "iCCP"), kept);
    }
}

#[tokio::test]
async fn text_and_thumbnails_in_a_jpeg_are_removed() {
    let jpeg = file(image::ImageFormat::Jpeg);
    assert_eq!(jpeg[2..4], [0xff, 0xe0]);
    let after_jfif = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    let segment = |marker: u8, data: &[u8]| {
        [&[0xff, marker][..], &u16::try_from(data.len() + 2).unwrap().to_be_bytes(), data].concat()
    };
    let with = [
        &jpeg[..2],
        &segment(0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x02\x01secret"),
        &segment(0xe0, b"JFXX\0\x10secret"),
        &segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0secret"),
        &segment(0xe2, b"ICC_PROFILE\0\x01\x01profile"),
        &segment(0xe2, b"MPF\0secret"),
        &segment(0xed, b"Photoshop 3.0\08BIMsecret"),
        &segment(0xfe, b"secret"),
        &jpeg[after_jfif..],
    ]
    .concat();
    let bytes = check(with).await.unwrap().into_bytes();
    assert!(!contains(&bytes, "secret"));
    assert!(contains(&bytes, "JFIF") && contains(&bytes, "ICC_PROFILE"));
}

#[tokio::test]
async fn text_in_a_gif_is_removed() {
    let gif = gif(2);
    let comment = b"\x21\xfe\x06secret\0";
    let text = [&b"\x21\xf9\x04\0\0\0\0\0\x21\x01\x0c"[..], &[0; 12], b"\x06secret\0"].concat();
    let xmp = b"\x21\xff\x0bXMP DataXMP\x06secret\0";
    let at = gif.windows(3).position(|block| block == b"\x21\xff\x0b").unwrap();
    let with = [&gif[..at], comment, &text, xmp, &gif[at..]].concat();
    assert_eq!(check(with).await.unwrap().into_bytes(), gif);

    // The text takes the control before it along: the picture that follows has none.
    let at = gif.windows(3).rposition(|block| block == b"\x21\xf9\x04").unwrap();
    let plain = [&gif[..at], &gif[at + 8..]].concat();
    let with = [&gif[..at], &text, &gif[at + 8..]].concat();
    assert_eq!(check(with).await.unwrap().into_bytes(), plain);
}

#[tokio::test]
async fn foreign_chunks_in_a_webp_are_removed() {
    let webp = file(image::ImageFormat::WebP);
    let with = riff(&[webp[12..].to_vec(), riff_chunk(b"XMP ", b"secret"), riff_chunk(b"HIDE", b"secret!")]);
    assert_eq!(check(with).await.unwrap().into_bytes(), webp);
}

#[tokio::test]
async fn what_stands_behind_a_picture_is_removed() {
    for (format, written) in FORMATS {
        let original = file(written);
        let clean = check(original.clone()).await.unwrap().into_bytes();
        for more in [&b"PK\x03\x04secret"[..], b"<script>secret</script>", &original, b"\xff\xd9"] {
            let polyglot = [&original[..], more].concat();
            assert_eq!(check(polyglot).await.unwrap().into_bytes(), clean, "{format:?}");
        }
    }
}

#[tokio::test]
async fn an_animated_gif_stays_animated() {
    let checked = check(gif(5)).await.unwrap();
    assert_eq!((checked.format(), checked.size()), (ImageFormat::Gif, (8, 6)));
    let bytes = checked.into_bytes();
    let decoder = GifDecoder::new(Cursor::new(&bytes)).unwrap();
    assert!(matches!(decoder.loop_count(), image::metadata::LoopCount::Infinite));
    let frames = decoder.into_frames().collect_frames().unwrap();
    assert_eq!(frames.len(), 5);
    assert_ne!(frames[0].buffer(), frames[4].buffer());
}

#[tokio::test]
async fn an_animated_webp_stays_animated() {
    let original = animated_webp((40, 20), 3);
    assert!(contains(&original, "secret"));
    let checked = check(original).await.unwrap();
    assert_eq!((checked.format(), checked.size()), (ImageFormat::Webp, (40, 20)));
    let bytes = checked.into_bytes();
    for gone in ["secret", "EXIF", "XMP ", "HIDE", "GPS"] {
        assert!(!contains(&bytes, gone), "{gone}");
    }
    let decoder = WebPDecoder::new(Cursor::new(&bytes)).unwrap();
    assert!(decoder.has_animation());
    assert_eq!(decoder.into_frames().collect_frames().unwrap().len(), 3);
}

#[tokio::test]
async fn an_animated_png_stays_animated() {
    let still = file(image::ImageFormat::Png);
    let at = still.windows(4).position(|name| name == b"IDAT").unwrap();
    let length = u32::from_be_bytes(still[at - 4..at].try_into().unwrap()) as usize;
    let data = &still[at + 4..at + 4 + length];
    let control = |sequence: u32, width: u32| {
        let numbers = [sequence, width, 16, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(b"fcTL", &[&numbers[..], &[0, 1, 0, 10, 0, 0]].concat())
    };
    let animated = |width| {
        [
            &still[..33],
            &png_chunk(b"acTL", &[2u32, 0].map(u32::to_be_bytes).concat()),
            &control(0, 32),
            &png_chunk(b"IDAT", data),
            &control(1, width),
            &png_chunk(b"fdAT", &[&2u32.to_be_bytes()[..], data].concat()),
            &png_chunk(b"IEND", b""),
        ]
        .concat()
    };
    let bytes = check(animated(32)).await.unwrap().into_bytes();
    let decoder = PngDecoder::new(Cursor::new(&bytes)).unwrap();
    assert!(decoder.is_apng().unwrap());
    assert_eq!(decoder.apng().unwrap().into_frames().collect_frames().unwrap().len(), 2);
    assert_eq!(refused(animated(33)).await, ImageRefused::Damaged, "a frame reaches over the canvas");
}

#[tokio::test]
async fn an_animation_of_too_many_frames_is_refused() {
    let limits = ImageLimits { pixels: 8 * 6, ..ImageLimits::default() };
    assert!(CheckedImage::check(gif(16).into(), limits).await.is_ok());
    let refused = CheckedImage::check(gif(17).into(), limits).await.unwrap_err();
    assert_eq!(refused, ImageRefused::TooManyPixels(16 * 48));

    let limits = ImageLimits { pixels: 40 * 20, ..ImageLimits::default() };
    assert!(CheckedImage::check(animated_webp((40, 20), 16).into(), limits).await.is_ok());
    assert!(CheckedImage::check(animated_webp((40, 20), 17).into(), limits).await.is_err());
}

#[tokio::test]
async fn a_jpeg_of_endless_scans_is_refused() {
    let jpeg = file(image::ImageFormat::Jpeg);
    let at = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    let end = jpeg.len() - 2;
    let bomb = |scans| [&jpeg[..at], &jpeg[at..end].repeat(scans), &jpeg[end..]].concat();
    assert!(check(bomb(1)).await.is_ok());
    assert_eq!(refused(bomb(65)).await, ImageRefused::Damaged);
}

#[tokio::test]
async fn sixteen_bits_stay_sixteen() {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::new_rgba16(9, 7).write_to(&mut file, image::ImageFormat::Png).unwrap();
    let bytes = check(file.into_inner()).await.unwrap().into_bytes();
    assert_eq!(PngDecoder::new(Cursor::new(&bytes)).unwrap().color_type(), image::ColorType::Rgba16);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once() {
    let tasks: Vec<_> = (0..20).map(|n| tokio::spawn(check(file(FORMATS[n % 4].1)))).collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap().format(), FORMATS[n % 4].0);
    }
}

#[tokio::test]
async fn whatever_is_still_taken_with_a_wrong_byte_is_a_picture() {
    for (format, written) in FORMATS {
        let original = file(written);
        for at in 0..original.len().min(400) {
            for value in [0, 0xff, original[at] ^ 0x01, original[at] ^ 0x80] {
                let mut file = original.clone();
                file[at] = value;
                if let Ok(checked) = check(file).await {
                    let bytes = checked.into_bytes();
                    assert!(image::load_from_memory(&bytes).is_ok(), "{format:?} {at} {value}");
                }
            }
        }
    }
}
