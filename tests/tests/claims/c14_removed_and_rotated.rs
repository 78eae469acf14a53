//! C14: after a removal and rotation, every byte of the home with the current vault opens no removed value.
//!
//! Here every row that was ever written stays to be found, as if no store ever freed anything. The control is the same attacker with the
//! vault as it stood before the rotation.

use allod_crypto::Vault;
use allod_protocol::table::Table;
use allod_tests::{
    World,
    attacker::{Loot, Search, Way, carve, loot_home, plunder},
    real::process::Node,
};
use serde_json::json;

use super::binary::{Two, told, until};

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

/// Waits until a node has no long work left, and returns what its home holds. The node is stopped.
fn home_at_rest(node: &mut Node) -> (Loot, Vec<Vec<u8>>) {
    let mut found = None;
    until("no work is left", || {
        assert!(node.stop().is_ok());
        let (loot, files) = loot_home(&node.home, &Way::Nothing).expect("a home reads");
        let jobs = loot.rows.iter().filter(|(key, _)| Table::of(key) == Some(Table::Jobs)).count();
        if jobs > 0 {
            node.must_start();
            // Stopping at once again would leave it no time at all.
            std::thread::sleep(std::time::Duration::from_millis(300));
            return false;
        }
        found = Some((loot, files));
        true
    });
    found.expect("just found")
}

fn vault_of(node: &Node) -> Vault {
    let bytes = std::fs::read(node.home.join("vault")).expect("a home has a vault");
    Vault::read(&bytes).expect("a vault").unlock_open().expect("no passphrase")
}

/// The files of real stores, with all that they have not overwritten yet: at the owner after removals, at the vendor after `Purged`.
#[test]
fn nothing_that_real_stores_still_hold_opens_with_the_present_vaults() {
    let names: Vec<String> =
        ["city", "street", "note", "kept"].iter().map(|field| format!("contact/me/{field}")).collect();
    for engine in ["sled", "redb"] {
        let place = tempfile::tempdir().expect("a directory");
        let mut two = Two::paired(place.path(), engine, &[]);
        let text = |what: &str| format!("CANARY-{what}!");
        let set = |two: &Two, field: &str, what: &str| two.set(&[(format!("contact/me/{field}"), text(what))]);
        for (field, what) in [("city", "first"), ("street", "street"), ("note", "note"), ("kept", "kept")] {
            set(&two, field, what);
        }
        let amounts = (0..40).map(|number| (format!("transaction/{number}/remark"), text(&format!("amount-{number}"))));
        two.set(&amounts.collect::<Vec<_>>());
        let removed = two.lend(&["contact/me/city", "contact/me/note"]);
        let revoked = two.lend(&["contact/me/street", "transaction/*/remark"]);
        let goes_on = two.lend(&["contact/me/kept"]);
        two.shop_reads("contact/me/street", &text("street"));
        set(&two, "city", "second");
        two.shop_reads("contact/me/city", &text("second"));
        two.shop_reads("contact/me/kept", &text("kept"));
        let before = [vault_of(&two.ana), vault_of(&two.shop)];

        let api = two.ana.api();
        for field in ["city", "note"] {
            api.post("/v1/remove", &json!({ "path": format!("contact/me/{field}") })).expect("a removal");
        }
        api.post(&format!("/v1/grants/{revoked}/revoke"), &json!({})).expect("a revocation");
        until("the purge is confirmed", || told(&api, &format!("/v1/grants/{revoked}"))["purge"] == "confirmed");
        let path = format!("/v1/grants/{removed}");
        assert_eq!(
            (&told(&api, &path)["state"], &told(&api, &format!("/v1/grants/{goes_on}"))["state"]),
            (&json!("active"), &json!("active"))
        );

        let gone_here = ["first", "second", "note"].map(text);
        let gone_there = ["first", "second", "note", "street", "amount-7"].map(text);
        let [ana_before, shop_before] = before;
        for (node, gone, before) in
            [(&mut two.ana, &gone_here[..], ana_before), (&mut two.shop, &gone_there[..], shop_before)]
        {
            let (mut loot, files) = home_at_rest(node);
            let bytes: usize = files.iter().map(Vec::len).sum();
            let (carved, spoils) = carve(&mut loot, &files, &names);
            let open = spoils.known_of(gone.iter().map(String::as_str));
            println!(
                "{engine}, {}: {bytes} bytes, {carved:?}, {} of {} gone values open",
                node.name,
                open.len(),
                gone.len()
            );
            assert!(spoils.knows(&text("kept")), "{engine}: the attacker is too weak");
            assert!(open.is_empty(), "{engine}: the home of {} still opens {open:?}", node.name);

            // The control: the same files, with the vault as it was before.
            let (mut loot, files) = home_at_rest(node);
            loot.vaults.push(before);
            let (carved, spoils) = carve(&mut loot, &files, &names);
            let open = spoils.known_of(gone.iter().map(String::as_str));
            println!("{engine}, {}, with the old vault: {carved:?}, {} of {} open", node.name, open.len(), gone.len());
            assert!(engine != "sled" || !open.is_empty(), "old bytes hold nothing: the test shows nothing");
        }
    }
}
