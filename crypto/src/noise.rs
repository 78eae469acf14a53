//! How this crate uses `snow`: with our dice, our X25519, and no default that could be forgotten.
//!
//! `snow` draws ephemeral keys from a generator of its own choosing; here that is a stream from 32 bytes of the caller's dice,
//! mixed with our static key, so that a weak generator alone does not give the ephemeral keys away. X25519 refuses a shared
//! secret that everybody knows. Hash and cipher come from `ring`.

use std::fmt;

use rand_core::CryptoRng;
use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::identity::AgreementIdentity;
use crate::key::{SecretKey, hmac32};

pub(crate) const DH_BYTES: usize = 32;
pub(crate) const TAG_BYTES: usize = 16;

/// The other side did not prove that it holds the keys that this handshake is about. Which one, is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handshake failed")]
pub struct HandshakeError;

/// Who speaks first in a Noise handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    First,
    Second,
}

/// A handshake under one psk, between our static key and one that is known already or is sent inside.
pub(crate) struct Handshake(HandshakeState);

impl Handshake {
    pub(crate) fn new(
        pattern: &'static str,
        turn: Turn,
        mine: &AgreementIdentity,
        theirs: Option<&[u8; 32]>,
        psk: &SecretKey,
        prologue: &[u8],
        dice: &mut dyn CryptoRng,
    ) -> Result<Handshake, HandshakeError> {
        let private = mine.to_bytes();
        let seed = ephemeral_seed(&private, dice);
        Handshake::build(pattern, turn, &private, seed, theirs, psk, prologue)
    }

    /// A handshake that can take a first message and answer nothing: for checking whether one is genuine.
    pub(crate) fn only_to_read(
        pattern: &'static str,
        psk: &SecretKey,
        prologue: &[u8],
    ) -> Result<Handshake, HandshakeError> {
        // Neither key nor seed takes part: both would be used by the answer only.
        Handshake::build(pattern, Turn::Second, &[1; DH_BYTES], SecretKey::from_bytes([0; 32]), None, psk, prologue)
    }

    fn build(
        pattern: &'static str,
        turn: Turn,
        private: &[u8; DH_BYTES],
        seed: SecretKey,
        theirs: Option<&[u8; 32]>,
        psk: &SecretKey,
        prologue: &[u8],
    ) -> Result<Handshake, HandshakeError> {
        let params: NoiseParams = pattern.parse().map_err(|_| HandshakeError)?;
        let mut builder = Builder::with_resolver(params, Box::new(Resolver { seed }))
            .local_private_key(private)
            .and_then(|builder| builder.psk(0, psk.expose()))
            .and_then(|builder| builder.prologue(prologue))
            .map_err(|_| HandshakeError)?;
        if let Some(theirs) = theirs {
            builder = builder.remote_public_key(theirs).map_err(|_| HandshakeError)?;
        }
        let state = match turn {
            Turn::First => builder.build_initiator(),
            Turn::Second => builder.build_responder(),
        };
        state.map(Handshake).map_err(|_| HandshakeError)
    }

    pub(crate) fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut message = vec![0; payload.len() + 2 * (DH_BYTES + TAG_BYTES)];
        let length = self.0.write_message(payload, &mut message).map_err(|_| HandshakeError)?;
        message.truncate(length);
        Ok(message)
    }

    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
        let mut payload = Zeroizing::new(vec![0; message.len()]);
        let length = self.0.read_message(message, &mut payload).map_err(|_| HandshakeError)?;
        payload.truncate(length);
        Ok(payload)
    }

    /// The other side's static key, once it was sent or if it was known.
    pub(crate) fn their_static(&self) -> Option<[u8; 32]> {
        self.0.get_remote_static().and_then(|key| key.try_into().ok())
    }

    pub(crate) fn finish(mut self) -> Result<Split, HandshakeError> {
        if !self.0.is_handshake_finished() {
            return Err(HandshakeError);
        }
        let hash = self.0.get_handshake_hash().try_into().map_err(|_| HandshakeError)?;
        let (first, second) = self.0.dangerously_get_raw_split();
        Ok(Split { from_first: SecretKey::from_bytes(first), from_second: SecretKey::from_bytes(second), hash })
    }
}

/// What a finished handshake leaves: a key for each direction, and the hash of all that was said.
pub(crate) struct Split {
    pub(crate) from_first: SecretKey,
    pub(crate) from_second: SecretKey,
    /// Public: context for what is derived, never key material.
    pub(crate) hash: [u8; 32],
}

fn ephemeral_seed(private: &[u8; 32], dice: &mut dyn CryptoRng) -> SecretKey {
    let fresh = SecretKey::random(dice);
    SecretKey::extract(&[0; 32], &[fresh.expose(), private], &[b"allod/noise-dice/1"])
}

struct Resolver {
    seed: SecretKey,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(SeededDice { seed: self.seed.duplicate(), block: 0 }))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => Some(Box::new(X25519::default())),
            _ => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        RingResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }
}

/// Block n of the stream is HMAC-SHA256(seed, n).
struct SeededDice {
    seed: SecretKey,
    block: u64,
}

impl Random for SeededDice {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        for chunk in dest.chunks_mut(32) {
            let block = Zeroizing::new(hmac32(&self.seed, &[&self.block.to_le_bytes()]));
            chunk.copy_from_slice(&block[..chunk.len()]);
            self.block += 1;
        }
        Ok(())
    }
}

struct X25519 {
    private: StaticSecret,
    private_bytes: Zeroizing<[u8; DH_BYTES]>,
    public: [u8; DH_BYTES],
}

