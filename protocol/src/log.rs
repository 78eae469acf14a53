//! Logs: what our side appends, and what is verified of the other side's.
//!
//! A log is a chain of signed headers. Appending draws the body and payload keys from the chain value and replaces it in the same commit,
//! so that a used value is gone. Receiving checks signature, hashes, order and seal; only then does an entry become [`Verified`]. Of two
//! headers of one log with one sequence and different hashes both are kept, and the relationship is frozen.

use allod_crypto::{ChainValue, Domain, Padding, SecretKey, Zeroizing, open, seal, sha256};
use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    id::LogId,
    relationship::{PeerRef, Relationship},
    secret::StoredKey,
    store::StoreFault,
    table::{EntryPart, Key},
    time::Timestamp,
    tx::{Misbehaviour, Stop, Tx},
    wire::{
        body::{Acknowledged, Body, WireBody, entry_aad},
        header::{ENTRY_DOMAIN, Hash, Head, Header, SignedHead, WireEntry},
    },
};

/// Where our own log to one peer stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct OwnLog {
    pub log: LogId,
    /// The sequence of the next entry.
    pub next: u64,
    pub last: Hash,
    chain: StoredKey,
    /// The peer has verified everything up to here, durably.
    pub acknowledged: u64,
}

/// Where a peer's log to us stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct TheirLog {
    pub log: LogId,
    /// The sequence of the next entry that we can take.
    pub next: u64,
    pub last: Hash,
    chain: StoredKey,
    /// The newest head that we rely on. It never goes back.
    pub head: Option<KnownHead>,
    pub last_seen: Option<Timestamp>,
}

/// A head that was verified, with all entries up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHead {
    pub sequence: u64,
    pub at: Timestamp,
    pub until: Timestamp,
}

impl Coded for OwnLog {}
impl Coded for TheirLog {}

#[derive(Debug, Serialize, Deserialize)]
struct BodyKey(StoredKey);

impl Coded for BodyKey {}

/// An entry of the other side whose signature, chain, hashes and seal hold. There is no other way to make one than [`receive`].
#[derive(Debug)]
pub struct Verified {
    sequence: u64,
    at: Timestamp,
    body: Body,
    payload: Option<Zeroizing<Vec<u8>>>,
}

impl Verified {
    /// Its place in the log.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When its writer says that it was written.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Its parts.
    #[must_use]
    pub fn into_parts(self) -> (u64, Timestamp, Body, Option<Zeroizing<Vec<u8>>>) {
        (self.sequence, self.at, self.body, self.payload)
    }
}

/// What became of an entry that came in.
#[derive(Debug)]
pub enum Received {
    /// It is new, and stands in the log now.
    New(Box<Verified>),
    /// We have it.
    Known,
    /// Entries before it are missing.
    TooEarly,
    /// It contradicts what the same writer signed before. Both are kept.
    Fork,
}

/// Makes the rows of both logs of a new relationship.
pub fn create(tx: &mut Tx<'_>, relationship: &Relationship, mine: StoredKey, theirs: StoredKey) {
    for log in [relationship.my_log, relationship.their_log] {
        tx.put(&Key::log_id(log), &PeerRef(relationship.id));
    }
    let own = OwnLog { log: relationship.my_log, next: 1, last: [0; 32], chain: mine, acknowledged: 0 };
    tx.put(&Key::own_log(relationship.id), &own);
    let their =
        TheirLog { log: relationship.their_log, next: 1, last: [0; 32], chain: theirs, head: None, last_seen: None };
    tx.put(&Key::their_log(relationship.id), &their);
}

/// Our log begins anew, under an id of its own: what stands in the one before stays, and nothing is added to it. Returns where its chain
/// begins.
pub fn begin_own(tx: &mut Tx<'_>, relationship: &Relationship) -> StoredKey {
    let log = LogId::random(&mut *tx.dice);
    let chain = StoredKey::keep(&SecretKey::random(&mut *tx.dice));
    tx.put(&Key::log_id(log), &PeerRef(relationship.id));
    let own = OwnLog { log, next: 1, last: [0; 32], chain: chain.duplicate(), acknowledged: 0 };
    tx.put(&Key::own_log(relationship.id), &own);
    chain
}

