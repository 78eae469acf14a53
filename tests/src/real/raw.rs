//! A peer that keeps no rule: libp2p without limits, with streams and frames as the attacker makes them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, Transport, TransportError,
    core::{
        transport::{DialOpts as Dialled, ListenerId, TransportEvent},
        upgrade::Version,
    },
    multiaddr::Protocol,
    noise, ping,
    request_response::{self as rr, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::mpsc,
};

/// What goes over one stream.
#[derive(Clone, Debug)]
pub struct Written {
    pub bytes: Vec<u8>,
    /// Leave the stream open and say nothing more.
    pub hold: bool,
    /// Leave it open and say what comes here.
    feed: Option<Feed>,
}

/// What goes on to be said on one stream, and how many bytes were.
type Feed = Arc<(tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>, Arc<Score>)>;

/// Writes anything, reads to the end.
#[derive(Clone, Debug, Default)]
pub struct AnyCodec(Arc<Score>);

impl rr::Codec for AnyCodec {
    type Protocol = StreamProtocol;
    type Request = Written;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Written> {
        // What the node says in gossip is counted, and goes nowhere.
        let mut piece = [0; 4096];
        loop {
            match io.read(&mut piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => self.0.heard_bytes.fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed),
            };
        }
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.take(1 << 20).read_to_end(&mut bytes).await?;
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
        if let Some(feed) = written.feed {
            let mut more = feed.0.lock().await;
            while let Some(bytes) = more.recv().await {
                io.write_all(&bytes).await?;
                io.flush().await?;
                feed.1.fed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
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
struct Attacker {
    ping: ping::Behaviour,
    pair: rr::Behaviour<AnyCodec>,
    session: rr::Behaviour<AnyCodec>,
    mesh: rr::Behaviour<AnyCodec>,
}

/// A protocol of the node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Pair,
    Session,
    /// Gossip, with RPCs made by hand.
    Mesh,
}

/// The attacker, on a task of its own.
#[derive(Debug)]
pub struct Raw {
    orders: mpsc::Sender<(Speaks, Written)>,
}

/// What all attackers of a run did and got.
#[derive(Debug, Default)]
pub struct Score {
    pub connected: std::sync::atomic::AtomicU64,
    pub cut: std::sync::atomic::AtomicU64,
    pub written: std::sync::atomic::AtomicU64,
    /// Answers that were not empty.
    pub answered: std::sync::atomic::AtomicU64,
    /// RPCs of gossip that left.
    pub fed: std::sync::atomic::AtomicU64,
    /// What the node said in gossip.
    pub heard_bytes: std::sync::atomic::AtomicU64,
}

impl Raw {
    /// An attacker that connects from there, and connects again whenever it is cut off.
    ///
    /// # Panics
    /// If libp2p can't be set up.
    #[must_use]
    pub fn at(address: &str, from: Ipv4Addr, score: std::sync::Arc<Score>) -> Self {
        let address: Multiaddr = address.parse().expect("an address of the test is one");
        let (orders, mut taken) = mpsc::channel::<(Speaks, Written)>(64);
        let mut swarm = swarm(&score, from);
        tokio::spawn(async move {
            use std::sync::atomic::Ordering::Relaxed;
            let mut node: Option<PeerId> = None;
            // Gossip goes over one stream a connection: whoever opens a handful is not listened to any more.
            let mut mesh: Option<mpsc::Sender<Vec<u8>>> = None;
            let dial = |swarm: &mut Swarm<Attacker>| {
                let _ = swarm.dial(DialOpts::unknown_peer_id().address(address.clone()).build());
            };
            dial(&mut swarm);
            let mut again = tokio::time::interval(Duration::from_millis(250));
            again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => match event {
                        SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                            score.connected.fetch_add(1, Relaxed);
                            node = Some(peer_id);
                        }
                        SwarmEvent::ConnectionClosed { .. } => {
                            score.cut.fetch_add(1, Relaxed);
                            node = None;
                            mesh = None;
                        }
                        SwarmEvent::Behaviour(
                            AttackerEvent::Pair(rr::Event::Message { message: rr::Message::Response { response, .. }, .. })
                            | AttackerEvent::Session(rr::Event::Message { message: rr::Message::Response { response, .. }, .. }),
                        ) if !response.is_empty() => drop(score.answered.fetch_add(1, Relaxed)),
                        _ => {}
                    },
                    _ = again.tick(), if node.is_none() => dial(&mut swarm),
                    order = taken.recv(), if node.is_some() => {
                        let (Some((speaks, written)), Some(node)) = (order, node) else { return };
                        let attacker = swarm.behaviour_mut();
                        score.written.fetch_add(1, Relaxed);
                        if speaks == Speaks::Mesh {
                            let feed = mesh.get_or_insert_with(|| {
                                let (feed, taken) = mpsc::channel(64);
                                let more = Some(Arc::new((tokio::sync::Mutex::new(taken), Arc::clone(&score))));
                                attacker.mesh.send_request(&node, Written { bytes: Vec::new(), hold: false, feed: more });
                                feed
                            });
                            // A full one: the node does not take it in any faster.
                            let _ = feed.try_send(written.bytes);
                            continue;
                        }
                        match speaks {
                            Speaks::Pair => attacker.pair.send_request(&node, written),
                            Speaks::Session => attacker.session.send_request(&node, written),
                            Speaks::Mesh => attacker.mesh.send_request(&node, written),
                        };
                    }
                }
            }
        });
        Self { orders }
    }

    /// Writes to a new stream, as soon as the attacker is connected. False if it waits for that.
    pub fn write(&self, speaks: Speaks, bytes: Vec<u8>, hold: bool) -> bool {
        self.orders.try_send((speaks, Written { bytes, hold, feed: None })).is_ok()
    }
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The frame's bytes.
    Answer(Vec<u8>),
    /// The stream ended without a word.
    Refused,
    /// The connection is gone, or nothing came in time.
    Gone,
}

