//! Revoking: whole grants, single fields, while the other side is away, and what the other side then still has.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Delivery, Direction, GrantState, LogQuery, Mode, PeerState, Purge},
    refusal::{Code, Refusal},
    table::Table,
    wire::body::{Body, Purged},
};
use allod_tests::{
    World,
    evil::{Evil, Met},
    network::NodeId,
    story::{Terms, all},
};

fn rows(world: &World, node: NodeId, table: Table) -> usize {
    world.nodes[node.0].disk.rows().keys().filter(|key| Table::of(key) == Some(table)).count()
}

#[test]
fn one_of_two_fields_is_taken_back_and_the_other_stays_and_follows() {
    let mut world = World::seeded(40);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    let grant = world.grant(alice, shop, ["contact/me/city", "contact/me/street"]);
    world.settle();
    let revoked = world.revoke_fields(alice, shop, &["contact/me/street"]);
    assert_eq!(revoked.revoked.len(), 1);
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/street"), Code::Revoked);
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Active);
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    assert_eq!(rows(&world, shop, Table::Cells), 1);
    world.revoke_fields(alice, shop, &["contact/me/city"]);
    world.settle();
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Revoked, "a grant ends with its last selector");
    assert_eq!(rows(&world, shop, Table::Cells), 0);
    assert_eq!(rows(&world, shop, Table::FieldKeys), 0);
}

#[test]
fn a_field_taken_back_while_its_cells_are_under_way_leaves_the_others_readable() {
    let mut world = World::seeded(41);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    world.stop(shop);
    world.settle();
    let terms = Terms { mode: allod_protocol::command::Mode::Once, ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city", "contact/me/street"], terms);
    world.revoke_fields(alice, shop, &["contact/me/street"]);
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    assert_eq!(world.refused(shop, alice, "contact/me/street"), Code::Revoked);
    assert!(world.known_to(shop, "contact/me/street").is_empty());
}

#[test]
fn a_revocation_while_the_vendor_is_away_is_durable_and_reaches_it_when_it_is_back() {
    let mut world = World::seeded(42);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.stop(shop);
    world.settle();
    let revoked = world.revoke(alice, &grant);
    assert_eq!(revoked.purge, Purge::Awaited);
    assert_eq!(revoked.told[0].state, Delivery::Queued);
    world.set(alice, "contact/me/city", "Marseille");
    world.crash(alice);
    world.start(alice);
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Revoked);
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"]);
    let view = world.grant_of(alice, &grant);
    assert_eq!(view.purge, Purge::Confirmed);
    assert!(view.purged_at.is_some());
}

#[test]
fn a_revocation_reaches_a_vendor_that_is_there_and_the_purge_is_confirmed() {
    let mut world = World::seeded(43);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let revoked = world.revoke(alice, &grant);
    assert_eq!(revoked.told[0].state, Delivery::Delivered);
    assert!(revoked.revoked[0].delivered_through >= 1);
    world.settle();
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
    assert_eq!(world.grant_of(shop, &grant).state, GrantState::Revoked);
    assert_eq!(rows(&world, shop, Table::Cells), 0);
    assert_eq!(rows(&world, shop, Table::FieldKeys), 0);
    assert_eq!(rows(&world, alice, Table::FieldKeys), 0);
    assert_eq!(rows(&world, alice, Table::Due), 0);
    assert_eq!(rows(&world, alice, Table::Followers), 0);
}

#[test]
fn a_large_column_that_is_revoked_is_purged_in_steps() {
    let mut world = World::seeded(44);
    let (alice, bank) = world.paired("alice", "bank");
    for number in 0..2_000 {
        world.give(alice, allod_tests::story::set(&format!("transaction/{number}/amount"), "1"));
        if number % 100 == 0 {
            world.run_for(Duration::from_secs(1));
        }
    }
    let grant = world.grant(alice, bank, ["transaction/*/amount"]);
    world.settle();
    assert_eq!(rows(&world, bank, Table::Cells), 2_000);
    world.revoke(alice, &grant);
    world.settle();
    assert_eq!(rows(&world, bank, Table::Cells), 0);
    assert_eq!(rows(&world, bank, Table::Jobs), 0);
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
}

