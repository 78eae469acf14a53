//! What people and vendors do in a life: each action is a command or a few, and the model is told what came of it.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, AskState, Command, Direction, ImportItem, Lending, Mode, PairingStage, WordsAre},
    path::{FieldPath, Path, Selector},
    purpose::Purpose,
    refusal::Refusal,
    value::Value,
};

use crate::{
    dice::Dice,
    invariant,
    model::{Acknowledged, Model, Span},
    network::NodeId,
    story::{all, set, text_of},
    world::{Came, World},
};

/// Fields that people keep, and lend one by one.
const FIELDS: [&str; 6] = [
    "contact/me/city",
    "contact/me/street",
    "contact/me/email",
    "contact/me/phone",
    "identity/me/name",
    "preference/me/size",
];
/// Columns that people lend whole.
const COLUMNS: [&str; 3] = ["transaction/*/amount", "transaction/*/payee", "consumption/*/amount"];
/// How many records of a kind a node has at most.
const RECORDS: u64 = 40;
/// A live read past this long after its grant was taken back is a fault.
const LIVE_READ_US: u64 = 60_000_000;
/// How far clocks that are right may be apart, with the time that an answer takes.
const SLACK_US: u64 = 180_000_000;

/// What can be done, each with how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Set,
    SetRecord,
    Import,
    Remove,
    Grant,
    GrantColumn,
    Revoke,
    RevokeField,
    Read,
    Ask,
    AnswerAsk,
    Pair,
    Forget,
}

impl Action {
    const WEIGHTS: [(Action, u64); 13] = [
        (Self::Set, 24),
        (Self::SetRecord, 16),
        (Self::Import, 2),
        (Self::Remove, 5),
        (Self::Grant, 12),
        (Self::GrantColumn, 4),
        (Self::Revoke, 8),
        (Self::RevokeField, 6),
        (Self::Read, 20),
        (Self::Ask, 4),
        (Self::AnswerAsk, 6),
        (Self::Pair, 3),
        (Self::Forget, 1),
    ];

    /// One of them.
    pub fn draw(dice: &mut Dice) -> Self {
        let whole: u64 = Self::WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = dice.below(whole);
        for (action, weight) in Self::WEIGHTS {
            if left < weight {
                return action;
            }
            left -= weight;
        }
        Self::Read
    }
}

/// Those who act.
pub struct Actors<'a> {
    pub world: &'a mut World,
    pub model: &'a mut Model,
    pub dice: &'a mut Dice,
    /// The number of the next text: no two are alike.
    pub next_text: &'a mut u64,
    /// How much longer than in a run of a day leases and grants last.
    pub pace: u32,
    /// How often a long job is cut off, out of a million.
    pub cut_off: u32,
}

/// What came of a command, and from when to when.
struct Done {
    answer: Option<Result<Answer, Refusal>>,
    span: Span,
}

impl Done {
    fn acknowledged(&self) -> Acknowledged {
        if matches!(self.answer, Some(Ok(_))) { Acknowledged::Yes } else { Acknowledged::Perhaps }
    }
}

