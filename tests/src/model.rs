//! What should hold: a small model of who wrote what, who lent it to whom, and who took it back.
//!
//! The model is told by those who act, and looks at the actor's own home where an answer did not come: what was acknowledged must stand
//! there, what was not may. Times are the world's, which no node knows: a span from when a command was given to when its answer came.

use std::collections::{BTreeMap, BTreeSet};

use allod_protocol::{
    command::{Direction, Mode, PeerState},
    id::GrantId,
    path::{FieldPath, Kind, RecordId, RecordPath, Selector},
    relationship::Relationship,
    time::Timestamp,
};

use crate::{
    disk::SimDisk,
    invariant::{Heights, UNDER_WAY_US},
    network::NodeId,
    world::World,
};

/// From when something was begun to when it was known to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub begun_us: u64,
    pub done_us: u64,
}

/// Whether a command was answered, so that what it did must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    Yes,
    /// The node stopped in the middle: either may be.
    Perhaps,
}

/// One version of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub version: u64,
    pub text: String,
    pub begun_us: u64,
    pub done_us: u64,
    /// What the owner's clock said before.
    pub wall: Timestamp,
    /// When it was known to be removed.
    pub removed_us: Option<u64>,
}

/// All versions of a field, oldest first.
#[derive(Clone, Debug, Default)]
struct Field {
    versions: Vec<Version>,
    removed: bool,
    /// Versions that its owner lost with a home: others may have got them, and their numbers are given again.
    lost: Vec<Version>,
}

/// A grant as it was given, and which of its selectors were taken back.
#[derive(Clone, Debug)]
pub struct GrantFacts {
    pub id: GrantId,
    pub owner: NodeId,
    pub peer: NodeId,
    pub selectors: Vec<Selector>,
    pub mode: Mode,
    pub not_after: Option<Timestamp>,
    pub lease_us: Option<u64>,
    pub given: Span,
    pub taken: Vec<Option<Span>>,
    /// Its owner lost it with a home.
    pub lost: bool,
}

/// A node's home at some time, and what was to be expected of it then.
#[derive(Clone)]
pub struct Backup {
    pub disk: SimDisk,
    fields: BTreeMap<FieldPath, Field>,
    grants: BTreeMap<GrantId, GrantFacts>,
}

/// Everything that should hold.
#[derive(Default)]
pub struct Model {
    fields: BTreeMap<(NodeId, FieldPath), Field>,
    pub grants: BTreeMap<GrantId, GrantFacts>,
    pub heights: Heights,
    /// Records by the pseudonym under which a peer sees them.
    pub pseudonyms: BTreeMap<(NodeId, String), RecordPath>,
    tampered: BTreeSet<NodeId>,
    /// When a node was last put back from a backup.
    pub restored_us: BTreeMap<NodeId, u64>,
    /// Selectors whose end a peer had confirmed when their owner was put back to a time before: no restore brings them back.
    pub gone_for_good: BTreeSet<(GrantId, u16)>,
    clock_set: BTreeSet<NodeId>,
}

impl Model {
    /// This node's home was put back to an earlier state: nothing is expected of it any more.
    pub fn tampered(&mut self, node: NodeId) {
        self.tampered.insert(node);
        self.heights.forget(node);
    }

    /// Whether nothing is expected of a node.
    #[must_use]
    pub fn is_tampered(&self, node: NodeId) -> bool {
        self.tampered.contains(&node)
    }

    /// This node's clock was wrong at some time: no time that it measured is expected to hold.
    pub fn clock_was_set(&mut self, node: NodeId) {
        self.clock_set.insert(node);
    }

    /// Whether a node's clock was always right.
    #[must_use]
    pub fn had_the_right_time(&self, node: NodeId) -> bool {
        !self.clock_set.contains(&node)
    }

