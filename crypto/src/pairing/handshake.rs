//! The pairing handshake: five messages, after which two nodes share a secret and each knows the other's keys.
//!
//! ```text
//! 1 S→I  psk,e        SHA256("allod/sas/1" ‖ n_S ‖ bundle_S)
//! 2 I→S  e,ee,s,es    bundle_I (must match the QR), n_I
//! 3 S→I  s,se         n_S, bundle_S, X-Wing ciphertext to I
//! 4 I→S               X-Wing ciphertext to S, signature, MAC
//! 5 S→I               signature, MAC
//! ```
//! 1 to 3 are Noise XXpsk0, whose psk comes from the invitation's secret and whose prologue is the invitation's hash and the
//! roles; the Noise static key is the bundle's agreement key, checked by both. 4 and 5 are sealed under keys of the finished
//! handshake. What each part is for: the QR's hash binds the inviter's bundle; the commitment in 1 keeps a man in the middle
//! from trying shares until two screens agree; X-Wing both ways keeps the secret if X25519 falls and the QR was photographed;
//! signature and MAC cover everything that was said, and the role, so that neither side can believe to have paired with
//! somebody else, or with itself.
//!
//! A message that does not fit ends the attempt: each step consumes the state, and returns none when it refuses.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::bundle::{Bundle, BundleError, BundleSecrets, Parts};
use super::invitation::Invitation;
use super::words::{SAS_BYTES, Sas};
use crate::identity::{AgreementIdentity, SigningIdentity};
use crate::key::{SecretKey, ct_eq, hkdf, hmac32, sha256};
use crate::noise::{Handshake, HandshakeError, Split, Turn};
use crate::relationship::{RelationshipSecret, Role};
use crate::seal::{Aad, Domain, OpenError, Padding, open, seal};
use crate::xwing::{self, BadXWing, CIPHERTEXT_BYTES};

const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_SHA256";
const SIGNATURE_DOMAIN: &str = "allod/pair/signature/1";
const NONCE_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
const MAC_BYTES: usize = 32;

/// Why the other side was refused. It is logged and scored here, and never told to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingRefused {
    #[error("a message does not fit this handshake: other invitation, other role, changed, or out of turn")]
    NotGenuine,
    #[error("a message has another length than its place asks for")]
    Malformed,
    #[error("the other side sent keys that can't be used")]
    UnusableKeys,
    #[error("the answer did not come from whoever showed the invitation")]
    NotTheInviter,
    #[error("the other side's handshake key is not the one in its bundle")]
    OtherStaticKey,
    #[error("the scanner revealed another bundle than it committed to")]
    CommitmentBroken,
    #[error("the other side sent keys or ids of our own")]
    Echo,
    #[error("the other side did not sign what we saw")]
    BadSignature,
    #[error("the other side did not arrive at the same secret")]
    BadConfirmation,
}

impl From<HandshakeError> for PairingRefused {
    fn from(HandshakeError: HandshakeError) -> PairingRefused {
        PairingRefused::NotGenuine
    }
}

impl From<OpenError> for PairingRefused {
    fn from(OpenError: OpenError) -> PairingRefused {
        PairingRefused::NotGenuine
    }
}

impl From<BundleError> for PairingRefused {
    fn from(BundleError: BundleError) -> PairingRefused {
        PairingRefused::UnusableKeys
    }
}

impl From<BadXWing> for PairingRefused {
    fn from(BadXWing: BadXWing) -> PairingRefused {
        PairingRefused::UnusableKeys
    }
}

/// Our keys and ids towards the new relationship.
#[derive(Debug)]
pub struct RelationshipKeys {
    pub signing: SigningIdentity,
    pub agreement: AgreementIdentity,
    pub route_id: [u8; 16],
    pub log_id: [u8; 16],
}

/// Two nodes share a secret. Nothing is granted, and nothing is until both persons have compared [`Paired::sas`].
#[derive(Debug)]
pub struct Paired {
    /// RS of generation 0.
    pub rs: RelationshipSecret,
    pub role: Role,
    pub my: RelationshipKeys,
    pub my_bundle: Bundle,
    pub their_bundle: Bundle,
    pub sas: Sas,
    /// The hash of all that was said, the same on both sides.
    pub transcript: [u8; 32],
}

