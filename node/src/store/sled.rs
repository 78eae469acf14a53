//! sled 0.34.7, made durable.
//!
//! sled's own `flush` starts the write of its log and does not wait for the device: power cuts then lose what was acknowledged.
//! So each commit is one batch in one tree, `flush`, and a sync of the data file; after an open, which may have made files, their
//! directory is synced too. sled's timer is off, for it would write behind our back. That the data file is all there is to sync
//! rests on [`slices`]: no row is long enough for a file of its own.
//!
//! sled panics over damage, or leaves out what it can't read and overwrites it. [`Health`] catches the first. Against the second each
//! batch also writes a [`Mark`]: how many commits there were, which a clean end notes beside the log and a [`Tally`] counts for all
//! other ends, so that a log without its end is known; and the [`Content`] of all rows, which shows a log that lost a part of its
//! middle. That is counted again at the open of a small store, and after an unclean end piece by piece while a large one is in use. Before
//! sled opens its files they are read through, and if it opens them with less than was acknowledged, or not at all, [`Former`]
//! puts them back. What it left of a snapshot that a kill cut off is taken away first ([`remove_unfinished_snapshots`]).

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::Path;

use allod_protocol::store::{Batch, Counted, Row, Store, StoreFault, View};

use super::caught::{Health, caught};
use super::content::Content;
use super::former::Former;
use super::home::Place;
use super::slices::{self, Head};
use super::tally::Tally;
use super::{RESERVED_TABLE, ending, fault_of, home, past_the_lock};

/// Where sled keeps its log, in its directory.
pub(super) const DATA_FILE: &str = "db";

/// How the names of its snapshots begin, and how those end that are being written.
const SNAPSHOT: &str = "snap.";
const UNFINISHED: &str = ".generating";

/// Pages that sled keeps in memory: with 4 or 64 MiB, reads among a million rows differ by less than a sixth. Bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Files up to this size are counted whenever they are opened, as redb's are checked. Bytes.
const COUNTED_AT_OPEN_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What a piece of the count reads, and up to one value more: whoever waits for it waits for no more than a full commit holds. Bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// The row that says that this is a store of ours.
const MARK_KEY: &[u8] = &[RESERVED_TABLE];
/// How its rows are laid out.
const LAYOUT: &[u8] = b"allod store 2";

/// The store in a directory of sled's.
pub(super) struct SledStore {
    /// Taken by `drop` alone.
    db: Option<::sled::Db>,
    data: File,
    place: Place,
    mark: Mark,
    tally: Tally,
    /// How far the count after an unclean end is, until it has come to the end.
    count: Option<Count>,
    health: Health,
}

/// What the store says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    commits: u64,
    content: Content,
}

/// What was found up to a key.
#[derive(Debug, Default)]
struct Count {
    last: Option<Vec<u8>>,
    content: Content,
}

impl SledStore {
    /// Opens what is in `dir`, or makes it unless it `must_exist`.
    pub(super) fn open(dir: &Path, must_exist: bool) -> Result<Self, StoreFault> {
        let former = Former::read(dir).map_err(|error| fault_of(&error))?;
        let elsewhere = Cell::new(false);
        Self::try_open(dir, must_exist, &elsewhere).inspect_err(|_| {
            // Somebody else's store was not touched, and what was read of it may be the past by now.
            if !elsewhere.get() {
                former.put_back();
            }
        })
    }

