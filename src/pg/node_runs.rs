//! An executed plan: which nodes ran to their end, and how many rows they produced.
//!
//! A node's count is the size of its relation only when nothing stopped it: no LIMIT above it, no merge join that ran
//! out on the other side, no first match that was enough, no parameter from an outer row. Nodes that read all of their
//! input before giving a row (Sort, Hash, aggregates) make their input complete again. What a node gave before it was
//! stopped, or before an error ended the execution, is a lower bound.

use super::list;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use std::collections::{HashMap, HashSet};

/// The counts of one executed node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NodeRun {
    /// Whether each execution of it ran to its end.
    pub(crate) is_complete: bool,
    /// Rows of the relation: per loop, or over all workers where each reads a part.
    pub(crate) rows: f64,
    /// The relation has at least as many rows; 0 where the counts can't tell.
    pub(crate) least_rows: f64,
    /// Rows over all loops.
    pub(crate) total_rows: f64,
    /// Executions.
    pub(crate) loops: f64,
}

/// How an execution came to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The statement ran to its end.
    Finished,
    /// Nobody asked for more rows.
    Stopped,
    /// An error ended it: nodes may be anywhere in their work.
    Failed,
}

/// How far a node got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Each execution of it ran to its end.
    Whole,
    /// It may have been stopped: its rows are some of the relation's.
    Part,
    /// Its counts hold rows twice, or of several executions.
    Unclear,
}

impl Reach {
    fn whole_if(is_whole: bool) -> Self {
        if is_whole { Reach::Whole } else { Reach::Part }
    }
}

/// Ends the open loop of every node and reads all counts, by plan node id. Of a failed execution everything is only read,
/// and nothing called that could fail in turn.
pub(crate) fn read(query: *mut pg_sys::QueryDesc, ending: Ending) -> HashMap<i32, NodeRun> {
    let mut reader = Reader {
        runs: HashMap::new(),
        read_out: HashSet::new(),
        is_failed: ending == Ending::Failed,
        gather: None,
    };
    // SAFETY: called before ExecutorEnd, when the state tree of the query is complete; after an error its memory is there
    // until the transaction is aborted.
    unsafe {
        reader.node((*query).planstate, Reach::whole_if(ending == Ending::Finished));
        let subplans = (*(*query).estate).es_subplanstates;
        for subplan in list::pointers::<pg_sys::PlanState>(subplans).collect::<Vec<_>>() {
            let reach = Reach::whole_if(reader.read_out.contains(&subplan));
            reader.node(subplan, reach);
        }
    }
    reader.runs
}

struct Reader {
    runs: HashMap<i32, NodeRun>,
    /// CTE subplans that were read to their end.
    read_out: HashSet<*mut pg_sys::PlanState>,
    is_failed: bool,
    /// The parameter by which the Gather above starts its workers anew: what they share depends on it, and on nothing else by that.
    gather: Option<i32>,
}

/// What a node's instrumentation says.
struct Counts {
    total_rows: f64,
    loops: f64,
    /// Rows of the loop under way.
    latest_rows: f64,
}

impl Reader {
    /// Reads a subtree; returns whether it is partial: each worker produces a part of the relation.
    unsafe fn node(&mut self, state: *mut pg_sys::PlanState, reach: Reach) -> bool {
        // SAFETY: null or a valid state node; casts follow its tag.
        unsafe {
            if state.is_null() {
                return false;
            }
            let plan = (*state).plan;
            let tag = list::tag(state);
            let [left, right] = self.children_reach(tag, state, reach);
            let gather = rescan_param(tag, plan);
            let above = self.gather;
            self.gather = gather.or(above);
            let outer = self.node((*state).lefttree, left);
            let inner = self.node((*state).righttree, right);
            let others = self.others(tag, state, reach);
            self.gather = above;
            if tag == NodeTag::T_CteScanState {
                self.read_cte(state.cast());
            }
            let is_partial = gather.is_none() && ((*plan).parallel_aware || outer || inner || others);
            self.record(state, reach, is_partial);
            is_partial
        }
    }

