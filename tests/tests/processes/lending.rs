//! Lending: the modes, leases and ends, what is counted, what goes back.

use allod_protocol::table::Table;
use allod_tests::process::{Engine, Node, Paired, World, pair, raw_store::rows, until};
use serde_json::Value;

on_both_engines![
    the_three_modes_differ,
    what_is_read_live_leaves_no_cell_at_the_vendor,
    once_keeps_its_version_when_the_vendor_was_away_at_lending,
    three_reads_are_reported_as_three_and_none_as_none,
    a_lease_ends_while_the_owner_is_silent_and_goes_on_when_it_is_back,
    a_grant_that_ended_is_refused,
    a_column_covers_later_records_and_its_ids_stay_at_home,
    what_the_vendor_knows_is_lent_back_with_its_source_and_time,
    one_change_reaches_three_vendors_and_taking_back_from_one_leaves_two,
    a_large_value_arrives_whole,
];

/// A person and a shop that are paired; the person has a city, an e-mail address and a street.
pub fn alice_and_shop(world: &World) -> (Node, Node, Paired) {
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    alice.does("set contact/me/city=Paris contact/me/email=alice@example.org 'contact/me/street=3 rue des Lilas'");
    let names = pair(&alice, &shop);
    (alice, shop, names)
}

/// The id of what was lent.
pub fn lent(answer: &Value) -> String {
    answer["grant"].as_str().unwrap_or_else(|| panic!("no grant: {answer}")).to_owned()
}

fn the_three_modes_differ(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    alice.does("set contact/me/a=1 contact/me/b=1 contact/me/c=1");
    for (field, mode) in [("a", "follow"), ("b", "once"), ("c", "reference")] {
        let line = format!("grant shop contact/me/{field} --purpose care --until 30d --mode {mode} --yes");
        let given = alice.does(&line);
        assert_eq!(given["told"][0]["state"], "delivered", "{given}");
    }
    for field in ["a", "b", "c"] {
        shop.awaits(&format!("contact/me/{field}"), from, "1");
    }
    alice.does("set contact/me/a=2 contact/me/b=2 contact/me/c=2");
    // Follow hears of it; once stays; the live one is asked anew.
    shop.awaits("contact/me/a", from, "2");
    assert_eq!(shop.reads("contact/me/b", from).unwrap(), "1");
    assert_eq!(shop.reads("contact/me/c", from).unwrap(), "2");

    alice.stop();
    assert_eq!(shop.reads("contact/me/a", from).unwrap(), "2");
    assert_eq!(shop.reads("contact/me/b", from).unwrap(), "1");
    let refused = shop.reads("contact/me/c", from).unwrap_err();
    assert_eq!((refused.exit, refused.code.as_str()), (8, "unreachable"));
    assert_eq!(refused.message, "This is read live, and alice did not answer.");

    alice.start();
    until("the live one is read again", 20, || shop.reads("contact/me/c", from).is_ok_and(|value| value == "2"));
    assert_eq!(shop.reads("contact/me/b", from).unwrap(), "1");
}

fn what_is_read_live_leaves_no_cell_at_the_vendor(engine: Engine) {
    let world = World::new(engine);
    let (alice, mut shop, names) = alice_and_shop(&world);
    alice.does("grant shop contact/me/city --purpose care --mode reference --yes");
    for _ in 0..3 {
        shop.awaits("contact/me/city", &names.inviter, "Paris");
    }
    shop.stop();
    assert_eq!(rows(&shop, engine, Table::Cells), 0);
    shop.start();
    // The same look finds the cell of what is lent with a copy.
    alice.does("grant shop contact/me/email --purpose care --mode once --yes");
    shop.awaits("contact/me/email", &names.inviter, "alice@example.org");
    shop.stop();
    assert_eq!(rows(&shop, engine, Table::Cells), 1);
}

fn once_keeps_its_version_when_the_vendor_was_away_at_lending(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, mut shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    shop.stop();
    let given = alice.does("grant shop contact/me/city --purpose care --mode once --yes");
    assert_eq!(given["told"][0]["state"], "queued", "{given}");
    alice.does("set contact/me/city=Lyon");
    alice.crash();
    shop.start();
    shop.awaits("contact/me/city", from, "Paris");
    alice.does("set contact/me/city=Nice");
    alice.does("grant shop contact/me/email --purpose care --yes");
    shop.awaits("contact/me/email", from, "alice@example.org");
    assert_eq!(shop.reads("contact/me/city", from).unwrap(), "Paris");
}

