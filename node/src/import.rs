//! Files of the real world, read into records.
//!
//! [`read`] is a function of the file alone: the same bytes give the same records under the same ids, so that a second import finds
//! everything there already. An id comes from what a person would call the thing (the name of a contact), or from the day and a digest
//! of the row; never from a UID, an account number or the like, which are fields. Two equal rows are two records; a row that changed is
//! a new one, unless its kind has a key of its own (see `Schema::key`).
//!
//! Nothing is dropped in silence. What the schema does not name is kept under a name made from its own; what cannot be kept is listed
//! with its line and the reason, and a file that gives no record at all is an error.

mod csv;
mod detect;
mod digest;
mod json;
mod limits;
mod names;
mod reasons;
mod text;
mod vcard;
mod written;

use std::fmt;

use allod_protocol::{
    limits::FIELDS_PER_RECORD_MAX,
    path::{FieldName, Kind, RecordPath},
    value::{Value, ValueError},
};

use crate::daemon::failure::{Failure, NodeRefusal};

use self::limits::{COLUMNS_MAX, FILE_MAX_BYTES, JSON_ITEM_MAX_BYTES, RECORDS_MAX, SKIPS_MAX};
pub use self::reasons::{JsonFault, LooksLike, Place, Reason, Skipped, said};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Contacts: vCard 2.1, 3.0, 4.0.
    VCard,
    /// A table with a header.
    Csv,
    /// One object, an array of them, or one a line.
    Json,
    /// Our own export.
    Allod,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::VCard, Self::Csv, Self::Json, Self::Allod];

    /// The word for it on the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VCard => "vcard",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Allod => "allod",
        }
    }

    /// The format of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub format: Format,
    pub records: Vec<ImportedRecord>,
    pub skipped: Vec<Skipped>,
    pub notes: Notes,
}

/// One record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedRecord {
    pub record: RecordPath,
    pub fields: Vec<(FieldName, Value)>,
}

/// How the file was understood, for a person to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The character encoding.
    pub encoding: &'static str,
    /// What stands between the cells of a table.
    pub separator: Option<char>,
    /// Each column of a table and the field that it became.
    pub columns: Vec<(String, FieldName)>,
}

/// Why a file gives no records. What is said about each stands in the message catalogues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// Too big to be read.
    TooLarge { bytes: usize },
    /// Too many records for one import.
    TooManyRecords,
    /// One object of a JSON file that is too big to be a record.
    ItemTooLarge { item: u64 },
    /// A table that is too wide.
    TooManyColumns { columns: usize },
    /// None of the formats that we read.
    UnknownFormat { looks_like: LooksLike },
    /// The format does not say what its records are.
    NeedsKind { format: Format },
    /// A table whose first line holds values instead of names.
    NoHeader { line: u64, cell: String },
    /// JSON that is broken; nothing of it is taken.
    Broken { line: usize, column: usize, fault: JsonFault },
    /// An export that a later version wrote.
    NewerExport { version: String },
    /// The format is right, and no record is in it.
    NothingFound { looks_like: LooksLike, skipped: Vec<Skipped> },
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let refusal = match error {
            ImportError::TooLarge { bytes } => {
                NodeRefusal::ImportTooLarge { bytes: bytes as u64, most: FILE_MAX_BYTES as u64 }
            }
            ImportError::TooManyRecords => NodeRefusal::ImportTooManyRecords { most: RECORDS_MAX as u64 },
            ImportError::ItemTooLarge { item } => {
                NodeRefusal::ImportItemTooLarge { item, most: JSON_ITEM_MAX_BYTES as u64 }
            }
            ImportError::TooManyColumns { columns } => {
                NodeRefusal::ImportTooManyColumns { columns: columns as u64, most: COLUMNS_MAX as u64 }
            }
            ImportError::UnknownFormat { looks_like } => {
                NodeRefusal::ImportUnknown { looks_like: looks_like.as_str().to_owned() }
            }
            ImportError::NeedsKind { format } => NodeRefusal::ImportNeedsKind { format: format.to_string() },
            ImportError::NoHeader { line, cell } => NodeRefusal::ImportNoHeader { line, cell },
            ImportError::Broken { line, column, fault } => {
                NodeRefusal::ImportBroken { line: line as u64, column: column as u64, fault: fault.as_str().to_owned() }
            }
            ImportError::NewerExport { version } => NodeRefusal::ImportNewer { version },
            ImportError::NothingFound { looks_like, skipped } => return nothing_found(looks_like, skipped.first()),
        };
        refusal.into()
    }
}

