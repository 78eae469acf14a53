//! The engine's own watch: a step that would break a promise ends the process before anything of it is written or sent.
//!
//! The engine has no such step, so each test makes one by hand, as a fault of a module would.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use allod_protocol::{
    command::{Direction, Mode},
    delivery,
    grant::Grant,
    id::LogId,
    log::{self, OwnLog, TheirLog},
    promise,
    purpose::Purpose,
    relationship::Relationship,
    table::Key,
    tx::Tx,
    wire::body::{Body, KeysChanged},
};
use allod_tests::{World, network::NodeId, story::Terms};

const CITY: &str = "contact/me/city";
const STREET: &str = "contact/me/street";

/// Alice lends two fields to a shop, and one of them to a bank; she took the street back from the shop, and everything from the bank. A gym
/// lends her something, and has something of hers for an hour.
fn life() -> (World, NodeId) {
    let mut world = World::seeded(9_100);
    let (alice, shop) = world.paired("alice", "shop");
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    for path in [CITY, STREET] {
        world.set(alice, path, "Paris");
    }
    world.grant(alice, shop, [CITY, STREET]);
    let ended = world.grant(alice, bank, [CITY]);
    let gym = world.vendor("gym");
    world.pair(alice, gym);
    world.set(gym, CITY, "Rennes");
    world.grant(gym, alice, [CITY]);
    world.grant_on(alice, gym, [CITY], Terms { until: Some(Duration::from_secs(3_600)), ..Terms::default() });
    world.settle();
    world.revoke_fields(alice, shop, &[STREET]);
    world.revoke(alice, &ended);
    world.settle();
    (world, alice)
}