    /// `elsewhere` is set if another process has the store open.
    fn try_open(dir: &Path, must_exist: bool, elsewhere: &Cell<bool>) -> Result<Self, StoreFault> {
        let place = Place::of(dir).map_err(|error| fault_of(&error))?;
        let ended = ending::read(dir).map_err(|error| fault_of(&error))?;
        let tally = Tally::open(dir).map_err(|error| fault_of(&error))?;
        let config = ::sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .mode(::sled::Mode::LowSpace);
        let (db, data, mark) = caught(|| {
            let open = || {
                remove_unfinished_snapshots(dir)?;
                config.open()
            };
            let db = past_the_lock(open, is_locked)
                .inspect_err(|error| elsewhere.set(is_locked(error)))
                .map_err(|error| fault_in(&error))?;
            let data = File::open(dir.join(DATA_FILE)).map_err(|error| fault_of(&error))?;
            let mark = match read(&db, MARK_KEY)? {
                Some(mark) => Mark::from_bytes(&mark)?,
                // sled calls a log that it can't read any part of a new one.
                None if must_exist || !db.is_empty() => return Err(damaged("the store's mark is gone")),
                None => {
                    db.insert(MARK_KEY, Mark::default().to_bytes()).map_err(|error| fault_in(&error))?;
                    Mark::default()
                }
            };
            if ended.is_some_and(|commits| commits != mark.commits) || tally.at_least() > mark.commits {
                return Err(damaged("the last commits are missing"));
            }
            db.flush().map_err(|error| fault_in(&error))?;
            Ok((db, data, mark))
        })?;
        let health = Health::default();
        let mut store = Self { db: Some(db), data, place, mark, tally, count: None, health };
        store.health.run(|| store.data.sync_all().map_err(|error| fault_of(&error)))?;
        // After a clean end too: a read that the disk refused once may have left out a part of the middle.
        if store.size_bytes() <= COUNTED_AT_OPEN_MAX_BYTES {
            store.check()?;
        } else if ended.is_none() {
            store.count = Some(Count::default());
        }
        store.health.run(|| store.sync_files().map_err(|error| fault_of(&error)))?;
        Ok(store)
    }

    /// An open may have made each of sled's files, and replaced its snapshot.
    fn sync_files(&self) -> io::Result<()> {
        File::open(self.place.dir().join("conf"))?.sync_all()?;
        home::sync_directory(self.place.dir())?;
        ending::remove(self.place.dir())
    }

    fn call<T>(&self, call: impl FnOnce(&::sled::Db) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        self.health.run(|| call(self.db.as_ref().expect("the engine leaves only when the store is dropped")))
    }
}

impl Mark {
    fn to_bytes(self) -> Vec<u8> {
        [LAYOUT, &self.commits.to_be_bytes(), &self.content.to_bytes()].concat()
    }

    fn from_bytes(stored: &[u8]) -> Result<Self, StoreFault> {
        let counts = stored.strip_prefix(LAYOUT).and_then(<[u8]>::split_first_chunk::<8>);
        counts
            .and_then(|(commits, content)| Some((*commits, content.try_into().ok()?)))
            .map(|(commits, content)| Self {
                commits: u64::from_be_bytes(commits),
                content: Content::from_bytes(content),
            })
            .ok_or_else(|| damaged("the store's mark is none of this version"))
    }
}

impl Count {
    /// Whether a key was counted.
    fn is_past(&self, key: &[u8]) -> bool {
        self.last.as_deref().is_some_and(|last| key <= last)
    }

