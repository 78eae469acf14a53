//! Somebody who got hold of everything that a node ever had, and tries every key on every sealed thing.
//!
//! ```text
//! Loot { rows, vaults, frames, draws, keys } -> plunder -> Spoils { plaintexts, cells, keys }
//! ```
//! It knows the layouts of rows, entries and cells and the primitives of `allod-crypto`, and asks nobody whether it may: no engine, no
//! door, no holding, no clock. What it opens, anybody with the same bytes opens; what it can't open is what the keys protect.
//!
//! It is stronger than a thief: it has each row that was ever written, not just those that a disk happens to keep; each random number that
//! the node ever drew, and so the keys of all its sessions; and it knows where each sealed thing belongs.

mod carving;
mod entries;
mod home;
mod sessions;
mod simulated;

use std::collections::{BTreeMap, BTreeSet};

use allod_crypto::{Domain, Padding, SecretKey, Vault, open};
use allod_protocol::{
    codec::Coded,
    grant::Grant,
    id::{GrantId, LogId, Pseudonym},
    path::Selector,
    relationship::Relationship,
    table::{Key, Sealing, Table},
    wire::{
        body::{CellContent, CellPlace},
        header::Hash,
        session::Sync,
    },
};

pub use carving::{Carved, carve};
use entries::Entries;
pub use home::{HomeError, Way, loot_home};

/// All that fell into the attacker's hands.
#[derive(Default)]
pub struct Loot {
    /// Each key and stored value, old ones too.
    pub rows: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// Opened with passphrase or phrase.
    pub vaults: Vec<Vault>,
    /// Messages of the session channel, as they were on the wire.
    pub frames: Vec<Vec<u8>>,
    /// Each number that the node drew.
    pub draws: Vec<[u8; 32]>,
    /// Keys that came some other way.
    pub keys: Vec<[u8; 32]>,
}

/// Which bytes are taken for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// What stands where keys stand.
    Keys,
    /// Each 32 bytes in a row of anything that was opened.
    Everything,
}

/// A sealed value, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedCell {
    pub grant: GrantId,
    pub selector: String,
    pub record: Option<Pseudonym>,
    pub version: u64,
    pub aad: Vec<u8>,
    pub sealed: Vec<u8>,
}

impl SealedCell {
    /// Tries one key, as it is and as a column's.
    #[must_use]
    pub fn open(&self, key: &SecretKey) -> Option<Vec<u8>> {
        cell_keys(key, self.record)
            .iter()
            .find_map(|key| open(key, Domain::Cell, &self.aad, &self.sealed, padding(self.record)).ok())
            .map(|plain| plain.to_vec())
    }
}

/// A single field's cell is padded by itself, a column's is not.
fn padding(record: Option<Pseudonym>) -> Padding {
    if record.is_some() { Padding::None } else { Padding::Padme }
}

/// The keys that a key may stand for: itself, and under a column that of the record.
fn cell_keys(key: &SecretKey, record: Option<Pseudonym>) -> Vec<SecretKey> {
    let of_record = record.map(|record| key.derive_parts(&[b"allod/record-key/1", record.as_bytes()]));
    of_record.into_iter().chain([key.duplicate()]).collect()
}

/// What the attacker got out of it.
#[derive(Default)]
pub struct Spoils {
    /// Everything that opened.
    pub plaintexts: Vec<Vec<u8>>,
    /// The values among them.
    pub cells: BTreeSet<(SealedCell, Vec<u8>)>,
    /// All sealed values that were found, opened or not.
    pub sealed: BTreeSet<SealedCell>,
    /// Where values belonged that entries tell of, whether or not they were found: record and AAD.
    expected: BTreeSet<(Option<Pseudonym>, Vec<u8>)>,
    /// All that was taken for a key of a value.
    pub keys: BTreeSet<[u8; 32]>,
    /// Rows of field keys that opened.
    pub key_rows: usize,
    /// Sessions whose keys could be worked out.
    pub sessions: usize,
    /// What was told to this side in them.
    pub syncs: Vec<Sync>,
    /// How often a key was tried on a value.
    pub tries: u64,
}

