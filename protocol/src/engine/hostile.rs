//! Peers that hold real keys and want to bring us down, or to reach what we have with somebody else.

use std::time::Duration;

use allod_crypto::{
    Aad, Domain, Padding, Role,
    pairing::{BundleSecrets, Invitation, Scanner},
    seal,
};

use crate::{
    agreement,
    codec::Coded,
    command::{Answer, Command, Direction, ImportItem, Input, Lending, Mode, NodeKind, Page, PeerState, SetItem},
    delivery::{padding, record_key},
    effect::{Channel, Effect, Message},
    event::Event,
    grant::Grant,
    id::{AskId, GrantId, Pseudonym, RelationshipId},
    limits::{FIELDS_PER_RECORD_MAX, REKEY_EVERY, REKEYS_AHEAD_MAX},
    log,
    path::{FieldName, FieldPath, Path},
    purpose::Purpose,
    refusal::Code,
    rekey,
    relationship::{Relationship, Side},
    rig::{Ours, Peer},
    secret::StoredKey,
    table::{Key, Table},
    time::Timestamp,
    value::Value,
    wire::{
        body::{
            Answered, AskEnd, Asked, Body, CellContent, CellPlace, CellRef, Cells, CellsPayload, Granted, KeysChanged,
            KeysPayload, Profile, Read, Revoked, Served, ServedOutcome, ServedPayload, UseLine, Used,
        },
        pair::{PairAnswer, PairRequest},
        session::SessionAnswer,
    },
};

const CITY: &str = "contact/me/city";

fn id() -> GrantId {
    GrantId::from_bytes([7; 16])
}

fn granted(id: GrantId) -> (Body, Vec<u8>) {
    let body = Body::Granted(Granted {
        grant: id,
        ask: None,
        selectors: vec![CITY.parse().unwrap()],
        purpose: Purpose::parse("delivery").unwrap(),
        mode: Mode::Follow,
        not_before: Timestamp::from_millis(0),
        not_after: None,
        lease_ms: Some(604_800_000),
        reads_per_hour: 0,
        agreement: agreement::built_in(),
    });
    (body, KeysPayload { keys: vec![[1; 32]] }.encode())
}

/// A cell of the city under a key of these bytes.
fn cell(peer: &mut Peer, key: u8, epoch: u32, version: u64) -> (CellRef, Vec<u8>) {
    let sealed = peer.step(|tx, relationship| {
        let selector = CITY.parse().unwrap();
        let agreement = agreement::built_in();
        let place = CellPlace {
            relationship: &relationship.tag,
            log: relationship.my_log,
            grant: id(),
            selector: &selector,
            record: None,
            epoch,
            version,
            agreement: &agreement,
        };
        let content = CellContent { at_s: 1, value: Value::text(format!("version {version}")) }.encode();
        let key = record_key(&StoredKey::from_bytes(&[key; 32]).key(), None);
        seal(&key, Domain::Cell, &place.aad(), &content, padding(None), &mut *tx.dice)
    });
    (CellRef { selector: 0, record: None, epoch, version, gone: false }, sealed)
}

fn cells(all: Vec<(CellRef, Vec<u8>)>) -> (Body, Vec<u8>) {
    let refs = all.iter().map(|(one, _)| one.clone()).collect();
    let cells = all.into_iter().filter(|(one, _)| !one.gone).map(|(_, sealed)| sealed.into()).collect();
    (Body::Cells(Cells { grant: id(), cells: refs }), CellsPayload { cells }.encode())
}

fn gone(version: u64) -> (CellRef, Vec<u8>) {
    (CellRef { selector: 0, record: None, epoch: 0, version, gone: true }, Vec::new())
}

fn reads(ours: &mut Ours, peer: &Peer) -> Result<String, Code> {
    let paths = vec![Path::Field(CITY.parse().unwrap())];
    match ours.does(Command::Get { paths, from: Some(peer.name().to_owned()) }) {
        Ok(Answer::Fields(views)) => Ok(views[0].value.to_string()),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.code()),
    }
}

