//! Handing over: what a follower does not have yet, and the cells that are cut for it.
//!
//! A change marks the field as due for each grant that follows it; cells are cut when the other side is there, newest versions only, and
//! one `Cells` entry of a follow grant is under way at a time. A peer that is away for a year costs one mark a field. A `once` grant is cut
//! at once, whether or not its peer is there, since it lends the versions of the moment of lending.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use allod_crypto::{Domain, ExtractedKey, Padding, SecretKey, seal};
use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    command::{Mode, PeerState},
    grant::{FieldKeyRow, FollowerRow, Grant, Lent, send_keys},
    id::{GrantId, Pseudonym, RelationshipId},
    limits::{CELLS_PER_ENTRY_MAX, STEP_MAX_BYTES},
    log,
    path::{FieldName, FieldPath, Kind, RecordPath, Selector},
    record::{self, Present, Removed},
    relationship::Relationship,
    secret::StoredKey,
    store::StoreFault,
    table::{Key, Table},
    time::Timestamp,
    tx::{Stop, Tx},
    wire::body::{Body, CellContent, CellPlace, CellRef, Cells, CellsPayload},
};

/// How many cells one step cuts: each takes a few writes, and a step has a thousand.
const CELLS_PER_STEP: usize = CELLS_PER_ENTRY_MAX * 9 / 10;

/// A field that a follower lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DueRow {
    record: RecordPath,
    /// The field was removed, having had this version.
    gone: Option<u64>,
}

