//! One request-response protocol whose codec knows with whom it speaks.
//!
//! A thin shell around libp2p's behaviour. libp2p gives a codec no way to learn the peer; here each connection's codec
//! is handed the [`Standing`] of its peer at the moment it is cloned, and the driver raises it when a peer has proved
//! itself. Everything else is passed through.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::request_response as rr;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use super::codec::{Frame, FrameBounds, FrameCodec, Standing};

type Inner = rr::Behaviour<FrameCodec>;

/// What happens on it.
pub(super) type ExchangesEvent = rr::Event<Frame, Frame>;

struct Peer {
    standing: Arc<Standing>,
    connections: usize,
}

/// A request-response protocol with a budget for each standing.
pub(super) struct Exchanges {
    inner: Inner,
    hand: Arc<Mutex<Option<Arc<Standing>>>>,
    own_bytes: usize,
    peers: HashMap<PeerId, Peer>,
}

impl Exchanges {
    pub(super) fn new(protocol: &'static str, bounds: FrameBounds, streams: usize, timeout: Duration) -> Self {
        let codec = FrameCodec::new(bounds);
        let hand = codec.hand();
        let config = rr::Config::default().with_request_timeout(timeout).with_max_concurrent_streams(streams);
        let protocols = [(StreamProtocol::new(protocol), rr::ProtocolSupport::Full)];
        let inner = Inner::with_codec(codec, protocols, config);
        Self { inner, hand, own_bytes: bounds.own_bytes, peers: HashMap::new() }
    }

    /// Sends a request to a connected peer.
    pub(super) fn request(&mut self, peer: &PeerId, bytes: Vec<u8>) -> rr::OutboundRequestId {
        self.inner.send_request(peer, Frame::ours(bytes))
    }

    /// Answers a request; the answer is dropped if the peer is gone.
    pub(super) fn answer(&mut self, reply: rr::ResponseChannel<Frame>, bytes: Vec<u8>) -> bool {
        self.inner.send_response(reply, Frame::ours(bytes)).is_ok()
    }

    /// Moves a peer between the strangers' room and that of proven peers.
    pub(super) fn set_proven(&mut self, peer: &PeerId, proven: bool) {
        if let Some(peer) = self.peers.get(peer) {
            peer.standing.set_proven(proven);
        }
    }

    /// Puts the peer's standing where the clone that libp2p is about to make takes it.
    fn hand_over(&mut self, peer: PeerId) {
        let own_bytes = self.own_bytes;
        let entry =
            self.peers.entry(peer).or_insert_with(|| Peer { standing: Standing::stranger(own_bytes), connections: 0 });
        *self.hand.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&entry.standing));
    }

    /// Forgets a peer whose connection another behaviour refused.
    fn forget_refused(&mut self, peer: Option<PeerId>) {
        if let Some(peer) = peer
            && self.peers.get(&peer).is_some_and(|known| known.connections == 0)
        {
            self.peers.remove(&peer);
        }
    }
}

impl NetworkBehaviour for Exchanges {
    type ConnectionHandler = <Inner as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = ExchangesEvent;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.hand_over(peer);
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.hand_over(peer);
        self.inner.handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionEstablished(established) => {
                if let Some(peer) = self.peers.get_mut(&established.peer_id) {
                    peer.connections += 1;
                }
            }
            FromSwarm::ConnectionClosed(closed) if closed.remaining_established == 0 => {
                self.peers.remove(&closed.peer_id);
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(peer) = self.peers.get_mut(&closed.peer_id) {
                    peer.connections = closed.remaining_established;
                }
            }
            FromSwarm::ListenFailure(failure) => self.forget_refused(failure.peer_id),
            FromSwarm::DialFailure(failure) => self.forget_refused(failure.peer_id),
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}
