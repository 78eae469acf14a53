//! Peers with real keys that say what an honest node would not.

use std::{collections::BTreeSet, time::Duration};

use allod_protocol::{
    command::{Answer, Command, Direction, Mode, PairingStage, PeerState, Purge, WordsAre},
    id::{AskId, GrantId, InvitationId},
    limits::{ENTRIES_PER_SYNC_MAX, OPEN_ASKS_MAX, READS_PER_HOUR},
    purpose::Purpose,
    refusal::Code,
    table::Table,
    time::Timestamp,
    wire::{
        body::{
            Asked, Body, CellRef, Cells, Closed, Granted, KeysChanged, Purged, Read, Rekey, RekeyStep, Revoked,
            UseLine, Used,
        },
        header::Head,
    },
};
use allod_tests::{
    World,
    evil::{Evil, Met},
    network::NodeId,
    story::Terms,
};

fn lent(seed: u64) -> (World, NodeId, NodeId, GrantId) {
    let mut world = World::seeded(seed);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { lease: Some(Duration::from_secs(600)), ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    let grant = world.stored_grants(alice, Direction::Given)[0].id;
    (world, alice, shop, grant)
}

fn asks_for_the_city(number: u8) -> Body {
    Body::Asked(Asked {
        ask: AskId::from_bytes([number; 16]),
        required: vec!["contact/me/city".parse().unwrap()],
        optional: Vec::new(),
        purpose: purpose(),
        reason: String::new(),
        benefit: String::new(),
        until: None,
        mode: Mode::Follow,
    })
}

fn purpose() -> Purpose {
    Purpose::parse("DeliveryOfGoods").unwrap()
}

/// All rows but the ones that say when a peer was last seen.
fn rows(world: &World, node: NodeId) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = world.nodes[node.0].disk.rows().iter();
    let rows = rows.filter(|(key, _)| Table::of(key) != Some(Table::TheirLogs));
    rows.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[test]
fn a_peer_speaks_for_its_own_grants_only() {
    let (mut world, alice, shop, _) = lent(200);
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    let at_bank = world.grant(alice, bank, ["contact/me/city"]);
    world.settle();
    let foreign = world.stored_grants(alice, Direction::Given).into_iter().find(|row| row.id.to_string() == at_bank);
    let foreign = foreign.unwrap().id;
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let now = world.wall(alice);
    let line = UseLine { grant: foreign, selector: 0, purpose: purpose(), count: 1_000, from: now, to: now };
    let cell = CellRef { selector: 0, record: None, epoch: 0, version: 9, gone: true };
    for body in [
        Body::Purged(Purged::Selectors { grant: foreign, selectors: vec![0] }),
        Body::Used(Used { lines: vec![line] }),
        Body::Read(Read { grant: foreign, selector: 0, record: None, nonce: [7; 16] }),
        Body::Revoked(Revoked { grant: foreign, selectors: vec![0] }),
        Body::Cells(Cells { grant: foreign, cells: vec![cell] }),
        Body::Keys(KeysChanged { grant: foreign, keys: vec![(0, 9)] }),
    ] {
        let Met::Answer(answer) = evil.tells(&mut world, &body, None) else { panic!("{body:?}") };
        assert!(answer.entries.is_empty(), "{body:?} was answered with an entry");
    }
    let row = world.stored_grants(alice, Direction::Given).into_iter().find(|row| row.id == foreign).unwrap();
    assert_eq!((row.ended, row.purge, row.uses), (None, Purge::None, 0));
    world.set(alice, "contact/me/city", "Lyon");
    world.settle();
    assert_eq!(world.text(bank, alice, "contact/me/city"), "Lyon");
}

#[test]
fn a_live_read_under_a_grant_of_another_mode_or_past_its_end_is_refused() {
    let (mut world, alice, shop, grant) = lent(201);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let read = |nonce| Body::Read(Read { grant, selector: 0, record: None, nonce: [nonce; 16] });
    let Met::Answer(answer) = evil.tells(&mut world, &read(1), None) else { panic!("an answer") };
    assert!(answer.entries.iter().all(|entry| entry.payload.is_empty()), "a follow grant is not read live");
    world.revoke(alice, &grant.long());
    let Met::Answer(answer) = evil.tells(&mut world, &read(2), None) else { panic!("an answer") };
    assert!(answer.entries.iter().all(|entry| entry.payload.is_empty()));
}

#[test]
fn a_head_that_promises_too_much_lengthens_no_lease() {
    let (mut world, alice, shop, _) = lent(202);
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let head = evil.head(&world);
    let promises = [
        Head { sequence: head.sequence + 1_000, hash: [9; 32], ..head },
        Head { at: head.at.after(Duration::from_secs(3_600)), until: Timestamp::NEVER, ..head },
        Head { sequence: head.sequence - 1, hash: evil.hash_of(&world, head.sequence - 1), ..head },
    ];
    for promise in promises {
        let mut message = evil.message(&world, Vec::new());
        message.heads = vec![evil.signs(&world, Head { until: Timestamp::NEVER, ..promise })];
        evil.says(&mut world, &message);
        evil = Evil::takes_over(&mut world, alice, shop);
    }
    assert_eq!(world.peek(shop, alice, "contact/me/city").as_deref(), Some("Paris"));
    // One that stands counts, and no longer than the lease.
    let mut message = evil.message(&world, Vec::new());
    message.heads = vec![evil.signs(&world, Head { at: world.wall(alice), until: Timestamp::NEVER, ..head })];
    assert!(matches!(evil.says(&mut world, &message), Met::Answer(_)));
    world.run_for(Duration::from_secs(590));
    assert_eq!(world.peek(shop, alice, "contact/me/city").as_deref(), Some("Paris"));
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::LeaseOver);
}

