//! C4: a vendor revoked at s opens nothing written after s, with all its old keys and all traffic.
//!
//! The attacker has what the revoked vendor ever wrote and drew, before and after, and all that was on any line; another revoked vendor's
//! loot beside it; and a vendor's node that was set back to the time before and asked its owner again. Then what `Purged` leaves: nothing
//! in the live store, and in old bytes nothing that opens.

use std::{collections::BTreeSet, time::Duration};

use allod_protocol::{
    command::{Mode, Purge},
    table::Table,
};
use allod_tests::{
    World,
    attacker::{Loot, Search, plunder},
    dice::Dice,
    network::NodeId,
    story::Terms,
};

const LENT: [&str; 3] = ["contact/me/city", "contact/me/street", "transaction/*/amount"];

struct Values {
    written: Vec<String>,
}

impl Values {
    fn write(&mut self, world: &mut World, alice: NodeId, when: &str, path: &str) {
        let text = format!("CANARY-{when}-{path}!");
        world.set(alice, path, &text);
        self.written.push(text);
    }

    fn of(&self, when: &str) -> Vec<&str> {
        let prefix = format!("CANARY-{when}-");
        self.written.iter().map(String::as_str).filter(|text| text.starts_with(&prefix)).collect()
    }
}

fn pooled(world: &World, loots: Vec<Loot>, vendors: &[NodeId]) -> Loot {
    let mut pool = Loot::default();
    for loot in loots.into_iter().chain(vendors.iter().map(|vendor| world.loot(*vendor, Vec::new()))) {
        pool.rows.extend(loot.rows);
        pool.vaults.extend(loot.vaults);
        pool.frames = loot.frames;
        pool.draws.extend(loot.draws);
    }
    pool
}

fn write_all(world: &mut World, values: &mut Values, alice: NodeId, when: &str) {
    for path in ["contact/me/city", "contact/me/street", "transaction/1/amount", "transaction/2/amount"] {
        values.write(world, alice, when, path);
    }
    values.write(world, alice, when, &format!("transaction/only-{when}/amount"));
    world.settle();
}

#[test]
fn two_revoked_vendors_pooling_all_they_ever_had_open_nothing_that_was_written_later() {
    for seed in 4_000..4_006 {
        let mut world = World::seeded(seed);
        let mut values = Values { written: Vec::new() };
        let alice = world.person("alice");
        let [shop, bank, gym] = ["shop", "bank", "gym"].map(|name| world.vendor(name));
        for vendor in [shop, bank] {
            world.expose(vendor);
        }
        for vendor in [shop, bank, gym] {
            world.pair(alice, vendor);
        }
        write_all(&mut world, &mut values, alice, "before");
        let grants = [shop, bank, gym].map(|vendor| world.grant(alice, vendor, LENT));
        world.settle();
        let before: Vec<Loot> = [shop, bank].iter().map(|vendor| world.loot(*vendor, Vec::new())).collect();
        let set_back = world.nodes[shop.0].disk.clone();
        for grant in &grants[..2] {
            world.revoke(alice, grant);
        }
        world.settle();
        write_all(&mut world, &mut values, alice, "after");
        // A node that never heard of the revocation asks again.
        world.stop(shop);
        let heard: Vec<Loot> = before.into_iter().chain([world.loot(shop, Vec::new())]).collect();
        world.nodes[shop.0].disk = set_back;
        world.start(shop);
        world.run_for(Duration::from_secs(400));
        write_all(&mut world, &mut values, alice, "later");
        let spoils = plunder(&pooled(&world, heard, &[shop, bank]), Search::Keys);
        let known = |when: &str| spoils.known_of(values.of(when)).len();
        assert_eq!(known("before"), values.of("before").len(), "seed {seed}: the attacker is too weak");
        assert_eq!((known("after"), known("later")), (0, 0), "seed {seed}");
        // The third vendor goes on, so that all of this was on the lines.
        assert_eq!(world.text(gym, alice, "contact/me/city"), "CANARY-later-contact/me/city!");
    }
}

#[test]
fn what_was_lent_and_not_yet_delivered_when_it_was_taken_back_never_arrives() {
    for mode in [Mode::Follow, Mode::Once] {
        let mut world = World::seeded(4_100);
        let (alice, shop) = (world.person("alice"), world.vendor("shop"));
        world.expose(shop);
        world.pair(alice, shop);
        world.set(alice, "contact/me/city", "CANARY-undelivered!");
        world.set(alice, "contact/me/street", "CANARY-still-lent!");
        world.stop(shop);
        world.settle();
        let terms = Terms { mode, ..Terms::default() };
        world.grant_on(alice, shop, ["contact/me/city", "contact/me/street"], terms);
        world.revoke_fields(alice, shop, &["contact/me/city"]);
        world.start(shop);
        world.run_for(Duration::from_secs(400));
        let spoils = plunder(&world.loot(shop, Vec::new()), Search::Everything);
        assert!(spoils.knows("CANARY-still-lent!"), "{mode:?}: the attacker is too weak");
        assert!(!spoils.knows("CANARY-undelivered!"), "{mode:?}");
    }
}

