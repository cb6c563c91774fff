//! NEON: four single or two double numbers at a time, two sums side by side to hide the latency of FMA.

use crate::scalar;
use std::arch::aarch64::{
    vaddq_f32, vaddq_f64, vaddq_s32, vaddq_u64, vaddvq_f32, vaddvq_f64, vaddvq_s32, vaddvq_u64, vcntq_u8,
    vdupq_n_f32, vdupq_n_f64, vdupq_n_s32, vdupq_n_u64, veorq_u64, vfmaq_f32, vfmaq_f64, vget_low_s8,
    vget_low_s16, vld1q_f32, vld1q_f64, vld1q_s8, vld1q_s16, vld1q_u64, vmlal_high_s16, vmlal_s16,
    vmovl_high_s8, vmovl_s8, vpaddlq_u8, vpaddlq_u16, vpaddlq_u32, vreinterpretq_u8_u64, vst1q_f32,
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

/// As [`crate::dot_rows_i8`]: sixteen codes at a time, widened to sixteen bits, multiplied and added to sums of 32.
///
/// # Safety
/// - The processor has NEON.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn dot_rows_i8(rows: &[i8], query: &[i16], sums: &mut [i32]) {
    let (wide_query, rest_query) = query.as_chunks::<16>();
    if wide_query.is_empty() {
        return scalar::dot_rows_i8(rows, query, sums);
    }
    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(query.len())) {
        let (mut first, mut second) = (vdupq_n_s32(0), vdupq_n_s32(0));
        let (wide_row, rest_row) = row.as_chunks::<16>();
        for (codes, query) in wide_row.iter().zip(wide_query) {
            // SAFETY: codes points to sixteen bytes and query to sixteen numbers of two bytes.
            let (codes, low_query, high_query) = unsafe {
                (
                    vld1q_s8(codes.as_ptr()),
                    vld1q_s16(query.as_ptr()),
                    vld1q_s16(query.as_ptr().add(8)),
                )
            };
            let (low, high) = (vmovl_s8(vget_low_s8(codes)), vmovl_high_s8(codes));
            first = vmlal_s16(first, vget_low_s16(low), vget_low_s16(low_query));
            second = vmlal_high_s16(second, low, low_query);
            first = vmlal_s16(first, vget_low_s16(high), vget_low_s16(high_query));
            second = vmlal_high_s16(second, high, high_query);
        }
        let mut rest = [0];
        scalar::dot_rows_i8(rest_row, rest_query, &mut rest);
        *sum = vaddvq_s32(vaddq_s32(first, second)).wrapping_add(rest[0]);
    }
}

/// As [`crate::hamming`].
///
/// # Safety
/// - The processor has NEON.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn hamming(a: &[u64], b: &[u64]) -> u64 {
    let mut sum = vdupq_n_u64(0);
    let (wide_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<2>();
    let (wide_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<2>();
    for (a, b) in wide_a.iter().zip(wide_b) {
        // SAFETY: a and b point to two numbers each.
        let differing = unsafe { veorq_u64(vld1q_u64(a.as_ptr()), vld1q_u64(b.as_ptr())) };
        let counts = vcntq_u8(vreinterpretq_u8_u64(differing));
        sum = vaddq_u64(sum, vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(counts))));
    }
    vaddvq_u64(sum) + scalar::hamming(rest_a, rest_b)
}
