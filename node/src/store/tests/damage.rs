//! Files that something else has written to: a store may refuse them, and may miss rows, but never invents, and never takes the
//! process with it.
//!
//! Each trial damages a copy, opens it and reads every row. All trials of an engine run in one child, since sled's panics happen
//! on its own threads too: a panic that escapes, an abort or a hang fails that child, and a word of a panic on stderr the test.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use allod_protocol::store::{Batch, StoreFault};
use sha2::{Digest, Sha256};

use super::{EngineName, as_child, child, finish, open};

const ROWS: u32 = 3_000;
const PAGE_BYTES: u64 = 4096;

fn key(number: u32) -> Vec<u8> {
    [&[6], number.to_be_bytes().as_slice()].concat()
}

/// What nothing but the right value equals; one in a hundred is long.
fn value(number: u32) -> Vec<u8> {
    let length = if number.is_multiple_of(100) { 10_000 } else { 200 };
    Sha256::digest(number.to_be_bytes()).iter().copied().cycle().take(length).collect()
}

/// Fills a store; `killed` gets its files as they are while it is open, which is how a kill leaves them.
fn fill(engine: EngineName, dir: &Path, killed: &Path, rows: u32) {
    let mut store = open(engine, dir, false).unwrap();
    for from in (0..rows).step_by(100) {
        let mut batch = Batch::new();
        for number in from..from + 100 {
            batch.put(key(number), value(number));
        }
        store.commit(&batch).unwrap();
    }
    copy(dir, killed);
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    Flip { at: u64, bit: u8 },
    Zeroes { at: u64 },
    Cut { length: u64 },
}

impl Damage {
    pub(super) fn apply(self, path: &Path) {
        let mut file = fs::File::options().read(true).write(true).open(path).unwrap();
        match self {
            Self::Flip { at, bit } => {
                let mut byte = [0];
                file.seek(SeekFrom::Start(at)).unwrap();
                file.read_exact(&mut byte).unwrap();
                file.seek(SeekFrom::Start(at)).unwrap();
                file.write_all(&[byte[0] ^ (1 << bit)]).unwrap();
            }
            Self::Zeroes { at } => {
                file.seek(SeekFrom::Start(at)).unwrap();
                file.write_all(&[0; PAGE_BYTES as usize]).unwrap();
            }
            Self::Cut { length } => file.set_len(length).unwrap(),
        }
    }

    /// Spread over the whole file, and dense at its beginning.
    fn all(length: u64) -> Vec<Self> {
        let flips = (0..60).map(|n| Self::Flip { at: length * n / 60 + n * 37 % 1000, bit: (n % 8) as u8 });
        let early = (0..24).map(|n| Self::Flip { at: n * 13, bit: (n % 8) as u8 });
        let zeroes = (0..20).map(|n| Self::Zeroes { at: length * n / 20 / PAGE_BYTES * PAGE_BYTES });
        let cuts = [0, 1, 100, 4096, length / 2, length - length / 100, length - 4096.min(length), length - 1];
        let cuts = cuts.into_iter().map(|length| Self::Cut { length });
        let flips = flips.chain(early).filter(|flip| matches!(flip, Self::Flip { at, .. } if *at < length));
        flips.chain(zeroes).chain(cuts).collect()
    }
}

#[derive(Debug, Default)]
struct Outcomes {
    refused: u32,
    intact: u32,
    missing: u32,
    wrong: u32,
}

