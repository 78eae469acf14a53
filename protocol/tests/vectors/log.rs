//! One log from `Paired` to what comes after `Closed`, received entry by entry by the code that receives, and entries that must not pass.

use allod_crypto::{ChainValue, Domain, Padding, SecretKey, SigningIdentity, seal, sha256};
use allod_protocol::{
    codec::Coded,
    command::{Mode, PeerState},
    delivery::{padding, record_key},
    door::{Order, authorize},
    holding::{self, ReadOutcome},
    id::{GrantId, LogId, Pseudonym},
    log::{self, Received},
    relationship::{Relationship, Side},
    time::Timestamp,
    tx::{Stop, Tx},
    value::{Decimal, Scalar, Value},
    wire::{
        body::{
            Acknowledged, Body, CellContent, CellPlace, CellRef, Cells, CellsPayload, Closed, Granted, KeysChanged,
            KeysPayload, Paired, Revoked, Served, ServedOutcome, ServedPayload, WireBody, entry_aad,
        },
        header::{ENTRY_DOMAIN, Head, Header, WireEntry},
    },
};
use serde_json::{Value as Json, json};

use crate::{
    Dice, Stuck,
    bodies::{at, profile, purpose, selector},
    bytes16, bytes32, check, hex,
    home::{Home, Identity, STUCK, T0, relationship_shown, schedule, tag},
    shown, stopped,
};

pub const CITY: &str = "contact/me/city";
pub const AMOUNT: &str = "transaction/*/amount";
const LEASE_MS: u64 = 604_800_000;
pub const NOT_AFTER: u64 = T0 + 864_000_000;

pub fn grant() -> GrantId {
    GrantId::from_bytes(bytes16("grant"))
}

pub fn record(number: u8) -> Pseudonym {
    Pseudonym::from_bytes(bytes16(&format!("record {number}")))
}

/// One cell with all that it is bound to, each of which can be made wrong.
#[derive(Clone)]
pub struct Cell {
    pub tag: [u8; 32],
    pub log: LogId,
    pub grant: GrantId,
    pub selector: &'static str,
    pub record: Option<Pseudonym>,
    pub epoch: u32,
    pub version: u64,
    pub agreement: [u8; 32],
    pub key: &'static str,
    pub value: Value,
}

impl Cell {
    pub fn city(version: u64, text: &str) -> Self {
        Self {
            tag: tag(),
            log: Identity::of("lender").log,
            grant: grant(),
            selector: CITY,
            record: None,
            epoch: 0,
            version,
            agreement: allod_protocol::agreement::built_in(),
            key: "city key 0",
            value: Value::text(text),
        }
    }

    pub fn amount(number: u8, version: u64, digits: &str) -> Self {
        let value = Value::Scalar(Scalar::Decimal(Decimal::parse(digits).unwrap()));
        Self { selector: AMOUNT, record: Some(record(number)), key: "amount key 0", value, ..Self::city(version, "") }
    }

    pub fn aad(&self) -> Vec<u8> {
        let selector = selector(self.selector);
        CellPlace {
            relationship: &self.tag,
            log: self.log,
            grant: self.grant,
            selector: &selector,
            record: self.record,
            epoch: self.epoch,
            version: self.version,
            agreement: &self.agreement,
        }
        .aad()
    }

    pub fn content(&self) -> Vec<u8> {
        CellContent { at_s: T0 / 1_000 + self.version, value: self.value.clone() }.encode()
    }

    pub fn sealed(&self, name: &str) -> Vec<u8> {
        self.sealed_as(name, &self.content(), padding(self.record))
    }

    pub fn sealed_as(&self, name: &str, content: &[u8], padding: Padding) -> Vec<u8> {
        let key = record_key(&crate::key(self.key), self.record);
        seal(&key, Domain::Cell, &self.aad(), content, padding, &mut Dice::named(name))
    }

    pub fn reference(&self, place: u16) -> CellRef {
        CellRef { selector: place, record: self.record, epoch: self.epoch, version: self.version, gone: false }
    }

