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
//! and are not rewritten.

use super::super::{compat, list};
use super::make::{self, Number};
use core::ffi::{CStr, c_void};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// What an aggregate does with duplicates.
#[derive(Clone, Copy)]
enum Kind {
    CountRows,
    CountValues,
    /// Of values that this function casts to numeric; whether the sum is a bigint.
    Sum {
        to_numeric: Option<u32>,
        is_bigint: bool,
    },
    /// As above.
    Average {
        to_numeric: Option<u32>,
    },
    Indifferent,
}

/// Whether all aggregates of a statement have a form for rows with multiplicities.
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn are_known(query: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut found = [(*query).targetList.cast(), (*query).havingQual]
            .into_iter()
            .flat_map(|node| list::pointers::<pg_sys::Node>(pull(node)));
        found.all(|node| match list::tag(node) {
            NodeTag::T_Var => true,
            NodeTag::T_Aggref => kind(&*node.cast::<pg_sys::Aggref>()).is_some(),
            _ => false,
        })
    }
}

/// The columns and aggregates of an expression.
unsafe fn pull(node: *mut pg_sys::Node) -> *mut pg_sys::List {
    // SAFETY: a valid expression.
    unsafe { pg_sys::pull_var_clause(node, pg_sys::PVC_INCLUDE_AGGREGATES as i32) }
}

