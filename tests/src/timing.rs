//! Whether the time that something takes tells what it should keep to itself.
//!
//! As dudect does it: two kinds of input that differ in nothing but the secret, in random order, each prepared in the same place; then
//! Welch's t-test over the times of both, once over all of them and once each with the slowest cut off, since what disturbs a machine makes
//! long times. A |t| above [`SHOWS`] says that the kinds can be told apart with these many samples; one below says that they could not be,
//! on this machine, and no more. A comparison that stops at the first difference is measured along with the rest: if that does not show, the
//! run says nothing. Nothing here is a test that can fail on a busy machine.

mod engines;
mod parts;
mod welch;

use std::time::Duration;

use crate::dice::Dice;
use welch::Moments;

/// Above this, two kinds of input are told apart (dudect's bound).
pub const SHOWS: f64 = 4.5;
/// What the leaking comparison must reach, or the run says nothing.
const CONTROL_SHOWS: f64 = 50.0;
/// Shares of the times that are kept, the shortest ones.
const KEPT: [f64; 6] = [1.0, 0.99, 0.95, 0.9, 0.75, 0.5];

/// Two kinds of input that are to take the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    One,
    Other,
}

/// What is expected of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The kinds must not be told apart.
    Alike,
    /// They are, it is known, and docs/SECURITY.md says why that is borne.
    Known,
    /// The comparison that must show.
    Control,
}

/// One pair of kinds, and what was measured of it.
struct Figure {
    what: &'static str,
    expected: Expected,
    samples: usize,
    /// How much longer the second kind takes in the middle, in nanoseconds.
    longer_ns: f64,
    /// The t of the largest size, and which share of the times it is of.
    t: f64,
    kept: f64,
}

/// Measures all pairs, with this many samples of the quick ones. Whether the control showed.
#[must_use]
pub fn run(samples: usize) -> bool {
    crate::bench::machine::print();
    println!("{:<66} {:>8} {:>12} {:>9}", "two kinds of input", "samples", "apart by", "t");
    let mut control = false;
    let mut say = |figure: Figure| {
        let verdict = match (figure.expected, figure.t.abs() > SHOWS) {
            (Expected::Control, _) if figure.t.abs() > CONTROL_SHOWS => {
                control = true;
                "shows, as it must"
            }
            (Expected::Control, _) => "DOES NOT SHOW: this run says nothing",
            (Expected::Known, _) => "known",
            (Expected::Alike, true) => "SHOWS",
            (Expected::Alike, false) => "not told apart",
        };
        println!(
            "{:<66} {:>8} {:>9.1} ns {:>9.2}  {verdict} ({:.0} % kept)",
            figure.what,
            figure.samples,
            figure.longer_ns,
            figure.t,
            figure.kept * 100.0
        );
    };
    parts::run(samples, &mut say);
    engines::run(samples, &mut say);
    control
}

/// Measures one pair: `once` prepares an input of a kind and returns how long the work with it took.
fn compare(what: &'static str, expected: Expected, samples: usize, mut once: impl FnMut(Kind) -> Duration) -> Figure {
    let mut order = Dice::stream(u64::try_from(samples).unwrap_or(0), what);
    let mut times: Vec<(Kind, f64)> = Vec::with_capacity(samples);
    // Caches and branches have to be warm before anything counts.
    for _ in 0..samples / 20 + 10 {
        once(Kind::One);
        once(Kind::Other);
    }
    for _ in 0..samples {
        let kind = if order.below(2) == 0 { Kind::One } else { Kind::Other };
        times.push((kind, once(kind).as_nanos() as f64));
    }
    let (t, kept) = largest_t(&times);
    Figure {
        what,
        expected,
        samples,
        longer_ns: median_of(&times, Kind::Other) - median_of(&times, Kind::One),
        t,
        kept,
    }
}

/// The t of the largest size over all shares, and its share.
fn largest_t(times: &[(Kind, f64)]) -> (f64, f64) {
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let shares = KEPT.iter().filter_map(|share| {
        let last = ((sorted.len() as f64 * share) as usize).checked_sub(1)?;
        let (mut one, mut other) = (Moments::default(), Moments::default());
        for (kind, time) in times.iter().filter(|(_, time)| *time <= sorted[last]) {
            match kind {
                Kind::One => one.add(*time),
                Kind::Other => other.add(*time),
            }
        }
        Some((one.t_against(&other), *share))
    });
    shares.max_by(|left, right| left.0.abs().total_cmp(&right.0.abs())).unwrap_or((0.0, 1.0))
}

fn median_of(times: &[(Kind, f64)], wanted: Kind) -> f64 {
    let mut own: Vec<f64> = times.iter().filter(|(kind, _)| *kind == wanted).map(|(_, time)| *time).collect();
    own.sort_by(f64::total_cmp);
    own.get(own.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times around 1,000 ns that depend on nothing but the dice, and a disturbance now and then.
    fn times(apart_ns: f64) -> Vec<(Kind, f64)> {
        let mut dice = Dice::stream(5, "times");
        let mut time = |kind| {
            let rare = if dice.below(50) == 0 { 50_000.0 } else { 0.0 };
            let more = if kind == Kind::Other { apart_ns } else { 0.0 };
            (kind, 1_000.0 + dice.below(100) as f64 + rare + more)
        };
        (0..20_000).map(|number| time(if number % 2 == 0 { Kind::One } else { Kind::Other })).collect()
    }

    #[test]
    fn a_small_difference_shows_through_disturbances_and_none_does_not() {
        let (same, _) = largest_t(&times(0.0));
        assert!(same.abs() < SHOWS, "{same}");
        let (apart, kept) = largest_t(&times(5.0));
        assert!(apart.abs() > SHOWS && kept < 1.0, "{apart} at {kept}");
    }
}
