//! A home directory as loot: each file's bytes, the vault opened, the store read by the engine's own library from a copy.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use allod_crypto::{Phrase, UnlockError, Vault};
use allod_node::store::{self, EngineName};
use allod_protocol::store::StoreFault;

use super::Loot;

/// What opens the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    Passphrase(String),
    Phrase(String),
    Nothing,
}

/// Why a home could not be looted.
#[derive(Debug)]
pub enum HomeError {
    Io(io::Error),
    /// The vault's file can't be read.
    NoVault,
    /// The vault does not open this way.
    Closed(UnlockError),
    /// The words are no phrase.
    NoPhrase,
    Store(StoreFault),
}

impl From<io::Error> for HomeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::fmt::Display for HomeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NoVault => f.write_str("there is no vault that can be read"),
            Self::Closed(error) => write!(f, "{error}"),
            Self::NoPhrase => f.write_str("these are not 24 words"),
            Self::Store(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for HomeError {}

/// Everything that a home holds: the loot of its live store, and the bytes of all its files.
///
/// # Errors
/// [`HomeError`].
pub fn loot_home(home: &Path, way: &Way) -> Result<(Loot, Vec<Vec<u8>>), HomeError> {
    let mut files = Vec::new();
    for path in all_files(home)? {
        files.push(fs::read(path)?);
    }
    let mut loot = Loot { vaults: vec![vault(home, way)?], ..Loot::default() };
    // Opening may write, hence the copy.
    let copy = tempfile::tempdir()?;
    copy_directory(&home.join("store"), copy.path())?;
    let engine = if copy.path().join("store.redb").exists() { EngineName::Redb } else { EngineName::Sled };
    let store = store::open(engine, copy.path(), true).map_err(HomeError::Store)?;
    loot.rows.extend(store.scan(&[], None, usize::MAX).map_err(HomeError::Store)?);
    Ok((loot, files))
}

fn vault(home: &Path, way: &Way) -> Result<Vault, HomeError> {
    let locked = Vault::read(&fs::read(home.join("vault"))?).map_err(|_| HomeError::NoVault)?;
    match way {
        Way::Passphrase(passphrase) => locked.unlock_passphrase(passphrase.as_bytes()),
        Way::Phrase(words) => locked.unlock_phrase(&Phrase::parse(words).map_err(|_| HomeError::NoPhrase)?),
        Way::Nothing => locked.unlock_open(),
    }
    .map_err(HomeError::Closed)
}

fn all_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(all_files(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    for file in all_files(from)? {
        let target = to.join(file.strip_prefix(from).expect("a file in this directory"));
        fs::create_dir_all(target.parent().expect("a file has a parent"))?;
        fs::copy(&file, target)?;
    }
    Ok(())
}
