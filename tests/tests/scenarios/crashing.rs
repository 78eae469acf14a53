//! Crashes between any two effects, full disks, failing syncs: what was acknowledged stays.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, GrantState, Purge},
    refusal::Code,
};
use allod_tests::{
    World,
    disk::Refused,
    network::NodeId,
    story::{Terms, set},
    world::{Came, Stopped},
};

/// Alice lends a city to a shop that is there.
fn lent(seed: u64) -> (World, NodeId, NodeId, String) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    (world, alice, shop, grant)
}

/// The owner crashes at each boundary of a revocation in turn: if it was acknowledged it stands, and in the end both sides agree.
#[test]
fn a_revocation_survives_a_crash_of_the_owner_at_every_boundary() {
    for boundary in 0.. {
        let (mut world, alice, shop, grant) = lent(90);
        world.crash_after(alice, boundary);
        let came = world.command(alice, Command::RevokeGrant { grant: grant.clone() });
        let acknowledged = matches!(came, Came::Answer(Ok(Answer::Revoked(_))));
        world.settle();
        let crashed = world.recover(alice);
        world.run_for(Duration::from_secs(400));
        let state = world.grant_of(alice, &grant).state;
        assert!(
            !acknowledged || state == GrantState::Revoked,
            "boundary {boundary}: an acknowledged revocation is gone"
        );
        world.set(alice, "contact/me/city", "Lyon");
        world.settle();
        if state == GrantState::Revoked {
            assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked, "boundary {boundary}");
            assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"], "boundary {boundary}");
            assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed, "boundary {boundary}");
        } else {
            assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon", "boundary {boundary}");
        }
        world.verify(alice);
        world.verify(shop);
        if !crashed {
            assert!(boundary > 8, "only {boundary} boundaries");
            return;
        }
    }
}

#[test]
fn a_revocation_survives_a_crash_of_the_vendor_at_every_boundary() {
    for boundary in 0.. {
        let (mut world, alice, shop, grant) = lent(91);
        world.crash_after(shop, boundary);
        world.revoke(alice, &grant);
        world.settle();
        let crashed = world.recover(shop);
        world.run_for(Duration::from_secs(400));
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked, "boundary {boundary}");
        assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed, "boundary {boundary}");
        world.verify(alice);
        world.verify(shop);
        if !crashed {
            assert!(boundary > 5, "only {boundary} boundaries");
            return;
        }
    }
}

#[test]
fn lending_survives_a_crash_of_either_side_at_every_boundary() {
    for owner_crashes in [true, false] {
        for boundary in 0.. {
            let mut world = World::seeded(92);
            let (alice, shop) = world.paired("alice", "shop");
            world.set(alice, "contact/me/city", "Paris");
            world.set(alice, "transaction/1/amount", "1");
            world.settle();
            let victim = if owner_crashes { alice } else { shop };
            world.crash_after(victim, boundary);
            let command =
                world.grant_command(alice, shop, &["contact/me/city", "transaction/*/amount"], &Terms::default());
            let came = world.command(alice, command);
            let acknowledged = matches!(came, Came::Answer(Ok(_)));
            world.settle();
            let crashed = world.recover(victim);
            world.run_for(Duration::from_secs(400));
            if acknowledged {
                assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris", "boundary {boundary}");
                assert_eq!(world.column(shop, alice, "transaction", "amount"), ["1"], "boundary {boundary}");
            }
            world.verify(alice);
            world.verify(shop);
            if !crashed {
                break;
            }
        }
    }
}

#[test]
fn a_change_survives_a_crash_of_either_side_at_every_boundary() {
    for owner_crashes in [true, false] {
        for boundary in 0.. {
            let (mut world, alice, shop, _) = lent(93);
            let victim = if owner_crashes { alice } else { shop };
            world.crash_after(victim, boundary);
            let came = world.command(alice, set("contact/me/city", "Lyon"));
            let acknowledged = matches!(came, Came::Answer(Ok(_)));
            world.settle();
            let crashed = world.recover(victim);
            world.run_for(Duration::from_secs(400));
            let own = world.own(alice, "contact/me/city");
            assert!(!acknowledged || own == "Lyon", "boundary {boundary}");
            assert_eq!(world.text(shop, alice, "contact/me/city"), own, "boundary {boundary}");
            world.verify(alice);
            world.verify(shop);
            if !crashed {
                break;
            }
        }
    }
}

