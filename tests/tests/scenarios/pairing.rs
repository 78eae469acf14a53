//! Pairing: used, expired, broken off, and more people than one.

use std::{collections::BTreeMap, time::Duration};

use allod_protocol::{
    codec::Coded,
    command::{Answer, Command, PairingStage, PeerState, WordsAre},
    effect::Channel,
    id::InvitationId,
    limits::{INVITATION_LIFETIME_MAX, INVITATIONS_MAX, PENDING_MAX},
    pairing::{dial_address, multiaddr},
    refusal::{Code, Refusal},
    wire::pair::{PairAnswer, PairRequest},
};
use allod_tests::{World, network::NodeId, world::Came};

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
fn an_inviter_that_is_not_there_is_silent_and_that_is_said() {
    let mut world = World::seeded(86);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (_, text) = world.invitation(alice);
    world.stop(alice);
    let ended = world.accepted(shop, &text);
    assert_eq!(ended.ended, Some(Refusal::InviterSilent {}));
    // One that is reached and never answers.
    world.start(alice);
    let (_, text) = world.invitation(alice);
    let taken = world.give(shop, Command::Accept { text, petname: None });
    world.cut(alice, shop);
    world.run_for(Duration::from_secs(900));
    let Came::Answer(Ok(Answer::Pairing(ended))) = world.came_of(taken) else { panic!("it ends") };
    assert_eq!(ended.ended, Some(Refusal::InviterSilent {}));
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

/// All invitations of a node, each with what became of it.
fn invitations(world: &mut World, node: NodeId, command: Command) -> BTreeMap<InvitationId, &'static str> {
    match world.done(node, command) {
        Answer::Invitations(views) => views.into_iter().map(|view| (view.id, view.state)).collect(),
        other => panic!("invitations: {other:?}"),
    }
}

#[test]
fn an_invitation_is_listed_as_what_became_of_it_and_forgotten_an_hour_after_its_end() {
    let mut world = World::seeded(82);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (used, text) = world.invitation(alice);
    world.accepted(shop, &text);
    let (taken_back, _) = world.invitation(alice);
    world.done(alice, Command::Confirm { id: taken_back, words: WordsAre::Different });
    let (left, _) = world.invitation(alice);
    let mut expected = BTreeMap::from([(used, "used"), (taken_back, "cancelled"), (left, "open")]);
    assert_eq!(invitations(&mut world, alice, Command::Invitations), expected);
    world.run_for(Duration::from_secs(121));
    expected.insert(left, "expired");
    assert_eq!(invitations(&mut world, alice, Command::Invitations), expected);
    let (last, text) = world.invitation(alice);
    // Whatever nobody used is closed, and what was used stays that.
    expected.extend([(left, "cancelled"), (last, "cancelled")]);
    assert_eq!(invitations(&mut world, alice, Command::CancelInvitations), expected);
    let late = world.accepted(shop, &text);
    assert_eq!(late.ended.map(|refusal| refusal.code()), Some(Code::Expired));
    world.run_for(Duration::from_secs(3 * 3_600));
    assert_eq!(invitations(&mut world, alice, Command::Invitations), BTreeMap::new());
}

#[test]
fn so_many_invitations_are_open_at_once_and_for_no_longer_than_an_hour() {
    let mut world = World::seeded(83);
    let alice = world.person("alice");
    for _ in 0..INVITATIONS_MAX {
        world.invitation(alice);
    }
    let invite = |world: &mut World, lifetime| world.outcome(alice, Command::Invite { lifetime });
    let refused = invite(&mut world, Duration::from_secs(120)).unwrap_err();
    assert_eq!(refused, Refusal::TooManyOpen { most: INVITATIONS_MAX as u64 });
    world.run_for(Duration::from_secs(121));
    for lifetime in [Duration::ZERO, INVITATION_LIFETIME_MAX + Duration::from_millis(1)] {
        assert_eq!(invite(&mut world, lifetime).unwrap_err(), Refusal::BadEnd {});
    }
    assert!(invite(&mut world, INVITATION_LIFETIME_MAX).is_ok(), "those that are over take nobody's place");
}

#[test]
fn so_many_pairings_wait_for_their_people_at_once() {
    let mut world = World::seeded(84);
    let (inviters, shop) = ([world.person("alice"), world.person("bob")], world.vendor("shop"));
    for number in 0..PENDING_MAX {
        let (_, text) = world.invitation(inviters[number % 2]);
        assert_eq!(world.accepted(shop, &text).stage, PairingStage::Comparing, "{number}");
    }
    let (_, text) = world.invitation(inviters[0]);
    let accept = || Command::Accept { text: text.clone(), petname: None };
    let refused = world.outcome(shop, accept()).unwrap_err();
    assert_eq!(refused, Refusal::TooManyOpen { most: PENDING_MAX as u64 });
}

#[test]
fn who_is_not_at_the_other_end_of_a_pairing_cannot_end_it() {
    let mut world = World::seeded(85);
    world.wiretap = Some(Vec::new());
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (id, text) = world.invitation(alice);
    world.accepted(shop, &text);
    let mut answers = world.wiretap.iter().flatten().filter(|frame| frame.is_answer);
    let attempt = answers.find_map(|frame| match PairAnswer::decode(&frame.bytes) {
        Ok(PairAnswer::Second { attempt, .. }) => Some(attempt),
        _ => None,
    });
    let declined = PairRequest::Declined { attempt: attempt.expect("an attempt began") };
    let link = world.stranger(alice);
    world.requests(alice, link, Channel::Pair, declined.encode());
    assert_eq!(world.pairing(alice, id, PairingStage::Open).stage, PairingStage::Comparing);
}

#[test]
fn no_two_peers_have_one_name() {
    let mut world = World::seeded(86);
    let (alice, shop) = world.paired("alice", "shop");
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    let mut rename = |old: &str, new: &str| {
        world.outcome(alice, Command::Rename { old: old.to_owned(), new: new.to_owned() }).map(|_| ())
    };
    assert_eq!(rename("bank", "shop"), Err(Refusal::PetnameTaken { name: "shop".to_owned() }));
    assert_eq!(rename("bank", "my bank"), Ok(()));
    assert_eq!(rename("shop", "bank"), Ok(()), "the old name is free");
    assert_eq!(world.petname(alice, shop).as_deref(), Some("bank"));
    assert_eq!(world.petname(alice, bank).as_deref(), Some("my bank"));
}

#[test]
fn a_pairing_that_nobody_confirms_is_erased_also_after_a_restart() {
    let mut world = World::seeded(87);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (_, text) = world.invitation(alice);
    world.accepted(shop, &text);
    for (node, is_early) in [(alice, true), (shop, false)] {
        world.crash(node);
        if is_early {
            world.start(node);
        }
    }
    assert_eq!(world.known_peers(alice).len(), 1);
    world.run_for(Duration::from_secs(620));
    world.start(shop);
    world.run_for(Duration::from_secs(60));
    for node in [alice, shop] {
        assert!(world.known_peers(node).is_empty(), "{}", world.name(node));
    }
}

#[test]
fn words_that_are_not_shown_yet_are_confirmed_by_nobody() {
    let mut world = World::seeded(95);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    let (id, text) = world.invitation(shop);
    match world.outcome(shop, Command::Confirm { id, words: WordsAre::TheSame }) {
        Ok(Answer::Pairing(view)) => assert_eq!(view.stage, PairingStage::Open),
        other => panic!("{other:?}"),
    }
    world.accepted(alice, &text);
    assert_eq!(world.pairing(shop, id, PairingStage::Open).stage, PairingStage::Comparing);
}
