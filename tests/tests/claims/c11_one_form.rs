//! C11: nothing non-canonical decodes; no decoder panics or takes more memory than a message may.
//!
//! Real messages, overheard in a life that uses them all, are cut, lengthened, mixed and changed; whatever still decodes must be the one
//! form of what it says. Random bytes and length bombs on top.

use allod_crypto::{Bundle, BundleSecrets, Invitation, Vault};
use allod_protocol::{
    codec::Coded,
    grant::Grant,
    log::{OwnLog, TheirLog},
    relationship::Relationship,
    time::Timestamp,
    wire::{
        body::{Body, CellContent, CellsPayload, KeysPayload, ServedPayload, WireBody},
        header::{Header, SignedHead},
        hint,
        pair::{PairAnswer, PairRequest},
        session::{SessionAnswer, SessionRequest, Sync},
    },
};
use allod_tests::{
    World,
    attacker::{Search, plunder},
    dice::Dice,
    story::Terms,
};

use super::measured::memory_of;

/// Twice the largest message, and what a decoder may keep beside it.
const MEMORY_MAX_BYTES: isize = 6 * 1024 * 1024;

/// When the hints of `protocol/vectors/hints.json` are fresh. Milliseconds since 1970.
const HINTS_NOW_MS: u64 = 1_795_000_000_000;

/// Whether it decodes; panics if it decodes and is not the one form of what it says.
type Decoder = (&'static str, fn(&[u8]) -> bool);

fn coded<T: Coded>(bytes: &[u8]) -> bool {
    match T::decode(bytes) {
        Ok(value) => {
            assert_eq!(value.encode(), bytes, "decodes and is not canonical");
            true
        }
        Err(_) => false,
    }
}

fn decoders() -> Vec<Decoder> {
    vec![
        ("session request", coded::<SessionRequest>),
        ("session answer", coded::<SessionAnswer>),
        ("pair request", coded::<PairRequest>),
        ("pair answer", coded::<PairAnswer>),
        ("sync", coded::<Sync>),
        ("body on the wire", |bytes| {
            coded::<WireBody>(bytes)
                && WireBody::decode(bytes).is_ok_and(|wire| {
                    Body::decode(wire.kind, &wire.bytes).is_ok_and(|body| {
                        assert_eq!(body.encode(), wire.bytes);
                        true
                    })
                })
        }),
        ("bodies of each kind", |bytes| {
            (0..24).filter_map(|kind| Body::decode(kind, bytes).ok()).fold(false, |known, body| {
                assert_eq!(body.encode(), bytes);
                known | !matches!(body, Body::Unknown { .. })
            })
        }),
        ("keys", coded::<KeysPayload>),
        ("cells", coded::<CellsPayload>),
        ("served", coded::<ServedPayload>),
        ("cell", coded::<CellContent>),
        ("signed head", coded::<SignedHead>),
        ("header", |bytes| {
            bytes.try_into().ok().and_then(Header::from_bytes).is_some_and(|header| {
                assert_eq!(header.to_bytes(), bytes);
                true
            })
        }),
        ("hint", |bytes| hint::decode(bytes, Timestamp::from_millis(HINTS_NOW_MS)).is_some()),
        ("bundle", |bytes| {
            Bundle::from_bytes(bytes).is_ok_and(|bundle| {
                assert_eq!(bundle.to_bytes(), bytes);
                true
            })
        }),
        ("invitation", |bytes| {
            Invitation::from_bytes(bytes).is_ok_and(|invitation| {
                assert_eq!(invitation.to_bytes().as_slice(), bytes);
                true
            })
        }),
        ("invitation as text", |bytes| std::str::from_utf8(bytes).is_ok_and(|text| Invitation::parse(text).is_ok())),
        ("vault", |bytes| Vault::read(bytes).is_ok()),
        ("grant row", coded::<Grant>),
        ("relationship row", coded::<Relationship>),
        ("log rows", |bytes| coded::<OwnLog>(bytes) | coded::<TheirLog>(bytes)),
    ]
}

/// Everything that one life puts on the wire and in rows, opened.
fn samples() -> Vec<Vec<u8>> {
    let mut world = World::seeded(11_000);
    let (alice, shop) = (world.person("alice"), world.vendor("shop"));
    for node in [alice, shop] {
        world.expose(node);
    }
    world.pair(alice, shop);
    for (path, text) in [("contact/me/city", "Paris"), ("contact/me/street", "rue"), ("transaction/1/amount", "1")] {
        world.set(alice, path, text);
    }
    let ask = world.ask(shop, alice, &["contact/me/city"], &["contact/me/street"]);
    world.settle();
    world.answer_ask(alice, &ask, &["contact/me/city"]);
    let grant = world.grant(alice, shop, ["transaction/*/amount", "transaction/*/id"]);
    let live = Terms { mode: allod_protocol::command::Mode::Reference, ..Terms::default() };
    world.grant_on(alice, shop, ["contact/me/street"], live);
    world.settle();
    world.text(shop, alice, "contact/me/street");
    world.text(shop, alice, "contact/me/city");
    world.settle();
    world.remove(alice, "transaction/1");
    world.settle();
    world.revoke(alice, &grant);
    world.settle();
    let (_, text) = world.invitation(alice);
    let mut samples: Vec<Vec<u8>> = world.wiretap.iter().flatten().map(|frame| frame.bytes.clone()).collect();
    samples.push(Invitation::parse(&text).unwrap().to_bytes().to_vec());
    samples.push(text.into_bytes());
    for node in [alice, shop] {
        let spoils = plunder(&world.loot(node, Vec::new()), Search::Keys);
        samples.extend(spoils.plaintexts);
        samples.extend(spoils.cells.into_iter().map(|(_, plain)| plain));
        samples.push(world.nodes[node.0].disk.vault().to_vec());
        let rows = world.nodes[node.0].disk.rows().iter().filter(|(key, _)| key[0] == b'L' && key[25] == 0);
        samples.extend(rows.map(|(_, stored)| stored[..Header::BYTES].to_vec()));
    }
    let bodies: Vec<Vec<u8>> =
        samples.iter().filter_map(|sample| WireBody::decode(sample).ok()).map(|wire| wire.bytes).collect();
    samples.extend(bodies);
    let syncs: Vec<Sync> = samples.iter().filter_map(|sample| Sync::decode(sample).ok()).collect();
    samples.extend(syncs.iter().flat_map(|sync| &sync.heads).map(Coded::encode));
    // What a life shows rarely or never in the open: each kind of body, hints, and the bundle, which is always sealed.
    samples.extend(published(include_str!("../../../protocol/vectors/bodies.json"), "vectors", "bytes"));
    samples.extend(published(include_str!("../../../protocol/vectors/hints.json"), "cases", "hint"));
    samples.push(BundleSecrets::generate(&mut Dice::stream(11_003, "bundle")).bundle().to_bytes().to_vec());
    samples.sort_unstable();
    samples.dedup();
    samples
}

/// The bytes under `key` of each item of a list in a file of vectors.
fn published(file: &str, list: &str, key: &str) -> Vec<Vec<u8>> {
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let items = file[list].as_array().unwrap().iter();
    let hex = items.map(|item| item[key].as_str().unwrap());
    hex.map(|hex| {
        (0..hex.len()).step_by(2).map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap()).collect()
    })
    .collect()
}

