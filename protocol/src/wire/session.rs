//! `/allod/session/1`: one handshake, then sealed messages.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::{
    codec::Coded,
    effect::SessionId,
    id::{LogId, RouteId},
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

/// A side's new log, told before anything of it can be read: where its chain begins.
#[derive(Serialize, Deserialize)]
pub struct Offer {
    pub log: LogId,
    pub chain: [u8; 32],
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.chain.zeroize();
    }
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Offer({})", self.log)
    }
}

/// What is said in a session after a restore, in the place of [`Sync`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Resumption {
    pub offer: Option<Offer>,
    pub sync: Sync,
}

impl Coded for Resumption {
    const MAX_BYTES: usize = MESSAGE_MAX_BYTES;
}

/// The generation that a hello names under the keys of a restore.
pub const RESTORE_GENERATION: u32 = u32::MAX;

impl Sync {
    /// A message that says nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self { heads: Vec::new(), have: Vec::new(), entries: Vec::new() }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.heads.is_empty() && self.have.is_empty() && self.entries.is_empty()
    }

    /// Whether it is within what a message may hold.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        self.heads.len() <= 16 && self.have.len() <= 16 && self.entries.len() <= ENTRIES_PER_SYNC_MAX
    }
}