fn sets(ours: &mut Ours, path: &str, text: &str) {
    let path: FieldPath = path.parse().unwrap();
    let items = vec![SetItem { path, explicit: None, schema: None, input: Input::Typed(Value::text(text)) }];
    ours.does(Command::Set { items }).unwrap();
}

fn lends(ours: &mut Ours, peer: &Peer, selector: &str) -> GrantId {
    lends_as(ours, peer, selector, Mode::Follow)
}

fn lends_as(ours: &mut Ours, peer: &Peer, selector: &str, mode: Mode) -> GrantId {
    let lending = Lending {
        peer: peer.name().to_owned(),
        selectors: vec![selector.parse().unwrap()],
        purpose: Purpose::parse("delivery").unwrap(),
        until: None,
        mode,
    };
    ours.does(Command::Grant { lending, lease: None }).unwrap();
    let id = peer.ours;
    let lent = |grant: &Grant| grant.selectors[0].selector == selector.parse().unwrap();
    ours.sees(|tx| Grant::live_with(tx, id).unwrap().into_iter().find(lent).unwrap().id)
}

fn asked(ask: AskId, reason: &str) -> Body {
    Body::Asked(Asked {
        ask,
        required: vec![CITY.parse().unwrap()],
        optional: Vec::new(),
        purpose: Purpose::parse("delivery").unwrap(),
        reason: reason.to_owned(),
        benefit: String::new(),
        until: None,
        mode: Mode::Follow,
    })
}

/// The peer lends a selector live, and our person reads a field under it. Returns the nonce of the read.
fn reads_live(ours: &mut Ours, peer: &mut Peer, selector: &str, path: &str) -> [u8; 16] {
    let (Body::Granted(granted), _) = granted(id()) else { panic!("a grant") };
    let selectors = vec![selector.parse().unwrap()];
    let live = Granted { selectors, mode: Mode::Reference, lease_ms: None, reads_per_hour: 60, ..granted };
    peer.claims(ours, &Body::Granted(live), None).unwrap();
    let paths = vec![Path::Field(path.parse().unwrap())];
    ours.does(Command::Get { paths, from: Some(peer.name().to_owned()) }).unwrap();
    let id = peer.ours;
    ours.sees(|tx| {
        let relationship = Relationship::load(tx, id).unwrap();
        let last = log::own(tx, &relationship).unwrap().next - 1;
        match log::kept_body(tx, &relationship, relationship.my_log, last).unwrap() {
            Some((_, Body::Read(read))) => read.nonce,
            other => panic!("a live read: {other:?}"),
        }
    })
}

fn one(state: PeerState) -> (Ours, Peer) {
    let (ours, mut peers) = Ours::with(Side::Inviter, &["one"], state);
    (ours, peers.remove(0))
}

#[test]
fn an_acknowledgement_of_any_number_is_borne() {
    for state in [PeerState::Paired, PeerState::Pending] {
        for sequence in [u64::MAX, u64::MAX - 1, 1_000] {
            let (mut ours, mut peer) = one(state);
            let mut message = peer.message(Vec::new());
            message.have[0].sequence = sequence;
            peer.says(&mut ours, &message);
            let id = peer.ours;
            let left = ours.sees(|tx| Relationship::find(tx, id).unwrap().map(|row| row.state));
            // What nobody confirmed is not kept for good.
            assert_eq!(left, if state == PeerState::Paired { Some(PeerState::Frozen) } else { None });
        }
    }
}

#[test]
fn a_stranger_whom_nobody_confirmed_leaves_nothing_in_its_log() {
    let (mut ours, mut peer) = one(PeerState::Pending);
    let rows = ours.memory.0.len();
    let profile = peer.step(|_, relationship| relationship.their_profile);
    let paired = Body::Paired(crate::wire::body::Paired { profile });
    assert!(peer.claims(&mut ours, &paired, None).is_some(), "that its person confirmed");
    let confirmed = ours.memory.0.len();
    assert!(confirmed > rows);
    assert!(peer.claims(&mut ours, &Body::Unknown { kind: 999, bytes: vec![1; 4_096] }, None).is_none());
    assert_eq!(ours.memory.0.len(), confirmed);
}

