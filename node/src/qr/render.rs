//! Draws a QR code with the quiet zone of 4 that the standard asks for.
//!
//! For a terminal two rows of modules share a line of half blocks. With colour both colours are set, since a code whose
//! colours follow the terminal is a negative on a dark one, and many phones do not read negatives. Without colour only
//! the caller can say what the ground is; our own reader takes either. A code is never wrapped or cut: ask
//! [`Code::fits`] first, and offer a picture when it does not.

use std::fmt;
use std::io::Cursor;

use image::{ImageFormat, Luma};
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};

/// Light modules on each side; the standard's number.
const QUIET_ZONE_MODULES: usize = 4;

/// Side of a module in a PNG: 57 modules and the quiet zone are 520 pixels, which fits a chat without being scaled.
const PNG_MODULE_PIXELS: u32 = 8;

/// Black on white from the fixed part of the 256 colours: themes change the first 16 and leave these alone.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// A drawn text. It shows what it holds to anyone who sees it, so `Debug` prints the size alone.
pub struct Code(QrCode);

/// How a terminal is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// With ANSI sequences, right on any ground.
    BlackOnWhite,
    /// Characters alone, for a terminal whose ground is known or guessed.
    Plain(Ground),
}

/// The terminal's own background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Dark,
    Light,
}

/// What a code takes up in a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    pub columns: usize,
    pub rows: usize,
}

/// Whether a terminal shows a whole code. The variants that do not fit carry what would be needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Whole,
    /// Lines would wrap: do not draw it.
    TooNarrow(TerminalSize),
    /// Its top would scroll away: no camera sees it whole.
    TooLow(TerminalSize),
}

/// The text is longer than the largest QR code holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{size_bytes} bytes are more than a QR code holds")]
pub struct TooLong {
    pub size_bytes: usize,
}

