//! Entries that must not pass, or must not be acted upon: what a forger, a rolled-back home or a careless program might send.

use allod_crypto::{Domain, Padding};
use allod_protocol::{
    codec::Coded,
    command::Mode,
    id::AskId,
    value::{Scalar, Value},
    wire::{
        body::{Asked, Body, CellContent, CellRef, Cells, CellsPayload, Closed, KeysChanged, Paired, Revoked},
        header::{ENTRY_DOMAIN, HEAD_DOMAIN, WireEntry},
    },
};

use crate::{
    bodies::{profile, purpose, selector},
    bytes16, bytes32,
    home::{Identity, T0},
    log::{AMOUNT, CITY, Cell, Log, Making, grant, granted, keys, other_grant, record, wire},
};

pub type Case = (&'static str, usize, u64, WireEntry, &'static str);

/// Entries whose form, signature, place or seal does not hold.
pub fn broken(log: &Log) -> Vec<Case> {
    const AFTER: usize = 2;
    let now = T0 + 3_000;
    let good = &log.entries[AFTER];
    let mut cases: Vec<Case> = Vec::new();
    let mut changed = |name: &'static str, change: &dyn Fn(&mut WireEntry)| {
        let mut entry = good.clone();
        change(&mut entry);
        cases.push((name, AFTER, now, entry, "forged"));
    };
    let resign = |entry: &mut WireEntry| {
        entry.signature = Identity::of("lender").signing.sign(ENTRY_DOMAIN, &entry.header).to_vec();
    };
    for (name, byte) in [
        ("header changed: version", 0),
        ("header changed: log id", 2),
        ("header changed: sequence", 18),
        ("header changed: previous", 26),
        ("header changed: body hash", 58),
        ("header changed: body length", 90),
        ("header changed: payload hash", 94),
        ("header changed: payload length", 126),
    ] {
        changed(name, &move |entry| entry.header[byte] ^= 1);
    }
    changed("header a byte short", &|entry| entry.header.truncate(entry.header.len() - 1));
    changed("header a byte long", &|entry| entry.header.push(0));
    changed("signature changed", &|entry| entry.signature[0] ^= 1);
    changed("signature a byte short", &|entry| entry.signature.truncate(entry.signature.len() - 1));
    changed("signature in its second form, S + L", &|entry| add_group_order(&mut entry.signature[32..]));
    changed("signed as a head", &|entry| {
        entry.signature = Identity::of("lender").signing.sign(HEAD_DOMAIN, &entry.header).to_vec();
    });
    changed("signed by the holder", &|entry| {
        entry.signature = Identity::of("holder").signing.sign(ENTRY_DOMAIN, &entry.header).to_vec();
    });
    changed("signed well: version 2", &|entry| {
        entry.header[0] = 2;
        resign(entry);
    });
    changed("signed well: sequence 0", &|entry| {
        entry.header[18..26].fill(0);
        resign(entry);
    });
    changed("signed well: lengths beyond an entry", &|entry| {
        entry.header[90..94].copy_from_slice(&524_288_u32.to_le_bytes());
        resign(entry);
    });
    changed("signed well: a body length that is not the body's", &|entry| {
        entry.header[90] ^= 1;
        resign(entry);
    });
    changed("body changed", &|entry| entry.body[100] ^= 1);
    changed("body cut", &|entry| entry.body.truncate(entry.body.len() - 1));
    changed("body gone", &|entry| entry.body.clear());
    changed("payload changed", &|entry| entry.payload[100] ^= 1);
    changed("payload cut", &|entry| entry.payload.truncate(entry.payload.len() - 1));

    let mut made = |name: &'static str, outcome: &'static str, change: &dyn Fn(&mut Making)| {
        cases.push((name, AFTER, now, log.instead(AFTER, name, change), outcome));
    };
    made("of the holder's log", "not_allowed", &|making| making.log = Identity::of("holder").log);
    made("another history", "fork", &|making| making.previous[0] ^= 1);
    made("a sequence ahead", "too_early", &|making| making.sequence += 1);
    made("sealed for another relationship", "forged", &|making| making.sealed_for.0[0] ^= 1);
    made("sealed for another sequence", "forged", &|making| making.sealed_for.1 += 1);
    made("sealed for another previous", "forged", &|making| making.sealed_for.2[0] ^= 1);
    made("body sealed as a payload", "forged", &|making| making.kinds[0] = b"payload");
    made("payload sealed as a body", "forged", &|making| making.kinds[1] = b"body");
    made("body in the payload's domain", "forged", &|making| making.domains[0] = Domain::EntryPayload);
    made("payload in the body's domain", "forged", &|making| making.domains[1] = Domain::EntryBody);
    made("without padding", "forged", &|making| making.padding = Padding::None);
    made("keys of body and payload swapped", "forged", &|making| making.keys_swapped = true);
    made("keys of the chain's next step", "forged", &|making| {
        making.chain = making.keys().0;
        making.keys_of.1 += 1;
    });
    made("keys of another log", "forged", &|making| making.keys_of.0 = Identity::of("holder").log);
    made("a body of version 2", "malformed", &|making| making.plain[0] = 2);
    made("a byte after the body", "malformed", &|making| making.plain.push(0));
    made("a kind in five bytes that fits one", "malformed", &|making| {
        making.plain.splice(2..3, [252, 9, 0, 0, 0]);
    });
    made("a kind in three bytes that fits one", "malformed", &|making| {
        making.plain.splice(2..3, [251, 9, 0]);
    });
    let said_at =
        |millis: u64| move |making: &mut Making| making.plain = wire(&Body::Closed(Closed {}), millis).encode();
    cases.push((
        "written 120 s ahead of our clock",
        AFTER,
        now,
        log.instead(AFTER, "120 s", said_at(now + 120_000)),
        "taken",
    ));
    // When an entry was written is what its writer says, and binds nothing: only heads do.
    cases.push((
        "written an hour ahead of our clock",
        AFTER,
        now,
        log.instead(AFTER, "an hour", said_at(now + 3_600_000)),
        "taken",
    ));

    cases.push(("the newest again", AFTER, now, log.entries[AFTER - 1].clone(), "known"));
    cases.push(("the first again, without its payload", AFTER + 1, now, log.entries[0].clone(), "known"));
    let other = log.saying(1, "other words", &Body::Closed(Closed {}), None);
    cases.push(("the newest in other words", AFTER, now, other, "fork"));
    cases
}

