//! What others lend to us: keys and cells held, read within their grant, and dropped when it ends.
//!
//! A read needs nobody online. It checks, each time: the selector is not taken back, the grant's time, and the lease, which is how long
//! after the owner's newest head a grant may still be read. Past lease or end the node refuses and keeps the keys; it destroys them on
//! `Revoked`, or when a head dated after the end confirms the end.

mod at_hand;

use std::collections::BTreeMap;

use allod_crypto::{Domain, SecretKey, open};

pub use at_hand::AtHand;

use crate::{
    ask,
    codec::Coded,
    command::{Direction, FieldView, Happening, Listing, Mode, Page, PeerState, Purge, RecordView},
    delivery::{padding, record_key},
    door::Authorized,
    grant::{EndRow, Ended, FieldKeyRow, Grant, Lent, ReadCount, destroy_keys, forget_end},
    id::{GrantId, Pseudonym},
    job::{Announce, Job},
    limits::{LEASE_MAX, LEASE_MIN},
    log::{self, KnownHead},
    pairing::erase_unconfirmed,
    path::{FieldPath, Kind, RecordId, RecordPath, Selector},
    refusal::Refusal,
    relationship::{PeerRef, Relationship},
    restore,
    secret::StoredKey,
    store::StoreFault,
    table::{Key, Table},
    time::Timestamp,
    tx::{Misbehaviour, Stop, Tx},
    value::Value,
    wire::body::{
        Body, CellContent, CellPlace, Cells, CellsPayload, Granted, KeysChanged, KeysPayload, Purged, Revoked, Served,
        ServedPayload,
    },
};

/// A cell as it is stored: `version:8 ‖ epoch:4 ‖ received:8 ‖ sealed`, big-endian.
struct HeldCell<'a> {
    version: u64,
    epoch: u32,
    sealed: &'a [u8],
}

impl<'a> HeldCell<'a> {
    const HEAD_BYTES: usize = 20;

    fn encode(&self, received: Timestamp) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEAD_BYTES + self.sealed.len());
        bytes.extend(self.version.to_be_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(received.as_millis().to_be_bytes());
        bytes.extend(self.sealed);
        bytes
    }

    /// What makes it older or newer than another of its place.
    fn age(&self) -> (u32, u64) {
        (self.epoch, self.version)
    }

    fn read(stored: &'a [u8]) -> Result<Self, StoreFault> {
        let damaged = || StoreFault::Damaged { detail: "a cell cannot be read".to_owned() };
        let (head, sealed) = stored.split_at_checked(Self::HEAD_BYTES).ok_or_else(damaged)?;
        let number = |from: usize, to: usize| head[from..to].iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        Ok(Self { version: number(0, 8), epoch: u32::try_from(number(8, 12)).expect("four bytes"), sealed })
    }
}

