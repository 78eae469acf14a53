//! Two engines, paired, and whatever the bytes make of them: lend, change, read, take back, crash, and messages that nobody sent, or somebody
//! sent before and with other bytes. What was never lent is never read, and a later value is not read after a revocation was said to be done.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Mode},
    effect::Channel,
};

use crate::{
    network::NodeId,
    story::{Terms, set, text_of},
    world::{Came, Stopped, World},
};

/// Steps of one input: a run stays well under a second.
const STEPS_MAX: usize = 24;
const LENT: &str = "contact/me/city";
const KEPT: &str = "contact/me/street";

/// The bytes, from the front.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self) -> &'a [u8] {
        let wanted = usize::from(self.byte().unwrap_or(0)) * 4;
        let (taken, rest) = self.0.split_at(wanted.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Both nodes, and what the person did.
struct Play {
    world: World,
    person: NodeId,
    vendor: NodeId,
    /// The grant that stands.
    grant: Option<String>,
    /// A grant may stand that nobody was told of, since the node stopped before it answered.
    unsure: bool,
    /// How often the city changed.
    changes: u32,
    /// The last city that the vendor may know: none while it may know all.
    last: Option<u32>,
}

impl Play {
    fn new() -> Self {
        thread_local! {
            /// The two as they were left after they had paired, which takes longer than what most inputs do with them.
            static PAIRED: (World, NodeId, NodeId) = {
                let mut world = World::seeded(7);
                let (person, vendor) = world.paired("alice", "shop");
                world.set(person, KEPT, "KEPT");
                world.set(person, LENT, "city 0");
                world.settle();
                (world.stopped_copy(), person, vendor)
            };
        }
        let (mut world, person, vendor) =
            PAIRED.with(|(world, person, vendor)| (world.stopped_copy(), *person, *vendor));
        world.wiretap = Some(Vec::new());
        world.start(person);
        world.start(vendor);
        Self { world, person, vendor, grant: None, unsure: false, changes: 0, last: Some(0) }
    }

    fn lend(&mut self, what: u8) {
        if self.grant.is_some() {
            return;
        }
        let terms = Terms {
            mode: if what & 0x10 == 0 { Mode::Follow } else { Mode::Reference },
            lease: (what & 0x20 != 0).then_some(Duration::from_secs(10)),
            until: (what & 0x40 != 0).then_some(Duration::from_secs(3_600)),
        };
        let command = self.world.grant_command(self.person, self.vendor, &[LENT], &terms);
        self.last = None;
        match self.world.command(self.person, command) {
            Came::Answer(Ok(Answer::Granted(view))) => self.grant = Some(view.grant),
            Came::Answer(_) => {}
            Came::NodeStopped | Came::Nothing => self.unsure = true,
        }
    }

    fn take_back(&mut self, what: u8) {
        let peer = self.world.name(self.vendor).to_owned();
        let all = Command::RevokePeer { peer, selectors: vec![LENT.parse().expect("a selector")] };
        let command = match self.grant.take() {
            Some(grant) if what & 0x10 == 0 && !self.unsure => Command::RevokeGrant { grant },
            None if !self.unsure => return,
            _ => all,
        };
        match self.world.command(self.person, command) {
            Came::Answer(Ok(_)) => {
                self.unsure = false;
                self.last = Some(self.changes);
            }
            _ => self.unsure = true,
        }
    }

    fn read(&mut self) {
        for path in [LENT, KEPT] {
            let command = self.world.get_command(self.person, path);
            let Came::Answer(Ok(Answer::Fields(fields))) = self.world.command(self.vendor, command) else { continue };
            for field in fields {
                let text = text_of(&field.value);
                assert_ne!(path, KEPT, "what was never lent is read: {text}");
                let change: u32 = text.trim_start_matches("city ").parse().expect("a city of ours");
                assert!(self.last.is_none_or(|last| change <= last), "{text} is later than what was lent");
            }
        }
    }

    fn verify(&mut self, node: NodeId) {
        if let Came::Answer(Ok(Answer::Verified(view))) = self.world.command(node, Command::Verify { peer: None }) {
            assert!(view.ok, "the logs of {} do not hold together: {:?}", self.world.name(node), view.gaps);
        }
    }

    fn step(&mut self, what: u8, script: &mut Script<'_>) {
        let node = if what & 0x80 == 0 { self.person } else { self.vendor };
        match what & 0x0f {
            0 => self.lend(what),
            1 => self.take_back(what),
            2 if what & 0x10 != 0 => {
                let command = Command::Remove { path: LENT.parse().expect("a path") };
                let _ = self.world.command(self.person, command);
            }
            2 => {
                self.changes += 1;
                let text = format!("city {}", self.changes);
                let _ = self.world.command(self.person, set(LENT, &text));
            }
            3 => self.read(),
            4 => self.world.run_for(Duration::from_secs(u64::from(script.byte().unwrap_or(1)))),
            5 => {
                self.world.crash(node);
                self.world.start(node);
            }
            6 => self.world.cut(self.person, self.vendor),
            7 if what & 0x10 != 0 => self.verify(node),
            7 => self.world.heal(),
            8 => self.world.set_clock_ahead(node, i64::from(script.byte().unwrap_or(0)) * 3_600_000),
            9 => self.world.crash_after(node, u64::from(script.byte().unwrap_or(0))),
            // What was on the line before, with one byte changed or none.
            10 | 11 => {
                let (which, place) = (script.byte().unwrap_or(0), script.byte().unwrap_or(0));
                let change = script.byte().unwrap_or(0);
                let frames = self.world.wiretap.as_ref().map_or(0, Vec::len);
                if frames == 0 {
                    return;
                }
                let mut frame = self.world.wiretap.as_ref().expect("it listens")[usize::from(which) % frames].clone();
                let at = usize::from(place) * frame.bytes.len() / 256;
                if let Some(byte) = frame.bytes.get_mut(at) {
                    *byte ^= change;
                }
                self.send(frame.to, what & 1 == 1, frame.channel, frame.bytes);
            }
            other => {
                let channel = if other & 1 == 0 { Channel::Pair } else { Channel::Session };
                self.send(node, what & 0x40 != 0, channel, script.bytes().to_vec());
            }
        }
        if self.world.nodes[self.person.0].engine.is_none() && !self.world.starts_later(self.person) {
            self.world.start(self.person);
        }
        if self.world.nodes[self.vendor.0].engine.is_none() && !self.world.starts_later(self.vendor) {
            self.world.start(self.vendor);
        }
    }

    /// Over a link of its own, or over one that the two have.
    fn send(&mut self, to: NodeId, over_theirs: bool, channel: Channel, bytes: Vec<u8>) {
        let process = self.world.nodes[to.0].process();
        match self.world.network.links_of(process).first() {
            Some(link) if over_theirs => {
                self.world.inject_over(to, *link, channel, bytes);
            }
            _ => self.world.inject(to, channel, bytes),
        }
        self.world.run_for(Duration::from_millis(200));
    }
}

/// Drives them.
pub fn engines(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut play = Play::new();
    for _ in 0..STEPS_MAX {
        let Some(what) = script.byte() else { break };
        play.step(what, &mut script);
    }
    play.world.heal();
    play.world.settle();
    play.read();
    play.verify(play.person);
    play.verify(play.vendor);
    let fault = play.world.stops.iter().find(|(_, stopped)| matches!(stopped, Stopped::Fault(_)));
    assert!(fault.is_none(), "an engine stopped: {fault:?}");
}
