//! A peer that keeps none of our rules: libp2p without limits, frames and hints as the test makes them.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::gossipsub::{self, MessageAuthenticity, MessageId, ValidationMode};
use libp2p::request_response::{self as rr, OutboundRequestId};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, noise, ping, tcp, yamux};

use super::*;

/// Bytes for a stream, its length field included.
#[derive(Debug)]
pub(super) struct Written {
    bytes: Vec<u8>,
    /// Leave the stream open and say nothing more.
    hold: bool,
}

#[derive(Clone, Default)]
pub(super) struct RawCodec;

impl rr::Codec for RawCodec {
    type Protocol = StreamProtocol;
    type Request = Written;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<Written> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        written: Written,
    ) -> io::Result<()> {
        io.write_all(&written.bytes).await?;
        io.flush().await?;
        if written.hold { std::future::pending().await } else { Ok(()) }
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Vec<u8>,
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[derive(NetworkBehaviour)]
pub(super) struct RawBehaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pair: rr::Behaviour<RawCodec>,
    session: rr::Behaviour<RawCodec>,
    gossip: gossipsub::Behaviour,
}

fn behaviour(key: &libp2p::identity::Keypair) -> RawBehaviour {
    let mut config = gossipsub::ConfigBuilder::default();
    config
        .validation_mode(ValidationMode::Anonymous)
        .max_transmit_size(1 << 20)
        .connection_handler_queue_len(100_000)
        .message_id_fn(|message| MessageId::from([message.topic.as_str().as_bytes(), &message.data].concat()));
    let gossip = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config.build().unwrap()).unwrap();
    let exchanges = |name| {
        let config = rr::Config::default().with_max_concurrent_streams(10_000).with_request_timeout(DEADLINE);
        rr::Behaviour::with_codec(RawCodec, [(StreamProtocol::new(name), rr::ProtocolSupport::Full)], config)
    };
    let identify = identify::Config::new("/raw".into(), key.public());
    RawBehaviour {
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::default(),
        pair: exchanges("/allod/pair/1"),
        session: exchanges("/allod/session/1"),
        gossip,
    }
}

type Order = Box<dyn FnOnce(&mut Swarm<RawBehaviour>) + Send>;

/// What the raw peer noticed.
#[derive(Debug, PartialEq)]
pub(super) enum Noticed {
    Up(PeerId),
    /// A connection ended, and so many are left.
    Down(u32),
    /// All bytes that came before the end of the stream.
    Answer(OutboundRequestId, Vec<u8>),
    Failed(OutboundRequestId),
    Subscribed(String),
    /// What the other side tells about itself: agent and listen addresses.
    Identified(String, Vec<Multiaddr>),
}

/// The peer, on a task of its own.
pub(super) struct Raw {
    orders: mpsc::UnboundedSender<Order>,
    noticed: mpsc::UnboundedReceiver<Noticed>,
    unread: VecDeque<Noticed>,
    pub(super) node: PeerId,
}

