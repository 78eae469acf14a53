//! Lines: cut, rough, renumbered; hints; one seed, one run.

use std::time::Duration;

use allod_protocol::refusal::Code;
use allod_tests::{World, network::Lines};

#[test]
fn a_seed_replays_byte_for_byte() {
    let run = |seed| {
        let mut world = World::seeded(seed);
        world.network.lines = Lines { lost: 0, broken: 0, ..Lines::ROUGH };
        let (alice, shop) = world.paired("alice", "shop");
        world.set(alice, "contact/me/city", "Paris");
        world.grant(alice, shop, ["contact/me/city"]);
        world.settle();
        world.crash(shop);
        world.start(shop);
        world.run_for(Duration::from_secs(100));
        (world.trace.digest(), world.steps, world.nodes[shop.0].disk.rows().clone())
    };
    assert_eq!(run(100), run(100));
    assert_ne!(run(100).0, run(101).0);
}

#[test]
fn everything_arrives_over_rough_lines() {
    for seed in 0..8 {
        let mut world = World::seeded(1_000 + seed);
        let (alice, shop) = world.paired("alice", "shop");
        world.network.lines = Lines::ROUGH;
        for number in 0..30 {
            world.set(alice, &format!("contact/me/f{number}"), "old");
            let field = format!("contact/me/f{number}");
            world.granted(alice, shop, &[&field], Default::default());
            world.set(alice, &field, &format!("new {number}"));
        }
        let gone = world.grants(alice, allod_protocol::command::Direction::Given)[0].clone();
        world.revoke(alice, &gone.grant);
        world.run_for(Duration::from_secs(1_200));
        world.network.lines = Lines::CALM;
        world.run_for(Duration::from_secs(400));
        for number in 0..30 {
            let path = format!("contact/me/f{number}");
            if gone.selectors[0].to_string() == path {
                assert_eq!(world.refused(shop, alice, &path), Code::Revoked);
            } else {
                assert_eq!(world.text(shop, alice, &path), format!("new {number}"), "seed {seed}");
            }
        }
        world.verify(alice);
        world.verify(shop);
    }
}

#[test]
fn a_cut_line_heals_and_all_that_fell_due_arrives_as_one() {
    let mut world = World::seeded(102);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.cut(alice, shop);
    world.run_for(Duration::from_secs(120));
    let queued = world.peer(alice, shop).queued;
    for number in 0..50 {
        world.set(alice, "contact/me/city", &format!("city {number}"));
    }
    assert_eq!(world.peer(alice, shop).queued, queued, "what is due costs no entry while the peer is away");
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.heal();
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "city 49");
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris", "city 49"]);
}

#[test]
fn a_peer_that_was_away_for_a_year_gets_the_newest() {
    let mut world = World::seeded(103);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    world.grant(alice, shop, ["contact/me/city"]);
    let other = world.grant(alice, shop, ["contact/me/street"]);
    world.settle();
    world.stop(shop);
    for month in 0..12 {
        world.run_for(Duration::from_secs(30 * 86_400));
        world.set(alice, "contact/me/city", &format!("month {month}"));
    }
    world.revoke(alice, &other);
    world.start(shop);
    world.run_for(Duration::from_secs(700));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "month 11");
    assert_eq!(world.refused(shop, alice, "contact/me/street"), Code::Revoked);
}

#[test]
fn a_vendor_that_moves_is_found_again_through_its_profile() {
    let mut world = World::seeded(104);
    let (alice, shop) = world.paired("alice", "shop");
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    // The vendor dials Alice, who has not moved, tells her its new address, and she finds it there.
    world.move_away(shop);
    world.run_for(Duration::from_secs(400));
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    let new = world.nodes[shop.0].addresses();
    assert_eq!(world.peer(alice, shop).addresses, new);
}

#[test]
fn a_change_reaches_a_vendor_by_a_hint_over_a_third_node() {
    let mut world = World::seeded(105);
    let (alice, shop) = world.paired("alice", "shop");
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let relay = world.person("relay");
    world.pair(relay, bank);
    world.pair(relay, shop);
    world.settle();
    // Alice and the shop lose each other, and have no reason to dial for a while.
    world.cut(alice, shop);
    world.run_for(Duration::from_secs(900));
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(70));
    world.heal();
    world.set(alice, "contact/me/city", "Nice");
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Nice");
}
