//! The codec: every width of integer, every type of value, and bytes that look right and are not.

use allod_crypto::sha256;
use allod_protocol::{
    codec::{Coded, DecodeError},
    path::Selector,
    value::{Date, Decimal, Moment, Scalar, Value},
    wire::{
        body::{Granted, Profile},
        pair::{PairAnswer, PairRequest},
        session::{SessionAnswer, SessionRequest, Sync},
    },
};
use serde_json::json;

use crate::{check, hex, shown};

fn decode(kind: &str, bytes: &[u8]) -> Result<(), DecodeError> {
    match kind {
        "Value" => Value::decode(bytes).map(drop),
        "Profile" => Profile::decode(bytes).map(drop),
        "Granted" => Granted::decode(bytes).map(drop),
        "PairRequest" => PairRequest::decode(bytes).map(drop),
        "PairAnswer" => PairAnswer::decode(bytes).map(drop),
        "SessionRequest" => SessionRequest::decode(bytes).map(drop),
        "SessionAnswer" => SessionAnswer::decode(bytes).map(drop),
        "Sync" => Sync::decode(bytes).map(drop),
        other => panic!("{other}"),
    }
}

fn values() -> Vec<(&'static str, Value)> {
    let integer = |number: i128| Value::Scalar(Scalar::Integer(number));
    let decimal = |text: &str| Value::Scalar(Scalar::Decimal(Decimal::parse(text).unwrap()));
    let date = |text: &str| Value::Scalar(Scalar::Date(Date::parse(text).unwrap()));
    let instant = |text: &str| Value::Scalar(Scalar::Instant(Moment::parse(text).unwrap()));
    let pair = |name: &str, scalar: Scalar| (name.to_owned(), scalar);
    vec![
        ("no text", Value::text("")),
        ("text", Value::text("Zürich")),
        ("text of 250 bytes", Value::text("x".repeat(250))),
        ("text of 251 bytes", Value::text("x".repeat(251))),
        ("text of 65,536 bytes", Value::text("y".repeat(65_536))),
        ("0", integer(0)),
        ("-1", integer(-1)),
        ("the largest in one byte", integer(125)),
        ("the smallest in three bytes", integer(-126)),
        ("the largest in three bytes", integer(32_767)),
        ("the smallest in five bytes", integer(32_768)),
        ("the largest in five bytes", integer((1 << 31) - 1)),
        ("the smallest in nine bytes", integer(1 << 31)),
        ("the largest in nine bytes", integer((1 << 63) - 1)),
        ("the smallest in seventeen bytes", integer(1 << 63)),
        ("the largest integer", integer(i128::MAX)),
        ("the least integer", integer(i128::MIN)),
        ("decimal", decimal("-12.5")),
        ("decimal with the most digits behind the point", decimal("0.00000000000000000000000000000000000001")),
        ("true", Value::Scalar(Scalar::Boolean(true))),
        ("date", date("2026-11-24")),
        ("first date", date("0000-01-01")),
        ("last date", date("9999-12-31")),
        ("instant", instant("2026-11-24T05:45:00.000001Z")),
        ("instant before 1970", instant("1969-12-31T23:59:59Z")),
        ("bytes", Value::Scalar(Scalar::Bytes((0..=255).collect()))),
        ("empty list", Value::List(Vec::new())),
        ("list", Value::List(vec![Scalar::Text("a".into()), Scalar::Integer(-300), Scalar::Boolean(false)])),
        (
            "map",
            Value::Map(vec![
                pair("amount", Scalar::Decimal(Decimal::parse("9.99").unwrap())),
                pair("currency", Scalar::Text("EUR".into())),
            ]),
        ),
    ]
}

