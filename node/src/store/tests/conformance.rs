//! One suite for all engines: none of them may be told apart through the trait.

use std::collections::BTreeMap;

use allod_protocol::store::{Batch, KEY_MAX_BYTES};

use super::{Subject, each_engine, put};

/// Lengths at which storing changes its ways, and one far beyond.
const LENGTHS_BYTES: [usize; 10] = [0, 1, 200, 4094, 4095, 4096, 8192, 8193, 65_536, 300 * 1024];

const NONE: [&[u8]; 0] = [];

fn value(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| seed.wrapping_add((at % 253) as u8)).collect()
}

fn keys(subject: &mut Subject, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Vec<u8>> {
    subject.store().scan(prefix, after, limit).unwrap().into_iter().map(|(key, _)| key).collect()
}

#[test]
fn what_is_put_is_there_and_what_is_not_is_not() {
    each_engine(|subject| {
        assert_eq!(subject.store().get(b"a").unwrap(), None);
        subject.commit(&put(b"a", b"1"));
        assert_eq!(subject.store().get(b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(subject.store().get(b"ab").unwrap(), None);
        assert_eq!(subject.store().get(b"").unwrap(), None);
        subject.commit(&put(b"a", b"2"));
        assert_eq!(subject.store().get(b"a").unwrap(), Some(b"2".to_vec()));
        subject.reopen();
        assert_eq!(subject.store().get(b"a").unwrap(), Some(b"2".to_vec()));
    });
}

#[test]
fn a_batch_puts_and_deletes_together_and_its_last_word_counts() {
    each_engine(|subject| {
        subject.commit(&put(b"old", b"1"));
        let mut batch = Batch::new();
        batch.put(b"new".to_vec(), b"2".to_vec());
        batch.delete(b"old".to_vec());
        batch.delete(b"never".to_vec());
        batch.put(b"brief".to_vec(), b"3".to_vec());
        batch.delete(b"brief".to_vec());
        batch.delete(b"back".to_vec());
        batch.put(b"back".to_vec(), b"4".to_vec());
        subject.commit(&batch);
        subject.commit(&Batch::new());
        for _ in 0..2 {
            let rows = subject.store().scan(b"", None, 10).unwrap();
            assert_eq!(rows, [(b"back".to_vec(), b"4".to_vec()), (b"new".to_vec(), b"2".to_vec())]);
            subject.reopen();
        }
    });
}

#[test]
fn a_scan_is_in_byte_order_within_its_prefix() {
    each_engine(|subject| {
        let mut batch = Batch::new();
        let all: [&[u8]; 10] = [
            &[1, 0xFF, 0xFF, 1],
            &[1],
            &[2],
            &[1, 0xFF],
            &[0xFF, 0xFF, 0],
            &[1, 0],
            &[0xFF, 0xFF],
            &[1, 0xFF, 0xFF],
            &[0],
            &[1, 0xFE],
        ];
        for key in all {
            batch.put(key.to_vec(), vec![]);
        }
        subject.commit(&batch);
        for _ in 0..2 {
            let mut sorted = all.to_vec();
            sorted.sort();
            assert_eq!(keys(subject, &[], None, 99), sorted);
            assert_eq!(keys(subject, &[1], None, 99), sorted[1..7]);
            assert_eq!(keys(subject, &[1, 0xFF], None, 99), sorted[4..7]);
            assert_eq!(keys(subject, &[1, 0xFF, 0xFF], None, 99), sorted[5..7]);
            assert_eq!(keys(subject, &[0xFF], None, 99), sorted[8..]);
            assert_eq!(keys(subject, &[0xFF, 0xFF], None, 99), sorted[8..]);
            assert_eq!(keys(subject, &[3], None, 99), NONE);
            subject.reopen();
        }
    });
}

#[test]
fn a_scan_goes_on_strictly_after_a_key_and_ends_at_its_limit() {
    each_engine(|subject| {
        let mut batch = Batch::new();
        for key in [&[1][..], &[2, 1], &[2, 1, 0], &[2, 3], &[2, 0xFF], &[3]] {
            batch.put(key.to_vec(), vec![]);
        }
        subject.commit(&batch);
        assert_eq!(keys(subject, &[2], None, 2), [vec![2, 1], vec![2, 1, 0]]);
        assert_eq!(keys(subject, &[2], Some(&[2, 1]), 2), [vec![2, 1, 0], vec![2, 3]]);
        assert_eq!(keys(subject, &[2], Some(&[2, 1, 0]), 9), [vec![2, 3], vec![2, 0xFF]]);
        assert_eq!(keys(subject, &[2], Some(&[2, 2]), 9), [vec![2, 3], vec![2, 0xFF]]);
        assert_eq!(keys(subject, &[2], Some(&[2, 0xFF]), 9), NONE);
        assert_eq!(keys(subject, &[2], Some(&[3]), 9), NONE);
        assert_eq!(keys(subject, &[2], Some(&[1]), 1), [[2, 1]]);
        assert_eq!(keys(subject, &[2], None, 0), NONE);
    });
}

#[test]
fn values_of_every_length_come_back() {
    each_engine(|subject| {
        for (at, length) in LENGTHS_BYTES.into_iter().enumerate() {
            subject.commit(&put(&[5, at as u8], &value(at as u8, length)));
        }
        for _ in 0..2 {
            let rows = subject.store().scan(&[5], None, 99).unwrap();
            assert_eq!(rows.len(), LENGTHS_BYTES.len());
            for (at, length) in LENGTHS_BYTES.into_iter().enumerate() {
                assert_eq!(rows[at], (vec![5, at as u8], value(at as u8, length)));
                assert_eq!(subject.store().get(&[5, at as u8]).unwrap().as_ref(), Some(&rows[at].1));
            }
            subject.store().check().unwrap();
            subject.reopen();
        }
    });
}

#[test]
fn a_value_that_changes_length_leaves_nothing_behind() {
    each_engine(|subject| {
        let key = vec![7; KEY_MAX_BYTES];
        for (from, to) in LENGTHS_BYTES.into_iter().flat_map(|from| LENGTHS_BYTES.map(|to| (from, to))) {
            subject.commit(&put(&key, &value(1, from)));
            subject.commit(&put(&key, &value(2, to)));
            assert_eq!(subject.store().get(&key).unwrap(), Some(value(2, to)), "{from} to {to}");
        }
        subject.store().check().unwrap();
        let mut batch = Batch::new();
        batch.delete(key);
        subject.commit(&batch);
        assert_eq!(keys(subject, &[], None, 9), NONE);
        subject.store().check().unwrap();
    });
}

#[test]
fn a_full_step_of_long_rows_is_one_commit() {
    each_engine(|subject| {
        for round in 0..8 {
            let mut batch = Batch::new();
            for row in 0..64u8 {
                batch.put(vec![round % 2, row, row], value(round.wrapping_add(row), 4095));
            }
            subject.commit(&batch);
        }
        subject.reopen();
        for row in 0..64u8 {
            assert_eq!(subject.store().get(&[1, row, row]).unwrap(), Some(value(7 + row, 4095)));
        }
        subject.store().check().unwrap();
    });
}

#[test]
fn ten_thousand_rows_are_counted_in_pages() {
    each_engine(|subject| {
        for chunk in 0..10u32 {
            let mut batch = Batch::new();
            for row in 0..1000 {
                let number = (chunk * 1000 + row).wrapping_mul(7919) % 10_000;
                batch.put([&[3], number.to_be_bytes().as_slice()].concat(), value(number as u8, 200));
            }
            subject.commit(&batch);
        }
        subject.reopen();
        subject.store().check().unwrap();
        assert!(subject.store().size_bytes() > 10_000 * 200);
        let mut after: Option<Vec<u8>> = None;
        let mut count = 0u32;
        loop {
            let page = subject.store().scan(&[3], after.as_deref(), 777).unwrap();
            for (key, stored) in &page {
                assert_eq!(key[1..], count.to_be_bytes());
                assert_eq!(stored, &value(count as u8, 200));
                count += 1;
            }
            let Some((last, _)) = page.into_iter().next_back() else { break };
            after = Some(last);
        }
        assert_eq!(count, 10_000);
    });
}

/// A row of digits that looks random and is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn any_history_reads_like_a_sorted_map() {
    each_engine(|subject| {
        let mut dice = Dice(0x2545_F491_4F6C_DD1D);
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for step in 0..400 {
            let mut batch = Batch::new();
            for _ in 0..=dice.below(12) {
                let key: Vec<u8> = (0..=dice.below(3)).map(|_| [0, 1, 0xFD, 0xFF][dice.below(4)]).collect();
                if dice.below(3) == 0 {
                    model.remove(&key);
                    batch.delete(key);
                } else {
                    let length = LENGTHS_BYTES[dice.below(8)];
                    let value = value(dice.below(256) as u8, length);
                    model.insert(key.clone(), value.clone());
                    batch.put(key, value);
                }
            }
            subject.commit(&batch);
            if step % 50 == 49 {
                subject.reopen();
                subject.store().check().unwrap();
            }
            let prefix: Vec<u8> = (0..dice.below(2)).map(|_| [0, 1, 0xFD, 0xFF][dice.below(4)]).collect();
            let after: Vec<u8> = (0..dice.below(4)).map(|_| [0, 1, 0xFD, 0xFF][dice.below(4)]).collect();
            let limit = dice.below(30);
            let rows = subject.store().scan(&prefix, Some(&after), limit).unwrap();
            let expected = model.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after).take(limit);
            assert!(rows.iter().map(|(key, value)| (key, value)).eq(expected), "step {step}");
        }
        let rows = subject.store().scan(&[], None, usize::MAX).unwrap();
        assert!(rows.into_iter().eq(model));
    });
}