/// A grant comes in.
///
/// # Errors
/// [`Stop`].
pub fn granted(tx: &mut Tx<'_>, relationship: &Relationship, order: &Authorized<Granted>) -> Result<(), Stop> {
    let body = order.body();
    let lease = body.lease_ms.map(|lease| {
        lease.clamp(
            u64::try_from(LEASE_MIN.as_millis()).expect("a short time"),
            u64::try_from(LEASE_MAX.as_millis()).expect("a short time"),
        )
    });
    let grant = Grant {
        id: body.grant,
        relationship: relationship.id,
        direction: Direction::Held,
        ask: body.ask,
        selectors: body
            .selectors
            .iter()
            .map(|selector| Lent { selector: selector.clone(), taken_back: None, purged: false, epoch: 0 })
            .collect(),
        purpose: body.purpose.clone(),
        mode: body.mode,
        not_before: body.not_before,
        not_after: body.not_after,
        lease_ms: lease,
        reads_per_hour: body.reads_per_hour,
        agreement: body.agreement,
        ended: None,
        purge: Purge::None,
        purged_at: None,
        backfill: Vec::new(),
        unacknowledged: Vec::new(),
        delivered_through: 0,
        last_delivery: None,
        last_use: None,
        uses: 0,
        reads: ReadCount::default(),
    };
    if let Some(payload) = order.payload() {
        let payload = KeysPayload::decode(payload).map_err(|_| Misbehaviour::Malformed)?;
        if payload.keys.len() != grant.selectors.len() {
            return Err(Misbehaviour::Malformed.into());
        }
        for (place, key) in payload.keys.iter().enumerate() {
            let place = u16::try_from(place).expect("selectors are capped");
            tx.put(&Key::field_key(grant.id, place, 0), &FieldKeyRow(StoredKey::from_bytes(key)));
        }
    }
    for (place, lent) in grant.selectors.iter().enumerate() {
        let place = u16::try_from(place).expect("selectors are capped");
        let tag = tx.selector_tag(&lent.selector);
        tx.put(&Key::readable(relationship.id, tag, grant.id), &Readable(place));
    }
    tx.put(&Key::grant_id(grant.id), &PeerRef(relationship.id));
    if let Some(end) = grant.not_after {
        tx.put(&Key::end(end, grant.id), &EndRow { relationship: relationship.id, tries: 0 });
    }
    grant.save(tx);
    if let Some(ask) = grant.ask {
        ask::answered_by(tx, relationship, ask, &grant)?;
    }
    tell(tx, relationship, "granted", Some(&grant), order.at());
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Readable(u16);

impl Coded for Readable {}

/// Says to whoever watches what happened to a grant.
pub(crate) fn tell(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    event: &'static str,
    grant: Option<&Grant>,
    at: Timestamp,
) {
    tx.happened(Happening {
        at,
        event,
        peer: Some(relationship.petname.clone()),
        grant: grant.map(|grant| grant.id.to_string()),
        ask: None,
        selectors: grant
            .map(|grant| grant.selectors.iter().map(|lent| lent.selector.to_string()).collect())
            .unwrap_or_default(),
        path: None,
    });
}

/// Fresh keys come in.
///
/// # Errors
/// [`Stop`].
pub fn keys(tx: &mut Tx<'_>, grant: &mut Grant, order: &Authorized<KeysChanged>) -> Result<(), Stop> {
    let Some(payload) = order.payload() else { return Ok(()) };
    let payload = KeysPayload::decode(payload).map_err(|_| Misbehaviour::Malformed)?;
    if payload.keys.len() != order.body().keys.len() {
        return Err(Misbehaviour::Malformed.into());
    }
    for ((place, epoch), key) in order.body().keys.iter().zip(&payload.keys) {
        let Some(lent) = grant.selectors.get_mut(usize::from(*place)) else {
            return Err(Misbehaviour::Malformed.into());
        };
        if lent.taken_back.is_none() && grant.ended.is_none() && *epoch >= lent.epoch {
            lent.epoch = *epoch;
            let row = Key::field_key(grant.id, *place, *epoch);
            // Cells are held under a key that is here: another one in its place would make them damage.
            if !tx.has(&row)? {
                tx.put(&row, &FieldKeyRow(StoredKey::from_bytes(key)));
            }
        }
    }
    grant.save(tx);
    Ok(())
}

/// Cells come in: kept if they open in just the place that we were granted, and are newer than what we hold.
///
/// # Errors
/// [`Stop`].
pub fn cells(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    order: &Authorized<Cells>,
) -> Result<(), Stop> {
    if grant.ended.is_some() {
        return Ok(());
    }
    let payload = match order.payload() {
        Some(payload) => CellsPayload::decode(payload).map_err(|_| Misbehaviour::Malformed)?.cells,
        None => Vec::new(),
    };
    let dropped = order.payload().is_none();
    let expected = order.body().cells.iter().filter(|cell| !cell.gone).count();
    if !dropped && payload.len() != expected {
        return Err(Misbehaviour::Malformed.into());
    }
    let mut sealed = payload.into_iter();
    let mut keys: BTreeMap<(u16, u32), Option<SecretKey>> = BTreeMap::new();
    let mut gone = Vec::new();
    for cell in &order.body().cells {
        let arrived = if cell.gone { None } else { sealed.next().map(serde_bytes::ByteBuf::into_vec) };
        let Some(lent) = grant.lent(cell.selector).filter(|lent| lent.taken_back.is_none()) else { continue };
        if cell.record.is_some() != matches!(lent.selector, Selector::Column { .. }) {
            continue;
        }
        let selector = lent.selector.clone();
        let key = Key::cell(grant.id, cell.selector, cell.record);
        let held = match tx.get_raw(&key)? {
            Some(stored) => Some(HeldCell::read(&stored)?.age()),
            None => None,
        };
        // After a restore its owner counts versions from an earlier one, under a later epoch.
        let age = (cell.epoch, cell.version);
        if cell.gone {
            if held.is_none_or(|held| held <= age) {
                tx.delete(&key);
                if cell.record.is_none() {
                    destroy_keys(tx, grant.id, cell.selector)?;
                    keys.retain(|(selector, _), _| *selector != cell.selector);
                }
                gone.push(cell.clone());
            }
            continue;
        }
        let newer = held.is_none_or(|held| held.0 < cell.epoch || held < age && grant.mode == Mode::Follow);
        let Some(sealed) = arrived.filter(|_| newer) else { continue };
        let place = (cell.selector, cell.epoch);
        if let std::collections::btree_map::Entry::Vacant(unknown) = keys.entry(place) {
            unknown.insert(field_key(tx, grant.id, place.0, place.1)?);
        }
        let Some(Some(field_key)) = keys.get(&place) else { continue };
        let bound_to = CellPlace {
            relationship: &relationship.tag,
            log: relationship.their_log,
            grant: grant.id,
            selector: &selector,
            record: cell.record,
            epoch: cell.epoch,
            version: cell.version,
            agreement: &grant.agreement,
        };
        if open_cell(field_key, &bound_to, &sealed).is_none() {
            return Err(Misbehaviour::Forged.into());
        }
        let held = HeldCell { version: cell.version, epoch: cell.epoch, sealed: &sealed };
        tx.put_raw(&key, held.encode(tx.wall()));
        if cell.record.is_none() {
            destroy_older_keys(tx, grant.id, cell.selector, cell.epoch)?;
            keys.retain(|(selector, epoch), _| *selector != cell.selector || *epoch >= cell.epoch);
        }
        grant.delivered_through = grant.delivered_through.max(cell.version);
    }
    grant.last_delivery = Some(order.at());
    grant.save(tx);
    if !gone.is_empty() {
        // The keys that went with single fields' cells are in old bytes still, under the key of the grant's bucket.
        if gone.iter().any(|cell| cell.record.is_none()) {
            Job::reseal(tx, grant.id.as_bytes()[0])?;
        }
        log::append(tx, relationship, &Body::Purged(Purged::Cells { grant: grant.id, cells: gone }), None)?;
    }
    tell(tx, relationship, "field_changed", Some(grant), order.at());
    Ok(())
}

/// An old epoch's key goes when no live cell needs it: a literal selector has one cell.
pub(crate) fn destroy_older_keys(tx: &mut Tx<'_>, grant: GrantId, place: u16, epoch: u32) -> Result<(), StoreFault> {
    if epoch == 0 {
        return Ok(());
    }
    for (key, _) in tx.scan_raw(&Key::field_keys_of(grant, place), None, usize::MAX)? {
        if key < Key::field_key(grant, place, epoch) {
            tx.delete(&key);
        }
    }
    Ok(())
}

fn field_key(tx: &Tx<'_>, grant: GrantId, place: u16, epoch: u32) -> Result<Option<SecretKey>, StoreFault> {
    Ok(tx.get::<FieldKeyRow>(&Key::field_key(grant, place, epoch))?.map(|row| row.0.key()))
}

fn open_cell(field_key: &SecretKey, place: &CellPlace<'_>, sealed: &[u8]) -> Option<CellContent> {
    opened_cell(&record_key(field_key, place.record), place.record, &place.aad(), sealed)
}

/// Opens a cell with the key that is its own.
fn opened_cell(key: &SecretKey, record: Option<Pseudonym>, aad: &[u8], sealed: &[u8]) -> Option<CellContent> {
    content_of(&open(key, Domain::Cell, aad, sealed, padding(record)).ok()?)
}

fn content_of(plain: &[u8]) -> Option<CellContent> {
    let CellContent { at_s, value } = CellContent::decode(plain).ok()?;
    Some(CellContent { at_s, value: value.checked().ok()? })
}

/// Selectors are taken back: their keys go with this step, their cells with a job that ends in `Purged`.
///
/// # Errors
/// [`Stop`].
pub fn revoked(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    order: &Authorized<Revoked>,
) -> Result<(), Stop> {
    let at = order.at();
    let named = order.body().selectors.iter().copied();
    let known: Vec<u16> = named.filter(|place| grant.lent(*place).is_some()).collect();
    if known.is_empty() {
        return Err(Misbehaviour::Malformed.into());
    }
    // What was taken back before is gone: saying it again must cost nothing.
    let here = |place: &u16| grant.selectors[usize::from(*place)].taken_back.is_none();
    let places: Vec<u16> = known.into_iter().filter(here).collect();
    if places.is_empty() {
        return Ok(());
    }
    drop_selectors(tx, relationship, grant, &places, at, Announce::Tell)?;
    if grant.live_selectors().is_empty() {
        grant.ended = Some(Ended::Revoked { at });
        forget_end(tx, grant);
    }
    grant.save(tx);
    tell(tx, relationship, "revoked", Some(grant), at);
    Ok(())
}

fn drop_selectors(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    places: &[u16],
    at: Timestamp,
    announce: Announce,
) -> Result<(), StoreFault> {
    for place in places {
        grant.selectors[usize::from(*place)].taken_back = Some(at);
        destroy_keys(tx, grant.id, *place)?;
        // A single field's cell goes at once; columns go in steps.
        tx.delete(&Key::cell(grant.id, *place, None));
    }
    grant.purge = Purge::Awaited;
    Job::Purge { relationship: relationship.id, grant: grant.id, selectors: places.to_vec(), announce }.start(tx);
    Ok(())
}

/// All keys and cells of a grant that we hold go.
///
/// # Errors
/// [`StoreFault`].
pub fn drop_all(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    ended: Ended,
    announce: Announce,
) -> Result<(), StoreFault> {
    let (Ended::Revoked { at } | Ended::Expired { at }) = ended;
    let places = grant.live_selectors();
    if !places.is_empty() {
        drop_selectors(tx, relationship, grant, &places, at, announce)?;
    }
    if matches!(ended, Ended::Expired { .. }) {
        // Nobody took anything back: the time was over.
        for place in &places {
            grant.selectors[usize::from(*place)].taken_back = None;
        }
    }
    grant.ended = Some(ended);
    forget_end(tx, grant);
    grant.save(tx);
    Ok(())
}

/// The lender states after a restore which selectors of a grant go on. What it does not name ends; of the rest it sends everything again,
/// under keys of a later epoch, and what is held under older ones goes.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn resumed(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    live: &[(u16, u32)],
    at: Timestamp,
) -> Result<(), StoreFault> {
    let goes_on = |place: &u16| live.iter().any(|(other, _)| other == place);
    let (going, gone): (Vec<u16>, Vec<u16>) = grant.live_selectors().into_iter().partition(goes_on);
    if going.is_empty() {
        drop_all(tx, relationship, grant, Ended::Revoked { at }, Announce::Tell)?;
    } else if !gone.is_empty() {
        drop_selectors(tx, relationship, grant, &gone, at, Announce::Tell)?;
        grant.save(tx);
    }
    if !gone.is_empty() || going.is_empty() {
        tell(tx, relationship, "revoked", Some(grant), at);
    }
    let below: Vec<(u16, u32)> =
        going.into_iter().map(|place| (place, grant.selectors[usize::from(place)].epoch.saturating_add(1))).collect();
    if !below.is_empty() && grant.mode != Mode::Reference {
        Job::DropOlder { grant: grant.id, below, after: None }.start(tx);
    }
    Ok(())
}

