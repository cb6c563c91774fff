//! Stage 8 of 9, learning: completes a matrix of which few cells are known, some of them only from below.
//!
//! Cell (i, j) ≈ m + bᵢ + cⱼ + uᵢ·vⱼ, the biases and the vectors of length `rank` found by alternating least squares with a
//! ridge. A cell known only from below (a run that was cut off) counts when the model predicts less than its bound, and
//! then as the bound: Yi et al., "Low Rank Learning for Offline Query Optimization" (2025), whose matrix of latencies is
//! kept non-negative; here it holds logarithms, in which "this decision is twice as fast" is a sum. What also differs:
//! only known cells are fitted, and each prediction comes with its doubt, the deviation of a ridge regression.

use super::ridge::{Coefficients, Normal, ORDER};
use crate::Error;
use crate::cardinality::hash_words;

/// The greatest rank.
pub const MAX_RANK: usize = ORDER - 1;

/// The ridge of the first sweep, and what is left of it after each: what is found under a great one is where to begin
/// under a smaller one, or the sweeps end in a poor local minimum (warm starts as in soft-impute, Mazumder et al. 2010).
const FIRST_RIDGE: f64 = 4.0;
const RIDGE_DECAY: f64 = 0.8;

/// A known cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Its row.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// Its value, or what it is greater than.
    pub value: f64,
    /// Whether the value is a lower bound.
    pub is_lower_bound: bool,
}

/// How a matrix is completed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompletionConfig {
    /// Length of the vectors, 1 to [`MAX_RANK`].
    pub rank: usize,
    /// Ridge on the vectors; on the biases it is a tenth of this. Above 0.
    pub ridge: f64,
    /// How often rows and columns are fitted in turn, at least 1.
    pub sweeps: usize,
    /// Seed of the vectors' first values.
    pub seed: u64,
}

impl Default for CompletionConfig {
    /// Rank and ridge as published (5 and 0.2).
    fn default() -> Self {
        Self {
            rank: 5,
            ridge: 0.2,
            sweeps: 30,
            seed: 1,
        }
    }
}

impl CompletionConfig {
    /// # Errors
    /// [`Error::InvalidSetting`] for a number out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |name, given| Err(Error::InvalidSetting { name, given });
        if !(1..=MAX_RANK).contains(&self.rank) {
            return refuse("rank of the completion", self.rank as f64);
        }
        if !(self.ridge > 0.0 && self.ridge.is_finite()) {
            return refuse("ridge of the completion", self.ridge);
        }
        if self.sweeps == 0 {
            return refuse("sweeps of the completion", 0.0);
        }
        Ok(())
    }
}

/// What a cell is predicted to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellEstimate {
    /// The expected value.
    pub mean: f64,
    /// The standard deviation of the prediction.
    pub deviation: f64,
    /// How much of the spread of the known cells the model explains around here, in [0, 1].
    pub coherence: f64,
}

/// A completed matrix.
#[derive(Debug, Clone)]
pub struct Completion {
    mean: f64,
    /// Spread of the known values around their mean.
    spread: f64,
    residual: f64,
    rows: Vec<Line>,
    columns: Vec<Line>,
}

/// A row or a column: its bias and vector, how well they are known, and what they miss.
#[derive(Debug, Clone)]
struct Line {
    /// The bias, then the vector.
    factors: Coefficients,
    normal: Normal,
    /// Mean square of the left-out residuals; that of the whole matrix when there are none.
    missed: Option<f64>,
}

