//! The recovery phrase: the root, 32 random bytes, written as 24 words of the English BIP-39 list.
//!
//! It opens the vault when the passphrase is forgotten, and backup files. It brings no data back by itself. The list is
//! always the English one, so that a phrase can be read on any node in any language; only the words around it are translated.

use std::fmt;

use bip39::{Language, Mnemonic};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::key::SecretKey;
use crate::limits::PHRASE_TEXT_MAX_BYTES;

const WORDS: usize = 24;

/// Why a text is not a recovery phrase. The words themselves are not repeated: most of them are right, and secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    #[error("a recovery phrase has 24 words, this one has {found}")]
    WordCount { found: usize },
    /// `position` counts from 1, as a person does.
    #[error("word {position} is not in the list of recovery words")]
    UnknownWord { position: usize },
    #[error("all 24 words are known, but together they are not a phrase: one is another word, or two are swapped")]
    Checksum,
    #[error("this is longer than any recovery phrase")]
    TooLong,
}

/// The root, as the words that its owner wrote down.
pub struct Phrase(SecretKey);

impl Phrase {
    pub(crate) fn random(dice: &mut dyn CryptoRng) -> Phrase {
        Phrase(SecretKey::random(dice))
    }

    pub(crate) fn from_root(root: &[u8; 32]) -> Phrase {
        Phrase(SecretKey::from_bytes(*root))
    }

    pub(crate) fn root(&self) -> &SecretKey {
        &self.0
    }

    /// Reads words divided by any white space, in either case.
    ///
    /// # Errors
    /// [`PhraseError`] says which word is unknown, or that the words don't belong together.
    pub fn parse(text: &str) -> Result<Phrase, PhraseError> {
        if text.len() > PHRASE_TEXT_MAX_BYTES {
            return Err(PhraseError::TooLong);
        }
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let found = text.split_whitespace().count();
        if found != WORDS {
            return Err(PhraseError::WordCount { found });
        }
        let unknown = text.split_whitespace().position(|word| Language::English.find_word(word).is_none());
        if let Some(index) = unknown {
            return Err(PhraseError::UnknownWord { position: index + 1 });
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &text).map_err(|_| PhraseError::Checksum)?;
        let (mut entropy, length) = mnemonic.to_entropy_array();
        let root = SecretKey::from_slice(&entropy[..length]);
        entropy.zeroize();
        root.map(Phrase).ok_or(PhraseError::Checksum)
    }

    /// The 24 words, to be shown once.
    pub fn words(&self) -> [&'static str; WORDS] {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, self.0.expose())
            .expect("32 bytes are one of the lengths that BIP-39 knows");
        let mut words = [""; WORDS];
        for (place, word) in words.iter_mut().zip(mnemonic.words()) {
            *place = word;
        }
        words
    }

    /// The key of this owner's backup files.
    pub fn backup_key(&self) -> SecretKey {
        self.0.derive(b"allod/root/backup/1")
    }

    /// The key of the vault slot that the phrase opens.
    pub(crate) fn slot_key(&self) -> SecretKey {
        self.0.derive(b"allod/root/vault-slot/1")
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::SeededDice;

    #[test]
    fn a_phrase_reads_back_however_it_was_spaced_and_cased() {
        let phrase = Phrase::random(&mut SeededDice::new(1));
        let words = phrase.words();
        for text in [words.join(" "), words.join("\n").to_uppercase(), format!("  {}\t", words.join("   "))] {
            assert_eq!(Phrase::parse(&text).unwrap().root().expose(), phrase.root().expose());
        }
        assert_eq!(format!("{phrase:?}"), "Phrase(..)");
    }

    #[test]
    fn bip_39_agrees() {
        // The English vector of 32 zero bytes.
        let text = format!("{}art", "abandon ".repeat(23));
        assert_eq!(Phrase::parse(&text).unwrap().root().expose(), &[0; 32]);
        assert_eq!(Phrase::from_root(&[0; 32]).words().join(" "), text);
    }

    #[test]
    fn a_text_that_is_no_phrase_is_refused_with_what_is_wrong_with_it() {
        let words = Phrase::random(&mut SeededDice::new(2)).words();
        let refused = |words: &[&str]| Phrase::parse(&words.join(" ")).err();
        assert_eq!(refused(&words[..23]), Some(PhraseError::WordCount { found: 23 }));
        assert_eq!(refused(&[&words[..], &["zoo"]].concat()), Some(PhraseError::WordCount { found: 25 }));
        assert_eq!(Phrase::parse("").err(), Some(PhraseError::WordCount { found: 0 }));
        let mut mistyped = words;
        mistyped[6] = "recieve";
        assert_eq!(refused(&mistyped), Some(PhraseError::UnknownWord { position: 7 }));
        let mut swapped = words;
        swapped.swap(0, 1);
        assert_ne!(words[0], words[1]);
        assert_eq!(refused(&swapped), Some(PhraseError::Checksum));
        assert_eq!(Phrase::parse(&"a".repeat(PHRASE_TEXT_MAX_BYTES + 1)).err(), Some(PhraseError::TooLong));
        assert_eq!(Phrase::parse(&" ".repeat(PHRASE_TEXT_MAX_BYTES)).err(), Some(PhraseError::WordCount { found: 0 }));
    }

    #[test]
    fn the_longest_phrase_fits() {
        let longest = Language::English.word_list().iter().map(|word| word.len()).max().unwrap();
        assert!(WORDS * (longest + 1) < PHRASE_TEXT_MAX_BYTES);
    }

    #[test]
    fn the_keys_of_vault_and_backup_are_two() {
        let phrase = Phrase::random(&mut SeededDice::new(3));
        assert_ne!(phrase.backup_key().expose(), phrase.slot_key().expose());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Phrase::parse(&text);
        }
    }
}