/// The other side's log begins anew.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn begin_theirs(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    log: LogId,
    chain: &[u8; 32],
) -> Result<(), StoreFault> {
    let last_seen = theirs(tx, relationship)?.last_seen;
    tx.put(&Key::log_id(log), &PeerRef(relationship.id));
    let chain = StoredKey::from_bytes(chain);
    let their = TheirLog { log, next: 1, last: [0; 32], chain, head: None, last_seen };
    tx.put(&Key::their_log(relationship.id), &their);
    Ok(())
}

/// Removes both logs of a relationship that was never confirmed: they hold one entry a side at most.
///
/// # Errors
/// [`StoreFault`].
pub fn erase(tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), StoreFault> {
    for log in [relationship.my_log, relationship.their_log] {
        for (key, _) in tx.scan_raw(&Key::entries_of(log), None, 64)? {
            tx.delete(&key);
        }
        tx.delete(&Key::entry_key(log, 1, EntryPart::Body));
        tx.delete(&Key::log_id(log));
    }
    tx.delete(&Key::own_log(relationship.id));
    tx.delete(&Key::their_log(relationship.id));
    Ok(())
}

/// Our own log's row.
///
/// # Errors
/// [`StoreFault`].
pub fn own(tx: &Tx<'_>, relationship: &Relationship) -> Result<OwnLog, StoreFault> {
    tx.get(&Key::own_log(relationship.id))?.ok_or_else(missing)
}

/// The other side's log's row.
///
/// # Errors
/// [`StoreFault`].
pub fn theirs(tx: &Tx<'_>, relationship: &Relationship) -> Result<TheirLog, StoreFault> {
    tx.get(&Key::their_log(relationship.id))?.ok_or_else(missing)
}

fn missing() -> StoreFault {
    StoreFault::Damaged { detail: "a log is missing".to_owned() }
}

fn their_entry_missing() -> StoreFault {
    StoreFault::Damaged { detail: "an entry is missing".to_owned() }
}

/// Appends an entry to our log: durable with the step, sent after it.
///
/// # Errors
/// [`StoreFault`].
pub fn append(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    body: &Body,
    payload: Option<&[u8]>,
) -> Result<u64, StoreFault> {
    let own = own(tx, relationship)?;
    let their = theirs(tx, relationship)?;
    let sequence = own.next;
    let (chain, body_key, payload_key) = ChainValue::from_bytes(*own.chain.bytes()).step(own.log.as_bytes(), sequence);
    let plain = WireBody {
        kind: body.kind(),
        at: tx.wall(),
        acknowledged: Acknowledged { log: their.log, sequence: their.next - 1, hash: their.last },
        bytes: body.encode(),
    }
    .encode();
    let aad = entry_aad(b"body", &relationship.tag, own.log, sequence, &own.last);
    let sealed_body = seal(&body_key, Domain::EntryBody, &aad, &plain, Padding::Padme, &mut *tx.dice);
    let sealed_payload = payload.map(|payload| {
        let aad = entry_aad(b"payload", &relationship.tag, own.log, sequence, &own.last);
        seal(&payload_key, Domain::EntryPayload, &aad, payload, Padding::Padme, &mut *tx.dice)
    });
    let header = Header {
        log: own.log,
        sequence,
        previous: own.last,
        body_hash: sha256(&[&sealed_body]),
        body_bytes: length(&sealed_body),
        payload_hash: sealed_payload.as_deref().map_or([0; 32], |sealed| sha256(&[sealed])),
        payload_bytes: sealed_payload.as_deref().map_or(0, length),
    };
    let signature = relationship.sign(tx, ENTRY_DOMAIN, &header.to_bytes());
    keep(tx, &header, &signature, sealed_body, &body_key);
    if let Some(sealed) = sealed_payload {
        tx.put_raw(&Key::entry(own.log, sequence, EntryPart::Payload), sealed);
    }
    let own =
        OwnLog { next: sequence + 1, last: header.hash(), chain: StoredKey::from_bytes(&chain.to_bytes()), ..own };
    tx.put(&Key::own_log(relationship.id), &own);
    tx.touch(relationship.id);
    Ok(sequence)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("entries are capped far below 4 GiB")
}