fn add_group_order(scalar: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0_u16;
    for (byte, add) in scalar.iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
}

/// Entries that hold, and say what they may not say, or bring what does not fit.
pub fn odd(log: &Log) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut says = |name: &'static str, count: usize, body: Body, payload: Option<Vec<u8>>, outcome: &'static str| {
        let now = T0 + (u64::try_from(count).unwrap() + 1) * 1_000;
        cases.push((name, count, now, log.saying(count, name, &body, payload), outcome));
    };
    let closed = || Body::Closed(Closed {});
    let cells = |cells: Vec<CellRef>| Body::Cells(Cells { grant: grant(), cells });
    let sealed =
        |cells: &[Vec<u8>]| Some(CellsPayload { cells: cells.iter().map(|c| c.clone().into()).collect() }.encode());
    let lend = |id| Body::Granted(granted(id, &[CITY, AMOUNT], Mode::Follow));
    let other = other_grant();

    says("first of all not paired", 0, closed(), None, "kept");
    says("paired a second time", 2, Body::Paired(Paired { profile: profile("Alice", &[]) }), None, "kept");
    says("a kind beyond its limits", 2, cells(Vec::new()), None, "malformed");
    says("a grant of an id that is known", 2, lend(grant()), keys(&["a", "b"]), "kept");
    says("a grant whose payload is gone", 1, lend(grant()), None, "taken");
    says("a grant with a key too few", 2, lend(other), keys(&["a"]), "malformed");
    says("a grant with a key too many", 2, lend(other), keys(&["a", "b", "c"]), "malformed");
    says("a grant whose payload is none of keys", 2, lend(other), Some(vec![1, 0, 9]), "malformed");
    says(
        "cells of a grant that we do not hold",
        2,
        Body::Cells(Cells { grant: other, cells: vec![Cell::city(1, "").reference(0)] }),
        None,
        "kept",
    );
    says(
        "a revocation of a grant that we do not hold",
        2,
        Body::Revoked(Revoked { grant: other, selectors: vec![0] }),
        None,
        "kept",
    );
    says(
        "a revocation of what was never lent",
        3,
        Body::Revoked(Revoked { grant: grant(), selectors: vec![2] }),
        None,
        "malformed",
    );
    says(
        "a revocation of one selector, and of one that was never lent",
        3,
        Body::Revoked(Revoked { grant: grant(), selectors: vec![2, 0] }),
        None,
        "taken",
    );
    let ask = Asked {
        ask: AskId::from_bytes(bytes16("ask")),
        required: vec![selector(CITY)],
        optional: Vec::new(),
        purpose: purpose("delivery"),
        reason: String::new(),
        benefit: String::new(),
        until: None,
        mode: Mode::Once,
    };
    says("an ask", 2, Body::Asked(ask), None, "taken");
    says("anything after the end", 12, lend(other), keys(&["a", "b"]), "kept");
    says(
        "a revocation after the end",
        12,
        Body::Revoked(Revoked { grant: grant(), selectors: vec![0] }),
        None,
        "taken",
    );
    says(
        "keys: one named, two brought",
        3,
        Body::Keys(KeysChanged { grant: grant(), keys: vec![(0, 1)] }),
        keys(&["a", "b"]),
        "malformed",
    );
    says(
        "keys of a selector that was never lent",
        3,
        Body::Keys(KeysChanged { grant: grant(), keys: vec![(2, 1)] }),
        keys(&["a"]),
        "malformed",
    );
    says(
        "keys of an older epoch",
        6,
        Body::Keys(KeysChanged { grant: grant(), keys: vec![(0, 0)] }),
        keys(&["city key 0"]),
        "taken",
    );

    let city = Cell::city(9, "Nantes");
    says("a newer cell", 4, cells(vec![city.reference(0)]), sealed(&[city.sealed("ok")]), "taken");
    says("a cell whose payload is gone", 4, cells(vec![city.reference(0)]), None, "taken");
    says("a cell too few", 4, cells(vec![city.reference(0)]), sealed(&[]), "malformed");
    says(
        "a cell too many",
        4,
        cells(vec![city.reference(0)]),
        sealed(&[city.sealed("ok"), city.sealed("ok 2")]),
        "malformed",
    );
    let older = Cell::city(2, "Nantes");
    says("an older cell", 4, cells(vec![older.reference(0)]), sealed(&[older.sealed("older")]), "taken");
    says("an older cell that does not even open", 4, cells(vec![older.reference(0)]), sealed(&[vec![0; 64]]), "taken");
    says("an older removal", 4, cells(vec![CellRef { gone: true, ..older.reference(0) }]), None, "taken");
    let unknown = Cell { epoch: 5, ..city.clone() };
    says(
        "a cell of an epoch without a key",
        4,
        cells(vec![unknown.reference(0)]),
        sealed(&[unknown.sealed("epoch")]),
        "taken",
    );
    says(
        "a cell of a selector that was never lent",
        4,
        cells(vec![city.reference(2)]),
        sealed(&[city.sealed("place")]),
        "taken",
    );
    let named = Cell { record: Some(record(1)), ..city.clone() };
    says(
        "a pseudonym under a literal selector",
        4,
        cells(vec![named.reference(0)]),
        sealed(&[named.sealed("named")]),
        "taken",
    );
    let nameless = Cell { record: None, ..Cell::amount(1, 9, "1") };
    says(
        "no pseudonym under a column",
        4,
        cells(vec![nameless.reference(1)]),
        sealed(&[nameless.sealed("none")]),
        "taken",
    );

    let mut moved = |name: &'static str, place: u16, reference: &Cell, cell: &Cell| {
        let body = cells(vec![reference.reference(place)]);
        says(name, 4, body, sealed(&[cell.sealed(name)]), "forged");
    };
    moved("a cell of another relationship", 0, &city, &Cell { tag: bytes32("other tag"), ..city.clone() });
    moved("a cell of the other side's log", 0, &city, &Cell { log: Identity::of("holder").log, ..city.clone() });
    moved("a cell of another grant", 0, &city, &Cell { grant: other, ..city.clone() });
    moved("a cell of another field", 0, &city, &Cell { selector: "contact/me/name", ..city.clone() });
    moved("a cell of another epoch", 0, &city, &Cell { epoch: 1, ..city.clone() });
    moved("a cell of another version", 0, &city, &Cell { version: 8, ..city.clone() });
    moved("a cell under another agreement", 0, &city, &Cell { agreement: bytes32("terms"), ..city.clone() });
    moved("a cell under another key", 0, &city, &Cell { key: "amount key 0", ..city.clone() });
    let (one, two) = (Cell::amount(1, 9, "1"), Cell::amount(2, 9, "1"));
    moved("a cell of another record", 1, &one, &two);
    says(
        "two cells in each other's place",
        4,
        cells(vec![one.reference(1), two.reference(1)]),
        sealed(&[two.sealed("two"), one.sealed("one")]),
        "forged",
    );
    says(
        "a literal cell without padding",
        4,
        cells(vec![city.reference(0)]),
        sealed(&[city.sealed_as("bare", &city.content(), Padding::None)]),
        "forged",
    );
    says(
        "a column's cell with padding of its own",
        4,
        cells(vec![one.reference(1)]),
        sealed(&[one.sealed_as("wide", &one.content(), Padding::Padme)]),
        "forged",
    );

    let content = |scalar: &[u8]| [&[1, 0, 5, 0][..], scalar].concat();
    let mut holds = |name: &'static str, plain: Vec<u8>| {
        says(
            name,
            4,
            cells(vec![city.reference(0)]),
            sealed(&[city.sealed_as(name, &plain, Padding::Padme)]),
            "forged",
        );
    };
    holds("a value that is none", content(&[9]));
    holds("a decimal with a zero at its end", content(&[2, 100, 1]));
    holds("a decimal of scale 39", content(&[2, 2, 39]));
    holds("the thirtieth of February", content(&[4, 251, 0xd4, 0x0f, 2, 30]));
    holds("a date before the year 0", content(&[4, 1, 1, 1]));
    holds(
        "an instant after the year 9999",
        content(&[&[5, 253][..], &506_805_000_000_000_000_u64.to_le_bytes()].concat()),
    );
    let pair = |name: &str| (name.to_owned(), Scalar::Integer(1));
    let with = |value: Value| CellContent { at_s: 1, value }.encode();
    holds("a map out of order", with(Value::Map(vec![pair("b"), pair("a")])));
    holds("a map with a name twice", with(Value::Map(vec![pair("a"), pair("a")])));
    holds("a map with an empty name", with(Value::Map(vec![pair("")])));
    holds("a map with a name of 65 bytes", with(Value::Map(vec![pair(&"n".repeat(65))])));
    holds("a list of 1,025", with(Value::List(vec![Scalar::Boolean(true); 1_025])));
    cases
}
