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
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(&signed_bytes(domain, bytes), &Signature::from_bytes(signature)))
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