    /// A node's home is backed up.
    #[must_use]
    pub fn backup(&self, world: &World, node: NodeId) -> Backup {
        let fields = self.fields.iter().filter(|((owner, _), _)| *owner == node);
        Backup {
            disk: world.nodes[node.0].disk.clone(),
            fields: fields.map(|((_, path), field)| (path.clone(), field.clone())).collect(),
            grants: self
                .grants
                .iter()
                .filter(|(_, facts)| facts.owner == node && !facts.lost)
                .map(|(id, facts)| (*id, facts.clone()))
                .collect(),
        }
    }

    /// A node was put back from a backup: what it wrote, lent and took back since is lost to it.
    pub fn restored(&mut self, world: &World, node: NodeId, backup: &Backup) {
        self.heights.forget(node);
        if self.is_tampered(node) {
            return;
        }
        let now = Span { begun_us: world.now_us, done_us: world.now_us };
        self.restored_us.insert(node, world.now_us);
        for ((_, path), field) in self.fields.iter_mut().filter(|((owner, _), _)| *owner == node) {
            let old = backup.fields.get(path).cloned().unwrap_or_default();
            let same = |one: &Version| {
                old.versions.iter().any(|other| (other.version, &other.text) == (one.version, &one.text))
            };
            let mut lost = std::mem::take(&mut field.lost);
            lost.extend(field.versions.iter().filter(|one| !same(one)).cloned());
            *field = Field { lost, ..old };
        }
        self.gone_for_good.retain(|(grant, _)| self.grants.get(grant).is_none_or(|facts| facts.peer != node));
        for facts in self.grants.values_mut().filter(|facts| facts.owner == node) {
            let old = backup.grants.get(&facts.id);
            let there = world.stored_grants(facts.peer, Direction::Held).into_iter().find(|row| row.id == facts.id);
            for (place, taken) in facts.taken.iter_mut().enumerate() {
                let was = old.and_then(|old| old.taken[place]);
                let ended = there.as_ref().is_some_and(|row| {
                    row.ended.is_some() || row.selectors.get(place).is_some_and(|lent| lent.taken_back.is_some())
                });
                if old.is_some() && taken.is_some() && was.is_none() && ended && !self.tampered.contains(&facts.peer) {
                    self.gone_for_good.insert((facts.id, u16::try_from(place).expect("selectors are few")));
                }
                *taken = if old.is_some() { was } else { taken.or(Some(now)) };
            }
            facts.lost = old.is_none();
        }
    }

    /// Whether nothing may come from a node to a peer, because its person has not said since a restore that it goes on.
    #[must_use]
    pub fn is_suspended(&self, world: &World, facts: &GrantFacts, at_us: u64) -> bool {
        let since = self.restored_us.get(&facts.owner).filter(|since| facts.given.done_us <= **since);
        let Some(since) = since.filter(|since| at_us > **since + UNDER_WAY_US) else { return false };
        let peer = world.name(facts.peer);
        let known = world.known_peers(facts.owner);
        known.iter().any(|known| known.calls_itself == peer && known.state == PeerState::Restored) && *since > 0
    }

    /// Every text that a field ever had.
    #[must_use]
    pub fn ever_had(&self, owner: NodeId, path: &FieldPath, text: &str) -> bool {
        let field = self.fields.get(&(owner, path.clone()));
        field.is_some_and(|field| field.versions.iter().chain(&field.lost).any(|version| version.text == text))
    }

    /// What was lost of a field with a home.
    #[must_use]
    pub fn lost(&self, owner: NodeId, path: &FieldPath) -> &[Version] {
        self.fields.get(&(owner, path.clone())).map(|field| field.lost.as_slice()).unwrap_or_default()
    }

    /// All versions of a field that its owner wrote, as far as it still knows.
    #[must_use]
    pub fn history(&self, owner: NodeId, path: &FieldPath) -> &[Version] {
        self.fields.get(&(owner, path.clone())).map(|field| field.versions.as_slice()).unwrap_or_default()
    }