#[test]
fn what_another_grant_still_lends_is_named() {
    let mut world = World::seeded(45);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let one = world.grant(alice, shop, ["contact/me/city"]);
    let other = world.grant(alice, shop, ["contact/me/city"]);
    let revoked = world.revoke(alice, &one);
    assert_eq!(revoked.still_lent.len(), 1);
    assert_eq!(revoked.still_lent[0].0, other);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.revoke(alice, &other);
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
}

#[test]
fn what_was_revoked_can_be_lent_again_under_a_new_grant_with_new_keys() {
    let mut world = World::seeded(46);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let first = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.revoke(alice, &first);
    world.set(alice, "contact/me/city", "Lyon");
    let second = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    assert_ne!(first, second);
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    let again = world.outcome(alice, Command::RevokeGrant { grant: first }).unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
}

#[test]
fn revoking_one_vendor_changes_no_row_of_the_others() {
    let mut world = World::seeded(47);
    let (alice, bank) = world.paired("alice", "bank");
    let shop = world.vendor("shop");
    world.pair(alice, shop);
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, bank, ["contact/me/city"]);
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.cut(alice, shop);
    world.cut(alice, bank);
    world.run_for(Duration::from_secs(120));
    let before = world.nodes[alice.0].disk.rows().clone();
    world.revoke(alice, &grant);
    let after = world.nodes[alice.0].disk.rows().clone();
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value)).count()
        + before.keys().filter(|key| !after.contains_key(*key)).count();
    // The grant, its key, its follower, our log to this one peer and one entry of three rows, and the job that drops what was due.
    assert!(changed <= 9, "{changed} rows changed");
    let bank_before = world.nodes[bank.0].disk.rows().clone();
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.nodes[bank.0].disk.rows(), &bank_before);
}

