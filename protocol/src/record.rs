//! Our own records: written, read, listed, remembered, removed.
//!
//! A record is one row with its present fields; each superseded version is a row of its own; values too long for a row stand apart. A
//! version number is given once per record, also if the record is removed and made again, so that a follower can tell newer from older.

mod import;
use serde::{Deserialize, Serialize};

use import::Graves;
pub use import::{Import, ImportOutcome};

use crate::{
    codec::Coded,
    command::{ExportedRecord, FieldView, Input, Listing, Page, RecordView, SetItem},
    limits::FIELDS_PER_RECORD_MAX,
    path::{FieldName, FieldPath, ID_FIELD, Kind, RecordId, RecordPath},
    refusal::Refusal,
    store::StoreFault,
    table::{Key, Table},
    time::Timestamp,
    tx::{Stop, Tx},
    value::{Type, Value},
};

/// Values whose encoding is longer than this stand in a row of their own, in bytes: a record's row stays small whatever it holds.
const INLINE_MAX_BYTES: usize = 1_024;

/// What a person typed.
pub const SOURCE_TYPED: &str = "typed";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordRow {
    pub(crate) kind: Kind,
    pub(crate) id: RecordId,
    last_version: u64,
    pub(crate) fields: Vec<FieldRow>,
}

impl Coded for RecordRow {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FieldRow {
    pub(crate) name: FieldName,
    value: Kept,
    pub(crate) version: u64,
    pub(crate) at: Timestamp,
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kept {
    Here(Value),
    Apart,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct VersionRow(FieldRow);

impl Coded for VersionRow {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GraveRow {
    last_version: u64,
}

impl Coded for GraveRow {}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub records: u64,
    pub fields: u64,
}

impl Coded for Counts {}

/// A field's present value, as lending needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    pub value: Value,
    pub version: u64,
    pub at: Timestamp,
}

/// A write that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: FieldPath,
    pub version: u64,
    /// The same value as before: no new version, and nothing to tell anyone.
    pub unchanged: bool,
    /// The record was not there before this field, whether or not it ever was.
    pub made_record: bool,
}

/// The counts of the store.
///
/// # Errors
/// [`StoreFault`].
pub fn counts(tx: &Tx<'_>) -> Result<Counts, StoreFault> {
    Ok(tx.get(&Key::meta("counts"))?.unwrap_or_default())
}

fn count(tx: &mut Tx<'_>, change: impl FnOnce(&mut Counts)) -> Result<(), StoreFault> {
    let mut counts = counts(tx)?;
    change(&mut counts);
    tx.put(&Key::meta("counts"), &counts);
    Ok(())
}

fn key_of(tx: &Tx<'_>, record: &RecordPath) -> (Key, [u8; 16]) {
    let tag = tx.record_tag(record);
    (Key::record(tx.kind_tag(&record.kind), tag), tag)
}

pub(crate) fn row_of(tx: &Tx<'_>, record: &RecordPath) -> Result<Option<RecordRow>, StoreFault> {
    tx.get(&key_of(tx, record).0)
}

/// Writes fields, all or none.
///
/// # Errors
/// [`Stop::Refused`] for the first that cannot be written.
pub fn set(tx: &mut Tx<'_>, items: &[SetItem]) -> Result<Vec<Written>, Stop> {
    let mut written = Vec::with_capacity(items.len());
    for item in items {
        let path = item.path.to_string();
        if item.path.field.is_id() {
            return Err(Refusal::IdIsBuiltIn { path }.into());
        }
        let present = row_of(tx, &item.path.record)?
            .and_then(|row| row.fields.into_iter().find(|field| field.name == item.path.field));
        let value = match &item.input {
            Input::Typed(value) => value.clone().checked(),
            Input::Written { text, readings } => {
                let present_type = match &present {
                    Some(field) => Some(load(tx, &item.path, field)?.kind_of()),
                    None => None,
                };
                let expected = item.explicit.or(item.schema).or(present_type).unwrap_or(Type::Text);
                match readings.iter().find(|reading| reading.kind_of() == expected) {
                    Some(reading) => reading.clone().checked(),
                    None => Value::parse(expected, text),
                }
            }
        };
        let value = value.map_err(|error| Refusal::bad_value(&path, &error))?;
        written.push(write(tx, &item.path, value, SOURCE_TYPED)?);
    }
    Ok(written)
}

/// Counts what came to be.
///
/// # Errors
/// [`StoreFault`].
fn add(tx: &mut Tx<'_>, added: Counts) -> Result<(), StoreFault> {
    if added == Counts::default() {
        return Ok(());
    }
    count(tx, |counts| {
        counts.records += added.records;
        counts.fields += added.fields;
    })
}

fn write(tx: &mut Tx<'_>, path: &FieldPath, value: Value, source: &str) -> Result<Written, Stop> {
    let mut writing = Writing::begin(tx, &path.record, Graves::Some)?;
    let written = writing.write(tx, &path.field, value, source)?;
    let added = writing.finish(tx);
    add(tx, added)?;
    Ok(written)
}

/// One record under way: its row is read once and written once, however many of its fields change.
struct Writing<'r> {
    record: &'r RecordPath,
    key: Key,
    tag: [u8; 16],
    row: RecordRow,
    is_new: bool,
    fields_before: usize,
    changed: bool,
}

