//! A count of commits beside an engine's files, which says how many there were at least.
//!
//! After an unclean end an engine takes the first thing that it can't read for the end of its log, and what came after it for never
//! written: damage then looks like a shorter past, in which a revocation did not happen yet. So each commit, once it is durable, is also
//! counted here, in place and without a sync. Killed processes leave the count behind; a power cut may leave an older one, and
//! never one that is ahead of the engine. An engine that opens with fewer commits than were counted is damaged.
//!
//! Two slots take turns, so that a write that was torn leaves the other; a slot that contradicts itself counts nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const FILE: &str = "commits";
/// The count, and the same with every bit turned. Bytes.
const SLOT_BYTES: usize = 16;

/// The open count.
#[derive(Debug)]
pub(super) struct Tally {
    file: File,
    at_least: u64,
}

impl Tally {
    /// Opens the count in `dir`, or begins one. The caller syncs the directory.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let stored = match fs::read(&path) {
            Ok(stored) => stored,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let at_least = stored.chunks(SLOT_BYTES).take(2).filter_map(read_slot).max().unwrap_or(0);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        if stored.len() != 2 * SLOT_BYTES {
            // Room now, so that a full disk does not refuse it later.
            file.set_len(0)?;
            file.write_all_at(&[slot(at_least), slot(at_least)].concat(), 0)?;
            file.sync_all()?;
        }
        Ok(Self { file, at_least })
    }

    /// How many commits there were when this was opened, at least.
    pub(super) fn at_least(&self) -> u64 {
        self.at_least
    }

    /// Counts up to a commit that is durable.
    pub(super) fn count(&self, commits: u64) -> io::Result<()> {
        self.file.write_all_at(&slot(commits), (commits % 2) * SLOT_BYTES as u64)
    }
}

fn slot(commits: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..8].copy_from_slice(&commits.to_be_bytes());
    slot[8..].copy_from_slice(&(!commits).to_be_bytes());
    slot
}

fn read_slot(slot: &[u8]) -> Option<u64> {
    let (count, turned) = slot.split_at_checked(8)?;
    let count = u64::from_be_bytes(count.try_into().ok()?);
    (u64::from_be_bytes(turned.try_into().ok()?) == !count).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_count_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Tally::open(dir.path()).unwrap().at_least(), 0);
        for commits in 1..20 {
            Tally::open(dir.path()).unwrap().count(commits).unwrap();
            assert_eq!(Tally::open(dir.path()).unwrap().at_least(), commits);
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let tally = Tally::open(dir.path()).unwrap();
        tally.count(6).unwrap();
        tally.count(7).unwrap();
        let path = dir.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for byte in SLOT_BYTES..2 * SLOT_BYTES {
            let mut torn = whole.clone();
            torn[byte] ^= 0x10;
            fs::write(&path, torn).unwrap();
            assert_eq!(Tally::open(dir.path()).unwrap().at_least(), 6, "{byte}");
        }
    }

    #[test]
    fn a_count_of_another_length_is_begun_again_with_what_it_says() {
        let dir = tempfile::tempdir().unwrap();
        Tally::open(dir.path()).unwrap().count(8).unwrap();
        let path = dir.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let expected = if length >= SLOT_BYTES { 8 } else { 0 };
            assert_eq!(Tally::open(dir.path()).unwrap().at_least(), expected, "{length}");
            assert_eq!(fs::metadata(&path).unwrap().len(), 2 * SLOT_BYTES as u64);
        }
    }
}
