//! Names and ids made from what a file calls things.

use std::collections::{HashMap, HashSet};

use allod_protocol::{
    path::{FieldName, ID_FIELD, RecordId},
    schema::{Field, Schema},
    value::{Date, Moment, Scalar, Value},
};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::{
    digest::{Content, Digest},
    limits::{FOREIGN_NAME_MAX_BYTES, SLUG_MAX_BYTES},
};

/// What the built-in field name `id` becomes when a file uses it: it is a value of theirs, and not our record's id.
const SOURCE_ID: &str = "source_id";

/// A field name from a foreign one: `Číslo účtu` gives `cislo_uctu`, `createdAt` gives `created_at`. Characters of `keep` stay as they
/// are. Nothing if no letter or digit is left. What is too long is cut, and gets a few digits of its digest.
pub(super) fn plain_name(foreign: &str, keep: &str) -> Option<String> {
    let mut plain = String::new();
    // A capital begins a word behind a small letter: `createdAt`, but neither `kWh` nor `eMail`, where one letter stands before it.
    let (mut after_small, mut word) = (false, 0);
    for letter in foreign.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        if letter.is_ascii_uppercase() && after_small && word > 1 {
            plain.push('_');
            word = 0;
        }
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        word = if letter.is_ascii_alphanumeric() { word + 1 } else { 0 };
        match letter.to_ascii_lowercase() {
            small @ ('a'..='z' | '0'..='9') => plain.push(small),
            'ß' => plain.push_str("ss"),
            'æ' | 'Æ' => plain.push_str("ae"),
            'œ' | 'Œ' => plain.push_str("oe"),
            'ø' | 'Ø' => plain.push('o'),
            'ł' | 'Ł' => plain.push('l'),
            'đ' | 'Đ' => plain.push('d'),
            kept if keep.contains(kept) => plain.push(kept),
            _ if !plain.is_empty() && !plain.ends_with('_') => plain.push('_'),
            _ => {}
        }
    }
    let plain = plain.trim_matches(['_', '.', '-']);
    let first = plain.chars().next()?;
    let plain = if first.is_ascii_digit() { format!("n_{plain}") } else { plain.to_owned() };
    Some(fitting(plain, foreign))
}

/// `plain`, or its beginning and a few digits of the digest of what it was made from.
pub(super) fn fitting(plain: String, made_from: &str) -> String {
    if plain.len() <= FOREIGN_NAME_MAX_BYTES {
        return plain;
    }
    let mut content = Content::new();
    content.part(made_from.as_bytes());
    let digits = content.finish().short();
    format!("{}_{digits}", &plain[..FOREIGN_NAME_MAX_BYTES - digits.len() - 1])
}

/// A word for people from a name: `Dr. Max Möhrke` gives `dr-max-möhrke`.
fn slug(name: &str) -> Option<String> {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase).nfc() {
        let next = if letter.is_alphanumeric() || is_combining_mark(letter) { letter } else { '-' };
        if slug.len() + next.len_utf8() > SLUG_MAX_BYTES {
            break;
        }
        if next != '-' || (!slug.is_empty() && !slug.ends_with('-')) {
            slug.push(next);
        }
    }
    let slug = slug.trim_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// The fields that columns or members become, under a schema or without one.
pub(super) struct Naming<'s> {
    by_name: HashMap<&'s str, &'s Field>,
    by_other: HashMap<&'s str, &'s Field>,
}

impl<'s> Naming<'s> {
    pub(super) fn new(schema: Option<&'s Schema>) -> Self {
        let fields = || schema.into_iter().flat_map(|schema| &schema.fields);
        Self {
            by_name: fields().map(|field| (field.name.as_str(), field)).collect(),
            by_other: fields().flat_map(|field| field.also.iter().map(move |other| (other.as_str(), field))).collect(),
        }
    }

