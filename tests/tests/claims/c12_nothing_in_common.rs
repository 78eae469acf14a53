//! C12: two vendors pooling all that the protocol gives them share no 16-byte string of ours.
//!
//! Both vendors' nodes give the attacker everything: rows, opened sessions, entries, keys, cells, hints. Each 16 bytes in a row that both
//! have of the same person would link them. What both have of *different* people too (kinds and field names, the built-in agreement,
//! layouts) says nothing, so the same life is lived in a second world, by another person with the same values at the same times, and what
//! is found there as well is left out. Not covered, and said: addresses, timing, and the values and literal record ids themselves.

use std::collections::HashSet;

use allod_crypto::Vault;
use allod_protocol::{command::NodeKind, effect::Channel, relationship::Relationship, tx::Tx, wire::hint};
use allod_tests::{
    World,
    attacker::{Search, plunder},
    network::NodeId,
    node::Reach,
};
use std::time::Duration;

type Windows = HashSet<[u8; 16]>;

fn windows(bytes: &[u8], into: &mut Windows) {
    into.extend(bytes.windows(16).map(|window| <[u8; 16]>::try_from(window).expect("sixteen")));
}

/// All that a vendor's node ever had of one person: what opened, and what was on its lines.
fn pool(world: &World, vendor: NodeId, older: Vault) -> Windows {
    let loot = world.loot(vendor, vec![older]);
    let spoils = plunder(&loot, Search::Keys);
    assert!(spoils.sessions > 0 && !spoils.cells.is_empty());
    let mut pool = Windows::new();
    for plain in &spoils.plaintexts {
        windows(plain, &mut pool);
    }
    for (key, stored) in &loot.rows {
        windows(key, &mut pool);
        windows(stored, &mut pool);
    }
    for (cell, plain) in &spoils.cells {
        windows(&cell.sealed, &mut pool);
        windows(plain, &mut pool);
    }
    for key in &spoils.keys {
        windows(key, &mut pool);
    }
    let frames = world.wiretap.iter().flatten().filter(|frame| frame.from == vendor || frame.to == vendor);
    for frame in frames {
        windows(&frame.bytes, &mut pool);
    }
    let tags = tags(world, vendor);
    for (_, hint) in world.published.iter().filter(|(_, hint)| tags.contains(&hint[2..18])) {
        windows(hint, &mut pool);
    }
    for tag in tags {
        windows(&tag, &mut pool);
    }
    pool
}

/// The tags by which this vendor knows hints of the person, and the person its own.
fn tags(world: &World, vendor: NodeId) -> HashSet<Vec<u8>> {
    let node = &world.nodes[vendor.0];
    let (vault, now, mut dice) = (node.vault(), node.now(world.now_us), node.dice.clone());
    let tx = Tx::new(&node.disk, &vault, &mut dice, now);
    let relationship = Relationship::named(&tx, "the person").expect("they are paired");
    let today = now.wall.day();
    let all = [false, true].into_iter().flat_map(|inviter| (today - 1..=today + 1).map(move |day| (inviter, day)));
    all.map(|(inviter, day)| hint::tag(&relationship.hint_key(), day, inviter).to_vec()).collect()
}

/// The same life in each world but for what is drawn.
fn live(seed: u64) -> (World, [(NodeId, Vault); 2]) {
    let mut world = World::seeded(seed);
    let person = world.node("the person", NodeKind::Person, Reach::Nobody);
    let vendors = ["shop", "bank"].map(|name| world.vendor(name));
    for vendor in vendors {
        world.expose(vendor);
        world.pair(person, vendor);
    }
    // Values' times travel in whole seconds: the same ones in both worlds.
    world.run_for(Duration::from_micros(1_000_000_000 - world.now_us));
    world.set(person, "contact/me/city", "a value that both were lent");
    for id in ["an-id-that-is-not-lent-1", "an-id-that-is-not-lent-2"] {
        world.set(person, &format!("transaction/{id}/amount"), "another value that both were lent");
    }
    world.run_for(Duration::from_micros(1_010_000_000 - world.now_us));
    let grants = vendors.map(|vendor| {
        world.run_for(Duration::from_millis(700));
        world.grant(person, vendor, ["contact/me/city", "transaction/*/amount"])
    });
    world.settle();
    for vendor in vendors {
        assert_eq!(world.text(vendor, person, "contact/me/city"), "a value that both were lent");
    }
    world.run_for(Duration::from_micros(1_100_000_000 - world.now_us));
    world.set(person, "contact/me/city", "a newer value that both were lent");
    world.settle();
    // Away and back, so that hints and new sessions are among it.
    for vendor in vendors {
        world.stop(vendor);
    }
    world.set(person, "contact/me/city", "a third value that both were lent");
    for vendor in vendors {
        world.start(vendor);
        world.run_for(Duration::from_millis(1_300));
    }
    world.run_for(Duration::from_secs(400));
    world.remove(person, "transaction/an-id-that-is-not-lent-1");
    world.settle();
    // Purging will rotate them away.
    let vaults = vendors.map(|vendor| (vendor, world.nodes[vendor.0].vault()));
    for grant in grants {
        world.run_for(Duration::from_millis(900));
        world.revoke(person, &grant);
    }
    world.settle();
    (world, vaults)
}

#[test]
fn what_two_vendors_have_of_one_person_they_also_have_of_any_other() {
    let (world, vendors) = live(12_000);
    let [one, other] = vendors.map(|(vendor, vault)| pool(&world, vendor, vault));
    let mut anybody = Windows::new();
    for seed in [12_001, 12_002] {
        let (control, vendors) = live(seed);
        for (vendor, vault) in vendors {
            anybody.extend(pool(&control, vendor, vault));
        }
    }
    let common: Vec<&[u8; 16]> = one.intersection(&other).collect();
    let linking: Vec<&[u8; 16]> = common.iter().copied().filter(|window| !anybody.contains(*window)).collect();
    println!("{} and {} strings, {} in common, {} that link", one.len(), other.len(), common.len(), linking.len());
    for window in linking.iter().take(20) {
        println!("  {window:02x?} {:?}", String::from_utf8_lossy(*window));
    }
    assert!(linking.is_empty(), "{} strings link the two vendors", linking.len());
}

#[test]
fn a_lent_column_tells_no_record_id() {
    let (world, vendors) = live(12_100);
    for (vendor, vault) in vendors {
        let spoils = plunder(&world.loot(vendor, vec![vault]), Search::Keys);
        assert!(spoils.knows("another value that both were lent"));
        assert!(!spoils.knows("an-id-that-is-not-lent"));
    }
    let frames = world.wiretap.iter().flatten().filter(|frame| frame.channel == Channel::Session);
    assert!(frames.count() > 20);
}
