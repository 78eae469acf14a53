//! Lending: the modes, columns, several vendors, both directions.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Delivery, Direction, GrantState, Mode, Purge},
    limits::{LEASE_MAX, LEASE_MIN, SELECTORS_MAX},
    path::{Path, RecordPath},
    refusal::{Code, Refusal},
    table::Table,
};
use allod_tests::{
    World,
    network::NodeId,
    story::{Terms, set},
    world::Came,
};

const DAY: Duration = Duration::from_secs(86_400);

fn mode(mode: Mode) -> Terms {
    Terms { mode, ..Terms::default() }
}

#[test]
fn a_vendor_reads_what_is_lent_follows_changes_and_nothing_after_the_revocation() {
    let mut world = World::seeded(7);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.set(alice, "contact/me/city", "Lyon");
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    world.revoke(alice, &grant);
    world.set(alice, "contact/me/city", "Marseille");
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris", "Lyon"]);
    assert_eq!(world.own(alice, "contact/me/city"), "Marseille");
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn pairing_grants_nothing() {
    let mut world = World::seeded(8);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::NoGrant);
    assert!(world.grants(alice, Direction::Given).is_empty());
    assert!(world.grants(shop, Direction::Held).is_empty());
}

#[test]
fn only_what_was_lent_can_be_read() {
    let mut world = World::seeded(9);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    assert_eq!(world.refused(shop, alice, "contact/me/street"), Code::NoGrant);
    assert_eq!(world.refused(shop, alice, "contact/you/city"), Code::NoGrant);
}

fn cells(world: &World, node: NodeId) -> usize {
    world.nodes[node.0].disk.rows().keys().filter(|key| Table::of(key) == Some(Table::Cells)).count()
}

#[test]
fn the_three_modes_differ() {
    let mut world = World::seeded(10);
    let (alice, shop) = world.paired("alice", "shop");
    for field in ["follow", "once", "reference"] {
        world.set(alice, &format!("contact/me/{field}"), "old");
    }
    world.grant_on(alice, shop, ["contact/me/follow"], mode(Mode::Follow));
    world.grant_on(alice, shop, ["contact/me/once"], mode(Mode::Once));
    world.settle();
    assert_eq!(cells(&world, shop), 2);
    world.grant_on(alice, shop, ["contact/me/reference"], mode(Mode::Reference));
    for field in ["follow", "once", "reference"] {
        assert_eq!(world.text(shop, alice, &format!("contact/me/{field}")), "old");
        world.set(alice, &format!("contact/me/{field}"), "new");
    }
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/follow"), "new");
    assert_eq!(world.text(shop, alice, "contact/me/once"), "old");
    assert_eq!(world.text(shop, alice, "contact/me/reference"), "new");
    assert_eq!(cells(&world, shop), 2, "a reference leaves no cell at the vendor's");

    world.stop(alice);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/follow"), "new");
    assert_eq!(world.text(shop, alice, "contact/me/once"), "old");
    assert_eq!(world.refused(shop, alice, "contact/me/reference"), Code::Unreachable);
}

#[test]
fn once_is_the_version_of_the_moment_of_lending_also_if_the_peer_was_away() {
    let mut world = World::seeded(11);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "transaction/1/amount", "1");
    world.set(alice, "transaction/2/amount", "2");
    world.stop(shop);
    world.settle();
    let given = world.granted(alice, shop, &["contact/me/city", "transaction/*/amount"], mode(Mode::Once));
    assert_eq!(given.told[0].state, Delivery::Queued);
    world.set(alice, "contact/me/city", "Lyon");
    world.set(alice, "transaction/1/amount", "100");
    world.set(alice, "transaction/3/amount", "3");
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    assert_eq!(world.column(shop, alice, "transaction", "amount"), ["1", "2"]);
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"]);
}