    unsafe fn record(&mut self, state: *mut pg_sys::PlanState, reach: Reach, is_partial: bool) {
        // SAFETY: a valid state node.
        unsafe {
            let Some(counts) = self.counts(state) else { return };
            // Rows per outer row are no size of the relation.
            let parameters = list::members((*(*state).plan).extParam);
            let is_of_statement = |parameter: usize| self.gather != i32::try_from(parameter).ok();
            let parameterized = parameters.into_iter().any(is_of_statement);
            let rows = if is_partial || counts.loops < 1.0 {
                counts.total_rows
            } else {
                counts.total_rows / counts.loops
            };
            let says_nothing = reach == Reach::Unclear || parameterized;
            let run = NodeRun {
                is_complete: reach == Reach::Whole && counts.loops > 0.0 && !parameterized,
                rows,
                least_rows: if says_nothing {
                    0.0
                } else {
                    rows.max(counts.latest_rows)
                },
                total_rows: counts.total_rows,
                loops: counts.loops,
            };
            self.runs.insert((*(*state).plan).plan_node_id, run);
        }
    }

    /// Ends the open loop, unless an error did: PostgreSQL's own function raises one then.
    unsafe fn counts(&self, state: *mut pg_sys::PlanState) -> Option<Counts> {
        // SAFETY: a valid state; its instrumentation is null or valid.
        unsafe {
            let instrument = (*state).instrument;
            if instrument.is_null() {
                return None;
            }
            if !self.is_failed {
                pg_sys::InstrEndLoop(instrument);
            }
            let open = if (*instrument).running { 1.0 } else { 0.0 };
            Some(Counts {
                total_rows: (*instrument).ntuples + (*instrument).tuplecount,
                loops: (*instrument).nloops + open,
                latest_rows: (*instrument).tuplecount,
            })
        }
    }

    /// Children outside left and right; whether any is partial.
    unsafe fn others(&mut self, tag: NodeTag, state: *mut pg_sys::PlanState, reach: Reach) -> bool {
        // SAFETY: casts follow the tag; the arrays have the counted number of entries.
        unsafe {
            let array = |states: *mut *mut pg_sys::PlanState, count: i32| {
                if states.is_null() {
                    &[][..]
                } else {
                    core::slice::from_raw_parts(states, list::index(count))
                }
            };
            let children = match tag {
                NodeTag::T_AppendState => {
                    let append = state.cast::<pg_sys::AppendState>();
                    array((*append).appendplans, (*append).as_nplans)
                }
                NodeTag::T_MergeAppendState => {
                    let append = state.cast::<pg_sys::MergeAppendState>();
                    array((*append).mergeplans, (*append).ms_nplans)
                }
                NodeTag::T_BitmapAndState => {
                    let and = state.cast::<pg_sys::BitmapAndState>();
                    array((*and).bitmapplans, (*and).nplans)
                }
                NodeTag::T_BitmapOrState => {
                    let or = state.cast::<pg_sys::BitmapOrState>();
                    array((*or).bitmapplans, (*or).nplans)
                }
                NodeTag::T_SubqueryScanState => {
                    return self.node((*state.cast::<pg_sys::SubqueryScanState>()).subplan, reach);
                }
                NodeTag::T_CustomScanState => {
                    let custom = (*state.cast::<pg_sys::CustomScanState>()).custom_ps;
                    for child in list::pointers::<pg_sys::PlanState>(custom).collect::<Vec<_>>() {
                        self.node(child, Reach::Unclear);
                    }
                    return false;
                }
                _ => return false,
            };
            let shared = (*(*state).plan).parallel_aware;
            children
                .iter()
                .fold(shared, |partial, &child| self.node(child, reach) || partial)
        }
    }

    unsafe fn read_cte(&mut self, scan: *mut pg_sys::CteScanState) {
        // SAFETY: a valid scan; its leader is itself or another scan of the same CTE.
        unsafe {
            let leader = (*scan).leader;
            if !leader.is_null() && (*leader).eof_cte {
                self.read_out.insert((*leader).cteplanstate);
            }
        }
    }

