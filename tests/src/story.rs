//! What people do in a world, in whole sentences.
//!
//! Each sentence waits for its answer and fails the test with plain words if it is not the one that was to be expected; the `_refused` ones
//! return why something was not done.

use std::time::Duration;

use allod_protocol::{
    command::{
        Answer, AskView, Command, Direction, FieldView, GrantView, GrantedView, Input, Lending, Mode, NodeKind, Page,
        PairingStage, PairingView, PeerView, RevokedView, SetItem, UsedView, WordsAre,
    },
    id::InvitationId,
    path::{Path, Selector},
    purpose::Purpose,
    refusal::{Code, Refusal},
    time::Timestamp,
    value::Value,
};

use crate::{
    disk::SimDisk,
    network::NodeId,
    node::Reach,
    world::{Came, World},
};

/// How something is lent, where a test cares.
#[derive(Clone, Debug)]
pub struct Terms {
    pub mode: Mode,
    pub until: Option<Duration>,
    pub lease: Option<Duration>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { mode: Mode::Follow, until: None, lease: None }
    }
}

impl World {
    /// A person whose node can be dialled.
    pub fn person(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Person, Reach::Anyone)
    }

    /// A person whose node can't be dialled.
    pub fn person_behind_nat(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Person, Reach::Nobody)
    }

    /// A vendor.
    pub fn vendor(&mut self, name: &str) -> NodeId {
        self.node(name, NodeKind::Vendor, Reach::Anyone)
    }

    /// A person and a vendor who are paired and call each other by their names.
    pub fn paired(&mut self, person: &str, vendor: &str) -> (NodeId, NodeId) {
        let (person, vendor) = (self.person(person), self.vendor(vendor));
        self.pair(person, vendor);
        (person, vendor)
    }

    /// What came of a command that must be answered.
    ///
    /// # Panics
    /// If the node stopped or said nothing.
    pub fn outcome(&mut self, node: NodeId, command: Command) -> Result<Answer, Refusal> {
        let words = format!("{command:?}");
        match self.command(node, command) {
            Came::Answer(outcome) => outcome,
            came => panic!("seed {}: {} was told {words} and did not answer: {came:?}", self.seed, self.name(node)),
        }
    }

    /// The answer to a command that must be done.
    ///
    /// # Panics
    /// If it was refused.
    pub fn done(&mut self, node: NodeId, command: Command) -> Answer {
        let words = format!("{command:?}");
        match self.outcome(node, command) {
            Ok(answer) => answer,
            Err(refusal) => panic!("seed {}: {} refused {words}: {refusal:?}", self.seed, self.name(node)),
        }
    }

    // Pairing.

    /// Pairs two nodes; both people find the words the same.
    pub fn pair(&mut self, inviter: NodeId, scanner: NodeId) {
        let (inviter, scanner) = match self.nodes[inviter.0].reach {
            Reach::Anyone => (inviter, scanner),
            Reach::Nobody => (scanner, inviter),
        };
        let (invited, text) = self.invitation(inviter);
        let scanned = self.accepted(scanner, &text);
        let shown = self.pairing(inviter, invited, PairingStage::Open);
        assert_eq!(shown.stage, PairingStage::Comparing, "{:?}", shown.ended);
        assert_eq!(shown.words, scanned.words);
        for (node, id) in [(inviter, invited), (scanner, scanned.id)] {
            self.done(node, Command::Confirm { id, words: WordsAre::TheSame });
        }
        for (node, id) in [(inviter, invited), (scanner, scanned.id)] {
            let view = self.pairing(node, id, PairingStage::Waiting);
            assert_eq!(view.stage, PairingStage::Paired, "{}: {:?}", self.name(node), view.ended);
        }
    }

    /// An open invitation: its id and text.
    pub fn invitation(&mut self, inviter: NodeId) -> (InvitationId, String) {
        match self.done(inviter, Command::Invite { lifetime: Duration::from_secs(120) }) {
            Answer::Invited { id, text, .. } => (id, text),
            other => panic!("an invitation: {other:?}"),
        }
    }

    /// Accepts an invitation, and waits for the words.
    pub fn accepted(&mut self, scanner: NodeId, text: &str) -> PairingView {
        match self.done(scanner, Command::Accept { text: text.to_owned(), petname: None }) {
            Answer::Pairing(view) => view,
            other => panic!("a pairing: {other:?}"),
        }
    }

    /// Where a pairing stands once it is past `seen`.
    pub fn pairing(&mut self, node: NodeId, id: InvitationId, seen: PairingStage) -> PairingView {
        match self.done(node, Command::AwaitPairing { id, seen }) {
            Answer::Pairing(view) => view,
            other => panic!("a pairing: {other:?}"),
        }
    }

    /// What one node knows of another.
    pub fn peer(&mut self, node: NodeId, other: NodeId) -> PeerView {
        let name = self.name(other).to_owned();
        match self.done(node, Command::Peer { name }) {
            Answer::Peer(view) => *view,
            answer => panic!("a peer: {answer:?}"),
        }
    }

    /// Ends a relationship.
    pub fn forget(&mut self, node: NodeId, other: NodeId) {
        let peer = self.name(other).to_owned();
        self.done(node, Command::Forget { peer });
    }

    /// Says after a restore that what is lent to a peer goes on. Returns the grants.
    pub fn resume(&mut self, node: NodeId, other: NodeId) -> Vec<GrantView> {
        let peer = self.name(other).to_owned();
        match self.done(node, Command::Resume { peer }) {
            Answer::Resumed(grants) => grants,
            other => panic!("a list of grants, not {other:?}"),
        }
    }

    /// Stops a node, and starts it as the backup has it.
    pub fn put_back(&mut self, node: NodeId, backup: SimDisk) {
        self.stop(node);
        self.restore(node, backup);
        self.start(node);
    }

    // Records.

    /// Writes a text. Returns its version.
    pub fn set(&mut self, node: NodeId, path: &str, text: &str) -> u64 {
        match self.done(node, set(path, text)) {
            Answer::Written { written, .. } => written[0].version,
            other => panic!("a version: {other:?}"),
        }
    }

    /// Removes a field or a record.
    pub fn remove(&mut self, node: NodeId, path: &str) {
        self.done(node, Command::Remove { path: path.parse().expect("a path") });
    }

    /// What a node reads of its own.
    pub fn own(&mut self, node: NodeId, path: &str) -> String {
        let command = Command::Get { paths: vec![parsed(path)], from: None };
        match self.done(node, command) {
            Answer::Fields(fields) => text_of(&fields[0].value),
            other => panic!("a value: {other:?}"),
        }
    }

    // Lending.

    /// Lends for good, and returns the grant's id.
    pub fn grant<const N: usize>(&mut self, owner: NodeId, vendor: NodeId, selectors: [&str; N]) -> String {
        self.grant_on(owner, vendor, selectors, Terms::default())
    }

    /// Lends on terms.
    pub fn grant_on<const N: usize>(
        &mut self,
        owner: NodeId,
        vendor: NodeId,
        selectors: [&str; N],
        terms: Terms,
    ) -> String {
        self.granted(owner, vendor, &selectors, terms).grant
    }

    /// Lends on terms, and returns all that the command answers.
    pub fn granted(&mut self, owner: NodeId, vendor: NodeId, selectors: &[&str], terms: Terms) -> GrantedView {
        let command = self.grant_command(owner, vendor, selectors, &terms);
        match self.done(owner, command) {
            Answer::Granted(view) => *view,
            other => panic!("a grant: {other:?}"),
        }
    }

    /// The command that lends.
    #[must_use]
    pub fn grant_command(&self, owner: NodeId, vendor: NodeId, selectors: &[&str], terms: &Terms) -> Command {
        let lending = self.lending(owner, vendor, selectors, terms.mode, terms.until);
        Command::Grant { lending, lease: terms.lease }
    }

    fn lending(
        &self,
        owner: NodeId,
        vendor: NodeId,
        selectors: &[&str],
        mode: Mode,
        until: Option<Duration>,
    ) -> Lending {
        Lending {
            peer: self.name(vendor).to_owned(),
            selectors: selectors.iter().map(|selector| selector.parse().expect("a selector")).collect(),
            purpose: Purpose::parse("DeliveryOfGoods").expect("a known purpose"),
            until: until.map(|span| self.wall(owner).after(span)),
            mode,
        }
    }

    /// What a node's wall clock says.
    #[must_use]
    pub fn wall(&self, node: NodeId) -> Timestamp {
        self.nodes[node.0].now(self.now_us).wall
    }

    /// How many keys of what is lent to it a node keeps unwrapped.
    #[must_use]
    pub fn keys_at_hand(&self, node: NodeId) -> usize {
        self.nodes[node.0].engine.as_ref().expect("it runs").keys_at_hand()
    }

    /// Takes back a whole grant.
    pub fn revoke(&mut self, owner: NodeId, grant: &str) -> RevokedView {
        match self.done(owner, Command::RevokeGrant { grant: grant.to_owned() }) {
            Answer::Revoked(view) => view,
            other => panic!("a revocation: {other:?}"),
        }
    }

    /// Takes back some selectors, whatever grants they stand in.
    pub fn revoke_fields(&mut self, owner: NodeId, vendor: NodeId, selectors: &[&str]) -> RevokedView {
        let selectors = selectors.iter().map(|selector| selector.parse().expect("a selector")).collect();
        let peer = self.name(vendor).to_owned();
        match self.done(owner, Command::RevokePeer { peer, selectors }) {
            Answer::Revoked(view) => view,
            other => panic!("a revocation: {other:?}"),
        }
    }

    /// One grant, as a node sees it.
    pub fn grant_of(&mut self, node: NodeId, grant: &str) -> GrantView {
        match self.done(node, Command::GrantDetail { grant: grant.to_owned() }) {
            Answer::Grant { grant, .. } => *grant,
            other => panic!("a grant: {other:?}"),
        }
    }

    /// All grants of a node in a direction.
    pub fn grants(&mut self, node: NodeId, direction: Direction) -> Vec<GrantView> {
        match self.done(node, Command::Grants { direction: Some(direction), peer: None, page: all() }) {
            Answer::Grants(listing) => listing.items,
            other => panic!("grants: {other:?}"),
        }
    }

    /// What a node reads of what another lends it.
    pub fn read(&mut self, reader: NodeId, owner: NodeId, path: &str) -> Result<FieldView, Refusal> {
        let command = self.get_command(owner, path);
        self.outcome(reader, command).map(|answer| match answer {
            Answer::Fields(mut fields) => fields.remove(0),
            other => panic!("a value: {other:?}"),
        })
    }

    /// The command that reads what another lends.
    #[must_use]
    pub fn get_command(&self, owner: NodeId, path: &str) -> Command {
        Command::Get { paths: vec![parsed(path)], from: Some(self.name(owner).to_owned()) }
    }

    /// The text that a node reads of what another lends it.
    ///
    /// # Panics
    /// If it can't read it.
    pub fn text(&mut self, reader: NodeId, owner: NodeId, path: &str) -> String {
        match self.read(reader, owner, path) {
            Ok(field) => text_of(&field.value),
            Err(refusal) => panic!("seed {}: {} can't read {path}: {refusal:?}", self.seed, self.name(reader)),
        }
    }

    /// Why a node can't read what another does not lend it.
    ///
    /// # Panics
    /// If it can.
    pub fn refused(&mut self, reader: NodeId, owner: NodeId, path: &str) -> Code {
        match self.read(reader, owner, path) {
            Ok(field) => panic!("seed {}: {} reads {path}: {}", self.seed, self.name(reader), text_of(&field.value)),
            Err(refusal) => refusal.code(),
        }
    }

    /// The records of a kind that a node can list of another, with their fields.
    pub fn listed(&mut self, reader: NodeId, owner: NodeId, kind: &str) -> Vec<(String, Vec<String>)> {
        let from = Some(self.name(owner).to_owned());
        let kind = Some(allod_protocol::path::Kind::parse(kind).expect("a kind"));
        match self.done(reader, Command::List { kind, record: None, from, page: all() }) {
            Answer::Records(listing) => listing.items.into_iter().map(|view| (view.id, view.fields)).collect(),
            other => panic!("records: {other:?}"),
        }
    }

    /// The values of a whole column that a node reads of another, sorted.
    pub fn column(&mut self, reader: NodeId, owner: NodeId, kind: &str, field: &str) -> Vec<String> {
        let records = self.listed(reader, owner, kind);
        let mut values: Vec<String> = records
            .into_iter()
            .filter(|(_, fields)| fields.iter().any(|has| has == field))
            .map(|(id, _)| self.text(reader, owner, &format!("{id}/{field}")))
            .collect();
        values.sort();
        values
    }

    /// Uses that a node knows of with another.
    pub fn used(&mut self, node: NodeId, other: NodeId) -> Vec<UsedView> {
        let peer = Some(self.name(other).to_owned());
        match self.done(node, Command::Used { peer, page: all() }) {
            Answer::Used(listing) => listing.items,
            answer => panic!("uses: {answer:?}"),
        }
    }

    /// Asks another for fields. Returns the ask's id.
    pub fn ask(&mut self, vendor: NodeId, person: NodeId, required: &[&str], optional: &[&str]) -> String {
        let lending = self.lending(vendor, person, required, Mode::Follow, None);
        let optional = optional.iter().map(|selector| selector.parse().expect("a selector")).collect();
        let command = Command::Ask { lending, optional, reason: Some("to deliver order 7".to_owned()), benefit: None };
        match self.done(vendor, command) {
            Answer::Asked { ask, .. } => ask,
            other => panic!("an ask: {other:?}"),
        }
    }

    /// Lends what was asked for: all of it, or only some.
    pub fn answer_ask(&mut self, person: NodeId, ask: &str, only: &[&str]) -> String {
        let only: Vec<Selector> = only.iter().map(|selector| selector.parse().expect("a selector")).collect();
        match self.done(person, Command::AnswerAsk { ask: ask.to_owned(), only, until: None }) {
            Answer::Granted(view) => view.grant,
            other => panic!("a grant: {other:?}"),
        }
    }

    /// All asks that a node knows.
    pub fn asks(&mut self, node: NodeId) -> Vec<AskView> {
        match self.done(node, Command::Asks { direction: None, page: all() }) {
            Answer::Asks(listing) => listing.items,
            other => panic!("asks: {other:?}"),
        }
    }

    /// Checks that the logs of a node hold together.
    ///
    /// # Panics
    /// If they do not.
    pub fn verify(&mut self, node: NodeId) {
        match self.done(node, Command::Verify { peer: None }) {
            Answer::Verified(view) => assert!(view.ok, "{}: {:?}", self.name(node), view.gaps),
            other => panic!("a check: {other:?}"),
        }
    }
}

/// The command that writes a text.
#[must_use]
pub fn set(path: &str, text: &str) -> Command {
    let item = SetItem {
        path: path.parse().expect("a field path"),
        explicit: None,
        schema: None,
        input: Input::Typed(Value::text(text)),
    };
    Command::Set { items: vec![item] }
}

/// A page that holds everything.
#[must_use]
pub fn all() -> Page {
    Page { limit: 1_000_000, after: None }
}

fn parsed(path: &str) -> Path {
    path.parse().expect("a path")
}

/// A value as people write it.
#[must_use]
pub fn text_of(value: &Value) -> String {
    value.to_string()
}
