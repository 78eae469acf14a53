//! Where a test's nodes live: a directory of their own, and a loopback address of their own, so that their ports are nobody else's.

use std::{
    net::Ipv4Addr,
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use super::Node;

/// Which store the nodes keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sled,
    Redb,
}

impl Engine {
    /// Its word in `config.toml`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }
}

/// Where the nodes of one test live.
pub struct World {
    place: TempDir,
    engine: Engine,
    host: Ipv4Addr,
    next_port: AtomicU16,
}

/// The first port; each node takes the next.
const PORT_FIRST: u16 = 4_001;

impl World {
    /// A world with nothing in it.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        // 127.0.0.0/8 is this machine: process and count choose one of its addresses.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let count = (NEXT.fetch_add(1, Ordering::Relaxed) % 250 + 1) as u8;
        let host = Ipv4Addr::new(127, 64 | (high & 0x3f), low, count);
        let place = tempfile::Builder::new().prefix("allod-world-").tempdir().expect("a temporary directory");
        Self { place, engine, host, next_port: AtomicU16::new(PORT_FIRST) }
    }

    /// Its directory.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// Its engine.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// A person's node that runs.
    pub fn person(&self, name: &str) -> Node {
        self.home(name, "person").started()
    }

    /// A company's node that runs.
    pub fn vendor(&self, name: &str) -> Node {
        self.home(name, "vendor").started()
    }

    /// A home without a passphrase, in which no node runs yet.
    pub fn home(&self, name: &str, kind: &str) -> Node {
        let mut node = self.nowhere(name);
        node.init(&["--kind", kind, "--no-passphrase"]);
        node
    }

    /// A place for a home, and nothing there yet.
    pub fn nowhere(&self, name: &str) -> Node {
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        let listen = vec![format!("/ip4/{}/udp/{port}/quic-v1", self.host), format!("/ip4/{}/tcp/{port}", self.host)];
        Node::at(name, self.place().join(name), listen, self.engine)
    }
}
