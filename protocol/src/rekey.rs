//! A change of keys: every thirty days both sides draw new secrets, so that a thief who copied a home and then only listens is shut out.
//!
//! ```text
//! inviter                        scanner
//! Start  { key, route }    ->
//!                          <-    Reply { secret for that key, key, route }
//! Finish { secret for it } ->                                   the inviter's log goes on in the new chain
//!                          <-    Done                           the scanner's log goes on in the new chain
//! ```
//! Only the inviter begins. The scanner replies to as many as fit one in thirty days, and a few more; the next one waits for its time, so
//! that a peer that begins without end makes no more work than that. Each step is an entry, so that a crash or a long absence only delays
//! it. Between two steps everything else goes on under the old keys. Hello may name either generation until a session under the new one was
//! proved; then the old keys go. It heals against a thief who listens, not against one who holds the signing key.

use std::time::Duration;

use allod_crypto::{RelationshipSecret, SecretKey, XWingSecret, xwing};
use serde::{Deserialize, Serialize};

use crate::{
    command::{Direction, Mode, PeerState},
    grant::{Grant, next_epoch},
    id::RouteId,
    limits::{REKEY_EVERY, REKEYS_AHEAD_MAX},
    log,
    relationship::{KeySet, PeerRef, Relationship, Side},
    restore,
    secret::StoredKey,
    store::StoreFault,
    table::Key,
    tx::{Misbehaviour, Stop, Tx},
    wire::body::{self, Body, RekeyStep},
};

/// How often a session looks whether it is time.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// Where a change of keys stands on our side.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rekey {
    generation: u32,
    my_route: RouteId,
    /// All that was said so far, byte for byte: both sides bind the new secret to it.
    said: Vec<u8>,
    stage: Stage,
}

#[derive(Debug, Serialize, Deserialize)]
enum Stage {
    /// We are the inviter, and wait for `Reply`.
    Started { secret: StoredKey },
    /// We are the scanner, and wait for `Finish`.
    Replied { secret: StoredKey, for_inviter: StoredKey, their_route: RouteId },
    /// We are the inviter, and wait for `Done`.
    Finished { their_chain: StoredKey },
    /// We are the scanner, and were asked too early: we reply when it is time.
    Early { public: Vec<u8>, their_route: RouteId },
}

/// Whether the new keys are in use on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    UnderWay,
    TakenUp,
}

/// Starts a change of keys if it is ours to start and time for it.
///
/// # Errors
/// [`Stop::Fault`].
pub(crate) fn start_if_due(tx: &mut Tx<'_>, relationship: &mut Relationship) -> Result<(), Stop> {
    let due = relationship.side == Side::Inviter
        && relationship.state == PeerState::Paired
        && relationship.rekey.is_none()
        && tx.wall().since(relationship.rekeyed_at) >= REKEY_EVERY;
    if !due {
        return Ok(());
    }
    let secret = XWingSecret::generate(&mut *tx.dice);
    let generation = relationship.speaks + 1;
    let route = RouteId::random(&mut *tx.dice);
    let step = RekeyStep::Start { public: secret.public().to_vec(), route };
    let said = say(tx, relationship, generation, step)?;
    relationship.rekey = Some(Rekey {
        generation,
        my_route: route,
        said,
        stage: Stage::Started { secret: StoredKey::from_bytes(&secret.to_bytes()) },
    });
    relationship.save(tx);
    Ok(())
}

fn say(tx: &mut Tx<'_>, relationship: &Relationship, generation: u32, step: RekeyStep) -> Result<Vec<u8>, Stop> {
    let body = Body::Rekey(body::Rekey { generation, step });
    log::append(tx, relationship, &body, None)?;
    Ok(body.encode())
}

