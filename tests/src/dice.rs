//! Dice that one seed fixes: block `n` of a stream is SHA-256(seed ‖ stream ‖ n).
//!
//! Each part of a world draws from a stream of its own, so that one more message on the network does not change which keys a node draws.

use std::convert::Infallible;

use allod_crypto::sha256;
use rand_core::{TryCryptoRng, TryRng, utils};

/// One stream of chance.
#[derive(Clone)]
pub struct Dice {
    key: [u8; 32],
    block: u64,
    left: Vec<u8>,
    /// What was drawn in one piece, if somebody keeps it.
    kept: Option<Vec<Vec<u8>>>,
}

impl Dice {
    /// The stream of this name under a seed.
    #[must_use]
    pub fn stream(seed: u64, name: &str) -> Self {
        Self { key: sha256(&[&seed.to_le_bytes(), name.as_bytes()]), block: 0, left: Vec::new(), kept: None }
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// Whether something happens that happens so often in a million.
    pub fn happens(&mut self, in_a_million: u32) -> bool {
        in_a_million > 0 && self.below(1_000_000) < u64::from(in_a_million)
    }

    /// One of these, if there is any.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(among.len()).ok().filter(|count| *count > 0)?;
        among.get(usize::try_from(self.below(count)).ok()?)
    }

    /// From here on, keeps what it gives: for whoever is to know every secret that a node ever drew.
    pub fn keep_draws(&mut self) {
        self.kept.get_or_insert_with(Vec::new);
    }

    /// What it gave since [`Dice::keep_draws`], draw by draw.
    #[must_use]
    pub fn draws(&self) -> &[Vec<u8>] {
        self.kept.as_deref().unwrap_or_default()
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left.is_empty() {
                self.left = sha256(&[&self.key, &self.block.to_le_bytes()]).to_vec();
                self.block += 1;
            }
            *byte = self.left.pop().expect("a block was just drawn");
        }
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        if let Some(kept) = &mut self.kept {
            kept.push(bytes.to_vec());
        }
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_fixed_by_its_seed_and_name() {
        let draw = |seed, name| Dice::stream(seed, name).below(u64::MAX);
        assert_eq!(draw(7, "network"), draw(7, "network"));
        assert_ne!(draw(7, "network"), draw(8, "network"));
        assert_ne!(draw(7, "network"), draw(7, "disk"));
    }

    #[test]
    fn what_never_happens_does_not_and_what_always_happens_does() {
        let mut dice = Dice::stream(1, "test");
        assert!((0..1_000).all(|_| !dice.happens(0) && dice.happens(1_000_000)));
        assert!((0..1_000).all(|_| (3..=5).contains(&dice.between(3, 5))));
    }
}