fn keep(tx: &mut Tx<'_>, header: &Header, signature: &[u8; 64], sealed_body: Vec<u8>, body_key: &SecretKey) {
    let signed = [header.to_bytes().as_slice(), signature].concat();
    tx.put_raw(&Key::entry(header.log, header.sequence, EntryPart::Header), signed);
    tx.put_raw(&Key::entry(header.log, header.sequence, EntryPart::Body), sealed_body);
    tx.put(&Key::entry_key(header.log, header.sequence, EntryPart::Body), &BodyKey(StoredKey::keep(body_key)));
}

/// From the next entry on, our log takes its keys from another chain.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn change_own_chain(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    chain: StoredKey,
) -> Result<(), StoreFault> {
    let own = own(tx, relationship)?;
    tx.put(&Key::own_log(relationship.id), &OwnLog { chain, ..own });
    Ok(())
}

/// From the next entry on, the other side's log takes its keys from another chain.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn change_their_chain(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    chain: StoredKey,
) -> Result<(), StoreFault> {
    let their = theirs(tx, relationship)?;
    tx.put(&Key::their_log(relationship.id), &TheirLog { chain, ..their });
    Ok(())
}

/// Drops the payload of one of our entries: nobody who does not have it gets it any more.
pub fn drop_payload(tx: &mut Tx<'_>, log: LogId, sequence: u64) {
    tx.delete(&Key::entry(log, sequence, EntryPart::Payload));
}

/// Takes in one entry of the other side.
///
/// # Errors
/// [`Stop::Misbehaved`] if it does not verify: nothing is kept of it.
pub fn receive(tx: &mut Tx<'_>, relationship: &Relationship, entry: &WireEntry) -> Result<Received, Stop> {
    let header = entry.verified(&relationship.their_key()).ok_or(Misbehaviour::Forged)?;
    let their = theirs(tx, relationship)?;
    if header.log != their.log {
        return Err(Misbehaviour::NotAllowed.into());
    }
    if header.sequence < their.next {
        let kept = kept_header(tx, their.log, header.sequence)?.ok_or_else(their_entry_missing)?;
        if kept.hash() == header.hash() {
            return Ok(Received::Known);
        }
        keep_fork_proof(tx, their.log, header.sequence, entry)?;
        return Ok(Received::Fork);
    }
    if header.sequence > their.next {
        return Ok(Received::TooEarly);
    }
    if header.previous != their.last {
        // It follows a header that is not the one we verified: whoever signed both has two histories.
        keep_fork_proof(tx, their.log, header.sequence - 1, entry)?;
        return Ok(Received::Fork);
    }
    let (chain, body_key, payload_key) =
        ChainValue::from_bytes(*their.chain.bytes()).step(their.log.as_bytes(), header.sequence);
    let aad = entry_aad(b"body", &relationship.tag, their.log, header.sequence, &their.last);
    let plain =
        open(&body_key, Domain::EntryBody, &aad, &entry.body, Padding::Padme).map_err(|_| Misbehaviour::Forged)?;
    let wire = WireBody::decode(&plain).map_err(|_| Misbehaviour::Malformed)?;
    let body = Body::decode(wire.kind, &wire.bytes).map_err(|_| Misbehaviour::Malformed)?;
    let payload = if entry.payload.is_empty() {
        None
    } else {
        let aad = entry_aad(b"payload", &relationship.tag, their.log, header.sequence, &their.last);
        let opened = open(&payload_key, Domain::EntryPayload, &aad, &entry.payload, Padding::Padme);
        Some(opened.map_err(|_| Misbehaviour::Forged)?)
    };
    let signature: &[u8; 64] = entry.signature.as_slice().try_into().expect("a verified signature has 64 bytes");
    keep(tx, &header, signature, entry.body.clone(), &body_key);
    let their = TheirLog {
        next: header.sequence + 1,
        last: header.hash(),
        chain: StoredKey::from_bytes(&chain.to_bytes()),
        ..their
    };
    tx.put(&Key::their_log(relationship.id), &their);
    Ok(Received::New(Box::new(Verified { sequence: header.sequence, at: wire.at, body, payload })))
}

