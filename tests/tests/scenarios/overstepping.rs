//! Peers with real keys that say what is not theirs to say: from the wrong side, twice, too late, about what never was, over another line.

use std::time::Duration;

use allod_crypto::{Domain, Padding, XWingSecret, seal};
use allod_protocol::{
    ask::Ask,
    codec::Coded,
    command::{AskState, Command, Direction, Mode, PeerState, Purge},
    effect::Channel,
    id::{AskId, GrantId, LogId, Pseudonym, RouteId},
    limits::{LEASE_MAX, LEASE_MIN},
    log,
    purpose::Purpose,
    refusal::{Code, Refusal},
    relationship::Relationship,
    secret::StoredKey,
    table::{Key, Table},
    time::Timestamp,
    value::Value,
    wire::{
        body::{
            Answered, AskEnd, Asked, Body, CellContent, CellPlace, CellRef, Cells, CellsPayload, Granted, KeysChanged,
            KeysPayload, Paired, Purged, Read, Rekey, RekeyStep, Revoked, UseLine, Used,
        },
        header::{ENTRY_DOMAIN, Head, Header},
        session::{SessionAnswer, Sync},
    },
};
use allod_tests::{
    World,
    dice::Dice,
    evil::{Evil, Met},
    network::NodeId,
    story::Terms,
};

const CITY: &str = "contact/me/city";
const STREET: &str = "contact/me/street";

/// Alice lends a city and a street to a shop.
fn lent(seed: u64, terms: Terms) -> (World, NodeId, NodeId, GrantId) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    for path in [CITY, STREET] {
        world.set(alice, path, "Paris");
    }
    world.grant_on(alice, shop, [CITY, STREET], terms);
    world.settle();
    let grant = world.stored_grants(alice, Direction::Given)[0].id;
    (world, alice, shop, grant)
}

fn mode(mode: Mode) -> Terms {
    Terms { mode, ..Terms::default() }
}

fn purpose() -> Purpose {
    Purpose::parse("DeliveryOfGoods").unwrap()
}

fn asks_for(ask: u8, selectors: &[&str]) -> Body {
    Body::Asked(Asked {
        ask: AskId::from_bytes([ask; 16]),
        required: selectors.iter().map(|selector| selector.parse().unwrap()).collect(),
        optional: Vec::new(),
        purpose: purpose(),
        reason: String::new(),
        benefit: String::new(),
        until: None,
        mode: Mode::Follow,
    })
}

fn grants(grant: u8, at: Timestamp) -> Granted {
    Granted {
        grant: GrantId::from_bytes([grant; 16]),
        ask: None,
        selectors: vec!["contact/me/email".parse().unwrap()],
        purpose: purpose(),
        mode: Mode::Follow,
        not_before: at,
        not_after: None,
        lease_ms: Some(600_000),
        reads_per_hour: 0,
        agreement: [0; 32],
    }
}

fn keys(count: usize) -> Vec<u8> {
    KeysPayload { keys: vec![[7; 32]; count] }.encode()
}

