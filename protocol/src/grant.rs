//! A grant, from its first entry to its end: what we lend, and how it is taken back.
//!
//! `Active -> Expired | Revoked`, and no grant goes on after either: lending again is a new grant with fresh keys. `Expired -> Revoked` too
//! as long as the holder did not say that it dropped what it had: by its own clock the end may not have come. Revoking stops what comes
//! next; it does not unread, and no text in this project may suggest that it does.

use std::time::Duration;

use allod_crypto::SecretKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::{
    agreement,
    codec::Coded,
    command::{Direction, GrantState, GrantView, Mode, Purge, RevokedGrant},
    delivery,
    id::{AskId, GrantId, RelationshipId},
    job::Job,
    limits::{LEASE_DEFAULT, LEASE_MAX, LEASE_MIN, READS_PER_HOUR, SELECTORS_MAX},
    log,
    path::{FieldPath, RecordPath, Selector},
    purpose::Purpose,
    record,
    refusal::Refusal,
    relationship::{PeerRef, Relationship},
    secret::StoredKey,
    store::StoreFault,
    table::{Key, Table},
    time::Timestamp,
    tx::{Stop, Tx},
    wire::{
        body::{Body, Granted, KeysChanged, KeysPayload, Revoked},
        header::Hash,
    },
};

/// One grant's row, the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: GrantId,
    pub relationship: RelationshipId,
    pub direction: Direction,
    pub ask: Option<AskId>,
    pub selectors: Vec<Lent>,
    pub purpose: Purpose,
    pub mode: Mode,
    pub not_before: Timestamp,
    pub not_after: Option<Timestamp>,
    pub lease_ms: Option<u64>,
    pub reads_per_hour: u32,
    pub agreement: Hash,
    pub ended: Option<Ended>,
    pub purge: Purge,
    pub purged_at: Option<Timestamp>,
    /// Columns whose records are still being handed over, each with the last record that was.
    pub backfill: Vec<(u16, Option<RecordPath>)>,
    /// Entries of ours with a payload of this grant that the peer does not have yet.
    pub unacknowledged: Vec<u64>,
    /// The newest version of any field that was handed over.
    pub delivered_through: u64,
    pub last_delivery: Option<Timestamp>,
    pub last_use: Option<Timestamp>,
    pub uses: u64,
    pub reads: ReadCount,
}

/// One selector of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    pub selector: Selector,
    /// When it was taken back.
    pub taken_back: Option<Timestamp>,
    /// The holder said that keys and cells under it are dropped.
    pub purged: bool,
    /// The newest epoch of its key.
    pub epoch: u32,
}

/// How a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    Revoked { at: Timestamp },
    Expired { at: Timestamp },
}

/// Live reads in the present hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadCount {
    pub hour: u64,
    pub served: u32,
    pub refused: u32,
}

impl Coded for Grant {}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FieldKeyRow(pub(crate) StoredKey);

impl Coded for FieldKeyRow {}

/// Who follows a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FollowerRow {
    pub(crate) relationship: RelationshipId,
    pub(crate) selector: u16,
    pub(crate) not_after: Option<Timestamp>,
}

impl Coded for FollowerRow {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndRow {
    pub(crate) relationship: RelationshipId,
    /// How often it was looked at without the peer having confirmed it.
    pub(crate) tries: u8,
}

impl Coded for EndRow {}

/// What a new grant is to be.
#[derive(Clone, Debug)]
pub struct Terms {
    pub selectors: Vec<Selector>,
    pub purpose: Purpose,
    pub mode: Mode,
    pub until: Option<Timestamp>,
    pub lease: Option<Duration>,
    pub ask: Option<AskId>,
}

impl Grant {
    /// Writes the row.
    pub fn save(&self, tx: &mut Tx<'_>) {
        let live = Key::grant(self.relationship, self.id);
        if self.ended.is_none() {
            tx.put(&live, self);
        } else {
            tx.delete(&live);
            tx.put(&Key::ended_grant(self.relationship, self.id), self);
        }
    }

    /// The grant of an id within a relationship.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn find(tx: &Tx<'_>, relationship: RelationshipId, id: GrantId) -> Result<Option<Self>, StoreFault> {
        match tx.get(&Key::grant(relationship, id))? {
            Some(live) => Ok(Some(live)),
            None => tx.get(&Key::ended_grant(relationship, id)),
        }
    }

