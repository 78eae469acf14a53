//! `/allod/session/1`: one handshake, then sealed messages.

use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    effect::SessionId,
    id::RouteId,
    limits::{ENTRIES_PER_SYNC_MAX, MESSAGE_MAX_BYTES},
    wire::{
        body::Acknowledged,
        header::{SignedHead, WireEntry},
    },
};

/// The name that stands in every prologue.
pub const PROTOCOL: &[u8] = b"/allod/session/1";

/// A request on the session channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionRequest {
    /// The first Noise message. Answered by [`SessionAnswer::Welcome`], or not at all.
    Hello {
        route: RouteId,
        generation: u32,
        session: SessionId,
        #[serde(with = "serde_bytes")]
        noise: Vec<u8>,
    },
    /// A sealed [`Sync`].
    Sealed {
        session: SessionId,
        counter: u64,
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
}

/// An answer on the session channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionAnswer {
    Welcome {
        #[serde(with = "serde_bytes")]
        noise: Vec<u8>,
    },
    Sealed {
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
    /// No such session: say hello again.
    Unknown,
}

impl Coded for SessionRequest {}
impl Coded for SessionAnswer {}

/// What two sides say in a session: where my logs stand, how far I have yours, and entries that you do not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    pub heads: Vec<SignedHead>,
    /// How far each log of the other side was verified here, durably.
    pub have: Vec<Acknowledged>,
    pub entries: Vec<WireEntry>,
}

impl Coded for Sync {
    const MAX_BYTES: usize = MESSAGE_MAX_BYTES;
}

impl Sync {
    /// Whether it is within what a message may hold.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        self.heads.len() <= 16 && self.have.len() <= 16 && self.entries.len() <= ENTRIES_PER_SYNC_MAX
    }
}
