//! C14: after a removal and rotation, every byte of the home with the current vault opens no removed value.
//!
//! Here every row that was ever written stays to be found, as if no store ever freed anything. The control is the same attacker with the
//! vault as it stood before the rotation.

use allod_tests::{
    World,
    attacker::{Search, plunder},
};

const REMOVED: [&str; 4] = ["CANARY-first!", "CANARY-second!", "CANARY-long!", "CANARY-of-the-record!"];

#[test]
fn after_a_removal_no_byte_ever_written_opens_the_value() {
    let mut world = World::seeded(14_000);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    world.expose(alice);
    world.pair(alice, shop);
    for (path, text) in [("city", "CANARY-first!"), ("note", "short"), ("name", "CANARY-kept!")] {
        world.set(alice, &format!("contact/me/{path}"), text);
    }
    world.grant(alice, shop, ["contact/me/city", "contact/me/note", "contact/me/name", "transaction/*/amount"]);
    world.settle();
    world.set(alice, "contact/me/city", "CANARY-second!");
    world.set(alice, "contact/me/note", &format!("{}CANARY-long!", "x".repeat(2_000)));
    world.set(alice, "transaction/1/amount", "CANARY-of-the-record!");
    world.settle();
    let before = world.nodes[alice.0].vault();
    let spoils = plunder(&world.stolen_disk_with_old_bytes(alice), Search::Keys);
    assert_eq!(spoils.known_of(REMOVED).len(), REMOVED.len(), "the attacker is too weak");

    for path in ["contact/me/city", "contact/me/note", "transaction/1"] {
        world.remove(alice, path);
    }
    world.settle();

    let loot = world.stolen_disk_with_old_bytes(alice);
    let spoils = plunder(&loot, Search::Everything);
    assert!(spoils.knows("CANARY-kept!"), "what was not removed still opens");
    let open = spoils.known_of(REMOVED);
    println!(
        "{} rows ever written, {} plaintexts, {} of 4 removed values",
        loot.rows.len(),
        spoils.plaintexts.len(),
        open.len()
    );
    assert!(open.is_empty(), "{open:?} still opens");

    let mut control = world.stolen_disk_with_old_bytes(alice);
    control.vaults.push(before);
    assert_eq!(plunder(&control, Search::Keys).known_of(REMOVED).len(), REMOVED.len());
}

#[test]
fn what_a_holder_was_told_to_drop_is_gone_from_its_old_bytes_too() {
    let mut world = World::seeded(14_100);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    world.expose(shop);
    world.pair(alice, shop);
    world.set(alice, "contact/me/name", "CANARY-kept!");
    world.set(alice, "contact/me/city", "CANARY-removed!");
    world.grant(alice, shop, ["contact/me/city", "contact/me/name"]);
    world.settle();
    assert!(plunder(&world.stolen_disk_with_old_bytes(shop), Search::Keys).knows("CANARY-removed!"));
    world.remove(alice, "contact/me/city");
    world.settle();
    let spoils = plunder(&world.stolen_disk_with_old_bytes(shop), Search::Everything);
    assert!(spoils.knows("CANARY-kept!"));
    assert!(!spoils.knows("CANARY-removed!"));
}
