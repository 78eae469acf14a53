//! Between the engine's words and the network's: the same things, numbered differently.
//!
//! An errand's number carries the number of the engine that chose it, so that what comes back after a `lock` is not taken for an
//! errand of the next engine. While no engine runs, every link is closed as it comes and every request is refused.

use std::{collections::HashSet, time::Duration};

use allod_protocol::{effect::Channel, event::Event};
use tokio::sync::{mpsc, watch};

use crate::network::{self, Errand, Exchange, Link, NetworkCommand, NetworkEvent};

/// Bits of an errand's number that are the engine's own.
const ERRAND_BITS: u32 = 48;
const ERRAND_MASK: u64 = (1 << ERRAND_BITS) - 1;

/// The addresses we listen on, for all who show them.
#[derive(Clone, Debug, Default)]
pub struct Listening(watch::Sender<Vec<String>>);

impl Listening {
    /// The addresses at this moment.
    #[must_use]
    pub fn get(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits until there are at least `count`, but no longer than this.
    pub async fn wait(&self, count: usize, at_most: Duration) {
        let mut changes = self.0.subscribe();
        let _ = tokio::time::timeout(at_most, changes.wait_for(|addresses| addresses.len() >= count)).await;
    }

    fn set(&self, addresses: Vec<String>) {
        self.0.send_replace(addresses);
    }
}

/// The engine thread's side of the network.
pub struct Bridge {
    network: mpsc::Sender<NetworkCommand>,
    listening: Listening,
    links: HashSet<Link>,
    /// Which engine this is, since the start of the process.
    engine: u64,
}

impl Bridge {
    /// A bridge to this network, which is told to no engine yet.
    #[must_use]
    pub fn new(network: mpsc::Sender<NetworkCommand>, listening: Listening) -> Self {
        Self { network, listening, links: HashSet::new(), engine: 0 }
    }

    /// A new engine begins.
    pub fn begin(&mut self) {
        self.engine += 1;
    }

    /// The addresses we listen on.
    #[must_use]
    pub fn listening(&self) -> Vec<String> {
        self.listening.get()
    }

    /// The engine's word for what the network tells, if it is for the engine that runs.
    pub fn event(&mut self, event: NetworkEvent, engine_runs: bool) -> Option<Event> {
        let event = match event {
            NetworkEvent::Listening { addresses } => {
                self.listening.set(addresses.clone());
                Event::Listening { addresses }
            }
            NetworkEvent::LinkUp { link, dialled } => {
                if !engine_runs {
                    self.close(link.0);
                    return None;
                }
                self.links.insert(link);
                Event::LinkUp { link: link.0, errand: dialled.and_then(|errand| self.ours(errand)) }
            }
            NetworkEvent::LinkDown { link } => {
                self.links.remove(&link);
                Event::LinkDown { link: link.0 }
            }
            NetworkEvent::DialFailed { errand, reason } => {
                tracing::debug!(?reason, "a dial came to nothing");
                Event::DialFailed { errand: self.ours(errand)? }
            }
            NetworkEvent::Request { link, exchange, channel, bytes } => {
                if !engine_runs {
                    self.refuse(exchange.0);
                    return None;
                }
                let channel = match channel {
                    network::Channel::Pair => Channel::Pair,
                    network::Channel::Session => Channel::Session,
                };
                Event::Request { link: link.0, exchange: exchange.0, channel, bytes }
            }
            NetworkEvent::TooLarge { channel, announced_bytes, .. } => {
                tracing::warn!(?channel, announced_bytes, "a peer announced a message over the cap and was refused");
                return None;
            }
            NetworkEvent::Answered { errand, bytes } => Event::Answered { errand: self.ours(errand)?, bytes },
            NetworkEvent::Failed { errand, reason } => {
                tracing::debug!(?reason, "a request got no answer");
                Event::Failed { errand: self.ours(errand)? }
            }
            NetworkEvent::Hint { topic, bytes } => Event::Hint { topic, bytes },
            // One peer's word about how the world sees us: nothing rests on it.
            NetworkEvent::ObservedAddress(_) => return None,
        };
        engine_runs.then_some(event)
    }

    pub fn dial(&self, errand: u64, addresses: Vec<String>) {
        self.tell(NetworkCommand::Dial { errand: self.numbered(errand), addresses });
    }

    pub fn request(&self, errand: u64, link: u64, channel: Channel, bytes: Vec<u8>) {
        let channel = match channel {
            Channel::Pair => network::Channel::Pair,
            Channel::Session => network::Channel::Session,
        };
        self.tell(NetworkCommand::Request { errand: self.numbered(errand), link: Link(link), channel, bytes });
    }

    pub fn answer(&self, exchange: u64, bytes: Vec<u8>) {
        self.tell(NetworkCommand::Answer { exchange: Exchange(exchange), bytes });
    }

    pub fn refuse(&self, exchange: u64) {
        self.tell(NetworkCommand::Refuse { exchange: Exchange(exchange) });
    }

    pub fn close(&self, link: u64) {
        self.tell(NetworkCommand::Close { link: Link(link) });
    }

    pub fn protect(&self, link: u64) {
        self.tell(NetworkCommand::Protect { link: Link(link), protected: true });
    }

    pub fn publish(&self, topic: u8, bytes: Vec<u8>) {
        self.tell(NetworkCommand::Publish { topic, bytes });
    }

    pub fn subscribe(&self, topics: Vec<u8>) {
        self.tell(NetworkCommand::Subscribe { topics });
    }

    /// Ends every link, and listens for no hints: the engine is gone.
    pub fn close_all(&mut self) {
        for link in std::mem::take(&mut self.links) {
            self.close(link.0);
        }
        self.subscribe(Vec::new());
        self.engine += 1;
    }

    fn numbered(&self, errand: u64) -> Errand {
        Errand(self.engine << ERRAND_BITS | errand & ERRAND_MASK)
    }

    fn ours(&self, errand: Errand) -> Option<u64> {
        (errand.0 >> ERRAND_BITS == self.engine).then_some(errand.0 & ERRAND_MASK)
    }

    /// Waits while the swarm is behind, which never waits for us. One that is gone shows as the end of its events.
    fn tell(&self, command: NetworkCommand) {
        let _ = self.network.blocking_send(command);
    }
}