/// Whether a stored cell is under a key of an epoch below this one.
///
/// # Errors
/// [`StoreFault`] if it can't be read.
pub(crate) fn is_older(stored: &[u8], epoch: u32) -> Result<bool, StoreFault> {
    Ok(HeldCell::read(stored)?.epoch < epoch)
}

pub(crate) fn mark_purged(tx: &mut Tx<'_>, grant: &mut Grant) {
    grant.purge = Purge::Confirmed;
    grant.purged_at = Some(tx.wall());
    grant.save(tx);
}

/// What `now` is towards a peer: our wall clock, and never earlier than the peer's newest head and what passed since.
#[must_use]
pub fn relationship_now(wall: Timestamp, head: Option<KnownHead>, heard: Option<Timestamp>) -> Timestamp {
    let signed = head.map_or(wall, |head| head.at);
    wall.max(signed).max(heard.unwrap_or(wall))
}

/// What reading came to.
pub enum ReadOutcome {
    Value {
        view: Box<FieldView>,
        grant: GrantId,
        selector: u16,
    },
    /// The grant allows no copy: a live read is needed.
    Live {
        grant: Box<Grant>,
        selector: u16,
        record: Option<Pseudonym>,
    },
}

/// Reads what a peer lends.
///
/// # Errors
/// [`Stop::Refused`] with the reason that says most.
pub fn read(
    tx: &Tx<'_>,
    relationship: &Relationship,
    path: &FieldPath,
    heard: Option<Timestamp>,
) -> Result<ReadOutcome, Stop> {
    let peer = &relationship.petname;
    match relationship.state {
        PeerState::Frozen => return Err(Refusal::Forked { peer: peer.clone() }.into()),
        PeerState::Pending => return Err(Refusal::PeerPending { peer: peer.clone() }.into()),
        // It may hold what was taken back, and said to be gone, before this home was put back.
        PeerState::Restored if restore::waits(tx, relationship)? => {
            return Err(Refusal::LentNotHeard { peer: peer.clone() }.into());
        }
        PeerState::Paired | PeerState::Restored | PeerState::Closed => {}
    }
    let their = log::theirs(tx, relationship)?;
    let now = relationship_now(tx.wall(), their.head, heard);
    let mut best: Option<(u64, FieldView, GrantId, u16)> = None;
    let mut live = None;
    let mut reasons = Vec::new();
    for (grant, place, record) in candidates(tx, relationship, path)? {
        if let Some(reason) = refusal(&grant, place, relationship, path, now, their.head) {
            reasons.push(reason);
            continue;
        }
        if grant.mode == Mode::Reference {
            live = Some(ReadOutcome::Live { grant: Box::new(grant), selector: place, record });
            continue;
        }
        let Some(stored) = tx.get_raw(&Key::cell(grant.id, place, record))? else {
            reasons.push((5, Refusal::NotArrived { peer: peer.clone(), path: path.to_string() }));
            continue;
        };
        let cell = HeldCell::read(&stored)?;
        if best.as_ref().is_some_and(|(version, ..)| *version >= cell.version) {
            continue;
        }
        let view = open_held(tx, relationship, &grant, place, record, &cell, path.to_string())?;
        best = Some((cell.version, view, grant.id, place));
    }
    if let Some((_, view, grant, selector)) = best {
        return Ok(ReadOutcome::Value { view: Box::new(view), grant, selector });
    }
    if let Some(live) = live {
        return Ok(live);
    }
    reasons.sort_by_key(|(rank, _)| *rank);
    let reason = reasons
        .pop()
        .map_or_else(|| Refusal::NoGrantFrom { peer: peer.clone(), path: path.to_string() }, |(_, refusal)| refusal);
    Err(reason.into())
}

