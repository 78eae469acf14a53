//! What comes in.

use crate::{
    command::{Command, Ticket},
    effect::Channel,
};

/// One thing that happened to the node.
#[derive(Debug)]
pub enum Event {
    /// Our side wants something.
    Command { ticket: Ticket, command: Command },
    /// The time that the engine asked to be woken at has come, or something else passed.
    Tick,
    /// All addresses that this node listens on.
    Listening { addresses: Vec<String> },
    /// A node is connected; `errand` is the dial that led to it.
    LinkUp { link: u64, errand: Option<u64> },
    /// It is gone.
    LinkDown { link: u64 },
    /// A dial that led nowhere.
    DialFailed { errand: u64 },
    /// A request from another node.
    Request { link: u64, exchange: u64, channel: Channel, bytes: Vec<u8> },
    /// The answer to a request of ours.
    Answered { errand: u64, bytes: Vec<u8> },
    /// No answer to a request of ours: whether the other side acted is not known.
    Failed { errand: u64 },
    /// A gossip message of a mailbox topic.
    Hint { topic: u8, bytes: Vec<u8> },
    /// Whether the disk is nearly full: while it is, no entries of others are taken. It begins with room.
    Room { is_short: bool },
    /// The vault file on the disk is the newest.
    VaultReplaced,
    /// The node is about to stop: what is only in memory and worth keeping is written.
    Closing,
}
