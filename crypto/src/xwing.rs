//! X-Wing, the key encapsulation that holds if either ML-KEM-768 or X25519 does.
//!
//! A key pair is random, serves one exchange and is gone with it: [`XWingSecret::decapsulate`] consumes it. At rest only the
//! seed is kept, never the expanded key, which does not bind its ciphertexts. Decapsulation of a foreign or changed
//! ciphertext does not fail, it yields another secret: whoever uses one learns of it where a seal or a MAC refuses.

use std::fmt;

use rand_core::CryptoRng;
use x_wing::{
    Ciphertext, DecapsulationKeyRejectNonContrib, Decapsulator, Encapsulate, EncapsulationKey, KeyExport,
    TryDecapsulate,
};
use zeroize::{Zeroize, Zeroizing};

use crate::identity::is_contributory;
use crate::key::SecretKey;

pub const PUBLIC_BYTES: usize = x_wing::ENCAPSULATION_KEY_SIZE;
pub const CIPHERTEXT_BYTES: usize = x_wing::CIPHERTEXT_SIZE;

/// Where the X25519 half begins in a public key; in a ciphertext too, counted from its end.
const AGREEMENT_BYTES: usize = 32;

/// A public key that is not one, or a ciphertext or key whose X25519 half contributes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an X-Wing key or ciphertext that can be used")]
pub struct BadXWing;

/// The seed of one X-Wing key pair.
pub struct XWingSecret(Zeroizing<[u8; 32]>);

impl XWingSecret {
    pub fn generate(dice: &mut dyn CryptoRng) -> XWingSecret {
        let mut seed = Zeroizing::new([0; 32]);
        dice.fill_bytes(seed.as_mut_slice());
        XWingSecret(seed)
    }

    pub fn from_bytes(seed: &[u8; 32]) -> XWingSecret {
        XWingSecret(Zeroizing::new(*seed))
    }

    /// The seed, to be sealed at rest.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    pub fn public(&self) -> [u8; PUBLIC_BYTES] {
        self.expanded().encapsulation_key().to_bytes().into()
    }

    /// # Errors
    /// [`BadXWing`] if the X25519 half contributes nothing. A ciphertext made for another key yields another secret.
    pub fn decapsulate(self, ciphertext: &[u8; CIPHERTEXT_BYTES]) -> Result<SecretKey, BadXWing> {
        let ciphertext = Ciphertext::from(*ciphertext);
        let mut shared = self.expanded().try_decapsulate(&ciphertext).map_err(|_| BadXWing)?;
        let secret = SecretKey::from_bytes(shared.into());
        shared.as_mut_slice().zeroize();
        Ok(secret)
    }

    fn expanded(&self) -> DecapsulationKeyRejectNonContrib {
        DecapsulationKeyRejectNonContrib::from(*self.0)
    }
}

impl fmt::Debug for XWingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XWingSecret(..)")
    }
}

/// Makes a secret that only the holder of `public`'s seed can take out of the ciphertext.
///
/// # Errors
/// [`BadXWing`] if `public` is not canonical, or if its X25519 half contributes nothing.
pub fn encapsulate(
    public: &[u8; PUBLIC_BYTES],
    dice: &mut dyn CryptoRng,
) -> Result<([u8; CIPHERTEXT_BYTES], SecretKey), BadXWing> {
    let key = usable_key(public)?;
    let (ciphertext, mut shared) = key.encapsulate_with_rng(dice);
    let secret = SecretKey::from_bytes(shared.into());
    shared.as_mut_slice().zeroize();
    Ok((ciphertext.into(), secret))
}

/// Whether [`encapsulate`] would take this public key.
pub fn is_usable(public: &[u8; PUBLIC_BYTES]) -> bool {
    usable_key(public).is_ok()
}

fn usable_key(public: &[u8; PUBLIC_BYTES]) -> Result<EncapsulationKey, BadXWing> {
    let (_, agreement) = public.split_last_chunk::<AGREEMENT_BYTES>().ok_or(BadXWing)?;
    if !is_contributory(agreement) {
        return Err(BadXWing);
    }
    EncapsulationKey::try_from(public.as_slice()).map_err(|_| BadXWing)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::dice::{GivenDice, SeededDice};

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        eseed: String,
        ss: String,
        sk: String,
        pk: String,
        ct: String,
    }

    #[test]
    fn the_draft_agrees() {
        let unhex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let vectors: Vectors = serde_json::from_str(include_str!("../vectors/xwing.json")).unwrap();
        assert_eq!(vectors.vectors.len(), 3);
        for vector in vectors.vectors {
            let secret = XWingSecret::generate(&mut GivenDice(unhex(&vector.sk)));
            assert_eq!(secret.public().as_slice(), unhex(&vector.pk));
            let (ciphertext, shared) = encapsulate(&secret.public(), &mut GivenDice(unhex(&vector.eseed))).unwrap();
            assert_eq!(ciphertext.as_slice(), unhex(&vector.ct));
            assert_eq!(shared.expose().as_slice(), unhex(&vector.ss));
            assert_eq!(secret.decapsulate(&ciphertext).unwrap().expose(), shared.expose());
        }
    }

    #[test]
    fn a_seed_comes_back_from_where_it_was_sealed() {
        let secret = XWingSecret::generate(&mut SeededDice::new(1));
        assert_eq!(XWingSecret::from_bytes(&secret.to_bytes()).public(), secret.public());
        assert_eq!(format!("{secret:?}"), "XWingSecret(..)");
    }

    #[test]
    fn a_changed_ciphertext_or_another_key_yields_another_secret() {
        let mut dice = SeededDice::new(2);
        let secret = XWingSecret::generate(&mut dice);
        let seed = secret.to_bytes();
        let (ciphertext, shared) = encapsulate(&secret.public(), &mut dice).unwrap();
        for byte in (0..CIPHERTEXT_BYTES).step_by(97).chain([1088, CIPHERTEXT_BYTES - 1]) {
            let mut broken = ciphertext;
            broken[byte] ^= 1;
            let other = XWingSecret::from_bytes(&seed).decapsulate(&broken).unwrap();
            assert_ne!(other.expose(), shared.expose(), "byte {byte}");
        }
        let other = XWingSecret::generate(&mut dice).decapsulate(&ciphertext).unwrap();
        assert_ne!(other.expose(), shared.expose());
    }

    #[test]
    fn halves_that_contribute_nothing_and_keys_that_are_not_canonical_are_refused() {
        let mut dice = SeededDice::new(3);
        let secret = XWingSecret::generate(&mut dice);
        let (mut ciphertext, _) = encapsulate(&secret.public(), &mut dice).unwrap();

        let mut public = secret.public();
        public[PUBLIC_BYTES - AGREEMENT_BYTES..].fill(0);
        assert_eq!(encapsulate(&public, &mut dice).err(), Some(BadXWing));
        assert!(!is_usable(&public) && is_usable(&secret.public()));

        // A coefficient of 4095 is not below ML-KEM's modulus of 3329.
        let mut public = secret.public();
        public[..2].fill(0xff);
        assert_eq!(encapsulate(&public, &mut dice).err(), Some(BadXWing));

        ciphertext[CIPHERTEXT_BYTES - AGREEMENT_BYTES..].fill(0);
        assert_eq!(secret.decapsulate(&ciphertext).err(), Some(BadXWing));
    }
}
