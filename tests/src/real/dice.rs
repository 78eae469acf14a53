//! Dice that a seed fixes: what was done can be done again. Not for secrets.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Others, that depend on this seed and a number.
    #[must_use]
    pub fn split(&self, number: u64) -> Self {
        let mut other = Self(self.0 ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        other.next();
        other
    }

    /// 64 bits.
    #[expect(clippy::should_implement_trait, reason = "an endless sequence of numbers is no iterator here")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An index of a slice that is not empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// Whether one of `of` equal cases came up.
    pub fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}
