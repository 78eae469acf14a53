//! A home is put back from a backup: relationships go on in new logs, what is lent is suspended until its person says that it goes on, and
//! nothing that was taken back comes alive again.

use std::time::Duration;

use allod_protocol::{
    command::{AskState, Command, Direction, GrantState, Mode, PeerState, Purge},
    refusal::Code,
};
use allod_tests::{World, disk::SimDisk, network::NodeId, story::Terms};

pub fn lent(seed: u64) -> (World, NodeId, NodeId, String) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    (world, alice, shop, grant)
}

pub fn backup(world: &World, node: NodeId) -> SimDisk {
    world.nodes[node.0].disk.clone()
}

fn refused(world: &mut World, node: NodeId, command: Command) -> Code {
    world.outcome(node, command).unwrap_err().code()
}

#[test]
fn what_is_lent_is_suspended_until_its_person_says_that_it_goes_on() {
    let (mut world, alice, shop, grant) = lent(4_000);
    let backup = backup(&world, alice);
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    world.put_back(alice, backup);
    world.settle();
    assert_eq!(world.own(alice, "contact/me/city"), "Paris");
    assert_eq!(world.peer(alice, shop).state, PeerState::Restored);
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Suspended);
    assert_eq!(world.peer(shop, alice).state, PeerState::Paired);
    // No lease, and no cell.
    assert_ne!(world.read(shop, alice, "contact/me/city").unwrap_err().code(), Code::Damaged);
    world.set(alice, "contact/me/city", "Nice");
    world.settle();
    assert!(world.peek(shop, alice, "contact/me/city").is_none());
    let command = world.grant_command(alice, shop, &["contact/me/city"], &Terms::default());
    assert_eq!(refused(&mut world, alice, command), Code::Conflict);

    let going = world.resume(alice, shop);
    assert_eq!(going.iter().map(|one| &one.grant).collect::<Vec<_>>(), [&grant]);
    world.settle();
    assert_eq!(world.grant_of(alice, &grant).state, GrantState::Active);
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Nice");
    world.set(alice, "contact/me/city", "Lille");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lille");
    let command = Command::Resume { peer: "shop".to_owned() };
    assert_eq!(refused(&mut world, alice, command), Code::Conflict);
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn what_was_taken_back_after_the_backup_stays_taken_back() {
    let (mut world, alice, shop, first) = lent(4_001);
    world.set(alice, "contact/me/phone", "1");
    let both = world.grant(alice, shop, ["contact/me/city", "contact/me/phone"]);
    world.settle();
    let backup = backup(&world, alice);
    world.revoke(alice, &first);
    world.revoke_fields(alice, shop, &["contact/me/phone"]);
    world.settle();
    world.put_back(alice, backup);
    world.settle();
    assert_eq!(world.grant_of(alice, &first).state, GrantState::Revoked);
    assert_eq!(world.grant_of(alice, &first).purge, Purge::Confirmed);
    assert_eq!(world.grant_of(alice, &both).taken_back.len(), 1);
    world.resume(alice, shop);
    world.set(alice, "contact/me/phone", "2");
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    assert_eq!(world.refused(shop, alice, "contact/me/phone"), Code::Revoked);
    assert!(!world.known_to(shop, "contact/me/phone").contains(&"2".to_owned()));
}

#[test]
fn what_was_lent_after_the_backup_ends_and_its_holder_drops_it() {
    let (mut world, alice, shop, _) = lent(4_002);
    let backup = backup(&world, alice);
    world.set(alice, "contact/me/phone", "1");
    let later = world.grant(alice, shop, ["contact/me/phone"]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/phone"), "1");
    world.put_back(alice, backup);
    world.settle();
    assert_eq!(world.grant_of(shop, &later).state, GrantState::Revoked);
    assert_eq!(world.refused(shop, alice, "contact/me/phone"), Code::Revoked);
    assert_eq!(world.grants(alice, Direction::Given).len(), 1);
}

#[test]
fn revoking_works_before_the_peer_was_heard_and_while_suspended() {
    for heard in [false, true] {
        let (mut world, alice, shop, grant) = lent(4_003);
        let backup = backup(&world, alice);
        world.set(alice, "contact/me/city", "Lyon");
        world.settle();
        world.stop(shop);
        world.put_back(alice, backup);
        if heard {
            world.start(shop);
        }
        world.settle();
        let command = Command::Resume { peer: "shop".to_owned() };
        if !heard {
            assert_eq!(refused(&mut world, alice, command), Code::Unreachable);
        }
        world.revoke(alice, &grant);
        world.start(shop);
        world.run_for(Duration::from_secs(400));
        assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed, "heard {heard}");
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
        assert_eq!(world.peer(alice, shop).state, if heard { PeerState::Restored } else { PeerState::Paired });
    }
}

