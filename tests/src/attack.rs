//! What somebody finds who has a node's disk and its present vault, and the program's own code to open rows with.

use allod_crypto::{Domain, Padding, Vault, open};
use allod_protocol::table::{Key, Sealing, Table};

use crate::disk::SimDisk;

/// Everything on a disk, old bytes too, that a vault opens.
#[must_use]
pub fn opened(disk: &SimDisk, vault: &Vault) -> Vec<Vec<u8>> {
    disk.wreckage().iter().filter_map(|(key, stored)| open_row(vault, key, stored)).collect()
}

fn open_row(vault: &Vault, key: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
    let padding = match Table::of(key)?.sealing() {
        Sealing::Padded => Padding::Padme,
        Sealing::Tight => Padding::None,
        Sealing::Raw => return None,
    };
    let (generation, sealed) = stored.split_first_chunk::<4>()?;
    let bucket = vault.bucket(Key::bucket_of(key)?);
    let row_key = bucket.key_of(u32::from_le_bytes(*generation))?;
    open(row_key, Domain::Row, key, sealed, padding).ok().map(|plain| plain.to_vec())
}

/// Whether any of these holds a text.
#[must_use]
pub fn is_in(text: &str, plaintexts: &[Vec<u8>]) -> bool {
    plaintexts.iter().any(|plain| plain.windows(text.len()).any(|window| window == text.as_bytes()))
}
