//! More pictures at once than are taken in: on its own, because the places are those of the process.

use chat_core::images::{CheckedImage, ImageLimits, ImageRefused};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_many_is_told_at_once_and_the_rest_is_done() {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(300, 300).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = bytes::Bytes::from(png.into_inner());
    let check = || tokio::spawn(CheckedImage::check(png.clone(), ImageLimits::default()));
    let checks: Vec<_> = (0..300).map(|_| check()).collect();
    let (mut done, mut busy) = (0, 0);
    for checked in checks {
        match checked.await.unwrap() {
            Ok(_) => done += 1,
            Err(ImageRefused::Busy) => busy += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(done >= 64 && busy > 0, "{done} done, {busy} told to come again");
    assert!(check().await.unwrap().is_ok(), "the places came back");
}
