//! Put back from a backup: a relationship goes on in new logs, and what we lend is suspended until our person says that it goes on.
//!
//! ```text
//! restored side                      the other side
//! hello under the restore psk  ->
//! offer, Resumed, …            ->    its old log ends, ours too; what only one side knows of ends or is said again
//!                              <-    offer, Resumed, Granted, Keys, Cells, …
//! ```
//! A backup is older than what its home signed later, so nothing is ever added to a log that was restored: each side begins a new one, with
//! an id and a chain of its own, and the two chains make the next keys. The first entry of such a log, `Resumed`, states what its writer
//! knows to go on. What the other side does not know any more is not lent any more; nobody is asked to believe more than that.

mod statement;

use allod_crypto::{ChainValue, RelationshipSecret};
use serde::{Deserialize, Serialize};

pub(crate) use statement::{go_on, has_begun, resumed};
use statement::{stated, statement};

use crate::{
    codec::Coded,
    command::{NodeKind, PeerState},
    grant::Grant,
    id::{LogId, RelationshipId, RouteId},
    limits::RESTORES_AHEAD_MAX,
    log,
    rekey::terms_since_pairing,
    relationship::{Freeze, KeySet, PeerRef, Relationship, Side},
    secret::StoredKey,
    store::{Batch, StoreFault, View},
    table::{EntryPart, Key, Table},
    time::{Now, Timestamp},
    tx::{Misbehaviour, Stop, Tx},
    wire::{
        body::{Body, Closed},
        header::Hash,
        session::{Offer, RESTORE_GENERATION},
    },
};

/// What a relationship keeps of its beginnings.
#[derive(Debug, Serialize, Deserialize)]
pub struct Incarnation {
    /// By which routes the two sides found each other when they paired: each backup has these.
    my_route: RouteId,
    their_route: RouteId,
    /// The logs that ended, oldest first.
    pub former: Vec<FormerLog>,
    /// Where the chain of our log began, until the other side has its first entry.
    offer: Option<StoredKey>,
    /// We were put back, and have not heard where the other side's log goes on.
    waits: bool,
    /// How often the other side began anew.
    renewals: u64,
}

/// A log that ended, and where.
#[derive(Debug, Serialize, Deserialize)]
pub struct FormerLog {
    pub log: LogId,
    /// Ours.
    pub sent: bool,
    pub next: u64,
    pub last: Hash,
}

impl Coded for Incarnation {}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The other side's log began anew, or we heard only after a restore that it had.
    New,
    /// It is the log that we have.
    Known,
}

impl Incarnation {
    /// What is kept of a relationship's beginnings; none if its first keys went before that was kept.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn of(tx: &Tx<'_>, relationship: &Relationship) -> Result<Option<Self>, StoreFault> {
        if let Some(row) = tx.get(&Key::incarnation(relationship.id))? {
            return Ok(Some(row));
        }
        Ok(relationship.key_set(0).map(|first| Self {
            my_route: first.my_route,
            their_route: first.their_route,
            former: Vec::new(),
            offer: None,
            waits: false,
            renewals: 0,
        }))
    }

    /// Whether this side was put back and has not heard the other since.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Our log's beginning, as long as the other side does not have it.
    #[must_use]
    pub fn offer(&self, own: LogId) -> Option<Offer> {
        self.offer.as_ref().map(|chain| Offer { log: own, chain: *chain.bytes() })
    }

    /// The keys under which the two sides find each other after a restore.
    pub(crate) fn keys(&self, relationship: &Relationship) -> KeySet {
        KeySet {
            generation: RESTORE_GENERATION,
            my_route: self.my_route,
            their_route: self.their_route,
            psk: relationship.restore_psk(),
        }
    }

    fn save(&self, tx: &mut Tx<'_>, id: RelationshipId) {
        tx.put(&Key::incarnation(id), self);
    }

    /// Whether the other side begins anew more often than anybody loses a home.
    fn is_too_often(&self, tx: &Tx<'_>, relationship: &Relationship) -> bool {
        u128::from(self.renewals) >= terms_since_pairing(tx, relationship) + u128::from(RESTORES_AHEAD_MAX)
    }

    /// Our log ends, and what it held of things lent is withdrawn; another one begins.
    fn renew_own(&mut self, tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), StoreFault> {
        let own = log::own(tx, relationship)?;
        for (key, _) in tx.scan_raw(&Key::flights_of(own.log), None, usize::MAX)? {
            tx.delete(&Key::entry(own.log, key.number(16), EntryPart::Payload));
            tx.delete(&key);
        }
        for mut grant in Grant::with(tx, relationship.id)? {
            if !grant.unacknowledged.is_empty() {
                grant.unacknowledged.clear();
                grant.save(tx);
            }
        }
        self.former.push(FormerLog { log: own.log, sent: true, next: own.next, last: own.last });
        self.offer = Some(log::begin_own(tx, relationship));
        Ok(())
    }

    fn renew_theirs(&mut self, tx: &mut Tx<'_>, relationship: &Relationship, offer: &Offer) -> Result<(), StoreFault> {
        let their = log::theirs(tx, relationship)?;
        self.former.push(FormerLog { log: their.log, sent: false, next: their.next, last: their.last });
        log::begin_theirs(tx, relationship, offer.log, &offer.chain)
    }
}

