//! Recorded sessions, opened by whoever knows each number that one of the two sides drew.
//!
//! A session's keys come from both statics, the psk and two ephemeral keys. The first three stand in the relationship's rows, and a node's
//! ephemeral key follows from what it drew: the attacker draws it again and plays that side's part of the handshake a second time.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use allod_crypto::{
    AgreementIdentity, MessageKind, Role, SecretKey, SessionInitiator, SessionKeys, hkdf, hmac32, session,
};
use allod_protocol::{
    codec::Coded,
    effect::SessionId,
    id::RouteId,
    relationship::Relationship,
    wire::session::{PROTOCOL, SessionAnswer, SessionRequest, Sync},
};
use rand_core::{TryCryptoRng, TryRng, utils};

use super::{Loot, Spoils, entries::Entries};

/// Dice that give one draw again.
struct Again([u8; 32]);

impl TryRng for Again {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for (byte, again) in bytes.iter_mut().zip(self.0.iter().cycle()) {
            *byte = *again;
        }
        Ok(())
    }
}

impl TryCryptoRng for Again {}

/// A relationship's keys, in one generation.
struct Side {
    mine: AgreementIdentity,
    theirs: [u8; 32],
    role: Role,
    generation: u32,
    my_route: RouteId,
    their_route: RouteId,
    psk: SecretKey,
}

impl Side {
    fn prologue(&self, answerer: RouteId, asker: RouteId, asker_role: Role) -> Vec<u8> {
        let generation = self.generation.to_le_bytes();
        [PROTOCOL, answerer.as_bytes(), asker.as_bytes(), &[asker_role.byte()], &generation].concat()
    }
}

/// A first message.
struct Hello {
    route: RouteId,
    session: SessionId,
    noise: Vec<u8>,
}

/// Opens what was sent to this side in sessions, and notes the entries.
pub(super) fn listen(loot: &Loot, relationships: &[Relationship], entries: &mut Entries, spoils: &mut Spoils) {
    if loot.draws.is_empty() {
        return;
    }
    let sides = sides(relationships);
    let (mut hellos, mut requests, mut welcomes, mut answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for frame in &loot.frames {
        match SessionRequest::decode(frame) {
            Ok(SessionRequest::Hello { route, session, noise, .. }) => hellos.push(Hello { route, session, noise }),
            Ok(SessionRequest::Sealed { session, counter, sealed }) => requests.push((session, counter, sealed)),
            Err(_) => match SessionAnswer::decode(frame) {
                Ok(SessionAnswer::Welcome { noise }) => welcomes.push(noise),
                Ok(SessionAnswer::Sealed { sealed }) => answers.push(sealed),
                _ => {}
            },
        }
    }
    let mut sessions: Vec<(SessionId, SessionKeys)> = Vec::new();
    for side in &sides {
        let drawn = ephemerals(side, &loot.draws);
        for hello in &hellos {
            let draw = |noise: &[u8]| noise.first_chunk::<32>().and_then(|public| drawn.get(public)).copied();
            if hello.route == side.their_route
                && let Some(draw) = draw(&hello.noise)
            {
                sessions.extend(welcomes.iter().find_map(|welcome| asked(side, draw, hello, welcome)));
            }
            if hello.route == side.my_route {
                let mine = welcomes.iter().filter_map(|welcome| draw(welcome).map(|draw| (draw, welcome)));
                sessions.extend(mine.into_iter().find_map(|(draw, welcome)| answered(side, draw, hello, welcome)));
            }
        }
    }
    spoils.sessions += sessions.len();
    for (id, keys) in &sessions {
        let of_session = requests.iter().filter(|(session, ..)| session == id);
        let counters: BTreeSet<u64> = of_session.clone().map(|(_, counter, _)| *counter).collect();
        let asked = of_session.map(|(_, counter, sealed)| keys.open_message(*counter, MessageKind::Request, sealed));
        let told = answers.iter().flat_map(|sealed| {
            counters.iter().map(move |counter| keys.open_message(*counter, MessageKind::Answer, sealed))
        });
        for plain in asked.chain(told).flatten() {
            spoils.plaintexts.push(plain.to_vec());
            if let Ok(sync) = Sync::decode(&plain) {
                sync.entries.iter().for_each(|entry| entries.heard(entry.clone()));
                spoils.syncs.push(sync);
            }
        }
    }
}

fn sides(relationships: &[Relationship]) -> Vec<Side> {
    let mut sides: BTreeMap<(RouteId, RouteId), Side> = BTreeMap::new();
    for relationship in relationships {
        for keys in &relationship.key_sets {
            sides.entry((keys.my_route, keys.their_route)).or_insert_with(|| Side {
                mine: relationship.agreement(),
                theirs: relationship.their_static,
                role: relationship.side.role(),
                generation: keys.generation,
                my_route: keys.my_route,
                their_route: keys.their_route,
                psk: keys.psk.key(),
            });
        }
    }
    sides.into_values().collect()
}

/// The public ephemeral key that each draw leads to.
fn ephemerals(side: &Side, draws: &[[u8; 32]]) -> BTreeMap<[u8; 32], [u8; 32]> {
    let ephemeral = |draw: &[u8; 32]| {
        let mut seed = [0; 32];
        hkdf(&[0; 32], &[draw, side.mine.to_bytes().as_slice()], &[b"allod/noise-dice/1"], &mut seed);
        let private = hmac32(&SecretKey::from_bytes(seed), &[&0u64.to_le_bytes()]);
        AgreementIdentity::from_bytes(&private).public()
    };
    draws.iter().map(|draw| (ephemeral(draw), *draw)).collect()
}

/// The session, if this welcome answers this hello of ours.
fn asked(side: &Side, draw: [u8; 32], hello: &Hello, welcome: &[u8]) -> Option<(SessionId, SessionKeys)> {
    let prologue = side.prologue(side.their_route, side.my_route, side.role);
    let started = SessionInitiator::start(&side.mine, &side.theirs, &side.psk, &prologue, &mut Again(draw));
    let (initiator, first) = started.ok()?;
    if first != hello.noise {
        return None;
    }
    initiator.finish(welcome).ok().map(|(keys, _)| (hello.session, keys))
}

/// The session, if this welcome of ours answers this hello.
fn answered(side: &Side, draw: [u8; 32], hello: &Hello, welcome: &[u8]) -> Option<(SessionId, SessionKeys)> {
    let prologue = side.prologue(side.my_route, side.their_route, side.role.other());
    let mut dice = Again(draw);
    let answered = session::answer(&side.mine, &side.theirs, &side.psk, &prologue, &hello.noise, &[], &mut dice);
    answered.ok().filter(|(second, _)| second == welcome).map(|(_, keys)| (hello.session, keys))
}
