//! Heads: what is relied on, what is refused, and until when a grant may be read on the strength of one.

use allod_protocol::{
    log::{self, HeadReceived},
    refusal::Refusal,
    tx::Stop,
    wire::header::{ENTRY_DOMAIN, Head, SignedHead},
};
use serde_json::{Value, json};

use crate::{
    Stuck, bytes32, check, hex,
    home::{Identity, STUCK, T0, relationship_shown},
    log::{CITY, Log, NOT_AFTER, head, read, take_head},
    shown, stopped,
};

const COUNT: usize = 4;
const NOW: u64 = T0 + 10_000;

fn layout(head: &Head) -> Vec<u8> {
    let numbers = [head.at.as_millis().to_le_bytes(), head.until.as_millis().to_le_bytes()].concat();
    [&[1, 0][..], head.log.as_bytes(), &head.sequence.to_le_bytes(), &head.hash, &numbers].concat()
}

fn signed(head: Head) -> SignedHead {
    head.sign(&Identity::of("lender").signing)
}

/// A signed head with something changed behind its signature.
fn changed(head: Head, change: impl FnOnce(&mut Value)) -> SignedHead {
    let mut parts = serde_json::to_value(signed(head)).unwrap();
    change(&mut parts);
    serde_json::from_value(parts).unwrap()
}

fn cases(log: &Log) -> Vec<(&'static str, SignedHead, &'static str)> {
    let at = |count, millis| head(log, count, millis);
    let level = at(COUNT, NOW);
    let with_signature = |signature: [u8; 64]| {
        changed(level, |parts| parts["signature"] = serde_json::to_value(signature.as_slice()).unwrap())
    };
    vec![
        ("level", signed(level), "level"),
        ("level, 120 s ahead of our clock", signed(at(COUNT, NOW + 120_000)), "level"),
        ("level, 120.001 s ahead of our clock", signed(at(COUNT, NOW + 120_001)), "from_the_future"),
        ("level, as old as the one that is known", signed(at(COUNT, T0 + 5_000)), "old"),
        ("level, older than the one that is known", signed(at(COUNT, T0 + 4_000)), "old"),
        ("one entry ahead", signed(at(COUNT + 1, NOW)), "ahead"),
        ("lower than the one that is known", signed(at(COUNT - 1, NOW)), "old"),
        ("nothing at all", signed(at(0, NOW)), "old"),
        ("lower, with another hash", signed(Head { hash: bytes32("other"), ..at(COUNT - 1, NOW) }), "fork"),
        ("another hash", signed(Head { hash: bytes32("other"), ..level }), "fork"),
        ("of the holder's log", signed(Head { log: Identity::of("holder").log, ..level }), "not_allowed"),
        ("signed by the holder", level.sign(&Identity::of("holder").signing), "forged"),
        (
            "signed as an entry",
            with_signature(Identity::of("lender").signing.sign(ENTRY_DOMAIN, &layout(&level))),
            "forged",
        ),
        ("signature changed", changed(level, |parts| parts["signature"][7] = 0.into()), "forged"),
        (
            "signature a byte short",
            changed(level, |parts| drop(parts["signature"].as_array_mut().unwrap().pop())),
            "forged",
        ),
        ("until changed", changed(level, |parts| parts["head"]["until"] = (NOW + 1).into()), "forged"),
        ("at changed", changed(level, |parts| parts["head"]["at"] = (NOW - 1).into()), "forged"),
        ("sequence changed", changed(level, |parts| parts["head"]["sequence"] = 5.into()), "forged"),
    ]
}

#[test]
fn heads_keep_to_their_vectors_and_a_lease_ends_when_it_ends() {
    let log = Log::made();
    let mut shown_cases = Vec::new();
    for (name, head, outcome) in cases(&log) {
        let mut home = log.received(COUNT);
        take_head(&mut home, &log, COUNT, T0 + 5_000);
        let relationship = home.relationship();
        let became = match home.step(NOW, &mut Stuck(STUCK), |tx| log::receive_head(tx, &relationship, &head)) {
            Ok(HeadReceived::Level) => "level",
            Ok(HeadReceived::Old | HeadReceived::Lower) => "old",
            Ok(HeadReceived::Ahead) => "ahead",
            Ok(HeadReceived::Fork) => "fork",
            Err(stop) => stopped(stop),
        };
        assert_eq!(became, outcome, "{name}");
        shown_cases.push(json!({ "name": name, "now": NOW, "head": shown(&head), "outcome": outcome }));
    }

    let mut reads = Vec::new();
    let (day, lease) = (86_400_000, 604_800_000);
    let moments = [
        ("no head yet", None, NOW, "lease_over"),
        ("at once", Some(T0 + 5_000), T0 + 5_000, "read"),
        ("our clock is behind the head", Some(NOW + 60_000), NOW, "read"),
        ("our clock is 120 s behind the beginning", Some(T0), T0 - 120_000, "read"),
        ("at the end of the lease", Some(T0 + 5_000), T0 + 5_000 + lease, "read"),
        ("a moment later", Some(T0 + 5_000), T0 + 5_001 + lease, "lease_over"),
        ("under a newer head", Some(T0 + 2 * day), T0 + 2 * day + lease, "read"),
        ("a moment before the grant's end", Some(NOT_AFTER - day), NOT_AFTER - 1, "read"),
        ("at the grant's end", Some(NOT_AFTER - day), NOT_AFTER, "expired"),
        ("our clock is before the end, the head is not", Some(NOT_AFTER + 1), NOT_AFTER - day, "expired"),
    ];
    for (name, at, now, outcome) in moments {
        let mut home = log.received(COUNT);
        if let Some(at) = at {
            take_head(&mut home, &log, COUNT, at);
        }
        let became = match read(&mut home, now, CITY) {
            Ok(value) if value == "Lyon" => "read",
            Err(Stop::Refused(Refusal::LeaseOver { .. })) => "lease_over",
            Err(Stop::Refused(Refusal::GrantExpired { .. })) => "expired",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(became, outcome, "{name}");
        reads.push(json!({ "name": name, "head_at": at, "now": now, "outcome": outcome }));
    }

    let level = head(&log, COUNT, NOW);
    check(
        "heads.json",
        "Heads after the first four entries of log.json and a head over them of `known_at`; then reads under the newest head.",
        json!({
            "relationship": relationship_shown(), "after": COUNT, "known_at": T0 + 5_000,
            "layout": { "head": shown(&signed(level)), "signed": hex(&layout(&level)) },
            "cases": shown_cases, "reads": reads,
        }),
    );
}