impl Raw {
    /// A raw peer that is connected to this address.
    pub(super) async fn connected(address: &str) -> Self {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, || {
                let mut yamux = yamux::Config::default();
                yamux.set_max_num_streams(4_000);
                yamux
            })
            .unwrap()
            .with_quic()
            .with_behaviour(behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
            .build();
        let (orders, mut taken) = mpsc::unbounded_channel::<Order>();
        let (tell, noticed) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => if let Some(noticed) = notice(event) { let _ = tell.send(noticed); },
                    order = taken.recv() => match order {
                        Some(order) => order(&mut swarm),
                        None => return,
                    },
                }
            }
        });
        let mut raw = Self { orders, noticed, unread: VecDeque::new(), node: PeerId::random() };
        raw.dial(address);
        raw.node = raw
            .until(|noticed| match noticed {
                Noticed::Up(peer) => Some(*peer),
                _ => None,
            })
            .await;
        raw
    }

    pub(super) fn dial(&self, address: &str) {
        let address: Multiaddr = address.parse().unwrap();
        self.order(|swarm| swarm.dial(DialOpts::unknown_peer_id().address(address).build()).unwrap());
    }

    fn order(&self, order: impl FnOnce(&mut Swarm<RawBehaviour>) + Send + 'static) {
        assert!(self.orders.send(Box::new(order)).is_ok(), "the raw peer runs");
    }

    pub(super) async fn until<T>(&mut self, mut pick: impl FnMut(&Noticed) -> Option<T>) -> T {
        if let Some((at, found)) =
            self.unread.iter().enumerate().find_map(|(at, one)| pick(one).map(|found| (at, found)))
        {
            self.unread.remove(at);
            return found;
        }
        let waited = tokio::time::timeout(DEADLINE, async {
            loop {
                let noticed = self.noticed.recv().await.expect("the raw peer runs");
                if let Some(found) = pick(&noticed) {
                    return found;
                }
                self.unread.push_back(noticed);
            }
        });
        waited.await.unwrap_or_else(|_| panic!("not noticed; instead {:?}", self.unread))
    }

    async fn write(&self, channel: Channel, bytes: Vec<u8>, hold: bool) -> OutboundRequestId {
        let (number, given) = oneshot::channel();
        let node = self.node;
        self.order(move |swarm| {
            let behaviour = swarm.behaviour_mut();
            let exchanges = match channel {
                Channel::Pair => &mut behaviour.pair,
                Channel::Session => &mut behaviour.session,
            };
            let _ = number.send(exchanges.send_request(&node, Written { bytes, hold }));
        });
        given.await.unwrap()
    }

    /// A frame as it should be.
    pub(super) async fn request(&self, channel: Channel, body: Vec<u8>) -> OutboundRequestId {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(body);
        self.write(channel, bytes, false).await
    }

    /// A frame that announces a length and brings nothing.
    pub(super) async fn announce(&self, channel: Channel, length: u32) -> OutboundRequestId {
        self.write(channel, length.to_be_bytes().to_vec(), false).await
    }

    /// The same, with the stream left open.
    pub(super) async fn hold(&self, channel: Channel, length: u32) -> OutboundRequestId {
        self.write(channel, length.to_be_bytes().to_vec(), true).await
    }

    /// The body of the answer, nothing if the node declined, an error if the stream broke.
    pub(super) async fn answer(&mut self, ours: OutboundRequestId) -> Result<Option<Vec<u8>>, ()> {
        self.until(|noticed| match noticed {
            Noticed::Answer(id, bytes) if *id == ours => Some(Ok(bytes.get(4..).map(<[u8]>::to_vec))),
            Noticed::Failed(id) if *id == ours => Some(Err(())),
            _ => None,
        })
        .await
    }

    /// Waits until the node is known to listen to this topic.
    pub(super) async fn subscribed(&mut self, topic: &str) {
        self.until(|noticed| matches!(noticed, Noticed::Subscribed(name) if name == topic).then_some(())).await;
    }

    pub(super) fn subscribe(&self, topic: String) {
        self.order(move |swarm| {
            swarm.behaviour_mut().gossip.subscribe(&gossipsub::IdentTopic::new(topic)).unwrap();
        });
    }

    pub(super) fn publish(&self, topic: &str, bytes: Vec<u8>) {
        let topic = gossipsub::IdentTopic::new(topic);
        self.order(move |swarm| {
            let _ = swarm.behaviour_mut().gossip.publish(topic, bytes);
        });
    }
}

fn notice(event: SwarmEvent<RawBehaviourEvent>) -> Option<Noticed> {
    match event {
        SwarmEvent::ConnectionEstablished { peer_id, .. } => Some(Noticed::Up(peer_id)),
        SwarmEvent::ConnectionClosed { num_established, .. } => Some(Noticed::Down(num_established)),
        SwarmEvent::Behaviour(RawBehaviourEvent::Pair(event) | RawBehaviourEvent::Session(event)) => match event {
            rr::Event::Message { message: rr::Message::Response { request_id, response }, .. } => {
                Some(Noticed::Answer(request_id, response))
            }
            rr::Event::OutboundFailure { request_id, .. } => Some(Noticed::Failed(request_id)),
            _ => None,
        },
        SwarmEvent::Behaviour(RawBehaviourEvent::Gossip(gossipsub::Event::Subscribed { topic, .. })) => {
            Some(Noticed::Subscribed(topic.into_string()))
        }
        SwarmEvent::Behaviour(RawBehaviourEvent::Identify(identify::Event::Received { info, .. })) => {
            Some(Noticed::Identified(info.agent_version, info.listen_addrs))
        }
        _ => None,
    }
}
