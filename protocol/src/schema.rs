//! Schemas: what the fields of a well-known kind are called, which type each has, and how people read them.
//!
//! A schema advises and never forbids: a kind without one, and a field that none names, are kept all the same. What it decides is the
//! type of a value that came without one, the name that a column of somebody's table gets, and the words on a screen. The nine built-in
//! ones are files under `schemas/`, one a version, so that a change is a new file and not another meaning of an old one.
//!
//! A second value of the same sort has a number behind its name: `email`, `email_2`, `email_3`. The number shares the field's line.

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, de::Error};

use crate::{
    path::{FieldName, Kind},
    value::Type,
};

const FILES: [&str; 9] = [
    include_str!("../schemas/contact.v1.toml"),
    include_str!("../schemas/identity.v1.toml"),
    include_str!("../schemas/address.v1.toml"),
    include_str!("../schemas/account.v1.toml"),
    include_str!("../schemas/transaction.v1.toml"),
    include_str!("../schemas/consumption.v1.toml"),
    include_str!("../schemas/preference.v1.toml"),
    include_str!("../schemas/intent.v1.toml"),
    include_str!("../schemas/document.v1.toml"),
];

static BUILT_IN: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|file| toml::from_str(file).expect("every built-in schema is read by a test of this file"))
        .collect()
});

/// What a kind's records hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The kind that it describes.
    pub kind: Kind,
    /// Which version of the description.
    pub version: u32,
    /// The kind in English.
    pub en: String,
    /// The kind in French.
    pub fr: String,
    /// The fields by which a person tells one record from another, best first: the first of these sets that a record has names it. Never a
    /// number that somebody assigned. None where there is no such field, as with transactions.
    #[serde(default)]
    pub key: Vec<Vec<FieldName>>,
    /// The fields, in the order in which a screen shows them.
    pub fields: Vec<Field>,
}

/// One line of a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name in paths.
    pub name: FieldName,
    /// Its type.
    #[serde(rename = "type", deserialize_with = "word")]
    pub value_type: Type,
    /// Its name in English.
    pub en: String,
    /// Its name in French.
    pub fr: String,
    /// What others call it in the tables that they hand out, as field names.
    #[serde(default)]
    pub also: Vec<String>,
    /// The century of years written with two digits, where such files leave no doubt: 20 for 2000 to 2099.
    #[serde(default)]
    pub century: Option<u8>,
}

fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Type, D::Error> {
    let word = String::deserialize(deserializer)?;
    Type::parse(&word).ok_or_else(|| D::Error::custom(format!("\"{word}\" is no type")))
}

impl Schema {
    /// The built-in schemas.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &BUILT_IN
    }

    /// The newest built-in schema of a kind.
    #[must_use]
    pub fn of(kind: &Kind) -> Option<&'static Self> {
        BUILT_IN.iter().filter(|schema| schema.kind == *kind).max_by_key(|schema| schema.version)
    }

    /// Kind and version in one word: `contact.v1`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}.v{}", self.kind, self.version)
    }

    /// The line for a field; `email_2` has that of `email`.
    #[must_use]
    pub fn field(&self, name: &FieldName) -> Option<&Field> {
        let line = |text: &str| self.fields.iter().find(|field| field.name.as_str() == text);
        line(name.as_str()).or_else(|| line(unnumbered(name.as_str())?))
    }

    /// The type of a field.
    #[must_use]
    pub fn type_of(&self, name: &FieldName) -> Option<Type> {
        self.field(name).map(|field| field.value_type)
    }
}

/// `email` of `email_2`; nothing if there is no such number from 2 on.
fn unnumbered(name: &str) -> Option<&str> {
    let (base, number) = name.rsplit_once('_')?;
    let counts = !number.starts_with('0') && number != "1" && number.bytes().all(|b| b.is_ascii_digit());
    (counts && !number.is_empty()).then_some(base)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn schema(kind: &str) -> &'static Schema {
        Schema::of(&Kind::parse(kind).unwrap()).unwrap()
    }

    fn type_of(kind: &str, field: &str) -> Option<Type> {
        schema(kind).type_of(&FieldName::parse(field).unwrap())
    }

    #[test]
    fn every_built_in_schema_reads_and_names_each_field_once() {
        let kinds: Vec<_> = Schema::all().iter().map(|schema| schema.id()).collect();
        assert_eq!(
            kinds,
            [
                "contact.v1",
                "identity.v1",
                "address.v1",
                "account.v1",
                "transaction.v1",
                "consumption.v1",
                "preference.v1",
                "intent.v1",
                "document.v1"
            ]
        );
        for schema in Schema::all() {
            let names: BTreeSet<_> = schema.fields.iter().map(|field| &field.name).collect();
            assert_eq!(names.len(), schema.fields.len(), "{}: a name twice", schema.kind);
            assert!(
                schema.key.iter().flatten().all(|key| names.contains(key)),
                "{}: a key that is no field",
                schema.kind
            );
            assert!(
                schema.fields.iter().all(|field| !field.name.is_id() && !field.en.is_empty() && !field.fr.is_empty())
            );
            let mut others = BTreeSet::new();
            for other in schema.fields.iter().flat_map(|field| &field.also) {
                let name = FieldName::parse(other).unwrap();
                assert!(!names.contains(&name), "{}: {other} is a field already", schema.kind);
                assert!(others.insert(name), "{}: {other} twice", schema.kind);
            }
        }
    }

    #[test]
    fn a_second_value_has_the_type_of_the_first() {
        assert_eq!(type_of("contact", "birthday"), Some(Type::Date));
        assert_eq!(type_of("contact", "birthday_2"), Some(Type::Date));
        assert_eq!(type_of("transaction", "amount"), Some(Type::Decimal));
        for no_number in ["birthday_", "birthday_1", "birthday_02", "birthday_x", "birthday.2", "shoe_size"] {
            assert_eq!(type_of("contact", no_number), None, "{no_number}");
        }
    }

    #[test]
    fn a_kind_of_ones_own_has_no_schema() {
        assert!(Schema::of(&Kind::parse("stamp").unwrap()).is_none());
    }
}
