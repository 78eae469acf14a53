//! Welch's t-test: whether two series of numbers have the same mean, whatever their spreads.

/// Count, mean and squared distance from it, kept up number by number (Welford).
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Takes in one number.
    pub fn add(&mut self, number: f64) {
        self.count += 1.0;
        let apart = number - self.mean;
        self.mean += apart / self.count;
        self.squares += apart * (number - self.mean);
    }

    /// The t of the other series against this one: above zero if the other's mean is larger. Zero where there is too little to say.
    #[must_use]
    pub fn t_against(&self, other: &Self) -> f64 {
        if self.count < 2.0 || other.count < 2.0 {
            return 0.0;
        }
        let error = |series: &Self| series.squares / (series.count - 1.0) / series.count;
        let apart = (error(self) + error(other)).sqrt();
        if apart > 0.0 { (other.mean - self.mean) / apart } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[f64]) -> Moments {
        let mut moments = Moments::default();
        numbers.iter().for_each(|number| moments.add(*number));
        moments
    }

    #[test]
    fn it_agrees_with_a_worked_example() {
        // The lots A3 of the article on this test: means 20.82 and 22.99.
        let one = of(&[27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]);
        let other = of(&[27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]);
        assert!((one.t_against(&other) - 2.455_356).abs() < 1e-5, "{}", one.t_against(&other));
        assert!((other.t_against(&one) + 2.455_356).abs() < 1e-5);
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(of(&[1.0]).t_against(&of(&[2.0, 3.0])), 0.0);
        assert_eq!(of(&[1.0, 1.0]).t_against(&of(&[2.0, 2.0])), 0.0);
    }
}