impl Spoils {
    /// Whether a text stands in anything that opened.
    #[must_use]
    pub fn knows(&self, text: &str) -> bool {
        self.plaintexts.iter().any(|plain| holds(plain, text.as_bytes()))
    }

    /// How many sealed values were found. Where the attacker can't tell who lent, one counts as one all the same.
    #[must_use]
    pub fn sealed_values(&self) -> usize {
        self.sealed.iter().map(|cell| &cell.sealed).collect::<BTreeSet<_>>().len()
    }

    /// Those of the texts that stand in something that opened.
    #[must_use]
    pub fn known_of<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        texts.into_iter().filter(|text| self.knows(text)).collect()
    }
}

/// Whether bytes stand in others.
#[must_use]
pub fn holds(plain: &[u8], wanted: &[u8]) -> bool {
    plain.windows(wanted.len()).any(|window| window == wanted)
}

/// A place that cells of a grant belong to, but for what the cell's own reference says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct GrantPlace {
    relationship: Hash,
    log: LogId,
    grant: GrantId,
    selectors: Vec<Selector>,
    agreement: Hash,
}

impl GrantPlace {
    fn cell(
        &self,
        selector: u16,
        record: Option<Pseudonym>,
        epoch: u32,
        version: u64,
        sealed: &[u8],
    ) -> Option<SealedCell> {
        let selector = self.selectors.get(usize::from(selector))?;
        let place = CellPlace {
            relationship: &self.relationship,
            log: self.log,
            grant: self.grant,
            selector,
            record,
            epoch,
            version,
            agreement: &self.agreement,
        };
        Some(SealedCell {
            grant: self.grant,
            selector: selector.to_string(),
            record,
            version,
            aad: place.aad(),
            sealed: sealed.to_vec(),
        })
    }
}

/// Opens all that can be opened.
#[must_use]
pub fn plunder(loot: &Loot, search: Search) -> Spoils {
    let mut spoils = Spoils::default();
    let rows = open_rows(loot);
    let relationships: Vec<Relationship> =
        rows.iter().filter(|row| row.table == Table::Relationships).filter_map(OpenRow::read).collect();
    let mut entries = Entries::of_rows(loot, &relationships);
    sessions::listen(loot, &relationships, &mut entries, &mut spoils);
    entries.open(&rows, &mut spoils);
    let mut places = entries.places.clone();
    for grant in rows.iter().filter(|row| row.table == Table::Grants).filter_map(OpenRow::read::<Grant>) {
        let selectors: Vec<Selector> = grant.selectors.iter().map(|lent| lent.selector.clone()).collect();
        for relationship in relationships.iter().filter(|relationship| relationship.id == grant.relationship) {
            for log in [relationship.my_log, relationship.their_log] {
                places.insert(GrantPlace {
                    relationship: relationship.tag,
                    log,
                    grant: grant.id,
                    selectors: selectors.clone(),
                    agreement: grant.agreement,
                });
            }
        }
    }
    spoils.sealed.extend(entries.cells(&places));
    spoils.sealed.extend(held_cells(loot, &places));
    spoils.expected = entries.expected(&places);
    spoils.plaintexts.extend(rows.iter().map(|row| row.plain.clone()));
    spoils.keys.extend(loot.keys.iter().chain(&entries.keys));
    for row in rows.iter().filter(|row| row.table == Table::FieldKeys) {
        spoils.key_rows += 1;
        spoils.keys.extend(windows(&row.plain));
    }
    if search == Search::Everything {
        spoils.keys.extend(spoils.plaintexts.iter().flat_map(|plain| windows(plain)));
        spoils.keys.extend(loot.draws.iter());
    }
    let keys: Vec<SecretKey> = spoils.keys.iter().map(|bytes| SecretKey::from_bytes(*bytes)).collect();
    let (opened, tries) = try_all(&keys, &spoils.sealed);
    spoils.tries = tries;
    for (cell, plain) in opened {
        let value = CellContent::decode(&plain).ok().map(|content| content.value.to_string().into_bytes());
        spoils.plaintexts.push(value.unwrap_or_else(|| plain.clone()));
        spoils.cells.insert((cell, plain));
    }
    spoils
}