/// A peer that asks one thing after the other.
pub struct Asker {
    swarm: Swarm<Attacker>,
    node: PeerId,
}

impl Asker {
    /// Connects from there; `None` if nobody takes the connection.
    pub async fn connected(address: &str, from: Ipv4Addr, within: Duration) -> Option<Self> {
        let address: Multiaddr = address.parse().ok()?;
        let mut swarm = swarm(&Arc::default(), from);
        swarm.dial(DialOpts::unknown_peer_id().address(address).build()).ok()?;
        let node = tokio::time::timeout(within, async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { peer_id, .. } => return Some(peer_id),
                    SwarmEvent::OutgoingConnectionError { .. } => return None,
                    _ => {}
                }
            }
        });
        let node = node.await.ok().flatten()?;
        Some(Self { swarm, node })
    }

    /// Sends one frame and waits for what comes.
    pub async fn ask(&mut self, speaks: Speaks, body: &[u8], within: Duration) -> Heard {
        let written = Written { bytes: frame(body), hold: false, feed: None };
        let attacker = self.swarm.behaviour_mut();
        match speaks {
            Speaks::Pair => attacker.pair.send_request(&self.node, written),
            Speaks::Session => attacker.session.send_request(&self.node, written),
            Speaks::Mesh => attacker.mesh.send_request(&self.node, written),
        };
        let heard = tokio::time::timeout(within, async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::ConnectionClosed { .. } => return Heard::Gone,
                    SwarmEvent::Behaviour(AttackerEvent::Pair(event) | AttackerEvent::Session(event)) => match event {
                        rr::Event::Message { message: rr::Message::Response { response, .. }, .. } => {
                            return response.get(4..).map_or(Heard::Refused, |body| Heard::Answer(body.to_vec()));
                        }
                        rr::Event::OutboundFailure { .. } => return Heard::Gone,
                        _ => {}
                    },
                    _ => {}
                }
            }
        });
        heard.await.unwrap_or(Heard::Gone)
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

/// TCP from an address of one's own; the whole of 127.0.0.0/8 is this machine.
struct From(Ipv4Addr);