/// The rows of one table, as they stand.
fn rows(world: &World, node: NodeId, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = world.nodes[node.0].disk.rows().iter().filter(|(key, _)| Table::of(key) == Some(table));
    rows.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What a peer says is dropped without a word, and the peer with it. Its own home is put back, as if it had said nothing.
fn is_silenced(world: &mut World, evil: &mut Evil, said: impl FnOnce(&mut World, &mut Evil) -> Met) {
    let home = world.nodes[evil.node.0].disk.clone();
    let link = evil.link();
    assert_eq!(said(world, evil), Met::Silence);
    world.settle();
    assert!(!world.network.links.contains_key(&link), "whoever misbehaves is not kept on the line");
    world.nodes[evil.node.0].disk = home;
    *evil = Evil::takes_over(world, evil.node, evil.victim);
}

fn is_taken(met: &Met) -> bool {
    matches!(met, Met::Answer(_))
}

#[test]
fn a_borrower_does_not_speak_as_the_lender_nor_a_lender_as_the_borrower() {
    let (mut world, alice, shop, given) = lent(300, Terms::default());
    world.set(shop, "transaction/order-7/amount", "42.00");
    world.grant(shop, alice, ["transaction/order-7/amount"]);
    world.settle();
    let held = world.stored_grants(alice, Direction::Held)[0].id;
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let all = |world: &World| {
        let grants = [Direction::Given, Direction::Held].map(|direction| world.stored_grants(alice, direction));
        (grants, rows(world, alice, Table::FieldKeys), rows(world, alice, Table::Cells))
    };
    let before = all(&world);
    let now = world.wall(alice);
    let gone = CellRef { selector: 0, record: None, epoch: 0, version: 9, gone: true };
    let line = |grant, selector| UseLine { grant, selector, purpose: purpose(), count: 3, from: now, to: now };
    for (body, payload) in [
        (Body::Keys(KeysChanged { grant: given, keys: vec![(0, 9)] }), Some(keys(1))),
        (Body::Cells(Cells { grant: given, cells: vec![gone] }), None),
        (Body::Revoked(Revoked { grant: given, selectors: vec![0] }), None),
        (Body::Read(Read { grant: held, selector: 0, record: None, nonce: [7; 16] }), None),
        (Body::Purged(Purged::Selectors { grant: held, selectors: vec![0] }), None),
        (Body::Used(Used { lines: vec![line(held, 0), line(given, 9)] }), None),
    ] {
        let Met::Answer(answer) = evil.tells(&mut world, &body, payload.as_deref()) else { panic!("{body:?}") };
        assert!(answer.entries.is_empty(), "{body:?} was answered with an entry");
        assert!(all(&world) == before, "{body:?} changed something");
    }
    // A time that has not come yet is no time of use.
    let line = UseLine { to: Timestamp::NEVER, ..line(given, 0) };
    evil.tells(&mut world, &Body::Used(Used { lines: vec![line] }), None);
    let used = world.stored_grants(alice, Direction::Given).remove(0);
    assert!(used.uses == 3 && used.last_use.unwrap() <= world.wall(alice), "{:?}", used.last_use);
}

#[test]
fn an_ask_stays_what_was_asked_until_whoever_may_ends_it() {
    let mut world = World::seeded(301);
    let (alice, shop) = world.paired("alice", "shop");
    for path in [CITY, STREET] {
        world.set(alice, path, "Paris");
    }
    let own = world.ask(alice, shop, &["transaction/order-7/amount"], &[]);
    world.done(alice, Command::WithdrawAsk { ask: own });
    world.settle();
    let withdrawn = world.inspect(alice, |tx| Ask::all(tx).unwrap().remove(0).id);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let state = |world: &World, ask| {
        let all = world.inspect(alice, |tx| Ask::all(tx).unwrap());
        all.into_iter().find(|known| known.id == ask).expect("it is known").state
    };
    let asked = AskId::from_bytes([1; 16]);
    let ends = |end| Body::Answered(Answered { ask: asked, end, reason: String::new() });
    assert!(is_taken(&evil.tells(&mut world, &asks_for(1, &[CITY]), None)));
    // What the person looks at does not become something else before she answers.
    evil.tells(&mut world, &asks_for(1, &[CITY, STREET]), None);
    let shown = world.asks(alice).into_iter().find(|ask| ask.direction == Direction::Given).unwrap();
    assert_eq!(shown.selectors.iter().map(|(selector, _)| selector.to_string()).collect::<Vec<_>>(), [CITY]);
    evil.tells(&mut world, &ends(AskEnd::Declined), None);
    for (number, ask) in [(1, asked), (2, withdrawn)] {
        let granted = Granted { ask: Some(ask), ..grants(number, world.wall(alice)) };
        evil.tells(&mut world, &Body::Granted(granted), Some(&keys(1)));
    }
    assert_eq!(state(&world, asked), AskState::Open, "who asked neither declines nor grants it");
    assert_eq!(state(&world, withdrawn), AskState::Withdrawn, "what is over is not granted");
    world.answer_ask(alice, &shown.ask, &[]);
    evil.tells(&mut world, &ends(AskEnd::Withdrawn), None);
    assert_eq!(state(&world, asked), AskState::Granted, "what was granted is not withdrawn");
    assert_eq!(world.stored_grants(alice, Direction::Given)[0].selectors.len(), 1);
}

#[test]
fn the_first_entry_of_a_log_is_said_once() {
    let (mut world, alice, shop, _) = lent(302, Terms::default());
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let profile = world.inspect(shop, |tx| Relationship::named(tx, "alice").unwrap().their_profile);
    let again =
        Body::Paired(Paired { profile: allod_protocol::wire::body::Profile { name: "bank".to_owned(), ..profile } });
    evil.tells(&mut world, &again, None);
    assert_eq!(world.peer(alice, shop).calls_itself, "shop");
}

#[test]
fn a_frozen_peer_can_purge_and_nothing_else_and_is_told_that_nothing_is_good_for_long() {
    let (mut world, alice, shop, grant) = lent(303, mode(Mode::Reference));
    world.grant(alice, shop, [CITY]);
    world.settle();
    let follows = world.stored_grants(alice, Direction::Given).into_iter().find(|row| row.id != grant).unwrap().id;
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    // Cut at once, and on its way when the relationship freezes.
    world.grant_on(alice, shop, [STREET], mode(Mode::Once));
    let mut message = evil.message(&world, Vec::new());
    message.have[0].sequence = 1_000_000;
    evil.says(&mut world, &message);
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let message = evil.message(&world, Vec::new());
    let Met::Answer(answer) = evil.says(&mut world, &message) else { panic!("real keys are answered") };
    assert!(!answer.entries.is_empty() && answer.entries.iter().all(|entry| entry.payload.is_empty()));
    let key = world.inspect(shop, |tx| Relationship::named(tx, "alice").unwrap().their_key());
    let head = answer.heads[0].verified(&key, world.wall(alice)).unwrap();
    assert_eq!(head.until, head.at);
    evil.tells(&mut world, &asks_for(1, &[CITY]), None);
    let granted = Body::Granted(grants(1, world.wall(alice)));
    evil.tells(&mut world, &granted, Some(&keys(1)));
    let read = Body::Read(Read { grant, selector: 0, record: None, nonce: [7; 16] });
    let Met::Answer(answer) = evil.tells(&mut world, &read, None) else { panic!("an answer") };
    assert!(answer.entries.iter().all(|entry| entry.payload.is_empty()));
    assert!(world.asks(alice).is_empty() && world.stored_grants(alice, Direction::Held).is_empty());
    let written = world.peer(alice, shop).mine_seq;
    world.set(alice, CITY, "Lyon");
    world.settle();
    assert_eq!(world.peer(alice, shop).mine_seq, written, "not even that there is a new version");
    world.revoke(alice, &follows.long());
    evil.tells(&mut world, &Body::Purged(Purged::Selectors { grant: follows, selectors: vec![0] }), None);
    assert_eq!(world.grant_of(alice, &follows.long()).purge, Purge::Confirmed);
}

#[test]
fn a_closed_peer_neither_asks_nor_lends_and_stays_closed() {
    let (mut world, alice, shop, _) = lent(304, Terms::default());
    world.forget(alice, shop);
    world.settle();
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    evil.tells(&mut world, &asks_for(1, &[CITY]), None);
    let granted = Body::Granted(grants(1, world.wall(alice)));
    evil.tells(&mut world, &granted, Some(&keys(1)));
    assert!(world.asks(alice).is_empty() && world.stored_grants(alice, Direction::Held).is_empty());
    let mut message = evil.message(&world, Vec::new());
    message.have[0].sequence = 1_000_000;
    evil.says(&mut world, &message);
    assert_eq!(world.peer(alice, shop).state, PeerState::Closed);
}

#[test]
fn what_speaks_of_selectors_that_never_were_or_brings_another_number_of_keys_is_refused() {
    let (mut world, alice, shop, grant) = lent(305, Terms::default());
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let before = rows(&world, shop, Table::FieldKeys);
    let now = world.wall(alice);
    // An old removal, which changes nothing, and a cell that belongs to none of the places that are named.
    let gone = CellRef { selector: 0, record: None, epoch: 0, version: 0, gone: true };
    let one_cell = CellsPayload { cells: vec![vec![1; 64].into()] }.encode();
    for (body, payload) in [
        (Body::Granted(grants(1, now)), Some(keys(2))),
        (Body::Granted(grants(1, now)), Some(keys(0))),
        (Body::Keys(KeysChanged { grant, keys: vec![(0, 1)] }), Some(keys(2))),
        (Body::Keys(KeysChanged { grant, keys: vec![(0, 1), (1, 1)] }), Some(keys(1))),
        (Body::Keys(KeysChanged { grant, keys: vec![(9, 1)] }), Some(keys(1))),
        (Body::Cells(Cells { grant, cells: vec![gone] }), Some(one_cell)),
        (Body::Revoked(Revoked { grant, selectors: vec![9] }), None),
    ] {
        is_silenced(&mut world, &mut evil, |world, evil| evil.tells(world, &body, payload.as_deref()));
        assert!(world.runs(shop) && rows(&world, shop, Table::FieldKeys) == before, "{body:?}");
    }
    assert_eq!(world.text(shop, alice, CITY), "Paris");
    // With one that there is, the others do not matter.
    assert!(is_taken(&evil.tells(&mut world, &Body::Revoked(Revoked { grant, selectors: vec![9, 0] }), None)));
    assert_eq!(world.refused(shop, alice, CITY), Code::Revoked);
    assert_eq!(world.text(shop, alice, STREET), "Paris");
}

#[test]
fn a_grant_is_good_from_its_beginning_and_for_no_longer_than_a_lease_may_be() {
    let (mut world, alice, shop, _) = lent(306, Terms::default());
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    for (number, lease, held) in [(1, u64::MAX, LEASE_MAX), (2, 1, LEASE_MIN)] {
        let granted = Granted { lease_ms: Some(lease), ..grants(number, world.wall(alice)) };
        assert!(is_taken(&evil.tells(&mut world, &Body::Granted(granted), Some(&keys(1)))));
        let row = world.stored_grants(shop, Direction::Held).into_iter().find(|row| row.id.as_bytes() == &[number; 16]);
        assert_eq!(row.unwrap().lease(), Some(held));
    }
    let later = world.wall(alice).after(Duration::from_secs(86_400));
    let granted = Granted { selectors: vec!["contact/me/phone".parse().unwrap()], ..grants(3, later) };
    assert!(is_taken(&evil.tells(&mut world, &Body::Granted(granted), Some(&keys(1)))));
    let refused = world.read(shop, alice, "contact/me/phone").unwrap_err();
    assert!(matches!(refused, Refusal::GrantNotYet { at, .. } if at == later), "{refused:?}");
}

#[test]
fn a_head_is_relied_on_until_it_says_and_no_longer() {
    let terms = Terms { lease: Some(Duration::from_secs(600)), ..Terms::default() };
    let (mut world, alice, shop, _) = lent(307, terms);
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let at = world.wall(alice);
    let head = Head { at, until: at.after(Duration::from_secs(60)), ..evil.head(&world) };
    let mut message = evil.message(&world, Vec::new());
    message.heads = vec![evil.signs(&world, head)];
    assert!(is_taken(&evil.says(&mut world, &message)));
    world.run_for(Duration::from_secs(40));
    assert_eq!(world.text(shop, alice, CITY), "Paris");
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.refused(shop, alice, CITY), Code::LeaseOver);
}