    pub fn shown(&self) -> Json {
        json!({
            "selector": self.selector, "record": self.record.map(|record| hex(record.as_bytes())), "epoch": self.epoch,
            "version": self.version, "key": hex(crate::key(self.key).expose()),
            "content": shown(&CellContent::decode(&self.content()).unwrap()),
        })
    }
}

/// What the lender says next, and the cells that stand in it.
#[derive(Clone)]
struct Said {
    name: &'static str,
    body: Body,
    payload: Option<Vec<u8>>,
    cells: Vec<Cell>,
}

fn said(name: &'static str, body: Body) -> Said {
    Said { name, body, payload: None, cells: Vec::new() }
}

fn said_cells(name: &'static str, cells: Vec<(u16, Cell)>) -> Said {
    let sealed = cells.iter().enumerate().map(|(n, (_, cell))| cell.sealed(&format!("{name} {n}")).into()).collect();
    let refs = cells.iter().map(|(place, cell)| cell.reference(*place)).collect();
    Said {
        name,
        body: Body::Cells(Cells { grant: grant(), cells: refs }),
        payload: Some(CellsPayload { cells: sealed }.encode()),
        cells: cells.into_iter().map(|(_, cell)| cell).collect(),
    }
}

pub fn keys(names: &[&str]) -> Option<Vec<u8>> {
    Some(KeysPayload { keys: names.iter().map(|name| bytes32(name)).collect() }.encode())
}

pub fn granted(id: GrantId, selectors: &[&str], mode: Mode) -> Granted {
    let follows = mode == Mode::Follow;
    Granted {
        grant: id,
        ask: None,
        selectors: selectors.iter().map(|text| selector(text)).collect(),
        purpose: purpose("delivery"),
        mode,
        not_before: at(T0),
        not_after: follows.then_some(at(NOT_AFTER)),
        lease_ms: follows.then_some(LEASE_MS),
        reads_per_hour: if follows { 0 } else { 60 },
        agreement: allod_protocol::agreement::built_in(),
    }
}

fn reference_grant() -> GrantId {
    GrantId::from_bytes(bytes16("reference grant"))
}

pub fn other_grant() -> GrantId {
    GrantId::from_bytes(bytes16("other grant"))
}

fn served_cell() -> Cell {
    Cell {
        grant: reference_grant(),
        selector: "contact/me/email",
        epoch: u32::MAX,
        key: "one-time key",
        ..Cell::city(5, "alice@example.org")
    }
}

fn story() -> Vec<Said> {
    let served = served_cell();
    let later_city = Cell { epoch: 1, key: "city key 1", ..Cell::city(5, "Nice") };
    vec![
        said("confirmed", Body::Paired(Paired { profile: profile("Alice", &[]) })),
        Said {
            payload: keys(&["city key 0", "amount key 0"]),
            ..said("lent", Body::Granted(granted(grant(), &[CITY, AMOUNT], Mode::Follow)))
        },
        said_cells(
            "first cells",
            vec![(0, Cell::city(1, "Paris")), (1, Cell::amount(1, 2, "9.99")), (1, Cell::amount(2, 1, "-120"))],
        ),
        said_cells("a newer city", vec![(0, Cell::city(3, "Lyon"))]),
        said(
            "the city is removed",
            Body::Cells(Cells {
                grant: grant(),
                cells: vec![CellRef { gone: true, ..Cell::city(3, "").reference(0) }],
            }),
        ),
        Said {
            payload: keys(&["city key 1"]),
            ..said("a fresh key", Body::Keys(KeysChanged { grant: grant(), keys: vec![(0, 1)] }))
        },
        said_cells("a city under it", vec![(0, later_city), (1, Cell::amount(1, 7, "10"))]),
        said("something of a newer version", Body::Unknown { kind: 4_242, bytes: b"whatever it says".to_vec() }),
        said("lent for live reads", Body::Granted(granted(reference_grant(), &["contact/me/email"], Mode::Reference))),
        Said {
            payload: Some(ServedPayload { key: bytes32("one-time key"), cell: served.sealed("served cell") }.encode()),
            cells: vec![served.clone()],
            ..said(
                "a live read answered",
                Body::Served(Served {
                    grant: reference_grant(),
                    selector: 0,
                    record: None,
                    nonce: bytes16("nonce"),
                    outcome: ServedOutcome::Value { version: served.version },
                }),
            )
        },
        said("taken back", Body::Revoked(Revoked { grant: grant(), selectors: vec![0, 1] })),
        said("over", Body::Closed(Closed {})),
        Said {
            payload: keys(&["too late"]),
            ..said("lent after the end", Body::Granted(granted(other_grant(), &[CITY], Mode::Follow)))
        },
    ]
}

