//! Long values in rows that sled keeps in its one data file.
//!
//! A page of sled that outgrows a quarter of a segment goes to a file of its own, which no sync of ours covers. A page holds up to
//! 17 rows, so a row of 4 KiB leaves it at half of that. A longer value becomes a head, under the value's key, and slices in the
//! reserved table, under that key and a number; they are written and removed in the batch of their head. A head begins with one
//! byte: `WHOLE` and the value follows, `SLICED` and its length and a digest of it follow, so that a slice of an older value is known.

use allod_protocol::store::{Row, StoreFault};
use sha2::{Digest, Sha256};

use super::RESERVED_TABLE;

/// The longest value that sled gets to see, marker included. Bytes.
pub(super) const STORED_MAX_BYTES: usize = 4 * 1024;
/// Slices of one value: what 16 bits can number. Count.
const SLICES_MAX: usize = u16::MAX as usize + 1;
/// The longest value in all. Bytes.
const VALUE_MAX_BYTES: usize = STORED_MAX_BYTES * SLICES_MAX;

const WHOLE: u8 = 0;
const SLICED: u8 = 1;
/// Of the digest of a long value. Bytes.
const DIGEST_BYTES: usize = 16;

/// What is stored under a key, as far as its own row tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    Whole(&'a [u8]),
    Sliced { length_bytes: usize, digest: [u8; DIGEST_BYTES] },
}

impl<'a> Head<'a> {
    /// Reads the row of a key.
    pub(super) fn read(stored: &'a [u8]) -> Result<Self, StoreFault> {
        match stored.split_first() {
            Some((&WHOLE, value)) => Ok(Self::Whole(value)),
            Some((&SLICED, rest)) => rest
                .split_first_chunk::<4>()
                .and_then(|(length, digest)| Some((u32::from_be_bytes(*length), digest.try_into().ok()?)))
                .map(|(length_bytes, digest)| Self::Sliced { length_bytes: length_bytes as usize, digest })
                .filter(|head| (1..=SLICES_MAX).contains(&head.slices()))
                .ok_or_else(|| damaged("the length of a long value is not one")),
            _ => Err(damaged("a row begins with neither of its marks")),
        }
    }

    /// How many slices go with it.
    pub(super) fn slices(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Sliced { length_bytes, .. } => length_bytes.div_ceil(STORED_MAX_BYTES),
        }
    }

    /// The value, its slices read with `read`.
    pub(super) fn value<T: AsRef<[u8]>>(
        &self,
        key: &[u8],
        mut read: impl FnMut(&[u8]) -> Result<Option<T>, StoreFault>,
    ) -> Result<Vec<u8>, StoreFault> {
        let (length_bytes, digest) = match self {
            Self::Whole(value) => return Ok(value.to_vec()),
            Self::Sliced { length_bytes, digest } => (*length_bytes, digest),
        };
        let mut value = Vec::new();
        for number in 0..self.slices() {
            let slice = read(&slice_key(key, number))?.ok_or_else(|| damaged("a slice of a long value is missing"))?;
            value.extend_from_slice(slice.as_ref());
        }
        if value.len() != length_bytes {
            return Err(damaged("a long value has another length than it should"));
        }
        if digest_of(&value) != *digest {
            return Err(damaged("a long value is not the one that was stored"));
        }
        Ok(value)
    }
}

/// The rows that hold `value`: its head first, then its slices.
pub(super) fn rows_of(key: &[u8], value: &[u8]) -> Vec<Row> {
    if value.len() < STORED_MAX_BYTES {
        return vec![(key.to_vec(), [&[WHOLE], value].concat())];
    }
    assert!(value.len() <= VALUE_MAX_BYTES, "a value of {} bytes", value.len());
    let length_bytes = u32::try_from(value.len()).expect("just compared with a length below 32 bits");
    let head = [&[SLICED], length_bytes.to_be_bytes().as_slice(), &digest_of(value)].concat();
    let mut rows = vec![(key.to_vec(), head)];
    rows.extend(
        value.chunks(STORED_MAX_BYTES).enumerate().map(|(number, slice)| (slice_key(key, number), slice.to_vec())),
    );
    rows
}