#[test]
fn a_head_below_what_was_verified_lengthens_nothing_however_new_it_is() {
    let (mut world, alice, shop, _) = lent(316, Terms::default());
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let lower = evil.head(&world);
    let sequence = evil.writes(&mut world, &asks_for(1, &[CITY]), None);
    let mut message = evil.message(&world, evil.entries(&world, sequence..=sequence));
    message.heads.clear();
    assert!(is_taken(&evil.says(&mut world, &message)));
    let known = world.height_of(shop, alice);
    assert_eq!(known.0, sequence + 1);
    // A copy of her home from before that entry would sign this.
    let at = world.wall(alice);
    let mut message = evil.message(&world, Vec::new());
    message.heads = vec![evil.signs(&world, Head { at, until: at.after(LEASE_MAX), ..lower })];
    assert!(is_taken(&evil.says(&mut world, &message)));
    assert_eq!(world.height_of(shop, alice), known);
}

/// The key of a selector in its owner's home, as its row holds it.
#[derive(serde::Serialize, serde::Deserialize)]
struct FieldKey(StoredKey);

impl Coded for FieldKey {}

/// A version of the city as an owner seals it, whatever she wrote before.
fn tells_city(world: &mut World, evil: &mut Evil, grant: GrantId, epoch: u32, version: u64, text: &str) -> Met {
    let mut dice = Dice::stream(version, "cells");
    let sealed = world.inspect(evil.node, |tx| {
        let shop = Relationship::named(tx, "shop").unwrap();
        let key = match tx.get::<FieldKey>(&Key::field_key(grant, 0, epoch)).unwrap() {
            Some(FieldKey(stored)) => stored,
            None => StoredKey::from_bytes(&[7; 32]),
        };
        let row = allod_protocol::grant::Grant::find(tx, shop.id, grant).unwrap().unwrap();
        let place = CellPlace {
            relationship: &shop.tag,
            log: shop.my_log,
            grant,
            selector: &row.selectors[0].selector,
            record: None::<Pseudonym>,
            epoch,
            version,
            agreement: &row.agreement,
        };
        let plain = CellContent { at_s: 1, value: Value::text(text) }.encode();
        seal(&key.key(), Domain::Cell, &place.aad(), &plain, Padding::Padme, &mut dice)
    });
    let cell = CellRef { selector: 0, record: None, epoch, version, gone: false };
    let payload = CellsPayload { cells: vec![sealed.into()] }.encode();
    evil.tells(world, &Body::Cells(Cells { grant, cells: vec![cell] }), Some(&payload))
}