impl Completion {
    /// Fits the model. Cells outside of the matrix and values that are not finite are left out.
    ///
    /// Complexity: O(sweeps · (cells · rank² + (rows + columns) · rank³)). Deterministic.
    ///
    /// # Errors
    /// Those of [`CompletionConfig::validate`].
    pub fn fit(
        rows: usize,
        columns: usize,
        cells: &[Cell],
        config: &CompletionConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        let is_usable = |cell: &&Cell| cell.row < rows && cell.column < columns && cell.value.is_finite();
        let cells: Vec<Cell> = cells.iter().filter(is_usable).copied().collect();
        let of_rows = grouped(rows, &cells, |cell| (cell.row, cell.column));
        let of_columns = grouped(columns, &cells, |cell| (cell.column, cell.row));
        let exact = || {
            cells
                .iter()
                .filter(|cell| !cell.is_lower_bound)
                .map(|cell| cell.value)
        };
        let count = exact().count().max(1) as f64;
        let mean = exact().sum::<f64>() / count;
        let spread = (exact().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let mut completion = Self {
            mean,
            spread,
            residual: 0.0,
            rows: first(rows, config, 0),
            columns: first(columns, config, 1),
        };
        for at in 0..config.sweeps {
            let ridges = ridges(config.ridge.max(FIRST_RIDGE * RIDGE_DECAY.powi(at as i32)));
            sweep(&mut completion.rows, &completion.columns, &of_rows, mean, &ridges);
            sweep(
                &mut completion.columns,
                &completion.rows,
                &of_columns,
                mean,
                &ridges,
            );
        }
        completion.measure(&of_rows, &of_columns);
        Ok(completion)
    }

    /// The prediction of a cell, known or not; `None` outside of the matrix.
    pub fn predict(&self, row: usize, column: usize) -> Option<CellEstimate> {
        let (row, column) = (self.rows.get(row)?, self.columns.get(column)?);
        let (with_row, with_column) = (regressors(&row.factors), regressors(&column.factors));
        let doubt = 1.0 + row.normal.leverage(&with_column) + column.normal.leverage(&with_row);
        let missed = |line: &Line| line.missed.unwrap_or(self.residual * self.residual);
        let unexplained = 0.5 * (missed(row) + missed(column));
        let variance = self.spread * self.spread;
        Some(CellEstimate {
            mean: self.mean + product(&row.factors, &column.factors),
            deviation: self.residual * doubt.sqrt(),
            coherence: if variance > 0.0 {
                1.0 - (unexplained / variance).min(1.0)
            } else {
                1.0
            },
        })
    }

    /// Root mean square of what each known cell is missed by when its row is fitted without it.
    pub fn residual(&self) -> f64 {
        self.residual
    }

    /// What the model misses, by row, by column and in all.
    fn measure(&mut self, of_rows: &[Vec<Known>], of_columns: &[Vec<Known>]) {
        let mean = self.mean;
        let (rows, columns) = (&mut self.rows, &mut self.columns);
        let by_row = missed(rows, columns, of_rows, mean);
        let by_column = missed(columns, rows, of_columns, mean);
        let (sum, count) = by_row
            .iter()
            .chain(&by_column)
            .fold((0.0, 0u32), |(sum, count), of| {
                (sum + of.iter().sum::<f64>(), count + of.len() as u32)
            });
        self.residual = (sum / f64::from(count.max(1))).sqrt();
        for (lines, missed) in [(rows, by_row), (columns, by_column)] {
            for (line, squares) in lines.iter_mut().zip(missed) {
                let mean = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
                line.missed = (!squares.is_empty()).then_some(mean);
            }
        }
    }
}

/// A known cell of a line: its place in the other direction, its value.
#[derive(Debug, Clone, Copy)]
struct Known {
    other: usize,
    value: f64,
    is_lower_bound: bool,
}

fn grouped(lines: usize, cells: &[Cell], places: impl Fn(&Cell) -> (usize, usize)) -> Vec<Vec<Known>> {
    let mut of_lines = vec![Vec::new(); lines];
    for cell in cells {
        let (line, other) = places(cell);
        if let Some(known) = of_lines.get_mut(line) {
            known.push(Known {
                other,
                value: cell.value,
                is_lower_bound: cell.is_lower_bound,
            });
        }
    }
    of_lines
}

/// Lines without bias and with small vectors: were they zero, they would stay so.
fn first(lines: usize, config: &CompletionConfig, direction: u64) -> Vec<Line> {
    let line = |at: usize| {
        let mut factors = [0.0; ORDER];
        for (place, factor) in factors.iter_mut().enumerate().skip(1).take(config.rank) {
            let hash = hash_words([config.seed, direction, at as u64, place as u64]);
            *factor = 0.2 * ((hash >> 11) as f64 / (1u64 << 53) as f64 - 0.5);
        }
        Line {
            factors,
            normal: Normal::new(&ridges(config.ridge)),
            missed: None,
        }
    };
    (0..lines).map(line).collect()
}

/// The biases' ridge, then the vectors'; unused places are held at zero by theirs.
fn ridges(ridge: f64) -> Coefficients {
    let mut ridges = [ridge; ORDER];
    ridges[0] = 0.1 * ridge;
    ridges
}

/// What a line's factors are multiplied with: the bias with one, the vector with that of the other line.
fn regressors(other: &Coefficients) -> Coefficients {
    let mut regressors = *other;
    regressors[0] = 1.0;
    regressors
}

/// Both biases and the product of the vectors.
fn product(one: &Coefficients, other: &Coefficients) -> f64 {
    let vectors = one.iter().zip(other).skip(1).map(|(a, b)| a * b).sum::<f64>();
    one[0] + other[0] + vectors
}

/// Fits each line to its known cells, the others held.
fn sweep(lines: &mut [Line], others: &[Line], known: &[Vec<Known>], mean: f64, ridges: &Coefficients) {
    for (line, known) in lines.iter_mut().zip(known) {
        let mut normal = Normal::new(ridges);
        for (cell, other) in counted(line, others, known, mean) {
            normal.add(&regressors(&other.factors), cell.value - mean - other.factors[0]);
        }
        line.factors = normal.solve();
        line.normal = normal;
    }
}

/// The cells that count: exact ones, and bounds that the model does not reach.
fn counted<'a>(
    line: &Line,
    others: &'a [Line],
    known: &'a [Known],
    mean: f64,
) -> impl Iterator<Item = (&'a Known, &'a Line)> {
    let factors = line.factors;
    known
        .iter()
        .filter_map(|cell| others.get(cell.other).map(|other| (cell, other)))
        .filter(move |(cell, other)| {
            !cell.is_lower_bound || mean + product(&factors, &other.factors) < cell.value
        })
}

/// Per line the squares of the left-out residuals of its exact cells: e / (1 − h), h the leverage (Allen's PRESS, 1974).
fn missed(lines: &[Line], others: &[Line], known: &[Vec<Known>], mean: f64) -> Vec<Vec<f64>> {
    let of_line = |(line, known): (&Line, &Vec<Known>)| {
        let exact = known.iter().filter(|cell| !cell.is_lower_bound);
        let squares = exact.filter_map(|cell| {
            let other = others.get(cell.other)?;
            let leverage = line.normal.leverage(&regressors(&other.factors)).min(0.9);
            let residual = cell.value - mean - product(&line.factors, &other.factors);
            Some((residual / (1.0 - leverage)).powi(2))
        });
        squares.collect()
    };
    lines.iter().zip(known).map(of_line).collect()
}
