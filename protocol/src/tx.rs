//! One step under way: what it read, what it will write, what it wants done afterwards.
//!
//! Rows are sealed here and nowhere else, one seal a row, under the key of the row's bucket and with the row's own key as AAD, so that no
//! row opens in another's place. A step that is refused is dropped whole: nothing of it was written.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use allod_crypto::{Domain, Padding, Vault, Zeroizing, hmac16, open, seal_behind};
use rand_core::CryptoRng;

use crate::{
    codec::Coded,
    command::{Happening, Outcome, Ticket},
    effect::Effect,
    id::RelationshipId,
    path::{FieldName, Kind, RecordPath, Selector},
    refusal::Refusal,
    store::{Batch, Overlay, StoreFault, View},
    table::{Key, Sealing, Table},
    time::{Now, Timestamp},
};

/// Why a step did not go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Our caller asked for something that cannot be done.
    Refused(Refusal),
    /// The other node broke the protocol: what it sent is dropped, and its link closed.
    Misbehaved(Misbehaviour),
    /// The store cannot be relied on: the process stops.
    Fault(StoreFault),
}

/// What another node did that an honest one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Bytes that are no message, or not in their one canonical form.
    Malformed,
    /// A signature, seal or hash that does not hold.
    Forged,
    /// Something that its side may not do.
    NotAllowed,
    /// A time too far ahead of our clock.
    FromTheFuture,
}

impl Misbehaviour {
    /// The line of the catalogues that says it.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::FromTheFuture => "peer-clock",
            Self::Malformed | Self::Forged | Self::NotAllowed => "peer-misbehaved",
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreFault> for Stop {
    fn from(fault: StoreFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Misbehaviour> for Stop {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self::Misbehaved(misbehaviour)
    }
}

/// A step under way.
pub struct Tx<'a> {
    view: &'a dyn View,
    vault: &'a Vault,
    /// The dice of this step.
    pub dice: &'a mut dyn CryptoRng,
    /// Both clocks, as of this step.
    pub now: Now,
    batch: Batch,
    effects: Vec<Effect>,
    touched: BTreeSet<RelationshipId>,
    erased: Vec<RelationshipId>,
    started_job: bool,
    /// Rows as they stand that were read.
    stood: InClear,
    /// Rows as they were put.
    wrote: InClear,
}

/// Rows that a step read or wrote, opened: it looks at the same few again and again. They are wiped with the step.
#[derive(Default)]
struct InClear(RefCell<BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>>);

impl InClear {
    /// Of long steps the first ones are kept.
    const ROWS_MAX: usize = 32;

    fn read<T: Coded>(&self, key: &Key) -> Option<Result<T, StoreFault>> {
        self.0.borrow().get(key.as_bytes()).map(|plain| decode(key.as_bytes(), plain))
    }

    fn keep(&self, key: &Key, plain: Zeroizing<Vec<u8>>) {
        let mut rows = self.0.borrow_mut();
        if rows.len() < Self::ROWS_MAX {
            rows.insert(key.as_bytes().to_vec(), plain);
        } else if let Some(former) = rows.get_mut(key.as_bytes()) {
            *former = plain;
        }
    }

    fn forget(&self, key: &Key) {
        self.0.borrow_mut().remove(key.as_bytes());
    }
}

impl<'a> Tx<'a> {
    /// A step over `view` that has written nothing.
    pub fn new(view: &'a dyn View, vault: &'a Vault, dice: &'a mut dyn CryptoRng, now: Now) -> Self {
        Self {
            view,
            vault,
            dice,
            now,
            batch: Batch::new(),
            effects: Vec::new(),
            touched: BTreeSet::new(),
            erased: Vec::new(),
            started_job: false,
            stood: InClear::default(),
            wrote: InClear::default(),
        }
    }

    /// What it wrote and what it wants done.
    #[must_use]
    pub fn finish(self) -> (Batch, Vec<Effect>) {
        (self.batch, self.effects)
    }

    /// Which relationships have something new to say, since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<RelationshipId> {
        std::mem::take(&mut self.touched)
    }

    /// Notes that there is long work to be done.
    pub fn note_job(&mut self) {
        self.started_job = true;
    }

