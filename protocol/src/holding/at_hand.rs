//! What reading needs, kept unwrapped: who lends what, on which terms, under which key. Never a value.
//!
//! A read checks selector, grant, time and lease and opens its cell each time; only the rows that it checks against are kept here, as they
//! stand in the store. Each step's writes pass through [`AtHand::forget`] before anything else is read, so that a grant that ends, a key
//! that is destroyed or a head that is renewed is gone from here in the step that says so, and keys are wiped with it. What is not held, or
//! may not be read, is left to [`super::read`], which says why.

use std::collections::{BTreeSet, HashMap, VecDeque};

use allod_crypto::{Domain, ExtractedKey, SealedKey};

use super::{HeldCell, content_of, field_key, held_view, opened_cell, parse_pseudonym, relationship_now, why_not};
use crate::{
    command::{Direction, FieldView, Mode, PeerState},
    delivery::{padding, record_key_of},
    grant::Grant,
    id::{GrantId, LogId, Pseudonym, RelationshipId},
    limits::AT_HAND_MAX_BYTES,
    log::{self, KnownHead},
    path::FieldPath,
    relationship::{PeerRef, Relationship},
    store::{Batch, StoreFault},
    table::{Key, Table},
    time::Timestamp,
    tx::Tx,
    wire::{body::CellPlace, header::Hash},
};

/// About what a peer takes, and each selector that it lends, keys included, counted from what is in them. Bytes.
const PEER_BYTES: usize = 1_024;
const SELECTOR_BYTES: usize = 448;

/// Bounded: the peers that were taken up longest ago make room.
#[derive(Default)]
pub struct AtHand {
    names: HashMap<String, RelationshipId>,
    peers: HashMap<RelationshipId, Peer>,
    grants: HashMap<GrantId, RelationshipId>,
    order: VecDeque<RelationshipId>,
    size_bytes: usize,
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
    /// Where a selector stands, by its text: what a read looks for lies together.
    places: HashMap<Box<str>, Vec<Place>>,
    /// Rows that changed since.
    stale: Stale,
    size_bytes: usize,
}

#[derive(Default)]
struct Stale {
    relationship: bool,
    head: bool,
    grants: BTreeSet<GrantId>,
}

struct Held {
    grant: Grant,
    shown: String,
}

/// One selector of one grant, and its keys.
struct Place {
    slot: usize,
    place: u16,
    keys: Keys,
}

