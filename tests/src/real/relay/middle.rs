//! Somebody in the middle who speaks libp2p with both sides.
//!
//! libp2p's keys are drawn at each start and prove nothing, so whoever sits on the path can be the other end of both connections; only the
//! session inside is between the two. [`Middle`] is that: it listens where a node is thought to be, dials the node itself for each that
//! comes, and passes on what they say, or changes, doubles, swaps and repeats it. All frames are noted in [`Seen`]. [`replay`] says them
//! again, from connections of its own.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use allod_node::network::{self, Channel, Errand, Exchange, Link, NetworkCommand, NetworkConfig, NetworkEvent};
use allod_protocol::{
    codec::Coded,
    effect::SessionId,
    wire::{
        pair::PairAnswer,
        session::{SessionAnswer, SessionRequest},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{
    super::{Findings, dice::Dice},
    change::changed,
};

/// Frames kept to be said again: the first ones.
const KEPT_MAX: usize = 20_000;
/// Bytes of them.
const KEPT_MAX_BYTES: usize = 64 << 20;
/// Requests of one replaying connection: as many as a stranger may send at once.
const AT_ONCE: usize = 24;
const DIAL_DEADLINE: Duration = Duration::from_secs(12);
const ANSWER_DEADLINE: Duration = Duration::from_secs(35);

/// What was seen and done in the middle, by all who sit there.
#[derive(Debug, Default)]
pub struct Seen {
    /// Whether frames are changed.
    pub changes: AtomicBool,
    frames: Mutex<Frames>,
    pub passed: AtomicU64,
    pub changed: AtomicU64,
    pub links: AtomicU64,
    /// Frames said again from connections of our own.
    pub replayed: AtomicU64,
    pub answered: AtomicU64,
    pub welcomed: AtomicU64,
    pub refused: AtomicU64,
    /// What was taken in that nobody honest said.
    accepted: Mutex<Findings>,
}

#[derive(Debug, Default)]
struct Frames {
    all: Vec<(Channel, Vec<u8>)>,
    bytes: usize,
}

impl Seen {
    /// Notes a frame.
    pub fn keep(&self, channel: Channel, bytes: Vec<u8>) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.all.len() < KEPT_MAX && frames.bytes + bytes.len() <= KEPT_MAX_BYTES {
            frames.bytes += bytes.len();
            frames.all.push((channel, bytes));
        }
    }

    /// How many frames can be said again.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).all.len()
    }

    /// One of them, and another of the same channel.
    fn two(&self, dice: &mut Dice, of: Option<Channel>) -> Option<(Channel, Vec<u8>, Vec<u8>)> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let all = &frames.all;
        for _ in 0..64 {
            if all.is_empty() {
                break;
            }
            let (channel, bytes) = &all[dice.index(all.len())];
            let (other_channel, other) = &all[dice.index(all.len())];
            if of.is_none_or(|of| of == *channel) && other_channel == channel {
                return Some((*channel, bytes.clone(), other.clone()));
            }
        }
        None
    }

    /// Judges the answer to a frame that nobody honest said, or said once already.
    fn judge(&self, what: &str, channel: Channel, answer: &[u8]) {
        if answer.is_empty() {
            return;
        }
        self.answered.fetch_add(1, Relaxed);
        let taken_in = match channel {
            Channel::Pair => match PairAnswer::decode(answer) {
                Ok(PairAnswer::Used | PairAnswer::Expired | PairAnswer::Failed) => None,
                other => Some(format!("{other:?}")),
            },
            Channel::Session => match SessionAnswer::decode(answer) {
                // A hello is answered whoever repeats it: without the keys nothing follows.
                Ok(SessionAnswer::Welcome { .. }) => {
                    self.welcomed.fetch_add(1, Relaxed);
                    None
                }
                Ok(SessionAnswer::Unknown) => None,
                other => Some(format!("{other:?}")),
            },
        };
        if let Some(answer) = taken_in {
            let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
            let answer: String = answer.chars().take(80).collect();
            accepted.push(format!("{what} was answered as if it were honest: {answer}"));
        }
    }

    /// What was taken in that should not.
    #[must_use]
    pub fn accepted(&self) -> Findings {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One who sits in front of a node.
#[derive(Debug)]
pub struct Middle {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Middle {
    /// Listens on these addresses and dials that one for each who comes.
    ///
    /// # Errors
    /// Why it can't listen.
    pub async fn begin(listen: &[String], dial: &str, seen: &Arc<Seen>, dice: Dice) -> Result<Self, String> {
        let (told, events) = mpsc::channel(512);
        let config = NetworkConfig { listen: listen.to_vec(), ..NetworkConfig::default() };
        let network = network::start(config, told).map_err(|error| error.to_string())?;
        let (stop, stopped) = oneshot::channel();
        let dial = dial.to_owned();
        let between = Between {
            network,
            dial,
            seen: Arc::clone(seen),
            dice,
            other: HashMap::new(),
            waiting: HashMap::new(),
            asked: HashMap::new(),
            held: HashMap::new(),
            last: 0,
        };
        Ok(Self { task: tokio::spawn(between.run(events, stopped)), stop: Some(stop) })
    }

    /// Closes all connections and gives the addresses back.
    pub async fn end(mut self) {
        drop(self.stop.take());
        let _ = self.task.await;
    }
}

/// A request that was passed on.
struct Asked {
    /// Who waits for the answer; nobody for what we made up.
    exchange: Option<Exchange>,
    channel: Channel,
    what: What,
    /// What the honest said, to be said again once it has arrived: what never arrived would be no repetition.
    said: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Honest,
    /// The same twice: one of the two may be answered.
    Twin(u64),
    Made,
}

struct Between {
    network: mpsc::Sender<NetworkCommand>,
    dial: String,
    seen: Arc<Seen>,
    dice: Dice,
    /// The other half of each link.
    other: HashMap<Link, Link>,
    /// Links that wait for one to the node, and what they said meanwhile.
    waiting: HashMap<Errand, Link>,
    held: HashMap<Link, Vec<(Exchange, Channel, Vec<u8>)>>,
    asked: HashMap<Errand, Asked>,
    last: u64,
}

impl Between {
    async fn run(mut self, mut events: mpsc::Receiver<NetworkEvent>, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on(event).await,
                    None => return,
                },
                _ = &mut stopped => break,
            }
        }
        let (done, over) = oneshot::channel();
        self.command(NetworkCommand::Shutdown { done }).await;
        let _ = timeout(DIAL_DEADLINE, over).await;
    }

    async fn command(&self, command: NetworkCommand) {
        let _ = self.network.send(command).await;
    }

    fn errand(&mut self) -> Errand {
        self.last += 1;
        Errand(self.last)
    }

    async fn on(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::LinkUp { link, dialled: None } => {
                self.seen.links.fetch_add(1, Relaxed);
                self.command(NetworkCommand::Protect { link, protected: true }).await;
                self.held.insert(link, Vec::new());
                let errand = self.errand();
                self.waiting.insert(errand, link);
                self.command(NetworkCommand::Dial { errand, addresses: vec![self.dial.clone()] }).await;
            }
            NetworkEvent::LinkUp { link, dialled: Some(errand) } => {
                self.command(NetworkCommand::Protect { link, protected: true }).await;
                if let Some(first) = self.waiting.remove(&errand) {
                    // One link to the node serves all who came: what it asks goes to the last.
                    self.other.insert(link, first);
                    self.other.insert(first, link);
                    for (exchange, channel, bytes) in self.held.remove(&first).unwrap_or_default() {
                        self.pass(exchange, link, channel, bytes).await;
                    }
                }
            }
            NetworkEvent::LinkDown { link } => {
                self.held.remove(&link);
                if let Some(other) = self.other.remove(&link)
                    && self.other.get(&other) == Some(&link)
                {
                    self.other.remove(&other);
                    self.command(NetworkCommand::Close { link: other }).await;
                }
            }
            NetworkEvent::DialFailed { errand, .. } => {
                if let Some(link) = self.waiting.remove(&errand) {
                    self.command(NetworkCommand::Close { link }).await;
                }
            }
            NetworkEvent::Request { link, exchange, channel, bytes } => match self.other.get(&link).copied() {
                Some(other) => self.pass(exchange, other, channel, bytes).await,
                None => match self.held.get_mut(&link) {
                    Some(held) => held.push((exchange, channel, bytes)),
                    None => self.command(NetworkCommand::Refuse { exchange }).await,
                },
            },
            NetworkEvent::Answered { errand, bytes } => self.answered(errand, bytes).await,
            NetworkEvent::Failed { errand, .. } => {
                if let Some(Asked { exchange: Some(exchange), .. }) = self.asked.remove(&errand) {
                    self.command(NetworkCommand::Refuse { exchange }).await;
                }
            }
            _ => {}
        }
    }

    async fn pass(&mut self, exchange: Exchange, to: Link, channel: Channel, bytes: Vec<u8>) {
        self.seen.passed.fetch_add(1, Relaxed);
        for (number, (what, bytes)) in self.made_of(channel, bytes).into_iter().enumerate() {
            let errand = self.errand();
            let exchange = (number == 0).then_some(exchange);
            let said = if what == What::Made { Vec::new() } else { bytes.clone() };
            self.asked.insert(errand, Asked { exchange, channel, what, said });
            self.command(NetworkCommand::Request { errand, link: to, channel, bytes }).await;
        }
    }

    /// What is passed on in place of a frame. Three of four are let through, so that there is a session to disturb.
    fn made_of(&mut self, channel: Channel, bytes: Vec<u8>) -> Vec<(What, Vec<u8>)> {
        if !self.seen.changes.load(Relaxed) || !self.dice.one_in(4) {
            return vec![(What::Honest, bytes)];
        }
        self.seen.changed.fetch_add(1, Relaxed);
        let twin = What::Twin(self.last);
        let old = self.seen.two(&mut self.dice, Some(channel)).map(|(_, old, _)| old).filter(|old| *old != bytes);
        match (self.dice.below(5), old) {
            (0, _) => vec![(twin, bytes.clone()), (twin, bytes)],
            (1, Some(old)) => vec![(What::Made, old)],
            (2, Some(old)) => vec![(What::Honest, bytes), (What::Made, old)],
            (3, Some(old)) => vec![(What::Made, old), (What::Honest, bytes)],
            (_, old) => {
                let other = old.unwrap_or_default();
                let new = changed(&mut self.dice, bytes.clone(), &other);
                vec![(if new == bytes { What::Honest } else { What::Made }, new)]
            }
        }
    }

    async fn answered(&mut self, errand: Errand, bytes: Vec<u8>) {
        let Some(Asked { exchange, channel, what, said }) = self.asked.remove(&errand) else { return };
        match what {
            What::Honest => self.seen.keep(channel, said),
            What::Made => self.seen.judge("a frame that was changed or repeated", channel, &bytes),
            What::Twin(_) => {
                self.seen.keep(channel, said);
                // The first answer is the honest one's; whatever comes for the other may be none.
                if let Some(twin) = self.asked.values_mut().find(|asked| asked.what == what) {
                    twin.what = What::Made;
                }
            }
        }
        let Some(exchange) = exchange else { return };
        let bytes = if self.seen.changes.load(Relaxed) && self.dice.one_in(6) {
            self.seen.changed.fetch_add(1, Relaxed);
            let other = self.seen.two(&mut self.dice, Some(channel)).map(|(_, other, _)| other).unwrap_or_default();
            changed(&mut self.dice, bytes, &other)
        } else {
            bytes
        };
        self.command(NetworkCommand::Answer { exchange, bytes }).await;
    }
}

