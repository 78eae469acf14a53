//! The body of every kind of entry, every payload, and bodies beyond their limits.

use allod_protocol::{
    codec::Coded,
    command::{Mode, NodeKind},
    id::{AskId, GrantId, LogId, Pseudonym, RouteId},
    limits::EPOCH_MAX,
    path::Selector,
    purpose::Purpose,
    time::Timestamp,
    value::Value,
    wire::body::{
        Acknowledged, Answered, AskEnd, Asked, Body, CellContent, CellRef, Cells, CellsPayload, Closed, Granted,
        KeysChanged, KeysPayload, Paired, Profile, Purged, Read, Rekey, RekeyStep, Resumed, Revoked, Served,
        ServedOutcome, ServedPayload, Stated, UseLine, Used, WireBody,
    },
};
use serde_json::{Value as Json, json};

use crate::{bytes16, bytes32, check, hex, shown};

pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

pub fn purpose(word: &str) -> Purpose {
    Purpose::parse(word).unwrap()
}

pub fn profile(name: &str, addresses: &[&str]) -> Profile {
    Profile {
        name: name.to_owned(),
        kind: NodeKind::Person,
        addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        mailbox: 7,
    }
}

fn grant() -> GrantId {
    GrantId::from_bytes(bytes16("grant"))
}

fn record() -> Pseudonym {
    Pseudonym::from_bytes(bytes16("record"))
}

fn cell(place: u16, record: Option<Pseudonym>, version: u64, gone: bool) -> CellRef {
    CellRef { selector: place, record, epoch: 0, version, gone }
}

fn granted(selectors: &[&str], mode: Mode, lease_ms: Option<u64>) -> Granted {
    Granted {
        grant: grant(),
        ask: Some(AskId::from_bytes(bytes16("ask"))),
        selectors: selectors.iter().map(|text| selector(text)).collect(),
        purpose: purpose("delivery"),
        mode,
        not_before: at(1_795_000_000_000),
        not_after: Some(at(1_800_000_000_000)),
        lease_ms,
        reads_per_hour: 0,
        agreement: allod_protocol::agreement::built_in(),
    }
}

fn asked(required: &[&str], optional: &[&str]) -> Asked {
    Asked {
        ask: AskId::from_bytes(bytes16("ask")),
        required: required.iter().map(|text| selector(text)).collect(),
        optional: optional.iter().map(|text| selector(text)).collect(),
        purpose: purpose("delivery"),
        reason: "Où livrer votre commande".into(),
        benefit: String::new(),
        until: None,
        mode: Mode::Follow,
    }
}

fn use_line() -> UseLine {
    UseLine {
        grant: grant(),
        selector: 1,
        purpose: purpose("delivery"),
        count: 300,
        from: at(1_795_000_000_000),
        to: at(1_795_000_004_999),
    }
}

fn bodies() -> Vec<(&'static str, Body, Json)> {
    fn one<T: Coded>(name: &'static str, body: T, of: impl Fn(T) -> Body) -> (&'static str, Body, Json) {
        let json = shown(&body);
        (name, of(body), json)
    }
    let read = |record| Read { grant: grant(), selector: 0, record, nonce: bytes16("nonce") };
    let served = |outcome| Served { grant: grant(), selector: 0, record: None, nonce: bytes16("nonce"), outcome };
    vec![
        one("Paired", Paired { profile: profile("Alice", &[]) }, Body::Paired),
        one("Profile", profile("Café", &["/ip4/192.0.2.7/udp/4001/quic-v1", "/ip4/192.0.2.7/tcp/4001"]), Body::Profile),
        one("Asked", asked(&["contact/me/city"], &["transaction/*/amount"]), Body::Asked),
        one(
            "Answered",
            Answered { ask: AskId::from_bytes(bytes16("ask")), end: AskEnd::Declined, reason: "non".into() },
            Body::Answered,
        ),
        one(
            "Granted, follow",
            granted(&["contact/me/city", "transaction/*/amount"], Mode::Follow, Some(604_800_000)),
            Body::Granted,
        ),
        one(
            "Granted, reference",
            Granted {
                ask: None,
                not_after: None,
                reads_per_hour: 60,
                ..granted(&["contact/me/city"], Mode::Reference, None)
            },
            Body::Granted,
        ),
        one("Keys", KeysChanged { grant: grant(), keys: vec![(0, 1), (255, 70_000)] }, Body::Keys),
        one(
            "Cells",
            Cells { grant: grant(), cells: vec![cell(0, None, 3, false), cell(1, Some(record()), 251, true)] },
            Body::Cells,
        ),
        one("Revoked", Revoked { grant: grant(), selectors: vec![0, 1] }, Body::Revoked),
        one("Purged, selectors", Purged::Selectors { grant: grant(), selectors: vec![0, 1] }, Body::Purged),
        one(
            "Purged, cells",
            Purged::Cells { grant: grant(), cells: vec![cell(1, Some(record()), 251, true)] },
            Body::Purged,
        ),
        one("Read", read(Some(record())), Body::Read),
        one("Served, value", served(ServedOutcome::Value { version: 9 }), Body::Served),
        one("Served, nothing", served(ServedOutcome::Nothing), Body::Served),
        one("Served, refused", served(ServedOutcome::Refused), Body::Served),
        one("Served, too many", served(ServedOutcome::TooMany { refused: 1 }), Body::Served),
        one("Used", Used { lines: vec![use_line()] }, Body::Used),
        one("Rekey", Rekey { generation: 1, step: RekeyStep::Done }, Body::Rekey),
        one("Closed", Closed {}, Body::Closed),
        one(
            "Resumed",
            Resumed {
                given: vec![Stated { grant: grant(), live: vec![(0, 0), (255, EPOCH_MAX)] }],
                held: vec![Stated { grant: GrantId::from_bytes(bytes16("held")), live: vec![(1, 3)] }],
                asked: vec![AskId::from_bytes(bytes16("ask"))],
                asked_of: Vec::new(),
            },
            Body::Resumed,
        ),
    ]
}

