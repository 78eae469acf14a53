//! What the engine asks of a store, and no more: get, ordered scan of a prefix, one atomic batch made durable.
//!
//! Keys sort as bytes. A batch is all or nothing, and when `commit` returns it is on the disk. Values longer than an engine likes are
//! sliced by the engine's adapter; callers never see it. Everything below this trait is already sealed: a store holds no secret.

use std::collections::BTreeMap;

/// The longest key, in bytes: every table's key is shorter.
pub const KEY_MAX_BYTES: usize = 128;

/// One key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The store cannot be relied on: the process stops and says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// What is stored does not hold together.
    #[error("the store is damaged: {detail}")]
    Damaged { detail: String },
    /// The disk has no room; nothing of the batch was kept.
    #[error("the disk is full")]
    Full,
    /// The operating system refused to read, write or sync.
    #[error("the disk failed: {detail}")]
    Io { detail: String },
}

/// The read half, over the last commit.
pub trait View {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`StoreFault`] if the store cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault>;

    /// Rows whose key begins with `prefix`, in key order, strictly after `after` where given, `limit` at most.
    ///
    /// # Errors
    /// [`StoreFault`] if the store cannot be read.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault>;
}

/// How much of a store was counted since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A part.
    SoFar,
    /// As much as its last end calls for.
    All,
}

/// A store: its view, and the one way to change it.
pub trait Store: View + Send {
    /// Applies the batch, all or nothing, and returns when it is durable.
    ///
    /// # Errors
    /// [`StoreFault`]: nothing of the batch may be taken as written, and the store is not used again.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault>;

    /// Reads everything once and says whether it holds together.
    ///
    /// # Errors
    /// [`StoreFault::Damaged`] with what was found.
    fn check(&self) -> Result<(), StoreFault>;

    /// Goes on with the count that an end in disorder calls for, by a piece that takes milliseconds: reads and commits find their turn
    /// in between.
    ///
    /// # Errors
    /// As [`Store::check`], once all is counted or as soon as something is seen.
    fn count_on(&mut self) -> Result<Counted, StoreFault> {
        Ok(Counted::All)
    }

    /// Bytes on the disk.
    fn size_bytes(&self) -> u64;

    /// The engine's name: `sled`, `redb` or `memory`.
    fn engine(&self) -> &'static str;
}

/// Writes that become true together. A key written twice keeps the later value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    size_bytes: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `value` under `key`.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        debug_assert!(key.len() <= KEY_MAX_BYTES, "a key of {} bytes", key.len());
        self.size_bytes += key.len() + value.len();
        self.writes.insert(key, Some(value));
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.size_bytes += key.len();
        self.writes.insert(key, None);
    }

    /// Adds all writes of `later`.
    pub fn append(&mut self, later: Batch) {
        self.size_bytes += later.size_bytes;
        self.writes.extend(later.writes);
    }

    /// Nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// How many keys are written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// About how many bytes are written.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// What this batch says of `key`: `Some(None)` is a deletion.
    #[must_use]
    pub fn written(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes.get(key).map(Option::as_deref)
    }

    /// All writes in key order; `None` deletes.
    pub fn writes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// A view with writes on top that are not committed yet.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    below: &'a dyn View,
    above: &'a Batch,
}

impl<'a> Overlay<'a> {
    /// `below` as it will be once `above` is committed.
    #[must_use]
    pub fn new(below: &'a dyn View, above: &'a Batch) -> Self {
        Self { below, above }
    }
}

impl View for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        match self.above.written(key) {
            Some(written) => Ok(written.map(<[u8]>::to_vec)),
            None => self.below.get(key),
        }
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        let start = after.map_or_else(|| prefix.to_vec(), |key| [key, &[0]].concat());
        let above: Vec<_> = self.above.writes.range(start..).take_while(|(key, _)| key.starts_with(prefix)).collect();
        if above.is_empty() {
            return self.below.scan(prefix, after, limit);
        }
        // Deleted rows below make room for rows further on, hence the larger read.
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> =
            self.below.scan(prefix, after, limit.saturating_add(above.len()))?.into_iter().collect();
        let complete = rows.len() < limit.saturating_add(above.len());
        let last = rows.keys().next_back().cloned();
        for (key, value) in above {
            // Beyond what was read below, rows in between are not known: the next page brings them.
            if !complete && last.as_ref().is_some_and(|last| key > last) {
                break;
            }
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Below(BTreeMap<Vec<u8>, Vec<u8>>);

    impl View for Below {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
            Ok(self.0.get(key).cloned())
        }

        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
            Ok(self
                .0
                .iter()
                .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after))
                .take(limit)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect())
        }
    }

    fn keys(rows: &[Row]) -> Vec<u8> {
        rows.iter().map(|(key, _)| key[1]).collect()
    }

    #[test]
    fn an_overlay_scans_as_if_its_batch_were_committed() {
        let below = Below([1u8, 3, 5, 7].into_iter().map(|n| (vec![9, n], vec![n])).collect());
        let mut above = Batch::new();
        above.delete(vec![9, 3]);
        above.put(vec![9, 4], vec![4]);
        above.put(vec![9, 8], vec![8]);
        above.put(vec![8, 8], vec![8]);
        let view = Overlay::new(&below, &above);
        assert_eq!(keys(&view.scan(&[9], None, 10).unwrap()), [1, 4, 5, 7, 8]);
        assert_eq!(keys(&view.scan(&[9], None, 2).unwrap()), [1, 4]);
        assert_eq!(keys(&view.scan(&[9], Some(&[9, 4]), 10).unwrap()), [5, 7, 8]);
        assert_eq!(view.get(&[9, 3]).unwrap(), None);
        assert_eq!(view.get(&[9, 4]).unwrap(), Some(vec![4]));
    }
}