impl Code {
    /// The smallest code for the text, with as much error correction as that size has room for.
    ///
    /// # Errors
    /// [`TooLong`] beyond the largest code: 4,296 characters of Base32, fewer of other text.
    pub fn of(text: &str) -> Result<Self, TooLong> {
        let smallest =
            QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| TooLong { size_bytes: text.len() })?;
        let stronger = [EcLevel::H, EcLevel::Q, EcLevel::M]
            .into_iter()
            .find_map(|level| QrCode::with_version(text, smallest.version(), level).ok());
        Ok(Self(stronger.unwrap_or(smallest)))
    }

    /// Columns and rows in a terminal, quiet zone included.
    pub fn terminal_size(&self) -> TerminalSize {
        let side = self.side_modules();
        TerminalSize { columns: side, rows: side.div_ceil(2) }
    }

    /// Whether a terminal of this size shows the whole code at once.
    pub fn fits(&self, columns: usize, rows: usize) -> Fit {
        let needed = self.terminal_size();
        if needed.columns > columns {
            Fit::TooNarrow(needed)
        } else if needed.rows > rows {
            Fit::TooLow(needed)
        } else {
            Fit::Whole
        }
    }

    /// Lines of half blocks, each ended by a line feed.
    pub fn terminal(&self, paint: Paint) -> String {
        let (before, after) = match paint {
            Paint::BlackOnWhite => (BLACK_ON_WHITE, RESET),
            Paint::Plain(_) => ("", ""),
        };
        // What is drawn is the ink; on a dark ground the ink is what shines.
        let inked = match paint {
            Paint::BlackOnWhite | Paint::Plain(Ground::Light) => Color::Dark,
            Paint::Plain(Ground::Dark) => Color::Light,
        };
        let side = self.side_modules();
        let mut drawn = String::new();
        for upper in (0..side).step_by(2) {
            drawn.push_str(before);
            for column in 0..side {
                let top = self.module(column, upper) == inked;
                let bottom = self.module(column, upper + 1) == inked;
                drawn.push(match (top, bottom) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            drawn.push_str(after);
            drawn.push('\n');
        }
        drawn
    }

    /// A PNG file, black on white.
    pub fn png(&self) -> Vec<u8> {
        let picture = self
            .0
            .render::<Luma<u8>>()
            .quiet_zone(true)
            .module_dimensions(PNG_MODULE_PIXELS, PNG_MODULE_PIXELS)
            .build();
        let mut file = Cursor::new(Vec::new());
        picture
            .write_to(&mut file, ImageFormat::Png)
            .expect("a vector takes every byte and grey of eight bits is a PNG colour");
        file.into_inner()
    }

    /// An SVG file, black on white.
    pub fn svg(&self) -> String {
        self.0
            .render::<svg::Color>()
            .quiet_zone(true)
            .dark_color(svg::Color("#000000"))
            .light_color(svg::Color("#ffffff"))
            .build()
    }

    /// Modules on a side, quiet zone included.
    fn side_modules(&self) -> usize {
        self.0.width() + 2 * QUIET_ZONE_MODULES
    }

    /// The module at a place that counts the quiet zone; light everywhere outside the code.
    fn module(&self, column: usize, row: usize) -> Color {
        let inside = |place: usize| place.checked_sub(QUIET_ZONE_MODULES).filter(|place| *place < self.0.width());
        match (inside(column), inside(row)) {
            (Some(column), Some(row)) => self.0[(column, row)],
            _ => Color::Light,
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({} modules)", self.0.width())
    }
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView, GrayImage};

    use super::*;
    use crate::qr::read;

    /// Invitations of 120, 160 and 250 bytes look like this.
    fn invitations() -> [String; 3] {
        [120, 160, 250].map(|size: u8| {
            let payload: Vec<u8> = (0..size).map(|at| at.wrapping_mul(151) ^ 0x5a).collect();
            format!("ALLOD:{}", data_encoding::BASE32_NOPAD.encode(&payload))
        })
    }

    /// Size of a character and pixels between two lines.
    #[derive(Clone, Copy, Debug)]
    struct Font {
        width: u32,
        height: u32,
        line_gap: u32,
    }

    const FONTS: [Font; 4] = [
        Font { width: 8, height: 16, line_gap: 0 },
        Font { width: 9, height: 19, line_gap: 0 },
        Font { width: 7, height: 15, line_gap: 1 },
        Font { width: 10, height: 21, line_gap: 2 },
    ];

    /// Draws what a terminal of 90 columns would show, as a PNG file. Knows half blocks, the 256 colours used here, and
    /// no other sequence.
    fn screenshot(text: &str, ground: Ground, font: Font) -> Vec<u8> {
        let (own_paper, own_ink) = match ground {
            Ground::Dark => (30, 220),
            Ground::Light => (245, 20),
        };
        let lines: Vec<&str> = ["$ allod invite", ""].into_iter().chain(text.lines()).chain([""]).collect();
        let line_height = font.height + font.line_gap;
        let height = line_height * u32::try_from(lines.len()).unwrap();
        let mut screen = GrayImage::from_pixel(90 * font.width, height, Luma([own_paper]));
        let (mut paper, mut ink) = (own_paper, own_ink);
        for (row, line) in (0..).zip(lines) {
            let mut characters = line.chars();
            let mut column = 0;
            while let Some(character) = characters.next() {
                if character == '\x1b' {
                    let sequence: String = characters.by_ref().take_while(|end| *end != 'm').collect();
                    (ink, paper) = match sequence.as_str() {
                        "[38;5;16;48;5;231" => (0, 255),
                        "[0" => (own_ink, own_paper),
                        other => panic!("the terminal does not know {other}"),
                    };
                    continue;
                }
                for (x, y) in (0..font.width).flat_map(|x| (0..font.height).map(move |y| (x, y))) {
                    let upper = y < font.height / 2;
                    let inked = match character {
                        '█' => true,
                        '▀' => upper,
                        '▄' => !upper,
                        ' ' => false,
                        _ => x % 3 == 1 && y % 4 == 1,
                    };
                    let (x, y) = (column * font.width + x, row * line_height + y);
                    screen.put_pixel(x, y, Luma([if inked { ink } else { paper }]));
                }
                column += 1;
            }
        }
        let mut file = Cursor::new(Vec::new());
        screen.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn read_from_the_terminal(paint: Paint, ground: Ground) {
        for text in invitations() {
            let drawn = Code::of(&text).unwrap().terminal(paint);
            for font in FONTS {
                let seen = read(&screenshot(&drawn, ground, font));
                assert_eq!(seen.as_deref(), Ok(&text), "{paint:?} on {ground:?} with {font:?}");
            }
        }
    }

    #[test]
    fn the_coloured_code_is_read_from_a_dark_terminal() {
        read_from_the_terminal(Paint::BlackOnWhite, Ground::Dark);
    }

    #[test]
    fn the_coloured_code_is_read_from_a_light_terminal() {
        read_from_the_terminal(Paint::BlackOnWhite, Ground::Light);
    }

    #[test]
    fn the_plain_code_is_read_from_the_terminal_it_was_drawn_for() {
        read_from_the_terminal(Paint::Plain(Ground::Dark), Ground::Dark);
        read_from_the_terminal(Paint::Plain(Ground::Light), Ground::Light);
    }

    #[test]
    fn a_plain_code_drawn_for_the_wrong_ground_is_read_as_a_negative() {
        read_from_the_terminal(Paint::Plain(Ground::Dark), Ground::Light);
        read_from_the_terminal(Paint::Plain(Ground::Light), Ground::Dark);
    }

    #[test]
    fn the_plain_code_holds_no_sequence() {
        let code = Code::of("ALLOD:A").unwrap();
        for ground in [Ground::Dark, Ground::Light] {
            let drawn = code.terminal(Paint::Plain(ground));
            assert!(drawn.chars().all(|shown| "█▀▄ \n".contains(shown)));
        }
    }

    #[test]
    fn every_coloured_line_ends_in_the_terminals_own_colours() {
        let drawn = Code::of("ALLOD:A").unwrap().terminal(Paint::BlackOnWhite);
        for line in drawn.lines() {
            assert!(line.starts_with(BLACK_ON_WHITE) && line.ends_with(RESET));
        }
    }

    #[test]
    fn the_terminal_size_is_that_of_what_is_drawn() {
        for text in invitations() {
            let code = Code::of(&text).unwrap();
            let drawn = code.terminal(Paint::Plain(Ground::Light));
            let TerminalSize { columns, rows } = code.terminal_size();
            assert_eq!(drawn.lines().count(), rows);
            assert!(drawn.lines().all(|line| line.chars().count() == columns));
        }
    }

    #[test]
    fn four_light_modules_lie_around_the_code() {
        let code = Code::of("ALLOD:A").unwrap();
        let side = code.side_modules();
        for along in 0..side {
            for edge in [0, 1, 2, 3, side - 4, side - 3, side - 2, side - 1] {
                assert_eq!(code.module(along, edge), Color::Light);
                assert_eq!(code.module(edge, along), Color::Light);
            }
        }
        assert_eq!(code.module(4, 4), Color::Dark);
    }

    #[test]
    fn a_realistic_invitation_fits_80_columns_and_not_24_rows() {
        let sizes = invitations().map(|text| Code::of(&text).unwrap().terminal_size());
        assert_eq!(sizes.map(|size| (size.columns, size.rows)), [(53, 27), (57, 29), (69, 35)]);
        let code = Code::of(&invitations()[1]).unwrap();
        let needed = code.terminal_size();
        assert_eq!(code.fits(80, 24), Fit::TooLow(needed));
        assert_eq!(code.fits(56, 60), Fit::TooNarrow(needed));
        assert_eq!(code.fits(40, 10), Fit::TooNarrow(needed));
        assert_eq!(code.fits(57, 28), Fit::TooLow(needed));
        assert_eq!(code.fits(57, 29), Fit::Whole);
    }

    #[test]
    fn a_png_gives_back_its_text() {
        for text in invitations() {
            assert_eq!(read(&Code::of(&text).unwrap().png()).as_deref(), Ok(&text));
        }
    }

    #[test]
    fn an_svg_gives_back_its_text() {
        for text in invitations() {
            let svg = Code::of(&text).unwrap().svg();
            assert_eq!(read(&rasterised(&svg)).as_deref(), Ok(&text));
        }
    }

    /// Draws the rectangles of the one path that the code is.
    fn rasterised(svg: &str) -> Vec<u8> {
        let between = |before: &str, after: &str| {
            let start = svg.find(before).expect("the part is there") + before.len();
            &svg[start..start + svg[start..].find(after).unwrap()]
        };
        let side: u32 = between("viewBox=\"0 0 ", " ").parse().unwrap();
        let mut picture = GrayImage::from_pixel(side, side, Luma([255]));
        for rectangle in between(" d=\"", "\"").split('M').skip(1) {
            let numbers: Vec<u32> = rectangle
                .split(|other: char| !other.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            let [left, top, width, height] = numbers[..4] else {
                panic!("{rectangle}");
            };
            for (x, y) in (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y))) {
                picture.put_pixel(x, y, Luma([0]));
            }
        }
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    #[test]
    fn a_png_is_as_large_as_promised() {
        let code = Code::of(&invitations()[1]).unwrap();
        let picture = image::load_from_memory(&code.png()).unwrap();
        let side = PNG_MODULE_PIXELS * u32::try_from(code.side_modules()).unwrap();
        assert_eq!(picture.dimensions(), (side, side));
    }

    #[test]
    fn more_correction_is_taken_where_it_costs_no_room() {
        for text in invitations() {
            let code = Code::of(&text).unwrap().0;
            let smallest = QrCode::with_error_correction_level(&text, EcLevel::L).unwrap();
            assert_eq!(code.version(), smallest.version());
        }
        assert_eq!(Code::of("ALLOD:A").unwrap().0.error_correction_level(), EcLevel::H);
    }

    #[test]
    fn the_largest_code_is_4296_characters() {
        assert!(Code::of(&"A".repeat(4_296)).is_ok());
        assert_eq!(Code::of(&"A".repeat(4_297)).unwrap_err(), TooLong { size_bytes: 4_297 });
    }

    #[test]
    fn a_code_does_not_tell_its_text_in_debug() {
        assert_eq!(format!("{:?}", Code::of("ALLOD:A").unwrap()), "Code(21 modules)");
    }
}
