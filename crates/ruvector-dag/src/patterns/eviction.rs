//! What fades and what goes first.
//!
//! - Decay: a confidence halves with every half-life, `c(t) = c · 2^(−Δt / half-life)`; decaying in one step or in many is
//!   the same. Pinned patterns keep theirs.
//! - Eviction: the pattern of the least worth goes first, `confidence · ln(2 + uses) · 2^(−idle / half-life)`: what is
//!   little known, little used and long unused. Frequency with ageing as in LRFU (Lee et al., "LRFU: A Spectrum of
//!   Policies that Subsumes the Least Recently Used and Least Frequently Used Policies", 2001), times how well it is
//!   known. Comparing needs no clock: the age factors of two patterns have the same ratio at any time.

use super::Pattern;
use std::cmp::Ordering;

/// Lets the confidence fade up to `now_us`; an earlier time than that it is of changes nothing.
pub(super) fn decay(pattern: &mut Pattern, now_us: u64, half_life_us: u64) {
    if now_us <= pattern.confidence_at_us {
        return;
    }
    if !pattern.is_pinned {
        let elapsed = (now_us - pattern.confidence_at_us) as f64;
        pattern.confidence *= (-elapsed / half_life_us.max(1) as f64).exp2() as f32;
    }
    pattern.confidence_at_us = now_us;
}

/// The order in which patterns go: the least worth first, equal ones by number.
pub(super) fn by_worth(a: &Pattern, b: &Pattern, half_life_us: u64) -> Ordering {
    let worth = |pattern: &Pattern| log_worth(pattern, half_life_us);
    worth(a).total_cmp(&worth(b)).then(a.id.cmp(&b.id))
}

/// The binary logarithm of the worth at time 0, as if it went backwards until then.
fn log_worth(pattern: &Pattern, half_life_us: u64) -> f64 {
    let half_life = half_life_us.max(1) as f64;
    let confidence = f64::from(pattern.confidence.max(f32::MIN_POSITIVE)).log2()
        + pattern.confidence_at_us as f64 / half_life;
    let use_count = (2.0 + pattern.uses as f64).ln().log2();
    confidence + use_count + pattern.used_us as f64 / half_life
}
