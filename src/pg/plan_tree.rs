//! The finished plan: its shape, and which of its nodes produce which relation of which query level.
//!
//! A relation is known by the set of base relations below a node: a scan's own, and for a join the union of its inputs.
//! Range-table entries of the flattened plan are traced back to their query level by the `eref` they share with the
//! entry they were copied from, so sub-levels need no offsets.

use super::level::{Level, Part, Subject};
use super::sub_join::{Sketched, SketchedSet};
use super::{groups, list, plan_costs};
use engine::cardinality::hash_words;
use engine::decision::{Compilation, METHODS, PlanCosts, PlanSketch};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use std::collections::{BTreeSet, HashMap};

/// Marks our item among a plan's invalidation items: no catalog cache has a negative number, so it never matches, and
/// it is copied with the plan (into the plan cache, too).
const TOKEN_CACHE_ID: i32 = -0x5256;

/// A plan node whose row count, when complete, is the size of a relation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    pub(crate) plan_node_id: i32,
    pub(crate) subject: Subject,
    /// PostgreSQL's own estimate.
    pub(crate) estimated: f64,
    /// What it was planned with: the estimate, or the learned count.
    pub(crate) planned: f64,
    /// What the row model is told of it, if it is to be told.
    pub(crate) sketched: Option<SketchedSet>,
}

/// What is remembered of a plan until it runs.
#[derive(Debug, Default)]
pub(crate) struct PlanFacts {
    /// Fingerprint of operators, relations, indexes, join types and parallelism; without costs and literals.
    pub(crate) shape: u64,
    pub(crate) total_cost: f64,
    /// Parallel workers take part.
    pub(crate) is_parallel: bool,
    /// It is compiled just in time.
    pub(crate) uses_jit: bool,
    /// The join and scan methods it uses, as bits of [`METHODS`](engine::decision::METHODS).
    pub(crate) methods: u32,
    /// Its operators and what they read, to compare plans by.
    pub(crate) operators: PlanSketch,
    /// What it is estimated to spend, by kind of operator.
    pub(crate) costs: PlanCosts,
    /// OIDs of all relations that it may read, ascending; none where it writes: how often its table changed is known afterwards.
    pub(crate) tables: Vec<u32>,
    pub(crate) counted: Vec<Counted>,
    /// The query levels of what is counted; empty when nobody asks.
    pub(crate) sketches: Vec<Sketched>,
}

/// Reads a finished plan against the levels it was planned from, with sketches of them if asked for.
pub(crate) fn read(stmt: *mut pg_sys::PlannedStmt, levels: &[Level], with_sketches: bool) -> PlanFacts {
    // SAFETY: the planner's result, complete and in memory; planning memory is still alive.
    unsafe {
        let mut reader = Reader {
            levels,
            is_parallel: (*stmt).parallelModeNeeded,
            entries: entries(stmt, levels),
            counted: Vec::new(),
            methods: 0,
            operators: Vec::new(),
            with_sketches,
            sketches: Vec::new(),
            sketched: HashMap::new(),
        };
        let (mut shape, _) = reader.node((*stmt).planTree);
        for subplan in list::pointers::<pg_sys::Plan>((*stmt).subplans) {
            let (part, _) = reader.node(subplan);
            shape = hash_words([shape, part]);
        }
        let uses_jit = plan_costs::compilation(&*stmt) != Compilation::Off;
        if uses_jit {
            shape = hash_words([shape, u64::from(pg_sys::PGJIT_PERFORM)]);
        }
        PlanFacts {
            uses_jit,
            shape: shape.max(1),
            total_cost: (*(*stmt).planTree).total_cost,
            is_parallel: (*stmt).parallelModeNeeded,
            methods: reader.methods,
            operators: PlanSketch::of(reader.operators),
            costs: plan_costs::of(stmt),
            tables: match (*stmt).commandType {
                pg_sys::CmdType::CMD_SELECT => tables(&reader.entries),
                _ => Vec::new(),
            },
            counted: reader.counted,
            sketches: reader.sketches,
        }
    }
}

/// A part of one level: the level's number and the part.
type Place = (usize, Part);

