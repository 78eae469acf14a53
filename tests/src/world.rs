//! A world: nodes, a network and time, all from one seed.
//!
//! One queue holds everything that is to come, in order of (time, sequence). A node that has something in its inbox runs soon after: it
//! takes what is there as one batch, commits once, and only then performs the effects, exactly as the daemon's driver does. Between any two
//! of these it can crash ([`World::crash_after`]); what was not durable is gone then, and what was not performed never happens.

mod lines;
mod turn;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use allod_protocol::{
    command::{Command, Happening, NodeKind, Outcome, Ticket},
    effect::Channel,
    engine::Engine,
    event::Event,
    restore,
    store::StoreFault,
};

use crate::{
    dice::Dice,
    disk::{Mood, SimDisk},
    evil::Strays,
    invariant::Seen,
    network::{Exchange, Network, NodeId, Process},
    node::{Reach, SimNode},
    trace::Trace,
};
use turn::Together;

/// The world is quiet when nothing happens for this long: longer than counted uses wait for their report.
const QUIET_US: u64 = 6_000_000;

/// What is to come.
enum Coming {
    Run(NodeId),
    Tick(NodeId),
    Dialled {
        from: Process,
        to: Option<NodeId>,
        errand: u64,
    },
    Request {
        link: u64,
        to: Process,
        asker: Process,
        errand: u64,
        channel: Channel,
        bytes: Vec<u8>,
    },
    /// None: refused.
    Answer {
        to: Process,
        errand: u64,
        bytes: Option<Vec<u8>>,
    },
    GivenUp {
        to: Process,
        errand: u64,
    },
    Notice {
        to: Process,
        event: Event,
    },
    /// A link over a cut line is found to be dead, unless the line was healed.
    Starved {
        link: u64,
    },
    Start(NodeId),
}

/// A message that was on a line.
#[derive(Clone, Debug)]
pub struct Frame {
    pub from: NodeId,
    pub to: NodeId,
    pub channel: Channel,
    /// An answer, not a request.
    pub is_answer: bool,
    pub bytes: Vec<u8>,
}

/// How a node stopped that was not told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    Crashed,
    Fault(StoreFault),
}

/// What came of a command.
#[derive(Debug)]
pub enum Came {
    Answer(Outcome),
    /// The node stopped before it answered: nobody knows whether it was done.
    NodeStopped,
    /// No answer in the time that callers wait.
    Nothing,
}