impl<'r> Writing<'r> {
    fn begin(tx: &Tx<'_>, record: &'r RecordPath, graves: Graves) -> Result<Self, StoreFault> {
        let (key, tag) = key_of(tx, record);
        let (row, is_new) = match tx.get::<RecordRow>(&key)? {
            Some(row) => (row, false),
            None => {
                let grave: Option<GraveRow> = match graves {
                    Graves::None => None,
                    Graves::Some => tx.get(&Key::grave(tag))?,
                };
                let row = RecordRow {
                    kind: record.kind.clone(),
                    id: record.id.clone(),
                    last_version: grave.map_or(0, |grave| grave.last_version),
                    fields: Vec::new(),
                };
                (row, true)
            }
        };
        let fields_before = row.fields.len();
        Ok(Self { record, key, tag, row, is_new, fields_before, changed: false })
    }

    fn place(&self, name: &FieldName) -> Result<usize, usize> {
        self.row.fields.binary_search_by(|field| field.name.cmp(name))
    }

    /// Whether the field has this value already.
    fn holds(&self, tx: &Tx<'_>, name: &FieldName, value: &Value) -> Result<bool, StoreFault> {
        match self.place(name) {
            Ok(place) => self.is_at(tx, place, value),
            Err(_) => Ok(false),
        }
    }

    fn is_at(&self, tx: &Tx<'_>, place: usize, value: &Value) -> Result<bool, StoreFault> {
        let field = &self.row.fields[place];
        match &field.value {
            Kept::Here(present) => Ok(present == value),
            Kept::Apart => Ok(load(tx, &self.record.field(field.name.clone()), field)? == *value),
        }
    }

    fn write(&mut self, tx: &mut Tx<'_>, name: &FieldName, value: Value, source: &str) -> Result<Written, Stop> {
        let path = self.record.field(name.clone());
        let place = self.place(name);
        if let Ok(place) = place {
            let present = &self.row.fields[place];
            if present.source == source && self.is_at(tx, place, &value)? {
                return Ok(Written { path, version: present.version, unchanged: true, made_record: false });
            }
            let field_tag = tx.field_tag(name);
            tx.put(&Key::version(self.tag, field_tag, present.version), &VersionRow(present.clone()));
        } else if self.row.fields.len() >= FIELDS_PER_RECORD_MAX {
            let most = u64::try_from(FIELDS_PER_RECORD_MAX).expect("the limit fits 64 bits");
            return Err(Refusal::TooManyFields { record: self.record.to_string(), most }.into());
        }
        self.row.last_version += 1;
        self.changed = true;
        let version = self.row.last_version;
        let value = if value.encoded_bytes() > INLINE_MAX_BYTES {
            let field_tag = tx.field_tag(name);
            tx.put(&Key::long_value(self.tag, field_tag, version), &value);
            Kept::Apart
        } else {
            Kept::Here(value)
        };
        let field = FieldRow { name: name.clone(), value, version, at: tx.wall(), source: source.to_owned() };
        match place {
            Ok(place) => self.row.fields[place] = field,
            Err(place) => self.row.fields.insert(place, field),
        }
        let made_record = self.is_new && self.row.fields.len() == 1;
        Ok(Written { path, version, unchanged: false, made_record })
    }

    /// Writes the row, if anything changed. Returns by how much there is more.
    fn finish(self, tx: &mut Tx<'_>) -> Counts {
        if !self.changed {
            return Counts::default();
        }
        tx.put(&self.key, &self.row);
        let more = self.row.fields.len() - self.fields_before;
        Counts { records: u64::from(self.is_new), fields: u64::try_from(more).expect("a record holds few fields") }
    }
}

