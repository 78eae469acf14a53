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
mod text;
mod vcard;
mod written;

use std::fmt;

use allod_protocol::{
    limits::FIELDS_PER_RECORD_MAX,
    path::{FieldName, Kind, RecordPath},
    value::{Value, ValueError},
};

use self::limits::{COLUMNS_MAX, FILE_MAX_BYTES, JSON_ITEM_MAX_BYTES, RECORDS_MAX, SKIPS_MAX};

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

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// `line 212`, or `item 3` where a format has no lines.
    pub where_: String,
    /// One sentence without a full stop.
    pub why: String,
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

/// Why a file gives no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Too big to be read.
    #[error("the file has {bytes} bytes; {FILE_MAX_BYTES} are the most")]
    TooLarge { bytes: usize },
    /// Too many records for one import.
    #[error("the file holds more than {RECORDS_MAX} records")]
    TooManyRecords,
    /// One object of a JSON file that is too big to be a record.
    #[error("item {item} of the file is larger than {JSON_ITEM_MAX_BYTES} bytes, which is no record")]
    ItemTooLarge { item: u64 },
    /// A table that is too wide.
    #[error("the table has {columns} columns; {COLUMNS_MAX} are the most")]
    TooManyColumns { columns: usize },
    /// None of the formats that we read.
    #[error("this is {looks_like}, which cannot be imported")]
    UnknownFormat { looks_like: &'static str },
    /// The format does not say what its records are.
    #[error("a {format} file does not say what its records are")]
    NeedsKind { format: Format },
    /// A table whose first line holds values instead of names.
    #[error("line {line} should name the columns, but \"{cell}\" is no name")]
    NoHeader { line: u64, cell: String },
    /// JSON that is broken; nothing of it is taken.
    #[error("the JSON breaks at line {line}, column {column}: {why}")]
    Broken { line: usize, column: usize, why: String },
    /// An export that a later version wrote.
    #[error("this export has version {version}; this node reads version 1")]
    NewerExport { version: String },
    /// The format is right, and no record is in it.
    #[error("no record was found: {looks_like}{}", first_of(skipped))]
    NothingFound { looks_like: String, skipped: Vec<Skipped> },
}

fn first_of(skipped: &[Skipped]) -> String {
    skipped.first().map(|first| format!("; {}: {}", first.where_, first.why)).unwrap_or_default()
}

impl ImportError {
    /// What to try, as a command or a short sentence.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooManyRecords => "split the file, and import the parts one by one",
            Self::ItemTooLarge { .. } => "put the objects of the file into one array, or one on a line",
            Self::TooManyColumns { .. } => "leave columns out, and import the rest",
            Self::UnknownFormat { .. } => "allod import FILE --format vcard|csv|json, if it is one of these",
            Self::NeedsKind { .. } => "allod import FILE --kind contact|transaction|consumption|document|…",
            Self::NoHeader { .. } => "add a first line that names the columns, as date;amount;description",
            Self::Broken { .. } => "export the file again where it came from; this one is damaged or cut off",
            Self::NewerExport { .. } => "update this node, then import again",
            Self::NothingFound { .. } => "open the file to see what it holds, or name its format with --format",
        }
    }
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
        return Err(ImportError::NothingFound { looks_like: looks_like.to_owned(), skipped: imported.skipped });
    }
    Ok(imported)
}

/// Records and skips while a file is read.
#[derive(Default)]
struct Collected {
    records: Vec<ImportedRecord>,
    skipped: Vec<Skipped>,
    skipped_more: u64,
}

impl Collected {
    fn skip(&mut self, where_: impl Into<String>, why: impl Into<String>) {
        if self.skipped.len() < SKIPS_MAX {
            self.skipped.push(Skipped { where_: where_.into(), why: why.into() });
        } else {
            self.skipped_more += 1;
        }
    }

    /// Takes a record, unless it has no field or too many; `place` is where it stands.
    fn take(&mut self, record: ImportedRecord, place: &str) -> Result<(), ImportError> {
        if self.records.len() >= RECORDS_MAX {
            return Err(ImportError::TooManyRecords);
        }
        match record.fields.len() {
            0 => self.skip(place, "holds no value"),
            1..=FIELDS_PER_RECORD_MAX => self.records.push(record),
            many => self.skip(place, format!("has {many} fields; {FIELDS_PER_RECORD_MAX} are the most")),
        }
        Ok(())
    }

    /// The value, if it is within the limits; else it is skipped.
    fn checked(&mut self, value: Value, place: &str, what: &str) -> Option<Value> {
        match value.checked() {
            Ok(value) => Some(value),
            Err(ValueError::TooLarge { .. } | ValueError::Shape | ValueError::NotA { .. }) => {
                self.skip(place, format!("{what} is larger than a value can be (256 KiB, 1024 items)"));
                None
            }
        }
    }

    fn finish(mut self, format: Format, notes: Notes) -> Imported {
        if self.skipped_more > 0 {
            let why = format!("{} more were left out for reasons like these", self.skipped_more);
            self.skipped.push(Skipped { where_: "further on".to_owned(), why });
        }
        Imported { format, records: self.records, skipped: self.skipped, notes }
    }
}
