//! The vault's bytes.
//!
//! ```text
//! file    = "ALLODVLT" ‖ version:u16 ‖ slot ‖ root slot:107 ‖ content length:u32 ‖ content ‖ SHA256(all before):32
//! slot    = 0 ‖ vault key:32  |  1 ‖ memory KiB:u32 ‖ passes:u32 ‖ lanes:u32 ‖ salt:32 ‖ sealed vault key:107
//! content = seal(root:32 ‖ index key:32 ‖ store created:u8 ‖ passphrase key present:u8 ‖ passphrase key:32 ‖ 256 × bucket)
//! bucket  = generation:u32 ‖ key:32 ‖ previous present:u8 ‖ previous generation:u32 ‖ previous key:32
//! ```
//! Numbers are little-endian; what is not present is zeros. The hash at the end tells a damaged file from a wrong passphrase;
//! it is no defence against a forger, who gains nothing but a vault that does not open.

use zeroize::Zeroizing;

use super::passphrase::Cost;
use super::{BUCKETS, Bucket, ProtectionKind, VaultError};
use crate::key::{SecretKey, sha256};
use crate::phrase::Phrase;
use crate::seal::{Aad, SEAL_OVERHEAD_BYTES};

const MAGIC: &[u8; 8] = b"ALLODVLT";
const VERSION: u16 = 1;
const KEY_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 32;
const SEALED_KEY_BYTES: usize = KEY_BYTES + SEAL_OVERHEAD_BYTES;
const BUCKET_BYTES: usize = 4 + KEY_BYTES + 1 + 4 + KEY_BYTES;
const CONTENT_BYTES: usize = KEY_BYTES + KEY_BYTES + 1 + 1 + KEY_BYTES + BUCKETS * BUCKET_BYTES;

/// A vault file, taken apart.
pub(super) struct VaultFile {
    pub(super) open_slot: OpenSlot,
    pub(super) root_slot: Vec<u8>,
    pub(super) content: Vec<u8>,
}

/// The slot that opens the vault each day.
pub(super) enum OpenSlot {
    Clear(SecretKey),
    Passphrase { cost: Cost, salt: [u8; 32], sealed: Vec<u8> },
}

/// What the vault holds, about to be written.
pub(super) struct Content<'a> {
    pub(super) root: &'a SecretKey,
    pub(super) index_key: &'a SecretKey,
    pub(super) store_created: bool,
    pub(super) passphrase_key: Option<&'a SecretKey>,
    pub(super) buckets: &'a [Bucket],
}

/// What the vault held, just read.
pub(super) struct ReadContent {
    pub(super) root: Phrase,
    pub(super) index_key: SecretKey,
    pub(super) store_created: bool,
    pub(super) passphrase_key: Option<SecretKey>,
    pub(super) buckets: Vec<Bucket>,
}

pub(super) fn passphrase_slot_aad(cost: Cost, salt: &[u8; 32]) -> Vec<u8> {
    Aad::new(b"vault-slot").u8(1).u32(cost.memory_kib).u32(cost.passes).u32(cost.lanes).hash(salt).finish()
}

pub(super) fn root_slot_aad() -> Vec<u8> {
    Aad::new(b"vault-slot").u8(2).finish()
}

pub(super) fn content_aad(protection: ProtectionKind) -> Vec<u8> {
    Aad::new(b"vault-content").u16(VERSION).u8(protection_byte(protection)).finish()
}

fn protection_byte(protection: ProtectionKind) -> u8 {
    match protection {
        ProtectionKind::None => 0,
        ProtectionKind::Passphrase => 1,
    }
}

