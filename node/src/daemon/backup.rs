//! Making a backup: rows and vault of one moment, sealed into a file that has no name.
//!
//! The engine's thread does it between two steps, at the speed of the disk, and handles nothing else meanwhile. Whoever fetches the file
//! afterwards may take their time: it lies in the home, where there is room for a store, and goes with the last who has it open, a killed
//! process included.

use std::{
    fs::File,
    io::{self, Seek},
    path::Path,
};

use allod_crypto::Vault;
use allod_protocol::store::{StoreFault, View};
use rand_core::CryptoRng;

use super::{
    failure::{Failure, NodeRefusal},
    limits::BACKUP_PAGE_ROWS,
};
use crate::backup::{About, BackupWriter};

/// A backup that nobody has fetched yet.
#[derive(Debug)]
pub struct Made {
    /// At its beginning.
    pub file: File,
    pub size_bytes: u64,
    pub about: About,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub(super) enum MakeError {
    #[error("{0}")]
    Store(#[from] StoreFault),
    #[error("{0}")]
    File(#[from] io::Error),
}

/// A file in this home that has no name, for its owner alone.
///
/// # Errors
/// The failure to show.
pub fn nameless_file(home: &Path) -> Result<File, Failure> {
    tempfile::tempfile_in(home).map_err(|error| no_file(home, &error))
}

/// What it says to a person that the file could not be made or written.
pub(super) fn no_file(home: &Path, error: &io::Error) -> Failure {
    let home = home.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            NodeRefusal::BackupNoRoom { home }.into()
        }
        _ => NodeRefusal::HomeIo { path: home, detail: error.to_string() }.into(),
    }
}

/// Writes the backup into an empty file, and goes back to its beginning.
pub(super) fn make(
    file: File,
    about: About,
    view: &dyn View,
    vault: &Vault,
    dice: &mut dyn CryptoRng,
) -> Result<Made, MakeError> {
    let mut writer = BackupWriter::begin(file, vault.backup_key(), &about, &vault.to_bytes(dice), dice)?;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = view.scan(&[], after.as_deref(), BACKUP_PAGE_ROWS)?;
        for (key, value) in &rows {
            writer.row(key, value, dice)?;
        }
        match rows.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
    }
    let (mut file, size_bytes) = writer.end(dice)?;
    file.rewind()?;
    Ok(Made { file, size_bytes, about })
}

#[cfg(test)]
mod tests {
    use allod_crypto::Protection;
    use allod_protocol::{
        store::{Batch, Store},
        time::Timestamp,
    };

    use super::*;
    use crate::{backup::ClosedBackup, config::KindWord, daemon::dice, store::MemoryStore};

    #[test]
    fn each_row_is_in_it_once_whatever_the_pages_are() {
        let (vault, phrase) = Vault::create(Protection::None, &mut dice());
        let about = About {
            at: Timestamp::from_millis(1),
            node: "node".to_owned(),
            name: "alice".to_owned(),
            kind: KindWord::Person,
            carry: None,
            records: 0,
            peers: 0,
        };
        for count in [0, 1, BACKUP_PAGE_ROWS - 1, BACKUP_PAGE_ROWS, 3 * BACKUP_PAGE_ROWS + 1] {
            let mut store = MemoryStore::default();
            let mut batch = Batch::new();
            for number in 0..count {
                batch.put((number as u32).to_be_bytes().to_vec(), vec![1; number % 9]);
            }
            store.commit(&batch).unwrap();
            let made = make(tempfile::tempfile().unwrap(), about.clone(), &store, &vault, &mut dice()).unwrap();
            assert_eq!(made.file.metadata().unwrap().len(), made.size_bytes);
            let mut backup = ClosedBackup::read(made.file).unwrap().open(&phrase).unwrap();
            assert!(Vault::read(&backup.vault).unwrap().unlock_phrase(&phrase).is_ok());
            let rows: Vec<_> = std::iter::from_fn(|| backup.rows.next_row().unwrap()).collect();
            assert_eq!(rows, store.scan(&[], None, usize::MAX).unwrap());
            assert_eq!(rows.len(), count);
        }
    }
}