/// Everything.
pub struct World {
    pub seed: u64,
    pub now_us: u64,
    pub nodes: Vec<SimNode>,
    pub network: Network,
    pub trace: Trace,
    /// What watchers were told.
    pub happened: Vec<(NodeId, Happening)>,
    /// How nodes stopped.
    pub stops: Vec<(NodeId, Stopped)>,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// All that was on the lines, if anybody listens.
    pub wiretap: Option<Vec<Frame>>,
    /// What was committed about heads and cells, if anybody watches.
    pub seen: Option<Vec<(u64, NodeId, Seen)>>,
    /// All hints that were gossiped: by whom.
    pub published: Vec<(NodeId, Vec<u8>)>,
    pub steps: u64,
    queue: BTreeMap<(u64, u64), Coming>,
    sequence: u64,
    chance: Dice,
    known: BTreeMap<(NodeId, String), Vec<String>>,
    answers: BTreeMap<u64, Outcome>,
    asked: BTreeMap<u64, Process>,
    /// Answers to requests from outside this world.
    pub(crate) strays: Strays,
    /// Nodes whose disk was tampered with: they may report damage.
    may_be_damaged: BTreeSet<NodeId>,
    /// Nodes whose disk is nearly full.
    short_of_room: BTreeSet<NodeId>,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            now_us: 0,
            nodes: Vec::new(),
            network: Network::new(),
            trace: Trace::default(),
            happened: Vec::new(),
            stops: Vec::new(),
            faults: BTreeMap::new(),
            wiretap: None,
            seen: None,
            published: Vec::new(),
            steps: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            chance: Dice::stream(seed, "network"),
            known: BTreeMap::new(),
            answers: BTreeMap::new(),
            asked: BTreeMap::new(),
            strays: Strays::default(),
            may_be_damaged: BTreeSet::new(),
            short_of_room: BTreeSet::new(),
        }
    }

    /// The same world a second time, at the same moment, with a calm network and all nodes stopped: what a world that was costly to get to is
    /// kept as.
    #[must_use]
    pub fn stopped_copy(&self) -> Self {
        let mut copy = Self::seeded(self.seed);
        copy.now_us = self.now_us;
        copy.sequence = self.sequence;
        copy.nodes = self.nodes.iter().map(SimNode::stopped_copy).collect();
        copy.chance = self.chance.clone();
        copy.known = self.known.clone();
        copy
    }

    /// Sets up a node and starts it.
    pub fn node(&mut self, name: &str, kind: NodeKind, reach: Reach) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(SimNode::new(id, name, kind, reach, self.seed));
        self.start(id);
        id
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        &self.nodes[node.0].name
    }

    /// The node of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().find(|node| node.name == name).map(|node| node.id)
    }

    /// Whether a node runs.
    #[must_use]
    pub fn runs(&self, node: NodeId) -> bool {
        self.nodes[node.0].engine.is_some()
    }

    fn plan(&mut self, in_us: u64, coming: Coming) -> (u64, u64) {
        self.sequence += 1;
        let place = (self.now_us + in_us, self.sequence);
        self.queue.insert(place, coming);
        place
    }

    fn is_there(&self, process: Process) -> bool {
        let node = &self.nodes[process.node.0];
        node.engine.is_some() && node.boot == process.boot
    }

    // Starting and stopping.

    /// Starts a node from what its disk holds.
    pub fn start(&mut self, id: NodeId) {
        if self.runs(id) {
            return;
        }
        let now_us = self.now_us;
        let node = &mut self.nodes[id.0];
        node.boot += 1;
        node.booted_us = now_us;
        self.trace.say(now_us, || format!("{} starts", node.name));
        let (vault, settings, now) = (node.vault(), node.settings(), node.now(now_us));
        let opened = Engine::open(&node.disk, vault, settings, now, &mut node.dice);
        let (engine, step) = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                self.faulted(id, fault);
                return;
            }
        };
        node.engine = Some(engine);
        let mut batch = Together::default();
        batch.add(step);
        if self.finish(id, batch).is_err() {
            return;
        }
        let addresses = self.nodes[id.0].addresses();
        self.receive(id, Event::Listening { addresses });
        if self.is_short_of_room(id) {
            self.receive(id, Event::Room { is_short: true });
        }
        // As at the start of the daemon: these are told before anything else comes in.
        self.run(id);
    }

    /// A node's disk is nearly full, or is not any more.
    pub fn room(&mut self, id: NodeId, is_short: bool) {
        let changed = if is_short { self.short_of_room.insert(id) } else { self.short_of_room.remove(&id) };
        if changed {
            self.receive(id, Event::Room { is_short });
        }
    }

    /// Whether a node's disk is nearly full.
    #[must_use]
    pub fn is_short_of_room(&self, id: NodeId) -> bool {
        self.short_of_room.contains(&id)
    }

    /// Puts a stopped node back from a backup, as the program does: what it held later is lost, and it begins anew with everyone.
    ///
    /// # Panics
    /// If the backup does not hold together.
    pub fn restore(&mut self, id: NodeId, backup: SimDisk) {
        assert!(!self.runs(id), "a home in use is not put back");
        self.note_fault("restore");
        let now_us = self.now_us;
        let node = &mut self.nodes[id.0];
        self.trace.say(now_us, || format!("{} is put back from a backup", node.name));
        node.disk = backup;
        node.disk.forgive();
        let (vault, now, kind) = (node.vault(), node.now(now_us), node.settings().kind);
        let mut after = None;
        loop {
            let (writes, next) =
                restore::begin(&node.disk, &vault, kind, now, &mut node.dice, after).expect("a backup holds together");
            node.disk.commit(&writes).expect("the disk is whole");
            after = next;
            if after.is_none() {
                break;
            }
        }
    }

    /// Starts a node some time from now.
    pub fn start_in(&mut self, id: NodeId, wait: Duration) {
        let in_us = micros(wait);
        self.plan(in_us, Coming::Start(id));
    }

    /// Whether a node is to be started some time from now.
    #[must_use]
    pub fn starts_later(&self, id: NodeId) -> bool {
        self.queue.values().any(|coming| matches!(coming, Coming::Start(other) if *other == id))
    }

    /// Stops a node in good order.
    pub fn stop(&mut self, id: NodeId) {
        if !self.runs(id) {
            return;
        }
        self.trace.say(self.now_us, || format!("{} is stopped", self.nodes[id.0].name));
        let mut batch = Together::default();
        if self.handle(id, Event::Closing, &mut batch).is_ok() && self.finish(id, batch).is_ok() {
            self.down(id);
        }
    }

    /// Takes away a node's power.
    pub fn crash(&mut self, id: NodeId) {
        if !self.runs(id) {
            return;
        }
        self.trace.say(self.now_us, || format!("{} crashes", self.nodes[id.0].name));
        self.note_fault("crash");
        self.stops.push((id, Stopped::Crashed));
        self.nodes[id.0].disk.crash();
        self.down(id);
    }

    /// The node crashes when it has passed this many more boundaries: before a commit, and before and after each effect.
    pub fn crash_after(&mut self, id: NodeId, boundaries: u64) {
        self.nodes[id.0].crashes_after = Some(boundaries);
    }

    /// Starts a node again if it crashed, and takes back a crash that was planned and did not come. Whether it had crashed.
    pub fn recover(&mut self, id: NodeId) -> bool {
        let crashed = !self.runs(id);
        self.nodes[id.0].crashes_after = None;
        self.start(id);
        crashed
    }

    /// Notes that a fault happened.
    pub fn note_fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// This node's disk was tampered with: it may say that it is damaged.
    pub fn may_be_damaged(&mut self, id: NodeId) {
        self.may_be_damaged.insert(id);
    }

    fn faulted(&mut self, id: NodeId, fault: StoreFault) {
        self.trace.say(self.now_us, || format!("{} stops: {fault}", self.nodes[id.0].name));
        let allowed = !matches!(fault, StoreFault::Damaged { .. }) || self.may_be_damaged.contains(&id);
        assert!(allowed, "seed {}: {} stopped although its disk is honest: {fault}", self.seed, self.nodes[id.0].name);
        self.stops.push((id, Stopped::Fault(fault)));
        self.down(id);
    }

    /// The process is gone.
    fn down(&mut self, id: NodeId) {
        let process = self.nodes[id.0].process();
        for link in self.network.links_of(process) {
            self.break_link(link);
        }
        self.network.waiting.retain(|(asker, _), _| *asker != process);
        let node = &mut self.nodes[id.0];
        node.engine = None;
        node.inbox.clear();
        node.topics.clear();
        node.crashes_after = None;
        for place in [node.run_at.take(), node.tick_at.take()].into_iter().flatten() {
            self.queue.remove(&place);
        }
    }

    // Time.

    /// Takes the next thing that is to come; `false` if there is nothing.
    pub fn step(&mut self) -> bool {
        let Some(((at, _), coming)) = self.queue.pop_first() else { return false };
        self.now_us = self.now_us.max(at);
        self.steps += 1;
        match coming {
            Coming::Run(id) => {
                self.nodes[id.0].run_at = None;
                self.run(id);
            }
            Coming::Tick(id) => {
                self.nodes[id.0].tick_at = None;
                self.receive(id, Event::Tick);
                self.run(id);
            }
            Coming::Dialled { from, to, errand } => self.dialled(from, to, errand),
            Coming::Request { link, to, asker, errand, channel, bytes } => {
                let up = self.network.links.contains_key(&link);
                if up && self.is_there(to) && !self.network.is_cut(to.node, asker.node) {
                    let exchange = self.network.number();
                    self.network.exchanges.insert(exchange, Exchange { link, asker, errand });
                    self.receive(to.node, Event::Request { link, exchange, channel, bytes });
                }
            }
            Coming::Answer { to, errand, bytes } => self.answer_arrives(to, errand, bytes),
            Coming::GivenUp { to, errand } => self.fail_errand(to, errand),
            Coming::Notice { to, event } => {
                if self.is_there(to) {
                    self.receive(to.node, event);
                }
            }
            Coming::Starved { link } => {
                let dead = self
                    .network
                    .links
                    .get(&link)
                    .is_some_and(|known| self.network.is_cut(known.ends[0].node, known.ends[1].node));
                if dead {
                    self.break_link(link);
                }
            }
            Coming::Start(id) => self.start(id),
        }
        true
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now_us + micros(span);
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step();
        }
        self.now_us = end;
    }

    /// Lets time pass until nothing happens any more, two minutes at most.
    pub fn settle(&mut self) {
        let end = self.now_us + 120_000_000;
        while let Some(((at, _), _)) = self.queue.first_key_value() {
            if *at > self.now_us + QUIET_US || *at > end {
                break;
            }
            self.step();
        }
    }

    /// A node's wall clock jumps.
    pub fn set_clock_ahead(&mut self, id: NodeId, ahead_ms: i64) {
        self.trace.say(self.now_us, || format!("the clock of {} is {ahead_ms} ms ahead", self.nodes[id.0].name));
        self.nodes[id.0].clock_ahead_ms = ahead_ms;
        // The daemon looks at the clock every thirty seconds at least.
        if self.runs(id) {
            let wait = self.chance.below(30_000_000);
            let process = self.nodes[id.0].process();
            self.plan(wait, Coming::Notice { to: process, event: Event::Tick });
        }
    }

    // Commands.

    /// Gives a command and does not wait.
    pub fn give(&mut self, id: NodeId, command: Command) -> Ticket {
        self.sequence += 1;
        let ticket = Ticket(self.sequence);
        let process = self.nodes[id.0].process();
        if self.trace.is_read() {
            let words = format!("{} is told {command:?}", self.nodes[id.0].name);
            self.trace.say(self.now_us, || words);
        }
        if self.runs(id) {
            self.asked.insert(ticket.0, process);
            self.receive(id, Event::Command { ticket, command });
        }
        ticket
    }

    /// What came of a command so far.
    pub fn came_of(&mut self, ticket: Ticket) -> Came {
        if let Some(outcome) = self.answers.remove(&ticket.0) {
            self.asked.remove(&ticket.0);
            return Came::Answer(outcome);
        }
        match self.asked.get(&ticket.0) {
            Some(process) if self.is_there(*process) => Came::Nothing,
            _ => {
                self.asked.remove(&ticket.0);
                Came::NodeStopped
            }
        }
    }

    /// Gives a command and waits for what comes of it, a minute at most.
    pub fn command(&mut self, id: NodeId, command: Command) -> Came {
        let ticket = self.give(id, command);
        let end = self.now_us + 60_000_000;
        loop {
            match self.came_of(ticket) {
                Came::Nothing if self.now_us <= end => {
                    if !self.step() {
                        return Came::Nothing;
                    }
                }
                came => return came,
            }
        }
    }

    /// A node's disk lies from here on, or stops lying.
    pub fn set_mood(&mut self, id: NodeId, mood: Mood) {
        self.nodes[id.0].disk.set_mood(mood);
    }
}

/// A span in the world's unit, rounded up: nobody is woken too early.
#[must_use]
pub fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX).min(u64::MAX / 4)
}