fn load(tx: &Tx<'_>, path: &FieldPath, field: &FieldRow) -> Result<Value, StoreFault> {
    match &field.value {
        Kept::Here(value) => Ok(value.clone()),
        Kept::Apart => {
            let key = Key::long_value(tx.record_tag(&path.record), tx.field_tag(&path.field), field.version);
            tx.get(&key)?.ok_or_else(|| StoreFault::Damaged { detail: "a long value is missing".to_owned() })
        }
    }
}

/// A field's present value, if there is one. The built-in field `id` holds the record's id, at the version of the record's first field.
///
/// # Errors
/// [`StoreFault`].
pub fn present(tx: &Tx<'_>, path: &FieldPath) -> Result<Option<Present>, StoreFault> {
    let Some(row) = row_of(tx, &path.record)? else { return Ok(None) };
    present_in(tx, &row, &path.field)
}

pub(crate) fn present_in(tx: &Tx<'_>, row: &RecordRow, field: &FieldName) -> Result<Option<Present>, StoreFault> {
    if field.is_id() {
        // An id never changes: one version for as long as the record stands.
        let at = row.fields.iter().map(|field| field.at).min().unwrap_or_default();
        return Ok(Some(Present { value: Value::text(row.id.as_str()), version: 1, at }));
    }
    let path = RecordPath { kind: row.kind.clone(), id: row.id.clone() }.field(field.clone());
    match row.fields.iter().find(|candidate| candidate.name == *field) {
        Some(found) => Ok(Some(Present { value: load(tx, &path, found)?, version: found.version, at: found.at })),
        None => Ok(None),
    }
}

/// A field's newest version that is not later than `at`.
///
/// # Errors
/// [`StoreFault`].
pub fn as_of(tx: &Tx<'_>, path: &FieldPath, at: Timestamp) -> Result<Option<Present>, StoreFault> {
    let (record_tag, field_tag) = (tx.record_tag(&path.record), tx.field_tag(&path.field));
    let versions = tx.scan::<VersionRow>(&Key::versions_of(record_tag, field_tag), None, usize::MAX)?;
    let newest = versions.into_iter().map(|(_, row)| row.0).rfind(|field| field.at <= at);
    match newest {
        Some(field) => Ok(Some(Present { value: load(tx, path, &field)?, version: field.version, at: field.at })),
        None => Ok(None),
    }
}

fn view(path: String, value: Value, field: &FieldRow) -> FieldView {
    FieldView {
        path,
        value,
        version: field.version,
        at: field.at,
        source: field.source.clone(),
        peer: None,
        grant: None,
        selector: None,
    }
}

/// One field of ours.
///
/// # Errors
/// [`Refusal::NoRecord`] or [`Refusal::NoField`].
pub fn field(tx: &Tx<'_>, path: &FieldPath) -> Result<FieldView, Stop> {
    let row = row_of(tx, &path.record)?.ok_or_else(|| Refusal::NoRecord { record: path.record.to_string() })?;
    if path.field.is_id()
        && let Some(present) = present_in(tx, &row, &path.field)?
    {
        return Ok(FieldView {
            path: path.to_string(),
            value: present.value,
            version: present.version,
            at: present.at,
            source: SOURCE_TYPED.to_owned(),
            peer: None,
            grant: None,
            selector: None,
        });
    }
    let found = row.fields.iter().find(|field| field.name == path.field);
    let field = found.ok_or_else(|| no_field(&row, path))?;
    Ok(view(path.to_string(), load(tx, path, field)?, field))
}

fn no_field(row: &RecordRow, path: &FieldPath) -> Refusal {
    let wanted = path.field.as_str();
    let nearest = row
        .fields
        .iter()
        .map(|field| (distance(field.name.as_str(), wanted), field.name.as_str()))
        .filter(|(distance, _)| *distance <= 2.max(wanted.len() / 3))
        .min()
        .map_or(String::new(), |(_, name)| name.to_owned());
    Refusal::NoField { record: path.record.to_string(), field: wanted.to_owned(), nearest }
}

/// Edits between two words, a swap of neighbours counting as one.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![vec![0usize; other.len() + 1]; one.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            let cost = usize::from(one[i - 1] != other[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[one.len()][other.len()]
}

