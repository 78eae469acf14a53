//! The keys of a log's entries: one value that moves forward, and cannot be moved back.
//!
//! Each step yields the next value and two keys, for the entry's body and for its payload. The step consumes the value, and
//! the caller stores the next one in the commit that uses the keys: a thief of today's state learns no key of yesterday.

use std::fmt;

use zeroize::Zeroizing;

use crate::key::{SecretKey, hkdf};

/// Where one log's keys stand: what the next entry's keys come from.
pub struct ChainValue(SecretKey);

impl ChainValue {
    /// Read back from where it was sealed.
    pub fn from_bytes(bytes: [u8; 32]) -> ChainValue {
        ChainValue(SecretKey::from_bytes(bytes))
    }

    /// The bytes, to be sealed at rest.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.0.expose())
    }

    pub(crate) fn from_key(key: SecretKey) -> ChainValue {
        ChainValue(key)
    }

    /// A second copy: both sides of a relationship hold the chain of each log, and a test may hold both sides.
    pub fn duplicate(&self) -> ChainValue {
        ChainValue(self.0.duplicate())
    }

    /// The value after this one, the body key and the payload key of entry `sequence` of this log.
    pub fn step(self, log_id: &[u8; 16], sequence: u64) -> (ChainValue, SecretKey, SecretKey) {
        let mut okm = Zeroizing::new([0; 96]);
        let info: [&[u8]; 3] = [b"allod/chain/1", log_id, &sequence.to_le_bytes()];
        hkdf(&[0; 32], &[self.0.expose()], &info, okm.as_mut_slice());
        let key = |part: usize| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(&okm[part * 32..(part + 1) * 32]);
            SecretKey::from_bytes(bytes)
        };
        (ChainValue(key(0)), key(1), key(2))
    }
}

impl fmt::Debug for ChainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainValue(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: [u8; 16] = [1; 16];

    #[test]
    fn both_sides_step_to_the_same_keys_and_no_two_are_alike() {
        let mut mine = ChainValue::from_bytes([7; 32]);
        let mut theirs = ChainValue::from_bytes(*mine.to_bytes());
        let mut seen = Vec::new();
        for sequence in 0..100 {
            let (next, body, payload) = mine.step(&LOG, sequence);
            let (their_next, their_body, their_payload) = theirs.step(&LOG, sequence);
            assert_eq!((body.expose(), payload.expose()), (their_body.expose(), their_payload.expose()));
            seen.extend([*body.expose(), *payload.expose(), *next.to_bytes()]);
            (mine, theirs) = (next, their_next);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 300);
    }

    #[test]
    fn another_log_or_sequence_steps_elsewhere() {
        let keys = |log: &[u8; 16], sequence| {
            let (next, body, payload) = ChainValue::from_bytes([7; 32]).step(log, sequence);
            [*next.to_bytes(), *body.expose(), *payload.expose()]
        };
        let here = keys(&LOG, 5);
        for there in [keys(&LOG, 6), keys(&[2; 16], 5)] {
            assert!(here.iter().zip(there).all(|(a, b)| *a != b));
        }
        let chain = ChainValue::from_bytes([7; 32]);
        assert_eq!(*chain.duplicate().to_bytes(), *chain.to_bytes());
        assert_eq!(format!("{chain:?}"), "ChainValue(..)");
    }
}