/// Whether a first message was made by somebody who holds this invitation. Only such a message is an attempt, and uses the
/// invitation up; checking takes no key agreement, so that junk costs little.
pub fn first_message_is_genuine(invitation: &Invitation, first: &[u8]) -> bool {
    let prologue = prologue(&invitation.hash());
    Handshake::only_to_read(PATTERN, &invitation.psk(), &prologue)
        .and_then(|mut handshake| handshake.read(first))
        .is_ok_and(|commitment| commitment.len() == 32)
}

/// The side that showed the QR, waiting for message 1.
#[derive(Debug)]
pub struct Inviter {
    handshake: Handshake,
    secrets: BundleSecrets,
    my_bundle: Bundle,
    nonce: [u8; NONCE_BYTES],
    invitation_hash: [u8; 32],
}

impl Inviter {
    /// Begins with the secrets whose bundle the invitation names.
    ///
    /// # Errors
    /// [`PairingRefused::NotTheInviter`] if it names another bundle.
    pub fn begin(
        invitation: &Invitation,
        secrets: BundleSecrets,
        dice: &mut dyn CryptoRng,
    ) -> Result<Inviter, PairingRefused> {
        let my_bundle = secrets.bundle();
        if my_bundle.hash() != *invitation.bundle_hash() {
            return Err(PairingRefused::NotTheInviter);
        }
        let invitation_hash = invitation.hash();
        let prologue = prologue(&invitation_hash);
        let handshake =
            Handshake::new(PATTERN, Turn::Second, &secrets.agreement, None, &invitation.psk(), &prologue, dice)?;
        Ok(Inviter { handshake, secrets, my_bundle, nonce: fresh_nonce(dice), invitation_hash })
    }

    /// Takes message 1, and answers with message 2. Send it only once the commit that used the invitation up is durable.
    ///
    /// # Errors
    /// [`PairingRefused`] says what did not fit.
    pub fn on_first(mut self, first: &[u8]) -> Result<(InviterAwaitsThird, Vec<u8>), PairingRefused> {
        let payload = self.handshake.read(first)?;
        let commitment = payload.as_slice().try_into().map_err(|_| PairingRefused::Malformed)?;
        let second = self.handshake.write(&[self.my_bundle.to_bytes().as_slice(), &self.nonce].concat())?;
        Ok((InviterAwaitsThird { inviter: self, commitment }, second))
    }
}

/// The inviter, after it showed its bundle.
#[derive(Debug)]
pub struct InviterAwaitsThird {
    inviter: Inviter,
    commitment: [u8; 32],
}

impl InviterAwaitsThird {
    /// Takes message 3, and answers with message 4.
    ///
    /// # Errors
    /// [`PairingRefused`] says what did not fit.
    pub fn on_third(
        self,
        third: &[u8],
        dice: &mut dyn CryptoRng,
    ) -> Result<(InviterAwaitsFifth, Vec<u8>), PairingRefused> {
        let Inviter { mut handshake, secrets, my_bundle, nonce, invitation_hash } = self.inviter;
        let payload = handshake.read(third)?;
        let mut parts = Parts(&payload);
        let their_nonce = parts.array::<NONCE_BYTES>().ok_or(PairingRefused::Malformed)?;
        let their_bundle_bytes = parts.array::<{ Bundle::BYTES }>().ok_or(PairingRefused::Malformed)?;
        let for_inviter = parts.array::<CIPHERTEXT_BYTES>().ok_or(PairingRefused::Malformed)?;
        if !parts.0.is_empty() {
            return Err(PairingRefused::Malformed);
        }
        if !ct_eq(&self.commitment, &commitment(&their_nonce, &their_bundle_bytes)) {
            return Err(PairingRefused::CommitmentBroken);
        }
        let their_bundle = their_bundle(&their_bundle_bytes, &handshake, &my_bundle)?;

        let secret_for_inviter = secrets.xwing.decapsulate(&for_inviter)?;
        let (for_scanner, secret_for_scanner) = xwing::encapsulate(&their_bundle.xwing_public, dice)?;
        let said = Said {
            split: handshake.finish()?,
            invitation_hash,
            inviter: my_bundle.to_bytes(),
            scanner: their_bundle_bytes,
            for_inviter,
            for_scanner,
        };
        let outcome = said.outcome(&secret_for_inviter, &secret_for_scanner, &their_nonce, &nonce);
        let proof = outcome.proof(Role::Inviter, &secrets.signing);
        let fourth = said.seal_fourth(&[for_scanner.as_slice(), &proof].concat(), dice);
        let paired = outcome.paired(Role::Inviter, secrets.signing, secrets.agreement, my_bundle, their_bundle);
        Ok((InviterAwaitsFifth { paired, said }, fourth))
    }
}

