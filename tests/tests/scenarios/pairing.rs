//! Pairing: used, expired, broken off, and more people than one.

use std::time::Duration;

use allod_protocol::{
    command::{Command, PairingStage, PeerState, WordsAre},
    pairing::{dial_address, multiaddr},
    refusal::{Code, Refusal},
};
use allod_tests::World;

#[test]
fn a_used_invitation_is_refused_and_the_inviter_learns_that_someone_tried() {
    let mut world = World::seeded(70);
    let (alice, shop, thief) = (world.person("alice"), world.vendor("shop"), world.person("thief"));
    let (id, text) = world.invitation(alice);
    let first = world.accepted(shop, &text);
    assert_eq!(first.stage, PairingStage::Comparing);
    let second = world.accepted(thief, &text);
    assert_eq!(second.stage, PairingStage::Ended);
    assert_eq!(second.ended, Some(Refusal::InvitationUsed {}));
    assert_eq!(world.pairing(alice, id, PairingStage::Open).others_tried, 1);
}

#[test]
fn a_used_invitation_stays_used_over_a_crash() {
    let mut world = World::seeded(71);
    let (alice, shop, thief) = (world.person("alice"), world.vendor("shop"), world.person("thief"));
    let (_, text) = world.invitation(alice);
    world.accepted(shop, &text);
    world.crash(alice);
    world.start(alice);
    let second = world.accepted(thief, &text);
    assert_eq!(second.ended, Some(Refusal::InvitationUsed {}));
}

#[test]
fn an_expired_invitation_is_refused_by_both_sides() {
    let mut world = World::seeded(72);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (_, text) = world.invitation(alice);
    world.run_for(Duration::from_secs(121));
    let refused = world.outcome(shop, Command::Accept { text: text.clone(), petname: None }).unwrap_err();
    assert_eq!(refused.code(), Code::Expired);
    // A scanner whose clock is wrong comes as far as the inviter.
    world.set_clock_ahead(shop, -3_600_000);
    let ended = world.accepted(shop, &text);
    assert_eq!(ended.ended.unwrap().code(), Code::Expired);
}

#[test]
fn words_that_differ_end_it_on_both_sides_and_leave_nothing() {
    let mut world = World::seeded(73);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (id, text) = world.invitation(alice);
    let scanned = world.accepted(shop, &text);
    world.done(alice, Command::Confirm { id, words: WordsAre::Different });
    world.settle();
    let there = world.pairing(shop, scanned.id, PairingStage::Comparing);
    assert_eq!(there.stage, PairingStage::Ended);
    for node in [alice, shop] {
        let peers = world.done(node, Command::Peers);
        assert!(format!("{peers:?}").contains("Peers([])"), "{peers:?}");
    }
}