/// For each entry of the flattened range table, its OID and place.
unsafe fn entries(stmt: *mut pg_sys::PlannedStmt, levels: &[Level]) -> Vec<(u32, Option<Place>)> {
    // SAFETY: the plan's own list.
    unsafe {
        list::pointers::<pg_sys::RangeTblEntry>((*stmt).rtable)
            .map(|entry| {
                let place = |(number, level): (usize, &Level)| Some((number, level.part_of_entry(entry)?));
                ((*entry).relid.to_u32(), levels.iter().enumerate().find_map(place))
            })
            .collect()
    }
}

fn tables(entries: &[(u32, Option<Place>)]) -> Vec<u32> {
    let relations = entries.iter().map(|&(relid, _)| relid);
    let known: BTreeSet<u32> = relations.filter(|&relid| relid != 0).collect();
    known.into_iter().collect()
}

struct Reader<'l> {
    levels: &'l [Level],
    is_parallel: bool,
    entries: Vec<(u32, Option<Place>)>,
    counted: Vec<Counted>,
    methods: u32,
    operators: Vec<u64>,
    with_sketches: bool,
    sketches: Vec<Sketched>,
    /// Where the sketch of a level, or of a child in it, is.
    sketched: HashMap<(usize, Option<usize>), usize>,
}

