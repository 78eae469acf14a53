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
        let smallest = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| TooLong {
            size_bytes: text.len(),
        })?;
        let stronger = [EcLevel::H, EcLevel::Q, EcLevel::M]
            .into_iter()
            .find_map(|level| QrCode::with_version(text, smallest.version(), level).ok());
        Ok(Self(stronger.unwrap_or(smallest)))
    }

    /// Columns and rows in a terminal, quiet zone included.
    pub fn terminal_size(&self) -> TerminalSize {
        let side = self.side_modules();
        TerminalSize {
            columns: side,
            rows: side.div_ceil(2),
        }
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
        let inside = |place: usize| {
            place
                .checked_sub(QUIET_ZONE_MODULES)
                .filter(|place| *place < self.0.width())
        };
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
