//! From a passphrase to a key: Argon2id, at a cost that stands in the vault file.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::key::SecretKey;
use crate::limits::{
    PASSPHRASE_LANES, PASSPHRASE_LANES_MAX, PASSPHRASE_MEMORY_KIB, PASSPHRASE_MEMORY_MAX_KIB, PASSPHRASE_PASSES,
    PASSPHRASE_PASSES_MAX,
};

/// What one try of a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Cost {
    pub(super) const DEFAULT: Cost =
        Cost { memory_kib: PASSPHRASE_MEMORY_KIB, passes: PASSPHRASE_PASSES, lanes: PASSPHRASE_LANES };

    /// A cost as read from a file, unless it is out of bounds.
    pub(super) fn checked(memory_kib: u32, passes: u32, lanes: u32) -> Option<Cost> {
        let within = memory_kib <= PASSPHRASE_MEMORY_MAX_KIB
            && (1..=PASSPHRASE_PASSES_MAX).contains(&passes)
            && (1..=PASSPHRASE_LANES_MAX).contains(&lanes)
            && memory_kib >= 8 * lanes;
        within.then_some(Cost { memory_kib, passes, lanes })
    }

    /// The key that a passphrase yields, or nothing if there is too little memory.
    pub(super) fn stretch(self, passphrase: &[u8], salt: &[u8; 32]) -> Option<SecretKey> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .expect("every cost is the default or was checked against Argon2's bounds");
        let mut blocks = Zeroizing::new(Vec::new());
        blocks.try_reserve_exact(params.block_count()).ok()?;
        blocks.resize(params.block_count(), Block::default());
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, salt, key.as_mut_slice(), blocks.as_mut_slice())
            .ok()?;
        Some(SecretKey::from_bytes(*key))
    }
}

/// What a passphrase yielded, kept while the vault is open.
pub(super) struct PassphraseKey {
    pub(super) cost: Cost,
    pub(super) salt: [u8; 32],
    pub(super) key: SecretKey,
}
