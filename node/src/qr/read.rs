//! Reads the text of a QR code from the bytes of a PNG or JPEG file.
//!
//! The picture comes from a chat or a camera and the file from anyone: its size is judged before a pixel is decoded, and
//! a decoder that panics has found no code. The decoder sees dark codes on a light ground in its own range of sizes and
//! sharpness, so each picture is shown to it several times: as it is and as a negative (a screenshot of a dark terminal
//! is one), then at other sizes, softened and sharpened. How often is bounded by the pixels it may look at, not by time,
//! so that a slow machine reads what a fast one reads.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageDecoder, ImageReader, Limits};
use zeroize::Zeroizing;

use super::detect::{Effort, Look, unless_it_panics};

/// Largest file that is looked at: twice what a phone's largest JPEG takes.
pub const PICTURE_SIZE_MAX_BYTES: usize = 32 << 20;

/// Largest picture that is decoded, in pixels: a phone's 48 megapixels fit. A progressive JPEG of
/// this size takes half a gigabyte for a moment.
pub const PICTURE_PIXELS_MAX: u64 = 50_000_000;

/// Memory for decoding: the largest picture with four bytes a pixel.
const DECODING_MEMORY_MAX_BYTES: u64 = 4 * PICTURE_PIXELS_MAX;

/// Pixels the decoder may look at before the picture counts as one without a code. The largest picture is then shown
/// twice, as it is and as a negative; one of 12 megapixels in every way there is.
const PIXELS_SEARCHED_MAX: u64 = 2 * PICTURE_PIXELS_MAX;

/// A picture is not enlarged beyond this: twice the sides of a screen of 1920 x 1080. Enlarging takes 16 bytes a pixel.
const ENLARGED_PIXELS_MAX: u64 = 8_500_000;

/// Grain of about this width is smoothed away and modules of 3 pixels stay.
const SOFTENED_BY_PIXELS: f32 = 1.2;

/// Size of a module while a picture is sharpened; the most of 400 distorted pictures were read at 6.
const SHARPENED_MODULE_PIXELS: f32 = 6.0;

/// Radius in modules and strength of each sharpening, found with the same 400 pictures.
const SHARPENINGS: [(f32, f32); 2] = [(0.5, 6.0), (0.6, 3.0)];

/// Below this a side holds no code: 21 modules are the smallest.
const SIDE_MIN_PIXELS: u32 = 21;

/// Why a picture gave no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Neither PNG nor JPEG, or damaged beyond decoding.
    #[error("not a PNG or JPEG picture")]
    NotAPicture,
    /// The file is larger than [`PICTURE_SIZE_MAX_BYTES`].
    #[error("a file of {size_bytes} bytes is too large")]
    TooManyBytes { size_bytes: usize },
    /// The picture has more than [`PICTURE_PIXELS_MAX`] pixels; it was not decoded.
    #[error("a picture of {width} x {height} is too large")]
    TooLarge { width: u32, height: u32 },
    /// A picture in which no QR code was found.
    #[error("no QR code in a picture of {width} x {height}")]
    NoCode { width: u32, height: u32 },
}

/// The text of the QR code in a picture file, whatever that text is.
///
/// # Errors
/// [`ReadError`] says at which step it ended; its numbers are for the person who took the picture.
pub fn read(file: &[u8]) -> Result<Zeroizing<String>, ReadError> {
    if file.len() > PICTURE_SIZE_MAX_BYTES {
        return Err(ReadError::TooManyBytes { size_bytes: file.len() });
    }
    let picture = unless_it_panics(|| decode(file)).unwrap_or(Err(ReadError::NotAPicture))?;
    let (width, height) = (picture.width(), picture.height());
    let greys = unless_it_panics(|| grounds(picture)).unwrap_or_default();
    let mut effort = Effort::of_pixels(PIXELS_SEARCHED_MAX);
    greys.iter().find_map(|grey| Search::new(grey, &mut effort).everywhere()).ok_or(ReadError::NoCode { width, height })
}

/// Decodes the file after its header was judged.
fn decode(file: &[u8]) -> Result<DynamicImage, ReadError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODING_MEMORY_MAX_BYTES);
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(|_| ReadError::NotAPicture)?;
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|_| ReadError::NotAPicture)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PICTURE_PIXELS_MAX || decoder.total_bytes() > DECODING_MEMORY_MAX_BYTES {
        return Err(ReadError::TooLarge { width, height });
    }
    DynamicImage::from_decoder(decoder).map_err(|_| ReadError::NotAPicture)
}

