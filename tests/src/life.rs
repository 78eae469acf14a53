//! One run: some people and vendors live for a day or for weeks, in the weather of their seed, and in the end all lines are whole.
//!
//! The invariants hold all the time. At the end more must: both sides of each pair agree, what is lent is read as it is now, what was taken
//! back is gone at the other side, which said so, and then nobody says anything any more.

use std::{collections::BTreeMap, time::Duration};

use allod_protocol::{
    command::{Answer, Command, Direction, Mode, NodeKind, PeerState, Purge},
    grant::Ended,
    path::Selector,
    table::Key,
};

use crate::{
    action::{Action, Actors},
    dice::Dice,
    disk::{Refused, SimDisk},
    fault::Weather,
    invariant::{check_commits, check_home},
    mischief::Mischief,
    model::{Backup, Model, Span},
    network::{Lines, NodeId},
    node::Reach,
    world::World,
};

/// Frames that are kept to be played back.
const FRAMES_KEPT: usize = 400;
/// Steps of one node in ten quiet minutes.
const QUIET_STEPS_MAX: u64 = 400;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub simulated: Duration,
    pub steps: u64,
    pub actions: u64,
    pub faults: BTreeMap<&'static str, u64>,
    /// What watchers were told, by kind, and how often keys were changed.
    pub events: BTreeMap<&'static str, u64>,
    pub digest: [u8; 32],
}

/// A run under way.
pub struct Life {
    pub world: World,
    model: Model,
    dice: Dice,
    room_dice: Dice,
    weather: Weather,
    next_text: u64,
    pace: u32,
    villain: Option<NodeId>,
    /// The widest jump of a clock: what was signed then is true when its time has come.
    wrong_by_ms: u64,
    snapshots: BTreeMap<NodeId, SimDisk>,
    backups: BTreeMap<NodeId, Vec<Backup>>,
    actions: u64,
}