/// The inviter, after it proved itself.
#[derive(Debug)]
pub struct InviterAwaitsFifth {
    paired: Paired,
    said: Said,
}

impl InviterAwaitsFifth {
    /// Takes message 5: the scanner arrived at the same secret, and signed for it.
    ///
    /// # Errors
    /// [`PairingRefused`] says what did not fit.
    pub fn on_fifth(self, fifth: &[u8]) -> Result<Paired, PairingRefused> {
        let proof = self.said.open_fifth(fifth)?;
        check_proof(&proof, Role::Scanner, &self.paired.rs, &self.paired.transcript, &self.paired.their_bundle)?;
        Ok(self.paired)
    }
}

/// The side that read the QR.
#[derive(Debug)]
pub struct Scanner;

impl Scanner {
    /// Begins with message 1.
    ///
    /// # Errors
    /// [`PairingRefused::NotGenuine`] cannot come from a parsed invitation and secrets of our own; it is the caller's bug.
    pub fn start(
        invitation: &Invitation,
        secrets: BundleSecrets,
        dice: &mut dyn CryptoRng,
    ) -> Result<(ScannerAwaitsSecond, Vec<u8>), PairingRefused> {
        let my_bundle = secrets.bundle();
        let invitation_hash = invitation.hash();
        let prologue = prologue(&invitation_hash);
        let mut handshake =
            Handshake::new(PATTERN, Turn::First, &secrets.agreement, None, &invitation.psk(), &prologue, dice)?;
        let nonce = fresh_nonce(dice);
        let first = handshake.write(&commitment(&nonce, &my_bundle.to_bytes()))?;
        let bundle_hash = *invitation.bundle_hash();
        Ok((ScannerAwaitsSecond { handshake, secrets, my_bundle, nonce, invitation_hash, bundle_hash }, first))
    }
}

/// The scanner, after it committed to its bundle.
#[derive(Debug)]
pub struct ScannerAwaitsSecond {
    handshake: Handshake,
    secrets: BundleSecrets,
    my_bundle: Bundle,
    nonce: [u8; NONCE_BYTES],
    invitation_hash: [u8; 32],
    /// What the QR says of the inviter's bundle.
    bundle_hash: [u8; 32],
}

impl ScannerAwaitsSecond {
    /// Takes message 2, and answers with message 3.
    ///
    /// # Errors
    /// [`PairingRefused`] says what did not fit.
    pub fn on_second(
        mut self,
        second: &[u8],
        dice: &mut dyn CryptoRng,
    ) -> Result<(ScannerAwaitsFourth, Vec<u8>), PairingRefused> {
        let payload = self.handshake.read(second)?;
        let mut parts = Parts(&payload);
        let their_bundle_bytes = parts.array::<{ Bundle::BYTES }>().ok_or(PairingRefused::Malformed)?;
        let their_nonce = parts.array::<NONCE_BYTES>().ok_or(PairingRefused::Malformed)?;
        if !parts.0.is_empty() {
            return Err(PairingRefused::Malformed);
        }
        if !ct_eq(&sha256(&[&their_bundle_bytes]), &self.bundle_hash) {
            return Err(PairingRefused::NotTheInviter);
        }
        let their_bundle = their_bundle(&their_bundle_bytes, &self.handshake, &self.my_bundle)?;

        let (for_inviter, secret_for_inviter) = xwing::encapsulate(&their_bundle.xwing_public, dice)?;
        let my_bundle_bytes = self.my_bundle.to_bytes();
        let third = self.handshake.write(&[self.nonce.as_slice(), &my_bundle_bytes, &for_inviter].concat())?;
        let said = Said {
            split: self.handshake.finish()?,
            invitation_hash: self.invitation_hash,
            inviter: their_bundle_bytes,
            scanner: my_bundle_bytes,
            for_inviter,
            for_scanner: [0; CIPHERTEXT_BYTES],
        };
        let state = ScannerAwaitsFourth {
            said,
            secrets: self.secrets,
            my_bundle: self.my_bundle,
            their_bundle,
            my_nonce: self.nonce,
            their_nonce,
            secret_for_inviter,
        };
        Ok((state, third))
    }
}

