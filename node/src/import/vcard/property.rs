//! One property: its name, group and parameters as written, and its value as calcard reads it.

use std::{borrow::Cow, panic::catch_unwind};

use calcard::{Entry, Parser, vcard::VCardValue};
use data_encoding::{BASE64, BASE64_NOPAD};
use encoding_rs::{Encoding, UTF_8};

/// A property, not yet read.
pub(super) struct Property {
    /// In capitals, without its group.
    pub(super) name: String,
    /// What stands before the colon, unfolded.
    head: String,
    /// The whole property, folded as it was.
    raw: String,
    charset: Option<&'static Encoding>,
    carrier: Carrier,
}

/// How a value of several lines or of bytes is carried in a property; `;QUOTED-PRINTABLE` and `;ENCODING=B` both occur.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Plain,
    QuotedPrintable,
    Base64,
}

impl Carrier {
    /// What the parameters before the colon say.
    pub(super) fn of(head: &str) -> Self {
        let mut parameters = head.split(';').skip(1).map(|parameter| parameter.trim().to_ascii_uppercase());
        parameters
            .find_map(|parameter| match parameter.strip_prefix("ENCODING=").unwrap_or(&parameter) {
                "QUOTED-PRINTABLE" => Some(Self::QuotedPrintable),
                "BASE64" => Some(Self::Base64),
                "B" if parameter != "B" => Some(Self::Base64),
                _ => None,
            })
            .unwrap_or(Self::Plain)
    }
}

/// What a property holds.
pub(super) enum Content {
    Text(String),
    /// The parts of N, ADR, ORG; the members of CATEGORIES, NICKNAME.
    Parts(Vec<String>),
    Bytes {
        bytes: Vec<u8>,
        media_type: Option<String>,
    },
}

impl Property {
    /// Takes a property apart; nothing if it has no colon. `encoding` is that of the file.
    pub(super) fn read(raw: &[u8], encoding: &'static Encoding) -> Option<Self> {
        let as_ascii = String::from_utf8_lossy(raw);
        let head = unfold(&as_ascii[..value_at(&as_ascii)? - 1]);
        let charset = parameter(&head, "CHARSET").and_then(|label| Encoding::for_label(label.as_bytes()));
        // Files of version 2.1 name the encoding property by property, and some lie: UTF-8 comes first, strictly.
        let raw = match std::str::from_utf8(raw) {
            Ok(text) => text.to_owned(),
            Err(_) => charset.unwrap_or(encoding).decode_without_bom_handling(raw).0.into_owned(),
        };
        let head = unfold(&raw[..value_at(&raw)? - 1]).trim().to_owned();
        let name = head.split(';').next().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default().trim().to_ascii_uppercase();
        let carrier = Carrier::of(&head);
        Some(Self { name, head, raw, charset, carrier })
    }

    /// Name, group and parameters as they were written.
    pub(super) fn head(&self) -> &str {
        &self.head
    }

    /// Whether the name stands alone before the colon, apart from how the value was carried.
    pub(super) fn is_bare(&self) -> bool {
        let mut parts = self.head.split(';');
        let has_group = parts.next().is_some_and(|name| name.contains('.'));
        let carries = |parameter: &str| {
            let parameter = parameter.trim().to_ascii_uppercase();
            let word = parameter.split('=').next().unwrap_or_default();
            matches!(word, "ENCODING" | "CHARSET") || matches!(&*parameter, "QUOTED-PRINTABLE" | "BASE64" | "8BIT")
        };
        !has_group && parts.all(carries)
    }

    /// The value as it was written, unfolded.
    pub(super) fn text(&self) -> String {
        unfold(&self.raw[value_at(&self.raw).unwrap_or(self.raw.len())..]).trim().to_owned()
    }

    /// The value; nothing if calcard cannot read it.
    pub(super) fn content(&self, version: Option<&str>) -> Option<Content> {
        if self.name == "AGENT" {
            return Some(Content::Text(self.raw[value_at(&self.raw)?..].trim().replace("\r\n", "\n")));
        }
        if self.carrier == Carrier::Base64 {
            return self.base64();
        }
        let wide = self.charset.filter(|charset| !charset.is_single_byte() && *charset != UTF_8);
        if let (Carrier::QuotedPrintable, Some(charset)) = (self.carrier, wide) {
            return self.wide(charset);
        }
        let version = version.unwrap_or("3.0");
        let card = format!("BEGIN:VCARD\r\nVERSION:{version}\r\n{}\r\nEND:VCARD\r\n", self.for_calcard());
        // A fault in the parser must cost one property of a file from anywhere, and not the node.
        let entry = catch_unwind(|| Parser::new(&card).entry()).ok()?;
        let Entry::VCard(card) = entry else { return None };
        let values = card.entries.into_iter().nth(1)?.values;
        if self.has_parts() {
            return Some(Content::Parts(values.into_iter().map(part).collect()));
        }
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (Some(VCardValue::Text(text)), None) => Some(Content::Text(text.replace("\r\n", "\n"))),
            (Some(VCardValue::Binary(data)), None) => {
                Some(Content::Bytes { bytes: data.data, media_type: data.content_type })
            }
            // A number, a date, a list: as it was written.
            _ => Some(Content::Text(self.text())),
        }
    }

    /// The Base64 of old cards. calcard gives bytes that happen to be UTF-8 back as text, and a picture may be such.
    fn base64(&self) -> Option<Content> {
        let digits: Vec<u8> = self.text().bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let bytes = BASE64.decode(&digits).or_else(|_| BASE64_NOPAD.decode(&digits)).ok()?;
        let is_text = !matches!(&*self.name, "PHOTO" | "LOGO" | "SOUND" | "KEY");
        match String::from_utf8(bytes) {
            Ok(text) if is_text => Some(Content::Text(text)),
            Ok(text) => Some(Content::Bytes { bytes: text.into_bytes(), media_type: None }),
            Err(bytes) => Some(Content::Bytes { bytes: bytes.into_bytes(), media_type: None }),
        }
    }

    /// Quoted-printable of a charset with letters of several bytes, which calcard does not decode.
    fn wide(&self, charset: &'static Encoding) -> Option<Content> {
        let value = self.raw[value_at(&self.raw)?..].replace("=\r\n", "").replace("=\n", "");
        let decode = |part: &str| charset.decode_without_bom_handling(&bytes_of(part)).0.replace("\r\n", "\n");
        Some(if self.has_parts() {
            Content::Parts(value.split(';').map(decode).collect())
        } else {
            Content::Text(decode(&value))
        })
    }

    fn has_parts(&self) -> bool {
        matches!(&*self.name, "N" | "ADR" | "ORG" | "CATEGORIES" | "NICKNAME")
    }

    /// The property as calcard is to read it: quoted-printable without a charset is UTF-8 where it can be, not Latin-1.
    fn for_calcard(&self) -> Cow<'_, str> {
        if self.carrier != Carrier::QuotedPrintable || self.charset.is_some() {
            return Cow::Borrowed(&self.raw);
        }
        let Some(value_at) = value_at(&self.raw) else { return Cow::Borrowed(&self.raw) };
        let (head, value) = self.raw.split_at(value_at - 1);
        if std::str::from_utf8(&bytes_of(value)).is_ok() {
            Cow::Owned(format!("{head};CHARSET=UTF-8{value}"))
        } else {
            Cow::Borrowed(&self.raw)
        }
    }
}

