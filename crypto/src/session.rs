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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::{SeededDice, StuckDice};

    /// Two nodes that paired: their static keys and their psk.
    struct World {
        phone: AgreementIdentity,
        shop: AgreementIdentity,
        psk: SecretKey,
        dice: SeededDice,
    }

    impl World {
        fn seeded(seed: u64) -> World {
            let mut dice = SeededDice::new(seed);
            World {
                phone: AgreementIdentity::random(&mut dice),
                shop: AgreementIdentity::random(&mut dice),
                psk: SecretKey::random(&mut dice),
                dice,
            }
        }

        fn start(&mut self, prologue: &[u8]) -> (SessionInitiator, Vec<u8>) {
            SessionInitiator::start(&self.phone, &self.shop.public(), &self.psk, prologue, &mut self.dice).unwrap()
        }

        fn answer(
            &mut self,
            prologue: &[u8],
            first: &[u8],
            payload: &[u8],
        ) -> Result<(Vec<u8>, SessionKeys), HandshakeError> {
            answer(&self.shop, &self.phone.public(), &self.psk, prologue, first, payload, &mut self.dice)
        }

        fn session(&mut self) -> (SessionKeys, SessionKeys) {
            let (initiator, first) = self.start(b"prologue");
            let (second, shop) = self.answer(b"prologue", &first, b"hello").unwrap();
            let (phone, payload) = initiator.finish(&second).unwrap();
            assert_eq!(payload.as_slice(), b"hello");
            (phone, shop)
        }
    }

    #[test]
    fn after_one_round_trip_each_side_opens_what_the_other_seals() {
        let mut world = World::seeded(1);
        let (phone, shop) = world.session();
        assert_eq!(phone.hash(), shop.hash());
        let mut dice = SeededDice::new(2);
        for (from, to) in [(&phone, &shop), (&shop, &phone)] {
            let sealed = from.seal_message(3, MessageKind::Request, b"sync", &mut dice);
            assert_eq!(to.open_message(3, MessageKind::Request, &sealed).unwrap().as_slice(), b"sync");
            assert_eq!(from.open_message(3, MessageKind::Request, &sealed).err(), Some(OpenError), "no echo");
            assert_eq!(to.open_message(4, MessageKind::Request, &sealed).err(), Some(OpenError), "no other counter");
            assert_eq!(to.open_message(3, MessageKind::Answer, &sealed).err(), Some(OpenError), "no other kind");
        }
    }

    #[test]
    fn a_first_message_carries_nothing() {
        let mut world = World::seeded(5);
        let (phone, theirs, mut dice) = (&world.phone, world.shop.public(), SeededDice::new(6));
        let handshake = Handshake::new(PATTERN, Turn::First, phone, Some(&theirs), &world.psk, b"p", &mut dice);
        let first = handshake.unwrap().write(b"more").unwrap();
        assert!(world.answer(b"p", &first, &[]).is_err());
    }

    #[test]
    fn the_same_split_after_another_handshake_gives_other_keys() {
        let keys = |hash: u8| {
            let split = Split {
                from_first: SecretKey::from_bytes([1; 32]),
                from_second: SecretKey::from_bytes([2; 32]),
                hash: [hash; 32],
            };
            SessionKeys::new(split, Turn::First)
        };
        assert_ne!(keys(3).send.expose(), keys(4).send.expose());
        assert_ne!(keys(3).receive.expose(), keys(4).receive.expose());
    }

    #[test]
    fn a_message_of_one_session_is_nothing_in_the_next() {
        let mut world = World::seeded(3);
        let (phone, _) = world.session();
        let (_, shop) = world.session();
        let sealed = phone.seal_message(0, MessageKind::Request, b"sync", &mut world.dice);
        assert_eq!(shop.open_message(0, MessageKind::Request, &sealed).err(), Some(OpenError));
    }

    #[test]
    fn another_psk_prologue_or_key_is_refused_at_the_first_message() {
        let mut world = World::seeded(4);
        let (_, first) = world.start(b"prologue");
        assert_eq!(world.answer(b"another", &first, b"").err(), Some(HandshakeError));
        let psk = std::mem::replace(&mut world.psk, SecretKey::from_bytes([9; 32]));
        assert_eq!(world.answer(b"prologue", &first, b"").err(), Some(HandshakeError));
        world.psk = psk;
        let phone = std::mem::replace(&mut world.phone, AgreementIdentity::from_bytes(&[9; 32]));
        assert_eq!(world.answer(b"prologue", &first, b"").err(), Some(HandshakeError));
        world.phone = phone;
        world.shop = AgreementIdentity::from_bytes(&[9; 32]);
        assert_eq!(world.answer(b"prologue", &first, b"").err(), Some(HandshakeError));
    }

    #[test]
    fn an_answer_by_somebody_else_is_refused() {
        let mut world = World::seeded(5);
        let (initiator, first) = world.start(b"prologue");
        let (other, _) = world.start(b"prologue");
        let (second, _) = world.answer(b"prologue", &first, b"hello").unwrap();
        assert_eq!(other.finish(&second).err(), Some(HandshakeError), "an answer to another first message");
        assert!(initiator.finish(&second).is_ok());
    }

    #[test]
    fn every_flipped_byte_of_both_messages_is_refused() {
        let mut world = World::seeded(6);
        let (_, first) = world.start(b"prologue");
        assert_eq!(first.len(), FIRST_MESSAGE_BYTES);
        for byte in 0..first.len() {
            let mut broken = first.clone();
            broken[byte] ^= 0x40;
            assert_eq!(world.answer(b"prologue", &broken, b"").err(), Some(HandshakeError), "byte {byte}");
        }
        assert_eq!(world.answer(b"prologue", &first[1..], b"").err(), Some(HandshakeError));
        assert_eq!(world.answer(b"prologue", &[&first[..], &[0]].concat(), b"").err(), Some(HandshakeError));
        assert_eq!(world.answer(b"prologue", &[0; FIRST_MESSAGE_BYTES], b"").err(), Some(HandshakeError));
        let length = world.answer(b"prologue", &first, b"hello").unwrap().0.len();
        for byte in 0..length {
            let (initiator, first) = world.start(b"prologue");
            let (mut second, _) = world.answer(b"prologue", &first, b"hello").unwrap();
            second[byte] ^= 0x40;
            assert_eq!(initiator.finish(&second).err(), Some(HandshakeError), "byte {byte}");
        }
    }

    #[test]
    fn a_static_key_of_small_order_starts_no_session() {
        let mut world = World::seeded(7);
        let refused = SessionInitiator::start(&world.phone, &[0; 32], &world.psk, b"prologue", &mut world.dice).err();
        assert_eq!(refused, Some(HandshakeError));
    }

    #[test]
    fn the_longest_payload_passes_and_no_longer_one() {
        let mut world = World::seeded(8);
        let (initiator, first) = world.start(b"prologue");
        let longest = vec![1; SESSION_PAYLOAD_MAX_BYTES];
        let (second, _) = world.answer(b"prologue", &first, &longest).unwrap();
        assert_eq!(*initiator.finish(&second).unwrap().1, longest);
        let refused = world.answer(b"prologue", &first, &vec![1; SESSION_PAYLOAD_MAX_BYTES + 1]);
        assert_eq!(refused.err(), Some(HandshakeError));
    }

    #[test]
    fn two_sessions_under_stuck_dice_still_seal_no_two_messages_alike() {
        let mut world = World::seeded(9);
        let (phone, _) = world.session();
        let seal = |counter, bytes: &[u8]| phone.seal_message(counter, MessageKind::Request, bytes, &mut StuckDice);
        assert_ne!(seal(1, b"a")[3..27], seal(1, b"b")[3..27]);
        assert_ne!(seal(1, b"a")[3..27], seal(2, b"a")[3..27]);
    }

    #[test]
    fn a_counter_is_accepted_once_in_any_order() {
        let mut window = ReplayWindow::default();
        for counter in [5, 3, 4, 0, 1023, 1, 1024, 1027] {
            assert!(window.accept(counter), "{counter}");
            assert!(!window.accept(counter), "{counter}");
        }
        assert!(!window.accept(3), "seen, and 1,024 behind");
        assert!(!window.accept(2), "never seen, but too far behind");
        assert!(window.accept(6));
    }

    #[test]
    fn a_leap_forgets_what_it_leaves_behind_and_nothing_else() {
        let mut window = ReplayWindow::default();
        assert!((0..REPLAY_WINDOW_MESSAGES).all(|counter| window.accept(counter)));
        let newest = 10 * REPLAY_WINDOW_MESSAGES + 7;
        assert!(window.accept(newest));
        let oldest = newest + 1 - REPLAY_WINDOW_MESSAGES;
        assert!(!window.accept(oldest - 1));
        assert!((oldest..newest).all(|counter| window.accept(counter)));
        assert!((oldest..=newest).all(|counter| !window.accept(counter)));
        assert!(!window.accept(u64::MAX), "no counter without a successor");
        assert!(window.accept(u64::MAX - 1));
    }

    proptest::proptest! {
        #[test]
        fn the_window_agrees_with_a_set(counters in proptest::collection::vec(0_u64..3000, 0..600)) {
            let mut window = ReplayWindow::default();
            let mut seen = std::collections::BTreeSet::new();
            for counter in counters {
                let newest = seen.last().copied();
                let is_fresh = newest.is_none_or(|newest| counter + REPLAY_WINDOW_MESSAGES > newest);
                let expected = is_fresh && !seen.contains(&counter);
                proptest::prop_assert_eq!(window.accept(counter), expected);
                if expected {
                    seen.insert(counter);
                }
            }
        }
    }
}
