//! Who may connect: the counts of pending and established connections.
//!
//! In place of libp2p's own `connection_limits`, for two reasons. It keeps an entry for every peer id it ever saw, and
//! ours are thrown away at each start, so strangers could fill the memory one key at a time. And a peer that it lets
//! bypass still counts: here a protected peer's connections leave the strangers' count at once, so that paired peers
//! never crowd out the stranger who wants to pair, nor strangers the paired.
//!
//! As with libp2p's, a refusal reaches the dialer as a connection that is established and then closed.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::limits;

/// Which count was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    PendingIn,
    PendingOut,
    StrangersIn,
    StrangersOut,
    StrangersAll,
    All,
    PerPeer,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PendingIn => "too many handshakes under way",
            Self::PendingOut => "too many dials under way",
            Self::StrangersIn => "too many strangers connected to us",
            Self::StrangersOut => "connected to too many strangers",
            Self::StrangersAll => "too many strangers",
            Self::All => "too many connections",
            Self::PerPeer => "too many connections to one peer",
        })
    }
}

impl std::error::Error for Full {}

/// The counts, overridable so that a test needs no hundred sockets to see that each is a count of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seats {
    pub(super) pending_in: usize,
    pub(super) pending_out: usize,
    pub(super) strangers_in: usize,
    pub(super) strangers_out: usize,
    pub(super) strangers_all: usize,
    pub(super) all: usize,
    pub(super) per_peer: usize,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            pending_in: limits::PENDING_IN,
            pending_out: limits::PENDING_OUT,
            strangers_in: limits::STRANGERS_IN,
            strangers_out: limits::STRANGERS_OUT,
            strangers_all: limits::STRANGERS_ALL,
            all: limits::CONNECTIONS_ALL,
            per_peer: limits::CONNECTIONS_PER_PEER,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    They,
    We,
}

#[derive(Default)]
struct Peer {
    connections: HashMap<ConnectionId, Opener>,
    protected: bool,
}

/// Counts connections and refuses those over a limit.
pub(super) struct Admission {
    seats: Seats,
    pending_in: HashSet<ConnectionId>,
    pending_out: HashSet<ConnectionId>,
    peers: HashMap<PeerId, Peer>,
}

impl Admission {
    pub(super) fn new(seats: Seats) -> Self {
        Self { seats, pending_in: HashSet::new(), pending_out: HashSet::new(), peers: HashMap::new() }
    }

    /// Takes a connected peer out of the strangers' count, or puts it back. Ends with its last connection.
    pub(super) fn protect(&mut self, peer: &PeerId, protected: bool) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.protected = protected;
        }
    }

    fn strangers(&self, opener: Opener) -> usize {
        let of = |peer: &Peer| peer.connections.values().filter(|&&one| one == opener).count();
        self.peers.values().filter(|peer| !peer.protected).map(of).sum()
    }

    fn seat(&self, peer: &PeerId, opener: Opener) -> Result<(), Full> {
        let known = self.peers.get(peer);
        let free = |taken: usize, seats: usize, full: Full| if taken < seats { Ok(()) } else { Err(full) };
        free(known.map_or(0, |peer| peer.connections.len()), self.seats.per_peer, Full::PerPeer)?;
        free(self.peers.values().map(|peer| peer.connections.len()).sum(), self.seats.all, Full::All)?;
        if known.is_some_and(|peer| peer.protected) {
            return Ok(());
        }
        let (theirs, ours) = (self.strangers(Opener::They), self.strangers(Opener::We));
        match opener {
            Opener::They => free(theirs, self.seats.strangers_in, Full::StrangersIn)?,
            Opener::We => free(ours, self.seats.strangers_out, Full::StrangersOut)?,
        }
        free(theirs + ours, self.seats.strangers_all, Full::StrangersAll)
    }
}

impl NetworkBehaviour for Admission {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.pending_in.len() >= self.seats.pending_in {
            return Err(ConnectionDenied::new(Full::PendingIn));
        }
        self.pending_in.insert(id);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_in.remove(&id);
        self.seat(&peer, Opener::They).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if self.pending_out.len() >= self.seats.pending_out {
            return Err(ConnectionDenied::new(Full::PendingOut));
        }
        self.pending_out.insert(id);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_out.remove(&id);
        self.seat(&peer, Opener::We).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let opener = if established.endpoint.is_dialer() { Opener::We } else { Opener::They };
                let peer = self.peers.entry(established.peer_id).or_default();
                peer.connections.insert(established.connection_id, opener);
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(peer) = self.peers.get_mut(&closed.peer_id) {
                    peer.connections.remove(&closed.connection_id);
                    if peer.connections.is_empty() {
                        self.peers.remove(&closed.peer_id);
                    }
                }
            }
            FromSwarm::DialFailure(failure) => {
                self.pending_out.remove(&failure.connection_id);
            }
            FromSwarm::ListenFailure(failure) => {
                self.pending_in.remove(&failure.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