/// Whether this side was put back and has not heard the other since.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn waits(tx: &Tx<'_>, relationship: &Relationship) -> Result<bool, StoreFault> {
    Ok(Incarnation::of(tx, relationship)?.is_some_and(|row| row.waits))
}

/// The keys of a hello of ours. A side that was put back has no others than the first; one that is `refused` tries them too.
///
/// # Errors
/// [`StoreFault`].
pub fn keys_to_ask(tx: &Tx<'_>, relationship: &Relationship, refused: bool) -> Result<KeySet, StoreFault> {
    let may = matches!(relationship.state, PeerState::Paired | PeerState::Restored | PeerState::Closed);
    let incarnation = Incarnation::of(tx, relationship)?.filter(|row| may && (row.waits || refused));
    Ok(incarnation.map_or_else(|| relationship.speaking().duplicate(), |row| row.keys(relationship)))
}

/// The keys under which a hello is answered: of a generation that is held, and after a restore only the first, until the other side was
/// heard.
///
/// # Errors
/// [`StoreFault`].
pub fn keys_to_answer(tx: &Tx<'_>, relationship: &Relationship, generation: u32) -> Result<Option<KeySet>, StoreFault> {
    let incarnation = Incarnation::of(tx, relationship)?;
    if generation == RESTORE_GENERATION {
        let may = matches!(relationship.state, PeerState::Paired | PeerState::Restored | PeerState::Closed);
        return Ok(incarnation.filter(|_| may).map(|row| row.keys(relationship)));
    }
    if incarnation.is_some_and(|row| row.waits) {
        return Ok(None);
    }
    Ok(relationship.key_set(generation).map(KeySet::duplicate))
}

/// Keeps the first routes while they are still known: the first change of keys takes them away.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn keep_first_routes(tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), StoreFault> {
    if !tx.has(&Key::incarnation(relationship.id))?
        && let Some(row) = Incarnation::of(tx, relationship)?
    {
        row.save(tx, relationship.id);
    }
    Ok(())
}

/// Routes of generations below this one lead here no more, except the first one: a side that is put back knows no other.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn forget_routes(tx: &mut Tx<'_>, relationship: &Relationship, below: u32) -> Result<(), StoreFault> {
    let first = Incarnation::of(tx, relationship)?;
    for old in relationship.key_sets.iter().filter(|set| set.generation < below) {
        if first.as_ref().is_none_or(|first| first.my_route != old.my_route) {
            tx.delete(&Key::route(old.my_route));
        }
    }
    Ok(())
}

