//! A key inside a row: wiped on drop, never printed, written only into a sealed row.

use allod_crypto::SecretKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Thirty-two secret bytes, in a place of their own: rows are moved, and lists of them grow, and either would leave a copy behind.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub struct StoredKey(Box<[u8; 32]>);

impl StoredKey {
    /// Keeps a key for a row.
    #[must_use]
    pub fn keep(key: &SecretKey) -> Self {
        Self(Box::new(*key.expose()))
    }

    /// Keeps bytes that are a key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Box::new(*bytes))
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        SecretKey::from_bytes(*self.0)
    }

    /// Its bytes, for what is no symmetric key: seeds and chain values.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another copy, where a row is written again.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(Box::new(*self.0))
    }
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredKey(..)")
    }
}