/// The picture in grey. One with transparent parts, as editors export codes, is laid on white and on black.
fn grounds(picture: DynamicImage) -> Vec<GrayImage> {
    if !picture.color().has_alpha() {
        return vec![picture.into_luma8()];
    }
    let picture = picture.into_luma_alpha8();
    let laid_on = |ground: u32| {
        GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
            let [grey, alpha] = picture.get_pixel(x, y).0.map(u32::from);
            let mixed = (grey * alpha + ground * (255 - alpha)) / 255;
            image::Luma([u8::try_from(mixed).expect("a mean of two bytes is a byte")])
        })
    };
    vec![laid_on(255), laid_on(0)]
}

/// A search in one grey picture.
struct Search<'a> {
    grey: &'a GrayImage,
    effort: &'a mut Effort,
    unread: Option<Unread>,
}

/// A code that was found and could not be read.
#[derive(Clone, Copy)]
struct Unread {
    /// Side of its modules in the picture as it came.
    module_pixels: f32,
    polarity: Polarity,
}

#[derive(Clone, Copy, PartialEq)]
enum Polarity {
    Picture,
    Negative,
}

impl<'a> Search<'a> {
    fn new(grey: &'a GrayImage, effort: &'a mut Effort) -> Self {
        Self { grey, effort, unread: None }
    }

    /// Shows the picture in every way, the likeliest first.
    fn everywhere(mut self) -> Option<Zeroizing<String>> {
        if self.grey.width().min(self.grey.height()) < SIDE_MIN_PIXELS {
            return None;
        }
        self.at_scale(1.0)
            .or_else(|| self.at_scale(0.5))
            .or_else(|| self.at_scale(2.0))
            .or_else(|| self.both_ways(&imageops::fast_blur(self.grey, SOFTENED_BY_PIXELS), 1.0))
            .or_else(|| self.at_scale(0.25))
            .or_else(|| self.at_scale(3.0))
            .or_else(|| self.sharpened())
    }

    fn at_scale(&mut self, scale: f32) -> Option<Zeroizing<String>> {
        if scale == 1.0 {
            return self.both_ways(self.grey, scale);
        }
        self.both_ways(&self.scaled(scale, FilterType::Triangle)?, scale)
    }

    /// As it is, then as a negative.
    fn both_ways(&mut self, grey: &GrayImage, scale: f32) -> Option<Zeroizing<String>> {
        self.once(grey, scale, Polarity::Picture).or_else(|| self.once(&negative(grey), scale, Polarity::Negative))
    }

    /// Out of focus, a code is found by its three large squares and its modules run into each other. The squares say
    /// how large a module is, and so how wide the smear that is taken back.
    fn sharpened(&mut self) -> Option<Zeroizing<String>> {
        let Unread { module_pixels, polarity } = self.unread?;
        let scale = SHARPENED_MODULE_PIXELS / module_pixels;
        let scaled = self.scaled(scale, FilterType::CatmullRom)?;
        SHARPENINGS.into_iter().find_map(|(radius_modules, strength)| {
            let smear = imageops::fast_blur(&scaled, radius_modules * SHARPENED_MODULE_PIXELS);
            let mut sharp = scaled.clone();
            for (pixel, smeared) in sharp.iter_mut().zip(smear.iter()) {
                let (here, around) = (f32::from(*pixel), f32::from(*smeared));
                *pixel = (here + strength * (here - around)).clamp(0.0, 255.0) as u8;
            }
            match polarity {
                Polarity::Picture => self.once(&sharp, scale, polarity),
                Polarity::Negative => self.once(&negative(&sharp), scale, polarity),
            }
        })
    }

    fn once(&mut self, grey: &GrayImage, scale: f32, polarity: Polarity) -> Option<Zeroizing<String>> {
        match self.effort.look(grey) {
            Look::Text(text) => Some(text),
            Look::Unread { module_pixels } => {
                self.unread.get_or_insert(Unread { module_pixels: module_pixels / scale, polarity });
                None
            }
            Look::Nothing => None,
        }
    }

    /// The picture in another size, unless that is too small to hold a code or too large to be worth it.
    fn scaled(&self, scale: f32, filter: FilterType) -> Option<GrayImage> {
        let side = |pixels: u32| (pixels as f32 * scale).ceil() as u32;
        let (width, height) = (side(self.grey.width()), side(self.grey.height()));
        let too_large = scale > 1.0 && u64::from(width) * u64::from(height) > ENLARGED_PIXELS_MAX;
        if too_large || width.min(height) < SIDE_MIN_PIXELS {
            return None;
        }
        // Means of whole pixels need no memory beside their result, which counts when a picture is large.
        Some(if scale < 1.0 {
            imageops::thumbnail(self.grey, width, height)
        } else {
            imageops::resize(self.grey, width, height, filter)
        })
    }
}