/// All fields of one record of ours.
///
/// # Errors
/// [`Refusal::NoRecord`].
pub fn fields(tx: &Tx<'_>, record: &RecordPath) -> Result<Vec<FieldView>, Stop> {
    let row = row_of(tx, record)?.ok_or_else(|| Refusal::NoRecord { record: record.to_string() })?;
    let mut views = Vec::with_capacity(row.fields.len());
    for field in &row.fields {
        let path = record.field(field.name.clone());
        views.push(view(path.to_string(), load(tx, &path, field)?, field));
    }
    Ok(views)
}

/// A page of our records, of one kind or of all. The cursor is a record's path.
///
/// # Errors
/// [`Stop`].
pub fn list(tx: &Tx<'_>, kind: Option<&Kind>, page: &Page) -> Result<Listing<RecordView>, Stop> {
    let rows = rows(tx, kind, page)?;
    let next = next_cursor(&rows, page);
    let items = rows.iter().take(page.limit).map(record_view).collect();
    Ok(Listing { items, next })
}

/// What `list` shows of one record.
///
/// # Errors
/// [`Refusal::NoRecord`].
pub fn one(tx: &Tx<'_>, record: &RecordPath) -> Result<RecordView, Stop> {
    let row = row_of(tx, record)?.ok_or_else(|| Refusal::NoRecord { record: record.to_string() })?;
    Ok(record_view(&row))
}

fn record_view(row: &RecordRow) -> RecordView {
    RecordView {
        id: format!("{}/{}", row.kind, row.id),
        kind: row.kind.clone(),
        fields: row.fields.iter().map(|field| field.name.to_string()).collect(),
        at: row.fields.iter().map(|field| field.at).max().unwrap_or_default(),
    }
}

/// One row more than the page holds, so that the caller sees whether there is a next one.
fn rows(tx: &Tx<'_>, kind: Option<&Kind>, page: &Page) -> Result<Vec<RecordRow>, Stop> {
    let after = match &page.after {
        Some(cursor) => {
            let record: RecordPath = cursor.parse().map_err(|error| Refusal::bad_path(cursor, &error))?;
            Some(key_of(tx, &record).0)
        }
        None => None,
    };
    let wanted = page.limit.saturating_add(1);
    let Some(kind) = kind else {
        return Ok(tx
            .scan(&Key::table(Table::Records), after.as_ref(), wanted)?
            .into_iter()
            .map(|row| row.1)
            .collect());
    };
    let kind_tag = tx.kind_tag(kind);
    let mut found = Vec::new();
    for bucket in after.as_ref().map_or(0, Key::bucket)..=u8::MAX {
        let prefix = Key::records_of(bucket, kind_tag);
        let start = after.as_ref().filter(|key| key.bucket() == bucket);
        found.extend(tx.scan(&prefix, start, wanted - found.len())?.into_iter().map(|row| row.1));
        if found.len() >= wanted {
            break;
        }
    }
    Ok(found)
}

fn next_cursor(rows: &[RecordRow], page: &Page) -> Option<String> {
    (rows.len() > page.limit).then(|| page.limit.checked_sub(1)).flatten().map(|last| {
        let row = &rows[last];
        format!("{}/{}", row.kind, row.id)
    })
}

/// Records of a kind after a cursor key, for jobs: (key of the last, rows).
pub(crate) fn chunk(
    tx: &Tx<'_>,
    kind: &Kind,
    after: Option<&RecordPath>,
    limit: usize,
) -> Result<Vec<RecordRow>, Stop> {
    let page = Page { limit, after: after.map(ToString::to_string) };
    let mut rows = rows(tx, Some(kind), &page)?;
    rows.truncate(limit);
    Ok(rows)
}

