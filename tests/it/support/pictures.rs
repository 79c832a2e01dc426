//! Files that are pictures, and files that only look like them.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

/// What stands in the metadata of [`jpeg_with_exif`] and must not come out again.
pub const PRIVATE: &[u8] = b"Ada's camera at home";
/// What every PNG begins with.
pub const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A picture whose left half is red and whose right half is blue, with a little that differs by seed.
pub fn picture(width: u32, height: u32, seed: u8) -> DynamicImage {
    let color = |x, y| match (x, y) {
        (0, 0) => Rgba([seed, 255, seed, 255]),
        _ if x < width / 2 => Rgba([255, 0, 0, 255]),
        _ => Rgba([0, 0, 255, 255]),
    };
    RgbaImage::from_fn(width, height, color).into()
}

/// A picture as a file of a format.
pub fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    // A JPEG has no transparency.
    let flat = DynamicImage::from(picture.to_rgb8());
    let picture = if format == ImageFormat::Jpeg { &flat } else { picture };
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub fn png(seed: u8) -> Vec<u8> {
    encoded(&picture(60, 40, seed), ImageFormat::Png)
}

pub fn jpeg() -> Vec<u8> {
    encoded(&picture(64, 48, 0), ImageFormat::Jpeg)
}

/// A JPEG as a camera makes it that was turned to the left: the top of what was seen is on the left of the file. It
/// says where it was taken, and by which camera.
pub fn jpeg_with_exif() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let maker = u32::try_from(PRIVATE.len()).unwrap();
    let exif = [
        b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x03".to_vec(),
        entry(0x010f, 2, maker, 68_u32.to_be_bytes()),
        entry(0x0112, 3, 1, [0, 6, 0, 0]),
        entry(0x8825, 4, 1, 50_u32.to_be_bytes()),
        vec![0; 4],
        vec![0, 1],
        entry(0x0001, 2, 2, *b"N\0\0\0"),
        vec![0; 4],
        PRIVATE.to_vec(),
    ]
    .concat();
    let plain = jpeg();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&plain[..2], b"\xff\xe1", &length, &exif, &plain[2..]].concat()
}

fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    let checksum = crc32fast::hash(&[&kind[..], data].concat()).to_be_bytes();
    [&length[..], &kind, data, &checksum].concat()
}

/// A PNG of grey pixels that has the head and whatever else is given.
fn grey_png(width: u32, height: u32, bits: u8, data: &[u8]) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, 0, 0, 0, 0]].concat();
    [PNG_SIGNATURE, &chunk(*b"IHDR", &head), &chunk(*b"IDAT", data), &chunk(*b"IEND", &[])].concat()
}

/// A PNG that claims to be that large, and has no pixel.
pub fn claims(width: u32, height: u32) -> Vec<u8> {
    grey_png(width, height, 8, &[])
}

/// A whole PNG of black pixels that was packed as tightly as can be: a thousandth of what it unpacks to.
pub fn bomb(width: u32, height: u32) -> Vec<u8> {
    let size = (u64::from(width.div_ceil(8)) + 1) * u64::from(height);
    let mut bits = Bits::default();
    // One last block with the fixed codes: a zero, then copies of it, then the end.
    bits.put(0b1, 1);
    bits.put(0b01, 2);
    bits.code(0b0011_0000, 8);
    for _ in 0..(size - 1) / 258 {
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    for _ in 0..(size - 1) % 258 {
        bits.code(0b0011_0000, 8);
    }
    bits.code(0, 7);
    let checksum = (u32::try_from(size % 65521).unwrap() << 16) | 1;
    let data = [&[0x78, 0x9c][..], &bits.bytes, &checksum.to_be_bytes()].concat();
    grey_png(width, height, 1, &data)
}

/// Bits as DEFLATE packs them, the lowest of a byte first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, width: u32) {
        for place in 0..width {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(value >> place & 1 == 1) << (self.used % 8);
            }
            self.used += 1;
        }
    }

    /// A code, which is packed from its highest bit.
    fn code(&mut self, code: u32, width: u32) {
        self.put(code.reverse_bits() >> (32 - width), width);
    }
}