fn negative(grey: &GrayImage) -> GrayImage {
    let mut negative = grey.clone();
    imageops::invert(&mut negative);
    negative
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use image::{ExtendedColorType, ImageEncoder, ImageFormat, Luma};

    use super::*;
    use crate::qr::Code;

    fn pictures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pictures")
    }

    /// Name and bytes of each picture whose name begins so, in the order of names.
    fn pictures_named(wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
        let mut found: Vec<_> = fs::read_dir(pictures())
            .expect("the pictures are beside the crates")
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "png" || end == "jpg"))
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
            .filter(|(name, _)| wanted(name))
            .map(|(name, path)| (name, fs::read(path).unwrap()))
            .collect();
        found.sort();
        found
    }

    fn holds_an_invitation(name: &str) -> bool {
        !name.starts_with("other-") && !name.starts_with("none-")
    }

    /// The text of a picture made elsewhere; its size is the last number of the picture's name.
    fn expected(name: &str) -> String {
        let size = name.rsplit(['-', '.']).nth(1).unwrap();
        let text = fs::read_to_string(pictures().join(format!("invitation-{size}.txt"))).unwrap();
        text.trim_end().to_owned()
    }

    fn png(grey: &GrayImage) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        grey.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    /// Numbers that are the same in each run (xorshift).
    fn numbers(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    #[test]
    fn every_picture_made_by_other_programs_is_read() {
        let pictures = pictures_named(holds_an_invitation);
        assert!(pictures.len() >= 40, "only {} pictures", pictures.len());
        let missed: Vec<_> = pictures
            .iter()
            .filter_map(|(name, file)| match read(file) {
                Ok(text) => (*text != expected(name)).then(|| format!("{name}: another text")),
                Err(why) => Some(format!("{name}: {why}")),
            })
            .collect();
        assert!(missed.is_empty(), "{} of {}: {missed:#?}", missed.len(), pictures.len());
    }

    #[test]
    fn a_code_that_is_no_invitation_gives_its_text() {
        let pictures = pictures_named(|name| name.starts_with("other-"));
        assert_eq!(pictures.len(), 1);
        assert_eq!(*read(&pictures[0].1).unwrap(), "https://example.org/menu?table=12");
    }

    #[test]
    fn a_picture_without_a_code_gives_its_size() {
        let sizes: Vec<_> =
            pictures_named(|name| name.starts_with("none-")).iter().map(|(_, file)| read(file).unwrap_err()).collect();
        assert_eq!(
            sizes,
            [ReadError::NoCode { width: 640, height: 480 }, ReadError::NoCode { width: 640, height: 51 },]
        );
    }

    #[test]
    fn other_files_are_no_pictures() {
        for file in [
            &b""[..],
            b"ALLOD:MFRGGZDF",
            b"%PDF-1.7\n",
            b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0",
        ] {
            assert_eq!(read(file), Err(ReadError::NotAPicture));
        }
    }

    #[test]
    fn a_file_beyond_the_cap_is_not_looked_at() {
        let mut file = Code::of("ALLOD:A").unwrap().png();
        file.resize(PICTURE_SIZE_MAX_BYTES, 0);
        assert_eq!(*read(&file).unwrap(), "ALLOD:A");
        file.push(0);
        let size_bytes = PICTURE_SIZE_MAX_BYTES + 1;
        assert_eq!(read(&file), Err(ReadError::TooManyBytes { size_bytes }));
    }

    #[test]
    fn a_small_file_that_claims_a_huge_picture_is_refused_by_its_header() {
        // 65,000 x 65,000 in 16-bit colour would be 25 GB.
        let claim = |width: u32, height: u32| {
            let mut header = b"IHDR".to_vec();
            header.extend(width.to_be_bytes());
            header.extend(height.to_be_bytes());
            header.extend([16, 6, 0, 0, 0]);
            let mut file = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d".to_vec();
            file.extend(&header);
            file.extend(crc32(&header).to_be_bytes());
            file.extend(b"\x00\x00\x00\x00IDAT");
            file.extend(crc32(b"IDAT").to_be_bytes());
            file
        };
        // The last is within the pixels and beyond the memory: each takes eight bytes.
        for (width, height) in [(65_000, 65_000), (8_001, 6_250), (8_000, 6_250)] {
            assert_eq!(read(&claim(width, height)), Err(ReadError::TooLarge { width, height }));
        }
    }

    #[test]
    fn a_jpeg_that_claims_a_huge_picture_is_refused_by_its_header() {
        let mut file = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new(&mut file);
        let small = GrayImage::from_pixel(64, 64, Luma([255]));
        encoder.write_image(&small, 64, 64, ExtendedColorType::L8).unwrap();
        let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        let claimed = 65_000_u16.to_be_bytes();
        file[frame + 5..frame + 7].copy_from_slice(&claimed);
        file[frame + 7..frame + 9].copy_from_slice(&claimed);
        let (width, height) = (65_000, 65_000);
        assert_eq!(read(&file), Err(ReadError::TooLarge { width, height }));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
        })
    }

    #[test]
    fn the_largest_picture_is_read_and_its_search_ends() {
        let (width, height) = (8_000, 6_250);
        assert_eq!(u64::from(width) * u64::from(height), PICTURE_PIXELS_MAX);
        let mut wall = GrayImage::from_pixel(width, height, Luma([200]));
        assert_eq!(read(&png(&wall)), Err(ReadError::NoCode { width, height }));
        let code = image::load_from_memory(&Code::of("ALLOD:A").unwrap().png()).unwrap();
        imageops::replace(&mut wall, &code.into_luma8(), 5_000, 4_000);
        assert_eq!(*read(&png(&wall)).unwrap(), "ALLOD:A");
    }

    #[test]
    fn a_picture_of_one_pixel_holds_nothing() {
        let none = Err(ReadError::NoCode { width: 1, height: 1 });
        assert_eq!(read(&png(&GrayImage::new(1, 1))), none);
    }

    #[test]
    fn cut_off_files_give_the_right_text_or_an_error() {
        for (name, file) in pictures_named(|name| ["angle-15-120.png", "blur-160.jpg"].contains(&name)) {
            for end in (0..file.len()).step_by(97) {
                if let Ok(text) = read(&file[..end]) {
                    assert_eq!(*text, expected(&name), "{name} cut at {end}");
                }
            }
        }
    }

    #[test]
    fn damaged_files_never_panic() {
        let mut number = numbers(0x0a11_0d01);
        for (_, file) in pictures_named(file_is_small) {
            for _ in 0..40 {
                let mut damaged = file.clone();
                for _ in 0..=number() % 8 {
                    let at = number() as usize % damaged.len();
                    damaged[at] = number() as u8;
                }
                let _ = read(&damaged);
            }
        }
    }

    fn file_is_small(name: &str) -> bool {
        ["jpeg-40-160.jpg", "scaled-0.6-120.png", "colours-160.png"].contains(&name)
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut number = numbers(0x0a11_0d02);
        let headers: [&[u8]; 3] = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\x00\x10JFIF\0"];
        for round in 0..600 {
            let mut file = headers[round % 3].to_vec();
            file.extend((0..number() % 2_000).map(|_| number() as u8));
            assert!(read(&file).is_err());
        }
    }

    #[test]
    fn codes_with_random_damage_give_the_right_text_or_none() {
        // Whole modules are turned over, so that the decoder goes past its finder patterns and into its error correction.
        let mut number = numbers(0x0a11_0d03);
        let text = expected("invitation-160.png");
        let drawn = image::load_from_memory(&Code::of(&text).unwrap().png()).unwrap().into_luma8();
        let side = drawn.width() / 8;
        let mut read_well = 0;
        for round in 0..120 {
            let mut picture = drawn.clone();
            for _ in 0..round {
                let (x, y) = (number() as u32 % side * 8, number() as u32 % side * 8);
                for (dx, dy) in (0..64).map(|i| (i % 8, i / 8)) {
                    picture.get_pixel_mut(x + dx, y + dy).0[0] ^= 255;
                }
            }
            match read(&png(&picture)) {
                Ok(found) => {
                    assert_eq!(*found, text, "after {round} modules");
                    read_well += 1;
                }
                Err(why) => assert!(matches!(why, ReadError::NoCode { .. }), "{why}"),
            }
        }
        assert!(read_well > 0 && read_well < 120, "{read_well} were read");
    }

    #[test]
    fn colour_of_every_depth_is_read() {
        let code = image::load_from_memory(&Code::of("ALLOD:A").unwrap().png()).unwrap();
        let (width, height) = (code.width(), code.height());
        for (bytes, colour) in [
            (code.to_rgb8().into_raw(), ExtendedColorType::Rgb8),
            (code.to_rgba8().into_raw(), ExtendedColorType::Rgba8),
            (code.to_luma_alpha8().into_raw(), ExtendedColorType::La8),
        ] {
            let mut file = Vec::new();
            image::codecs::png::PngEncoder::new(&mut file).write_image(&bytes, width, height, colour).unwrap();
            assert_eq!(*read(&file).unwrap(), "ALLOD:A", "{colour:?}");
        }
    }
}