/// All versions of a field, newest first. The cursor is a version number.
///
/// # Errors
/// [`Refusal::NoRecord`] or [`Refusal::NoField`].
pub fn history(tx: &Tx<'_>, path: &FieldPath, page: &Page) -> Result<Listing<FieldView>, Stop> {
    let (record_tag, field_tag) = (tx.record_tag(&path.record), tx.field_tag(&path.field));
    let row = row_of(tx, &path.record)?.ok_or_else(|| Refusal::NoRecord { record: path.record.to_string() })?;
    let present = row.fields.iter().find(|field| field.name == path.field).ok_or_else(|| no_field(&row, path))?;
    let mut versions: Vec<FieldRow> = tx
        .scan::<VersionRow>(&Key::versions_of(record_tag, field_tag), None, usize::MAX)?
        .into_iter()
        .map(|(_, row)| row.0)
        .collect();
    versions.push(present.clone());
    versions.reverse();
    let before: u64 = match &page.after {
        Some(cursor) => cursor.parse().map_err(|_| Refusal::BadPath {
            path: cursor.clone(),
            why: "a cursor of history is a version".to_owned(),
        })?,
        None => u64::MAX,
    };
    let mut items = Vec::new();
    let mut next = None;
    for field in versions.iter().filter(|field| field.version < before) {
        if items.len() == page.limit {
            next = items.last().map(|item: &FieldView| item.version.to_string());
            break;
        }
        items.push(view(path.to_string(), load(tx, path, field)?, field));
    }
    Ok(Listing { items, next })
}

/// What a removal took away: each field with the version that it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    pub path: FieldPath,
    pub version: u64,
}

/// Removes one field, or a whole record where no field is named. The rows go here; the rotation that makes old bytes unreadable follows.
///
/// # Errors
/// [`Refusal::NoRecord`] or [`Refusal::NoField`].
pub fn remove(tx: &mut Tx<'_>, record: &RecordPath, field: Option<&FieldName>) -> Result<Vec<Removed>, Stop> {
    let (key, record_tag) = key_of(tx, record);
    let mut row: RecordRow = tx.get(&key)?.ok_or_else(|| Refusal::NoRecord { record: record.to_string() })?;
    let gone: Vec<FieldRow> = match field {
        Some(name) if name.is_id() => return Err(Refusal::IdIsBuiltIn { path: format!("{record}/{ID_FIELD}") }.into()),
        Some(name) => {
            let place = row.fields.iter().position(|field| field.name == *name);
            let place = place.ok_or_else(|| no_field(&row, &record.field(name.clone())))?;
            vec![row.fields.remove(place)]
        }
        None => std::mem::take(&mut row.fields),
    };
    for field in &gone {
        let field_tag = tx.field_tag(&field.name);
        for prefix in [Key::versions_of(record_tag, field_tag), Key::long_values_of(record_tag, field_tag)] {
            for (key, _) in tx.scan_raw(&prefix, None, usize::MAX)? {
                tx.delete(&key);
            }
        }
    }
    if row.fields.is_empty() {
        tx.delete(&key);
        tx.put(&Key::grave(record_tag), &GraveRow { last_version: row.last_version });
    } else {
        tx.put(&key, &row);
    }
    let records = u64::from(row.fields.is_empty());
    let fields = u64::try_from(gone.len()).expect("a record holds few fields");
    count(tx, |counts| {
        counts.records = counts.records.saturating_sub(records);
        counts.fields = counts.fields.saturating_sub(fields);
    })?;
    Ok(gone.into_iter().map(|field| Removed { path: record.field(field.name), version: field.version }).collect())
}

/// A page of whole records with their values.
///
/// # Errors
/// [`Stop`].
pub fn export(tx: &Tx<'_>, kind: Option<&Kind>, page: &Page) -> Result<Listing<ExportedRecord>, Stop> {
    let rows = rows(tx, kind, page)?;
    let next = next_cursor(&rows, page);
    let mut items = Vec::new();
    for row in rows.iter().take(page.limit) {
        let record = RecordPath { kind: row.kind.clone(), id: row.id.clone() };
        let mut fields = Vec::new();
        for field in &row.fields {
            let path = record.field(field.name.clone());
            fields.push((field.name.clone(), view(path.to_string(), load(tx, &path, field)?, field)));
        }
        items.push(ExportedRecord { record, fields });
    }
    Ok(Listing { items, next })
}

/// Recounts everything: what [`counts`] should say.
///
/// # Errors
/// [`StoreFault`].
pub fn recount(tx: &Tx<'_>) -> Result<Counts, StoreFault> {
    let mut counts = Counts::default();
    let mut after = None;
    loop {
        let page = tx.scan::<RecordRow>(&Key::table(Table::Records), after.as_ref(), 1_000)?;
        for (_, row) in &page {
            counts.records += 1;
            counts.fields += u64::try_from(row.fields.len()).expect("a record holds few fields");
        }
        match page.last() {
            Some((key, _)) if page.len() == 1_000 => after = Some(key.clone()),
            _ => return Ok(counts),
        }
    }
}
