//! Removing: tombstones at those who hold a copy, and old bytes that nothing opens.

use std::time::Duration;

use allod_protocol::{command::Mode, refusal::Code, table::Table};
use allod_tests::{
    World,
    attack::{is_in, opened},
    invariant::Seen,
    network::NodeId,
    story::Terms,
};

fn cells(world: &World, node: NodeId) -> usize {
    world.nodes[node.0].disk.rows().keys().filter(|key| Table::of(key) == Some(Table::Cells)).count()
}

#[test]
fn a_removed_field_is_dropped_by_its_holder_and_comes_back_under_a_fresh_key() {
    let mut world = World::seeded(80);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/name", "Alice");
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.remove(alice, "contact/me/city");
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::NotFound);
    assert_eq!(cells(&world, shop), 0);
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
}

#[test]
fn a_removal_while_the_holder_is_away_reaches_it_when_it_is_back() {
    let mut world = World::seeded(81);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "transaction/1/amount", "1");
    world.set(alice, "transaction/2/amount", "2");
    world.grant(alice, shop, ["contact/me/city", "transaction/*/amount"]);
    world.settle();
    assert_eq!(cells(&world, shop), 3);
    world.stop(shop);
    world.settle();
    world.remove(alice, "contact/me");
    world.remove(alice, "transaction/1");
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(cells(&world, shop), 1);
    assert_eq!(world.column(shop, alice, "transaction", "amount"), ["2"]);
}

/// What the vendor was ever handed over.
fn got(world: &World, vendor: NodeId) -> usize {
    let cells = |seen: &&(u64, NodeId, Seen)| seen.1 == vendor && matches!(seen.2, Seen::Cell { .. });
    world.seen.iter().flatten().filter(cells).count()
}

/// A vendor that is paired with Alice, and four values that she keeps.
fn with_four_values(seed: u64) -> (World, NodeId, NodeId) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    for path in ["contact/me/city", "contact/me/street", "transaction/1/amount", "transaction/2/amount"] {
        world.set(alice, path, "kept");
    }
    world.settle();
    world.seen = Some(Vec::new());
    (world, alice, shop)
}

const LENT: [&str; 3] = ["contact/me/city", "contact/me/street", "transaction/*/amount"];

#[test]
fn what_was_removed_before_it_arrived_never_leaves() {
    for mode in [Mode::Follow, Mode::Once] {
        let (mut world, alice, shop) = with_four_values(86);
        // The line is dead and nobody noticed: what is cut now is under way for good.
        world.cut(alice, shop);
        world.grant_on(alice, shop, LENT, Terms { mode, ..Terms::default() });
        assert!(world.rows(alice, Table::Flights) > 1);
        world.remove(alice, "contact/me/city");
        world.remove(alice, "transaction/1");
        world.run_for(Duration::from_secs(120));
        world.heal();
        world.run_for(Duration::from_secs(700));
        assert_eq!(world.text(shop, alice, "contact/me/street"), "kept");
        assert_eq!(world.column(shop, alice, "transaction", "amount"), ["kept"]);
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::NotFound);
        assert_eq!(got(&world, shop), 2, "{mode:?}");
        world.verify(alice);
        world.verify(shop);
    }
}

#[test]
fn what_was_removed_after_it_arrived_and_before_that_was_known_is_dropped() {
    for mode in [Mode::Follow, Mode::Once] {
        let (mut world, alice, shop) = with_four_values(87);
        let command = world.grant_command(alice, shop, &LENT, &Terms { mode, ..Terms::default() });
        world.give(alice, command);
        while got(&world, shop) == 0 {
            world.step();
        }
        world.cut(alice, shop);
        assert_eq!(got(&world, shop), 4);
        assert!(world.rows(alice, Table::Flights) > 1, "Alice does not know");
        world.remove(alice, "contact/me/city");
        world.remove(alice, "transaction/1");
        world.run_for(Duration::from_secs(120));
        world.heal();
        world.run_for(Duration::from_secs(700));
        assert_eq!(cells(&world, shop), 2, "{mode:?}");
        assert_eq!(world.text(shop, alice, "contact/me/street"), "kept");
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::NotFound);
    }
}