#[test]
fn a_holder_goes_on_to_newer_versions_and_epochs_and_never_back() {
    let (mut world, alice, shop, grant) = lent(308, Terms::default());
    world.set(alice, CITY, "Lyon");
    world.settle();
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let city = |world: &World| world.peek(shop, alice, CITY);
    assert!(is_taken(&tells_city(&mut world, &mut evil, grant, 0, 1, "Paris")));
    assert_eq!(city(&world).as_deref(), Some("Lyon"));
    let gone = |version| CellRef { selector: 0, record: None, epoch: 0, version, gone: true };
    evil.tells(&mut world, &Body::Cells(Cells { grant, cells: vec![gone(1)] }), None);
    assert_eq!(city(&world).as_deref(), Some("Lyon"), "a former version was removed, not this one");
    // A new epoch's cell leaves no key of an older one.
    let epoch = |place, epoch| Body::Keys(KeysChanged { grant, keys: vec![(place, epoch)] });
    assert!(is_taken(&evil.tells(&mut world, &epoch(0, 1), Some(&keys(1)))));
    // The city is of version 3: versions are a record's.
    assert!(is_taken(&tells_city(&mut world, &mut evil, grant, 1, 4, "Nice")));
    assert_eq!(city(&world).as_deref(), Some("Nice"));
    let kept = |world: &World, place| {
        let rows = world.inspect(shop, |tx| tx.scan_raw(&Key::field_keys_of(grant, place), None, 9).unwrap());
        rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(kept(&world, 0), [Key::field_key(grant, 0, 1)]);
    for number in [3, 2] {
        evil.tells(&mut world, &epoch(1, number), Some(&keys(1)));
    }
    assert_eq!(world.stored_grants(shop, Direction::Held)[0].selectors[1].epoch, 3);
    assert!(!kept(&world, 1).contains(&Key::field_key(grant, 1, 2)), "an older epoch that comes late");
    // Keys of what was taken back are not kept.
    evil.tells(&mut world, &Body::Revoked(Revoked { grant, selectors: vec![0] }), None);
    assert!(is_taken(&evil.tells(&mut world, &epoch(0, 2), Some(&keys(1)))));
    assert_eq!(kept(&world, 0), []);
}

#[test]
fn what_was_lent_once_stays_as_it_is_also_if_its_owner_sends_more() {
    let (mut world, alice, shop, grant) = lent(309, mode(Mode::Once));
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    assert!(is_taken(&tells_city(&mut world, &mut evil, grant, 0, 9, "Lyon")));
    assert_eq!(world.peek(shop, alice, CITY).as_deref(), Some("Paris"));
}

#[test]
fn what_speaks_of_another_log_is_refused_and_so_is_a_message_with_too_much_of_anything() {
    let (mut world, alice, shop, grant) = lent(310, Terms::default());
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let other = LogId::from_bytes([9; 16]);
    let before = rows(&world, shop, Table::Entries);
    is_silenced(&mut world, &mut evil, |world, evil| {
        let sequence = evil.writes(world, &Body::Revoked(Revoked { grant, selectors: vec![0] }), None);
        let mut entry = evil.entries(world, sequence..=sequence).remove(0);
        let header = Header::from_bytes(entry.header.as_slice().try_into().unwrap()).unwrap();
        let header = Header { log: other, ..header }.to_bytes();
        let key = world.inspect(evil.node, |tx| Relationship::named(tx, "shop").unwrap().signing());
        (entry.header, entry.signature) = (header.to_vec(), key.sign(ENTRY_DOMAIN, &header).to_vec());
        let message = evil.message(world, vec![entry]);
        evil.says(world, &message)
    });
    is_silenced(&mut world, &mut evil, |world, evil| {
        let mut message = evil.message(world, Vec::new());
        message.heads = vec![evil.signs(world, Head { log: other, ..evil.head(world) })];
        evil.says(world, &message)
    });
    is_silenced(&mut world, &mut evil, |world, evil| {
        let mut message = evil.message(world, Vec::new());
        message.have[0].log = other;
        evil.says(world, &message)
    });
    let message = evil.message(&world, Vec::new());
    let of = |heads, have| Sync {
        heads: vec![message.heads[0].clone(); heads],
        have: vec![message.have[0]; have],
        entries: Vec::new(),
    };
    assert!(is_taken(&evil.says(&mut world, &of(16, 16))));
    for more in [of(17, 1), of(1, 17)] {
        is_silenced(&mut world, &mut evil, |world, evil| evil.says(world, &more));
    }
    assert!(rows(&world, shop, Table::Entries) == before);
    assert_eq!(world.text(shop, alice, CITY), "Paris");
}

#[test]
fn an_acknowledgement_of_another_history_freezes() {
    let (mut world, alice, shop, _) = lent(311, Terms::default());
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    world.grant(alice, shop, [STREET]);
    let newest = world.peer(alice, shop).mine_seq;
    let mut message = evil.message(&world, Vec::new());
    assert!(message.have[0].sequence < newest);
    (message.have[0].sequence, message.have[0].hash) = (newest, [9; 32]);
    evil.says(&mut world, &message);
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen);
}