#[test]
fn a_key_sent_twice_takes_no_held_cell_with_it() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    let (body, payload) = granted(id());
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    let first = cell(&mut peer, 1, 0, 1);
    let (body, payload) = cells(vec![first]);
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    assert_eq!(reads(&mut ours, &peer), Ok("version 1".to_owned()));
    let other = KeysPayload { keys: vec![[2; 32]] }.encode();
    let body = Body::Keys(KeysChanged { grant: id(), keys: vec![(0, 0)] });
    peer.claims(&mut ours, &body, Some(&other)).unwrap();
    assert_eq!(reads(&mut ours, &peer), Ok("version 1".to_owned()));
}

#[test]
fn a_cell_after_its_own_end_in_one_entry_is_not_kept_without_its_key() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    let (body, payload) = granted(id());
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    let (first, last) = (cell(&mut peer, 1, 0, 1), cell(&mut peer, 1, 0, 2));
    let (body, payload) = cells(vec![first, gone(1), last]);
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    assert_eq!(reads(&mut ours, &peer), Err(Code::NotFound));
}

#[test]
fn a_cell_of_an_older_epoch_after_a_newer_one_is_not_kept_without_its_key() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    let (body, payload) = granted(id());
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    let body = Body::Keys(KeysChanged { grant: id(), keys: vec![(0, 1)] });
    peer.claims(&mut ours, &body, Some(&KeysPayload { keys: vec![[2; 32]] }.encode())).unwrap();
    let all = vec![cell(&mut peer, 1, 0, 1), cell(&mut peer, 2, 1, 2), cell(&mut peer, 1, 0, 3)];
    let (body, payload) = cells(all);
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    assert_eq!(reads(&mut ours, &peer), Ok("version 2".to_owned()));
}

#[test]
fn a_grant_or_an_ask_that_is_known_from_one_peer_is_nothing_from_another() {
    let (mut ours, mut peers) = Ours::with(Side::Inviter, &["one", "other"], PeerState::Paired);
    sets(&mut ours, CITY, "Paris");
    let grant = lends(&mut ours, &peers[0], CITY);
    let (body, payload) = granted(grant);
    peers[1].claims(&mut ours, &body, Some(&payload)).unwrap();
    // The field changes for whom it is lent to, and is taken back by the grant's name.
    sets(&mut ours, CITY, "Lyon");
    ours.does(Command::RevokeGrant { grant: grant.long() }).unwrap();
    let (one, other) = (peers[0].ours, peers[1].ours);
    let found = ours.sees(|tx| [one, other].map(|id| Grant::with(tx, id).unwrap()));
    assert!(found[0][0].ended.is_some() && found[1].is_empty());

    for (place, reason) in [(0, "to deliver"), (1, "to take its place")] {
        peers[place].claims(&mut ours, &asked(AskId::from_bytes([9; 16]), reason), None).unwrap();
    }
    let Ok(Answer::Ask { ask, .. }) = ours.does(Command::AskDetail { ask: AskId::from_bytes([9; 16]).long() }) else {
        panic!("an ask");
    };
    assert_eq!((ask.peer.as_str(), ask.direction), ("one", Direction::Given));
}

/// The peer invited, and begins again and again in one session: as an honest one would after thirty days. Returns the entry.
fn begins_a_change(peer: &mut Peer) -> u64 {
    peer.step(|tx, mut relationship| {
        relationship.rekeyed_at = Timestamp::from_millis(0);
        rekey::start_if_due(tx, &mut relationship).unwrap();
        log::own(tx, &relationship).unwrap().next - 1
    })
}

