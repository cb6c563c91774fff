//! AVX2 and FMA: eight single or four double numbers at a time, two sums side by side to hide the latency of FMA.

use crate::scalar;
use std::arch::x86_64::{
    _mm_add_pd, _mm_add_ps, _mm_add_sd, _mm_add_ss, _mm_cvtsd_f64, _mm_cvtss_f32, _mm_movehl_ps,
    _mm_shuffle_ps, _mm_unpackhi_pd, _mm256_add_pd, _mm256_add_ps, _mm256_castpd256_pd128,
    _mm256_castps256_ps128, _mm256_extractf128_pd, _mm256_extractf128_ps, _mm256_fmadd_pd, _mm256_fmadd_ps,
    _mm256_loadu_pd, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps, _mm256_storeu_ps,
};

/// Whether the processor has what this file needs. Asked of the processor once, then an atomic load.
#[inline]
pub(crate) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// As [`crate::dot`].
///
/// # Safety
/// - The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (mut first, mut second) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    let (wide_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<16>();
    let (wide_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<16>();
    for (a, b) in wide_a.iter().zip(wide_b) {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        // SAFETY: a and b point to sixteen numbers each; loadu needs no alignment.
        unsafe {
            first = _mm256_fmadd_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b), first);
            second = _mm256_fmadd_ps(_mm256_loadu_ps(a.add(8)), _mm256_loadu_ps(b.add(8)), second);
        }
    }
    let sum = _mm256_add_ps(first, second);
    let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
    let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    let sum = _mm_add_ss(sum, _mm_shuffle_ps::<1>(sum, sum));
    _mm_cvtss_f32(sum) + scalar::dot(rest_a, rest_b)
}

/// As [`crate::dot_f64`].
///
/// # Safety
/// - The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    let (mut first, mut second) = (_mm256_setzero_pd(), _mm256_setzero_pd());
    let (wide_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<8>();
    let (wide_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<8>();
    for (a, b) in wide_a.iter().zip(wide_b) {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        // SAFETY: a and b point to eight numbers each; loadu needs no alignment.
        unsafe {
            first = _mm256_fmadd_pd(_mm256_loadu_pd(a), _mm256_loadu_pd(b), first);
            second = _mm256_fmadd_pd(_mm256_loadu_pd(a.add(4)), _mm256_loadu_pd(b.add(4)), second);
        }
    }
    let sum = _mm256_add_pd(first, second);
    let sum = _mm_add_pd(_mm256_castpd256_pd128(sum), _mm256_extractf128_pd::<1>(sum));
    _mm_cvtsd_f64(_mm_add_sd(sum, _mm_unpackhi_pd(sum, sum))) + scalar::dot_f64(rest_a, rest_b)
}

/// As [`crate::axpy`].
///
/// # Safety
/// - The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
    let length = x.len().min(y.len());
    let (wide_x, rest_x) = x[..length].as_chunks::<8>();
    let (wide_y, rest_y) = y[..length].as_chunks_mut::<8>();
    let factors = _mm256_set1_ps(factor);
    for (x, y) in wide_x.iter().zip(wide_y) {
        // SAFETY: x and y point to eight numbers each; loadu and storeu need no alignment.
        unsafe {
            let sum = _mm256_fmadd_ps(factors, _mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(y.as_ptr()));
            _mm256_storeu_ps(y.as_mut_ptr(), sum);
        }
    }
    scalar::axpy(factor, rest_x, rest_y);
}