/// The grants that may cover a path: by the path itself, and by its column where the id is a pseudonym.
fn candidates(
    tx: &Tx<'_>,
    relationship: &Relationship,
    path: &FieldPath,
) -> Result<Vec<(Grant, u16, Option<Pseudonym>)>, StoreFault> {
    let literal = (Selector::Field(path.clone()), None);
    let column = Selector::Column { kind: path.record.kind.clone(), field: path.field.clone() };
    let by_pseudonym = parse_pseudonym(path.record.id.as_str()).map(|record| (column, Some(record)));
    let mut found = Vec::new();
    for (selector, record) in [Some(literal), by_pseudonym].into_iter().flatten() {
        let tag = tx.selector_tag(&selector);
        for (key, readable) in tx.scan::<Readable>(&Key::readable_by(relationship.id, tag), None, usize::MAX)? {
            let id = GrantId::from_bytes(key.sixteen(32));
            if let Some(grant) = Grant::find(tx, relationship.id, id)? {
                found.push((grant, readable.0, record));
            }
        }
    }
    Ok(found)
}

/// The record that a pseudonym's written form names.
#[must_use]
pub fn parse_pseudonym(text: &str) -> Option<Pseudonym> {
    // Bytes that the text begins with are all of the id only if the text is all of it.
    let bytes = (text.len() == Pseudonym::PREFIX.len() + 26).then(|| Pseudonym::beginning(text))??;
    Some(Pseudonym::from_bytes(bytes.try_into().ok()?))
}

