//! The driver over real sockets on 127.0.0.1, port 0. Everything is awaited under a deadline; nothing sleeps.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::addresses::Pace;
use super::admission::Seats;
use super::*;

mod exchanges;
mod hints;
mod links;
mod muxer;
mod raw;
mod seats;
mod windows;
mod wire;

/// Longer than anything here takes, on a machine that does other work too.
const DEADLINE: Duration = Duration::from_secs(30);

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// A driver, and the engine's end of it played by the test.
struct Node {
    commands: mpsc::Sender<NetworkCommand>,
    events: mpsc::Receiver<NetworkEvent>,
    /// Came while something else was waited for.
    unread: VecDeque<NetworkEvent>,
    addresses: Vec<String>,
    errands: u64,
}

/// A node in a process that runs hundreds of other tests: what those hold is not its own memory. A test that sets the bound keeps it.
fn in_company(config: NetworkConfig) -> NetworkConfig {
    let shared = config.memory_max_bytes == limits::MEMORY_MAX_BYTES;
    NetworkConfig { memory_max_bytes: if shared { 1 << 40 } else { config.memory_max_bytes }, ..config }
}

/// All of a test's peers have one address, as a crowd from everywhere does not.
fn from_everywhere() -> Seats {
    let endless = Pace { burst: u32::MAX, per_second: 0 };
    Seats { per_address: usize::MAX, address: endless, newcomers: endless, streams: endless, ..Seats::default() }
}

impl Node {
    async fn start(config: NetworkConfig) -> Self {
        Self::seated(config, Seats::default()).await
    }

    async fn seated(config: NetworkConfig, seats: Seats) -> Self {
        let (sender, events) = mpsc::channel(256);
        let listens = config.listen.len();
        let commands = driver::start(in_company(config), seats, sender).expect("starts");
        let mut node = Self { commands, events, unread: VecDeque::new(), addresses: Vec::new(), errands: 0 };
        if listens > 0 {
            node.addresses = node
                .until("listening", |event| match event {
                    NetworkEvent::Listening { addresses } if addresses.len() == listens => Some(addresses.clone()),
                    _ => None,
                })
                .await;
        }
        node
    }

    async fn listening(addresses: &[&str]) -> Self {
        let listen = addresses.iter().map(|&address| address.to_owned()).collect();
        Self::start(NetworkConfig { listen, ..NetworkConfig::default() }).await
    }

    async fn for_everybody() -> Self {
        let config = NetworkConfig { listen: vec![TCP.to_owned()], ..NetworkConfig::default() };
        Self::seated(config, from_everywhere()).await
    }

    async fn carrier(address: &str) -> Self {
        let listen = vec![address.to_owned()];
        Self::start(NetworkConfig { listen, carry_for_others: true, ..NetworkConfig::default() }).await
    }

    async fn send(&self, command: NetworkCommand) {
        self.commands.send(command).await.expect("the driver runs");
    }

    /// The first event, of those not yet waited for, that `pick` takes.
    async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(&NetworkEvent) -> Option<T>) -> T {
        if let Some((at, found)) =
            self.unread.iter().enumerate().find_map(|(at, event)| pick(event).map(|found| (at, found)))
        {
            self.unread.remove(at);
            return found;
        }
        let waited = tokio::time::timeout(DEADLINE, async {
            loop {
                let event = self.events.recv().await.expect("the driver runs");
                if let Some(found) = pick(&event) {
                    return found;
                }
                self.unread.push_back(event);
            }
        });
        waited.await.unwrap_or_else(|_| panic!("no {what}; instead {:?}", self.unread))
    }

    fn errand(&mut self) -> Errand {
        self.errands += 1;
        Errand(self.errands)
    }

    async fn dial(&mut self, addresses: &[String]) -> Result<Link, DialFailure> {
        let ours = self.errand();
        self.send(NetworkCommand::Dial { errand: ours, addresses: addresses.to_vec() }).await;
        self.until("end of a dial", |event| match event {
            NetworkEvent::LinkUp { link, dialled: Some(errand) } if *errand == ours => Some(Ok(*link)),
            NetworkEvent::DialFailed { errand, reason } if *errand == ours => Some(Err(*reason)),
            _ => None,
        })
        .await
    }

    async fn link_up(&mut self) -> Link {
        self.until("link up", |event| match event {
            NetworkEvent::LinkUp { link, dialled: None } => Some(*link),
            _ => None,
        })
        .await
    }

    async fn link_down(&mut self, link: Link) {
        self.until("link down", |event| (*event == NetworkEvent::LinkDown { link }).then_some(())).await;
    }

    async fn protect(&self, link: Link) {
        self.send(NetworkCommand::Protect { link, protected: true }).await;
    }

    /// Waits until the driver has done what was sent before.
    async fn settled(&mut self) {
        assert_eq!(self.dial(&[]).await, Err(DialFailure::NoAddress));
    }

    async fn request(&mut self, link: Link, channel: Channel, bytes: Vec<u8>) -> Errand {
        let errand = self.errand();
        self.send(NetworkCommand::Request { errand, link, channel, bytes }).await;
        errand
    }

    async fn result(&mut self, ours: Errand) -> Result<Vec<u8>, RequestFailure> {
        self.until("result", |event| match event {
            NetworkEvent::Answered { errand, bytes } if *errand == ours => Some(Ok(bytes.clone())),
            NetworkEvent::Failed { errand, reason } if *errand == ours => Some(Err(*reason)),
            _ => None,
        })
        .await
    }

    /// The next request of a peer.
    async fn asked(&mut self) -> (Link, Exchange, Channel, Vec<u8>) {
        self.until("request", |event| match event {
            NetworkEvent::Request { link, exchange, channel, bytes } => {
                Some((*link, *exchange, *channel, bytes.clone()))
            }
            _ => None,
        })
        .await
    }

    async fn answer(&self, exchange: Exchange, bytes: Vec<u8>) {
        self.send(NetworkCommand::Answer { exchange, bytes }).await;
    }

    async fn subscribe(&self, topics: &[u8]) {
        self.send(NetworkCommand::Subscribe { topics: topics.to_vec() }).await;
    }

    async fn publish(&self, topic: u8, mark: u16) {
        self.send(NetworkCommand::Publish { topic, bytes: hint(mark) }).await;
    }

    async fn shut_down(self) {
        let (done, finished) = oneshot::channel();
        self.send(NetworkCommand::Shutdown { done }).await;
        tokio::time::timeout(DEADLINE, finished).await.expect("in time").expect("and says so");
    }
}

/// A hint that the test knows again.
fn hint(mark: u16) -> Vec<u8> {
    let mut bytes = vec![0; limits::HINT_BYTES];
    bytes[..2].copy_from_slice(&mark.to_be_bytes());
    bytes
}

/// Two nodes with a link between them, dialled by the first.
async fn linked(transport: &str) -> (Node, Link, Node, Link) {
    let mut listener = Node::listening(&[transport]).await;
    let mut dialer = Node::listening(&[]).await;
    let out = dialer.dial(&listener.addresses.clone()).await.expect("connects");
    let back = listener.link_up().await;
    (dialer, out, listener, back)
}