#[test]
fn forgetting_takes_back_all_that_was_lent_drops_all_that_was_held_and_both_sides_are_closed() {
    let mut world = World::seeded(48);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(shop, "transaction/order-7/amount", "42.00");
    world.grant(alice, shop, ["contact/me/city"]);
    world.grant(shop, alice, ["transaction/order-7/amount"]);
    world.settle();
    world.forget(alice, shop);
    world.settle();
    for (node, other) in [(alice, shop), (shop, alice)] {
        assert_eq!(world.peer(node, other).state, PeerState::Closed);
        assert_eq!(rows(&world, node, Table::Cells), 0);
        assert_eq!(rows(&world, node, Table::FieldKeys), 0);
        assert_eq!(rows(&world, node, Table::HintKeys), 0, "nobody listens for hints of the other");
    }
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    let command = world.grant_command(alice, shop, &["contact/me/city"], &Terms::default());
    assert_eq!(world.outcome(alice, command).unwrap_err().code(), Code::Conflict);
    let written = world.peer(alice, shop).mine_seq;
    world.run_for(Duration::from_secs(31 * 86_400));
    assert_eq!(world.peer(alice, shop).mine_seq, written, "there are no keys to be changed any more");
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn forgetting_while_the_other_side_is_away_reaches_it_when_it_is_back() {
    let mut world = World::seeded(49);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.stop(shop);
    world.settle();
    world.forget(alice, shop);
    world.stop(alice);
    world.start(alice);
    world.start(shop);
    world.run_for(Duration::from_secs(700));
    assert_eq!(world.peer(shop, alice).state, PeerState::Closed);
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    assert_eq!(rows(&world, shop, Table::Cells), 0);
}

#[test]
fn a_closed_pair_can_meet_again_as_strangers() {
    let mut world = World::seeded(50);
    let (alice, shop) = world.paired("alice", "shop");
    world.forget(alice, shop);
    world.settle();
    for (node, old) in [(alice, "shop"), (shop, "alice")] {
        world.done(node, Command::Rename { old: old.to_owned(), new: format!("old {old}") });
    }
    world.pair(alice, shop);
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
}

#[test]
fn of_what_was_taken_back_before_it_was_handed_over_nothing_leaves() {
    for mode in [Mode::Follow, Mode::Once] {
        let mut world = World::seeded(51);
        let (alice, shop) = world.paired("alice", "shop");
        for path in ["contact/me/city", "contact/me/street", "transaction/1/amount"] {
            world.set(alice, path, "old");
        }
        world.stop(shop);
        world.settle();
        let lent = ["contact/me/city", "contact/me/street", "transaction/*/amount"];
        world.grant_on(alice, shop, lent, Terms { mode, ..Terms::default() });
        let taken = ["contact/me/city", "transaction/*/amount"];
        world.revoke_fields(alice, shop, &taken);
        let revoked = world.peer(alice, shop).mine_seq;
        world.start(shop);
        world.run_for(Duration::from_secs(400));
        for path in ["contact/me/city", "transaction/1/amount", "transaction/2/amount"] {
            world.set(alice, path, "newer");
        }
        world.settle();
        assert_eq!(world.text(shop, alice, "contact/me/street"), "old");
        // Not even to a shop that would look at it: no entry of Alice's after the first of that step speaks of them.
        let query = LogQuery { peer: Some("shop".to_owned()), since: None, page: all() };
        let Answer::Log(entries) = world.done(alice, Command::Log(query)) else { panic!("a log") };
        let entries = entries.items.into_iter().filter(|entry| entry.direction == "sent");
        let begun = entries.clone().find(|entry| entry.summary.0 == "log-revoked").expect("it was taken back").seq;
        assert!(begun <= revoked);
        for entry in entries.filter(|entry| entry.seq > begun) {
            let named = taken.iter().any(|path| entry.selectors.iter().any(|selector| selector == path));
            assert!(!named, "{mode:?}: {entry:?}");
        }
    }
}

#[test]
fn a_column_that_is_half_handed_over_is_so_in_whole_after_a_field_beside_it_was_taken_back() {
    let mut world = World::seeded(56);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    for number in 0..1_200 {
        world.give(alice, allod_tests::story::set(&format!("transaction/{number}/amount"), "1"));
        if number % 100 == 0 {
            world.run_for(Duration::from_secs(1));
        }
    }
    world.settle();
    world.cut(alice, shop);
    world.grant(alice, shop, ["contact/me/city", "transaction/*/amount"]);
    world.revoke_fields(alice, shop, &["contact/me/city"]);
    world.run_for(Duration::from_secs(120));
    world.heal();
    world.run_for(Duration::from_secs(700));
    assert_eq!(rows(&world, shop, Table::Cells), 1_200);
}

#[test]
fn what_a_clock_that_leapt_ended_can_be_taken_back_until_its_holder_dropped_it() {
    for by_peer in [false, true] {
        let mut world = World::seeded(57);
        let (alice, shop) = world.paired("alice", "shop");
        world.set(alice, "contact/me/city", "Paris");
        let terms = Terms { until: Some(Duration::from_secs(3 * 3_600)), ..Terms::default() };
        let grant = world.grant_on(alice, shop, ["contact/me/city"], terms);
        world.settle();
        world.set_clock_ahead(alice, 86_400_000);
        world.run_for(Duration::from_secs(120));
        assert_eq!(world.grant_of(alice, &grant).state, GrantState::Expired);
        world.set_clock_ahead(alice, 0);
        world.run_for(Duration::from_secs(400));
        assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris", "its end is yet to come");
        if by_peer {
            world.revoke_fields(alice, shop, &["contact/me/city"]);
        } else {
            world.revoke(alice, &grant);
        }
        assert_eq!(world.grant_of(alice, &grant).state, GrantState::Revoked);
        world.settle();
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
        assert_eq!(rows(&world, shop, Table::Cells), 0);
        assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
        let again = world.outcome(alice, Command::RevokeGrant { grant }).unwrap_err();
        assert!(matches!(&again, Refusal::GrantIsOver { state, .. } if state == "revoked"), "{again:?}");
        world.verify(alice);
        world.verify(shop);
    }
}

#[test]
fn what_ended_in_its_time_can_be_taken_back_until_its_holder_dropped_it_too() {
    let mut world = World::seeded(58);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = || Terms { until: Some(Duration::from_secs(60)), ..Terms::default() };
    let dropped = world.grant_on(alice, shop, ["contact/me/city"], terms());
    world.settle();
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.grant_of(alice, &dropped).purge, Purge::Confirmed);
    let over = world.outcome(alice, Command::RevokeGrant { grant: dropped.clone() }).unwrap_err();
    assert!(matches!(&over, Refusal::GrantIsOver { state, .. } if state == "expired"), "{over:?}");
    let grant = world.grant_on(alice, shop, ["contact/me/city"], terms());
    world.settle();
    world.stop(shop);
    world.run_for(Duration::from_secs(600));
    let revoked = world.revoke_fields(alice, shop, &[]);
    assert_eq!(revoked.revoked.iter().map(|one| one.grant.as_str()).collect::<Vec<_>>(), [grant.as_str()]);
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.grant_of(shop, &grant).state, GrantState::Revoked);
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
}