/// An entry under way: all that is hashed, sealed and signed, each part of which can be made wrong.
#[derive(Clone)]
pub struct Making {
    pub name: String,
    pub log: LogId,
    pub sequence: u64,
    pub previous: [u8; 32],
    pub chain: [u8; 32],
    pub keys_of: (LogId, u64),
    pub sealed_for: ([u8; 32], u64, [u8; 32]),
    pub kinds: [&'static [u8]; 2],
    pub domains: [Domain; 2],
    pub padding: Padding,
    pub keys_swapped: bool,
    pub plain: Vec<u8>,
    pub payload: Option<Vec<u8>>,
    pub signer: [u8; 32],
    pub domain: &'static str,
}

impl Making {
    pub fn keys(&self) -> ([u8; 32], SecretKey, SecretKey) {
        let (log, sequence) = self.keys_of;
        let (next, body, payload) = ChainValue::from_bytes(self.chain).step(log.as_bytes(), sequence);
        let next = *next.to_bytes();
        if self.keys_swapped { (next, payload, body) } else { (next, body, payload) }
    }

    pub fn entry(&self) -> WireEntry {
        let (_, body_key, payload_key) = self.keys();
        let (tag, sequence, previous) = &self.sealed_for;
        let aad = |kind| entry_aad(kind, tag, self.log, *sequence, previous);
        let dice = |part: &str| Dice::named(&format!("{} {part}", self.name));
        let [body_kind, payload_kind] = self.kinds;
        let body = seal(&body_key, self.domains[0], &aad(body_kind), &self.plain, self.padding, &mut dice("body"));
        let payload = match &self.payload {
            Some(plain) => {
                seal(&payload_key, self.domains[1], &aad(payload_kind), plain, self.padding, &mut dice("payload"))
            }
            None => Vec::new(),
        };
        let header = Header {
            log: self.log,
            sequence: self.sequence,
            previous: self.previous,
            body_hash: sha256(&[&body]),
            body_bytes: u32::try_from(body.len()).unwrap(),
            payload_hash: if payload.is_empty() { [0; 32] } else { sha256(&[&payload]) },
            payload_bytes: u32::try_from(payload.len()).unwrap(),
        };
        let header = header.to_bytes().to_vec();
        let signature = SigningIdentity::from_bytes(&self.signer).sign(self.domain, &header).to_vec();
        WireEntry { header, signature, body, payload }
    }
}

/// The whole log of the lender, made as `docs/PROTOCOL.md` says.
pub struct Log {
    said: Vec<Said>,
    pub making: Vec<Making>,
    pub entries: Vec<WireEntry>,
}

impl Log {
    pub fn made() -> Self {
        let lender = Identity::of("lender");
        let mut log = Self { said: story(), making: Vec::new(), entries: Vec::new() };
        let (mut chain, mut previous) = (*schedule().chain_inviter.to_bytes(), [0; 32]);
        for (sequence, said) in (1..).zip(log.said.clone()) {
            let making = Making {
                name: said.name.to_owned(),
                log: lender.log,
                sequence,
                previous,
                chain,
                keys_of: (lender.log, sequence),
                sealed_for: (tag(), sequence, previous),
                kinds: [b"body", b"payload"],
                domains: [Domain::EntryBody, Domain::EntryPayload],
                padding: Padding::Padme,
                keys_swapped: false,
                plain: wire(&said.body, T0 + sequence * 1_000).encode(),
                payload: said.payload,
                signer: *lender.signing.to_bytes(),
                domain: ENTRY_DOMAIN,
            };
            let entry = making.entry();
            chain = making.keys().0;
            previous = hash_of(&entry);
            log.making.push(making);
            log.entries.push(entry);
        }
        log
    }