impl Actors<'_> {
    /// Does one thing.
    pub fn act(&mut self, action: Action) {
        let Some(actor) = self.someone() else { return };
        match action {
            Action::Set => self.set(actor),
            Action::SetRecord => self.set_record(actor),
            Action::Import => self.import(actor),
            Action::Remove => self.remove(actor),
            Action::Grant => self.grant(actor, false),
            Action::GrantColumn => self.grant(actor, true),
            Action::Revoke => self.revoke(actor),
            Action::RevokeField => self.revoke_field(actor),
            Action::Read => self.read(actor),
            Action::Ask => self.ask(actor),
            Action::AnswerAsk => self.answer_ask(actor),
            Action::Pair => self.pair_strangers(actor),
            Action::Forget => self.forget(actor),
        }
    }

    fn someone(&mut self) -> Option<NodeId> {
        let running: Vec<NodeId> =
            self.world.nodes.iter().filter(|node| node.engine.is_some()).map(|node| node.id).collect();
        self.dice.pick(&running).copied()
    }

    /// Something long is begun, and the node may lose power in the middle of it.
    fn long_job(&mut self, kind: &'static str, node: NodeId, command: Command) -> Done {
        if !self.dice.happens(self.cut_off) {
            return self.command(node, command);
        }
        let boundaries = self.dice.below(12);
        self.world.crash_after(node, boundaries);
        let done = self.command(node, command);
        self.world.run_for(Duration::from_millis(200));
        if !self.world.runs(node) {
            self.world.note_fault(kind);
        }
        done
    }

    fn command(&mut self, node: NodeId, command: Command) -> Done {
        let begun_us = self.world.now_us;
        let answer = match self.world.command(node, command) {
            Came::Answer(outcome) => Some(outcome),
            Came::NodeStopped => None,
            Came::Nothing => panic!("{} did not answer in a minute", self.world.name(node)),
        };
        Done { answer, span: Span { begun_us, done_us: self.world.now_us } }
    }

    fn say(&mut self, words: impl FnOnce(&World) -> String) {
        if self.world.trace.is_read() {
            let words = words(self.world);
            self.world.trace.say(self.world.now_us, || format!("* {words}"));
        }
    }

    fn text(&mut self) -> String {
        *self.next_text += 1;
        let long = if self.dice.below(40) == 0 { self.dice.between(2_000, 60_000) } else { self.dice.between(0, 30) };
        format!("text {} {}", *self.next_text, "x".repeat(usize::try_from(long).expect("a short text")))
    }

    fn selectors(&mut self, columns: bool) -> Vec<Selector> {
        let from: &[&str] = if columns { &COLUMNS } else { &FIELDS };
        let mut chosen: Vec<&str> = Vec::new();
        for _ in 0..self.dice.between(1, 3) {
            if let Some(one) = self.dice.pick(from)
                && !chosen.contains(one)
            {
                chosen.push(one);
            }
        }
        chosen.into_iter().map(|selector| selector.parse().expect("a selector")).collect()
    }

    /// Somebody whom a node knows, and what it calls them.
    fn peer(&mut self, node: NodeId) -> Option<(NodeId, String)> {
        let known = self.world.known_peers(node);
        let known = self.dice.pick(&known)?;
        Some((self.world.named(&known.calls_itself)?, known.petname.clone()))
    }

    // Records.

    fn write(&mut self, node: NodeId, path: &str) {
        let text = self.text();
        let wall = self.world.wall(node);
        self.say(|world| format!("{} writes {path}", world.name(node)));
        let done = self.command(node, set(path, &text));
        let path: FieldPath = path.parse().expect("a field path");
        self.model.wrote(self.world, node, &path, &text, done.span, wall, done.acknowledged());
    }

    fn set(&mut self, node: NodeId) {
        if let Some(path) = self.dice.pick(&FIELDS) {
            self.write(node, path);
        }
    }

    fn set_record(&mut self, node: NodeId) {
        let record = self.dice.below(RECORDS);
        if let Some(column) = self.dice.pick(&COLUMNS) {
            self.write(node, &column.replace('*', &format!("r{record}")));
        }
    }

    fn import(&mut self, node: NodeId) {
        let count = self.dice.between(2, RECORDS);
        let wall = self.world.wall(node);
        let mut wrote = Vec::new();
        let items: Vec<ImportItem> = (0..count)
            .map(|record| {
                let text = self.text();
                let path: FieldPath = format!("transaction/r{record}/amount").parse().expect("a field path");
                wrote.push((path.clone(), text.clone()));
                ImportItem { record: path.record, fields: vec![(path.field, Value::text(text))] }
            })
            .collect();
        self.say(|world| format!("{} imports {count} records", world.name(node)));
        let command = Command::Import { items, source: "bank.csv".to_owned(), dry_run: false };
        let done = self.long_job("import cut off", node, command);
        for (path, text) in wrote {
            self.model.wrote(self.world, node, &path, &text, done.span, wall, done.acknowledged());
        }
    }

    fn remove(&mut self, node: NodeId) {
        let there: Vec<FieldPath> =
            self.model.present(node).filter(|(_, present)| present.is_some()).map(|(path, _)| path.clone()).collect();
        let Some(path) = self.dice.pick(&there).cloned() else { return };
        let whole = self.dice.below(3) == 0;
        self.say(|world| {
            format!("{} removes {}", world.name(node), if whole { path.record.to_string() } else { path.to_string() })
        });
        let command = if whole { Path::Record(path.record.clone()) } else { Path::Field(path.clone()) };
        let done = self.long_job("removal and rotation cut off", node, Command::Remove { path: command });
        for other in there.iter().filter(|other| **other == path || (whole && other.record == path.record)) {
            self.model.removed(self.world, node, other, done.acknowledged());
        }
    }

    // Lending.

    fn grant(&mut self, owner: NodeId, columns: bool) {
        let Some((peer, petname)) = self.peer(owner) else { return };
        let mut selectors = self.selectors(columns);
        if !columns {
            selectors.retain(|selector| match selector {
                Selector::Field(path) => self.world.stored_value(owner, path).is_some(),
                Selector::Column { .. } => true,
            });
        }
        let mode = match self.dice.below(6) {
            0 => Mode::Once,
            1 => Mode::Reference,
            _ => Mode::Follow,
        };
        let until = (self.dice.below(4) == 0)
            .then(|| self.world.wall(owner).after(self.pace * Duration::from_secs(self.dice.between(30, 20_000))));
        let lease = (mode == Mode::Follow && self.dice.below(2) == 0)
            .then(|| self.pace * Duration::from_secs(self.dice.between(120, 20_000)));
        self.say(|world| {
            format!("{} lends {} to {} as {}", world.name(owner), named(&selectors), world.name(peer), mode.as_str())
        });
        let lending = Lending { peer: petname, selectors, purpose: purpose(), until, mode };
        let command = Command::Grant { lending, lease };
        let done = if columns {
            self.long_job("lending of a column cut off", owner, command)
        } else {
            self.command(owner, command)
        };
        self.gave(owner, &done);
    }

    fn gave(&mut self, owner: NodeId, done: &Done) {
        self.model.look_at_grants(self.world, owner, done.span);
        if let Some(Ok(Answer::Granted(view))) = &done.answer {
            let known = self.model.grants.keys().any(|id| id.to_string() == view.grant);
            assert!(known || self.model.is_tampered(owner), "I5: {} was acknowledged and is not there", view.grant);
        }
    }

    fn revoke(&mut self, owner: NodeId) {
        let given = self.world.stored_grants(owner, Direction::Given);
        let active: Vec<_> = given.iter().filter(|grant| grant.ended.is_none()).collect();
        let Some(grant) = self.dice.pick(&active) else { return };
        let id = grant.id;
        self.say(|world| format!("{} takes back {id}", world.name(owner)));
        let done = self.command(owner, Command::RevokeGrant { grant: id.long() });
        self.took_back(owner, &done);
        if matches!(done.answer, Some(Ok(_))) && !self.model.is_tampered(owner) {
            let stands = self.model.grants[&id].taken.iter().all(Option::is_some);
            assert!(stands, "I2: the revocation of {id} was acknowledged and does not stand");
        }
    }

    fn took_back(&mut self, owner: NodeId, done: &Done) {
        self.model.look_at_grants(self.world, owner, done.span);
    }

    fn revoke_field(&mut self, owner: NodeId) {
        let Some((peer, petname)) = self.peer(owner) else { return };
        let columns = self.dice.below(4) == 0;
        let selectors = self.selectors(columns);
        self.say(|world| format!("{} takes back {} from {}", world.name(owner), named(&selectors), world.name(peer)));
        let done = self.command(owner, Command::RevokePeer { peer: petname, selectors });
        self.took_back(owner, &done);
    }

    fn ask(&mut self, vendor: NodeId) {
        let Some((peer, petname)) = self.peer(vendor) else { return };
        let selectors = self.selectors(false);
        self.say(|world| format!("{} asks {} for {}", world.name(vendor), world.name(peer), named(&selectors)));
        let lending = Lending { peer: petname, selectors, purpose: purpose(), until: None, mode: Mode::Follow };
        self.command(vendor, Command::Ask { lending, optional: Vec::new(), reason: None, benefit: None });
    }

    fn answer_ask(&mut self, person: NodeId) {
        let done = self.command(person, Command::Asks { direction: Some(Direction::Given), page: all() });
        let Some(Ok(Answer::Asks(asks))) = done.answer else { return };
        let open: Vec<_> = asks.items.into_iter().filter(|ask| ask.state == AskState::Open).collect();
        let Some(ask) = self.dice.pick(&open).cloned() else { return };
        let command = match self.dice.below(3) {
            0 => Command::DeclineAsk { ask: ask.ask.clone(), reason: None },
            1 => Command::AnswerAsk { ask: ask.ask.clone(), only: vec![ask.selectors[0].0.clone()], until: None },
            _ => Command::AnswerAsk { ask: ask.ask.clone(), only: Vec::new(), until: None },
        };
        self.say(|world| format!("{} answers the ask {}", world.name(person), ask.ask));
        let done = self.command(person, command);
        self.gave(person, &done);
    }

    // Reading.

    fn read(&mut self, reader: NodeId) {
        let held = self.world.stored_grants(reader, Direction::Held);
        let Some(grant) = self.dice.pick(&held).cloned() else { return };
        let Some(facts) = self.model.grants.get(&grant.id).cloned() else { return };
        let Some(petname) = self.world.petname(reader, facts.owner) else { return };
        let Some(lent) = self.dice.pick(&grant.selectors) else { return };
        let (path, of) = match lent.selector.clone() {
            Selector::Field(path) => (path.to_string(), path),
            Selector::Column { kind, field } => {
                let from = Some(petname.clone());
                let list = Command::List { kind: Some(kind.clone()), record: None, from, page: all() };
                let Some(Ok(Answer::Records(listing))) = self.command(reader, list).answer else { return };
                let Some(record) = self.dice.pick(&listing.items).map(|item| item.id.clone()) else { return };
                let pseudonym = record.split('/').nth(1).unwrap_or_default().to_owned();
                invariant::check_commits(self.world, self.model);
                let Some(known) = self.model.pseudonyms.get(&(reader, pseudonym)) else { return };
                (format!("{record}/{field}"), known.field(field))
            }
        };
        self.say(|world| format!("{} reads {of} of {}", world.name(reader), world.name(facts.owner)));
        let get = Command::Get { paths: vec![path.parse().expect("a path")], from: Some(petname) };
        let done = self.command(reader, get);
        if let Some(Ok(Answer::Fields(fields))) = &done.answer {
            self.check_read(reader, facts.owner, &of, &text_of(&fields[0].value), done.span);
        }
    }

    /// What was read is what its owner wrote, and was lent when it was read, but for a lease.
    fn check_read(&mut self, reader: NodeId, owner: NodeId, path: &FieldPath, text: &str, span: Span) {
        if [reader, owner].iter().any(|node| self.model.is_tampered(*node)) {
            return;
        }
        let name = self.world.name(reader);
        let wrote = self.model.ever_had(owner, path, text);
        assert!(wrote, "I5: {name} reads of {path} what its owner never wrote");
        let right_time = [reader, owner].iter().all(|node| self.model.had_the_right_time(*node));
        let lent =
            self.model.grants.values().filter(|facts| facts.owner == owner && facts.peer == reader).any(|facts| {
                facts.selectors.iter().zip(&facts.taken).filter(|(selector, _)| selector.covers(path)).any(
                    |(_, taken)| {
                        let Some(taken) = taken else { return true };
                        let still = match facts.mode {
                            Mode::Follow => facts.lease_us.filter(|_| right_time).map(|lease| lease + SLACK_US),
                            // Lent to its end: a reader that hears nothing reads on.
                            Mode::Once => None,
                            Mode::Reference => Some(LIVE_READ_US),
                        };
                        still.is_none_or(|still| span.begun_us <= taken.done_us.saturating_add(still))
                    },
                )
            });
        assert!(lent, "I1: {name} reads {path}, which was taken back long ago");
    }

    // Pairing.

    fn pair_strangers(&mut self, node: NodeId) {
        let strangers: Vec<NodeId> = self
            .world
            .nodes
            .iter()
            .filter(|other| other.id != node && other.engine.is_some())
            .filter(|other| other.kind != self.world.nodes[node.0].kind)
            .map(|other| other.id)
            .filter(|other| self.world.petname(node, *other).is_none() && self.world.petname(*other, node).is_none())
            .collect();
        if let Some(other) = self.dice.pick(&strangers).copied() {
            self.pair(node, other);
        }
    }

    /// Two people pair their nodes, as far as it goes.
    pub fn pair(&mut self, one: NodeId, other: NodeId) {
        let reachable = |node: NodeId, world: &World| !world.nodes[node.0].addresses().is_empty();
        let (inviter, scanner) = if reachable(one, self.world) { (one, other) } else { (other, one) };
        self.say(|world| format!("{} pairs with {}", world.name(inviter), world.name(scanner)));
        let done = self.command(inviter, Command::Invite { lifetime: Duration::from_secs(120) });
        let Some(Ok(Answer::Invited { id: invited, text, .. })) = done.answer else { return };
        let done = self.command(scanner, Command::Accept { text, petname: None });
        let Some(Ok(Answer::Pairing(view))) = done.answer else { return };
        if view.stage != PairingStage::Comparing {
            return;
        }
        for (node, id) in [(inviter, invited), (scanner, view.id)] {
            self.command(node, Command::Confirm { id, words: WordsAre::TheSame });
        }
    }

    fn forget(&mut self, node: NodeId) {
        let Some((peer, petname)) = self.peer(node) else { return };
        self.say(|world| format!("{} forgets {}", world.name(node), world.name(peer)));
        let done = self.long_job("forgetting cut off", node, Command::Forget { peer: petname });
        self.took_back(node, &done);
    }
}

fn named(selectors: &[Selector]) -> String {
    selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn purpose() -> Purpose {
    Purpose::parse("DeliveryOfGoods").expect("a known purpose")
}
