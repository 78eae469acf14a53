//! Taking back: all, some, while the vendor is away; and what a removal, a decline and a goodbye do.

use allod_protocol::table::Table;
use allod_tests::process::{Engine, World, eventually, pair, raw_store::rows, until};

use crate::lending::{alice_and_shop, lent};

on_both_engines![
    taking_back_while_the_vendor_is_away_survives_a_kill_right_after_the_answer,
    a_vendor_drops_keys_and_cells_and_says_so,
    one_selector_of_two_is_taken_back,
    all_that_a_peer_holds_is_taken_back,
    another_grant_that_still_lends_the_field_is_named,
    a_removed_field_is_gone_at_the_vendor,
    an_answer_in_part_lends_that_part,
    what_is_not_there_is_said_before_it_is_answered,
    declining_and_withdrawing_end_an_ask,
    forgetting_a_peer_takes_all_back_on_both_sides,
];

fn taking_back_while_the_vendor_is_away_survives_a_kill_right_after_the_answer(engine: Engine) {
    let world = World::new(engine);
    let (mut alice, mut shop, names) = alice_and_shop(&world);
    let grant = lent(&alice.does("grant shop contact/me/city --purpose care --yes"));
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    shop.stop();
    let taken = alice.does(&format!("revoke {grant}"));
    alice.kill();
    assert_eq!(taken["revoked"][0]["grant"], grant.as_str(), "{taken}");
    assert_eq!(taken["revoked"][0]["delivered_through"], 1, "{taken}");
    assert_eq!((&taken["purge"], &taken["told"][0]["state"]), (&"awaited".into(), &"queued".into()), "{taken}");
    alice.start();
    let shown = alice.does(&format!("grants show {grant}"));
    assert_eq!((&shown["state"], &shown["purge"]), (&"revoked".into(), &"awaited".into()), "{shown}");
    alice.does("set contact/me/city=Lyon");
    shop.start();
    let refused = shop.awaits_refusal("contact/me/city", &names.inviter, "revoked");
    assert_eq!(refused.exit, 5);
    until("the purge is confirmed", 20, || alice.does(&format!("grants show {grant}"))["purge"] == "confirmed");
    for node in [&alice, &shop] {
        let check = node.does("log --verify");
        assert!(check["ok"] == true && check["gaps"].as_array().is_some_and(Vec::is_empty), "{check}");
    }
    // Final is final: the same again is a conflict, and a new grant has another id.
    let again = alice.refused(&format!("revoke {grant}"));
    assert_eq!((again.exit, again.code.as_str()), (1, "conflict"));
    let second = lent(&alice.does("grant shop contact/me/city --purpose care --yes"));
    assert_ne!(second, grant);
    shop.awaits("contact/me/city", &names.inviter, "Lyon");
}

fn a_vendor_drops_keys_and_cells_and_says_so(engine: Engine) {
    let world = World::new(engine);
    let (alice, mut shop, names) = alice_and_shop(&world);
    let grant = lent(&alice.does("grant shop contact/me/city contact/me/email --purpose care --yes"));
    shop.awaits("contact/me/email", &names.inviter, "alice@example.org");
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    shop.stop();
    assert_eq!((rows(&shop, engine, Table::Cells), rows(&shop, engine, Table::FieldKeys)), (2, 2));
    shop.start();
    alice.does(&format!("revoke {grant}"));
    until("the purge is confirmed", 20, || alice.does(&format!("grants show {grant}"))["purge"] == "confirmed");
    shop.stop();
    assert_eq!((rows(&shop, engine, Table::Cells), rows(&shop, engine, Table::FieldKeys)), (0, 0));
}

fn one_selector_of_two_is_taken_back(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let grant = lent(&alice.does("grant shop contact/me/city contact/me/email --purpose care --yes"));
    shop.awaits("contact/me/email", &names.inviter, "alice@example.org");
    let taken = alice.does("revoke shop contact/me/email");
    assert_eq!(taken["revoked"][0]["selectors"], serde_json::json!(["contact/me/email"]), "{taken}");
    shop.awaits_refusal("contact/me/email", &names.inviter, "revoked");
    alice.does("set contact/me/city=Lyon contact/me/email=new@example.org");
    shop.awaits("contact/me/city", &names.inviter, "Lyon");
    shop.awaits_refusal("contact/me/email", &names.inviter, "revoked");
    let shown = alice.does(&format!("grants show {grant}"));
    assert_eq!(shown["state"], "active", "{shown}");
    // With its last selector the grant ends.
    alice.does("revoke shop contact/me/city");
    assert_eq!(alice.does(&format!("grants show {grant}"))["state"], "revoked");
    shop.awaits_refusal("contact/me/city", &names.inviter, "revoked");
    let refused = alice.refused("revoke shop contact/me/city");
    assert_eq!((refused.exit, refused.code.as_str()), (4, "not_found"));
}