    /// The grant that the beginning of an id names.
    ///
    /// # Errors
    /// [`Refusal::NoSuchGrant`] or [`Refusal::Ambiguous`].
    pub fn named(tx: &Tx<'_>, beginning: &str) -> Result<Self, Stop> {
        let mut fitting = Vec::new();
        let bytes = GrantId::beginning(beginning).ok_or_else(|| Refusal::NoSuchGrant { id: beginning.to_owned() })?;
        for (key, row) in tx.scan::<PeerRef>(&Key::grant_ids(&bytes), None, usize::MAX)? {
            let id = GrantId::from_bytes(key.sixteen(0));
            if id.long().starts_with(beginning) {
                fitting.push((row.0, id));
            }
        }
        match fitting[..] {
            [] => Err(Refusal::NoSuchGrant { id: beginning.to_owned() }.into()),
            [(relationship, id)] => Ok(Self::find(tx, relationship, id)?
                .ok_or_else(|| StoreFault::Damaged { detail: "a grant is missing".to_owned() })?),
            _ => {
                let fits: Vec<String> = fitting.iter().take(5).map(|(_, id)| id.to_string()).collect();
                Err(Refusal::Ambiguous { beginning: beginning.to_owned(), fits: fits.join(", ") }.into())
            }
        }
    }

    /// The grants with a peer that go on, both ways.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn live_with(tx: &Tx<'_>, relationship: RelationshipId) -> Result<Vec<Self>, StoreFault> {
        rows(tx, &Key::grants_of(relationship))
    }

    /// All grants with a peer, both ways, also those that ended.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn with(tx: &Tx<'_>, relationship: RelationshipId) -> Result<Vec<Self>, StoreFault> {
        let mut grants = Self::live_with(tx, relationship)?;
        grants.extend(rows(tx, &Key::ended_grants_of(relationship))?);
        Ok(grants)
    }

    /// All grants that go on.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn all_live(tx: &Tx<'_>) -> Result<Vec<Self>, StoreFault> {
        rows(tx, &Key::table(Table::Grants))
    }

    /// All grants, also those that ended.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn all(tx: &Tx<'_>) -> Result<Vec<Self>, StoreFault> {
        let mut grants = Self::all_live(tx)?;
        grants.extend(rows(tx, &Key::table(Table::EndedGrants))?);
        Ok(grants)
    }

    /// Where it stands at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> GrantState {
        match self.ended {
            Some(Ended::Revoked { .. }) => GrantState::Revoked,
            Some(Ended::Expired { .. }) => GrantState::Expired,
            None if self.not_after.is_some_and(|end| now >= end) => GrantState::Expired,
            None => GrantState::Active,
        }
    }

    /// As it stands in the log.
    pub(crate) fn said(&self) -> Granted {
        Granted {
            grant: self.id,
            ask: self.ask,
            selectors: self.selectors.iter().map(|lent| lent.selector.clone()).collect(),
            purpose: self.purpose.clone(),
            mode: self.mode,
            not_before: self.not_before,
            not_after: self.not_after,
            lease_ms: self.lease_ms,
            reads_per_hour: self.reads_per_hour,
            agreement: self.agreement,
        }
    }

    /// Whether anything is still lent under it at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.state(now) == GrantState::Active
    }

    /// Whether taking it back would change anything: it goes on, or it is over by our clock, which may have been wrong, and its holder may
    /// have it still.
    #[must_use]
    pub fn can_be_taken_back(&self) -> bool {
        match self.ended {
            None => true,
            Some(Ended::Expired { .. }) => self.purge != Purge::Confirmed,
            Some(Ended::Revoked { .. }) => false,
        }
    }

    /// One selector, by its place.
    #[must_use]
    pub fn lent(&self, selector: u16) -> Option<&Lent> {
        self.selectors.get(usize::from(selector))
    }

    /// The places of all selectors that are not taken back.
    #[must_use]
    pub fn live_selectors(&self) -> Vec<u16> {
        let live = self.selectors.iter().enumerate().filter(|(_, lent)| lent.taken_back.is_none());
        live.map(|(place, _)| u16::try_from(place).expect("selectors are capped")).collect()
    }

    /// The lease, where there is one.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        self.lease_ms.map(Duration::from_millis)
    }

    /// What people see of it. `heard` is the newest head of the side that lends: its time, and until when it may be relied on.
    #[must_use]
    pub fn view(&self, peer: &str, now: Timestamp, heard: Option<(Timestamp, Timestamp)>) -> GrantView {
        let state = self.state(now);
        let selectors = |taken: bool| {
            let chosen = self.selectors.iter().filter(|lent| lent.taken_back.is_some() == taken);
            chosen.map(|lent| lent.selector.clone()).collect::<Vec<_>>()
        };
        let (live, taken_back) = (selectors(false), selectors(true));
        let all_taken = live.is_empty();
        GrantView {
            grant: self.id.to_string(),
            peer: peer.to_owned(),
            direction: self.direction,
            selectors: if all_taken { taken_back.clone() } else { live },
            taken_back: if all_taken { Vec::new() } else { taken_back },
            purpose: self.purpose.clone(),
            mode: self.mode,
            from: self.not_before,
            until: self.not_after,
            lease_until: self.lease_until(heard),
            state,
            ended_at: match self.ended {
                Some(Ended::Revoked { at } | Ended::Expired { at }) => Some(at),
                None if state == GrantState::Expired => self.not_after,
                None => None,
            },
            purge: self.purge,
            purged_at: self.purged_at,
            agreement: hex(&self.agreement),
            last_delivery: self.last_delivery,
            last_use: self.last_use,
            uses: self.uses,
        }
    }

    /// Until when it may be read on the strength of this head.
    #[must_use]
    pub fn lease_until(&self, heard: Option<(Timestamp, Timestamp)>) -> Option<Timestamp> {
        let lease = self.lease()?;
        let (at, until) = heard?;
        let end = at.after(lease).min(until);
        Some(self.not_after.map_or(end, |not_after| end.min(not_after)))
    }
}