/// Why a grant may not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NotYet { from: Timestamp },
    TakenBack { at: Timestamp },
    Expired { at: Timestamp },
    LeaseOver { heard: Timestamp, ended: Timestamp },
}

/// Whether this selector of a grant may be read now: it is not taken back, its time has come and is not over, and its lease holds.
fn why_not(grant: &Grant, place: u16, now: Timestamp, head: Option<KnownHead>) -> Option<Why> {
    if let Some(at) = grant.lent(place).and_then(|lent| lent.taken_back) {
        return Some(Why::TakenBack { at });
    }
    match grant.ended {
        Some(Ended::Revoked { at }) => return Some(Why::TakenBack { at }),
        Some(Ended::Expired { at }) => return Some(Why::Expired { at }),
        None => {}
    }
    if let Some(at) = grant.not_after.filter(|end| now >= *end) {
        return Some(Why::Expired { at });
    }
    if now.after(crate::limits::CLOCK_AHEAD_MAX) < grant.not_before {
        return Some(Why::NotYet { from: grant.not_before });
    }
    if grant.lease_ms.is_some() {
        let end = grant.lease_until(head.map(|head| (head.at, head.until)));
        if end.is_none_or(|end| now > end) {
            let heard = head.map_or(grant.not_before, |head| head.at);
            return Some(Why::LeaseOver { heard, ended: end.unwrap_or(heard) });
        }
    }
    None
}

