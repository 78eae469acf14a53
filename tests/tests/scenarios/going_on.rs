//! What a home that was put back makes of each of its relationships, and what its peers make of it.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Delivery, Direction, GrantState, PeerState, Purge},
    refusal::Code,
    relationship::{Freeze, Relationship},
    restore,
    wire::body::{Body, Closed, Resumed},
};
use allod_tests::{World, evil::Evil, network::NodeId, story::Terms, world::Came};

use super::restoring::{backup, lent};

const CITY: &str = "contact/me/city";
const PHONE: &str = "contact/me/phone";
const STREET: &str = "contact/me/street";
const MONTH: Duration = Duration::from_secs(31 * 86_400);

/// So many logs a node has with a peer, those that ended too.
fn logs(world: &World, node: NodeId, peer: &str) -> usize {
    world.inspect(node, |tx| {
        let relationship = Relationship::named(tx, peer).unwrap();
        restore::logs(tx, &relationship).unwrap().len()
    })
}

#[test]
fn each_of_many_relationships_goes_on_in_a_new_log() {
    let mut world = World::seeded(4_300);
    let alice = world.person("alice");
    let vendors: Vec<_> = (0..19).map(|number| world.vendor(&format!("shop-{number}"))).collect();
    for vendor in &vendors {
        world.pair(alice, *vendor);
    }
    world.settle();
    let home = backup(&world, alice);
    world.put_back(alice, home);
    world.settle();
    for (number, vendor) in vendors.iter().enumerate() {
        assert_eq!(logs(&world, alice, &format!("shop-{number}")), 4, "shop-{number}");
        assert_eq!(logs(&world, *vendor, "alice"), 4, "shop-{number}");
        assert_eq!(world.peer(alice, *vendor).state, PeerState::Paired);
    }
    world.verify(alice);
}

#[test]
fn a_pairing_that_was_never_confirmed_is_gone_with_the_home_and_can_be_done_again() {
    let mut world = World::seeded(4_301);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (_, text) = world.invitation(shop);
    world.accepted(alice, &text);
    let kept = |world: &World| world.inspect(alice, |tx| Relationship::page(tx, None, 9).unwrap().len());
    assert_eq!(kept(&world), 1);
    let home = backup(&world, alice);
    world.put_back(alice, home);
    assert_eq!(kept(&world), 0);
    world.run_for(Duration::from_secs(1_000));
    world.pair(alice, shop);
    assert_eq!(world.peer(alice, shop).state, PeerState::Paired);
}

#[test]
fn what_was_frozen_over_a_fork_stays_frozen() {
    let (mut world, alice, shop, grant) = lent(4_302);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let home = backup(&world, shop);
    let statement = Resumed { given: Vec::new(), held: Vec::new(), asked: Vec::new(), asked_of: Vec::new() };
    evil.tells(&mut world, &Body::Resumed(statement), None);
    world.nodes[shop.0].disk = home;
    evil.tells(&mut world, &Body::Closed(Closed {}), None);
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen);
    let home = backup(&world, alice);
    world.put_back(alice, home);
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen);
    assert_eq!(logs(&world, alice, "shop"), 2);
    assert!(world.outcome(alice, Command::Resume { peer: "shop".to_owned() }).is_err());
    // Taking back works still.
    world.revoke(alice, &grant);
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Revoked);
}

#[test]
fn a_home_that_saw_that_it_is_older_goes_on_once_it_was_put_back_in_order() {
    let (mut world, alice, shop, grant) = lent(4_303);
    let home = backup(&world, alice);
    world.set(alice, CITY, "Lyon");
    world.settle();
    // The files were copied back, as if there were no restore.
    world.stop(alice);
    world.nodes[alice.0].disk = home;
    world.start(alice);
    world.settle();
    let frozen = |world: &World| world.inspect(alice, |tx| Relationship::named(tx, "shop").unwrap().frozen);
    assert_eq!(frozen(&world), Some(Freeze::WeAreOlder));
    let home = backup(&world, alice);
    world.put_back(alice, home);
    world.settle();
    assert_eq!((world.peer(alice, shop).state, frozen(&world)), (PeerState::Restored, None));
    world.resume(alice, shop);
    world.settle();
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Active);
    assert_eq!(world.text(shop, alice, CITY), "Paris");
}

#[test]
fn the_first_keys_find_a_peer_that_changed_its_keys_since() {
    let mut world = World::seeded(4_304);
    // Nobody can dial her: her own hello is all there is.
    let (alice, shop) = (world.person_behind_nat("alice"), world.vendor("shop"));
    world.pair(alice, shop);
    world.set(alice, CITY, "Paris");
    world.grant(alice, shop, [CITY]);
    world.settle();
    let home = backup(&world, alice);
    for _ in 0..4 {
        world.run_for(MONTH);
    }
    let generations = world.inspect(shop, |tx| {
        let relationship = Relationship::named(tx, "alice").unwrap();
        relationship.key_sets.iter().map(|set| set.generation).collect::<Vec<_>>()
    });
    assert!(generations.iter().all(|generation| *generation > 0), "{generations:?}");
    world.put_back(alice, home);
    world.run_for(Duration::from_secs(1_000));
    assert_eq!(world.peer(alice, shop).state, PeerState::Restored);
    world.resume(alice, shop);
    world.settle();
    assert_eq!(world.text(shop, alice, CITY), "Paris");
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn who_lost_a_grant_is_told_what_was_taken_back_of_it_too() {
    let mut world = World::seeded(4_305);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, CITY, "Paris");
    world.set(alice, PHONE, "1");
    world.settle();
    let home = backup(&world, shop);
    let grant = world.grant(alice, shop, [CITY, PHONE]);
    world.settle();
    world.revoke_fields(alice, shop, &[PHONE]);
    world.settle();
    assert_eq!(world.refused(shop, alice, PHONE), Code::Revoked);
    world.put_back(shop, home);
    world.settle();
    assert_eq!(world.text(shop, alice, CITY), "Paris");
    assert_eq!(world.refused(shop, alice, PHONE), Code::Revoked);
    let held = world.grants(shop, Direction::Held);
    assert_eq!((held.len(), &held[0].grant), (1, &grant));
    world.verify(shop);
}

