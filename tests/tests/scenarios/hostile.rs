//! Peers and disks that lie: replayed frames, forks, homes put back from yesterday.

use std::{collections::BTreeSet, time::Duration};

use allod_protocol::{
    codec::Coded,
    command::{Direction, PeerState, Purge},
    effect::{Channel, SessionId},
    refusal::Code,
    wire::session::SessionRequest,
};
use allod_tests::{World, disk::Mood, network::NodeId};

fn lent(seed: u64) -> (World, NodeId, NodeId, String) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    (world, alice, shop, grant)
}

#[test]
fn every_recorded_frame_played_back_changes_nothing() {
    let mut world = World::seeded(110);
    world.wiretap = Some(Vec::new());
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.set(alice, "contact/me/city", "Lyon");
    world.revoke(alice, &grant);
    world.settle();
    let frames = world.wiretap.take().unwrap();
    assert!(frames.len() > 10);
    let before = [alice, shop].map(|node| world.nodes[node.0].disk.rows().clone());
    let link = world.network.links_of(world.nodes[shop.0].process())[0];
    for frame in &frames {
        for target in [alice, shop] {
            world.inject(target, frame.channel, frame.bytes.clone());
            world.inject_over(target, link, frame.channel, frame.bytes.clone());
        }
        world.run_for(Duration::from_millis(50));
    }
    world.settle();
    for (node, before) in [alice, shop].into_iter().zip(before) {
        let after = world.nodes[node.0].disk.rows();
        let changed: Vec<_> = after.iter().filter(|(key, value)| before.get(*key) != Some(value)).collect();
        // Losing a link to noise may move the time when the peer was last seen: one row of the peer's log.
        assert!(changed.len() <= 1, "{} rows changed", changed.len());
    }
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    assert_eq!(world.peer(alice, shop).state, PeerState::Paired);
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn noise_of_all_sizes_changes_nothing() {
    let (mut world, alice, shop, _) = lent(111);
    let before = world.nodes[shop.0].disk.rows().clone();
    for size in (0..300).chain([4_096, 65_536, 1_000_000]) {
        for channel in [Channel::Pair, Channel::Session] {
            world.inject(shop, channel, vec![u8::try_from(size % 251).unwrap(); size]);
        }
        world.run_for(Duration::from_millis(20));
    }
    world.settle();
    assert_eq!(world.nodes[shop.0].disk.rows(), &before);
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
}

#[test]
fn a_home_put_back_from_yesterday_is_noticed_by_both_and_revoking_still_works() {
    let (mut world, alice, shop, grant) = lent(112);
    let yesterday = world.nodes[alice.0].disk.clone();
    world.set(alice, "contact/me/city", "Lyon");
    let second = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.revoke(alice, &second);
    world.settle();
    world.stop(alice);
    world.nodes[alice.0].disk = yesterday;
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen, "it is older than what it signed");
    world.set(alice, "contact/me/city", "Nice");
    world.run_for(Duration::from_secs(400));
    assert!(!world.known_to(shop, "contact/me/city").contains(&"Nice".to_owned()), "a frozen node lends nothing");
    let command = world.grant_command(alice, shop, &["contact/me/city"], &Default::default());
    assert_eq!(world.outcome(alice, command).unwrap_err().code(), Code::Forked);
    // The person can still take back what this old home knows.
    world.revoke(alice, &grant);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.peer(shop, alice).state, PeerState::Frozen, "two entries with one number: the proof is kept");
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Forked);
}

#[test]
fn a_vendor_whose_home_is_put_back_does_not_get_back_what_was_revoked() {
    let (mut world, alice, shop, grant) = lent(113);
    let yesterday = world.nodes[shop.0].disk.clone();
    world.revoke(alice, &grant);
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
    world.stop(shop);
    world.nodes[shop.0].disk = yesterday;
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"]);
    assert_ne!(world.peer(shop, alice).state, PeerState::Paired, "the vendor's home is older than what it signed");
}

#[test]
fn a_lying_disk_that_loses_a_revocation_is_noticed() {
    let (mut world, alice, shop, grant) = lent(114);
    world.set_mood(alice, Mood::Lying);
    world.may_be_damaged(alice);
    world.revoke(alice, &grant);
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    world.crash(alice);
    world.set_mood(alice, Mood::Honest);
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen);
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"]);
}

