//! Who may connect: the counts of pending and established connections. How often is asked before, at the [`Gate`](super::gate).
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
use std::time::Instant;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::addresses::{Addresses, Pace, Place};
use super::limits;
use super::streams::Doors;

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
    PerAddress,
    TooLate,
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
            Self::PerAddress => "too many strangers from one address",
            Self::TooLate => "another address of the same dial was faster",
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
    pub(super) per_address: usize,
    /// Connections of one address.
    pub(super) address: Pace,
    /// Connections of all strangers.
    pub(super) newcomers: Pace,
    /// Streams on a stranger's connection.
    pub(super) streams: Pace,
    /// Hints of all neighbours.
    pub(super) hints: Pace,
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
            per_address: limits::STRANGERS_PER_ADDRESS,
            address: Pace {
                burst: limits::ADDRESS_CONNECTIONS_BURST,
                per_second: limits::ADDRESS_CONNECTIONS_PER_SECOND,
            },
            newcomers: Pace { burst: limits::NEWCOMERS_BURST, per_second: limits::NEWCOMERS_PER_SECOND },
            streams: Pace { burst: limits::STRANGER_STREAMS_BURST, per_second: limits::STRANGER_STREAMS_PER_SECOND },
            hints: Pace { burst: limits::HINTS_ALL_BURST, per_second: limits::HINTS_ALL_PER_SECOND },
        }
    }
}

impl Seats {
    /// What connections and their admission share.
    pub(super) fn doors(&self, now: Instant) -> Doors {
        Doors::new(self.streams, Addresses::new(self.address, self.newcomers, now))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    They,
    We,
}

struct Connection {
    opener: Opener,
    place: Option<Place>,
    /// It was taken off its address's connections and not put back.
    drawn: bool,
}

#[derive(Default)]
struct Peer {
    connections: HashMap<ConnectionId, Connection>,
    protected: bool,
}

impl Peer {
    /// A peer's connections are no stranger's.
    fn put_back(&mut self, doors: &Doors) {
        for connection in self.connections.values_mut().filter(|connection| connection.drawn) {
            connection.drawn = false;
            if let Some(place) = connection.place {
                doors.addresses(|addresses| addresses.put_back(place));
            }
        }
    }
}

/// Counts connections and refuses those over a limit.
pub(super) struct Admission {
    seats: Seats,
    doors: Doors,
    pending_in: HashSet<ConnectionId>,
    pending_out: HashSet<ConnectionId>,
    /// Dials under way whose attempt is answered already.
    late: HashSet<ConnectionId>,
    peers: HashMap<PeerId, Peer>,
}

impl Admission {
    pub(super) fn new(seats: Seats, doors: Doors) -> Self {
        let none = HashSet::new;
        Self { seats, doors, pending_in: none(), pending_out: none(), late: none(), peers: HashMap::new() }
    }

    /// These dials are not wanted any more. Refused here, before the other behaviours hear of them: a request that one of them put on such
    /// a connection would end with it.
    pub(super) fn too_late(&mut self, dials: impl IntoIterator<Item = ConnectionId>) {
        self.late.extend(dials);
    }

    /// Takes a connected peer out of the strangers' count, or puts it back. Ends with its last connection.
    pub(super) fn protect(&mut self, peer: &PeerId, protected: bool) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.protected = protected;
            self.doors.set_proven(*peer, protected);
            if protected {
                known.put_back(&self.doors);
            }
        }
    }

    /// A connected stranger broke the rules: where it came from pays.
    pub(super) fn fine(&self, peer: &PeerId) {
        let connections = self.peers.get(peer).into_iter().flat_map(|peer| peer.connections.values());
        if let Some(place) = connections.filter_map(|connection| connection.place).next() {
            self.doors.addresses(|addresses| addresses.fine(place, Instant::now()));
        }
    }

    fn strangers(&self, fits: impl Fn(&Connection) -> bool) -> usize {
        let of = |peer: &Peer| peer.connections.values().filter(|one| fits(one)).count();
        self.peers.values().filter(|peer| !peer.protected).map(of).sum()
    }

    fn seat(&self, peer: &PeerId, opener: Opener, place: Option<Place>) -> Result<(), Full> {
        let known = self.peers.get(peer);
        let free = |taken: usize, seats: usize, full: Full| if taken < seats { Ok(()) } else { Err(full) };
        free(known.map_or(0, |peer| peer.connections.len()), self.seats.per_peer, Full::PerPeer)?;
        free(self.peers.values().map(|peer| peer.connections.len()).sum(), self.seats.all, Full::All)?;
        if known.is_some_and(|peer| peer.protected) {
            return Ok(());
        }
        let of = |opener| self.strangers(|one| one.opener == opener);
        let (theirs, ours) = (of(Opener::They), of(Opener::We));
        match opener {
            Opener::They => {
                free(theirs, self.seats.strangers_in, Full::StrangersIn)?;
                let there = self.strangers(|one| one.opener == Opener::They && place.is_some() && one.place == place);
                free(there, self.seats.per_address, Full::PerAddress)?;
            }
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
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending_in.remove(&id);
        self.seat(&peer, Opener::They, Place::of(remote)).map_err(ConnectionDenied::new)?;
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
        if self.late.remove(&id) {
            return Err(ConnectionDenied::new(Full::TooLate));
        }
        self.seat(&peer, Opener::We, None).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let drawn = established.endpoint.is_listener();
                let opener = if drawn { Opener::They } else { Opener::We };
                let place = Place::of(established.endpoint.get_remote_address());
                let peer = self.peers.entry(established.peer_id).or_default();
                peer.connections.insert(established.connection_id, Connection { opener, place, drawn });
                if peer.protected {
                    peer.put_back(&self.doors);
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(peer) = self.peers.get_mut(&closed.peer_id) {
                    peer.connections.remove(&closed.connection_id);
                    if peer.connections.is_empty() {
                        self.doors.set_proven(closed.peer_id, false);
                        self.peers.remove(&closed.peer_id);
                    }
                }
            }
            FromSwarm::DialFailure(failure) => {
                self.pending_out.remove(&failure.connection_id);
                self.late.remove(&failure.connection_id);
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
