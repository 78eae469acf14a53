//! One turn of a node: a batch of events, one commit, then the effects in order, and a place to crash between any two of them.

use std::time::Duration;

use allod_protocol::{
    command::Happening,
    effect::{Effect, Message},
    engine::Step,
    event::Event,
    store::{Batch, Overlay},
};

use super::{Coming, World, micros};
use crate::{invariant::Seen, network::NodeId};

/// As in the daemon: what waits is handled together up to this many events.
const BATCH_EVENTS_MAX: usize = 256;
/// As in the daemon: and up to this many bytes of writes.
const BATCH_MAX_BYTES: usize = 256 * 1024;
/// Steps of one node in one simulated second, over which its engine counts as one that never sleeps.
const STEPS_PER_SECOND_MAX: u32 = 20_000;

/// The node stopped in the middle of what it did.
pub(super) struct Gone;

/// Steps that share a commit, as in the daemon's driver.
#[derive(Default)]
pub(super) struct Together {
    writes: Batch,
    overflow: Option<Batch>,
    effects: Vec<Effect>,
    replaces_vault: bool,
}

impl Together {
    pub(super) fn add(&mut self, step: Step) {
        if self.writes.is_empty() || self.writes.size_bytes() + step.writes.size_bytes() <= BATCH_MAX_BYTES {
            self.writes.append(step.writes);
        } else {
            self.overflow = Some(step.writes);
        }
        self.replaces_vault |= step.effects.iter().any(|effect| matches!(effect, Effect::ReplaceVault));
        self.effects.extend(step.effects);
    }

    pub(super) fn is_full(&self) -> bool {
        self.replaces_vault || self.overflow.is_some() || self.writes.size_bytes() >= BATCH_MAX_BYTES
    }
}

impl World {
    /// Something is there for a node: it runs soon.
    pub(super) fn receive(&mut self, id: NodeId, event: Event) {
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
    pub(super) fn run(&mut self, id: NodeId) {
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
    pub(super) fn plan_next(&mut self, id: NodeId) {
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

    pub(super) fn handle(&mut self, id: NodeId, event: Event, batch: &mut Together) -> Result<(), Gone> {
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

    pub(super) fn finish(&mut self, id: NodeId, batch: Together) -> Result<(), Gone> {
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
    pub(super) fn watch(&mut self, id: NodeId, writes: &Batch) {
        let Some(seen) = &mut self.seen else { return };
        let Some(engine) = &mut self.nodes[id.0].engine else { return };
        let vault = engine.vault_mut();
        let found = writes.writes().filter_map(|(key, stored)| Seen::read(vault, key, stored?));
        seen.extend(found.map(|what| (self.now_us, id, what)));
    }

    /// A place where a crash can hit.
    pub(super) fn boundary(&mut self, id: NodeId) -> Result<(), Gone> {
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

    pub(super) fn perform(&mut self, id: NodeId, effect: Effect) -> Result<(), Gone> {
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

    pub(super) fn happens(&mut self, id: NodeId, happening: Happening) {
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

    pub(super) fn bytes_of(&mut self, id: NodeId, message: Message) -> Result<Option<Vec<u8>>, Gone> {
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
        Event::Room { is_short } => {
            (if *is_short { "a disk that is nearly full" } else { "a disk with room" }).to_owned()
        }
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
