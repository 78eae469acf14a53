//! One node of a world: what the daemon's process and its machine are, without an operating system.

use std::collections::VecDeque;

use allod_crypto::{Protection, Vault};
use allod_protocol::{
    command::NodeKind,
    engine::{Engine, Settings},
    event::Event,
    time::{Now, Timestamp},
};

use crate::{
    dice::Dice,
    disk::SimDisk,
    network::{NodeId, Process},
};

/// When every world begins, on an honest clock: 2026-11-24, 08:00 UTC.
pub const BEGINNING_MS: u64 = 1_795_507_200_000;

/// Where a node can be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At an address of its own.
    Anyone,
    /// Nowhere: it dials others.
    Nobody,
}

/// One node.
pub struct SimNode {
    pub id: NodeId,
    pub name: String,
    pub kind: NodeKind,
    pub reach: Reach,
    /// Which of its addresses it has: a new one each time that it moves.
    pub moved: u32,
    pub disk: SimDisk,
    pub engine: Option<Engine>,
    pub dice: Dice,
    pub boot: u32,
    pub booted_us: u64,
    /// How far its wall clock is ahead, in milliseconds.
    pub clock_ahead_ms: i64,
    pub inbox: VecDeque<Event>,
    /// Topics that it listens to.
    pub topics: Vec<u8>,
    /// The places in the world's queue of its next run and its next tick.
    pub run_at: Option<(u64, u64)>,
    pub tick_at: Option<(u64, u64)>,
    /// After how many more boundaries it crashes.
    pub crashes_after: Option<u64>,
    /// How many boundaries it passed.
    pub boundaries: u64,
    /// Ticks since time last went on: an engine that never sleeps is a fault.
    pub restless: u32,
}

impl SimNode {
    /// A node that was set up and never started.
    #[must_use]
    pub fn new(id: NodeId, name: &str, kind: NodeKind, reach: Reach, seed: u64) -> Self {
        let mut dice = Dice::stream(seed, &format!("node {name}"));
        let (vault, _) = Vault::create(Protection::None, &mut dice);
        let disk = SimDisk::new(vault.to_bytes(&mut dice).to_vec());
        Self {
            id,
            name: name.to_owned(),
            kind,
            reach,
            moved: 0,
            disk,
            engine: None,
            dice,
            boot: 0,
            booted_us: 0,
            clock_ahead_ms: 0,
            inbox: VecDeque::new(),
            topics: Vec::new(),
            run_at: None,
            tick_at: None,
            crashes_after: None,
            boundaries: 0,
            restless: 0,
        }
    }

    /// The same node with no process: what its machine keeps.
    #[must_use]
    pub fn stopped_copy(&self) -> Self {
        Self {
            name: self.name.clone(),
            disk: self.disk.clone(),
            engine: None,
            dice: self.dice.clone(),
            inbox: VecDeque::new(),
            topics: Vec::new(),
            run_at: None,
            tick_at: None,
            crashes_after: None,
            ..*self
        }
    }

    /// The process that runs, or ran last.
    #[must_use]
    pub fn process(&self) -> Process {
        Process { node: self.id, boot: self.boot }
    }

    /// What the daemon would be told to be.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings { name: self.name.clone(), kind: self.kind, carrier: self.reach == Reach::Anyone }
    }

    /// Both of its clocks.
    #[must_use]
    pub fn now(&self, world_us: u64) -> Now {
        let wall = i64::try_from(BEGINNING_MS + world_us / 1_000).expect("a world ends before the year 292 million");
        let wall = u64::try_from(wall.saturating_add(self.clock_ahead_ms)).unwrap_or(0);
        Now {
            wall: Timestamp::from_millis(wall),
            running: std::time::Duration::from_micros(world_us.saturating_sub(self.booted_us)),
        }
    }

    /// Where it can be dialled now.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        match self.reach {
            Reach::Nobody => Vec::new(),
            Reach::Anyone => {
                let host = format!("/ip4/10.0.{}.{}", self.id.0, self.moved % 250 + 1);
                vec![format!("{host}/udp/4433/quic-v1"), format!("{host}/tcp/4433")]
            }
        }
    }

    /// Its vault, opened anew from its disk.
    #[must_use]
    pub fn vault(&self) -> Vault {
        let locked = Vault::read(self.disk.vault()).expect("nobody but this node writes the file");
        locked.unlock_open().expect("it has no passphrase")
    }
}
