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

#[cfg(test)]
mod tests {
    use super::*;

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
