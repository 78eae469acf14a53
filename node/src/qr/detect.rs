//! One look at one grey picture, with bounded work.
//!
//! rxing's own entry point compares all finder patterns of a picture by threes: a picture tiled with them, which is a
//! small file, holds it for minutes. So its steps are taken here one by one, what each may cost is counted, and one that
//! panics has found nothing.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use image::GrayImage;
use rxing::common::cpp_essentials::ConcentricPattern;
use rxing::common::{BitMatrix, DetectorRXingResult, HybridBinarizer};
use rxing::qrcode::cpp_port::decoder::Decode;
use rxing::qrcode::cpp_port::detector::{FindFinderPatterns, GenerateFinderPatternSets, SampleQR};
use rxing::{Binarizer, Luma8Source, Point};
use zeroize::Zeroizing;

/// Rows in which finder patterns are sought at once; the time this takes grows with the square of what is found.
const BAND_ROWS: u32 = 768;

/// Rows that two bands share: a larger finder pattern on their border is left to a look at a smaller picture.
const BANDS_SHARE_ROWS: u32 = 256;

/// A picture with more has no code among them. Grainy photos have some dozens.
const PATTERNS_MAX: usize = 1_000;

/// Threes of finder patterns that are tried in all looks at a picture; each costs some 50 microseconds.
const CANDIDATES_MAX: usize = 20_000;

/// Side of a finder pattern, by the standard.
const FINDER_PATTERN_MODULES: f32 = 7.0;

/// What one look gave.
pub(super) enum Look {
    Text(Zeroizing<String>),
    /// Three finder patterns lie like those of a code; modules have about this size.
    Unread {
        module_pixels: f32,
    },
    Nothing,
}

/// What may still be spent on one picture file.
pub(super) struct Effort {
    pixels_left: u64,
    candidates_left: usize,
}

impl Effort {
    pub(super) fn of_pixels(pixels_left: u64) -> Self {
        Self { pixels_left, candidates_left: CANDIDATES_MAX }
    }

    /// Looks for a code, dark on light. A picture beyond what is left of the effort gives nothing.
    pub(super) fn look(&mut self, grey: &GrayImage) -> Look {
        let pixels = u64::from(grey.width()) * u64::from(grey.height());
        let Some(pixels_left) = self.pixels_left.checked_sub(pixels) else {
            return Look::Nothing;
        };
        self.pixels_left = pixels_left;
        unless_it_panics(|| self.candidates(grey)).flatten().unwrap_or(Look::Nothing)
    }

    fn candidates(&mut self, grey: &GrayImage) -> Option<Look> {
        let source = Luma8Source::new_with_slice(grey.as_raw(), grey.width(), grey.height()).ok()?;
        let binarizer = HybridBinarizer::new(source);
        let modules = binarizer.get_black_matrix().ok()?;
        let candidates = GenerateFinderPatternSets(&mut finder_patterns(modules)?);
        let tried = candidates.len().min(self.candidates_left);
        self.candidates_left -= tried;
        let text = candidates[..tried].iter().find_map(|candidate| {
            unless_it_panics(|| {
                let sampled = SampleQR(modules, candidate).ok()?;
                let decoded = Decode(sampled.getBits()).ok()?;
                decoded.isValid().then(|| Zeroizing::new(decoded.text()))
            })
            .flatten()
        });
        if let Some(text) = text {
            return Some(Look::Text(text));
        }
        let likeliest = candidates.first()?;
        let sides = likeliest.bl.size + likeliest.tl.size + likeliest.tr.size;
        Some(Look::Unread { module_pixels: sides as f32 / (3.0 * FINDER_PATTERN_MODULES) })
    }
}

/// The finder patterns of a picture, or nothing when there are too many.
fn finder_patterns(modules: &BitMatrix) -> Option<Vec<ConcentricPattern>> {
    let height = modules.height();
    let mut patterns: Vec<ConcentricPattern> = Vec::new();
    let mut top = 0;
    loop {
        let rows = BAND_ROWS.min(height - top);
        for mut pattern in FindFinderPatterns(&band(modules, top, rows)?, true, 0) {
            pattern.p.y += top as f32;
            let seen_before = |old: &ConcentricPattern| Point::distance(old.p, pattern.p) < old.size as f32 / 2.0;
            if !patterns.iter().any(seen_before) {
                patterns.push(pattern);
            }
            if patterns.len() > PATTERNS_MAX {
                return None;
            }
        }
        if top + rows == height {
            return Some(patterns);
        }
        top += BAND_ROWS - BANDS_SHARE_ROWS;
    }
}