impl Coded for DueRow {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FlightRow {
    pub(crate) grant: GrantId,
}

impl Coded for FlightRow {}

/// Notes that an entry carries a payload of this grant, until the peer has it.
///
/// # Errors
/// [`StoreFault`].
pub fn note_flight(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    sequence: u64,
) -> Result<(), StoreFault> {
    grant.unacknowledged.push(sequence);
    let log = log::own(tx, relationship)?.log;
    tx.put(&Key::flight(log, sequence), &FlightRow { grant: grant.id });
    Ok(())
}

/// Everything under this selector is due, from the moment of lending on.
pub(crate) fn due_from_the_start(tx: &mut Tx<'_>, grant: &mut Grant, place: u16) {
    let selector = grant.selectors[usize::from(place)].selector.clone();
    if grant.mode == Mode::Follow {
        let follower = FollowerRow { relationship: grant.relationship, selector: place, not_after: grant.not_after };
        tx.put(&Key::follower(tx.selector_tag(&selector), grant.id), &follower);
    }
    match selector {
        Selector::Field(path) => {
            let tag = tx.record_tag(&path.record);
            tx.put(&Key::due(grant.id, place, tag), &DueRow { record: path.record, gone: None });
        }
        Selector::Column { .. } => grant.backfill.push((place, None)),
    }
}

/// A cell whose payload was withdrawn is due again.
pub(crate) fn due_again(tx: &mut Tx<'_>, grant: &mut Grant, cell: &CellRef) -> Result<(), StoreFault> {
    let selector = &grant.selectors[usize::from(cell.selector)].selector;
    match selector {
        Selector::Field(path) => {
            let record = path.record.clone();
            let gone = cell.gone.then_some(cell.version);
            tx.put(&Key::due(grant.id, cell.selector, tx.record_tag(&record)), &DueRow { record, gone });
        }
        // Only the peer can tell records from pseudonyms cheaply; we hand the whole column over again, and it keeps what it has.
        Selector::Column { .. } => match grant.backfill.iter_mut().find(|(place, _)| *place == cell.selector) {
            Some((_, reached)) => *reached = None,
            None => grant.backfill.push((cell.selector, None)),
        },
    }
    Ok(())
}

/// Drops what is under way of fields of one record that were just removed: whoever does not have it gets it no more, in whatever mode it
/// was lent. What else those payloads held is due again. Whoever has them already, and did not say so yet, is told that the fields are
/// gone. Returns the grants that have something to say now, and of whom they are.
///
/// # Errors
/// [`StoreFault`].
pub fn withdraw_removed(
    tx: &mut Tx<'_>,
    grants: Vec<Grant>,
    record: &RecordPath,
    removed: &[Removed],
) -> Result<BTreeSet<(RelationshipId, GrantId)>, StoreFault> {
    let mut withdrawn = BTreeSet::new();
    for mut grant in grants {
        let version = |lent: &Lent| removed.iter().find(|one| lent.selector.covers(&one.path)).map(|one| one.version);
        let versions: Vec<Option<u64>> = grant.selectors.iter().map(version).collect();
        if grant.unacknowledged.is_empty() || versions.iter().all(Option::is_none) {
            continue;
        }
        let relationship = Relationship::load(tx, grant.relationship)?;
        let pseudonym = relationship.pseudonym(record);
        let version_of = |place: u16, record: Option<Pseudonym>| {
            let version = versions.get(usize::from(place)).copied().flatten();
            version.filter(|_| record.is_none_or(|record| record == pseudonym))
        };
        let log = log::own(tx, &relationship)?.log;
        for sequence in grant.unacknowledged.clone() {
            let cells = match log::kept_body(tx, &relationship, log, sequence)? {
                Some((_, Body::Cells(cells))) => cells.cells,
                Some((_, Body::Served(served))) if version_of(served.selector, served.record).is_some() => Vec::new(),
                _ => continue,
            };
            let holds = |cell: &CellRef| !cell.gone && version_of(cell.selector, cell.record).is_some();
            if !cells.is_empty() && !cells.iter().any(holds) {
                continue;
            }
            log::drop_payload(tx, log, sequence);
            tx.delete(&Key::flight(log, sequence));
            grant.unacknowledged.retain(|other| *other != sequence);
            // The references to fields that are gone stand in the entry itself, and go out with it.
            for cell in cells.iter().filter(|cell| !cell.gone) {
                match version_of(cell.selector, cell.record) {
                    None => due_again(tx, &mut grant, cell)?,
                    Some(version) => {
                        let due = Key::due(grant.id, cell.selector, tx.record_tag(record));
                        tx.put(&due, &DueRow { record: record.clone(), gone: Some(version) });
                    }
                }
            }
            if !cells.is_empty() {
                tx.touch(relationship.id);
                withdrawn.insert((relationship.id, grant.id));
            }
        }
        grant.save(tx);
    }
    Ok(withdrawn)
}

/// Who follows what, as one step sees it: a step that changes many fields looks for the followers of a column once.
#[derive(Debug)]
pub struct Followers {
    /// Nobody follows anything.
    none: bool,
    columns: BTreeMap<(Kind, FieldName), Vec<(GrantId, FollowerRow)>>,
}

impl Followers {
    /// Those of this step, of which nothing was looked up yet.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn of(tx: &Tx<'_>) -> Result<Self, StoreFault> {
        let none = tx.scan_raw(&Key::table(Table::Followers), None, 1)?.is_empty();
        Ok(Self { none, columns: BTreeMap::new() })
    }

    /// Marks a changed field as due for everyone who follows it. Returns which grants, of whom.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn mark(
        &mut self,
        tx: &mut Tx<'_>,
        path: &FieldPath,
        gone: Option<u64>,
    ) -> Result<BTreeSet<(RelationshipId, GrantId)>, StoreFault> {
        let mut marked = BTreeSet::new();
        if self.none {
            return Ok(marked);
        }
        let mut followers = followers(tx, &Selector::Field(path.clone()))?;
        followers.extend(self.of_column(tx, path)?);
        for (grant, row) in followers {
            if row.not_after.is_some_and(|end| tx.wall() >= end) {
                continue;
            }
            let record_tag = tx.record_tag(&path.record);
            tx.put(&Key::due(grant, row.selector, record_tag), &DueRow { record: path.record.clone(), gone });
            marked.insert((row.relationship, grant));
            tx.touch(row.relationship);
        }
        Ok(marked)
    }

    fn of_column(&mut self, tx: &Tx<'_>, path: &FieldPath) -> Result<&[(GrantId, FollowerRow)], StoreFault> {
        let column = (path.record.kind.clone(), path.field.clone());
        match self.columns.entry(column) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let (kind, field) = unknown.key().clone();
                Ok(unknown.insert(followers(tx, &Selector::Column { kind, field })?))
            }
        }
    }
}

