//! The twins: what every other variant must give. Plain loops, in order.

/// As [`crate::dot`].
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// As [`crate::dot_f64`].
pub fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// As [`crate::axpy`].
pub fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// As [`crate::dot_rows_i8`].
pub fn dot_rows_i8(rows: &[i8], query: &[i16], sums: &mut [i32]) {
    if query.is_empty() {
        sums.fill(0);
        return;
    }
    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(query.len())) {
        let products = row.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b));
        *sum = products.fold(0, i32::wrapping_add);
    }
}

/// As [`crate::hamming`].
pub fn hamming(a: &[u64], b: &[u64]) -> u64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| u64::from((a ^ b).count_ones()))
        .sum()
}
