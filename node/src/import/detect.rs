//! Telling what a file is, by its content first and its name second.

use std::path::Path;

use super::{Format, LooksLike, csv, limits::SNIFF_MAX_BYTES, text, vcard};

/// The format of a file, or what it looks like if it is none of ours.
pub(super) fn format(bytes: &[u8], name: &str) -> Result<Format, LooksLike> {
    if let Some(known) = signature(bytes) {
        return Err(known);
    }
    let sample = sample(bytes);
    let first = sample.trim_start();
    if sample.lines().any(vcard::begins_card) {
        return Ok(Format::VCard);
    }
    if first.starts_with(['{', '[']) {
        return Ok(Format::Json);
    }
    if let Some(known) = prefix(first) {
        return Err(known);
    }
    let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "vcf" | "vcard" => return Ok(Format::VCard),
        "json" | "jsonl" | "ndjson" => return Ok(Format::Json),
        "csv" | "tsv" | "tab" => return Ok(Format::Csv),
        _ => {}
    }
    if csv::is_table(&sample) { Ok(Format::Csv) } else { Err(LooksLike::PlainText) }
}

/// What a file of this format looks like in which no record is.
pub(super) fn empty_handed(bytes: &[u8], format: Format) -> LooksLike {
    if let Some(known) = signature(bytes).or_else(|| prefix(sample(bytes).trim_start())) {
        return known;
    }
    match format {
        Format::VCard if sample(bytes).lines().any(vcard::begins_card) => LooksLike::CutCards,
        Format::VCard => LooksLike::NoCards,
        Format::Csv => LooksLike::NoRows,
        Format::Json => LooksLike::NoObjects,
        Format::Allod => LooksLike::NoRecords,
    }
}

/// The beginning of the text, up to the end of a line.
fn sample(bytes: &[u8]) -> String {
    let mut head = &bytes[..bytes.len().min(SNIFF_MAX_BYTES)];
    let (encoding, _) = text::encoding(bytes);
    if head.len() < bytes.len()
        && encoding.is_ascii_compatible()
        && let Some(end) = head.iter().rposition(|byte| *byte == b'\n')
    {
        head = &head[..end];
    }
    let mark = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let text = encoding.decode_without_bom_handling(&head[mark.min(head.len())..]).0;
    text.trim_start_matches('\u{feff}').to_owned()
}

fn signature(bytes: &[u8]) -> Option<LooksLike> {
    const KNOWN: [(&[u8], LooksLike); 8] = [
        (b"%PDF", LooksLike::Pdf),
        (b"PK\x03\x04", LooksLike::Zip),
        (b"\x1f\x8b", LooksLike::Gzip),
        (b"\x89PNG", LooksLike::Picture),
        (b"\xff\xd8\xff", LooksLike::Picture),
        (b"GIF8", LooksLike::Picture),
        (b"SQLite format 3", LooksLike::Sqlite),
        (b"\xd0\xcf\x11\xe0", LooksLike::OldOffice),
    ];
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Some(LooksLike::Empty);
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(*what);
    }
    let utf_16 = !text::encoding(bytes).0.is_ascii_compatible();
    let head = &bytes[..bytes.len().min(SNIFF_MAX_BYTES)];
    (!utf_16 && head.contains(&0)).then_some(LooksLike::Binary)
}

fn prefix(text: &str) -> Option<LooksLike> {
    const KNOWN: [(&str, LooksLike); 5] = [
        ("BEGIN:VCALENDAR", LooksLike::Calendar),
        ("OFXHEADER", LooksLike::Ofx),
        ("!Type:", LooksLike::Qif),
        ("ALLOD:", LooksLike::Invitation),
        ("<", LooksLike::Markup),
    ];
    let starts = |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    KNOWN.iter().find(|(prefix, _)| starts(prefix)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_before_the_name() {
        assert_eq!(format(b"BEGIN:VCARD\r\nEND:VCARD\r\n", "contacts.csv"), Ok(Format::VCard));
        assert_eq!(format(b"\n begin : vcard\n", "x"), Ok(Format::VCard));
        assert_eq!(format(b"\xEF\xBB\xBF[{\"a\":1}]", "x.txt"), Ok(Format::Json));
        assert_eq!(format(b"a;b\n1;2\n", "x.txt"), Ok(Format::Csv));
        assert_eq!(format(b"b\0e\0g\0i\0n\0:\0v\0c\0a\0r\0d\0\n\0", ""), Ok(Format::VCard));
    }

    #[test]
    fn the_name_decides_where_the_content_does_not() {
        assert_eq!(format(b"amount\n1\n2\n", "x.csv"), Ok(Format::Csv));
        assert_eq!(format(b"amount\n1\n2\n", "x"), Err(LooksLike::PlainText));
    }

    #[test]
    fn what_is_none_of_ours_is_called_by_its_name() {
        for (bytes, what) in [
            (&b""[..], LooksLike::Empty),
            (b" \n\n", LooksLike::Empty),
            (b"%PDF-1.7", LooksLike::Pdf),
            (b"PK\x03\x04\x14", LooksLike::Zip),
            (b"\x00\x01\x02\x03\x00", LooksLike::Binary),
            (b"BEGIN:VCALENDAR\nEND:VCALENDAR\n", LooksLike::Calendar),
            (b"<?xml version='1.0'?>", LooksLike::Markup),
            (b"Dear Ana,\nit was good to see you.\n", LooksLike::PlainText),
        ] {
            assert_eq!(format(bytes, "file"), Err(what));
        }
    }
}
