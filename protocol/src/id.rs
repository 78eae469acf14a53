//! Ids: sixteen random bytes each, and a type each, so that a grant id cannot stand where a log id belongs.
//!
//! People see a short form, `g-` and eight letters of lower-case Crockford Base32; the whole id is 26 letters, and any unambiguous beginning
//! is accepted.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// How many letters of an id are shown.
pub const SHOWN_LETTERS: usize = 8;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What its short form begins with.
            pub const PREFIX: &'static str = $letter;

            /// A fresh random id.
            pub fn random(dice: &mut dyn CryptoRng) -> Self {
                let mut bytes = [0; 16];
                dice.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// An id from its bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The bytes that every id begins with whose letters begin with `text`; none if no id's do.
            #[must_use]
            pub fn beginning(text: &str) -> Option<Vec<u8>> {
                text.strip_prefix($letter).and_then(whole_bytes)
            }

            /// All its letters, with the prefix: short forms are beginnings of this.
            #[must_use]
            pub fn long(&self) -> String {
                long($letter, &self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.long()[..$letter.len() + SHOWN_LETTERS])
            }
        }
    };
}

id!(
    /// Two paired nodes. Local: each side draws its own, and it never travels.
    RelationshipId, "r-");
id!(
    /// One writer's log.
    LogId, "l-");
id!(
    /// What a relationship's peer is called in the first bytes of a session.
    RouteId, "n-");
id!(
    /// One grant.
    GrantId, "g-");
id!(
    /// One ask.
    AskId, "a-");
id!(
    /// One open invitation. Local.
    InvitationId, "v-");
id!(
    /// A record of a lent column, as the other side sees it.
    Pseudonym, "p-");

fn long(prefix: &str, bytes: &[u8; 16]) -> String {
    let number = u128::from_be_bytes(*bytes);
    let mut text = String::with_capacity(prefix.len() + 26);
    text.push_str(prefix);
    for place in (0..26u32).rev() {
        // The first letter carries three bits, each other one five.
        let index = (number >> (5 * place)) & 31;
        text.push(char::from(ALPHABET[usize::try_from(index).expect("five bits fit")]));
    }
    text
}

const NO_DIGIT: u8 = u8::MAX;

/// What each byte stands for as a letter.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut place = 0;
    while place < ALPHABET.len() {
        digits[ALPHABET[place] as usize] = place as u8;
        place += 1;
    }
    digits
};

/// The whole bytes at the beginning of an id whose letters begin so.
fn whole_bytes(letters: &str) -> Option<Vec<u8>> {
    const LETTERS: usize = 26;
    if letters.is_empty() {
        return Some(Vec::new());
    }
    if letters.len() > LETTERS {
        return None;
    }
    let mut number = 0u128;
    for letter in letters.bytes() {
        let digit = DIGITS[usize::from(letter)];
        if digit == NO_DIGIT {
            return None;
        }
        // The first letter carries three bits: a larger one begins no id.
        number = number.checked_mul(32)? | u128::from(digit);
    }
    let missing_bits = 5 * u32::try_from(LETTERS - letters.len()).ok()?;
    let bytes = number.checked_mul(1u128.checked_shl(missing_bits)?)?.to_be_bytes();
    let known_bits = 128 - usize::try_from(missing_bits).ok()?;
    Some(bytes[..known_bits / 8].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_an_id_leads_to_bytes_that_it_begins_with() {
        for bytes in [[0xff; 16], [0; 16], std::array::from_fn(|at| (at as u8).wrapping_mul(37))] {
            let id = GrantId::from_bytes(bytes);
            let text = id.long();
            for letters in 1..=26 {
                let found = GrantId::beginning(&text[..2 + letters]).unwrap();
                assert!(bytes.starts_with(&found), "{letters} letters");
                assert_eq!(found.len(), (3 + 5 * (letters - 1)) / 8);
            }
        }
        assert_eq!(GrantId::beginning("g-"), Some(Vec::new()), "every id begins so");
        for none in ["", "a-7", "g-u", "g-8", "g-80000000000000000000000000", "g-000000000000000000000000000"] {
            assert_eq!(GrantId::beginning(none), None, "{none}");
        }
    }

    #[test]
    fn different_ids_have_different_long_forms_and_short_forms_are_their_beginnings() {
        let one = GrantId::from_bytes([0xff; 16]);
        let mut other = [0xff; 16];
        other[15] = 0xfe;
        let other = GrantId::from_bytes(other);
        assert_ne!(one.long(), other.long());
        assert!(one.long().starts_with(&one.to_string()));
        assert_eq!(one.to_string().len(), 2 + SHOWN_LETTERS);
        assert_eq!(one.long(), "g-7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }
}
