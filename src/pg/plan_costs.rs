//! What PostgreSQL estimates a finished plan to spend, by kind of operator.

use super::list;
use engine::decision::{OperatorKind, PlanCosts};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// Reads a finished plan. What subplans cost is part of the operators that run them.
pub(super) unsafe fn of(stmt: *const pg_sys::PlannedStmt, uses_jit: bool) -> PlanCosts {
    let mut costs = PlanCosts::of_start(uses_jit);
    // SAFETY: the planner's result, complete and in memory.
    unsafe { spend(&mut costs, (*stmt).planTree, 1.0) };
    costs
}

/// Adds a share of an operator and of what it reads.
unsafe fn spend(costs: &mut PlanCosts, plan: *const pg_sys::Plan, share: f64) {
    // SAFETY: `plan` is null or a valid plan node; casts follow its tag.
    unsafe {
        let Some(node) = plan.as_ref() else { return };
        let (kind, inputs) = match list::tag(plan) {
            NodeTag::T_NestLoop => match lookup(node.righttree) {
                Some(kind) => (kind, vec![node.lefttree]),
                None => (OperatorKind::Loop, vec![node.lefttree, node.righttree]),
            },
            // The bitmap is part of it.
            NodeTag::T_BitmapHeapScan => (OperatorKind::BitmapScan, Vec::new()),
            tag => (kind_of(tag), inputs(tag, node)),
        };
        let total = |input: &*mut pg_sys::Plan| input.as_ref().map_or(0.0, |input| input.total_cost);
        let of_inputs = inputs.iter().map(total).sum();
        let share = costs.spend(kind, share, node.total_cost, of_inputs);
        for input in inputs {
            spend(costs, input, share);
        }
    }
}

/// What a nested loop is that looks up its inner rows by an index; `None` of another one.
unsafe fn lookup(inner: *const pg_sys::Plan) -> Option<OperatorKind> {
    // SAFETY: as the caller's.
    unsafe {
        let inner = inner.as_ref()?;
        match list::tag(inner) {
            NodeTag::T_Memoize => lookup(inner.lefttree).map(|_| OperatorKind::MemoizedLoop),
            NodeTag::T_IndexScan | NodeTag::T_IndexOnlyScan | NodeTag::T_BitmapHeapScan => {
                Some(OperatorKind::IndexedLoop)
            }
            _ => None,
        }
    }
}

unsafe fn inputs(tag: NodeTag, node: &pg_sys::Plan) -> Vec<*mut pg_sys::Plan> {
    let plan = core::ptr::from_ref(node);
    // SAFETY: casts follow the tag.
    unsafe {
        match tag {
            NodeTag::T_Append => list::pointers((*plan.cast::<pg_sys::Append>()).appendplans).collect(),
            NodeTag::T_MergeAppend => {
                list::pointers((*plan.cast::<pg_sys::MergeAppend>()).mergeplans).collect()
            }
            NodeTag::T_SubqueryScan => vec![(*plan.cast::<pg_sys::SubqueryScan>()).subplan],
            _ => [node.lefttree, node.righttree]
                .into_iter()
                .filter(|input| !input.is_null())
                .collect(),
        }
    }
}

fn kind_of(tag: NodeTag) -> OperatorKind {
    match tag {
        NodeTag::T_SeqScan => OperatorKind::SeqScan,
        NodeTag::T_IndexScan => OperatorKind::IndexScan,
        NodeTag::T_IndexOnlyScan => OperatorKind::IndexOnlyScan,
        NodeTag::T_HashJoin => OperatorKind::HashJoin,
        NodeTag::T_MergeJoin => OperatorKind::MergeJoin,
        NodeTag::T_Sort | NodeTag::T_IncrementalSort => OperatorKind::Sort,
        NodeTag::T_Material => OperatorKind::Materialize,
        NodeTag::T_Agg | NodeTag::T_Group | NodeTag::T_WindowAgg | NodeTag::T_Unique | NodeTag::T_SetOp => {
            OperatorKind::Aggregate
        }
        _ => OperatorKind::Other,
    }
}