#[test]
fn a_session_is_spoken_over_its_own_line() {
    let (mut world, alice, shop, _) = lent(312, Terms::default());
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    evil.writes(&mut world, &asks_for(1, &[CITY]), None);
    let newest = evil.written(&world);
    let message = evil.message(&world, evil.entries(&world, newest..=newest));
    let sealed = evil.sealed(&message);
    let elsewhere = world.stranger(alice);
    let answer = world.requests(alice, elsewhere, Channel::Session, sealed.clone()).expect("an answer");
    assert_eq!(SessionAnswer::decode(&answer).unwrap(), SessionAnswer::Unknown);
    assert!(world.asks(alice).is_empty());
    evil.sends(&mut world, sealed);
    assert_eq!(world.asks(alice).len(), 1, "the same words where they belong");
}

#[test]
fn a_live_read_of_what_was_taken_back_or_is_over_brings_nothing() {
    let terms = Terms { until: Some(Duration::from_secs(60)), ..mode(Mode::Reference) };
    let (mut world, alice, shop, grant) = lent(313, terms);
    world.revoke_fields(alice, shop, &[STREET]);
    world.settle();
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let mut read = |world: &mut World, selector| {
        let body = Body::Read(Read { grant, selector, record: None, nonce: [7; 16] });
        let Met::Answer(answer) = evil.tells(world, &body, None) else { panic!("real keys are answered") };
        answer.entries.iter().filter(|entry| !entry.payload.is_empty()).count()
    };
    assert_eq!((read(&mut world, 1), read(&mut world, 0)), (0, 1), "the street was taken back, the city is lent");
    world.run_for(Duration::from_secs(60));
    assert_eq!(read(&mut world, 0), 0, "its time is over");
    assert!(world.runs(alice));
}

