//! What must hold after every step, whatever fails.
//!
//! I1 no plaintext leaves without a grant valid at that moment · I2 an acknowledged revocation is never forgotten · I3 a grant serves its
//! audience only · I4 heads never go backwards · I5 every acknowledged record reads back identical, or the node reports damage.
//!
//! Commits are watched as they happen ([`Seen`]); what needs the whole home is looked at between the actions of a run.

use std::collections::BTreeMap;

use allod_crypto::Vault;
use allod_protocol::{
    command::{Direction, Mode},
    id::{GrantId, LogId, Pseudonym},
    log::{OwnLog, TheirLog},
    path::{FieldPath, RecordPath, Selector},
    table::{Key, Table},
    time::Timestamp,
    tx::unseal,
};

use crate::{
    model::{GrantFacts, Model, Version},
    network::NodeId,
    world::World,
};

/// How long after an acknowledged revocation or removal bytes that had left before can still arrive: a request's patience, twice.
pub const UNDER_WAY_US: u64 = 60_000_000;

/// Something that a commit made true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Own { log: LogId, next: u64 },
    Their { log: LogId, next: u64, head: Option<(u64, Timestamp)> },
    Cell { grant: GrantId, place: u16, record: Option<Pseudonym>, version: u64 },
}

impl Seen {
    /// What a row says, if it is one of those that are watched.
    #[must_use]
    pub fn read(vault: &Vault, key: &[u8], stored: &[u8]) -> Option<Self> {
        let sixteen = |from: usize| key.get(from..from + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        match Table::of(key)? {
            Table::OwnLogs => {
                let own: OwnLog = unseal(vault, key, stored).ok()?;
                Some(Self::Own { log: own.log, next: own.next })
            }
            Table::TheirLogs => {
                let their: TheirLog = unseal(vault, key, stored).ok()?;
                let head = their.head.map(|head| (head.sequence, head.at));
                Some(Self::Their { log: their.log, next: their.next, head })
            }
            Table::Cells => {
                let record = Pseudonym::from_bytes(sixteen(19)?);
                Some(Self::Cell {
                    grant: GrantId::from_bytes(sixteen(1)?),
                    place: u16::from_be_bytes(key.get(17..19)?.try_into().ok()?),
                    record: (*record.as_bytes() != [0; 16]).then_some(record),
                    version: u64::from_be_bytes(stored.get(..8)?.try_into().ok()?),
                })
            }
            _ => None,
        }
    }
}

/// How high heads stood.
#[derive(Default)]
pub struct Heights {
    own: BTreeMap<(NodeId, LogId), u64>,
    their: BTreeMap<(NodeId, LogId), (u64, u64, Timestamp)>,
}

impl Heights {
    /// This node's home was put back to an earlier state: what it says starts over, and its peers are to notice.
    pub fn forget(&mut self, node: NodeId) {
        self.own.retain(|(of, _), _| *of != node);
        self.their.retain(|(of, _), _| *of != node);
    }
}

/// Checks what was committed since this was last called: I1, I3 and I4.
///
/// # Panics
/// If one of them does not hold.
pub fn check_commits(world: &mut World, model: &mut Model) {
    let Some(seen) = world.seen.as_mut().map(std::mem::take) else { return };
    for (at_us, node, what) in seen {
        match what {
            Seen::Own { log, next } => {
                let known = model.heights.own.entry((node, log)).or_default();
                assert!(next >= *known, "I4: our own log went back from {known} to {next}");
                *known = next;
            }
            Seen::Their { log, next, head } => {
                let known = model.heights.their.entry((node, log)).or_default();
                let (sequence, at) = head.unwrap_or_default();
                let backwards = next < known.0 || sequence < known.1 || at < known.2;
                assert!(!backwards, "I4: a head at {} went from {known:?} to {next}, {head:?}", world.name(node));
                *known = (next, sequence, at);
            }
            Seen::Cell { grant, place, record, version } => {
                if !model.is_tampered(node) {
                    check_cell(world, model, at_us, node, grant, place, record, version);
                }
            }
        }
    }
}

#[allow(clippy::too_many_arguments)] // One cell's whole place, once.
fn check_cell(
    world: &World,
    model: &mut Model,
    at_us: u64,
    node: NodeId,
    grant: GrantId,
    place: u16,
    record: Option<Pseudonym>,
    version: u64,
) {
    let name = world.name(node).to_owned();
    let Some(facts) = model.grants.get(&grant).cloned() else {
        panic!("I3: {name} holds a cell of a grant that nobody gave: {grant}");
    };
    if model.is_tampered(facts.owner) {
        return;
    }
    assert_eq!(facts.peer, node, "I3: {name} holds a cell of {grant}, which was given to another");
    assert_ne!(facts.mode, Mode::Reference, "I1: {name} keeps a cell of the reference {grant}");
    let Some(path) = path_of(world, model, &facts, place, record) else {
        panic!("I3: {name} holds a cell of {grant} for a record that its owner does not have");
    };
    assert!(!model.is_suspended(world, &facts, at_us), "I1: {name} got a cell of {grant}, which is suspended");
    if path.field.is_id() {
        return;
    }
    let (history, lost) = (model.history(facts.owner, &path), model.lost(facts.owner, &path));
    // After a restore numbers are given again: what comes is what its owner has, or had.
    let numbered = |versions: &[Version]| -> Vec<Version> {
        versions.iter().filter(|one| one.version == version).cloned().collect()
    };
    // What was lent once is cut again after a restore, by the owner's times: a clock that was wrong picks another version.
    let cut_again = [facts.owner, facts.peer].iter().any(|node| model.restored_us.contains_key(node));
    let by_times = cut_again && !model.had_the_right_time(facts.owner);
    let (present, lost) = (numbered(history), numbered(lost));
    if present.is_empty() && lost.is_empty() {
        panic!("I5: {name} holds version {version} of {path}, which its owner never wrote");
    }
    let wrong: Vec<String> = present
        .iter()
        .map(|found| wrong_with(&facts, &path, place, at_us, found, if by_times { &[] } else { history }))
        .chain(lost.iter().map(|found| wrong_with(&facts, &path, place, at_us, found, &[])))
        .filter_map(Result::err)
        .collect();
    assert!(wrong.len() < present.len() + lost.len(), "{name}: {wrong:?}");
}

/// What is wrong with a version that somebody holds, if anything is.
fn wrong_with(
    facts: &GrantFacts,
    path: &FieldPath,
    place: u16,
    at_us: u64,
    found: &Version,
    history: &[Version],
) -> Result<(), String> {
    let hold =
        |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("I1: got {path} {what}, in {}", facts.id)) };
    if let Some(removed) = found.removed_us {
        hold(at_us <= removed + UNDER_WAY_US, "long after it was removed")?;
    }
    let taken = facts.taken.get(usize::from(place)).copied().flatten();
    if let Some(taken) = taken {
        hold(found.begun_us <= taken.done_us, "at a version written after it was taken back")?;
        hold(at_us <= taken.done_us + UNDER_WAY_US, "long after it was taken back")?;
    }
    if let Some(end) = facts.not_after {
        // What was there when it was lent may bear a later time, from before a clock was set back.
        let was_there = found.done_us <= facts.given.begun_us;
        hold(was_there || found.wall <= end, "at a version written after the end of the grant")?;
    }
    if facts.mode == Mode::Once {
        hold(found.begun_us <= facts.given.done_us, "at a later version, lent once")?;
        let newer = history.iter().any(|one| one.version > found.version && one.done_us < facts.given.begun_us);
        hold(!newer, "at a version earlier than that of the moment of lending")?;
    }
    Ok(())
}

