//! Aggregates over columns of one relation that are computed where that relation is, below the root, and carried up.
//!
//! The relation's own grouped join has a *part* of the aggregate per group; its parents combine parts: a sum or a count
//! is multiplied with the multiplicities of the other sides and added up, a minimum is the minimum of minima. At the
//! root the parts become the aggregate. Sums and counts are numeric on their way wherever they could outgrow a bigint.
//!
//! A value that is computed before its row is known to join must not raise an error that the statement would not have
//! raised: its functions have to be leakproof, which excludes errors that depend on arguments.

use super::super::list;
use super::aggregates::{self, Kind};
use super::conditions::{self, Positions};
use super::make::{self, Number};
use super::outer::Attached;
use core::ffi::CStr;
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// An aggregate that may be carried.
pub(super) struct Carried {
    /// In the columns of the statement.
    pub(super) aggregate: *mut pg_sys::Aggref,
    /// The position of the relation it is about.
    pub(super) relation: usize,
    /// The position of the grouped left join whose other side it is about, which hangs on the relation.
    pub(super) side: Option<usize>,
    kind: Kind,
}

/// What is carried of an aggregate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The sum of values.
    Sum,
    /// The number of values that are not null.
    Values,
    /// The aggregate itself, which combines with its like.
    Whole,
}

impl Part {
    /// The name of a column that holds it.
    pub(super) fn name(self) -> &'static CStr {
        match self {
            Self::Sum => c"sum",
            Self::Values => c"values",
            Self::Whole => c"value",
        }
    }
}

/// The aggregates of a statement.
pub(super) struct Found {
    pub(super) carried: Vec<Carried>,
    /// For each aggregate in the order of [`aggregates::replace_all`] the position among the carried ones.
    pub(super) uses: Vec<Option<usize>>,
    /// The relations of everything else in the result.
    pub(super) kept: Set,
}

/// Finds what may be carried.
///
/// # Safety
/// `query` is valid and its aggregates are known.
pub(super) unsafe fn find(query: *mut pg_sys::Query, positions: &Positions, attached: &[Attached]) -> Found {
    let mut found = Found {
        carried: Vec::new(),
        uses: Vec::new(),
        kept: Set::default(),
    };
    // SAFETY: by the caller's promise.
    unsafe {
        for node in [(*query).targetList.cast(), (*query).havingQual] {
            for part in list::pointers::<pg_sys::Node>(aggregates::pull(node)) {
                let mentioned = conditions::relations(part, positions);
                if list::tag(part) != NodeTag::T_Aggref {
                    found.kept = found.kept | mentioned;
                    continue;
                }
                let carried = carried(part.cast(), mentioned, attached);
                if carried.is_none() {
                    found.kept = found.kept | mentioned;
                }
                found.uses.push(carried.map(|carried| {
                    let is_same = |known: &Carried| pg_sys::equal(known.aggregate.cast(), part.cast());
                    let known = found.carried.iter().position(is_same);
                    known.unwrap_or_else(|| {
                        found.carried.push(carried);
                        found.carried.len() - 1
                    })
                }));
            }
        }
    }
    found
}

unsafe fn carried(aggregate: *mut pg_sys::Aggref, relations: Set, attached: &[Attached]) -> Option<Carried> {
    // SAFETY: a valid aggregate of a known kind.
    unsafe {
        let mut positions = relations.positions();
        let (Some(relation), None) = (positions.next(), positions.next()) else {
            return None;
        };
        let is_about = |side: &Attached| side.grouped.is_some() && side.join.is_all_of(aggregate.cast());
        Some(Carried {
            aggregate,
            relation,
            side: attached.iter().position(is_about),
            kind: aggregates::kind(&*aggregate).filter(|_| is_computable_below(aggregate))?,
        })
    }
}

/// Whether an aggregate may be computed of rows that are not known to join: of one argument, by functions that raise no
/// errors, which combines.
///
/// # Safety
/// The aggregate is valid.
pub(super) unsafe fn is_computable_below(aggregate: *mut pg_sys::Aggref) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        aggregates::kind(&*aggregate).is_some()
            && list::length((*aggregate).args) == 1
            && (*aggregate).aggdistinct.is_null()
            && !aggregates::may_raise(&*aggregate)
    }
}

impl Carried {
    /// What has to be known of it.
    pub(super) fn parts(&self) -> &'static [Part] {
        match self.kind {
            Kind::Sum(_) => &[Part::Sum],
            Kind::CountValues | Kind::CountRows => &[Part::Values],
            Kind::Average(_) => &[Part::Sum, Part::Values],
            Kind::Indifferent => &[Part::Whole],
        }
    }

    /// A part, computed where the relation is: `aggregate` is this one in the columns of that level.
    ///
    /// # Safety
    /// `aggregate` and the multiplicity, if rows have one, are valid and of one level.
    pub(super) unsafe fn begin(
        &self,
        part: Part,
        aggregate: *const pg_sys::Aggref,
        multiplicity: Option<*mut pg_sys::Expr>,
    ) -> *mut pg_sys::Expr {
        // SAFETY: by the caller's promise.
        unsafe {
            match (part, self.kind) {
                (Part::Sum, Kind::Sum(summed) | Kind::Average(summed)) => {
                    aggregates::sum(aggregate, summed, multiplicity)
                }
                (Part::Values, _) => aggregates::values(aggregate, multiplicity),
                _ => make::copy(aggregate).cast(),
            }
        }
    }

    /// A part, combined from a child's where rows have `others` as the multiplicity of the other children.
    ///
    /// # Safety
    /// The expressions are valid and of one level.
    pub(super) unsafe fn combine(
        &self,
        part: Part,
        child: *mut pg_sys::Expr,
        others: Option<*mut pg_sys::Expr>,
    ) -> *mut pg_sys::Expr {
        let none = core::ptr::null_mut();
        match (part, others) {
            (Part::Whole, _) => {
                // SAFETY: the aggregate takes what it gives.
                unsafe {
                    let (function, result) = ((*self.aggregate).aggfnoid, (*self.aggregate).aggtype);
                    let whole = make::over(function.to_u32(), result, child, none).cast::<pg_sys::Aggref>();
                    (*whole).aggcollid = (*self.aggregate).aggcollid;
                    (*whole).inputcollid = (*self.aggregate).inputcollid;
                    whole.cast()
                }
            }
            (_, None) => make::sum(make::number_of(child), child, none),
            (_, Some(others)) => {
                let (child, others) = (
                    make::as_number(child, Number::Numeric),
                    make::as_number(others, Number::Numeric),
                );
                make::sum(Number::Numeric, Number::Numeric.times(child, others), none)
            }
        }
    }

    /// The aggregate of its parts.
    pub(super) fn finish(&self, parts: &[*mut pg_sys::Expr]) -> Option<*mut pg_sys::Expr> {
        match (self.kind, parts) {
            (Kind::Sum(summed), &[sum]) => Some(aggregates::as_sum(sum, summed)),
            (Kind::CountValues, &[values]) => Some(aggregates::as_count(values)),
            (Kind::Average(_), &[sum, values]) => Some(make::divided(sum, values)),
            (Kind::Indifferent, &[whole]) => Some(whole),
            _ => None,
        }
    }
}
