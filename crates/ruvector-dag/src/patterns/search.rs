//! The search for the nearest of thousands of unit vectors: a first pass over eight-bit codes, then the best exactly.
//!
//! Vectors lie in cells around pivots p. A vector x = p + r is kept as the eight-bit code c of its residual r ≈ s c and as
//! the error's share along the pivot, e = (r − s c) · p. For a query q
//!
//! ```text
//! x · q = p · q + s (c · q) + (r − s c) · q ≈ p · q + s (c · q) + e
//! ```
//!
//! where what is left out, (r − s c) · (q − p), shrinks with the cell and with the query's distance from it: vectors that
//! are near-equal are told apart as well as scattered ones. The best [`CANDIDATES`] (or [`PER_RESULT`] for each result)
//! are then compared exactly. Cells are visited from the most promising on, and those that can't hold a better vector than
//! those found are skipped: with θ the angle of q and p, and ω that of the farthest vector of the cell and p, none is
//! nearer to q than θ − ω (the triangle inequality on the sphere).
//!
//! Only the rounding of the codes is approximate: recall is measured in `tests/patterns_search.rs`. Nothing skips what
//! it has not ruled out; a graph or an inverted file that probes some cells only would trade recall for time that is not
//! needed (measured in `benches/patterns.rs`). Below [`EXACT_BELOW`] vectors all are compared exactly.
//!
//! Sources: the residual quantisation of inverted files, Jégou, Douze, Schmid, "Product Quantization for Nearest Neighbor
//! Search", 2011; exact pruning by pivots, Chávez et al., "Searching in Metric Spaces", 2001.
//!
//! Vectors are known by their slots, 0 … n − 1, as in the caller's `Vec`, with `swap_remove`. Adding one takes a comparison
//! with each pivot and appends 276 bytes; pivots are drawn anew when the number has doubled. No threads: sessions
//! search.

use super::kmeans;
use crate::embedding::{DIMENSIONS, PlanEmbedding};
use simd::{dot, dot_rows_i8};

/// Up to so many vectors there are no codes: comparing all exactly takes no longer.
const EXACT_BELOW: usize = 512;
/// How many vectors are compared exactly at least.
const CANDIDATES: usize = 32;
/// How many vectors are compared exactly for each that is asked for.
const PER_RESULT: usize = 4;
/// Vectors per pivot when pivots are drawn.
const PER_CELL: usize = 80;
/// Pivots at most.
const MAX_CELLS: usize = 128;
/// Pivots are drawn from so many vectors per pivot.
const SAMPLE_PER_CELL: usize = 16;
/// Rows scored at a time: their sums stay in registers' reach.
const BLOCK: usize = 64;
/// What the rounding of cosines may hide from the bounds.
const ROUNDING: f32 = 1e-4;

/// Codes of vectors, by cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    cells: Vec<Cell>,
    /// By slot.
    places: Vec<Place>,
    /// How many vectors there were when the pivots were drawn.
    drawn_at: usize,
}

impl Index {
    /// Bytes on the heap.
    pub(crate) fn memory_bytes(&self) -> usize {
        let cell = |cell: &Cell| {
            DIMENSIONS * size_of::<f32>() + cell.codes.capacity() + cell.rows.capacity() * size_of::<Row>()
        };
        self.cells.capacity() * size_of::<Cell>()
            + self.cells.iter().map(cell).sum::<usize>()
            + self.places.capacity() * size_of::<Place>()
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    cell: u32,
    row: u32,
}

#[derive(Debug, Clone)]
struct Cell {
    pivot: PlanEmbedding,
    /// One row of 256 after the other.
    codes: Vec<i8>,
    rows: Vec<Row>,
    /// The least cosine of a vector with the pivot; those that went may have been it.
    reach: f32,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    slot: u32,
    scale: f32,
    /// The error's share along the pivot.
    offset: f32,
}

impl Index {
    /// Takes in that `vectors` got one more at its end.
    pub(crate) fn push(&mut self, vectors: &[impl AsRef<PlanEmbedding>]) {
        if vectors.len() >= EXACT_BELOW && vectors.len() >= 2 * self.drawn_at {
            self.rebuild(vectors);
        } else if let (Some(vector), true) = (vectors.last(), self.is_built()) {
            self.add(vector.as_ref(), vectors.len() - 1);
        }
    }

