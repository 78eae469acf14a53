//! C6: an acknowledged revocation survives a crash at every point between two writes or effects, on either side.
//!
//! kill -9 of real processes and power cuts of real disks are in `tests/tests/faults.rs`; here no point is left out.

use allod_protocol::{
    command::{Answer, Command, GrantState, Purge},
    refusal::Code,
    table::Table,
};
use allod_tests::{
    World,
    disk::Refused,
    network::NodeId,
    world::{Came, Stopped},
};
use std::time::Duration;

fn lent(seed: u64) -> (World, NodeId, NodeId, String) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    let grant = world.grant(alice, shop, ["contact/me/city", "contact/me/street"]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.settle();
    (world, alice, shop, grant)
}

/// Revokes while `victim` crashes after so many boundaries; `None` if it did not.
fn revoke_and_crash(victim_is_owner: bool, boundary: u64) -> Option<bool> {
    let (mut world, alice, shop, grant) = lent(6_000);
    let victim = if victim_is_owner { alice } else { shop };
    world.crash_after(victim, boundary);
    let came = world.command(alice, Command::RevokeGrant { grant: grant.clone() });
    let acknowledged = matches!(came, Came::Answer(Ok(Answer::Revoked(_))));
    assert!(acknowledged || victim_is_owner, "boundary {boundary}: {came:?}");
    world.run_for(Duration::from_secs(30));
    let crashed = world.stops.contains(&(victim, Stopped::Crashed));
    if !crashed {
        return None;
    }
    world.start(victim);
    if acknowledged {
        // At once, before anybody else was heard.
        assert_eq!(world.grant_of(alice, &grant).state, GrantState::Revoked, "boundary {boundary}");
    }
    let revoked = world.grant_of(alice, &grant).state == GrantState::Revoked;
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(400));
    let known = world.known_to(shop, "contact/me/city");
    if revoked {
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked, "boundary {boundary}");
        assert_eq!(known, ["Paris"], "boundary {boundary}");
        assert_eq!(world.grant_of(alice, &grant).purge, Purge::Confirmed, "boundary {boundary}");
        for table in [Table::Cells, Table::FieldKeys] {
            let left = world.nodes[shop.0].disk.rows().keys().filter(|key| Table::of(key) == Some(table)).count();
            assert_eq!(left, 0, "boundary {boundary}: {table:?}");
        }
    } else {
        assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon", "boundary {boundary}: not done is not done");
    }
    world.verify(alice);
    world.verify(shop);
    Some(acknowledged)
}

#[test]
fn whenever_the_owner_crashes_what_it_answered_holds() {
    let (mut crashes, mut acknowledged) = (0, 0);
    for boundary in 0.. {
        match revoke_and_crash(true, boundary) {
            None => break,
            Some(answered) => {
                crashes += 1;
                acknowledged += u32::from(answered);
            }
        }
    }
    println!("{crashes} crashes of the owner, {acknowledged} after its answer");
    assert!(crashes > 5 && acknowledged > 1 && acknowledged < crashes, "{crashes} {acknowledged}");
}

#[test]
fn whenever_the_vendor_crashes_it_ends_up_without_keys_and_cells() {
    let mut crashes = 0;
    while revoke_and_crash(false, crashes).is_some() {
        crashes += 1;
    }
    println!("{crashes} crashes of the vendor");
    assert!(crashes > 20, "{crashes}");
}

#[test]
fn a_disk_that_refuses_the_revocation_leaves_it_unanswered() {
    for refused in [Refused::Full, Refused::FailedAndLost, Refused::FailedAndKept] {
        let (mut world, alice, shop, grant) = lent(6_100);
        world.nodes[alice.0].disk.refuse_next(refused);
        let came = world.command(alice, Command::RevokeGrant { grant: grant.clone() });
        assert!(matches!(came, Came::NodeStopped), "{refused:?}: {came:?}");
        world.start(alice);
        world.run_for(Duration::from_secs(400));
        let revoked = world.grant_of(alice, &grant).state == GrantState::Revoked;
        assert_eq!(revoked, refused == Refused::FailedAndKept);
        if !revoked {
            world.revoke(alice, &grant);
        }
        world.run_for(Duration::from_secs(400));
        assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    }
}