fn check(decoders: &[Decoder], bytes: &[u8], decoded: &mut [u64]) {
    for ((name, decode), decoded) in decoders.iter().zip(decoded) {
        let (came, peak, _) = memory_of(|| decode(bytes));
        *decoded += u64::from(came);
        assert!(peak <= MEMORY_MAX_BYTES, "{name} took {peak} bytes over {} bytes", bytes.len());
    }
}

#[test]
fn what_decodes_is_the_one_form_of_what_it_says() {
    let decoders = decoders();
    let samples = samples();
    let mut decoded = vec![0; decoders.len()];
    for sample in &samples {
        check(&decoders, sample, &mut decoded);
    }
    for ((name, _), decoded) in decoders.iter().zip(&decoded) {
        assert!(*decoded > 0, "no sample of {name}");
    }
    let mut dice = Dice::stream(11_001, "changes");
    let pick =
        |dice: &mut Dice, length: usize| usize::try_from(dice.below(u64::try_from(length.max(1)).unwrap())).unwrap();
    let (mut cases, mut still) = (0u64, vec![0; decoders.len()]);
    for round in 0..12_000 {
        let mut bytes = samples[pick(&mut dice, samples.len())].clone();
        match round % 6 {
            0 => bytes.push(0),
            1 => bytes.truncate(pick(&mut dice, bytes.len())),
            // An over-long number: one byte becomes a marker and the number in 2, 4 or 8.
            2 => {
                let place = pick(&mut dice, bytes.len());
                let width = 1usize << (1 + pick(&mut dice, 3));
                let mut number =
                    vec![250 + u8::try_from(width.trailing_zeros()).unwrap(), bytes.get(place).copied().unwrap_or(0)];
                number.resize(1 + width, 0);
                bytes.splice(place..(place + 1).min(bytes.len()), number);
            }
            // A length bomb.
            3 => {
                let place = pick(&mut dice, bytes.len());
                bytes.splice(place..place, [253, 255, 255, 255, 255, 255, 255, 255, 127]);
            }
            4 => {
                let other = &samples[pick(&mut dice, samples.len())];
                let place = pick(&mut dice, bytes.len());
                bytes.splice(place.., other[pick(&mut dice, other.len())..].iter().copied());
            }
            _ => {
                for _ in 0..=pick(&mut dice, 4) {
                    if !bytes.is_empty() {
                        let place = pick(&mut dice, bytes.len());
                        bytes[place] = u8::try_from(dice.below(256)).unwrap();
                    }
                }
            }
        }
        check(&decoders, &bytes, &mut still);
        cases += 1;
    }
    println!("{} samples, {cases} changed ones", samples.len());
}

#[test]
fn random_bytes_of_all_sizes_are_refused_quietly() {
    let decoders = decoders();
    let mut dice = Dice::stream(11_002, "noise");
    let mut decoded = vec![0; decoders.len()];
    for round in 0..2_000u64 {
        let length = match round {
            1_998 => 3 * 1024 * 1024,
            1_999 => 1024 * 1024,
            round => round % 700,
        };
        let mut bytes: Vec<u8> = (0..length.min(4_096)).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
        bytes.resize(usize::try_from(length).unwrap(), 1);
        // Most would stop at the version.
        if round % 2 == 0 && bytes.len() > 2 {
            bytes[..2].copy_from_slice(&[1, 0]);
        }
        check(&decoders, &bytes, &mut decoded);
    }
}