#[test]
fn two_copies_of_one_home_that_both_speak_are_frozen_out_and_revoking_works() {
    let (mut world, alice, shop, _) = lent(115);
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    let copy = world.nodes[alice.0].disk.clone();
    // The first copy says one thing while nobody listens, the second another.
    world.stop(shop);
    world.settle();
    let street = world.grant(alice, shop, ["contact/me/street"]);
    world.stop(alice);
    let first = std::mem::replace(&mut world.nodes[alice.0].disk, copy);
    world.start(alice);
    world.set(alice, "contact/me/email", "alice@example.org");
    world.grant(alice, shop, ["contact/me/email"]);
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/email"), "alice@example.org");
    world.stop(alice);
    world.nodes[alice.0].disk = first;
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    assert!(
        [world.peer(shop, alice).state, world.peer(alice, shop).state].contains(&PeerState::Frozen),
        "two histories are noticed"
    );
    assert!(world.known_to(shop, "contact/me/street").is_empty(), "the second history is not taken in");
    world.revoke(alice, &street);
}

#[test]
fn a_clock_that_is_hours_ahead_is_refused_and_accepted_when_it_is_right() {
    let (mut world, alice, shop, _) = lent(116);
    world.set_clock_ahead(alice, 7_200_000);
    world.run_for(Duration::from_secs(60));
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(120));
    assert_eq!(
        world.known_to(shop, "contact/me/city"),
        ["Paris"],
        "heads from the future are refused, and all that came with them"
    );
    let before = world.steps;
    world.run_for(Duration::from_secs(7_200));
    assert!(world.steps - before < 20_000, "{} steps of two nodes that refuse each other", world.steps - before);
    world.set_clock_ahead(alice, 0);
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
}

#[test]
fn what_was_written_while_the_clock_ran_ahead_arrives_as_soon_as_it_is_right() {
    let (mut world, alice, shop, _) = lent(118);
    world.set_clock_ahead(alice, 30 * 86_400_000);
    world.run_for(Duration::from_secs(60));
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"], "its head is from the future");
    world.set_clock_ahead(alice, 0);
    world.run_for(Duration::from_secs(300));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
}

#[test]
fn two_vendors_share_no_sixteen_bytes_of_ours() {
    let mut world = World::seeded(117);
    let (alice, bank) = world.paired("alice", "bank");
    let shop = world.vendor("shop");
    world.wiretap = Some(Vec::new());
    world.pair(alice, shop);
    world.set(alice, "contact/me/city", "P");
    world.set(alice, "transaction/7/amount", "7");
    for vendor in [bank, shop] {
        world.grant(alice, vendor, ["contact/me/city", "transaction/*/amount"]);
    }
    world.settle();
    let rows = |node: NodeId| {
        let disk = &world.nodes[node.0].disk;
        let chunks = disk.rows().iter().flat_map(|(key, value)| {
            let all = [key.as_slice(), value].concat();
            (0..all.len().saturating_sub(15)).map(move |at| all[at..at + 16].to_vec()).collect::<Vec<_>>()
        });
        // Lengths, counts and zeros are alike everywhere; what is random has many different bytes.
        let is_random = |chunk: &Vec<u8>| chunk.iter().collect::<BTreeSet<_>>().len() > 11;
        chunks.filter(is_random).collect::<BTreeSet<_>>()
    };
    let common: Vec<_> = rows(bank).intersection(&rows(shop)).cloned().collect();
    assert!(common.is_empty(), "{common:?}");
    assert_eq!(world.grants(alice, Direction::Given).len(), 2);
}

/// The hellos that a node was sent, each under another session id: whoever saw one can say it again like that.
fn hellos_again(world: &mut World, to: NodeId, count: u16) -> Vec<Vec<u8>> {
    let frames = world.wiretap.iter().flatten().filter(|frame| frame.to == to && !frame.is_answer);
    let hello = frames.rev().find_map(|frame| match SessionRequest::decode(&frame.bytes) {
        Ok(SessionRequest::Hello { route, generation, noise, .. }) => Some((route, generation, noise)),
        _ => None,
    });
    let (route, generation, noise) = hello.expect("somebody said hello to it");
    let again = |number: u16| {
        let mut id = [1; 16];
        id[..2].copy_from_slice(&number.to_le_bytes());
        let session = SessionId(id);
        SessionRequest::Hello { route, generation, session, noise: noise.clone() }.encode()
    };
    (1..=count).map(again).collect()
}

