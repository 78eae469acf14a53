//! C9: pairing binds both sides' keys and roles.
//!
//! What each message of the handshake refuses is tested beside it (`allod-crypto`, `pairing::handshake`). Here: what two nodes believe in
//! the end, and what two people see when somebody stands between them who has photographed the code.

use std::collections::BTreeSet;

use allod_crypto::{
    BundleSecrets, Invitation, Paired,
    pairing::{Inviter, Scanner},
};
use allod_protocol::{relationship::Relationship, tx::Tx};
use allod_tests::{World, dice::Dice, network::NodeId};

fn known(world: &mut World, node: NodeId, peer: &str) -> Relationship {
    let now_us = world.now_us;
    let node = &mut world.nodes[node.0];
    let (vault, now, mut dice) = (node.vault(), node.now(now_us), node.dice.clone());
    let tx = Tx::new(&node.disk, &vault, &mut dice, now);
    Relationship::named(&tx, peer).unwrap()
}

#[test]
fn both_sides_hold_each_others_keys_ids_and_opposite_roles() {
    let mut world = World::seeded(9_000);
    let (alice, shop) = world.paired("alice", "shop");
    let (ours, theirs) = (known(&mut world, alice, "shop"), known(&mut world, shop, "alice"));
    assert_eq!(ours.tag, theirs.tag);
    assert_eq!(ours.side.role(), theirs.side.role().other());
    for (one, other) in [(&ours, &theirs), (&theirs, &ours)] {
        assert_eq!(one.their_key(), other.my_key());
        assert_eq!(one.their_static, other.agreement().public());
        assert_eq!((one.my_log, one.their_log), (other.their_log, other.my_log));
        let (mine, their) = (one.speaking(), other.speaking());
        assert_eq!((mine.my_route, mine.their_route), (their.their_route, their.my_route));
    }
}

/// A handshake between two sides that read the same code.
fn handshake(invitation: &Invitation, inviter: BundleSecrets, dice: &mut Dice) -> (Paired, Paired) {
    let scanner = BundleSecrets::generate(dice);
    let inviter = Inviter::begin(invitation, inviter, dice).unwrap();
    let (scanner, first) = Scanner::start(invitation, scanner, dice).unwrap();
    let (inviter, second) = inviter.on_first(&first).unwrap();
    let (scanner, third) = scanner.on_second(&second, dice).unwrap();
    let (inviter, fourth) = inviter.on_third(&third, dice).unwrap();
    let (scanned, fifth) = scanner.on_fourth(&fourth, dice).unwrap();
    (inviter.on_fifth(&fifth).unwrap(), scanned)
}

fn invitation(dice: &mut Dice) -> (Invitation, BundleSecrets) {
    let secrets = BundleSecrets::generate(dice);
    let address = allod_protocol::pairing::dial_address("/ip4/192.0.2.1/tcp/4433").unwrap();
    (Invitation::new(secrets.bundle().hash(), vec![address], 1_800_000_000, dice).unwrap(), secrets)
}

#[test]
fn somebody_in_the_middle_shows_the_two_people_different_words() {
    let mut dice = Dice::stream(9_100, "in the middle");
    let mut shown = BTreeSet::new();
    for _ in 0..100 {
        let (real, secrets) = invitation(&mut dice);
        let (false_one, false_secrets) = invitation(&mut dice);
        // Towards the inviter the thief scans; towards the other person it invites.
        let (inviter, thief) = handshake(&real, secrets, &mut dice);
        let (thief_too, scanner) = handshake(&false_one, false_secrets, &mut dice);
        assert_eq!((inviter.sas.words(), scanner.sas.words()), (thief.sas.words(), thief_too.sas.words()));
        assert_ne!(inviter.sas.words(), scanner.sas.words());
        assert_ne!(inviter.sas.emoji().map(|emoji| emoji.symbol), scanner.sas.emoji().map(|emoji| emoji.symbol));
        assert_ne!(inviter.transcript, scanner.transcript);
        shown.extend([inviter.sas.words(), scanner.sas.words()]);
    }
    assert_eq!(shown.len(), 200);
}

#[test]
fn a_code_whose_bundle_is_another_ones_pairs_with_nobody() {
    let mut dice = Dice::stream(9_200, "another bundle");
    let (real, secrets) = invitation(&mut dice);
    let (_, other_secrets) = invitation(&mut dice);
    assert!(Inviter::begin(&real, other_secrets, &mut dice).is_err());
    // Nor with an answer that was changed on the way.
    let (scanner, first) = Scanner::start(&real, BundleSecrets::generate(&mut dice), &mut dice).unwrap();
    let inviter = Inviter::begin(&real, secrets, &mut dice).unwrap();
    let (_, mut second) = inviter.on_first(&first).unwrap();
    let last = second.len() - 1;
    second[last] ^= 1;
    assert!(scanner.on_second(&second, &mut dice).is_err());
}