#[test]
fn a_pairing_that_nobody_confirms_is_erased_after_ten_minutes() {
    let mut world = World::seeded(74);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (_, text) = world.invitation(alice);
    world.accepted(shop, &text);
    assert_eq!(world.peer(alice, shop).state, PeerState::Pending);
    world.run_for(Duration::from_secs(620));
    for (node, name) in [(alice, "shop"), (shop, "alice")] {
        let refused = world.outcome(node, Command::Peer { name: name.to_owned() }).unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
}

#[test]
fn a_pairing_that_only_one_side_confirms_grants_nothing_and_is_erased() {
    let mut world = World::seeded(75);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    world.set(alice, "contact/me/city", "Paris");
    let (id, text) = world.invitation(alice);
    world.accepted(shop, &text);
    world.done(alice, Command::Confirm { id, words: WordsAre::TheSame });
    world.settle();
    let command = world.grant_command(alice, shop, &["contact/me/city"], &Default::default());
    assert!(world.outcome(alice, command).is_err());
    world.run_for(Duration::from_secs(620));
    let refused = world.outcome(alice, Command::Peer { name: "shop".to_owned() }).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[test]
fn a_pairing_is_finished_when_one_side_crashes_between_the_two_confirmations() {
    let mut world = World::seeded(76);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (id, text) = world.invitation(alice);
    let scanned = world.accepted(shop, &text);
    world.done(alice, Command::Confirm { id, words: WordsAre::TheSame });
    world.crash(alice);
    world.start(alice);
    world.done(shop, Command::Confirm { id: scanned.id, words: WordsAre::TheSame });
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.peer(alice, shop).state, PeerState::Paired);
    assert_eq!(world.peer(shop, alice).state, PeerState::Paired);
}

#[test]
fn damaged_cut_and_foreign_invitations_each_say_what_they_are() {
    let mut world = World::seeded(77);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (_, text) = world.invitation(alice);
    let mut damaged = text.clone().into_bytes();
    let middle = damaged.len() / 2;
    damaged[middle] = if damaged[middle] == b'A' { b'B' } else { b'A' };
    let refusal = |world: &mut World, node, text: &str| {
        world.outcome(node, Command::Accept { text: text.to_owned(), petname: None }).unwrap_err()
    };
    let damaged = String::from_utf8(damaged).unwrap();
    assert_eq!(refusal(&mut world, shop, &damaged), Refusal::InvitationDamaged {});
    assert_eq!(refusal(&mut world, shop, &text[..text.len() - 9]), Refusal::InvitationCut {});
    assert!(matches!(refusal(&mut world, shop, "https://example.org"), Refusal::NotAnInvitation { .. }));
    assert_eq!(refusal(&mut world, alice, &text), Refusal::InvitationOwn {});
    assert_eq!(world.accepted(shop, &text.to_lowercase()).stage, PairingStage::Comparing);
}

#[test]
fn of_many_who_race_for_one_invitation_one_wins() {
    let mut world = World::seeded(78);
    let alice = world.person("alice");
    let scanners: Vec<_> = (0..20).map(|number| world.person_behind_nat(&format!("scanner {number}"))).collect();
    let (id, text) = world.invitation(alice);
    let tickets: Vec<_> = scanners
        .iter()
        .map(|scanner| world.give(*scanner, Command::Accept { text: text.clone(), petname: None }))
        .collect();
    world.settle();
    let mut comparing = 0;
    for ticket in tickets {
        let allod_tests::world::Came::Answer(Ok(allod_protocol::command::Answer::Pairing(view))) =
            world.came_of(ticket)
        else {
            panic!("a pairing");
        };
        match view.stage {
            PairingStage::Comparing => comparing += 1,
            _ => assert_eq!(view.ended, Some(Refusal::InvitationUsed {})),
        }
    }
    assert_eq!(comparing, 1);
    assert_eq!(world.pairing(alice, id, PairingStage::Open).others_tried, 19);
}

#[test]
fn a_person_who_cannot_be_dialled_scans_a_vendor_and_keeps_in_touch() {
    let mut world = World::seeded(79);
    let (alice, shop) = (world.person_behind_nat("alice"), world.vendor("shop"));
    world.pair(alice, shop);
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.crash(shop);
    world.start(shop);
    world.set(alice, "contact/me/city", "Lyon");
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
}

#[test]
fn an_invitation_that_was_taken_back_is_good_for_nobody() {
    let mut world = World::seeded(78);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (id, text) = world.invitation(alice);
    world.done(alice, Command::Confirm { id, words: WordsAre::Different });
    assert_eq!(world.pairing(alice, id, PairingStage::Open).ended, Some(Refusal::PairingCancelled {}));
    let late = world.accepted(shop, &text);
    assert_eq!(late.ended.map(|refusal| refusal.code()), Some(Code::Expired));
}

#[test]
fn one_side_says_no_while_the_other_confirms_and_both_nodes_go_on() {
    // The no meets the other side's words at each moment of their way: from their departure until both nodes are at rest again.
    for seed in 0..120 {
        let mut world = World::seeded(7_900 + seed);
        let (alice, shop) = (world.person("alice"), world.vendor("shop"));
        let (id, text) = world.invitation(alice);
        let scanned = world.accepted(shop, &text);
        let (yes, no) =
            if seed % 2 == 0 { ((alice, id), (shop, scanned.id)) } else { ((shop, scanned.id), (alice, id)) };
        world.done(yes.0, Command::Confirm { id: yes.1, words: WordsAre::TheSame });
        world.run_for(Duration::from_millis(2 * seed));
        world.done(no.0, Command::Confirm { id: no.1, words: WordsAre::Different });
        world.settle();
        let ended = world.pairing(yes.0, yes.1, PairingStage::Waiting);
        assert_eq!(ended.stage, PairingStage::Ended, "seed {seed}");
        // By the other's word, and not by ten minutes that went by.
        assert_eq!(ended.ended.map(|refusal| refusal.code()), Some(Code::Declined), "seed {seed}");
        for node in [alice, shop] {
            assert!(world.runs(node), "seed {seed}: a node stopped");
            let peers = world.done(node, Command::Peers);
            assert!(format!("{peers:?}").contains("Peers([])"), "seed {seed}: {peers:?}");
        }
    }
}

#[test]
fn forgetting_a_peer_that_is_not_confirmed_ends_the_pairing_for_both() {
    let mut world = World::seeded(79);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (_, text) = world.invitation(alice);
    let scanned = world.accepted(shop, &text);
    world.done(shop, Command::Confirm { id: scanned.id, words: WordsAre::TheSame });
    world.settle();
    world.forget(alice, shop);
    world.settle();
    assert_eq!(world.pairing(shop, scanned.id, PairingStage::Waiting).stage, PairingStage::Ended);
    assert!(world.runs(alice) && world.runs(shop));
}

#[test]
fn a_petname_is_what_a_peer_calls_itself_as_far_as_there_is_room_for_a_number() {
    let mut world = World::seeded(81);
    let alice = world.person("alice");
    let names = [55, 56, 57, 64].map(|length| "s".repeat(length));
    for name in &names {
        let shop = world.vendor(name);
        world.pair(alice, shop);
    }
    let room = "s".repeat(56);
    let expected = [names[0].clone(), room.clone(), format!("{room}-2"), format!("{room}-3")];
    let known = world.known_peers(alice);
    let petnames = names.each_ref().map(|name| {
        let peer = known.iter().find(|known| known.calls_itself == *name);
        peer.expect("it was paired").petname.clone()
    });
    assert_eq!(petnames, expected);
}

#[test]
fn an_invitation_takes_the_addresses_that_can_be_dialled_and_gives_them_back() {
    for whole in [
        "/ip4/192.0.2.1/tcp/4433",
        "/ip4/192.0.2.1/udp/4433/quic-v1",
        "/ip6/2001:db8::1/tcp/4433",
        "/ip6/2001:db8::1/udp/4433/quic-v1",
    ] {
        let address = dial_address(whole).unwrap_or_else(|| panic!("{whole}"));
        assert_eq!(multiaddr(&address), whole);
    }
    for nothing in ["", "/ip4/192.0.2.1", "/ip4/2001:db8::1/tcp/1", "/ip6/192.0.2.1/tcp/1", "/ip4/192.0.2.1/udp/1"] {
        assert_eq!(dial_address(nothing), None, "{nothing}");
    }
}