#[test]
fn of_two_heads_of_one_millisecond_the_one_that_promises_more_counts() {
    let (mut world, alice, shop, _) = lent(214);
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let head = Head { at: world.wall(alice), ..evil.head(&world) };
    for until in [head.at, Timestamp::NEVER, head.at] {
        let mut message = evil.message(&world, Vec::new());
        message.heads = vec![evil.signs(&world, Head { until, ..head })];
        assert!(matches!(evil.says(&mut world, &message), Met::Answer(_)));
    }
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.peek(shop, alice, "contact/me/city").as_deref(), Some("Paris"));
}

#[test]
fn two_entries_with_one_number_are_a_fork_and_both_are_kept() {
    let (mut world, alice, shop, _) = lent(203);
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let before = world.nodes[alice.0].disk.clone();
    assert!(matches!(evil.tells(&mut world, &asks_for_the_city(1), None), Met::Answer(_)));
    assert_eq!(world.asks(shop).len(), 1);
    world.nodes[alice.0].disk = before;
    evil.tells(&mut world, &asks_for_the_city(2), None);
    assert_eq!(world.peer(shop, alice).state, PeerState::Frozen);
    assert_eq!(world.rows(shop, Table::ForkProofs), 1);
    assert_eq!(world.asks(shop).len(), 1, "the second history is not acted on");
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Forked);
    // Nothing more is taken in, and the two do not talk each other to death.
    let steps = world.steps;
    world.start(alice);
    world.run_for(Duration::from_secs(3_600));
    assert!(world.steps - steps < 2_000, "{} steps in an hour", world.steps - steps);
}

#[test]
fn another_entry_under_a_number_that_was_taken_is_a_fork_also_where_no_head_says_so() {
    let (mut world, alice, shop, _) = lent(206);
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let before = world.nodes[alice.0].disk.clone();
    assert!(matches!(evil.tells(&mut world, &asks_for_the_city(1), None), Met::Answer(_)));
    world.nodes[alice.0].disk = before;
    let sequence = evil.writes(&mut world, &asks_for_the_city(2), None);
    let mut message = evil.message(&world, evil.entries(&world, sequence..=sequence));
    message.heads.clear();
    evil.says(&mut world, &message);
    assert_eq!(world.peer(shop, alice).state, PeerState::Frozen);
    assert_eq!(world.rows(shop, Table::ForkProofs), 1, "what it signed twice is kept");
    assert_eq!(world.asks(shop).len(), 1);
}

