//! What a store holds, in two numbers that each commit keeps and that reading everything finds again.
//!
//! The number of rows does not tell an older row from the one that replaced it, and an engine that leaves out a part of its log shows
//! older ones. So there is also a sum of digests over all rows, in any order: a commit changes it by what it takes away and what it
//! adds. Any row that is missing, too many or not the latest changes it.

use sha2::{Digest, Sha256};

/// Rows and the sum of their digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    rows: u64,
    sum: u128,
}

impl Content {
    /// A row more.
    pub(super) fn add(&mut self, key: &[u8], stored: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(digest(key, stored));
    }

    /// A row less. Of a row that was not there this makes nonsense, which a count then shows.
    pub(super) fn take(&mut self, key: &[u8], stored: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(digest(key, stored));
    }

    pub(super) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.rows.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sum.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; 24]) -> Self {
        let (rows, sum) = bytes.split_first_chunk::<8>().expect("24 bytes begin with 8");
        let sum = sum.try_into().expect("24 bytes without 8 are 16");
        Self { rows: u64::from_be_bytes(*rows), sum: u128::from_be_bytes(sum) }
    }
}

fn digest(key: &[u8], stored: &[u8]) -> u128 {
    let length = u32::try_from(key.len()).expect("a key is short").to_be_bytes();
    let digest = Sha256::new().chain_update(length).chain_update(key).chain_update(stored).finalize();
    u128::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&[u8], &[u8])]) -> Content {
        let mut content = Content::default();
        rows.iter().for_each(|(key, stored)| content.add(key, stored));
        content
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_what_they_are_does() {
        let content = of(&[(b"a", b"1"), (b"b", b"2")]);
        assert_eq!(content, of(&[(b"b", b"2"), (b"a", b"1")]));
        for other in [of(&[(b"a", b"2"), (b"b", b"1")]), of(&[(b"a", b"1")]), of(&[(b"a1", b""), (b"b", b"2")])] {
            assert_ne!(content, other);
        }
    }

    #[test]
    fn what_is_taken_away_leaves_nothing() {
        let mut content = of(&[(b"a", b"1"), (b"b", b"2")]);
        content.take(b"a", b"1");
        assert_eq!(content, of(&[(b"b", b"2")]));
        content.take(b"b", b"1");
        assert_ne!(content, Content::default());
    }

    #[test]
    fn it_is_read_back() {
        let content = of(&[(b"a", b"1")]);
        assert_eq!(Content::from_bytes(&content.to_bytes()), content);
    }
}
