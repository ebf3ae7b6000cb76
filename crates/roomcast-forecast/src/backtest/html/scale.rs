//! Linear scales that end at round numbers.

/// A linear scale from values to coordinates.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Lowest and highest value.
    pub values: (f64, f64),
    /// Their coordinates.
    pub place: (f64, f64),
}

impl Scale {
    /// Returns a scale that covers all of `values` and ends at round numbers.
    pub fn around(values: impl Iterator<Item = f64>, place: (f64, f64)) -> Scale {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low >= high || !(high - low).is_finite() {
            return Scale { values: (low.clamp(-1e9, 0.0), high.clamp(0.0, 1e9) + 1.0), place };
        }
        let step = step(high - low);
        Scale { values: ((low / step).floor() * step, (high / step - 1e-9).ceil() * step), place }
    }

    /// Returns the coordinate of a value.
    pub fn at(&self, value: f64) -> f64 {
        let share = (value - self.values.0) / (self.values.1 - self.values.0);
        self.place.0 + share * (self.place.1 - self.place.0)
    }

    /// Returns round values to mark, usually four to nine of them.
    pub fn ticks(&self) -> Vec<f64> {
        let step = step(self.values.1 - self.values.0);
        let (from, to) = ((self.values.0 / step).round() as i64, (self.values.1 / step).floor() as i64);
        (from..=to.min(from + 20)).map(|n| n as f64 * step).collect()
    }
}

/// Returns a round step (1, 2 or 5 times a power of ten) that fits three to eight times into a span.
fn step(span: f64) -> f64 {
    let power = 10_f64.powf((span / 5.0).log10().floor());
    let times = span / 5.0 / power;
    power
        * if times < 1.5 {
            1.0
        } else if times < 3.5 {
            2.0
        } else if times < 7.5 {
            5.0
        } else {
            10.0
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let scale = Scale::around([0.0, 0.37].into_iter(), (0.0, 100.0));
        assert!((scale.values.1 - 0.4).abs() < 1e-12);
        assert!((scale.at(0.2) - 50.0).abs() < 1e-9);
        assert!((3..=8).contains(&scale.ticks().len()));
        for odd in [vec![], vec![0.0, 0.0], vec![2.0], vec![f64::NAN], vec![-3.0, -3.0]] {
            let scale = Scale::around(odd.into_iter(), (0.0, 1.0));
            assert!(scale.at(0.5).is_finite() && scale.ticks().len() < 25);
        }
    }
}