fn keep_fork_proof(tx: &mut Tx<'_>, log: LogId, sequence: u64, second: &WireEntry) -> Result<(), StoreFault> {
    let first = tx.get_raw(&Key::entry(log, sequence, EntryPart::Header))?.unwrap_or_default();
    let proof = [first.as_slice(), &second.header, &second.signature].concat();
    tx.put_raw(&Key::fork_proof(log, sequence), proof);
    Ok(())
}

fn keep_head_proof(tx: &mut Tx<'_>, log: LogId, sequence: u64, second: &SignedHead) -> Result<(), StoreFault> {
    let first = tx.get_raw(&Key::entry(log, sequence, EntryPart::Header))?.unwrap_or_default();
    tx.put_raw(&Key::fork_proof(log, sequence), [first, second.encode()].concat());
    Ok(())
}

/// The header of an entry that is kept.
///
/// # Errors
/// [`StoreFault`].
pub fn kept_header(tx: &Tx<'_>, log: LogId, sequence: u64) -> Result<Option<Header>, StoreFault> {
    let Some(stored) = tx.get_raw(&Key::entry(log, sequence, EntryPart::Header))? else { return Ok(None) };
    let header = stored.first_chunk::<{ Header::BYTES }>().and_then(Header::from_bytes);
    header.map(Some).ok_or_else(|| StoreFault::Damaged { detail: "an entry's header cannot be read".to_owned() })
}

/// One of our entries as it is sent, or one of theirs as it was received.
///
/// # Errors
/// [`StoreFault`].
pub fn wire_entry(tx: &Tx<'_>, log: LogId, sequence: u64) -> Result<Option<WireEntry>, StoreFault> {
    let Some(signed) = tx.get_raw(&Key::entry(log, sequence, EntryPart::Header))? else { return Ok(None) };
    let body = tx.get_raw(&Key::entry(log, sequence, EntryPart::Body))?.unwrap_or_default();
    let payload = tx.get_raw(&Key::entry(log, sequence, EntryPart::Payload))?.unwrap_or_default();
    if signed.len() != Header::BYTES + 64 {
        return Err(StoreFault::Damaged { detail: "an entry's header cannot be read".to_owned() });
    }
    let (header, signature) = signed.split_at(Header::BYTES);
    Ok(Some(WireEntry { header: header.to_vec(), signature: signature.to_vec(), body, payload }))
}

/// An entry's body, opened with its kept key.
///
/// # Errors
/// [`StoreFault`].
pub fn kept_body(
    tx: &Tx<'_>,
    relationship: &Relationship,
    log: LogId,
    sequence: u64,
) -> Result<Option<(WireBody, Body)>, StoreFault> {
    let damaged = || StoreFault::Damaged { detail: "an entry's body does not open".to_owned() };
    let Some(header) = kept_header(tx, log, sequence)? else { return Ok(None) };
    let sealed = tx.get_raw(&Key::entry(log, sequence, EntryPart::Body))?.ok_or_else(damaged)?;
    let key: BodyKey = tx.get(&Key::entry_key(log, sequence, EntryPart::Body))?.ok_or_else(damaged)?;
    let aad = entry_aad(b"body", &relationship.tag, log, sequence, &header.previous);
    let plain = open(&key.0.key(), Domain::EntryBody, &aad, &sealed, Padding::Padme).map_err(|_| damaged())?;
    let wire = WireBody::decode(&plain).map_err(|_| damaged())?;
    let body = Body::decode(wire.kind, &wire.bytes).map_err(|_| damaged())?;
    Ok(Some((wire, body)))
}

/// Signs where our log stands, and until when that may be relied on.
///
/// # Errors
/// [`StoreFault`].
pub fn sign_head(tx: &Tx<'_>, relationship: &Relationship, until: Timestamp) -> Result<SignedHead, StoreFault> {
    let own = own(tx, relationship)?;
    let head = Head { log: own.log, sequence: own.next - 1, hash: own.last, at: tx.wall(), until };
    Ok(head.signed_by(|domain, bytes| relationship.sign(tx, domain, bytes)))
}

/// What became of a head that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadReceived {
    /// We have all entries up to it: it is relied on.
    Level,
    /// Entries up to it are still to come; nothing is relied on.
    Ahead,
    /// As old as what we rely on.
    Old,
    /// Of the same history, and lower than what we rely on: it is not relied on.
    Lower,
    /// It contradicts what the same writer signed before.
    Fork,
}