/// What the watch says of a step that `change` makes.
fn said(change: impl FnOnce(&mut Tx<'_>)) -> Option<String> {
    let (mut world, alice) = life();
    let now_us = world.now_us;
    let node = &mut world.nodes[alice.0];
    let (vault, now) = (node.vault(), node.now(now_us));
    let mut tx = Tx::new(&node.disk, &vault, &mut node.dice, now);
    change(&mut tx);
    let held = catch_unwind(AssertUnwindSafe(|| promise::hold(&tx)));
    held.map(|held| held.expect("the home is sound")).err().map(words)
}

fn words(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn peer(tx: &Tx<'_>, name: &str) -> Relationship {
    Relationship::named(tx, name).expect("they are paired")
}

fn only_grant(tx: &Tx<'_>, name: &str) -> Grant {
    Grant::with(tx, peer(tx, name).id).expect("the home is sound").remove(0)
}

fn grant_with_gym(tx: &Tx<'_>, direction: Direction) -> Grant {
    let grants = Grant::with(tx, peer(tx, "gym").id).expect("the home is sound");
    grants.into_iter().find(|grant| grant.direction == direction).expect("there is one each way")
}

/// An entry with a payload, noted as handed over under `grant`.
fn hands_over(tx: &mut Tx<'_>, to: &str, grant: &mut Grant) {
    let relationship = peer(tx, to);
    let body = Body::Keys(KeysChanged { grant: grant.id, keys: vec![(0, 0)] });
    let sequence = log::append(tx, &relationship, &body, Some(b"what was lent")).expect("the home is sound");
    delivery::note_flight(tx, &relationship, grant, sequence).unwrap();
}

#[test]
fn what_honest_steps_write_breaks_nothing() {
    assert_eq!(said(|_| {}), None);
    assert_eq!(
        said(|tx| {
            let mut grant = only_grant(tx, "shop");
            hands_over(tx, "shop", &mut grant);
            grant.save(tx);
        }),
        None
    );
}

#[test]
fn a_revocation_cannot_be_forgotten() {
    let revived = said(|tx| {
        let mut grant = only_grant(tx, "bank");
        grant.ended = None;
        tx.delete(&Key::ended_grant(grant.relationship, grant.id));
        grant.save(tx);
    });
    assert_eq!(revived.as_deref(), Some("I2: a grant that ended goes on"));
    let lent_again = said(|tx| {
        let mut grant = only_grant(tx, "shop");
        grant.selectors[1].taken_back = None;
        grant.save(tx);
    });
    assert_eq!(lent_again.as_deref(), Some("I2: it is forgotten that a selector was taken back"));
    let dropped = said(|tx| {
        let grant = only_grant(tx, "bank");
        tx.delete(&Key::ended_grant(grant.relationship, grant.id));
    });
    assert_eq!(dropped.as_deref(), Some("I2: a grant is dropped while its peer is known"));
}

#[test]
fn what_was_agreed_stays_what_it_is() {
    let longer = said(|tx| {
        let mut grant = only_grant(tx, "shop");
        grant.not_after = Some(tx.wall().after(Duration::from_secs(1)));
        grant.save(tx);
    });
    assert_eq!(longer.as_deref(), Some("I3: what was agreed became something else"));
    let turned = said(|tx| {
        let mut grant = only_grant(tx, "shop");
        grant.direction = Direction::Held;
        grant.save(tx);
    });
    assert_eq!(turned.as_deref(), Some("I3: what was agreed became something else"));
    let others: [fn(&mut Grant); 4] = [
        |grant| grant.agreement = [9; 32],
        |grant| grant.selectors.push(grant.selectors[0].clone()),
        |grant| grant.purpose = Purpose::parse("DirectMarketing").expect("a known purpose"),
        |grant| grant.mode = Mode::Once,
    ];
    for change in others {
        let changed = said(|tx| {
            let mut grant = only_grant(tx, "shop");
            change(&mut grant);
            grant.save(tx);
        });
        assert_eq!(changed.as_deref(), Some("I3: what was agreed became something else"));
    }
}

#[test]
fn nothing_is_lent_under_a_grant_that_ended_or_to_somebody_else() {
    let ended = said(|tx| {
        let mut grant = only_grant(tx, "bank");
        hands_over(tx, "bank", &mut grant);
    });
    assert_eq!(ended.as_deref(), Some("I1: something is lent under a grant that was taken back"));
    let over = said(|tx| {
        let mut grant = grant_with_gym(tx, Direction::Given);
        tx.now.wall = tx.now.wall.after(Duration::from_secs(3_600));
        hands_over(tx, "gym", &mut grant);
    });
    assert_eq!(over.as_deref(), Some("I1: something is lent under a grant that ended"));
    let borrowed = said(|tx| {
        let mut grant = grant_with_gym(tx, Direction::Held);
        hands_over(tx, "gym", &mut grant);
    });
    assert_eq!(borrowed.as_deref(), Some("I1: something is lent under a grant of another"));
    let elsewhere = said(|tx| {
        let mut grant = only_grant(tx, "shop");
        hands_over(tx, "bank", &mut grant);
    });
    assert_eq!(elsewhere.as_deref(), Some("I3: what is lent to one peer would go to another"));
}

#[test]
fn no_log_and_no_head_goes_back() {
    let own = said(|tx| {
        let key = Key::own_log(peer(tx, "shop").id);
        let mut own: OwnLog = tx.get(&key).unwrap().unwrap();
        own.next -= 1;
        tx.put(&key, &own);
    });
    assert_eq!(own.as_deref(), Some("I4: our own log went back"));
    let exchanged = said(|tx| {
        let key = Key::own_log(peer(tx, "shop").id);
        let mut own: OwnLog = tx.get(&key).unwrap().unwrap();
        own.log = LogId::from_bytes([9; 16]);
        tx.put(&key, &own);
    });
    assert_eq!(exchanged.as_deref(), Some("I4: our log to a peer became another"));
    let had = said(|tx| {
        let key = Key::own_log(peer(tx, "shop").id);
        let mut own: OwnLog = tx.get(&key).unwrap().unwrap();
        own.acknowledged -= 1;
        tx.put(&key, &own);
    });
    assert_eq!(had.as_deref(), Some("I4: what a peer has of our log went back"));
    let theirs = |change: fn(&mut TheirLog)| {
        said(|tx| {
            let key = Key::their_log(peer(tx, "shop").id);
            let mut their: TheirLog = tx.get(&key).unwrap().unwrap();
            change(&mut their);
            tx.put(&key, &their);
        })
    };
    let exchanged = theirs(|their| their.log = LogId::from_bytes([9; 16]));
    assert_eq!(exchanged.as_deref(), Some("I4: a peer's log to us became another"));
    assert_eq!(theirs(|their| their.next -= 1).as_deref(), Some("I4: a peer's log went back"));
    assert_eq!(theirs(|their| their.head = None).as_deref(), Some("I4: the highest head of a peer went back"));
    let earlier = theirs(|their| {
        let head = their.head.as_mut().expect("the shop signed heads");
        head.sequence += 1;
        head.at = allod_protocol::time::Timestamp::from_millis(head.at.as_millis() - 1);
    });
    assert_eq!(earlier.as_deref(), Some("I4: a peer's head went back in time"));
}

#[test]
fn what_was_taken_back_does_not_leave_even_if_it_lies_ready() {
    let (mut world, alice) = life();
    let now_us = world.now_us;
    world.stop(alice);
    let node = &mut world.nodes[alice.0];
    let (vault, now) = (node.vault(), node.now(now_us));
    let mut tx = Tx::new(&node.disk, &vault, &mut node.dice, now);
    let mut grant = only_grant(&tx, "bank");
    hands_over(&mut tx, "bank", &mut grant);
    grant.save(&mut tx);
    let (writes, _) = tx.finish();
    node.disk.commit(&writes).unwrap();
    world.start(alice);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run_for(Duration::from_secs(600))));
    let said = ran.err().map(words).expect("it was about to be sent");
    assert_eq!(said, "I1: something is lent under a grant that was taken back");
}