    /// Reads on, by one piece.
    fn go_on(&mut self, db: &::sled::Db, mark: Mark) -> Result<Counted, StoreFault> {
        let from = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut bytes = 0;
        for row in db.range::<Vec<u8>, _>((from, Bound::Unbounded)) {
            let (key, stored) = row.map_err(|error| fault_in(&error))?;
            bytes += key.len() + stored.len();
            if key.first() != Some(&RESERVED_TABLE) {
                bytes += Head::read(&stored)?.value(&key, |slice| read(db, slice))?.len();
                self.content.add(&key, &stored);
            } else if let Some((owner, number)) = slices::slice_of(&key) {
                let head = read(db, owner)?.ok_or_else(|| damaged("a slice belongs to no value"))?;
                if number >= Head::read(&head)?.slices() {
                    return Err(damaged("a slice lies beyond the end of its value"));
                }
            } else if Mark::from_bytes(&stored)? != mark {
                return Err(damaged("the store's mark is an old one"));
            }
            if bytes >= PIECE_BYTES {
                self.last = Some(key.to_vec());
                return Ok(Counted::SoFar);
            }
        }
        if self.content == mark.content {
            Ok(Counted::All)
        } else {
            Err(damaged("rows are missing, or are not the latest"))
        }
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
        let mut mark = Mark { commits: self.mark.commits + 1, ..self.mark };
        let mut count = self.count.take();
        self.call(|db| {
            let mut writes = ::sled::Batch::default();
            for (key, value) in batch.writes() {
                let new = value.map(|value| slices::rows_of(key, value)).unwrap_or_default();
                // The look pays: sled counts a page into its cache when it is read. A million blind writes grew to 4 GB.
                let old = read(db, key)?;
                for content in [Some(&mut mark.content), passed(&mut count, key)].into_iter().flatten() {
                    old.iter().for_each(|old| content.take(key, old));
                    new.first().iter().for_each(|(key, head)| content.add(key, head));
                }
                if let Some(old) = old {
                    // Slices beyond the new ones, and the head if there is no new one.
                    for number in new.len().saturating_sub(1)..Head::read(&old)?.slices() {
                        writes.remove(slices::slice_key(key, number));
                    }
                    if new.is_empty() {
                        writes.remove(key);
                    }
                }
                for (key, stored) in new {
                    writes.insert(key, stored);
                }
            }
            writes.insert(MARK_KEY, mark.to_bytes());
            db.apply_batch(writes).map_err(|error| fault_in(&error))?;
            db.flush().map_err(|error| fault_in(&error))?;
            // Durable before acknowledged: `flush` is no sync.
            self.data.sync_all().map_err(|error| fault_of(&error))
        })?;
        self.mark = mark;
        self.count = count;
        self.health.run(|| self.tally.count(mark.commits).map_err(|error| fault_of(&error)))
    }

    fn check(&self) -> Result<(), StoreFault> {
        let mut count = Count::default();
        self.call(|db| {
            while count.go_on(db, self.mark)? == Counted::SoFar {}
            Ok(())
        })
    }

    fn count_on(&mut self) -> Result<Counted, StoreFault> {
        let Some(mut count) = self.count.take() else { return Ok(Counted::All) };
        let counted = self.call(|db| count.go_on(db, self.mark))?;
        if counted == Counted::SoFar {
            self.count = Some(count);
        }
        Ok(counted)
    }

    fn size_bytes(&self) -> u64 {
        super::size_of_files_bytes(self.place.dir())
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
            // Without a note the next open takes the end for a crash, which loses nothing but time.
            let _ = caught(|| {
                drop(db);
                // Nor is there one before all was counted that the last end left open.
                if self.count.is_some() {
                    return Ok(());
                }
                ending::leave(&self.place, self.mark.commits).map_err(|error| fault_of(&error))
            });
        }
    }
}

/// The count's content, if the count is past the key.
fn passed<'a>(count: &'a mut Option<Count>, key: &[u8]) -> Option<&'a mut Content> {
    count.as_mut().filter(|count| count.is_past(key)).map(|count| &mut count.content)
}

fn read(db: &::sled::Db, key: &[u8]) -> Result<Option<::sled::IVec>, StoreFault> {
    db.get(key).map_err(|error| fault_in(&error))
}

/// A kill can leave a snapshot of sled's log that was not written to its end. sled takes it for its newest one, since it looks for another
/// ending than the one that it gives these files, and finds a checksum wrong; and it writes a snapshot at every open. The one before
/// is still there. Nothing is touched while somebody else has the store open.
fn remove_unfinished_snapshots(dir: &Path) -> io::Result<()> {
    let data = match File::open(dir.join(DATA_FILE)) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if data.try_lock().is_err() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(SNAPSHOT) && name.ends_with(UNFINISHED) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn is_locked(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
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