#[test]
fn what_was_lent_once_and_arrived_outlives_a_removal() {
    let (mut world, alice, shop) = with_four_values(88);
    world.grant_on(alice, shop, LENT, Terms { mode: Mode::Once, ..Terms::default() });
    world.settle();
    world.remove(alice, "contact/me/city");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "kept");
}

#[test]
fn a_record_made_again_goes_on_with_its_versions() {
    let mut world = World::seeded(82);
    let (alice, shop) = world.paired("alice", "shop");
    let first = world.set(alice, "transaction/1/amount", "1");
    world.grant(alice, shop, ["transaction/*/amount"]);
    world.settle();
    world.remove(alice, "transaction/1");
    let second = world.set(alice, "transaction/1/amount", "one");
    assert!(second > first);
    world.settle();
    assert_eq!(world.column(shop, alice, "transaction", "amount"), ["one"]);
}

#[test]
fn after_a_removal_old_bytes_and_the_present_vault_open_nothing_of_it() {
    let mut world = World::seeded(83);
    let alice = world.person("alice");
    world.nodes[alice.0].disk.keep_wreckage();
    for (path, text) in
        [("contact/me/city", "CANARY-FIRST"), ("contact/me/city", "CANARY-SECOND"), ("contact/me/note", "KEPT-NOTE")]
    {
        world.set(alice, path, text);
    }
    let vault = world.nodes[alice.0].vault();
    let found = opened(&world.nodes[alice.0].disk, &vault);
    for text in ["CANARY-FIRST", "CANARY-SECOND", "KEPT-NOTE"] {
        assert!(is_in(text, &found), "the attack opens what is not removed: {text}");
    }
    world.remove(alice, "contact/me/city");
    world.settle();
    let vault = world.nodes[alice.0].vault();
    let found = opened(&world.nodes[alice.0].disk, &vault);
    assert!(is_in("KEPT-NOTE", &found));
    for text in ["CANARY-FIRST", "CANARY-SECOND"] {
        assert!(!is_in(text, &found), "{text} still opens");
    }
    assert_eq!(world.own(alice, "contact/me/note"), "KEPT-NOTE");
}

#[test]
fn a_value_removed_while_its_bucket_is_being_rotated_is_gone_too() {
    let mut world = World::seeded(84);
    let alice = world.person("alice");
    world.nodes[alice.0].disk.keep_wreckage();
    world.set(alice, "contact/me/city", "CANARY-FIRST");
    world.give(alice, allod_tests::story::set("contact/me/note", "KEPT-NOTE"));
    world.remove(alice, "contact/me/city");
    // While the rotation runs, the same record gets and loses another value, under the key that is new already.
    world.set(alice, "contact/me/city", "CANARY-SECOND");
    world.remove(alice, "contact/me/city");
    world.settle();
    let vault = world.nodes[alice.0].vault();
    let found = opened(&world.nodes[alice.0].disk, &vault);
    for text in ["CANARY-FIRST", "CANARY-SECOND"] {
        assert!(!is_in(text, &found), "{text} still opens");
    }
    assert!(is_in("KEPT-NOTE", &found));
}

#[test]
fn a_rotation_survives_a_crash_at_every_boundary() {
    let mut crashes = 0;
    for boundary in 0..400 {
        let mut world = World::seeded(85);
        let alice = world.person("alice");
        world.nodes[alice.0].disk.keep_wreckage();
        for number in 0..20 {
            world.set(alice, &format!("contact/c{number}/city"), "Paris");
        }
        world.set(alice, "contact/me/city", "CANARY");
        world.set(alice, "contact/me/note", "KEPT-NOTE");
        world.remove(alice, "contact/me/city");
        world.crash_after(alice, boundary);
        world.settle();
        let crashed = world.recover(alice);
        crashes += u32::from(crashed);
        world.settle();
        assert_eq!(world.own(alice, "contact/me/note"), "KEPT-NOTE", "boundary {boundary}");
        assert_eq!(world.own(alice, "contact/c7/city"), "Paris");
        world.verify(alice);
        let vault = world.nodes[alice.0].vault();
        assert!((0..=255).all(|bucket| vault.bucket(bucket).previous().is_none()), "boundary {boundary}");
        assert!(!is_in("CANARY", &opened(&world.nodes[alice.0].disk, &vault)), "boundary {boundary}");
        if !crashed {
            break;
        }
    }
    assert!(crashes > 20, "{crashes} crashes");
}