fn three_reads_are_reported_as_three_and_none_as_none(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let grant = lent(&alice.does("grant shop contact/me/city contact/me/street --purpose care --yes"));
    until("both values are there", 20, || {
        // A listing shows no values, and counts as no use.
        let held = shop.items(&format!("list contact --from {}", names.inviter));
        held.iter().any(|record| record["fields"].as_array().is_some_and(|fields| fields.len() == 2))
    });
    for _ in 0..3 {
        assert_eq!(shop.reads("contact/me/city", &names.inviter).unwrap(), "Paris");
    }
    until("use is reported", 20, || {
        let used = alice.items("used shop");
        used.iter().map(|used| used["count"].as_u64().unwrap()).sum::<u64>() >= 3
    });
    // A further round of reports carries nothing new: what was not read is not in them.
    alice.does("sync shop");
    let used = alice.items("used shop");
    assert_eq!(used.iter().map(|used| used["count"].as_u64().unwrap()).sum::<u64>(), 3, "{used:?}");
    assert!(used.iter().all(|used| used["path"] == "contact/me/city" && used["grant"] == grant.as_str()), "{used:?}");
    assert_eq!(alice.items("access contact/me/city")[0]["uses"], 3);
    let reports = alice.items("log shop").iter().filter(|entry| entry["kind"] == "Used").count();
    assert_eq!(reports, used.len());
}

fn a_lease_ends_while_the_owner_is_silent_and_goes_on_when_it_is_back(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, mut shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    alice.does("grant shop contact/me/city --purpose care --until 30d --lease 10s --yes");
    alice.does("grant shop contact/me/email --purpose care --until 30d --yes");
    shop.awaits("contact/me/city", from, "Paris");
    shop.awaits("contact/me/email", from, "alice@example.org");
    alice.kill();
    assert_eq!(shop.reads("contact/me/city", from).unwrap(), "Paris");
    let refused = shop.awaits_refusal("contact/me/city", from, "lease_over");
    assert_eq!(refused.exit, 5);
    // The other grant's lease is the default one; a restart at the vendor makes no lease longer.
    shop.crash();
    assert_eq!(shop.reads("contact/me/email", from).unwrap(), "alice@example.org");
    assert_eq!(shop.reads("contact/me/city", from).unwrap_err().code, "lease_over");
    alice.start();
    shop.awaits("contact/me/city", from, "Paris");
}

fn a_grant_that_ended_is_refused(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    let grant = lent(&alice.does("grant shop contact/me/city --purpose care --until 4s --yes"));
    shop.awaits("contact/me/city", from, "Paris");
    let refused = shop.awaits_refusal("contact/me/city", from, "expired");
    assert_eq!(refused.exit, 5);
    until("it is over on both sides", 20, || {
        [alice.does(&format!("grants show {grant}")), shop.does(&format!("grants show {grant}"))]
            .iter()
            .all(|grant| grant["state"] == "expired")
    });
    // Over is over: a change goes nowhere.
    alice.does("set contact/me/city=Lyon");
    assert_eq!(shop.reads("contact/me/city", from).unwrap_err().code, "expired");
    assert_eq!(alice.refused("grant shop contact/me/city --purpose care --until 2020-01-01 --yes").exit, 2);
}

