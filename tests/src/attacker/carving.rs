//! Old bytes: what a store's files still hold of rows that were overwritten or removed.
//!
//! Stores keep keys and values apart and shorten both, so that an old row can't simply be read. But each sealed thing begins with a version,
//! a suite, a nonce and a commitment, and the commitment tells for any key and place whether it fits, before anything is decrypted. So the
//! attacker looks for such beginnings in all bytes of all files, and tries each key that it has for each place that it can name: rows that
//! are there, rows of records and grants whose names it knows, payloads whose hash a header tells, cells that an entry tells of.

use std::collections::{BTreeMap, BTreeSet};

use allod_crypto::{Domain, Padding, SecretKey, Vault, hkdf, hmac16, open, sha256};
use allod_protocol::{
    codec::Coded,
    grant::Grant,
    id::GrantId,
    table::{EntryPart, Key, Sealing, Table},
    wire::{body::CellContent, header::Header},
};

use super::{Loot, OpenRow, Search, Spoils, cell_keys, open_rows, padding, plunder, row_keys};

/// `version:1 ‖ suite:2 ‖ nonce:24 ‖ com:32`
const HEADER_BYTES: usize = 59;
const TAG_BYTES: usize = 16;
/// The longest that is tried: longer rows are cut in slices by the store.
const SEALED_MAX_BYTES: usize = 5_000;
/// Versions, epochs and selectors that are guessed. Count.
const GUESSES: u16 = 24;

/// What was found in old bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carved {
    /// Beginnings of sealed things, each counted once.
    pub sealed_things: usize,
    /// Those that are rows which no key opens any more, or nothing that the attacker can name.
    pub closed: usize,
    /// Rows that are not in the live store and opened.
    pub old_rows: usize,
    /// Payloads of entries that are not in the live store.
    pub old_payloads: usize,
    /// Values that are not in the live store and opened.
    pub old_cells: usize,
}

/// Where one sealed thing may begin.
struct Found<'a> {
    nonce: &'a [u8],
    commitment: &'a [u8],
    suite: [u8; 2],
    /// What stands in front.
    before: &'a [u8],
    /// From its beginning on, as far as it may reach.
    bytes: &'a [u8],
}

impl Found<'_> {
    fn fits(&self, key: &SecretKey, domain: Domain, aad_hash: &[u8; 32]) -> bool {
        let name = domain.as_str().as_bytes();
        let length = [u8::try_from(name.len()).expect("a short word")];
        let mut okm = [0; 64];
        hkdf(self.nonce, &[key.expose()], &[&length, name, &[1], &self.suite, aad_hash], &mut okm);
        okm[32..] == *self.commitment
    }

    /// The sealed bytes, cut where they end: only the right length opens.
    fn cut(&self, key: &SecretKey, domain: Domain, aad: &[u8], padding: Padding) -> Option<(Vec<u8>, Vec<u8>)> {
        (HEADER_BYTES + TAG_BYTES..=self.bytes.len()).find_map(|length| {
            let sealed = &self.bytes[..length];
            open(key, domain, aad, sealed, padding).ok().map(|plain| (sealed.to_vec(), plain.to_vec()))
        })
    }
}

fn find(file: &[u8]) -> impl Iterator<Item = Found<'_>> {
    let begins = |place: &usize| file[*place] == 1 && matches!(file[*place + 1..*place + 3], [2 | 3, 0]);
    (0..file.len().saturating_sub(HEADER_BYTES + TAG_BYTES)).filter(begins).map(|place| {
        let bytes = &file[place..file.len().min(place + SEALED_MAX_BYTES)];
        Found {
            suite: [bytes[1], bytes[2]],
            nonce: &bytes[3..27],
            commitment: &bytes[27..59],
            before: &file[place.saturating_sub(20)..place],
            bytes,
        }
    })
}