/// Keys as far as they were made ready for what they open next.
#[derive(Default)]
enum Keys {
    #[default]
    None,
    /// Of the one cell of a single field, at one version.
    Cell { epoch: u32, version: u64, key: Box<SealedKey> },
    /// Of a column, by epoch: as many as it has cells under.
    Column(Vec<(u32, ExtractedKey)>),
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
        if let Some(id) = self.names.get(petname)
            && let Some(peer) = self.peers.get(id)
            && peer.stale.is_nothing()
            && peer.petname == petname
        {
            return Ok(Some(peer.as_asked(*id)));
        }
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
        let asked = peer.as_asked(id);
        if !self.names.contains_key(petname) {
            self.names.insert(petname.to_owned(), id);
        }
        Ok(Some(asked))
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
        let text = path.text();
        let record = parse_pseudonym(path.record.id.as_str());
        let column_text = record.map(|_| path.column_text());
        let literal = peer.places.get(text.as_str());
        let column = column_text.as_ref().and_then(|text| peer.places.get(text.as_str()));
        let candidates = literal.into_iter().flatten().map(|at| (at, None));
        let candidates = candidates.chain(column.into_iter().flatten().map(|at| (at, record)));
        let mut best: Option<(Vec<u8>, u64, &Place, Option<Pseudonym>)> = None;
        for (at, record) in candidates {
            let Some(held) = &peer.grants[at.slot] else { continue };
            if why_not(&held.grant, at.place, now, peer.head).is_some() {
                continue;
            }
            let Some(stored) = tx.get_raw(&Key::cell(held.grant.id, at.place, record))? else { continue };
            let version = HeldCell::read(&stored)?.version;
            if best.as_ref().is_none_or(|(_, known, ..)| *known < version) {
                best = Some((stored, version, at, record));
            }
        }
        let Some((stored, _, at, record)) = best else { return Ok(None) };
        let cell = HeldCell::read(&stored)?;
        let Some(held) = &peer.grants[at.slot] else { return Ok(None) };
        let selector_text = column_text.as_deref().filter(|_| record.is_some()).unwrap_or(&text);
        let aad = || {
            let bound_to = CellPlace {
                relationship: &peer.tag,
                log: peer.log,
                grant: held.grant.id,
                selector: &held.grant.selectors[usize::from(at.place)].selector,
                record,
                epoch: cell.epoch,
                version: cell.version,
                agreement: &held.grant.agreement,
            };
            bound_to.aad_of(&[selector_text.as_bytes()])
        };
        let (content, fresh) = match record {
            None => {
                let made = match at.keys.of_cell(&cell) {
                    Some(_) => None,
                    None => {
                        let Some(key) = field_key(tx, held.grant.id, at.place, cell.epoch)? else { return Ok(None) };
                        SealedKey::of(&key, Domain::Cell, &aad(), cell.sealed).ok().map(Box::new)
                    }
                };
                let key = at.keys.of_cell(&cell).or(made.as_deref());
                let plain = key.and_then(|key| key.open(cell.sealed, padding(record)).ok());
                (plain.and_then(|plain| content_of(&plain)), made.map(|key| Keys::of_one(&cell, key)))
            }
            Some(of) => {
                let made = match at.keys.of_column(cell.epoch) {
                    Some(_) => None,
                    None => field_key(tx, held.grant.id, at.place, cell.epoch)?.map(|key| key.extracted()),
                };
                let Some(key) = at.keys.of_column(cell.epoch).or(made.as_ref()) else { return Ok(None) };
                let content = opened_cell(&record_key_of(key, of), record, &aad(), cell.sealed);
                (content, made.map(|key| Keys::Column(vec![(cell.epoch, key)])))
            }
        };
        let content =
            content.ok_or_else(|| StoreFault::Damaged { detail: "a cell that was held does not open".to_owned() })?;
        let (slot, place, grant) = (at.slot, at.place, held.grant.id);
        if let Some(keys) = fresh {
            peer.keep(selector_text, slot, place, keys);
        }
        let Some(held) = &peer.grants[slot] else { return Ok(None) };
        let view = held_view(&peer.petname, held.shown.clone(), text, content.value, cell.version, content.at_s);
        Ok(Some(Reading { view, grant, selector: place }))
    }

    /// How many keys are kept.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.peers.values().flat_map(|peer| peer.places.values().flatten()).map(|at| at.keys.count()).sum()
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
                Table::Relationships => self.stale(sixteen(0), |peer| peer.stale.relationship = true),
                Table::TheirLogs => self.stale(sixteen(0), |peer| peer.stale.head = true),
                Table::Grants | Table::EndedGrants => {
                    let grant = GrantId::from_bytes(sixteen(16));
                    self.stale(sixteen(0), |peer| peer.drop_grant(grant));
                }
                Table::FieldKeys => {
                    let grant = GrantId::from_bytes(sixteen(0));
                    if let Some(id) = self.grants.get(&grant).copied() {
                        self.stale(*id.as_bytes(), |peer| peer.drop_keys(grant));
                    }
                }
                _ => {}
            }
        }
    }

    fn stale(&mut self, id: [u8; 16], change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(&RelationshipId::from_bytes(id)) {
            self.size_bytes -= peer.size_bytes;
            change(peer);
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
        for grant in std::mem::take(&mut peer.stale.grants) {
            match tx.get::<Grant>(&Key::grant(id, grant))?.filter(may_be_at_hand) {
                Some(row) => {
                    peer.add(row);
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
                peer.add(grant);
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

impl Stale {
    fn is_nothing(&self) -> bool {
        !self.relationship && !self.head && self.grants.is_empty()
    }
}

impl Peer {
    fn as_asked(&self, id: RelationshipId) -> PeerAtHand {
        PeerAtHand { id, can_be_asked: self.state == PeerState::Paired && self.dialable }
    }

    fn add(&mut self, grant: Grant) {
        let slot = self.grants.iter().position(Option::is_none).unwrap_or(self.grants.len());
        for place in grant.live_selectors() {
            let text = grant.selectors[usize::from(place)].selector.text().into_boxed_str();
            let here = self.places.entry(text).or_default();
            here.reserve_exact(1);
            here.push(Place { slot, place, keys: Keys::None });
        }
        self.size_bytes += grant.selectors.len() * SELECTOR_BYTES;
        let held = Held { shown: grant.id.to_string(), grant };
        if slot == self.grants.len() {
            self.grants.push(Some(held));
        } else {
            self.grants[slot] = Some(held);
        }
    }

    /// The grant's row changed, or it ended: its keys go now, the row is read again when it is needed.
    fn drop_grant(&mut self, id: GrantId) {
        self.stale.grants.insert(id);
        let Some(slot) = self.slot_of(id) else { return };
        let Some(held) = self.grants[slot].take() else { return };
        self.size_bytes -= held.grant.selectors.len() * SELECTOR_BYTES;
        for place in held.grant.live_selectors() {
            let text = held.grant.selectors[usize::from(place)].selector.text();
            if let Some(here) = self.places.get_mut(text.as_str()) {
                here.retain(|at| at.slot != slot);
                if here.is_empty() {
                    self.places.remove(text.as_str());
                }
            }
        }
    }

    fn drop_keys(&mut self, id: GrantId) {
        let Some(slot) = self.slot_of(id) else { return };
        let Some(held) = &self.grants[slot] else { return };
        for place in held.grant.live_selectors() {
            let text = held.grant.selectors[usize::from(place)].selector.text();
            for at in self.places.get_mut(text.as_str()).into_iter().flatten().filter(|at| at.slot == slot) {
                at.keys = Keys::None;
            }
        }
    }

    fn slot_of(&self, id: GrantId) -> Option<usize> {
        self.grants.iter().position(|held| held.as_ref().is_some_and(|held| held.grant.id == id))
    }

    fn keep(&mut self, text: &str, slot: usize, place: u16, keys: Keys) {
        let mut here = self.places.get_mut(text).into_iter().flatten();
        let Some(at) = here.find(|at| at.slot == slot && at.place == place) else { return };
        match (&mut at.keys, keys) {
            (Keys::Column(known), Keys::Column(more)) => known.extend(more),
            (known, keys) => *known = keys,
        }
    }
}

impl Keys {
    fn of_one(cell: &HeldCell<'_>, key: Box<SealedKey>) -> Self {
        Self::Cell { epoch: cell.epoch, version: cell.version, key }
    }

    fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Cell { .. } => 1,
            Self::Column(keys) => keys.len(),
        }
    }

    fn of_cell(&self, cell: &HeldCell<'_>) -> Option<&SealedKey> {
        match self {
            Self::Cell { epoch, version, key } if (*epoch, *version) == (cell.epoch, cell.version) => Some(key),
            _ => None,
        }
    }

    fn of_column(&self, epoch: u32) -> Option<&ExtractedKey> {
        match self {
            Self::Column(keys) => keys.iter().find(|(known, _)| *known == epoch).map(|(_, key)| key),
            _ => None,
        }
    }
}

fn may_be_at_hand(grant: &Grant) -> bool {
    grant.direction == Direction::Held && grant.mode != Mode::Reference && grant.ended.is_none()
}