fn a_column_covers_later_records_and_its_ids_stay_at_home(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    let many: Vec<String> = (0..40).map(|i| format!("transaction/order-{i:03}/amount={i}.50")).collect();
    alice.does(&format!("set {}", many.join(" ")));
    let grant = lent(&alice.does("grant shop transaction/*/amount --purpose care --until 1d --yes"));
    let amounts = || {
        let rows = shop.items(&format!("list transaction --from {from} --limit 1000"));
        let mut amounts: Vec<String> = rows
            .iter()
            .map(|row| shop.reads(&format!("{}/amount", row["id"].as_str().unwrap()), from).unwrap())
            .map(|value| value.as_str().unwrap().to_owned())
            .collect();
        amounts.sort();
        (rows, amounts)
    };
    let count = || shop.items(&format!("list transaction --from {from} --limit 1000")).len();
    until("the column is there", 20, || count() == 40);
    let (rows, seen) = amounts();
    assert!(seen.contains(&"7.5".to_owned()) && seen.contains(&"39.5".to_owned()), "{seen:?}");
    assert!(!serde_json::to_string(&rows).unwrap().contains("order-"), "{rows:?}");
    assert_eq!(shop.reads("transaction/order-007/amount", from).unwrap_err().exit, 5);
    alice.does("set transaction/order-900/amount=900.25 transaction/order-900/note=mine");
    until("a later record is there", 20, || count() == 41);
    assert!(amounts().1.contains(&"900.25".to_owned()));
    // A record that goes leaves the column.
    alice.does("remove transaction/order-900 --yes");
    until("it is gone", 20, || count() == 40);
    alice.does(&format!("revoke {grant}"));
    until("all of it is gone", 20, || count() == 0);
}

fn what_the_vendor_knows_is_lent_back_with_its_source_and_time(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    shop.does("set transaction/order-7/amount=42.00");
    let back =
        lent(&shop.does(&format!("grant {} transaction/*/amount --purpose care --until 1y --yes", names.inviter)));
    let given = lent(&alice.does("grant shop contact/me/city --purpose delivery --yes"));
    until("it is there", 20, || alice.items("list transaction --from shop").len() == 1);
    let id = alice.items("list transaction --from shop")[0]["id"].as_str().unwrap().to_owned();
    let field = alice.items(&format!("get {id}/amount --from shop"))[0].clone();
    assert_eq!((&field["value"], &field["type"], &field["peer"]), (&"42".into(), &"decimal".into(), &"shop".into()));
    assert_eq!(field["grant"], back.as_str());
    for key in ["source", "at"] {
        assert!(field[key].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    for (node, peer) in [(&alice, "shop"), (&shop, names.inviter.as_str())] {
        let both = node.items(&format!("access {peer}"));
        let mut ways: Vec<_> = both.iter().map(|grant| grant["direction"].as_str().unwrap()).collect();
        ways.sort_unstable();
        assert_eq!(ways, ["given", "held"], "{both:?}");
        let ids: Vec<_> = both.iter().map(|grant| grant["grant"].as_str().unwrap()).collect();
        assert!(ids.contains(&given.as_str()) && ids.contains(&back.as_str()), "{both:?}");
    }
}

fn one_change_reaches_three_vendors_and_taking_back_from_one_leaves_two(engine: Engine) {
    let world = World::new(engine);
    let alice = world.person("alice");
    alice.does("set contact/me/city=Paris");
    let vendors: Vec<Node> = ["shop", "bank", "gym"].iter().map(|name| world.vendor(name)).collect();
    let names: Vec<Paired> = vendors.iter().map(|vendor| pair(&alice, vendor)).collect();
    for name in ["shop", "bank", "gym"] {
        alice.does(&format!("grant {name} contact/me/city --purpose care --yes"));
    }
    let told = alice.does("set contact/me/city=Lyon")["told"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(3), "{told}");
    for (vendor, names) in vendors.iter().zip(&names) {
        vendor.awaits("contact/me/city", &names.inviter, "Lyon");
    }
    assert_eq!(alice.items("access contact/me/city").len(), 3);
    let taken = alice.does("revoke bank contact/me/city");
    assert_eq!(taken["told"].as_array().map(Vec::len), Some(1), "{taken}");
    let told = alice.does("set contact/me/city=Nice")["told"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(2), "{told}");
    vendors[0].awaits("contact/me/city", &names[0].inviter, "Nice");
    vendors[2].awaits("contact/me/city", &names[2].inviter, "Nice");
    vendors[1].awaits_refusal("contact/me/city", &names[1].inviter, "revoked");
}

fn a_large_value_arrives_whole(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let text: String = (0..32_000).map(|i| format!("{i:08}")).collect::<String>()[..250_000].to_owned();
    alice.types_with("set document/scan/text", &text).good();
    alice.does("grant shop document/scan/text --purpose care --yes");
    shop.awaits("document/scan/text", &names.inviter, &text);
}