/// How far our log to a peer goes, the generation that we speak, and whether a change is under way.
fn change(ours: &mut Ours, id: RelationshipId) -> (u64, u32, bool) {
    ours.sees(|tx| {
        let relationship = Relationship::load(tx, id).unwrap();
        (log::own(tx, &relationship).unwrap().next, relationship.speaks, relationship.rekey.is_some())
    })
}

#[test]
fn a_change_of_keys_that_comes_too_early_waits_for_its_time_and_keeps_nothing_up() {
    let (mut ours, mut peers) = Ours::with(Side::Scanner, &["one"], PeerState::Paired);
    let mut peer = peers.remove(0);
    let most = u32::try_from(REKEYS_AHEAD_MAX).unwrap();
    for _ in 0..most {
        let start = begins_a_change(&mut peer);
        peer.says_entry(&mut ours, start);
        peer.says_entry(&mut ours, start + 1);
    }
    let (written, speaks, under_way) = change(&mut ours, peer.ours);
    assert_eq!((speaks, under_way), (most, false));
    let start = begins_a_change(&mut peer);
    peer.says_entry(&mut ours, start);
    assert_eq!(change(&mut ours, peer.ours), (written, most, true), "it is noted, and no word is said");
    peer.claims(&mut ours, &asked(AskId::from_bytes([9; 16]), "to deliver"), None).unwrap();
    let page = Page { limit: 100, after: None };
    let Ok(Answer::Asks(asks)) = ours.does(Command::Asks { direction: None, page }) else { panic!("asks") };
    assert_eq!(asks.items.len(), 1, "what follows is heard");

    ours.late = REKEY_EVERY - Duration::from_secs(7_200);
    ours.takes(Event::Tick);
    assert_eq!(change(&mut ours, peer.ours), (written, most, true));
    ours.late = REKEY_EVERY;
    ours.takes(Event::Tick);
    assert_eq!(change(&mut ours, peer.ours), (written + 1, most, true));
    peer.says_entry(&mut ours, start);
    peer.says_entry(&mut ours, start + 2);
    assert_eq!(change(&mut ours, peer.ours), (written + 2, most + 1, false));
    ours.greeted_by(&mut peer);
}

#[test]
fn no_change_of_keys_begins_with_a_peer_that_is_frozen() {
    let (mut ours, mut peers) = Ours::with(Side::Scanner, &["one"], PeerState::Paired);
    let mut peer = peers.remove(0);
    let mut message = peer.message(Vec::new());
    message.have[0].sequence = 1_000;
    peer.says(&mut ours, &message);
    let before = change(&mut ours, peer.ours);
    let start = begins_a_change(&mut peer);
    peer.says_entry(&mut ours, start);
    assert_eq!(change(&mut ours, peer.ours), before);
}

#[test]
fn changes_of_keys_without_end_leave_two_generations() {
    let (mut ours, mut peers) = Ours::with(Side::Scanner, &["one"], PeerState::Paired);
    let mut peer = peers.remove(0);
    for generation in 1..=4 {
        let start = begins_a_change(&mut peer);
        peer.says_entry(&mut ours, start);
        peer.says_entry(&mut ours, start + 1);
        let id = peer.ours;
        let (speaks, sets, routes) = ours.sees(|tx| {
            let relationship = Relationship::load(tx, id).unwrap();
            let routes = tx.scan_raw(&Key::table(Table::Routes), None, usize::MAX).unwrap().len();
            (relationship.speaks, relationship.key_sets.len(), routes)
        });
        // The first route stays, for a side that is put back.
        let first = usize::from(generation > 1);
        assert_eq!((speaks, sets, routes), (generation, 2, 2 + first));
    }
    // The newest keys are good for the next session.
    ours.greeted_by(&mut peer);
}