fn rows(tx: &Tx<'_>, prefix: &Key) -> Result<Vec<Grant>, StoreFault> {
    Ok(tx.scan::<Grant>(prefix, None, usize::MAX)?.into_iter().map(|(_, grant)| grant).collect())
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks what a person wants to lend or ask for.
///
/// # Errors
/// [`Refusal::BadSelection`], [`Refusal::BadEnd`] or [`Refusal::BadLease`].
pub fn check_terms(
    selectors: &[Selector],
    until: Option<Timestamp>,
    lease: Option<Duration>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let twice = selectors.iter().enumerate().any(|(place, one)| selectors[..place].contains(one));
    if selectors.is_empty() || selectors.len() > SELECTORS_MAX || twice {
        return Err(Refusal::BadSelection { most: SELECTORS_MAX as u64 });
    }
    if until.is_some_and(|until| until <= now) {
        return Err(Refusal::BadEnd {});
    }
    if lease.is_some_and(|lease| lease < LEASE_MIN || lease > LEASE_MAX) {
        return Err(Refusal::BadLease { least_s: LEASE_MIN.as_secs(), most_s: LEASE_MAX.as_secs() });
    }
    Ok(())
}

/// Lends: the grant's rows, its entry with the field keys, and what is due under it. Nothing is handed over here.
///
/// # Errors
/// [`Stop::Refused`] if the terms are not ones to lend on, or a named field is not there.
pub fn give(tx: &mut Tx<'_>, relationship: &Relationship, terms: Terms) -> Result<Grant, Stop> {
    check_terms(&terms.selectors, terms.until, terms.lease, tx.wall())?;
    for selector in &terms.selectors {
        if let Selector::Field(path) = selector {
            record::field(tx, path)?;
        }
    }
    let lease = match terms.mode {
        Mode::Follow => Some(terms.lease.unwrap_or(LEASE_DEFAULT)),
        Mode::Once | Mode::Reference => None,
    };
    let mut grant = Grant {
        id: GrantId::random(&mut *tx.dice),
        relationship: relationship.id,
        direction: Direction::Given,
        ask: terms.ask,
        selectors: terms
            .selectors
            .into_iter()
            .map(|selector| Lent { selector, taken_back: None, purged: false, epoch: 0 })
            .collect(),
        purpose: terms.purpose,
        mode: terms.mode,
        not_before: tx.wall(),
        not_after: terms.until,
        lease_ms: lease.map(|lease| u64::try_from(lease.as_millis()).expect("leases are capped")),
        reads_per_hour: if terms.mode == Mode::Reference { READS_PER_HOUR } else { 0 },
        agreement: agreement::built_in(),
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
    let places = grant.live_selectors();
    let payload = (grant.mode != Mode::Reference).then(|| {
        let mut keys = Vec::with_capacity(places.len());
        for place in &places {
            let key = SecretKey::random(&mut *tx.dice);
            tx.put(&Key::field_key(grant.id, *place, 0), &FieldKeyRow(StoredKey::keep(&key)));
            keys.push(*key.expose());
        }
        sealed_keys(keys)
    });
    let body = Body::Granted(grant.said());
    let sequence = log::append(tx, relationship, &body, payload.as_ref().map(|payload| payload.as_slice()))?;
    if payload.is_some() {
        delivery::note_flight(tx, relationship, &mut grant, sequence)?;
        for place in places {
            delivery::due_from_the_start(tx, &mut grant, place);
        }
    }
    tx.put(&Key::grant_id(grant.id), &PeerRef(relationship.id));
    if let Some(end) = grant.not_after {
        tx.put(&Key::end(end, grant.id), &EndRow { relationship: relationship.id, tries: 0 });
    }
    grant.save(tx);
    Ok(grant)
}

/// The bytes of a payload of keys; the keys themselves are wiped.
pub(crate) fn sealed_keys(keys: Vec<[u8; 32]>) -> allod_crypto::Zeroizing<Vec<u8>> {
    let mut payload = KeysPayload { keys };
    let bytes = allod_crypto::Zeroizing::new(payload.encode());
    payload.keys.zeroize();
    bytes
}

/// Takes back selectors of one grant: keys destroyed, unsent payloads dropped, the entry appended. All of it is one step.
///
/// # Errors
/// [`StoreFault`].
pub fn take_back(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    places: &[u16],
) -> Result<RevokedGrant, StoreFault> {
    let at = tx.wall();
    for place in places {
        let lent = &mut grant.selectors[usize::from(*place)];
        lent.taken_back = Some(at);
        let selector = lent.selector.clone();
        destroy_keys(tx, grant.id, *place)?;
        tx.delete(&Key::follower(tx.selector_tag(&selector), grant.id));
    }
    grant.backfill.retain(|(place, _)| !places.contains(place));
    let remaining = grant.live_selectors();
    // The entry stands before what replaces the dropped payloads, so that nothing that follows can be read as lent under it.
    log::append(tx, relationship, &Body::Revoked(Revoked { grant: grant.id, selectors: places.to_vec() }), None)?;
    withdraw_flights(tx, relationship, grant, places)?;
    grant.purge = Purge::Awaited;
    if remaining.is_empty() {
        grant.ended = Some(Ended::Revoked { at });
        forget_end(tx, grant);
        drop_due(tx, grant.id)?;
    }
    grant.save(tx);
    Ok(RevokedGrant {
        grant: grant.id.to_string(),
        selectors: places.iter().map(|place| grant.selectors[usize::from(*place)].selector.clone()).collect(),
        at,
        delivered_through: grant.delivered_through,
    })
}

/// Drops the payloads of this grant that the peer does not have. What they held of other selectors becomes due, or is sent, again.
fn withdraw_flights(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    places: &[u16],
) -> Result<(), StoreFault> {
    let log = log::own(tx, relationship)?.log;
    let mut keys_again = false;
    for sequence in std::mem::take(&mut grant.unacknowledged) {
        log::drop_payload(tx, log, sequence);
        tx.delete(&Key::flight(log, sequence));
        let Some((_, body)) = log::kept_body(tx, relationship, log, sequence)? else { continue };
        match body {
            Body::Cells(cells) => {
                for cell in cells.cells.iter().filter(|cell| !places.contains(&cell.selector)) {
                    delivery::due_again(tx, grant, cell)?;
                }
            }
            Body::Granted(_) | Body::Keys(_) => keys_again = true,
            _ => {}
        }
    }
    let remaining = grant.live_selectors();
    if keys_again && !remaining.is_empty() && grant.ended.is_none() {
        send_keys(tx, relationship, grant, &remaining)?;
    }
    Ok(())
}

/// Sends the newest keys of these selectors.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn send_keys(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    places: &[u16],
) -> Result<(), StoreFault> {
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    for place in places {
        let epoch = grant.selectors[usize::from(*place)].epoch;
        if let Some(row) = tx.get::<FieldKeyRow>(&Key::field_key(grant.id, *place, epoch))? {
            names.push((*place, epoch));
            keys.push(*row.0.bytes());
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let body = Body::Keys(KeysChanged { grant: grant.id, keys: names });
    let payload = sealed_keys(keys);
    let sequence = log::append(tx, relationship, &body, Some(&payload))?;
    delivery::note_flight(tx, relationship, grant, sequence)
}

/// What a follow or once grant still lends goes under fresh random keys from now on: the next epoch, sent in one entry. Returns the selectors.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn next_epoch(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
) -> Result<Vec<u16>, StoreFault> {
    let places = grant.live_selectors();
    for place in &places {
        destroy_keys(tx, grant.id, *place)?;
        let lent = &mut grant.selectors[usize::from(*place)];
        lent.epoch += 1;
        let key = SecretKey::random(&mut *tx.dice);
        tx.put(&Key::field_key(grant.id, *place, lent.epoch), &FieldKeyRow(StoredKey::keep(&key)));
    }
    send_keys(tx, relationship, grant, &places)?;
    Ok(places)
}

/// Destroys all keys of one selector.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn destroy_keys(tx: &mut Tx<'_>, grant: GrantId, place: u16) -> Result<(), StoreFault> {
    for (key, _) in tx.scan_raw(&Key::field_keys_of(grant, place), None, usize::MAX)? {
        tx.delete(&key);
    }
    Ok(())
}

/// What was due under a grant that ended is forgotten.
fn drop_due(tx: &mut Tx<'_>, grant: GrantId) -> Result<(), StoreFault> {
    if !tx.scan_raw(&Key::due_of(grant), None, 1)?.is_empty() {
        Job::DropDue { grant }.start(tx);
    }
    Ok(())
}

pub(crate) fn forget_end(tx: &mut Tx<'_>, grant: &Grant) {
    if let Some(end) = grant.not_after {
        tx.delete(&Key::end(end, grant.id));
    }
}

/// What else lends these selectors to the same peer: (grant, selector).
///
/// # Errors
/// [`StoreFault`].
pub fn still_lent(
    tx: &Tx<'_>,
    relationship: RelationshipId,
    selectors: &[Selector],
) -> Result<Vec<(String, Selector)>, StoreFault> {
    let mut found = Vec::new();
    for grant in Grant::live_with(tx, relationship)? {
        if grant.direction != Direction::Given || !grant.is_active(tx.wall()) {
            continue;
        }
        for place in grant.live_selectors() {
            let lent = &grant.selectors[usize::from(place)].selector;
            if selectors.iter().any(|selector| overlap(lent, selector)) {
                found.push((grant.id.to_string(), lent.clone()));
            }
        }
    }
    Ok(found)
}

/// Whether two selectors have a field in common.
#[must_use]
pub fn overlap(one: &Selector, other: &Selector) -> bool {
    match (one, other) {
        (Selector::Field(path), selector) | (selector, Selector::Field(path)) => selector.covers(path),
        (Selector::Column { .. }, Selector::Column { .. }) => one == other,
    }
}

/// Whether a grant lends this field.
#[must_use]
pub fn covers(grant: &Grant, path: &FieldPath) -> bool {
    grant.selectors.iter().any(|lent| lent.taken_back.is_none() && lent.selector.covers(path))
}

impl Grant {
    /// The holder dropped keys and cells of these selectors. Once that is said of all that ended, the purge is confirmed.
    pub(crate) fn purged(&mut self, tx: &mut Tx<'_>, places: &[u16]) {
        for place in places {
            if let Some(lent) = self.selectors.get_mut(usize::from(*place)) {
                lent.purged = true;
            }
        }
        let over = self.ended.is_some();
        let all = self.selectors.iter().all(|lent| lent.purged || !(over || lent.taken_back.is_some()));
        if all && self.purge == Purge::Awaited {
            self.purge = Purge::Confirmed;
            self.purged_at = Some(tx.wall());
        }
        self.save(tx);
    }
}

/// Our grant's time is over: its keys are destroyed, what the peer did not fetch in time stays here, and nothing more follows.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn close_expired(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    grant: &mut Grant,
    end: Timestamp,
) -> Result<(), StoreFault> {
    let places = grant.live_selectors();
    grant.ended = Some(Ended::Expired { at: end });
    withdraw_flights(tx, relationship, grant, &places)?;
    for place in places {
        destroy_keys(tx, grant.id, place)?;
        let selector = grant.selectors[usize::from(place)].selector.clone();
        tx.delete(&Key::follower(tx.selector_tag(&selector), grant.id));
    }
    grant.backfill.clear();
    grant.purge = Purge::Awaited;
    drop_due(tx, grant.id)?;
    grant.save(tx);
    Ok(())
}
