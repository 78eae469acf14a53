//! What both sides agree to when no terms were named: plain words, in English and French, the same text for everybody.
//!
//! A grant names the hash of its agreement, and every cell is sealed to that hash.

use allod_crypto::sha256;

use crate::wire::header::Hash;

/// The built-in agreement.
pub const BUILT_IN_EN: &str = include_str!("../agreements/built-in.v1.en.txt");
/// The same in French.
pub const BUILT_IN_FR: &str = include_str!("../agreements/built-in.v1.fr.txt");

/// Its hash: over both texts, so that neither can be changed alone.
#[must_use]
pub fn built_in() -> Hash {
    let length = u32::try_from(BUILT_IN_EN.len()).expect("a page of text").to_le_bytes();
    sha256(&[b"allod/agreement/1", &length, BUILT_IN_EN.as_bytes(), BUILT_IN_FR.as_bytes()])
}