/// A step of the other side.
///
/// # Errors
/// [`Stop::Misbehaved`] if it is not the step that comes next.
pub(crate) fn received(
    tx: &mut Tx<'_>,
    relationship: &mut Relationship,
    heard: &body::Rekey,
) -> Result<Progress, Stop> {
    let bytes = Body::Rekey(heard.clone()).encode();
    let from_inviter = relationship.side == Side::Scanner;
    match (&heard.step, relationship.rekey.take(), from_inviter) {
        (RekeyStep::Start { public, route }, None, true) if heard.generation == relationship.speaks + 1 => {
            if is_early(tx, relationship, heard.generation) {
                // Looked at here, where it is held against whoever said it if it is none.
                encapsulate(tx, public)?;
                relationship.rekey = Some(Rekey {
                    generation: heard.generation,
                    my_route: RouteId::random(&mut *tx.dice),
                    said: bytes,
                    stage: Stage::Early { public: public.clone(), their_route: *route },
                });
                relationship.save(tx);
            } else {
                let my_route = RouteId::random(&mut *tx.dice);
                reply(tx, relationship, heard.generation, public, (my_route, *route), bytes)?;
            }
            Ok(Progress::UnderWay)
        }
        (RekeyStep::Reply { ciphertext, public, route }, Some(rekey), false)
            if heard.generation == rekey.generation =>
        {
            finish(tx, relationship, rekey, ciphertext, public, *route, &bytes)?;
            Ok(Progress::UnderWay)
        }
        (RekeyStep::Finish { ciphertext }, Some(rekey), true) if heard.generation == rekey.generation => {
            done(tx, relationship, rekey, ciphertext, &bytes)?;
            Ok(Progress::TakenUp)
        }
        (RekeyStep::Done, Some(rekey), false) if heard.generation == rekey.generation => {
            let Stage::Finished { their_chain } = rekey.stage else { return Err(Misbehaviour::NotAllowed.into()) };
            log::change_their_chain(tx, relationship, their_chain)?;
            relationship.speaks = rekey.generation;
            relationship.rekeyed_at = tx.wall();
            relationship.save(tx);
            Ok(Progress::TakenUp)
        }
        _ => Err(Misbehaviour::NotAllowed.into()),
    }
}

/// Whether this change comes before its time: more than one in thirty days since the pairing, and those that a leaping clock may begin.
fn is_early(tx: &Tx<'_>, relationship: &Relationship, generation: u32) -> bool {
    u128::from(generation) > terms_since_pairing(tx, relationship) + u128::from(REKEYS_AHEAD_MAX)
}

/// How often thirty days have passed since the pairing: as often, and a few times more, a peer may call for new keys.
pub(crate) fn terms_since_pairing(tx: &Tx<'_>, relationship: &Relationship) -> u128 {
    tx.wall().since(relationship.since).as_millis() / REKEY_EVERY.as_millis()
}

/// Replies to a change of keys that came too early, if its time has come.
///
/// # Errors
/// [`Stop::Fault`].
pub(crate) fn reply_if_due(tx: &mut Tx<'_>, relationship: &mut Relationship) -> Result<(), Stop> {
    let early = relationship.rekey.as_ref().filter(|rekey| matches!(rekey.stage, Stage::Early { .. }));
    let due = early.is_some_and(|rekey| !is_early(tx, relationship, rekey.generation));
    if !due || relationship.state != PeerState::Paired {
        return Ok(());
    }
    if let Some(Rekey { generation, my_route, said, stage: Stage::Early { public, their_route } }) =
        relationship.rekey.take()
    {
        reply(tx, relationship, generation, &public, (my_route, their_route), said)?;
    }
    Ok(())
}

fn encapsulate(tx: &mut Tx<'_>, public: &[u8]) -> Result<(Vec<u8>, SecretKey), Stop> {
    let public = public.try_into().map_err(|_| Misbehaviour::Malformed)?;
    let (ciphertext, secret) = xwing::encapsulate(public, &mut *tx.dice).map_err(|_| Misbehaviour::Malformed)?;
    Ok((ciphertext.to_vec(), secret))
}

fn decapsulate(secret: &StoredKey, ciphertext: &[u8]) -> Result<SecretKey, Stop> {
    let ciphertext = ciphertext.try_into().map_err(|_| Misbehaviour::Malformed)?;
    let opened = XWingSecret::from_bytes(secret.bytes()).decapsulate(ciphertext);
    Ok(opened.map_err(|_| Misbehaviour::Malformed)?)
}

/// The scanner answers `Start`.
fn reply(
    tx: &mut Tx<'_>,
    relationship: &mut Relationship,
    generation: u32,
    public: &[u8],
    (my_route, their_route): (RouteId, RouteId),
    heard: Vec<u8>,
) -> Result<(), Stop> {
    let (ciphertext, for_inviter) = encapsulate(tx, public)?;
    let secret = XWingSecret::generate(&mut *tx.dice);
    let step = RekeyStep::Reply { ciphertext, public: secret.public().to_vec(), route: my_route };
    let said = [heard, say(tx, relationship, generation, step)?].concat();
    relationship.rekey = Some(Rekey {
        generation,
        my_route,
        said,
        stage: Stage::Replied {
            secret: StoredKey::from_bytes(&secret.to_bytes()),
            for_inviter: StoredKey::keep(&for_inviter),
            their_route,
        },
    });
    relationship.save(tx);
    Ok(())
}