#[test]
fn the_id_of_a_record_that_is_made_again_is_lent_again() {
    let (mut ours, peer) = one(PeerState::Paired);
    sets(&mut ours, CITY, "Paris");
    let grant = lends(&mut ours, &peer, "contact/*/id");
    let due = |ours: &mut Ours| ours.sees(|tx| tx.scan_raw(&Key::due_of(grant), None, 10).unwrap().len());
    assert_eq!(due(&mut ours), 0, "it went at once");
    ours.does(Command::Remove { path: "contact/me".parse().unwrap() }).unwrap();
    assert_eq!(due(&mut ours), 0, "so did the order to drop it");
    sets(&mut ours, CITY, "Lyon");
    assert_eq!(due(&mut ours), 1, "the record is there again, and its id is due");
}

#[test]
fn a_revocation_that_is_said_again_and_again_makes_no_work() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    let (body, payload) = granted(id());
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    let held = cell(&mut peer, 1, 0, 1);
    let (body, payload) = cells(vec![held]);
    peer.claims(&mut ours, &body, Some(&payload)).unwrap();
    let rows = |ours: &mut Ours, table| ours.sees(|tx| tx.scan_raw(&Key::table(table), None, 99).unwrap());
    let mut after = Vec::new();
    for _ in 0..3 {
        let revoked = Body::Revoked(Revoked { grant: id(), selectors: vec![0, 0, 7] });
        peer.claims(&mut ours, &revoked, None).expect("it is borne");
        after.push([Table::Jobs, Table::EndedGrants].map(|table| rows(&mut ours, table)));
    }
    assert_eq!(after[0].each_ref().map(Vec::len), [1, 1]);
    assert!(after.iter().all(|one| *one == after[0]));
    assert_eq!(reads(&mut ours, &peer), Err(Code::Revoked));
    let nowhere = Body::Revoked(Revoked { grant: id(), selectors: vec![7] });
    assert!(peer.claims(&mut ours, &nowhere, None).is_none(), "it names nothing of the grant");
}

#[test]
fn asks_that_were_withdrawn_are_not_counted_through() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    for number in 0..40 {
        let ask = AskId::from_bytes([number; 16]);
        peer.claims(&mut ours, &asked(ask, "to deliver"), None).unwrap();
        let withdrawn = Answered { ask, end: AskEnd::Withdrawn, reason: String::new() };
        peer.claims(&mut ours, &Body::Answered(withdrawn), None).unwrap();
    }
    peer.claims(&mut ours, &asked(AskId::from_bytes([99; 16]), "to deliver"), None).unwrap();
    let id = peer.ours;
    let counted = ours.sees(|tx| tx.scan_raw(&Key::asks_of(id), None, usize::MAX).unwrap().len());
    assert_eq!(counted, 1);
    let page = Page { limit: 100, after: None };
    let Ok(Answer::Asks(asks)) = ours.does(Command::Asks { direction: None, page }) else { panic!("asks") };
    assert_eq!(asks.items.len(), 41, "they are shown");
    let ask = AskId::from_bytes([39; 16]).long();
    let over = ours.does(Command::AnswerAsk { ask, only: Vec::new(), until: None }).map(|_| ());
    assert_eq!(over.map_err(|refusal| refusal.code()), Err(Code::Conflict));
}