#[test]
fn a_lower_head_that_contradicts_what_was_signed_is_a_fork_too() {
    let (mut world, alice, shop, _) = lent(204);
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let head = evil.head(&world);
    let mut message = evil.message(&world, Vec::new());
    message.heads = vec![evil.signs(&world, Head { sequence: head.sequence - 1, hash: [9; 32], ..head })];
    evil.says(&mut world, &message);
    assert_eq!(world.peer(shop, alice).state, PeerState::Frozen);
    assert_eq!(world.rows(shop, Table::ForkProofs), 1);
}

#[test]
fn an_entry_with_any_part_changed_is_refused_and_nothing_of_it_is_kept() {
    let (mut world, alice, shop, grant) = lent(205);
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let body = Body::Revoked(Revoked { grant, selectors: vec![0] });
    let sequence = evil.writes(&mut world, &body, Some(b"something"));
    let entry = evil.entries(&world, sequence..=sequence).remove(0);
    let before = rows(&world, shop);
    let mut changed = Vec::new();
    for part in 0..4 {
        let mut one = entry.clone();
        let bytes = [&mut one.header, &mut one.signature, &mut one.body, &mut one.payload];
        let bytes = bytes.into_iter().nth(part).unwrap();
        let place = bytes.len() / 2;
        bytes[place] ^= 1;
        changed.push(one);
    }
    let mut short = entry.clone();
    short.header.pop();
    changed.push(short);
    for one in changed {
        let message = evil.message(&world, vec![one]);
        assert_eq!(evil.says(&mut world, &message), Met::Silence);
        evil = Evil::takes_over(&mut world, alice, shop);
    }
    assert!(rows(&world, shop) == before, "something was kept");
    let message = evil.message(&world, vec![entry]);
    assert!(matches!(evil.says(&mut world, &message), Met::Answer(_)), "whole it is taken");
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
}

#[test]
fn entries_of_another_log_and_entries_without_those_before_are_not_taken() {
    let (mut world, alice, shop, grant) = lent(206);
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    world.settle();
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let before = rows(&world, shop);
    // Its own words come back to it, and what was said to another.
    let reflected = evil.received(&world);
    let elsewhere = Evil::takes_over(&mut world, alice, bank).entries(&world, 1..=1);
    for entries in [reflected, elsewhere] {
        assert!(!entries.is_empty());
        let message = evil.message(&world, entries);
        assert_eq!(evil.says(&mut world, &message), Met::Silence);
        evil = Evil::takes_over(&mut world, alice, shop);
    }
    // The second of two, alone.
    evil.writes(&mut world, &Body::Revoked(Revoked { grant, selectors: vec![0] }), None);
    let sequence = evil.writes(&mut world, &Body::Closed(Closed {}), None);
    let entries = evil.entries(&world, sequence..=sequence);
    let mut message = evil.message(&world, entries);
    message.heads.clear();
    evil.says(&mut world, &message);
    assert!(rows(&world, shop) == before);
    assert_eq!(world.peer(shop, alice).state, PeerState::Paired);
}

#[test]
fn a_grant_is_given_once_whatever_comes_later_under_its_id() {
    let (mut world, alice, shop, grant) = lent(207);
    world.set(alice, "contact/me/street", "3 rue des Lilas");
    let mut evil = Evil::takes_over(&mut world, alice, shop);
    let again = Granted {
        grant,
        ask: None,
        selectors: vec!["contact/me/street".parse().unwrap()],
        purpose: purpose(),
        mode: allod_protocol::command::Mode::Follow,
        not_before: world.wall(alice),
        not_after: None,
        lease_ms: Some(u64::MAX),
        reads_per_hour: 0,
        agreement: [0; 32],
    };
    assert!(matches!(evil.tells(&mut world, &Body::Granted(again), None), Met::Answer(_)));
    let held = world.stored_grants(shop, Direction::Held);
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].selectors[0].selector.to_string(), "contact/me/city");
    assert_eq!(held[0].lease_ms, Some(600_000));
}

