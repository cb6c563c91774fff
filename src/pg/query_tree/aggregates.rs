//! Aggregates over rows that stand for several: which ones are exact, and what they become.
//!
//! With *m* the multiplicity of a row, its number of duplicates in the plain join:
//!
//! | aggregate | becomes |
//! |---|---|
//! | `count(*)` | `coalesce(sum(m)::bigint, 0)` |
//! | `count(x)` | the same, of rows where x is not null |
//! | `sum(x)` of integers and numeric | `sum(x::numeric * m)`, cast to the type sum has |
//! | `avg(x)` of integers and numeric | `sum(x::numeric * m) / sum(m)` of rows where x is not null |
//! | `min`, `max`, `bool_and`, `bool_or`, `every`, `bit_and`, `bit_or` | itself |
//! | any over DISTINCT values | itself |
//!
//! `FILTER` stays. PostgreSQL adds integers up in wider integers or numeric and divides as numeric, so types, scales and
//! the error beyond a bigint, "bigint out of range", are the same. Floating-point sums depend on the order of additions
//! and are not rewritten; nor are sums of `numeric` whose values are not known to be far from overflow (`bounded.rs`).

use super::super::list;
use super::bounded;
use super::make::{self, Number};
use super::replace;
use core::ffi::CStr;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// What an aggregate does with duplicates.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    CountRows,
    CountValues,
    /// Adds up values of this type.
    Sum(Summed),
    /// As above, and divides by their number.
    Average(Summed),
    /// Doesn't see them.
    Indifferent,
}

/// Types whose sums are exact.
#[derive(Clone, Copy)]
pub(super) enum Summed {
    Int2,
    Int4,
    Int8,
    Numeric,
}

impl Summed {
    /// PostgreSQL's `sum` of them, and whether that is a bigint; else it is numeric.
    fn sum(self) -> (u32, bool) {
        match self {
            Self::Int2 => (pg_sys::F_SUM_INT2, true),
            Self::Int4 => (pg_sys::F_SUM_INT4, true),
            Self::Int8 => (pg_sys::F_SUM_INT8, false),
            Self::Numeric => (pg_sys::F_SUM_NUMERIC, false),
        }
    }

    /// A value as numeric.
    fn as_numeric(self, value: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
        let function = match self {
            Self::Int2 => pg_sys::F_NUMERIC_INT2,
            Self::Int4 => pg_sys::F_NUMERIC_INT4,
            Self::Int8 => pg_sys::F_NUMERIC_INT8,
            Self::Numeric => return value,
        };
        make::cast(function, pg_sys::NUMERICOID, value)
    }
}

/// Whether all aggregates of a statement have a form for rows with multiplicities.
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn can_be_weighed(query: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        are_all(query, |aggregate| {
            kind(aggregate).is_some() && !may_overflow(aggregate)
        })
    }
}

/// Whether all aggregates of a query, whose results are else made of columns alone, are like this.
unsafe fn are_all(query: *mut pg_sys::Query, is_one: impl Fn(&pg_sys::Aggref) -> bool) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut found = [(*query).targetList.cast(), (*query).havingQual]
            .into_iter()
            .flat_map(|node| list::pointers::<pg_sys::Node>(pull(node)));
        found.all(|node| match list::tag(node) {
            NodeTag::T_Var => true,
            NodeTag::T_Aggref => is_one(&*node.cast::<pg_sys::Aggref>()),
            _ => false,
        })
    }
}

/// Whether the result of a query's aggregates and window functions is the same whatever order its rows come in.
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn ignore_order(query: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let is_known = |aggregate: &pg_sys::Aggref| kind(aggregate).is_some();
        !(*query).hasWindowFuncs && (!(*query).hasAggs || are_all(query, is_known))
    }
}

/// Whether computing an aggregate of other rows than the statement's may raise an error: its arguments' functions are not
/// leakproof, or what is added up may overflow. PostgreSQL's function looks at expressions, not at the list's entries.
///
/// # Safety
/// The aggregate is valid.
pub(super) unsafe fn may_raise(aggregate: &pg_sys::Aggref) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut arguments = list::pointers::<pg_sys::TargetEntry>(aggregate.args);
        arguments.any(|argument| pg_sys::contain_leaked_vars((*argument).expr.cast()))
            || pg_sys::contain_leaked_vars(aggregate.aggfilter.cast())
            || may_overflow(aggregate)
    }
}

/// Whether an aggregate adds up numeric values that may be huge.
unsafe fn may_overflow(aggregate: &pg_sys::Aggref) -> bool {
    // SAFETY: a valid aggregate, with an argument where it adds up.
    unsafe {
        match kind(aggregate) {
            Some(Kind::Sum(Summed::Numeric) | Kind::Average(Summed::Numeric)) => {
                !bounded::is_bounded(argument(aggregate).cast())
            }
            _ => false,
        }
    }
}

