//! Sizes that do not depend on the machine: bytes on the wire, rows of a revocation, what reading keeps at hand, and what is taken on a
//! disk that is nearly full.

use std::time::Duration;

use allod_protocol::{
    command::{Answer, Command, Mode, Outcome, PeerState},
    effect::Effect,
    grant::Grant,
    id::GrantId,
    limits::SELECTORS_MAX,
    path::{FieldPath, Path, Selector},
    refusal::{Code, Refusal},
    relationship::Relationship,
    tx::Tx,
    value::Value,
};
use allod_tests::{
    World,
    bench::{
        bytes, change,
        pair::{Pair, Who, column, grant, item, path, petname},
        prepared,
    },
    story::Terms,
};

const FIELD: &str = change::FIELD;

fn get(pair: &mut Pair, path: &FieldPath) -> Outcome {
    let paths = vec![Path::Field(path.clone())];
    pair.command(Who::Vendor, Command::Get { paths, from: Some(prepared::owner()) })
}

fn value(outcome: Outcome) -> Value {
    let Ok(Answer::Fields(mut fields)) = outcome else { panic!("{outcome:?}") };
    fields.remove(0).value
}

fn set(pair: &mut Pair, text: &str) {
    pair.command(Who::Person, Command::Set { items: vec![item(path(FIELD), text)] }).expect("it is set");
}

fn lent(pair: &mut Pair, selectors: Vec<Selector>) -> String {
    let Ok(Answer::Granted(view)) = pair.command(Who::Person, grant(&petname(0), selectors, Mode::Follow)) else {
        panic!("it is lent")
    };
    view.grant
}

#[test]
fn a_changed_field_of_twenty_bytes_takes_two_messages_and_1650_bytes() {
    let wire = bytes::of_one_change(&mut change::lent());
    assert_eq!(wire.messages, 2);
    assert!(wire.size_bytes <= 1_650, "{wire:?}");
}

#[test]
fn a_revocation_writes_few_rows_and_none_of_anyone_else_whatever_was_lent() {
    let single = Selector::Field(path(&format!("{}/amount", prepared::record(0))));
    let mut sizes = Vec::new();
    for selector in [single.clone(), column(prepared::COLUMN)] {
        let mut pair = prepared::with_records(2_000, 20);
        let others = prepared::relationships(&pair.person, (1..40).map(petname));
        pair.person.commit(&others);
        for other in 1..40 {
            let (_, event) = pair.person.event_of(grant(&petname(other), vec![single.clone()], Mode::Follow));
            pair.person.step(event);
        }
        let id = lent(&mut pair, vec![selector]);
        let (_, event) = pair.person.event_of(Command::RevokeGrant { grant: id.clone() });
        let (writes, _) = pair.person.handle(event);
        pair.person.commit(&writes);
        let (vault, mut dice) = (pair.person.vault(), rand_core::UnwrapErr(getrandom::SysRng));
        let tx = Tx::new(pair.person.view(), &vault, &mut dice, pair.person.now());
        let peer = Relationship::named(&tx, &petname(0)).unwrap();
        let grant = allod_protocol::grant::Grant::named(&tx, &id).unwrap();
        let ours = [*peer.id.as_bytes(), *peer.my_log.as_bytes(), *grant.id.as_bytes()];
        for (key, _) in writes.writes() {
            assert!(ours.iter().any(|id| key.windows(16).any(|part| part == id)), "a row of table {}", key[0] as char);
        }
        sizes.push((writes.len(), pair.person.last_commit().size_bytes));
    }
    assert_eq!(sizes[0].0, sizes[1].0, "as many rows for a column as for a field");
    assert!(sizes.iter().all(|(rows, bytes)| *rows <= 9 && *bytes <= 1_800), "{sizes:?}");
}

#[test]
fn what_is_at_hand_follows_every_change_that_reading_depends_on() {
    let mut pair = change::lent();
    let field = path(FIELD);
    assert_eq!(value(get(&mut pair, &field)), Value::text("Lyon"));
    set(&mut pair, "Brest");
    assert_eq!(value(get(&mut pair, &field)), Value::text("Brest"), "a new version");

    let second = lent(&mut pair, vec![Selector::Field(field.clone())]);
    pair.command(
        Who::Person,
        Command::RevokePeer { peer: petname(0), selectors: vec![Selector::Field(field.clone())] },
    )
    .expect("all of it is taken back");
    let refused = get(&mut pair, &field);
    assert!(matches!(refused, Err(Refusal::TakenBack { .. })), "{second}: {refused:?}");

    lent(&mut pair, vec![Selector::Field(field.clone())]);
    assert_eq!(value(get(&mut pair, &field)), Value::text("Brest"), "lent again");
    pair.command(Who::Vendor, Command::Rename { old: prepared::owner(), new: "a customer".to_owned() }).unwrap();
    assert!(matches!(get(&mut pair, &field), Err(Refusal::NoPeer { .. })), "the old name leads nowhere");
    pair.command(Who::Vendor, Command::Rename { old: "a customer".to_owned(), new: prepared::owner() }).unwrap();
    assert_eq!(value(get(&mut pair, &field)), Value::text("Brest"));

    // The vendor hears nothing for longer than the lease: only its own clock goes on.
    pair.cut();
    pair.settle();
    pair.vendor.let_pass(Duration::from_secs(8 * 86_400));
    let refused = ask_offline(&mut pair, &field);
    assert!(matches!(refused, Err(Refusal::LeaseOver { .. })), "{refused:?}");
}

