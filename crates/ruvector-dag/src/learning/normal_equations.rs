//! Regularised least squares by Cholesky's decomposition of the normal equations, in double precision.

/// The sums `X'X + ridge · 1` (lower triangle, row by row) and `X'y`.
pub(crate) struct NormalEquations {
    matrix: Vec<Vec<f64>>,
    right: Vec<f64>,
}

impl NormalEquations {
    /// Without any observation; the solution is 0.
    pub(crate) fn new(size: usize, ridge: f64) -> Self {
        let row = |at: usize| {
            let mut row = vec![0.0; at + 1];
            row.iter_mut().skip(at).for_each(|diagonal| *diagonal = ridge);
            row
        };
        Self {
            matrix: (0..size).map(row).collect(),
            right: vec![0.0; size],
        }
    }

    /// Adds an observation.
    pub(crate) fn add(&mut self, x: &[f64], y: f64) {
        for (row, &left) in self.matrix.iter_mut().zip(x) {
            row.iter_mut()
                .zip(x)
                .for_each(|(sum, &right)| *sum += left * right);
        }
        self.right.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * y);
    }

    /// The same matrix with another right side.
    pub(crate) fn with_right(self, right: Vec<f64>) -> Self {
        Self { right, ..self }
    }

    /// The solution; `None` when the matrix is not positive definite, which rounding can do where ridge is tiny.
    pub(crate) fn solve(self) -> Option<Vec<f64>> {
        let mut factor: Vec<Vec<f64>> = Vec::with_capacity(self.matrix.len());
        // Forward substitution is one more row of the decomposition.
        let mut solution: Vec<f64> = Vec::with_capacity(self.right.len());
        for (mut row, right) in self.matrix.into_iter().zip(self.right) {
            let diagonal = row.pop()?;
            let mut done: Vec<f64> = Vec::with_capacity(row.len() + 1);
            for (number, above) in row.iter().zip(&factor) {
                done.push((number - simd::dot_f64(&done, above)) / above.last()?);
            }
            let pivot = diagonal - simd::dot_f64(&done, &done);
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            let pivot = pivot.sqrt();
            solution.push((right - simd::dot_f64(&done, &solution)) / pivot);
            done.push(pivot);
            factor.push(done);
        }
        for (at, row) in factor.iter().enumerate().rev() {
            let (before, rest) = solution.split_at_mut(at);
            let (known, (pivot, row)) = (rest.first_mut()?, row.split_last()?);
            *known /= pivot;
            before
                .iter_mut()
                .zip(row)
                .for_each(|(number, row)| *number -= row * *known);
        }
        Some(solution)
    }
}
