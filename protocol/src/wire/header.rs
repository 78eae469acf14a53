//! The signed part of an entry, and heads.
//!
//! Both have a fixed layout, little-endian, so that what is hashed and signed is what was received, byte for byte.

use allod_crypto::{BadSignature, SigningIdentity, VerifyKey, sha256};
use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    id::LogId,
    limits::{CLOCK_AHEAD_MAX, ENTRY_MAX_BYTES},
    time::Timestamp,
};

/// What an entry's signature covers, besides the header.
pub const ENTRY_DOMAIN: &str = "allod/entry/1";
/// What a head's signature covers, besides the head.
pub const HEAD_DOMAIN: &str = "allod/head/1";

/// A hash of a header, of a sealed body or of a sealed payload.
pub type Hash = [u8; 32];

/// `version:2 ‖ log:16 ‖ sequence:8 ‖ previous:32 ‖ body hash:32 ‖ body length:4 ‖ payload hash:32 ‖ payload length:4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub log: LogId,
    /// From 1, without gaps.
    pub sequence: u64,
    /// The hash of the header before; zeros for the first.
    pub previous: Hash,
    pub body_hash: Hash,
    pub body_bytes: u32,
    pub payload_hash: Hash,
    /// 0 if the entry never had a payload.
    pub payload_bytes: u32,
}

impl Header {
    /// Bytes of a header.
    pub const BYTES: usize = 130;
    const VERSION: u16 = 1;

    /// The bytes that are hashed and signed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0..2].copy_from_slice(&Self::VERSION.to_le_bytes());
        bytes[2..18].copy_from_slice(self.log.as_bytes());
        bytes[18..26].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[26..58].copy_from_slice(&self.previous);
        bytes[58..90].copy_from_slice(&self.body_hash);
        bytes[90..94].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[94..126].copy_from_slice(&self.payload_hash);
        bytes[126..130].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if it is of another version or names lengths that no entry has.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let part = |from: usize| -> Hash { bytes[from..from + 32].try_into().expect("32 bytes of a fixed layout") };
        let number =
            |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("4 bytes of a fixed layout"));
        let header = Self {
            log: LogId::from_bytes(bytes[2..18].try_into().expect("16 bytes of a fixed layout")),
            sequence: u64::from_le_bytes(bytes[18..26].try_into().expect("8 bytes of a fixed layout")),
            previous: part(26),
            body_hash: part(58),
            body_bytes: number(90),
            payload_hash: part(94),
            payload_bytes: number(126),
        };
        let sized = u64::from(header.body_bytes) + u64::from(header.payload_bytes) <= ENTRY_MAX_BYTES as u64;
        let versioned = bytes[0..2] == Self::VERSION.to_le_bytes();
        (versioned && sized && header.sequence > 0).then_some(header)
    }

    /// The hash that the next header names.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(&[b"allod/header/1", &self.to_bytes()])
    }
}

/// An entry as it travels and as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireEntry {
    #[serde(with = "serde_bytes")]
    pub header: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub signature: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// Empty if the entry has none, or it was dropped.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

impl WireEntry {
    /// Its size in a message, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.header.len() + self.signature.len() + self.body.len() + self.payload.len() + 16
    }

    /// The header, once its signature and the hashes hold. A payload that was dropped is no fault.
    #[must_use]
    pub fn verified(&self, key: &VerifyKey) -> Option<Header> {
        let bytes: &[u8; Header::BYTES] = self.header.as_slice().try_into().ok()?;
        let signature: &[u8; 64] = self.signature.as_slice().try_into().ok()?;
        key.verify(ENTRY_DOMAIN, bytes, signature).ok()?;
        let header = Header::from_bytes(bytes)?;
        let body_holds = self.body.len() == header.body_bytes as usize && sha256(&[&self.body]) == header.body_hash;
        let payload_holds = self.payload.is_empty()
            || (self.payload.len() == header.payload_bytes as usize && sha256(&[&self.payload]) == header.payload_hash);
        (body_holds && payload_holds).then_some(header)
    }
}

/// "This log stands here, and you may rely on it until then."
///
/// `version:2 ‖ log:16 ‖ sequence:8 ‖ hash:32 ‖ at:8 ‖ until:8`, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub log: LogId,
    pub sequence: u64,
    pub hash: Hash,
    pub at: Timestamp,
    pub until: Timestamp,
}

impl Head {
    const BYTES: usize = 74;
    const VERSION: u16 = 1;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0..2].copy_from_slice(&Self::VERSION.to_le_bytes());
        bytes[2..18].copy_from_slice(self.log.as_bytes());
        bytes[18..26].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[26..58].copy_from_slice(&self.hash);
        bytes[58..66].copy_from_slice(&self.at.as_millis().to_le_bytes());
        bytes[66..74].copy_from_slice(&self.until.as_millis().to_le_bytes());
        bytes
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, identity: &SigningIdentity) -> SignedHead {
        self.signed_by(|domain, bytes| identity.sign(domain, bytes))
    }

    /// Has it signed.
    pub(crate) fn signed_by(self, sign: impl FnOnce(&'static str, &[u8]) -> [u8; 64]) -> SignedHead {
        SignedHead { head: self, signature: sign(HEAD_DOMAIN, &self.to_bytes()).to_vec() }
    }
}

/// A head and its writer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    head: Head,
    #[serde(with = "serde_bytes")]
    signature: Vec<u8>,
}

impl Coded for SignedHead {
    const MAX_BYTES: usize = 256;
}

/// Why a head is not relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    Forged,
    FromTheFuture,
}

impl SignedHead {
    /// The head, once its signature holds and it is not from a time too far ahead.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn verified(&self, key: &VerifyKey, now: Timestamp) -> Result<Head, HeadError> {
        let signature: &[u8; 64] = self.signature.as_slice().try_into().map_err(|_| HeadError::Forged)?;
        let verified: Result<(), BadSignature> = key.verify(HEAD_DOMAIN, &self.head.to_bytes(), signature);
        verified.map_err(|_| HeadError::Forged)?;
        if self.head.at > now.after(CLOCK_AHEAD_MAX) {
            return Err(HeadError::FromTheFuture);
        }
        Ok(self.head)
    }

    /// Which log it speaks of, before anything is verified.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.head.log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            log: LogId::from_bytes([1; 16]),
            sequence: 7,
            previous: [2; 32],
            body_hash: [3; 32],
            body_bytes: 332,
            payload_hash: [4; 32],
            payload_bytes: 0,
        }
    }

    #[test]
    fn a_header_reads_as_it_is_written() {
        assert_eq!(Header::from_bytes(&header().to_bytes()), Some(header()));
    }

    #[test]
    fn another_version_a_sequence_of_zero_and_impossible_lengths_are_refused() {
        let mut bytes = header().to_bytes();
        bytes[0] = 2;
        assert_eq!(Header::from_bytes(&bytes), None);
        assert_eq!(Header::from_bytes(&Header { sequence: 0, ..header() }.to_bytes()), None);
        assert_eq!(Header::from_bytes(&Header { body_bytes: u32::MAX, ..header() }.to_bytes()), None);
    }

    #[test]
    fn each_byte_of_a_header_changes_its_hash() {
        let bytes = header().to_bytes();
        for index in 2..Header::BYTES {
            let mut other = bytes;
            other[index] ^= 1;
            if let Some(other) = Header::from_bytes(&other) {
                assert_ne!(other.hash(), header().hash(), "byte {index}");
            }
        }
    }
}