/// Which field of its owner a cell is of.
fn path_of(
    world: &World,
    model: &mut Model,
    facts: &GrantFacts,
    place: u16,
    record: Option<Pseudonym>,
) -> Option<FieldPath> {
    match (facts.selectors.get(usize::from(place))?, record) {
        (Selector::Field(path), None) => Some(path.clone()),
        (Selector::Column { kind, field }, Some(pseudonym)) => {
            let wanted = pseudonym.long();
            if let Some(known) = model.pseudonyms.get(&(facts.peer, wanted.clone())) {
                return Some(known.field(field.clone()));
            }
            let peer = world.petname(facts.owner, facts.peer)?;
            for id in model.record_ids(facts.owner, kind) {
                if let Some(one) = world.pseudonym(facts.owner, &peer, kind, id.as_str()) {
                    model.pseudonyms.insert((facts.peer, one), RecordPath { kind: kind.clone(), id });
                }
            }
            model.pseudonyms.get(&(facts.peer, wanted)).map(|known| known.field(field.clone()))
        }
        _ => None,
    }
}

/// Looks at a node's whole home: I1, I2 and I5.
///
/// # Panics
/// If one of them does not hold.
pub fn check_home(world: &World, model: &Model, node: NodeId) {
    if model.is_tampered(node) {
        return;
    }
    let name = world.name(node);
    let without = world.payloads_without_grant(node);
    assert!(without.is_empty(), "I1: {name} would send {without:?}");
    let stored = world.stored_grants(node, Direction::Given);
    for facts in model.grants.values().filter(|facts| facts.owner == node && !facts.lost) {
        let Some(row) = stored.iter().find(|row| row.id == facts.id) else {
            panic!("I5: {name} lost the grant {}", facts.id);
        };
        for (place, taken) in facts.taken.iter().enumerate() {
            let place = u16::try_from(place).expect("selectors are few");
            if taken.is_none() {
                continue;
            }
            let gone = row.lent(place).is_some_and(|lent| lent.taken_back.is_some());
            assert!(gone, "I2: {name} forgot that it took back selector {place} of {}", facts.id);
            let keys = world.inspect(node, |tx| tx.scan_raw(&Key::field_keys_of(facts.id, place), None, 1));
            assert!(keys.is_ok_and(|keys| keys.is_empty()), "I2: {name} kept a key of {}", facts.id);
        }
    }
    for (path, present) in model.present(node) {
        let stored = world.stored_value(node, path);
        let expected = present.map(|one| (one.text.clone(), one.version));
        assert_eq!(stored, expected, "I5: {path} of {name} reads back differently");
    }
}