fn all_that_a_peer_holds_is_taken_back(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    for field in ["city", "email", "street"] {
        alice.does(&format!("grant shop contact/me/{field} --purpose care --yes"));
    }
    shop.awaits("contact/me/email", &names.inviter, "alice@example.org");
    assert_eq!(alice.refused("revoke shop").exit, 2);
    let taken = alice.does("revoke shop --yes");
    assert_eq!(taken["revoked"].as_array().map(Vec::len), Some(3), "{taken}");
    for field in ["city", "email", "street"] {
        shop.awaits_refusal(&format!("contact/me/{field}"), &names.inviter, "revoked");
    }
    assert!(alice.items("grants --given").iter().all(|grant| grant["state"] == "revoked"));
}

fn another_grant_that_still_lends_the_field_is_named(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let first = lent(&alice.does("grant shop contact/me/city --purpose care --yes"));
    let second = lent(&alice.does("grant shop contact/*/city --purpose delivery --yes"));
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    let taken = alice.does(&format!("revoke {first}"));
    assert_eq!(taken["still_lent"][0]["grant"], second.as_str(), "{taken}");
    let taken = alice.does(&format!("revoke {second}"));
    assert_eq!(taken["still_lent"], serde_json::json!([]), "{taken}");
}

fn a_removed_field_is_gone_at_the_vendor(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    alice.does("grant shop contact/me/city contact/me/email --purpose care --yes");
    shop.awaits("contact/me/city", &names.inviter, "Paris");
    shop.awaits("contact/me/email", &names.inviter, "alice@example.org");
    assert_eq!(alice.does("remove contact/me/city --yes")["removed"], 1);
    let gone = alice.refused("get contact/me/city");
    assert_eq!((gone.exit, gone.code.as_str()), (4, "not_found"));
    until("it is gone there", 20, || shop.reads("contact/me/city", &names.inviter).is_err());
    let refused = shop.reads("contact/me/city", &names.inviter).unwrap_err();
    assert_eq!(refused.exit, 4, "{refused:?}");
    assert_eq!(shop.reads("contact/me/email", &names.inviter).unwrap(), "alice@example.org");
    until("it says that it dropped it", 20, || {
        alice.items("log shop").iter().any(|entry| entry["kind"] == "Purged" && entry["direction"] == "received")
    });
    // Set again, it is lent again: the grant goes on.
    let version = alice.does("set contact/me/city=Nice")["written"][0]["version"].as_u64().unwrap();
    assert!(version > 1, "a version is never given twice");
    shop.awaits("contact/me/city", &names.inviter, "Nice");
}

fn an_answer_in_part_lends_that_part(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let line = format!(
        "ask {} contact/me/city --optional contact/me/street --optional contact/me/email --purpose delivery --reason 'order 7' --until 30d",
        names.inviter
    );
    let asked = shop.does(&line);
    assert_eq!(asked["state"], "sent", "{asked}");
    let ask = eventually("the ask arrives", 20, || alice.items("asks --in").first().cloned());
    assert_eq!(
        (&ask["state"], &ask["reason"], &ask["purpose"]),
        (&"open".into(), &"order 7".into(), &"DeliveryOfGoods".into())
    );
    let id = ask["ask"].as_str().unwrap();
    let shown = alice.does(&format!("asks show {id}"));
    assert!(shown.to_string().contains("3 rue des Lilas"), "the values that would leave are shown: {shown}");
    // What was not asked can't go. What is required may be left out: it is the person who says what is lent.
    assert_eq!(alice.refused(&format!("answer {id} --only contact/me/city --only contact/me/phone --yes")).exit, 2);
    let given = alice.does(&format!("answer {id} --only contact/me/city --only contact/me/street --until 5d --yes"));
    assert_eq!(given["selectors"].as_array().map(Vec::len), Some(2), "{given}");
    shop.awaits("contact/me/street", &names.inviter, "3 rue des Lilas");
    assert_eq!(shop.reads("contact/me/email", &names.inviter).unwrap_err().code, "no_grant");
    until("the vendor sees a part", 20, || shop.items("asks --out")[0]["state"] == "partly");
    assert_eq!(shop.items("asks --out")[0]["grant"], given["grant"]);
    let again = alice.refused(&format!("answer {id} --yes"));
    assert_eq!((again.exit, again.code.as_str()), (1, "conflict"));
    // Already answered: the whole ends with it, and the asker cannot withdraw it.
    assert_eq!(shop.refused(&format!("ask withdraw {}", asked["ask"].as_str().unwrap())).code, "conflict");
}