/// The scanner, after it showed its bundle.
#[derive(Debug)]
pub struct ScannerAwaitsFourth {
    said: Said,
    secrets: BundleSecrets,
    my_bundle: Bundle,
    their_bundle: Bundle,
    my_nonce: [u8; NONCE_BYTES],
    their_nonce: [u8; NONCE_BYTES],
    secret_for_inviter: SecretKey,
}

impl ScannerAwaitsFourth {
    /// Takes message 4, in which the inviter proves itself, and answers with message 5.
    ///
    /// # Errors
    /// [`PairingRefused`] says what did not fit.
    pub fn on_fourth(mut self, fourth: &[u8], dice: &mut dyn CryptoRng) -> Result<(Paired, Vec<u8>), PairingRefused> {
        let payload = self.said.open_fourth(fourth)?;
        let mut parts = Parts(&payload);
        self.said.for_scanner = parts.array().ok_or(PairingRefused::Malformed)?;
        let their_proof = parts.0;

        let secret_for_scanner = self.secrets.xwing.decapsulate(&self.said.for_scanner)?;
        let outcome =
            self.said.outcome(&self.secret_for_inviter, &secret_for_scanner, &self.my_nonce, &self.their_nonce);
        check_proof(their_proof, Role::Inviter, &outcome.rs, &outcome.transcript, &self.their_bundle)?;
        let proof = outcome.proof(Role::Scanner, &self.secrets.signing);
        let fifth = self.said.seal_fifth(&proof, dice);
        let BundleSecrets { signing, agreement, .. } = self.secrets;
        Ok((outcome.paired(Role::Scanner, signing, agreement, self.my_bundle, self.their_bundle), fifth))
    }
}

/// Everything that was said, by which side is in its place: what the secret and the signatures are bound to.
struct Said {
    /// Of the Noise handshake; the scanner spoke first.
    split: Split,
    invitation_hash: [u8; 32],
    inviter: [u8; Bundle::BYTES],
    scanner: [u8; Bundle::BYTES],
    for_inviter: [u8; CIPHERTEXT_BYTES],
    for_scanner: [u8; CIPHERTEXT_BYTES],
}

impl Said {
    fn outcome(
        &self,
        secret_for_inviter: &SecretKey,
        secret_for_scanner: &SecretKey,
        scanner_nonce: &[u8; NONCE_BYTES],
        inviter_nonce: &[u8; NONCE_BYTES],
    ) -> Outcome {
        let keys_and_ciphertexts = sha256(&[&self.inviter, &self.scanner, &self.for_inviter, &self.for_scanner]);
        let rs = RelationshipSecret::from_key(SecretKey::extract(
            &self.split.hash,
            &[
                self.split.from_first.expose(),
                self.split.from_second.expose(),
                secret_for_inviter.expose(),
                secret_for_scanner.expose(),
            ],
            &[b"allod/rs/1", &keys_and_ciphertexts],
        ));
        let transcript = sha256(&[
            &self.split.hash,
            &self.invitation_hash,
            &self.inviter,
            &self.scanner,
            &self.for_inviter,
            &self.for_scanner,
        ]);
        let mut sas = [0; SAS_BYTES];
        let bundles = sha256(&[&self.inviter, &self.scanner]);
        let info: [&[u8]; 3] = [b"allod/sas-code/1", &bundles, &roles()];
        hkdf(&[0; 32], &[scanner_nonce, inviter_nonce], &info, &mut sas);
        Outcome { rs, transcript, sas: Sas::from_bytes(sas) }
    }

    fn seal_fourth(&self, payload: &[u8], dice: &mut dyn CryptoRng) -> Vec<u8> {
        let (key, aad) = self.sealing(&self.split.from_second, 4);
        seal(&key, Domain::PairingMessage, &aad, payload, Padding::None, dice)
    }

    fn open_fourth(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (key, aad) = self.sealing(&self.split.from_second, 4);
        open(&key, Domain::PairingMessage, &aad, sealed, Padding::None)
    }

    fn seal_fifth(&self, payload: &[u8], dice: &mut dyn CryptoRng) -> Vec<u8> {
        let (key, aad) = self.sealing(&self.split.from_first, 5);
        seal(&key, Domain::PairingMessage, &aad, payload, Padding::None, dice)
    }

