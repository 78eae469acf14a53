//! Dice for tests: a stream that one seed fixes, bytes given beforehand, and a generator that is stuck.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng, utils};

use crate::key::sha256;

/// Block n is SHA256(seed ‖ n).
pub(crate) struct SeededDice {
    seed: u64,
    block: u64,
}

impl SeededDice {
    pub(crate) fn new(seed: u64) -> SeededDice {
        SeededDice { seed, block: 0 }
    }
}

impl TryRng for SeededDice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(32) {
            let block = sha256(&[&self.seed.to_le_bytes(), &self.block.to_le_bytes()]);
            chunk.copy_from_slice(&block[..chunk.len()]);
            self.block += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for SeededDice {}

/// Hands out the bytes that it was given, in order.
pub(crate) struct GivenDice(pub(crate) Vec<u8>);

impl TryRng for GivenDice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        dst.copy_from_slice(&self.0[..dst.len()]);
        self.0.drain(..dst.len());
        Ok(())
    }
}

impl TryCryptoRng for GivenDice {}

/// A generator that broke, or a machine woken again and again from one snapshot.
pub(crate) struct StuckDice;

impl TryRng for StuckDice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        dst.fill(0);
        Ok(())
    }
}

impl TryCryptoRng for StuckDice {}