fn followers(tx: &Tx<'_>, selector: &Selector) -> Result<Vec<(GrantId, FollowerRow)>, StoreFault> {
    let rows = tx.scan::<FollowerRow>(&Key::followers_of(tx.selector_tag(selector)), None, usize::MAX)?;
    Ok(rows.into_iter().map(|(key, row)| (GrantId::from_bytes(key.sixteen(16)), row)).collect())
}

/// Whether a grant has anything to hand over.
///
/// # Errors
/// [`StoreFault`].
pub fn is_due(tx: &Tx<'_>, grant: &Grant) -> Result<bool, StoreFault> {
    Ok(!grant.backfill.is_empty() || !tx.scan_raw(&Key::due_of(grant.id), None, 1)?.is_empty())
}

/// What is being cut: the cells of one entry.
struct Cut {
    refs: Vec<CellRef>,
    payload: CellsPayload,
    bytes: usize,
    keys: BTreeMap<u16, (u32, SecretKey)>,
    fresh_keys: Vec<u16>,
}

/// Cuts what is due under one grant into one entry, if the grant allows it now. Returns the entry's sequence.
///
/// # Errors
/// [`Stop::Fault`].
pub fn cut(tx: &mut Tx<'_>, relationship: &Relationship, grant: &mut Grant) -> Result<Option<u64>, Stop> {
    let may_go = relationship.state == PeerState::Paired && grant.is_active(tx.wall()) && grant.mode != Mode::Reference;
    // The first entry of a grant brings its keys; its cells may follow at once. After that, one at a time.
    let cells_under_way = match grant.mode {
        Mode::Follow => cells_in_flight(tx, relationship, grant)?,
        Mode::Once | Mode::Reference => false,
    };
    if !may_go || cells_under_way {
        return Ok(None);
    }
    let mut cut = Cut {
        refs: Vec::new(),
        payload: CellsPayload { cells: Vec::new() },
        bytes: 0,
        keys: BTreeMap::new(),
        fresh_keys: Vec::new(),
    };
    for (key, row) in tx.scan::<DueRow>(&Key::due_of(grant.id), None, CELLS_PER_STEP)? {
        if cut.is_full() {
            break;
        }
        tx.delete(&key);
        let place = u16::from_be_bytes([key.as_bytes()[17], key.as_bytes()[18]]);
        let lent = grant.lent(place).filter(|lent| lent.taken_back.is_none());
        if let Some(lent) = lent {
            let field = lent.selector.field().clone();
            cut.one(tx, relationship, grant, place, &row.record, &field, row.gone)?;
        }
    }
    continue_columns(tx, relationship, grant, &mut cut)?;
    if cut.refs.is_empty() {
        grant.save(tx);
        return Ok(None);
    }
    if !cut.fresh_keys.is_empty() {
        let fresh = std::mem::take(&mut cut.fresh_keys);
        send_keys(tx, relationship, grant, &fresh)?;
    }
    grant.delivered_through =
        cut.refs.iter().filter(|cell| !cell.gone).map(|cell| cell.version).fold(grant.delivered_through, u64::max);
    let has_cells = !cut.payload.cells.is_empty();
    let payload = allod_crypto::Zeroizing::new(cut.payload.encode());
    let body = Body::Cells(Cells { grant: grant.id, cells: cut.refs });
    let sequence = log::append(tx, relationship, &body, has_cells.then_some(payload.as_slice()))?;
    note_flight(tx, relationship, grant, sequence)?;
    grant.save(tx);
    Ok(Some(sequence))
}

