//! The singular value decomposition of a sum of outer products, `Σ factor · left rightᵀ`, without forming the matrix.
//!
//! With Q an orthonormal basis of the right vectors, the columns of `M Q` are made orthogonal by plane rotations, which
//! are applied to Q as well (Hestenes, "Inversion of Matrices by Biorthogonalization", 1958). What is left are the left
//! singular vectors times their values, and the right singular vectors.

use crate::embedding::DIMENSIONS;

/// Sweeps over all pairs at most; some eight are enough.
const MAX_SWEEPS: usize = 30;
/// Columns whose cosine is smaller are orthogonal.
const ORTHOGONAL: f64 = 1e-12;
/// What is left of a vector of unit length that depends on others is rounding.
const DEPENDENT: f64 = 1e-9;

/// One summand.
pub(super) struct OuterProduct<'v> {
    pub(super) factor: f64,
    pub(super) left: &'v [f32],
    pub(super) right: &'v [f32],
}

/// A singular value and its vectors of unit norm (the left one is 0 where the value is).
pub(super) struct Triple {
    pub(super) value: f64,
    pub(super) left: Vec<f64>,
    pub(super) right: Vec<f64>,
}

/// The singular triples, greatest value first.
///
/// Complexity: O(n² · 256) per sweep for n summands.
pub(super) fn decompose(products: &[OuterProduct<'_>]) -> Vec<Triple> {
    let used = |product: &&OuterProduct<'_>| product.factor != 0.0 && product.left.iter().any(|&x| x != 0.0);
    let products: Vec<&OuterProduct<'_>> = products.iter().filter(used).collect();
    let rights = orthonormal_basis(products.iter().map(|product| wide(product.right)));
    let mut columns: Vec<Column> = rights
        .into_iter()
        .map(|right| Column {
            image: image(&products, &right),
            right,
        })
        .collect();
    for _ in 0..MAX_SWEEPS {
        if !sweep(&mut columns) {
            break;
        }
    }
    let mut triples: Vec<Triple> = columns.into_iter().map(Column::into_triple).collect();
    triples.sort_by(|a, b| b.value.total_cmp(&a.value));
    triples
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&number| f64::from(number)).collect()
}

/// An orthonormal basis of the space that vectors span: Gram-Schmidt, twice, which is enough.
fn orthonormal_basis(vectors: impl Iterator<Item = Vec<f64>>) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for mut vector in vectors {
        if !scale_to_unit(&mut vector, 0.0) {
            continue;
        }
        for _ in 0..2 {
            for known in &basis {
                let along = simd::dot_f64(&vector, known);
                add(-along, known, &mut vector);
            }
        }
        if scale_to_unit(&mut vector, DEPENDENT) {
            basis.push(vector);
        }
    }
    basis
}

/// Scales to unit length; `false` for a vector that is not longer than this.
fn scale_to_unit(vector: &mut [f64], shortest: f64) -> bool {
    let norm = simd::dot_f64(vector, vector).sqrt();
    if !(norm > shortest && norm.is_finite()) {
        return false;
    }
    vector.iter_mut().for_each(|number| *number /= norm);
    true
}

fn add(factor: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// The matrix times a vector.
fn image(products: &[&OuterProduct<'_>], vector: &[f64]) -> Vec<f64> {
    let mut image = vec![0.0; DIMENSIONS];
    for product in products {
        let along = simd::dot_f64(&wide(product.right), vector);
        add(product.factor * along, &wide(product.left), &mut image);
    }
    image
}

/// A right vector and its image.
struct Column {
    image: Vec<f64>,
    right: Vec<f64>,
}

impl Column {
    fn into_triple(mut self) -> Triple {
        let value = simd::dot_f64(&self.image, &self.image).sqrt();
        scale_to_unit(&mut self.image, 0.0);
        Triple {
            value,
            left: self.image,
            right: self.right,
        }
    }
}

/// Makes each pair of columns orthogonal once; whether any was not.
fn sweep(columns: &mut [Column]) -> bool {
    let mut is_changed = false;
    for last in 1..columns.len() {
        let (before, after) = columns.split_at_mut(last);
        if let Some(b) = after.first_mut() {
            for a in before {
                is_changed |= make_orthogonal(a, b);
            }
        }
    }
    is_changed
}

/// Rotates two columns so that their images are orthogonal; whether they were not.
fn make_orthogonal(a: &mut Column, b: &mut Column) -> bool {
    let product = simd::dot_f64(&a.image, &b.image);
    let (of_a, of_b) = (
        simd::dot_f64(&a.image, &a.image),
        simd::dot_f64(&b.image, &b.image),
    );
    if product.abs() <= ORTHOGONAL * (of_a * of_b).sqrt() {
        return false;
    }
    let zeta = (of_b - of_a) / (2.0 * product);
    let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = cosine * tangent;
    for (a, b) in [(&mut a.image, &mut b.image), (&mut a.right, &mut b.right)] {
        for (a, b) in a.iter_mut().zip(b.iter_mut()) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
    true
}
