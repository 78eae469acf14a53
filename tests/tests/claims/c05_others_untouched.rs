//! C5: revoking one vendor changes no byte of any other relationship.

use std::collections::{BTreeMap, BTreeSet};

use allod_protocol::{command::Command, relationship::Relationship, table::Key, tx::Tx};
use allod_tests::{World, network::NodeId};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Each sixteen bytes that name a relationship of this node, but for the one with `peer`: its id, its logs, its grants.
fn names_of_others(world: &mut World, node: NodeId, peer: &str) -> BTreeSet<[u8; 16]> {
    let now_us = world.now_us;
    let node = &mut world.nodes[node.0];
    let (vault, now, mut dice) = (node.vault(), node.now(now_us), node.dice.clone());
    let tx = Tx::new(&node.disk, &vault, &mut dice, now);
    let mut names = BTreeSet::new();
    for other in Relationship::all(&tx).unwrap().into_iter().filter(|other| other.petname != peer) {
        names.extend([*other.id.as_bytes(), *other.my_log.as_bytes(), *other.their_log.as_bytes()]);
        let grants = tx.scan_raw(&Key::grants_of(other.id), None, 1_000).unwrap();
        names.extend(grants.iter().map(|(key, _)| key.sixteen(16)));
    }
    names
}

/// What was put, changed or removed between two states.
fn changed(before: &Rows, after: &Rows) -> Rows {
    let put = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let removed = before.iter().filter(|(key, _)| !after.contains_key(*key));
    put.chain(removed).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[test]
fn a_revocation_writes_nothing_that_belongs_to_another_relationship() {
    for others in [1, 5, 20] {
        let mut world = World::seeded(5_000);
        let alice = world.person("alice");
        let shop = world.vendor("shop");
        let all: Vec<NodeId> = (0..others).map(|number| world.vendor(&format!("vendor{number}"))).collect();
        for vendor in all.iter().chain([&shop]) {
            world.pair(alice, *vendor);
        }
        world.set(alice, "contact/me/city", "Paris");
        for number in 0..20 {
            world.set(alice, &format!("transaction/{number}/amount"), "1");
        }
        let mut grant = String::new();
        for vendor in all.iter().chain([&shop]) {
            grant = world.grant(alice, *vendor, ["contact/me/city", "transaction/*/amount"]);
        }
        world.settle();
        let names = names_of_others(&mut world, alice, "shop");
        assert!(names.len() >= 4 * all.len());
        let owner_before = world.nodes[alice.0].disk.rows().clone();
        let vendors_before: Vec<Rows> = all.iter().map(|vendor| world.nodes[vendor.0].disk.rows().clone()).collect();

        world.done(alice, Command::RevokeGrant { grant: grant.clone() });
        let at_the_answer = changed(&owner_before, world.nodes[alice.0].disk.rows());
        let bytes: usize = at_the_answer.iter().map(|(key, value)| key.len() + value.len()).sum();
        for (vendor, before) in all.iter().zip(&vendors_before) {
            assert_eq!(changed(before, world.nodes[vendor.0].disk.rows()).len(), 0);
        }
        world.settle();
        let in_the_end = changed(&owner_before, world.nodes[alice.0].disk.rows());
        for (key, _) in at_the_answer.iter().chain(&in_the_end) {
            let others = key.windows(16).any(|window| names.contains(window));
            assert!(!others, "a row of another relationship changed: {key:02x?}");
        }
        println!("{others} others: {} rows, {bytes} bytes at the answer, none of theirs", at_the_answer.len());
        assert!(at_the_answer.len() < 20 && bytes < 3_000);
    }
}
