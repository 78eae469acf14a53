//! A change of keys: four bodies, the secret that they lead to, and where each log goes on.

use allod_crypto::{RelationshipSecret, Role, XWingSecret, sha256, xwing};
use allod_protocol::{
    id::RouteId,
    wire::body::{Body, Rekey, RekeyStep},
};
use serde_json::{Value, json};

use crate::{Dice, bytes16, bytes32, check, hex, home::schedule, shown};

/// The body of a step, which the code that reads bodies takes.
fn body(step: RekeyStep) -> (Vec<u8>, Value) {
    let rekey = Rekey { generation: 1, step };
    let shown = shown(&rekey);
    let body = Body::Rekey(rekey);
    let bytes = body.encode();
    assert_eq!(Body::decode(18, &bytes), Ok(body));
    (bytes, shown)
}

/// The 64 bytes of an encapsulation.
fn drawn(name: &str) -> Vec<u8> {
    [bytes32(&format!("{name}, ML-KEM")), bytes32(&format!("{name}, X25519"))].concat()
}

#[test]
fn a_change_of_keys_keeps_to_its_vector() {
    let secret = |name: &str| XWingSecret::from_bytes(&bytes32(name));
    let publics = [secret("inviter rekey").public(), secret("scanner rekey").public()];
    let route = |name: &str| RouteId::from_bytes(bytes16(name));
    let (for_inviter, ss_inviter) = xwing::encapsulate(&publics[0], &mut Dice::given(&drawn("for inviter"))).unwrap();
    let (for_scanner, ss_scanner) = xwing::encapsulate(&publics[1], &mut Dice::given(&drawn("for scanner"))).unwrap();
    assert_eq!(secret("inviter rekey").decapsulate(&for_inviter).unwrap().expose(), ss_inviter.expose());
    assert_eq!(secret("scanner rekey").decapsulate(&for_scanner).unwrap().expose(), ss_scanner.expose());

    let steps = [
        body(RekeyStep::Start { public: publics[0].to_vec(), route: route("inviter route 1") }),
        body(RekeyStep::Reply {
            ciphertext: for_inviter.to_vec(),
            public: publics[1].to_vec(),
            route: route("scanner route 1"),
        }),
        body(RekeyStep::Finish { ciphertext: for_scanner.to_vec() }),
        body(RekeyStep::Done),
    ];
    let context: Vec<u8> = steps[..3].iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    let before = schedule().rekey_key;
    let parts = json!({
        "rekey_key": hex(before.expose()), "ss_inviter": hex(ss_inviter.expose()), "ss_scanner": hex(ss_scanner.expose()),
        "inviter_seed": hex(&bytes32("inviter rekey")), "scanner_seed": hex(&bytes32("scanner rekey")),
        "for_inviter_dice": hex(&drawn("for inviter")), "for_scanner_dice": hex(&drawn("for scanner")),
        "context_sha256": hex(&sha256(&[&context])),
        "steps": steps.iter().map(|(bytes, shown)| json!({ "body": shown, "bytes": hex(bytes) })).collect::<Vec<_>>(),
    });

    // Entry 40 of the inviter's log is the first after `Finish`.
    let keys = RelationshipSecret::next(&before, ss_inviter, ss_scanner, &context).schedule();
    let log = bytes16("lender log");
    let chain = keys.chain_of(Role::Inviter).duplicate();
    let first = hex(chain.to_bytes().as_slice());
    let (next, body_key, payload_key) = chain.step(&log, 40);
    let mut made = json!({
        "session_psk": hex(keys.session_psk.expose()), "rekey_key_after": hex(keys.rekey_key.expose()),
        "hint_key": hex(keys.hint_key.expose()), "chain_scanner": hex(keys.chain_scanner.to_bytes().as_slice()),
        "inviters_log": { "log": hex(&log), "sequence": 40, "chain": first, "next_chain": hex(next.to_bytes().as_slice()),
            "body_key": hex(body_key.expose()), "payload_key": hex(payload_key.expose()) },
    });
    made.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    check(
        "rekey.json",
        "A change of keys to generation 1: what each side draws, the four bodies, and the keys after it. Steps are Start, Reply, Finish, Done.",
        made,
    );
}
