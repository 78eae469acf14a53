//! What goes on: each side states it once, and what only one of them knows ends, or is said again by entries like any other.
//!
//! A statement can only end things, or ask for what is lent anyway: nobody has to be believed.

use allod_crypto::SecretKey;

use crate::{
    ask::Ask,
    command::{AskState, Direction, Mode, PeerState, Purge},
    delivery,
    grant::{Grant, next_epoch, sealed_keys, take_back},
    holding,
    id::RelationshipId,
    limits::{EPOCH_MAX, OPEN_ASKS_MAX, STATED_ASKS_MAX, STATED_MAX, STATED_SELECTORS_MAX},
    log,
    relationship::Relationship,
    store::StoreFault,
    tx::{Stop, Tx},
    wire::body::{Body, Closed, Resumed, Revoked, Stated},
};

/// Whether both new logs have their first entries, and the other side's is a statement: nothing else ends the waiting.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn has_begun(tx: &Tx<'_>, relationship: &Relationship) -> Result<bool, StoreFault> {
    Ok(stated(tx, relationship)?.is_some() && log::own(tx, relationship)?.next > 1)
}

/// The statement that the other side's log begins with.
pub(super) fn stated(tx: &Tx<'_>, relationship: &Relationship) -> Result<Option<Resumed>, StoreFault> {
    let first = log::kept_body(tx, relationship, log::theirs(tx, relationship)?.log, 1)?;
    Ok(match first {
        Some((_, Body::Resumed(statement))) => Some(statement),
        _ => None,
    })
}

/// What we know to go on with a peer.
pub(super) fn statement(tx: &Tx<'_>, relationship: RelationshipId) -> Result<Resumed, StoreFault> {
    let mut resumed = Resumed { given: Vec::new(), held: Vec::new(), asked: Vec::new(), asked_of: Vec::new() };
    let (mut given, mut held) = (0, 0);
    for grant in Grant::live_with(tx, relationship)? {
        let epoch = |place: &u16| grant.selectors[usize::from(*place)].epoch;
        let live: Vec<(u16, u32)> = grant.live_selectors().iter().map(|place| (*place, epoch(place))).collect();
        let (list, places) = match grant.direction {
            Direction::Given => (&mut resumed.given, &mut given),
            Direction::Held => (&mut resumed.held, &mut held),
        };
        *places += live.len();
        if !live.is_empty() && list.len() < STATED_MAX && *places <= STATED_SELECTORS_MAX {
            list.push(Stated { grant: grant.id, live });
        }
        if let Some(ask) = grant.ask.filter(|_| grant.direction == Direction::Given)
            && resumed.asked_of.len() < STATED_ASKS_MAX - OPEN_ASKS_MAX
        {
            resumed.asked_of.push(ask);
        }
    }
    for ask in Ask::open_with(tx, relationship)? {
        match ask.direction {
            Direction::Held => resumed.asked.push(ask.id),
            Direction::Given => resumed.asked_of.push(ask.id),
        }
    }
    Ok(resumed)
}

/// The other side says what it knows to go on. What it does not know any more ends here; what it never heard of, and we lend, it is told
/// again. Where we are the ones who were put back, nothing is lent until our person says so.
///
/// # Errors
/// [`Stop`].
pub(crate) fn resumed(tx: &mut Tx<'_>, relationship: &mut Relationship, said: &Resumed) -> Result<(), Stop> {
    let put_back = relationship.state == PeerState::Restored;
    let begins = log::own(tx, relationship)?.next == 1;
    let at = tx.wall();
    let mut unknown = Vec::new();
    let mut known = Vec::new();
    let mut lost = Vec::new();
    for mut grant in Grant::live_with(tx, relationship.id)? {
        let stated = |list: &[Stated]| list.iter().find(|stated| stated.grant == grant.id).cloned();
        match grant.direction {
            Direction::Held => match stated(&said.given) {
                None => lost.push((grant, Vec::new())),
                Some(stated) => lost.push((grant, stated.live)),
            },
            Direction::Given => match stated(&said.held) {
                Some(stated) => {
                    for (place, epoch) in &stated.live {
                        if let Some(lent) = grant.selectors.get_mut(usize::from(*place)) {
                            lent.epoch = lent.epoch.max((*epoch).min(EPOCH_MAX));
                        }
                    }
                    grant.save(tx);
                    known.push((grant, stated.live));
                }
                None => unknown.push(grant),
            },
        }
    }
    // Ours stands first in our new log, and says what we knew before anything of this ended.
    if begins {
        let statement = statement(tx, relationship.id)?;
        log::append(tx, relationship, &Body::Resumed(statement), None)?;
    }
    for (mut grant, live) in lost {
        holding::resumed(tx, relationship, &mut grant, &live, at)?;
    }
    if put_back || relationship.state == PeerState::Closed {
        // What the other side does not hold any more was taken back after the backup was made, or never arrived.
        let ended = unknown.into_iter().map(|grant| (grant, Vec::new()));
        for (mut grant, live) in ended.chain(known) {
            let kept = |place: &u16| live.iter().any(|(other, _)| other == place);
            let gone: Vec<u16> = grant.live_selectors().into_iter().filter(|place| !kept(place)).collect();
            if !gone.is_empty() {
                take_back(tx, relationship, &mut grant, &gone)?;
                grant.purged(tx, &gone);
            }
        }
    } else {
        for mut grant in unknown {
            lend_again(tx, relationship, &mut grant)?;
            lend_on(tx, relationship, &mut grant)?;
        }
        for (mut grant, _) in known {
            lend_on(tx, relationship, &mut grant)?;
        }
    }
    asks_go_on(tx, relationship, said, put_back)?;
    confirm_purges(tx, relationship, said)?;
    if begins && relationship.state == PeerState::Closed {
        log::append(tx, relationship, &Body::Closed(Closed {}), None)?;
    }
    if begins {
        holding::tell(tx, relationship, "peer_restored", None, at);
    }
    if put_back && !lends(tx, relationship)? {
        relationship.state = PeerState::Paired;
        relationship.save(tx);
    }
    Ok(())
}

