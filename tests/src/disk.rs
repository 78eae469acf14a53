//! A disk that can be crashed, filled, broken and lied with.
//!
//! It holds what the daemon's home holds: the rows of the store and the vault file. A commit is atomic, as the store trait promises; what
//! can be lost is decided here: an honest disk has synced every commit, a lying one has synced none since it was told to lie. Every byte that
//! was ever written stays in [`SimDisk::wreckage`], as it does in the segments of a store that only appends.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use allod_protocol::store::{Batch, Row, StoreFault, View};

/// What the disk does with the next commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mood {
    /// Commits are kept.
    #[default]
    Honest,
    /// Commits are acknowledged and not synced: a crash takes them all.
    Lying,
}

/// How a commit is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room: nothing of it was kept.
    Full,
    /// The sync failed, and nothing of it was kept.
    FailedAndLost,
    /// The sync failed, and all of it was kept all the same: nobody can tell before the next start.
    FailedAndKept,
}

/// Rows and vault, as a crash leaves them.
type Kept = (BTreeMap<Vec<u8>, Vec<u8>>, Vec<u8>);

/// One home directory.
#[derive(Clone, Default)]
pub struct SimDisk {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    vault: Vec<u8>,
    mood: Mood,
    /// What a crash of a lying disk goes back to.
    synced: Option<Box<Kept>>,
    refuse_next: Option<Refused>,
    keeps_wreckage: bool,
    wreckage: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// How many commits were kept.
    pub commits: u64,
}

impl SimDisk {
    /// An empty disk with a vault file.
    #[must_use]
    pub fn new(vault: Vec<u8>) -> Self {
        Self { vault, ..Self::default() }
    }

    /// The vault file.
    #[must_use]
    pub fn vault(&self) -> &[u8] {
        &self.vault
    }

    /// Replaces the vault file, all or nothing.
    pub fn replace_vault(&mut self, bytes: Vec<u8>) {
        self.vault = bytes;
    }

    /// Keeps a batch, all or nothing.
    ///
    /// # Errors
    /// [`StoreFault`] if it was told to refuse.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        let refused = self.refuse_next.take();
        if !matches!(refused, Some(Refused::Full | Refused::FailedAndLost)) {
            for (key, value) in batch.writes() {
                match value {
                    Some(value) => {
                        if self.keeps_wreckage {
                            self.wreckage.insert((key.to_vec(), value.to_vec()));
                        }
                        self.rows.insert(key.to_vec(), value.to_vec());
                    }
                    None => {
                        self.rows.remove(key);
                    }
                }
            }
            self.commits += 1;
        }
        match refused {
            None => Ok(()),
            Some(Refused::Full) => Err(StoreFault::Full),
            Some(Refused::FailedAndLost | Refused::FailedAndKept) => {
                Err(StoreFault::Io { detail: "the sync failed".to_owned() })
            }
        }
    }

    /// The next commit is refused.
    pub fn refuse_next(&mut self, how: Refused) {
        self.refuse_next = Some(how);
    }

    /// No commit is refused any more.
    pub fn forgive(&mut self) {
        self.refuse_next = None;
    }

    /// From here on it lies, or stops lying (and syncs all that it had not).
    pub fn set_mood(&mut self, mood: Mood) {
        if mood != self.mood {
            self.mood = mood;
            self.synced = match mood {
                Mood::Honest => None,
                Mood::Lying => Some(Box::new((self.rows.clone(), self.vault.clone()))),
            };
        }
    }

    /// The machine lost power.
    pub fn crash(&mut self) {
        self.refuse_next = None;
        if let Some(synced) = &self.synced {
            (self.rows, self.vault) = (**synced).clone();
        }
    }

    /// From here on all that is written stays to be found.
    pub fn keep_wreckage(&mut self) {
        self.keeps_wreckage = true;
        self.wreckage.extend(self.rows.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// Each key and value that was ever written since [`SimDisk::keep_wreckage`], the present ones too.
    #[must_use]
    pub fn wreckage(&self) -> &BTreeSet<(Vec<u8>, Vec<u8>)> {
        &self.wreckage
    }

    /// The rows as they stand.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.rows
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimDisk({} rows, {:?})", self.rows.len(), self.mood)
    }
}

impl View for SimDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        let start = match after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        let rows = self.rows.range::<[u8], _>((start, Bound::Unbounded));
        let within = rows.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(within.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: u8, value: u8) -> Batch {
        let mut batch = Batch::new();
        batch.put(vec![key], vec![value]);
        batch
    }

    #[test]
    fn an_honest_disk_keeps_what_it_acknowledged_and_a_lying_one_does_not() {
        let mut disk = SimDisk::new(vec![1]);
        disk.commit(&one(1, 1)).unwrap();
        disk.crash();
        assert_eq!(disk.get(&[1]).unwrap(), Some(vec![1]));
        disk.set_mood(Mood::Lying);
        disk.commit(&one(1, 2)).unwrap();
        disk.replace_vault(vec![2]);
        disk.crash();
        assert_eq!(disk.get(&[1]).unwrap(), Some(vec![1]));
        assert_eq!(disk.vault(), [1]);
    }

    #[test]
    fn a_refused_commit_is_kept_or_not_and_an_error_either_way() {
        let mut disk = SimDisk::new(vec![]);
        for (how, kept) in [(Refused::Full, false), (Refused::FailedAndLost, false), (Refused::FailedAndKept, true)] {
            disk.refuse_next(how);
            assert!(disk.commit(&one(9, 9)).is_err(), "{how:?}");
            assert_eq!(disk.get(&[9]).unwrap().is_some(), kept, "{how:?}");
        }
        disk.commit(&one(8, 8)).unwrap();
        assert_eq!(disk.scan(&[], None, 9).unwrap().len(), 2);
        assert_eq!(disk.scan(&[], Some(&[8]), 9).unwrap().len(), 1);
    }

    #[test]
    fn wreckage_holds_what_was_overwritten() {
        let mut disk = SimDisk::new(vec![]);
        disk.keep_wreckage();
        disk.commit(&one(1, 1)).unwrap();
        disk.commit(&one(1, 2)).unwrap();
        assert_eq!(disk.wreckage().len(), 2);
        assert_eq!(disk.rows().len(), 1);
    }
}