    /// A field for each of these plain names, no field twice: a field's own name comes before another name for it, and the first of two
    /// equal ones before the second, which gets a number.
    pub(super) fn assign(&self, plain: &[String]) -> Vec<(FieldName, Option<&'s Field>)> {
        let mut taken: HashSet<String> = HashSet::new();
        let mut assigned: Vec<Option<(String, Option<&'s Field>)>> = vec![None; plain.len()];
        for by in [&self.by_name, &self.by_other] {
            for (name, slot) in plain.iter().zip(&mut assigned) {
                if slot.is_none()
                    && let Some(field) = by.get(name.as_str())
                    && taken.insert(field.name.as_str().to_owned())
                {
                    *slot = Some((field.name.as_str().to_owned(), Some(*field)));
                }
            }
        }
        let mut last_number: HashMap<&str, usize> = HashMap::new();
        let mut fields = Vec::with_capacity(plain.len());
        for (name, slot) in plain.iter().zip(assigned) {
            let (text, field) = slot.unwrap_or_else(|| {
                let base = if name == ID_FIELD { SOURCE_ID } else { name.as_str() };
                let number = last_number.entry(base).or_insert(0);
                loop {
                    *number += 1;
                    let text = numbered(base, *number);
                    if taken.insert(text.clone()) {
                        return (text, self.by_name.get(base).copied());
                    }
                }
            });
            fields.push((FieldName::parse(&text).expect("plain names are field names"), field));
        }
        fields
    }
}

/// `base` for the first, `base_2` for the second.
pub(super) fn numbered(base: &str, number: usize) -> String {
    if number == 1 { base.to_owned() } else { format!("{base}_{number}") }
}

/// Gives out the ids of one file, none twice. The order of the file decides who gets a number, so that the same file gives the same ids.
#[derive(Default)]
pub(super) struct Ids {
    given: HashSet<String>,
    last_number: HashMap<String, usize>,
    seen: HashSet<(String, Digest)>,
}

impl Ids {
    /// The id of a record; nothing if an equal record of the same name came before. `day` stands in front of a digest, for people.
    pub(super) fn give(
        &mut self,
        schema: Option<&Schema>,
        fields: &[(FieldName, Value)],
        day: Option<String>,
        content: Digest,
    ) -> Option<RecordId> {
        let base = match schema.and_then(|schema| named_by(schema, fields)) {
            Some(name) => {
                if !self.seen.insert((name.clone(), content)) {
                    return None;
                }
                name
            }
            None => match day {
                Some(day) => format!("{day}-{}", content.short()),
                None => content.short(),
            },
        };
        let number = self.last_number.entry(base.clone()).or_insert(0);
        loop {
            *number += 1;
            let id = if *number == 1 { base.clone() } else { format!("{base}-{number}") };
            if self.given.insert(id.clone()) {
                return Some(
                    RecordId::parse(&id).expect("slugs, days and digests are ids, and their numbers fit behind"),
                );
            }
        }
    }
}

fn named_by(schema: &Schema, fields: &[(FieldName, Value)]) -> Option<String> {
    schema.key.iter().find_map(|key| {
        let parts: Option<Vec<String>> = key
            .iter()
            .map(|part| fields.iter().find(|(name, _)| name == part).map(|(_, value)| value.to_string()))
            .collect();
        slug(&parts?.join(" "))
    })
}

/// The first day that a record tells.
pub(super) fn first_day(fields: &[(FieldName, Value)]) -> Option<String> {
    fields.iter().find_map(|(_, value)| day_of(value))
}

/// The day that a value tells, if it is a date, a moment, or text that begins with one.
fn day_of(value: &Value) -> Option<String> {
    match value {
        Value::Scalar(Scalar::Date(date)) => Some(date.to_string()),
        Value::Scalar(Scalar::Instant(moment)) => moment.to_string().get(..10).map(str::to_owned),
        Value::Scalar(Scalar::Text(text)) => {
            let whole = Date::parse(text).is_some() || Moment::parse(text).is_some();
            whole.then(|| text[..10].to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use allod_protocol::path::Kind;
    use proptest::prelude::*;

    use super::*;

    fn names(kind: &str, plain: &[&str]) -> Vec<String> {
        let schema = Schema::of(&Kind::parse(kind).unwrap());
        let plain: Vec<_> = plain.iter().map(|name| (*name).to_owned()).collect();
        Naming::new(schema).assign(&plain).into_iter().map(|(name, _)| name.as_str().to_owned()).collect()
    }

    #[test]
    fn foreign_names_become_plain_ones() {
        for (foreign, plain) in [
            ("Číslo účtu", "cislo_uctu"),
            ("createdAt", "created_at"),
            ("speakToAs", "speak_to_as"),
            ("iPhoneSE", "iphone_se"),
            ("Beguenstigter/Zahlungspflichtiger", "beguenstigter_zahlungspflichtiger"),
            ("Straße", "strasse"),
            ("  E-Mail 1 - Value ", "e_mail_1_value"),
            ("URL", "url"),
            ("2026 (kWh)", "n_2026_kwh"),
            ("@type", "type"),
            ("Nr.", "nr"),
        ] {
            assert_eq!(plain_name(foreign, "").as_deref(), Some(plain), "{foreign}");
        }
        assert_eq!(plain_name("金額", ""), None);
        assert_eq!(plain_name("x-phonetic-first-name", "-").as_deref(), Some("x-phonetic-first-name"));
    }

    #[test]
    fn long_names_stay_distinct() {
        let long = "a".repeat(60);
        let (one, two) = (plain_name(&long, "").unwrap(), plain_name(&format!("{long}b"), "").unwrap());
        assert_eq!(one.len(), FOREIGN_NAME_MAX_BYTES);
        assert_ne!(one, two);
    }

    #[test]
    fn a_field_goes_to_the_column_that_has_its_own_name() {
        assert_eq!(names("transaction", &["betrag", "amount"]), ["betrag", "amount"]);
        assert_eq!(names("transaction", &["betrag", "bedrag"]), ["amount", "bedrag"]);
        assert_eq!(names("transaction", &["betrag", "betrag", "betrag"]), ["amount", "betrag", "betrag_2"]);
        assert_eq!(names("transaction", &["amount", "amount"]), ["amount", "amount_2"]);
        assert_eq!(names("stamp", &["id", "id", "source_id"]), ["source_id", "source_id_2", "source_id_3"]);
    }

    #[test]
    fn a_slug_is_a_word_in_any_script() {
        assert_eq!(slug("Dr. Max Möhrke").as_deref(), Some("dr-max-möhrke"));
        assert_eq!(slug("山田 太郎").as_deref(), Some("山田-太郎"));
        assert_eq!(slug(" ../* "), None);
    }

    proptest! {
        #[test]
        fn any_text_gives_a_field_name_or_none(text in any::<String>()) {
            for keep in ["", "-"] {
                if let Some(name) = plain_name(&text, keep) {
                    prop_assert!(FieldName::parse(&numbered(&name, 999)).is_ok(), "{name}");
                }
            }
        }

        #[test]
        fn any_text_gives_a_record_id_or_none(text in any::<String>()) {
            if let Some(slug) = slug(&text) {
                prop_assert!(RecordId::parse(&format!("{slug}-999")).is_ok(), "{slug}");
            }
        }
    }
}