impl Reader<'_> {
    /// The shape of a subtree and the relation it produces.
    unsafe fn node(&mut self, plan: *mut pg_sys::Plan) -> (u64, Option<Place>) {
        // SAFETY: `plan` is null or a valid plan node; casts follow its tag.
        unsafe {
            if plan.is_null() {
                return (0, None);
            }
            let tag = list::tag(plan);
            self.methods |= method(tag);
            let (left, outer) = self.node((*plan).lefttree);
            let (right, inner) = self.node((*plan).righttree);
            let (others, appended) = self.others(tag, plan);
            let groups = groups::made_by(plan, outer, self.levels, self.is_parallel);
            let place = match tag {
                _ if is_relation_scan(tag) || tag == NodeTag::T_SubqueryScan => {
                    self.entry((*plan.cast::<pg_sys::Scan>()).scanrelid).1
                }
                NodeTag::T_NestLoop | NodeTag::T_HashJoin | NodeTag::T_MergeJoin => union(outer, inner),
                NodeTag::T_Append | NodeTag::T_MergeAppend => appended,
                _ => groups.or(outer),
            };
            let read = is_relation_scan(tag).then(|| self.entry((*plan.cast::<pg_sys::Scan>()).scanrelid).0);
            self.operators
                .push(hash_words([tag_number(tag), u64::from(read.unwrap_or(0))]));
            if counts_a_relation(tag) || groups.is_some() {
                self.count(plan, place);
            }
            let words = [
                tag_number(tag),
                detail(tag, plan),
                self.scanned(tag, plan),
                left,
                right,
                others,
            ];
            (hash_words(words), place)
        }
    }

    fn entry(&self, rtindex: u32) -> (u32, Option<Place>) {
        (rtindex as usize)
            .checked_sub(1)
            .and_then(|at| self.entries.get(at))
            .copied()
            .unwrap_or((0, None))
    }

    /// The relation (and index) a scan reads, for the shape.
    unsafe fn scanned(&self, tag: NodeTag, plan: *mut pg_sys::Plan) -> u64 {
        // SAFETY: casts follow the tag.
        unsafe {
            let index = match tag {
                NodeTag::T_IndexScan => (*plan.cast::<pg_sys::IndexScan>()).indexid,
                NodeTag::T_IndexOnlyScan => (*plan.cast::<pg_sys::IndexOnlyScan>()).indexid,
                NodeTag::T_BitmapIndexScan => (*plan.cast::<pg_sys::BitmapIndexScan>()).indexid,
                _ => pg_sys::InvalidOid,
            };
            let rtindex = if is_relation_scan(tag) {
                (*plan.cast::<pg_sys::Scan>()).scanrelid
            } else {
                0
            };
            hash_words([
                u64::from(self.entry(rtindex).0),
                u64::from(rtindex),
                u64::from(index.to_u32()),
            ])
        }
    }

    /// Children outside left and right, and what an Append collects.
    unsafe fn others(&mut self, tag: NodeTag, plan: *mut pg_sys::Plan) -> (u64, Option<Place>) {
        // SAFETY: casts follow the tag.
        unsafe {
            let (children, relids) = match tag {
                NodeTag::T_Append => {
                    let append = plan.cast::<pg_sys::Append>();
                    ((*append).appendplans, (*append).apprelids)
                }
                NodeTag::T_MergeAppend => {
                    let append = plan.cast::<pg_sys::MergeAppend>();
                    ((*append).mergeplans, (*append).apprelids)
                }
                NodeTag::T_BitmapAnd => (
                    (*plan.cast::<pg_sys::BitmapAnd>()).bitmapplans,
                    core::ptr::null_mut(),
                ),
                NodeTag::T_BitmapOr => (
                    (*plan.cast::<pg_sys::BitmapOr>()).bitmapplans,
                    core::ptr::null_mut(),
                ),
                NodeTag::T_CustomScan => (
                    (*plan.cast::<pg_sys::CustomScan>()).custom_plans,
                    core::ptr::null_mut(),
                ),
                NodeTag::T_SubqueryScan => {
                    return (self.node((*plan.cast::<pg_sys::SubqueryScan>()).subplan).0, None);
                }
                _ => return (0, None),
            };
            let shapes: Vec<u64> = list::pointers(children).map(|child| self.node(child).0).collect();
            let places = list::members(relids).map(|rtindex| self.entry(rtindex as u32).1);
            let place = places.reduce(union).flatten();
            (hash_words(shapes), place)
        }
    }

    unsafe fn count(&mut self, plan: *const pg_sys::Plan, place: Option<Place>) {
        let Some((number, part)) = place else { return };
        let Some(level) = self.levels.get(number) else {
            return;
        };
        let (Some(subject), Some((estimated, planned))) = (level.subject(part), level.rows(part)) else {
            return;
        };
        // SAFETY: a valid plan node.
        let plan_node_id = unsafe { (*plan).plan_node_id };
        let sketched = self.sketch(number, part);
        self.counted.push(Counted {
            plan_node_id,
            subject,
            estimated,
            planned,
            sketched,
        });
    }

    fn sketch(&mut self, number: usize, part: Part) -> Option<SketchedSet> {
        let level = self.levels.get(number).filter(|_| self.with_sketches)?;
        // The row model knows tables.
        if matches!(part, Part::Set(set) if level.has_groups(set)) {
            return None;
        }
        let (child, set) = match part {
            Part::Set(set) => (None, set),
            Part::Child(rtindex) => (Some(rtindex), 1),
        };
        let sketch = match self.sketched.get(&(number, child)) {
            Some(&known) => known,
            None => {
                self.sketches.push(level.sketch(child)?);
                self.sketched.insert((number, child), self.sketches.len() - 1);
                self.sketches.len() - 1
            }
        };
        Some(SketchedSet {
            sketch,
            set,
            estimate: level.uncorrected(part)?,
        })
    }
}

/// The union of two sets of one level.
fn union(outer: Option<Place>, inner: Option<Place>) -> Option<Place> {
    match (outer?, inner?) {
        ((level, Part::Set(a)), (other, Part::Set(b))) if level == other => Some((level, Part::Set(a | b))),
        _ => None,
    }
}

/// The bit of a node's method among [`METHODS`]; 0 for what no setting switches off.
fn method(tag: NodeTag) -> u32 {
    let tags = [
        NodeTag::T_HashJoin,
        NodeTag::T_MergeJoin,
        NodeTag::T_NestLoop,
        NodeTag::T_SeqScan,
        NodeTag::T_IndexScan,
        NodeTag::T_IndexOnlyScan,
        NodeTag::T_BitmapHeapScan,
    ];
    let known = METHODS.iter().zip(tags).find(|&(_, of_method)| of_method == tag);
    known.map_or(0, |(method, _)| method.bit)
}

