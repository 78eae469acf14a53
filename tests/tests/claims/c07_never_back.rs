//! C7: lower, forked, replayed or expired heads are never accepted, across restarts and restores.

use std::{collections::BTreeSet, time::Duration};

use allod_crypto::Vault;
use allod_protocol::{
    codec::Coded,
    command::{Command, GrantState, PeerState},
    id::LogId,
    log::{self, HeadReceived, Received},
    refusal::Code,
    relationship::Relationship,
    table::{Key, Table},
    time::Timestamp,
    tx::{Misbehaviour, Stop, Tx},
    wire::{
        header::{ENTRY_DOMAIN, Header, SignedHead, WireEntry},
        session::{SessionAnswer, Sync},
    },
};
use allod_tests::{
    World,
    attacker::{Search, plunder},
    disk::SimDisk,
    network::NodeId,
    story::Terms,
};

/// What a node knows of a peer's log: (next, newest head).
fn their_log(world: &mut World, node: NodeId, peer: &str) -> (u64, Option<(u64, Timestamp)>) {
    let now_us = world.now_us;
    let node = &mut world.nodes[node.0];
    let (vault, now) = (node.vault(), node.now(now_us));
    let mut dice = node.dice.clone();
    let tx = Tx::new(&node.disk, &vault, &mut dice, now);
    let relationship = Relationship::named(&tx, peer).unwrap();
    let their = log::theirs(&tx, &relationship).unwrap();
    (their.next, their.head.map(|head| (head.sequence, head.at)))
}

