//! Whether what was counted before contradicts what a plan was estimated with, so that its forms are to be compared by the
//! counts.

use super::WORTHWHILE_COST;
use crate::pg::plan_tree::PlanFacts;
use crate::steer::rows;
use engine::cardinality::is_material;

/// Whether any relation of a plan was counted to have clearly more or fewer rows than it is planned with, and the plan may cost enough
/// for its forms to matter, being dearer by as much as it was worst estimated.
pub(crate) fn contradicts(facts: &PlanFacts) -> bool {
    let (mut is_contradicted, mut dearer) = (false, 1.0_f64);
    for node in &facts.counted {
        if let Some(known) = rows::counted(&node.subject) {
            let rows = known.correction.rows;
            is_contradicted |= is_material(node.planned, rows);
            dearer = dearer.max(rows / node.planned.max(1.0));
        }
    }
    is_contradicted && facts.total_cost * dearer >= WORTHWHILE_COST
}