impl Life {
    /// The beginning of the run of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::stream(seed, "life");
        let mut world = World::seeded(seed);
        world.seen = Some(Vec::new());
        world.wiretap = Some(Vec::new());
        let most = if seed % 50 == 49 { 10 } else { 3 };
        let (persons, vendors) = (dice.between(1, most), dice.between(1, most));
        for number in 0..persons {
            let reach = if dice.below(2) == 0 { Reach::Anyone } else { Reach::Nobody };
            world.node(&format!("person {number}"), NodeKind::Person, reach);
        }
        for number in 0..vendors {
            world.node(&format!("vendor {number}"), NodeKind::Vendor, Reach::Anyone);
        }
        Self {
            world,
            model: Model::default(),
            dice,
            room_dice: Dice::stream(seed, "room"),
            weather: Weather::of(seed),
            next_text: 0,
            // One run in nine is of weeks, so that keys are changed in it.
            pace: if seed % 9 == 8 { 72 } else { 1 },
            villain: None,
            wrong_by_ms: 0,
            snapshots: BTreeMap::new(),
            backups: BTreeMap::new(),
            actions: 0,
        }
    }

    /// Lives the whole run.
    ///
    /// # Panics
    /// If something does not hold that must.
    pub fn live(&mut self) -> Report {
        self.meet();
        let actions = 140;
        self.world.network.lines = self.weather.lines;
        for number in 0..actions {
            let gap = self.pace * Duration::from_millis(self.dice.between(10, 1_200_000));
            let gap = if self.dice.below(3) == 0 { gap / 100 } else { gap };
            self.world.run_for(gap);
            self.trouble();
            self.act();
            if number % 12 == 0 {
                self.check_homes();
            }
        }
        self.calm_down();
        self.check_homes();
        self.check_agreement();
        self.check_quiet();
        Report {
            simulated: Duration::from_micros(self.world.now_us),
            steps: self.world.steps,
            actions: self.actions,
            faults: self.world.faults.clone(),
            events: self.events(),
            digest: self.world.trace.digest(),
        }
    }

    fn events(&self) -> BTreeMap<&'static str, u64> {
        let mut events: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (_, happening) in &self.world.happened {
            *events.entry(happening.event).or_default() += 1;
        }
        let changed = self.ids().into_iter().map(|id| self.world.key_changes(id)).sum();
        events.insert("keys changed", changed);
        events
    }

    fn actors(&mut self) -> Actors<'_> {
        Actors {
            world: &mut self.world,
            model: &mut self.model,
            dice: &mut self.dice,
            next_text: &mut self.next_text,
            pace: self.pace,
            cut_off: self.weather.cut_off,
        }
    }

    /// Persons pair with most vendors before the weather sets in.
    fn meet(&mut self) {
        let of_kind = |world: &World, kind| -> Vec<NodeId> {
            world.nodes.iter().filter(|node| node.kind == kind).map(|node| node.id).collect()
        };
        for person in of_kind(&self.world, NodeKind::Person) {
            for vendor in of_kind(&self.world, NodeKind::Vendor) {
                if self.dice.below(3) > 0 {
                    self.actors().pair(person, vendor);
                }
            }
        }
        self.world.settle();
    }

    fn act(&mut self) {
        let action = Action::draw(&mut self.dice);
        self.actions += 1;
        self.actors().act(action);
        check_commits(&mut self.world, &mut self.model);
        // Who crashed comes back some time later.
        for node in 0..self.world.nodes.len() {
            let id = NodeId(node);
            if !self.world.runs(id) && !self.world.starts_later(id) {
                let spell = Weather::spell(&mut self.dice);
                self.world.start_in(id, spell);
            }
        }
    }

    fn anyone(&mut self) -> NodeId {
        let count = u64::try_from(self.world.nodes.len()).expect("a small world");
        NodeId(usize::try_from(self.dice.below(count)).expect("a small world"))
    }

    /// What the weather brings before an action.
    fn trouble(&mut self) {
        let weather = self.weather.clone();
        let victim = self.anyone();
        if self.dice.happens(weather.crash) {
            let boundaries = self.dice.below(40);
            self.world.crash_after(victim, boundaries);
        }
        if self.dice.happens(weather.refused_commit) {
            let how = [Refused::Full, Refused::FailedAndLost, Refused::FailedAndKept];
            let how = *self.dice.pick(&how).expect("three ways");
            self.world.nodes[victim.0].disk.refuse_next(how);
            self.world.note_fault("refused commit");
        }
        if self.dice.happens(weather.stop) {
            self.world.stop(victim);
        }
        self.fill_and_empty_disks(weather.short_of_room);
        if self.dice.happens(weather.cut) {
            let other = self.anyone();
            if other != victim {
                self.world.cut(victim, other);
            }
        } else if !self.world.network.is_whole() && self.dice.below(4) == 0 {
            self.world.heal();
        }
        if self.dice.happens(weather.moves) && self.world.nodes[victim.0].reach == Reach::Anyone {
            self.world.move_away(victim);
        }
        if self.dice.happens(weather.clock) {
            let jump = i64::try_from(self.dice.below(2 * 10_800_000)).expect("hours") - 10_800_000;
            self.model.clock_was_set(victim);
            self.wrong_by_ms = self.wrong_by_ms.max(jump.unsigned_abs());
            self.world.note_fault("clock jump");
            self.world.set_clock_ahead(victim, jump);
        }
        for id in self.ids() {
            if self.world.nodes[id.0].clock_ahead_ms != 0 && self.dice.below(6) == 0 {
                self.world.set_clock_ahead(id, 0);
            }
        }
        if self.dice.happens(weather.replay) {
            self.play_back(victim);
        }
        if self.dice.happens(weather.rollback) {
            self.put_back(victim);
        }
        if self.dice.happens(weather.evil) {
            self.turn_evil(victim);
        }
        if weather.backup > 0 {
            if self.dice.happens(weather.backup) {
                self.back_up_or_restore(victim);
            }
            if self.dice.below(3) == 0 {
                self.resume(victim);
            }
        }
    }

    /// Some disk becomes nearly full, others get room again. It has dice of its own: lives that were kept stay what they were.
    fn fill_and_empty_disks(&mut self, chance: u32) {
        for id in self.ids() {
            if self.world.is_short_of_room(id) && self.room_dice.below(8) == 0 {
                self.world.room(id, false);
            }
        }
        if self.room_dice.happens(chance) {
            let victim = self.room_dice.pick(&self.ids()).copied().expect("a world is not empty");
            self.world.note_fault("disk nearly full");
            self.world.room(victim, true);
        }
    }

    /// A home is backed up, or lost and put back from one of its backups.
    fn back_up_or_restore(&mut self, victim: NodeId) {
        check_commits(&mut self.world, &mut self.model);
        let backups = self.backups.entry(victim).or_default();
        let Some(backup) = self.dice.pick(backups).cloned().filter(|_| self.dice.below(2) == 0) else {
            let now = Span { begun_us: self.world.now_us, done_us: self.world.now_us };
            self.model.look_at_grants(&self.world, victim, now);
            let backup = self.model.backup(&self.world, victim);
            self.backups.entry(victim).or_default().push(backup);
            self.world.note_fault("backup");
            return;
        };
        self.world.crash(victim);
        check_commits(&mut self.world, &mut self.model);
        self.world.restore(victim, backup.disk.clone());
        self.model.restored(&self.world, victim, &backup);
        self.world.start(victim);
    }

    /// A person says of each peer that what is lent to it goes on.
    fn resume(&mut self, node: NodeId) {
        if !self.world.runs(node) {
            return;
        }
        check_commits(&mut self.world, &mut self.model);
        for known in self.world.known_peers(node) {
            if known.state == PeerState::Restored && self.world.runs(node) {
                self.world.command(node, Command::Resume { peer: known.petname });
                self.world.note_fault("what a restore suspended goes on");
            }
        }
    }

    fn play_back(&mut self, victim: NodeId) {
        let Some(frames) = &mut self.world.wiretap else { return };
        if frames.len() > FRAMES_KEPT {
            frames.drain(..frames.len() - FRAMES_KEPT);
        }
        let Some(frame) = self.dice.pick(frames).cloned() else { return };
        let mut bytes = frame.bytes;
        if self.dice.below(2) == 0 && !bytes.is_empty() {
            let place = usize::try_from(self.dice.below(bytes.len() as u64)).expect("within a frame");
            bytes[place] ^= 1 << self.dice.below(8);
        }
        self.world.note_fault("replayed frame");
        let links = self.world.network.links_of(self.world.nodes[victim.0].process());
        match self.dice.pick(&links).copied() {
            Some(link) if self.dice.below(2) == 0 => {
                self.world.inject_over(victim, link, frame.channel, bytes);
            }
            _ => self.world.inject(victim, frame.channel, bytes),
        }
    }

    /// The one node of this run that is evil does something to another.
    fn turn_evil(&mut self, victim: NodeId) {
        let villain = *self.villain.get_or_insert(victim);
        if victim == villain || self.model.is_tampered(victim) {
            return;
        }
        check_commits(&mut self.world, &mut self.model);
        let kind = Mischief::draw(&mut self.dice);
        if kind.is_done(&mut self.world, &mut self.dice, villain, victim) {
            self.model.tampered(villain);
            check_commits(&mut self.world, &mut self.model);
            self.model.tampered(villain);
        }
    }

    /// A home is kept aside, or put back as it was then.
    fn put_back(&mut self, victim: NodeId) {
        match self.snapshots.remove(&victim) {
            None => {
                self.snapshots.insert(victim, self.world.nodes[victim.0].disk.clone());
            }
            Some(old) => {
                self.world.crash(victim);
                self.world.nodes[victim.0].disk = old;
                self.world.note_fault("home put back");
                check_commits(&mut self.world, &mut self.model);
                self.model.tampered(victim);
                self.world.start(victim);
            }
        }
    }

    fn ids(&self) -> Vec<NodeId> {
        self.world.nodes.iter().map(|node| node.id).collect()
    }

    fn check_homes(&mut self) {
        check_commits(&mut self.world, &mut self.model);
        for id in self.ids() {
            check_home(&self.world, &self.model, id);
        }
    }

    /// All faults end, and there is time for everything to arrive.
    fn calm_down(&mut self) {
        for id in self.ids() {
            self.world.room(id, false);
        }
        self.world.network.lines = Lines::CALM;
        self.world.heal();
        for id in self.ids() {
            if self.world.nodes[id.0].clock_ahead_ms != 0 {
                self.world.set_clock_ahead(id, 0);
            }
            self.world.nodes[id.0].disk.forgive();
            self.world.recover(id);
        }
        // What was signed ahead of time is taken in when its time has come.
        self.world.run_for(Duration::from_millis(self.wrong_by_ms) + Duration::from_secs(2_700));
        if self.weather.backup > 0 {
            for id in self.ids() {
                self.resume(id);
            }
            self.world.run_for(Duration::from_secs(2_700));
        }
        let span = Span { begun_us: self.world.now_us, done_us: self.world.now_us };
        for id in self.ids() {
            self.model.look_at_grants(&self.world, id, span);
        }
    }

    fn check_agreement(&mut self) {
        let mut honest = self.ids();
        honest.retain(|id| !self.model.is_tampered(*id));
        for id in &honest {
            match self.world.done(*id, Command::Verify { peer: None }) {
                Answer::Verified(view) => {
                    let known = self.world.known_peers(*id);
                    let bad: Vec<_> =
                        view.gaps.iter().filter(|(_, facts)| !self.is_of_tampered(facts, &known)).collect();
                    assert!(bad.is_empty(), "the logs of {} do not verify: {bad:?}", self.world.name(*id));
                }
                other => panic!("a check: {other:?}"),
            }
            for known in self.world.known_peers(*id) {
                let other = self.world.named(&known.calls_itself).expect("all peers are in this world");
                if self.model.is_tampered(other) {
                    continue;
                }
                let (name, peer) = (self.world.name(*id), self.world.name(other));
                assert_ne!(known.state, PeerState::Frozen, "{name} froze {peer}, and both are honest");
                let there = self.world.petname(other, *id).is_some();
                let meet = self.find_each_other(*id, other) && !self.wait_for_each_other(*id, other);
                if known.state == PeerState::Paired && there && meet {
                    assert_eq!(known.queued, 0, "{name} has entries that {peer} did not take in");
                }
            }
        }
        let grants: Vec<_> = self.model.grants.values().cloned().collect();
        for facts in grants {
            if !honest.contains(&facts.owner) || !honest.contains(&facts.peer) {
                continue;
            }
            self.check_grant(&facts);
        }
    }

    /// Whether one of two nodes can be dialled where the other believes it to be. If both moved before one could tell, they have lost each
    /// other until somebody tells one of them.
    fn find_each_other(&self, one: NodeId, other: NodeId) -> bool {
        let finds = |from: NodeId, to: NodeId| {
            let known = self.world.known_peers(from);
            let known = known.iter().find(|known| known.calls_itself == self.world.name(to));
            let now = self.world.nodes[to.0].addresses();
            known.is_some_and(|known| known.addresses.iter().any(|address| now.contains(address)))
        };
        finds(one, other) || finds(other, one)
    }

    /// Whether one of two nodes was put back and has not met the other since, with good reason: it knows only where the other was, and the other
    /// ended it, or is a vendor with nothing to say.
    fn wait_for_each_other(&self, one: NodeId, other: NodeId) -> bool {
        let known = |node: NodeId, of: NodeId| {
            let known = self.world.known_peers(node);
            known.into_iter().find(|known| known.calls_itself == self.world.name(of))
        };
        let finds = |node: NodeId, to: NodeId| {
            let addresses = self.world.nodes[to.0].addresses();
            known(node, to).is_some_and(|known| known.addresses.iter().any(|address| addresses.contains(address)))
        };
        let mut waits = false;
        for (back, away) in [(one, other), (other, one)] {
            if known(back, away).is_some_and(|known| known.waits) {
                waits = true;
                // Its own backup may be from before they met.
                let there = known(away, back).filter(|known| known.state != PeerState::Pending);
                let Some(there) = there else { continue };
                let ended = there.state == PeerState::Closed;
                let calls = self.world.nodes[away.0].kind == NodeKind::Person && finds(away, back);
                let (back_name, name) = (self.world.name(back), self.world.name(away));
                assert!(!finds(back, away), "{back_name} was put back, finds {name} and has not met it since");
                assert!(ended || !calls, "{name} finds {back_name}, which was put back, and has not met it since");
            }
        }
        waits
    }

    fn is_of_tampered(&self, facts: &[(&str, String)], known: &[crate::inspect::Known]) -> bool {
        let peer = facts.iter().find(|(name, _)| *name == "peer").map(|(_, peer)| peer);
        let known = known.iter().find(|known| Some(&known.petname) == peer);
        known.and_then(|known| self.world.named(&known.calls_itself)).is_some_and(|id| self.model.is_tampered(id))
    }

    /// Both sides of a grant hold what they should.
    fn check_grant(&mut self, facts: &crate::model::GrantFacts) {
        let (owner, peer) = (self.world.name(facts.owner).to_owned(), self.world.name(facts.peer).to_owned());
        let given = self.world.stored_grants(facts.owner, Direction::Given);
        let at_peer = self.world.petname(facts.peer, facts.owner);
        let known = self.world.known_peers(facts.owner);
        let known = known.iter().find(|known| known.calls_itself == peer);
        let closed = known.is_some_and(|known| known.state != PeerState::Paired);
        let at_owner = self.world.petname(facts.owner, facts.peer);
        if at_peer.is_none() || at_owner.is_none() || !self.find_each_other(facts.owner, facts.peer) {
            return;
        }
        if self.wait_for_each_other(facts.owner, facts.peer) {
            return;
        }
        let given = given.iter().find(|row| row.id == facts.id);
        for (place, selector) in facts.selectors.iter().enumerate() {
            let place = u16::try_from(place).expect("few");
            let cells = self.world.inspect(facts.peer, |tx| {
                tx.scan_raw(&Key::cells_of(facts.id, place), None, usize::MAX).map_or(0, |rows| rows.len())
            });
            let Some(given) = given else {
                assert!(facts.lost, "looked at in every home");
                assert_eq!(cells, 0, "{peer} kept {selector}, which {owner} had lent in a home that was lost");
                continue;
            };
            if self.model.gone_for_good.contains(&(facts.id, place)) {
                let gone = given.selectors[usize::from(place)].taken_back.is_some() || given.ended.is_some();
                assert!(gone, "I2: {owner} was put back, and lends {selector} again, which {peer} had said is gone");
            }
            let over = given.ended.is_some() || given.selectors[usize::from(place)].taken_back.is_some();
            if over {
                let revoked = !matches!(given.ended, Some(Ended::Expired { .. }));
                assert!(!revoked || cells == 0, "{peer} kept {cells} cells of {selector}, which {owner} took back");
            } else if facts.mode == Mode::Follow && given.is_active(self.world.wall(facts.owner)) && !closed {
                self.check_followed(facts.owner, facts.peer, selector, cells);
            }
        }
        if let Some(given) = given.filter(|given| matches!(given.ended, Some(Ended::Revoked { .. }))) {
            assert_eq!(given.purge, Purge::Confirmed, "{owner} never heard that {peer} purged {}", facts.id);
        }
    }

    fn check_followed(&mut self, owner: NodeId, peer: NodeId, selector: &Selector, cells: usize) {
        let (name, reader) = (self.world.name(owner), self.world.name(peer));
        match selector {
            Selector::Field(path) => {
                let own = self.world.stored_value(owner, path).map(|(text, _)| text);
                assert_eq!(cells, usize::from(own.is_some()), "{reader} does not have {path} of {name} as it is");
                // What was lent once stays readable when it is there no more.
                if own.is_some() {
                    let read = self.world.peek(peer, owner, &path.to_string());
                    assert_eq!(read, own, "{reader} does not read {path} of {name} as it is");
                }
            }
            Selector::Column { kind, field } => {
                let has = |id: &allod_protocol::path::RecordId| {
                    let record = allod_protocol::path::RecordPath { kind: kind.clone(), id: id.clone() };
                    self.world.stored_value(owner, &record.field(field.clone()))
                };
                let there = self.model.record_ids(owner, kind).iter().filter(|id| has(id).is_some()).count();
                assert_eq!(cells, there, "{reader} does not have {selector} of {name} as it is");
            }
        }
    }

    /// Nobody says anything any more, or only what keeps a lease alive.
    fn check_quiet(&mut self) {
        let before = self.world.steps;
        self.world.run_for(Duration::from_secs(600));
        let steps = self.world.steps - before;
        let nodes = u64::try_from(self.world.nodes.len()).expect("a small world");
        assert!(steps <= QUIET_STEPS_MAX * nodes, "{steps} steps in ten minutes in which nothing happened");
    }
}