#[test]
fn watchers_are_told_that_a_peer_was_put_back() {
    let (mut world, alice, shop, _) = lent(4_306);
    let home = backup(&world, alice);
    let told = |world: &World, to: NodeId| {
        world.happened.iter().filter(|(node, what)| *node == to && what.event == "peer_restored").count()
    };
    world.put_back(alice, home);
    world.settle();
    assert_eq!((told(&world, shop), told(&world, alice)), (1, 0));
}

#[test]
fn what_a_holder_that_was_put_back_never_had_is_not_called_dropped_before_it_says_so() {
    let mut world = World::seeded(4_307);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, CITY, "Paris");
    world.set(alice, PHONE, "1");
    world.settle();
    let home = backup(&world, shop);
    world.set(alice, STREET, "2");
    let (first, second) = (world.grant(alice, shop, [STREET]), world.grant(alice, shop, [CITY, PHONE]));
    world.settle();
    world.stop(shop);
    world.settle();
    world.revoke(alice, &first);
    world.revoke_fields(alice, shop, &[PHONE]);
    assert_eq!(world.grant_of(alice, &first).purge, Purge::Awaited);
    world.put_back(shop, home);
    world.settle();
    // It states that it holds neither: what was taken back is gone there.
    assert_eq!(world.grant_of(alice, &first).purge, Purge::Confirmed);
    assert_eq!(world.text(shop, alice, CITY), "Paris");
    world.stop(shop);
    world.settle();
    world.revoke(alice, &second);
    assert_eq!(world.grant_of(alice, &second).purge, Purge::Awaited, "the city was told again, and is held");
}

#[test]
fn only_what_has_not_ended_goes_on() {
    let mut world = World::seeded(4_308);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, CITY, "Paris");
    world.set(alice, PHONE, "1");
    let lasting = world.grant(alice, shop, [CITY]);
    world.granted(alice, shop, &[PHONE], Terms { until: Some(Duration::from_secs(3_600)), ..Terms::default() });
    world.settle();
    let home = backup(&world, alice);
    world.run_for(Duration::from_secs(7_200));
    world.put_back(alice, home);
    world.settle();
    let going = world.resume(alice, shop);
    assert_eq!(going.iter().map(|grant| &grant.grant).collect::<Vec<_>>(), [&lasting]);
}

#[test]
fn nothing_that_was_said_in_a_log_that_ended_is_called_delivered() {
    for seed in 4_310..4_316 {
        let (mut world, alice, shop, _) = lent(seed);
        let home = backup(&world, shop);
        world.set(alice, PHONE, "0123");
        // Alice hears of the cut too late, once the shop is there again, as another.
        world.cut(alice, shop);
        let command = world.grant_command(alice, shop, &[PHONE], &Terms::default());
        let waits = world.give(alice, command);
        world.put_back(shop, home);
        world.heal();
        let granted = loop {
            match world.came_of(waits) {
                Came::Answer(Ok(Answer::Granted(granted))) => break granted,
                Came::Nothing => assert!(world.step()),
                other => panic!("{other:?}"),
            }
        };
        // What stood in the log that ended reached nobody; it is lent again in the new one.
        assert_eq!(granted.told[0].state, Delivery::Queued);
        world.settle();
        assert_eq!(world.text(shop, alice, PHONE), "0123");
    }
}

#[test]
fn what_was_taken_back_in_part_and_never_told_is_dropped_once_the_owner_is_put_back() {
    let mut world = World::seeded(4_316);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, CITY, "Paris");
    world.set(alice, PHONE, "0123");
    let grant = world.grant(alice, shop, [CITY, PHONE]);
    world.settle();
    world.stop(shop);
    world.revoke_fields(alice, shop, &[PHONE]);
    let home = backup(&world, alice);
    world.put_back(alice, home);
    world.start(shop);
    world.settle();
    world.resume(alice, shop);
    world.settle();
    assert_eq!(world.refused(shop, alice, PHONE), Code::Revoked);
    assert_eq!(world.text(shop, alice, CITY), "Paris");
    assert_eq!(world.grant_of(shop, &grant).selectors.len(), 1);
}

#[test]
fn a_short_lease_is_renewed_again_once_what_was_lent_goes_on() {
    let mut world = World::seeded(4_317);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, CITY, "Paris");
    let terms = Terms { lease: Some(Duration::from_secs(60)), ..Terms::default() };
    world.grant_on(alice, shop, [CITY], terms);
    world.settle();
    let home = backup(&world, alice);
    world.put_back(alice, home);
    world.settle();
    world.resume(alice, shop);
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.text(shop, alice, CITY), "Paris");
}
