//! Entries: whose keys follow from a chain value that the attacker found, forwards and never backwards.

use std::collections::{BTreeMap, BTreeSet};

use allod_crypto::{ChainValue, Domain, Padding, SecretKey, open};
use allod_protocol::{
    codec::Coded,
    id::{GrantId, LogId, Pseudonym},
    log::{OwnLog, TheirLog},
    relationship::Relationship,
    table::{EntryPart, Table},
    wire::{
        body::{Body, CellRef, CellsPayload, KeysPayload, ServedOutcome, ServedPayload, WireBody, entry_aad},
        header::{Hash, Header, WireEntry},
    },
};

use super::{GrantPlace, Loot, OpenRow, SealedCell, Spoils, windows};

/// One entry, with all copies of its parts.
#[derive(Default)]
struct Entry {
    previous: Option<Hash>,
    bodies: BTreeSet<Vec<u8>>,
    payloads: BTreeSet<Vec<u8>>,
}

/// All entries that were found.
#[derive(Default)]
pub(super) struct Entries {
    entries: BTreeMap<(LogId, u64), Entry>,
    tags: BTreeMap<LogId, Hash>,
    pub(super) places: BTreeSet<GrantPlace>,
    pub(super) keys: BTreeSet<[u8; 32]>,
    cells: Vec<(LogId, GrantId, CellRef, Vec<u8>)>,
    told: Vec<(LogId, GrantId, CellRef)>,
}

impl Entries {
    pub(super) fn of_rows(loot: &Loot, relationships: &[Relationship]) -> Self {
        let mut entries = Self::default();
        for relationship in relationships {
            for log in [relationship.my_log, relationship.their_log] {
                entries.tags.insert(log, relationship.tag);
            }
        }
        for (key, stored) in loot.rows.iter().filter(|(key, _)| Table::of(key) == Some(Table::Entries)) {
            let (Some(log), Some(sequence), Some(part)) = (key.get(1..17), key.get(17..25), key.get(25)) else {
                continue;
            };
            let log = LogId::from_bytes(log.try_into().expect("sixteen bytes"));
            let sequence = u64::from_be_bytes(sequence.try_into().expect("eight bytes"));
            let entry = entries.entries.entry((log, sequence)).or_default();
            match *part {
                part if part == EntryPart::Header as u8 => entry.previous = previous_of(stored),
                part if part == EntryPart::Body as u8 => _ = entry.bodies.insert(stored.clone()),
                _ => _ = entry.payloads.insert(stored.clone()),
            }
        }
        entries
    }

    /// An entry that was overheard.
    pub(super) fn heard(&mut self, wire: WireEntry) {
        let Some(header) = wire.header.first_chunk::<{ Header::BYTES }>().and_then(Header::from_bytes) else { return };
        let entry = self.entries.entry((header.log, header.sequence)).or_default();
        entry.previous = Some(header.previous);
        entry.bodies.insert(wire.body);
        if !wire.payload.is_empty() {
            entry.payloads.insert(wire.payload);
        }
    }

    /// Opens all that any chain value leads to.
    pub(super) fn open(&mut self, rows: &[OpenRow], spoils: &mut Spoils) {
        let mut starts: BTreeSet<(LogId, u64, [u8; 32])> = BTreeSet::new();
        for row in rows {
            let place = match row.table {
                Table::OwnLogs => row.read::<OwnLog>().map(|log| (log.log, log.next)),
                Table::TheirLogs => row.read::<TheirLog>().map(|log| (log.log, log.next)),
                _ => None,
            };
            if let Some((log, next)) = place {
                starts.extend(windows(&row.plain).map(|window| (log, next, window)));
            }
        }
        // Bodies have kept keys of their own.
        for row in rows.iter().filter(|row| row.table == Table::EntryKeys) {
            let (Some(log), Some(sequence)) = (row.key.get(1..17), row.key.get(17..25)) else { continue };
            let log = LogId::from_bytes(log.try_into().expect("sixteen bytes"));
            let sequence = u64::from_be_bytes(sequence.try_into().expect("eight bytes"));
            for key in windows(&row.plain).map(SecretKey::from_bytes) {
                self.open_one(log, sequence, &key, &key, spoils);
            }
        }
        for (log, next, window) in starts {
            let (mut chain, mut sequence) = (ChainValue::from_bytes(window), next);
            loop {
                let (after, body_key, payload_key) = chain.step(log.as_bytes(), sequence);
                if !self.open_one(log, sequence, &body_key, &payload_key, spoils) {
                    break;
                }
                (chain, sequence) = (after, sequence + 1);
            }
        }
    }

