//! What reading needs, kept unwrapped: who lends what, on which terms, under which key. Never a value.
//!
//! A read checks selector, grant, time and lease and opens its cell each time; only the rows that it checks against are kept here, as they
//! stand in the store. Each step's writes pass through [`AtHand::forget`] before anything else is read, so that a grant that ends, a key
//! that is destroyed or a head that is renewed is gone from here in the step that says so, and keys are wiped with it. What is not held, or
//! may not be read, is left to [`super::read`], which says why.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use allod_crypto::{ExtractedKey, SecretKey};

use super::{HeldCell, held_view, opened_cell, parse_pseudonym, relationship_now, why_not};
use crate::{
    command::{Direction, FieldView, Mode, PeerState},
    grant::{FieldKeyRow, Grant},
    id::{GrantId, LogId, Pseudonym, RelationshipId},
    limits::AT_HAND_MAX_BYTES,
    log::{self, KnownHead},
    path::{FieldPath, Selector},
    relationship::{PeerRef, Relationship},
    store::{Batch, StoreFault},
    table::{Key, Table},
    time::Timestamp,
    tx::Tx,
    wire::{body::CellPlace, header::Hash},
};

/// About what a peer takes, and each selector that it lends, keys included, counted from what is in them. Bytes.
const PEER_BYTES: usize = 1_024;
const SELECTOR_BYTES: usize = 320;

/// Bounded: the peers that were taken up longest ago make room.
#[derive(Default)]
pub struct AtHand {
    names: HashMap<String, RelationshipId>,
    peers: HashMap<RelationshipId, Peer>,
    grants: HashMap<GrantId, RelationshipId>,
    order: VecDeque<RelationshipId>,
    size_bytes: usize,
    hashes: RandomState,
}

impl std::fmt::Debug for AtHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AtHand({} peers)", self.peers.len())
    }
}

/// One peer that lends to us.
struct Peer {
    petname: String,
    state: PeerState,
    /// Whether it has addresses that we could dial.
    dialable: bool,
    tag: Hash,
    log: LogId,
    head: Option<KnownHead>,
    /// Live grants whose cells we may hold.
    grants: Vec<Option<Held>>,
    /// Where a selector stands, by its hash. What lies there is compared.
    places: HashMap<u64, Vec<(usize, u16)>>,
    /// Rows that changed since.
    stale: Stale,
    size_bytes: usize,
}

#[derive(Default)]
struct Stale {
    relationship: bool,
    head: bool,
    grants: Vec<GrantId>,
}

struct Held {
    grant: Grant,
    shown: String,
    keys: Vec<(u16, u32, CellKey)>,
}

/// A field key, as far as it serves all cells under it.
enum CellKey {
    Field(SecretKey),
    Column(ExtractedKey),
}

/// A value, and under which grant it was handed out.
pub struct Reading {
    pub view: FieldView,
    pub grant: GrantId,
    pub selector: u16,
}

/// What is asked of [`AtHand::peer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAtHand {
    pub id: RelationshipId,
    /// It is paired and has addresses: news can be asked for.
    pub can_be_asked: bool,
}