#[test]
fn what_is_encoded_keeps_to_its_vectors_and_what_is_not_canonical_is_refused() {
    let mut vectors = Vec::new();
    for (name, value) in values() {
        let value = value.checked().unwrap();
        let bytes = value.encode();
        assert_eq!(Value::decode(&bytes).as_ref(), Ok(&value), "{name}");
        let mut vector = json!({ "name": name, "type": "Value" });
        let parts = vector.as_object_mut().unwrap();
        if bytes.len() <= 4_096 {
            parts.insert("value".into(), shown(&value));
            parts.insert("bytes".into(), hex(&bytes).into());
        } else {
            parts.insert("value".into(), json!({ "repeated": "y", "times": 65_536 }));
            parts.insert("length".into(), bytes.len().into());
            parts.insert("sha256".into(), hex(&sha256(&[&bytes])).into());
        }
        vectors.push(vector);
    }
    for text in ["contact/me/city", "transaction/*/amount", "document/café/title"] {
        let selector: Selector = text.parse().unwrap();
        vectors
            .push(json!({ "name": text, "type": "Selector", "value": shown(&selector), "text": selector.to_string() }));
    }

    let mut refused = Vec::new();
    for (name, kind, bytes, refusal) in hazards() {
        let outcome = match decode(kind, &bytes) {
            Err(DecodeError::TooLarge) => "too_large",
            Err(DecodeError::Newer(2)) => "newer",
            Err(DecodeError::Malformed) => "malformed",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(outcome, refusal, "{name}");
        let mut case = json!({ "name": name, "type": kind, "refusal": refusal });
        let parts = case.as_object_mut().unwrap();
        if bytes.len() <= 4_096 {
            parts.insert("bytes".into(), hex(&bytes).into());
        } else {
            parts.insert("begins".into(), hex(&bytes[..16]).into());
            parts.insert("length".into(), bytes.len().into());
        }
        refused.push(case);
    }
    check(
        "codec.json",
        "Encodings, and bytes that must be refused. Where `begins` and `length` stand for the bytes, the rest of them is zeros.",
        json!({ "vectors": vectors, "refused": refused }),
    );
}

type Hazard = (&'static str, &'static str, Vec<u8>, &'static str);

fn hazards() -> Vec<Hazard> {
    let text = |tag: &[u8], bytes: &[u8]| [&[1, 0, 0, 0], tag, bytes].concat();
    let long = |length: usize| {
        let mut bytes = vec![1, 0, 0, 0];
        bytes.resize(length, 0);
        bytes
    };
    let granted = |selector: &[u8]| {
        let mut bytes = vec![1, 0];
        bytes.extend([7; 16]);
        bytes.extend([0, 1]);
        bytes.extend(selector);
        bytes.extend([3, b'A', b'g', b'e', 0, 0, 0, 0, 0]);
        bytes.extend([9; 32]);
        bytes
    };
    // The same shape with a selector that is one decodes: what is refused below is the selector.
    let good = [0, 1, b'a', 1, b'b', 1, b'c'];
    assert!(Granted::decode(&granted(&good)).is_ok());
    vec![
        ("nothing", "Value", vec![], "malformed"),
        ("one byte", "Value", vec![1], "malformed"),
        ("a version and nothing", "Value", vec![1, 0], "malformed"),
        ("version 0", "Value", vec![0, 0, 0, 0, 0], "malformed"),
        ("version 2", "Value", vec![2, 0, 0, 0, 0], "newer"),
        ("version 2, which makes no sense as version 1", "Value", vec![2, 0, 255, 255], "newer"),
        ("a byte after the end", "Value", text(&[0], &[1, b'a', 0]), "malformed"),
        ("a byte short", "Value", text(&[0], &[2, b'a']), "malformed"),
        ("a length in three bytes that fits one", "Value", text(&[0], &[251, 1, 0, b'a']), "malformed"),
        ("a length in five bytes that fits one", "Value", text(&[0], &[252, 1, 0, 0, 0, b'a']), "malformed"),
        (
            "a length in nine bytes that fits one",
            "Value",
            text(&[0], &[253, 1, 0, 0, 0, 0, 0, 0, 0, b'a']),
            "malformed",
        ),
        ("a length of 128 bits", "Value", text(&[0], &[[254, 1].as_slice(), &[0; 15], b"a"].concat()), "malformed"),
        ("a length that begins with 255", "Value", text(&[0], &[255, b'a']), "malformed"),
        ("a length of 4 GiB", "Value", text(&[0], &[253, 0, 0, 0, 0, 1, 0, 0, 0]), "malformed"),
        ("a list of 2^64-1", "Value", [&[1, 0, 1, 253][..], &[255; 8]].concat(), "malformed"),
        ("an integer in three bytes that fits one", "Value", text(&[1], &[251, 4, 0]), "malformed"),
        (
            "an integer in seventeen bytes that fits nine",
            "Value",
            text(&[1], &[[254, 255].as_slice(), &[0; 15]].concat()),
            "malformed",
        ),
        ("a case of the enum in three bytes", "Value", vec![1, 0, 251, 0, 0, 0, 0], "malformed"),
        ("a case of the enum that is not there", "Value", vec![1, 0, 3, 0, 0], "malformed"),
        ("a type of value that is not there", "Value", vec![1, 0, 0, 7, 0], "malformed"),
        ("a boolean of 2", "Value", text(&[3], &[2]), "malformed"),
        ("a text that is not UTF-8", "Value", text(&[0], &[2, 0xc3, 0x28]), "malformed"),
        ("a text with half a surrogate pair", "Value", text(&[0], &[3, 0xed, 0xa0, 0x80]), "malformed"),
        ("a year that does not fit sixteen bits", "Value", text(&[4], &[252, 0, 0, 1, 0, 1, 1]), "malformed"),
        (
            "an option of 2",
            "Granted",
            {
                let mut bytes = granted(&good);
                bytes[18] = 2;
                bytes
            },
            "malformed",
        ),
        ("a kind with a capital letter", "Granted", granted(&[0, 1, b'A', 1, b'b', 1, b'c']), "malformed"),
        ("a kind that begins with a digit", "Granted", granted(&[0, 1, b'1', 1, b'b', 1, b'c']), "malformed"),
        ("an empty kind", "Granted", granted(&[0, 0, 1, b'b', 1, b'c']), "malformed"),
        (
            "a field name of 65 bytes",
            "Granted",
            granted(&[&[0, 1, b'a', 1, b'b', 65][..], &[b'c'; 65]].concat()),
            "malformed",
        ),
        ("an empty record id", "Granted", granted(&[0, 1, b'a', 0, 1, b'c']), "malformed"),
        ("a record id with a slash", "Granted", granted(&[0, 1, b'a', 3, b'b', b'/', b'b', 1, b'c']), "malformed"),
        ("a record id that is a star", "Granted", granted(&[0, 1, b'a', 1, b'*', 1, b'c']), "malformed"),
        ("a record id with a space", "Granted", granted(&[0, 1, b'a', 3, b'b', b' ', b'b', 1, b'c']), "malformed"),
        ("a record id with a no-break space", "Granted", granted(&[0, 1, b'a', 2, 0xc2, 0xa0, 1, b'c']), "malformed"),
        ("a record id with a control character", "Granted", granted(&[0, 1, b'a', 1, 7, 1, b'c']), "malformed"),
        (
            "a record id of 129 bytes",
            "Granted",
            granted(&[&[0, 1, b'a', 129][..], &[b'b'; 129], &[1, b'c']].concat()),
            "malformed",
        ),
        ("a record id that is not NFC", "Granted", granted(&[0, 1, b'a', 3, b'e', 0xcc, 0x81, 1, b'c']), "malformed"),
        ("a selector of no kind", "Granted", granted(&[2, 1, b'a', 1, b'b', 1, b'c']), "malformed"),
        ("a pairing message over its cap", "PairRequest", long(16_385), "too_large"),
        ("a pairing answer over its cap", "PairAnswer", long(16_385), "too_large"),
        ("a pairing answer of no kind", "PairAnswer", vec![1, 0, 6], "malformed"),
        ("a pairing answer with something after it", "PairAnswer", vec![1, 0, 3, 0], "malformed"),
        ("a session request over its cap", "SessionRequest", long(1_048_577), "too_large"),
        ("a session answer of no kind", "SessionAnswer", vec![1, 0, 3], "malformed"),
        ("a sync over its cap", "Sync", long(1_048_577), "too_large"),
        ("a sync of version 2", "Sync", vec![2, 0, 0, 0, 0], "newer"),
        ("a profile of a kind of node that is not there", "Profile", vec![1, 0, 1, b'a', 2, 0, 7], "malformed"),
    ]
}