/// Somebody who knows how a log of ours with another peer is called pairs as a scanner, and calls its own so.
#[test]
fn nobody_pairs_under_the_name_of_a_log_that_is_known() {
    let (mut ours, peer) = one(PeerState::Paired);
    let taken = peer.ours;
    let taken = ours.sees(|tx| Relationship::load(tx, taken).unwrap().my_log);
    ours.takes(Event::Listening { addresses: vec!["/ip4/192.0.2.1/tcp/4001".to_owned()] });
    let Ok(Answer::Invited { text, .. }) = ours.does(Command::Invite { lifetime: Duration::from_secs(120) }) else {
        panic!("an invitation");
    };
    let mut dice = crate::rig::Dice::default();
    let mut bytes = BundleSecrets::generate(&mut dice).to_bytes().to_vec();
    let end = bytes.len() - 16;
    bytes[end..].copy_from_slice(taken.as_bytes());
    let secrets = BundleSecrets::from_bytes(&bytes).unwrap();
    let invitation = Invitation::parse(&text).unwrap();
    let mut asks = |request: PairRequest| {
        let bytes = request.encode();
        let step = ours.takes(Event::Request { link: 77, exchange: 1, channel: Channel::Pair, bytes });
        let answer = step.effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { message: Message::Bytes(bytes), .. } => Some(PairAnswer::decode(&bytes).unwrap()),
            _ => None,
        });
        answer.expect("an answer")
    };
    let (state, noise) = Scanner::start(&invitation, secrets, &mut dice).unwrap();
    let PairAnswer::Second { attempt, noise } = asks(PairRequest::First { noise }) else { panic!("second") };
    let (state, noise) = state.on_second(&noise, &mut dice).unwrap();
    let PairAnswer::Fourth { noise } = asks(PairRequest::Third { attempt, noise }) else { panic!("fourth") };
    let (paired, noise) = state.on_fourth(&noise, &mut dice).unwrap();
    let aad = Aad::new(b"pairing-profile").hash(&paired.transcript).u8(Role::Scanner.byte()).finish();
    let profile = Profile { name: "somebody".to_owned(), kind: NodeKind::Person, addresses: Vec::new(), mailbox: 0 };
    let (key, profile) = (paired.rs.schedule().profile_key, profile.encode());
    let profile = seal(&key, Domain::PairingMessage, &aad, &profile, Padding::Padme, &mut dice);
    let met = asks(PairRequest::Fifth { attempt, noise, profile });
    asks(PairRequest::Declined { attempt });
    assert!(ours.sees(|tx| log::wire_entry(tx, taken, 1).unwrap()).is_some(), "a stranger's leaving takes it along");
    assert_eq!(met, PairAnswer::Failed);
}

#[test]
fn a_report_of_any_number_of_uses_is_borne() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    sets(&mut ours, CITY, "Paris");
    let grant = lends_as(&mut ours, &peer, CITY, Mode::Reference);
    let line = |count| UseLine {
        grant,
        selector: 0,
        purpose: Purpose::parse("delivery").unwrap(),
        count,
        from: Timestamp::from_millis(0),
        to: Timestamp::NEVER,
    };
    peer.claims(&mut ours, &Body::Used(Used { lines: vec![line(u64::MAX), line(u64::MAX)] }), None).unwrap();
    let read = Body::Read(Read { grant, selector: 0, record: None, nonce: [3; 16] });
    let answer = peer.claims(&mut ours, &read, None).expect("an answer");
    assert!(answer.entries.iter().any(|entry| !entry.payload.is_empty()), "it was read");
}

#[test]
fn the_answer_to_a_live_read_does_not_outlive_a_removal() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    for (path, text) in [(CITY, "Paris"), ("contact/me/street", "3 rue des Lilas")] {
        sets(&mut ours, path, text);
    }
    for path in [CITY, "contact/me/street"] {
        let grant = lends_as(&mut ours, &peer, path, Mode::Reference);
        peer.claims(&mut ours, &Body::Read(Read { grant, selector: 0, record: None, nonce: [3; 16] }), None).unwrap();
    }
    let id = peer.ours;
    let ready = |ours: &mut Ours| {
        ours.sees(|tx| {
            let relationship = Relationship::load(tx, id).unwrap();
            let next = log::own(tx, &relationship).unwrap().next;
            let entries = (1..next).filter_map(|sequence| log::wire_entry(tx, relationship.my_log, sequence).unwrap());
            entries.filter(|entry| !entry.payload.is_empty()).count()
        })
    };
    assert_eq!(ready(&mut ours), 2);
    ours.does(Command::Remove { path: CITY.parse().unwrap() }).unwrap();
    assert_eq!(ready(&mut ours), 1);
}