/// The logs of a relationship that ended, oldest first.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn former(tx: &Tx<'_>, relationship: &Relationship) -> Result<Vec<FormerLog>, StoreFault> {
    let row = tx.get::<Incarnation>(&Key::incarnation(relationship.id))?;
    Ok(row.map(|row| row.former).unwrap_or_default())
}

/// All logs of a relationship, those that ended first: (log, `sent` or `received`).
///
/// # Errors
/// [`StoreFault`].
pub fn logs(tx: &Tx<'_>, relationship: &Relationship) -> Result<Vec<(LogId, &'static str)>, StoreFault> {
    let word = |sent| if sent { "sent" } else { "received" };
    let former = former(tx, relationship)?;
    let mut logs: Vec<_> = former.iter().map(|former| (former.log, word(former.sent))).collect();
    logs.push((log::own(tx, relationship)?.log, word(true)));
    logs.push((log::theirs(tx, relationship)?.log, word(false)));
    Ok(logs)
}

/// Makes a step of what a home that was put back has to do before anybody is heard: a page of relationships, and where the next begins.
///
/// # Errors
/// [`StoreFault`].
pub fn begin(
    view: &dyn View,
    vault: &allod_crypto::Vault,
    kind: NodeKind,
    now: Now,
    dice: &mut dyn rand_core::CryptoRng,
    after: Option<RelationshipId>,
) -> Result<(Batch, Option<RelationshipId>), StoreFault> {
    /// Each writes a row a grant, and a few more.
    const AT_ONCE: usize = 8;
    let mut tx = Tx::new(view, vault, dice, now);
    if after.is_none() {
        // Who scanned one of them since the backup was made must not find it open again.
        for (key, _) in tx.scan_raw(&Key::table(Table::Invitations), None, usize::MAX)? {
            tx.delete(&key);
        }
    }
    let page = Relationship::page(&tx, after, AT_ONCE)?;
    let next = if page.len() == AT_ONCE { page.last().map(|relationship| relationship.id) } else { None };
    for relationship in page {
        begin_one(&mut tx, relationship, kind)?;
    }
    let (writes, _) = tx.finish();
    Ok((writes, next))
}

fn begin_one(tx: &mut Tx<'_>, mut relationship: Relationship, kind: NodeKind) -> Result<(), StoreFault> {
    let older = matches!(relationship.frozen, Some(Freeze::WeAreOlder));
    match relationship.state {
        PeerState::Pending => return relationship.erase(tx),
        PeerState::Frozen if !older => return Ok(()),
        PeerState::Frozen | PeerState::Paired | PeerState::Restored => relationship.state = PeerState::Restored,
        PeerState::Closed => {}
    }
    let Some(mut incarnation) = Incarnation::of(tx, &relationship)? else {
        relationship.freeze(tx, Freeze::WeAreOlder);
        return Ok(());
    };
    if older {
        relationship.frozen = None;
    }
    let known = statement(tx, relationship.id)?;
    incarnation.renew_own(tx, &relationship)?;
    incarnation.waits = true;
    incarnation.save(tx, relationship.id);
    forget_what_was_told(&mut relationship);
    relationship.save(tx);
    log::append(tx, &relationship, &Body::Resumed(known), None)?;
    if relationship.state == PeerState::Closed {
        log::append(tx, &relationship, &Body::Closed(Closed {}), None)?;
    }
    if kind == NodeKind::Vendor && !relationship.their_profile.addresses.is_empty() {
        tx.put(&Key::waiting(relationship.id), &PeerRef(relationship.id));
    }
    Ok(())
}

/// A change of keys that was under way is over, and the next one is due; the other side may have forgotten what we told of ourselves.
fn forget_what_was_told(relationship: &mut Relationship) {
    relationship.rekey = None;
    relationship.rekeyed_at = Timestamp::from_millis(0);
    if let Some(told) = &mut relationship.told_profile {
        told.addresses.clear();
        told.name.clear();
    }
}