/// The same in words, with how much the reason says.
fn refusal(
    grant: &Grant,
    place: u16,
    relationship: &Relationship,
    path: &FieldPath,
    now: Timestamp,
    head: Option<KnownHead>,
) -> Option<(u8, Refusal)> {
    let why = why_not(grant, place, now, head)?;
    let (peer, path) = (relationship.petname.clone(), path.to_string());
    Some(match why {
        Why::NotYet { from } => (1, Refusal::GrantNotYet { peer, path, at: from }),
        Why::TakenBack { at } => (2, Refusal::TakenBack { peer, path, at }),
        Why::Expired { at } => (3, Refusal::GrantExpired { peer, path, at }),
        Why::LeaseOver { heard, ended } => (4, Refusal::LeaseOver { peer, heard, ended }),
    })
}

fn open_held(
    tx: &Tx<'_>,
    relationship: &Relationship,
    grant: &Grant,
    place: u16,
    record: Option<Pseudonym>,
    cell: &HeldCell<'_>,
    path: String,
) -> Result<FieldView, StoreFault> {
    let damaged = || StoreFault::Damaged { detail: "a cell that was held does not open".to_owned() };
    let key = field_key(tx, grant.id, place, cell.epoch)?.ok_or_else(damaged)?;
    let bound_to = CellPlace {
        relationship: &relationship.tag,
        log: relationship.their_log,
        grant: grant.id,
        selector: &grant.selectors[usize::from(place)].selector,
        record,
        epoch: cell.epoch,
        version: cell.version,
        agreement: &grant.agreement,
    };
    let content = open_cell(&key, &bound_to, cell.sealed).ok_or_else(damaged)?;
    Ok(held_view(&relationship.petname, grant.id.to_string(), path, content.value, cell.version, content.at_s))
}

