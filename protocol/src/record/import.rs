//! Records that come in many at once: what one step of an import does.

use super::{Counts, Writing, Written, add};
use crate::{
    command::ImportItem,
    limits::SOURCE_MAX_BYTES,
    refusal::Refusal,
    store::StoreFault,
    table::{Key, Table},
    tx::{Stop, Tx},
};

/// What an import would do, or did, to one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    New,
    Changed,
    Unchanged,
}

/// An import under way, for as long as one step goes.
pub struct Import<'s> {
    source: &'s str,
    dry_run: bool,
    graves: Graves,
    added: Counts,
}

impl<'s> Import<'s> {
    /// Nothing is taken in yet.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn begin(tx: &Tx<'_>, source: &'s str, dry_run: bool) -> Result<Self, StoreFault> {
        let none = tx.scan_raw(&Key::table(Table::Graves), None, 1)?.is_empty();
        let graves = if none { Graves::None } else { Graves::Some };
        // It stands beside each field: a record's row has room for so many bytes of it.
        let end = (0..=SOURCE_MAX_BYTES.min(source.len())).rev().find(|end| source.is_char_boundary(*end));
        Ok(Self { source: &source[..end.unwrap_or(0)], dry_run, graves, added: Counts::default() })
    }

    /// Takes in one record as an importer read it. Fields that it does not name stay as they are.
    ///
    /// # Errors
    /// [`Stop::Refused`] if a value or the number of fields is beyond the limits.
    pub fn take(&mut self, tx: &mut Tx<'_>, item: ImportItem) -> Result<(ImportOutcome, Vec<Written>), Stop> {
        let mut writing = Writing::begin(tx, &item.record, self.graves)?;
        let mut written = Vec::with_capacity(item.fields.len());
        let mut changes = false;
        for (name, value) in item.fields {
            if writing.holds(tx, &name, &value)? {
                continue;
            }
            changes = true;
            if !self.dry_run {
                let value = value.checked();
                let value =
                    value.map_err(|error| Refusal::bad_value(&item.record.field(name.clone()).to_string(), &error))?;
                written.push(writing.write(tx, &name, value, self.source)?);
            }
        }
        let outcome = match (writing.is_new, changes) {
            (true, _) => ImportOutcome::New,
            (false, false) => ImportOutcome::Unchanged,
            (false, true) => ImportOutcome::Changed,
        };
        let more = writing.finish(tx);
        self.added.records += more.records;
        self.added.fields += more.fields;
        Ok((outcome, written))
    }

    /// Counts what is new, once all records of the step are in.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn finish(self, tx: &mut Tx<'_>) -> Result<(), StoreFault> {
        add(tx, self.added)
    }
}

/// Whether any record was ever removed: where none was, nobody looks for one that was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Graves {
    None,
    Some,
}