#[test]
fn once_is_the_version_of_the_moment_of_lending_also_if_the_clock_was_set_back() {
    let mut world = World::seeded(18);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set_clock_ahead(alice, 3 * 3_600_000);
    world.run_for(Duration::from_secs(60));
    world.set(alice, "contact/me/city", "Lyon");
    world.set_clock_ahead(alice, 0);
    world.run_for(Duration::from_secs(60));
    world.grant_on(alice, shop, ["contact/me/city"], mode(Mode::Once));
    world.run_for(Duration::from_secs(300));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
}

#[test]
fn what_is_lent_once_and_cut_again_is_still_the_version_of_the_moment() {
    let mut world = World::seeded(19);
    let (alice, shop) = world.paired("alice", "shop");
    for path in ["contact/me/city", "contact/me/street", "transaction/1/amount", "transaction/2/amount"] {
        world.set(alice, path, "old");
    }
    world.stop(shop);
    world.settle();
    let all = ["contact/me/city", "contact/me/street", "transaction/*/amount"];
    world.grant_on(alice, shop, all, mode(Mode::Once));
    for path in ["contact/me/city", "transaction/1/amount", "transaction/3/amount"] {
        world.set(alice, path, "newer");
    }
    // Its payload is withdrawn with the street in it; what else it held is cut again when the shop is back.
    world.revoke_fields(alice, shop, &["contact/me/street"]);
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "old");
    assert_eq!(world.column(shop, alice, "transaction", "amount"), ["old", "old"]);
}

#[test]
fn a_column_brings_later_records_too_and_no_record_ids() {
    let mut world = World::seeded(12);
    let (alice, bank) = world.paired("alice", "bank");
    for day in 10..30 {
        world.set(alice, &format!("transaction/2026-03-{day}/amount"), &format!("{day}.50"));
    }
    world.grant(alice, bank, ["transaction/*/amount"]);
    world.settle();
    let expected: Vec<String> = (10..30).map(|day| format!("{day}.50")).collect();
    assert_eq!(world.column(bank, alice, "transaction", "amount"), expected);
    let listed = world.listed(bank, alice, "transaction");
    assert!(listed.iter().all(|(id, _)| id.starts_with("transaction/p-")), "{listed:?}");
    world.set(alice, "transaction/2026-04-01/amount", "99.50");
    world.settle();
    assert!(world.column(bank, alice, "transaction", "amount").contains(&"99.50".to_owned()));
    assert_eq!(world.refused(bank, alice, "transaction/2026-04-01/amount"), Code::NoGrant);
}

#[test]
fn two_vendors_see_one_record_under_different_pseudonyms() {
    let mut world = World::seeded(13);
    let (alice, bank) = world.paired("alice", "bank");
    let shop = world.vendor("shop");
    world.pair(alice, shop);
    world.set(alice, "transaction/7/amount", "7");
    world.grant(alice, bank, ["transaction/*/amount"]);
    world.grant(alice, shop, ["transaction/*/amount"]);
    world.settle();
    let (at_bank, at_shop) = (world.listed(bank, alice, "transaction"), world.listed(shop, alice, "transaction"));
    assert_eq!((at_bank.len(), at_shop.len()), (1, 1));
    assert_ne!(at_bank[0].0, at_shop[0].0);
}

#[test]
fn a_column_of_ids_tells_the_ids_that_it_lends() {
    let mut world = World::seeded(14);
    let (alice, bank) = world.paired("alice", "bank");
    world.set(alice, "transaction/rent/amount", "700");
    world.grant(alice, bank, ["transaction/*/id"]);
    world.settle();
    assert_eq!(world.column(bank, alice, "transaction", "id"), ["rent"]);
    world.set(alice, "transaction/food/amount", "30");
    world.settle();
    assert_eq!(world.column(bank, alice, "transaction", "id"), ["food", "rent"]);
    let record: RecordPath = "transaction/food".parse().unwrap();
    world.remove(alice, &record.to_string());
    world.settle();
    assert_eq!(world.column(bank, alice, "transaction", "id"), ["rent"]);
}

