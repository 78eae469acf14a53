//! Messages under way, links that come and go, gossip, and what comes from outside.

use std::collections::BTreeSet;

use allod_protocol::{effect::Channel, event::Event};

use super::{Coming, Frame, World};
use crate::network::{Exchange, NodeId, Process, Waiting};

/// As in the network driver: a request without an answer fails after this.
const REQUEST_TIMEOUT_US: u64 = 30_000_000;

impl World {
    pub(super) fn send(&mut self, from: Process, errand: u64, link: u64, channel: Channel, bytes: Vec<u8>) {
        let given_up = self.plan(REQUEST_TIMEOUT_US, Coming::GivenUp { to: from, errand });
        self.network.waiting.insert((from, errand), Waiting { link, given_up });
        let Some(known) = self.network.links.get(&link).copied() else {
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

    pub(super) fn is_lost(&mut self) -> bool {
        let lost = self.chance.happens(self.network.lines.lost);
        if lost {
            self.note_fault("lost message");
        }
        lost
    }

    pub(super) fn answer(&mut self, from: Process, exchange: u64, bytes: Option<Vec<u8>>) {
        let Some(known) = self.network.exchanges.remove(&exchange) else { return };
        if let Some(bytes) = &bytes {
            self.tap(from.node, known.asker.node, Channel::Session, true, bytes);
        }
        if known.asker.boot == u32::MAX {
            self.strays.keep(exchange, bytes);
            return;
        }
        let up = self.network.links.contains_key(&known.link);
        if !up || self.network.is_cut(from.node, known.asker.node) || self.is_lost() {
            return;
        }
        let wait = self.network.lines.delay_us(&mut self.chance);
        self.plan(wait, Coming::Answer { to: known.asker, errand: known.errand, bytes });
    }

    pub(super) fn answer_arrives(&mut self, to: Process, errand: u64, bytes: Option<Vec<u8>>) {
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

    pub(super) fn fail_errand(&mut self, to: Process, errand: u64) {
        if let Some(waiting) = self.network.waiting.remove(&(to, errand)) {
            self.queue.remove(&waiting.given_up);
            if self.is_there(to) {
                self.receive(to.node, Event::Failed { errand });
            }
        }
    }

    pub(super) fn tap(&mut self, from: NodeId, to: NodeId, channel: Channel, is_answer: bool, bytes: &[u8]) {
        if let Some(frames) = &mut self.wiretap {
            frames.push(Frame { from, to, channel, is_answer, bytes: bytes.to_vec() });
        }
    }

    // Links.

    pub(super) fn dialled(&mut self, from: Process, to: Option<NodeId>, errand: u64) {
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
        let Some(ends) = self.network.links.remove(&link).map(|known| known.ends) else { return };
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
    pub(super) fn publish(&mut self, from: NodeId, topic: u8, bytes: &[u8]) {
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
        self.link_from_outside(to, link);
        self.inject_over(to, link, channel, bytes);
    }

    pub(crate) fn link_from_outside(&mut self, to: NodeId, link: u64) {
        self.receive(to, Event::LinkUp { link, errand: None });
    }

    /// The same over a link that is there. Returns the exchange.
    pub fn inject_over(&mut self, to: NodeId, link: u64, channel: Channel, bytes: Vec<u8>) -> u64 {
        let exchange = self.network.number();
        let asker = Process { node: to, boot: u32::MAX };
        self.network.exchanges.insert(exchange, Exchange { link, asker, errand: 0 });
        self.receive(to, Event::Request { link, exchange, channel, bytes });
        exchange
    }
}