    /// Takes in that all vectors may be others.
    pub(crate) fn rebuild(&mut self, vectors: &[impl AsRef<PlanEmbedding>]) {
        *self = Self::default();
        if vectors.len() < EXACT_BELOW {
            return;
        }
        self.drawn_at = vectors.len();
        let wanted = (vectors.len() / PER_CELL).clamp(1, MAX_CELLS);
        let step = (vectors.len() / (wanted * SAMPLE_PER_CELL)).max(1);
        let sample: Vec<&PlanEmbedding> = vectors.iter().step_by(step).map(AsRef::as_ref).collect();
        let pivots = kmeans::seeds(&sample, wanted, vectors.len() as u64);
        let pivots = pivots.into_iter().filter_map(|at| sample.get(at));
        self.cells = pivots.map(|&pivot| Cell::around(pivot.clone())).collect();
        for (slot, vector) in vectors.iter().enumerate() {
            self.add(vector.as_ref(), slot);
        }
    }

    /// Takes in that the vector of a slot is another.
    pub(crate) fn replace(&mut self, slot: usize, vector: &PlanEmbedding) {
        if self.remove_row(slot) {
            let last = self.places.len();
            self.add(vector, slot);
            // Added for the end; it belongs to the slot.
            if let Some(place) = self.places.get(last).copied() {
                self.places.truncate(last);
                self.places[slot] = place;
            }
        }
    }

    /// Takes in that the vector of a slot was removed and the last one took its place.
    pub(crate) fn swap_remove(&mut self, slot: usize) {
        if !self.remove_row(slot) {
            return;
        }
        self.places.swap_remove(slot);
        if let Some(place) = self.places.get(slot)
            && let Some(cell) = self.cells.get_mut(place.cell as usize)
            && let Some(row) = cell.rows.get_mut(place.row as usize)
        {
            row.slot = slot as u32;
        }
    }

    /// The slots of the `k` vectors with the greatest cosine of at least `least`, and the cosines, in no particular order.
    pub(crate) fn search(
        &self,
        vectors: &[impl AsRef<PlanEmbedding>],
        query: &PlanEmbedding,
        k: usize,
        least: f32,
    ) -> Vec<(usize, f32)> {
        let exact = |slot: usize| {
            let vector: &PlanEmbedding = vectors.get(slot)?.as_ref();
            Some((slot, query.cosine(vector))).filter(|(_, cosine)| *cosine >= least)
        };
        let wanted = CANDIDATES.max(PER_RESULT.saturating_mul(k));
        if k == 0 {
            return Vec::new();
        }
        // Where most would be candidates, codes only add to the work.
        if !self.is_built() || wanted > self.places.len() / 4 {
            return (0..vectors.len()).filter_map(exact).collect();
        }
        let mut candidates = Candidates::new(k, wanted, least - ROUNDING);
        self.score(query, &mut candidates);
        let kept = candidates.kept.into_iter();
        kept.filter_map(|(_, slot)| exact(slot as usize)).collect()
    }

    fn score(&self, query: &PlanEmbedding, candidates: &mut Candidates) {
        let (codes, scale) = wide_codes(query.as_slice());
        let mut visits: Vec<Visit<'_>> = self.cells.iter().map(|cell| Visit::new(cell, query)).collect();
        visits.sort_unstable_by(|a, b| b.bound.total_cmp(&a.bound));
        for visit in visits {
            if visit.bound + ROUNDING < candidates.kth() {
                break;
            }
            visit.cell.score(&codes, scale, visit.cosine, candidates);
        }
    }

    fn is_built(&self) -> bool {
        self.drawn_at > 0
    }

    /// Adds a row for a vector whose slot is the last, and its place at the end.
    fn add(&mut self, vector: &PlanEmbedding, slot: usize) {
        let cosines = self.cells.iter().map(|cell| cell.pivot.cosine(vector));
        let nearest = cosines.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((at, cosine)) = nearest else { return };
        if let Some(cell) = self.cells.get_mut(at) {
            self.places.push(Place {
                cell: at as u32,
                row: cell.rows.len() as u32,
            });
            cell.add(vector, slot, cosine);
        }
    }

    /// Removes the row of a slot, not its place; `false` when there is none.
    fn remove_row(&mut self, slot: usize) -> bool {
        let Some(&place) = self.places.get(slot) else {
            return false;
        };
        let moved = self
            .cells
            .get_mut(place.cell as usize)
            .and_then(|cell| cell.swap_remove(place.row as usize));
        if let Some(moved) = moved.and_then(|slot| self.places.get_mut(slot as usize)) {
            moved.row = place.row;
        }
        true
    }
}

impl Cell {
    fn around(pivot: PlanEmbedding) -> Self {
        Self {
            pivot,
            codes: Vec::new(),
            rows: Vec::new(),
            reach: 1.0,
        }
    }