    /// The holder's home with this many entries of the log.
    pub fn received(&self, count: usize) -> Home {
        let mut home = Home::of(Side::Scanner);
        for (sequence, entry) in (1..).zip(&self.entries[..count]) {
            take(&mut home, T0 + sequence * 1_000, entry).unwrap();
        }
        home
    }

    /// What stands after `count` entries with a change of ours.
    pub fn instead(&self, count: usize, name: &str, change: impl FnOnce(&mut Making)) -> WireEntry {
        let mut making = self.making[count].clone();
        making.name = name.to_owned();
        change(&mut making);
        making.entry()
    }

    /// What stands after `count` entries with another body and payload.
    pub fn saying(&self, count: usize, name: &str, body: &Body, payload: Option<Vec<u8>>) -> WireEntry {
        self.instead(count, name, |making| {
            making.plain = wire(body, T0 + making.sequence * 1_000).encode();
            making.payload = payload;
        })
    }
}

pub fn wire(body: &Body, millis: u64) -> WireBody {
    let acknowledged = Acknowledged { log: Identity::of("holder").log, sequence: 0, hash: [0; 32] };
    WireBody { kind: body.kind(), at: at(millis), acknowledged, bytes: body.encode() }
}

pub fn hash_of(entry: &WireEntry) -> [u8; 32] {
    Header::from_bytes(entry.header.as_slice().try_into().unwrap()).unwrap().hash()
}

/// Receives an entry as a session does, and acts on it. The word for what became of it, and what a live read yielded.
pub fn take(home: &mut Home, now: u64, entry: &WireEntry) -> Result<(&'static str, Option<String>), Stop> {
    let relationship = home.relationship();
    home.step(now, &mut Stuck(STUCK), |tx| match log::receive(tx, &relationship, entry)? {
        Received::Known => Ok(("known", None)),
        Received::TooEarly => Ok(("too_early", None)),
        Received::Fork => Ok(("fork", None)),
        Received::New(verified) => match authorize(tx, &relationship, *verified)? {
            None | Some(Order::Unknown) => Ok(("kept", None)),
            Some(order) => Ok(("taken", act(tx, relationship, order)?)),
        },
    })
}

fn act(tx: &mut Tx<'_>, mut relationship: Relationship, order: Order) -> Result<Option<String>, Stop> {
    match order {
        Order::Paired(_) | Order::Asked(_) => {}
        Order::Granted(order) => holding::granted(tx, &relationship, &order)?,
        Order::Keys(order, mut grant) => holding::keys(tx, &mut grant, &order)?,
        Order::Cells(order, mut grant) => holding::cells(tx, &relationship, &mut grant, &order)?,
        Order::Revoked(order, mut grant) => holding::revoked(tx, &relationship, &mut grant, &order)?,
        Order::Served(order, grant) => {
            let ServedOutcome::Value { version } = order.body().outcome else { return Ok(None) };
            let view = holding::served(&relationship, &grant, "email".into(), &order, version)?;
            return Ok(Some(view.value.to_string()));
        }
        Order::Closed(_) => {
            relationship.state = PeerState::Closed;
            relationship.save(tx);
        }
        other => panic!("{other:?}"),
    }
    Ok(None)
}

/// What the holder reads at a path, at a time, with the newest head of the lender.
pub fn read(home: &mut Home, now: u64, path: &str) -> Result<String, Stop> {
    let relationship = home.relationship();
    let path = path.parse().unwrap();
    let outcome = home.step(now, &mut Stuck(STUCK), |tx| holding::read(tx, &relationship, &path, None))?;
    match outcome {
        ReadOutcome::Value { view, .. } => Ok(view.value.to_string()),
        ReadOutcome::Live { .. } => panic!("{path} is copied"),
    }
}

/// The lender's head over this many entries.
pub fn head(log: &Log, count: usize, millis: u64) -> Head {
    let hash = log.entries[..count].last().map_or([0; 32], hash_of);
    let sequence = u64::try_from(count).unwrap();
    let log = Identity::of("lender").log;
    Head { log, sequence, hash, at: at(millis), until: Timestamp::from_millis(millis + 7_776_000_000) }
}

pub fn take_head(home: &mut Home, log: &Log, count: usize, millis: u64) {
    let relationship = home.relationship();
    let signed = head(log, count, millis).sign(&Identity::of("lender").signing);
    home.step(millis, &mut Stuck(STUCK), |tx| log::receive_head(tx, &relationship, &signed)).unwrap();
}

fn reads(home: &mut Home, log: &Log, count: usize) -> Json {
    let now = T0 + 500 + u64::try_from(count).unwrap() * 1_000;
    take_head(home, log, count, now);
    let amount = |number| format!("transaction/{}/amount", record(number).long());
    let shown = [CITY.to_owned(), amount(1), amount(2)].map(|path| {
        let value = read(home, now, &path).ok();
        (path, value.map_or(Json::Null, Json::from))
    });
    shown.into_iter().collect()
}

#[test]
fn a_log_is_received_entry_by_entry_and_what_is_broken_is_not() {
    let log = Log::made();
    let mut home = Home::of(Side::Scanner);
    let mut entries = Vec::new();
    for (index, (said, entry)) in log.said.iter().zip(&log.entries).enumerate() {
        let making = &log.making[index];
        let now = T0 + making.sequence * 1_000;
        let (outcome, live) = take(&mut home, now, entry).unwrap();
        let (next, body_key, payload_key) = making.keys();
        entries.push(json!({
            "name": said.name, "sequence": making.sequence, "now": now, "chain": hex(&making.chain), "next_chain": hex(&next),
            "body_key": hex(body_key.expose()), "payload_key": hex(payload_key.expose()),
            "wire_body": shown(&wire(&said.body, now)), "payload_plain": making.payload.as_deref().map(hex),
            "cells": said.cells.iter().map(Cell::shown).collect::<Vec<_>>(),
            "entry": shown(entry), "header_hash": hex(&hash_of(entry)), "outcome": outcome, "live": live,
            "reads": reads(&mut home, &log, index + 1),
        }));
    }
    assert_eq!(entries[3]["reads"][CITY], "Lyon");
    assert_eq!(entries[9]["live"], "alice@example.org");
    assert_eq!(entries[10]["reads"][CITY], Json::Null);

    let mut cases = Vec::new();
    for (name, count, now, entry, outcome) in crate::broken::broken(&log).into_iter().chain(crate::broken::odd(&log)) {
        let mut home = log.received(count);
        let became = match take(&mut home, now, &entry) {
            Ok((word, _)) => word,
            Err(stop) => stopped(stop),
        };
        assert_eq!(became, outcome, "{name}");
        let count_now = if became == "taken" { count + 1 } else { count };
        let mut case = json!({ "name": name, "after": count, "now": now, "entry": shown(&entry), "outcome": outcome });
        if became == "taken" {
            // A head over what was received here, which is not the published log.
            let mut with = Log { said: Vec::new(), making: Vec::new(), entries: log.entries[..count].to_vec() };
            with.entries.push(entry);
            case.as_object_mut().unwrap().insert("reads".into(), reads(&mut home, &with, count_now));
        }
        cases.push(case);
    }
    check(
        "log.json",
        "A lender's log, received by the holder; `cases` come after so many entries of it. `reads` is what the holder can read then.",
        json!({ "relationship": relationship_shown(), "entries": entries, "cases": cases }),
    );
}
