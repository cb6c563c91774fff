//! The operators of a finished plan, as its costs are read.

use super::{list, operators};
use engine::OperatorType;
use engine::decision::{Compilation, CostedOperator, PlanCosts};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// What PostgreSQL estimates a finished plan to spend.
pub(super) unsafe fn of(stmt: *const pg_sys::PlannedStmt) -> PlanCosts {
    // SAFETY: the planner's result, complete and in memory; its plan tree is a valid node.
    unsafe { PlanCosts::of_plan(&Node(&*(*stmt).planTree), compilation(&*stmt)) }
}

/// How a finished plan is compiled.
pub(super) fn compilation(stmt: &pg_sys::PlannedStmt) -> Compilation {
    let is_set = |flags: u32| stmt.jitFlags as u32 & flags != 0;
    if !is_set(pg_sys::PGJIT_PERFORM) {
        Compilation::Off
    } else if is_set(pg_sys::PGJIT_OPT3 | pg_sys::PGJIT_INLINE) {
        Compilation::Optimized
    } else {
        Compilation::Quick
    }
}

/// A valid node of a finished plan, whose inputs are such nodes.
struct Node<'p>(&'p pg_sys::Plan);

impl CostedOperator for Node<'_> {
    fn operator_type(&self) -> OperatorType {
        // SAFETY: a valid node.
        operators::operator_type(unsafe { list::tag(self.0) })
    }

    fn total_cost(&self) -> f64 {
        self.0.total_cost
    }

    fn inputs(&self) -> Vec<Self> {
        let plan = core::ptr::from_ref(self.0);
        // SAFETY: a valid node; casts follow its tag.
        unsafe {
            let inputs: Vec<*mut pg_sys::Plan> = match list::tag(plan) {
                NodeTag::T_Append => list::pointers((*plan.cast::<pg_sys::Append>()).appendplans).collect(),
                NodeTag::T_MergeAppend => {
                    list::pointers((*plan.cast::<pg_sys::MergeAppend>()).mergeplans).collect()
                }
                NodeTag::T_SubqueryScan => vec![(*plan.cast::<pg_sys::SubqueryScan>()).subplan],
                _ => vec![self.0.lefttree, self.0.righttree],
            };
            let inputs = inputs.into_iter().filter_map(|input| input.as_ref());
            inputs.map(Node).collect()
        }
    }
}