/// A world in which each said hello to the other once, and what they say was seen.
fn seen_greeting(seed: u64) -> (World, NodeId, NodeId) {
    let (mut world, alice, shop, _) = lent(seed);
    world.wiretap = Some(Vec::new());
    for greeter in [alice, shop] {
        world.crash(greeter);
        world.start(greeter);
        if greeter == shop {
            // A vendor calls only whom it has something to tell.
            world.set(shop, "thing/shelf/a", "1");
            world.grant(shop, alice, ["thing/shelf/a"]);
        }
        world.run_for(Duration::from_secs(400));
        world.settle();
    }
    (world, alice, shop)
}

#[test]
fn a_hello_said_again_by_a_stranger_keeps_nobody_from_calling() {
    let (mut world, alice, shop) = seen_greeting(120);
    let hello = hellos_again(&mut world, alice, 1).remove(0);
    world.crash(shop);
    world.run_for(Duration::from_secs(90));
    assert!(!world.peer(alice, shop).online);
    world.inject(alice, Channel::Session, hello);
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert!(
        world.peer(alice, shop).online,
        "the stranger's line is still open, and the true one is there all the same"
    );
}

#[test]
fn hellos_said_again_by_the_thousand_end_no_session() {
    let (mut world, alice, shop) = seen_greeting(121);
    let hellos = hellos_again(&mut world, alice, 1_200);
    for hello in hellos {
        world.inject(alice, Channel::Session, hello);
        world.run_for(Duration::from_millis(5));
    }
    world.wiretap = Some(Vec::new());
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    let honest = world.wiretap.iter().flatten().filter(|frame| !frame.is_answer);
    let greeted =
        honest.filter(|frame| matches!(SessionRequest::decode(&frame.bytes), Ok(SessionRequest::Hello { .. })));
    assert_eq!(greeted.count(), 0, "the session of before carried it");
}

#[test]
fn what_a_stranger_does_after_a_hello_said_again_is_not_held_against_the_peer() {
    let (mut world, alice, shop) = seen_greeting(122);
    let hello = hellos_again(&mut world, alice, 1).remove(0);
    world.inject(alice, Channel::Session, hello.clone());
    world.run_for(Duration::from_millis(50));
    let process = world.nodes[alice.0].process();
    let link = world.network.links_of(process).into_iter().max().expect("the stranger's line is there");
    let Ok(SessionRequest::Hello { session, .. }) = SessionRequest::decode(&hello) else { panic!("it was a hello") };
    let junk = SessionRequest::Sealed { session, counter: 0, sealed: vec![7; 300] };
    world.inject_over(alice, link, Channel::Session, junk.encode());
    world.run_for(Duration::from_millis(50));
    let seen = world.peer(alice, shop);
    assert!(seen.online && seen.last_problem.is_none(), "{:?}", seen.last_problem);
}

#[test]
fn a_hello_played_back_takes_no_session_over() {
    let mut world = World::seeded(123);
    world.wiretap = Some(Vec::new());
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let line = |world: &World| world.network.between(world.nodes[alice.0].process(), world.nodes[shop.0].process());
    let before = line(&world);
    let frames = world.wiretap.take().unwrap();
    let hellos: Vec<_> = frames
        .into_iter()
        .filter(|frame| matches!(SessionRequest::decode(&frame.bytes), Ok(SessionRequest::Hello { .. })))
        .collect();
    assert!(!hellos.is_empty() && before.is_some());
    for hello in hellos {
        world.inject(hello.to, hello.channel, hello.bytes);
        world.run_for(Duration::from_millis(50));
    }
    for (number, text) in ["Lyon", "Nice"].into_iter().enumerate() {
        world.set(alice, "contact/me/city", text);
        world.settle();
        assert_eq!(world.text(shop, alice, "contact/me/city"), text);
        assert_eq!(line(&world), before, "the line of before carries change {number}");
    }
}