/// Two vendors that can be dialled, and neither of which dials without a reason.
fn two_vendors(seed: u64) -> (World, NodeId, NodeId, String) {
    let mut world = World::seeded(seed);
    let (shop, bank) = (world.vendor("shop"), world.vendor("bank"));
    world.pair(shop, bank);
    world.set(shop, "contact/me/city", "Paris");
    world.set(shop, "contact/me/street", "3 rue des Lilas");
    let grant = world.grant(shop, bank, ["contact/me/city", "contact/me/street"]);
    world.settle();
    assert_eq!(rows(&world, bank, Table::Cells), 2);
    (world, shop, bank, grant)
}

#[test]
fn what_a_crash_cut_off_while_the_session_lived_is_told_after_the_next_start() {
    for way in ["whole", "field", "remove", "forget"] {
        let (mut world, shop, bank, grant) = two_vendors(59);
        world.cut(shop, bank);
        let path = "contact/me/city";
        let command = match way {
            "whole" => Command::RevokeGrant { grant },
            "field" => Command::RevokePeer { peer: "bank".to_owned(), selectors: vec![path.parse().unwrap()] },
            "remove" => Command::Remove { path: path.parse().unwrap() },
            _ => Command::Forget { peer: "bank".to_owned() },
        };
        world.give(shop, command);
        // Durable, and nobody found yet that the line is dead.
        world.run_for(Duration::from_millis(200));
        assert!(world.known_peers(shop)[0].queued > 0, "{way}");
        world.crash(shop);
        // The bank forgets whom it was about to call.
        world.stop(bank);
        world.heal();
        world.start(bank);
        world.start(shop);
        world.run_for(Duration::from_secs(20));
        let left = if way == "field" || way == "remove" { 1 } else { 0 };
        assert_eq!(rows(&world, bank, Table::Cells), left, "{way}");
        assert_eq!(rows(&world, shop, Table::Waiting), 0, "{way}");
    }
}

#[test]
fn a_second_crash_at_any_boundary_of_the_telling_delays_it_and_no_more() {
    let (mut world, shop, bank, grant) = two_vendors(60);
    world.cut(shop, bank);
    world.revoke(shop, &grant);
    world.crash(shop);
    world.run_for(Duration::from_secs(120));
    world.stop(bank);
    let mut crashes = 0;
    for boundary in 0..100 {
        let mut world = world.stopped_copy();
        world.start(bank);
        world.start(shop);
        world.crash_after(shop, boundary);
        world.run_for(Duration::from_secs(20));
        let crashed = world.recover(shop);
        crashes += u32::from(crashed);
        world.run_for(Duration::from_secs(20));
        assert_eq!(rows(&world, bank, Table::Cells), 0, "boundary {boundary}");
        assert_eq!(world.grant_of(shop, &grant).purge, Purge::Confirmed, "boundary {boundary}");
        if !crashed {
            break;
        }
    }
    assert!(crashes > 3, "{crashes} crashes");
}

#[test]
fn a_purge_is_confirmed_once_all_that_was_taken_back_was_dropped() {
    let mut world = World::seeded(52);
    let (alice, shop) = world.paired("alice", "shop");
    let paths = ["contact/me/city", "contact/me/street", "contact/me/email"];
    for path in paths {
        world.set(alice, path, "lent");
    }
    let named = world.grant(alice, shop, paths);
    world.settle();
    let grant = world.stored_grants(alice, Direction::Given)[0].id;
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    world.revoke_fields(alice, shop, &paths[..2]);
    for (selectors, purge) in [(vec![0], Purge::Awaited), (vec![9], Purge::Awaited), (vec![1], Purge::Confirmed)] {
        let said = evil.tells(&mut world, &Body::Purged(Purged::Selectors { grant, selectors }), None);
        assert!(matches!(said, Met::Answer(_)), "{said:?}");
        assert_eq!(world.grant_of(alice, &named).purge, purge);
    }
}

