//! AVX2 and FMA: eight single or four double numbers at a time, two sums side by side to hide the latency of FMA.

use crate::scalar;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_add_epi64, _mm_add_pd, _mm_add_ps, _mm_add_sd, _mm_add_ss,
    _mm_cvtsd_f64, _mm_cvtsi128_si32, _mm_cvtsi128_si64, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehl_ps,
    _mm_shuffle_epi32, _mm_shuffle_ps, _mm_unpackhi_epi64, _mm_unpackhi_pd, _mm256_add_epi8,
    _mm256_add_epi32, _mm256_add_epi64, _mm256_add_pd, _mm256_add_ps, _mm256_and_si256,
    _mm256_castpd256_pd128, _mm256_castps256_ps128, _mm256_castsi256_si128, _mm256_cvtepi8_epi16,
    _mm256_extractf128_pd, _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_pd, _mm256_fmadd_ps,
    _mm256_loadu_pd, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_sad_epu8,
    _mm256_set1_epi8, _mm256_set1_ps, _mm256_setr_epi8, _mm256_setzero_pd, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_xor_si256,
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

/// As [`crate::dot_rows_i8`]: sixteen codes at a time, widened to sixteen bits, multiplied and added in pairs.
///
/// # Safety
/// - The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn dot_rows_i8(rows: &[i8], query: &[i16], sums: &mut [i32]) {
    let (wide_query, rest_query) = query.as_chunks::<32>();
    if wide_query.is_empty() {
        return scalar::dot_rows_i8(rows, query, sums);
    }
    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(query.len())) {
        let (mut first, mut second) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        let (wide_row, rest_row) = row.as_chunks::<32>();
        for (codes, query) in wide_row.iter().zip(wide_query) {
            let (codes, query) = (codes.as_ptr().cast::<__m128i>(), query.as_ptr().cast::<__m256i>());
            // SAFETY: codes points to 32 bytes and query to 32 numbers of two bytes; loadu needs no alignment.
            unsafe {
                let low = _mm256_cvtepi8_epi16(_mm_loadu_si128(codes));
                let high = _mm256_cvtepi8_epi16(_mm_loadu_si128(codes.add(1)));
                first = _mm256_add_epi32(first, _mm256_madd_epi16(low, _mm256_loadu_si256(query)));
                second = _mm256_add_epi32(second, _mm256_madd_epi16(high, _mm256_loadu_si256(query.add(1))));
            }
        }
        let wide = _mm256_add_epi32(first, second);
        let half = _mm_add_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
        let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b0100_1110>(half));
        let eighth = _mm_add_epi32(quarter, _mm_shuffle_epi32::<0b1011_0001>(quarter));
        let mut rest = [0];
        scalar::dot_rows_i8(rest_row, rest_query, &mut rest);
        *sum = _mm_cvtsi128_si32(eighth).wrapping_add(rest[0]);
    }
}

/// As [`crate::hamming`]: bits are counted by looking up each half byte (Mula, Kurz, Lemire, "Faster Population Counts
/// Using AVX2 Instructions", 2018).
///
/// # Safety
/// - The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn hamming(a: &[u64], b: &[u64]) -> u64 {
    let counts = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let low_half = _mm256_set1_epi8(0x0f);
    let mut sum = _mm256_setzero_si256();
    let (wide_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<4>();
    let (wide_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<4>();
    for (a, b) in wide_a.iter().zip(wide_b) {
        let (a, b) = (a.as_ptr().cast::<__m256i>(), b.as_ptr().cast::<__m256i>());
        // SAFETY: a and b point to 32 bytes each; loadu needs no alignment.
        let differing = unsafe { _mm256_xor_si256(_mm256_loadu_si256(a), _mm256_loadu_si256(b)) };
        let low = _mm256_and_si256(differing, low_half);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(differing), low_half);
        let count = _mm256_add_epi8(
            _mm256_shuffle_epi8(counts, low),
            _mm256_shuffle_epi8(counts, high),
        );
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(count, _mm256_setzero_si256()));
    }
    let half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let quarter = _mm_add_epi64(half, _mm_unpackhi_epi64(half, half));
    _mm_cvtsi128_si64(quarter) as u64 + scalar::hamming(rest_a, rest_b)
}
