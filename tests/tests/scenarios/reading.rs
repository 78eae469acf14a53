//! Reading: leases, reports of use, what each refusal says.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Direction, Mode},
    path::Path,
    refusal::Code,
};
use allod_tests::{World, story::Terms};

#[test]
fn three_reads_are_reported_as_three_and_none_as_none() {
    let mut world = World::seeded(30);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    world.grant(alice, shop, ["contact/me/city", "contact/me/street"]);
    world.settle();
    assert!(world.used(alice, shop).is_empty(), "nothing was read");
    for _ in 0..3 {
        world.text(shop, alice, "contact/me/city");
    }
    world.settle();
    for (node, other, direction) in [(alice, shop, Direction::Given), (shop, alice, Direction::Held)] {
        let used = world.used(node, other);
        let found: Vec<_> = used.iter().map(|used| (used.path.as_str(), used.count, used.direction)).collect();
        assert_eq!(found, [("contact/me/city", 3, direction)]);
    }
    world.settle();
    assert_eq!(world.used(alice, shop).len(), 1, "reported once");
}

#[test]
fn uses_while_the_owner_is_away_are_reported_when_it_is_back_also_after_a_restart() {
    let mut world = World::seeded(31);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.stop(alice);
    world.settle();
    for _ in 0..3 {
        world.text(shop, alice, "contact/me/city");
    }
    world.stop(shop);
    world.start(shop);
    world.text(shop, alice, "contact/me/city");
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    let sum: u64 = world.used(alice, shop).iter().map(|used| used.count).sum();
    assert_eq!(sum, 4);
}

#[test]
fn the_vendor_reads_its_copy_until_the_lease_ends_and_again_when_the_owner_is_back() {
    let mut world = World::seeded(32);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { lease: Some(Duration::from_secs(60)), ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris", "the lease is renewed while both are there");
    world.stop(alice);
    world.run_for(Duration::from_secs(25));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::LeaseOver);
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
}

#[test]
fn turning_the_clock_back_does_not_lengthen_a_lease_while_the_node_runs() {
    let mut world = World::seeded(33);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { lease: Some(Duration::from_secs(600)), ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    // The link stays up in the vendor's eyes, and the owner says nothing more.
    world.cut(alice, shop);
    world.stop(alice);
    world.set_clock_ahead(shop, -3_600_000);
    world.run_for(Duration::from_secs(700));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::LeaseOver);
}

#[test]
fn a_clock_years_ahead_refuses_reads_keeps_the_keys_and_reads_again_when_it_is_right() {
    let mut world = World::seeded(34);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { until: Some(Duration::from_secs(86_400)), ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    world.stop(alice);
    world.set_clock_ahead(shop, 3 * 365 * 86_400_000);
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Expired);
    world.set_clock_ahead(shop, 0);
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
}

#[test]
fn what_is_lent_and_not_there_yet_says_so() {
    let mut world = World::seeded(35);
    let (alice, shop) = world.paired("alice", "shop");
    world.grant(alice, shop, ["transaction/*/amount"]);
    world.settle();
    assert!(world.column(shop, alice, "transaction", "amount").is_empty());
    assert_eq!(world.refused(shop, alice, "transaction/p-00000000000000000000000000/amount"), Code::NotFound);
}

#[test]
fn a_live_read_from_an_owner_who_is_away_says_so() {
    let mut world = World::seeded(36);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.grant_on(alice, shop, ["contact/me/city"], Terms { mode: Mode::Reference, ..Terms::default() });
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.cut(alice, shop);
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Unreachable);
}

#[test]
fn a_reference_to_a_column_is_read_live_by_pseudonym() {
    let mut world = World::seeded(37);
    let (alice, bank) = world.paired("alice", "bank");
    world.set(alice, "transaction/7/amount", "7");
    world.set(alice, "transaction/8/amount", "8");
    // Pseudonyms are learned through a column that is lent in another mode.
    world.grant_on(alice, bank, ["transaction/*/id"], Terms::default());
    world.grant_on(alice, bank, ["transaction/*/amount"], Terms { mode: Mode::Reference, ..Terms::default() });
    world.settle();
    let mut found = Vec::new();
    for (id, _) in world.listed(bank, alice, "transaction") {
        found.push((world.text(bank, alice, &format!("{id}/id")), world.text(bank, alice, &format!("{id}/amount"))));
    }
    found.sort();
    assert_eq!(found, [("7".to_owned(), "7".to_owned()), ("8".to_owned(), "8".to_owned())]);
}