#[test]
fn a_column_that_still_lends_the_field_is_named_and_what_the_peer_lends_is_not() {
    let mut world = World::seeded(53);
    let (alice, shop) = world.paired("alice", "shop");
    for node in [alice, shop] {
        world.set(node, "contact/me/city", "Paris");
        world.set(node, "contact/me/street", "3 rue des Lilas");
    }
    let field = world.grant(alice, shop, ["contact/me/city"]);
    let column = world.grant(alice, shop, ["contact/*/city"]);
    world.grant(alice, shop, ["contact/*/street"]);
    world.grant(shop, alice, ["contact/me/city"]);
    world.settle();
    let still = |(grant, selector): &(String, allod_protocol::path::Selector)| (grant.clone(), selector.to_string());
    let revoked = world.revoke(alice, &field);
    assert_eq!(
        revoked.still_lent.iter().map(still).collect::<Vec<_>>(),
        [(column.clone(), "contact/*/city".to_owned())]
    );
    let field = world.grant(alice, shop, ["contact/me/city"]);
    let revoked = world.revoke(alice, &column);
    assert_eq!(revoked.still_lent.iter().map(still).collect::<Vec<_>>(), [(field, "contact/me/city".to_owned())]);
}

#[test]
fn a_revocation_is_of_what_one_lends_oneself_and_of_all_that_it_names_or_nothing() {
    let mut world = World::seeded(54);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(shop, "transaction/order-7/amount", "42.00");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.grant(shop, alice, ["transaction/order-7/amount"]);
    world.settle();
    let theirs = world.outcome(shop, Command::RevokeGrant { grant: grant.clone() }).unwrap_err();
    assert!(matches!(theirs, Refusal::NoSuchGrant { .. }), "{theirs:?}");
    let selectors = ["contact/me/city", "contact/me/street"].map(|selector| selector.parse().unwrap()).to_vec();
    let missed = world.outcome(alice, Command::RevokePeer { peer: "shop".to_owned(), selectors }).unwrap_err();
    assert!(matches!(missed, Refusal::NothingLent { .. }), "{missed:?}");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris", "nothing of it was done");
    let revoked = world.revoke_fields(alice, shop, &[]);
    assert_eq!(revoked.revoked.iter().map(|one| one.grant.as_str()).collect::<Vec<_>>(), [grant.as_str()]);
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    assert_eq!(world.text(alice, shop, "transaction/order-7/amount"), "42.00", "what the shop lends goes on");
}

#[test]
fn who_has_access_to_a_field_are_those_to_whom_it_is_lent() {
    let mut world = World::seeded(55);
    let (alice, shop) = world.paired("alice", "shop");
    for path in ["contact/me/city", "contact/me/street"] {
        world.set(alice, path, "lent");
    }
    let access =
        |world: &mut World, path: &str| match world.done(alice, Command::AccessField { path: path.parse().unwrap() }) {
            Answer::Access(grants) => grants.into_iter().map(|view| view.grant).collect::<Vec<_>>(),
            other => panic!("grants: {other:?}"),
        };
    let both = world.grant(alice, shop, ["contact/me/city", "contact/me/street"]);
    let column = world.grant(alice, shop, ["contact/*/city"]);
    assert_eq!(access(&mut world, "contact/me/street"), std::slice::from_ref(&both));
    assert_eq!(access(&mut world, "contact/me/city"), [both.clone(), column.clone()]);
    world.revoke_fields(alice, shop, &["contact/me/street"]);
    assert_eq!(access(&mut world, "contact/me/street"), Vec::<String>::new(), "it was taken back");
    assert_eq!(access(&mut world, "contact/me/city"), [both.clone(), column.clone()]);
    world.revoke(alice, &both);
    assert_eq!(access(&mut world, "contact/me/city"), [column]);
    let terms = Terms { until: Some(Duration::from_secs(60)), ..Terms::default() };
    let brief = world.grant_on(alice, shop, ["contact/me/street"], terms);
    assert_eq!(access(&mut world, "contact/me/street"), [brief]);
    world.run_for(Duration::from_secs(60));
    assert_eq!(access(&mut world, "contact/me/street"), Vec::<String>::new(), "its time is over");
}
