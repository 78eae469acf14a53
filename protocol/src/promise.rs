//! What no step may break, looked at in every build before a step is committed.
//!
//! I1 nothing that is lent leaves without a grant valid at that moment · I2 a revocation is never forgotten · I3 a grant serves its audience
//! only · I4 heads never go back. (I5, that a row reads back as it was written, is what its seal says at every reading.)
//!
//! The modules that own these rows keep the promises; this one does not trust them. It compares what a step would write with what stands,
//! costs an opened row or two a step, and panics: the process ends before anything was written, sent or answered.

use crate::{
    command::Direction,
    delivery::FlightRow,
    grant::{Ended, Grant},
    id::{GrantId, LogId, RelationshipId},
    log::{OwnLog, TheirLog},
    relationship::{PeerRef, Relationship},
    restore::Incarnation,
    store::StoreFault,
    table::{EntryPart, Key, Table},
    tx::Tx,
};

/// Looks at all that a step would write.
///
/// # Errors
/// [`StoreFault`] if what stands does not read.
///
/// # Panics
/// If the step would break a promise.
pub fn hold(tx: &Tx<'_>) -> Result<(), StoreFault> {
    for (key, is_put) in tx.written_keys() {
        match Table::of(key.as_bytes()) {
            Some(Table::OwnLogs) if is_put => own_log(tx, &key)?,
            Some(Table::TheirLogs) if is_put => their_log(tx, &key)?,
            Some(Table::Grants | Table::EndedGrants) => grant(tx, &key)?,
            Some(Table::Flights) if is_put => flight(tx, &key)?,
            _ => {}
        }
    }
    Ok(())
}

fn own_log(tx: &Tx<'_>, key: &Key) -> Result<(), StoreFault> {
    let (Some(was), Some(now)) = (tx.before::<OwnLog>(key)?, tx.get::<OwnLog>(key)?) else { return Ok(()) };
    if was.log != now.log {
        assert!(ended(tx, key, was.log)?, "I4: our log to a peer became another");
        assert!(now.acknowledged == 0, "I4: a peer has what we never wrote");
        return Ok(());
    }
    assert!(now.next >= was.next, "I4: our own log went back");
    assert!(now.acknowledged >= was.acknowledged, "I4: what a peer has of our log went back");
    Ok(())
}

fn their_log(tx: &Tx<'_>, key: &Key) -> Result<(), StoreFault> {
    let (Some(was), Some(now)) = (tx.before::<TheirLog>(key)?, tx.get::<TheirLog>(key)?) else { return Ok(()) };
    if was.log != now.log {
        assert!(ended(tx, key, was.log)?, "I4: a peer's log to us became another");
        return Ok(());
    }
    assert!(now.next >= was.next, "I4: a peer's log went back");
    let height = |log: &TheirLog| log.head.map(|head| (head.sequence, head.at));
    let (was, now) = (height(&was), height(&now));
    assert!(now >= was, "I4: the highest head of a peer went back");
    assert!(now.map(|(_, at)| at) >= was.map(|(_, at)| at), "I4: a peer's head went back in time");
    Ok(())
}

/// Whether a log ended in this very step, so that another may begin: it is not one that ended before.
fn ended(tx: &Tx<'_>, key: &Key, log: LogId) -> Result<bool, StoreFault> {
    let row = Key::incarnation(RelationshipId::from_bytes(key.sixteen(0)));
    let holds = |row: Option<Incarnation>| row.is_some_and(|row| row.former.iter().any(|former| former.log == log));
    Ok(holds(tx.get(&row)?) && !holds(tx.before(&row)?))
}

/// A grant's row moves from those that go on to those that ended, and never back.
fn grant(tx: &Tx<'_>, key: &Key) -> Result<(), StoreFault> {
    let Some(was) = tx.before::<Grant>(key)? else { return Ok(()) };
    let Some(now) = Grant::find(tx, was.relationship, was.id)? else {
        let is_known = tx.has(&Key::relationship(was.relationship))?;
        assert!(!is_known, "I2: a grant is dropped while its peer is known");
        return Ok(());
    };
    assert!(was.ended.is_none() || now.ended.is_some(), "I2: a grant that ended goes on");
    let forgotten = was.selectors.iter().zip(&now.selectors);
    let forgotten = forgotten.filter(|(was, now)| was.taken_back.is_some() && now.taken_back.is_none()).count();
    assert!(forgotten == 0, "I2: it is forgotten that a selector was taken back");
    let same = was.direction == now.direction
        && was.agreement == now.agreement
        && was.selectors.len() == now.selectors.len()
        && was.not_after == now.not_after;
    assert!(same && was.purpose == now.purpose && was.mode == now.mode, "I3: what was agreed became something else");
    Ok(())
}

/// An entry of ours that carries something lent: its grant is ours, to this very peer, and lends.
fn flight(tx: &Tx<'_>, key: &Key) -> Result<(), StoreFault> {
    let Some(row) = tx.get::<FlightRow>(key)? else { return Ok(()) };
    let (log, sequence) = (LogId::from_bytes(key.sixteen(0)), key.number(16));
    let Some(PeerRef(id)) = tx.get::<PeerRef>(&Key::grant_id(row.grant))? else {
        panic!("I1: something is lent under no grant");
    };
    if tx.has(&Key::entry(log, sequence, EntryPart::Payload))? {
        let grant = lends(tx, id, row.grant)?;
        let is_theirs = tx.get::<OwnLog>(&Key::own_log(id))?.is_some_and(|own| own.log == log);
        assert!(is_theirs && grant.relationship == id, "I3: what is lent to one peer would go to another");
        assert!(grant.is_active(tx.wall()), "I1: something is lent under a grant that ended");
    }
    Ok(())
}

/// The grant of ours under which something leaves.
fn lends(tx: &Tx<'_>, relationship: RelationshipId, id: GrantId) -> Result<Grant, StoreFault> {
    let grant = Grant::find(tx, relationship, id)?.expect("I1: something is lent under no grant");
    assert!(grant.direction == Direction::Given, "I1: something is lent under a grant of another");
    assert!(
        !matches!(grant.ended, Some(Ended::Revoked { .. })),
        "I1: something is lent under a grant that was taken back"
    );
    Ok(grant)
}

/// Whether the payload of one of our entries may leave now. What was taken back is withdrawn in the step that takes it back, so that
/// finding it here is a broken promise; a grant's end may have come since the step before.
///
/// # Errors
/// [`StoreFault`].
///
/// # Panics
/// If something would leave that was taken back, or to another peer.
pub fn may_leave(tx: &Tx<'_>, relationship: &Relationship, sequence: u64) -> Result<bool, StoreFault> {
    let own = tx.get::<OwnLog>(&Key::own_log(relationship.id))?.expect("I3: something would leave in no log");
    let flight = tx.get::<FlightRow>(&Key::flight(own.log, sequence))?;
    let flight = flight.expect("I1: something would leave under no grant");
    Ok(lends(tx, relationship.id, flight.grant)?.is_active(tx.wall()))
}
