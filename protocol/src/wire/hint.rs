//! Hints: "sync with me", in 512 bytes that tell nobody else anything.
//!
//! `version:2 ‖ tag:16 ‖ expires:8 ‖ nonce:16 ‖ zeros`. The tag is HMAC(hint key, UTC day ‖ direction), cut to sixteen bytes: it changes
//! every day, and only the two sides of a relationship can tell whose it is.

use allod_crypto::{SecretKey, hmac16};
use rand_core::CryptoRng;

use crate::time::Timestamp;

/// Bytes of a hint.
pub const HINT_BYTES: usize = 512;
/// How many mailbox topics there are.
pub const MAILBOXES: u8 = 64;
const VERSION: u16 = 1;
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(300);

/// Who hints: the inviter of the pairing or the scanner. Their tags differ.
pub type FromInviter = bool;

/// The tag of a relationship's hints on a day, from one of its sides.
#[must_use]
pub fn tag(hint_key: &SecretKey, day: u64, from_inviter: FromInviter) -> [u8; 16] {
    hmac16(hint_key, &[b"allod/hint/1", &day.to_le_bytes(), &[u8::from(from_inviter)]])
}

/// A hint.
#[must_use]
pub fn encode(tag: [u8; 16], now: Timestamp, dice: &mut dyn CryptoRng) -> Vec<u8> {
    let mut bytes = vec![0; HINT_BYTES];
    bytes[0..2].copy_from_slice(&VERSION.to_le_bytes());
    bytes[2..18].copy_from_slice(&tag);
    bytes[18..26].copy_from_slice(&now.after(LIFETIME).as_millis().to_le_bytes());
    dice.fill_bytes(&mut bytes[26..42]);
    bytes
}

/// The tag of a hint that is one and is not over.
#[must_use]
pub fn decode(bytes: &[u8], now: Timestamp) -> Option<[u8; 16]> {
    let sized =
        bytes.len() == HINT_BYTES && bytes[0..2] == VERSION.to_le_bytes() && bytes[42..].iter().all(|b| *b == 0);
    if !sized {
        return None;
    }
    let expires = Timestamp::from_millis(u64::from_le_bytes(bytes[18..26].try_into().ok()?));
    // One that claims to live for longer than hints do is not honest either.
    let lives = expires > now && expires <= now.after(2 * LIFETIME);
    lives.then(|| bytes[2..18].try_into().expect("16 bytes of a fixed layout"))
}