/// The inviter answers `Reply`: it has both secrets, and its log goes on in the new chain.
fn finish(
    tx: &mut Tx<'_>,
    relationship: &mut Relationship,
    rekey: Rekey,
    ciphertext: &[u8],
    public: &[u8],
    their_route: RouteId,
    heard: &[u8],
) -> Result<(), Stop> {
    let Stage::Started { secret } = &rekey.stage else { return Err(Misbehaviour::NotAllowed.into()) };
    let for_inviter = decapsulate(secret, ciphertext)?;
    let (ciphertext, for_scanner) = encapsulate(tx, public)?;
    let finish = say(tx, relationship, rekey.generation, RekeyStep::Finish { ciphertext })?;
    let said = [rekey.said.as_slice(), heard, &finish].concat();
    let keys =
        take_up(tx, relationship, rekey.generation, (rekey.my_route, their_route), for_inviter, for_scanner, &said)?;
    log::change_own_chain(tx, relationship, keys.mine)?;
    relationship.rekey = Some(Rekey {
        generation: rekey.generation,
        my_route: rekey.my_route,
        said: Vec::new(),
        stage: Stage::Finished { their_chain: keys.theirs },
    });
    relationship.save(tx);
    Ok(())
}

/// The scanner answers `Finish`: both logs go on in the new chains.
fn done(
    tx: &mut Tx<'_>,
    relationship: &mut Relationship,
    rekey: Rekey,
    ciphertext: &[u8],
    heard: &[u8],
) -> Result<(), Stop> {
    let Stage::Replied { secret, for_inviter, their_route } = &rekey.stage else {
        return Err(Misbehaviour::NotAllowed.into());
    };
    let for_scanner = decapsulate(secret, ciphertext)?;
    let said = [rekey.said.as_slice(), heard].concat();
    let routes = (rekey.my_route, *their_route);
    let keys = take_up(tx, relationship, rekey.generation, routes, for_inviter.key(), for_scanner, &said)?;
    log::change_their_chain(tx, relationship, keys.theirs)?;
    say(tx, relationship, rekey.generation, RekeyStep::Done)?;
    log::change_own_chain(tx, relationship, keys.mine)?;
    relationship.speaks = rekey.generation;
    relationship.rekeyed_at = tx.wall();
    relationship.save(tx);
    Ok(())
}

/// The new chain values of both logs.
struct NewChains {
    mine: StoredKey,
    theirs: StoredKey,
}

/// The keys of the new generation stand beside the old ones, until a session proved them.
fn take_up(
    tx: &mut Tx<'_>,
    relationship: &mut Relationship,
    generation: u32,
    (my_route, their_route): (RouteId, RouteId),
    for_inviter: SecretKey,
    for_scanner: SecretKey,
    said: &[u8],
) -> Result<NewChains, StoreFault> {
    restore::keep_first_routes(tx, relationship)?;
    let next = RelationshipSecret::next(&relationship.rekey_key.key(), for_inviter, for_scanner, said);
    let keys = next.schedule();
    let role = relationship.side.role();
    // Both sides speak the generation before this one by now. A session can outlive many changes: what is older goes here too.
    restore::forget_routes(tx, relationship, relationship.speaks)?;
    relationship.key_sets.retain(|set| set.generation >= relationship.speaks);
    relationship.key_sets.push(KeySet { generation, my_route, their_route, psk: StoredKey::keep(&keys.session_psk) });
    relationship.rekey_key = StoredKey::keep(&keys.rekey_key);
    relationship.hint_key = StoredKey::keep(&keys.hint_key);
    relationship.save_hint_key(tx);
    tx.put(&Key::route(my_route), &PeerRef(relationship.id));
    Ok(NewChains {
        mine: StoredKey::from_bytes(&keys.chain_of(role).to_bytes()),
        theirs: StoredKey::from_bytes(&keys.chain_of(role.other()).to_bytes()),
    })
}

/// A session under this generation was proved: older keys go.
///
/// # Errors
/// [`StoreFault`].
pub(crate) fn proved(tx: &mut Tx<'_>, relationship: &mut Relationship, generation: u32) -> Result<(), StoreFault> {
    if relationship.key_sets.iter().all(|set| set.generation >= generation) {
        return Ok(());
    }
    restore::forget_routes(tx, relationship, generation)?;
    relationship.key_sets.retain(|set| set.generation >= generation);
    relationship.speaks = relationship.speaks.max(generation);
    relationship.save(tx);
    Ok(())
}

/// Each follow grant of ours begins its next epoch: fresh random keys, sent in one entry a grant.
///
/// # Errors
/// [`Stop::Fault`].
pub(crate) fn next_epochs(tx: &mut Tx<'_>, relationship: &Relationship) -> Result<(), Stop> {
    for mut grant in Grant::live_with(tx, relationship.id)? {
        let follows = grant.direction == Direction::Given && grant.mode == Mode::Follow && grant.is_active(tx.wall());
        if !follows {
            continue;
        }
        next_epoch(tx, relationship, &mut grant)?;
        grant.save(tx);
    }
    Ok(())
}
