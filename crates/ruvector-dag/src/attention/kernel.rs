//! The content part of attention: how much two operators are alike.
//!
//! An operator's features are projected to four axes with a meaning — how much data, how much work, how surprising,
//! which place in a plan — by a fixed matrix, for queries and keys the same, and scaled to unit length (query-key
//! normalisation: Henry et al. 2020), so that one operator with huge numbers can't silence all others. With
//! t = <u_q, u_v> in [-1, 1] and d = 4, the content part is exp(t / 2).
//!
//! It is computed as a quadratic polynomial in t: the Chebyshev expansion of exp(t / 2), whose coefficients are modified
//! Bessel functions at 1/2. A polynomial in an inner product is an inner product of longer vectors ([`lift`]), and sums
//! of those can be passed along the edges of a plan (random-feature and Taylor attention do the same: Katharopoulos et
//! al. 2020, "Transformers are RNNs").

use crate::embedding::NUMBERS;

/// The dimensions that features are projected to.
pub(super) const DIMENSIONS: usize = 4;
/// Numbers of a lifted vector: 1 + 4 + 10, and one that is always 0 to fill a cache line.
pub(super) const LANES: usize = 16;
/// A lifted vector, or a sum of such.
pub(super) type Lanes = [f64; LANES];

/// How far the polynomial may be from the exponential, relatively: 0.83 %.
pub const KERNEL_ERROR: f64 = 0.0083;

/// I0(1/2) - 2 I2(1/2), 2 I1(1/2) and 4 I2(1/2).
const COEFFICIENTS: [f64; 3] = [
    0.999_671_072_385_847_1,
    0.515_788_610_781_792_5,
    0.127_624_596_710_953,
];
/// Their square roots, and that of twice the last.
const ROOTS: [f64; 4] = [
    0.999_835_522_666_527,
    0.718_184_245_707_042_1,
    0.357_245_849_116_477_5,
    0.505_221_924_922_014_8,
];
/// The kernel of an operator with itself.
pub(super) const SELF: f64 = COEFFICIENTS[0] + COEFFICIENTS[1] + COEFFICIENTS[2];

/// What each family adds to the place: leaves high, joins in the middle, what keeps its input below, the top lowest.
const OF_FAMILIES: [f32; crate::embedding::FAMILIES] = [
    0.5, 0.4, 0.4, 0.4, 0.3, 0.2, 0.3, 0.5, -0.1, 0.0, 0.1, -0.2, -0.2, -0.3, -0.4, -0.4, -0.1, -0.5, -0.6,
    -0.7,
];

/// The direction of an operator with these measures and of this family. What has no size lies below the middle of data and
/// work, so that small and large point apart.
#[inline]
pub(super) fn direction(numbers: &[f32; NUMBERS], family: usize) -> [f64; DIMENSIONS] {
    let [
        rows,
        self_cost,
        total_cost,
        share,
        width,
        height,
        nesting,
        selectivity,
        error,
        counted,
        workers,
        inputs,
    ] = *numbers;
    let sum = [
        1.5 * rows + 0.5 * width - 0.5,
        1.5 * self_cost + 0.5 * total_cost + share + 0.3 * workers - 0.4,
        1.5 * selectivity + 3.0 * error + 0.5 * share + 0.1 * counted + 0.1,
        nesting - height - 0.5 * inputs + OF_FAMILIES[family],
    ];
    let vector = sum.map(f64::from);
    let square: f64 = vector.iter().map(|number| number * number).sum();
    if square > 1e-12 {
        let scale = 1.0 / square.sqrt();
        vector.map(|number| number * scale)
    } else {
        [0.5; DIMENSIONS]
    }
}

/// The content part for two directions.
#[inline]
pub(super) fn content(a: &[f64; DIMENSIONS], b: &[f64; DIMENSIONS]) -> f64 {
    let t = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
    COEFFICIENTS[0] + t * (COEFFICIENTS[1] + t * COEFFICIENTS[2])
}

/// The vector whose inner product with that of another direction is the content part.
#[inline]
pub(super) fn lift(u: &[f64; DIMENSIONS]) -> Lanes {
    let linear = ROOTS[1];
    let [square, mixed] = [ROOTS[2], ROOTS[3]];
    [
        ROOTS[0],
        linear * u[0],
        linear * u[1],
        linear * u[2],
        linear * u[3],
        square * u[0] * u[0],
        square * u[1] * u[1],
        square * u[2] * u[2],
        square * u[3] * u[3],
        mixed * u[0] * u[1],
        mixed * u[0] * u[2],
        mixed * u[0] * u[3],
        mixed * u[1] * u[2],
        mixed * u[1] * u[3],
        mixed * u[2] * u[3],
        0.0,
    ]
}

/// The inner product of two lifted vectors.
#[inline]
pub(super) fn inner(a: &Lanes, b: &Lanes) -> f64 {
    let mut sums = [0.0; 4];
    for (a, b) in a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// Adds `factor * x` to `sum`.
#[inline]
pub(super) fn add(sum: &mut Lanes, factor: f64, x: &Lanes) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomial_is_the_exponential_within_its_error() {
        for step in -1000..=1000 {
            let t = f64::from(step) / 1000.0;
            let found = COEFFICIENTS[0] + t * (COEFFICIENTS[1] + t * COEFFICIENTS[2]);
            assert!((found / (t / 2.0).exp() - 1.0).abs() <= KERNEL_ERROR, "{t}");
        }
    }

    #[test]
    fn lifting_and_the_polynomial_agree() {
        let a = direction(&[0.3; NUMBERS], 3);
        let b = direction(&[0.9; NUMBERS], 18);
        assert!((inner(&lift(&a), &lift(&b)) - content(&a, &b)).abs() < 1e-15);
        assert!((inner(&lift(&a), &lift(&a)) - SELF).abs() < 1e-14);
    }
}