#[test]
fn a_revocation_destroys_the_owners_own_keys_of_the_grant_and_drops_what_was_to_be_sent() {
    let mut world = World::seeded(4_200);
    let (alice, shop) = world.paired("alice", "shop");
    for path in ["contact/me/city", "transaction/1/amount"] {
        world.set(alice, path, "CANARY!");
    }
    world.stop(shop);
    world.settle();
    let grant = world.grant(alice, shop, ["contact/me/city", "transaction/*/amount"]);
    let rows = |world: &World, table: Table| {
        world.nodes[alice.0].disk.rows().keys().filter(|key| Table::of(key) == Some(table)).count()
    };
    let payloads = |world: &World| {
        let entries = world.nodes[alice.0].disk.rows().keys().filter(|key| Table::of(key) == Some(Table::Entries));
        entries.filter(|key| key.last() == Some(&2)).count()
    };
    assert_eq!((rows(&world, Table::FieldKeys), payloads(&world)), (2, 1));
    world.revoke(alice, &grant);
    // At the moment of the answer, before anything else ran.
    assert_eq!((rows(&world, Table::FieldKeys), rows(&world, Table::Followers), payloads(&world)), (0, 0, 0));
    world.settle();
    assert_eq!((rows(&world, Table::Due), rows(&world, Table::Flights)), (0, 0));
}

#[test]
fn after_purged_the_vendors_home_opens_nothing_of_the_grant() {
    let mut world = World::seeded(4_300);
    let mut values = Values { written: Vec::new() };
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    world.expose(shop);
    world.pair(alice, shop);
    write_all(&mut world, &mut values, alice, "before");
    values.write(&mut world, alice, "kept", "contact/me/email");
    let grant = world.grant(alice, shop, LENT);
    world.grant(alice, shop, ["contact/me/email"]);
    world.settle();
    let texts = values.of("before");
    let here = plunder(&world.stolen_disk(shop), Search::Everything);
    assert_eq!(here.known_of(texts.iter().copied()).len(), texts.len(), "the attacker is too weak");
    let held = world.nodes[shop.0].vault();

    world.revoke(alice, &grant);
    world.settle();
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);

    let live = plunder(&world.stolen_disk(shop), Search::Everything);
    assert!(live.knows("CANARY-kept-contact/me/email!"), "the other grant goes on");
    assert!(live.known_of(texts.iter().copied()).is_empty(), "the live store opens {:?}", live.known_of(texts));
    assert_eq!((live.key_rows, live.sealed_values()), (1, 1), "one key and one cell, of the other grant");

    let old = plunder(&world.stolen_disk_with_old_bytes(shop), Search::Everything);
    let still = old.known_of(values.of("before"));
    let cells = old.sealed_values() - live.sealed_values();
    println!("after Purged: old bytes hold {cells} sealed values of the grant, and {} of them open", still.len());
    assert!(still.is_empty(), "old bytes with the present vault open {still:?}");

    // The control: with the vault as it was before, the same bytes open.
    let mut thief = world.stolen_disk_with_old_bytes(shop);
    thief.vaults.push(held);
    let control = plunder(&thief, Search::Keys);
    assert_eq!(control.known_of(values.of("before")).len(), values.of("before").len());
}

/// Two worlds that are one until the key of the next epoch is drawn, and then draw differently.
#[test]
fn the_next_epochs_key_follows_from_nothing_that_was_there_before() {
    let next_keys = |by_rekey: bool, other_dice: bool| {
        let mut world = World::seeded(4_400);
        let (alice, shop) = (world.person("alice"), world.vendor("shop"));
        world.expose(shop);
        world.pair(alice, shop);
        world.set(alice, "contact/me/name", "Alice");
        world.set(alice, "contact/me/city", "Paris");
        world.grant(alice, shop, ["contact/me/city"]);
        world.settle();
        let before = plunder(&world.stolen_disk(shop), Search::Keys).keys;
        if !by_rekey {
            world.remove(alice, "contact/me/city");
            world.settle();
        }
        if other_dice {
            world.nodes[alice.0].dice = Dice::stream(4_401, "other dice");
        }
        if by_rekey {
            world.run_for(Duration::from_secs(31 * 86_400));
        }
        world.set(alice, "contact/me/city", "Lyon");
        world.settle();
        assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
        let after = plunder(&world.stolen_disk(shop), Search::Keys).keys;
        let fresh: BTreeSet<[u8; 32]> = after.difference(&before).copied().collect();
        assert!(!fresh.is_empty(), "no fresh key, rekey {by_rekey}");
        fresh
    };
    for by_rekey in [false, true] {
        let (one, same, other) = (next_keys(by_rekey, false), next_keys(by_rekey, false), next_keys(by_rekey, true));
        assert_eq!(one, same, "the same dice draw the same");
        assert!(
            one.is_disjoint(&other),
            "rekey {by_rekey}: a key of the next epoch does not depend on what was drawn for it"
        );
    }
}
