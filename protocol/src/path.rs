//! Paths: `kind/id` names a record, `kind/id/field` a field, and a selector may put `*` where the id stands.
//!
//! Kind and field are `[a-z][a-z0-9_.-]{0,63}`. An id is 1 to 128 bytes of NFC text without `/ * =`, spaces and control characters;
//! whatever holds those is %-escaped ([`RecordId::escape`]). The field name `id` is built in: it is the record's own id, and it is lent
//! only by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

use crate::limits::{NAME_MAX_BYTES, RECORD_ID_MAX_BYTES};

/// The built-in field that holds a record's own id.
pub const ID_FIELD: &str = "id";

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not `kind/id` or `kind/id/field`.
    #[error("a path has the form kind/id/field")]
    Shape,
    /// Kind or field has other letters than `[a-z][a-z0-9_.-]{0,63}`.
    #[error("\"{0}\" is not a name: a to z, then a to z, 0 to 9, _ . -, 64 at most")]
    Name(String),
    /// The id is empty, too long, or holds a character that must be escaped.
    #[error("\"{0}\" is not a record id: 1 to 128 bytes without / * = spaces or control characters")]
    Id(String),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// [`PathError::Name`].
            pub fn parse(text: &str) -> Result<Self, PathError> {
                Self::try_from(text.to_owned())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = PathError;

            fn try_from(text: String) -> Result<Self, PathError> {
                if is_name(&text) { Ok(Self(text)) } else { Err(PathError::Name(text)) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= NAME_MAX_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b))
}

name!(
    /// What sort of record: `contact`, `transaction`.
    Kind
);
name!(
    /// The name of one value in a record.
    FieldName
);

impl FieldName {
    /// The built-in field `id`.
    #[must_use]
    pub fn id() -> Self {
        Self(ID_FIELD.to_owned())
    }

    /// Whether this is the built-in field `id`.
    #[must_use]
    pub fn is_id(&self) -> bool {
        self.0 == ID_FIELD
    }
}

/// Which record of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct RecordId(String);

impl RecordId {
    /// Reads an id; text that is not NFC is brought to it.
    ///
    /// # Errors
    /// [`PathError::Id`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        // What is ASCII is NFC.
        let text = if text.is_ascii() { text.to_owned() } else { text.nfc().collect() };
        if is_id(&text) { Ok(Self(text)) } else { Err(PathError::Id(text)) }
    }

    /// An id from any text: what may not stand in one is %-escaped, what is too long is cut at a character.
    ///
    /// # Errors
    /// [`PathError::Id`] if the text is empty.
    pub fn escape(text: &str) -> Result<Self, PathError> {
        let mut escaped = String::new();
        for character in text.nfc() {
            let mut next = String::new();
            if is_plain(character) && character != '%' {
                next.push(character);
            } else {
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    next.push_str(&format!("%{byte:02X}"));
                }
            }
            if escaped.len() + next.len() > RECORD_ID_MAX_BYTES {
                break;
            }
            escaped.push_str(&next);
        }
        Self::parse(&escaped)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_id(text: &str) -> bool {
    (1..=RECORD_ID_MAX_BYTES).contains(&text.len()) && text.chars().all(is_plain)
}

fn is_plain(character: char) -> bool {
    !(character.is_control() || character.is_whitespace() || "/*=".contains(character))
}

impl TryFrom<String> for RecordId {
    type Error = PathError;