impl AtHand {
    /// The peer of this name, taken up if there is room. `None` leaves the read to the store.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn peer(&mut self, tx: &Tx<'_>, petname: &str) -> Result<Option<PeerAtHand>, StoreFault> {
        // Only what is committed, or will be whatever becomes of this step, is kept.
        if tx.written() != (0, 0) {
            return Ok(None);
        }
        let id = match self.names.get(petname) {
            Some(id) => *id,
            None => match tx.get::<PeerRef>(&Key::petname(tx.petname_tag(petname)))? {
                Some(PeerRef(id)) => id,
                None => return Ok(None),
            },
        };
        if !self.freshen(tx, id)? && !self.take_up(tx, id)? {
            return Ok(None);
        }
        let Some(peer) = self.peers.get(&id) else { return Ok(None) };
        if peer.petname != petname {
            return Ok(None);
        }
        if !self.names.contains_key(petname) {
            self.names.insert(petname.to_owned(), id);
        }
        Ok(Some(PeerAtHand { id, can_be_asked: peer.state == PeerState::Paired && peer.dialable }))
    }

    /// Reads one field of a peer that is at hand. `None` leaves the read to the store, which says why it may not be.
    ///
    /// # Errors
    /// [`StoreFault`] if a cell that may be read does not open.
    pub fn read(
        &mut self,
        tx: &Tx<'_>,
        id: RelationshipId,
        path: &FieldPath,
        heard: Option<Timestamp>,
    ) -> Result<Option<Reading>, StoreFault> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(None) };
        if !matches!(peer.state, PeerState::Paired | PeerState::Closed) {
            return Ok(None);
        }
        let now = relationship_now(tx.wall(), peer.head, heard);
        let record = parse_pseudonym(path.record.id.as_str());
        let literal = peer.places.get(&hash_of_path(&self.hashes, path));
        let column = record.and_then(|_| peer.places.get(&hash_of_column(&self.hashes, path)));
        let candidates = literal.into_iter().flatten().map(|at| (*at, None));
        let candidates = candidates.chain(column.into_iter().flatten().map(|at| (*at, record)));
        let mut best: Option<(Vec<u8>, usize, u16, Option<Pseudonym>)> = None;
        for ((slot, place), record) in candidates {
            let Some(held) = &peer.grants[slot] else { continue };
            if !lends(&held.grant, place, path, record) {
                continue;
            }
            if why_not(&held.grant, place, now, peer.head).is_some() {
                continue;
            }
            let Some(stored) = tx.get_raw(&Key::cell(held.grant.id, place, record))? else { continue };
            let version = HeldCell::read(&stored)?.version;
            let older = match &best {
                Some((known, ..)) => HeldCell::read(known)?.version >= version,
                None => false,
            };
            if !older {
                best = Some((stored, slot, place, record));
            }
        }
        let Some((stored, slot, place, record)) = best else { return Ok(None) };
        let cell = HeldCell::read(&stored)?;
        let Some(held) = &mut peer.grants[slot] else { return Ok(None) };
        let Some(key) = held.key(tx, place, cell.epoch, record)? else { return Ok(None) };
        let bound_to = CellPlace {
            relationship: &peer.tag,
            log: peer.log,
            grant: held.grant.id,
            selector: &held.grant.selectors[usize::from(place)].selector,
            record,
            epoch: cell.epoch,
            version: cell.version,
            agreement: &held.grant.agreement,
        };
        let content = opened_cell(&key, &bound_to, cell.sealed)
            .ok_or_else(|| StoreFault::Damaged { detail: "a cell that was held does not open".to_owned() })?;
        let view = held_view(&peer.petname, held.shown.clone(), path.text(), content.value, cell.version, content.at_s);
        Ok(Some(Reading { view, grant: held.grant.id, selector: place }))
    }

    /// What a step writes is not what is kept here.
    pub fn forget(&mut self, writes: &Batch) {
        if self.peers.is_empty() {
            return;
        }
        for (key, _) in writes.writes() {
            let Some(table) = Table::of(key) else { continue };
            let sixteen = |offset| Key::from_stored(key.to_vec()).sixteen(offset);
            match table {
                Table::Petnames => self.names.clear(),
                Table::Relationships => self.stale(sixteen(0), |peer, _| peer.stale.relationship = true),
                Table::TheirLogs => self.stale(sixteen(0), |peer, _| peer.stale.head = true),
                Table::Grants | Table::EndedGrants => {
                    let grant = GrantId::from_bytes(sixteen(16));
                    self.stale(sixteen(0), |peer, hashes| peer.drop_grant(grant, hashes));
                }
                Table::FieldKeys => {
                    let grant = GrantId::from_bytes(sixteen(0));
                    if let Some(id) = self.grants.get(&grant).copied() {
                        self.stale(*id.as_bytes(), |peer, _| peer.drop_keys(grant));
                    }
                }
                _ => {}
            }
        }
    }

    fn stale(&mut self, id: [u8; 16], change: impl FnOnce(&mut Peer, &RandomState)) {
        if let Some(peer) = self.peers.get_mut(&RelationshipId::from_bytes(id)) {
            self.size_bytes -= peer.size_bytes;
            change(peer, &self.hashes);
            self.size_bytes += peer.size_bytes;
        }
    }

    /// Reads again what changed. `false` if the peer is not here.
    fn freshen(&mut self, tx: &Tx<'_>, id: RelationshipId) -> Result<bool, StoreFault> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(false) };
        if peer.stale.relationship {
            // A name, a state or a key of its own changed: rare, and all of it is read again.
            self.let_go(id);
            return Ok(false);
        }
        if peer.stale.head {
            let Some(their) = tx.get::<log::TheirLog>(&Key::their_log(id))? else { return Ok(false) };
            (peer.head, peer.stale.head) = (their.head, false);
        }
        if peer.stale.grants.is_empty() {
            return Ok(true);
        }
        let before = peer.size_bytes;
        let mut changed = std::mem::take(&mut peer.stale.grants);
        changed.sort_unstable();
        changed.dedup();
        for grant in changed {
            match tx.get::<Grant>(&Key::grant(id, grant))?.filter(may_be_at_hand) {
                Some(row) => {
                    peer.add(row, &self.hashes);
                    self.grants.insert(grant, id);
                }
                None => {
                    self.grants.remove(&grant);
                }
            }
        }
        self.size_bytes = self.size_bytes - before + peer.size_bytes;
        Ok(true)
    }

    /// Takes a peer up. `false` if it lends more than there is room for.
    fn take_up(&mut self, tx: &Tx<'_>, id: RelationshipId) -> Result<bool, StoreFault> {
        let Some(relationship) = Relationship::find(tx, id)? else { return Ok(false) };
        let head = log::theirs(tx, &relationship)?.head;
        let mut peer = Peer {
            petname: relationship.petname.clone(),
            state: relationship.state,
            dialable: !relationship.their_profile.addresses.is_empty(),
            tag: relationship.tag,
            log: relationship.their_log,
            head,
            grants: Vec::new(),
            places: HashMap::new(),
            stale: Stale::default(),
            size_bytes: PEER_BYTES,
        };
        for grant in Grant::live_with(tx, id)? {
            if may_be_at_hand(&grant) {
                self.grants.insert(grant.id, id);
                peer.add(grant, &self.hashes);
            }
        }
        self.size_bytes += peer.size_bytes;
        self.order.push_back(id);
        self.peers.insert(id, peer);
        while self.size_bytes > AT_HAND_MAX_BYTES {
            let Some(oldest) = self.order.front().copied() else { break };
            self.let_go(oldest);
        }
        Ok(self.peers.contains_key(&id))
    }

    fn let_go(&mut self, id: RelationshipId) {
        if self.order.front() == Some(&id) {
            self.order.pop_front();
        } else {
            self.order.retain(|other| *other != id);
        }
        if let Some(peer) = self.peers.remove(&id) {
            self.size_bytes -= peer.size_bytes;
            self.names.remove(&peer.petname);
            let live = peer.grants.iter().flatten().map(|held| held.grant.id);
            for grant in live.chain(peer.stale.grants) {
                self.grants.remove(&grant);
            }
        }
    }
}