#[test]
fn an_answer_to_a_live_read_that_was_withdrawn_is_none() {
    let (mut ours, mut peer) = one(PeerState::Paired);
    let nonce = reads_live(&mut ours, &mut peer, CITY, CITY);
    let outcome = ServedOutcome::Value { version: 1 };
    let served = Body::Served(Served { grant: id(), selector: 0, record: None, nonce, outcome });
    assert!(peer.claims(&mut ours, &served, None).is_some(), "nothing is wrong with it");
    assert_eq!(ours.replies.pop().map(|outcome| outcome.unwrap_err().code()), Some(Code::Unreachable));
}

#[test]
fn a_live_read_is_answered_by_the_record_that_was_asked_for_alone() {
    let (wanted, other) = (Pseudonym::from_bytes([5; 16]), Pseudonym::from_bytes([6; 16]));
    for record in [wanted, other] {
        let (mut ours, mut peer) = one(PeerState::Paired);
        let path = format!("transaction/{}/amount", wanted.long());
        let nonce = reads_live(&mut ours, &mut peer, "transaction/*/amount", &path);
        let cell = peer.step(|tx, relationship| {
            let (selector, agreement) = ("transaction/*/amount".parse().unwrap(), agreement::built_in());
            let place = CellPlace {
                relationship: &relationship.tag,
                log: relationship.my_log,
                grant: id(),
                selector: &selector,
                record: Some(record),
                epoch: u32::MAX,
                version: 1,
                agreement: &agreement,
            };
            let content = CellContent { at_s: 1, value: Value::text("42.00") }.encode();
            let key = record_key(&StoredKey::from_bytes(&[1; 32]).key(), Some(record));
            seal(&key, Domain::Cell, &place.aad(), &content, padding(Some(record)), &mut *tx.dice)
        });
        let payload = ServedPayload { key: [1; 32], cell }.encode();
        let outcome = ServedOutcome::Value { version: 1 };
        let served = Body::Served(Served { grant: id(), selector: 0, record: Some(record), nonce, outcome });
        let answered = peer.claims(&mut ours, &served, Some(&payload)).is_some();
        let read = matches!(ours.replies.pop(), Some(Ok(Answer::Fields(_))));
        assert_eq!((answered, read), (record == wanted, record == wanted));
    }
}

#[test]
fn a_record_reads_back_however_long_the_name_of_its_file_is() {
    let (mut ours, _) = one(PeerState::Paired);
    let record = "contact/me".parse().unwrap();
    let field = |number: usize| (FieldName::parse(&format!("f{number}")).unwrap(), Value::text("x".repeat(1_000)));
    let fields = (0..FIELDS_PER_RECORD_MAX).map(field).collect();
    let source = format!("import:{}", "é".repeat(10_000));
    ours.does(Command::Import { items: vec![ImportItem { record, fields }], source, dry_run: false }).unwrap();
    let page = Page { limit: 10, after: None };
    let Ok(Answer::Exported(exported)) = ours.does(Command::Export { kind: None, page }) else { panic!("an export") };
    assert_eq!(exported.items[0].fields.len(), FIELDS_PER_RECORD_MAX);
}

#[test]
fn a_peer_that_says_hello_without_end_takes_no_session_of_another() {
    let (mut ours, mut peers) = Ours::with(Side::Inviter, &["one", "other"], PeerState::Paired);
    for _ in 0..crate::limits::SESSIONS_MAX {
        ours.greeted_by(&mut peers[0]);
        let message = peers[0].message(Vec::new());
        assert!(matches!(peers[0].says(&mut ours, &message), Some(SessionAnswer::Sealed { .. })));
    }
    let message = peers[1].message(Vec::new());
    assert!(matches!(peers[1].says(&mut ours, &message), Some(SessionAnswer::Sealed { .. })));
}

#[test]
fn an_unknown_session_is_told_so() {
    let (mut ours, mut peer) = one(PeerState::Pending);
    let mut message = peer.message(Vec::new());
    message.have[0].sequence = 5;
    assert_eq!(peer.says(&mut ours, &message), Some(SessionAnswer::Unknown), "it went with what nobody confirmed");
}
