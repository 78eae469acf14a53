//! From bytes to text: which character encoding a file has.
//!
//! A byte order mark decides; else UTF-8, strictly; else what the letters look like (banks and phones still write Latin-1, Windows-125x
//! and Shift JIS). The encoding taken is told, so that a person who sees wrong letters knows why.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::limits::ENCODING_SAMPLE_MAX_BYTES;

/// The encoding of `bytes`, and how many bytes of mark come before the text.
pub(super) fn encoding(bytes: &[u8]) -> (&'static Encoding, usize) {
    if let Some(marked) = Encoding::for_bom(bytes) {
        return marked;
    }
    match bytes {
        [low, 0, next, 0, ..] if *low != 0 && *next != 0 => return (UTF_16LE, 0),
        [0, low, 0, next, ..] if *low != 0 && *next != 0 => return (UTF_16BE, 0),
        _ => {}
    }
    if std::str::from_utf8(bytes).is_ok() { (UTF_8, 0) } else { (guess(bytes), 0) }
}

/// The text of `bytes`, and its encoding.
pub(super) fn decode(bytes: &[u8]) -> (Cow<'_, str>, &'static Encoding) {
    let (encoding, mark) = encoding(bytes);
    (encoding.decode_without_bom_handling(&bytes[mark..]).0, encoding)
}

/// The old encoding that `bytes` look like.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&bytes[..bytes.len().min(ENCODING_SAMPLE_MAX_BYTES)], true);
    detector.guess(None, Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_decides_and_is_no_part_of_the_text() {
        for (bytes, name) in [
            (&b"\xEF\xBB\xBFh\xC3\xA9"[..], "UTF-8"),
            (b"\xFF\xFEh\0\xE9\0", "UTF-16LE"),
            (b"\xFE\xFF\0h\0\xE9", "UTF-16BE"),
            (b"h\0\xE9\0", "UTF-16LE"),
            (b"\0h\0\xE9", "UTF-16BE"),
        ] {
            let (text, encoding) = decode(bytes);
            assert_eq!((&*text, encoding.name()), ("hé", name), "{bytes:?}");
        }
    }

    #[test]
    fn utf_8_comes_before_any_guess() {
        assert_eq!(decode("Größe".as_bytes()).1, UTF_8);
        let (text, encoding) = decode(b"Umsatz f\xFCr M\xE4rz, Gr\xF6\xDFe und Stra\xDFe");
        assert_eq!((&*text, encoding.name()), ("Umsatz für März, Größe und Straße", "windows-1252"));
    }
}