/// Lets a node take in something of a peer's log, on a copy of its disk, and returns what came of it and what it would write.
fn take_in<T>(
    world: &mut World,
    node: NodeId,
    peer: &str,
    take: impl FnOnce(&mut Tx<'_>, &Relationship) -> Result<T, Stop>,
) -> (Result<T, Stop>, usize) {
    let now_us = world.now_us;
    let node = &mut world.nodes[node.0];
    let (vault, now) = (node.vault(), node.now(now_us));
    let mut dice = node.dice.clone();
    let mut tx = Tx::new(&node.disk, &vault, &mut dice, now);
    let relationship = Relationship::named(&tx, peer).unwrap();
    let came = take(&mut tx, &relationship);
    let written = tx.written().0;
    (came, written)
}

struct Overheard {
    world: World,
    alice: NodeId,
    shop: NodeId,
    grant: String,
    heads: Vec<SignedHead>,
    entries: Vec<WireEntry>,
}

/// A life with a grant that was revoked, and all that the owner ever told the vendor in it.
fn overheard(seed: u64) -> Overheard {
    let mut world = World::seeded(seed);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    world.expose(shop);
    world.pair(alice, shop);
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { lease: Some(Duration::from_secs(60)), ..Terms::default() };
    let grant = world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.run_for(Duration::from_secs(200));
    for text in ["Lyon", "Lille"] {
        world.set(alice, "contact/me/city", text);
        world.settle();
    }
    world.revoke(alice, &grant);
    world.settle();
    let spoils = plunder(&world.loot(shop, Vec::new()), Search::Keys);
    let (mut heads, mut entries) = (Vec::new(), Vec::new());
    for Sync { heads: told, entries: brought, .. } in spoils.syncs {
        heads.extend(told);
        entries.extend(brought);
    }
    assert!(heads.len() > 6 && entries.len() > 5, "{} heads, {} entries", heads.len(), entries.len());
    Overheard { world, alice, shop, grant, heads, entries }
}

#[test]
fn no_head_and_no_entry_that_was_ever_sent_moves_a_vendor_back_also_after_a_restart() {
    let Overheard { mut world, shop, grant, heads, entries, .. } = overheard(7_000);
    for restart in [false, true] {
        if restart {
            world.crash(shop);
            world.start(shop);
        }
        let (next, known) = their_log(&mut world, shop, "alice");
        let (mut lower, mut old) = (0, 0);
        for head in &heads {
            let (came, written) = take_in(&mut world, shop, "alice", |tx, alice| log::receive_head(tx, alice, head));
            match came {
                Ok(HeadReceived::Lower) => lower += 1,
                Ok(HeadReceived::Old) => old += 1,
                other => panic!("a head that was used before: {other:?}"),
            }
            assert_eq!(written, 0);
        }
        for entry in &entries {
            let (came, written) = take_in(&mut world, shop, "alice", |tx, alice| log::receive(tx, alice, entry));
            assert!(matches!(came, Ok(Received::Known)), "{came:?}");
            assert_eq!(written, 0);
        }
        println!("{lower} lower heads, {old} old ones, {} entries: nothing moved", entries.len());
        assert!(lower > 3, "{lower}");
        let (still, head) = their_log(&mut world, shop, "alice");
        assert!(still == next && head >= known, "{known:?} {head:?}");
        assert_eq!(world.grant_of(shop, &grant).state, GrantState::Revoked);
    }
}

#[test]
fn each_flipped_bit_of_a_head_or_an_entry_is_refused() {
    let Overheard { mut world, shop, heads, entries, .. } = overheard(7_050);
    let newest = heads.last().expect("there are heads");
    let bytes = serde_json::to_vec(newest).expect("a head is plain data");
    let mut head: serde_json::Value = serde_json::from_slice(&bytes).expect("it was just written");
    for field in ["sequence", "at", "until"] {
        let number = head["head"][field].as_u64().expect("a number");
        head["head"][field] = (number + 1).into();
        let forged: SignedHead = serde_json::from_value(head.clone()).expect("the same shape");
        let (came, _) = take_in(&mut world, shop, "alice", |tx, alice| log::receive_head(tx, alice, &forged));
        assert!(matches!(came, Err(Stop::Misbehaved(Misbehaviour::Forged))), "{field}: {came:?}");
        head["head"][field] = number.into();
    }
    let entry = entries.last().expect("there are entries");
    for place in 0..entry.header.len() + entry.signature.len() + entry.body.len() {
        let mut forged = entry.clone();
        let (header, signature) = (forged.header.len(), forged.signature.len());
        match place {
            place if place < header => forged.header[place] ^= 1,
            place if place < header + signature => forged.signature[place - header] ^= 1,
            place => forged.body[place - header - signature] ^= 1,
        }
        let (came, _) = take_in(&mut world, shop, "alice", |tx, alice| log::receive(tx, alice, &forged));
        assert!(matches!(came, Err(Stop::Misbehaved(Misbehaviour::Forged))), "byte {place}: {came:?}");
    }
}

#[test]
fn frames_replayed_on_every_line_change_nothing() {
    let Overheard { mut world, alice, shop, grant, .. } = overheard(7_100);
    let frames: Vec<_> = world.wiretap.iter().flatten().filter(|frame| !frame.is_answer).cloned().collect();
    assert!(frames.len() > 10);
    for restart in [false, true] {
        if restart {
            world.crash(shop);
            world.start(shop);
            world.run_for(Duration::from_secs(400));
        }
        let before = (their_log(&mut world, shop, "alice").0, their_log(&mut world, alice, "shop").0);
        for frame in &frames {
            // A stranger's line, and the very line of the session.
            world.inject(frame.to, frame.channel, frame.bytes.clone());
            let (one, other) = (world.nodes[alice.0].process(), world.nodes[shop.0].process());
            if let Some(link) = world.network.between(one, other) {
                world.inject_over(frame.to, link, frame.channel, frame.bytes.clone());
            }
            world.run_for(Duration::from_millis(50));
        }
        // What a stranger was answered went back to where it came from. Nobody opened a session's message twice for it.
        let answers = world.wiretap.iter().flatten().filter(|frame| frame.is_answer && frame.from == frame.to);
        let opened =
            answers.filter(|frame| matches!(SessionAnswer::decode(&frame.bytes), Ok(SessionAnswer::Sealed { .. })));
        assert_eq!(opened.count(), 0, "a replayed message was taken");
        world.run_for(Duration::from_secs(400));
        let after = (their_log(&mut world, shop, "alice").0, their_log(&mut world, alice, "shop").0);
        assert_eq!(before, after, "no entry came of it");
        for node in [alice, shop] {
            assert_eq!(world.grant_of(node, &grant).state, GrantState::Revoked);
        }
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
        assert_eq!(world.peer(shop, alice).state, PeerState::Paired);
    }
    println!("{} frames, each over two lines, before and after a restart", frames.len());
}

/// A node's disk, and its vault with it.
fn set_back(world: &mut World, node: NodeId, disk: SimDisk) {
    world.stop(node);
    world.nodes[node.0].disk = disk;
    world.start(node);
}

#[test]
fn an_owner_set_back_to_before_a_revocation_brings_nothing_back() {
    let mut world = World::seeded(7_200);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let old = world.nodes[alice.0].disk.clone();
    world.revoke(alice, &grant);
    world.settle();
    let known = their_log(&mut world, shop, "alice");
    set_back(&mut world, alice, old);
    world.command(alice, allod_tests::story::set("contact/me/city", "Lyon"));
    world.run_for(Duration::from_secs(600));
    let refused = world.refused(shop, alice, "contact/me/city");
    assert!(matches!(refused, Code::Revoked | Code::Forked), "{refused:?}");
    assert_eq!(world.grant_of(shop, &grant).state, GrantState::Revoked);
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"]);
    let now = their_log(&mut world, shop, "alice");
    assert!(now.0 >= known.0 && now.1 >= known.1, "{known:?} {now:?}");
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen, "the owner learns that its home is old");
    for crash in [alice, shop] {
        world.crash(crash);
        world.start(crash);
    }
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen);
    // Taking back works all the same.
    world.done(alice, Command::RevokeGrant { grant });
}

