//! C3: a cell moved to another field, record, relationship, epoch or version never opens.

use std::{collections::BTreeSet, time::Duration};

use allod_crypto::{Domain, Padding, SecretKey, open, seal};
use allod_protocol::{
    codec::Coded,
    delivery,
    grant::Grant,
    id::{GrantId, LogId, Pseudonym},
    log,
    path::Selector,
    relationship::Relationship,
    tx::Tx,
    wire::body::{Body, CellPlace, CellRef, Cells, CellsPayload},
};
use allod_tests::{
    World,
    attacker::{SealedCell, Search, plunder},
    dice::Dice,
    network::NodeId,
};

#[test]
fn of_all_places_a_cell_opens_in_its_own() {
    let selectors: Vec<Selector> = ["contact/me/city", "contact/me/street", "contact/you/city", "contact/*/city"]
        .iter()
        .map(|selector| selector.parse().unwrap())
        .collect();
    let mut places = BTreeSet::new();
    for number in 0u32..1_024 {
        let bit = |place: u32| u8::try_from(number >> place & 1).unwrap();
        let selector = &selectors[usize::from(bit(0) + 2 * bit(1))];
        let record = (bit(2) == 1).then(|| Pseudonym::from_bytes([1 + bit(3); 16]));
        let place = CellPlace {
            relationship: &[bit(4); 32],
            log: LogId::from_bytes([bit(5); 16]),
            grant: GrantId::from_bytes([bit(6); 16]),
            selector,
            record,
            epoch: u32::from(bit(7)),
            version: u64::from(bit(8)),
            agreement: &[bit(9); 32],
        };
        places.insert(place.aad());
    }
    // Without a record its bit says nothing.
    assert_eq!(places.len(), 4 * 3 * 64, "each place has an AAD of its own");
    let mut dice = Dice::stream(3_000, "places");
    let key = SecretKey::random(&mut dice);
    let mut tried = 0;
    for here in places.iter().step_by(5) {
        let sealed = seal(&key, Domain::Cell, here, b"Paris", Padding::Padme, &mut dice);
        for there in &places {
            let opened = open(&key, Domain::Cell, there, &sealed, Padding::Padme).is_ok();
            assert_eq!(opened, here == there);
            tried += 1;
        }
    }
    println!("{} places, {tried} moves", places.len());
}

/// What an owner whose node was changed sends: a cell in a place that it was not sealed for.
fn send_moved(world: &mut World, alice: NodeId, peer: &str, cell: &SealedCell, reference: CellRef) {
    let now_us = world.now_us;
    let node = &mut world.nodes[alice.0];
    let (vault, now) = (node.vault(), node.now(now_us));
    let mut tx = Tx::new(&node.disk, &vault, &mut node.dice, now);
    let relationship = Relationship::named(&tx, peer).unwrap();
    let payload = CellsPayload { cells: vec![cell.sealed.clone().into()] }.encode();
    let body = Body::Cells(Cells { grant: cell.grant, cells: vec![reference] });
    let sequence = log::append(&mut tx, &relationship, &body, Some(&payload)).unwrap();
    let mut grant = Grant::find(&tx, relationship.id, cell.grant).unwrap().unwrap();
    delivery::note_flight(&mut tx, &relationship, &mut grant, sequence).unwrap();
    grant.save(&mut tx);
    let (writes, _) = tx.finish();
    node.disk.commit(&writes).unwrap();
}

#[test]
fn a_holder_refuses_a_cell_that_was_moved_and_shows_what_it_had() {
    let moves: [(&str, CellRef); 4] = [
        ("another field", CellRef { selector: 1, record: None, epoch: 0, version: 9, gone: false }),
        ("another version", CellRef { selector: 0, record: None, epoch: 0, version: 9, gone: false }),
        (
            "another record",
            CellRef { selector: 2, record: Some(Pseudonym::from_bytes([7; 16])), epoch: 0, version: 9, gone: false },
        ),
        ("the same field and version", CellRef { selector: 0, record: None, epoch: 0, version: 1, gone: false }),
    ];
    for (what, reference) in moves {
        let mut world = World::seeded(3_100);
        let (alice, shop) = (world.person("alice"), world.vendor("shop"));
        world.expose(shop);
        world.pair(alice, shop);
        for (path, text) in [("city", "Paris"), ("street", "3 rue des Lilas")] {
            world.set(alice, &format!("contact/me/{path}"), text);
        }
        world.set(alice, "transaction/1/amount", "1");
        let lent = ["contact/me/city", "contact/me/street", "transaction/*/amount"];
        world.grant(alice, shop, lent);
        world.settle();
        let spoils = plunder(&world.loot(shop, Vec::new()), Search::Keys);
        let city = spoils.cells.iter().find(|(cell, _)| cell.selector == "contact/me/city").expect("it is lent");
        world.stop(alice);
        send_moved(&mut world, alice, "shop", &city.0, reference);
        world.start(alice);
        world.run_for(Duration::from_secs(120));
        for (path, text) in [("city", "Paris"), ("street", "3 rue des Lilas")] {
            assert_eq!(world.text(shop, alice, &format!("contact/me/{path}")), text, "{what}");
        }
        assert_eq!(world.column(shop, alice, "transaction", "amount"), ["1"], "{what}");
        assert!(world.runs(shop), "{what}");
    }
}
