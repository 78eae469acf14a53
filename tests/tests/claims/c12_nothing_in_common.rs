//! C12: two vendors pooling all that the protocol gives them share no 16-byte string of ours.
//!
//! Both vendors' nodes give the attacker everything: rows, opened sessions, entries, keys, cells, hints. Each 16 bytes in a row that both
//! have of the same person would link them. What both have of *different* people too (kinds and field names, the built-in agreement,
//! layouts, a byte before padding) says nothing, so the same life is lived in other worlds, by other people with the same values at the same
//! times, and what is found there as well is left out. A mailbox is one byte that strangers share by chance; it has a test of its own. Not covered, and said: addresses, timing, and the values and literal record ids themselves.

use std::collections::HashSet;

use allod_crypto::Vault;
use allod_protocol::{command::NodeKind, effect::Channel, relationship::Relationship, tx::Tx, wire::hint};
use allod_tests::{
    World,
    attacker::{Search, plunder},
    network::NodeId,
    node::{BEGINNING_MS, Reach},
};
use std::time::Duration;

type Windows = HashSet<[u8; 16]>;

/// Times to the millisecond tell when, and are blanked: that timing links is said.
fn without_times(bytes: &[u8]) -> Vec<u8> {
    let within = |number: u64| (BEGINNING_MS..BEGINNING_MS + 100 * 86_400_000).contains(&number);
    let mut blanked = bytes.to_vec();
    for place in 0..bytes.len().saturating_sub(7) {
        let eight: [u8; 8] = bytes[place..place + 8].try_into().expect("eight");
        if within(u64::from_le_bytes(eight)) || within(u64::from_be_bytes(eight)) {
            blanked[place..place + 8].fill(0);
        }
    }
    blanked
}

fn windows(bytes: &[u8], into: &mut Windows) {
    let bytes = without_times(bytes);
    // Of sixteen bytes that were drawn, hardly ever fewer than ten differ. Padding and a blanked time with a byte beside them agree by chance.
    let says_something = |window: &&[u8]| window.iter().collect::<HashSet<_>>().len() > 4;
    let windows = bytes.windows(16).filter(says_something);
    into.extend(windows.map(|window| <[u8; 16]>::try_from(window).expect("sixteen")));
}

/// All that a vendor's node ever had of one person: what opened, and what was on its lines.
fn pool(world: &World, vendor: NodeId, older: Vault) -> Windows {
    let loot = world.loot(vendor, vec![older]);
    let spoils = plunder(&loot, Search::Keys);
    assert!(spoils.sessions > 0 && !spoils.cells.is_empty());
    let mut pool = Windows::new();
    for plain in &spoils.plaintexts {
        windows(plain, &mut pool);
    }
    for (key, stored) in &loot.rows {
        windows(key, &mut pool);
        windows(stored, &mut pool);
    }
    for (cell, plain) in &spoils.cells {
        windows(&cell.sealed, &mut pool);
        windows(plain, &mut pool);
    }
    for key in &spoils.keys {
        windows(key, &mut pool);
    }
    let frames = world.wiretap.iter().flatten().filter(|frame| frame.from == vendor || frame.to == vendor);
    for frame in frames {
        windows(&frame.bytes, &mut pool);
    }
    let (tags, mut hints) = (tags(world, vendor), 0);
    for (_, hint) in world.published.iter().filter(|(_, hint)| tags.contains(&hint[2..18])) {
        windows(hint, &mut pool);
        hints += 1;
    }
    assert!(hints > 0, "nobody hinted");
    for tag in tags {
        windows(&tag, &mut pool);
    }
    pool
}

/// What a vendor's row says of ana.
fn of_ana<T>(world: &World, vendor: NodeId, say: impl Fn(&Relationship) -> T) -> T {
    let node = &world.nodes[vendor.0];
    let (vault, now, mut dice) = (node.vault(), node.now(world.now_us), node.dice.clone());
    let tx = Tx::new(&node.disk, &vault, &mut dice, now);
    say(&Relationship::named(&tx, "ana").expect("they are paired"))
}

/// The tags by which this vendor knows hints of ana, and ana its own.
fn tags(world: &World, vendor: NodeId) -> HashSet<Vec<u8>> {
    let (today, key) =
        (world.nodes[vendor.0].now(world.now_us).wall.day(), of_ana(world, vendor, Relationship::hint_key));
    let all = [false, true].into_iter().flat_map(|inviter| (today - 1..=today + 1).map(move |day| (inviter, day)));
    all.map(|(inviter, day)| hint::tag(&key, day, inviter).to_vec()).collect()
}