/// Whether anything is lent to a peer.
fn lends(tx: &Tx<'_>, relationship: &Relationship) -> Result<bool, StoreFault> {
    let grants = Grant::live_with(tx, relationship.id)?;
    Ok(grants.iter().any(|grant| grant.direction == Direction::Given && grant.is_active(tx.wall())))
}

/// Our person says that what is lent to a peer goes on: with fresh keys, and all of it is due.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn go_on(tx: &mut Tx<'_>, relationship: &mut Relationship) -> Result<Vec<Grant>, StoreFault> {
    relationship.state = PeerState::Paired;
    relationship.save(tx);
    let mut going = Vec::new();
    for mut grant in Grant::live_with(tx, relationship.id)? {
        if grant.direction == Direction::Given && grant.is_active(tx.wall()) {
            lend_on(tx, relationship, &mut grant)?;
            going.push(grant);
        }
    }
    holding::tell(tx, relationship, "resumed", None, tx.wall());
    Ok(going)
}

/// A grant that the holder lost is said again, as it was. The keys that it calls for serve nothing: those that do follow.
fn lend_again(tx: &mut Tx<'_>, relationship: &Relationship, grant: &mut Grant) -> Result<(), StoreFault> {
    if !grant.is_active(tx.wall()) {
        return Ok(());
    }
    let payload = (grant.mode != Mode::Reference).then(|| {
        let keys = grant.selectors.iter().map(|_| *SecretKey::random(&mut *tx.dice).expose()).collect();
        sealed_keys(keys)
    });
    let body = Body::Granted(grant.said());
    let sequence = log::append(tx, relationship, &body, payload.as_ref().map(|payload| payload.as_slice()))?;
    if payload.is_some() {
        delivery::note_flight(tx, relationship, grant, sequence)?;
    }
    let live = grant.live_selectors();
    let places = (0..).take(grant.selectors.len());
    let selectors: Vec<u16> = places.filter(|place| !live.contains(place)).collect();
    if !selectors.is_empty() {
        log::append(tx, relationship, &Body::Revoked(Revoked { grant: grant.id, selectors }), None)?;
    }
    grant.save(tx);
    Ok(())
}

/// Fresh keys for all that a grant still lends, and all of it is due again: the holder drops what it has under older ones.
fn lend_on(tx: &mut Tx<'_>, relationship: &Relationship, grant: &mut Grant) -> Result<(), StoreFault> {
    if grant.mode == Mode::Reference || !grant.is_active(tx.wall()) {
        return Ok(());
    }
    let places = next_epoch(tx, relationship, grant)?;
    grant.backfill.clear();
    for place in places {
        delivery::due_from_the_start(tx, grant, place);
    }
    grant.save(tx);
    Ok(())
}

/// What was taken back, and the other side does not hold by its own statement, is gone there: it may have said so in a log that was lost.
fn confirm_purges(tx: &mut Tx<'_>, relationship: &Relationship, said: &Resumed) -> Result<(), StoreFault> {
    for mut grant in Grant::with(tx, relationship.id)? {
        if grant.direction != Direction::Given || grant.purge != Purge::Awaited {
            continue;
        }
        let stated = said.held.iter().find(|stated| stated.grant == grant.id);
        let held = |place: &u16| stated.is_some_and(|stated| stated.live.iter().any(|(other, _)| other == place));
        let gone: Vec<u16> = (0..).take(grant.selectors.len()).filter(|place| !held(place)).collect();
        let over = grant.ended.is_some();
        let ended = |place: &u16| over || grant.lent(*place).is_some_and(|lent| lent.taken_back.is_some());
        let gone: Vec<u16> = gone.into_iter().filter(ended).collect();
        grant.purged(tx, &gone);
    }
    Ok(())
}

/// What the other side does not know of asks ends, or is said again.
fn asks_go_on(tx: &mut Tx<'_>, relationship: &Relationship, said: &Resumed, put_back: bool) -> Result<(), Stop> {
    for mut ask in Ask::open_with(tx, relationship.id)? {
        match ask.direction {
            // They asked, and do not know of it.
            Direction::Given if !said.asked.contains(&ask.id) => {
                ask.state = AskState::Withdrawn;
                ask.save(tx);
            }
            Direction::Held if !said.asked_of.contains(&ask.id) => {
                if put_back || relationship.state != PeerState::Paired {
                    // They answered it, or never heard of it.
                    ask.state = AskState::Withdrawn;
                    ask.save(tx);
                } else {
                    log::append(tx, relationship, &Body::Asked(ask.said()), None)?;
                }
            }
            Direction::Given | Direction::Held => {}
        }
    }
    Ok(())
}