    /// Whether one of the keys opened any part of this entry.
    fn open_one(
        &mut self,
        log: LogId,
        sequence: u64,
        body_key: &SecretKey,
        payload_key: &SecretKey,
        spoils: &mut Spoils,
    ) -> bool {
        let (Some(tag), Some(entry)) = (self.tags.get(&log).copied(), self.entries.get(&(log, sequence))) else {
            return false;
        };
        let Some(previous) = entry.previous else { return false };
        let opened = |key: &SecretKey, domain, part: &'static [u8], copies: &BTreeSet<Vec<u8>>| {
            let aad = entry_aad(part, &tag, log, sequence, &previous);
            copies.iter().find_map(|sealed| open(key, domain, &aad, sealed, Padding::Padme).ok())
        };
        let body = opened(body_key, Domain::EntryBody, b"body", &entry.bodies);
        let payload = opened(payload_key, Domain::EntryPayload, b"payload", &entry.payloads);
        let Some(plain) = body else { return false };
        spoils.plaintexts.push(plain.to_vec());
        spoils.plaintexts.extend(payload.iter().map(|payload| payload.to_vec()));
        let body = WireBody::decode(&plain).and_then(|wire| Body::decode(wire.kind, &wire.bytes));
        if let Ok(body) = body {
            self.learn(log, tag, body, payload.as_ref().map(|payload| payload.as_slice()));
        }
        true
    }

    fn learn(&mut self, log: LogId, tag: Hash, body: Body, payload: Option<&[u8]>) {
        match body {
            Body::Granted(granted) => {
                self.learn_keys(payload);
                self.places.insert(GrantPlace {
                    relationship: tag,
                    log,
                    grant: granted.grant,
                    selectors: granted.selectors,
                    agreement: granted.agreement,
                });
            }
            Body::Keys(_) => self.learn_keys(payload),
            Body::Cells(cells) => {
                self.told.extend(cells.cells.iter().map(|cell| (log, cells.grant, cell.clone())));
                let Some(payload) = payload.and_then(|payload| CellsPayload::decode(payload).ok()) else { return };
                let there = cells.cells.into_iter().filter(|cell| !cell.gone);
                for (cell, sealed) in there.zip(payload.cells) {
                    self.cells.push((log, cells.grant, cell, sealed.into_vec()));
                }
            }
            Body::Served(served) => {
                let Some(payload) = payload.and_then(|payload| ServedPayload::decode(payload).ok()) else { return };
                let ServedOutcome::Value { version } = served.outcome else { return };
                self.keys.insert(payload.key);
                let (selector, record) = (served.selector, served.record);
                let cell = CellRef { selector, record, epoch: u32::MAX, version, gone: false };
                self.cells.push((log, served.grant, cell, payload.cell.clone()));
            }
            _ => {}
        }
    }

    fn learn_keys(&mut self, payload: Option<&[u8]>) {
        if let Some(payload) = payload.and_then(|payload| KeysPayload::decode(payload).ok()) {
            self.keys.extend(payload.keys.iter());
        }
    }

    /// The cells that entries brought, in their places.
    pub(super) fn cells(&self, places: &BTreeSet<GrantPlace>) -> Vec<SealedCell> {
        let mut found = Vec::new();
        for (log, grant, cell, sealed) in &self.cells {
            for place in places.iter().filter(|place| place.grant == *grant && place.log == *log) {
                found.extend(place.cell(cell.selector, cell.record, cell.epoch, cell.version, sealed));
            }
        }
        found
    }
}

impl Entries {
    /// Where each cell belonged that an entry names.
    pub(super) fn expected(&self, places: &BTreeSet<GrantPlace>) -> BTreeSet<(Option<Pseudonym>, Vec<u8>)> {
        let told = self.told.iter().flat_map(|(log, grant, cell)| {
            let fitting = places.iter().filter(move |place| place.grant == *grant && place.log == *log);
            fitting.filter_map(move |place| place.cell(cell.selector, cell.record, cell.epoch, cell.version, &[]))
        });
        told.map(|cell| (cell.record, cell.aad)).collect()
    }
}

fn previous_of(stored: &[u8]) -> Option<Hash> {
    stored.first_chunk::<{ Header::BYTES }>().and_then(Header::from_bytes).map(|header| header.previous)
}
