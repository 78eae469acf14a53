//! The driver: the only code that knows libp2p.
//!
//! [`start`] binds the listen addresses and puts the swarm on the current tokio runtime. From then on the engine's
//! thread and the swarm speak through two bounded channels, [`NetworkCommand`] in and [`NetworkEvent`] out, and neither
//! ever waits for the other: a request that comes while the engine is behind is refused, a hint is dropped.
//!
//! A libp2p key is drawn at each start and means nothing. Peers are dialled by address, get a [`Link`] number, and stay
//! strangers until the engine, having seen their proof inside a session, says [`NetworkCommand::Protect`]. Strangers
//! share few seats and little memory, and are closed when idle.
//!
//! Nothing here logs an address, a peer id or a payload. libp2p itself does log them, at `debug` and `warn`: the
//! program's log filter must let through this project's own targets only.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

mod addresses;
mod admission;
pub mod backoff;
mod behaviour;
mod bucket;
mod codec;
mod dialling;
mod driver;
mod exchanges;
mod gate;
mod gossip;
pub mod limits;
mod links;
mod outbox;
mod streams;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;

/// One connected peer, from its first connection to the end of its last. Never used again within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link(pub u64);

/// One request from a peer that waits for our answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exchange(pub u64);

/// One request or dial of ours. The engine chooses the number, and never one that is still under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errand(pub u64);

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// `/allod/pair/1`
    Pair,
    /// `/allod/session/1`
    Session,
}

impl Channel {
    /// The largest message it carries.
    pub const fn frame_max_bytes(self) -> usize {
        match self {
            Self::Pair => limits::PAIR_FRAME_MAX_BYTES,
            Self::Session => limits::SESSION_FRAME_MAX_BYTES,
        }
    }
}

/// Why a dial came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// No address was given.
    NoAddress,
    /// None of the addresses is one that can be dialled: `/ip4` or `/ip6` with `/tcp` or `/udp/../quic-v1`.
    BadAddress,
    /// The address is our own.
    Ourselves,
    /// Our own limits: too many dials, too many connections, or too much memory in use.
    Busy,
    /// Nobody answered, or not as a node does.
    Unreachable,
}

/// Why a request of ours got no answer. Except for the first three, whether the peer acted on it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFailure {
    /// The link was gone before the request went out.
    Gone,
    /// The window of this link is full: wait for an answer to one of the others.
    Busy,
    /// Our message is over the cap of its channel.
    TooLarge,
    /// The peer declined to answer, or was busy.
    Refused,
    /// The peer's answer announced more than the cap.
    AnswerTooLarge { announced_bytes: u32 },
    /// No answer in time.
    Timeout,
    /// The peer does not speak this protocol.
    Unsupported,
    /// The connection or the stream broke.
    Broken,
}

/// What the network tells the engine.
#[derive(Clone, PartialEq, Eq)]
pub enum NetworkEvent {
    /// The full list of addresses we listen on, without our key.
    Listening { addresses: Vec<String> },
    /// A peer is connected. Comes a second time for the same link when a dial of ours reaches a peer that already is.
    LinkUp { link: Link, dialled: Option<Errand> },
    /// The peer is gone. Failures of its requests may still follow.
    LinkDown { link: Link },
    /// The dial came to nothing, at whatever stage.
    DialFailed { errand: Errand, reason: DialFailure },
    /// A peer asks. Answer or refuse it by its number; after [`limits::REQUEST_TIMEOUT`] that does nothing.
    Request { link: Link, exchange: Exchange, channel: Channel, bytes: Vec<u8> },
    /// A peer announced a message over the cap. Nothing of it was read and the peer was refused.
    TooLarge { link: Link, channel: Channel, announced_bytes: u32 },
    /// The answer to a request of ours.
    Answered { errand: Errand, bytes: Vec<u8> },
    /// There is no answer to a request of ours.
    Failed { errand: Errand, reason: RequestFailure },
    /// A hint of the right length in a topic of ours. Who made it is unknown, and who passed it on means nothing.
    Hint { topic: u8, bytes: Vec<u8> },
    /// A peer says that it sees us at this address. One peer can lie.
    ObservedAddress(String),
}

