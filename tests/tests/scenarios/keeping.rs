//! Keeping: a node's own records through restarts, and logs that hold together.

use allod_tests::World;

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let mut world = World::seeded(120);
    let alice = world.person("alice");
    for number in 0..100 {
        world.set(alice, &format!("contact/c{number}/name"), &format!("name {number}"));
        if number % 10 == 9 {
            world.crash(alice);
            world.start(alice);
        }
    }
    for number in 0..100 {
        assert_eq!(world.own(alice, &format!("contact/c{number}/name")), format!("name {number}"));
    }
    world.verify(alice);
}

#[test]
fn both_sides_logs_verify_after_a_busy_day() {
    let mut world = World::seeded(121);
    let (alice, shop) = world.paired("alice", "shop");
    for round in 0..10 {
        world.set(alice, "contact/me/city", &format!("city {round}"));
        let grant = world.grant(alice, shop, ["contact/me/city"]);
        world.settle();
        world.text(shop, alice, "contact/me/city");
        world.settle();
        world.revoke(alice, &grant);
        world.settle();
        if round % 3 == 0 {
            world.crash(shop);
            world.start(shop);
            world.settle();
        }
    }
    world.verify(alice);
    world.verify(shop);
}
