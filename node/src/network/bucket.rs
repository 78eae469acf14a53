//! A token bucket: so many at once, so many a second after that.

use std::time::Instant;

/// Tokens of one neighbour for one kind of work. Holds no timer: it refills when it is asked.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: u32,
    per_second: u32,
    tokens: f64,
    asked: Instant,
    overdrawn: u32,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn full(burst: u32, per_second: u32, now: Instant) -> Self {
        Self { burst, per_second, tokens: f64::from(burst), asked: now, overdrawn: 0 }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.asked);
        self.asked = self.asked.max(now);
        self.tokens = (self.tokens + elapsed.as_secs_f64() * f64::from(self.per_second)).min(f64::from(self.burst));
        if self.tokens >= f64::from(self.burst) {
            self.overdrawn = 0;
        }
    }

    /// Takes a token, or counts one that was not there.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        if self.tokens < 1.0 {
            self.overdrawn = self.overdrawn.saturating_add(1);
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// Tokens asked for in vain since the bucket was last full.
    pub(super) const fn overdrawn(&self) -> u32 {
        self.overdrawn
    }

    /// Puts back a token that was taken.
    pub(super) fn put_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(f64::from(self.burst));
    }

    /// Takes more than there may be: what is missing has to come in again first. Fines do not add up below nothing.
    pub(super) fn fine(&mut self, tokens: u32, now: Instant) {
        self.refill(now);
        let tokens = f64::from(tokens);
        self.tokens = (self.tokens - tokens).max(1.0 - tokens);
    }

    /// How many tokens it lacks.
    pub(super) fn lacks(&mut self, now: Instant) -> f64 {
        self.refill(now);
        f64::from(self.burst) - self.tokens
    }

    /// Whether it is as a new one.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.lacks(now) <= 0.0
    }

    /// What was in it when it was last asked.
    pub(super) const fn tokens(&self) -> f64 {
        self.tokens
    }

    /// Forgets what was asked in vain.
    pub(super) fn forgive(&mut self) {
        self.overdrawn = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_served_the_next_is_refused_and_time_refills_it() {
        let start = Instant::now();
        let mut bucket = Bucket::full(3, 2, start);
        assert_eq!([(); 5].map(|()| bucket.take(start)), [true, true, true, false, false]);
        assert_eq!(bucket.overdrawn(), 2);
        let later = start + Duration::from_millis(1100);
        assert_eq!([(); 3].map(|()| bucket.take(later)), [true, true, false]);
        assert_eq!(bucket.overdrawn(), 3);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!([(); 4].map(|()| bucket.take(much_later)), [true, true, true, false], "never more than a burst");
        assert_eq!(bucket.overdrawn(), 1, "a bucket that was full again has a clean record");
    }

    #[test]
    fn a_clock_that_steps_back_mints_nothing() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut bucket = Bucket::full(1, 1000, start);
        assert!(bucket.take(start));
        assert!(!bucket.take(start - Duration::from_secs(5)));
    }
}
