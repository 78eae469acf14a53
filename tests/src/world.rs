//! A world: nodes, a network and time, all from one seed.
//!
//! One queue holds everything that is to come, in order of (time, sequence). A node that has something in its inbox runs soon after: it
//! takes what is there as one batch, commits once, and only then performs the effects, exactly as the daemon's driver does. Between any two
//! of these it can crash ([`World::crash_after`]); what was not durable is gone then, and what was not performed never happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use allod_protocol::{
    command::{Command, Happening, NodeKind, Outcome, Ticket},
    effect::{Channel, Effect, Message},
    engine::{Engine, Step},
    event::Event,
    store::{Batch, Overlay, StoreFault},
};

use crate::{
    dice::Dice,
    disk::Mood,
    invariant::Seen,
    network::{Exchange, Network, NodeId, Process, Waiting},
    node::{Reach, SimNode},
    trace::Trace,
};

/// As in the daemon: what waits is handled together up to this many events.
const BATCH_EVENTS_MAX: usize = 256;
/// As in the daemon: and up to this many bytes of writes.
const BATCH_MAX_BYTES: usize = 256 * 1024;
/// As in the network driver: a request without an answer fails after this.
const REQUEST_TIMEOUT_US: u64 = 30_000_000;
/// The world is quiet when nothing happens for this long: longer than counted uses wait for their report.
const QUIET_US: u64 = 6_000_000;
/// Steps of one node in one simulated second, over which its engine counts as one that never sleeps.
const STEPS_PER_SECOND_MAX: u32 = 20_000;

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
    /// Nodes whose disk was tampered with: they may report damage.
    may_be_damaged: BTreeSet<NodeId>,
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
            may_be_damaged: BTreeSet::new(),
        }
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
        // As at the start of the daemon: the addresses are told before anything else comes in.
        self.run(id);
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
                let up = self.network.links.get(&link).is_some_and(|link| link.up);
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
                    .is_some_and(|known| known.up && self.network.is_cut(known.ends[0].node, known.ends[1].node));
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

    // One node's batch.

    /// Something is there for a node: it runs soon.
    fn receive(&mut self, id: NodeId, event: Event) {
        if !self.runs(id) {
            return;
        }
        self.nodes[id.0].inbox.push_back(event);
        if self.nodes[id.0].run_at.is_none() {
            let wait = self.chance.between(50, 2_000);
            let place = self.plan(wait, Coming::Run(id));
            self.nodes[id.0].run_at = Some(place);
        }
    }

    /// One turn of the driver: a batch, its commit, its effects.
    fn run(&mut self, id: NodeId) {
        let now_us = self.now_us;
        let node = &mut self.nodes[id.0];
        let Some(engine) = &node.engine else { return };
        if engine.wake_in(node.now(now_us)) == Some(Duration::ZERO) {
            node.inbox.push_front(Event::Tick);
        }
        let mut batch = Together::default();
        let mut count = 0;
        while count < BATCH_EVENTS_MAX && !batch.is_full() {
            let Some(event) = self.nodes[id.0].inbox.pop_front() else { break };
            if self.handle(id, event, &mut batch).is_err() {
                return;
            }
            count += 1;
        }
        if self.finish(id, batch).is_ok() {
            self.plan_next(id);
        }
    }

    /// When a node runs or ticks next.
    fn plan_next(&mut self, id: NodeId) {
        let now_us = self.now_us;
        let node = &mut self.nodes[id.0];
        if let Some(place) = node.tick_at.take() {
            self.queue.remove(&place);
        }
        let node = &mut self.nodes[id.0];
        let Some(engine) = &node.engine else { return };
        let wake_in = engine.wake_in(node.now(now_us));
        if node.run_at.is_none() && (!node.inbox.is_empty() || wake_in == Some(Duration::ZERO)) {
            let place = self.plan(200, Coming::Run(id));
            self.nodes[id.0].run_at = Some(place);
        } else if let Some(wait) = wake_in {
            let place = self.plan(micros(wait).max(1), Coming::Tick(id));
            self.nodes[id.0].tick_at = Some(place);
        }
    }

    fn handle(&mut self, id: NodeId, event: Event, batch: &mut Together) -> Result<(), Gone> {
        let now_us = self.now_us;
        if self.trace.is_read() {
            let words = format!("{} takes in {}", self.nodes[id.0].name, in_words(&event));
            self.trace.say(now_us, || words);
        }
        let node = &mut self.nodes[id.0];
        let now = node.now(now_us);
        self.trace.note(now_us, &[node.name.as_bytes(), in_words(&event).as_bytes()]);
        let second = u32::try_from(now_us / 1_000_000 % 1_000).expect("below a thousand");
        node.restless = if node.restless / 1_000_000 == second { node.restless + 1 } else { second * 1_000_000 };
        assert!(
            node.restless % 1_000_000 < STEPS_PER_SECOND_MAX,
            "seed {}: the engine of {} never sleeps",
            self.seed,
            node.name
        );
        let Some(engine) = &mut node.engine else { return Err(Gone) };
        let view = Overlay::new(&node.disk, &batch.writes);
        match engine.handle(event, now, &mut node.dice, &view) {
            Ok(step) => {
                batch.add(step);
                Ok(())
            }
            Err(fault) => {
                self.faulted(id, fault);
                Err(Gone)
            }
        }
    }

    fn finish(&mut self, id: NodeId, batch: Together) -> Result<(), Gone> {
        for writes in std::iter::once(batch.writes).chain(batch.overflow) {
            if writes.is_empty() {
                continue;
            }
            self.boundary(id)?;
            for (key, value) in writes.writes() {
                self.trace.note(self.now_us, &[key, value.unwrap_or_default()]);
            }
            if let Err(fault) = self.nodes[id.0].disk.commit(&writes) {
                self.faulted(id, fault);
                return Err(Gone);
            }
            self.watch(id, &writes);
        }
        for effect in batch.effects {
            self.boundary(id)?;
            self.perform(id, effect)?;
        }
        self.boundary(id)
    }

    /// Notes what a commit says about heads and cells, if anybody watches.
    fn watch(&mut self, id: NodeId, writes: &Batch) {
        let Some(seen) = &mut self.seen else { return };
        let Some(engine) = &mut self.nodes[id.0].engine else { return };
        let vault = engine.vault_mut();
        let found = writes.writes().filter_map(|(key, stored)| Seen::read(vault, key, stored?));
        seen.extend(found.map(|what| (self.now_us, id, what)));
    }

    /// A place where a crash can hit.
    fn boundary(&mut self, id: NodeId) -> Result<(), Gone> {
        let node = &mut self.nodes[id.0];
        node.boundaries += 1;
        match &mut node.crashes_after {
            Some(0) => {
                self.crash(id);
                Err(Gone)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    // Effects.

    fn perform(&mut self, id: NodeId, effect: Effect) -> Result<(), Gone> {
        let now_us = self.now_us;
        let process = self.nodes[id.0].process();
        if self.trace.is_read() && !matches!(effect, Effect::Reply { .. }) {
            let words = format!("{} {}", self.nodes[id.0].name, effect_in_words(&effect));
            self.trace.say(now_us, || words);
        }
        match effect {
            Effect::Reply { ticket, outcome } => {
                if self.trace.is_read() {
                    let words = format!("{} answers {outcome:?}", self.nodes[id.0].name);
                    self.trace.say(now_us, || words);
                }
                self.answers.insert(ticket.0, outcome);
            }
            Effect::Happened(happening) => self.happens(id, happening),
            Effect::Send { errand, link, channel, message } => {
                if let Some(bytes) = self.bytes_of(id, message)? {
                    self.send(process, errand, link, channel, bytes);
                }
            }
            Effect::Answer { exchange, message } => {
                let bytes = self.bytes_of(id, message)?;
                self.answer(process, exchange, bytes);
            }
            Effect::Refuse { exchange } => self.answer(process, exchange, None),
            Effect::Dial { errand, addresses } => {
                let to = self.nodes.iter().find(|node| node.addresses().iter().any(|has| addresses.contains(has)));
                let to = to.map(|node| node.id);
                let wait = 3 * self.network.lines.delay_us(&mut self.chance);
                self.plan(wait, Coming::Dialled { from: process, to, errand });
            }
            Effect::Close { link } => self.break_link(link),
            Effect::Protect { .. } => {}
            Effect::Publish { topic, bytes } => self.publish(id, topic, &bytes),
            Effect::Subscribe { topics } => self.nodes[id.0].topics = topics,
            Effect::ReplaceVault => {
                let node = &mut self.nodes[id.0];
                let Some(engine) = &node.engine else { return Err(Gone) };
                let bytes = engine.vault_bytes(&mut node.dice).to_vec();
                self.trace.note(now_us, &[&bytes]);
                node.disk.replace_vault(bytes);
                self.boundary(id)?;
                let mut batch = Together::default();
                self.handle(id, Event::VaultReplaced, &mut batch)?;
                self.finish(id, batch)?;
            }
        }
        Ok(())
    }

    fn happens(&mut self, id: NodeId, happening: Happening) {
        if happening.event == "field_changed"
            && let Some(peer) = &happening.peer
        {
            for path in happening.selectors.iter().filter(|selector| !selector.contains('*')) {
                let Some(value) = self.peek_named(id, peer, path) else { continue };
                let known = self.known.entry((id, path.clone())).or_default();
                if known.last() != Some(&value) {
                    known.push(value);
                }
            }
        }
        self.happened.push((id, happening));
    }

    /// Every value of a field that a node ever was in a position to read, in order.
    #[must_use]
    pub fn known_to(&self, id: NodeId, path: &str) -> Vec<String> {
        self.known.get(&(id, path.to_owned())).cloned().unwrap_or_default()
    }

    fn bytes_of(&mut self, id: NodeId, message: Message) -> Result<Option<Vec<u8>>, Gone> {
        let now_us = self.now_us;
        let node = &mut self.nodes[id.0];
        let now = node.now(now_us);
        let Some(engine) = &mut node.engine else { return Err(Gone) };
        match engine.message_bytes(message, now, &mut node.dice, &node.disk) {
            Ok(bytes) => {
                self.trace.note(now_us, &[bytes.as_deref().unwrap_or_default()]);
                Ok(bytes)
            }
            Err(fault) => {
                self.faulted(id, fault);
                Err(Gone)
            }
        }
    }

    fn send(&mut self, from: Process, errand: u64, link: u64, channel: Channel, bytes: Vec<u8>) {
        let given_up = self.plan(REQUEST_TIMEOUT_US, Coming::GivenUp { to: from, errand });
        self.network.waiting.insert((from, errand), Waiting { link, given_up });
        let Some(known) = self.network.links.get(&link).copied().filter(|link| link.up) else {
            let wait = self.chance.below(1_000);
            self.plan(wait, Coming::GivenUp { to: from, errand });
            return;
        };
        let to = known.other(from);
        self.tap(from.node, to.node, channel, false, &bytes);
        if self.network.is_cut(from.node, to.node) || self.is_lost() {
            return;
        }
        let copies = if self.chance.happens(self.network.lines.doubled) { 2 } else { 1 };
        for copy in 0..copies {
            if copy > 0 {
                self.note_fault("doubled message");
            }
            let wait = self.network.lines.delay_us(&mut self.chance);
            let bytes = bytes.clone();
            self.plan(wait, Coming::Request { link, to, asker: from, errand, channel, bytes });
        }
        if self.chance.happens(self.network.lines.broken) {
            self.note_fault("broken link");
            self.break_link(link);
        }
    }

    fn is_lost(&mut self) -> bool {
        let lost = self.chance.happens(self.network.lines.lost);
        if lost {
            self.note_fault("lost message");
        }
        lost
    }

    fn answer(&mut self, from: Process, exchange: u64, bytes: Option<Vec<u8>>) {
        let Some(known) = self.network.exchanges.remove(&exchange) else { return };
        let up = self.network.links.get(&known.link).is_some_and(|link| link.up);
        if let Some(bytes) = &bytes {
            self.tap(from.node, known.asker.node, Channel::Session, true, bytes);
        }
        if !up || self.network.is_cut(from.node, known.asker.node) || self.is_lost() {
            return;
        }
        let wait = self.network.lines.delay_us(&mut self.chance);
        self.plan(wait, Coming::Answer { to: known.asker, errand: known.errand, bytes });
    }

    fn answer_arrives(&mut self, to: Process, errand: u64, bytes: Option<Vec<u8>>) {
        match bytes {
            None => self.fail_errand(to, errand),
            Some(bytes) => {
                if let Some(waiting) = self.network.waiting.remove(&(to, errand)) {
                    self.queue.remove(&waiting.given_up);
                    self.receive(to.node, Event::Answered { errand, bytes });
                }
            }
        }
    }

    fn fail_errand(&mut self, to: Process, errand: u64) {
        if let Some(waiting) = self.network.waiting.remove(&(to, errand)) {
            self.queue.remove(&waiting.given_up);
            if self.is_there(to) {
                self.receive(to.node, Event::Failed { errand });
            }
        }
    }

    fn tap(&mut self, from: NodeId, to: NodeId, channel: Channel, is_answer: bool, bytes: &[u8]) {
        if let Some(frames) = &mut self.wiretap {
            frames.push(Frame { from, to, channel, is_answer, bytes: bytes.to_vec() });
        }
    }

    // Links.

    fn dialled(&mut self, from: Process, to: Option<NodeId>, errand: u64) {
        if !self.is_there(from) {
            return;
        }
        let found = to.filter(|to| *to != from.node && self.runs(*to));
        let Some(to) = found else {
            self.receive(from.node, Event::DialFailed { errand });
            return;
        };
        if self.network.is_cut(from.node, to) || self.is_lost() {
            let wait = self.chance.between(2_000_000, 10_000_000);
            self.plan(wait, Coming::Notice { to: from, event: Event::DialFailed { errand } });
            return;
        }
        let other = self.nodes[to.0].process();
        let link = match self.network.between(from, other) {
            Some(link) => link,
            None => {
                let link = self.network.link(from, other);
                self.receive(to, Event::LinkUp { link, errand: None });
                link
            }
        };
        self.receive(from.node, Event::LinkUp { link, errand: Some(errand) });
    }

    /// A link breaks: both ends hear of it, and their requests over it fail.
    pub fn break_link(&mut self, link: u64) {
        let Some(known) = self.network.links.get_mut(&link).filter(|link| link.up) else { return };
        known.up = false;
        let ends = known.ends;
        for end in ends {
            let wait = self.chance.between(100, 2_000_000);
            self.plan(wait, Coming::Notice { to: end, event: Event::LinkDown { link } });
            let waiting = self.network.waiting.iter().filter(|((asker, _), one)| *asker == end && one.link == link);
            let errands: Vec<u64> = waiting.map(|((_, errand), _)| *errand).collect();
            for errand in errands {
                let wait = self.chance.between(100, 2_000_000);
                self.plan(wait, Coming::GivenUp { to: end, errand });
            }
        }
    }

    /// Cuts the line between two nodes; their link is found to be dead some time later.
    pub fn cut(&mut self, one: NodeId, other: NodeId) {
        let (ours, theirs) = (&self.nodes[one.0].name, &self.nodes[other.0].name);
        self.trace.say(self.now_us, || format!("the line between {ours} and {theirs} is cut"));
        self.network.cut(one, other);
        self.note_fault("cut line");
        if let Some(link) = self.network.between(self.nodes[one.0].process(), self.nodes[other.0].process()) {
            let wait = self.chance.between(5_000_000, 45_000_000);
            self.plan(wait, Coming::Starved { link });
        }
    }

    /// Makes all lines whole.
    pub fn heal(&mut self) {
        self.trace.say(self.now_us, || "all lines are whole".to_owned());
        self.network.heal();
    }

    /// A node gets other addresses. Its links break.
    pub fn move_away(&mut self, id: NodeId) {
        self.note_fault("changed address");
        self.nodes[id.0].moved += 1;
        for link in self.network.links_of(self.nodes[id.0].process()) {
            self.break_link(link);
        }
        let addresses = self.nodes[id.0].addresses();
        self.receive(id, Event::Listening { addresses });
    }

    /// Gossip: who listens to the topic and is linked to someone who has the hint gets it, and passes it on.
    fn publish(&mut self, from: NodeId, topic: u8, bytes: &[u8]) {
        if self.wiretap.is_some() {
            self.published.push((from, bytes.to_vec()));
        }
        let mut reached = BTreeSet::from([from]);
        let mut edge = vec![from];
        while let Some(at) = edge.pop() {
            let process = self.nodes[at.0].process();
            for link in self.network.links_of(process) {
                let to = self.network.links[&link].other(process);
                let listens = self.is_there(to) && self.nodes[to.node.0].topics.contains(&topic);
                if listens && !self.network.is_cut(at, to.node) && reached.insert(to.node) {
                    edge.push(to.node);
                    if !self.is_lost() {
                        let wait = self.network.lines.delay_us(&mut self.chance);
                        let event = Event::Hint { topic, bytes: bytes.to_vec() };
                        self.plan(wait, Coming::Notice { to, event });
                    }
                }
            }
        }
    }

    /// Someone who is linked to a node sends it a request of their making. The answer goes nowhere.
    pub fn inject(&mut self, to: NodeId, channel: Channel, bytes: Vec<u8>) {
        let stranger = Process { node: to, boot: u32::MAX };
        let process = self.nodes[to.0].process();
        let link = self.network.link(stranger, process);
        self.receive(to, Event::LinkUp { link, errand: None });
        self.inject_over(to, link, channel, bytes);
    }

    /// The same over a link that is there.
    pub fn inject_over(&mut self, to: NodeId, link: u64, channel: Channel, bytes: Vec<u8>) {
        let exchange = self.network.number();
        let asker = Process { node: to, boot: u32::MAX };
        self.network.exchanges.insert(exchange, Exchange { link, asker, errand: 0 });
        self.receive(to, Event::Request { link, exchange, channel, bytes });
    }

    /// A node's disk lies from here on, or stops lying.
    pub fn set_mood(&mut self, id: NodeId, mood: Mood) {
        self.nodes[id.0].disk.set_mood(mood);
    }
}

/// The node stopped in the middle of what it did.
struct Gone;

/// Steps that share a commit, as in the daemon's driver.
#[derive(Default)]
struct Together {
    writes: Batch,
    overflow: Option<Batch>,
    effects: Vec<Effect>,
    replaces_vault: bool,
}

impl Together {
    fn add(&mut self, step: Step) {
        if self.writes.is_empty() || self.writes.size_bytes() + step.writes.size_bytes() <= BATCH_MAX_BYTES {
            self.writes.append(step.writes);
        } else {
            self.overflow = Some(step.writes);
        }
        self.replaces_vault |= step.effects.iter().any(|effect| matches!(effect, Effect::ReplaceVault));
        self.effects.extend(step.effects);
    }

    fn is_full(&self) -> bool {
        self.replaces_vault || self.overflow.is_some() || self.writes.size_bytes() >= BATCH_MAX_BYTES
    }
}

/// A span in the world's unit, rounded up: nobody is woken too early.
#[must_use]
pub fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX).min(u64::MAX / 4)
}