impl Peer {
    fn add(&mut self, grant: Grant, hashes: &RandomState) {
        let slot = self.grants.iter().position(Option::is_none).unwrap_or(self.grants.len());
        for place in grant.live_selectors() {
            let hash = hash_of(hashes, &grant.selectors[usize::from(place)].selector);
            self.places.entry(hash).or_default().push((slot, place));
        }
        self.size_bytes += grant.selectors.len() * SELECTOR_BYTES;
        let held = Held { shown: grant.id.to_string(), grant, keys: Vec::new() };
        if slot == self.grants.len() {
            self.grants.push(Some(held));
        } else {
            self.grants[slot] = Some(held);
        }
    }

    /// The grant's row changed, or it ended: its keys go now, the row is read again when it is needed.
    fn drop_grant(&mut self, id: GrantId, hashes: &RandomState) {
        self.stale.grants.push(id);
        let is_it = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.grant.id == id);
        if let Some(slot) = self.grants.iter().position(is_it)
            && let Some(held) = self.grants[slot].take()
        {
            self.size_bytes -= held.grant.selectors.len() * SELECTOR_BYTES;
            for place in held.grant.live_selectors() {
                let hash = hash_of(hashes, &held.grant.selectors[usize::from(place)].selector);
                if let Some(places) = self.places.get_mut(&hash) {
                    places.retain(|(at, _)| *at != slot);
                    if places.is_empty() {
                        self.places.remove(&hash);
                    }
                }
            }
        }
    }

    fn drop_keys(&mut self, id: GrantId) {
        for held in self.grants.iter_mut().flatten().filter(|held| held.grant.id == id) {
            held.keys.clear();
        }
    }
}

impl Held {
    /// The key of one cell.
    fn key(
        &mut self,
        tx: &Tx<'_>,
        place: u16,
        epoch: u32,
        record: Option<Pseudonym>,
    ) -> Result<Option<SecretKey>, StoreFault> {
        let at = self.keys.binary_search_by_key(&(place, epoch), |(place, epoch, _)| (*place, *epoch));
        let at = match at {
            Ok(at) => at,
            Err(at) => {
                let row = tx.get::<FieldKeyRow>(&Key::field_key(self.grant.id, place, epoch))?;
                let Some(key) = row.map(|row| row.0.key()) else { return Ok(None) };
                let key = if record.is_some() { CellKey::Column(key.extracted()) } else { CellKey::Field(key) };
                self.keys.insert(at, (place, epoch, key));
                at
            }
        };
        Ok(match (&self.keys[at].2, record) {
            (CellKey::Field(key), None) => Some(key.duplicate()),
            (CellKey::Column(key), Some(record)) => Some(super::record_key_of(key, record)),
            _ => None,
        })
    }
}

fn hash_of(hashes: &RandomState, selector: &Selector) -> u64 {
    match selector {
        Selector::Field(path) => hash_of_path(hashes, path),
        Selector::Column { kind, field } => hashes.hash_one((kind, field)),
    }
}

fn hash_of_path(hashes: &RandomState, path: &FieldPath) -> u64 {
    hashes.hash_one(path)
}

fn hash_of_column(hashes: &RandomState, path: &FieldPath) -> u64 {
    hashes.hash_one((&path.record.kind, &path.field))
}

/// Whether the selector in this place is the one that was meant: hashes can meet.
fn lends(grant: &Grant, place: u16, path: &FieldPath, record: Option<Pseudonym>) -> bool {
    match grant.lent(place).map(|lent| &lent.selector) {
        Some(Selector::Field(lent)) => record.is_none() && lent == path,
        Some(Selector::Column { kind, field }) => record.is_some() && *kind == path.record.kind && *field == path.field,
        None => false,
    }
}

fn may_be_at_hand(grant: &Grant) -> bool {
    grant.direction == Direction::Held && grant.mode != Mode::Reference && grant.ended.is_none()
}
