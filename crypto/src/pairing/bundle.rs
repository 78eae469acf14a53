//! A bundle: the keys and ids that one side draws for one relationship, and shows to the other side of it.
//!
//! All of it is fresh for each invitation and each scan, so that no two relationships have a key or an id in common. A bundle
//! is read strictly: whatever it holds can be used, or it is refused.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::identity::{AgreementIdentity, SigningIdentity, VerifyKey, is_contributory};
use crate::key::sha256;
use crate::xwing::{self, PUBLIC_BYTES, XWingSecret};

/// What one side shows of itself towards one relationship.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    pub verify_key: VerifyKey,
    pub agreement: [u8; 32],
    pub xwing_public: [u8; PUBLIC_BYTES],
    /// By which sessions name the relationship to this side.
    pub route_id: [u8; 16],
    /// The log that this side writes.
    pub log_id: [u8; 16],
}

/// Bytes that are not a bundle, or hold a key that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a bundle of usable keys")]
pub struct BundleError;

impl Bundle {
    pub const BYTES: usize = 1 + 32 + 32 + PUBLIC_BYTES + 16 + 16;
    const VERSION: u8 = 1;

    /// `version:u8 ‖ verify key:32 ‖ agreement key:32 ‖ X-Wing key:1216 ‖ route id:16 ‖ log id:16`
    pub fn to_bytes(&self) -> [u8; Bundle::BYTES] {
        let mut bytes = [0; Bundle::BYTES];
        let parts: [&[u8]; 6] = [
            &[Bundle::VERSION],
            self.verify_key.as_bytes(),
            &self.agreement,
            &self.xwing_public,
            &self.route_id,
            &self.log_id,
        ];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        bytes
    }

    /// # Errors
    /// [`BundleError`] if the length or version is another, or a key in it could not be used.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let mut parts = Parts(bytes);
        if parts.array::<1>().ok_or(BundleError)? != [Bundle::VERSION] {
            return Err(BundleError);
        }
        let bundle = Bundle {
            verify_key: VerifyKey::from_bytes(parts.array().ok_or(BundleError)?),
            agreement: parts.array().ok_or(BundleError)?,
            xwing_public: parts.array().ok_or(BundleError)?,
            route_id: parts.array().ok_or(BundleError)?,
            log_id: parts.array().ok_or(BundleError)?,
        };
        let is_usable = parts.0.is_empty()
            && bundle.verify_key.is_usable()
            && is_contributory(&bundle.agreement)
            && xwing::is_usable(&bundle.xwing_public);
        if is_usable { Ok(bundle) } else { Err(BundleError) }
    }

    pub fn hash(&self) -> [u8; 32] {
        sha256(&[&self.to_bytes()])
    }

    /// Whether anything in it is also in the other: then one of the two is an echo, not a second node.
    pub(super) fn shares_with(&self, other: &Bundle) -> bool {
        self.verify_key == other.verify_key
            || self.agreement == other.agreement
            || self.xwing_public == other.xwing_public
            || self.route_id == other.route_id
            || self.log_id == other.log_id
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bundle(..)")
    }
}

/// All that we draw afresh for one relationship, before it exists.
pub struct BundleSecrets {
    pub(super) signing: SigningIdentity,
    pub(super) agreement: AgreementIdentity,
    pub(super) xwing: XWingSecret,
    route_id: [u8; 16],
    log_id: [u8; 16],
}

impl BundleSecrets {
    const BYTES: usize = 3 * 32 + 2 * 16;

    pub fn generate(dice: &mut dyn CryptoRng) -> BundleSecrets {
        let signing = SigningIdentity::random(dice);
        let agreement = AgreementIdentity::random(dice);
        let xwing = XWingSecret::generate(dice);
        let (mut route_id, mut log_id) = ([0; 16], [0; 16]);
        dice.fill_bytes(&mut route_id);
        dice.fill_bytes(&mut log_id);
        BundleSecrets { signing, agreement, xwing, route_id, log_id }
    }

    pub fn bundle(&self) -> Bundle {
        Bundle {
            verify_key: self.signing.public(),
            agreement: self.agreement.public(),
            xwing_public: self.xwing.public(),
            route_id: self.route_id,
            log_id: self.log_id,
        }
    }

    /// To be sealed while an invitation is open.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BundleSecrets::BYTES));
        for key in [self.signing.to_bytes(), self.agreement.to_bytes(), self.xwing.to_bytes()] {
            bytes.extend_from_slice(key.as_slice());
        }
        bytes.extend_from_slice(&self.route_id);
        bytes.extend_from_slice(&self.log_id);
        bytes
    }

    /// # Errors
    /// [`BundleError`] if the length is another.
    pub fn from_bytes(bytes: &[u8]) -> Result<BundleSecrets, BundleError> {
        let mut parts = Parts(bytes);
        let mut key = || parts.array().map(Zeroizing::new).ok_or(BundleError);
        let (signing, agreement, xwing) = (key()?, key()?, key()?);
        let secrets = BundleSecrets {
            signing: SigningIdentity::from_bytes(&signing),
            agreement: AgreementIdentity::from_bytes(&agreement),
            xwing: XWingSecret::from_bytes(&xwing),
            route_id: parts.array().ok_or(BundleError)?,
            log_id: parts.array().ok_or(BundleError)?,
        };
        if parts.0.is_empty() { Ok(secrets) } else { Err(BundleError) }
    }
}

impl fmt::Debug for BundleSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BundleSecrets(..)")
    }
}

/// Takes parts of fixed width from the front.
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl Parts<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }
}
