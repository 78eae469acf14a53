//! vCards of versions 2.1, 3.0 and 4.0.
//!
//! The file is cut into cards and properties here ([`cards`]), so that every skip has its line and a card that is cut off is known as
//! such; calcard reads one property at a time: folding, quoted-printable, Base64, escapes, structure.
//!
//! | property | fields |
//! |---|---|
//! | FN | `name` |
//! | N | `family_name given_name additional_names name_prefix name_suffix` |
//! | ADR | `post_office_box address_extra street city region postcode country` |
//! | EMAIL TEL URL NOTE TITLE ROLE NICKNAME GENDER LANG | `email phone url note title role nickname gender language` |
//! | ORG | `organisation department` |
//! | BDAY ANNIVERSARY REV | `birthday anniversary revised`; as `birthday_text` and so on if it is no whole date or moment |
//! | CATEGORIES | `categories`, a list |
//! | PHOTO LOGO SOUND KEY | bytes, or the address as `photo_url` and so on |
//! | VERSION | `vcard_version` |
//! | any other | its own name in small letters; behind `vcard-` if the schema means something else by it |
//!
//! The second of a kind is `email_2`. Group and parameters of a property stay as they were written in `email_2.property`
//! (`item1.EMAIL;TYPE=HOME`), a media type in `photo.media_type`; the value itself is kept once, so that removing a field leaves
//! nothing of it behind.

mod cards;
mod property;

use std::collections::{HashMap, HashSet};

use allod_protocol::{
    limits::FIELDS_PER_RECORD_MAX,
    path::{FieldName, Kind, RecordPath},
    schema::Schema,
    value::{Moment, Scalar, Value},
};
use encoding_rs::Encoding;

use self::{
    cards::{Card, Cards, Piece},
    property::{Content as Held, Property},
};
use super::{
    Collected, Format, ImportError, Imported, ImportedRecord, Notes, Place, Reason,
    digest::Content,
    limits::PROPERTY_MAX_BYTES,
    names::{Ids, fitting, numbered, plain_name},
    text,
    written::Days,
};

pub(super) use self::cards::begins_card;

/// What the parts of N become, in their order.
const NAME_PARTS: [&str; 5] = ["family_name", "given_name", "additional_names", "name_prefix", "name_suffix"];
/// What the parts of ADR become, in their order.
const ADDRESS_PARTS: [&str; 7] =
    ["post_office_box", "address_extra", "street", "city", "region", "postcode", "country"];

/// Reads a file of vCards.
pub(super) fn read(bytes: &[u8], kind: Option<&Kind>) -> Result<Imported, ImportError> {
    let (encoding, mark) = text::encoding(bytes);
    let decoded;
    let body = if encoding.is_ascii_compatible() {
        &bytes[mark..]
    } else {
        decoded = encoding.decode_without_bom_handling(&bytes[mark..]).0;
        decoded.as_bytes()
    };
    // The line feeds of an old Macintosh.
    let with_feeds;
    let body = if body.contains(&b'\n') || !body.contains(&b'\r') {
        body
    } else {
        with_feeds = body.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect::<Vec<_>>();
        &with_feeds
    };
    let kind = kind.cloned().unwrap_or_else(|| Kind::parse("contact").expect("a name"));
    let mut collected = Collected::default();
    let mut ids = Ids::default();
    for piece in Cards::new(body) {
        match piece {
            Piece::Broken { line, why } => collected.skip(Place::Line(line), why),
            Piece::Card(card) => take(&card, &kind, encoding, &mut ids, &mut collected)?,
        }
    }
    Ok(collected.finish(Format::VCard, Notes { encoding: encoding.name(), ..Notes::default() }))
}

