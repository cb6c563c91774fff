//! Sums that can be taken back: terms come and go millions of times without the sum drifting away.
//!
//! A sum is kept as two floats (Dekker 1971, Knuth's TwoSum), so that each addition errs by at most 2^-104 of the
//! largest term, and whole numbers below 2^53 are exact. Infinite terms are counted apart, as ∞ − ∞ has no value.

/// A sum of numbers from 0 to infinity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sum {
    high: f64,
    low: f64,
    unbounded: u32,
}

impl Sum {
    /// Adds a term.
    #[inline]
    pub(super) fn add(&mut self, term: f64) {
        if term == f64::INFINITY {
            self.unbounded += 1;
        } else {
            self.add_finite(term);
        }
    }

    /// Takes back a term that was added.
    #[inline]
    pub(super) fn subtract(&mut self, term: f64) {
        if term == f64::INFINITY {
            self.unbounded -= 1;
        } else {
            self.add_finite(-term);
        }
    }

    /// Takes back `old` and adds `new`.
    #[inline]
    pub(super) fn replace(&mut self, old: f64, new: f64) {
        self.subtract(old);
        self.add(new);
    }

    #[inline]
    fn add_finite(&mut self, term: f64) {
        let sum = self.high + term;
        let part = sum - self.high;
        let error = (self.high - (sum - part)) + (term - part);
        let low = self.low + error;
        self.high = sum + low;
        self.low = low - (self.high - sum);
    }

    /// The sum, to the nearest float.
    #[inline]
    pub(super) fn value(&self) -> f64 {
        if self.unbounded > 0 {
            f64::INFINITY
        } else {
            self.high.max(0.0)
        }
    }
}