/// Looks through all bytes of all files, and plunders what the loot and they hold together. `names` are paths of fields that the attacker
/// guesses.
#[must_use]
pub fn carve(loot: &mut Loot, files: &[Vec<u8>], names: &[String]) -> (Carved, Spoils) {
    let mut carved = Carved::default();
    let mut seen = BTreeSet::new();
    let found: Vec<Found<'_>> =
        files.iter().flat_map(|file| find(file)).filter(|found| seen.insert((found.nonce, found.commitment))).collect();
    carved.sealed_things = found.len();
    let live = loot.rows.len();

    let headers = payload_headers(loot);
    let places = row_places(loot, names);
    let mut rows = Vec::new();
    let mut left = Vec::new();
    for found in found {
        let payload = headers.iter().find(|(_, header)| {
            let length = header.payload_bytes as usize;
            found.bytes.len() >= length && sha256(&[&found.bytes[..length]]) == header.payload_hash
        });
        if let Some((key, header)) = payload {
            rows.push((key.clone(), found.bytes[..header.payload_bytes as usize].to_vec()));
            continue;
        }
        let row = places.iter().find_map(|place| {
            let key = place.keys.iter().find(|key| found.fits(key, Domain::Row, &place.aad_hash))?;
            let (sealed, _) = found.cut(key, Domain::Row, &place.key, place.padding)?;
            Some((place.key.clone(), [found.before.last_chunk::<4>()?.as_slice(), &sealed].concat()))
        });
        match row {
            Some(row) => rows.push(row),
            None => left.push(found),
        }
    }
    let payloads = rows.iter().filter(|(key, _)| Table::of(key) == Some(Table::Entries));
    carved.old_payloads = payloads.filter(|row| !loot.rows.contains(row)).count();
    loot.rows.extend(rows);
    carved.old_rows = loot.rows.len() - live - carved.old_payloads;

    let mut spoils = plunder(loot, Search::Keys);
    let known: BTreeSet<Vec<u8>> = spoils.cells.iter().map(|(cell, _)| cell.sealed.clone()).collect();
    let keys: Vec<SecretKey> = spoils.keys.iter().map(|bytes| SecretKey::from_bytes(*bytes)).collect();
    let mut places = Vec::new();
    for (record, aad) in &spoils.expected {
        let keys: Vec<SecretKey> = keys.iter().flat_map(|key| cell_keys(key, *record)).collect();
        places.push(RowPlace { key: aad.clone(), aad_hash: sha256(&[aad]), keys, padding: padding(*record) });
    }
    for found in left {
        let cell = places.iter().find_map(|place| {
            let key = place.keys.iter().find(|key| found.fits(key, Domain::Cell, &place.aad_hash))?;
            found.cut(key, Domain::Cell, &place.key, place.padding)
        });
        match cell {
            Some((sealed, plain)) => {
                carved.old_cells += usize::from(!known.contains(&sealed));
                let value = CellContent::decode(&plain).ok().map(|content| content.value.to_string().into_bytes());
                spoils.plaintexts.push(value.unwrap_or(plain));
            }
            None => carved.closed += 1,
        }
    }
    (carved, spoils)
}

/// Where something may belong, and the keys that it may be under there.
struct RowPlace {
    key: Vec<u8>,
    aad_hash: [u8; 32],
    keys: Vec<SecretKey>,
    padding: Padding,
}

/// All entries with a payload, as their kept headers tell.
fn payload_headers(loot: &Loot) -> Vec<(Vec<u8>, Header)> {
    let headers = loot.rows.iter().filter(|(key, _)| Table::of(key) == Some(Table::Entries));
    let headers = headers.filter(|(key, _)| key.last() == Some(&(EntryPart::Header as u8)));
    let headers =
        headers.filter_map(|(_, stored)| stored.first_chunk::<{ Header::BYTES }>().and_then(Header::from_bytes));
    let with_payload = headers.filter(|header| header.payload_bytes > 0);
    with_payload
        .map(|header| (Key::entry(header.log, header.sequence, EntryPart::Payload).as_bytes().to_vec(), header))
        .collect()
}

/// The rows that there are, and those that there may have been.
fn row_places(loot: &Loot, names: &[String]) -> Vec<RowPlace> {
    let mut keys: BTreeSet<Vec<u8>> = loot.rows.iter().map(|(key, _)| key.clone()).collect();
    let open = open_rows(loot);
    for vault in &loot.vaults {
        for name in names {
            keys.extend(keys_of_name(vault, name).iter().map(|key| key.as_bytes().to_vec()));
        }
    }
    for grant in open.iter().filter(|row| row.table == Table::Grants).filter_map(OpenRow::read::<Grant>) {
        keys.extend(keys_of_grant(grant.id).iter().map(|key| key.as_bytes().to_vec()));
    }
    let mut by_bucket: BTreeMap<u8, Vec<SecretKey>> = BTreeMap::new();
    let mut places = Vec::new();
    for key in keys {
        let padding = match Table::of(&key).map(Table::sealing) {
            Some(Sealing::Padded) => Padding::Padme,
            Some(Sealing::Tight) => Padding::None,
            Some(Sealing::Raw) | None => continue,
        };
        let Some(bucket) = Key::bucket_of(&key) else { continue };
        let keys = by_bucket.entry(bucket).or_insert_with(|| row_keys(loot, bucket));
        let keys = keys.iter().map(SecretKey::duplicate).collect();
        places.push(RowPlace { aad_hash: sha256(&[&key]), key, keys, padding });
    }
    places
}

/// The rows of one field: `tag = HMAC(index key, what ‖ 0 ‖ part ‖ …)`.
fn keys_of_name(vault: &Vault, name: &str) -> Vec<Key> {
    let parts: Vec<&str> = name.split('/').collect();
    let [kind, id, field] = parts[..] else { return Vec::new() };
    let tag = |parts: &[&str]| hmac16(vault.index_key(), &[parts.join("\0").as_bytes()]);
    let half = |tag: [u8; 16]| *tag.first_chunk::<8>().expect("sixteen bytes hold eight");
    let record = tag(&["record", kind, id]);
    let (kind, field) = (half(tag(&["kind", kind])), half(tag(&["field", field])));
    let mut keys = vec![Key::record(kind, record), Key::grave(record)];
    for version in 0..u64::from(GUESSES) {
        keys.extend([Key::version(record, field, version), Key::long_value(record, field, version)]);
    }
    keys
}

/// The rows of one grant's keys.
fn keys_of_grant(grant: GrantId) -> Vec<Key> {
    let selectors = 0..GUESSES;
    selectors.flat_map(|selector| (0..4).map(move |epoch| Key::field_key(grant, selector, epoch))).collect()
}