#[test]
fn the_body_of_every_kind_keeps_to_its_vector() {
    let mut vectors = Vec::new();
    for (name, body, json) in bodies() {
        let bytes = body.encode();
        assert_eq!(Body::decode(body.kind(), &bytes).as_ref(), Ok(&body), "{name}");
        vectors.push(json!({ "name": name, "kind": body.kind(), "body": json, "bytes": hex(&bytes) }));
    }
    let kinds: Vec<u16> = bodies().iter().map(|(_, body, _)| body.kind()).collect();
    for kind in [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 18, 20, 21] {
        assert!(kinds.contains(&kind), "no vector of kind {kind}");
    }

    let wire = WireBody {
        kind: 20,
        at: at(1_795_000_000_000),
        acknowledged: Acknowledged { log: LogId::from_bytes(bytes16("log")), sequence: 1 << 40, hash: bytes32("hash") },
        bytes: Body::Closed(Closed {}).encode(),
    };
    let parts = [
        json!({ "type": "WireBody", "value": shown(&wire), "bytes": hex(&wire.encode()) }),
        part("KeysPayload", &KeysPayload { keys: vec![bytes32("key 0"), bytes32("key 1")] }),
        part("CellsPayload", &CellsPayload { cells: vec![vec![1; 300].into(), Vec::new().into(), vec![2; 9].into()] }),
        part("ServedPayload", &ServedPayload { key: bytes32("key 0"), cell: vec![3; 12] }),
        part("CellContent", &CellContent { at_s: 1_795_000_000, value: Value::text("Paris") }),
    ];

    let mut refused = Vec::new();
    for (name, kind, bytes) in beyond_limits() {
        assert!(Body::decode(kind, &bytes).is_err(), "{name}");
        refused.push(json!({ "name": name, "kind": kind, "bytes": hex(&bytes), "refusal": "malformed" }));
    }
    let unknown = Body::decode(4_242, b"whatever a newer version says").unwrap();
    assert_eq!(unknown.encode(), b"whatever a newer version says");
    check(
        "bodies.json",
        "The body of every kind of entry and the other coded parts of entries, and bodies that decode and are beyond their limits.",
        json!({ "vectors": vectors, "parts": parts, "refused": refused }),
    );
}

fn part<T: Coded>(name: &str, part: &T) -> Json {
    json!({ "type": name, "value": shown(part), "bytes": hex(&part.encode()) })
}

/// What goes on: so many grants with so many selectors each, under keys of this epoch, and so many asks.
fn resumed(grants: usize, selectors: usize, epoch: u32, asks: usize) -> Vec<u8> {
    let live = (0..u16::try_from(selectors).unwrap()).map(|place| (place, epoch)).collect();
    let held = vec![Stated { grant: grant(), live }; grants];
    let asked = vec![AskId::from_bytes(bytes16("ask")); asks];
    Resumed { given: Vec::new(), held, asked, asked_of: Vec::new() }.encode()
}

