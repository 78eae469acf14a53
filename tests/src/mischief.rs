//! What peers with real keys do to others in random runs: one kind of mischief at a time, against somebody who is honest.
//!
//! Whoever turned evil is expected to keep nothing from then on; everything that is expected of its victim still is, and each kind says
//! here what the victim must not have fallen for.

use std::time::Duration;

use allod_protocol::{
    command::{Direction, Mode, PeerState},
    effect::Channel,
    grant::{Ended, Grant},
    id::{AskId, GrantId},
    limits::{LEASE_MAX, OPEN_ASKS_MAX},
    purpose::Purpose,
    time::Timestamp,
    wire::{
        body::{Asked, Body, Purged, Read, Revoked, UseLine, Used},
        header::{Head, Header},
    },
};

use crate::{dice::Dice, evil::Evil, inspect::Known, network::NodeId, world::World};

/// What can be done to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// The same sealed message again, and a message of another session.
    Replay,
    /// Two histories under one number.
    Fork,
    /// A home that is older than what it said.
    RollBack,
    /// Grants of other relationships, named in this one.
    MixAndMatch,
    /// A head from before, with a longer promise.
    ExpiredLease,
    /// Heads that do not stand.
    FalseHeads,
    /// More asks and entries than anybody reads.
    Flood,
}

impl Mischief {
    const ALL: [Self; 7] = [
        Self::Replay,
        Self::Fork,
        Self::RollBack,
        Self::MixAndMatch,
        Self::ExpiredLease,
        Self::FalseHeads,
        Self::Flood,
    ];

    /// One of them.
    pub fn draw(dice: &mut Dice) -> Self {
        *dice.pick(&Self::ALL).expect("there are some")
    }

    /// Its name in the summary.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replay => "evil peer: replay",
            Self::Fork => "evil peer: fork",
            Self::RollBack => "evil peer: roll back",
            Self::MixAndMatch => "evil peer: mix and match",
            Self::ExpiredLease => "evil peer: expired lease",
            Self::FalseHeads => "evil peer: false heads",
            Self::Flood => "evil peer: flood",
        }
    }

    /// Does it, if the two have met and the victim is there. Whether it was done.
    ///
    /// # Panics
    /// If the victim falls for it.
    pub fn is_done(self, world: &mut World, dice: &mut Dice, evil: NodeId, victim: NodeId) -> bool {
        if !are_paired(world, evil, victim) {
            return false;
        }
        world.note_fault("node that turns evil");
        let words = format!("* {} turns evil against {}: {}", world.name(evil), world.name(victim), self.name());
        world.trace.say(world.now_us, || words);
        let Some(mut peer) = Evil::greets(world, evil, victim) else { return true };
        match self {
            Self::Replay => replay(world, &mut peer),
            Self::Fork => fork(world, &mut peer, dice),
            Self::RollBack => roll_back(world, &mut peer, dice),
            Self::MixAndMatch => mix_and_match(world, &mut peer),
            Self::ExpiredLease => expired_lease(world, &mut peer),
            Self::FalseHeads => false_heads(world, &mut peer, dice),
            Self::Flood => flood(world, &mut peer, dice),
        }
        world.note_fault(self.name());
        true
    }
}

fn known(world: &World, node: NodeId, other: NodeId) -> Option<Known> {
    let name = world.name(other);
    world.known_peers(node).into_iter().find(|known| known.calls_itself == name)
}

fn are_paired(world: &World, one: NodeId, other: NodeId) -> bool {
    let paired = |node, other| known(world, node, other).is_some_and(|known| known.state == PeerState::Paired);
    paired(one, other) && paired(other, one) && world.runs(one) && world.runs(other)
}

/// All grants of a node with others than one peer.
fn foreign(world: &World, node: NodeId, not_with: NodeId) -> Vec<Grant> {
    let Some(relationship) = world.relationship_with(node, not_with) else { return Vec::new() };
    let both = [Direction::Given, Direction::Held].map(|direction| world.stored_grants(node, direction));
    both.into_iter().flatten().filter(|grant| grant.relationship != relationship).collect()
}

fn ask(dice: &mut Dice) -> Body {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&dice.below(u64::MAX).to_le_bytes());
    Body::Asked(Asked {
        ask: AskId::from_bytes(id),
        required: vec!["contact/me/city".parse().expect("a selector")],
        optional: Vec::new(),
        purpose: Purpose::parse("DeliveryOfGoods").expect("a known purpose"),
        reason: String::new(),
        benefit: String::new(),
        until: None,
        mode: Mode::Follow,
    })
}

fn replay(world: &mut World, peer: &mut Evil) {
    let message = peer.message(world, Vec::new());
    let request = peer.sealed(&message);
    let first = peer.sends(world, request.clone());
    let told = world.height_of(peer.victim, peer.node);
    for _ in 0..3 {
        let again = peer.sends(world, request.clone());
        assert!(first.is_none() || !is_sealed(again.as_deref()), "a message was taken twice");
    }
    assert!(world.height_of(peer.victim, peer.node) >= told, "I4: a replay took a head back");
}

fn is_sealed(answer: Option<&[u8]>) -> bool {
    use allod_protocol::{codec::Coded, wire::session::SessionAnswer};
    answer.is_some_and(|bytes| matches!(SessionAnswer::decode(bytes), Ok(SessionAnswer::Sealed { .. })))
}