/// A person's node that compares words with a vendor that confirmed and then turns evil, and the id of the pairing there.
fn pending_with_evil(seed: u64) -> (World, NodeId, Evil, InvitationId) {
    let mut world = World::seeded(seed);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    world.set(alice, "contact/me/city", "Paris");
    let (id, text) = world.invitation(alice);
    let scanned = world.accepted(shop, &text);
    assert_eq!(scanned.stage, PairingStage::Comparing);
    world.done(shop, Command::Confirm { id: scanned.id, words: WordsAre::TheSame });
    world.settle();
    let evil = Evil::takes_over(&mut world, shop, alice);
    (world, alice, evil, id)
}

#[test]
fn a_peer_that_is_only_pending_can_neither_lend_nor_ask() {
    let (mut world, alice, mut evil, _) = pending_with_evil(208);
    evil.writes(&mut world, &asks_for_the_city(1), None);
    evil.writes(&mut world, &Body::Closed(Closed {}), None);
    let all = 1..=evil.written(&world);
    let entries = evil.entries(&world, all);
    let message = evil.message(&world, entries);
    assert_eq!(evil.says(&mut world, &message), Met::Silence, "nothing of it is kept");
    assert!(world.runs(alice), "it goes on");
    assert!(world.asks(alice).is_empty());
    world.run_for(Duration::from_secs(7_200));
    assert!(world.known_peers(alice).is_empty(), "nobody confirmed here");
    assert_eq!(world.own(alice, "contact/me/city"), "Paris");
}

#[test]
fn the_goodbye_of_a_peer_that_is_only_pending_harms_nobody() {
    let (mut world, alice, mut evil, id) = pending_with_evil(218);
    evil.writes(&mut world, &Body::Closed(Closed {}), None);
    let entries = evil.entries(&world, 1..=evil.written(&world));
    let message = evil.message(&world, entries);
    evil.says(&mut world, &message);
    assert!(world.runs(alice), "it goes on");
    assert!(world.known_peers(alice).is_empty(), "the pairing is over");
    let late = world.done(alice, Command::Confirm { id, words: WordsAre::TheSame });
    assert!(matches!(late, Answer::Pairing(view) if view.stage == PairingStage::Ended));
    world.run_for(Duration::from_secs(7_200));
    assert!(world.runs(alice));
    assert_eq!(world.own(alice, "contact/me/city"), "Paris");
}

#[test]
fn a_flood_of_asks_is_bounded_and_of_kinds_unknown_is_kept_and_ignored() {
    let (mut world, alice, shop, _) = lent(209);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    for number in 0..100 {
        evil.writes(&mut world, &asks_for_the_city(number), None);
    }
    evil.writes(&mut world, &Body::Unknown { kind: 999, bytes: vec![1, 2, 3] }, None);
    let first = world.peer(alice, shop).theirs_seq + 1;
    let last = evil.written(&world);
    let entries = evil.entries(&world, first..=last);
    let message = evil.message(&world, entries);
    assert!(matches!(evil.says(&mut world, &message), Met::Answer(_)));
    assert_eq!(world.asks(alice).len(), OPEN_ASKS_MAX);
    assert_eq!(world.peer(alice, shop).theirs_seq, last);
    world.verify(alice);
}

#[test]
fn a_message_with_more_entries_than_one_may_hold_is_refused_whole() {
    let (mut world, alice, shop, _) = lent(210);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let before = world.peer(alice, shop).theirs_seq;
    for _ in 0..=ENTRIES_PER_SYNC_MAX {
        evil.writes(&mut world, &Body::Unknown { kind: 999, bytes: Vec::new() }, None);
    }
    let entries = evil.entries(&world, before + 1..=evil.written(&world));
    assert!(entries.len() > ENTRIES_PER_SYNC_MAX);
    let message = evil.message(&world, entries);
    assert_eq!(evil.says(&mut world, &message), Met::Silence);
    assert_eq!(world.peer(alice, shop).theirs_seq, before);
}

