//! Ends in disorder: the files as a kill leaves them, then damaged.
//!
//! The newest part of sled's log is where damage looks like a shorter past. A store whose files lost it must be refused, and so must one
//! that lost a part of the middle, small or large; a store that was refused must be left as it was found.

use std::fs;
use std::path::{Path, PathBuf};

use allod_protocol::store::{Batch, Counted, Store, StoreFault};

use super::damage::{Damage, copy};
use super::{EngineName, ON_DISK, ended_cleanly, open, put};

/// Commits after the last open: revocations, as it were.
const LATE: u8 = 40;

fn late(number: u8) -> Vec<u8> {
    vec![b'l', number]
}

/// A store as a kill leaves it, with rows that were there when it was opened last, and newer ones. Its live engine comes with it.
fn killed(engine: EngineName, dir: &Path, rows: u32) -> (PathBuf, Box<dyn Store>) {
    let (live, killed) = (dir.join("live"), dir.join("killed"));
    let mut store = open(engine, &live, false).unwrap();
    for from in (0..rows).step_by(500) {
        let mut batch = Batch::new();
        (from..from + 500).for_each(|number| batch.put(number.to_be_bytes().to_vec(), vec![7; 200]));
        store.commit(&batch).unwrap();
    }
    drop(store);
    let mut store = open(engine, &live, true).unwrap();
    for number in 0..LATE {
        store.commit(&put(&late(number), &[number; 300])).unwrap();
    }
    copy(&live, &killed);
    (killed, store)
}

/// Where the log's last byte lies.
fn written(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Reads it all; `None` if everything is there.
fn loss(engine: EngineName, dir: &Path) -> Option<StoreFault> {
    let read = || -> Result<bool, StoreFault> {
        let store = open(engine, dir, true)?;
        store.check()?;
        (0..LATE).try_fold(true, |all, number| Ok(all && store.get(&late(number))? == Some(vec![number; 300])))
    };
    match read() {
        Ok(all) => {
            assert!(all, "acknowledged rows are gone, and nothing is said");
            None
        }
        Err(fault) => Some(fault),
    }
}

#[test]
fn what_a_kill_leaves_is_whole() {
    for engine in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        let (killed, _live) = killed(engine, dir.path(), 500);
        assert!(!ended_cleanly(&killed));
        assert_eq!(loss(engine, &killed), None);
    }
}

#[test]
fn a_snapshot_that_a_kill_cut_off_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (killed, _live) = killed(EngineName::Sled, dir.path(), 500);
    let (_, snapshot) = files(&killed).into_iter().find(|(name, _)| name.starts_with("snap.")).unwrap();
    for length in [0, 7, 16, snapshot.len() / 2, snapshot.len() - 1] {
        let left = dir.path().join("left");
        copy(&killed, &left);
        let unfinished = left.join("snap.0FFFFFFFFFFFFFFF.generating");
        fs::write(&unfinished, &snapshot[..length]).unwrap();
        assert_eq!(loss(EngineName::Sled, &left), None, "{length} bytes of it");
        assert!(!unfinished.exists());
        fs::remove_dir_all(&left).unwrap();
    }
}

#[test]
fn a_log_that_lost_its_end_after_a_kill_is_damaged_and_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (killed, _live) = killed(EngineName::Sled, dir.path(), 500);
    let length = written(&killed.join("db"));
    let flips = (1..30).map(|back| Damage::Flip { at: length - back * 150, bit: (back % 8) as u8 });
    let cuts = (1..10).map(|back| Damage::Cut { length: length - back * 400 });
    for damage in flips.chain(cuts) {
        let damaged = dir.path().join("damaged");
        copy(&killed, &damaged);
        damage.apply(&damaged.join("db"));
        let before = files(&damaged);
        let fault = loss(EngineName::Sled, &damaged);
        assert!(matches!(fault, Some(StoreFault::Damaged { .. })), "{damage:?}: {fault:?}");
        let after = files(&damaged);
        assert!(before.iter().all(|file| after.contains(file)), "{damage:?} changed what was refused");
        fs::remove_dir_all(&damaged).unwrap();
    }
}

