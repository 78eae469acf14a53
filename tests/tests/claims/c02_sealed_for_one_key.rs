//! C2: a ciphertext made for two keys is refused; so is any flipped byte of version, suite, nonce, commitment, ciphertext or AAD.

use allod_crypto::{Domain, OpenError, Padding, SecretKey, open, seal};
use allod_tests::dice::Dice;
use serde::Deserialize;

#[derive(Deserialize)]
struct Salamander {
    aad: String,
    keys: [String; 2],
    plaintexts: [String; 2],
    sealed: [String; 2],
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex is ASCII"));
    digits.map(|digits| u8::from_str_radix(digits, 16).expect("hex")).collect()
}

#[test]
fn a_ciphertext_that_opens_under_two_keys_opens_under_the_one_it_was_sealed_for() {
    let vector: Salamander = serde_json::from_str(include_str!("../../../crypto/vectors/salamander.json")).unwrap();
    let keys = vector.keys.map(|key| SecretKey::from_slice(&unhex(&key)).unwrap());
    let aad = unhex(&vector.aad);
    for mine in 0..2 {
        let sealed = unhex(&vector.sealed[mine]);
        let with = |key| open(key, Domain::Cell, &aad, &sealed, Padding::None).map(|plain| plain.to_vec());
        assert_eq!(with(&keys[mine]), Ok(unhex(&vector.plaintexts[mine])));
        assert_eq!(with(&keys[1 - mine]), Err(OpenError));
    }
}

#[test]
fn no_byte_can_be_changed_added_or_taken_away() {
    let mut dice = Dice::stream(2_000, "flips");
    let mut flips = 0u64;
    for length in [0, 1, 20, 200, 1_000, 70_000] {
        for padding in [Padding::Padme, Padding::None] {
            let key = SecretKey::random(&mut dice);
            let plain: Vec<u8> = (0..length).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            let aad = b"the place of this".to_vec();
            let sealed = seal(&key, Domain::Cell, &aad, &plain, padding, &mut dice);
            assert_eq!(open(&key, Domain::Cell, &aad, &sealed, padding).unwrap().as_slice(), plain);
            let refuses = |sealed: &[u8], aad: &[u8], domain| {
                assert!(open(&key, domain, aad, sealed, padding).is_err(), "{length} bytes, {padding:?}");
            };
            let step = 1 + sealed.len() / 2_000;
            for place in (0..sealed.len().min(400)).chain((0..sealed.len()).step_by(step)) {
                let mut flipped = sealed.clone();
                flipped[place] ^= 1 << (place % 8);
                refuses(&flipped, &aad, Domain::Cell);
                flips += 1;
            }
            for place in 0..aad.len() {
                let mut other = aad.clone();
                other[place] ^= 0x80;
                refuses(&sealed, &other, Domain::Cell);
                flips += 1;
            }
            refuses(&sealed, &aad[1..], Domain::Cell);
            refuses(&[sealed.as_slice(), &[0]].concat(), &aad, Domain::Cell);
            for shorter in 0..sealed.len().min(200) {
                refuses(&sealed[..shorter], &aad, Domain::Cell);
            }
            for domain in Domain::ALL.into_iter().filter(|domain| *domain != Domain::Cell) {
                refuses(&sealed, &aad, domain);
            }
        }
    }
    println!("{flips} flips refused");
}