fn take(
    card: &Card<'_>,
    kind: &Kind,
    encoding: &'static Encoding,
    ids: &mut Ids,
    collected: &mut Collected,
) -> Result<(), ImportError> {
    let schema = Schema::of(kind);
    let mut draft = Draft { schema, fields: Vec::new(), numbers: HashMap::new(), taken: HashSet::new() };
    let mut properties = Vec::with_capacity(card.lines.len());
    for line in &card.lines {
        if line.raw.len() > PROPERTY_MAX_BYTES {
            let (bytes, most) = (line.raw.len() as u64, PROPERTY_MAX_BYTES as u64);
            collected.skip(Place::Line(line.number), Reason::PropertyTooLarge { bytes, most });
        } else {
            properties.push((line.number, Property::read(line.raw, encoding)));
        }
    }
    let version = properties.iter().filter_map(|(_, p)| p.as_ref()).find(|p| p.name == "VERSION").map(|p| p.text());
    let version = version.filter(|version| matches!(version.as_str(), "2.1" | "3.0" | "4.0"));
    for (number, property) in properties {
        let place = Place::Line(number);
        let Some(property) = property else {
            collected.skip(place, Reason::NoColon {});
            continue;
        };
        let Some(held) = property.content(version.as_deref()) else {
            collected.skip(place, Reason::Unreadable { property: property.name });
            continue;
        };
        for (name, value) in draft.fields_of(&property, held) {
            let full = draft.fields.len() >= FIELDS_PER_RECORD_MAX;
            if full {
                let (property, most) = (property.name, FIELDS_PER_RECORD_MAX as u64);
                collected.skip(place, Reason::RecordFull { property, most });
                break;
            }
            match collected.checked(value, &place, &property.name) {
                Some(value) => draft.fields.push((name, value)),
                None => break,
            }
        }
    }
    draft.name_from_parts();
    let place = Place::Line(card.line);
    if draft.fields.iter().all(|(name, _)| name.as_str() == "vcard_version") {
        collected.skip(place, Reason::EmptyCard {});
        return Ok(());
    }
    let mut content = Content::new();
    for (name, value) in &draft.fields {
        content.part(name.as_str().as_bytes());
        content.part(&allod_protocol::codec::Coded::encode(value));
    }
    match ids.give(schema, &draft.fields, None, content.finish()) {
        Some(id) => {
            let record = RecordPath { kind: kind.clone(), id };
            collected.take(ImportedRecord { record, fields: draft.fields }, place)
        }
        None => {
            collected.skip(place, Reason::SameCard {});
            Ok(())
        }
    }
}

/// A record while its card is read.
struct Draft {
    schema: Option<&'static Schema>,
    fields: Vec<(FieldName, Value)>,
    /// How many properties there were of each base name.
    numbers: HashMap<String, usize>,
    taken: HashSet<String>,
}

impl Draft {
    /// The fields that a property becomes.
    fn fields_of(&mut self, property: &Property, held: Held) -> Vec<(FieldName, Value)> {
        let known = known(&property.name);
        let base = match known {
            Some(base) => base.to_owned(),
            None => self.own_name(&property.name),
        };
        let mut fields = values(&property.name, &base, held);
        if fields.is_empty() {
            return Vec::new();
        }
        // The name alone is recovered from the field's; what else stands before the colon is not.
        if !property.is_bare() || (known.is_none() && property.name.to_ascii_lowercase() != base) {
            fields.push((format!("{base}.property"), Value::text(property.head())));
        }
        let number = self.numbers.entry(base).or_insert(0);
        loop {
            *number += 1;
            let names: Vec<_> = fields.iter().map(|(name, _)| number_within(name, *number)).collect();
            // A property may be called `EMAIL_2` or `PHOTO_URL` by itself.
            if names.iter().all(|name| !self.taken.contains(name)) {
                self.taken.extend(names.iter().cloned());
                let name = |name: String| FieldName::parse(&name).expect("made of plain names, and short");
                return names.into_iter().map(name).zip(fields.into_iter().map(|(_, value)| value)).collect();
            }
        }
    }

    /// The field of a property that we have no name for.
    fn own_name(&self, name: &str) -> String {
        let plain = plain_name(&name.to_ascii_lowercase(), "-").unwrap_or_else(|| "unnamed".to_owned());
        let field = FieldName::parse(&plain).expect("plain names are field names");
        let means_another = field.is_id() || self.schema.is_some_and(|schema| schema.field(&field).is_some());
        if means_another { fitting(format!("vcard-{plain}"), name) } else { plain }
    }

    /// Cards of version 2.1 may have no FN: the name is then its parts, as people say them.
    fn name_from_parts(&mut self) {
        let part = |wanted: &str| self.fields.iter().find(|(name, _)| name.as_str() == wanted);
        if part("name").is_some() || self.fields.len() >= FIELDS_PER_RECORD_MAX {
            return;
        }
        let parts = ["given_name", "family_name"].iter().filter_map(|wanted| part(wanted));
        let name = parts.map(|(_, value)| value.to_string()).collect::<Vec<_>>().join(" ");
        if !name.is_empty() {
            self.fields.insert(0, (FieldName::parse("name").expect("a name"), Value::text(name)));
        }
    }
}

