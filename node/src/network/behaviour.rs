//! What the swarm is made of, and the swarm itself.
//!
//! Admission and memory come first in the struct: libp2p asks the fields in order, and a connection that is refused
//! must be refused before the others allocate for it.

use std::time::Instant;

use libp2p::core::Transport;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Swarm, SwarmBuilder, identify, memory_connection_limits, noise, ping, quic, tcp, yamux};

use super::admission::{Admission, Seats};
use super::codec::FrameBounds;
use super::exchanges::Exchanges;
use super::gate::Gate;
use super::gossip::{self, EverSubscribed, Gossip};
use super::{NetworkConfig, limits};

/// The node's behaviours.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) admission: Admission,
    memory: memory_connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) pair: Exchanges,
    pub(super) session: Exchanges,
    pub(super) gossip: Gossip,
}

// No frame is over its peer's own room, and pairing proves nobody: the shared rooms are not for it.
const PAIR_BOUNDS: FrameBounds = FrameBounds {
    frame_max_bytes: limits::PAIR_FRAME_MAX_BYTES,
    own_bytes: limits::PAIR_OWN_BYTES,
    strangers_bytes: 0,
    proven_bytes: 0,
};

const SESSION_BOUNDS: FrameBounds = FrameBounds {
    frame_max_bytes: limits::SESSION_FRAME_MAX_BYTES,
    own_bytes: limits::STRANGER_OWN_BYTES,
    strangers_bytes: limits::STRANGER_BUDGET_BYTES,
    proven_bytes: limits::SESSION_BUDGET_BYTES,
};

impl Behaviour {
    fn new(
        key: &Keypair,
        config: &NetworkConfig,
        admission: Admission,
        subscribed: EverSubscribed,
    ) -> Result<Self, String> {
        let pacing = &config.pacing;
        let identify = identify::Config::new("/allod/1".into(), key.public())
            .with_agent_version("allod".into())
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        let ping = ping::Config::new().with_interval(pacing.ping_interval).with_timeout(pacing.ping_timeout);
        let exchanges = |name, bounds, streams| Exchanges::new(name, bounds, streams, pacing.request_timeout);
        Ok(Self {
            admission,
            memory: memory_connection_limits::Behaviour::with_max_bytes(config.memory_max_bytes),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            pair: exchanges("/allod/pair/1", PAIR_BOUNDS, limits::PAIR_STREAMS),
            session: exchanges("/allod/session/1", SESSION_BOUNDS, limits::SESSION_STREAMS),
            gossip: gossip::gossip(subscribed)?,
        })
    }
}

/// A swarm under a fresh key that nobody keeps.
pub(super) fn swarm(
    config: &NetworkConfig,
    seats: Seats,
    subscribed: EverSubscribed,
) -> Result<Swarm<Behaviour>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let doors = seats.doors(Instant::now());
    let (tcp_doors, quic_doors) = (doors.clone(), doors.clone());
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_other_transport(|key| {
            let mut yamux = yamux::Config::default();
            yamux.set_max_num_streams(limits::YAMUX_STREAMS);
            let tcp = tcp::tokio::Transport::new(tcp::Config::default());
            let transport = Gate::new(tcp, tcp_doors.clone())
                .upgrade(Version::V1Lazy)
                .authenticate(noise::Config::new(key)?)
                .multiplex(yamux)
                .map(move |(peer, muxer), point| (peer, tcp_doors.counted(muxer, peer, &point)));
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(transport)
        })
        .map_err(|error| text(&error))?
        .with_other_transport(|key| {
            let quic = quic::tokio::Transport::new(bounded_quic(quic::Config::new(key)));
            Gate::new(quic, quic_doors.clone())
                .map(move |(peer, muxer), point| (peer, quic_doors.counted(muxer, peer, &point)))
        })
        .map_err(|error| text(&error))?
        .with_behaviour(|key| {
            Behaviour::new(key, config, Admission::new(seats, doors), subscribed)
                .map_err(Box::<dyn std::error::Error + Send + Sync>::from)
        })
        .map_err(|error| text(&error))?
        .with_swarm_config(|swarm| {
            swarm
                .with_idle_connection_timeout(limits::CONNECTION_IDLE)
                .with_max_negotiating_inbound_streams(limits::NEGOTIATING_STREAMS)
        })
        .with_connection_timeout(config.pacing.connect_timeout)
        .build();
    Ok(swarm)
}

fn bounded_quic(mut quic: quic::Config) -> quic::Config {
    quic.max_concurrent_stream_limit = limits::QUIC_STREAMS;
    quic.max_stream_data = limits::QUIC_STREAM_WINDOW_BYTES;
    quic.max_connection_data = limits::QUIC_CONNECTION_WINDOW_BYTES;
    quic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quic_gets_our_bounds_and_a_stream_window_holds_a_whole_frame() {
        let quic = bounded_quic(quic::Config::new(&Keypair::generate_ed25519()));
        assert_eq!(quic.max_concurrent_stream_limit, limits::QUIC_STREAMS);
        assert_eq!(quic.max_stream_data, limits::QUIC_STREAM_WINDOW_BYTES);
        assert_eq!(quic.max_connection_data, limits::QUIC_CONNECTION_WINDOW_BYTES);
        assert!(quic.max_stream_data as usize > limits::SESSION_FRAME_MAX_BYTES + 4);
    }
}