#[test]
fn pairing_survives_a_crash_at_every_boundary_or_ends_on_both_sides() {
    use allod_protocol::command::{PairingStage, WordsAre};
    for inviter_crashes in [true, false] {
        for boundary in 0..200 {
            let mut world = World::seeded(94);
            let (alice, shop) = (world.person("alice"), world.vendor("shop"));
            let (id, text) = world.invitation(alice);
            let victim = if inviter_crashes { alice } else { shop };
            world.crash_after(victim, boundary);
            let scanned = world.command(shop, Command::Accept { text, petname: None });
            if let Came::Answer(Ok(Answer::Pairing(view))) = scanned
                && view.stage == PairingStage::Comparing
            {
                let _ = world.command(shop, Command::Confirm { id: view.id, words: WordsAre::TheSame });
            }
            let _ = world.command(alice, Command::Confirm { id, words: WordsAre::TheSame });
            world.settle();
            let crashed = world.recover(victim);
            world.run_for(Duration::from_secs(1_000));
            let stands = |world: &mut World, node, name: &str| {
                world.outcome(node, Command::Peer { name: name.to_owned() }).map(|answer| format!("{answer:?}")).ok()
            };
            let (here, there) = (stands(&mut world, alice, "shop"), stands(&mut world, shop, "alice"));
            assert_eq!(
                here.is_some(),
                there.is_some(),
                "boundary {boundary}: one side stands alone: {here:?} {there:?}"
            );
            if !crashed {
                assert!(here.is_some());
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_stops_the_node_says_so_and_loses_nothing_that_was_acknowledged() {
    for how in [Refused::Full, Refused::FailedAndLost, Refused::FailedAndKept] {
        let (mut world, alice, shop, grant) = lent(95);
        world.nodes[alice.0].disk.refuse_next(how);
        let came = world.command(alice, Command::RevokeGrant { grant: grant.clone() });
        assert!(matches!(came, Came::NodeStopped), "{how:?}: {came:?}");
        assert!(matches!(world.stops.last(), Some((id, Stopped::Fault(_))) if *id == alice));
        world.start(alice);
        world.run_for(Duration::from_secs(400));
        let kept = world.grant_of(alice, &grant).state == GrantState::Revoked;
        assert_eq!(kept, how == Refused::FailedAndKept);
        if kept {
            assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
        } else {
            assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
            world.revoke(alice, &grant);
            world.settle();
            assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
        }
    }
}

#[test]
fn a_column_being_handed_over_and_a_purge_go_on_after_crashes() {
    let mut world = World::seeded(96);
    let (alice, bank) = world.paired("alice", "bank");
    for number in 0..3_000 {
        world.give(alice, set(&format!("transaction/{number:05}/amount"), &format!("{number:05}")));
        if number % 200 == 0 {
            world.run_for(Duration::from_secs(1));
        }
    }
    world.settle();
    let grant = world.grant(alice, bank, ["transaction/*/amount"]);
    for round in 0..12 {
        let victim = if round % 2 == 0 { alice } else { bank };
        world.crash_after(victim, 7 + round);
        world.run_for(Duration::from_secs(20));
        world.recover(victim);
    }
    world.run_for(Duration::from_secs(700));
    assert_eq!(world.column(bank, alice, "transaction", "amount").len(), 3_000);
    world.revoke(alice, &grant);
    for round in 0..6 {
        world.crash_after(bank, round);
        world.run_for(Duration::from_secs(5));
        world.recover(bank);
    }
    world.run_for(Duration::from_secs(700));
    let cells = allod_protocol::table::Table::Cells;
    let left = world.nodes[bank.0].disk.rows().keys().filter(|key| key.first() == Some(&cells.byte())).count();
    assert_eq!(left, 0);
    assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed);
}
