//! What the engine wants done in the world, once what it depends on is durable.

use crate::command::{Happening, Outcome, Ticket};

/// Which of the two request-response protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// `/allod/pair/1`
    Pair,
    /// `/allod/session/1`
    Session,
}

/// A message, or the name of one that is put together from the store when it is sent.
#[derive(Debug)]
pub enum Message {
    /// Bytes that no log holds: handshakes.
    Bytes(Vec<u8>),
    /// What this session's peer does not have yet, as the request of this errand.
    Sync { session: SessionId, errand: u64 },
    /// The same, as the answer to the request with this counter.
    SyncAnswer { session: SessionId, counter: u64 },
}

/// One live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SessionId(pub [u8; 16]);

/// Something to do after the commit.
#[derive(Debug)]
pub enum Effect {
    /// Answer a command.
    Reply { ticket: Ticket, outcome: Outcome },
    /// Tell whoever watches.
    Happened(Happening),
    /// Try these addresses once.
    Dial { errand: u64, addresses: Vec<String> },
    /// Cut a link.
    Close { link: u64 },
    /// The peer at this link proved a relationship: keep the link.
    Protect { link: u64 },
    /// Send a request; its answer or failure names the errand.
    Send { errand: u64, link: u64, channel: Channel, message: Message },
    /// Answer a request.
    Answer { exchange: u64, message: Message },
    /// Refuse a request without a word.
    Refuse { exchange: u64 },
    /// Gossip to one of the mailbox topics.
    Publish { topic: u8, bytes: Vec<u8> },
    /// Listen to these mailbox topics, and no others.
    Subscribe { topics: Vec<u8> },
    /// Replace the vault file, durably; [`crate::event::Event::VaultReplaced`] reports it.
    ReplaceVault,
}