/// Says that many frames again to the nodes, each to any of them, some changed, from new connections under a key of its own, while what
/// the honest have goes on.
pub async fn replay(nodes: &[String], seen: &Arc<Seen>, mut dice: Dice, count: u64) {
    let (told, mut events) = mpsc::channel(512);
    let network = network::start(NetworkConfig::default(), told).expect("a network that only dials starts");
    let (mut said, mut last, mut failures) = (0, 0, 0);
    while said < count && failures < 200 {
        last += 1;
        let dial = Errand(last);
        let addresses = vec![nodes[dice.index(nodes.len())].clone()];
        let _ = network.send(NetworkCommand::Dial { errand: dial, addresses }).await;
        let link = loop {
            match timeout(DIAL_DEADLINE, events.recv()).await {
                Ok(Some(NetworkEvent::LinkUp { link, dialled: Some(errand) })) if errand == dial => break Some(link),
                Ok(Some(NetworkEvent::DialFailed { errand, .. })) if errand == dial => break None,
                Ok(Some(_)) => {}
                _ => break None,
            }
        };
        let Some(link) = link else {
            // A node lets in so many a second from one address.
            failures += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        failures = 0;
        seen.links.fetch_add(1, Relaxed);
        let mut open = HashMap::new();
        let mut waiting = 0;
        for _ in 0..AT_ONCE.min(usize::try_from(count - said).unwrap_or(AT_ONCE)) {
            let Some((channel, bytes, other)) = seen.two(&mut dice, None) else { break };
            let bytes = match dice.below(4) {
                0 => bytes,
                // The session's id is the one part of a hello that no key stands behind.
                1 => with_another_session(&mut dice, channel, bytes),
                _ => changed(&mut dice, bytes, &other),
            };
            last += 1;
            open.insert(Errand(last), channel);
            said += 1;
            let _ = network.send(NetworkCommand::Request { errand: Errand(last), link, channel, bytes }).await;
            waiting += 1;
            // The window of a link, and what a node takes in on one.
            if waiting >= 12 {
                waiting -= settle(&mut events, &mut open, seen, 6).await;
            }
        }
        while !open.is_empty() {
            if settle(&mut events, &mut open, seen, 1).await == 0 {
                break;
            }
        }
        let _ = network.send(NetworkCommand::Close { link }).await;
    }
    seen.replayed.fetch_add(said, Relaxed);
    let (done, over) = oneshot::channel();
    let _ = network.send(NetworkCommand::Shutdown { done }).await;
    let _ = timeout(DIAL_DEADLINE, over).await;
}

/// A hello under another session id; anything else as it is.
fn with_another_session(dice: &mut Dice, channel: Channel, bytes: Vec<u8>) -> Vec<u8> {
    match SessionRequest::decode(&bytes) {
        Ok(SessionRequest::Hello { route, generation, noise, .. }) if channel == Channel::Session => {
            let halves = [dice.next().to_le_bytes(), dice.next().to_le_bytes()].concat();
            let session = SessionId(halves.try_into().expect("two halves of sixteen bytes"));
            SessionRequest::Hello { route, generation, session, noise }.encode()
        }
        _ => bytes,
    }
}

/// Takes in so many answers; how many came.
async fn settle(
    events: &mut mpsc::Receiver<NetworkEvent>,
    open: &mut HashMap<Errand, Channel>,
    seen: &Seen,
    count: usize,
) -> usize {
    let mut came = 0;
    while came < count && !open.is_empty() {
        match timeout(ANSWER_DEADLINE, events.recv()).await {
            Ok(Some(NetworkEvent::Answered { errand, bytes })) => {
                if let Some(channel) = open.remove(&errand) {
                    came += 1;
                    seen.judge("a frame said again", channel, &bytes);
                }
            }
            Ok(Some(NetworkEvent::Failed { errand, .. })) => {
                if open.remove(&errand).is_some() {
                    came += 1;
                    seen.refused.fetch_add(1, Relaxed);
                }
            }
            Ok(Some(_)) => {}
            _ => break,
        }
    }
    came
}
