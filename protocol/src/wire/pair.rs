//! `/allod/pair/1`: the five handshake messages, carried by three requests, and a way to say no.

use serde::{Deserialize, Serialize};

use crate::codec::Coded;

/// Bytes of the largest message on this channel.
pub const PAIR_MAX_BYTES: usize = 16 * 1024;

/// Which attempt a later message belongs to; drawn by the inviter.
pub type Attempt = [u8; 16];

/// A request on the pairing channel, always from the scanner, except `Declined`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairRequest {
    First {
        #[serde(with = "serde_bytes")]
        noise: Vec<u8>,
    },
    Third {
        attempt: Attempt,
        #[serde(with = "serde_bytes")]
        noise: Vec<u8>,
    },
    /// The last message, with the scanner's profile sealed under what both now share.
    Fifth {
        attempt: Attempt,
        #[serde(with = "serde_bytes")]
        noise: Vec<u8>,
        #[serde(with = "serde_bytes")]
        profile: Vec<u8>,
    },
    /// The person on this side said that the words differ.
    Declined { attempt: Attempt },
}

/// An answer on the pairing channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairAnswer {
    Second {
        attempt: Attempt,
        #[serde(with = "serde_bytes")]
        noise: Vec<u8>,
    },
    Fourth {
        #[serde(with = "serde_bytes")]
        noise: Vec<u8>,
    },
    /// Both sides can show the words; the inviter's profile, sealed.
    Done {
        #[serde(with = "serde_bytes")]
        profile: Vec<u8>,
    },
    /// The secret was used before.
    Used,
    /// The secret's time is over.
    Expired,
    /// The handshake broke, or nobody here knows of it.
    Failed,
}

impl Coded for PairRequest {
    const MAX_BYTES: usize = PAIR_MAX_BYTES;
}

impl Coded for PairAnswer {
    const MAX_BYTES: usize = PAIR_MAX_BYTES;
}