fn in_words(event: &Event) -> String {
    match event {
        Event::Command { ticket, .. } => format!("command {}", ticket.0),
        Event::Tick => "a tick".to_owned(),
        Event::Listening { addresses } => format!("its addresses {addresses:?}"),
        Event::LinkUp { link, errand } => format!("link {link} up for {errand:?}"),
        Event::LinkDown { link } => format!("link {link} down"),
        Event::DialFailed { errand } => format!("failed dial {errand}"),
        Event::Request { link, exchange, channel, bytes } => {
            format!("request {exchange} on {channel:?} over link {link}, {} bytes", bytes.len())
        }
        Event::Answered { errand, bytes } => format!("answer to {errand}, {} bytes", bytes.len()),
        Event::Failed { errand } => format!("no answer to {errand}"),
        Event::Hint { topic, .. } => format!("a hint on topic {topic}"),
        Event::VaultReplaced => "its vault is replaced".to_owned(),
        Event::Closing => "closing".to_owned(),
    }
}

fn effect_in_words(effect: &Effect) -> String {
    let message = |message: &Message| match message {
        Message::Bytes(_) => "a handshake",
        Message::Sync { .. } | Message::SyncAnswer { .. } => "news",
    };
    match effect {
        Effect::Reply { ticket, .. } => format!("answers command {}", ticket.0),
        Effect::Happened(happening) => format!("tells its watchers: {} {:?}", happening.event, happening.peer),
        Effect::Dial { errand, addresses } => format!("dials {addresses:?} for errand {errand}"),
        Effect::Close { link } => format!("closes link {link}"),
        Effect::Protect { link } => format!("protects link {link}"),
        Effect::Send { errand, link, message: what, .. } => {
            format!("sends {} over link {link} for errand {errand}", message(what))
        }
        Effect::Answer { exchange, message: what } => format!("answers request {exchange} with {}", message(what)),
        Effect::Refuse { exchange } => format!("refuses request {exchange}"),
        Effect::Publish { topic, .. } => format!("hints on topic {topic}"),
        Effect::Subscribe { topics } => format!("listens to {} topics", topics.len()),
        Effect::ReplaceVault => "replaces its vault".to_owned(),
    }
}