    /// How far the left and right input of a node got, given how far the node itself got.
    unsafe fn children_reach(&self, tag: NodeTag, state: *mut pg_sys::PlanState, reach: Reach) -> [Reach; 2] {
        if reach == Reach::Unclear {
            return [reach; 2];
        }
        let is_complete = reach == Reach::Whole;
        // SAFETY: casts follow the tag.
        unsafe {
            let one = |is_whole| [Reach::whole_if(is_whole), Reach::Part];
            match tag {
                // What is known of this node is the leader's; each worker stops where it has enough.
                NodeTag::T_LimitState if self.gather.is_some() => [Reach::Part; 2],
                NodeTag::T_MaterialState if self.gather.is_some() => [reach; 2],
                NodeTag::T_LimitState => {
                    let limit = state.cast::<pg_sys::LimitState>();
                    let exhausted = (*limit).lstate == pg_sys::LimitStateCond::LIMIT_SUBPLANEOF;
                    one(is_complete && exhausted)
                }
                NodeTag::T_SortState => one((*state.cast::<pg_sys::SortState>()).sort_Done),
                NodeTag::T_AggState => one(aggregated(state.cast(), is_complete)),
                NodeTag::T_MaterialState => one((*state.cast::<pg_sys::MaterialState>()).eof_underlying),
                NodeTag::T_HashJoinState => self.hash_join_reach(state.cast(), is_complete),
                // Started anew for each outer row, a partial plan's counts can't be told apart.
                NodeTag::T_GatherState | NodeTag::T_GatherMergeState => {
                    let is_once = self.counts(state).is_none_or(|counts| counts.loops <= 1.0);
                    [if is_once { reach } else { Reach::Unclear }, Reach::Part]
                }
                NodeTag::T_MergeJoinState => [Reach::Part, merged_reach((*state).righttree)],
                // Since 18 it has two inputs, of which it need not read the second one to its end.
                NodeTag::T_SetOpState => one(is_complete),
                NodeTag::T_NestLoopState => {
                    let join = state.cast::<pg_sys::NestLoopState>();
                    [reach, Reach::whole_if(is_complete && !(*join).js.single_match)]
                }
                _ => [reach; 2],
            }
        }
    }

    /// A hash table is built from all of its input or not at all, unless an error came in between.
    unsafe fn hash_join_reach(&self, join: *mut pg_sys::HashJoinState, is_complete: bool) -> [Reach; 2] {
        // SAFETY: a valid state.
        unsafe {
            let fills_outer = !(*join).hj_NullInnerTupleSlot.is_null();
            let inner_rows = rows_of((*join).js.ps.righttree);
            let is_building = self.is_failed && (*join).hj_JoinState == HASH_TABLE_TO_BUILD;
            // With an empty hash table the outer side is not read.
            let outer = Reach::whole_if(is_complete && (fills_outer || inner_rows > 0.0));
            [outer, Reach::whole_if(!is_building)]
        }
    }
}

/// The parameter of a Gather or Gather Merge that stands for a new start of its workers (SS_finalize_plan of subselect.c).
unsafe fn rescan_param(tag: NodeTag, plan: *mut pg_sys::Plan) -> Option<i32> {
    // SAFETY: a valid plan node; casts follow the tag of its state.
    unsafe {
        match tag {
            NodeTag::T_GatherState => Some((*plan.cast::<pg_sys::Gather>()).rescan_param),
            NodeTag::T_GatherMergeState => Some((*plan.cast::<pg_sys::GatherMerge>()).rescan_param),
            _ => None,
        }
    }
}

/// `HJ_BUILD_HASHTABLE` of nodeHashjoin.c.
const HASH_TABLE_TO_BUILD: i32 = 1;

/// How far the inner side of a merge join got: to where the outer side ended. A node that goes back to a mark by itself
/// gives rows twice; Sort and Material have what is below them read once.
unsafe fn merged_reach(inner: *mut pg_sys::PlanState) -> Reach {
    // SAFETY: null or a valid state.
    let keeps = !inner.is_null()
        && [NodeTag::T_SortState, NodeTag::T_MaterialState].contains(&unsafe { list::tag(inner) });
    if keeps { Reach::Part } else { Reach::Unclear }
}

/// Whether an aggregate has read all of its input.
unsafe fn aggregated(agg: *mut pg_sys::AggState, is_complete: bool) -> bool {
    // SAFETY: a valid state.
    unsafe {
        match (*agg).aggstrategy {
            pg_sys::AggStrategy::AGG_HASHED => (*agg).table_filled,
            pg_sys::AggStrategy::AGG_PLAIN => (*agg).agg_done,
            _ => is_complete,
        }
    }
}

unsafe fn rows_of(state: *mut pg_sys::PlanState) -> f64 {
    // SAFETY: null or a valid state.
    unsafe {
        let instrument = state
            .as_ref()
            .map_or(core::ptr::null_mut(), |state| state.instrument);
        instrument
            .as_ref()
            .map_or(0.0, |counts| counts.ntuples + counts.tuplecount)
    }
}