/// What the engine asks of the network.
pub enum NetworkCommand {
    /// One attempt over all addresses: [`NetworkEvent::LinkUp`] with the errand, or [`NetworkEvent::DialFailed`].
    Dial {
        errand: Errand,
        addresses: Vec<String>,
    },
    /// [`NetworkEvent::Answered`] or [`NetworkEvent::Failed`] follows, and exactly one of them.
    Request {
        errand: Errand,
        link: Link,
        channel: Channel,
        bytes: Vec<u8>,
    },
    Answer {
        exchange: Exchange,
        bytes: Vec<u8>,
    },
    /// Ends the exchange without an answer.
    Refuse {
        exchange: Exchange,
    },
    /// Ends a link.
    Close {
        link: Link,
    },
    /// Sends a hint of [`limits::HINT_BYTES`] to whoever listens; nobody listening is no error.
    Publish {
        topic: u8,
        bytes: Vec<u8>,
    },
    /// The mailbox topics we want, in place of those before. A node that carries for others keeps all of them.
    Subscribe {
        topics: Vec<u8>,
    },
    /// The peer proved that it is one of ours (or ceased to be): it leaves the strangers' seats, memory, rate and clock.
    Protect {
        link: Link,
        protected: bool,
    },
    /// Flush answers, say goodbye, stop. `done` is told when the connections are closed.
    Shutdown {
        done: oneshot::Sender<()>,
    },
}

/// Debug shows what kind of event it is and its numbers, never an address or a payload.
impl std::fmt::Debug for NetworkEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listening { addresses } => write!(f, "Listening({} addresses)", addresses.len()),
            Self::LinkUp { link, dialled } => write!(f, "LinkUp({link:?}, {dialled:?})"),
            Self::LinkDown { link } => write!(f, "LinkDown({link:?})"),
            Self::DialFailed { errand, reason } => write!(f, "DialFailed({errand:?}, {reason:?})"),
            Self::Request { link, exchange, channel, bytes } => {
                write!(f, "Request({link:?}, {exchange:?}, {channel:?}, {} bytes)", bytes.len())
            }
            Self::TooLarge { link, channel, announced_bytes } => {
                write!(f, "TooLarge({link:?}, {channel:?}, {announced_bytes} bytes)")
            }
            Self::Answered { errand, bytes } => write!(f, "Answered({errand:?}, {} bytes)", bytes.len()),
            Self::Failed { errand, reason } => write!(f, "Failed({errand:?}, {reason:?})"),
            Self::Hint { topic, bytes } => write!(f, "Hint({topic}, {} bytes)", bytes.len()),
            Self::ObservedAddress(_) => f.write_str("ObservedAddress(..)"),
        }
    }
}

/// The periods that a test shortens. The defaults are those of [`limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    pub connect_timeout: Duration,
    pub stranger_idle: Duration,
    pub request_timeout: Duration,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            connect_timeout: limits::CONNECT_TIMEOUT,
            stranger_idle: limits::STRANGER_IDLE,
            request_timeout: limits::REQUEST_TIMEOUT,
            ping_interval: limits::PING_INTERVAL,
            ping_timeout: limits::PING_TIMEOUT,
        }
    }
}

/// How the node stands in the network.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Multiaddrs to listen on; none for a node that only dials. Port 0 lets the system choose: store what
    /// [`NetworkEvent::Listening`] says and ask for it again.
    pub listen: Vec<String>,
    /// Subscribe to all mailbox topics and pass hints on for those who listen to one.
    pub carry_for_others: bool,
    /// Resident memory of the process over which no connection is made or taken.
    pub memory_max_bytes: usize,
    pub pacing: Pacing,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            carry_for_others: false,
            memory_max_bytes: limits::MEMORY_MAX_BYTES,
            pacing: Pacing::default(),
        }
    }
}

/// Why the network did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// QUIC would write the secrets of every connection to the file that the variable names.
    #[error("SSLKEYLOGFILE is set: the secrets of every connection would be written to that file; unset it")]
    SecretsWouldBeLogged,
    #[error("{address:?} is not an address to listen on: use /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1")]
    BadAddress { address: String },
    #[error("cannot listen on {address}: {reason}")]
    Listen { address: String, reason: String },
    #[error("the network could not be set up: {reason}")]
    Setup { reason: String },
}

/// Binds the addresses and starts the driver on the tokio runtime that is entered. Dropping the returned sender stops it.
///
/// Give the events a channel of a few hundred places: it is what the engine may be behind.
///
/// # Errors
/// [`StartError`], and then nothing is left running.
pub fn start(
    config: NetworkConfig,
    events: mpsc::Sender<NetworkEvent>,
) -> Result<mpsc::Sender<NetworkCommand>, StartError> {
    driver::start(config, admission::Seats::default(), events)
}
