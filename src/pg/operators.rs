//! A started plan as a flat list of operators: what EXPLAIN would say of each node, read from the state tree.

use super::{catalog, list};
use core::ffi::CStr;
use engine::OperatorType;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// One plan node.
#[derive(Debug, Clone, Default)]
pub(crate) struct OperatorView {
    pub(crate) plan_node_id: i32,
    /// EXPLAIN's "Node Type".
    pub(crate) name: &'static str,
    /// How far below the result.
    pub(crate) depth: usize,
    /// "InitPlan 1 (returns $0)", "CTE x", …: set on the root of a subplan.
    pub(crate) subplan_name: Option<String>,
    /// Positions in the list of the operators that feed this one, outer before inner.
    pub(crate) inputs: Vec<usize>,
    pub(crate) relation: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) index: Option<String>,
    /// What it is more exactly than its name says: a scan of pgvector's indexes.
    pub(crate) vector_scan: Option<OperatorType>,
    /// The CTE a CTE Scan reads.
    pub(crate) cte: Option<String>,
    pub(crate) join_type: Option<&'static str>,
    pub(crate) rows: f64,
    pub(crate) startup_cost: f64,
    pub(crate) total_cost: f64,
    pub(crate) width: i32,
    pub(crate) workers: u32,
}

/// The operators of a started execution, the result first, in EXPLAIN's order.
pub(crate) fn read(query: *mut pg_sys::QueryDesc) -> Vec<OperatorView> {
    // SAFETY: called between ExecutorStart and ExecutorEnd.
    unsafe {
        let mut reader = Reader {
            rtable: (*(*query).plannedstmt).rtable,
            operators: Vec::new(),
        };
        reader.node((*query).planstate, 0, None);
        reader.operators
    }
}

struct Reader {
    rtable: *mut pg_sys::List,
    operators: Vec<OperatorView>,
}

impl Reader {
    unsafe fn node(
        &mut self,
        state: *mut pg_sys::PlanState,
        depth: usize,
        subplan_name: Option<String>,
    ) -> usize {
        // SAFETY: a valid state node; casts follow the plan's tag.
        unsafe {
            let plan = (*state).plan;
            let position = self.operators.len();
            let view = OperatorView {
                depth,
                subplan_name,
                ..self.describe(plan)
            };
            self.operators.push(view);
            let mut inputs = self.subplans((*state).initPlan, depth + 1);
            for child in [(*state).lefttree, (*state).righttree] {
                if !child.is_null() {
                    inputs.push(self.node(child, depth + 1, None));
                }
            }
            for child in members(state) {
                inputs.push(self.node(child, depth + 1, None));
            }
            inputs.extend(self.subplans((*state).subPlan, depth + 1));
            self.operators[position].inputs = inputs;
            position
        }
    }

    unsafe fn subplans(&mut self, subplans: *mut pg_sys::List, depth: usize) -> Vec<usize> {
        // SAFETY: a list of SubPlanStates whose plan states are valid.
        unsafe {
            let states: Vec<*mut pg_sys::SubPlanState> = list::pointers(subplans).collect();
            let started = states.into_iter().filter(|&state| !(*state).planstate.is_null());
            started
                .map(|state| {
                    let name = (*(*state).subplan).plan_name;
                    let name = (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned());
                    self.node((*state).planstate, depth, name)
                })
                .collect()
        }
    }

    unsafe fn describe(&self, plan: *mut pg_sys::Plan) -> OperatorView {
        // SAFETY: a valid plan node.
        unsafe {
            let tag = list::tag(plan);
            let mut view = OperatorView {
                plan_node_id: (*plan).plan_node_id,
                name: name(tag),
                rows: (*plan).plan_rows,
                startup_cost: (*plan).startup_cost,
                total_cost: (*plan).total_cost,
                width: (*plan).plan_width,
                ..OperatorView::default()
            };
            self.describe_source(tag, plan, &mut view);
            view
        }
    }

    unsafe fn describe_source(&self, tag: NodeTag, plan: *mut pg_sys::Plan, view: &mut OperatorView) {
        // SAFETY: casts follow the tag.
        unsafe {
            match tag {
                NodeTag::T_NestLoop | NodeTag::T_HashJoin | NodeTag::T_MergeJoin => {
                    view.join_type = Some(join_type((*plan.cast::<pg_sys::Join>()).jointype));
                }
                NodeTag::T_Gather => view.workers = (*plan.cast::<pg_sys::Gather>()).num_workers as u32,
                NodeTag::T_GatherMerge => {
                    view.workers = (*plan.cast::<pg_sys::GatherMerge>()).num_workers as u32
                }
                NodeTag::T_BitmapIndexScan => {
                    view.index = catalog::relation_name((*plan.cast::<pg_sys::BitmapIndexScan>()).indexid);
                }
                _ if is_scan(tag) => self.describe_scan(tag, plan, view),
                _ => {}
            }
        }
    }