/// `street` and 2 give `street_2`; `photo.media_type` and 2 give `photo_2.media_type`.
fn number_within(name: &str, number: usize) -> String {
    match name.split_once('.') {
        Some((base, rest)) => format!("{}.{rest}", numbered(base, number)),
        None => numbered(name, number),
    }
}

/// The base name of the properties that we know.
fn known(property: &str) -> Option<&'static str> {
    Some(match property {
        "FN" => "name",
        "N" => "name_parts",
        "ADR" => "address",
        "EMAIL" => "email",
        "TEL" => "phone",
        "URL" => "url",
        "NOTE" => "note",
        "TITLE" => "title",
        "ROLE" => "role",
        "NICKNAME" => "nickname",
        "GENDER" => "gender",
        "LANG" => "language",
        "ORG" => "organisation",
        "BDAY" => "birthday",
        "ANNIVERSARY" => "anniversary",
        "REV" => "revised",
        "CATEGORIES" => "categories",
        "PHOTO" => "photo",
        "LOGO" => "logo",
        "SOUND" => "sound",
        "KEY" => "key",
        "VERSION" => "vcard_version",
        _ => return None,
    })
}

/// The names, without numbers, and values of a property; none if it is blank.
fn values(property: &str, base: &str, held: Held) -> Vec<(String, Value)> {
    let one = |name: &str, value: Value| vec![(name.to_owned(), value)];
    match held {
        Held::Bytes { bytes, media_type } => {
            let mut fields = one(base, Value::Scalar(Scalar::Bytes(bytes)));
            fields.extend(media_type.map(|media_type| (format!("{base}.media_type"), Value::text(media_type))));
            fields
        }
        Held::Parts(parts) => match property {
            "N" => named_parts(&NAME_PARTS, parts),
            "ADR" => named_parts(&ADDRESS_PARTS, parts),
            "ORG" => {
                let mut parts = parts.into_iter();
                let first = parts.next().unwrap_or_default();
                let rest = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
                named_parts(&["organisation", "department"], vec![first, rest])
            }
            "CATEGORIES" => {
                let items: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).map(Scalar::Text).collect();
                if items.is_empty() { Vec::new() } else { one(base, Value::List(items)) }
            }
            _ => named_parts(&[base], vec![parts.join(", ")]),
        },
        Held::Text(text) if text.trim().is_empty() => Vec::new(),
        Held::Text(text) => match property {
            "BDAY" | "ANNIVERSARY" => match date_of(&text) {
                Some(date) => one(base, Value::Scalar(Scalar::Date(date))),
                None => one(&format!("{base}_text"), Value::text(text)),
            },
            "REV" => match moment_of(&text) {
                Some(moment) => one(base, Value::Scalar(Scalar::Instant(moment))),
                None => one(&format!("{base}_text"), Value::text(text)),
            },
            "PHOTO" | "LOGO" | "SOUND" => one(&format!("{base}_url"), Value::text(text)),
            "TEL" => {
                let number = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:")).map(|_| &text[4..]);
                one(base, Value::text(number.unwrap_or(&text)))
            }
            _ => one(base, Value::text(text)),
        },
    }
}

fn named_parts(names: &[&str], parts: Vec<String>) -> Vec<(String, Value)> {
    let filled = names.iter().zip(parts).filter(|(_, part)| !part.trim().is_empty());
    filled.map(|(name, part)| ((*name).to_owned(), Value::text(part))).collect()
}

/// A whole day: `1980-03-21`, `19800321`, or with a midnight behind it.
fn date_of(text: &str) -> Option<allod_protocol::value::Date> {
    let (day, clock) = text.trim().split_once('T').unwrap_or((text.trim(), ""));
    let midnight = clock.chars().all(|letter| matches!(letter, '0' | ':' | 'Z'));
    if midnight { Days::default().date(day, None) } else { None }
}

/// A moment, also in the short form `20190602T115709Z`.
fn moment_of(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Some(moment) = Moment::parse(text) {
        return Some(moment);
    }
    let (day, clock) = text.split_once('T')?;
    let date = Days::default().date(day, None)?;
    let (digits, zone) = (clock.get(..6)?, clock.get(6..)?);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| Moment::parse(&format!("{date}T{}:{}:{}{zone}", &digits[..2], &digits[2..4], &digits[4..])))?
}