fn cells_in_flight(tx: &Tx<'_>, relationship: &Relationship, grant: &Grant) -> Result<bool, StoreFault> {
    if grant.unacknowledged.is_empty() {
        return Ok(false);
    }
    let log = log::own(tx, relationship)?.log;
    for sequence in &grant.unacknowledged {
        let body = log::kept_body(tx, relationship, log, *sequence)?;
        if matches!(body, Some((_, Body::Cells(_)))) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn continue_columns(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    cut: &mut Cut,
) -> Result<(), Stop> {
    while let Some((place, cursor)) = grant.backfill.first().cloned() {
        if cut.is_full() {
            break;
        }
        let selector = grant.selectors[usize::from(place)].selector.clone();
        let wanted = CELLS_PER_STEP - cut.refs.len();
        let rows = record::chunk(tx, selector.kind(), cursor.as_ref(), wanted)?;
        let was_last = rows.len() < wanted;
        let mut reached = cursor;
        let mut stopped = false;
        for row in rows {
            if cut.is_full() {
                stopped = true;
                break;
            }
            let record = RecordPath { kind: row.kind.clone(), id: row.id.clone() };
            if let Some(present) = lendable(tx, grant, &record, selector.field(), Some(&row))? {
                cut.value(tx, relationship, grant, place, &record, present)?;
            }
            reached = Some(record);
        }
        if was_last && !stopped {
            grant.backfill.remove(0);
        } else {
            grant.backfill[0].1 = reached;
        }
    }
    Ok(())
}

/// The version that a grant lends of a field: the present one, or for `once` that of the moment of lending.
fn lendable(
    tx: &Tx<'_>,
    grant: &Grant,
    record: &RecordPath,
    field: &FieldName,
    row: Option<&record::RecordRow>,
) -> Result<Option<Present>, StoreFault> {
    let present = match row {
        Some(row) => record::present_in(tx, row, field)?,
        None => record::present(tx, &record.field(field.clone()))?,
    };
    match grant.mode {
        Mode::Once => match present {
            // In the step that lends, the present version is that of the moment, also if a clock that was set back since says else.
            Some(present) if present.at > grant.not_before && tx.wall() != grant.not_before => {
                record::as_of(tx, &record.field(field.clone()), grant.not_before)
            }
            other => Ok(other),
        },
        Mode::Follow | Mode::Reference => Ok(present),
    }
}

impl Cut {
    fn is_full(&self) -> bool {
        self.refs.len() >= CELLS_PER_STEP || self.bytes >= STEP_MAX_BYTES * 3 / 4
    }

    #[allow(clippy::too_many_arguments)] // One cell's whole place; a struct of it would be used here alone.
    fn one(
        &mut self,
        tx: &mut Tx<'_>,
        relationship: &Relationship,
        grant: &mut Grant,
        place: u16,
        record: &RecordPath,
        field: &FieldName,
        gone: Option<u64>,
    ) -> Result<(), Stop> {
        match lendable(tx, grant, record, field, None)? {
            Some(present) => self.value(tx, relationship, grant, place, record, present),
            None => {
                if let Some(version) = gone {
                    self.tombstone(tx, relationship, grant, place, record, version)?;
                }
                Ok(())
            }
        }
    }

    fn value(
        &mut self,
        tx: &mut Tx<'_>,
        relationship: &Relationship,
        grant: &mut Grant,
        place: u16,
        record: &RecordPath,
        present: Present,
    ) -> Result<(), Stop> {
        let epoch = self.key(tx, grant, place)?;
        let key = &self.keys[&place].1;
        let selector = &grant.selectors[usize::from(place)].selector;
        let pseudonym = pseudonym(relationship, selector, record);
        let version = present.version;
        let place_of = CellPlace {
            relationship: &relationship.tag,
            log: relationship.my_log,
            grant: grant.id,
            selector,
            record: pseudonym,
            epoch,
            version,
            agreement: &grant.agreement,
        };
        let sealed = seal_cell(key, &place_of, present, tx);
        self.bytes += sealed.len();
        self.payload.cells.push(serde_bytes::ByteBuf::from(sealed));
        self.refs.push(CellRef { selector: place, record: pseudonym, epoch, version, gone: false });
        Ok(())
    }

    /// The holder drops a literal selector's key with its cell, so that a value set later needs a fresh one.
    fn tombstone(
        &mut self,
        tx: &mut Tx<'_>,
        relationship: &Relationship,
        grant: &mut Grant,
        place: u16,
        record: &RecordPath,
        version: u64,
    ) -> Result<(), Stop> {
        let lent = &mut grant.selectors[usize::from(place)];
        let epoch = lent.epoch;
        let pseudonym = pseudonym(relationship, &lent.selector, record);
        if matches!(lent.selector, Selector::Field(_)) {
            crate::grant::destroy_keys(tx, grant.id, place)?;
        }
        self.refs.push(CellRef { selector: place, record: pseudonym, epoch, version, gone: true });
        Ok(())
    }

    /// The key of a selector, drawn anew if it was destroyed.
    fn key(&mut self, tx: &mut Tx<'_>, grant: &mut Grant, place: u16) -> Result<u32, Stop> {
        if let Some((epoch, _)) = self.keys.get(&place) {
            return Ok(*epoch);
        }
        let lent = &mut grant.selectors[usize::from(place)];
        let stored: Option<FieldKeyRow> = tx.get(&Key::field_key(grant.id, place, lent.epoch))?;
        let key = match stored {
            Some(row) => row.0.key(),
            None => {
                lent.epoch += 1;
                let key = SecretKey::random(&mut *tx.dice);
                tx.put(&Key::field_key(grant.id, place, lent.epoch), &FieldKeyRow(StoredKey::keep(&key)));
                self.fresh_keys.push(place);
                key
            }
        };
        self.keys.insert(place, (lent.epoch, key));
        Ok(lent.epoch)
    }
}

/// The pseudonym of a record under a selector; none where the selector names the record.
pub(crate) fn pseudonym(relationship: &Relationship, selector: &Selector, record: &RecordPath) -> Option<Pseudonym> {
    match selector {
        Selector::Field(_) => None,
        Selector::Column { .. } => Some(relationship.pseudonym(record)),
    }
}

/// The key of one record's cells under a column's key.
#[must_use]
pub fn record_key(field_key: &SecretKey, record: Option<Pseudonym>) -> SecretKey {
    match record {
        None => field_key.duplicate(),
        Some(record) => record_key_of(&field_key.extracted(), record),
    }
}

/// The same, from a column's key that serves many records.
#[must_use]
pub fn record_key_of(column_key: &ExtractedKey, record: Pseudonym) -> SecretKey {
    column_key.derive_parts(&[b"allod/record-key/1", record.as_bytes()])
}

/// How a cell's length is hidden: a single field pads its own; the cells of a column share their entry's padding.
#[must_use]
pub fn padding(record: Option<Pseudonym>) -> Padding {
    if record.is_some() { Padding::None } else { Padding::Padme }
}

pub(crate) fn seal_cell(key: &SecretKey, place: &CellPlace<'_>, present: Present, tx: &mut Tx<'_>) -> Vec<u8> {
    let content = CellContent { at_s: present.at.as_millis() / 1_000, value: present.value };
    let plain = allod_crypto::Zeroizing::new(content.encode());
    let key = record_key(key, place.record);
    seal(&key, Domain::Cell, &place.aad(), &plain, padding(place.record), &mut *tx.dice)
}

/// The peer has our entries up to here: their payloads are gone, and what was waiting for them can go on. Returns the grants concerned.
///
/// # Errors
/// [`StoreFault`].
pub fn arrived(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    through: u64,
    at: Timestamp,
) -> Result<Vec<GrantId>, StoreFault> {
    let mut grants = BTreeSet::new();
    let log = log::own(tx, relationship)?.log;
    for (key, flight) in tx.scan::<FlightRow>(&Key::flights_of(log), None, usize::MAX)? {
        if key.number(16) > through {
            break;
        }
        tx.delete(&key);
        grants.insert(flight.grant);
    }
    for id in &grants {
        if let Some(mut grant) = Grant::find(tx, relationship.id, *id)? {
            grant.unacknowledged.retain(|sequence| *sequence > through);
            grant.last_delivery = Some(at);
            grant.save(tx);
        }
    }
    Ok(grants.into_iter().collect())
}

/// How many fields are due to a peer, at most `most`.
///
/// # Errors
/// [`StoreFault`].
pub fn count_due(tx: &Tx<'_>, grants: &[Grant], most: usize) -> Result<u64, StoreFault> {
    let mut count = 0;
    for grant in grants.iter().filter(|grant| grant.is_active(tx.wall())) {
        count += tx.scan_raw(&Key::due_of(grant.id), None, most)?.len();
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}
