//! What binds a cell to its place, what a record is called under a column, what a hint is, and the built-in agreement.

use allod_crypto::{Domain, open};
use allod_protocol::{
    agreement,
    codec::Coded,
    delivery::{padding, record_key},
    id::Pseudonym,
    path::RecordPath,
    relationship::Side,
    time::Timestamp,
    wire::{body::CellContent, hint},
};
use serde_json::json;

use crate::{
    Dice, bytes16, bytes32, check, hex,
    home::{Home, STUCK, T0, schedule},
    key,
    log::{Cell, grant, record},
};

#[test]
fn cells_and_pseudonyms_keep_to_their_vectors() {
    let served = Cell { epoch: u32::MAX, key: "one-time key", ..Cell::city(5, "Lyon") };
    let made = [
        ("literal selector", Cell::city(3, "Lyon")),
        ("column", Cell::amount(1, 2, "9.99")),
        ("live read", served),
        ("live read of a column", Cell { epoch: u32::MAX, key: "one-time key", ..Cell::amount(2, 1, "-120") }),
    ];
    let mut vectors = Vec::new();
    for (name, cell) in &made {
        let sealed = cell.sealed(name);
        let field_key = key(cell.key);
        let own = record_key(&field_key, cell.record);
        let plain = open(&own, Domain::Cell, &cell.aad(), &sealed, padding(cell.record)).unwrap();
        assert_eq!(CellContent::decode(&plain).unwrap().value, cell.value);
        vectors.push(json!({
            "name": name, "cell": cell.shown(), "tag": hex(&cell.tag), "log": hex(cell.log.as_bytes()),
            "grant": hex(cell.grant.as_bytes()), "agreement": hex(&cell.agreement), "aad": hex(&cell.aad()),
            "record_key": hex(own.expose()), "plain": hex(&cell.content()), "sealed": hex(&sealed),
        }));
    }

    // Every part of a place counts: what was sealed for one opens in no other.
    let city = Cell::city(3, "Lyon");
    let sealed = city.sealed("literal selector");
    let elsewhere = [
        ("another relationship", Cell { tag: bytes32("other tag"), ..city.clone() }),
        ("another log", Cell { log: crate::home::Identity::of("holder").log, ..city.clone() }),
        (
            "another grant",
            Cell { grant: allod_protocol::id::GrantId::from_bytes(bytes16("other grant")), ..city.clone() },
        ),
        ("another field", Cell { selector: "contact/me/name", ..city.clone() }),
        ("a column of that name", Cell { selector: "contact/*/city", ..city.clone() }),
        ("a record", Cell { record: Some(record(1)), ..city.clone() }),
        ("another epoch", Cell { epoch: 1, ..city.clone() }),
        ("another version", Cell { version: 4, ..city.clone() }),
        ("another agreement", Cell { agreement: bytes32("terms"), ..city.clone() }),
        ("another key", Cell { key: "amount key 0", ..city.clone() }),
    ];
    let mut refused = Vec::new();
    for (name, cell) in &elsewhere {
        let own = record_key(&key(cell.key), cell.record);
        assert!(open(&own, Domain::Cell, &cell.aad(), &sealed, padding(cell.record)).is_err(), "{name}");
        refused.push(json!({
            "name": name, "cell": cell.shown(), "tag": hex(&cell.tag), "log": hex(cell.log.as_bytes()),
            "grant": hex(cell.grant.as_bytes()), "agreement": hex(&cell.agreement), "sealed": hex(&sealed), "refusal": "OpenError",
        }));
    }

    let relationship = Home::of(Side::Inviter).relationship();
    let mut pseudonyms = Vec::new();
    for path in ["contact/me", "transaction/2026-03-14-0007", "document/café"] {
        let parsed: RecordPath = path.parse().unwrap();
        let pseudonym = relationship.pseudonym(&parsed);
        pseudonyms.push(json!({
            "key": hex(&[STUCK; 32]), "kind": parsed.kind.as_str(), "id": parsed.id.as_str(),
            "pseudonym": hex(pseudonym.as_bytes()), "shown": pseudonym.long(),
        }));
    }
    let highest = Pseudonym::from_bytes([0xff; 16]);
    assert_eq!(allod_protocol::holding::parse_pseudonym(&highest.long()), Some(highest));
    let mut unreadable = Vec::new();
    for (name, text) in [
        ("a letter that is not of the alphabet", format!("p-{}u", &highest.long()[2..27])),
        ("a capital letter", format!("p-{}Z", &highest.long()[2..27])),
        ("more than 128 bits", "p-80000000000000000000000000".to_owned()),
        ("a letter short", highest.long()[..27].to_owned()),
        ("another prefix", grant().long()),
    ] {
        assert_eq!(allod_protocol::holding::parse_pseudonym(&text), None, "{name}");
        unreadable.push(json!({ "name": name, "text": text }));
    }
    check(
        "cells.json",
        "Cells in their places, the same cell in places that are not its own, and pseudonyms.",
        json!({
            "vectors": vectors, "refused": refused, "pseudonyms": pseudonyms,
            "not_pseudonyms": unreadable,
            "agreement": { "en_bytes": agreement::BUILT_IN_EN.len(), "fr_bytes": agreement::BUILT_IN_FR.len(),
                "en": agreement::BUILT_IN_EN, "fr": agreement::BUILT_IN_FR, "hash": hex(&agreement::built_in()) },
        }),
    );
}

#[test]
fn hints_keep_to_their_vectors() {
    let key = schedule().hint_key;
    let now = Timestamp::from_millis(T0);
    let mut tags = Vec::new();
    for day in [now.day() - 1, now.day(), now.day() + 1] {
        for from_inviter in [true, false] {
            let from = u8::from(from_inviter);
            tags.push(json!({ "day": day, "from": from, "tag": hex(&hint::tag(&key, day, from_inviter)) }));
        }
    }
    let tag = hint::tag(&key, now.day(), true);
    let nonce = bytes16("hint nonce");
    let good = hint::encode(tag, now, &mut Dice::given(&nonce));
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let millis = |offset: i64| T0.checked_add_signed(offset).unwrap();
    let cases = [
        ("fresh", good.clone(), T0, true),
        ("a moment before its end", good.clone(), millis(299_999), true),
        ("at its end", good.clone(), millis(300_000), false),
        ("from a clock 300 s ahead of ours", good.clone(), millis(-300_000), true),
        ("from a clock that is further ahead", good.clone(), millis(-300_001), false),
        ("a byte short", changed(|bytes| bytes.truncate(511)), T0, false),
        ("a byte long", changed(|bytes| bytes.push(0)), T0, false),
        ("version 2", changed(|bytes| bytes[0] = 2), T0, false),
        ("something at its end", changed(|bytes| bytes[511] = 1), T0, false),
        ("something after its nonce", changed(|bytes| bytes[42] = 1), T0, false),
        ("another nonce", changed(|bytes| bytes[41] ^= 1), T0, true),
    ];
    let mut shown = Vec::new();
    for (name, bytes, now, taken) in cases {
        assert_eq!(hint::decode(&bytes, Timestamp::from_millis(now)).is_some(), taken, "{name}");
        shown.push(json!({ "name": name, "now": now, "hint": hex(&bytes), "outcome": if taken { "taken" } else { "dropped" } }));
    }
    check(
        "hints.json",
        "Tags of three days and both directions, and hints that are taken or dropped. The first is made at `now` with `nonce`.",
        json!({ "hint_key": hex(key.expose()), "now": T0, "nonce": hex(&nonce), "tags": tags, "cases": shown }),
    );
}