    /// The present version of each field that a node ever had; none if it was removed.
    pub fn present(&self, owner: NodeId) -> impl Iterator<Item = (&FieldPath, Option<&Version>)> {
        let own = self.fields.iter().filter(move |((node, _), _)| *node == owner);
        own.map(|((_, path), field)| (path, field.versions.last().filter(|_| !field.removed)))
    }

    /// The ids of all records of a kind that a node ever had.
    #[must_use]
    pub fn record_ids(&self, owner: NodeId, kind: &Kind) -> Vec<RecordId> {
        let paths = self.fields.keys().filter(|(node, path)| *node == owner && path.record.kind == *kind);
        let ids: BTreeSet<RecordId> = paths.map(|(_, path)| path.record.id.clone()).collect();
        ids.into_iter().collect()
    }

    /// A node was told to write a text.
    ///
    /// # Panics
    /// If the command was acknowledged and the home does not say so (I5).
    #[allow(clippy::too_many_arguments)] // One write's whole story, once.
    pub fn wrote(
        &mut self,
        world: &World,
        owner: NodeId,
        path: &FieldPath,
        text: &str,
        span: Span,
        wall: Timestamp,
        acknowledged: Acknowledged,
    ) {
        if self.is_tampered(owner) {
            return;
        }
        let stored = world.stored_value(owner, path);
        let field = self.fields.entry((owner, path.clone())).or_default();
        let last = field.versions.last().map_or(0, |last| last.version);
        match stored {
            Some((found, version)) if found == text && version > last => {
                let Span { begun_us, done_us } = span;
                field.versions.push(Version { version, text: found, begun_us, done_us, wall, removed_us: None });
                field.removed = false;
            }
            Some((found, version)) if found == text => assert_eq!(version, last, "I5: {path} has a version of old"),
            other => {
                assert_eq!(acknowledged, Acknowledged::Perhaps, "I5: {path} was acknowledged and is {other:?}");
            }
        }
    }

    /// A node was told to remove a field.
    ///
    /// # Panics
    /// If the command was acknowledged and the home still holds it (I5).
    pub fn removed(&mut self, world: &World, owner: NodeId, path: &FieldPath, acknowledged: Acknowledged) {
        if self.is_tampered(owner) {
            return;
        }
        let gone = world.stored_value(owner, path).is_none();
        assert!(gone || acknowledged == Acknowledged::Perhaps, "I5: {path} was removed and is there");
        if gone && let Some(field) = self.fields.get_mut(&(owner, path.clone())) {
            field.removed = true;
            for version in field.versions.iter_mut().filter(|version| version.removed_us.is_none()) {
                version.removed_us = Some(world.now_us);
            }
        }
    }

    /// Takes in what a node has given and taken back since.
    pub fn look_at_grants(&mut self, world: &World, owner: NodeId, span: Span) {
        let peers: BTreeMap<_, _> = world.inspect(owner, |tx| {
            let all = Relationship::all(tx).unwrap_or_default();
            all.into_iter().map(|relationship| (relationship.id, relationship.their_profile.name.clone())).collect()
        });
        for row in world.stored_grants(owner, Direction::Given) {
            let peer = peers.get(&row.relationship).and_then(|name| world.named(name));
            let Some(peer) = peer else { continue };
            let facts = self.grants.entry(row.id).or_insert_with(|| GrantFacts {
                id: row.id,
                owner,
                peer,
                selectors: row.selectors.iter().map(|lent| lent.selector.clone()).collect(),
                mode: row.mode,
                not_after: row.not_after,
                lease_us: row.lease_ms.map(|lease| lease * 1_000),
                given: span,
                taken: vec![None; row.selectors.len()],
                lost: false,
            });
            for (taken, lent) in facts.taken.iter_mut().zip(&row.selectors) {
                if taken.is_none() && lent.taken_back.is_some() {
                    *taken = Some(span);
                }
            }
        }
    }
}
