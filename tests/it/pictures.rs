//! Pictures from strangers: what becomes of good ones, and that bad ones cost nothing.

use image::{GenericImageView, ImageFormat};
use orgledger::{
    domain::organization::logo::MediaType,
    pictures::{LARGEST_FILE, LOGO_SIDE, Picture, Unfit},
};

use crate::support::pictures::{PNG_SIGNATURE, PRIVATE, bomb, claims, encoded, jpeg, jpeg_with_exif, picture, png};

/// What was kept, decoded again.
fn shown(kept: &Picture) -> image::DynamicImage {
    image::load_from_memory(&kept.bytes).unwrap()
}

fn contains(file: &[u8], part: &[u8]) -> bool {
    file.windows(part.len()).any(|window| window == part)
}

/// The most memory that this process ever held, in KiB, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn png_and_webp_become_png_and_jpeg_stays_jpeg() {
    let picture = picture(60, 40, 0);
    for (format, kept) in
        [(ImageFormat::Png, MediaType::Png), (ImageFormat::WebP, MediaType::Png), (ImageFormat::Jpeg, MediaType::Jpeg)]
    {
        let logo = Picture::logo(&encoded(&picture, format)).unwrap();
        assert_eq!(logo.logo.media_type, kept, "{format:?}");
        assert_eq!(image::guess_format(&logo.bytes).unwrap().to_mime_type(), kept.name());
        assert_eq!(shown(&logo).dimensions(), (60, 40));
        assert_eq!(Picture::logo(&encoded(&picture, format)).unwrap().logo, logo.logo, "the same again is the same");
    }
}

#[test]
fn large_pictures_are_scaled_down_and_keep_their_shape() {
    for ((width, height), wanted) in [((900, 600), (512, 341)), ((64, 2100), (16, 512)), ((512, 300), (512, 300))] {
        let logo = Picture::logo(&encoded(&picture(width, height, 0), ImageFormat::Png)).unwrap();
        let (width, height) = shown(&logo).dimensions();
        assert_eq!((width.max(height), height), (wanted.0.max(wanted.1).min(LOGO_SIDE), wanted.1), "{wanted:?}");
    }
}

#[test]
fn a_turned_photograph_stands_upright_and_does_not_say_where_it_was_taken() {
    let file = jpeg_with_exif();
    assert!(contains(&file, PRIVATE) && contains(&file, b"Exif"));
    let logo = Picture::logo(&file).unwrap();
    assert!(!contains(&logo.bytes, PRIVATE) && !contains(&logo.bytes, b"Exif"));
    let upright = shown(&logo);
    assert_eq!(upright.dimensions(), (48, 64), "64 by 48, and turned");
    let (red, blue) = (upright.get_pixel(24, 5).0[0], upright.get_pixel(24, 58).0[2]);
    assert!(red > 200 && blue > 200, "what was left is above: {red} {blue}");
}

#[test]
fn transparency_stays() {
    let mut picture = picture(8, 8, 0).to_rgba8();
    picture.put_pixel(3, 3, image::Rgba([0, 0, 0, 0]));
    let logo = Picture::logo(&encoded(&picture.into(), ImageFormat::Png)).unwrap();
    assert_eq!(shown(&logo).get_pixel(3, 3).0[3], 0);
}

#[test]
fn what_is_something_else_is_refused_whatever_it_is_called() {
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let files: [&[u8]; 8] =
        [b"", b"P", svg, b"GIF89a\x01\0\x01\0\0\0\0;", b"<html>", b"BM\x3a\0\0\0", b"II*\0\x08\0\0\0", b"%PDF-1.7"];
    for file in files {
        assert_eq!(Picture::logo(file).err(), Some(Unfit::OtherType), "{file:?}");
    }
}

#[test]
fn what_is_not_whole_is_refused() {
    let webp = encoded(&picture(60, 40, 0), ImageFormat::WebP);
    for file in [png(0), jpeg(), jpeg_with_exif(), webp] {
        for length in [13, file.len() / 3, file.len() / 2, file.len() - 10] {
            assert!(Picture::logo(&file[..length]).is_err(), "{length} of {}", file.len());
        }
    }
    let html = [PNG_SIGNATURE, b"<html><script>alert(1)</script></html>"].concat();
    assert_eq!(Picture::logo(&html).err(), Some(Unfit::Broken));
}

/// The head says how large it is; nothing else is looked at, and no memory is taken.
#[test]
fn what_is_too_large_is_refused_before_it_is_unpacked() {
    let packed = bomb(20_000, 20_000);
    assert!(packed.len() < LARGEST_FILE, "{}", packed.len());
    let before = peak();
    for file in [claims(60_000, 60_000), claims(8193, 1), claims(1, 8193), claims(8192, 8192), packed] {
        assert_eq!(Picture::logo(&file).err(), Some(Unfit::TooManyPixels));
    }
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 256 * 1024, "other tests run beside, but this is too much: {before} {after}");
    }
    assert_eq!(Picture::logo(&claims(4000, 4000)).err(), Some(Unfit::Broken), "the size is allowed, but nothing came");
    let small = Picture::logo(&bomb(1000, 1000)).unwrap();
    assert_eq!(shown(&small).dimensions(), (512, 512), "the bomb is a picture");
}