fn beyond_limits() -> Vec<(&'static str, u16, Vec<u8>)> {
    let one = selector("contact/me/city");
    let many: Vec<Selector> = (0..257).map(|n| selector(&format!("a/{n}/b"))).collect();
    let with = |change: fn(&mut Profile)| {
        let mut changed = profile("Alice", &[]);
        change(&mut changed);
        changed.encode()
    };
    let cells = |count: usize| vec![cell(0, None, 1, true); count];
    let step = |step: RekeyStep| Rekey { generation: 1, step }.encode();
    let route = RouteId::from_bytes(bytes16("route"));
    let mut unknown_purpose = granted(&["contact/me/city"], Mode::Follow, None).encode();
    // The purpose's first letter becomes a space; the text stays UTF-8.
    let place = unknown_purpose.windows(15).position(|bytes| bytes == b"DeliveryOfGoods").unwrap();
    unknown_purpose[place] = b' ';
    vec![
        ("a name of 65 bytes", 2, with(|profile| profile.name = "x".repeat(65))),
        ("nine addresses", 2, with(|profile| profile.addresses = vec!["/ip4/192.0.2.7/tcp/1".into(); 9])),
        ("an address of 257 bytes", 2, with(|profile| profile.addresses = vec!["x".repeat(257)])),
        ("mailbox 64", 2, with(|profile| profile.mailbox = 64)),
        ("mailbox 64, when pairing", 1, with(|profile| profile.mailbox = 64)),
        ("an ask for nothing", 5, asked(&[], &[]).encode()),
        ("an ask for one thing twice", 5, asked(&["contact/me/city"], &["contact/me/city"]).encode()),
        ("an ask for 257", 5, Asked { required: many.clone(), ..asked(&[], &[]) }.encode()),
        (
            "a reason of 2,049 bytes",
            5,
            Asked { reason: "x".repeat(2_049), ..asked(&["contact/me/city"], &[]) }.encode(),
        ),
        (
            "a benefit of 2,049 bytes",
            5,
            Asked { benefit: "x".repeat(2_049), ..asked(&["contact/me/city"], &[]) }.encode(),
        ),
        (
            "an answer of 2,049 bytes",
            6,
            Answered { ask: AskId::from_bytes([1; 16]), end: AskEnd::Withdrawn, reason: "x".repeat(2_049) }.encode(),
        ),
        ("a grant of nothing", 7, granted(&[], Mode::Follow, None).encode()),
        (
            "a grant of one thing twice",
            7,
            Granted { selectors: vec![one.clone(), one], ..granted(&[], Mode::Follow, None) }.encode(),
        ),
        ("a grant of 257", 7, Granted { selectors: many, ..granted(&[], Mode::Follow, None) }.encode()),
        ("a purpose with a space", 7, unknown_purpose),
        ("no keys", 8, KeysChanged { grant: grant(), keys: Vec::new() }.encode()),
        ("257 keys", 8, KeysChanged { grant: grant(), keys: vec![(0, 0); 257] }.encode()),
        ("no cells", 9, Cells { grant: grant(), cells: Vec::new() }.encode()),
        ("1,001 cells", 9, Cells { grant: grant(), cells: cells(1_001) }.encode()),
        ("nothing revoked", 10, Revoked { grant: grant(), selectors: Vec::new() }.encode()),
        ("257 revoked", 10, Revoked { grant: grant(), selectors: vec![0; 257] }.encode()),
        ("no selectors purged", 11, Purged::Selectors { grant: grant(), selectors: Vec::new() }.encode()),
        ("no cells purged", 11, Purged::Cells { grant: grant(), cells: Vec::new() }.encode()),
        ("1,001 cells purged", 11, Purged::Cells { grant: grant(), cells: cells(1_001) }.encode()),
        ("no uses", 14, Used { lines: Vec::new() }.encode()),
        ("257 uses", 14, Used { lines: vec![use_line(); 257] }.encode()),
        ("an X-Wing key of 1,215 bytes", 18, step(RekeyStep::Start { public: vec![0; 1_215], route })),
        ("no X-Wing key", 18, step(RekeyStep::Reply { ciphertext: vec![0; 1_120], public: Vec::new(), route })),
        ("an X-Wing ciphertext of 1,121 bytes", 18, step(RekeyStep::Finish { ciphertext: vec![0; 1_121] })),
        ("1,025 grants that go on", 21, resumed(1_025, 1, 0, 0)),
        ("a grant that goes on with nothing", 21, resumed(1, 0, 0, 0)),
        ("a grant that goes on with 257 selectors", 21, resumed(1, 257, 0, 0)),
        ("16,385 selectors that go on", 21, resumed(65, 253, 0, 0)),
        ("an epoch above 2^31", 21, resumed(1, 1, EPOCH_MAX + 1, 0)),
        ("1,025 asks that go on", 21, resumed(0, 0, 0, 1_025)),
        ("something after the end", 20, vec![1, 0, 0]),
        ("a body of version 2", 20, vec![2, 0]),
    ]
}
