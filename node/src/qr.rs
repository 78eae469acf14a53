//! Invitations as QR codes: drawn for a terminal or a file, and read from a picture.
//!
//! [`Code`] draws, [`read()`] reads. Neither knows what an invitation is: both carry text, and whether the text is an
//! invitation is judged where invitations are parsed. Text of upper-case letters, digits and `:` (as `ALLOD:` and
//! Base32 are) gives the smallest code.

mod detect;
mod read;
mod render;

pub use read::{PICTURE_PIXELS_MAX, PICTURE_SIZE_MAX_BYTES, ReadError, read};
pub use render::{Code, Fit, Ground, Paint, TerminalSize, TooLong};