fn what_is_not_there_is_said_before_it_is_answered(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    shop.does(&format!("ask {} contact/me/city contact/me/nothing --purpose delivery", names.inviter));
    let ask = eventually("the ask arrives", 20, || alice.items("asks --in").first().cloned());
    let id = ask["ask"].as_str().unwrap();
    let shown = String::from_utf8(alice.types(&format!("asks show {id}")).stdout).unwrap();
    let line = shown.lines().find(|line| line.starts_with("contact/me/nothing "));
    assert!(line.is_some_and(|line| line.ends_with("(no value yet)")), "{shown}");
    let refused = alice.refused(&format!("answer {id} --yes"));
    assert_eq!((refused.exit, refused.code.as_str()), (4, "not_found"), "{refused:?}");
    assert!(refused.message.contains("contact/me/nothing"), "{refused:?}");
    // What it says to try is what works.
    let given = alice.does(&format!("{} --yes", refused.attempt.strip_prefix("allod ").unwrap()));
    assert_eq!(given["selectors"], serde_json::json!(["contact/me/city"]), "{given}");
    shop.awaits("contact/me/city", &names.inviter, "Paris");
}

fn declining_and_withdrawing_end_an_ask(engine: Engine) {
    let world = World::new(engine);
    let (alice, mut shop, names) = alice_and_shop(&world);
    let asked = |field: &str| {
        let line = format!("ask {} contact/me/{field} --purpose delivery", names.inviter);
        shop.does(&line)["ask"].as_str().unwrap().to_owned()
    };
    let (first, second) = (asked("city"), asked("email"));
    until("both arrive", 20, || alice.items("asks --in").len() == 2);
    alice.does(&format!("decline {first} --reason 'not for this'"));
    let state = |node: &allod_tests::process::Node, ask: &str| node.does(&format!("asks show {ask}"))["state"].clone();
    until("the shop hears no", 20, || state(&shop, &first) == "declined");
    assert!(shop.does(&format!("asks show {first}")).to_string().contains("not for this"));
    shop.does(&format!("ask withdraw {second}"));
    until("alice sees it withdrawn", 20, || state(&alice, &second) == "withdrawn");
    for ask in [&first, &second] {
        assert_eq!(alice.refused(&format!("answer {ask} --yes")).code, "conflict");
    }
    // Each side does its own part only.
    let third = asked("street");
    until("the third arrives", 20, || alice.items("asks --in").len() == 3);
    assert_eq!(alice.refused(&format!("ask withdraw {third}")).exit, 2);
    assert_eq!(shop.refused(&format!("answer {third} --yes")).exit, 2);
    // An ask that was made while the person is away waits, and a vendor's restart does not lose it.
    shop.crash();
    assert_eq!(state(&shop, &third), "open");
}

fn forgetting_a_peer_takes_all_back_on_both_sides(engine: Engine) {
    let world = World::new(engine);
    let (alice, shop, names) = alice_and_shop(&world);
    let from = names.inviter.as_str();
    let grant = lent(&alice.does("grant shop contact/me/city --purpose care --yes"));
    shop.does("set transaction/order-7/amount=42.00");
    shop.does(&format!("grant {from} transaction/order-7/amount --purpose care --yes"));
    shop.awaits("contact/me/city", from, "Paris");
    alice.awaits("transaction/order-7/amount", "shop", "42");
    let gone = alice.does("forget shop --yes");
    assert_eq!(gone["peer"], "shop", "{gone}");
    assert_eq!(gone["revoked"], serde_json::json!([grant]), "{gone}");
    until("the shop is refused", 20, || shop.reads("contact/me/city", from).is_err());
    until("alice is refused", 20, || alice.reads("transaction/order-7/amount", "shop").is_err());
    assert_ne!(alice.refused("grant shop contact/me/city --purpose care --yes").exit, 0);
    until("both sides know", 20, || {
        let states = |node: &allod_tests::process::Node| {
            node.items("peers").iter().filter(|peer| peer["state"] == "paired").count()
        };
        states(&alice) + states(&shop) == 0
    });
    // The same two can begin again, as strangers.
    let again = pair(&alice, &shop);
    alice.does(&format!("grant '{}' contact/me/city --purpose care --yes", again.scanner));
    shop.awaits("contact/me/city", &again.inviter, "Paris");
}
