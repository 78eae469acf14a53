//! What comes from the swarm.

use std::time::Instant;

use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::request_response::{self as rr, InboundRequestId, OutboundFailure, OutboundRequestId, ResponseChannel};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId};
use tracing::debug;

use super::super::behaviour::BehaviourEvent;
use super::super::codec::Frame;
use super::super::dialling::Established;
use super::super::exchanges::ExchangesEvent;
use super::super::gossip::{FLOOD_SCORE, topic_number};
use super::super::{Channel, Exchange, NetworkEvent, RequestFailure, limits};
use super::{Driver, Open, dial_failure, without_key};

type Event = SwarmEvent<BehaviourEvent>;

impl Driver {
    pub(super) fn on_swarm(&mut self, event: Event) {
        self.note_flushed(&event);
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Pair(event)) => self.on_exchange(Channel::Pair, event),
            SwarmEvent::Behaviour(BehaviourEvent::Session(event)) => self.on_exchange(Channel::Session, event),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) if ping.result.is_err() => {
                // libp2p only tells; a link that is silent must end for the engine to dial again.
                self.swarm.close_connection(ping.connection);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.on_established(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => self.on_closed(peer_id),
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), connection_id, .. }
                if self.links.of_peer(&peer).is_some() =>
            {
                // One connection too many to a peer that is linked already: the dial reached it all the same.
                self.on_established(peer, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(errand) = self.dialling.errand(connection_id)
                    && let Some(reason) =
                        self.dialling.failed(errand, connection_id, dial_failure(&error), Instant::now())
                {
                    self.outbox.must(NetworkEvent::DialFailed { errand, reason }, None);
                }
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.listening.push((listener_id, address));
                self.tell_listening();
            }
            SwarmEvent::ExpiredListenAddr { listener_id, address } => {
                self.listening.retain(|known| *known != (listener_id, address.clone()));
                self.tell_listening();
            }
            SwarmEvent::ListenerClosed { listener_id, .. } => {
                self.listening.retain(|(listener, _)| *listener != listener_id);
                self.tell_listening();
            }
            SwarmEvent::NewExternalAddrCandidate { address } => self.on_observed(&address),
            _ => {}
        }
    }

    /// Strikes an answer that is on the wire, or never will be, off the list that a shutdown waits for.
    pub(super) fn note_flushed(&mut self, event: &Event) {
        let (channel, event) = match event {
            SwarmEvent::Behaviour(BehaviourEvent::Pair(event)) => (Channel::Pair, event),
            SwarmEvent::Behaviour(BehaviourEvent::Session(event)) => (Channel::Session, event),
            _ => return,
        };
        if let rr::Event::ResponseSent { request_id, .. } | rr::Event::InboundFailure { request_id, .. } = event {
            self.flushing.remove(&(channel, *request_id));
        }
    }

    fn tell_listening(&mut self) {
        let mut addresses: Vec<String> =
            self.listening.iter().map(|(_, address)| without_key(address).to_string()).collect();
        addresses.sort();
        self.outbox.must(NetworkEvent::Listening { addresses }, None);
    }

    fn on_observed(&mut self, address: &Multiaddr) {
        let address = without_key(address);
        let told = self.observed.knows(&address);
        if !told && self.outbox.may(NetworkEvent::ObservedAddress(address.to_string())) {
            self.observed.add(address);
        }
    }

    fn on_established(&mut self, peer: PeerId, connection: ConnectionId) {
        let dialled = match self.dialling.established(connection) {
            Established::Won(errand) => {
                self.swarm.behaviour_mut().admission.too_late(self.dialling.under_way(errand));
                Some(errand)
            }
            Established::Foreign => None,
            Established::TooLate => {
                self.swarm.close_connection(connection);
                return;
            }
        };
        if let Some(state) = self.links.of_peer(&peer) {
            if dialled.is_some() {
                let link = state.link;
                state.announced = true;
                self.outbox.must(NetworkEvent::LinkUp { link, dialled }, None);
            }
            return;
        }
        let announced = dialled.is_some() || !self.outbox.is_overfull();
        let link = self.links.add(peer, announced, Instant::now());
        if announced {
            self.outbox.must(NetworkEvent::LinkUp { link, dialled }, None);
        } else {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn on_closed(&mut self, peer: PeerId) {
        let Some(state) = self.links.remove(&peer) else { return };
        let exchanges: Vec<Exchange> =
            self.open.iter().filter(|(_, open)| open.link == state.link).map(|(exchange, _)| *exchange).collect();
        for exchange in exchanges {
            drop(self.close_exchange(exchange));
        }
        if state.announced {
            self.outbox.must(NetworkEvent::LinkDown { link: state.link }, None);
        }
    }

    fn on_exchange(&mut self, channel: Channel, event: ExchangesEvent) {
        match event {
            rr::Event::Message {
                peer, message: rr::Message::Request { request_id, request, channel: reply }, ..
            } => {
                self.on_request(peer, channel, request_id, request, reply);
            }
            rr::Event::Message { message: rr::Message::Response { request_id, response }, .. } => {
                let (answer, room) = match response {
                    Frame::Whole { bytes, room } => (Ok(bytes), room),
                    Frame::TooLarge { announced_bytes } => {
                        (Err(RequestFailure::AnswerTooLarge { announced_bytes }), None)
                    }
                    Frame::Refused => (Err(RequestFailure::Refused), None),
                };
                let Some(errand) = self.settle(channel, request_id) else { return };
                let event = match answer {
                    Ok(bytes) => NetworkEvent::Answered { errand, bytes },
                    Err(reason) => NetworkEvent::Failed { errand, reason },
                };
                self.outbox.must(event, room);
            }
            rr::Event::OutboundFailure { request_id, error, .. } => {
                let Some(errand) = self.settle(channel, request_id) else { return };
                let reason = match error {
                    OutboundFailure::DialFailure => RequestFailure::Gone,
                    OutboundFailure::Timeout => RequestFailure::Timeout,
                    OutboundFailure::UnsupportedProtocols => RequestFailure::Unsupported,
                    OutboundFailure::ConnectionClosed | OutboundFailure::Io(_) => RequestFailure::Broken,
                };
                self.outbox.must(NetworkEvent::Failed { errand, reason }, None);
            }
            rr::Event::InboundFailure { request_id, .. } => {
                if let Some(&exchange) = self.by_request.get(&(channel, request_id)) {
                    drop(self.close_exchange(exchange));
                }
            }
            rr::Event::ResponseSent { .. } => {}
        }
    }

    /// Takes a request of ours off the books and frees its place in the window.
    fn settle(&mut self, channel: Channel, request: OutboundRequestId) -> Option<super::Errand> {
        let (errand, link) = self.requests.remove(&(channel, request))?;
        if let Some((_, state)) = self.links.of_link(link) {
            state.requests -= 1;
            state.used = Instant::now();
        }
        Some(errand)
    }

    /// Passes a request on, or refuses it by dropping `reply`.
    fn on_request(
        &mut self,
        peer: PeerId,
        channel: Channel,
        request: InboundRequestId,
        frame: Frame,
        reply: ResponseChannel<Frame>,
    ) {
        let now = Instant::now();
        let Some(state) = self.links.of_peer(&peer).filter(|state| state.announced) else { return };
        let link = state.link;
        state.used = now;
        if !state.protected && !state.asks.take(now) {
            debug!(link = link.0, "refused: a stranger asks too often");
            return;
        }
        let (bytes, room) = match frame {
            Frame::Whole { bytes, room } => (bytes, room),
            Frame::TooLarge { announced_bytes } => {
                debug!(link = link.0, announced_bytes, "refused: a message over the cap");
                self.outbox.may(NetworkEvent::TooLarge { link, channel, announced_bytes });
                return;
            }
            Frame::Refused => return,
        };
        if state.exchanges >= limits::WINDOW_EXCHANGES {
            debug!(link = link.0, "refused: the peer's window is full");
            return;
        }
        let exchange = Exchange(self.last_exchange + 1);
        if !self.outbox.may(NetworkEvent::Request { link, exchange, channel, bytes }) {
            debug!(link = link.0, "refused: the engine is behind");
            return;
        }
        state.exchanges += 1;
        self.last_exchange = exchange.0;
        self.by_request.insert((channel, request), exchange);
        self.open.insert(exchange, Open { link, channel, request, reply, _room: room });
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source, message_id, message } = event else { return };
        let verdict = self.judge_hint(&propagation_source, message);
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        // False: the message has left gossipsub's memory, and is not passed on.
        let _ = gossip.report_message_validation_result(&message_id, &propagation_source, verdict);
    }

    fn judge_hint(&mut self, peer: &PeerId, message: gossipsub::Message) -> MessageAcceptance {
        let now = Instant::now();
        let too_many = !self.hints.take(now);
        let Some(state) = self.links.of_peer(peer) else { return MessageAcceptance::Ignore };
        let heavy = !state.protected && state.hints.lacks(now) >= f64::from(limits::HINTS_HEAVY);
        if too_many && heavy && state.silent_until.is_none() {
            debug!(link = state.link.0, "too many hints, and many of this stranger's");
            state.silent_until = Some(now + limits::FLOOD_SILENCE);
            self.swarm.behaviour_mut().gossip.set_application_score(peer, FLOOD_SCORE);
            return MessageAcceptance::Ignore;
        }
        if !state.hints.take(now) {
            if state.hints.overdrawn() >= limits::HINTS_OVERDRAWN_MAX && state.silent_until.is_none() {
                debug!(link = state.link.0, protected = state.protected, "a flood of hints");
                state.silent_until = Some(now + limits::FLOOD_SILENCE);
                if state.protected {
                    self.swarm.behaviour_mut().gossip.set_application_score(peer, FLOOD_SCORE);
                } else {
                    self.swarm.behaviour().admission.fine(peer);
                    let _ = self.swarm.disconnect_peer_id(*peer);
                }
            }
            return MessageAcceptance::Ignore;
        }
        match topic_number(&message.topic) {
            Some(topic) if message.data.len() == limits::HINT_BYTES => {
                self.outbox.hint(topic, message.data);
                MessageAcceptance::Accept
            }
            _ => MessageAcceptance::Reject,
        }
    }
}