fn part(value: VCardValue) -> String {
    match value {
        VCardValue::Text(text) => text,
        VCardValue::Component(texts) => texts.join(", "),
        _ => String::new(),
    }
}

/// The bytes that quoted-printable stands for.
fn bytes_of(value: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = after.get(..2).and_then(|pair| data_encoding::HEXUPPER_PERMISSIVE.decode(pair).ok());
        match (first, hex) {
            (b'=', Some(byte)) => {
                bytes.extend(byte);
                rest = &after[2..];
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

/// Where the value begins: behind the first colon that is not in quotation marks.
fn value_at(property: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in property.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b':' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn parameter<'h>(head: &'h str, wanted: &str) -> Option<&'h str> {
    head.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

/// Without line ends and the blank behind each.
fn unfold(text: &str) -> String {
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut unfolded = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        unfolded.push_str(line.strip_prefix([' ', '\t']).unwrap_or(line));
    }
    unfolded
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::*;

    fn read(raw: &[u8]) -> Property {
        Property::read(raw, WINDOWS_1252).unwrap()
    }

    fn text(raw: &[u8], version: &str) -> String {
        match read(raw).content(Some(version)).unwrap() {
            Content::Text(text) => text,
            Content::Parts(parts) => parts.join("|"),
            Content::Bytes { bytes, .. } => format!("{bytes:?}"),
        }
    }

    #[test]
    fn old_cards_are_read_in_the_charset_that_they_are_in() {
        for (raw, shown) in [
            (&b"FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=B6hrke"[..], "Möhrke"),
            (b"FN;ENCODING=QUOTED-PRINTABLE:M=C3=B6hrke", "Möhrke"),
            (b"FN;ENCODING=QUOTED-PRINTABLE:M=F6hrke", "Möhrke"),
            (b"FN;CHARSET=ISO-8859-1:M\xF6hrke", "Möhrke"),
            (b"FN:M\xF6hrke", "Möhrke"),
            (b"FN;CHARSET=ISO-8859-1:M\xC3\xB6hrke", "Möhrke"),
            (b"FN;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:=8ER=93c=91=BE=98Y", "山田太郎"),
            (b"NOTE;ENCODING=QUOTED-PRINTABLE:a=0D=0A=\nb", "a\nb"),
        ] {
            assert_eq!(text(raw, "2.1"), shown, "{}", String::from_utf8_lossy(raw));
        }
    }

    #[test]
    fn escapes_folds_and_parts_are_undone() {
        assert_eq!(text(b"NOTE:a\\nb\\, c\r\n  d", "3.0"), "a\nb, c d");
        assert_eq!(text(b"WORK.ADR:;;1 rue\\, A;\r\n Quebec;QC;G1V;Canada", "4.0"), "||1 rue, A|Quebec|QC|G1V|Canada");
        assert_eq!(text(b"CATEGORIES:a,b\\,c", "4.0"), "a|b,c");
        assert_eq!(text(b"PHOTO;ENCODING=b:AAEC", "3.0"), "[0, 1, 2]");
        assert_eq!(text(b"PHOTO:data:image/png;base64,AAEC/w==", "4.0"), "[0, 1, 2, 255]");
        assert_eq!(text(b"GEO:46.77,-71.28", "3.0"), "46.77,-71.28");
    }

    #[test]
    fn what_stands_before_the_colon_is_kept() {
        let property = read(b"item1.EMAIL;TYPE=\"a:b\",c:x@y.z");
        assert_eq!(
            (property.name.as_str(), property.head(), property.is_bare()),
            ("EMAIL", "item1.EMAIL;TYPE=\"a:b\",c", false)
        );
        assert!(read(b"FN;CHARSET=UTF-8;QUOTED-PRINTABLE:x").is_bare());
        assert!(Property::read(b"no colon", UTF_8).is_none());
    }
}