#[test]
fn one_change_reaches_three_vendors_and_revoking_one_leaves_two() {
    let mut world = World::seeded(15);
    let alice = world.person("alice");
    let vendors: Vec<NodeId> = ["bank", "shop", "post"].map(|name| world.vendor(name)).to_vec();
    world.set(alice, "contact/me/city", "Paris");
    let mut grants = Vec::new();
    for vendor in &vendors {
        world.pair(alice, *vendor);
        grants.push(world.grant(alice, *vendor, ["contact/me/city"]));
    }
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    for vendor in &vendors {
        assert_eq!(world.text(*vendor, alice, "contact/me/city"), "Lyon");
    }
    world.revoke(alice, &grants[1]);
    world.set(alice, "contact/me/city", "Nice");
    world.settle();
    assert_eq!(world.text(vendors[0], alice, "contact/me/city"), "Nice");
    assert_eq!(world.refused(vendors[1], alice, "contact/me/city"), Code::Revoked);
    assert_eq!(world.text(vendors[2], alice, "contact/me/city"), "Nice");
}

#[test]
fn the_vendor_lends_back_what_it_knows() {
    let mut world = World::seeded(16);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(shop, "transaction/order-7/amount", "42.00");
    world.grant(shop, alice, ["transaction/order-7/amount"]);
    world.settle();
    let field = world.read(alice, shop, "transaction/order-7/amount").unwrap();
    assert_eq!(field.value.to_string(), "42.00");
    assert_eq!(field.source, "peer:shop");
    assert_eq!(world.grants(alice, Direction::Held).len(), 1);
    assert_eq!(world.grants(shop, Direction::Given).len(), 1);
}

#[test]
fn a_grant_ends_at_its_end_on_both_sides_and_is_purged() {
    let mut world = World::seeded(17);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { until: Some(Duration::from_secs(60)), ..Terms::default() };
    let grant = world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.run_for(Duration::from_secs(31));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Expired);
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Expired);
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(2 * DAY);
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"]);
    assert_eq!(cells(&world, shop), 0, "a head dated after the end confirms it, and the cell goes");
    let refused = world.outcome(alice, Command::RevokeGrant { grant }).unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
}

