//! redb 4.6: one file, copy on write, a checksum on every page.
//!
//! Each commit is one transaction, durable when redb says so. Opened after an unclean end, redb walks the whole file, compares
//! every checksum and falls back to the commit before, where the last one is torn: 0.4 s for a million rows. A last commit that was
//! acknowledged and damaged later looks the same, so that a [`Tally`] counts commits beside the file. Quick repair stays off, as it
//! would skip that look and cost a second sync in each commit. After a clean end redb trusts the file, unless it is small enough
//! to be checked at every open; [`Store::check`] does it on demand for any size.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ::redb::{Database, DatabaseError, ReadOnlyTable, ReadableDatabase, TableDefinition};
use allod_protocol::store::{Batch, Row, Store, StoreFault, View};

use super::caught::{Health, caught};
use super::home::Place;
use super::tally::Tally;
use super::{ending, fault_of, past_the_lock};

/// The one file.
pub(super) const DATA_FILE: &str = "store.redb";

/// Pages that redb keeps in memory. Bytes.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Files up to this size are checked whenever they are opened: 1 ms a MiB, a few times that where the disk is slow. Bytes.
const CHECKED_AT_OPEN_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// All rows. The number is the layout's version.
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("allod store 1");
/// How many commits there were: the one row of its table.
const COMMITS: TableDefinition<'_, (), u64> = TableDefinition::new("allod commits");

/// The store in a file of redb's.
pub(super) struct RedbStore {
    /// Taken by `drop` alone. In a cell because a check wants it whole.
    db: RefCell<Option<Database>>,
    /// The rows as of the last commit, once one of them was read: a read transaction of its own cost more than what it read.
    rows: RefCell<Option<ReadOnlyTable<&'static [u8], &'static [u8]>>>,
    path: PathBuf,
    place: Place,
    commits: u64,
    tally: Tally,
    health: Health,
}

impl RedbStore {
    /// Opens what is in `dir`, or makes it unless it `must_exist`.
    pub(super) fn open(dir: &Path, must_exist: bool) -> Result<Self, StoreFault> {
        let path = dir.join(DATA_FILE);
        let place = Place::of(dir).map_err(|error| fault_of(&error))?;
        let tally = Tally::open(dir).map_err(|error| fault_of(&error))?;
        let (db, commits) = caught(|| {
            let length_bytes = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => 0,
                Err(error) => return Err(fault_of(&error)),
            };
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            if ending::read(dir).map_err(|error| fault_of(&error))?.is_some_and(|noted| noted != length_bytes) {
                return Err(StoreFault::Damaged { detail: "the store has another length than at its end".to_owned() });
            }
            builder.set_check_integrity_on_open(length_bytes > 0 && length_bytes <= CHECKED_AT_OPEN_MAX_BYTES);
            let open = || if must_exist { builder.open(&path) } else { builder.create(&path) };
            let db =
                past_the_lock(open, |error| matches!(error, DatabaseError::DatabaseAlreadyOpen)).map_err(fault_in)?;
            if must_exist {
                db.begin_read().map_err(fault_in)?.open_table(ROWS).map_err(fault_in)?;
            } else {
                let transaction = db.begin_write().map_err(fault_in)?;
                transaction.open_table(ROWS).map_err(fault_in)?;
                transaction.commit().map_err(fault_in)?;
            }
            let commits = commits_in(&db)?;
            if commits < tally.at_least() {
                return Err(StoreFault::Damaged { detail: "the last commits are missing".to_owned() });
            }
            ending::remove(dir).map_err(|error| fault_of(&error))?;
            Ok((db, commits))
        })?;
        Ok(Self {
            db: RefCell::new(Some(db)),
            rows: RefCell::new(None),
            path,
            place,
            commits,
            tally,
            health: Health::default(),
        })
    }

    fn call<T>(&self, call: impl FnOnce(&mut Database) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        self.health
            .run(|| call(self.db.borrow_mut().as_mut().expect("the engine leaves only when the store is dropped")))
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        self.call(|db| {
            let mut rows = self.rows.borrow_mut();
            match &*rows {
                Some(rows) => read(rows),
                None => read(rows.insert(db.begin_read().map_err(fault_in)?.open_table(ROWS).map_err(fault_in)?)),
            }
        })
    }
}

impl View for RedbStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        self.read(|rows| {
            let value = rows.get(key).map_err(fault_in)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        self.read(|rows| {
            let start = super::scan_start(prefix, after);
            rows.range::<&[u8]>(start.as_slice()..)
                .map_err(fault_in)?
                .map(|row| row.map_err(fault_in))
                .take_while(|row| row.as_ref().map_or(true, |(key, _)| key.value().starts_with(prefix)))
                .take(limit)
                .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
                .collect()
        })
    }
}

impl Store for RedbStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        super::refuse_reserved(batch);
        if batch.is_empty() {
            return Ok(());
        }
        let commits = self.commits + 1;
        // Pages that a reader may still see are not used again.
        self.rows.take();
        self.call(|db| {
            let transaction = db.begin_write().map_err(fault_in)?;
            transaction.open_table(COMMITS).map_err(fault_in)?.insert((), commits).map_err(fault_in)?;
            {
                let mut rows = transaction.open_table(ROWS).map_err(fault_in)?;
                for (key, value) in batch.writes() {
                    match value {
                        Some(value) => rows.insert(key, value).map_err(fault_in)?,
                        None => rows.remove(key).map_err(fault_in)?,
                    };
                }
            }
            transaction.commit().map_err(fault_in)
        })?;
        self.commits = commits;
        self.health.run(|| self.tally.count(commits).map_err(|error| fault_of(&error)))
    }

    fn check(&self) -> Result<(), StoreFault> {
        self.rows.take();
        self.call(|db| match db.check_integrity().map_err(fault_in)? {
            true => Ok(()),
            false => Err(StoreFault::Damaged { detail: "redb has had to repair the store".to_owned() }),
        })
    }

    fn size_bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    fn engine(&self) -> &'static str {
        "redb"
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        self.rows.take();
        if self.health.has_failed() {
            // Closing would mark the file as sound. The process is about to end.
            std::mem::forget(db);
        } else {
            // Without a note the next open takes the end for a crash, which loses nothing but time.
            let _ = caught(|| {
                db.close().map_err(fault_in)?;
                ending::leave(&self.place, self.size_bytes()).map_err(|error| fault_of(&error))
            });
        }
    }
}

/// The count in the file; none in one that counted nothing yet.
fn commits_in(db: &Database) -> Result<u64, StoreFault> {
    let commits = match db.begin_read().map_err(fault_in)?.open_table(COMMITS) {
        Ok(commits) => commits,
        Err(::redb::TableError::TableDoesNotExist(_)) => return Ok(0),
        Err(error) => return Err(fault_in(error)),
    };
    Ok(commits.get(()).map_err(fault_in)?.map_or(0, |count| count.value()))
}

/// What an error of redb's means.
fn fault_in(error: impl Into<::redb::Error>) -> StoreFault {
    match error.into() {
        ::redb::Error::Io(error) => fault_of(&error),
        error @ (::redb::Error::DatabaseAlreadyOpen | ::redb::Error::PreviousIo | ::redb::Error::DatabaseClosed) => {
            StoreFault::Io { detail: error.to_string() }
        }
        error => StoreFault::Damaged { detail: error.to_string() },
    }
}