    /// Whether this step left long work to be done.
    #[must_use]
    pub fn started_job(&self) -> bool {
        self.started_job
    }

    /// How much it wrote so far.
    #[must_use]
    pub fn written(&self) -> (usize, usize) {
        (self.batch.len(), self.batch.size_bytes())
    }

    /// The wall clock.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.now.wall
    }

    /// Wants this done after the commit.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Answers a command after the commit.
    pub fn reply(&mut self, ticket: Ticket, outcome: Outcome) {
        self.effect(Effect::Reply { ticket, outcome });
    }

    /// Tells whoever watches, after the commit.
    pub fn happened(&mut self, happening: Happening) {
        self.effect(Effect::Happened(happening));
    }

    /// A relationship that was never confirmed is gone: nothing in memory may speak for it any more.
    pub fn erased(&mut self, relationship: RelationshipId) {
        self.erased.push(relationship);
    }

    /// The relationships that this step erased.
    pub fn take_erased(&mut self) -> Vec<RelationshipId> {
        std::mem::take(&mut self.erased)
    }

    /// This relationship has something new to say.
    pub fn touch(&mut self, relationship: RelationshipId) {
        self.touched.insert(relationship);
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreFault`], also if the row does not open.
    pub fn get<T: Coded>(&self, key: &Key) -> Result<Option<T>, StoreFault> {
        match self.batch.written(key.as_bytes()) {
            None => self.before(key),
            Some(None) => Ok(None),
            Some(Some(stored)) => self.wrote.read(key).unwrap_or_else(|| self.unseal(key.as_bytes(), stored)).map(Some),
        }
    }

    /// A row as it stands, whatever this step writes.
    ///
    /// # Errors
    /// [`StoreFault`], also if the row does not open.
    pub fn before<T: Coded>(&self, key: &Key) -> Result<Option<T>, StoreFault> {
        if let Some(row) = self.stood.read(key) {
            return row.map(Some);
        }
        let Some(stored) = self.view.get(key.as_bytes())? else { return Ok(None) };
        let (_, plain) = open_row(self.vault, key.as_bytes(), &stored)?;
        let row = decode(key.as_bytes(), &plain)?;
        self.stood.keep(key, plain);
        Ok(Some(row))
    }

    /// The keys that this step writes, each with whether a row is put there.
    pub fn written_keys(&self) -> impl Iterator<Item = (Key, bool)> {
        self.batch.writes().map(|(key, value)| (Key::from_stored(key.to_vec()), value.is_some()))
    }

    /// Reads a row that is stored as it is: entries and cells, which are sealed already.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn get_raw(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreFault> {
        Overlay::new(self.view, &self.batch).get(key.as_bytes())
    }

    /// Whether there is a row.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn has(&self, key: &Key) -> Result<bool, StoreFault> {
        Ok(self.get_raw(key)?.is_some())
    }

    /// Writes a row.
    pub fn put<T: Coded>(&mut self, key: &Key, row: &T) {
        let plain = Zeroizing::new(row.encode());
        self.seal(key, &plain);
        self.wrote.keep(key, plain);
    }

    fn seal(&mut self, key: &Key, plain: &[u8]) {
        let bucket = self.vault.bucket(key.bucket());
        let (generation, padding) = (bucket.generation().to_le_bytes(), padding_of(key.as_bytes()));
        let key = key.as_bytes();
        let stored = seal_behind(&generation, bucket.key(), Domain::Row, key, plain, padding, &mut *self.dice);
        self.batch.put(key.to_vec(), stored);
    }

    /// Writes a row as it is.
    pub fn put_raw(&mut self, key: &Key, stored: Vec<u8>) {
        self.wrote.forget(key);
        self.batch.put(key.as_bytes().to_vec(), stored);
    }

    /// Removes a row.
    pub fn delete(&mut self, key: &Key) {
        self.batch.delete(key.as_bytes().to_vec());
    }

    /// Rows under a prefix, opened, in key order.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn scan<T: Coded>(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, T)>, StoreFault> {
        self.scan_raw(prefix, after, limit)?
            .into_iter()
            .map(|(key, stored)| self.unseal(key.as_bytes(), &stored).map(|row| (key, row)))
            .collect()
    }

    /// Rows under a prefix as they are stored.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn scan_raw(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreFault> {
        let rows = Overlay::new(self.view, &self.batch).scan(prefix.as_bytes(), after.map(Key::as_bytes), limit)?;
        Ok(rows.into_iter().map(|(key, stored)| (Key::from_stored(key), stored)).collect())
    }

    fn unseal<T: Coded>(&self, key: &[u8], stored: &[u8]) -> Result<T, StoreFault> {
        unseal(self.vault, key, stored)
    }

    /// Seals a row again under its bucket's newest key, whatever it holds; `false` if it is under it already.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn reseal(&mut self, key: &Key, stored: &[u8]) -> Result<bool, StoreFault> {
        let bucket = self.vault.bucket(key.bucket());
        let (generation, plain) = open_row(self.vault, key.as_bytes(), stored)?;
        if generation == bucket.generation() {
            return Ok(false);
        }
        self.seal(key, &plain);
        Ok(true)
    }

    /// Signs with the identity of a seed.
    pub(crate) fn sign(&self, seed: &[u8; 32], domain: &'static str, bytes: &[u8]) -> [u8; 64] {
        self.vault.sign(seed, domain, bytes)
    }

    /// The blinded name of a record.
    #[must_use]
    pub fn record_tag(&self, record: &RecordPath) -> [u8; 16] {
        // No part holds a zero byte, so that parts cannot run into each other.
        let (kind, id) = (record.kind.as_str().as_bytes(), record.id.as_str().as_bytes());
        hmac16(self.vault.index_key(), &[b"record", &[0], kind, &[0], id])
    }

    /// The blinded name of a kind.
    #[must_use]
    pub fn kind_tag(&self, kind: &Kind) -> [u8; 8] {
        first_half(self.tag(b"kind", kind.as_str()))
    }

    /// The blinded name of a field.
    #[must_use]
    pub fn field_tag(&self, field: &FieldName) -> [u8; 8] {
        first_half(self.tag(b"field", field.as_str()))
    }

    /// The blinded form of a selector.
    #[must_use]
    pub fn selector_tag(&self, selector: &Selector) -> [u8; 16] {
        self.tag(b"selector", &selector.text())
    }

    /// The blinded form of a petname.
    #[must_use]
    pub fn petname_tag(&self, petname: &str) -> [u8; 16] {
        self.tag(b"petname", petname)
    }

    fn tag(&self, what: &[u8], of: &str) -> [u8; 16] {
        hmac16(self.vault.index_key(), &[what, &[0], of.as_bytes()])
    }
}

fn first_half(tag: [u8; 16]) -> [u8; 8] {
    let (half, _) = tag.split_first_chunk::<8>().expect("sixteen bytes hold eight");
    *half
}

fn padding_of(key: &[u8]) -> Padding {
    match Table::of(key).map(Table::sealing) {
        Some(Sealing::Padded) => Padding::Padme,
        _ => Padding::None,
    }
}

fn open_row(vault: &Vault, key: &[u8], stored: &[u8]) -> Result<(u32, Zeroizing<Vec<u8>>), StoreFault> {
    let damaged = || StoreFault::Damaged { detail: format!("a row of table {} does not open", Table::letter(key)) };
    let (generation, sealed) = stored.split_first_chunk::<4>().ok_or_else(damaged)?;
    let generation = u32::from_le_bytes(*generation);
    let bucket_number = Key::bucket_of(key).ok_or_else(damaged)?;
    let row_key = vault.bucket(bucket_number).key_of(generation).ok_or_else(damaged)?;
    let plain = open(row_key, Domain::Row, key, sealed, padding_of(key)).map_err(|_| damaged())?;
    Ok((generation, plain))
}

/// Opens one stored row.
///
/// # Errors
/// [`StoreFault::Damaged`] if it does not open or is not of this type.
pub fn unseal<T: Coded>(vault: &Vault, key: &[u8], stored: &[u8]) -> Result<T, StoreFault> {
    let (_, plain) = open_row(vault, key, stored)?;
    decode(key, &plain)
}

fn decode<T: Coded>(key: &[u8], plain: &[u8]) -> Result<T, StoreFault> {
    T::decode(plain)
        .map_err(|_| StoreFault::Damaged { detail: format!("a row of table {} cannot be read", Table::letter(key)) })
}
