//! NEON: four single or two double numbers at a time, two sums side by side to hide the latency of FMA.

use crate::scalar;
use std::arch::aarch64::{
    vaddq_f32, vaddq_f64, vaddvq_f32, vaddvq_f64, vdupq_n_f32, vdupq_n_f64, vfmaq_f32, vfmaq_f64, vld1q_f32,
    vld1q_f64, vst1q_f32,
};

/// Whether the processor has what this file needs.
#[inline]
pub(crate) fn is_supported() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

/// As [`crate::dot`].
///
/// # Safety
/// - The processor has NEON.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (mut first, mut second) = (vdupq_n_f32(0.0), vdupq_n_f32(0.0));
    let (wide_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<8>();
    let (wide_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<8>();
    for (a, b) in wide_a.iter().zip(wide_b) {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        // SAFETY: a and b point to eight numbers each.
        unsafe {
            first = vfmaq_f32(first, vld1q_f32(a), vld1q_f32(b));
            second = vfmaq_f32(second, vld1q_f32(a.add(4)), vld1q_f32(b.add(4)));
        }
    }
    vaddvq_f32(vaddq_f32(first, second)) + scalar::dot(rest_a, rest_b)
}

/// As [`crate::dot_f64`].
///
/// # Safety
/// - The processor has NEON.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    let (mut first, mut second) = (vdupq_n_f64(0.0), vdupq_n_f64(0.0));
    let (wide_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<4>();
    let (wide_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<4>();
    for (a, b) in wide_a.iter().zip(wide_b) {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        // SAFETY: a and b point to four numbers each.
        unsafe {
            first = vfmaq_f64(first, vld1q_f64(a), vld1q_f64(b));
            second = vfmaq_f64(second, vld1q_f64(a.add(2)), vld1q_f64(b.add(2)));
        }
    }
    vaddvq_f64(vaddq_f64(first, second)) + scalar::dot_f64(rest_a, rest_b)
}

/// As [`crate::axpy`].
///
/// # Safety
/// - The processor has NEON.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
    let length = x.len().min(y.len());
    let (wide_x, rest_x) = x[..length].as_chunks::<4>();
    let (wide_y, rest_y) = y[..length].as_chunks_mut::<4>();
    let factors = vdupq_n_f32(factor);
    for (x, y) in wide_x.iter().zip(wide_y) {
        // SAFETY: x and y point to four numbers each.
        unsafe {
            let sum = vfmaq_f32(vld1q_f32(y.as_ptr()), factors, vld1q_f32(x.as_ptr()));
            vst1q_f32(y.as_mut_ptr(), sum);
        }
    }
    scalar::axpy(factor, rest_x, rest_y);
}