fn held_view(peer: &str, grant: String, path: String, value: Value, version: u64, at_s: u64) -> FieldView {
    FieldView {
        path,
        value,
        version,
        at: Timestamp::from_millis(at_s.saturating_mul(1_000)),
        source: ["peer:", peer].concat(),
        peer: Some(peer.to_owned()),
        grant: Some(grant),
        selector: None,
    }
}

/// The answer to a live read, opened. Nothing of it is kept.
///
/// # Errors
/// [`Stop::Misbehaved`] if it does not open in the place that was asked for.
pub fn served(
    relationship: &Relationship,
    grant: &Grant,
    path: String,
    order: &Authorized<Served>,
    version: u64,
) -> Result<FieldView, Stop> {
    let body = order.body();
    let payload = order.payload().ok_or(Misbehaviour::Malformed)?;
    let payload = ServedPayload::decode(payload).map_err(|_| Misbehaviour::Malformed)?;
    let lent = grant.lent(body.selector).ok_or(Misbehaviour::Malformed)?;
    let bound_to = CellPlace {
        relationship: &relationship.tag,
        log: relationship.their_log,
        grant: grant.id,
        selector: &lent.selector,
        record: body.record,
        epoch: u32::MAX,
        version,
        agreement: &grant.agreement,
    };
    let key = SecretKey::from_bytes(payload.key);
    let content = open_cell(&key, &bound_to, &payload.cell).ok_or(Misbehaviour::Forged)?;
    Ok(held_view(&relationship.petname, grant.id.to_string(), path, content.value, version, content.at_s))
}

/// The records that a peer lends, with the fields that can be read now.
///
/// # Errors
/// [`Stop`].
pub fn list(
    tx: &Tx<'_>,
    relationship: &Relationship,
    kind: Option<&Kind>,
    only: Option<&RecordPath>,
    heard: Option<Timestamp>,
    page: &Page,
) -> Result<Listing<RecordView>, Stop> {
    let their = log::theirs(tx, relationship)?;
    let now = relationship_now(tx.wall(), their.head, heard);
    let mut records: BTreeMap<String, RecordView> = BTreeMap::new();
    let mut add = |record: String, kind: &Kind, field: &str, at: Timestamp| {
        let view = records.entry(record.clone()).or_insert_with(|| RecordView {
            id: record,
            kind: kind.clone(),
            fields: Vec::new(),
            at,
        });
        if !view.fields.iter().any(|known| known == field) {
            view.fields.push(field.to_owned());
        }
        view.at = view.at.max(at);
    };
    let readable = match relationship.state {
        PeerState::Paired => true,
        PeerState::Restored => !restore::waits(tx, relationship)?,
        PeerState::Pending | PeerState::Frozen | PeerState::Closed => false,
    };
    if readable {
        for grant in Grant::live_with(tx, relationship.id)? {
            if grant.direction != Direction::Held {
                continue;
            }
            for place in grant.live_selectors() {
                let selector = &grant.selectors[usize::from(place)].selector;
                if kind.is_some_and(|kind| kind != selector.kind()) {
                    continue;
                }
                let sample = sample_path(selector);
                if refusal(&grant, place, relationship, &sample, now, their.head).is_some() {
                    continue;
                }
                let at = grant.last_delivery.unwrap_or(grant.not_before);
                match selector {
                    Selector::Field(path) => {
                        let here = grant.mode == Mode::Reference || tx.has(&Key::cell(grant.id, place, None))?;
                        if here {
                            add(path.record.to_string(), &path.record.kind, path.field.as_str(), at);
                        }
                    }
                    Selector::Column { kind, field } => {
                        for (key, _) in tx.scan_raw(&Key::cells_of(grant.id, place), None, usize::MAX)? {
                            let record = Pseudonym::from_bytes(key.sixteen(18));
                            add(format!("{kind}/{}", record.long()), kind, field.as_str(), at);
                        }
                    }
                }
            }
        }
    }
    if let Some(only) = only {
        records.retain(|id, _| *id == only.to_string());
    }
    let mut items: Vec<RecordView> = records
        .into_iter()
        .filter(|(id, _)| page.after.as_ref().is_none_or(|after| id > after))
        .map(|(_, mut view)| {
            view.fields.sort();
            view
        })
        .take(page.limit.saturating_add(1))
        .collect();
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    let next = if more { items.last().map(|item| item.id.clone()) } else { None };
    Ok(Listing { items, next })
}

