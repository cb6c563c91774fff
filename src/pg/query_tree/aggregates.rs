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
//! | `sum(x)`, `avg(x)` of floating-point numbers, if allowed | the same in `float8` |
//! | `min`, `max`, `bool_and`, `bool_or`, `every`, `bit_and`, `bit_or` | itself |
//! | any over DISTINCT values | itself |
//!
//! `FILTER` stays. PostgreSQL adds integers up in wider integers or numeric and divides as numeric, so types, scales and
//! the error beyond a bigint, "bigint out of range", are the same. Floating-point sums depend on the order of additions
//! and are rewritten only if `ruvector.dag_rewrite_float_sums` allows another one, and never of other rows than the
//! statement's; sums of `numeric` only if values are known to be far from overflow (`bounded.rs`).

use super::super::list;
use super::bounded;
use super::make::{self, Number};
use super::replace;
use crate::settings;
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

/// Types whose values are added up. Sums of the first four are exact.
#[derive(Clone, Copy)]
pub(super) enum Summed {
    Int2,
    Int4,
    Int8,
    Numeric,
    Float4,
    Float8,
}

impl Summed {
    /// PostgreSQL's `sum` of them, and its type.
    fn sum(self) -> (u32, pg_sys::Oid) {
        match self {
            Self::Int2 => (pg_sys::F_SUM_INT2, pg_sys::INT8OID),
            Self::Int4 => (pg_sys::F_SUM_INT4, pg_sys::INT8OID),
            Self::Int8 => (pg_sys::F_SUM_INT8, pg_sys::NUMERICOID),
            Self::Numeric => (pg_sys::F_SUM_NUMERIC, pg_sys::NUMERICOID),
            Self::Float4 => (pg_sys::F_SUM_FLOAT4, pg_sys::FLOAT4OID),
            Self::Float8 => (pg_sys::F_SUM_FLOAT8, pg_sys::FLOAT8OID),
        }
    }

    /// What they are weighed and added up as.
    fn number(self) -> Number {
        match self {
            Self::Float4 | Self::Float8 => Number::Double,
            _ => Number::Numeric,
        }
    }

    /// A value as that.
    fn as_summand(self, value: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
        let function = match self {
            Self::Int2 => pg_sys::F_NUMERIC_INT2,
            Self::Int4 => pg_sys::F_NUMERIC_INT4,
            Self::Int8 => pg_sys::F_NUMERIC_INT8,
            Self::Float4 => pg_sys::F_FLOAT8_FLOAT4,
            Self::Numeric | Self::Float8 => return value,
        };
        make::cast(function, self.number().oid(), value)
    }
}

/// Whether all aggregates of a statement have a form for rows with multiplicities.
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn can_be_weighed(query: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        are_all(query, |aggregate| match kind(aggregate) {
            Some(Kind::Sum(Summed::Numeric) | Kind::Average(Summed::Numeric)) => is_bounded(aggregate),
            known => known.is_some(),
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

/// Whether an aggregate adds up values that may be huge, distinct ones or all.
unsafe fn may_overflow(aggregate: &pg_sys::Aggref) -> bool {
    // SAFETY: a valid aggregate, with an argument where it adds up.
    unsafe {
        match kind(&of_all_values(aggregate)) {
            Some(Kind::Sum(Summed::Numeric) | Kind::Average(Summed::Numeric)) => !is_bounded(aggregate),
            Some(Kind::Sum(summed) | Kind::Average(summed)) => summed.number() == Number::Double,
            _ => false,
        }
    }
}

/// Whether the numeric values of an aggregate are known not to be huge.
unsafe fn is_bounded(aggregate: &pg_sys::Aggref) -> bool {
    // SAFETY: a valid aggregate with an argument.
    unsafe { bounded::is_bounded(argument(aggregate).cast()) }
}

/// An aggregate without its DISTINCT, to be looked at.
fn of_all_values(aggregate: &pg_sys::Aggref) -> pg_sys::Aggref {
    pg_sys::Aggref {
        aggdistinct: core::ptr::null_mut(),
        ..*aggregate
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
        pg_sys::F_SUM_FLOAT4 if is_of_any_order(aggregate) => Kind::Sum(Summed::Float4),
        pg_sys::F_SUM_FLOAT8 if is_of_any_order(aggregate) => Kind::Sum(Summed::Float8),
        pg_sys::F_AVG_FLOAT4 if is_of_any_order(aggregate) => Kind::Average(Summed::Float4),
        pg_sys::F_AVG_FLOAT8 if is_of_any_order(aggregate) => Kind::Average(Summed::Float8),
        pg_sys::F_BOOL_AND | pg_sys::F_BOOL_OR | pg_sys::F_EVERY => Kind::Indifferent,
        pg_sys::F_BIT_AND_INT2 | pg_sys::F_BIT_AND_INT4 | pg_sys::F_BIT_AND_INT8 => Kind::Indifferent,
        pg_sys::F_BIT_OR_INT2 | pg_sys::F_BIT_OR_INT4 | pg_sys::F_BIT_OR_INT8 => Kind::Indifferent,
        // SAFETY: catalog lookups inside the current transaction.
        _ if unsafe { is_extremum(aggregate.aggfnoid) } => Kind::Indifferent,
        _ => return None,
    })
}

/// Whether floating-point numbers may be added up in another order than the one that rows come in.
fn is_of_any_order(aggregate: &pg_sys::Aggref) -> bool {
    settings::rewrites_float_sums() && aggregate.aggorder.is_null()
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
    // SAFETY: by the caller's promise.
    match unsafe { kind(&of_all_values(aggregate)) }? {
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

/// The sum of an aggregate's values, over rows with a multiplicity or over single ones; exact where its type is.
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
                let number = summed.number();
                let product = number.times(summed.as_summand(value), make::as_number(rows, number));
                make::sum(number, product, filter)
            }
            None => {
                let (function, result) = summed.sum();
                make::over(function, result, value, filter)
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

/// A sum as PostgreSQL's type of sums.
pub(super) fn as_sum(sum: *mut pg_sys::Expr, summed: Summed) -> *mut pg_sys::Expr {
    match summed {
        Summed::Int2 | Summed::Int4 => make::as_number(sum, Number::Bigint),
        Summed::Int8 | Summed::Numeric => make::as_number(sum, Number::Numeric),
        Summed::Float4 => make::cast(pg_sys::F_FLOAT4_FLOAT8, pg_sys::FLOAT4OID, sum),
        Summed::Float8 => sum,
    }
}

/// A numeric sum of multiplicities as a count.
pub(super) fn as_count(sum: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    make::or_zero(make::as_number(sum, Number::Bigint))
}