#[test]
fn what_is_at_hand_is_bounded_whoever_lends_how_much() {
    const STRANGER: &str = "somebody else";
    let columns = (0..SELECTORS_MAX).map(|number| column(&format!("contact/*/f{number}"))).collect();
    // Of each of two peers more than half of what there is room for; then of each more than that.
    for (wide, kept) in [(200, 1), (300, 0)] {
        let mut pair = change::lent();
        lent(&mut pair, Vec::clone(&columns));
        let stranger = prepared::relationships(&pair.vendor, std::iter::once(STRANGER.to_owned()));
        pair.vendor.commit(&stranger);
        let copies = {
            let (vault, mut dice) = (pair.vendor.vault(), rand_core::UnwrapErr(getrandom::SysRng));
            let mut tx = Tx::new(pair.vendor.view(), &vault, &mut dice, pair.vendor.now());
            let [owner, stranger] =
                [prepared::owner(), STRANGER.to_owned()].map(|name| Relationship::named(&tx, &name).unwrap().id);
            let held = Grant::live_with(&tx, owner).unwrap();
            let one = held.into_iter().find(|grant| grant.selectors.len() == SELECTORS_MAX).unwrap();
            for (relationship, _) in [owner, stranger].into_iter().flat_map(|id| (0..wide).map(move |n| (id, n))) {
                let id = GrantId::random(&mut *tx.dice);
                Grant { id, relationship, ..one.clone() }.save(&mut tx);
            }
            tx.finish().0
        };
        pair.vendor.commit(&copies);
        for _ in 0..2 {
            assert_eq!(value(get(&mut pair, &path(FIELD))), Value::text("Lyon"));
            assert_eq!(pair.vendor.keys_at_hand(), kept, "{wide} grants of {SELECTORS_MAX} selectors");
            let paths = vec![Path::Field(path(FIELD))];
            let refused = pair.command(Who::Vendor, Command::Get { paths, from: Some(STRANGER.to_owned()) });
            assert!(matches!(refused, Err(Refusal::NoGrantFrom { .. })), "{refused:?}");
            assert_eq!(pair.vendor.keys_at_hand(), 0, "the one makes room for the other");
        }
    }
}

/// A read of the vendor's while nothing is carried.
fn ask_offline(pair: &mut Pair, field: &FieldPath) -> Outcome {
    let command = Command::Get { paths: vec![Path::Field(field.clone())], from: Some(prepared::owner()) };
    let (_, event) = pair.vendor.event_of(command);
    let reply = pair.vendor.step(event).into_iter().find_map(|effect| match effect {
        Effect::Reply { outcome, .. } => Some(outcome),
        _ => None,
    });
    reply.expect("it is answered at once")
}

#[test]
fn a_shop_pairs_with_a_hundred_customers_in_an_hour() {
    let mut pair = Pair::in_memory();
    for number in 0..100 {
        pair.meet(number);
    }
}

#[test]
fn on_a_disk_that_is_nearly_full_entries_of_others_wait_and_the_own_do_not() {
    let mut world = World::seeded(61);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let given = world.grant(alice, shop, ["contact/me/city"]);
    world.set(shop, "offer/1/price", "10");
    let terms = Terms { lease: Some(Duration::from_secs(600)), ..Terms::default() };
    world.grant_on(shop, alice, ["offer/1/price"], terms);
    world.settle();
    assert_eq!(world.text(alice, shop, "offer/1/price"), "10");

    world.room(alice, true);
    world.settle();
    let (before, ..) = world.height_of(alice, shop);
    for price in 11..40 {
        world.set(shop, "offer/1/price", &price.to_string());
        world.settle();
    }
    assert_eq!(world.height_of(alice, shop).0, before, "entries of another were taken");
    // Neither side says it again and again.
    let steps = world.steps;
    world.run_for(Duration::from_secs(300));
    assert!(world.steps - steps < 100, "{} steps in five minutes", world.steps - steps);
    // The own side goes on, and is heard.
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    world.revoke(alice, &given);
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    // What may have been taken back meanwhile is not read for longer than its lease.
    world.run_for(Duration::from_secs(700));
    assert_eq!(world.refused(alice, shop, "offer/1/price"), Code::LeaseOver);
    // Whoever starts again with such a disk does not take anything either.
    world.stop(alice);
    world.start(alice);
    world.run_for(Duration::from_secs(400));
    assert_eq!(world.height_of(alice, shop).0, before);

    world.room(alice, false);
    world.settle();
    assert_eq!(world.text(alice, shop, "offer/1/price"), "39");
    world.verify(alice);
    world.verify(shop);
}

#[test]
fn one_pairs_also_with_a_disk_that_is_nearly_full() {
    let mut world = World::seeded(62);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    world.room(alice, true);
    world.pair(shop, alice);
    assert_eq!(world.peer(alice, shop).state, PeerState::Paired);
}