/// A path that a selector covers, for a message about it.
fn sample_path(selector: &Selector) -> FieldPath {
    match selector {
        Selector::Field(path) => path.clone(),
        Selector::Column { kind, field } => RecordPath {
            kind: kind.clone(),
            id: RecordId::parse(&Pseudonym::from_bytes([0; 16]).long()).expect("a pseudonym is a plain id"),
        }
        .field(field.clone()),
    }
}

/// Grants whose end has come: ours are closed, those of others once their owner's head confirms it. So are pairings that nobody confirmed.
/// Returns when to look again.
///
/// # Errors
/// [`Stop::Fault`].
pub fn end_what_is_over(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, Stop> {
    const AT_ONCE: usize = 64;
    let rows = tx.scan::<EndRow>(&Key::table(Table::Ends), None, AT_ONCE)?;
    for (key, row) in rows {
        let at = end_time(&key);
        if at > tx.wall() {
            break;
        }
        tx.delete(&key);
        let id = GrantId::from_bytes(key.sixteen(9));
        let Some(relationship) = Relationship::find(tx, row.relationship)? else { continue };
        if erase_unconfirmed(tx, &relationship, tx.now)? {
            continue;
        }
        let Some(mut grant) = Grant::find(tx, relationship.id, id)?.filter(|grant| grant.ended.is_none()) else {
            continue;
        };
        let end = grant.not_after.unwrap_or(at);
        if grant.direction == Direction::Given {
            crate::grant::close_expired(tx, &relationship, &mut grant, end)?;
            // The other side keeps its keys until it hears a head of after the end.
            tx.touch(relationship.id);
            continue;
        }
        let confirmed = log::theirs(tx, &relationship)?.head.is_some_and(|head| head.at >= end);
        if confirmed {
            drop_all(tx, &relationship, &mut grant, Ended::Expired { at: end }, Announce::Tell)?;
        } else {
            // Our clock alone does not end it for good: look again when the owner may have spoken.
            let minutes = 1u64 << row.tries.min(10);
            let again = tx.wall().after(std::time::Duration::from_secs(60 * minutes));
            let tries = row.tries.saturating_add(1);
            tx.put(&Key::end(again, grant.id), &EndRow { relationship: relationship.id, tries });
        }
    }
    let next = tx.scan_raw(&Key::table(Table::Ends), None, 1)?;
    Ok(next.first().map(|(key, _)| end_time(key)))
}

fn end_time(key: &Key) -> Timestamp {
    let mut at = [0; 8];
    at.copy_from_slice(&key.as_bytes()[2..10]);
    Timestamp::from_millis(u64::from_be_bytes(at))
}
