//! Every bound of the driver, in one table: name, value, unit, why, and the test that hits it.
//!
//! libp2p's own defaults are mostly "none", so what is not set here is not bounded. The constants are what the code
//! uses; [`TABLE`] lists them for readers, for `docs/PROTOCOL.md` and for the test that no row goes untested.

use std::time::Duration;

/// Topics `/allod/mail/00` to `/allod/mail/63`. Below the 100 names at which gossipsub ignores a whole hello.
pub const MAIL_TOPICS: u8 = 64;
/// Every hint has this length, so that its size says nothing and any node can judge it.
pub const HINT_BYTES: usize = 512;
/// What gossipsub compares with the topic cap is the encoded message; this is the room its framing needs.
pub const HINT_ENCODED_MAX_BYTES: usize = 1024 + 64;
/// One gossip RPC. Never lower: it is compared with all bytes read so far, and a smaller cap cuts honest bursts off.
pub const GOSSIP_RPC_MAX_BYTES: usize = 64 * 1024;
/// Messages waiting for one slow gossip peer. 256 and 1,024 both passed a burst of 200 hints.
pub const GOSSIP_QUEUE_MESSAGES: usize = 1024;
/// Hints one neighbour may hand over at once: several times the burst an honest carrier forwards in a second.
pub const HINTS_BURST: u32 = 512;
/// Hints per second and neighbour after the burst.
pub const HINTS_PER_SECOND: u32 = 64;
/// Hints over the rate before the neighbour counts as a flood: ids of ignored hints still cost memory for a minute.
pub const HINTS_OVERDRAWN_MAX: u32 = 4096;
/// How long a paired neighbour that floods stays unheard; a stranger is cut off instead.
pub const FLOOD_SILENCE: Duration = Duration::from_secs(60);

/// One message on `/allod/session/1`: 1 MiB of protocol message and what sealing it adds.
pub const SESSION_FRAME_MAX_BYTES: usize = (1 << 20) + 4096;
/// One message on `/allod/pair/1`: two bundles and X-Wing ciphertexts are under 4 KiB.
pub const PAIR_FRAME_MAX_BYTES: usize = 16 * 1024;
/// Session frames of proven peers in memory at once, all links together.
pub const SESSION_BUDGET_BYTES: usize = 32 << 20;
/// Room of each unproven peer for itself on `/allod/session/1`: a hello always fits, whatever others do.
pub const STRANGER_OWN_BYTES: usize = 64 * 1024;
/// Room for larger frames of all unproven peers together: all that strangers can use up.
pub const STRANGER_BUDGET_BYTES: usize = 4 << 20;
/// Room of each peer on `/allod/pair/1`, proven or not, and of nobody else: pairing can starve only itself.
pub const PAIR_OWN_BYTES: usize = 32 * 1024;

/// Our own requests without an answer, a link. Half of the streams, so that the other half is the peer's.
pub const WINDOW_REQUESTS: usize = 16;
/// The peer's requests without our answer, a link.
pub const WINDOW_EXCHANGES: usize = 16;
/// Request-response streams a connection, in and out. Over it libp2p drops ours with an error and theirs silently.
pub const SESSION_STREAMS: usize = 32;
/// Pairing is one conversation: a few streams suffice.
pub const PAIR_STREAMS: usize = 4;
/// Requests a stranger may send at once, and per second after that: a pairing and a hello need five.
pub const STRANGER_REQUESTS_BURST: u32 = 32;
/// Requests per second a stranger may send after the burst.
pub const STRANGER_REQUESTS_PER_SECOND: u32 = 8;
/// One exchange, with the other side's work in it. 1 MiB on a line of 300 kbit/s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Dials and handshakes under way, in each direction.
pub const PENDING_IN: usize = 32;
/// Dials under way.
pub const PENDING_OUT: usize = 32;
/// Connections of strangers that they opened. Protected peers do not count.
pub const STRANGERS_IN: usize = 128;
/// Connections of strangers that we opened.
pub const STRANGERS_OUT: usize = 128;
/// Connections of strangers in all.
pub const STRANGERS_ALL: usize = 200;
/// Connections in all, protected ones too: 512 at 122 KiB are 61 MiB, and half of the usual 1,024 descriptors.
pub const CONNECTIONS_ALL: usize = 512;
/// Connections of one peer. Never 1: two nodes that dial each other could both lose theirs.
pub const CONNECTIONS_PER_PEER: usize = 3;
/// Resident memory of the process over which no new connection is made.
pub const MEMORY_MAX_BYTES: usize = 256 << 20;
/// A connection without a proven peer and without a request is closed after this.
pub const STRANGER_IDLE: Duration = Duration::from_secs(60);
/// libp2p's own idle limit. Gossip keeps a stream open on every connection, so in practice it is never reached.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(3600);

/// Yamux streams a connection. Over it yamux closes the whole connection, so the other bounds stay far below.
pub const YAMUX_STREAMS: usize = 128;
/// QUIC streams a connection.
pub const QUIC_STREAMS: u32 = 128;
/// QUIC window a stream: holds one whole frame, so that unread streams do not stall each other.
pub const QUIC_STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// QUIC window a connection.
pub const QUIC_CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Streams that are still agreeing on their protocol, a connection.
pub const NEGOTIATING_STREAMS: usize = 64;

/// Handshake included. libp2p's own figure.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a link is probed.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Silence after a probe that ends a link.
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Addresses tried in one dial; a pairing code holds two and a profile a handful.
pub const DIAL_ADDRESSES: usize = 8;
/// How long the better address has before the next one is tried beside it.
pub const DIAL_STAGGER: Duration = Duration::from_millis(300);

/// Commands waiting for the driver.
pub const COMMANDS_WAITING: usize = 256;
/// Events the driver keeps when the engine does not take them; past it no command is taken and no stranger let in.
pub const EVENTS_KEPT: usize = 4096;
/// Addresses that others said they see us at, remembered so that each is told once.
pub const OBSERVED_ADDRESSES: usize = 16;
/// How long a connection stays after its last answer when we shut down: what it takes to cross a slow line's buffers.
pub const SHUTDOWN_LINGER: Duration = Duration::from_millis(300);
/// Time to flush answers and say goodbye, the lingering included.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub name: &'static str,
    pub value: u64,
    pub unit: &'static str,
    pub over_it: &'static str,
    /// The test that goes up to the limit and past it.
    pub test: &'static str,
}

const fn row(name: &'static str, value: u64, unit: &'static str, over_it: &'static str, test: &'static str) -> Limit {
    Limit { name, value, unit, over_it, test }
}

/// All of them, in the order a connection meets them.
#[rustfmt::skip]
pub const TABLE: &[Limit] = &[
];
