//! The store's engines: what the protocol asks of a disk, kept by sled, by redb, or in memory.
//!
//! `open` hands out one of them behind the protocol's trait, and nothing above can tell which. An engine trusts its files only
//! after it has looked: one that is missing, empty or torn where a store is known to exist is damage, never a new store. Whoever
//! calls knows whether one exists, since the vault beside it says so. Every call into an engine is `caught`: a panic over a
//! damaged file becomes a fault, and after any fault the engine answers nothing but that fault again.

mod caught;
mod content;
mod ending;
mod former;
pub mod home;
mod memory;
mod redb;
mod sled;
mod slices;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use allod_protocol::store::{Store, StoreFault};
use serde::{Deserialize, Serialize};

pub use self::memory::MemoryStore;

/// The first byte of no caller's key: engines keep their own rows there.
pub const RESERVED_TABLE: u8 = 0xFE;

/// Which engine keeps the store; `store.engine` in the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// The default.
    #[default]
    Sled,
    /// One file, with a checksum on every page.
    Redb,
}

impl EngineName {
    /// As written in the settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// The file without which there is no store of this engine.
    fn data_file(self) -> &'static str {
        match self {
            Self::Sled => sled::DATA_FILE,
            Self::Redb => redb::DATA_FILE,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Sled => Self::Redb,
            Self::Redb => Self::Sled,
        }
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No engine has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no store engine is called \"{0}\": it is sled or redb")]
pub struct UnknownEngine(pub String);

impl FromStr for EngineName {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "sled" => Ok(Self::Sled),
            "redb" => Ok(Self::Redb),
            _ => Err(UnknownEngine(name.to_owned())),
        }
    }
}

/// Opens the store in `dir`, or makes one there unless one `must_exist`.
///
/// # Errors
/// [`StoreFault::Damaged`] if it does not hold together, or if one must exist and none does; [`StoreFault::Full`] and
/// [`StoreFault::Io`] if the disk has no room or refuses.
pub fn open(engine: EngineName, dir: &Path, must_exist: bool) -> Result<Box<dyn Store>, StoreFault> {
    if must_exist {
        confirm_exists(engine, dir)?;
    } else {
        home::create_directory(dir).map_err(|error| fault_of(&error))?;
    }
    Ok(match engine {
        EngineName::Sled => Box::new(sled::SledStore::open(dir, must_exist)?),
        EngineName::Redb => Box::new(redb::RedbStore::open(dir, must_exist)?),
    })
}

/// Opens an engine whose lock may be held for an instant by a child of this process, which has all our open files until it has become another
/// program. Nobody else has the store: the home has a lock of its own.
fn past_the_lock<T, E>(mut open: impl FnMut() -> Result<T, E>, is_locked: impl Fn(&E) -> bool) -> Result<T, E> {
    for _ in 0..40 {
        match open() {
            Err(error) if is_locked(&error) => thread::sleep(Duration::from_millis(25)),
            other => return other,
        }
    }
    open()
}

/// Whether the store in `dir` was closed when its process last ended; to be asked before it is opened. After any other end, and
/// after a first start, whoever counts what is stored counts it again.
#[must_use]
pub fn ended_cleanly(dir: &Path) -> bool {
    matches!(ending::read(dir), Ok(Some(_)))
}

/// An engine takes a missing or empty file for a new store, which would be silent loss of everything.
fn confirm_exists(engine: EngineName, dir: &Path) -> Result<(), StoreFault> {
    let length_bytes = |engine: EngineName| match fs::metadata(dir.join(engine.data_file())) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault_of(&error)),
    };
    match length_bytes(engine)? {
        Some(0) => Err(StoreFault::Damaged { detail: format!("the file of the {engine} store is empty") }),
        Some(_) => Ok(()),
        None if length_bytes(engine.other())?.is_some() => Err(StoreFault::Damaged {
            detail: format!(
                "no {engine} store is here, but one of {}: look at store.engine in the settings",
                engine.other()
            ),
        }),
        None => Err(StoreFault::Damaged { detail: format!("the {engine} store is gone") }),
    }
}

/// What an error of the operating system means for the store.
fn fault_of(error: &io::Error) -> StoreFault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreFault::Full,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => StoreFault::Damaged { detail: error.to_string() },
        _ => StoreFault::Io { detail: error.to_string() },
    }
}

/// The sizes of all files below `dir`.
fn size_of_files_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of_files_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Where the rows after `after` that begin with `prefix` start: a key not below the first of them, nor above.
fn scan_start(prefix: &[u8], after: Option<&[u8]>) -> Vec<u8> {
    match after {
        Some(after) if after >= prefix => [after, &[0]].concat(),
        _ => prefix.to_vec(),
    }
}

/// A key in the reserved table is a mistake in this program, and would be read back as something else.
fn refuse_reserved(batch: &allod_protocol::store::Batch) {
    assert!(
        batch.writes().all(|(key, _)| key.first() != Some(&RESERVED_TABLE)),
        "a key begins with the byte that engines keep for themselves"
    );
}
