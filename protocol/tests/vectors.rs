//! Holds the code to the published vectors in `vectors/`, which another implementation can be held to as well.
//!
//! Each module makes its vectors afresh from fixed dice and compares them with its file; with `ALLOD_WRITE_VECTORS=1` it writes the file
//! instead. A difference means that two nodes of two versions do not understand each other: change a layout's version, never a vector. The
//! broken ones go through the code that a message of another node goes through, and the file names what that code answers.
//!
//! `tests/vectors/check.py` computes all of it again from `docs/PROTOCOL.md` alone.

#[path = "vectors/bodies.rs"]
mod bodies;
#[path = "vectors/broken.rs"]
mod broken;
#[path = "vectors/cells.rs"]
mod cells;
#[path = "vectors/codec.rs"]
mod codec;
#[path = "vectors/heads.rs"]
mod heads;
#[path = "vectors/home.rs"]
mod home;
#[path = "vectors/independent.rs"]
mod independent;
#[path = "vectors/log.rs"]
mod log;
#[path = "vectors/pairing.rs"]
mod pairing;
#[path = "vectors/rekey.rs"]
mod rekey;
#[path = "vectors/session.rs"]
mod session;

use std::{collections::BTreeMap, convert::Infallible, path::PathBuf};

use allod_crypto::{SecretKey, sha256};
use allod_protocol::{
    store::{Batch, Row, StoreFault, View},
    tx::{Misbehaviour, Stop},
};
use data_encoding::HEXLOWER;
use rand_core::{TryCryptoRng, TryRng, utils};
use serde::Serialize;
use serde_json::{Value, json};

/// Dice that hand out given bytes and end, or go on with SHA256(seed ‖ n).
pub struct Dice {
    bytes: Vec<u8>,
    seed: Option<u8>,
    block: u64,
}

impl Dice {
    pub fn given(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), seed: None, block: 0 }
    }

    pub fn seeded(seed: u8) -> Self {
        Self { bytes: Vec::new(), seed: Some(seed), block: 0 }
    }

    /// Thirty-two bytes that a name fixes.
    pub fn named(name: &str) -> Self {
        Self::given(&sha256(&[b"vector dice ", name.as_bytes()]))
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        while self.bytes.len() < dst.len() {
            let seed = self.seed.expect("given dice suffice");
            self.bytes.extend_from_slice(&sha256(&[&[seed], &self.block.to_le_bytes()]));
            self.block += 1;
        }
        dst.copy_from_slice(&self.bytes[..dst.len()]);
        self.bytes.drain(..dst.len());
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

/// A generator that is stuck: whatever is drawn from it is the same byte again and again, in whatever order it is drawn.
pub struct Stuck(pub u8);

impl TryRng for Stuck {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        dst.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Stuck {}

/// A store in memory.
#[derive(Default)]
pub struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Memory {
    pub fn apply(&mut self, batch: &Batch) {
        for (key, value) in batch.writes() {
            match value {
                Some(value) => drop(self.0.insert(key.to_vec(), value.to_vec())),
                None => drop(self.0.remove(key)),
            }
        }
    }
}

impl View for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreFault> {
        let rows = self
            .0
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after));
        Ok(rows.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// A key that a name fixes.
pub fn key(name: &str) -> SecretKey {
    SecretKey::from_bytes(bytes32(name))
}

pub fn bytes32(name: &str) -> [u8; 32] {
    sha256(&[b"vector ", name.as_bytes()])
}

pub fn bytes16(name: &str) -> [u8; 16] {
    bytes32(name)[..16].try_into().unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// A value of ours as JSON, with every longer run of bytes in hexadecimal.
pub fn shown(value: &impl Serialize) -> Value {
    fn compact(value: Value) -> Value {
        match value {
            Value::Array(items) => {
                let bytes: Option<Vec<u8>> =
                    items.iter().map(|item| item.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
                match bytes {
                    Some(bytes) if bytes.len() > 8 => hex(&bytes).into(),
                    _ => items.into_iter().map(compact).collect(),
                }
            }
            Value::Object(parts) => parts.into_iter().map(|(name, part)| (name, compact(part))).collect(),
            other => other,
        }
    }
    compact(serde_json::to_value(value).unwrap())
}

/// The word of `docs/PROTOCOL.md` for what another node did.
pub fn word(misbehaviour: Misbehaviour) -> &'static str {
    match misbehaviour {
        Misbehaviour::Malformed => "malformed",
        Misbehaviour::Forged => "forged",
        Misbehaviour::NotAllowed => "not_allowed",
        Misbehaviour::FromTheFuture => "from_the_future",
    }
}

pub fn stopped(stop: Stop) -> &'static str {
    match stop {
        Stop::Misbehaved(misbehaviour) => word(misbehaviour),
        other => panic!("{other:?}"),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Compares with the file, or writes it.
pub fn check(name: &str, about: &str, parts: Value) {
    let mut made = json!({ "about": about });
    made.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    let path = folder().join(name);
    if std::env::var_os("ALLOD_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).expect("the vectors are in the repository");
    let stored: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    assert!(stored == made, "{name} does not hold what the code makes");
}