/// Says what was left out first, if anything was, with its own facts beside those of the refusal.
fn nothing_found(looks_like: LooksLike, first: Option<&Skipped>) -> Failure {
    let skip = first.map(Skipped::id).unwrap_or_default().to_owned();
    let mut failure = Failure::from(NodeRefusal::ImportNothing { looks_like: looks_like.as_str().to_owned(), skip });
    failure.facts.extend(first.map(Skipped::facts).unwrap_or_default());
    failure
}

/// Reads a file. `name_hint` is its name, which helps to tell formats; `kind` is what the records are, where the format does not say.
///
/// # Errors
/// [`ImportError`].
pub fn read(
    bytes: &[u8],
    name_hint: &str,
    format: Option<Format>,
    kind: Option<&Kind>,
) -> Result<Imported, ImportError> {
    if bytes.len() > FILE_MAX_BYTES {
        return Err(ImportError::TooLarge { bytes: bytes.len() });
    }
    let format = match format {
        Some(format) => format,
        None => detect::format(bytes, name_hint).map_err(|looks_like| ImportError::UnknownFormat { looks_like })?,
    };
    let imported = match format {
        Format::VCard => vcard::read(bytes, kind)?,
        Format::Csv => csv::read(bytes, kind.ok_or(ImportError::NeedsKind { format })?)?,
        Format::Json | Format::Allod => json::read(bytes, kind)?,
    };
    if imported.records.is_empty() {
        let looks_like = detect::empty_handed(bytes, imported.format);
        return Err(ImportError::NothingFound { looks_like, skipped: imported.skipped });
    }
    Ok(imported)
}

fn too_many_fields(count: usize) -> Reason {
    Reason::TooManyFields { fields: count as u64, most: FIELDS_PER_RECORD_MAX as u64 }
}

fn too_large(what: &str) -> Reason {
    Reason::ValueTooLarge { what: what.to_owned() }
}

/// Records and skips while a file is read.
#[derive(Default)]
struct Collected {
    records: Vec<ImportedRecord>,
    skipped: Vec<Skipped>,
    skipped_more: u64,
}

impl Collected {
    fn skip(&mut self, place: Place, reason: Reason) {
        if self.skipped.len() < SKIPS_MAX {
            self.skipped.push(Skipped { place, reason });
        } else {
            self.skipped_more += 1;
        }
    }

    /// Takes a record, unless it has no field or too many; `place` is where it stands.
    fn take(&mut self, record: ImportedRecord, place: Place) -> Result<(), ImportError> {
        if self.records.len() >= RECORDS_MAX {
            return Err(ImportError::TooManyRecords);
        }
        match record.fields.len() {
            0 => self.skip(place, Reason::NoValue {}),
            1..=FIELDS_PER_RECORD_MAX => self.records.push(record),
            many => self.skip(place, too_many_fields(many)),
        }
        Ok(())
    }

    /// The value, if it is within the limits; else it is skipped.
    fn checked(&mut self, value: Value, place: &Place, what: &str) -> Option<Value> {
        match value.checked() {
            Ok(value) => Some(value),
            Err(ValueError::TooLarge { .. } | ValueError::Shape | ValueError::NotA { .. }) => {
                self.skip(place.clone(), too_large(what));
                None
            }
        }
    }

    fn finish(mut self, format: Format, notes: Notes) -> Imported {
        if self.skipped_more > 0 {
            let reason = Reason::More { count: self.skipped_more };
            self.skipped.push(Skipped { place: Place::FurtherOn, reason });
        }
        Imported { format, records: self.records, skipped: self.skipped, notes }
    }
}