#[test]
fn an_acknowledgement_that_cannot_be_harms_only_whoever_sends_it() {
    let (mut world, alice, shop, grant) = lent(211);
    let bank = world.vendor("bank");
    world.pair(alice, bank);
    world.grant(alice, bank, ["contact/me/city"]);
    world.settle();
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let mut message = evil.message(&world, Vec::new());
    message.have[0].hash = [9; 32];
    message.have[0].sequence = 1;
    evil.says(&mut world, &message);
    assert_eq!(world.peer(alice, shop).state, PeerState::Paired);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let mut message = evil.message(&world, Vec::new());
    message.have[0].sequence = 1_000_000;
    evil.says(&mut world, &message);
    assert_eq!(world.peer(alice, shop).state, PeerState::Frozen);
    assert_eq!(world.peer(alice, bank).state, PeerState::Paired);
    world.set(alice, "contact/me/city", "Lyon");
    world.revoke(alice, &grant.long());
    world.settle();
    assert_eq!(world.text(bank, alice, "contact/me/city"), "Lyon");
    assert_eq!(world.known_to(shop, "contact/me/city"), ["Paris"]);
    world.verify(bank);
}

#[test]
fn a_change_of_keys_out_of_turn_is_refused() {
    let (mut world, alice, shop, _) = lent(212);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let before = rows(&world, alice);
    for step in [RekeyStep::Done, RekeyStep::Finish { ciphertext: vec![1; 1_120] }] {
        let disk = world.nodes[shop.0].disk.clone();
        let met = evil.tells(&mut world, &Body::Rekey(Rekey { generation: 1, step }), None);
        assert_eq!(met, Met::Silence);
        world.nodes[shop.0].disk = disk;
        evil = Evil::takes_over(&mut world, shop, alice);
    }
    assert!(rows(&world, alice) == before);
}

#[test]
fn a_used_report_of_more_than_can_be_counts_stops_nobody() {
    let (mut world, alice, shop, grant) = lent(213);
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let now = world.wall(alice);
    for _ in 0..3 {
        let line = UseLine { grant, selector: 0, purpose: purpose(), count: u64::MAX, from: now, to: Timestamp::NEVER };
        evil.tells(&mut world, &Body::Used(Used { lines: vec![line] }), None);
    }
    assert!(world.runs(alice));
    assert_eq!(world.grant_of(alice, &grant.long()).uses, u64::MAX);
    world.verify(alice);
}

#[test]
fn a_reader_that_does_not_count_is_served_its_number_in_an_hour_and_told_once() {
    let mut world = World::seeded(260);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { mode: Mode::Reference, ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    let grant = world.stored_grants(alice, Direction::Given)[0].id;
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let (mut served, mut told) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..READS_PER_HOUR + 20 {
        let nonce = [u8::try_from(number).unwrap(); 16];
        let read = Body::Read(Read { grant, selector: 0, record: None, nonce });
        let Met::Answer(answer) = evil.tells(&mut world, &read, None) else { panic!("real keys are answered") };
        for entry in answer.entries {
            let one = if entry.payload.is_empty() { &mut told } else { &mut served };
            one.insert(entry.header);
        }
    }
    assert_eq!((served.len(), told.len()), (READS_PER_HOUR as usize, 1));
}

#[test]
fn reads_under_a_grant_that_was_taken_back_do_not_grow_its_owners_log() {
    let mut world = World::seeded(261);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let terms = Terms { mode: Mode::Reference, ..Terms::default() };
    let named = world.grant_on(alice, shop, ["contact/me/city"], terms);
    world.settle();
    world.revoke(alice, &named);
    world.settle();
    let grant = world.stored_grants(alice, Direction::Given)[0].id;
    let mut evil = Evil::takes_over(&mut world, shop, alice);
    let mut answers = BTreeSet::new();
    for number in 0..20 {
        let read = Body::Read(Read { grant, selector: 0, record: None, nonce: [number; 16] });
        let Met::Answer(answer) = evil.tells(&mut world, &read, None) else { panic!("real keys are answered") };
        answers.extend(answer.entries.into_iter().map(|entry| entry.header));
    }
    assert_eq!(answers.len(), 1, "one no an hour");
}
