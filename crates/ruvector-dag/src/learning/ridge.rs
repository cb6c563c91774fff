//! Stage 8 of 9, learning: ridge regression of a few coefficients, by the normal equations and their Cholesky factor.

/// The greatest number of coefficients.
pub(super) const ORDER: usize = 9;

/// Coefficients or regressors; what is not needed is zero.
pub(super) type Coefficients = [f64; ORDER];

/// The normal equations (Λ + Σ x xᵀ) θ = Σ x y.
#[derive(Debug, Clone)]
pub(super) struct Normal {
    matrix: [Coefficients; ORDER],
    right: Coefficients,
}

impl Normal {
    /// No observation yet, but the ridge Λ, above zero everywhere.
    pub(super) fn new(ridges: &Coefficients) -> Self {
        let mut matrix = [[0.0; ORDER]; ORDER];
        for (at, &ridge) in ridges.iter().enumerate() {
            matrix[at][at] = ridge;
        }
        Self {
            matrix,
            right: [0.0; ORDER],
        }
    }

    /// Adds an observation.
    pub(super) fn add(&mut self, regressors: &Coefficients, value: f64) {
        for at in 0..ORDER {
            for to in 0..ORDER {
                self.matrix[at][to] += regressors[at] * regressors[to];
            }
            self.right[at] += regressors[at] * value;
        }
    }

    /// The coefficients of the least sum of squares.
    pub(super) fn solve(&self) -> Coefficients {
        let lower = self.cholesky();
        let mut solution = forward(&lower, &self.right);
        for at in (0..ORDER).rev() {
            let known: f64 = (at + 1..ORDER).map(|to| lower[to][at] * solution[to]).sum();
            solution[at] = (solution[at] - known) / lower[at][at];
        }
        solution
    }

    /// xᵀ (Λ + Σ x xᵀ)⁻¹ x: how far a prediction at x is from what is known, in units of the residual variance.
    pub(super) fn leverage(&self, regressors: &Coefficients) -> f64 {
        let half = forward(&self.cholesky(), regressors);
        half.iter().map(|part| part * part).sum()
    }

    fn cholesky(&self) -> [Coefficients; ORDER] {
        let mut lower = [[0.0; ORDER]; ORDER];
        for at in 0..ORDER {
            for to in 0..=at {
                let known: f64 = (0..to).map(|k| lower[at][k] * lower[to][k]).sum();
                let rest = self.matrix[at][to] - known;
                lower[at][to] = if at == to {
                    // The ridge keeps this above zero, rounding might not.
                    rest.max(f64::MIN_POSITIVE).sqrt()
                } else {
                    rest / lower[to][to]
                };
            }
        }
        lower
    }
}

/// Solves L x = right.
fn forward(lower: &[Coefficients; ORDER], right: &Coefficients) -> Coefficients {
    let mut solution = [0.0; ORDER];
    for at in 0..ORDER {
        let known: f64 = (0..at).map(|to| lower[at][to] * solution[to]).sum();
        solution[at] = (right[at] - known) / lower[at][at];
    }
    solution
}
