//! Left joins of a statement: which are inner joins after all, what each keeps the rows of, and whether its other side can be
//! grouped.
//!
//! A left join whose null rows a condition above drops is an inner join (Galindo-Legaria and Rosenthal 1997). One whose
//! condition is strict on the other side of another one is nested there: `(a ⟕ b) ⟕ c = a ⟕ (b ⟕ c)`. What is left
//! hangs on one relation each, whose rows it keeps, so that it moves with that relation through inner joins.
//!
//! The other side may be grouped by the columns it is equated with where the result needs only its number of rows, or
//! aggregates that don't see the nulls of rows without partner: then each row finds one group or none (Eich and Moerkotte,
//! "Dynamic programming: the next step", ICDE 2015; the default of a row without partner is a number of one).

use super::super::list;
use super::classes::{self, Class};
use super::conditions::{self, Condition, Gathered, Positions};
use super::{aggregates, carried, items, make, statistics};
use core::ffi::c_int;
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// A left join without what it keeps.
pub(super) struct OuterJoin {
    /// The other side, an item of FROM.
    pub(super) right: *mut pg_sys::Node,
    /// The parts of its condition.
    pub(super) on: Vec<*mut pg_sys::Node>,
    /// Range-table indexes of the other side, of joins too.
    pub(super) members: Vec<c_int>,
}

/// A left join that keeps the rows of one relation.
pub(super) struct Attached {
    /// That relation's position.
    pub(super) relation: usize,
    pub(super) join: OuterJoin,
    /// How its other side is grouped; `None` where it is joined as it is.
    pub(super) grouped: Option<Grouping>,
    /// Whether each row finds at most one.
    pub(super) is_unique: bool,
}

/// The parts of a left join's condition where its other side is grouped.
pub(super) struct Grouping {
    /// Equalities of a column of [`KEPT`] and one of [`OTHER`].
    pub(super) keys: Vec<Class>,
    /// Conditions on the other side alone.
    pub(super) own: Vec<*mut pg_sys::Node>,
    /// Conditions on what is kept.
    pub(super) kept: Vec<*mut pg_sys::Node>,
}

/// The positions of both sides in a [`Grouping`].
const KEPT: usize = 0;
pub(super) const OTHER: usize = 1;

impl OuterJoin {
    /// `None` when the side is made of what nothing is known about.
    ///
    /// # Safety
    /// An item of FROM and a condition or null.
    pub(super) unsafe fn new(right: *mut pg_sys::Node, on: *mut pg_sys::Node) -> Option<Self> {
        let (mut members, mut clauses) = (Vec::new(), Vec::new());
        // SAFETY: by the caller's promise.
        unsafe {
            find_members(right, &mut members)?;
            conditions::split(on, &mut clauses);
        }
        Some(Self {
            right,
            on: clauses,
            members,
        })
    }

    fn has(&self, rtindex: usize) -> bool {
        self.members.iter().any(|&member| list::index(member) == rtindex)
    }

    /// Whether an expression mentions its other side.
    unsafe fn is_mentioned(&self, node: *mut pg_sys::Node) -> bool {
        // SAFETY: by the caller's promise.
        let mentioned = unsafe { conditions::mentioned(node) };
        mentioned.into_iter().any(|rtindex| self.has(rtindex))
    }

    /// Whether an expression mentions its other side and nothing else.
    ///
    /// # Safety
    /// A valid expression of the join's query level.
    pub(super) unsafe fn is_all_of(&self, node: *mut pg_sys::Node) -> bool {
        // SAFETY: by the caller's promise.
        let mentioned = unsafe { conditions::mentioned(node) };
        !mentioned.is_empty() && mentioned.into_iter().all(|rtindex| self.has(rtindex))
    }

    /// Whether one of these conditions is not met by rows of nulls on the other side.
    unsafe fn is_needed(&self, clauses: &[*mut pg_sys::Node]) -> bool {
        clauses.iter().any(|&clause| {
            // SAFETY: valid conditions.
            let strict = unsafe { list::members(pg_sys::find_nonnullable_rels(clause)) };
            strict.into_iter().any(|rtindex| self.has(rtindex))
        })
    }

    /// What its condition mentions besides its other side.
    unsafe fn kept(&self) -> Vec<usize> {
        // SAFETY: valid conditions.
        let all = self
            .on
            .iter()
            .flat_map(|&clause| unsafe { conditions::mentioned(clause) });
        all.filter(|&rtindex| !self.has(rtindex)).collect()
    }
}

/// The range-table indexes of an item of FROM, of joins too; `None` when it is made of what nothing is known about.
///
/// # Safety
/// A valid item.
pub(super) unsafe fn find_members(node: *mut pg_sys::Node, members: &mut Vec<c_int>) -> Option<()> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        match list::tag(node) {
            NodeTag::T_RangeTblRef => members.push((*node.cast::<pg_sys::RangeTblRef>()).rtindex),
            NodeTag::T_JoinExpr => {
                let join = node.cast::<pg_sys::JoinExpr>();
                find_members((*join).larg, members)?;
                find_members((*join).rarg, members)?;
                members.push((*join).rtindex);
            }
            _ => return None,
        }
    }
    Some(())
}

/// Makes inner joins of those whose null rows are dropped above.
///
/// # Safety
/// What was gathered is valid.
pub(super) unsafe fn reduce(gathered: &mut Gathered) -> Option<()> {
    // SAFETY: by the caller's promise.
    unsafe {
        let needed = |gathered: &Gathered| {
            let mut joins = gathered.outer.iter();
            joins.position(|join| join.is_needed(&gathered.clauses))
        };
        while let Some(at) = needed(gathered) {
            let join = gathered.outer.remove(at);
            gathered.clauses.extend(&join.on);
            conditions::walk(join.right, gathered)?;
        }
    }
    Some(())
}