/// Each key on each cell.
pub fn try_all<'a>(
    keys: &[SecretKey],
    cells: impl IntoIterator<Item = &'a SealedCell>,
) -> (Vec<(SealedCell, Vec<u8>)>, u64) {
    let (mut opened, mut tries) = (Vec::new(), 0);
    for cell in cells {
        for key in keys {
            tries += 1;
            if let Some(plain) = cell.open(key) {
                opened.push((cell.clone(), plain));
                break;
            }
        }
    }
    (opened, tries)
}

/// A row that opened.
struct OpenRow {
    table: Table,
    key: Vec<u8>,
    plain: Vec<u8>,
}

impl OpenRow {
    fn read<T: Coded>(&self) -> Option<T> {
        T::decode(&self.plain).ok()
    }
}

fn open_rows(loot: &Loot) -> Vec<OpenRow> {
    let mut rows = Vec::new();
    for (key, stored) in &loot.rows {
        let Some(table) = Table::of(key) else { continue };
        let padding = match table.sealing() {
            Sealing::Padded => Padding::Padme,
            Sealing::Tight => Padding::None,
            Sealing::Raw => continue,
        };
        let (Some(bucket), Some(sealed)) = (Key::bucket_of(key), stored.get(4..)) else { continue };
        let plain =
            row_keys(loot, bucket).iter().find_map(|row_key| open(row_key, Domain::Row, key, sealed, padding).ok());
        if let Some(plain) = plain {
            rows.push(OpenRow { table, key: key.clone(), plain: plain.to_vec() });
        }
    }
    rows
}

/// All keys that a row of this bucket may be sealed under.
fn row_keys(loot: &Loot, bucket: u8) -> Vec<SecretKey> {
    let buckets = loot.vaults.iter().map(|vault| vault.bucket(bucket));
    buckets
        .flat_map(|bucket| [Some(bucket.key()), bucket.previous().map(|(_, key)| key)])
        .flatten()
        .map(SecretKey::duplicate)
        .collect()
}

/// `version:8 ‖ epoch:4 ‖ received:8 ‖ sealed`, under `grant:16 ‖ selector:2 ‖ record:16`.
fn held_cells(loot: &Loot, places: &BTreeSet<GrantPlace>) -> Vec<SealedCell> {
    const HEAD_BYTES: usize = 20;
    let mut by_grant: BTreeMap<GrantId, Vec<&GrantPlace>> = BTreeMap::new();
    for place in places {
        by_grant.entry(place.grant).or_default().push(place);
    }
    let mut found = Vec::new();
    for (key, stored) in &loot.rows {
        let (Some(Table::Cells), Some((head, sealed))) = (Table::of(key), stored.split_at_checked(HEAD_BYTES)) else {
            continue;
        };
        let Some(rest) = key.get(17..35) else { continue };
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let selector = u16::from_be_bytes([rest[0], rest[1]]);
        let record: [u8; 16] = rest[2..].try_into().expect("sixteen of eighteen bytes");
        let record = (record != [0; 16]).then(|| Pseudonym::from_bytes(record));
        let epoch = u32::try_from(number(&head[8..12])).expect("four bytes");
        let grant = GrantId::from_bytes(Key::from_stored(key.clone()).sixteen(0));
        for place in by_grant.get(&grant).into_iter().flatten() {
            found.extend(place.cell(selector, record, epoch, number(&head[..8]), sealed));
        }
    }
    found
}

/// Each 32 bytes in a row.
fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; 32]> {
    bytes.windows(32).map(|window| window.try_into().expect("a window of 32 bytes"))
}