/// The same life in each world but for what is drawn.
fn live(seed: u64) -> (World, [(NodeId, Vault); 2]) {
    let mut world = World::seeded(seed);
    let person = world.node("ana", NodeKind::Person, Reach::Nobody);
    let vendors = ["shop", "bank"].map(|name| world.vendor(name));
    for vendor in vendors {
        world.expose(vendor);
        world.pair(person, vendor);
    }
    // Values' times travel in whole seconds: the same ones in both worlds.
    world.run_for(Duration::from_micros(1_000_000_000 - world.now_us));
    world.set(person, "contact/me/city", "a value that both were lent");
    for id in ["an-id-that-is-not-lent-1", "an-id-that-is-not-lent-2"] {
        world.set(person, &format!("transaction/{id}/amount"), "another value that both were lent");
    }
    world.run_for(Duration::from_micros(1_010_000_000 - world.now_us));
    let grants = vendors.map(|vendor| {
        world.run_for(Duration::from_millis(700));
        world.grant(person, vendor, ["contact/me/city", "transaction/*/amount"])
    });
    world.settle();
    for vendor in vendors {
        assert_eq!(world.text(vendor, person, "contact/me/city"), "a value that both were lent");
    }
    world.run_for(Duration::from_micros(1_100_000_000 - world.now_us));
    world.set(person, "contact/me/city", "a newer value that both were lent");
    world.settle();
    // Away and back, so that hints and new sessions are among it.
    for vendor in vendors {
        world.stop(vendor);
    }
    // A line that broke is noticed: from then on there are hints.
    world.run_for(Duration::from_secs(70));
    world.set(person, "contact/me/city", "a third value that both were lent");
    for vendor in vendors {
        world.start(vendor);
        world.run_for(Duration::from_millis(1_300));
    }
    world.run_for(Duration::from_secs(400));
    world.remove(person, "transaction/an-id-that-is-not-lent-1");
    world.settle();
    // Purging will rotate them away.
    let vaults = vendors.map(|vendor| (vendor, world.nodes[vendor.0].vault()));
    for grant in grants {
        world.run_for(Duration::from_millis(900));
        world.revoke(person, &grant);
    }
    world.settle();
    (world, vaults)
}

#[test]
fn what_two_vendors_have_of_one_person_they_also_have_of_any_other() {
    let pools = |seed| {
        let (world, vendors) = live(seed);
        vendors.map(|(vendor, vault)| pool(&world, vendor, vault))
    };
    let anybody: Windows = (12_001..=12_006).flat_map(pools).flatten().collect();
    // Where two vendors were told one mailbox, or drew one, by chance, that is a byte beside her name: it has a test of its own.
    let seeds: Vec<u64> = (12_010..12_030)
        .filter(|seed| {
            let (world, [(one, _), (other, _)]) = live(*seed);
            let mailboxes = |vendor| of_ana(&world, vendor, |ana| [ana.mailbox, ana.their_profile.mailbox]);
            let [theirs, hers] = mailboxes(one);
            mailboxes(other)[0] != theirs && mailboxes(other)[1] != hers
        })
        .take(4)
        .collect();
    assert_eq!(seeds.len(), 4, "two vendors are told one mailbox more often than not");
    for seed in seeds {
        let [one, other] = pools(seed);
        let common: Vec<&[u8; 16]> = one.intersection(&other).collect();
        let linking: Vec<&[u8; 16]> = common.iter().copied().filter(|window| !anybody.contains(*window)).collect();
        println!("{} and {} strings, {} in common, {} that link", one.len(), other.len(), common.len(), linking.len());
        for window in linking.iter().take(20) {
            println!("  {window:02x?} {:?}", String::from_utf8_lossy(*window));
        }
        assert!(linking.is_empty(), "seed {seed}: {} strings link the two vendors", linking.len());
    }
}

#[test]
fn two_vendors_are_told_one_mailbox_no_more_often_than_strangers_are() {
    const STARTS: usize = 24;
    let mut world = World::seeded(12_200);
    let person = world.node("ana", NodeKind::Person, Reach::Nobody);
    let vendors = ["shop", "bank"].map(|name| world.vendor(name));
    for vendor in vendors {
        world.pair(person, vendor);
    }
    let (mut alike, mut seen) = (0, HashSet::new());
    for _ in 0..STARTS {
        world.stop(person);
        world.run_for(Duration::from_secs(1));
        world.start(person);
        world.run_for(Duration::from_secs(400));
        let [one, other] = vendors.map(|vendor| of_ana(&world, vendor, |ana| ana.their_profile.mailbox));
        alike += usize::from(one == other);
        seen.extend([one, other]);
    }
    println!("{STARTS} starts, {} mailboxes, {alike} times the same", seen.len());
    assert!(seen.len() > STARTS / 2, "they are drawn at each start");
    assert!(alike <= 3, "{alike} of {STARTS}");
}

#[test]
fn a_lent_column_tells_no_record_id() {
    let (world, vendors) = live(12_100);
    for (vendor, vault) in vendors {
        let spoils = plunder(&world.loot(vendor, vec![vault]), Search::Keys);
        assert!(spoils.knows("another value that both were lent"));
        assert!(!spoils.knows("an-id-that-is-not-lent"));
    }
    let frames = world.wiretap.iter().flatten().filter(|frame| frame.channel == Channel::Session);
    assert!(frames.count() > 20);
}