/// Some rows of a picture as a picture (the crate's own `crop` is right from the first row only).
fn band(modules: &BitMatrix, top: u32, rows: u32) -> Option<BitMatrix> {
    let mut band = BitMatrix::new(modules.width(), rows).ok()?;
    for row in 0..rows {
        band.setRow(row, &modules.getRow(top + row));
    }
    Some(band)
}

thread_local! {
    static PANIC_IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder; a panic in it is `None` and prints nothing, since a strange picture is no fault of this program.
pub(super) fn unless_it_panics<T>(decoder: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !PANIC_IS_CAUGHT.get() {
                before(panic);
            }
        }));
    });
    let outside = PANIC_IS_CAUGHT.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(decoder));
    PANIC_IS_CAUGHT.set(outside);
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use image::Luma;

    use super::*;
    use crate::qr::Code;

    /// A picture tiled with finder patterns of one pixel a module.
    fn tiled(width: u32, height: u32) -> GrayImage {
        let from_centre = |place: u32| (place % 9).abs_diff(4);
        GrayImage::from_fn(width, height, |x, y| {
            let ring = from_centre(x).max(from_centre(y));
            Luma([if ring == 2 || ring == 4 { 255 } else { 0 }])
        })
    }

    fn drawn(text: &str) -> GrayImage {
        let file = Code::of(text).unwrap().png();
        image::load_from_memory(&file).unwrap().into_luma8()
    }

    fn modules(grey: &GrayImage) -> BitMatrix {
        let source = Luma8Source::new_with_slice(grey.as_raw(), grey.width(), grey.height()).unwrap();
        HybridBinarizer::new(source).get_black_matrix().unwrap().clone()
    }

    #[test]
    fn a_picture_tiled_with_finder_patterns_is_given_up_at_once() {
        assert!(finder_patterns(&modules(&tiled(270, 270))).is_some_and(|found| found.len() > 800));
        assert_eq!(finder_patterns(&modules(&tiled(360, 360))), None);
        // Compared by threes this one would take days.
        let began = Instant::now();
        let mut effort = Effort::of_pixels(u64::MAX);
        assert!(matches!(effort.look(&tiled(4_000, 3_000)), Look::Nothing));
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    }

    #[test]
    fn all_looks_together_try_no_more_candidates_than_allowed() {
        let mut effort = Effort::of_pixels(u64::MAX);
        let tiles = tiled(270, 270);
        assert!(matches!(effort.look(&tiles), Look::Unread { .. }));
        assert!(effort.candidates_left < CANDIDATES_MAX);
        effort.candidates_left = 0;
        assert!(matches!(effort.look(&drawn("ALLOD:A")), Look::Unread { .. }));
    }

    #[test]
    fn a_picture_beyond_what_is_left_is_not_looked_at() {
        let code = drawn("ALLOD:A");
        let pixels = u64::from(code.width() * code.height());
        let mut effort = Effort::of_pixels(2 * pixels - 1);
        assert!(matches!(effort.look(&code), Look::Text(_)));
        assert!(matches!(effort.look(&code), Look::Nothing));
    }

    #[test]
    fn a_code_on_the_border_of_two_bands_is_read() {
        for top in (300..1_200).step_by(60) {
            let mut wall = GrayImage::from_pixel(300, 1_500, Luma([230]));
            image::imageops::replace(&mut wall, &drawn("ALLOD:A"), 20, top);
            let mut effort = Effort::of_pixels(u64::MAX);
            assert!(matches!(effort.look(&wall), Look::Text(text) if *text == "ALLOD:A"), "at {top}");
        }
    }

    #[test]
    fn the_size_of_unread_modules_is_told() {
        // A third of the side in the middle is wiped out: more than is corrected, and no finder pattern.
        let mut code = drawn(&"A".repeat(250));
        let (third, white) = (code.width() / 3, Luma([255]));
        for (x, y) in (0..third).flat_map(|x| (0..third).map(move |y| (x, y))) {
            code.put_pixel(third + x, third + y, white);
        }
        let mut effort = Effort::of_pixels(u64::MAX);
        let Look::Unread { module_pixels } = effort.look(&code) else {
            panic!("the code was read, or its finder patterns were not seen");
        };
        assert!((7.0..9.0).contains(&module_pixels), "{module_pixels}");
    }

    #[test]
    fn a_panic_of_the_decoder_is_nothing_and_the_next_outside_it_is_heard() {
        let outer = unless_it_panics(|| {
            assert_eq!(unless_it_panics(|| -> u8 { panic!("inside") }), None);
            assert!(PANIC_IS_CAUGHT.get());
            7
        });
        assert_eq!(outer, Some(7));
        assert!(!PANIC_IS_CAUGHT.get());
    }
}