impl Outcomes {
    /// Opens what is left of a store, reads it all, and counts what came of it.
    fn read(&mut self, engine: EngineName, dir: &Path) -> String {
        let read = || {
            let store = open(engine, dir, true)?;
            let (mut missing, mut wrong) = (0, 0);
            for number in 0..ROWS {
                match store.get(&key(number))? {
                    Some(found) if found == value(number) => {}
                    Some(_) => wrong += 1,
                    None => missing += 1,
                }
            }
            let found = store.scan(&[], None, usize::MAX)?;
            wrong += found.iter().filter(|(key, _)| key.len() != 5 || key[0] != 6).count();
            store.check()?;
            Ok((missing.max(ROWS as usize - found.len()), wrong))
        };
        let outcome = read();
        match outcome {
            Err(StoreFault::Damaged { .. }) => self.refused += 1,
            Err(ref fault) => panic!("damage is no fault of the disk: {fault:?}"),
            Ok((0, 0)) => self.intact += 1,
            Ok((_, 0)) => self.missing += 1,
            Ok(_) => self.wrong += 1,
        }
        format!("{outcome:?}")
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// As a child: all trials, on files that were closed once, on files that were opened again, when engines write anew, and on files that
/// were not closed.
fn try_all(engine: EngineName, dir: &Path) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let (sound, killed) = (dir.join("sound"), dir.join("killed"));
    fill(engine, &sound, &killed, ROWS);
    for (life, sound) in [("closed", &sound), ("opened again", &sound), ("killed", &killed)] {
        for file in fs::read_dir(sound).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file()) {
            for damage in Damage::all(file.metadata().unwrap().len()) {
                let damaged = dir.join("damaged");
                copy(sound, &damaged);
                damage.apply(&damaged.join(file.file_name()));
                println!("{life}, {:?}, {damage:?}: {:?}", file.file_name(), outcomes.read(engine, &damaged));
                fs::remove_dir_all(&damaged).unwrap();
            }
        }
        drop(open(engine, sound, true).unwrap());
    }
    println!("{outcomes:?}");
    outcomes
}

fn in_a_child(test: &str, engine: EngineName) {
    let dir = tempfile::tempdir().unwrap();
    let output = finish(&mut child(&["env"], test, engine, dir.path()));
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}\n{complained}");
    assert!(output.status.success(), "{:?}", output.status);
    assert!(said.contains("1 passed"));
    assert!(!complained.contains("panicked"));
}

#[test]
fn damage_to_sled_is_refused() {
    if let Some((dir, engine)) = as_child() {
        let outcomes = try_all(engine, &dir);
        assert_eq!((outcomes.wrong, outcomes.missing), (0, 0));
        assert!(outcomes.refused > 200);
        return;
    }
    in_a_child("damage::damage_to_sled_is_refused", EngineName::Sled);
}

#[test]
fn damage_to_redb_is_refused() {
    if let Some((dir, engine)) = as_child() {
        let outcomes = try_all(engine, &dir);
        assert_eq!((outcomes.wrong, outcomes.missing), (0, 0));
        assert!(outcomes.refused > 100);
        return;
    }
    in_a_child("damage::damage_to_redb_is_refused", EngineName::Redb);
}

#[test]
fn a_redb_too_large_to_check_at_each_open_is_found_damaged_by_its_check() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound");
    let long = |number: u32| value(number).into_iter().cycle().take(20_000).collect::<Vec<u8>>();
    let mut store = open(EngineName::Redb, &sound, false).unwrap();
    for from in (0..1_000).step_by(100) {
        let mut batch = Batch::new();
        for number in from..from + 100 {
            batch.put(key(number), long(number));
        }
        store.commit(&batch).unwrap();
    }
    drop(store);
    let length = fs::metadata(sound.join("store.redb")).unwrap().len();
    assert!(length > 16 * 1024 * 1024);
    let mut opened = 0;
    for damage in Damage::all(length).into_iter().step_by(6) {
        let damaged = dir.path().join("damaged");
        copy(&sound, &damaged);
        damage.apply(&damaged.join("store.redb"));
        if let Ok(store) = open(EngineName::Redb, &damaged, true) {
            opened += 1;
            let intact = (0..1_000).all(|number| store.get(&key(number)) == Ok(Some(long(number))));
            assert!(intact || store.check().is_err(), "{damage:?}");
        }
        fs::remove_dir_all(&damaged).unwrap();
    }
    assert!(opened > 0);
}