impl VaultFile {
    pub(super) fn protection(&self) -> ProtectionKind {
        match self.open_slot {
            OpenSlot::Clear(_) => ProtectionKind::None,
            OpenSlot::Passphrase { .. } => ProtectionKind::Passphrase,
        }
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let slots_bytes = 64 + KEY_BYTES + 2 * SEALED_KEY_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(slots_bytes + self.content.len() + CHECKSUM_BYTES));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.push(protection_byte(self.protection()));
        match &self.open_slot {
            OpenSlot::Clear(key) => bytes.extend_from_slice(key.expose()),
            OpenSlot::Passphrase { cost, salt, sealed } => {
                bytes.extend_from_slice(&cost.memory_kib.to_le_bytes());
                bytes.extend_from_slice(&cost.passes.to_le_bytes());
                bytes.extend_from_slice(&cost.lanes.to_le_bytes());
                bytes.extend_from_slice(salt);
                bytes.extend_from_slice(sealed);
            }
        }
        bytes.extend_from_slice(&self.root_slot);
        let content_bytes = u32::try_from(self.content.len()).expect("the content is 20 KiB");
        bytes.extend_from_slice(&content_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.content);
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<VaultFile, VaultError> {
        let (signed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(VaultError::Damaged)?;
        if sha256(&[signed]) != *checksum {
            return Err(VaultError::Damaged);
        }
        let mut reader = Reader(signed);
        if reader.array::<8>() != Some(*MAGIC) {
            return Err(VaultError::Damaged);
        }
        // Later versions keep magic, version and checksum where they are, so that this program can name them.
        match reader.array().map(u16::from_le_bytes) {
            Some(VERSION) => reader.slots_and_content().ok_or(VaultError::Damaged),
            Some(version) if version > VERSION => Err(VaultError::Newer { version }),
            _ => Err(VaultError::Damaged),
        }
    }
}

impl Content<'_> {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(CONTENT_BYTES));
        bytes.extend_from_slice(self.root.expose());
        bytes.extend_from_slice(self.index_key.expose());
        bytes.push(u8::from(self.store_created));
        push_optional_key(&mut bytes, self.passphrase_key, &[]);
        for bucket in self.buckets {
            bytes.extend_from_slice(&bucket.generation.to_le_bytes());
            bytes.extend_from_slice(bucket.key.expose());
            let (generation, key) = bucket.previous().map_or((0, None), |(generation, key)| (generation, Some(key)));
            push_optional_key(&mut bytes, key, &generation.to_le_bytes());
        }
        bytes
    }
}

/// Presence, then what stands before the key, then the key or zeros.
fn push_optional_key(bytes: &mut Vec<u8>, key: Option<&SecretKey>, before: &[u8]) {
    bytes.push(u8::from(key.is_some()));
    bytes.extend_from_slice(before);
    let absent = [0; KEY_BYTES];
    bytes.extend_from_slice(key.map_or(&absent, SecretKey::expose).as_slice());
}

pub(super) fn decode_content(bytes: &[u8]) -> Option<ReadContent> {
    let mut reader = Reader(bytes);
    let root = Phrase::from_root(reader.key()?.expose());
    let index_key = reader.key()?;
    let store_created = reader.flag()?;
    let passphrase_present = reader.flag()?;
    let passphrase_key = reader.optional_key(passphrase_present)?;
    let mut buckets = Vec::with_capacity(BUCKETS);
    for _ in 0..BUCKETS {
        buckets.push(reader.bucket()?);
    }
    reader.at_end().then_some(ReadContent { root, index_key, store_created, passphrase_key, buckets })
}

/// Reads fixed-width parts from the front; each part is there whole or not at all.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn slots_and_content(&mut self) -> Option<VaultFile> {
        let open_slot = match self.array::<1>()? {
            [0] => OpenSlot::Clear(self.key()?),
            [1] => {
                let cost = Cost::checked(self.u32()?, self.u32()?, self.u32()?)?;
                OpenSlot::Passphrase { cost, salt: self.array()?, sealed: self.bytes(SEALED_KEY_BYTES)? }
            }
            _ => return None,
        };
        let root_slot = self.bytes(SEALED_KEY_BYTES)?;
        let content_bytes = usize::try_from(self.u32()?).ok()?;
        let content = self.bytes(content_bytes)?;
        self.at_end().then_some(VaultFile { open_slot, root_slot, content })
    }

    fn bucket(&mut self) -> Option<Bucket> {
        let generation = self.u32()?;
        let key = self.key()?;
        let previous_present = self.flag()?;
        let previous_generation = self.u32()?;
        let previous = self.optional_key(previous_present)?.map(|key| (previous_generation, key));
        Some(Bucket { generation, key, previous })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.array::<1>()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn key(&mut self) -> Option<SecretKey> {
        self.array().map(SecretKey::from_bytes)
    }

    fn optional_key(&mut self, is_present: bool) -> Option<Option<SecretKey>> {
        let key = self.key()?;
        Some(is_present.then_some(key))
    }

    fn at_end(&self) -> bool {
        self.0.is_empty()
    }
}