/// The columns and aggregates of an expression, in the order in which they are met.
///
/// # Safety
/// `node` is a valid expression or null.
pub(super) unsafe fn pull(node: *mut pg_sys::Node) -> *mut pg_sys::List {
    // SAFETY: a valid expression.
    unsafe { pg_sys::pull_var_clause(node, pg_sys::PVC_INCLUDE_AGGREGATES as i32) }
}

/// What an aggregate does with duplicates; `None` where that is not known.
///
/// # Safety
/// `aggregate` is valid.
pub(super) unsafe fn kind(aggregate: &pg_sys::Aggref) -> Option<Kind> {
    let is_plain = aggregate.aggkind == make::NORMAL_AGGREGATE
        && aggregate.agglevelsup == 0
        && aggregate.aggdirectargs.is_null()
        && !aggregate.aggvariadic;
    if !is_plain {
        return None;
    }
    if !aggregate.aggdistinct.is_null() {
        return Some(Kind::Indifferent);
    }
    Some(match aggregate.aggfnoid.to_u32() {
        pg_sys::F_COUNT_ => Kind::CountRows,
        pg_sys::F_COUNT_ANY => Kind::CountValues,
        pg_sys::F_SUM_INT2 => Kind::Sum(Summed::Int2),
        pg_sys::F_SUM_INT4 => Kind::Sum(Summed::Int4),
        pg_sys::F_SUM_INT8 => Kind::Sum(Summed::Int8),
        pg_sys::F_SUM_NUMERIC => Kind::Sum(Summed::Numeric),
        pg_sys::F_AVG_INT2 => Kind::Average(Summed::Int2),
        pg_sys::F_AVG_INT4 => Kind::Average(Summed::Int4),
        pg_sys::F_AVG_INT8 => Kind::Average(Summed::Int8),
        pg_sys::F_AVG_NUMERIC => Kind::Average(Summed::Numeric),
        pg_sys::F_BOOL_AND | pg_sys::F_BOOL_OR | pg_sys::F_EVERY => Kind::Indifferent,
        pg_sys::F_BIT_AND_INT2 | pg_sys::F_BIT_AND_INT4 | pg_sys::F_BIT_AND_INT8 => Kind::Indifferent,
        pg_sys::F_BIT_OR_INT2 | pg_sys::F_BIT_OR_INT4 | pg_sys::F_BIT_OR_INT8 => Kind::Indifferent,
        // SAFETY: catalog lookups inside the current transaction.
        _ if unsafe { is_extremum(aggregate.aggfnoid) } => Kind::Indifferent,
        _ => return None,
    })
}

/// An aggregate's value over no rows, in the place of a null: `count` is 0, the others are null. `None` where that is not
/// known.
///
/// # Safety
/// The aggregate is valid; `value` is of its level and type.
pub(super) unsafe fn or_of_nothing(
    aggregate: &pg_sys::Aggref,
    value: *mut pg_sys::Expr,
) -> Option<*mut pg_sys::Expr> {
    let plain = pg_sys::Aggref {
        aggdistinct: core::ptr::null_mut(),
        ..*aggregate
    };
    // SAFETY: by the caller's promise.
    match unsafe { kind(&plain) }? {
        Kind::CountRows | Kind::CountValues => Some(make::or_zero(value)),
        Kind::Sum(_) | Kind::Average(_) | Kind::Indifferent => Some(value),
    }
}

/// Whether an aggregate is PostgreSQL's own minimum or maximum of some type.
unsafe fn is_extremum(function: pg_sys::Oid) -> bool {
    if function.to_u32() >= pg_sys::FirstNormalObjectId {
        return false;
    }
    // SAFETY: the name is a palloc'ed C string or null.
    unsafe {
        let name = pg_sys::get_func_name(function);
        !name.is_null() && [c"min", c"max"].contains(&CStr::from_ptr(name))
    }
}

/// Puts others in the place of a statement's aggregates; `other` is given each with its position, columns first.
///
/// # Safety
/// `query` is valid and ours to change; what `other` gives belongs to its level.
pub(super) unsafe fn replace_all(
    query: *mut pg_sys::Query,
    other: &mut dyn FnMut(usize, *mut pg_sys::Aggref) -> Option<*mut pg_sys::Expr>,
) -> Option<()> {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut position = 0;
        for node in [
            (&raw mut (*query).targetList).cast(),
            &raw mut (*query).havingQual,
        ] {
            let mut pairs = Vec::new();
            for aggregate in all(*node) {
                pairs.push((aggregate.cast(), other(position, aggregate)?.cast()));
                position += 1;
            }
            *node = replace::replaced(*node, &pairs);
        }
    }
    Some(())
}

