//! A session: one round trip that proves both sides' keys, then sealed requests and answers.
//!
//! The handshake is Noise KKpsk0: both static keys are known from pairing, the psk is the relationship's. Message 1 is empty
//! and causes nothing; message 2 carries the answerer's payload. After it each direction has a key; messages carry explicit
//! counters and arrive in any order, and a [`ReplayWindow`] refuses a counter seen before. Each message's AAD holds the hash
//! of the handshake, its direction's kind and its counter, so that none passes for another.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::identity::AgreementIdentity;
use crate::key::SecretKey;
use crate::limits::{REPLAY_WINDOW_MESSAGES, SESSION_PAYLOAD_MAX_BYTES};
use crate::noise::{DH_BYTES, Handshake, HandshakeError, Split, TAG_BYTES, Turn};
use crate::seal::{Aad, Domain, OpenError, Padding, open, seal};

const PATTERN: &str = "Noise_KKpsk0_25519_ChaChaPoly_SHA256";

/// Length of the first message: an ephemeral key and the tag of an empty payload.
pub const FIRST_MESSAGE_BYTES: usize = DH_BYTES + TAG_BYTES;

/// What a message of a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Carries a counter of the sender's own.
    Request,
    /// Carries the counter of the request that it answers.
    Answer,
}

impl MessageKind {
    fn byte(self) -> u8 {
        match self {
            MessageKind::Request => 1,
            MessageKind::Answer => 2,
        }
    }
}

/// The side that dialled, between its first message and the answer.
#[derive(Debug)]
pub struct SessionInitiator(Handshake);

impl SessionInitiator {
    /// # Errors
    /// [`HandshakeError`] if their static key contributes nothing.
    pub fn start(
        mine: &AgreementIdentity,
        theirs: &[u8; 32],
        psk: &SecretKey,
        prologue: &[u8],
        dice: &mut dyn CryptoRng,
    ) -> Result<(SessionInitiator, Vec<u8>), HandshakeError> {
        let mut handshake = Handshake::new(PATTERN, Turn::First, mine, Some(theirs), psk, prologue, dice)?;
        let first = handshake.write(&[])?;
        Ok((SessionInitiator(handshake), first))
    }

    /// Takes the answer: the session's keys, and what the other side said with it.
    ///
    /// # Errors
    /// [`HandshakeError`] unless the answerer holds its static key and the psk, and saw the same prologue.
    pub fn finish(mut self, second: &[u8]) -> Result<(SessionKeys, Zeroizing<Vec<u8>>), HandshakeError> {
        let payload = self.0.read(second)?;
        let split = self.0.finish()?;
        Ok((SessionKeys::new(split, Turn::First), payload))
    }
}

/// Answers a first message, if it proves the keys of this relationship.
///
/// # Errors
/// [`HandshakeError`] unless the initiator holds its static key and the psk, and saw the same prologue; or if `payload` is
/// longer than [`SESSION_PAYLOAD_MAX_BYTES`].
pub fn answer(
    mine: &AgreementIdentity,
    theirs: &[u8; 32],
    psk: &SecretKey,
    prologue: &[u8],
    first: &[u8],
    payload: &[u8],
    dice: &mut dyn CryptoRng,
) -> Result<(Vec<u8>, SessionKeys), HandshakeError> {
    if first.len() != FIRST_MESSAGE_BYTES || payload.len() > SESSION_PAYLOAD_MAX_BYTES {
        return Err(HandshakeError);
    }
    let mut handshake = Handshake::new(PATTERN, Turn::Second, mine, Some(theirs), psk, prologue, dice)?;
    handshake.read(first)?;
    let second = handshake.write(payload)?;
    Ok((second, SessionKeys::new(handshake.finish()?, Turn::Second)))
}

/// The keys of one live session. They are in memory only, and die with it.
pub struct SessionKeys {
    send: SecretKey,
    receive: SecretKey,
    hash: [u8; 32],
}

impl SessionKeys {
    fn new(split: Split, turn: Turn) -> SessionKeys {
        let from_first = direction_key(&split.from_first, &split.hash);
        let from_second = direction_key(&split.from_second, &split.hash);
        let (send, receive) = match turn {
            Turn::First => (from_first, from_second),
            Turn::Second => (from_second, from_first),
        };
        SessionKeys { send, receive, hash: split.hash }
    }

    /// The hash of the handshake: it names this session on both sides, and is not secret.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Seals what goes out. A request takes a counter that we never used; an answer takes its request's.
    pub fn seal_message(&self, counter: u64, kind: MessageKind, bytes: &[u8], dice: &mut dyn CryptoRng) -> Vec<u8> {
        let aad = self.aad(counter, kind);
        seal(&self.send, Domain::SessionMessage, &aad, bytes, Padding::Padme, dice)
    }

    /// Opens what came in as this kind, with this counter.
    ///
    /// # Errors
    /// [`OpenError`] if it was not sealed by the other side of this session as just that.
    pub fn open_message(
        &self,
        counter: u64,
        kind: MessageKind,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        open(&self.receive, Domain::SessionMessage, &self.aad(counter, kind), sealed, Padding::Padme)
    }

    fn aad(&self, counter: u64, kind: MessageKind) -> Vec<u8> {
        Aad::new(b"session-message").hash(&self.hash).u8(kind.byte()).u64(counter).finish()
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

fn direction_key(split: &SecretKey, hash: &[u8; 32]) -> SecretKey {
    split.derive_parts(&[b"allod/session/1", hash])
}

/// Which counters of the other side's requests were seen: each is accepted once, in any order, and never when it is more than
/// 1,024 behind the newest.
///
/// Ask only *after* the message opened, or a forger moves the window.
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow {
    /// One above the highest counter accepted; 0 while none was.
    end: u64,
    seen: [u64; ReplayWindow::WORDS],
}

impl ReplayWindow {
    const WORDS: usize = (REPLAY_WINDOW_MESSAGES / 64) as usize;

    pub fn accept(&mut self, counter: u64) -> bool {
        // The last counter has no successor to mark the window's end with; no session sends so many.
        let Some(after) = counter.checked_add(1) else { return false };
        if after > self.end {
            for skipped in self.end.max(after.saturating_sub(REPLAY_WINDOW_MESSAGES))..counter {
                self.forget(skipped);
            }
            self.end = after;
            self.mark(counter);
            return true;
        }
        if self.end - counter > REPLAY_WINDOW_MESSAGES || self.is_marked(counter) {
            return false;
        }
        self.mark(counter);
        true
    }

    fn place(counter: u64) -> (usize, u64) {
        let slot = counter % REPLAY_WINDOW_MESSAGES;
        ((slot / 64) as usize, 1 << (slot % 64))
    }

    fn is_marked(&self, counter: u64) -> bool {
        let (word, bit) = Self::place(counter);
        self.seen[word] & bit != 0
    }

    fn mark(&mut self, counter: u64) {
        let (word, bit) = Self::place(counter);
        self.seen[word] |= bit;
    }

    fn forget(&mut self, counter: u64) {
        let (word, bit) = Self::place(counter);
        self.seen[word] &= !bit;
    }
}