    /// Strict: an id that comes from elsewhere is NFC already.
    fn try_from(text: String) -> Result<Self, PathError> {
        let is_nfc = text.is_ascii() || text.nfc().eq(text.chars());
        if is_nfc && is_id(&text) { Ok(Self(text)) } else { Err(PathError::Id(text)) }
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        id.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `kind/id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordPath {
    pub kind: Kind,
    pub id: RecordId,
}

impl RecordPath {
    /// The path of one of this record's fields.
    #[must_use]
    pub fn field(&self, field: FieldName) -> FieldPath {
        FieldPath { record: self.clone(), field }
    }
}

impl FromStr for RecordPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let (kind, id) = text.split_once('/').ok_or(PathError::Shape)?;
        if id.contains('/') {
            return Err(PathError::Shape);
        }
        Ok(Self { kind: Kind::parse(kind)?, id: RecordId::parse(id)? })
    }
}

impl fmt::Display for RecordPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// `kind/id/field`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldPath {
    pub record: RecordPath,
    pub field: FieldName,
}

impl FromStr for FieldPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let (record, field) = text.rsplit_once('/').ok_or(PathError::Shape)?;
        if !record.contains('/') {
            return Err(PathError::Shape);
        }
        Ok(Self { record: record.parse()?, field: FieldName::parse(field)? })
    }
}

impl FieldPath {
    /// The text of the column that it lies in.
    #[must_use]
    pub fn column_text(&self) -> String {
        [self.record.kind.as_str(), "/*/", self.field.as_str()].concat()
    }

    /// Its text, without a formatter's detours: it is asked for with every read.
    #[must_use]
    pub fn text(&self) -> String {
        [self.record.kind.as_str(), "/", self.record.id.as_str(), "/", self.field.as_str()].concat()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.record, self.field)
    }
}

/// A record or a field: what `get`, `history` and `remove` take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    Record(RecordPath),
    Field(FieldPath),
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        match text.matches('/').count() {
            1 => text.parse().map(Self::Record),
            2 => text.parse().map(Self::Field),
            _ => Err(PathError::Shape),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(record) => record.fmt(f),
            Self::Field(field) => field.fmt(f),
        }
    }
}

/// What is lent or asked: one field, or a column in every record of a kind, later ones too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Selector {
    Field(FieldPath),
    Column { kind: Kind, field: FieldName },
}

impl Selector {
    /// Whether `path` is among what this selects.
    #[must_use]
    pub fn covers(&self, path: &FieldPath) -> bool {
        match self {
            Self::Field(field) => field == path,
            Self::Column { kind, field } => *kind == path.record.kind && *field == path.field,
        }
    }

    /// The kind that it selects from.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        match self {
            Self::Field(path) => &path.record.kind,
            Self::Column { kind, .. } => kind,
        }
    }

    /// The field that it selects.
    #[must_use]
    pub fn field(&self) -> &FieldName {
        match self {
            Self::Field(path) => &path.field,
            Self::Column { field, .. } => field,
        }
    }
}

impl FromStr for Selector {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let parts: Vec<_> = text.split('/').collect();
        match parts[..] {
            [kind, "*", field] => Ok(Self::Column { kind: Kind::parse(kind)?, field: FieldName::parse(field)? }),
            [_, _, _] => text.parse().map(Self::Field),
            _ => Err(PathError::Shape),
        }
    }
}

impl Selector {
    /// Its text, without a formatter's detours.
    #[must_use]
    pub fn text(&self) -> String {
        self.pieces().concat()
    }

    /// What its text is made of: it stands in the AAD of every cell.
    #[must_use]
    pub fn pieces(&self) -> [&str; 5] {
        match self {
            Self::Field(FieldPath { record, field }) => {
                [record.kind.as_str(), "/", record.id.as_str(), "/", field.as_str()]
            }
            Self::Column { kind, field } => [kind.as_str(), "/*/", field.as_str(), "", ""],
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => path.fmt(f),
            Self::Column { kind, field } => write!(f, "{kind}/*/{field}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_and_print_the_same() {
        for text in ["contact/me/city", "transaction/2026-03-14-0007/amount", "document/café/title"] {
            assert_eq!(text.parse::<FieldPath>().unwrap().to_string(), text);
        }
        assert_eq!("transaction/*/amount".parse::<Selector>().unwrap().to_string(), "transaction/*/amount");
    }

    #[test]
    fn what_is_no_path_is_refused_for_its_reason() {
        assert_eq!("contact".parse::<FieldPath>(), Err(PathError::Shape));
        assert_eq!("contact/me".parse::<FieldPath>(), Err(PathError::Shape));
        assert_eq!("a/b/c/d".parse::<FieldPath>(), Err(PathError::Shape));
        assert!(matches!("Contact/me/city".parse::<FieldPath>(), Err(PathError::Name(_))));
        assert!(matches!("contact/a b/city".parse::<FieldPath>(), Err(PathError::Id(_))));
        assert!(matches!("contact/*/city".parse::<FieldPath>(), Err(PathError::Id(_))));
        assert!(matches!("contact//city".parse::<FieldPath>(), Err(PathError::Id(_))));
        let long = format!("contact/{}/city", "x".repeat(129));
        assert!(matches!(long.parse::<FieldPath>(), Err(PathError::Id(_))));
    }

    #[test]
    fn text_in_another_normal_form_names_the_same_record() {
        let composed: RecordPath = "contact/caf\u{e9}".parse().unwrap();
        let decomposed: RecordPath = "contact/cafe\u{301}".parse().unwrap();
        assert_eq!(composed, decomposed);
        assert!(RecordId::try_from("cafe\u{301}".to_owned()).is_err(), "from elsewhere it must be NFC already");
    }

    #[test]
    fn any_text_can_be_escaped_into_an_id() {
        assert_eq!(RecordId::escape("a b/c=*%").unwrap().as_str(), "a%20b%2Fc%3D%2A%25");
        assert!(RecordId::escape(&"é".repeat(100)).unwrap().as_str().len() <= RECORD_ID_MAX_BYTES);
        assert!(RecordId::escape("").is_err());
    }
}