fn fork(world: &mut World, peer: &mut Evil, dice: &mut Dice) {
    let before = world.nodes[peer.node.0].disk.clone();
    let (one, other) = (ask(dice), ask(dice));
    peer.tells(world, &one, None);
    let (arrived, boot) = (world.height_of(peer.victim, peer.node), world.nodes[peer.victim.0].boot);
    world.nodes[peer.node.0].disk = before;
    let heard = peer.tells(world, &other, None);
    let same_run = world.runs(peer.victim) && world.nodes[peer.victim.0].boot == boot;
    // Whoever heard both says so; whoever was down for one of them did not hear both.
    if same_run && arrived.0 > peer.written(world) && heard != crate::evil::Met::Unknown {
        let frozen = known(world, peer.victim, peer.node).is_none_or(|known| known.state != PeerState::Paired);
        assert!(frozen, "{} took in two histories of {}", world.name(peer.victim), world.name(peer.node));
    }
}

fn roll_back(world: &mut World, peer: &mut Evil, dice: &mut Dice) {
    let before = world.nodes[peer.node.0].disk.clone();
    for _ in 0..dice.between(1, 4) {
        let one = ask(dice);
        peer.tells(world, &one, None);
    }
    let told = world.height_of(peer.victim, peer.node);
    world.nodes[peer.node.0].disk = before;
    let message = peer.message(world, Vec::new());
    peer.says(world, &message);
    assert!(world.height_of(peer.victim, peer.node) >= told, "I4: an older home took a head back");
}

fn mix_and_match(world: &mut World, peer: &mut Evil) {
    let rows = foreign(world, peer.victim, peer.node);
    let now = world.wall(peer.victim);
    let ids: Vec<GrantId> = rows.iter().map(|grant| grant.id).take(4).collect();
    for grant in ids {
        let purpose = Purpose::parse("DeliveryOfGoods").expect("a known purpose");
        let line = UseLine { grant, selector: 0, purpose, count: 1_000, from: now, to: now };
        for body in [
            Body::Purged(Purged::Selectors { grant, selectors: vec![0] }),
            Body::Used(Used { lines: vec![line] }),
            Body::Read(Read { grant, selector: 0, record: None, nonce: [7; 16] }),
            Body::Revoked(Revoked { grant, selectors: vec![0] }),
        ] {
            let before = world.stored_grants(peer.victim, Direction::Given).into_iter().find(|row| row.id == grant);
            let met = peer.tells(world, &body, None);
            if let crate::evil::Met::Answer(answer) = met {
                // What waited for it under its own grants may come now.
                let carrying = answer.entries.iter().filter(|entry| !entry.payload.is_empty());
                let numbers = carrying.filter_map(|entry| Header::from_bytes(entry.header.first_chunk()?));
                let under = numbers.filter_map(|header| world.grant_carried(peer.victim, peer.node, header.sequence));
                let foreign: Vec<_> = under.filter(|under| rows.iter().any(|row| row.id == *under)).collect();
                assert!(foreign.is_empty(), "I3: {} was handed something under {foreign:?}", world.name(peer.node));
            }
            let after = world.stored_grants(peer.victim, Direction::Given).into_iter().find(|row| row.id == grant);
            if let (Some(before), Some(after)) = (before, after) {
                assert!(after.uses < before.uses + 1_000, "I3: uses of {grant} were counted for another");
                let kept = before.ended.is_some() || !matches!(after.ended, Some(Ended::Revoked { .. }));
                assert!(kept, "I3: {grant} was ended by another");
            }
        }
    }
}

fn expired_lease(world: &mut World, peer: &mut Evil) {
    let head = peer.head(world);
    let told = world.height_of(peer.victim, peer.node);
    let old = Timestamp::from_millis(head.at.as_millis().saturating_sub(86_400_000));
    for until in [head.at.after(LEASE_MAX), Timestamp::NEVER] {
        let mut message = peer.message(world, Vec::new());
        message.heads = vec![peer.signs(world, Head { at: old, until, ..head })];
        peer.says(world, &message);
    }
    assert!(world.height_of(peer.victim, peer.node) >= told, "I4: an old head came back");
}

fn false_heads(world: &mut World, peer: &mut Evil, dice: &mut Dice) {
    let head = peer.head(world);
    let told = world.height_of(peer.victim, peer.node);
    let lie = match dice.below(4) {
        0 => Head { sequence: head.sequence + dice.between(1, 1_000_000), hash: [9; 32], ..head },
        1 => Head { at: head.at.after(Duration::from_secs(30 * 86_400)), until: Timestamp::NEVER, ..head },
        2 => Head { hash: [9; 32], ..head },
        _ => Head { sequence: head.sequence.saturating_sub(1), hash: [9; 32], ..head },
    };
    let mut message = peer.message(world, Vec::new());
    message.heads = vec![peer.signs(world, Head { until: Timestamp::NEVER, ..lie })];
    if dice.below(3) == 0 {
        message.have[0].sequence += dice.between(1, 1_000_000);
    }
    peer.says(world, &message);
    let now = world.height_of(peer.victim, peer.node);
    assert!(now >= told && now.0 <= told.0.max(peer.written(world) + 1), "I4: a head that never stood was believed");
}

fn flood(world: &mut World, peer: &mut Evil, dice: &mut Dice) {
    let first = peer.written(world) + 1;
    for _ in 0..dice.between(40, 90) {
        let one = if dice.below(4) == 0 { Body::Unknown { kind: 999, bytes: vec![1; 200] } } else { ask(dice) };
        peer.writes(world, &one, None);
    }
    let entries = peer.entries(world, first..=peer.written(world));
    let message = peer.message(world, entries);
    peer.says(world, &message);
    for _ in 0..20 {
        let junk: Vec<u8> =
            (0..dice.between(1, 4_000)).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect();
        world.inject(peer.victim, Channel::Session, junk);
    }
    world.run_for(Duration::from_secs(1));
    if world.runs(peer.victim) {
        let open = world.open_asks(peer.victim, peer.node);
        assert!(open <= OPEN_ASKS_MAX, "{} keeps {open} open asks of one peer", world.name(peer.victim));
    }
}
