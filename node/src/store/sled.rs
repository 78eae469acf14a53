//! sled 0.34.7, made durable.
//!
//! sled's own `flush` starts the write of its log and does not wait for the device: power cuts then lose what was acknowledged.
//! So each commit is one batch in one tree, `flush`, and a sync of the data file; after an open, which may have made files, their
//! directory is synced too. sled's timer is off, for it would write behind our back. That the data file is all there is to sync
//! rests on [`slices`]: no row is long enough for a file of its own.
//!
//! sled panics over damage, or drops what it can't read from the end of its log. [`Health`] catches the first. Against the second
//! a mark that is written with the store must be found again, and [`Store::check`] reads every row; rows missing in between show
//! only above, where they are counted.

use std::fs::File;
use std::path::{Path, PathBuf};

use allod_protocol::store::{Batch, Row, Store, StoreFault, View};

use super::caught::{Health, caught};
use super::slices::{self, Head};
use super::{RESERVED_TABLE, fault_of, home};

/// Where sled keeps its log, in its directory.
pub(super) const DATA_FILE: &str = "db";

/// Pages that sled keeps in memory. Bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// The row that says that this is a store of ours, and how it is laid out.
const MARK_KEY: &[u8] = &[RESERVED_TABLE];
const MARK: &[u8] = b"allod store 1";

/// The store in a directory of sled's.
pub(super) struct SledStore {
    /// Taken by `drop` alone.
    db: Option<::sled::Db>,
    data: File,
    dir: PathBuf,
    health: Health,
}

impl SledStore {
    /// Opens what is in `dir`, or makes it unless it `must_exist`.
    pub(super) fn open(dir: &Path, must_exist: bool) -> Result<Self, StoreFault> {
        let config = ::sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .mode(::sled::Mode::LowSpace);
        let (db, data) = caught(|| {
            let db = config.open().map_err(|error| fault_in(&error))?;
            let data = File::open(dir.join(DATA_FILE)).map_err(|error| fault_of(&error))?;
            // sled calls a log that it can't read any part of a new one.
            match db.get(MARK_KEY).map_err(|error| fault_in(&error))? {
                Some(mark) if mark == MARK => {}
                Some(_) => return Err(damaged("the store is laid out in a way that this version does not know")),
                None if must_exist || db.was_recovered() && !db.is_empty() => {
                    return Err(damaged("the store does not begin as a store does"));
                }
                None => db.insert(MARK_KEY, MARK).map(|_| ()).map_err(|error| fault_in(&error))?,
            }
            db.flush().map_err(|error| fault_in(&error))?;
            Ok((db, data))
        })?;
        let store = Self { db: Some(db), data, dir: dir.to_owned(), health: Health::default() };
        store.health.run(|| store.sync_files())?;
        Ok(store)
    }

    /// An open may have made each of sled's files, and replaced its snapshot.
    fn sync_files(&self) -> Result<(), StoreFault> {
        File::open(self.dir.join("conf"))
            .and_then(|settings| settings.sync_all())
            .and_then(|()| self.data.sync_all())
            .and_then(|()| home::sync_directory(&self.dir))
            .map_err(|error| fault_of(&error))
    }

    fn call<T>(&self, call: impl FnOnce(&::sled::Db) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        self.health.run(|| call(self.db.as_ref().expect("the engine leaves only when the store is dropped")))
    }
}

impl View for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        self.call(|db| {
            let stored = read(db, key)?;
            stored.map(|stored| Head::read(&stored)?.value(key, |slice| read(db, slice))).transpose()
        })
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        self.call(|db| {
            db.range(super::scan_start(prefix, after)..)
                .map(|row| row.map_err(|error| fault_in(&error)))
                .take_while(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
                .filter(|row| row.as_ref().map_or(true, |(key, _)| key.first() != Some(&RESERVED_TABLE)))
                .take(limit)
                .map(|row| {
                    let (key, stored) = row?;
                    let value = Head::read(&stored)?.value(&key, |slice| read(db, slice))?;
                    Ok((key.to_vec(), value))
                })
                .collect()
        })
    }
}

impl Store for SledStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        super::refuse_reserved(batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.call(|db| {
            let mut writes = ::sled::Batch::default();
            for (key, value) in batch.writes() {
                let rows = value.map(|value| slices::rows_of(key, value)).unwrap_or_default();
                // What the old value leaves over: slices beyond the new one's, and the head if there is no new one.
                if let Some(stored) = read(db, key)? {
                    for number in rows.len().saturating_sub(1)..Head::read(&stored)?.slices() {
                        writes.remove(slices::slice_key(key, number));
                    }
                    if rows.is_empty() {
                        writes.remove(key);
                    }
                }
                for (key, stored) in rows {
                    writes.insert(key, stored);
                }
            }
            db.apply_batch(writes).map_err(|error| fault_in(&error))?;
            db.flush().map_err(|error| fault_in(&error))?;
            // Durable before acknowledged: `flush` is no sync.
            self.data.sync_all().map_err(|error| fault_of(&error))
        })
    }

    fn check(&self) -> Result<(), StoreFault> {
        self.call(|db| {
            for row in db.iter() {
                let (key, stored) = row.map_err(|error| fault_in(&error))?;
                if key.first() != Some(&RESERVED_TABLE) {
                    Head::read(&stored)?.value(&key, |slice| read(db, slice))?;
                } else if let Some((owner, number)) = slices::slice_of(&key) {
                    let head = read(db, owner)?.ok_or_else(|| damaged("a slice belongs to no value"))?;
                    if number >= Head::read(&head)?.slices() {
                        return Err(damaged("a slice lies beyond the end of its value"));
                    }
                }
            }
            match read(db, MARK_KEY)? {
                Some(_) => Ok(()),
                None => Err(damaged("the store's mark is gone")),
            }
        })
    }

    fn size_bytes(&self) -> u64 {
        super::size_of_files_bytes(&self.dir)
    }

    fn engine(&self) -> &'static str {
        "sled"
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if self.health.has_failed() {
            // Closing would write, and may wait for threads that are gone. The process is about to end.
            std::mem::forget(db);
        } else {
            let _ = caught(|| {
                drop(db);
                Ok(())
            });
        }
    }
}

fn read(db: &::sled::Db, key: &[u8]) -> Result<Option<::sled::IVec>, StoreFault> {
    db.get(key).map_err(|error| fault_in(&error))
}

/// What an error of sled's means. Its words stay out, as they may quote rows.
fn fault_in(error: &::sled::Error) -> StoreFault {
    match error {
        ::sled::Error::Io(error) => fault_of(error),
        ::sled::Error::Corruption { .. } => damaged("sled finds a checksum wrong"),
        ::sled::Error::Unsupported(_) => damaged("sled does not know these files' format"),
        ::sled::Error::ReportableBug(_) | ::sled::Error::CollectionNotFound(_) => {
            damaged("sled finds its files inconsistent")
        }
    }
}

fn damaged(detail: &str) -> StoreFault {
    StoreFault::Damaged { detail: detail.to_owned() }
}
