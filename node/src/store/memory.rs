//! A store that forgets: for tests and simulations.
//!
//! A clone is a snapshot, so that a simulated crash is a clone taken before it.

use std::collections::BTreeMap;
use std::ops::Bound;

use allod_protocol::store::{Batch, Row, Store, StoreFault, View};

/// Rows in memory, durable as long as the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl View for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        let start = super::scan_start(prefix, after);
        Ok(self
            .rows
            .range::<[u8], _>((Bound::Included(start.as_slice()), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        super::refuse_reserved(batch);
        for (key, value) in batch.writes() {
            match value {
                Some(value) => self.rows.insert(key.to_vec(), value.to_vec()),
                None => self.rows.remove(key),
            };
        }
        Ok(())
    }

    fn check(&self) -> Result<(), StoreFault> {
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn engine(&self) -> &'static str {
        "memory"
    }
}