/// Finds what each join keeps the rows of, and which of them can be grouped; `None` where that is not one relation.
///
/// # Safety
/// The joins are of the query, which is ours to change; the clauses are its conditions.
pub(super) unsafe fn attach(
    query: *mut pg_sys::Query,
    mut joins: Vec<OuterJoin>,
    clauses: &[*mut pg_sys::Node],
    relations: &[c_int],
) -> Option<Vec<Attached>> {
    let positions = Positions::of_each(relations);
    let mut attached = Vec::new();
    // SAFETY: by the caller's promise.
    unsafe {
        while let Some(join) = joins.pop() {
            let kept = join.kept();
            let is_below = |other: &OuterJoin| kept.iter().all(|&rtindex| other.has(rtindex));
            match joins
                .iter_mut()
                .chain(attached.iter_mut())
                .find(|other| is_below(other))
            {
                _ if kept.is_empty() => return None,
                Some(other) => nest(query, other, join)?,
                None => attached.push(join),
            }
        }
        attached
            .into_iter()
            .map(|join| {
                let kept: Set = join
                    .kept()
                    .into_iter()
                    .filter_map(|rtindex| positions.of(rtindex))
                    .collect();
                let mut kept_positions = kept.positions();
                let (Some(relation), None) = (kept_positions.next(), kept_positions.next()) else {
                    return None;
                };
                let is_known = join
                    .kept()
                    .into_iter()
                    .all(|rtindex| positions.of(rtindex).is_some());
                is_known.then(|| hang(query, join, clauses, (relation, *relations.get(relation)?)))?
            })
            .collect()
    }
}

/// `(… ⟕ other) ⟕ join`, whose condition only mentions `other`, becomes `… ⟕ (other ⟕ join)`.
unsafe fn nest(query: *mut pg_sys::Query, other: &mut OuterJoin, join: OuterJoin) -> Option<()> {
    // SAFETY: valid items of FROM of the query.
    unsafe {
        if !other.is_needed(&join.on) {
            return None;
        }
        let on = pg_sys::make_ands_explicit(make::list_of(join.on)).cast();
        let nested = items::left_join(query, other.right, join.right, on)?;
        other.right = nested.cast();
        other.members.extend(join.members);
        other.members.push((*nested).rtindex);
    }
    Some(())
}

unsafe fn hang(
    query: *mut pg_sys::Query,
    join: OuterJoin,
    clauses: &[*mut pg_sys::Node],
    (relation, kept): (usize, c_int),
) -> Option<Attached> {
    // SAFETY: as of `attach`.
    unsafe {
        let grouping = grouping(&join, kept);
        let is_unique = grouping.as_ref().is_some_and(|grouping| {
            let columns = |class: &Class| class.columns_of(Set::one(OTHER)).next().map(|column| column.var);
            let keys = grouping
                .keys
                .iter()
                .filter_map(|class| Some((class, columns(class)?)));
            statistics::is_unique(query, join.right, keys.collect())
        });
        let grouped = grouping.filter(|_| !is_unique && is_only_counted(query, &join, clauses));
        Some(Attached {
            relation,
            join,
            grouped,
            is_unique,
        })
    }
}

/// The parts of the condition, if equalities are all that connects both sides.
unsafe fn grouping(join: &OuterJoin, kept: c_int) -> Option<Grouping> {
    let mut positions = Positions::of_each(&[kept]);
    positions.add(&join.members, OTHER);
    let mut grouping = Grouping {
        keys: Vec::new(),
        own: Vec::new(),
        kept: Vec::new(),
    };
    for &clause in &join.on {
        // SAFETY: valid conditions.
        unsafe {
            let relations = conditions::relations(clause, &positions);
            match (relations.contains(KEPT), relations.contains(OTHER)) {
                (true, true) => grouping
                    .keys
                    .push(classes::equality(Condition { clause, relations }, &positions)?),
                (false, true) => grouping.own.push(clause),
                (_, false) => grouping.kept.push(clause),
            }
        }
    }
    (!grouping.keys.is_empty()).then_some(grouping)
}

/// Whether the result needs nothing of the other side but its number of rows, and aggregates that ignore the nulls of rows
/// without partner: each of one argument that is null when its columns are.
unsafe fn is_only_counted(
    query: *mut pg_sys::Query,
    join: &OuterJoin,
    clauses: &[*mut pg_sys::Node],
) -> bool {
    // SAFETY: valid expressions of the query.
    unsafe {
        let is_counted = |part: *mut pg_sys::Node| {
            if !join.is_mentioned(part) {
                return true;
            }
            if list::tag(part) != NodeTag::T_Aggref {
                return false;
            }
            let aggregate = part.cast::<pg_sys::Aggref>();
            let arguments = (*aggregate).args.cast();
            join.is_all_of(part)
                && join.is_all_of(arguments)
                && !pg_sys::contain_nonstrict_functions(arguments)
                && carried::is_computable_below(aggregate)
        };
        let mut results = [(*query).targetList.cast(), (*query).havingQual].into_iter();
        results.all(|node| list::pointers(aggregates::pull(node)).all(is_counted))
            && !clauses.iter().any(|&clause| join.is_mentioned(clause))
    }
}