#[test]
fn a_change_of_keys_is_begun_by_the_inviter_and_to_the_next_generation() {
    let (mut world, alice, shop, _) = lent(314, Terms::default());
    let start = |generation| {
        let secret = XWingSecret::generate(&mut Dice::stream(314, "a change of keys"));
        let step = RekeyStep::Start { public: secret.public().to_vec(), route: RouteId::from_bytes([9; 16]) };
        Body::Rekey(Rekey { generation, step })
    };
    // Alice invited.
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    is_silenced(&mut world, &mut evil, |world, evil| evil.tells(world, &start(1), None));
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    is_silenced(&mut world, &mut evil, |world, evil| evil.tells(world, &start(2), None));
    assert!(is_taken(&evil.tells(&mut world, &start(1), None)), "so it is done");
}

#[test]
fn a_change_of_keys_is_done_for_the_generation_that_it_was_begun_for() {
    let (mut world, alice, shop, _) = lent(320, Terms::default());
    world.run_for(Duration::from_secs(29 * 86_400));
    let written = |world: &World| {
        world.inspect(alice, |tx| log::own(tx, &Relationship::named(tx, "shop").unwrap()).unwrap().next)
    };
    // Alice has said Start and Finish, and the shop has not heard the latter.
    let before = written(&world);
    while written(&world) < before + 2 {
        assert!(world.step());
    }
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let done = |generation| Body::Rekey(Rekey { generation, step: RekeyStep::Done });
    for generation in [0, 2] {
        is_silenced(&mut world, &mut evil, |world, evil| evil.tells(world, &done(generation), None));
    }
    assert_eq!(world.key_changes(alice), 0);
    assert!(is_taken(&evil.tells(&mut world, &done(1), None)), "so it is done");
    assert_eq!(world.key_changes(alice), 1);
}

#[test]
fn after_a_change_of_keys_a_copy_of_a_home_from_before_opens_no_session() {
    let (mut world, alice, shop, _) = lent(315, Terms::default());
    let before = world.nodes[shop.0].disk.clone();
    world.run_for(Duration::from_secs(31 * 86_400));
    world.set(alice, CITY, "Lyon");
    world.settle();
    assert_eq!((world.key_changes(alice), world.key_changes(shop)), (1, 1));
    world.crash(shop);
    world.start(shop);
    world.run_for(Duration::from_secs(400));
    for (node, other) in [(alice, "shop"), (shop, "alice")] {
        let sets = world.inspect(node, |tx| Relationship::named(tx, other).unwrap().key_sets.len());
        assert_eq!(sets, 1, "the old keys are gone");
        assert_eq!(world.rows(node, Table::Routes), 2, "the first route stays, for a side that is put back");
    }
    world.stop(shop);
    let now = std::mem::replace(&mut world.nodes[shop.0].disk, before);
    assert!(Evil::greets(&mut world, shop, alice).is_none());
    world.nodes[shop.0].disk = now;
    assert!(Evil::greets(&mut world, shop, alice).is_some(), "with the newest keys it does");
}
