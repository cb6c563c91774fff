//! Dot products, scaled sums and counts of differing bits: the processor's vector units where it has them, scalar code elsewhere.
//!
//! Each function has a scalar twin in [`scalar`], written first and used where nothing better is found at run time:
//! AVX2 with FMA on x86_64, NEON on aarch64. A vector unit adds in another order and rounds less often (FMA), so results
//! may differ from the twin's in the last bits, by at most [`dot_tolerance`] for dot products. On one processor the
//! same call gives the same bits. Whole numbers and bits come out the same everywhere.
//!
//! Slices of different lengths are cut to the shorter one, so that no call can fail.
//!
//! This crate and the extension's `src/pg/` are the only places of unsafe code: the engine forbids it.

#![allow(unsafe_code)]

pub mod scalar;

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
mod aarch64;

/// The sum of the products of `a` and `b`.
///
/// ```
/// assert_eq!(ruvector_dag_simd::dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if x86_64::is_supported() {
        // SAFETY: the processor has AVX2 and FMA, as just asked.
        return unsafe { x86_64::dot(a, b) };
    }
    #[cfg(target_arch = "aarch64")]
    if aarch64::is_supported() {
        // SAFETY: the processor has NEON, as just asked.
        return unsafe { aarch64::dot(a, b) };
    }
    scalar::dot(a, b)
}

/// The sum of the products of `a` and `b`, in double precision.
#[inline]
pub fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if x86_64::is_supported() {
        // SAFETY: the processor has AVX2 and FMA, as just asked.
        return unsafe { x86_64::dot_f64(a, b) };
    }
    #[cfg(target_arch = "aarch64")]
    if aarch64::is_supported() {
        // SAFETY: the processor has NEON, as just asked.
        return unsafe { aarch64::dot_f64(a, b) };
    }
    scalar::dot_f64(a, b)
}

/// Adds `factor * x` to `y`, number by number.
///
/// ```
/// let mut y = [1.0, 1.0];
/// ruvector_dag_simd::axpy(2.0, &[3.0, 4.0], &mut y);
/// assert_eq!(y, [7.0, 9.0]);
/// ```
#[inline]
pub fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if x86_64::is_supported() {
        // SAFETY: the processor has AVX2 and FMA, as just asked.
        return unsafe { x86_64::axpy(factor, x, y) };
    }
    #[cfg(target_arch = "aarch64")]
    if aarch64::is_supported() {
        // SAFETY: the processor has NEON, as just asked.
        return unsafe { aarch64::axpy(factor, x, y) };
    }
    scalar::axpy(factor, x, y);
}

/// For each row of `rows`, which are as long as `query` and lie one after the other, the sum of its products with `query`,
/// into `sums`; as many as there are rows and room for. Sums wrap, which those of fewer than 512 numbers can't reach; the
/// variants give the same to the last bit.
///
/// ```
/// let mut sums = [0; 2];
/// ruvector_dag_simd::dot_rows_i8(&[1, 2, 3, 4], &[10, 100], &mut sums);
/// assert_eq!(sums, [210, 430]);
/// ```
#[inline]
pub fn dot_rows_i8(rows: &[i8], query: &[i16], sums: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    if x86_64::is_supported() {
        // SAFETY: the processor has AVX2, as just asked.
        return unsafe { x86_64::dot_rows_i8(rows, query, sums) };
    }
    #[cfg(target_arch = "aarch64")]
    if aarch64::is_supported() {
        // SAFETY: the processor has NEON, as just asked.
        return unsafe { aarch64::dot_rows_i8(rows, query, sums) };
    }
    scalar::dot_rows_i8(rows, query, sums);
}

/// In how many bits `a` and `b` differ.
///
/// ```
/// assert_eq!(ruvector_dag_simd::hamming(&[0b1100, 1], &[0b1010, 1]), 2);
/// ```
#[inline]
pub fn hamming(a: &[u64], b: &[u64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if x86_64::is_supported() {
        // SAFETY: the processor has AVX2, as just asked.
        return unsafe { x86_64::hamming(a, b) };
    }
    #[cfg(target_arch = "aarch64")]
    if aarch64::is_supported() {
        // SAFETY: the processor has NEON, as just asked.
        return unsafe { aarch64::hamming(a, b) };
    }
    scalar::hamming(a, b)
}

/// How far two ways to add up the products of `a` and `b` may differ: 2 n u Σ |a b|, with n summands and u the unit
/// roundoff (each way is within n u Σ |a b| of the truth: Higham, "Accuracy and Stability of Numerical Algorithms",
/// 2002, section 3.1); and n of the smallest numbers, where products vanish.
pub fn dot_tolerance(a: &[f32], b: &[f32]) -> f64 {
    let products = a
        .iter()
        .zip(b)
        .map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs());
    let length = a.len().min(b.len()) as f64;
    length * f64::from(f32::EPSILON) * products.sum::<f64>() + length * f64::from(f32::MIN_POSITIVE)
}
