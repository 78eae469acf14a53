//! Keeping: a node's own records through restarts, and logs that hold together.

use allod_crypto::{Domain, Padding, open, seal};
use allod_protocol::{
    codec::Coded,
    command::{Answer, Command},
    log::{self, OwnLog},
    relationship::Relationship,
    secret::StoredKey,
    table::{EntryPart, Key},
    tx::Tx,
    wire::body::entry_aad,
};
use allod_tests::World;

#[test]
fn how_far_each_has_the_others_log_is_shown() {
    let mut world = World::seeded(131);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.settle();
    let before = world.peer(alice, shop).mine_seq;
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    let (ours, theirs) = (world.peer(alice, shop), world.peer(shop, alice));
    // The grant with its keys, and the value.
    assert_eq!((ours.mine_seq, ours.queued), (before + 2, 0));
    assert_eq!((ours.mine_seq, ours.theirs_seq), (theirs.theirs_seq, theirs.mine_seq));
    world.stop(shop);
    world.settle();
    world.grant(alice, shop, ["contact/me/city"]);
    let now = world.peer(alice, shop);
    assert_eq!(now.queued, now.mine_seq - ours.mine_seq);
    assert!(now.queued > 0);
}

#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let mut world = World::seeded(120);
    let alice = world.person("alice");
    for number in 0..100 {
        world.set(alice, &format!("contact/c{number}/name"), &format!("name {number}"));
        if number % 10 == 9 {
            world.crash(alice);
            world.start(alice);
        }
    }
    for number in 0..100 {
        assert_eq!(world.own(alice, &format!("contact/c{number}/name")), format!("name {number}"));
    }
    world.verify(alice);
}

#[test]
fn both_sides_logs_verify_after_a_busy_day() {
    let mut world = World::seeded(121);
    let (alice, shop) = world.paired("alice", "shop");
    for round in 0..10 {
        world.set(alice, "contact/me/city", &format!("city {round}"));
        let grant = world.grant(alice, shop, ["contact/me/city"]);
        world.settle();
        world.text(shop, alice, "contact/me/city");
        world.settle();
        world.revoke(alice, &grant);
        world.settle();
        if round % 3 == 0 {
            world.crash(shop);
            world.start(shop);
            world.settle();
        }
    }
    world.verify(alice);
    world.verify(shop);
}

/// The key of an entry's body, as its row holds it.
#[derive(serde::Serialize, serde::Deserialize)]
struct BodyKey(StoredKey);

impl Coded for BodyKey {}

/// What a check finds in the logs of Alice after somebody with her disk and vault did this to her log to the shop.
fn found_after(harm: impl FnOnce(&mut Tx<'_>, &Relationship)) -> Vec<&'static str> {
    let mut world = World::seeded(122);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    world.grant(alice, shop, ["contact/me/city"]);
    world.settle();
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    let now_us = world.now_us;
    let node = &mut world.nodes[alice.0];
    let (vault, now) = (node.vault(), node.now(now_us));
    let mut tx = Tx::new(&node.disk, &vault, &mut node.dice, now);
    let relationship = Relationship::named(&tx, "shop").unwrap();
    assert!(log::own(&tx, &relationship).unwrap().next > 4, "there are entries before and after the second");
    harm(&mut tx, &relationship);
    let (writes, _) = tx.finish();
    node.disk.commit(&writes).unwrap();
    let Answer::Verified(view) = world.done(alice, Command::Verify { peer: None }) else { panic!("a check") };
    assert_eq!(view.ok, view.gaps.is_empty());
    view.gaps.into_iter().map(|(gap, _)| gap).collect()
}

#[test]
fn a_check_of_the_logs_says_what_is_wrong_with_them() {
    let header = |with: &Relationship, sequence| Key::entry(with.my_log, sequence, EntryPart::Header);
    let body = |with: &Relationship| Key::entry(with.my_log, 2, EntryPart::Body);
    let key = |with: &Relationship| Key::entry_key(with.my_log, 2, EntryPart::Body);
    assert_eq!(found_after(|_, _| {}), Vec::<&str>::new());
    assert_eq!(found_after(|tx, shop| tx.delete(&key(shop))), ["verify-body"], "what is signed does not open");
    let sealed_anew = found_after(|tx, shop| {
        let of = log::kept_header(tx, shop.my_log, 2).unwrap().unwrap();
        let BodyKey(stored) = tx.get(&key(shop)).unwrap().unwrap();
        let aad = entry_aad(b"body", &shop.tag, shop.my_log, 2, &of.previous);
        let sealed = tx.get_raw(&body(shop)).unwrap().unwrap();
        let plain = open(&stored.key(), Domain::EntryBody, &aad, &sealed, Padding::Padme).unwrap();
        let sealed = seal(&stored.key(), Domain::EntryBody, &aad, &plain, Padding::Padme, &mut *tx.dice);
        tx.put_raw(&body(shop), sealed);
    });
    assert_eq!(sealed_anew, ["verify-body"], "what opens is not what is signed");
    let missing = found_after(|tx, shop| tx.delete(&header(shop, 2)));
    assert_eq!(missing, ["verify-missing", "verify-broken"], "the one after it follows nothing");
    let forged = found_after(|tx, shop| {
        let mut signed = tx.get_raw(&header(shop, 2)).unwrap().unwrap();
        *signed.last_mut().unwrap() ^= 1;
        tx.put_raw(&header(shop, 2), signed);
    });
    assert_eq!(forged, ["verify-signature", "verify-broken"]);
    let moved = found_after(|tx, shop| {
        let third = tx.get_raw(&header(shop, 3)).unwrap().unwrap();
        tx.put_raw(&header(shop, 2), third);
    });
    assert_eq!(moved, ["verify-broken", "verify-broken"], "in the place of another, and no longer before the next");
    let headless = found_after(|tx, shop| {
        let key = Key::own_log(shop.id);
        let mut own: OwnLog = tx.get(&key).unwrap().unwrap();
        own.last = [9; 32];
        tx.put(&key, &own);
    });
    assert_eq!(headless, ["verify-head"]);
}