    fn add(&mut self, vector: &PlanEmbedding, slot: usize, cosine: f32) {
        let pairs = vector.as_slice().iter().zip(self.pivot.as_slice());
        let residual: Vec<f32> = pairs.map(|(x, p)| x - p).collect();
        let scale = greatest(&residual) / f32::from(i8::MAX);
        let per_code = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let errors = residual.iter().map(|number| {
            // In range by the scale; the cast cuts off what is behind the point.
            let code = rounded(number * per_code) as i8;
            self.codes.push(code);
            number - scale * f32::from(code)
        });
        let errors: Vec<f32> = errors.collect();
        self.rows.push(Row {
            slot: slot as u32,
            scale,
            offset: dot(&errors, self.pivot.as_slice()),
        });
        self.reach = self.reach.min(cosine);
    }

    /// Removes a row and returns the slot of the one that took its place, if one did.
    fn swap_remove(&mut self, row: usize) -> Option<u32> {
        let last = self.rows.len().checked_sub(1)?;
        if row < last {
            self.codes
                .copy_within(last * DIMENSIONS..(last + 1) * DIMENSIONS, row * DIMENSIONS);
        }
        self.codes.truncate(last * DIMENSIONS);
        self.rows.swap_remove(row);
        self.rows.get(row).map(|row| row.slot)
    }

    fn score(&self, query: &[i16], query_scale: f32, cosine: f32, candidates: &mut Candidates) {
        let mut sums = [0; BLOCK];
        let blocks = self.codes.chunks(BLOCK * DIMENSIONS);
        for (codes, rows) in blocks.zip(self.rows.chunks(BLOCK)) {
            dot_rows_i8(codes, query, &mut sums);
            for (row, &sum) in rows.iter().zip(&sums) {
                let score = cosine + row.offset + row.scale * query_scale * sum as f32;
                if score > candidates.threshold {
                    candidates.add(score, row.slot);
                }
            }
        }
    }
}

/// A cell to look into.
struct Visit<'c> {
    cell: &'c Cell,
    /// Of query and pivot.
    cosine: f32,
    /// No vector of the cell has a greater cosine with the query.
    bound: f32,
}

impl<'c> Visit<'c> {
    fn new(cell: &'c Cell, query: &PlanEmbedding) -> Self {
        let cosine = cell.pivot.cosine(query);
        let angle = cosine.acos() - cell.reach.clamp(-1.0, 1.0).acos();
        Self {
            cell,
            cosine,
            bound: angle.max(0.0).cos(),
        }
    }
}

/// The best so far.
struct Candidates {
    /// Score and slot, best first.
    kept: Vec<(f32, u32)>,
    k: usize,
    limit: usize,
    least: f32,
    /// What a score must exceed to be kept.
    threshold: f32,
}

impl Candidates {
    fn new(k: usize, limit: usize, least: f32) -> Self {
        Self {
            kept: Vec::with_capacity(limit + 1),
            k,
            limit,
            least,
            threshold: least,
        }
    }

    fn add(&mut self, score: f32, slot: u32) {
        let at = self.kept.partition_point(|&(other, _)| other >= score);
        self.kept.insert(at, (score, slot));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
        if let Some(&(worst, _)) = self.kept.get(self.limit - 1) {
            self.threshold = worst;
        }
    }

    /// The score of the `k`-th best, or the least wanted while there are fewer.
    fn kth(&self) -> f32 {
        self.kept.get(self.k - 1).map_or(self.least, |&(score, _)| score)
    }
}

/// The vector as sixteen-bit codes, and their scale.
fn wide_codes(vector: &[f32]) -> (Vec<i16>, f32) {
    let scale = greatest(vector) / f32::from(i16::MAX);
    let per_code = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    // In range by the scale; the cast cuts off what is behind the point.
    let codes = vector.iter().map(|number| rounded(number * per_code) as i16);
    (codes.collect(), scale)
}

/// To the nearest whole number when cast; `round` is a call where the processor's instruction is not taken for granted.
fn rounded(number: f32) -> f32 {
    number + 0.5f32.copysign(number)
}

fn greatest(numbers: &[f32]) -> f32 {
    numbers
        .iter()
        .fold(0.0, |greatest, number| greatest.max(number.abs()))
}