/// Whether a node's output is a base or join relation, and not something made of one.
fn counts_a_relation(tag: NodeTag) -> bool {
    let joins_or_appends = [
        NodeTag::T_NestLoop,
        NodeTag::T_HashJoin,
        NodeTag::T_MergeJoin,
        NodeTag::T_Append,
        NodeTag::T_MergeAppend,
        NodeTag::T_SubqueryScan,
    ];
    (is_relation_scan(tag) && tag != NodeTag::T_BitmapIndexScan) || joins_or_appends.contains(&tag)
}

fn is_relation_scan(tag: NodeTag) -> bool {
    [
        NodeTag::T_SeqScan,
        NodeTag::T_IndexScan,
        NodeTag::T_IndexOnlyScan,
        NodeTag::T_BitmapHeapScan,
        NodeTag::T_BitmapIndexScan,
        NodeTag::T_TidScan,
        NodeTag::T_TidRangeScan,
    ]
    .contains(&tag)
}

/// A node's number in the shape. Shapes are compared within one server only, so PostgreSQL's tags will do.
fn tag_number(tag: NodeTag) -> u64 {
    tag as u64
}

/// What else distinguishes two nodes of a kind.
unsafe fn detail(tag: NodeTag, plan: *const pg_sys::Plan) -> u64 {
    // SAFETY: casts follow the tag.
    unsafe {
        let kind = match tag {
            NodeTag::T_NestLoop | NodeTag::T_HashJoin | NodeTag::T_MergeJoin => {
                (*plan.cast::<pg_sys::Join>()).jointype
            }
            NodeTag::T_Agg => {
                (*plan.cast::<pg_sys::Agg>()).aggstrategy * 256 + (*plan.cast::<pg_sys::Agg>()).aggsplit
            }
            NodeTag::T_Gather => (*plan.cast::<pg_sys::Gather>()).num_workers as u32,
            NodeTag::T_GatherMerge => (*plan.cast::<pg_sys::GatherMerge>()).num_workers as u32,
            _ => 0,
        };
        u64::from(kind) * 2 + u64::from((*plan).parallel_aware)
    }
}

/// Whether a plan reads foreign tables: what runs on another server can't be given up without a trace.
pub(crate) fn reads_foreign_tables(stmt: *const pg_sys::PlannedStmt) -> bool {
    // SAFETY: the plan's own list.
    unsafe {
        list::pointers::<pg_sys::RangeTblEntry>((*stmt).rtable)
            .any(|entry| (*entry).relkind as u8 == pg_sys::RELKIND_FOREIGN_TABLE)
    }
}

/// Makes a plan look a thousand times as dear. Nothing but the plan cache and EXPLAIN looks at a finished plan's cost.
pub(crate) fn raise_cost(planned: *mut pg_sys::PlannedStmt) {
    // SAFETY: a plan that PostgreSQL just made.
    unsafe { (*(*planned).planTree).total_cost *= 1000.0 };
}

/// What PostgreSQL estimates a plan to cost in all.
pub(crate) fn total_cost(stmt: *const pg_sys::PlannedStmt) -> f64 {
    // SAFETY: the planner's result; a utility statement has no plan.
    unsafe { (*stmt).planTree.as_ref().map_or(0.0, |plan| plan.total_cost) }
}

/// Leaves `token` on the plan, so that it is recognised when it runs.
pub(crate) fn attach_token(stmt: *mut pg_sys::PlannedStmt, token: u32) {
    // SAFETY: the planner's result; the item is allocated in the same memory context.
    unsafe {
        let item = pg_sys::palloc0(size_of::<pg_sys::PlanInvalItem>()).cast::<pg_sys::PlanInvalItem>();
        (*item).type_ = NodeTag::T_PlanInvalItem;
        (*item).cacheId = TOKEN_CACHE_ID;
        (*item).hashValue = token;
        (*stmt).invalItems = pg_sys::lappend((*stmt).invalItems, item.cast());
    }
}

/// The token on a plan.
pub(crate) fn token(stmt: *const pg_sys::PlannedStmt) -> Option<u32> {
    // SAFETY: a valid plan; its items are `PlanInvalItem`s.
    unsafe {
        list::pointers::<pg_sys::PlanInvalItem>((*stmt).invalItems)
            .find(|&item| (*item).cacheId == TOKEN_CACHE_ID)
            .map(|item| (*item).hashValue)
    }
}