    unsafe fn describe_scan(&self, tag: NodeTag, plan: *mut pg_sys::Plan, view: &mut OperatorView) {
        // SAFETY: casts follow the tag; a scan's index is within the flattened range table, 0 for joins pushed down.
        unsafe {
            let rtindex = (*plan.cast::<pg_sys::Scan>()).scanrelid as usize;
            let Some(at) = rtindex.checked_sub(1) else { return };
            let Some(entry) = list::pointers::<pg_sys::RangeTblEntry>(self.rtable).nth(at) else {
                return;
            };
            if (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION {
                view.relation = catalog::relation_name((*entry).relid);
            }
            if !(*entry).eref.is_null() && !(*(*entry).eref).aliasname.is_null() {
                view.alias = Some(
                    CStr::from_ptr((*(*entry).eref).aliasname)
                        .to_string_lossy()
                        .into_owned(),
                );
            }
            if tag == NodeTag::T_CteScan && !(*entry).ctename.is_null() {
                view.cte = Some(CStr::from_ptr((*entry).ctename).to_string_lossy().into_owned());
            }
            view.index = match tag {
                NodeTag::T_IndexScan => {
                    let index = (*plan.cast::<pg_sys::IndexScan>()).indexid;
                    let method = catalog::added_access_method(index);
                    view.vector_scan = method.and_then(|method| OperatorType::of_vector_index(&method));
                    catalog::relation_name(index)
                }
                NodeTag::T_IndexOnlyScan => {
                    catalog::relation_name((*plan.cast::<pg_sys::IndexOnlyScan>()).indexid)
                }
                _ => None,
            };
        }
    }
}

/// Children outside left and right.
pub(super) unsafe fn members(state: *mut pg_sys::PlanState) -> Vec<*mut pg_sys::PlanState> {
    // SAFETY: casts follow the tag; the arrays have the counted number of entries.
    unsafe {
        let (states, count) = match list::tag(state) {
            NodeTag::T_AppendState => {
                let append = state.cast::<pg_sys::AppendState>();
                ((*append).appendplans, (*append).as_nplans)
            }
            NodeTag::T_MergeAppendState => {
                let append = state.cast::<pg_sys::MergeAppendState>();
                ((*append).mergeplans, (*append).ms_nplans)
            }
            NodeTag::T_BitmapAndState => {
                let and = state.cast::<pg_sys::BitmapAndState>();
                ((*and).bitmapplans, (*and).nplans)
            }
            NodeTag::T_BitmapOrState => {
                let or = state.cast::<pg_sys::BitmapOrState>();
                ((*or).bitmapplans, (*or).nplans)
            }
            NodeTag::T_SubqueryScanState => {
                return vec![(*state.cast::<pg_sys::SubqueryScanState>()).subplan];
            }
            NodeTag::T_CustomScanState => {
                return list::pointers((*state.cast::<pg_sys::CustomScanState>()).custom_ps).collect();
            }
            _ => return Vec::new(),
        };
        (0..list::index(count)).map(|at| *states.add(at)).collect()
    }
}

fn join_type(kind: pg_sys::JoinType::Type) -> &'static str {
    match kind {
        pg_sys::JoinType::JOIN_LEFT => "Left",
        pg_sys::JoinType::JOIN_FULL => "Full",
        pg_sys::JoinType::JOIN_RIGHT => "Right",
        pg_sys::JoinType::JOIN_SEMI => "Semi",
        pg_sys::JoinType::JOIN_ANTI => "Anti",
        pg_sys::JoinType::JOIN_INNER => "Inner",
        other => super::compat::newer_join_type(other),
    }
}

fn is_scan(tag: NodeTag) -> bool {
    name(tag).ends_with("Scan")
}

/// What a plan node is.
pub(super) fn operator_type(tag: NodeTag) -> OperatorType {
    OperatorType::from_name(name(tag)).unwrap_or(OperatorType::CustomScan)
}

/// EXPLAIN's name of a plan node (explain.c, ExplainNode).
fn name(tag: NodeTag) -> &'static str {
    match tag {
        NodeTag::T_Result => "Result",
        NodeTag::T_ProjectSet => "ProjectSet",
        NodeTag::T_ModifyTable => "ModifyTable",
        NodeTag::T_Append => "Append",
        NodeTag::T_MergeAppend => "Merge Append",
        NodeTag::T_RecursiveUnion => "Recursive Union",
        NodeTag::T_BitmapAnd => "BitmapAnd",
        NodeTag::T_BitmapOr => "BitmapOr",
        NodeTag::T_NestLoop => "Nested Loop",
        NodeTag::T_MergeJoin => "Merge Join",
        NodeTag::T_HashJoin => "Hash Join",
        NodeTag::T_SeqScan => "Seq Scan",
        NodeTag::T_SampleScan => "Sample Scan",
        NodeTag::T_Gather => "Gather",
        NodeTag::T_GatherMerge => "Gather Merge",
        NodeTag::T_IndexScan => "Index Scan",
        NodeTag::T_IndexOnlyScan => "Index Only Scan",
        NodeTag::T_BitmapIndexScan => "Bitmap Index Scan",
        NodeTag::T_BitmapHeapScan => "Bitmap Heap Scan",
        NodeTag::T_TidScan => "Tid Scan",
        NodeTag::T_TidRangeScan => "Tid Range Scan",
        NodeTag::T_SubqueryScan => "Subquery Scan",
        NodeTag::T_FunctionScan => "Function Scan",
        NodeTag::T_TableFuncScan => "Table Function Scan",
        NodeTag::T_ValuesScan => "Values Scan",
        NodeTag::T_CteScan => "CTE Scan",
        NodeTag::T_NamedTuplestoreScan => "Named Tuplestore Scan",
        NodeTag::T_WorkTableScan => "WorkTable Scan",
        NodeTag::T_ForeignScan => "Foreign Scan",
        NodeTag::T_CustomScan => "Custom Scan",
        NodeTag::T_Material => "Materialize",
        NodeTag::T_Memoize => "Memoize",
        NodeTag::T_Sort => "Sort",
        NodeTag::T_IncrementalSort => "Incremental Sort",
        NodeTag::T_Group => "Group",
        NodeTag::T_Agg => "Aggregate",
        NodeTag::T_WindowAgg => "WindowAgg",
        NodeTag::T_Unique => "Unique",
        NodeTag::T_SetOp => "SetOp",
        NodeTag::T_LockRows => "LockRows",
        NodeTag::T_Limit => "Limit",
        NodeTag::T_Hash => "Hash",
        _ => "???",
    }
}