/// An attacker's address: one for each number.
#[must_use]
pub fn own_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 64, 0, 1).to_bits() + u32::try_from(number).unwrap_or_default())
}

/// Connects from there.
///
/// # Errors
/// What the operating system says.
pub async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

impl Transport for From {
    type Output = tcp::tokio::TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = futures::future::Pending<io::Result<Self::Output>>;
    type Dial = futures::future::BoxFuture<'static, io::Result<Self::Output>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, _: Dialled) -> Result<Self::Dial, TransportError<io::Error>> {
        let mut parts = address.iter();
        let (Some(Protocol::Ip4(host)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let from = self.0;
        Ok(Box::pin(async move {
            let stream = connect_from(from, (host, port).into()).await?;
            stream.set_nodelay(true)?;
            Ok(tcp::tokio::TcpStream(stream))
        }))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

fn swarm(score: &Arc<Score>, from: Ipv4Addr) -> Swarm<Attacker> {
    let exchanges = |name| {
        let config =
            rr::Config::default().with_max_concurrent_streams(10_000).with_request_timeout(Duration::from_secs(20));
        rr::Behaviour::with_codec(
            AnyCodec(Arc::clone(score)),
            [(StreamProtocol::new(name), ProtocolSupport::Outbound)],
            config,
        )
    };
    let long = rr::Config::default().with_request_timeout(Duration::from_secs(3_600));
    // The node listens to no one's gossip who does not listen to its own.
    let meshsub = [(StreamProtocol::new("/meshsub/1.1.0"), ProtocolSupport::Full)];
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_other_transport(|key| {
            let mut yamux = yamux::Config::default();
            yamux.set_max_num_streams(4_000);
            From(from)
                .upgrade(Version::V1Lazy)
                .authenticate(noise::Config::new(key).expect("a key signs"))
                .multiplex(yamux)
        })
        .expect("a transport has no way to fail")
        .with_behaviour(|_| Attacker {
            ping: ping::Behaviour::default(),
            pair: exchanges("/allod/pair/1"),
            session: exchanges("/allod/session/1"),
            mesh: rr::Behaviour::with_codec(AnyCodec(Arc::clone(score)), meshsub, long),
        })
        .expect("a behaviour has no way to fail")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

/// A frame as the protocol has it: its length, then the bytes.
#[must_use]
pub fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a frame is short");
    [&length.to_be_bytes(), body].concat()
}

/// An RPC of gossipsub, in protobuf by hand.
#[derive(Debug, Default)]
pub struct Rpc(Vec<u8>);

impl Rpc {
    /// Wants a topic.
    #[must_use]
    pub fn subscribe(mut self, topic: &str) -> Self {
        let body = [vec![1 << 3, 1], field(2, topic.as_bytes())].concat();
        self.0.extend(field(1, &body));
        self
    }

    /// A message without an author.
    #[must_use]
    pub fn publish(mut self, topic: &str, data: &[u8]) -> Self {
        let body = [field(2, data), field(4, topic.as_bytes())].concat();
        self.0.extend(field(2, &body));
        self
    }

    /// `IHAVE` with this many invented ids.
    #[must_use]
    pub fn i_have(mut self, topic: &str, ids: impl Iterator<Item = [u8; 32]>) -> Self {
        let ids: Vec<u8> = ids.flat_map(|id| field(2, &id)).collect();
        let body = [field(1, topic.as_bytes()), ids].concat();
        self.0.extend(field(3, &field(1, &body)));
        self
    }

    /// `GRAFT`.
    #[must_use]
    pub fn graft(mut self, topic: &str) -> Self {
        self.0.extend(field(3, &field(3, &field(1, topic.as_bytes()))));
        self
    }

    /// `PRUNE` for as long as a number can say.
    #[must_use]
    pub fn prune(mut self, topic: &str, backoff: u64) -> Self {
        let body = [field(1, topic.as_bytes()), vec![3 << 3], varint(backoff)].concat();
        self.0.extend(field(3, &field(4, &body)));
        self
    }

    /// On the wire.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        [varint(self.0.len() as u64), self.0].concat()
    }
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        bytes.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return bytes;
        }
    }
}