unsafe fn kind(aggregate: &pg_sys::Aggref) -> Option<Kind> {
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
    let sum = |to_numeric, is_bigint| Kind::Sum {
        to_numeric,
        is_bigint,
    };
    let average = |to_numeric| Kind::Average { to_numeric };
    let (small, int, big) = (
        Some(pg_sys::F_NUMERIC_INT2),
        Some(pg_sys::F_NUMERIC_INT4),
        Some(pg_sys::F_NUMERIC_INT8),
    );
    Some(match aggregate.aggfnoid.to_u32() {
        pg_sys::F_COUNT_ => Kind::CountRows,
        pg_sys::F_COUNT_ANY => Kind::CountValues,
        pg_sys::F_SUM_INT2 => sum(small, true),
        pg_sys::F_SUM_INT4 => sum(int, true),
        pg_sys::F_SUM_INT8 => sum(big, false),
        pg_sys::F_SUM_NUMERIC => sum(None, false),
        pg_sys::F_AVG_INT2 => average(small),
        pg_sys::F_AVG_INT4 => average(int),
        pg_sys::F_AVG_INT8 => average(big),
        pg_sys::F_AVG_NUMERIC => average(None),
        pg_sys::F_BOOL_AND | pg_sys::F_BOOL_OR | pg_sys::F_EVERY => Kind::Indifferent,
        pg_sys::F_BIT_AND_INT2 | pg_sys::F_BIT_AND_INT4 | pg_sys::F_BIT_AND_INT8 => Kind::Indifferent,
        pg_sys::F_BIT_OR_INT2 | pg_sys::F_BIT_OR_INT4 | pg_sys::F_BIT_OR_INT8 => Kind::Indifferent,
        // SAFETY: catalog lookups inside the current transaction.
        _ if unsafe { is_extremum(aggregate.aggfnoid) } => Kind::Indifferent,
        _ => return None,
    })
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

/// The aggregates of a statement, for rows with this multiplicity, a bigint.
///
/// # Safety
/// `query` is valid, ours to change, and its aggregates are known; the multiplicity belongs to its level.
pub(super) unsafe fn weigh(query: *mut pg_sys::Query, multiplicity: *mut pg_sys::Expr) {
    // SAFETY: by the caller's promise.
    unsafe {
        let targets = replaced((*query).targetList.cast(), multiplicity);
        (*query).targetList = targets.cast();
        (*query).havingQual = replaced((*query).havingQual, multiplicity);
    }
}

/// Aggregates and what they become, in two lists of the same length.
struct Replacements {
    from: *mut pg_sys::List,
    to: *mut pg_sys::List,
}

unsafe fn replaced(node: *mut pg_sys::Node, multiplicity: *mut pg_sys::Expr) -> *mut pg_sys::Node {
    // SAFETY: a valid expression; the context outlives the walk.
    unsafe {
        let found = list::pointers::<pg_sys::Node>(pull(node));
        let aggregates = found.filter(|&node| list::tag(node) == NodeTag::T_Aggref);
        let from = make::list_of(aggregates);
        let of_rows = |aggregate: *mut pg_sys::Aggref| weighed(&*aggregate, multiplicity);
        let mut replacements = Replacements {
            from,
            to: make::list_of(list::pointers(from).map(of_rows)),
        };
        compat::mutate(node, replace, (&raw mut replacements).cast())
    }
}

unsafe extern "C-unwind" fn replace(node: *mut pg_sys::Node, context: *mut c_void) -> *mut pg_sys::Node {
    if node.is_null() {
        return node;
    }
    // SAFETY: the walk passes valid nodes and the context given to it; lists of the same length.
    unsafe {
        let replacements = context.cast::<Replacements>();
        let to = list::pointers::<pg_sys::Node>((*replacements).to);
        let mut pairs = list::pointers::<pg_sys::Node>((*replacements).from).zip(to);
        match pairs.find(|&(from, _)| from == node) {
            Some((_, to)) => to,
            None => compat::expression_tree_mutator(node, replace, context),
        }
    }
}

/// What an aggregate becomes.
unsafe fn weighed(aggregate: &pg_sys::Aggref, multiplicity: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    // SAFETY: a valid aggregate of a known kind; expressions are copied where they are used.
    unsafe {
        let filter = || make::copy(aggregate.aggfilter);
        let times = || make::copy(multiplicity);
        match kind(aggregate) {
            Some(Kind::CountRows) => counted(make::sum(Number::Bigint, times(), filter())),
            Some(Kind::CountValues) => counted(make::sum(Number::Bigint, times(), not_null(aggregate))),
            Some(Kind::Sum {
                to_numeric,
                is_bigint,
            }) => {
                let sum = sum_of_products(aggregate, to_numeric, multiplicity);
                if is_bigint { to_bigint(sum) } else { sum }
            }
            Some(Kind::Average { to_numeric }) => {
                let rows = make::sum(Number::Bigint, times(), not_null(aggregate));
                make::divided(sum_of_products(aggregate, to_numeric, multiplicity), rows)
            }
            Some(Kind::Indifferent) | None => make::copy(aggregate).cast(),
        }
    }
}

/// `sum(x::numeric * m::numeric)`; null times anything is null, and not added.
unsafe fn sum_of_products(
    aggregate: &pg_sys::Aggref,
    to_numeric: Option<u32>,
    multiplicity: *mut pg_sys::Expr,
) -> *mut pg_sys::Expr {
    // SAFETY: as in `weighed`.
    unsafe {
        let mut value = argument(aggregate);
        if let Some(function) = to_numeric {
            value = make::cast(function, pg_sys::NUMERICOID, value);
        }
        let times = make::cast(
            pg_sys::F_NUMERIC_INT8,
            pg_sys::NUMERICOID,
            make::copy(multiplicity),
        );
        let product = Number::Numeric.times(value, times);
        make::sum(Number::Numeric, product, make::copy(aggregate.aggfilter))
    }
}

/// The aggregate's filter, and that its argument is not null.
unsafe fn not_null(aggregate: &pg_sys::Aggref) -> *mut pg_sys::Expr {
    // SAFETY: as in `weighed`.
    unsafe {
        let test = make::is_not_null(argument(aggregate));
        if aggregate.aggfilter.is_null() {
            return test;
        }
        pg_sys::make_ands_explicit(make::list_of([make::copy(aggregate.aggfilter), test]))
    }
}

/// A copy of the aggregate's argument. What an ORDER BY inside it needs besides is no argument.
unsafe fn argument(aggregate: &pg_sys::Aggref) -> *mut pg_sys::Expr {
    // SAFETY: aggregates of these kinds have one argument, the first of the list.
    unsafe {
        let first = (*(*aggregate.args).elements)
            .ptr_value
            .cast::<pg_sys::TargetEntry>();
        make::copy((*first).expr)
    }
}

fn to_bigint(sum: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    make::cast(pg_sys::F_INT8_NUMERIC, pg_sys::INT8OID, sum)
}

fn counted(sum: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    make::or_zero(to_bigint(sum))
}