#[test]
fn a_holder_that_is_put_back_gets_all_that_is_lent_to_it_and_nothing_that_was_taken_back() {
    let mut world = World::seeded(4_004);
    let (alice, shop) = world.paired("alice", "shop");
    for n in 0..30 {
        world.set(alice, &format!("transaction/t{n}/amount"), &format!("a{n}"));
    }
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/phone", "1");
    let taken = world.grant(alice, shop, ["contact/me/phone"]);
    let column = world.grant(alice, shop, ["transaction/*/amount", "contact/me/city"]);
    world.settle();
    let backup = backup(&world, shop);
    world.revoke(alice, &taken);
    world.set(alice, "contact/me/city", "Lyon");
    for n in 20..40 {
        world.set(alice, &format!("transaction/t{n}/amount"), &format!("b{n}"));
    }
    world.remove(alice, "transaction/t1");
    world.set(alice, "contact/me/street", "Rue 1");
    let once = world.grant_on(alice, shop, ["contact/me/street"], Terms { mode: Mode::Once, ..Terms::default() });
    world.settle();
    world.set(alice, "contact/me/street", "Rue 2");
    world.settle();
    world.put_back(shop, backup);
    world.run_for(Duration::from_secs(800));
    assert_eq!(world.peer(shop, alice).state, PeerState::Paired, "it lends nothing, so that there is nothing to say");
    assert_eq!(world.peer(alice, shop).state, PeerState::Paired);
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    assert_eq!(world.text(shop, alice, "contact/me/street"), "Rue 1", "lent once: the version of then");
    assert_eq!(world.refused(shop, alice, "contact/me/phone"), Code::Revoked);
    let mut amounts = world.column(shop, alice, "transaction", "amount");
    amounts.sort();
    let mut expected: Vec<String> =
        (0..40).filter(|n| *n != 1).map(|n| if n < 20 { format!("a{n}") } else { format!("b{n}") }).collect();
    expected.sort();
    assert_eq!(amounts, expected);
    for grant in [&column, &once] {
        assert_eq!(world.grant_of(shop, grant).state, GrantState::Active);
    }
    world.set(alice, "contact/me/city", "Nice");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Nice");
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn what_is_lent_to_one_that_was_put_back_is_not_read_before_its_owner_was_heard() {
    let mut world = World::seeded(4_012);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let once = world.grant_on(alice, shop, ["contact/me/city"], Terms { mode: Mode::Once, ..Terms::default() });
    world.settle();
    let backup = backup(&world, shop);
    world.revoke(alice, &once);
    world.settle();
    assert_eq!(world.grant_of(alice, &once).purge, Purge::Confirmed);
    world.stop(alice);
    world.put_back(shop, backup);
    world.settle();
    // What is said to be gone is gone.
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::LeaseOver);
    assert!(world.listed(shop, alice, "contact").is_empty());
    world.start(alice);
    world.run_for(Duration::from_secs(800));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
}

