//! Floor and figure: taken in turn, divided iteration by iteration.
//!
//! The disk has two speeds and the machine other users, so that times of two moments do not compare. A floor is what the parts alone
//! cost (a commit, a get and an open); it is measured right before or after the figure, in the same loop. What is printed is the median
//! of each, the median of their ratios, and in brackets the tenth and the ninetieth percentile.

use std::fmt;
use std::time::Duration;

/// The median, and what lies around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// Of at least one number.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = sorted.len().checked_sub(1).expect("something was measured");
            sorted[(share * last as f64).round() as usize]
        };
        Spread { low: at(0.1), median: at(0.5), high: at(0.9) }
    }
}

/// Pairs of a floor and a figure, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pairs: Vec<(f64, f64)>,
}

impl Series {
    /// One iteration. `times` says how often the thing was done in it.
    pub fn push(&mut self, floor: Duration, figure: Duration, times: usize) {
        let each = |span: Duration| span.as_secs_f64() / times as f64;
        self.pairs.push((each(floor), each(figure)));
    }

    /// The floors.
    pub fn floor(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|(floor, _)| *floor))
    }

    /// The figures.
    pub fn figure(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|(_, figure)| *figure))
    }

    /// The figure in floors.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|(floor, figure)| figure / floor))
    }

    /// How many iterations there were.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Seconds as people read them.
pub struct Seconds(pub f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            seconds if seconds < 1e-3 => (seconds * 1e6, "us"),
            seconds if seconds < 1.0 => (seconds * 1e3, "ms"),
            seconds => (seconds, "s"),
        };
        let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
        write!(f, "{number:.digits$} {unit}")
    }
}

/// Whether what was aimed at was reached.
pub fn verdict(goals: &[(f64, f64)]) -> &'static str {
    if goals.iter().all(|(measured, most)| measured <= most) { "met" } else { "missed" }
}

/// One line: a heading, then what was measured.
pub fn line(heading: &str, engine: &str, rest: fmt::Arguments<'_>) {
    println!("{heading:<44} {engine:<6} {rest}");
}

/// A series as one line.
pub fn print(heading: &str, engine: &str, series: &Series, goal: fmt::Arguments<'_>) {
    let (floor, figure, ratio) = (series.floor(), series.figure(), series.ratio());
    line(
        heading,
        engine,
        format_args!(
            "{} [{}..{}]  floor {} [{}..{}]  ratio {:.2} [{:.2}..{:.2}]  n {}  {goal}",
            Seconds(figure.median),
            Seconds(figure.low),
            Seconds(figure.high),
            Seconds(floor.median),
            Seconds(floor.low),
            Seconds(floor.high),
            ratio.median,
            ratio.low,
            ratio.high,
            series.len(),
        ),
    );
}

/// Single figures as one line.
pub fn print_alone(heading: &str, engine: &str, figure: Spread, goal: fmt::Arguments<'_>) {
    line(
        heading,
        engine,
        format_args!("{} [{}..{}]  {goal}", Seconds(figure.median), Seconds(figure.low), Seconds(figure.high)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_iteration_by_iteration_and_not_of_medians() {
        let mut series = Series::default();
        // The disk got ten times slower half way through: the ratio did not.
        for (floor, figure) in [(1, 2), (1, 2), (10, 20), (10, 20), (10, 20)] {
            series.push(Duration::from_millis(floor), Duration::from_millis(figure), 1);
        }
        assert_eq!(series.ratio(), Spread { low: 2.0, median: 2.0, high: 2.0 });
        assert_eq!(series.figure().low, 0.002);
    }

    #[test]
    fn what_is_done_many_times_is_divided_by_how_often() {
        let mut series = Series::default();
        series.push(Duration::from_millis(1), Duration::from_millis(3), 1_000);
        assert_eq!(Seconds(series.figure().median).to_string(), "3.00 us");
        assert_eq!(verdict(&[(1.4, 1.5), (3.1, 3.0)]), "missed");
        assert_eq!(verdict(&[(1.4, 1.5)]), "met");
    }
}