#[test]
fn a_reference_is_read_sixty_times_an_hour_and_no_more() {
    let mut world = World::seeded(18);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant_on(alice, shop, ["contact/me/city"], mode(Mode::Reference));
    world.settle();
    // The count starts over with the hour: begin at one.
    let to_the_hour = 3_600_000 - world.wall(alice).as_millis() % 3_600_000;
    world.run_for(Duration::from_millis(to_the_hour + 1_000));
    let mut reads = 0;
    let refused = loop {
        match world.read(shop, alice, "contact/me/city") {
            Ok(_) => reads += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(reads, 60);
    assert!(matches!(refused, Refusal::TooManyReads { most: 60, .. }), "{refused:?}");
    world.run_for(Duration::from_secs(3_600));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    // Two of one grant in one command count as two.
    let twice = |world: &mut World| {
        let from = Some("alice".to_owned());
        world.outcome(shop, Command::Get { paths: vec![Path::Field("contact/me/city".parse().unwrap()); 2], from })
    };
    for _ in 0..29 {
        twice(&mut world).unwrap();
    }
    let refused = twice(&mut world);
    assert!(matches!(refused, Err(Refusal::TooManyReads { most: 60, .. })), "{refused:?}");
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris", "one is left");
    let Answer::Grant { entries, .. } = world.done(alice, Command::GrantDetail { grant }) else { panic!("a grant") };
    let served = entries.iter().filter(|entry| entry.summary.0 == "log-served").count();
    assert_eq!(served, 120, "each is shown with its grant");
}

#[test]
fn more_entries_than_a_message_holds_all_arrive() {
    let mut world = World::seeded(19);
    let (alice, shop) = world.paired("alice", "shop");
    world.stop(shop);
    world.settle();
    for number in 0..400 {
        world.set(alice, &format!("contact/me/f{number}"), &format!("value {number}"));
    }
    for number in 0..400 {
        let field = format!("contact/me/f{number}");
        world.granted(alice, shop, &[&field], Terms::default());
    }
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    for number in 0..400 {
        assert_eq!(world.text(shop, alice, &format!("contact/me/f{number}")), format!("value {number}"));
    }
    world.verify(shop);
}

#[test]
fn a_long_column_arrives_whole_while_it_changes() {
    let mut world = World::seeded(20);
    let (alice, bank) = world.paired("alice", "bank");
    for number in 0..2_500 {
        world.give(alice, set(&format!("transaction/{number:05}/amount"), &format!("{number:05}")));
        if number % 100 == 0 {
            world.run_for(Duration::from_secs(1));
        }
    }
    world.settle();
    world.grant(alice, bank, ["transaction/*/amount"]);
    world.set(alice, "transaction/02499/amount", "changed");
    world.set(alice, "transaction/00000/amount", "changed too");
    world.set(alice, "transaction/new/amount", "fresh");
    world.settle();
    let column = world.column(bank, alice, "transaction", "amount");
    assert_eq!(column.len(), 2_501);
    for text in ["changed", "changed too", "fresh"] {
        assert!(column.contains(&text.to_owned()), "{text}");
    }
}

#[test]
fn a_value_of_the_largest_size_is_lent() {
    let mut world = World::seeded(21);
    let (alice, shop) = world.paired("alice", "shop");
    let large = "x".repeat(255 * 1024);
    for field in ["one", "two", "three"] {
        world.set(alice, &format!("document/scan/{field}"), &large);
    }
    world.grant(alice, shop, ["document/scan/one", "document/scan/two", "document/scan/three"]);
    world.settle();
    for field in ["one", "two", "three"] {
        assert_eq!(world.text(shop, alice, &format!("document/scan/{field}")).len(), large.len());
    }
}

#[test]
fn an_idle_world_sleeps() {
    let mut world = World::seeded(22);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let before = world.steps;
    world.run_for(DAY);
    assert!(world.steps - before < 500, "{} steps in an idle day", world.steps - before);
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
}

#[test]
fn a_lease_is_neither_shorter_than_the_shortest_nor_longer_than_the_longest() {
    let mut world = World::seeded(96);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let mut lend = |lease| {
        let terms = Terms { lease: Some(lease), ..Terms::default() };
        let command = world.grant_command(alice, shop, &["contact/me/city"], &terms);
        world.command(alice, command)
    };
    let moment = Duration::from_millis(1);
    for outside in [LEASE_MIN - moment, LEASE_MAX + moment] {
        assert!(matches!(lend(outside), Came::Answer(Err(Refusal::BadLease { .. }))), "{outside:?}");
    }
    for within in [LEASE_MIN, LEASE_MAX] {
        assert!(matches!(lend(within), Came::Answer(Ok(_))), "{within:?}");
    }
}

#[test]
fn an_entry_that_is_more_than_a_messages_share_arrives_by_itself() {
    let mut world = World::seeded(97);
    let (alice, shop) = world.paired("alice", "shop");
    // The first leaves room in its entry, and the second is of the largest size.
    let sizes = [("one", 180 * 1024), ("two", 255 * 1024)];
    for (field, size) in sizes {
        world.set(alice, &format!("document/scan/{field}"), &"x".repeat(size));
    }
    world.grant(alice, shop, ["document/scan/one", "document/scan/two"]);
    world.settle();
    for (field, size) in sizes {
        assert_eq!(world.text(shop, alice, &format!("document/scan/{field}")).len(), size);
    }
}

#[test]
fn nothing_is_lent_on_terms_that_cannot_be() {
    let mut world = World::seeded(98);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let fields: Vec<String> = (0..=SELECTORS_MAX).map(|number| format!("contact/me/f{number}")).collect();
    let many: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut refused = |selectors: &[&str], until| {
        let command = world.grant_command(alice, shop, selectors, &Terms { until, ..Terms::default() });
        world.outcome(alice, command).unwrap_err()
    };
    for selectors in [&[][..], &["contact/me/city", "contact/me/city"], &many] {
        assert!(matches!(refused(selectors, None), Refusal::BadSelection { .. }), "{} selectors", selectors.len());
    }
    assert_eq!(refused(&["contact/me/city"], Some(Duration::ZERO)), Refusal::BadEnd {}, "it ends before it begins");
    assert_eq!(refused(&["contact/me/city", "contact/me/street"], None).code(), Code::NotFound, "it has no street");
    assert!(world.stored_grants(alice, Direction::Given).is_empty());
    for selectors in [&[][..], &["contact/me/city", "contact/me/city"], &many] {
        let Command::Grant { lending, .. } = world.grant_command(alice, shop, selectors, &Terms::default()) else {
            unreachable!("it is one")
        };
        let shown = world.outcome(alice, Command::Preview { selectors: lending.selectors });
        assert!(matches!(shown, Err(Refusal::BadSelection { .. })), "nor shown: {shown:?}");
    }
}

#[test]
fn what_arrived_lies_ready_no_more() {
    let mut world = World::seeded(99);
    let (alice, shop) = world.paired("alice", "shop");
    for path in ["contact/me/city", "transaction/1/amount"] {
        world.set(alice, path, "old");
    }
    world.grant(alice, shop, ["contact/me/city", "transaction/*/amount"]);
    world.settle();
    world.set(alice, "contact/me/city", "new");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "new");
    let keys = world.nodes[alice.0].disk.rows().keys();
    let payloads = keys.filter(|key| Table::of(key) == Some(Table::Entries) && key.last() == Some(&2)).count();
    assert_eq!((payloads, world.rows(alice, Table::Flights)), (0, 0));
    assert_eq!(world.stored_grants(alice, Direction::Given)[0].unacknowledged, Vec::<u64>::new());
}

#[test]
fn the_end_of_a_grant_destroys_the_owners_keys_and_withdraws_what_was_not_fetched() {
    let mut world = World::seeded(101);
    let (alice, shop) = world.paired("alice", "shop");
    for path in ["contact/me/city", "contact/me/street"] {
        world.set(alice, path, "Paris");
    }
    let terms = |mode| Terms { mode, until: Some(Duration::from_secs(60)), lease: None };
    let fetched = world.grant_on(alice, shop, ["contact/me/city"], terms(Mode::Follow));
    world.settle();
    world.stop(shop);
    world.settle();
    world.grant_on(alice, shop, ["contact/me/street"], terms(Mode::Once));
    let left = |world: &World| {
        let keys = world.nodes[alice.0].disk.rows().keys();
        let payloads = keys.filter(|key| Table::of(key) == Some(Table::Entries) && key.last() == Some(&2)).count();
        (world.rows(alice, Table::FieldKeys), payloads)
    };
    assert_eq!(left(&world), (2, 2), "keys and cells of the second are on their way");
    world.run_for(Duration::from_secs(61));
    assert_eq!(left(&world), (0, 0));
    assert_eq!(world.grant_of(alice, &fetched).purge, Purge::Awaited);
    world.start(shop);
    world.run_for(2 * DAY);
    assert_eq!(world.grant_of(alice, &fetched).purge, Purge::Confirmed);
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Expired, "nobody took it back");
    assert!(world.known_to(shop, "contact/me/street").is_empty());
}

#[test]
fn a_column_of_long_values_arrives_whole_however_many_entries_it_takes() {
    let mut world = World::seeded(4_400);
    let (alice, shop) = world.paired("alice", "shop");
    let long = |number: usize| format!("{number} {}", "x".repeat(20_000));
    for number in 0..40 {
        world.set(alice, &format!("note/n-{number}/text"), &long(number));
    }
    world.grant(alice, shop, ["note/*/text"]);
    world.settle();
    let mut arrived = world.column(shop, alice, "note", "text");
    arrived.sort();
    let mut lent: Vec<_> = (0..40).map(long).collect();
    lent.sort();
    assert_eq!(arrived.len(), 40);
    assert!(arrived == lent);
}