#[test]
fn both_sides_can_be_put_back() {
    let (mut world, alice, shop, grant) = lent(4_005);
    let backups = [backup(&world, alice), backup(&world, shop)];
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    for (node, backup) in [alice, shop].into_iter().zip(backups) {
        world.stop(node);
        world.restore(node, backup);
    }
    world.start(alice);
    world.start(shop);
    world.run_for(Duration::from_secs(800));
    assert_eq!(world.peer(shop, alice).state, PeerState::Paired);
    world.resume(alice, shop);
    world.set(alice, "contact/me/city", "Nice");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Nice");
    assert_eq!(world.grant_of(shop, &grant).state, GrantState::Active);
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn a_backup_from_before_many_changes_of_keys_goes_on() {
    let (mut world, alice, shop, grant) = lent(4_006);
    let backup = backup(&world, alice);
    for _ in 0..4 {
        world.run_for(Duration::from_secs(31 * 86_400));
    }
    assert!(world.key_changes(alice) > 0 || world.key_changes(shop) > 0, "keys changed");
    for round in 0..3 {
        world.put_back(alice, backup.clone());
        world.run_for(Duration::from_secs(800));
        assert_eq!(world.peer(shop, alice).state, PeerState::Paired, "round {round}");
        world.resume(alice, shop);
        world.set(alice, "contact/me/city", &format!("City {round}"));
        world.run_for(Duration::from_secs(31 * 86_400));
        assert_eq!(world.text(shop, alice, "contact/me/city"), format!("City {round}"));
        assert_eq!(world.grant_of(shop, &grant).state, GrantState::Active);
    }
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn a_crash_at_each_boundary_on_either_side_only_delays_it() {
    for crash in 1..40 {
        for crashing in 0..2 {
            let (mut world, alice, shop, grant) = lent(4_100 + crash);
            let backup = backup(&world, alice);
            world.set(alice, "contact/me/city", "Lyon");
            world.settle();
            world.stop(alice);
            world.restore(alice, backup);
            let node = [alice, shop][crashing];
            world.crash_after(node, crash);
            world.start(alice);
            world.run_for(Duration::from_secs(60));
            world.recover(node);
            world.run_for(Duration::from_secs(800));
            assert_eq!(world.peer(alice, shop).state, PeerState::Restored, "crash {crash} of {crashing}");
            world.resume(alice, shop);
            world.run_for(Duration::from_secs(800));
            assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris", "crash {crash} of {crashing}");
            assert_eq!(world.grant_of(shop, &grant).state, GrantState::Active);
            world.verify(alice);
            world.verify(shop);
        }
    }
}

#[test]
fn the_home_that_was_lost_is_refused_if_it_comes_back() {
    let (mut world, alice, shop, grant) = lent(4_007);
    let backup = backup(&world, alice);
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    world.stop(alice);
    let lost = world.nodes[alice.0].disk.clone();
    world.put_back(alice, backup);
    world.settle();
    world.revoke(alice, &grant);
    world.settle();
    world.stop(alice);
    // A thief starts the old machine.
    let restored = std::mem::replace(&mut world.nodes[alice.0].disk, lost);
    world.start(alice);
    world.set(alice, "contact/me/city", "Nowhere");
    world.run_for(Duration::from_secs(800));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    assert_eq!(world.peer(shop, alice).state, PeerState::Paired);
    world.stop(alice);
    world.nodes[alice.0].disk = restored;
    world.start(alice);
    world.run_for(Duration::from_secs(800));
    assert!(world.peer(alice, shop).online);
    world.verify(alice);
}

#[test]
fn asks_go_on_or_end_on_both_sides() {
    let (mut world, alice, shop, _) = lent(4_008);
    world.set(alice, "contact/me/phone", "1");
    let before = world.ask(shop, alice, &["contact/me/phone"], &[]);
    let declined = world.ask(shop, alice, &["contact/me/mail"], &[]);
    world.settle();
    let backup = backup(&world, shop);
    world.done(alice, Command::DeclineAsk { ask: declined.clone(), reason: None });
    let after = world.ask(shop, alice, &["contact/me/street"], &[]);
    world.settle();
    world.put_back(shop, backup);
    world.run_for(Duration::from_secs(800));
    let state =
        |world: &mut World, node, id: &str| world.asks(node).into_iter().find(|ask| ask.ask == id).map(|ask| ask.state);
    assert_eq!(state(&mut world, alice, &before), Some(AskState::Open));
    assert_eq!(state(&mut world, shop, &before), Some(AskState::Open));
    assert_eq!(state(&mut world, alice, &after), Some(AskState::Withdrawn));
    assert_eq!(state(&mut world, shop, &declined), Some(AskState::Withdrawn));
    world.answer_ask(alice, &before, &[]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/phone"), "1");
}

#[test]
fn a_relationship_that_one_side_ended_stays_ended() {
    for forgotten_first in [false, true] {
        let (mut world, alice, shop, grant) = lent(4_009);
        let early = backup(&world, alice);
        if forgotten_first {
            world.stop(shop);
            world.forget(alice, shop);
        }
        let late = backup(&world, alice);
        if !forgotten_first {
            world.forget(alice, shop);
            world.settle();
        }
        world.put_back(alice, if forgotten_first { late } else { early });
        world.start(shop);
        world.run_for(Duration::from_secs(800));
        for (node, other) in [(alice, shop), (shop, alice)] {
            assert_eq!(world.peer(node, other).state, PeerState::Closed, "forgotten first: {forgotten_first}");
        }
        assert_eq!(world.grant_of(alice, &grant).state, GrantState::Revoked);
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    }
}

#[test]
fn a_vendor_that_is_put_back_is_found_by_who_cannot_be_dialled() {
    let mut world = World::seeded(4_010);
    let alice = world.person_behind_nat("alice");
    let shop = world.vendor("shop");
    world.pair(shop, alice);
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let backup = backup(&world, shop);
    for _ in 0..3 {
        world.run_for(Duration::from_secs(31 * 86_400));
    }
    world.set(alice, "contact/me/city", "Lyon");
    world.put_back(shop, backup);
    world.run_for(Duration::from_secs(1_500));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    assert_eq!(world.grant_of(shop, &grant).state, GrantState::Active);
    for node in [alice, shop] {
        world.verify(node);
    }
}

#[test]
fn a_peer_that_refuses_for_another_reason_is_called_under_its_own_keys_again() {
    let (mut world, alice, shop, _) = lent(4_011);
    world.stop(shop);
    let home = backup(&world, shop);
    // Another home at the same address knows nobody.
    let empty = SimDisk::new(home.vault().to_vec());
    world.nodes[shop.0].disk = empty;
    world.start(shop);
    world.run_for(Duration::from_secs(2_000));
    assert!(!world.peer(alice, shop).online);
    world.stop(shop);
    world.nodes[shop.0].disk = home;
    world.start(shop);
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(1_500));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    assert_eq!(world.peer(alice, shop).state, PeerState::Paired);
}