#[test]
fn two_histories_of_one_owner_are_a_proof_that_anybody_can_check() {
    let mut world = World::seeded(7_300);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let clone = world.nodes[alice.0].disk.clone();
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    // The other copy of the home goes its own way, unseen, and is longer when it is seen.
    world.stop(alice);
    world.stop(shop);
    world.nodes[alice.0].disk = clone;
    world.start(alice);
    world.set(alice, "contact/me/name", "Alice");
    for _ in 0..6 {
        let other = world.grant(alice, shop, ["contact/me/name"]);
        world.revoke(alice, &other);
    }
    world.start(shop);
    world.run_for(Duration::from_secs(600));
    for restart in [false, true] {
        if restart {
            world.crash(shop);
            world.start(shop);
        }
        assert_eq!(world.peer(shop, alice).state, PeerState::Frozen);
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Forked);
    }
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris", "Lyon"]);
    let (their_key, proofs) = proofs(&mut world, shop);
    assert_eq!(proofs.len(), 1);
    for proof in proofs {
        let (first, second) = proof.split_at(proof.len() / 2);
        let read = |half: &[u8]| {
            let (header, signature) = half.split_first_chunk::<{ Header::BYTES }>().expect("a header");
            let signature: &[u8; 64] = signature.try_into().expect("a signature");
            their_key.verify(ENTRY_DOMAIN, header, signature).expect("signed by the owner");
            Header::from_bytes(header).expect("a header")
        };
        let (first, second) = (read(first), read(second));
        assert_eq!(first.log, second.log);
        assert_ne!(first.hash(), second.hash());
        assert!(first.sequence == second.sequence || second.previous != first.hash());
    }
    world.forget(shop, alice);
    world.revoke(alice, &grant);
}

fn proofs(world: &mut World, node: NodeId) -> (allod_crypto::VerifyKey, Vec<Vec<u8>>) {
    let node = &mut world.nodes[node.0];
    let vault: Vault = node.vault();
    let (now, mut dice) = (node.now(world.now_us), node.dice.clone());
    let tx = Tx::new(&node.disk, &vault, &mut dice, now);
    let relationship = Relationship::named(&tx, "alice").unwrap();
    let rows = tx.scan_raw(&Key::table(Table::ForkProofs), None, 10).unwrap();
    let logs: BTreeSet<LogId> = rows.iter().map(|(key, _)| LogId::from_bytes(key.sixteen(0))).collect();
    assert_eq!(logs, BTreeSet::from([relationship.their_log]));
    (relationship.their_key(), rows.into_iter().map(|(_, proof)| proof).collect())
}

#[test]
fn a_lease_that_is_over_stays_over_through_restarts_until_the_owner_is_heard() {
    let mut world = World::seeded(7_400);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { lease: Some(Duration::from_secs(60)), ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    world.stop(alice);
    let begun = world.now_us;
    let mut last_read = begun;
    for _ in 0..30 {
        world.run_for(Duration::from_secs(4));
        if world.read(shop, alice, "contact/me/city").is_ok() {
            last_read = world.now_us;
        }
        world.crash(shop);
        world.start(shop);
    }
    let read_for = Duration::from_micros(last_read - begun);
    println!("read for {read_for:?} after the owner was last heard, under a lease of 60 s");
    assert!(read_for > Duration::from_secs(10) && read_for <= Duration::from_secs(62), "{read_for:?}");
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::LeaseOver);
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
}
