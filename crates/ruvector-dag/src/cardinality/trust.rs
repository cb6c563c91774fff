//! How far a learned row count is still believed: by how much its tables changed since it was measured.

/// Changed share of the tables at which half of the belief is left: PostgreSQL's own threshold for a new ANALYZE
/// (`autovacuum_analyze_scale_factor`).
const HALF_LIFE: f64 = 0.1;
/// Below this a learned count is dropped.
const LEAST: f64 = 0.1;

/// Belief in (0, 1] after `changed` of `total` rows were inserted, updated or deleted; `None` when it is too stale to
/// use. An empty table counts as one row.
pub fn trust(changed: f64, total: f64) -> Option<f64> {
    let share = changed.max(0.0) / total.max(1.0);
    let belief = 0.5f64.powf(share / HALF_LIFE);
    (belief >= LEAST).then_some(belief)
}

/// The row count to plan with: the geometric mean of the learned and the estimated count, weighted by the belief in
/// the learned one. Both are clamped to at least one row, as the planner does.
pub fn blend(estimated: f64, learned: f64, belief: f64) -> f64 {
    let (estimated, learned) = (estimated.max(1.0), learned.max(1.0));
    if belief >= 1.0 {
        learned
    } else {
        (learned.ln() * belief + estimated.ln() * (1.0 - belief)).exp()
    }
}

/// Whether two row counts differ by enough (more than a tenth) to make a plan anew.
pub fn is_material(before: f64, after: f64) -> bool {
    let (before, after) = (before.max(1.0), after.max(1.0));
    before.max(after) / before.min(after) > 1.1
}