    fn open_fifth(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (key, aad) = self.sealing(&self.split.from_first, 5);
        open(&key, Domain::PairingMessage, &aad, sealed, Padding::None)
    }

    /// Key and AAD of message 4 or 5. The split keys themselves are material of RS_0, and encrypt nothing.
    fn sealing(&self, direction: &SecretKey, message: u8) -> (SecretKey, Vec<u8>) {
        let key = direction.derive_parts(&[b"allod/pair/message/1", &[message], &self.split.hash]);
        (key, Aad::new(b"pairing-message").hash(&self.split.hash).u8(message).finish())
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said(..)")
    }
}

/// What all that was said amounts to.
struct Outcome {
    rs: RelationshipSecret,
    transcript: [u8; 32],
    sas: Sas,
}

impl Outcome {
    /// Signature and MAC of the side with this role.
    fn proof(&self, role: Role, signing: &SigningIdentity) -> [u8; SIGNATURE_BYTES + MAC_BYTES] {
        let said = said_by(&self.transcript, role);
        let mut proof = [0; SIGNATURE_BYTES + MAC_BYTES];
        proof[..SIGNATURE_BYTES].copy_from_slice(&signing.sign(SIGNATURE_DOMAIN, &said));
        proof[SIGNATURE_BYTES..].copy_from_slice(&hmac32(&self.rs.confirm_key(role), &[&said]));
        proof
    }

    fn paired(
        self,
        role: Role,
        signing: SigningIdentity,
        agreement: AgreementIdentity,
        my_bundle: Bundle,
        their_bundle: Bundle,
    ) -> Paired {
        let my = RelationshipKeys { signing, agreement, route_id: my_bundle.route_id, log_id: my_bundle.log_id };
        Paired { rs: self.rs, role, my, my_bundle, their_bundle, sas: self.sas, transcript: self.transcript }
    }
}

fn check_proof(
    proof: &[u8],
    role: Role,
    rs: &RelationshipSecret,
    transcript: &[u8; 32],
    bundle: &Bundle,
) -> Result<(), PairingRefused> {
    let mut parts = Parts(proof);
    let signature = parts.array::<SIGNATURE_BYTES>().ok_or(PairingRefused::Malformed)?;
    let mac = parts.array::<MAC_BYTES>().ok_or(PairingRefused::Malformed)?;
    if !parts.0.is_empty() {
        return Err(PairingRefused::Malformed);
    }
    let said = said_by(transcript, role);
    bundle.verify_key.verify(SIGNATURE_DOMAIN, &said, &signature).map_err(|_| PairingRefused::BadSignature)?;
    if ct_eq(&hmac32(&rs.confirm_key(role), &[&said]), &mac) { Ok(()) } else { Err(PairingRefused::BadConfirmation) }
}

fn said_by(transcript: &[u8; 32], role: Role) -> [u8; 33] {
    let mut said = [0; 33];
    said[..32].copy_from_slice(transcript);
    said[32] = role.byte();
    said
}

/// Their bundle, if its keys can be used, are those of this handshake, and are not ours.
fn their_bundle(
    bytes: &[u8; Bundle::BYTES],
    handshake: &Handshake,
    my_bundle: &Bundle,
) -> Result<Bundle, PairingRefused> {
    let bundle = Bundle::from_bytes(bytes)?;
    if handshake.their_static() != Some(bundle.agreement) {
        return Err(PairingRefused::OtherStaticKey);
    }
    if bundle.shares_with(my_bundle) {
        return Err(PairingRefused::Echo);
    }
    Ok(bundle)
}

fn commitment(nonce: &[u8; NONCE_BYTES], bundle: &[u8; Bundle::BYTES]) -> [u8; 32] {
    sha256(&[b"allod/sas/1", nonce, bundle])
}

/// The roles, in the order in which their bundles stand in everything hashed.
fn roles() -> [u8; 2] {
    [Role::Inviter.byte(), Role::Scanner.byte()]
}

fn prologue(invitation_hash: &[u8; 32]) -> [u8; 34] {
    let mut prologue = [0; 34];
    prologue[..32].copy_from_slice(invitation_hash);
    prologue[32..].copy_from_slice(&roles());
    prologue
}

fn fresh_nonce(dice: &mut dyn CryptoRng) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    dice.fill_bytes(&mut nonce);
    nonce
}

#[cfg(test)]
mod tests;
