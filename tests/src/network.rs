//! The simulated network: who is linked to whom, which requests wait for an answer, and how the lines behave.
//!
//! It promises what the daemon's network driver promises, and no more: one link for each pair of running processes; to each request exactly
//! one answer or failure; a link that is gone is reported to both ends, sooner or later. Messages overtake each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::dice::Dice;

/// One node of a world, whether it runs or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// One process of a node: what was meant for an earlier one does not reach a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub node: NodeId,
    pub boot: u32,
}

/// How lines behave. Chances are out of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The shortest way of a message, in microseconds.
    pub least_us: u64,
    /// The longest.
    pub most_us: u64,
    /// Messages that never arrive.
    pub lost: u32,
    /// Requests that arrive twice.
    pub doubled: u32,
    /// Messages after which the link breaks.
    pub broken: u32,
}

impl Lines {
    /// A good line: nothing is lost.
    pub const CALM: Self = Self { least_us: 5_000, most_us: 40_000, lost: 0, doubled: 0, broken: 0 };
    /// A bad one: each fiftieth message is lost, many come late or twice, and links break.
    pub const ROUGH: Self = Self { least_us: 1_000, most_us: 3_000_000, lost: 20_000, doubled: 20_000, broken: 5_000 };

    /// How long a message is under way.
    pub fn delay_us(&self, dice: &mut Dice) -> u64 {
        dice.between(self.least_us, self.most_us)
    }
}

/// A connection between two processes. It is there as long as it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub ends: [Process; 2],
}

impl Link {
    /// The other end.
    #[must_use]
    pub fn other(&self, end: Process) -> Process {
        if self.ends[0] == end { self.ends[1] } else { self.ends[0] }
    }
}

/// A request that its receiver has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub link: u64,
    pub asker: Process,
    pub errand: u64,
}

/// A request that its sender waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub link: u64,
    /// The place in the world's queue of the moment when it is given up.
    pub given_up: (u64, u64),
}

/// All links and all that is under way over them.
#[derive(Debug)]
pub struct Network {
    pub lines: Lines,
    pub links: BTreeMap<u64, Link>,
    pub exchanges: BTreeMap<u64, Exchange>,
    pub waiting: BTreeMap<(Process, u64), Waiting>,
    cut: BTreeSet<(NodeId, NodeId)>,
    next: u64,
}

impl Network {
    /// A calm network without links.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lines: Lines::CALM,
            links: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            waiting: BTreeMap::new(),
            cut: BTreeSet::new(),
            next: 1,
        }
    }

    /// A number for a link or an exchange.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The link between two processes, if there is one.
    #[must_use]
    pub fn between(&self, one: Process, other: Process) -> Option<u64> {
        let linked = |link: &Link| link.ends.contains(&one) && link.ends.contains(&other);
        self.links.iter().find(|(_, link)| linked(link)).map(|(number, _)| *number)
    }

    /// Links two processes.
    pub fn link(&mut self, one: Process, other: Process) -> u64 {
        let number = self.number();
        self.links.insert(number, Link { ends: [one, other] });
        number
    }

    /// All links of a process.
    #[must_use]
    pub fn links_of(&self, process: Process) -> Vec<u64> {
        let its = self.links.iter().filter(|(_, link)| link.ends.contains(&process));
        its.map(|(number, _)| *number).collect()
    }

    /// Nothing passes between two nodes from here on.
    pub fn cut(&mut self, one: NodeId, other: NodeId) {
        self.cut.insert((one.min(other), one.max(other)));
    }

    /// All lines are whole again.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Whether nothing passes between two nodes.
    #[must_use]
    pub fn is_cut(&self, one: NodeId, other: NodeId) -> bool {
        self.cut.contains(&(one.min(other), one.max(other)))
    }

    /// Whether any line is cut.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.cut.is_empty()
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}