/// The aggregates of an expression, in the order in which they are met.
///
/// # Safety
/// `node` is a valid expression or null.
pub(super) unsafe fn all(node: *mut pg_sys::Node) -> Vec<*mut pg_sys::Aggref> {
    // SAFETY: by the caller's promise.
    unsafe {
        let found = list::pointers::<pg_sys::Aggref>(pull(node));
        found
            .filter(|&node| list::tag(node) == NodeTag::T_Aggref)
            .collect()
    }
}

/// What an aggregate becomes over rows with this multiplicity, a bigint.
///
/// # Safety
/// A valid aggregate of a known kind, and an expression of its level; both are copied where they are used.
pub(super) unsafe fn weighed(
    aggregate: *const pg_sys::Aggref,
    multiplicity: *mut pg_sys::Expr,
) -> Option<*mut pg_sys::Expr> {
    // SAFETY: by the caller's promise.
    unsafe {
        let rows = || Some(make::copy(multiplicity));
        Some(match kind(&*aggregate)? {
            Kind::CountRows => {
                let filter = make::copy((*aggregate).aggfilter);
                as_count(make::sum(Number::Bigint, make::copy(multiplicity), filter))
            }
            Kind::CountValues => as_count(values(aggregate, rows())),
            Kind::Sum(summed) => as_sum(sum(aggregate, summed, rows()), summed),
            Kind::Average(summed) => make::divided(sum(aggregate, summed, rows()), values(aggregate, rows())),
            Kind::Indifferent => make::copy(aggregate).cast(),
        })
    }
}

/// The sum of an aggregate's values, over rows with a multiplicity or over single ones; exact.
///
/// # Safety
/// The aggregate is one of such values; its columns and the multiplicity, a number, are of one level.
pub(super) unsafe fn sum(
    aggregate: *const pg_sys::Aggref,
    summed: Summed,
    multiplicity: Option<*mut pg_sys::Expr>,
) -> *mut pg_sys::Expr {
    // SAFETY: by the caller's promise.
    unsafe {
        let filter = make::copy((*aggregate).aggfilter);
        let value = argument(aggregate);
        match multiplicity {
            // Null times anything is null, and not added.
            Some(rows) => {
                let product =
                    Number::Numeric.times(summed.as_numeric(value), make::as_number(rows, Number::Numeric));
                make::sum(Number::Numeric, product, filter)
            }
            None => {
                let (function, is_bigint) = summed.sum();
                let result = if is_bigint {
                    Number::Bigint
                } else {
                    Number::Numeric
                };
                make::over(function, result.oid(), value, filter)
            }
        }
    }
}

/// How many values of an aggregate are not null, over rows with a multiplicity or over single ones; exact. Null
/// where there are no rows.
///
/// # Safety
/// As for [`sum`], of any type.
pub(super) unsafe fn values(
    aggregate: *const pg_sys::Aggref,
    multiplicity: Option<*mut pg_sys::Expr>,
) -> *mut pg_sys::Expr {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut filter = make::is_not_null(argument(aggregate));
        if !(*aggregate).aggfilter.is_null() {
            let both = make::list_of([make::copy((*aggregate).aggfilter), filter]);
            filter = pg_sys::make_ands_explicit(both);
        }
        match multiplicity {
            Some(rows) => make::sum(make::number_of(rows), rows, filter),
            None => make::count(filter),
        }
    }
}

/// A copy of the aggregate's argument. What an ORDER BY inside it needs besides is no argument.
///
/// # Safety
/// The aggregate has one.
pub(super) unsafe fn argument(aggregate: *const pg_sys::Aggref) -> *mut pg_sys::Expr {
    // SAFETY: by the caller's promise; it is the first of the list.
    unsafe {
        let first = (*(*(*aggregate).args).elements)
            .ptr_value
            .cast::<pg_sys::TargetEntry>();
        make::copy((*first).expr)
    }
}

/// A numeric sum as PostgreSQL's type of sums.
pub(super) fn as_sum(sum: *mut pg_sys::Expr, summed: Summed) -> *mut pg_sys::Expr {
    let (_, is_bigint) = summed.sum();
    let wanted = if is_bigint {
        Number::Bigint
    } else {
        Number::Numeric
    };
    make::as_number(sum, wanted)
}

/// A numeric sum of multiplicities as a count.
pub(super) fn as_count(sum: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    make::or_zero(make::as_number(sum, Number::Bigint))
}
