//! Stage 8 of 9, learning: the normal distribution.

/// P(Z < z), to 7.5e-8 (Abramowitz and Stegun 1964, 26.2.17).
pub(crate) fn cumulative(z: f64) -> f64 {
    const TERMS: [f64; 5] = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let above = (density * polynomial).clamp(0.0, 1.0);
    if z >= 0.0 { 1.0 - above } else { above }
}