#[test]
fn keys_that_are_kept_for_the_next_read_go_in_the_step_that_takes_back() {
    let mut world = World::seeded(38);
    let (alice, shop) = world.paired("alice", "shop");
    let paths = ["contact/me/city", "contact/me/street", "contact/me/phone"];
    for path in paths {
        world.set(alice, path, "of old");
    }
    let city = world.grant(alice, shop, [paths[0]]);
    world.grant(alice, shop, [paths[1], paths[2]]);
    let column = world.grant(alice, shop, ["contact/*/city"]);
    world.settle();
    let record = world.listed(shop, alice, "contact").into_iter().find(|(id, _)| id != "contact/me").expect("a column");
    let in_column = format!("{}/city", record.0);
    let read_all = |world: &mut World, paths: &[&str], text: &str| {
        for path in paths {
            // Twice: the second read is by what the first one kept.
            assert_eq!(
                (world.text(shop, alice, path), world.text(shop, alice, path)),
                (text.to_owned(), text.to_owned())
            );
        }
    };
    let all = [paths[0], paths[1], paths[2], &in_column];
    read_all(&mut world, &all, "of old");
    assert_eq!(world.keys_at_hand(shop), 4);

    // A value that changed has another key: what was kept for the former one opens nothing.
    world.set(alice, paths[1], "newer");
    world.settle();
    read_all(&mut world, &[paths[1]], "newer");

    read_all(&mut world, &[paths[0], &in_column], "of old");
    world.revoke(alice, &city);
    world.revoke_fields(alice, shop, &[paths[1]]);
    world.revoke(alice, &column);
    world.settle();
    for path in [paths[0], paths[1], &in_column] {
        assert_eq!(world.refused(shop, alice, path), Code::Revoked);
    }
    assert_eq!(world.keys_at_hand(shop), 0);

    read_all(&mut world, &[paths[2]], "of old");
    assert_eq!(world.keys_at_hand(shop), 1);
    world.remove(alice, paths[2]);
    world.settle();
    assert_eq!(world.keys_at_hand(shop), 0);
}

#[test]
fn a_record_that_is_read_of_a_peer_is_that_record_alone() {
    let mut world = World::seeded(46);
    let (alice, shop) = world.paired("alice", "shop");
    for path in ["contact/me/city", "contact/mum/city", "contact/mum/phone"] {
        world.set(alice, path, path);
    }
    world.grant(alice, shop, ["contact/me/city", "contact/mum/city", "contact/mum/phone"]);
    world.settle();
    for (record, fields) in [("contact/me", &["city"][..]), ("contact/mum", &["city", "phone"])] {
        let paths = vec![Path::Record(record.parse().unwrap())];
        let command = Command::Get { paths, from: Some("alice".to_owned()) };
        let Answer::Fields(read) = world.done(shop, command) else { panic!("fields") };
        let read: Vec<&str> = read.iter().map(|view| view.path.as_str()).collect();
        let lent: Vec<String> = fields.iter().map(|field| format!("{record}/{field}")).collect();
        assert_eq!(read, lent);
    }
}

#[test]
fn the_owners_newest_signature_says_how_late_it_is_at_least_also_after_a_restart() {
    let mut world = World::seeded(39);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    // As far behind as the owner's time may be ahead.
    world.set_clock_ahead(shop, -100_000);
    world.run_for(Duration::from_secs(60));
    let terms = Terms { until: Some(Duration::from_secs(60)), ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.run_for(Duration::from_secs(70));
    world.stop(alice);
    world.crash(shop);
    world.start(shop);
    assert!(world.wall(shop) < world.stored_grants(shop, Direction::Held)[0].not_after.unwrap());
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Expired);
}

#[test]
fn a_listing_names_what_can_be_read_and_no_more() {
    let mut world = World::seeded(80);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(shop, "contact/me/email", "shop@example.org");
    let terms = Terms { lease: Some(Duration::from_secs(60)), ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.grant(shop, alice, ["contact/me/email"]);
    world.settle();
    let lent = vec![("contact/me".to_owned(), vec!["city".to_owned()])];
    assert_eq!(world.listed(shop, alice, "contact"), lent, "what the shop lends is not Alice's");
    let yesterday = world.nodes[shop.0].disk.clone();
    world.stop(alice);
    world.run_for(Duration::from_secs(90));
    assert_eq!(world.listed(shop, alice, "contact"), Vec::new(), "the lease is over");
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.listed(shop, alice, "contact"), lent);
    world.grant(shop, alice, ["contact/me/email"]);
    world.settle();
    world.stop(shop);
    world.nodes[shop.0].disk = yesterday;
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Forked, "its home is older than what it signed");
    assert_eq!(world.listed(shop, alice, "contact"), Vec::new());
}

#[test]
fn after_a_start_the_owner_has_the_first_word() {
    let mut world = World::seeded(95);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.stop(shop);
    world.settle();
    world.revoke(alice, &grant);
    world.start(shop);
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked, "the first read of all asks for news");
}

#[test]
fn of_two_grants_that_lend_a_field_the_newer_version_is_read() {
    for seed in 320..326 {
        let mut world = World::seeded(seed);
        let (alice, shop) = world.paired("alice", "shop");
        world.set(alice, "contact/me/city", "Paris");
        world.grant_on(alice, shop, ["contact/me/city"], Terms { mode: Mode::Once, ..Terms::default() });
        world.settle();
        world.set(alice, "contact/me/city", "Lyon");
        world.grant(alice, shop, ["contact/me/city"]);
        world.settle();
        assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon", "{seed}");
    }
}

#[test]
fn a_grant_shows_the_use_that_was_made_of_it_and_of_no_other() {
    let mut world = World::seeded(327);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    let city = world.grant(alice, shop, ["contact/me/city"]);
    let street = world.grant(alice, shop, ["contact/me/street"]);
    world.settle();
    world.text(shop, alice, "contact/me/city");
    world.text(shop, alice, "contact/me/street");
    world.settle();
    for (grant, path) in [(city, "contact/me/city"), (street, "contact/me/street")] {
        let Answer::Grant { used, .. } = world.done(alice, Command::GrantDetail { grant }) else { panic!("a grant") };
        assert_eq!(used.iter().map(|used| used.path.as_str()).collect::<Vec<_>>(), [path]);
    }
}