/// Where slice `number` of the value under `key` lies. No two pairs share one: the number has a fixed width and comes last.
pub(super) fn slice_key(key: &[u8], number: usize) -> Vec<u8> {
    let number = u16::try_from(number).expect("a value has at most as many slices as 16 bits can number");
    [&[RESERVED_TABLE], key, number.to_be_bytes().as_slice()].concat()
}

/// The key and the number that [`slice_key`] was given.
pub(super) fn slice_of(stored_key: &[u8]) -> Option<(&[u8], usize)> {
    let (&table, rest) = stored_key.split_first()?;
    let (key, number) = rest.split_last_chunk::<2>()?;
    (table == RESERVED_TABLE).then(|| (key, usize::from(u16::from_be_bytes(*number))))
}

fn digest_of(value: &[u8]) -> [u8; DIGEST_BYTES] {
    *Sha256::digest(value).first_chunk().expect("a digest has 32 bytes")
}

fn damaged(detail: &str) -> StoreFault {
    StoreFault::Damaged { detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KEY: &[u8] = &[7, 1];

    fn stored(value: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        rows_of(KEY, value).into_iter().collect()
    }

    fn read(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Vec<u8>, StoreFault> {
        Head::read(&rows[KEY])?.value(KEY, |key| Ok(rows.get(key)))
    }

    #[test]
    fn a_value_of_any_length_comes_back_from_rows_of_four_kibibytes() {
        for length in [0, 1, 4094, 4095, 4096, 4097, 8191, 8192, 8193, 300 * 1024] {
            let value: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let rows = stored(&value);
            assert_eq!(read(&rows).as_ref(), Ok(&value), "{length}");
            assert!(rows.values().all(|stored| stored.len() <= STORED_MAX_BYTES), "{length}");
            assert_eq!(rows.len(), 1 + Head::read(&rows[KEY]).unwrap().slices(), "{length}");
        }
    }

    #[test]
    fn a_lost_or_shortened_slice_is_damage() {
        let mut rows = stored(&[5; 9000]);
        rows.get_mut(&slice_key(KEY, 2)).unwrap().pop();
        assert_eq!(read(&rows), Err(damaged("a long value has another length than it should")));
        rows.remove(&slice_key(KEY, 1));
        assert_eq!(read(&rows), Err(damaged("a slice of a long value is missing")));
    }

    #[test]
    fn a_slice_of_an_older_value_is_damage() {
        let mut rows = stored(&[5; 9000]);
        let older = stored(&[4; 9000]);
        rows.insert(slice_key(KEY, 1), older[&slice_key(KEY, 1)].clone());
        assert_eq!(read(&rows), Err(damaged("a long value is not the one that was stored")));
    }

    #[test]
    fn a_row_that_is_neither_whole_nor_sliced_is_damage() {
        for stored in [
            &[][..],
            &[2],
            &[SLICED],
            &[SLICED, 0, 0, 0],
            &[SLICED, 0, 0, 0, 9],
            &[SLICED, 0, 0, 0, 9, 9],
            &[&[SLICED, 0, 0, 0, 0][..], &[7; DIGEST_BYTES]].concat(),
            &[&[SLICED, 255, 255, 255, 255][..], &[7; DIGEST_BYTES]].concat(),
            &[&[SLICED, 0, 0, 0, 9][..], &[7; DIGEST_BYTES + 1]].concat(),
        ] {
            assert!(Head::read(stored).is_err(), "{stored:?}");
        }
        assert!(Head::read(&[&[SLICED, 0, 0, 0, 9][..], &[7; DIGEST_BYTES]].concat()).is_ok());
    }

    #[test]
    fn slices_of_keys_that_begin_alike_do_not_meet() {
        for (key, number) in [(&[1][..], 0), (&[1, 0, 0], 0), (&[1, 0], 256), (&[], 3)] {
            assert_eq!(slice_of(&slice_key(key, number)), Some((key, number)));
        }
    }
}