impl X25519 {
    fn from_private(private_bytes: Zeroizing<[u8; DH_BYTES]>) -> X25519 {
        let private = StaticSecret::from(*private_bytes);
        let public = PublicKey::from(&private).to_bytes();
        X25519 { private, private_bytes, public }
    }
}

impl Default for X25519 {
    /// Without a key yet: `snow` sets or draws one before it uses it.
    fn default() -> X25519 {
        X25519 {
            private: StaticSecret::from([0; DH_BYTES]),
            private_bytes: Zeroizing::new([0; DH_BYTES]),
            public: [0; DH_BYTES],
        }
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        DH_BYTES
    }

    fn priv_len(&self) -> usize {
        DH_BYTES
    }

    fn set(&mut self, privkey: &[u8]) {
        let mut bytes = Zeroizing::new([0; DH_BYTES]);
        bytes.copy_from_slice(privkey);
        *self = X25519::from_private(bytes);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut bytes = Zeroizing::new([0; DH_BYTES]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        *self = X25519::from_private(bytes);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.private_bytes.as_slice()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        // `snow` hands over a buffer longer than the key.
        let theirs: [u8; DH_BYTES] =
            pubkey.get(..DH_BYTES).and_then(|key| key.try_into().ok()).ok_or(snow::Error::Dh)?;
        let shared = self.private.diffie_hellman(&PublicKey::from(theirs));
        if !shared.was_contributory() {
            return Err(snow::Error::Dh);
        }
        out.get_mut(..DH_BYTES).ok_or(snow::Error::Dh)?.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::dice::{SeededDice as TestDice, StuckDice};

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        protocol_name: String,
        init_prologue: String,
        init_psks: Vec<String>,
        init_static: String,
        init_ephemeral: String,
        init_remote_static: String,
        resp_static: String,
        resp_ephemeral: String,
        resp_remote_static: String,
        handshake_hash: String,
        messages: Vec<Message>,
    }

    #[derive(Deserialize)]
    struct Message {
        payload: String,
        ciphertext: String,
    }

    #[test]
    fn cacophony_agrees_about_kk_with_a_psk() {
        let unhex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let vectors: Vectors = serde_json::from_str(include_str!("../vectors/noise.json")).unwrap();
        let vector = &vectors.vectors[0];
        let psk: [u8; 32] = unhex(&vector.init_psks[0]).try_into().unwrap();
        let prologue = unhex(&vector.init_prologue);
        let side = |private: &str, ephemeral: &str, remote: &str, turn| {
            let (private, ephemeral, remote) = (unhex(private), unhex(ephemeral), unhex(remote));
            let resolver = Box::new(Resolver { seed: SecretKey::from_bytes([0; 32]) });
            let builder = Builder::with_resolver(vector.protocol_name.parse().unwrap(), resolver)
                .local_private_key(&private)
                .and_then(|builder| builder.remote_public_key(&remote))
                .and_then(|builder| builder.psk(0, &psk))
                .and_then(|builder| builder.prologue(&prologue))
                .unwrap()
                .fixed_ephemeral_key_for_testing_only(&ephemeral);
            Handshake(match turn {
                Turn::First => builder.build_initiator().unwrap(),
                Turn::Second => builder.build_responder().unwrap(),
            })
        };
        let remote = &vector.init_remote_static;
        let mut first = side(&vector.init_static, &vector.init_ephemeral, remote, Turn::First);
        let remote = &vector.resp_remote_static;
        let mut second = side(&vector.resp_static, &vector.resp_ephemeral, remote, Turn::Second);
        for (index, message) in vector.messages[..2].iter().enumerate() {
            let (writer, reader) = if index == 0 { (&mut first, &mut second) } else { (&mut second, &mut first) };
            let written = writer.write(&unhex(&message.payload)).unwrap();
            assert_eq!(written, unhex(&message.ciphertext));
            assert_eq!(*reader.read(&written).unwrap(), unhex(&message.payload));
        }
        let (first, second) = (first.finish().unwrap(), second.finish().unwrap());
        assert_eq!(first.hash.as_slice(), unhex(&vector.handshake_hash));
        assert_eq!(first.from_first.expose(), second.from_first.expose());
        assert_eq!(first.from_second.expose(), second.from_second.expose());
    }

    #[test]
    fn a_public_key_of_small_order_ends_the_handshake() {
        let mut dh = X25519::default();
        dh.set(&[9; 32]);
        let mut out = [0; 32];
        assert!(matches!(dh.dh(&[0; 32], &mut out), Err(snow::Error::Dh)));
        assert!(matches!(dh.dh(&[9; 31], &mut out), Err(snow::Error::Dh)));
        assert!(dh.dh(&[9; 32], &mut out).is_ok());
    }

    #[test]
    fn ephemeral_keys_of_two_owners_differ_even_when_their_dice_are_stuck() {
        let seed = |private| *ephemeral_seed(&[private; 32], &mut StuckDice).expose();
        assert_ne!(seed(1), seed(2));
        let mut dice = TestDice::new(1);
        assert_ne!(ephemeral_seed(&[1; 32], &mut dice).expose(), ephemeral_seed(&[1; 32], &mut dice).expose());
    }

    #[test]
    fn the_stream_from_a_seed_does_not_repeat() {
        let mut dice = super::SeededDice { seed: SecretKey::from_bytes([1; 32]), block: 0 };
        let mut bytes = [0; 96];
        dice.try_fill_bytes(&mut bytes).unwrap();
        let mut after = [0; 32];
        dice.try_fill_bytes(&mut after).unwrap();
        assert!(bytes.chunks(32).all(|block| block != after));
        assert_ne!(bytes[..32], bytes[32..64]);
    }
}