/// Takes in a head, after the entries that came with it.
///
/// # Errors
/// [`Stop::Misbehaved`] if it is forged, from the future, or of another log. One that is lower than what we know is never relied on.
pub fn receive_head(tx: &mut Tx<'_>, relationship: &Relationship, signed: &SignedHead) -> Result<HeadReceived, Stop> {
    use crate::wire::header::HeadError;
    let head = signed.verified(&relationship.their_key(), tx.wall()).map_err(|error| match error {
        HeadError::Forged => Misbehaviour::Forged,
        HeadError::FromTheFuture => Misbehaviour::FromTheFuture,
    })?;
    let mut their = theirs(tx, relationship)?;
    if head.log != their.log {
        return Err(Misbehaviour::NotAllowed.into());
    }
    if head.sequence >= their.next {
        return Ok(HeadReceived::Ahead);
    }
    let kept = if head.sequence == 0 {
        [0; 32]
    } else {
        kept_header(tx, their.log, head.sequence)?.ok_or_else(their_entry_missing)?.hash()
    };
    if kept != head.hash {
        keep_head_proof(tx, their.log, head.sequence, signed)?;
        return Ok(HeadReceived::Fork);
    }
    if their.head.is_some_and(|known| head.sequence < known.sequence) {
        return Ok(HeadReceived::Lower);
    }
    // Requests and answers of one session overtake each other. A head below what we verified is true and says nothing new: its writer has
    // signed more since.
    // Two of one millisecond: the pairing ends, or an entry is written, between them.
    let age = (head.at, head.sequence, head.until);
    if head.sequence + 1 < their.next || their.head.is_some_and(|known| age <= (known.at, known.sequence, known.until))
    {
        return Ok(HeadReceived::Old);
    }
    their.head = Some(KnownHead { sequence: head.sequence, at: head.at, until: head.until });
    tx.put(&Key::their_log(relationship.id), &their);
    Ok(HeadReceived::Level)
}

/// Notes that the peer was heard.
///
/// # Errors
/// [`StoreFault`].
pub fn heard(tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), StoreFault> {
    let mut their = theirs(tx, relationship)?;
    their.last_seen = Some(tx.wall());
    tx.put(&Key::their_log(relationship.id), &their);
    Ok(())
}

/// What an acknowledgement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcknowledgedChange {
    /// Nothing that we did not know.
    Nothing,
    /// The peer has everything up to here now; it had less before.
    Through { before: u64, now: u64 },
    /// The peer has verified more of our log than we have, or another history of it: our home is older than what we signed.
    BeyondUs,
}

/// Takes in how far the peer has our log. Payloads that it has are dropped.
///
/// # Errors
/// [`Stop::Misbehaved`] if it names a log that is not ours.
pub fn acknowledge(
    tx: &mut Tx<'_>,
    relationship: &Relationship,
    have: &Acknowledged,
) -> Result<AcknowledgedChange, Stop> {
    let mut own = own(tx, relationship)?;
    if have.log != own.log {
        return Err(Misbehaviour::NotAllowed.into());
    }
    if have.sequence >= own.next {
        return Ok(AcknowledgedChange::BeyondUs);
    }
    if have.sequence <= own.acknowledged {
        return Ok(AcknowledgedChange::Nothing);
    }
    let kept = kept_header(tx, own.log, have.sequence)?.ok_or_else(their_entry_missing)?;
    if kept.hash() != have.hash {
        // It signed for an entry of ours that we do not know: this home was put back, and went on from there. A peer that lies about it
        // freezes what it has with us, and nothing else.
        return Ok(AcknowledgedChange::BeyondUs);
    }
    let before = own.acknowledged;
    for sequence in before + 1..=have.sequence {
        if kept_header(tx, own.log, sequence)?.is_some_and(|header| header.payload_bytes > 0) {
            drop_payload(tx, own.log, sequence);
        }
    }
    own.acknowledged = have.sequence;
    tx.put(&Key::own_log(relationship.id), &own);
    Ok(AcknowledgedChange::Through { before, now: have.sequence })
}