#[test]
fn a_store_that_is_behind_its_count_is_damaged_and_one_ahead_is_not() {
    for engine in ON_DISK {
        let dir = tempfile::tempdir().unwrap();
        let (killed, mut live) = killed(engine, dir.path(), 500);
        let (older, newer) = (killed.join("commits"), dir.path().join("live/commits"));
        live.commit(&put(b"more", b"1")).unwrap();
        let ahead = dir.path().join("ahead");
        copy(&dir.path().join("live"), &ahead);
        fs::copy(&older, ahead.join("commits")).unwrap();
        assert_eq!(loss(engine, &ahead), None, "{engine}: a power cut leaves the count behind");
        fs::copy(&newer, &older).unwrap();
        assert!(matches!(loss(engine, &killed), Some(StoreFault::Damaged { .. })), "{engine}");
    }
}

#[test]
fn a_second_process_that_finds_the_store_in_use_changes_nothing_of_it() {
    for engine in ON_DISK {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("store");
        let mut store = open(engine, &dir, false).unwrap();
        store.commit(&put(b"first", b"1")).unwrap();
        let second = {
            let dir = dir.clone();
            std::thread::spawn(move || open(engine, &dir, true).err())
        };
        // What the first may be writing stays: sled names a snapshot so until it is whole.
        let unfinished = dir.join("snap.0FFFFFFFFFFFFFFF.generating");
        fs::write(&unfinished, "half").unwrap();
        // It has read the files by now, and waits for the engine's lock.
        std::thread::sleep(std::time::Duration::from_millis(400));
        for number in 0..LATE {
            store.commit(&put(&late(number), &[number; 300])).unwrap();
        }
        assert!(second.join().unwrap().is_some(), "{engine:?}: two have it open");
        store.commit(&put(b"last", b"2")).unwrap();
        assert!(unfinished.exists(), "{engine:?}: it was taken away from under another");
        drop(store);
        let store = open(engine, &dir, true).unwrap_or_else(|fault| panic!("{engine:?}: {fault:?}"));
        for number in 0..LATE {
            assert_eq!(store.get(&late(number)).unwrap().as_deref(), Some(&[number; 300][..]), "{engine:?}");
        }
        assert_eq!(store.get(b"last").unwrap().as_deref(), Some(&b"2"[..]), "{engine:?}");
    }
}

#[test]
fn a_large_store_is_counted_while_it_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let (killed, _live) = killed(EngineName::Sled, dir.path(), 100_000);
    let mut store = open(EngineName::Sled, &killed, true).unwrap();
    let mut pieces = 0;
    while store.count_on().unwrap() == Counted::SoFar {
        // Before and behind where the count is by then: changed, added and removed.
        let number: u32 = pieces * 997 % 100_000;
        let mut batch = put(&number.to_be_bytes(), &vec![9; pieces as usize * 50]);
        batch.put([&number.to_be_bytes()[..], b"new"].concat(), vec![1; 5_000]);
        batch.delete((number + 1).to_be_bytes().to_vec());
        batch.delete(b"never".to_vec());
        store.commit(&batch).unwrap();
        assert_eq!(store.get(&late(3)).unwrap(), Some(vec![3; 300]));
        pieces += 1;
    }
    assert!(pieces > 50, "{pieces} pieces");
    assert_eq!(store.count_on(), Ok(Counted::All));
    store.check().unwrap();
    drop(store);
    assert!(ended_cleanly(&killed));
}

#[test]
fn a_large_store_that_was_not_counted_to_its_end_is_counted_again() {
    let dir = tempfile::tempdir().unwrap();
    let (killed, _live) = killed(EngineName::Sled, dir.path(), 100_000);
    let mut store = open(EngineName::Sled, &killed, true).unwrap();
    assert_eq!(store.count_on(), Ok(Counted::SoFar));
    drop(store);
    assert!(!ended_cleanly(&killed));
}

#[test]
fn a_row_that_is_not_the_latest_is_damage() {
    for length in [300, 9_000] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(EngineName::Sled, dir.path(), false).unwrap();
        store.commit(&put(b"granted", &vec![1; length])).unwrap();
        drop(store);
        let below = || ::sled::Config::new().path(dir.path()).mode(::sled::Mode::LowSpace).open().unwrap();
        let older: Vec<_> = below().iter().map(Result::unwrap).filter(|(key, _)| key.len() > 1).collect();
        let mut store = open(EngineName::Sled, dir.path(), true).unwrap();
        store.commit(&put(b"granted", &vec![2; length])).unwrap();
        drop(store);
        let db = below();
        older.into_iter().for_each(|(key, stored)| drop(db.insert(key, stored).unwrap()));
        drop(db);
        let fault = open(EngineName::Sled, dir.path(), true).err();
        let detail = "rows are missing, or are not the latest".to_owned();
        assert_eq!(fault, Some(StoreFault::Damaged { detail }), "{length}");
    }
}
