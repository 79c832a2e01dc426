//! Pictures that strangers send: looked at by their content, decoded within bounds, and encoded anew, so that nothing
//! of the sender's file is kept but what it shows. It stores nothing, and never believes a name or a header.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
    imageops::FilterType,
};
use sha2::{Digest, Sha256};

use crate::domain::organization::logo::{ContentHash, Logo, MediaType};

/// The largest file that is decoded, in bytes.
pub const LARGEST_FILE: usize = 1024 * 1024;
/// The longest side of a picture that is decoded.
pub const LONGEST_SIDE: u32 = 8192;
/// The most pixels of a picture that is decoded.
pub const MOST_PIXELS: u64 = 64_000_000;
/// The longest side of a logo that is kept; larger ones are scaled down.
pub const LOGO_SIDE: u32 = 512;
/// The most bytes that decoding allocates: four bytes for each of the most pixels, and room to work.
const MOST_BYTES: u64 = 288 * 1024 * 1024;
/// How much of a JPEG's detail is kept, of 100.
const QUALITY: u8 = 90;

/// Why a file is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// By its content it is something else, whatever it is called.
    #[error("A logo has to be a PNG, JPEG or WebP picture.")]
    OtherType,
    /// There is too much to decode.
    #[error("The picture is too large: 64 megapixels and 8192 pixels a side at most.")]
    TooManyPixels,
    /// It begins like a picture, and is not a whole one.
    #[error("The picture is broken or not whole.")]
    Broken,
}

/// A picture that is fit to be shown to anybody.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What it is.
    pub logo: Logo,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Makes a logo of a file: turned the way it is meant to be seen, at most 512 by 512 pixels, and without anything
    /// that is not the picture. A JPEG stays one; everything else becomes a PNG.
    ///
    /// It takes a while and the memory of a decoded picture: not for a thread that others wait for.
    pub fn logo(file: &[u8]) -> Result<Self, Unfit> {
        let (shown, format) = decode(file)?;
        let shown = if shown.width().max(shown.height()) > LOGO_SIDE {
            shown.resize(LOGO_SIDE, LOGO_SIDE, FilterType::CatmullRom)
        } else {
            shown
        };
        let mut bytes = Vec::new();
        let media_type = if format == ImageFormat::Jpeg {
            let shown = shown.to_rgb8();
            let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
            encoder.write_image(&shown, shown.width(), shown.height(), image::ExtendedColorType::Rgb8)
        } else {
            let shown = shown.to_rgba8();
            let encoder = PngEncoder::new(&mut bytes);
            encoder.write_image(&shown, shown.width(), shown.height(), image::ExtendedColorType::Rgba8)
        }
        .map(|()| if format == ImageFormat::Jpeg { MediaType::Jpeg } else { MediaType::Png })
        .map_err(unfit)?;
        let hash = ContentHash::new(Sha256::digest(&bytes).into());
        Ok(Self { logo: Logo { hash, media_type }, bytes })
    }
}

/// The picture in a file, as it is meant to be seen.
fn decode(file: &[u8]) -> Result<(DynamicImage, ImageFormat), Unfit> {
    let format = image::guess_format(file).map_err(|_| Unfit::OtherType)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) {
        return Err(Unfit::OtherType);
    }
    if format == ImageFormat::Jpeg && !ends(file) {
        return Err(Unfit::Broken);
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    reader.limits(limits.clone());
    // So far only the head was read.
    let mut decoder = reader.into_decoder().map_err(unfit)?;
    let (width, height) = decoder.dimensions();
    let too_long = width > LONGEST_SIDE || height > LONGEST_SIDE;
    // Sixteen bits a channel take twice the room of the most pixels, so there may be half as many.
    if too_long || u64::from(width) * u64::from(height) > MOST_PIXELS || decoder.total_bytes() > MOST_BYTES {
        return Err(Unfit::TooManyPixels);
    }
    limits.reserve(decoder.total_bytes()).map_err(unfit)?;
    decoder.set_limits(limits).map_err(unfit)?;
    // What cannot be read of the metadata turns nothing.
    let orientation = decoder.orientation();
    let mut shown = DynamicImage::from_decoder(decoder).map_err(unfit)?;
    if shown.width().max(shown.height()) > 4 * LOGO_SIDE {
        // Coarsely first: turning and scaling well take memory of their own.
        shown = shown.thumbnail(2 * LOGO_SIDE, 2 * LOGO_SIDE);
    }
    if let Ok(orientation) = orientation {
        shown.apply_orientation(orientation);
    }
    Ok((shown, format))
}

/// Whether a JPEG has its end behind the beginning of its last scan. The decoder would paint what is missing grey.
fn ends(file: &[u8]) -> bool {
    let last = |marker: [u8; 2]| file.windows(2).rposition(|pair| pair == marker);
    last([0xff, 0xd9]) > last([0xff, 0xda])
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err asks for")]
fn unfit(error: ImageError) -> Unfit {
    match error {
        ImageError::Limits(_) => Unfit::TooManyPixels,
        _ => Unfit::Broken,
    }
}
