//! How long to wait before dialling a peer again.
//!
//! One second, doubled after each failure up to five minutes, each wait shortened by up to half at random so that
//! nodes cut off together do not come back together. Reset it after the first answered `Hello`, never at the bare
//! connection: a full node accepts a connection and then closes it.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// The failures of one peer since it last answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A peer that has not failed.
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Counts a failure and says how long to wait. `dice` is any random number.
    pub fn failed(&mut self, dice: u64) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        // The top bits as a fraction of the half: no modulo, and 2^32 steps are finer than the clock needs.
        half + Duration::from_nanos((half.as_nanos() as u64 >> 8).saturating_mul(dice >> 32) >> 24)
    }

    /// The peer proved itself: the next failure waits a second again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_one_second_to_five_minutes_and_stays_there() {
        let mut backoff = Backoff::new();
        let longest: Vec<u64> = (0..12).map(|_| backoff.failed(u64::MAX).as_millis() as u64).collect();
        let want = [1000u64, 2000, 4000, 8000, 16000, 32000, 64000, 128_000, 256_000, 300_000, 300_000, 300_000];
        for (got, want) in longest.iter().zip(want) {
            assert!(want - got <= want / 100, "{got} is not just under {want}");
        }
    }

    #[test]
    fn dice_shorten_a_wait_by_no_more_than_half() {
        for failures in [0, 3, 9, 40] {
            let wait = |dice| Backoff { failures }.failed(dice);
            assert_eq!(wait(0) * 2, FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST));
            assert!(wait(u64::MAX / 2) > wait(0) && wait(u64::MAX) > wait(u64::MAX / 2));
        }
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff::new();
        for _ in 0..100 {
            backoff.failed(7);
        }
        backoff.succeeded();
        assert_eq!(backoff.failures(), 0);
        assert!(backoff.failed(u64::MAX) <= FIRST);
    }
}