/// The other side's log begins anew, and ours too unless it did already.
///
/// # Errors
/// [`Stop::Misbehaved`] if the log is no new one, or the other side begins too often.
pub(crate) fn offered(tx: &mut Tx<'_>, relationship: &mut Relationship, offer: &Offer) -> Result<Taken, Stop> {
    let known = log::theirs(tx, relationship)?.log == offer.log;
    if known && !waits(tx, relationship)? {
        return Ok(Taken::Known);
    }
    let mut incarnation = Incarnation::of(tx, relationship)?.ok_or(Misbehaviour::NotAllowed)?;
    // It was put back too, and began this log before our backup was made: it still waits for us with what it stated then.
    let again = if known { Some(stated(tx, relationship)?.ok_or(Misbehaviour::NotAllowed)?) } else { None };
    if !known {
        if tx.has(&Key::log_id(offer.log))? || !incarnation.waits && incarnation.is_too_often(tx, relationship) {
            return Err(Misbehaviour::NotAllowed.into());
        }
        incarnation.renew_theirs(tx, relationship, offer)?;
    }
    if !incarnation.waits {
        incarnation.renewals += 1;
        incarnation.renew_own(tx, relationship)?;
    }
    incarnation.waits = false;
    let own = log::own(tx, relationship)?.log;
    let mine = incarnation
        .offer
        .as_ref()
        .ok_or_else(|| StoreFault::Damaged { detail: "a log's beginning is missing".to_owned() })?;
    take_keys(tx, relationship, &incarnation, (own, mine.bytes()), (offer.log, &offer.chain))?;
    incarnation.save(tx, relationship.id);
    forget_what_was_told(relationship);
    relationship.save(tx);
    if let Some(statement) = again {
        resumed(tx, relationship, &statement)?;
    }
    Ok(Taken::New)
}

/// The keys of both new chains: all older ones go.
fn take_keys(
    tx: &mut Tx<'_>,
    relationship: &mut Relationship,
    incarnation: &Incarnation,
    mine: (LogId, &[u8; 32]),
    theirs: (LogId, &[u8; 32]),
) -> Result<(), StoreFault> {
    let (inviter, scanner) = match relationship.side {
        Side::Inviter => (mine, theirs),
        Side::Scanner => (theirs, mine),
    };
    let context = [inviter.0.as_bytes().as_slice(), scanner.0.as_bytes()].concat();
    let chain = |bytes: &[u8; 32]| ChainValue::from_bytes(*bytes);
    let psk = relationship.restore_psk().key();
    let keys = RelationshipSecret::resumed(&psk, &chain(inviter.1), &chain(scanner.1), &context).schedule();
    forget_routes(tx, relationship, u32::MAX)?;
    tx.put(&Key::route(incarnation.my_route), &PeerRef(relationship.id));
    relationship.key_sets = vec![KeySet {
        generation: 0,
        my_route: incarnation.my_route,
        their_route: incarnation.their_route,
        psk: StoredKey::keep(&keys.session_psk),
    }];
    relationship.speaks = 0;
    relationship.rekey_key = StoredKey::keep(&keys.rekey_key);
    relationship.hint_key = StoredKey::keep(&keys.hint_key);
    if relationship.state != PeerState::Closed {
        relationship.save_hint_key(tx);
    }
    Ok(())
}

/// Where our log's chain began is forgotten once the other side knows it: it acknowledged the log's first entry, or called us under the keys
/// that came of it.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn arrived(tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), StoreFault> {
    if let Some(mut row) = tx.get::<Incarnation>(&Key::incarnation(relationship.id))?
        && row.offer.is_some()
        && !row.waits
    {
        row.offer = None;
        row.save(tx, relationship.id);
    }
    Ok(())
}

/// Whether the other side's log is one that follows another.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn is_resumed(tx: &Tx<'_>, relationship: &Relationship) -> Result<bool, StoreFault> {
    let row = tx.get::<Incarnation>(&Key::incarnation(relationship.id))?;
    Ok(row.is_some_and(|row| row.former.iter().any(|former| !former.sent)))
}
